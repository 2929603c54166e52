/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lake/iceberg/find.h"

#define UUID "7a5fe997-d8a4-4446-98e1-f6c8128d5c53"
#define UUID2 "12345678-1234-1234-1234-123456789012"

/* The names that remain of a list, each behind a space; both lists are separated by spaces. */
static void check(const char *names, const char *hint, const char *want)
{
    AUTO(iceberg_files) struct iceberg_files files;
    char left[1024] = "";
    struct store_entry entry = {.size = 1};
    iceberg_files_init(&files);
    for (struct slice rest = slice_of(names); rest.n;) {
        ptrdiff_t space = slice_find(rest, ' ');
        size_t n = space < 0 ? rest.n : (size_t)space;
        assert_int_equal(iceberg_files_add(&files, slice_make(rest.p, n), &entry, NULL), 0);
        rest = slice_from(rest, space < 0 ? n : n + 1);
    }
    iceberg_files_choose(&files, slice_of(hint));
    for (size_t i = 0; i < files.at.n; i++) {
        strcat(left, i ? " " : "");
        strcat(left, files.at.at[i].name);
    }
    assert_string_equal(left, want);
}

/* Aim: the highest number wins, as a number, however files are compressed; other files are none. */
static void test_highest(void **state)
{
    (void)state;
    check("v2.metadata.json v10.metadata.json v9.gz.metadata.json", "", "v10.metadata.json");
    check("v1.metadata.json v2.gz.metadata.json", "", "v2.gz.metadata.json");
    check("v1.metadata.json v2.metadata.json.gz", "", "v2.metadata.json.gz");
    check("00001-" UUID ".metadata.json 00002-" UUID ".metadata.json", "",
          "00002-" UUID ".metadata.json");
    check("99999-" UUID ".metadata.json 100000-" UUID ".gz.metadata.json", "",
          "100000-" UUID ".gz.metadata.json");
    check("v1.metadata.json .v2.metadata.json.crc .v3.metadata.json v4.json snap-1.avro", "",
          "v1.metadata.json");
    check("v1.metadata.json " UUID ".metadata.json " UUID2 ".metadata.json", "",
          "v1.metadata.json");
    check("snap-1.avro m0.avro", "", "");
    check("v18446744073709551616.metadata.json v3.metadata.json", "", "v3.metadata.json");
}

/* Aim: the hint is followed in every form that writers give it. */
static void test_hint(void **state)
{
    (void)state;
    const char *three = "v1.metadata.json v2.metadata.json v4.metadata.json";
    check(three, "2", "v2.metadata.json");
    check(three, "v2\n", "v2.metadata.json");
    check(three, " v2.metadata.json ", "v2.metadata.json");
    check(three, "s3://b/t/metadata/v2.metadata.json", "v2.metadata.json");
    const char *twins = "00001-a.metadata.json 00001-b.metadata.json 00001-c.gz.metadata.json";
    check(twins, "00001-b", "00001-b.metadata.json");
    check(twins, "00001-c", "00001-c.gz.metadata.json");
    check("mine.metadata.json other.metadata.json", "mine", "mine.metadata.json");
}

/* Aim: a hint that is behind is followed on from; one that names nothing is as good as none. */
static void test_stale_hint(void **state)
{
    (void)state;
    check("v1.metadata.json v2.metadata.json v3.metadata.json", "1", "v3.metadata.json");
    check("v1.metadata.json v3.metadata.json", "9", "v3.metadata.json");
    check("v1.metadata.json v3.metadata.json", "nonsense", "v3.metadata.json");
    check("v1.metadata.json v3.metadata.json", "", "v3.metadata.json");
    check("00001-a.metadata.json 00003-b.metadata.json", "00001-a", "00003-b.metadata.json");
}

/* Aim: where names do not tell, all that may be the newest remain. */
static void test_undecided(void **state)
{
    (void)state;
    check("00002-a.metadata.json 00002-b.metadata.json 00001-c.metadata.json", "",
          "00002-a.metadata.json 00002-b.metadata.json");
    check("v7.metadata.json 00000-a.metadata.json 00001-a.metadata.json", "7",
          "v7.metadata.json 00001-a.metadata.json");
    check("mine.metadata.json other.metadata.json", "", "mine.metadata.json other.metadata.json");
    check("mine.metadata.json v1.metadata.json", "", "v1.metadata.json");
}

/* Aim: a name that says nothing counts where there is no other. */
static void test_alone(void **state)
{
    (void)state;
    check(UUID2 ".metadata.json", "", UUID2 ".metadata.json");
}

/* Aim: of a writer that never cleans up, the newest are found with bounded memory. */
static void test_many(void **state)
{
    (void)state;
    AUTO(iceberg_files) struct iceberg_files files;
    struct store_entry entry = {.size = 1};
    iceberg_files_init(&files);
    for (unsigned i = 0; i < 20000; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "v%u.metadata.json", i * 7919 % 20000);
        assert_int_equal(iceberg_files_add(&files, slice_of(name), &entry, NULL), 0);
    }
    iceberg_files_choose(&files, SLICE_LIT("19990"));
    assert_int_equal(files.at.n, 1);
    assert_string_equal(files.at.at[0].name, "v19999.metadata.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_highest),    cmocka_unit_test(test_hint),
        cmocka_unit_test(test_stale_hint), cmocka_unit_test(test_undecided),
        cmocka_unit_test(test_many),       cmocka_unit_test(test_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
