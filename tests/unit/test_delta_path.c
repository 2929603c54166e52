/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "cache/store/store.h"
#include "lake/delta/path.h"

static struct delta_pair partition[2];

static struct delta_file file_of(const char *path)
{
    return (struct delta_file){.path = slice_of(path), .partition_values = {partition, 2}};
}

static const struct delta_root s3_root = {.home = {"s3://bucket/lake", 16},
                                          .prefix = {"silver/t/", 9}};

/* The values of columns `date` and `kind`; NULL is null. */
static void set_values(const char *date, const char *kind)
{
    partition[0] = (struct delta_pair){SLICE_LIT("date"), slice_of(date), date == NULL};
    partition[1] = (struct delta_pair){SLICE_LIT("kind"), slice_of(kind), kind == NULL};
}

static void check_present(size_t columns, const char *raw, const char *want, bool want_built)
{
    struct delta_column at[] = {{.name = SLICE_LIT("date")}, {.name = SLICE_LIT("kind")}};
    struct delta_columns some = {at, columns};
    struct delta_file file = file_of(raw);
    struct err err = ERR_INIT;
    AUTO(buf) struct buf out;
    bool built = !want_built;
    buf_init(&out, ACTION_BYTES_MAX);
    int rc = delta_path_present(&s3_root, &some, &file, &out, &built, &err);
    if (!want) {
        assert_int_equal(rc, -EIO);
        return;
    }
    assert_int_equal(rc, 0);
    assert_string_equal(out.data, want);
    assert_int_equal(built, want_built);
}

/* Aim: files inside the table keep their decoded path where it says the partition. */
static void test_kept(void **state)
{
    (void)state;
    set_values("2026-03-01", "a b");
    check_present(0, "x.parquet", "x.parquet", false);
    check_present(0, "dir/a%20b%2520.parquet", "dir/a b%20.parquet", false);
    check_present(0, "./dir//x", "dir/x", false);
    check_present(0, "a/../x", "x", false);
    check_present(0, "s3a://bucket/lake/silver/t/dir/x", "dir/x", false);
    check_present(1, "date=2026-03-01/x", "date=2026-03-01/x", false);
    check_present(2, "p/date=2026-03-01/q/kind=a b/x", "p/date=2026-03-01/q/kind=a b/x", false);
    check_present(2, "date=2026-03-01/kind=a%2520b/x", "date=2026-03-01/kind=a%20b/x", false);
    set_values(NULL, "");
    check_present(2, "date=__HIVE_DEFAULT_PARTITION__/kind=__HIVE_DEFAULT_PARTITION__/x",
                  "date=__HIVE_DEFAULT_PARTITION__/kind=__HIVE_DEFAULT_PARTITION__/x", false);
}

/* Aim: every other file is shown at directories built from its values. */
static void test_built(void **state)
{
    (void)state;
    set_values("2026-03-01", "a/b:%");
    check_present(1, "x", "date=2026-03-01/x", true);
    check_present(2, "kind=a%252Fb%253A%2525/date=2026-03-01/x",
                  "date=2026-03-01/kind=a%2Fb%3A%25/x", true);
    check_present(1, "date=2026-03-02/x", "date=2026-03-01/x", true);
    check_present(1, "date=2026-03-01", "date=2026-03-01/date=2026-03-01", true);
    check_present(0, "_dir/x", "x", true);
    check_present(0, "dir/.x", "x.x", true);
    check_present(0, "dir/_x", "x_x", true);
    check_present(0, "../other/x", "x", true);
    check_present(0, "s3://bucket/lake/silver/tt/x", "x", true);
    check_present(0, "s3://bucket/lake/silver/t/../x", "x", true);
    check_present(0, "/abs/p@%23h", "p@#h", true);
    set_values(NULL, "");
    check_present(2, "date=null/kind=/x",
                  "date=__HIVE_DEFAULT_PARTITION__/kind=__HIVE_DEFAULT_PARTITION__/x", true);
}

/* Aim: what names no file is damage. */
static void test_nameless(void **state)
{
    (void)state;
    set_values("1", "2");
    check_present(0, "..", NULL, false);
    check_present(0, "s3://bucket/", NULL, false);
    check_present(0, "a/..", NULL, false);
    check_present(0, "a%00b", NULL, false);
}

/* Aim: where the text of a value is open to debate the column's name is enough. */
static void test_loose(void **state)
{
    (void)state;
    struct delta_column at[] = {{.name = SLICE_LIT("date"), .loose = true}};
    struct delta_columns columns = {at, 1};
    struct err err = ERR_INIT;
    AUTO(buf) struct buf out;
    bool built = true;
    buf_init(&out, ACTION_BYTES_MAX);
    set_values("2026-03-01 00:00:00", "");
    struct delta_file file = file_of("date=2026-03-01%2000%253A00%253A00.0/x");
    assert_int_equal(delta_path_present(&s3_root, &columns, &file, &out, &built, &err), 0);
    assert_false(built);
}

static void check_key(const char *raw, const char *want)
{
    struct delta_file file = file_of(raw);
    AUTO(buf) struct buf out;
    struct err err = ERR_INIT;
    buf_init(&out, ACTION_BYTES_MAX);
    assert_int_equal(delta_path_key(&file, &out, &err), 0);
    assert_int_equal(out.len, strlen(want) + 1);
    assert_string_equal(out.data, want);
}

/* Aim: the spellings of one path come to one key. */
static void test_key(void **state)
{
    (void)state;
    check_key("a%20b/x", "a b/x");
    check_key("a b/x", "a b/x");
    check_key("/a/x", "file:///a/x");
    check_key("file:/a/x", "file:///a/x");
    check_key("FILE:///a/x", "file:///a/x");
    check_key("s3n://b/k%23", "s3://b/k#");
    check_key("../t/x", "../t/x");
    check_key("ts=10:00/x", "ts=10:00/x");
}

/* Aim: a deletion vector is a part of the key. */
static void test_key_dv(void **state)
{
    (void)state;
    struct delta_file file = file_of("x");
    struct err err = ERR_INIT;
    AUTO(buf) struct buf out;
    buf_init(&out, KIB);
    file.dv = (struct delta_dv){
        .storage = SLICE_LIT("u"), .path = SLICE_LIT("ab"), .offset = 4, .has_offset = true};
    assert_int_equal(delta_path_key(&file, &out, &err), 0);
    assert_true(slice_eq(buf_slice(&out), slice_make("x\0uab@4", 7)));
}

static void check_locate(const struct delta_root *root, const char *raw, const char *want)
{
    struct err err = ERR_INIT;
    AUTO(buf) struct buf out;
    buf_init(&out, KEY_BYTES_MAX);
    struct store *store;
    int rc = delta_path_locate(root, slice_of(raw), &store, &out, &err);
    assert_int_equal(rc, want ? 0 : -EACCES);
    if (want)
        assert_string_equal(out.data, want);
}

/* Aim: objects are found below the store's root and nowhere else. */
static void test_locate(void **state)
{
    (void)state;
    static const struct delta_root file_root = {.home = {"file:///lake", 12}, .prefix = {"t/", 2}};
    static const struct delta_root bare = {.outside = NULL};
    check_locate(&s3_root, "a%20b/x", "silver/t/a b/x");
    check_locate(&s3_root, "../u/x", "silver/u/x");
    check_locate(&s3_root, "../../../x", NULL);
    check_locate(&s3_root, "%2e%2e/%2e%2e/%2e%2e/x", NULL);
    check_locate(&s3_root, "s3a://bucket/lake/gold/x", "gold/x");
    check_locate(&s3_root, "s3://bucket/lakeside/x", NULL);
    check_locate(&s3_root, "s3://bucket/lake/../x", NULL);
    check_locate(&s3_root, "s3://other/lake/x", NULL);
    check_locate(&s3_root, "s3://bucket/lake", NULL);
    check_locate(&s3_root, "file:///lake/x", NULL);
    check_locate(&file_root, "file:/lake/u/x", "u/x");
    check_locate(&file_root, "/lake/u/x", "u/x");
    check_locate(&file_root, "/etc/passwd", NULL);
    check_locate(&bare, "/x", NULL);
    check_locate(&bare, "x", "x");
}

/* Aim: what lies below an allowed prefix is found in its store, and nothing beside it. */
static void test_locate_outside(void **state)
{
    (void)state;
    static char other_home[] = "s3://other/x", local_home[] = "file:///data/t";
    static struct store other = {.home = other_home}, local = {.home = local_home};
    static struct store *const outside[] = {&other, &local};
    static const struct delta_root root = {.home = {"s3://bucket/lake", 16},
                                           .prefix = {"silver/t/", 9},
                                           .outside = outside,
                                           .outside_n = 2};
    static const struct delta_root above = {
        .home = {"file:///data/lake", 17}, .prefix = {"t/", 2}, .outside = outside, .outside_n = 2};
    static const struct {
        const struct delta_root *root;
        const char *raw, *key;
        const struct store *store;
    } cases[] = {{&root, "s3a://other/x/a%20b", "a b", &other},
                 {&root, "s3://other/xy/a", NULL, NULL},
                 {&root, "s3://other/x", NULL, NULL},
                 {&root, "s3://other/x/../y", NULL, NULL},
                 {&root, "s3://bucket/lake/u", "u", NULL},
                 {&root, "a", "silver/t/a", NULL},
                 {&root, "../../../../other/x/a", NULL, NULL},
                 {&above, "/data/t/f", "f", &local},
                 {&above, "../../t/f", "f", &local},
                 {&above, "../../u/f", NULL, NULL}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(buf) struct buf key = {0};
        struct store *store = NULL;
        struct err err = ERR_INIT;
        buf_init(&key, KIB);
        int rc = delta_path_locate(cases[i].root, slice_of(cases[i].raw), &store, &key, &err);
        assert_int_equal(rc, cases[i].key ? 0 : -EACCES);
        if (rc == 0) {
            assert_string_equal(key.data, cases[i].key);
            assert_ptr_equal(store, cases[i].store);
        }
    }
}

/* Aim: an object of Azure's is found whichever of its container's names the log says. */
static void test_locate_in_azure(void **state)
{
    (void)state;
    static const char home[] = "abfss://c@acc.dfs.core.windows.net/lake";
    static const struct delta_root root = {.home = {home, sizeof home - 1}, .prefix = {"t/", 2}};
    check_locate(&root, "abfss://c@acc.dfs.core.windows.net/lake/u/x", "u/x");
    check_locate(&root, "abfs://c@acc.dfs.core.windows.net/lake/u/a%20b", "u/a b");
    check_locate(&root, "wasbs://c@acc.blob.core.windows.net/lake/u/x", "u/x");
    check_locate(&root, "WASB://c@acc.blob.core.windows.net/lake/u/x", "u/x");
    check_locate(&root, "wasbs://d@acc.blob.core.windows.net/lake/u/x", NULL);
    check_locate(&root, "abfss://c@acc.blob.core.windows.net/lake/u/x", NULL);
    check_locate(&root, "s3://c/lake/u/x", NULL);
}

/* Aim: the schema tells which columns are loose, and a damaged one is damage. */
static void test_columns(void **state)
{
    (void)state;
    static struct slice names[] = {{"ts", 2}, {"d", 1}, {"n", 1}};
    struct delta_metadata metadata = {
        .partition_columns = {names, 3},
        .schema =
            SLICE_LIT("{\"type\":\"struct\",\"fields\":[{\"name\":\"d\",\"type\":\"decimal(5,2)\"},"
                      "{\"name\":\"n\",\"type\":{\"type\":\"struct\",\"fields\":[]}},"
                      "{\"name\":\"t\\u0073\",\"type\":\"timestamp\",\"metadata\":{}}]}")};
    struct delta_columns columns;
    struct err err = ERR_INIT;
    AUTO(arena) struct arena arena;
    arena_init(&arena, MIB);
    assert_int_equal(delta_schema_columns(&arena, &metadata, DELTA_MAPPING_NONE, &columns, &err),
                     0);
    assert_int_equal(columns.n, 3);
    assert_true(columns.at[0].loose && columns.at[1].loose);
    assert_false(columns.at[2].loose);
    metadata.schema = SLICE_LIT("{\"fields\":[");
    assert_int_equal(delta_schema_columns(&arena, &metadata, DELTA_MAPPING_NONE, &columns, &err),
                     -EIO);
}

/* Aim: under column mapping values are found by physical names, and paths say logical ones: a
 * directory that does not is left. */
static void test_mapped(void **state)
{
    (void)state;
    struct delta_pair values[] = {{SLICE_LIT("col-1f"), SLICE_LIT("a"), false}};
    struct delta_column column = {.name = SLICE_LIT("kind"), .physical = SLICE_LIT("col-1f")};
    struct delta_columns columns = {&column, 1};
    static const char *const cases[][2] = {
        {"col-1f=a/x", "kind=a/x"}, {"Ab/x", "kind=a/x"}, {"kind=a/x", "kind=a/x"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct delta_file file = {.path = slice_of(cases[i][0]), .partition_values = {values, 1}};
        AUTO(buf) struct buf out;
        bool built;
        buf_init(&out, ACTION_BYTES_MAX);
        assert_int_equal(delta_path_present(&s3_root, &columns, &file, &out, &built, NULL), 0);
        assert_string_equal(out.data, cases[i][1]);
        assert_int_equal(built, i < 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_built),
        cmocka_unit_test(test_nameless),
        cmocka_unit_test(test_loose),
        cmocka_unit_test(test_locate_outside),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_key_dv),
        cmocka_unit_test(test_locate),
        cmocka_unit_test(test_locate_in_azure),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_mapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
