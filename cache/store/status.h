/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an answer of an object store means: the one table from HTTP status and error code to errno,
 * and to whether the same request may succeed later. Pure.
 *
 *   answer                                        errno    again
 *   InvalidObjectState, BlobArchived (archived)   EREMOTE  no
 *   RestoreAlreadyInProgress                      EALREADY no
 *   GlacierExpeditedRetrievalNotAvailable         EBUSY    no     whatever its status
 *   404                                           ENOENT   no     the store has said so itself
 *   401, 403, 407; expired credentials, unusable keys  EACCES   no     whatever their status
 *   412                                           ESTALE   no     If-Match: another generation
 *   408, 429, 500, 502, 503, 504, 509             EIO      yes
 *   BadDigest and the like (a PUT)                EIO      yes    a byte was changed on the way
 *   codes for load, conflict and time (SlowDown)  EIO      yes    whatever their status
 *   all others, redirects among them              EIO      no
 *
 * A code decides before the status. What may succeed later is EIO and nothing else: no failure of a
 * store is ever taken for "there is no such key". What never became an answer (a reset, a time-out,
 * a body cut short) is the engine's to try again, and EIO in the end.
 */
#ifndef CACHE_STORE_STATUS_H
#define CACHE_STORE_STATUS_H

#include "base/slice.h"

/* One line of the table. */
struct status_row {
    const char *code; /* NULL: a line for a status */
    unsigned status;  /* 0: a line for a code */
    int error;        /* positive errno */
    bool retryable;
};

/*
 * The positive errno of an answer that is not a success; EIO for what the table does not know.
 * `code` is the store's error code, empty where the answer has none (HEAD).
 */
int status_errno(unsigned status, struct slice code);

/* The same request may succeed when it is sent again. */
bool status_retryable(unsigned status, struct slice code);

#define STATUS_ROWS 41
extern const struct status_row status_table[STATUS_ROWS];

#endif
