/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/iceberg/former.h"
#include "lake/iceberg/metadata.h"

#define SCHEMA(id) "{\"type\":\"struct\",\"schema-id\":" #id ",\"fields\":[]}"
#define HEAD                                                                                       \
    "\"table-uuid\":\"u\",\"location\":\"s3://b/t\",\"last-updated-ms\":7,"                        \
    "\"last-sequence-number\":3,\"current-schema-id\":1,\"schemas\":[" SCHEMA(1) "," SCHEMA(       \
        0) "],\"default-spec-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}]"
#define V2 "{\"format-version\":2," HEAD
#define SNAPSHOT(id, time, more)                                                                   \
    "{\"snapshot-id\":" #id ",\"timestamp-ms\":" #time ",\"manifest-list\":\"s3://b/t/m" #id       \
    "\"" more "}"

static struct iceberg_metadata *parse(const char *text)
{
    struct iceberg_metadata *m = NULL;
    struct err err = ERR_INIT;
    if (iceberg_metadata_parse(slice_of(text), SLICE_LIT("v1.metadata.json"), &m, &err) < 0)
        fail_msg("%s", err.msg);
    return m;
}

static void check_fails(const char *text, int rc, const char *why)
{
    struct iceberg_metadata *m = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(
        iceberg_metadata_parse(slice_of(text), SLICE_LIT("v1.metadata.json"), &m, &err), rc);
    assert_null(m);
    if (!strstr(err.msg, why))
        fail_msg("'%s' does not say '%s'", err.msg, why);
}

/* clang-format off */
static const char whole[] = V2 ",\"current-snapshot-id\":12,\"snapshots\":["
    SNAPSHOT(12, 200, ",\"parent-snapshot-id\":11,\"sequence-number\":2,\"schema-id\":1,"
                      "\"summary\":{\"operation\":\"append\",\"added-data-files\":\"1\"}") ","
    SNAPSHOT(11, 100, ",\"schema-id\":0") "],"
    "\"refs\":{\"main\":{\"snapshot-id\":12,\"type\":\"branch\"},"
    "\"a\\u00e4\":{\"snapshot-id\":11,\"type\":\"tag\",\"max-ref-age-ms\":5}},"
    "\"snapshot-log\":[{\"timestamp-ms\":100,\"snapshot-id\":11},"
    "{\"timestamp-ms\":200,\"snapshot-id\":12}],"
    "\"metadata-log\":[{\"timestamp-ms\":100,\"metadata-file\":\"s3://b/t/metadata/v0\"}],"
    "\"properties\":{\"z\":\"1\",\"a.b\":\"two\"},\"statistics\":[{\"x\":[1]}]}";
/* clang-format on */

/* Aim: what a metadata file of version 2 says is found by ids and names. */
static void test_whole(void **state)
{
    (void)state;
    AUTO(iceberg_metadata) struct iceberg_metadata *m = parse(whole);
    assert_int_equal(m->format_version, 2);
    assert_int_equal(m->last_sequence, 3);
    assert_int_equal(m->snapshots_n, 2);
    assert_int_equal(m->snapshots[0].id, 11);
    assert_int_equal(m->snapshots[0].parent, ICEBERG_NONE);
    const struct iceberg_snapshot *s = iceberg_metadata_snapshot(m, 12);
    assert_int_equal(s->parent, 11);
    assert_int_equal(s->schema_id, 1);
    assert_true(slice_is(s->operation, "append"));
    assert_true(slice_is(s->summary, "{\"operation\":\"append\",\"added-data-files\":\"1\"}"));
    assert_true(slice_is(s->manifest_list, "s3://b/t/m12"));
    assert_null(iceberg_metadata_snapshot(m, 13));
    assert_int_equal(m->refs_n, 2);
    assert_true(slice_is(m->refs[0].name, "a\xc3\xa4"));
    assert_false(m->refs[0].branch);
    assert_int_equal(m->refs[0].max_age_ms, 5);
    assert_int_equal(m->moments_n, 2);
    assert_int_equal(m->older_n, 1);
    assert_true(slice_is(iceberg_metadata_property(m, "a.b"), "two"));
    assert_int_equal(iceberg_metadata_property(m, "b").n, 0);
    assert_int_equal(iceberg_metadata_schema(m, 0)->id, 0);
    assert_null(iceberg_metadata_schema(m, 2));
}

/* Aim: a table of version 1 says its one schema and spec, and a snapshot may name its manifests. */
static void test_version_1(void **state)
{
    (void)state;
    AUTO(iceberg_metadata)
    struct iceberg_metadata *m = parse(
        "{\"format-version\":1,\"location\":\"/t\",\"last-updated-ms\":7,"
        "\"schema\":{\"type\":\"struct\",\"fields\":[]},\"partition-spec\":["
        "{\"name\":\"a\",\"transform\":\"identity\",\"source-id\":3},"
        "{\"name\":\"b\",\"transform\":\"bucket[4]\",\"source-ids\":[3,4],\"field-id\":1007}],"
        "\"current-snapshot-id\":5,\"snapshots\":[{\"snapshot-id\":5,\"timestamp-ms\":9,"
        "\"manifests\":[\"/t/metadata/a.avro\",\"/t/metadata/b.avro\"]}]}");
    const struct iceberg_spec *spec = iceberg_metadata_spec(m, 0);
    assert_int_equal(spec->n, 2);
    assert_int_equal(spec->fields[0].field_id, 1000);
    assert_int_equal(spec->fields[0].source_id, 3);
    assert_int_equal(spec->fields[1].field_id, 1007);
    assert_int_equal(spec->fields[1].source_id, SHAPE_NO_ID);
    assert_int_equal(m->snapshots[0].manifests_n, 2);
    assert_true(slice_is(m->snapshots[0].manifests[1], "/t/metadata/b.avro"));
    assert_int_equal(m->snapshots[0].manifest_list.n, 0);
    assert_int_equal(m->refs_n, 1);
    assert_true(slice_is(m->refs[0].name, "main"));
    assert_int_equal(m->refs[0].snapshot, 5);
    assert_int_equal(iceberg_metadata_schema_of(m, &m->snapshots[0]), 0);
}

/* Aim: a table without a snapshot, told in any of the ways that writers have. */
static void test_empty(void **state)
{
    (void)state;
    static const char *const texts[] = {
        V2 "}",
        V2 ",\"current-snapshot-id\":null,\"snapshots\":null,\"refs\":null,\"snapshot-log\":null}",
        V2 ",\"current-snapshot-id\":-1,\"snapshots\":[],\"refs\":{},\"properties\":{}}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        AUTO(iceberg_metadata) struct iceberg_metadata *m = parse(texts[i]);
        assert_int_equal(m->current_snapshot, ICEBERG_NONE);
        assert_int_equal(m->snapshots_n + m->refs_n + m->moments_n, 0);
    }
}

/* Aim: what was current at a time is the last line of the log that is not after it, in the order in
 * which the lines were written. */
static void test_log_order(void **state)
{
    (void)state;
    AUTO(iceberg_metadata)
    struct iceberg_metadata *m = parse(
        V2 ",\"snapshot-log\":[{\"timestamp-ms\":10,\"snapshot-id\":1},"
           "{\"timestamp-ms\":50,\"snapshot-id\":2},{\"timestamp-ms\":30,\"snapshot-id\":3},"
           "{\"timestamp-ms\":30,\"snapshot-id\":4},{\"timestamp-ms\":60,\"snapshot-id\":1}]}");
    assert_int_equal(m->moments_n, 3);
    assert_int_equal(m->moments[0].snapshot, 1);
    assert_int_equal(m->moments[1].snapshot, 4);
    assert_int_equal(m->moments[1].timestamp_ms, 30);
    assert_int_equal(m->moments[2].snapshot, 1);
}

/* Aim: versions that are not known are refused, wherever they are told and whatever else is there.
 */
static void test_later_versions(void **state)
{
    (void)state;
    check_fails("{\"schemas\":7,\"format-version\":4}", -EOPNOTSUPP, "version 4");
    check_fails("{\"format-version\":0}", -EIO, "format version");
    check_fails("{}", -EIO, "format version");
    AUTO(iceberg_metadata)
    struct iceberg_metadata *m =
        parse("{\"format-version\":3,\"next-row-id\":6," HEAD
              ",\"snapshots\":[" SNAPSHOT(1, 2, ",\"first-row-id\":4,\"key-id\":\"k\"") "]}");
    assert_int_equal(m->snapshots[0].first_row_id, 4);
    assert_true(slice_is(m->snapshots[0].key_id, "k"));
}

/* Aim: what is damaged or contradicts itself is refused, by name of the file and with the reason.
 */
static void test_damage(void **state)
{
    (void)state;
    check_fails("", -EIO, "v1.metadata.json");
    check_fails(V2, -EIO, "byte");
    check_fails("{\"format-version\":2}", -EIO, "when it was written");
    check_fails("{\"format-version\":2,\"last-updated-ms\":1}", -EIO, "location");
    check_fails(V2 ",\"current-schema-id\":9}", -EIO, "schema 9");
    check_fails(V2 ",\"default-spec-id\":9}", -EIO, "spec 9");
    check_fails(V2 ",\"current-snapshot-id\":1}", -EIO, "snapshot 1");
    check_fails(V2 ",\"snapshots\":[" SNAPSHOT(1, 2, "") "," SNAPSHOT(1, 3, "") "]}", -EIO,
                "two snapshots");
    check_fails(V2 ",\"snapshots\":[{\"snapshot-id\":1,\"timestamp-ms\":2}]}", -EIO, "manifests");
    check_fails(V2 ",\"snapshots\":[{\"timestamp-ms\":2}]}", -EIO, "without id");
    check_fails(V2 ",\"current-snapshot-id\":1,\"snapshots\":[" SNAPSHOT(1, 2, "") "," SNAPSHOT(
                    2, 3, "") "],\"refs\":{\"main\":{\"snapshot-id\":2,\"type\":\"branch\"}}}",
                -EIO, "'main' is 2");
    check_fails(V2 ",\"refs\":{\"x\":{\"snapshot-id\":2,\"type\":\"wish\"}}}", -EIO, "neither");
    check_fails(V2 ",\"partition-specs\":[{\"spec-id\":0,\"fields\":[{\"name\":\"a\"}]}]}", -EIO,
                "partition field");
    check_fails(V2 ",\"current-schema-id\":5000000000}", -EIO, "32 bits");
}

/* Aim: every name that a column has or had is known by its id, at any depth, once. */
static void test_former_names(void **state)
{
    (void)state;
    AUTO(iceberg_metadata)
    struct iceberg_metadata *m =
        parse("{\"format-version\":1,\"location\":\"/t\",\"last-updated-ms\":7,"
              "\"partition-spec\":[],\"current-schema-id\":1,\"schemas\":["
              "{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
              "{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":\"int\",\"doc\":\"x\"},"
              "{\"id\":2,\"name\":\"m\",\"required\":true,\"type\":{\"type\":\"map\",\"key-id\":3,"
              "\"key\":\"string\",\"value-id\":4,\"value-required\":false,\"value\":"
              "{\"type\":\"struct\",\"fields\":[{\"id\":5,\"name\":\"old \\\"n\\\"\","
              "\"required\":false,\"type\":\"date\"}]}}}]},"
              "{\"type\":\"struct\",\"schema-id\":1,\"fields\":["
              "{\"id\":1,\"name\":\"b\",\"required\":true,\"type\":\"int\"}]}]}");
    AUTO(buf) struct buf out = {0};
    AUTO(former) struct former *former = former_new(NULL);
    buf_init(&out, KIB);
    assert_int_equal(iceberg_former_format(m, &out, NULL), 0);
    assert_int_equal(former_parse(former, buf_slice(&out), NULL), 0);
    const struct former_name *a = former_names(former, 1);
    assert_true(slice_is(a->name, "a"));
    assert_true(slice_is(a->same_id->name, "b"));
    assert_null(a->same_id->same_id);
    assert_true(slice_is(former_names(former, 5)->name, "old \"n\""));
    assert_null(former_names(former, 3));
    assert_int_equal(former_parse(former, SLICE_LIT("[[1,"), NULL), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),          cmocka_unit_test(test_version_1),
        cmocka_unit_test(test_empty),          cmocka_unit_test(test_log_order),
        cmocka_unit_test(test_later_versions), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_former_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
