/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a mount: one parser for all spellings, and messages that name the option. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "tools/options.h"
#include "tools/tools.h"

static char said[1024];

/* The command line's own one is in main.c, which no test is linked with. */
int usage_error(const char *command, const char *fmt, ...)
{
    va_list ap;
    (void)command;
    va_start(ap, fmt);
    (void)vsnprintf(said, sizeof said, fmt, ap);
    va_end(ap);
    return EXIT_USAGE;
}

/* Each spelling on the command line reaches the same parser, which takes or refuses the value. */
static void test_spellings_on_the_command_line(void **state)
{
    (void)state;
    static const char *const spellings[][2] = {{"--refresh", "never"},
                                               {"--refresh=never", NULL},
                                               {"-o", "refresh=never"},
                                               {"-orefresh=never", NULL},
                                               {"-o", "debug,refresh=never,hold=1"}};
    for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
        char *argv[] = {(char *)"mount", (char *)spellings[i][0], (char *)"/source",
                        (char *)"/mountpoint", NULL};
        char *with_value[] = {argv[0], argv[1], (char *)spellings[i][1], argv[2], argv[3], NULL};
        said[0] = '\0';
        assert_int_equal(spellings[i][1] ? cmd_mount(5, with_value) : cmd_mount(4, argv),
                         EXIT_USAGE);
        assert_non_null(strstr(said, "option refresh: never is no duration"));
    }
}

/* Names are taken with dashes and with underscores; the last value given is the one that holds. */
static void test_set(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(options) struct options o = {0};
    assert_int_equal(options_set(&o, SLICE_LIT("cache-size"), "1G", &err), 0);
    assert_int_equal(options_set(&o, SLICE_LIT("cache_size"), "2G", &err), 0);
    assert_int_equal(options_set(&o, SLICE_LIT("allow_other"), NULL, &err), 0);
    assert_string_equal(o.cache_size, "2G");
    assert_true(o.allow_other);
    assert_int_equal(options_takes_value(SLICE_LIT("cache_size")), 1);
    assert_int_equal(options_takes_value(SLICE_LIT("debug")), 0);
    assert_int_equal(options_takes_value(SLICE_LIT("cache")), -1);
}

/* An unknown option, a flag with a value and an option without one are refused by name. */
static void test_set_refuses(void **state)
{
    (void)state;
    char name[200];
    struct err err = ERR_INIT;
    AUTO(options) struct options o = {0};
    assert_int_equal(options_set(&o, SLICE_LIT("refesh"), "1", &err), -EINVAL);
    assert_non_null(strstr(err.msg, "refesh"));
    assert_int_equal(options_set(&o, SLICE_LIT("debug"), "1", &err), -EINVAL);
    assert_non_null(strstr(err.msg, "debug"));
    assert_int_equal(options_set(&o, SLICE_LIT("hold"), NULL, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "hold"));
    assert_int_equal(options_set(&o, SLICE_NONE, "1", &err), -EINVAL);
    memset(name, 'n', sizeof name);
    assert_int_equal(options_set(&o, slice_make(name, sizeof name), "1", &err), -EINVAL);
}

/* A list takes flags and values; `\,` is a comma of a value, and empty items are nothing. */
static void test_list(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(options) struct options o = {0};
    const char *list = ",debug,cache-dir=/a\\,b\\c=d,,allow_other,region=eu\\,\\,x,";
    assert_int_equal(options_set_list(&o, list, &err), 0);
    assert_true(o.debug && o.allow_other);
    assert_string_equal(o.cache_dir, "/a,b\\c=d");
    assert_string_equal(o.region, "eu,,x");
    assert_int_equal(options_set_list(&o, "", &err), 0);
    assert_int_equal(options_set_list(&o, "region=", &err), 0);
    assert_string_equal(o.region, "");
    assert_int_equal(options_set_list(&o, "foreground,nonsense=1", &err), -EINVAL);
    assert_non_null(strstr(err.msg, "nonsense"));
    assert_int_equal(options_set_list(&o, "=1", &err), -EINVAL);
}

/* A value that is too long is refused, not cut. */
static void test_list_refuses_what_is_too_long(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(options) struct options o = {0};
    AUTO(buf) struct buf list = {0};
    buf_init(&list, (size_t)2 * URL_BYTES_MAX);
    buf_add_str(&list, "cache-dir=/");
    while (list.len < URL_BYTES_MAX + 1)
        buf_add_char(&list, 'x');
    assert_int_equal(options_set_list(&o, list.data, &err), -EOVERFLOW);
    assert_non_null(strstr(err.msg, "cache-dir"));
    assert_null(o.cache_dir);
    list.data[URL_BYTES_MAX] = '\0';
    assert_int_equal(options_set_list(&o, list.data, &err), 0);
}

/* Values are parsed into their units, and what was not given has its default. */
static void test_check(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(options) struct options o = {0}, defaults = {0};
    const char *list = "cache-dir=/c,cache-size=500M,refresh=0.5,hold=5m,keep=2h,threads=4,uid=7,"
                       "deadline=2.5,"
                       "gid=4294967294,as-of=2026-03-01T093000Z";
    assert_int_equal(options_set_list(&o, list, &err), 0);
    assert_int_equal(options_check(&o, &err), 0);
    assert_int_equal(o.cache_size_bytes, 500 * MIB);
    assert_int_equal(o.refresh_ms, 500);
    assert_int_equal(o.hold_ms, 300000);
    assert_int_equal(o.keep_ms, 7200000);
    assert_int_equal(o.threads_count, 4);
    assert_int_equal(o.deadline_ms, 2500);
    assert_int_equal(o.owner_uid, 7);
    assert_int_equal(o.owner_gid, 4294967294);
    assert_int_equal(o.as_of_ms, INT64_C(1772357400000));
    assert_int_equal(options_set(&defaults, SLICE_LIT("cache-dir"), "relative", &err), 0);
    assert_int_equal(options_check(&defaults, &err), 0);
    assert_int_equal(defaults.cache_size_bytes, 20 * GIB);
    assert_int_equal(defaults.cache_compress_after_ms, 86400000);
    assert_int_equal(defaults.refresh_ms, 1000);
    assert_int_equal(defaults.deadline_ms, STORE_DEADLINE_MS);
    assert_int_equal(defaults.owner_uid, -1);
    assert_int_equal(defaults.cache_dir[0], '/');
    assert_true(slice_ends(slice_of(defaults.cache_dir), SLICE_LIT("/relative")));
}

/* A wrong value is refused with the names of its option and itself. */
static void test_wrong_values_name_the_option(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
    } cases[] = {
        {"cache-size", "many"},
        {"cache-size", "-1"},
        {"refresh", "1w"},
        {"hold", "-5"},
        {"keep", "1e9"},
        {"as-of", "yesterday"},
        {"as-of", "1969-12-31"},
        {"threads", "0"},
        {"threads", "1000000"},
        {"uid", "root"},
        {"gid", "4294967295"},
        {"uid", "-1"},
        {"cache-free", "100%"},
        {"cache-free", "-1"},
        {"cache-free", "much"},
        {"cache-free", "%"},
        {"cache-compress-after", "never"},
        {"deadline", "0.05"},
        {"deadline", "121"},
        {"deadline", "soon"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = ERR_INIT;
        AUTO(options) struct options o = {0};
        assert_int_equal(options_set(&o, SLICE_LIT("cache-dir"), "/c", &err), 0);
        assert_int_equal(options_set(&o, slice_of(cases[i].name), cases[i].value, &err), 0);
        assert_int_equal(options_check(&o, &err), -EINVAL);
        assert_non_null(strstr(err.msg, cases[i].name));
        if (strcmp(cases[i].value, "0") != 0)
            assert_non_null(strstr(err.msg, cases[i].value));
    }
}

/* What travels to the daemon is a JSON object of what was given, and of nothing else. */
static void test_format(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(options) struct options o = {0};
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 1000);
    options_format(&o, &out);
    assert_string_equal(out.data, "{}");
    buf_reset(&out);
    assert_int_equal(options_set_list(&o, "debug,cache-dir=/a\"b,region=", &err), 0);
    options_format(&o, &out);
    assert_string_equal(out.data, "{\"cache-dir\":\"/a\\\"b\",\"region\":\"\",\"debug\":true}");
}

/* What stays free is a size, a share of the disk, or nothing; by default of a small disk less. */
static void test_cache_free(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        uint64_t bytes;
        unsigned percent;
    } cases[] = {
        {NULL, GIB, 5},         {"0", 0, 100},           {"off", 0, 100},
        {"10G", 10 * GIB, 100}, {"10%", UINT64_MAX, 10}, {"0%", UINT64_MAX, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = ERR_INIT;
        AUTO(options) struct options o = {0};
        assert_int_equal(options_set(&o, SLICE_LIT("cache-dir"), "/c", &err), 0);
        if (cases[i].value)
            assert_int_equal(options_set(&o, SLICE_LIT("cache-free"), cases[i].value, &err), 0);
        assert_int_equal(options_check(&o, &err), 0);
        assert_true(o.cache_free_bytes == cases[i].bytes);
        assert_int_equal(o.cache_free_percent, cases[i].percent);
    }
}

/* What a daemon saves of its options is how it keeps the cache, and fills in what is not said. */
static void test_saved_options(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(options) struct options o = {0}, later = {0};
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 1000);
    const char *list = "debug,cache-dir=/c,cache-size=5G,cache-free=3%,cache-key-file=/k,region=x,"
                       "cache-compress-after=0";
    assert_int_equal(options_set_list(&o, list, &err), 0);
    options_format_cache(&o, &out);
    assert_string_equal(out.data, "{\"cache-size\":\"5G\",\"cache-free\":\"3%\",\"cache-key-file\":"
                                  "\"/k\",\"cache-compress-after\":\"0\"}");
    assert_int_equal(options_set_list(&later, "cache-dir=/c,cache-size=1G", &err), 0);
    assert_int_equal(options_parse(&later, buf_slice(&out), &err), 0);
    assert_int_equal(options_check(&later, &err), 0);
    assert_int_equal(later.cache_size_bytes, GIB);
    assert_int_equal(later.cache_free_percent, 3);
    assert_string_equal(later.cache_key_file, "/k");
    assert_int_equal(later.cache_compress_after_ms, 0);
    assert_int_equal(options_parse(&later, SLICE_LIT("{\"cache-size\":1}"), &err), -EIO);
    assert_int_equal(options_parse(&later, SLICE_LIT("{\"nonsense\":\"1\"}"), &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings_on_the_command_line),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_set_refuses),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_list_refuses_what_is_too_long),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_wrong_values_name_the_option),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_cache_free),
        cmocka_unit_test(test_saved_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
