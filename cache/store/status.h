/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer of an object store means: the one table from HTTP status and S3 error code. Pure.
 */
#ifndef CACHE_STORE_STATUS_H
#define CACHE_STORE_STATUS_H

#include "base/slice.h"

/*
 * The positive errno of an answer that is not a success; EIO for what the table does not know.
 * `code` is the S3 error code, empty where the answer has none (HEAD). It decides before the
 * status.
 */
int status_errno(unsigned status, struct slice code);

/* The same request may succeed when it is sent again. */
bool status_retryable(unsigned status, struct slice code);

#endif
