/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "cache/store/store.h"
#include "lake/iceberg/metadata.h"
#include "lake/iceberg/path.h"

static struct store other = {.home = (char *)"s3://other/data"};
static struct store *const outside[] = {&other};

/* A table that says those of itself and lies at `prefix` of the store with that home. */
static struct iceberg_root root_of(const char *home, const char *prefix, const char *location,
                                   const char *list)
{
    static struct iceberg_snapshot snapshot;
    static const struct iceberg_snapshot *by_id[1] = {&snapshot};
    static struct iceberg_metadata m;
    snapshot = (struct iceberg_snapshot){.id = 1, .manifest_list = slice_of(list)};
    m = (struct iceberg_metadata){.location = slice_of(location),
                                  .snapshots = &snapshot,
                                  .snapshots_n = 1,
                                  .by_id = by_id,
                                  .current_snapshot = 1};
    struct iceberg_root root = {
        .home = slice_of(home), .prefix = slice_of(prefix), .outside = outside, .outside_n = 1};
    iceberg_root_set(&root, &m);
    return root;
}

/* want: the key, behind `other:` where it is in the other store; NULL: it must not be read. */
static void check_locate(const struct iceberg_root *root, const char *path, const char *want)
{
    AUTO(buf) struct buf key = {0};
    struct err err = ERR_INIT;
    struct store *store = NULL;
    buf_init(&key, KEY_BYTES_MAX);
    int rc = iceberg_path_locate(root, slice_of(path), &store, &key, &err);
    if (!want) {
        assert_int_equal(rc, -EACCES);
        return;
    }
    assert_int_equal(rc, 0);
    bool is_other = strncmp(want, "other:", 6) == 0;
    assert_string_equal(key.data, is_other ? want + 6 : want);
    assert_ptr_equal(store, is_other ? &other : NULL);
}

static void check_inside(const struct iceberg_root *root, const char *path, const char *want)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice rest = SLICE_NONE;
    buf_init(&scratch, KEY_BYTES_MAX);
    bool inside = iceberg_path_inside(root, slice_of(path), &scratch, &rest);
    assert_int_equal(inside, want != NULL);
    if (want)
        assert_true(slice_is(rest, want));
}

/* Aim: paths of a table that lies where it says are keys of its store, in whatever spelling. */
static void test_in_place(void **state)
{
    (void)state;
    struct iceberg_root root =
        root_of("s3://bucket/lake", "silver/t/", "s3a://bucket/lake/silver/t/",
                "s3://bucket/lake/silver/t/metadata/snap.avro");
    assert_false(root.moved);
    check_locate(&root, "s3://bucket/lake/silver/t/data/x", "silver/t/data/x");
    check_locate(&root, "S3N://bucket/lake/silver/t/data/a%20b=c d", "silver/t/data/a%20b=c d");
    check_locate(&root, "s3://bucket/lake/gold/u/x", "gold/u/x");
    check_locate(&root, "s3://bucket/lake/silver/t//data/x", "silver/t//data/x");
    check_locate(&root, "s3://other/data/x", "other:x");
    check_locate(&root, "s3://other/datax", NULL);
    check_locate(&root, "s3://bucket/x", NULL);
    check_locate(&root, "gs://bucket/lake/silver/t/x", NULL);
    check_locate(&root, "data/x", NULL);
    check_locate(&root, "/etc/passwd", NULL);
}

/* Aim: a table that was copied is read where the copy lies, wherever it came from. */
static void test_moved(void **state)
{
    (void)state;
    struct iceberg_root root =
        root_of("file:///lake", "t/", "hdfs://nn:8020/wh/t", "hdfs://nn:8020/wh/t/metadata/s.avro");
    assert_true(root.moved);
    check_locate(&root, "hdfs://nn:8020/wh/t/data/x", "t/data/x");
    check_locate(&root, "/wh/t/data/x", "t/data/x");
    check_locate(&root, "hdfs://nn:8020/wh/t//data/./x", "t/data/x");
    check_locate(&root, "hdfs://nn:8020/wh/t/../u/x", NULL);
    check_locate(&root, "hdfs://nn:8020/wh/tt/x", NULL);
    check_locate(&root, "file:/lake/u/x", "u/x");
    check_locate(&root, "s3://other/data/x", "other:x");
    root = root_of("s3://b", "t/", "data/persistent/t", "data/persistent/t/metadata/s.avro");
    check_locate(&root, "data/persistent/t/data/x", "t/data/x");
    check_locate(&root, "./data/persistent/t/data/x", "t/data/x");
    root = root_of("file:///lake", "t/", "file://data/t", "file://data/t/metadata/s.avro");
    check_locate(&root, "file://data/t/data/x", "t/data/x");
    root = root_of("abfss://c@a.dfs.core.windows.net", "t/", "wasbs://o@a.blob.core.windows.net/t",
                   "");
    check_locate(&root, "abfs://o@a.dfs.core.windows.net/t/x", "t/x");
    check_locate(&root, "abfs://c@a.dfs.core.windows.net/u/x", "u/x");
}

/* Aim: metadata that is written elsewhere than the location does not make a table one that moved;
 * where such a table was copied, its manifests are found beside the metadata. */
static void test_metadata_elsewhere(void **state)
{
    (void)state;
    struct iceberg_root root =
        root_of("s3://b", "meta/t/", "s3://b/data/t", "s3://b/meta/t/metadata/snap.avro");
    assert_false(root.moved);
    check_locate(&root, "s3://b/data/t/x", "data/t/x");
    check_locate(&root, "s3://b/meta/t/metadata/snap.avro", "meta/t/metadata/snap.avro");
    root = root_of("file:///lake", "t/", "s3://b/data/t", "s3://b/meta/t/metadata/snap.avro");
    assert_true(root.moved);
    check_locate(&root, "s3://b/meta/t/metadata/m0.avro", "t/metadata/m0.avro");
}

/* Aim: a data file's path below the table is told as it is written, never decoded. */
static void test_inside(void **state)
{
    (void)state;
    struct iceberg_root root =
        root_of("s3://b", "t/", "s3://b/wh/t/", "s3://b/wh/t/metadata/snap.avro");
    check_inside(&root, "s3://b/wh/t/data/d=a%2Fb/x", "data/d=a%2Fb/x");
    check_inside(&root, "s3a://b/wh/t/data/x", "data/x");
    check_inside(&root, "s3://b/wh/t//data/./x", "data/x");
    check_inside(&root, "s3://b/wh/t/../u/x", NULL);
    check_inside(&root, "s3://b/wh/tt/x", NULL);
    check_inside(&root, "s3://b/wh/t", NULL);
    check_inside(&root, "s3://b/wh/t/", NULL);
    root = root_of("file:///lake", "t/", "/wh/t", "");
    check_inside(&root, "/wh/t/data/x", "data/x");
    check_inside(&root, "file:///wh/t/data/x", "data/x");
    check_inside(&root, "hdfs://nn/wh/t/data/x", "data/x");
    check_inside(&root, "x", NULL);
}

/* Aim: what lies outside has one whole name. */
static void test_name(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"s3n://b/a//x", "s3://b/a//x"},
                                           {"/a//b/../x", "file:///a/x"},
                                           {"file:/a/x", "file:///a/x"},
                                           {"hdfs://nn:1/a/x", "hdfs://nn:1/a/x"}};
    AUTO(buf) struct buf out = {0};
    buf_init(&out, KEY_BYTES_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_int_equal(iceberg_path_name(slice_of(names[i][0]), &out, NULL), 0);
        assert_string_equal(out.data, names[i][1]);
    }
    assert_int_equal(iceberg_path_name(SLICE_LIT("a/x"), &out, NULL), -EIO);
    assert_int_equal(iceberg_path_name(SLICE_LIT("/../x"), &out, NULL), -EIO);
    assert_int_equal(iceberg_path_name(SLICE_LIT(""), &out, NULL), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_metadata_elsewhere),
        cmocka_unit_test(test_inside),
        cmocka_unit_test(test_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
