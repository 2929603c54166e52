/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/request.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "fs/archived.h"
#include "fs/node.h"
#include "fs/ops.h"

static char *memdup(const char *data, size_t n)
{
    char *copy = malloc(n ? n : 1);
    if (copy)
        memcpy(copy, data, n);
    return copy;
}

static struct request *request_new(fuse_req_t req, const struct request_args *args)
{
    struct request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->name = args->name ? strdup(args->name) : args->data ? memdup(args->data, args->size) : NULL;
    if ((args->name || args->data) && !r->name) {
        free(r);
        return NULL;
    }
    r->session = fuse_req_userdata(req);
    r->req = req;
    r->task.since_ms = clock_mono_ms();
    r->ino = args->ino;
    r->size = args->size;
    r->offset = args->offset;
    if (args->file)
        r->file = *args->file;
    if (args->uses_handle)
        r->handle = handle_ref((struct handle *)(uintptr_t)args->file->fh);
    session_hold(r->session);
    return r;
}

void session_hold(struct session *s)
{
    WITH_LOCK (&s->lock)
        s->requests++;
}

void session_release(struct session *s)
{
    WITH_LOCK (&s->lock)
        if (--s->requests == 0)
            cond_broadcast(&s->drained);
}

void request_end(struct request *r)
{
    struct session *s = r->session;
    if (r->buffer)
        buffers_put(s->buffers, r->buffer);
    object_unref(r->object);
    handle_unref(r->handle);
    free(r->name);
    free(r);
    session_release(s);
}

/* True for exactly one of those who want to answer; no interrupt can come from then on. */
static bool claim(struct request *r)
{
    if (atomic_exchange(&r->answered, true))
        return false;
    fuse_req_interrupt_func(r->req, NULL, NULL); /* waits for one that is running */
    return true;
}

static void interrupted(fuse_req_t req, void *data)
{
    struct request *r = data;
    atomic_store(&r->interrupted, true);
    if (atomic_load(&r->starting))
        return; /* libfuse holds the request: request_start answers when it has let go */
    if (!atomic_exchange(&r->answered, true)) /* r may be freed from here on */
        fuse_reply_err(req, EINTR);
}

/* What is an answer, not a failure: no line in the log. */
static bool ordinary(int code)
{
    return code == ENOENT || code == ENODATA || code == ERANGE || code == EINTR || code == EROFS ||
           code == ENOTDIR || code == EISDIR;
}

static void log_failure(struct session *s, const struct err *err)
{
    bool again;
    WITH_LOCK (&s->lock) {
        again = strncmp(s->logged, err->msg, sizeof s->logged - 1) == 0;
        (void)snprintf(s->logged, sizeof s->logged, "%s", err->msg); /* cut, as is compared */
    }
    if (!again)
        log_error("%s: %s (%s)", s->mountpoint, err->msg, strerrorname_np(err->code));
}

/* A file that was listed and has no object any more: the error, with what may have taken it. */
static struct err tell_gone(struct request *r, const struct err *err)
{
    struct err told = *err;
    AUTO(run) struct run *run = NULL;
    AUTO(buf) struct buf scratch = {0};
    struct table *table;
    struct entry entry;
    struct node node = node_of(r->ino);
    buf_init(&scratch, ACTION_BYTES_MAX);
    if (node.kind == NODE_FILE && lake_run_known(r->session->lake, node.number, &table, &run) &&
        node.ordinal < run_files(run) &&
        run_file(run, node.ordinal, &scratch, &entry, NULL, NULL) == 0)
        (void)table_tell_gone(table, entry.version, &told); /* only words */
    return told;
}

void request_fail(struct request *r, int rc, const struct err *err)
{
    int code = rc == -EUCLEAN ? EIO : -rc;
    bool archived = code == EREMOTE && err->code && r->probing != PROBE_REFUSED;
    bool gone = code == ENOENT && (r->op == op_open || r->op == op_read); /* it was listed */
    if (gone && err->code) {
        struct err told = tell_gone(r, err);
        log_failure(r->session, &told);
    } else if (archived) {
        struct err told = *err;
        archived_tell(r, &told);
        log_failure(r->session, &told);
    } else if (!ordinary(code) && err->code) {
        log_failure(r->session, err);
    }
    if (claim(r))
        fuse_reply_err(r->req, code);
    request_end(r);
}

static void run(struct job *job)
{
    struct request *r = CONTAINER_OF(job, struct request, task.job);
    struct err err = ERR_INIT;
    int rc = 0;
    if (!atomic_load(&r->answered)) {
        if (clock_mono_ms() - r->task.since_ms > REQUEST_DEADLINE_MS)
            rc = err_set(&err, EIO, "no answer within %d s", REQUEST_DEADLINE_MS / 1000);
        else
            rc = r->op(r, &err);
    }
    if (rc == -EINPROGRESS)
        return; /* somebody else has the request now */
    if (rc < 0)
        request_fail(r, rc, &err);
    else
        request_end(r);
}

void request_start(fuse_req_t req, int (*op)(struct request *r, struct err *err),
                   const struct request_args *args)
{
    struct request *r = request_new(req, args);
    if (!r) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    r->op = op;
    r->task.job.run = run;
    r->starting = true;
    fuse_req_interrupt_func(req, interrupted, r);
    r->starting = false;
    if (atomic_load(&r->interrupted)) {
        const struct err none = ERR_INIT;
        request_fail(r, -EINTR, &none);
        return;
    }
    run(&r->task.job);
}

int request_reply_entry(struct request *r, const struct fuse_entry_param *entry)
{
    if (claim(r))
        fuse_reply_entry(r->req, entry);
    return 0;
}

int request_reply_attr(struct request *r, const struct stat *st, double timeout_s)
{
    if (claim(r))
        fuse_reply_attr(r->req, st, timeout_s);
    return 0;
}

int request_reply_link(struct request *r, const char *target)
{
    if (claim(r))
        fuse_reply_readlink(r->req, target);
    return 0;
}

int request_reply_buf(struct request *r, const char *data, size_t n)
{
    if (claim(r))
        fuse_reply_buf(r->req, data, n);
    return 0;
}

int request_reply_xattr(struct request *r, struct slice value)
{
    if (r->size && r->size < value.n)
        return -ERANGE;
    if (!claim(r))
        return 0;
    if (r->size == 0)
        fuse_reply_xattr(r->req, value.n);
    else
        fuse_reply_buf(r->req, value.p, value.n);
    return 0;
}

int request_reply_done(struct request *r)
{
    if (claim(r))
        fuse_reply_err(r->req, 0);
    return 0;
}

int request_reply_write(struct request *r, size_t n)
{
    if (claim(r))
        fuse_reply_write(r->req, n);
    return 0;
}

int request_reply_statfs(struct request *r, const struct statvfs *st)
{
    if (claim(r))
        fuse_reply_statfs(r->req, st);
    return 0;
}

static int reply_open(struct request *r, int32_t backing)
{
    if (!claim(r))
        return -ENOENT;
    return backing ? passthrough_reply_open(r->req, &r->file, backing)
                   : fuse_reply_open(r->req, &r->file);
}

int request_reply_open(struct request *r, int32_t backing, struct handle *h,
                       void (*free)(struct handle *h))
{
    handle_open(h, r->session, free);
    /* A change of the policy since it was asked may have missed what was not open yet. */
    int held = govern_held(h->held);
    if (held < 0) {
        handle_close(h);
        return held;
    }
    r->file.fh = (uintptr_t)h;
    if (reply_open(r, backing) == -ENOENT)
        handle_close(h); /* interrupted: the kernel will not release it */
    return 0;
}
