/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: who waits for its lines, full disks, and the sockets of syslog and journald. */
#include "tests/unit/audit_fixture.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/limits.h"

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
        cmocka_unit_test_setup_teardown(test_strict, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_strict, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_queue, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sockets, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
