/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "lake/view/audit_private.h"

/* The kernel's names of threads have 15 characters; of its own ones a few more. */
#define COMMAND_BYTES 64

struct audits {
    struct audits_config config; /* immutable */
    struct lock lock;            /* held while a log is opened and closed: by nobody who serves */
    struct audit_log *logs;      /* lock */
};

struct audits *audits_new(const struct audits_config *config, struct err *err)
{
    struct audits *a = calloc(1, sizeof *a);
    if (!a) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    a->config = *config;
    lock_init(&a->lock);
    return a;
}

void audits_free(struct audits *a)
{
    if (!a)
        return;
    assert(!a->logs);
    lock_done(&a->lock);
    free(a);
}

static int share_locked(struct audits *all, const char *target, struct audit_log **out,
                        struct err *err) REQUIRES(all->lock)
{
    struct audit_log *l = all->logs;
    while (l && strcmp(l->name, target) != 0)
        l = l->next;
    if (!l) {
        int rc = audit_log_open(&all->config, target, &l, err);
        if (rc < 0)
            return rc;
        l->next = all->logs;
        all->logs = l;
    }
    l->users++;
    *out = l;
    return 0;
}

static void leave(struct audits *all, struct audit_log *log)
{
    WITH_LOCK (&all->lock)
        if (--log->users == 0) {
            struct audit_log **at = &all->logs;
            while (*at != log)
                at = &(*at)->next;
            *at = log->next;
            audit_log_close(log);
        }
}

static void free_audit(struct audit *a)
{
    free(a->mount);
    free(a);
}

int audit_open(struct audits *all, const struct audit_config *config, struct audit **out,
               struct err *err)
{
    bool file = strcmp(config->target, "syslog") != 0 && strcmp(config->target, "journald") != 0;
    if (config->strict && !file)
        return err_set(err, EINVAL, "%s does not tell when a line is on disk: strict needs a file",
                       config->target);
    struct audit *a = calloc(1, sizeof *a + AUDIT_TOLD_MAX * sizeof a->told[0]);
    if (!a)
        return err_set(err, ENOMEM, "out of memory");
    a->all = all;
    a->strict = config->strict;
    a->mount = strdup(config->mount);
    int rc = a->mount ? 0 : err_set(err, ENOMEM, "out of memory");
    if (rc == 0)
        WITH_LOCK (&all->lock)
            rc = share_locked(all, config->target, &a->log, err);
    if (rc < 0) {
        free_audit(a);
        return rc;
    }
    WITH_LOCK (&a->log->lock) {
        a->next = a->log->audits;
        a->log->audits = a;
    }
    *out = a;
    return 0;
}

void audit_close(struct audit *a)
{
    if (!a)
        return;
    WITH_LOCK (&a->log->lock) {
        struct audit **at = &a->log->audits;
        while (*at != a)
            at = &(*at)->next;
        *at = a->next;
    }
    leave(a->all, a->log);
    free_audit(a);
}

void audit_reopen(struct audit *a)
{
    WITH_LOCK (&a->log->lock) {
        a->log->reopen = true;
        cond_signal(&a->log->more);
    }
}

/* The name of the process that asks, as it calls itself. procfs answers from memory. */
static void find_command(const struct audit_event *e, char name[COMMAND_BYTES])
{
    char path[64];
    name[0] = '\0';
    if (!e->has_caller || e->pid <= 0)
        return;
    (void)snprintf(path, sizeof path, "/proc/%d/comm", e->pid);
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, name, COMMAND_BYTES - 1);
    name[n > 0 ? n - (name[n - 1] == '\n') : 0] = '\0';
}

static void key_of(const struct audit_event *e, uint8_t out[16], struct buf *scratch)
{
    uint8_t sum[SHA256_BYTES];
    buf_add_le64(scratch, e->principal->hash);
    buf_add_le64(scratch, e->view);
    buf_add_le64(scratch, e->table.n);
    buf_add_slice(scratch, e->table);
    buf_add_slice(scratch, e->version);
    buf_add_char(scratch, (char)e->what);
    if (e->what == AUDIT_OBJECT)
        buf_add_slice(scratch, e->path);
    sha256(buf_slice(scratch), sum);
    memcpy(out, sum, 16);
}

/* Where that open is told of, or the place for it, which may be another one's. */
static struct audit_told *told_locked(struct audit *a, const uint8_t key[16], bool *found)
    REQUIRES(a->log->lock)
{
    uint32_t set;
    memcpy(&set, key, sizeof set);
    struct audit_told *t = a->told + set % (AUDIT_TOLD_MAX / AUDIT_TOLD_WAYS) * AUDIT_TOLD_WAYS;
    struct audit_told *oldest = t;
    for (size_t i = 0; i < AUDIT_TOLD_WAYS; i++) {
        *found = t[i].number && memcmp(t[i].key, key, sizeof t[i].key) == 0;
        if (*found)
            return &t[i];
        if (t[i].number < oldest->number)
            oldest = &t[i];
    }
    return oldest;
}

static int park_locked(struct audit_log *l, struct task *task) REQUIRES(l->lock)
{
    assert(task);
    waitlist_add(&l->waiting, &task->job);
    return -EINPROGRESS;
}

/* 1: it is not told yet. */
static int look_locked(struct audit *a, const uint8_t key[16], struct task *task, struct err *err)
    REQUIRES(a->log->lock)
{
    bool found;
    const struct audit_told *t = told_locked(a, key, &found);
    if (found)
        return a->strict && t->number > a->log->done ? park_locked(a->log, task) : 0;
    int rc = a->strict ? audit_log_failing_locked(a->log, err) : 0;
    return rc < 0 ? rc : 1;
}

static void format(const struct audit *a, const struct audit_event *e, struct buf *out)
{
    char command[COMMAND_BYTES];
    find_command(e, command);
    audit_line_event(out, e, a->mount, slice_of(command), clock_real_ms());
}

/* Of all kinds but opens: nobody waits. */
static void push(struct audit *a, const struct buf *line)
{
    struct audit_log *l = a->log;
    WITH_LOCK (&l->lock)
        if (line->failed || !audit_log_push_locked(l, buf_slice(line)))
            l->lost++;
}

static int push_open_locked(struct audit *a, const uint8_t key[16], const struct buf *line,
                            struct task *task, struct err *err) REQUIRES(a->log->lock)
{
    bool found;
    int rc = look_locked(a, key, task, err); /* another request may have told it meanwhile */
    if (rc <= 0)
        return rc;
    if (line->failed && a->strict)
        return buf_check(line, err);
    if (line->failed || !audit_log_push_locked(a->log, buf_slice(line))) {
        if (a->strict) /* until there is room */
            return park_locked(a->log, task);
        a->log->lost++;
        return 0;
    }
    struct audit_told *t = told_locked(a, key, &found);
    memcpy(t->key, key, sizeof t->key);
    t->number = a->log->added;
    return a->strict ? park_locked(a->log, task) : 0;
}

int audit_add(struct audit *a, const struct audit_event *e, struct task *task, struct err *err)
{
    AUTO(buf) struct buf line = {0};
    uint8_t key[16];
    int rc = 1;
    buf_init(&line, AUDIT_LINE_BYTES_MAX);
    if (e->kind != AUDIT_OPEN) {
        format(a, e, &line);
        push(a, &line);
        return 0;
    }
    assert(e->principal);
    key_of(e, key, &line);
    if (line.failed)
        return buf_check(&line, err);
    WITH_LOCK (&a->log->lock)
        rc = look_locked(a, key, task, err);
    if (rc <= 0)
        return rc;
    buf_reset(&line);
    format(a, e, &line);
    WITH_LOCK (&a->log->lock)
        rc = push_open_locked(a, key, &line, task, err);
    return rc;
}
