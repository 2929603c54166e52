/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: what is told when, and what a crash, a rotation or somebody else's file leave. */
#include "tests/unit/audit_fixture.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/limits.h"

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

/* Aim: of objects outside of tables each is told, and a document of a version does not stand for
 * the data that the version added. */
static void test_first_opens_of_other_things(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = {0};
    struct audit *a = open_as(f.file, false);
    struct audit_event document = an_open(f.alice, "silver/x"), object = an_open(f.alice, "");
    document.what = AUDIT_DOCUMENT;
    document.path = SLICE_LIT("silver/x/.tarn/schema.json");
    object.what = AUDIT_OBJECT;
    object.version = SLICE_NONE;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(audit_add(a, &document, NULL, NULL), 0);
        tell_open(a, f.alice, "silver/x");
        object.path = SLICE_LIT("bronze/a.csv");
        assert_int_equal(audit_add(a, &object, NULL, NULL), 0);
        object.path = SLICE_LIT("bronze/b.csv");
        assert_int_equal(audit_add(a, &object, NULL, NULL), 0);
    }
    audit_close(a);
    assert_int_equal(read_log((const char *[]){f.file}, 1, &text), 4);
    assert_int_equal(count(text.data, "schema.json"), 1);
    assert_int_equal(count(text.data, "\"path\":\"a.parquet\""), 1);
    assert_int_equal(count(text.data, "bronze/a.csv"), 1);
    assert_int_equal(count(text.data, "bronze/b.csv"), 1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_opens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_first_opens_of_other_things, set_up, tear_down),
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
