/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request of the kernel's, from its arrival to its answer.
 *
 *            op returns 0: answered              -EINPROGRESS: parked
 *   taken --------------------------> freed   ----------------------> run again by a worker
 *     \-- op returns -errno: the error is the answer, logged once
 *
 * An INTERRUPT answers a request at once (EINTR) wherever it is parked; who completes it later
 * finds it answered and only frees it. So `answered` is claimed by exactly one of them, and an op
 * answers through the request_reply functions only.
 */
#ifndef FS_REQUEST_H
#define FS_REQUEST_H

#include <fuse_lowlevel.h>

#include "fs/buffers.h"
#include "fs/follow.h"
#include "fs/govern.h"
#include "fs/handle.h"
#include "fs/layouts.h"
#include "fs/neighbours.h"
#include "fs/open_mode.h"
#include "fs/pages.h"
#include "fs/passthrough.h"
#include "fs/session.h"
#include "fs/watch.h"
#include "lake/document.h"
#include "lake/view/presented_store.h"
#include "lake/where.h"

/* What is not presented as it is stored, of the objects of a store. */
struct presented {
    struct store *home, *store;
};

struct session {
    struct session_config config; /* immutable; its strings are not kept */
    char *mountpoint, *source;
    struct lake *lake;
    struct governor *governor; /* NULL: there is no policy */
    struct lock presents_lock; /* guards the next one */
    VEC(struct presented)
    presented;                        /* one for each store of the lake's; of catalogs' tables, as
                                       * they come */
    struct presented_config presents; /* immutable; `home` is not set */
    struct document_cache *documents;
    struct buffers *buffers;
    struct pages pages;
    struct layouts layouts;
    struct neighbours neighbours;
    struct follow follow;
    struct fuse_session *fuse;
    struct watch watch;
    struct passthrough passthrough;
    struct open_modes modes;
    _Atomic unsigned learners;                  /* fs/govern_list.c */
    _Atomic bool cache_refused, source_refused; /* the kernel does not pass files that lie there */
    int64_t started_ms;                         /* mtime of what has none */

    pthread_t threads[SESSION_THREADS_MAX];
    unsigned threads_n;

    struct lock lock;    /* guards below */
    struct cond drained; /* and any other change of these */
    unsigned threads_left;
    bool initialised;       /* INIT is answered */
    uint64_t requests;      /* not freed yet, and others who hold the session */
    struct handle *handles; /* open files and directories */
    char logged[512];       /* the last error, which is not logged twice in a row */
};

/* Objects in place, or cached ones, may be read by the kernel itself. Any thread. */
bool session_passes(struct session *s, bool in_place);

/* The store of what is made of objects in that one, a store of the lake's. */
/* (fs/presents.c) NULL and err: it could not be opened. */
struct store *session_presents(struct session *s, struct store *home, struct err *err)
    EXCLUDES(s->presents_lock);
/* Of a session: all of its life, in this order. */
void presents_init(struct session *s);
int presents_open(struct session *s, const struct session_config *config, struct err *err);
void presents_leaving(struct session *s);
void presents_done(struct session *s);

/*
 * A file that is not presented as it is stored, as it is shown; but for where its rows are asked
 * for. Borrows all of it, also from `values` (initialised).
 */
int session_presented(const struct session *s, const struct where *w, const struct shown *shown,
                      struct partition_values *values, struct presented_file *out, struct err *err);

/* While a request is under way: the session does not end before it is released. Any thread. */
void session_hold(struct session *s) EXCLUDES(s->lock);
void session_release(struct session *s) EXCLUDES(s->lock);

struct request {
    struct task task;
    struct session *session;
    int (*op)(struct request *r, struct err *err);
    fuse_req_t req;
    _Atomic bool answered;
    _Atomic bool starting,
        interrupted; /* an interrupt that comes while it is being started waits */

    /* arguments, as the op needs them */
    fuse_ino_t ino;
    char *name; /* owned; of WRITE: the bytes */
    size_t size;
    off_t offset;
    struct fuse_file_info file;
    struct handle *handle; /* of an open file or directory: a reference */
    bool again;            /* a second attempt after an index was damaged; there is no third */

    /* an open */
    bool came_back; /* fs/open_mode.h */
    /* FILL_REFUSED: the cache does not keep it now */
    enum request_fill { FILL_NONE, FILL_UNDER_WAY, FILL_DONE, FILL_REFUSED } filling;
    enum request_probe {
        PROBE_NONE,
        PROBE_UNDER_WAY,
        PROBE_DONE,
        PROBE_PASSED,
        PROBE_REFUSED
    } probing;
    char probed; /* fs/archived.h */

    /* what is under way; an open reads, if at all, before it fills. Below 1 KiB in all, requests
     * come from malloc's cache
     */
    union {
        struct object_fill fill; /* an open's */
        struct object_read read; /* a read's; an open's probe */
    };
    struct object *object; /* of a read or fill: a reference */
    char *buffer;          /* from session->buffers */
};
_Static_assert(sizeof(struct request) <= 1024, "malloc's cache per thread has up to 1032 bytes");

/* Takes a request and runs its op. `name` and `data` (`size` bytes) may be NULL and are copied. */
struct request_args {
    fuse_ino_t ino;
    const char *name, *data;
    size_t size;
    off_t offset;
    const struct fuse_file_info *file;
    bool uses_handle; /* file->fh is one */
};
void request_start(fuse_req_t req, int (*op)(struct request *r, struct err *err),
                   const struct request_args *args);

/* Answers; each returns 0, for the op to return. The request itself is freed by whoever runs it. */
int request_reply_entry(struct request *r, const struct fuse_entry_param *entry);
int request_reply_attr(struct request *r, const struct stat *st, double timeout_s);
int request_reply_link(struct request *r, const char *target);
int request_reply_buf(struct request *r, const char *data, size_t n);
int request_reply_xattr(struct request *r, struct slice value);
int request_reply_done(struct request *r);
int request_reply_write(struct request *r, size_t n);
int request_reply_statfs(struct request *r, const struct statvfs *st);

/*
 * Answers an open; one that passes has a backing id above 0. The handle becomes the kernel's, or is
 * closed where the request was interrupted meanwhile; `free` frees what it is embedded in.
 */
int request_reply_open(struct request *r, int32_t backing, struct handle *h,
                       void (*free)(struct handle *h));

/* Answers with an error, logs it, and frees the request. For completions outside of an op. */
void request_fail(struct request *r, int rc, const struct err *err);
/* The request has been answered by a completion outside of an op. */
void request_end(struct request *r);

#endif
