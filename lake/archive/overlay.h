/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is gone at home, read from the archive store.
 *
 *   get, head ──► home ──there──► done
 *                  │ ENOENT, EREMOTE, ESTALE
 *                  ▼
 *               archived under this key (with this ETag)? ──► archive store, checked frame by frame
 *   list of a log ──► home, and the log files of archived versions that home has lost
 *   list_at       ──► a moment that is archived, else home
 *   kept          ──► the archived versions of a table, and their logs
 *
 * It wraps the home store and has its URL, so that identities stay, and a driver reads an archived
 * version as if home still had it. What home has is read at home; whatever is written goes there.
 *
 * An archive store that cannot be reached disturbs nobody who does not need it: what home has
 * lost and the archive may have is EIO then, never ENOENT.
 *
 * Any thread. The archive is asked by threads of the wrapper's own, started with the first loss.
 */
#ifndef LAKE_ARCHIVE_OVERLAY_H
#define LAKE_ARCHIVE_OVERLAY_H

#include "cache/store/store.h"

struct archive_wrap_config {
    const char *url;                     /* of the archive store, or an absolute path */
    const struct store_options *options; /* of the archive store; borrowed for the call */
    const struct store_runtime *runtime; /* its engine is used as long as the store lives */
    int scratch_dirfd; /* where files without names are made; borrowed while the store lives */
};

/*
 * Takes `home`, also where it fails, and gives back the store to use instead: as store_runtime.wrap
 * may. NULL and err where the archive store cannot be opened (-EINVAL; -ENOENT: a directory that is
 * not there). Nothing is asked of it yet.
 */
struct store *archive_wrap(struct store *home, const struct archive_wrap_config *config,
                           struct err *err);

#endif
