/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file that a policy is written in, and when it has changed.
 *
 *   same ──stat says otherwise──► changed ──holds still for POLICY_STILL_MS, nobody writes──► due
 *                                    └────── for POLICY_WAIT_MS it did not ────────────────► due
 *
 * A file that is being written is not read: half a policy may be one that allows more. What still
 * moves when it is due is read as a file that cannot be. Not thread-safe: one thread looks.
 */
#ifndef FS_POLICY_FILE_H
#define FS_POLICY_FILE_H

#include <sys/stat.h>

#include "base/buf.h"

#define POLICY_LOOK_MS 250
#define POLICY_STILL_MS 200
/* With the rest of the way below the 5 s in which a revocation works. */
#define POLICY_WAIT_MS 2000

struct policy_file {
    char *path;       /* absolute; owned */
    struct stat read; /* as it was when it was read; all 0: it could not be */
    struct stat seen; /* when it was looked at last */
    int64_t changed_ms,
        still_ms;    /* since when it is another, and the one that it is; 0: it is not */
    struct buf text; /* of the last that was good */
};

int policy_file_init(struct policy_file *f, const char *path, struct err *err);
void policy_file_done(struct policy_file *f);

/* Looks at the file: it shall be read now. Blocks on its disk. */
bool policy_file_due(struct policy_file *f, int64_t now_ms);

/* It is to be read even if it is the same. */
void policy_file_forget(struct policy_file *f);

/* Its text into `out` (reset first); where another file takes its name meanwhile, that one's. The
 * errors of open(2) and read(2), -EBUSY it is being written, -EINVAL no regular file, or the
 * beginning of the good text before, cut off within a grant. */
int policy_file_read(struct policy_file *f, struct buf *out, struct err *err);

/* What was read is good. */
void policy_file_keep(struct policy_file *f, const struct buf *text);

/*
 * `now` is the beginning of `before` and ends within a grant, as a file does that was not written
 * to its end: what is cut off may be what a grant keeps back. Pure.
 */
bool policy_text_is_cut(struct slice before, struct slice now);

#endif
