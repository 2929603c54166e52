/* SPDX-License-Identifier: Apache-2.0 */
/* The lines in which a cache is looked after: what is written is what is read. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/limits.h"
#include "tools/control.h"
#include "tools/maintain.h"

/* Each action is found by its name, and by no other. */
static void test_names(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "sta", "stats", "STAT"};
    enum maintenance what;
    for (int i = MAINTENANCE_STAT; i <= MAINTENANCE_GC; i++) {
        assert_true(maintenance_find(slice_of(maintenance_name((enum maintenance)i)), &what));
        assert_int_equal(what, i);
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_false(maintenance_find(slice_of(wrong[i]), &what));
    assert_false(maintenance_find(SLICE_NONE, &what));
}

/* A report comes back as it was, up to the largest numbers that JSON's readers take. */
static void test_report(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct cache_report r = {1, INT64_MAX, 3, 4, 5};
    struct maintenance_line line = {0};
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 4 * KIB);
    maintain_format_report(&r, &text);
    assert_int_equal(maintain_parse(buf_slice(&text), &line, &err), 0);
    assert_true(line.last && line.has_report);
    assert_memory_equal(&line.report, &r, sizeof r);
    assert_true(slice_starts(line.raw, SLICE_LIT("{\"objects\":1,")));
}

/* Progress is not the end; members that are not known are passed over. */
static void test_progress(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct maintenance_line line = {0};
    const char *text = "{\"progress\":{\"objects\":2,\"new\":[1,{}],\"bytes\":30},\"more\":null,"
                       "\"allObjects\":7,\"allBytes\":90}";
    assert_int_equal(maintain_parse(slice_of(text), &line, &err), 0);
    assert_true(!line.last && line.has_report);
    assert_int_equal(line.report.objects, 2);
    assert_int_equal(line.report.bytes, 30);
    assert_int_equal(line.all_objects, 7);
    assert_int_equal(line.all_bytes, 90);
}

/* A refusal is neither a report nor the end, and tells its reason. */
static void test_refusal(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct maintenance_line line = {0};
    struct slice text = SLICE_LIT("{\"ok\":false,\"code\":16,\"error\":\"busy\"}");
    assert_int_equal(maintain_parse(text, &line, &err), 0);
    assert_true(!line.last && !line.has_report);
    assert_int_equal(control_check_answer(text, &err), -EBUSY);
    assert_string_equal(err.msg, "busy");
}

/* What is no such line is refused. */
static void test_malformed(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "[]",
                                        "{",
                                        "{\"ok\":1}",
                                        "{\"report\":3}",
                                        "{\"report\":{\"bytes\":\"x\"}}",
                                        "{\"stat\":{\"off\":2}}",
                                        "{\"allBytes\":[]}"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct err err = ERR_INIT;
        struct maintenance_line line = {0};
        assert_int_equal(maintain_parse(slice_of(texts[i]), &line, &err), -EIO);
        assert_true(*err.msg);
    }
}

static bool keep_line(void *arg, struct slice text)
{
    struct buf *to = arg;
    buf_reset(to);
    buf_add_slice(to, text);
    return true;
}

/* Of an empty cache every action ends with a line that is read again. */
static void test_empty_cache(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char path[] = "/tmp/tarn-maintain-XXXXXX", command[64];
    assert_non_null(mkdtemp(path));
    AUTO_FD int dirfd = open(path, O_RDONLY | O_DIRECTORY);
    AUTO(workers) struct workers *workers = workers_new("disk", 1, &err);
    struct cache_config config = {.dirfd = dirfd, .size_bytes = 100 * MIB, .workers = workers};
    struct cache *c = cache_open(&config, &err);
    assert_non_null(c);
    for (int i = MAINTENANCE_STAT; i <= MAINTENANCE_GC; i++) {
        AUTO(buf) struct buf last = {0};
        struct maintenance_line line = {0};
        buf_init(&last, 64 * KIB);
        assert_int_equal(maintain(c, NULL, (enum maintenance)i, keep_line, &last, &err), 0);
        assert_int_equal(maintain_parse(buf_slice(&last), &line, &err), 0);
        assert_true(line.last && line.has_report == (i != MAINTENANCE_STAT));
        assert_true(i != MAINTENANCE_STAT || line.stat.limit_bytes > 0);
    }
    cache_close(c);
    (void)snprintf(command, sizeof command, "rm -r %s", path);
    assert_int_equal(system(command), 0); /* allowed: system: a test's own directory */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),     cmocka_unit_test(test_report),
        cmocka_unit_test(test_progress),  cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_malformed), cmocka_unit_test(test_empty_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
