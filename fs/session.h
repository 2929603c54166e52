/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session: one mount. All of its state is in this object; a daemon has several.
 *
 * FUSE threads take requests and never wait; what would wait is parked (base/workers.h) and
 * answered from the thread that completes it.
 */
#ifndef FS_SESSION_H
#define FS_SESSION_H

#include "cache/cache.h"
#include "lake/lake.h"
#include "lake/view/transform.h"

#define SESSION_THREADS_MAX 16

struct governor_config; /* fs/govern.h */
struct session;

/* Strings are borrowed for the call. */
struct session_config {
    struct lake_config lake;
    const char *mountpoint; /* absolute; NULL where fuse_fd is given */
    int fuse_fd; /* an open /dev/fuse that is mounted already; the session's from now on, or -1 */
    unsigned threads; /* that take requests: 1 to SESSION_THREADS_MAX */
    bool allow_other, debug;
    struct slack slack; /* of files that may not be presented as they are stored */
    bool recalls;       /* opens of archived objects begin to restore them, so: */
    struct store_restore recall;
    bool passthrough; /* where the kernel permits it, files are read without the daemon */
    uid_t uid;        /* owners of all files */
    gid_t gid;
    uint64_t id;                          /* told by the attribute user.tarn.mount, to name it by */
    int temporary_dirfd;                  /* for documents; borrowed while the session lives */
    const struct governor_config *policy; /* NULL: none; its session is not looked at */
    void (*ended)(void *arg); /* the mount is gone: on a thread of the session's, once */
    void *arg;
};

/* Opens the lake, mounts, and serves. NULL and err where one of it fails; nothing is left then.
 * Blocks. */
struct session *session_start(const struct session_config *config, struct err *err);

/*
 * Detaches the mount; `ended` follows when nobody has anything open in it. Not what came as a
 * descriptor: who mounted that unmounts it. Any thread; may start fusermount3 and wait for it.
 */
void session_unmount(struct session *s);

/* After `ended`, or to abort: joins the threads, waits for parked requests, frees. Blocks. */
void session_free(struct session *s);

/* The mount has a policy, which does not hold: all is denied. */
bool session_denies(const struct session *s, struct err *why);
/* SIGHUP: its policy is read again; false where it has none. Does not wait. */
bool session_reload(const struct session *s);

/* Borrowed while the session lives. */
struct lake *session_lake(const struct session *s);

const char *session_mountpoint(const struct session *s);
const char *session_source(const struct session *s);

#endif
