/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: what is told when, what lasts, what a crash, a rotation or a full disk leave. */
#include "tests/unit/temp_dir.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
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

static void hear(const char *message)
{
    WITH_LOCK (&messages.lock) {
        (void)snprintf(messages.last, sizeof messages.last, "%s", message);
        messages.n++;
    }
}

static struct audits *audits(const char *socket)
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

static int set_up(void **state)
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

static int tear_down(void **state)
{
    clock_shift_for_test(0);
    principal_unref(f.alice);
    principal_unref(f.bob);
    audits_free(f.audits);
    workers_free(f.workers);
    lock_done(&messages.lock);
    return temp_dir_tear_down(state);
}

static struct audit *open_as(const char *target, bool strict)
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

static struct audit_event an_open(struct principal *who, const char *table)
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

static void tell_open(struct audit *a, struct principal *who, const char *table)
{
    struct audit_event e = an_open(who, table);
    struct task task = {.on_worker = false};
    assert_int_equal(audit_add(a, &e, &task, NULL), 0);
}

static void tell_denied(struct audit *a, const char *path)
{
    struct audit_event e = {.kind = AUDIT_DENIED, .principal = f.alice, .path = slice_of(path)};
    assert_int_equal(audit_add(a, &e, NULL, NULL), 0);
}

/* The file's lines; *text is the caller's. Fails where the log is not whole. */
static size_t read_log(const char *const *paths, size_t n, struct buf *text)
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

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; at && (at = strstr(at, what)); at++)
        n++;
    return n;
}

static size_t lines_of(const char *path)
{
    AUTO(buf) struct buf text = {0};
    return read_log((const char *[]){path}, 1, &text);
}

/* Aim: a principal's first open of a version of a table in a view is told, further ones are not. */
static void test_first_opens(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = {0};
    struct audit *a = open_as(f.file, false);
    struct audit_event other = an_open(f.alice, "silver/x");
    for (int i = 0; i < 3; i++) {
        tell_open(a, f.alice, "silver/x");
        tell_open(a, f.bob, "silver/x");
        tell_open(a, f.alice, "silver/y");
        other.version = SLICE_LIT("4");
        other.view = 0;
        assert_int_equal(audit_add(a, &other, NULL, NULL), 0);
        other.view = 7;
        assert_int_equal(audit_add(a, &other, NULL, NULL), 0);
    }
    audit_close(a);
    assert_int_equal(read_log((const char *[]){f.file}, 1, &text), 5);
    assert_int_equal(count(text.data, "\"principal\":\"user:bob\""), 1);
    assert_int_equal(count(text.data, "\"command\":\"test_audit\""), 5);
    assert_int_equal(count(text.data, "\"view\":\"0000000000000007\""), 1);
}

/* Aim: each denial is a line, however often. */
static void test_denials(void **state)
{
    (void)state;
    struct audit *a = open_as(f.file, false);
    for (int i = 0; i < 100; i++)
        tell_denied(a, "gold/secret");
    audit_close(a);
    assert_int_equal(lines_of(f.file), 100);
}

/* Aim: what is forgotten because there was too much of it is told again, not left out. */
static void test_overflow(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = {0};
    enum { TABLES = AUDIT_TOLD_MAX + 5000 };
    struct audit *a = open_as(f.file, false);
    for (int round = 0; round < 2; round++)
        for (unsigned i = 0; i < TABLES; i++) {
            char table[32];
            (void)snprintf(table, sizeof table, "t%u", i);
            if (i % 1000 == 0) { /* the queue is bounded: it must not lose any here */
                audit_close(a);
                a = open_as(f.file, false);
            }
            tell_open(a, f.alice, table);
        }
    audit_close(a);
    assert_true(read_log((const char *[]){f.file}, 1, &text) >= 2 * TABLES);
    assert_int_equal(count(text.data, "\"lost\""), 0);
}

/* Aim: the file is for its owner alone, and lines are on in its chain after a restart. */
static void test_restart(void **state)
{
    (void)state;
    struct stat st;
    for (int i = 1; i < 5; i++) {
        struct audit *a = open_as(f.file, false);
        tell_open(a, f.alice, "silver/x"); /* a new mount tells again */
        audit_close(a);
        assert_int_equal(lines_of(f.file), i);
    }
    assert_int_equal(stat(f.file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(messages.n, 0);
}

static void append(const char *path, const char *text)
{
    AUTO_FILE FILE *out = fopen(path, "a");
    assert_non_null(out);
    (void)fputs(text, out);
}

static bool set_append_only(bool on)
{
    AUTO_FD int fd = open(f.file, O_RDONLY | O_CLOEXEC);
    int flags;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
        return false;
    flags = on ? flags | FS_APPEND_FL : flags & ~FS_APPEND_FL;
    return ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
}

/* Aim: half a line that a crash left does not break the log, and the next line tells of it; so too
 * where the file can only be appended to. */
static void test_torn(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = {0};
    const char *torn = "{\"line\":2,\"prev\":\"0123";
    for (int append_only = 0; append_only < 2; append_only++) {
        struct audit *a = open_as(f.file, false);
        tell_denied(a, "x");
        audit_close(a);
        append(f.file, torn);
        if (append_only && !set_append_only(true)) {
            print_message("no file here is append-only\n");
            break;
        }
        a = open_as(f.file, true);
        tell_denied(a, "y");
        tell_denied(a, "z");
        audit_close(a);
        if (append_only)
            assert_true(set_append_only(false));
        text.len = 0;
        buf_done(&text);
        assert_int_equal(read_log((const char *[]){f.file}, 1, &text), append_only ? 7 : 3);
        assert_int_equal(count(text.data, "\"torn\":22"), append_only + 1);
    }
}

/* Aim: a first line that is torn is no reason to refuse the file. */
static void test_torn_first(void **state)
{
    (void)state;
    append(f.file, "{\"li");
    struct audit *a = open_as(f.file, false);
    tell_denied(a, "x");
    audit_close(a);
    assert_int_equal(lines_of(f.file), 1);
}

/* Aim: lines that vanish from the end while no daemon runs are told of, and never forgotten. */
static void test_cut_off(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = {0};
    struct audit *a = open_as(f.file, false);
    for (int i = 0; i < 3; i++)
        tell_denied(a, "x");
    audit_close(a);
    assert_int_equal(read_log((const char *[]){f.file}, 1, &text), 3);
    assert_int_equal(truncate(f.file, (off_t)(text.len / 3)), 0);
    a = open_as(f.file, false);
    assert_int_equal(messages.n, 1);
    assert_non_null(strstr(messages.last, "ends with line 1, and 3 were written"));
    tell_denied(a, "x");
    audit_close(a);
    struct err err = ERR_INIT;
    struct audit_verify v;
    bool before;
    buf_reset(&text);
    assert_int_equal(file_read(AT_FDCWD, f.file, &text, &err), 0);
    ptrdiff_t feed = slice_find(buf_slice(&text), '\n');
    audit_verify_init(&v);
    assert_int_equal(audit_verify_line(&v, slice_make(text.data, (size_t)feed), &before, &err), 0);
    struct slice second = slice_make(text.data + feed + 1, text.len - (size_t)feed - 2);
    assert_int_equal(audit_verify_line(&v, second, &before, &err), -EIO);
    assert_string_equal(err.msg, "lines 2 to 3 are missing before it");
}

static void await_lines(const char *path, size_t n)
{
    for (int64_t until = clock_mono_ms() + PATIENCE_MS; clock_mono_ms() < until;) {
        AUTO(buf) struct buf text = {0};
        buf_init(&text, FILE_BYTES_MAX);
        if (file_read(AT_FDCWD, path, &text, NULL) == 0 && text.data && count(text.data, "\n") >= n)
            return;
    }
    fail_msg("%s has no %zu lines", path, n);
}

/* Aim: after a rename lines go to a new file of that name, the old one is ended, nothing is lost,
 * with a signal or without. */
static void test_rotation(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = {0};
    char older[160];
    (void)snprintf(older, sizeof older, "%s.2", f.file);
    struct audit *a = open_as(f.file, true);
    tell_denied(a, "one");
    await_lines(f.file, 1);
    assert_int_equal(rename(f.file, older), 0);
    tell_denied(a, "two"); /* notices by itself */
    await_lines(f.file, 1);
    assert_int_equal(rename(f.file, f.old), 0);
    audit_reopen(a); /* nothing is told now */
    await_lines(f.old, 2);
    await_lines(f.file, 0);
    audit_close(a);
    a = open_as(f.file, false); /* empty, and a restart */
    tell_denied(a, "three");
    audit_close(a);
    const char *all[] = {older, f.old, f.file};
    assert_int_equal(read_log(all, 3, &text), 5);
    assert_int_equal(count(text.data, "\"event\":\"end\""), 2);
    assert_int_equal(messages.n, 0);
}

/* Aim: where FILE cannot be made again after a rotation, lines go on in the old one, which is told
 * once. */
static void test_rotation_fails(void **state)
{
    (void)state;
    struct audit *a = open_as(f.file, true);
    tell_denied(a, "one");
    await_lines(f.file, 1);
    assert_int_equal(rename(f.file, f.old), 0);
    assert_int_equal(mkdir(f.file, 0700), 0);
    for (size_t i = 2; i < 5; i++) {
        tell_denied(a, "more");
        await_lines(f.old, i);
    }
    assert_int_equal(rmdir(f.file), 0);
    tell_denied(a, "last");
    audit_close(a);
    AUTO(buf) struct buf text = {0};
    assert_int_equal(read_log((const char *[]){f.old, f.file}, 2, &text), 6);
    assert_int_equal(messages.n, 1);
}

/* Aim: a file that is no audit log is not written to; nor a link, a FIFO, a relative path, one that
 * everybody may write. */
static void test_refused(void **state)
{
    (void)state;
    struct audit_config config = {.target = f.file, .mount = "/lake"};
    struct audit *a = NULL;
    struct err err = ERR_INIT;
    static const char *const foreign[] = {"root:x:0:0::/root:/bin/sh\n", "no line feed", "\n",
                                          "{}\n"};
    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
        AUTO(buf) struct buf text = {0};
        buf_init(&text, 1000);
        append(f.file, foreign[i]);
        assert_int_equal(audit_open(f.audits, &config, &a, &err), -EINVAL);
        assert_int_equal(file_read(AT_FDCWD, f.file, &text, NULL), 0);
        assert_string_equal(text.data, foreign[i]);
        assert_int_equal(unlink(f.file), 0);
    }
    assert_int_equal(symlink("/tmp/elsewhere", f.file), 0);
    assert_int_equal(audit_open(f.audits, &config, &a, &err), -ELOOP);
    assert_int_equal(unlink(f.file), 0);
    assert_int_equal(mkfifo(f.file, 0600), 0);
    assert_int_equal(audit_open(f.audits, &config, &a, &err), -EINVAL);
    assert_int_equal(unlink(f.file), 0);
    append(f.file, "");
    assert_int_equal(chmod(f.file, 0622), 0);
    assert_int_equal(audit_open(f.audits, &config, &a, &err), -EPERM);
    config.target = "audit.log";
    assert_int_equal(audit_open(f.audits, &config, &a, &err), -EINVAL);
    config.target = "journald";
    config.strict = true;
    assert_int_equal(audit_open(f.audits, &config, &a, &err), -EINVAL);
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

static bool in_file(struct slice table)
{
    AUTO(buf) struct buf text = {0}, want = {0};
    buf_init(&text, FILE_BYTES_MAX);
    buf_init(&want, 1000);
    buf_addf(&want, "\"table\":\"%.*s\"", SLICE_FMT(table));
    return file_read(AT_FDCWD, f.file, &text, NULL) == 0 && text.data &&
           strstr(text.data, want.data);
}

static void run_request(struct job *job)
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

static void begin(struct request *r, struct audit *a, struct principal *who, const char *table)
{
    *r = (struct request){.audit = a, .event = an_open(who, table)};
    r->task.job.run = run_request;
    lock_init(&r->lock);
    cond_init(&r->changed);
    run_request(&r->task.job);
}

static int end(struct request *r)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    WITH_LOCK (&r->lock)
        while (!r->done)
            assert_true(cond_wait_until(&r->changed, &r->lock, until_ms));
    cond_done(&r->changed);
    lock_done(&r->lock);
    return r->rc;
}

/* Aim: strict: no open is answered before its line is in the file, and who opens the same beside it
 * waits for the same line. */
static void test_strict(void **state)
{
    (void)state;
    enum { TABLES = 50, EACH = 4 };
    static struct request requests[TABLES * EACH];
    static char names[TABLES][16];
    struct audit *a = open_as(f.file, true);
    for (size_t i = 0; i < TABLES * EACH; i++) {
        (void)snprintf(names[i / EACH], sizeof names[0], "t%zu", i / EACH);
        begin(&requests[i], a, f.alice, names[i / EACH]);
    }
    for (size_t i = 0; i < TABLES * EACH; i++) {
        assert_int_equal(end(&requests[i]), 0);
        assert_true(requests[i].on_disk);
    }
    audit_close(a);
    assert_int_equal(lines_of(f.file), TABLES);
}

/* Aim: two mounts of a daemon write one file without disturbing its chain; another daemon is
 * refused. */
static void test_shared(void **state)
{
    (void)state;
    struct audit_config config = {.target = f.file, .mount = "/lake"};
    AUTO(audits) struct audits *others = audits(NULL);
    struct request r;
    struct err err = ERR_INIT;
    struct audit *c = NULL, *a = open_as(f.file, false), *b = open_as(f.file, true);
    assert_int_equal(audit_open(others, &config, &c, &err), -EBUSY);
    for (int i = 0; i < 50; i++) {
        tell_denied(a, "x");
        tell_denied(b, "y");
    }
    tell_open(a, f.alice, "t");
    audit_close(a);
    begin(&r, b, f.alice, "t"); /* b has not told it */
    assert_int_equal(end(&r), 0);
    audit_close(b);
    assert_int_equal(lines_of(f.file), 102);
    assert_int_equal(audit_open(others, &config, &c, &err), 0);
    audit_close(c);
}

/* Files may grow to that size. */
static void limit_files(off_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size < 0 ? limit.rlim_max : (rlim_t)size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Aim: strict, on a full disk: opens fail, nothing half is left, and they work when there is room
 * again. */
static void test_full_strict(void **state)
{
    (void)state;
    struct request r;
    struct stat before, after;
    struct audit *a = open_as(f.file, true);
    begin(&r, a, f.alice, "a");
    assert_int_equal(end(&r), 0);
    assert_int_equal(stat(f.file, &before), 0);
    limit_files(before.st_size + 100);
    begin(&r, a, f.alice, "b");
    assert_int_equal(end(&r), -EIO);
    assert_int_equal(stat(f.file, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    begin(&r, a, f.alice, "a"); /* that was told long ago */
    assert_int_equal(end(&r), 0);
    tell_denied(a, "x"); /* a denial gives nothing away */
    limit_files(-1);
    clock_shift_for_test(1100);
    begin(&r, a, f.alice, "b");
    assert_int_equal(end(&r), 0);
    assert_true(r.on_disk);
    audit_close(a);
    assert_true(lines_of(f.file) >= 2);
}

/* Aim: not strict, on a full disk: opens go on, and the next line says how many were lost. */
static void test_full(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = {0};
    struct audit *a = open_as(f.file, false);
    tell_open(a, f.alice, "a");
    await_lines(f.file, 1);
    limit_files(1);
    tell_open(a, f.alice, "b");
    for (int64_t until = clock_mono_ms() + PATIENCE_MS; clock_mono_ms() < until;) {
        unsigned n = 0;
        WITH_LOCK (&messages.lock)
            n = messages.n;
        if (n)
            break;
    }
    assert_non_null(strstr(messages.last, "File too large"));
    limit_files(-1);
    tell_open(a, f.alice, "b"); /* again: it was not told */
    audit_close(a);
    size_t lines = read_log((const char *[]){f.file}, 1, &text);
    assert_int_equal(lines, 2);
    assert_int_equal(count(text.data, "\"lost\":1"), 1);
    assert_int_equal(count(text.data, "\"table\":\"b\""), 1);
}

/* Aim: what the queue does not take while the disk is away is counted, and the count is written. */
static void test_queue(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = {0};
    enum { MANY = 40000 };
    static char path[4096];
    struct audit *a = open_as(f.file, false);
    memset(path, 'p', sizeof path - 1);
    limit_files(1);
    for (int i = 0; i < MANY; i++)
        tell_denied(a, path);
    limit_files(-1);
    audit_close(a);
    size_t lines = read_log((const char *[]){f.file}, 1, &text), lost = 0;
    for (const char *at = text.data; at && (at = strstr(at, "\"lost\":")); at++)
        lost += strtoul(at + 7, NULL, 10);
    lines -= count(text.data, "\"event\":\"lost\"");
    assert_true(lost > 0);
    assert_int_equal(lines + lost, MANY);
}

static int socket_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

/* The JSON of one datagram, and a line feed; appended. */
static void receive(int fd, const char *head, struct buf *out)
{
    static char message[AUDIT_LINE_BYTES_MAX];
    ssize_t n = recv(fd, message, sizeof message, 0);
    assert_true(n > 0);
    struct slice got = slice_make(message, (size_t)n), want = slice_of(head);
    assert_true(slice_starts(got, want));
    got = slice_from(got, want.n);
    if (slice_ends(got, SLICE_LIT("\n")))
        got.n--;
    assert_int_equal(slice_find(got, '\n'), -1);
    buf_add_slice(out, got);
    buf_add_char(out, '\n');
}

/* Aim: syslog and journald get each line as their protocols say, one chain over restarts; what
 * nobody takes is counted. */
static void test_sockets(void **state)
{
    (void)state;
    static const char *const heads[][2] = {
        {"syslog", "<86>tarn-audit: "},
        {"journald", "PRIORITY=6\nSYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER=tarn-audit\nMESSAGE="}};
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        AUTO(buf) struct buf text = {0};
        char path[128];
        size_t lines = 0;
        (void)snprintf(path, sizeof path, "%s/%s", f.dir->path, heads[i][0]);
        int fd = socket_at(path);
        audits_free(f.audits);
        f.audits = audits(path);
        buf_init(&text, FILE_BYTES_MAX);
        struct audit *a = open_as(heads[i][0], false);
        tell_denied(a, "one");
        receive(fd, heads[i][1], &text);
        audit_close(a);
        a = open_as(heads[i][0], false);
        tell_denied(a, "two\nlines");
        receive(fd, heads[i][1], &text);
        (void)close(fd);
        assert_int_equal(unlink(path), 0);
        tell_denied(a, "lost");
        while (audit_add(a, &(struct audit_event){.kind = AUDIT_POLICY}, NULL, NULL) == 0) {
            unsigned n = 0;
            WITH_LOCK (&messages.lock)
                n = messages.n;
            if (n > i * 2)
                break;
        }
        fd = socket_at(path);
        receive(fd, heads[i][1], &text);
        audit_close(a);
        (void)close(fd);
        struct audit_verify v;
        struct slice all = buf_slice(&text);
        bool before;
        audit_verify_init(&v);
        for (ptrdiff_t feed; (feed = slice_find(all, '\n')) >= 0; lines++) {
            assert_int_equal(audit_verify_line(&v, slice_make(all.p, (size_t)feed), &before, NULL),
                             0);
            all = slice_from(all, (size_t)feed + 1);
        }
        assert_int_equal(lines, 3);
        assert_int_equal(v.at.line, 3);
        assert_int_equal(count(text.data, "\"lost\":"), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_opens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_denials, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_overflow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_torn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_torn_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rotation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rotation_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_strict, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_strict, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_queue, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sockets, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
