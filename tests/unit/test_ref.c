/* SPDX-License-Identifier: Apache-2.0 */
/* Refs: what each spelling after `@` means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "lake/ref.h"

#define MARCH INT64_C(1772323200000) /* 2026-03-01T00:00:00Z */
#define HALF_PAST_NINE (MARCH + INT64_C(34200000))

static struct ref parsed(const char *text, bool digits17_is_time)
{
    struct ref ref = {.kind = REF_RANGE, .version = -1, .time_ms = -1};
    if (!ref_parse(slice_of(text), digits17_is_time, &ref))
        fail_msg("%s is refused", text);
    return ref;
}

/* A version is meant by digits, by `v` and digits, and by `version=`, in every format. */
static void test_versions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t version;
    } cases[] = {
        {"0", 0},
        {"12", 12},
        {"v12", 12},
        {"version=12", 12},
        {"012", 12},
        {"2026", 2026},
        {"20260301", 20260301},
        {"9223372036854775807", INT64_MAX},
        {"v9223372036854775807", INT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
        struct ref ref = parsed(cases[i / 2].text, i % 2);
        assert_int_equal(ref.kind, REF_VERSION);
        assert_int_equal(ref.version, cases[i / 2].version);
    }
}

/* A time is meant by a complete date or time, bare or with `timestamp=`, in every format. */
static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"2026-03-01", MARCH},
        {"2026-03-01T093000Z", HALF_PAST_NINE},
        {"2026-03-01T09:30:00", HALF_PAST_NINE},
        {"2026-03-01T09:30:00.5+00:00", HALF_PAST_NINE + 500},
        {"2026-03-01 09:30", HALF_PAST_NINE},
        {"2026-03-01T103000+0100", HALF_PAST_NINE},
        {"timestamp=2026-03-01", MARCH},
        {"timestamp=2026-03-01T093000Z", HALF_PAST_NINE},
        {"timestamp=2026-03-01T10:30:00+01:00", HALF_PAST_NINE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
        struct ref ref = parsed(cases[i / 2].text, i % 2);
        assert_int_equal(ref.kind, REF_TIME);
        assert_int_equal(ref.time_ms, cases[i / 2].ms);
    }
}

/* Exactly 17 digits that spell a time are one where the driver says so, else a version; `v` and
 * `version=` always mean a version. */
static void test_17_digits(void **state)
{
    (void)state;
    const int64_t number = INT64_C(20260301093000123);
    struct ref ref = parsed("20260301093000123", true);
    assert_int_equal(ref.kind, REF_TIME);
    assert_int_equal(ref.time_ms, HALF_PAST_NINE + 123);
    ref = parsed("timestamp=20260301093000123", true);
    assert_int_equal(ref.kind, REF_TIME);
    assert_int_equal(ref.time_ms, HALF_PAST_NINE + 123);
    static const char *const versions[] = {"20260301093000123", "v20260301093000123",
                                           "version=20260301093000123"};
    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        ref = parsed(versions[i], i > 0);
        assert_int_equal(ref.kind, REF_VERSION);
        assert_int_equal(ref.version, number);
    }
    ref = parsed("99999999999999999", true); /* no time has these digits */
    assert_int_equal(ref.kind, REF_VERSION);
    ref = parsed("2026030109300012", true);
    assert_int_equal(ref.kind, REF_VERSION);
}

/* Everything else is a name, whole where it is bare, what follows `tag=` and `branch=` else. */
static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name;
    } cases[] = {
        {"main", "main"},
        {"v", "v"},
        {"v1.2", "v1.2"},
        {"V12", "V12"},
        {"-1", "-1"},
        {"1x", "1x"},
        {"2026-02-30", "2026-02-30"},
        {"2026-03", "2026-03"},
        {"9223372036854775808", "9223372036854775808"},
        {"tag=12", "12"},
        {"tag=2026-03-01", "2026-03-01"},
        {"branch=main", "main"},
        {"branch=a.b", "a.b"},
        {"tag=tag=x", "tag=x"},
        {"Version=1", "Version=1"},
        {"feature%2Fx", "feature%2Fx"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ref ref = parsed(cases[i].text, true);
        struct slice text = slice_of(cases[i].text);
        enum ref_kind kind = slice_starts(text, SLICE_LIT("tag="))      ? REF_TAG
                             : slice_starts(text, SLICE_LIT("branch=")) ? REF_BRANCH
                                                                        : REF_NAME;
        assert_int_equal(ref.kind, kind);
        assert_true(slice_is(ref.name, cases[i].name));
    }
}

/* Two refs with two dots between are a range; half of one, or three, is malformed. */
static void test_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *text, *from, *to;
    } cases[] = {
        {"10..12", "10", "12"},
        {"v10..v12", "v10", "v12"},
        {"2026-03-01..2026-03-02T00:00:00.5Z", "2026-03-01", "2026-03-02T00:00:00.5Z"},
        {"start..tag=end", "start", "tag=end"},
    };
    static const char *const malformed[] = {
        "10..", "..12", "..", "1..2..3", "1...3", "version=x..3", "1..timestamp=2"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ref ref = parsed(cases[i].text, true);
        assert_int_equal(ref.kind, REF_RANGE);
        assert_true(slice_is(ref.name, cases[i].from));
        assert_true(slice_is(ref.to, cases[i].to));
    }
    struct ref ref;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        if (ref_parse(slice_of(malformed[i]), true, &ref) && ref.kind == REF_RANGE)
            fail_msg("%s is taken for a range", malformed[i]);
}

/* A prefix with something else behind it than what it announces is malformed, as is nothing at
 * all, and the caller's ref stays as it was. */
static void test_malformed(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "version=",
        "version=v1",
        "version=-1",
        "version=+1",
        "version=1 ",
        "version=9223372036854775808",
        "version=2026-03-01",
        "version=main",
        "timestamp=",
        "timestamp=12",
        "timestamp=2026-02-30",
        "timestamp=2026-03-01T25:00:00",
        "timestamp=main",
        "timestamp=99999999999999999",
        "tag=",
        "branch=",
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ref ref = {.kind = REF_RANGE, .version = -7};
        if (ref_parse(slice_of(cases[i]), true, &ref))
            fail_msg("%s is taken", cases[i]);
        assert_int_equal(ref.kind, REF_RANGE);
        assert_int_equal(ref.version, -7);
    }
    struct ref ref;
    assert_false(ref_parse(SLICE_LIT("timestamp=20260301093000123"), false, &ref));
}

/* Whatever a table calls its tags and branches: what is listed for it names it, and nothing else.
 */
static void test_own_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *tag;
    } cases[] = {
        {"main", "main"},
        {"a/b@c%", "a%2Fb%40c%25"},
        {"12", "tag=12"},
        {"v7", "tag=v7"},
        {"2026-03-01", "tag=2026-03-01"},
        {"20260301093000123", "tag=20260301093000123"},
        {"a..b", "a%2E%2Eb"},
        {"12..v3", "12%2E%2Ev3"},
        {"a...b", "a%2E%2E%2Eb"},
        {".", "%2E"},
        {"..", "%2E%2E"},
        {".x.y", "%2Ex.y"},
        {"tag=x", "tag=tag=x"},
        {"tag=a..b", "tag=tag=a%2E%2Eb"},
        {"branch=", "tag=branch="},
        {"version=1", "tag=version=1"},
        {"-x", "-x"},
        {"a\nb", "a%0Ab"},
        {"%41", "%2541"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(buf) struct buf text = {0}, name = {0};
        buf_init(&text, 256);
        buf_init(&name, 256);
        ref_name_format(&text, slice_of(cases[i].name), false);
        assert_string_equal(text.data, cases[i].tag);
        struct ref ref = parsed(text.data, true);
        assert_true(ref_name_decode(&name, &ref));
        assert_string_equal(name.data, cases[i].name);
        buf_reset(&text);
        ref_name_format(&text, slice_of(cases[i].name), true);
        ref = parsed(text.data, false);
        assert_true(ref.kind == REF_BRANCH || ref.kind == REF_NAME);
    }
    AUTO(buf) struct buf name = {0};
    struct ref version = parsed("12", false);
    buf_init(&name, 256);
    assert_false(ref_name_decode(&name, &version));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),  cmocka_unit_test(test_times),
        cmocka_unit_test(test_17_digits), cmocka_unit_test(test_names),
        cmocka_unit_test(test_ranges),    cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_own_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
