/* SPDX-License-Identifier: Apache-2.0 */
/* A list as following it (fs/follow.c) and writing it (fs/follow_write.c) share it. */
#ifndef FS_FOLLOW_PRIVATE_H
#define FS_FOLLOW_PRIVATE_H

#include "base/vec.h"
#include "cache/prefetch.h"
#include "fs/follow.h"
#include "lake/where.h"

#define FOLLOW_TEXT_BYTES (64 * KIB)

struct follow_list {
    struct session *session;
    struct prefetch *prefetch;
    uid_t uid; /* the writer */
    pid_t pid;
    unsigned refs;  /* follow's lock, as all to lost_id */
    uint64_t began; /* the clock then */
    bool dropped;
    bool busy;             /* its job is under way */
    VEC(uint64_t) entries; /* pass nodes, as its writer is shown the files */
    bool whole;            /* all lines are entries */
    size_t position, issued;
    uint64_t sizes[FOLLOW_FILES_AHEAD]; /* of what is issued, by index modulo */
    uint64_t ahead_bytes;
    unsigned lost; /* opens in a row that were not found */
    uint64_t lost_id;

    struct task task; /* the job's, as the rest */
    int fd;           /* the text */
    struct buf base;  /* the directory's path, in the lake */
    off_t offset;
    char *text; /* FOLLOW_TEXT_BYTES of it */
    size_t at, end;
    uint64_t lines, unknown;
    char first_unknown[128];
    struct where parent; /* of the line before */
    struct buf parent_path;
    bool has_parent;
};

/* One reference, the caller's. NULL and err. */
struct follow_list *follow_list_new(struct session *s, struct err *err);
void follow_list_free(struct follow_list *l);
DEFINE_AUTO(follow_list, struct follow_list *, follow_list_free)
void follow_list_unref(struct follow *f, struct follow_list *l) EXCLUDES(f->lock);

/* Takes it out of its place, where one is; the reference is the caller's. */
struct follow_list *follow_take_out_locked(struct follow *f, size_t i) REQUIRES(f->lock);

/* Runs its job. The caller has made it busy and has taken a reference for the job. */
void follow_submit(struct follow_list *l);

#endif
