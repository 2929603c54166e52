/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "lake/view/audit_private.h"

/* A line is at most so much longer than its event. */
#define LINE_MORE_BYTES 512
#define LENGTH_BYTES sizeof(uint32_t)

/* What the thread has taken out of the queue. */
struct batch {
    struct buf events;
    size_t n;
    uint64_t last; /* number of the last one */
    uint64_t lost; /* to be told by the first line */
    bool ending;
};

__attribute__((format(printf, 2, 3))) static void tell(const struct audit_log *l, const char *fmt,
                                                       ...)
{
    char message[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(message, sizeof message, fmt, ap); /* cut where it is too long */
    va_end(ap);
    if (l->config->tell)
        l->config->tell(message);
}

bool audit_log_push_locked(struct audit_log *l, struct slice event)
{
    uint32_t n = (uint32_t)event.n;
    if (AUDIT_QUEUE_BYTES - l->queue.len < LENGTH_BYTES + event.n ||
        !buf_reserve(&l->queue, LENGTH_BYTES + event.n)) {
        l->queue.failed = 0;
        return false;
    }
    buf_add(&l->queue, &n, sizeof n);
    buf_add_slice(&l->queue, event);
    if (++l->added == l->taken + 1)
        cond_signal(&l->more);
    return true;
}

int audit_log_failing_locked(struct audit_log *l, struct err *err)
{
    if (!l->failed.code || clock_mono_ms() - l->failed_ms >= AUDIT_FAILED_MS)
        return 0;
    return err_set(err, EIO, "the audit log cannot be written: %s", l->failed.msg);
}

static bool due_locked(struct audit_log *l) REQUIRES(l->lock)
{
    return l->ending || l->reopen ||
           ((l->queue.len || l->lost) && audit_log_failing_locked(l, NULL) == 0);
}

/* Waits until there is something to do. */
static void take_locked(struct audit_log *l, struct batch *b) REQUIRES(l->lock)
{
    while (!due_locked(l)) {
        if (l->queue.len || l->lost)
            (void)cond_wait_until(&l->more, &l->lock, l->failed_ms + AUDIT_FAILED_MS);
        else
            cond_wait(&l->more, &l->lock);
    }
    *b = (struct batch){.events = l->queue,
                        .n = (size_t)(l->added - l->taken),
                        .last = l->added,
                        .lost = l->lost,
                        .ending = l->ending};
    l->taken = l->added;
    l->lost = 0;
    l->reopen = false;
    buf_init(&l->queue, AUDIT_QUEUE_BYTES);
}

/* Lines of a batch; *after is the last one. */
static int make_lines(const struct audit_target *t, struct batch *b, struct buf *lines,
                      struct audit_chain *after, struct err *err)
{
    AUTO(buf) struct buf own = {0};
    uint64_t lost = b->lost, torn = t->torn;
    int rc = 0;
    *after = t->chain;
    if (b->n == 0 && lost) {
        buf_init(&own, AUDIT_LINE_BYTES_MAX);
        audit_line_own(&own, "lost", clock_real_ms());
        rc = audit_line_make(lines, after, buf_slice(&own), lost, torn, err);
    }
    for (size_t i = 0, at = 0; i < b->n && rc == 0; i++) {
        uint32_t n;
        memcpy(&n, b->events.data + at, sizeof n);
        at += sizeof n;
        rc = audit_line_make(lines, after, slice_make(b->events.data + at, n), lost, torn, err);
        at += n;
        lost = torn = 0;
    }
    return rc;
}

static int write_lines(struct audit_log *l, struct batch *b, struct err *err)
{
    AUTO(buf) struct buf lines = {0};
    struct audit_target *t = l->target;
    struct audit_chain after;
    struct err warning = ERR_INIT;
    buf_init(&lines, AUDIT_QUEUE_BYTES + (b->n + 1) * LINE_MORE_BYTES);
    int rc = t->ops->prepare(t, &warning, err);
    if (warning.code)
        tell(l, "audit log %s: %s", l->name, warning.msg);
    if (rc < 0 || (b->n == 0 && b->lost == 0))
        return rc;
    rc = make_lines(t, b, &lines, &after, err);
    return rc < 0 ? rc : t->ops->write(t, buf_slice(&lines), &after, err);
}

/* What was told by lines that were not written is not told any more. */
static void forget_locked(struct audit_log *l, uint64_t after, uint64_t upto) REQUIRES(l->lock)
{
    for (struct audit *a = l->audits; a; a = a->next)
        for (size_t i = 0; i < AUDIT_TOLD_MAX; i++)
            if (a->told[i].number > after && a->told[i].number <= upto)
                a->told[i].number = 0;
}

static void settle_locked(struct audit_log *l, const struct batch *b, uint64_t written, int rc,
                          const struct err *err) REQUIRES(l->lock)
{
    uint64_t before = l->done;
    l->done = b->last;
    l->failed = (struct err)ERR_INIT;
    if (rc < 0) {
        forget_locked(l, before, b->last);
        l->failed = *err;
        l->failed.code = -rc;
        l->failed_ms = clock_mono_ms();
        l->lost += written ? b->n - written : b->n + b->lost;
    }
    waitlist_wake(&l->waiting, l->config->workers);
}

/* Tells of the first failure, and of the first lines after it. */
static void tell_of(struct audit_log *l, const struct batch *b, int rc, int before,
                    const struct err *err)
{
    if (rc < 0 && !before)
        tell(l, "audit log %s cannot be written, lines are lost, and strict opens fail: %s",
             l->name, err->msg);
    else if (rc == 0 && before && (b->n || b->lost))
        tell(l, "audit log %s is written again; %llu lines are lost", l->name,
             (unsigned long long)b->lost);
}

/* One turn of the thread; false: it was the last. */
static bool turn(struct audit_log *l)
{
    struct batch b = {.n = 0};
    struct err err = ERR_INIT;
    int before = 0;
    bool idle = false;
    WITH_LOCK (&l->lock) {
        before = l->failed.code;
        take_locked(l, &b);
    }
    uint64_t line = l->target->chain.line;
    int rc = write_lines(l, &b, &err);
    uint64_t written = l->target->chain.line > line ? l->target->chain.line - line : 0;
    if (b.n || b.lost) {
        WITH_LOCK (&l->lock) {
            settle_locked(l, &b, written > b.n ? b.n : written, rc, &err);
            idle = !l->queue.len;
        }
        tell_of(l, &b, rc, before, &err);
    }
    if (idle)
        l->target->ops->rest(l->target);
    buf_done(&b.events);
    return !b.ending;
}

static void *run(void *arg)
{
    struct audit_log *l = arg;
    thread_name("tarn-audit");
    while (turn(l))
        ;
    return NULL;
}

static void free_log(struct audit_log *l)
{
    if (l->target)
        l->target->ops->close(l->target);
    buf_done(&l->queue);
    cond_done(&l->more);
    lock_done(&l->lock);
    free(l->name);
    free(l);
}

static int open_target(struct audit_log *l, struct err *err)
{
    struct err warning = ERR_INIT;
    bool journald = strcmp(l->name, "journald") == 0;
    bool is_socket = journald || strcmp(l->name, "syslog") == 0;
    int rc = is_socket ? audit_socket_open(journald, l->config, &l->target, &warning, err)
                       : audit_file_open(l->name, &l->target, &warning, err);
    if (warning.code)
        tell(l, "audit log %s: %s", l->name, warning.msg);
    return rc;
}

int audit_log_open(const struct audits_config *config, const char *target, struct audit_log **out,
                   struct err *err)
{
    struct audit_log *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(err, ENOMEM, "out of memory");
    l->config = config;
    l->name = strdup(target);
    lock_init(&l->lock);
    cond_init(&l->more);
    buf_init(&l->queue, AUDIT_QUEUE_BYTES);
    int rc = l->name ? open_target(l, err) : err_set(err, ENOMEM, "out of memory");
    if (rc == 0)
        rc = thread_start(run, l, &l->thread, err);
    if (rc < 0) {
        free_log(l);
        return err_wrap(err, "audit log %s", target);
    }
    *out = l;
    return 0;
}

void audit_log_close(struct audit_log *l)
{
    WITH_LOCK (&l->lock) {
        l->ending = true;
        cond_signal(&l->more);
    }
    (void)pthread_join(l->thread, NULL); /* our own, joined once */
    if (l->lost)
        tell(l, "audit log %s: %llu lines are lost", l->name, (unsigned long long)l->lost);
    free_log(l);
}
