/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of files in the order in which they will be read, as written to `.tarn/prefetch`: a
 * shuffled epoch, say.
 *
 *   text: a path a line ─► entries: (run, ordinal) each ─► prefetch, at a bounded distance
 *
 *   entries   . . . . . | o . o > > > > > > > | . . . . . . . . .
 *                 position (opened)          issued
 *
 * Paths are relative to the directory that `.tarn` is in, or absolute below the mount. The text
 * goes to a file without a name; a job on the lake's workers turns lines into entries of 8 bytes
 * and fetches. Position moves when a listed file is opened, so what is ahead of the readers is
 * bounded in files and bytes, however long the list. Who begins somewhere within the list is
 * searched for once some opens were not found.
 *
 * A list takes effect when its file is closed, and takes the place of the writer's one before; an
 * empty one ends that. It ends with its last file, with the mount, or when too many others came:
 * the oldest of who has most of them goes then, so nobody pushes out those of who has fewer. Lines
 * that name no file of a table are left out and counted in the log.
 *
 * Any thread; nothing waits.
 */
#ifndef FS_FOLLOW_H
#define FS_FOLLOW_H

#include <sys/types.h>

#include "base/lock.h"
#include "base/workers.h"
#include "fs/node.h"

/* Lists of a mount, and those that are being written; lines of all of them (8 bytes each). Of the
 * latter two nobody has more than half. */
#define FOLLOW_LISTS_MAX 16
#define FOLLOW_WRITING_MAX 32
#define FOLLOW_LINES_MAX ((size_t)8 << 20)
/* Bytes of one as text. */
#define FOLLOW_TEXT_MAX GIB
/* Ahead of the readers of a list; one file at least. */
#define FOLLOW_FILES_AHEAD 512
#define FOLLOW_BYTES_AHEAD (256 * MIB)
/* Opens that are not found near the position before the whole list is searched. */
#define FOLLOW_LOST_MAX 32

struct follow_list;
struct request;
struct session;

struct follow {
    struct lock lock;
    struct follow_list *lists[FOLLOW_LISTS_MAX]; /* lock; a reference each */
    _Atomic unsigned live;                       /* of them; changes under the lock */
    uid_t writers[FOLLOW_WRITING_MAX];           /* lock: of lists that are being written */
    unsigned writing;                            /* lock: how many */
    size_t lines;                                /* lock: of all lists */
    uint64_t clock;                              /* lock */
    bool ended;                                  /* lock */
};

void follow_init(struct follow *f);
/* Before the session waits for its requests: jobs end, nothing is begun any more. */
void follow_end(struct follow *f) EXCLUDES(f->lock);
/* No job is under way. */
void follow_done(struct follow *f);

/* A file of a table was opened. */
void follow_opened(struct follow *f, const struct node *file) EXCLUDES(f->lock);

/* OPEN for writing and WRITE; EROFS for whatever is not `.tarn/prefetch`. RELEASE makes it count.
 */
int op_open_list(struct request *r, struct err *err);
int op_write(struct request *r, struct err *err);

#endif
