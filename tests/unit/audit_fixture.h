/* SPDX-License-Identifier: Apache-2.0 */
/* Audit logs in a directory of their own, who tells them something, and what is in their files. */
#ifndef TESTS_UNIT_AUDIT_FIXTURE_H
#define TESTS_UNIT_AUDIT_FIXTURE_H

#include "tests/unit/temp_dir.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/lock.h"
#include "lake/view/audit.h"
#include "lake/view/audit_verify.h"

#define PATIENCE_MS 30000
#define FILE_BYTES_MAX ((size_t)1 << 28)

static struct fixture {
    struct temp_dir *dir;
    struct workers *workers;
    struct audits *audits;
    struct principal *alice, *bob;
    char file[128], old[128];
} f;

static struct messages {
    struct lock lock;
    char last[1024]; /* lock */
    unsigned n;
} messages;

static inline void hear(const char *message)
{
    WITH_LOCK (&messages.lock) {
        (void)snprintf(messages.last, sizeof messages.last, "%s", message);
        messages.n++;
    }
}

static inline struct audits *audits(const char *socket)
{
    struct audits_config config = {.state_dirfd = f.dir->dir,
                                   .workers = f.workers,
                                   .tell = hear,
                                   .syslog = socket,
                                   .journald = socket};
    struct audits *a = audits_new(&config, NULL);
    assert_non_null(a);
    return a;
}

static inline int set_up(void **state)
{
    struct err err = ERR_INIT;
    const char *groups[] = {"staff"};
    gid_t gids[] = {50};
    (void)temp_dir_set_up(state);
    f.dir = *state;
    lock_init(&messages.lock);
    messages.n = 0;
    messages.last[0] = '\0';
    f.workers = workers_new("test", 2, &err);
    f.audits = audits(NULL);
    f.alice = principal_user(1000, "alice", groups, gids, 1, &err);
    f.bob = principal_user(1001, "bob", groups, gids, 1, &err);
    (void)snprintf(f.file, sizeof f.file, "%s/audit.log", f.dir->path);
    (void)snprintf(f.old, sizeof f.old, "%s/audit.log.1", f.dir->path);
    return 0;
}

static inline int tear_down(void **state)
{
    clock_shift_for_test(0);
    principal_unref(f.alice);
    principal_unref(f.bob);
    audits_free(f.audits);
    workers_free(f.workers);
    lock_done(&messages.lock);
    return temp_dir_tear_down(state);
}

static inline struct audit *open_as(const char *target, bool strict)
{
    struct audit_config config = {.target = target, .mount = "/lake", .strict = strict};
    struct err err = ERR_INIT;
    struct audit *a = NULL;
    int rc = audit_open(f.audits, &config, &a, &err);
    if (rc < 0)
        print_error("%s\n", err.msg);
    assert_int_equal(rc, 0);
    return a;
}

static inline struct audit_event an_open(struct principal *who, const char *table)
{
    return (struct audit_event){.kind = AUDIT_OPEN,
                                .principal = who,
                                .has_caller = true,
                                .uid = who->uid,
                                .pid = getpid(),
                                .table = slice_of(table),
                                .version = SLICE_LIT("3"),
                                .path = SLICE_LIT("a.parquet"),
                                .line = 4};
}

static inline void tell_open(struct audit *a, struct principal *who, const char *table)
{
    struct audit_event e = an_open(who, table);
    struct task task = {.on_worker = false};
    assert_int_equal(audit_add(a, &e, &task, NULL), 0);
}

static inline void tell_denied(struct audit *a, const char *path)
{
    struct audit_event e = {.kind = AUDIT_DENIED, .principal = f.alice, .path = slice_of(path)};
    assert_int_equal(audit_add(a, &e, NULL, NULL), 0);
}

/* The file's lines; *text is the caller's. Fails where the log is not whole. */
static inline size_t read_log(const char *const *paths, size_t n, struct buf *text)
{
    struct audit_verify v;
    struct err err = ERR_INIT;
    size_t lines = 0;
    bool before;
    buf_init(text, FILE_BYTES_MAX);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(file_read(AT_FDCWD, paths[i], text, &err), 0);
    struct slice all = buf_slice(text);
    audit_verify_init(&v);
    for (ptrdiff_t feed; (feed = slice_find(all, '\n')) >= 0; lines++) {
        int rc = audit_verify_line(&v, slice_make(all.p, (size_t)feed), &before, &err);
        if (rc < 0)
            print_error("line %zu: %s\n", lines + 1, err.msg);
        assert_int_equal(rc, 0);
        all = slice_from(all, (size_t)feed + 1);
    }
    assert_int_equal(all.n, 0);
    assert_false(v.torn);
    return lines;
}

static inline size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; at && (at = strstr(at, what)); at++)
        n++;
    return n;
}

static inline size_t lines_of(const char *path)
{
    AUTO(buf) struct buf text = {0};
    return read_log((const char *[]){path}, 1, &text);
}

static inline void await_lines(const char *path, size_t n)
{
    for (int64_t until = clock_mono_ms() + PATIENCE_MS; clock_mono_ms() < until;) {
        AUTO(buf) struct buf text = {0};
        buf_init(&text, FILE_BYTES_MAX);
        if (file_read(AT_FDCWD, path, &text, NULL) == 0 && text.data && count(text.data, "\n") >= n)
            return;
    }
    fail_msg("%s has no %zu lines", path, n);
}

/* A request of a strict mount: opens, again from the start until it is answered. */
struct request {
    struct task task;
    struct audit *audit;
    struct audit_event event;
    struct lock lock;
    struct cond changed;
    bool done; /* lock, as all below */
    int rc;
    bool on_disk; /* when it was answered its line was in the file */
};

static inline bool in_file(struct slice table)
{
    AUTO(buf) struct buf text = {0}, want = {0};
    buf_init(&text, FILE_BYTES_MAX);
    buf_init(&want, 1000);
    buf_addf(&want, "\"table\":\"%.*s\"", SLICE_FMT(table));
    return file_read(AT_FDCWD, f.file, &text, NULL) == 0 && text.data &&
           strstr(text.data, want.data);
}

static inline void run_request(struct job *job)
{
    struct request *r = CONTAINER_OF(job, struct request, task.job);
    int rc = audit_add(r->audit, &r->event, &r->task, NULL);
    if (rc == -EINPROGRESS)
        return;
    bool on_disk = in_file(r->event.table);
    WITH_LOCK (&r->lock) {
        r->done = true;
        r->rc = rc;
        r->on_disk = on_disk;
        cond_broadcast(&r->changed);
    }
}

static inline void begin(struct request *r, struct audit *a, struct principal *who,
                         const char *table)
{
    *r = (struct request){.audit = a, .event = an_open(who, table)};
    r->task.job.run = run_request;
    lock_init(&r->lock);
    cond_init(&r->changed);
    run_request(&r->task.job);
}

static inline int end(struct request *r)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    WITH_LOCK (&r->lock)
        while (!r->done)
            assert_true(cond_wait_until(&r->changed, &r->lock, until_ms));
    cond_done(&r->changed);
    lock_done(&r->lock);
    return r->rc;
}

#endif
