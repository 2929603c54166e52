/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/iceberg/describe.h"
#include "lake/iceberg/history.h"

#define SCHEMA(id, more) "{\"type\":\"struct\",\"schema-id\":" #id more ",\"fields\":[]}"
#define TABLE(version, location, current_schema, schema_more)                                      \
    "{\"format-version\":2,\"table-uuid\":\"" version "\",\"location\":\"" location                \
    "\",\"last-updated-ms\":7,\"current-schema-id\":" current_schema ",\"schemas\":[" SCHEMA(      \
        0, schema_more) "," SCHEMA(1, "") "],\"default-spec-id\":0,"                               \
                                          "\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}],"
#define SNAPSHOT(id, parent, time, schema)                                                         \
    "{\"snapshot-id\":" #id ",\"parent-snapshot-id\":" #parent ",\"timestamp-ms\":" #time          \
    ",\"schema-id\":" #schema ",\"manifest-list\":\"/t/m" #id                                      \
    "\",\"summary\":{\"operation\":\"append\",\"added-data-files\":\"2\","                         \
    "\"added-files-size\":\"70\",\"engine-name\":\"spark\"}}"
#define LINE(id, time) "{\"timestamp-ms\":" #time ",\"snapshot-id\":" #id "}"
#define REF(name, type, id) "\"" name "\":{\"snapshot-id\":" #id ",\"type\":\"" type "\"}"

/* 5 has expired; 40 is of a branch; main went 5, 10, 30, and back to 10. */
#define BODY                                                                                                        \
    "\"current-snapshot-id\":10,\"snapshots\":[" SNAPSHOT(30, 10, 300, 1) "," SNAPSHOT(10, 5, 100, 0) "," SNAPSHOT( \
        40, 10, 400,                                                                                                \
        1) "],\"refs\":{" REF("main", "branch",                                                                     \
                              10) "," REF("dev", "branch",                                                          \
                                          40) "," REF("v1", "tag",                                                  \
                                                      10) "," REF("gone", "tag",                                    \
                                                                  6) "},"                                           \
                                                                     "\"snapshot-log\":[" LINE(5, 50) "," LINE(     \
                                                                         10,                                        \
                                                                         100) "," LINE(30,                          \
                                                                                       300) "," LINE(10,            \
                                                                                                     350) "]}"

static struct iceberg_metadata *parse(const char *text)
{
    struct iceberg_metadata *m = NULL;
    struct err err = ERR_INIT;
    if (iceberg_metadata_parse(slice_of(text), SLICE_LIT("v1"), &m, &err) < 0)
        fail_msg("%s", err.msg);
    return m;
}

static struct history *history_of(const struct iceberg_metadata *m)
{
    struct history *h = NULL;
    assert_int_equal(iceberg_history_of(m, &h, NULL), 0);
    return h;
}

static int64_t number_at(const struct history *h, int64_t time_ms)
{
    ptrdiff_t position = history_at(h, time_ms, NULL);
    return position < 0 ? -1 : h->at[position].number;
}

/* Aim: snapshots are versions by id; a time is what the log says that main was then. */
static void test_versions_and_times(void **state)
{
    (void)state;
    AUTO(iceberg_metadata) struct iceberg_metadata *m = parse(TABLE("u", "/t", "1", "") BODY);
    AUTO(history) struct history *h = history_of(m);
    assert_int_equal(h->n, 3);
    assert_true(h->numbered && !h->consecutive);
    assert_int_equal(history_find(h, 10), 0);
    assert_int_equal(history_find(h, 30), 1);
    assert_int_equal(history_find(h, 40), 2);
    assert_int_equal(history_find(h, 5), -1);
    assert_int_equal(number_at(h, 49), -1);
    assert_int_equal(number_at(h, 99), -1); /* 5, which has expired */
    assert_int_equal(number_at(h, 100), 10);
    assert_int_equal(number_at(h, 300), 30);
    assert_int_equal(number_at(h, 349), 30);
    assert_int_equal(number_at(h, 1000), 10);
    assert_true(history_has_expired(h, 5));
    assert_true(history_has_expired(h, 6));
    assert_false(history_has_expired(h, 7));
    assert_false(history_has_expired(h, 10));
}

/* Aim: branches and the live path have the table's columns, tags and ids those of their snapshot.
 */
static void test_heads(void **state)
{
    (void)state;
    AUTO(iceberg_metadata) struct iceberg_metadata *m = parse(TABLE("u", "/t", "1", "") BODY);
    AUTO(history) struct history *h = history_of(m);
    assert_int_equal(h->heads_n, 1);
    assert_int_equal(h->live, 3);
    assert_int_equal(h->at[3].number, 10);
    assert_int_equal(h->at[3].schema, 1);
    assert_int_equal(h->at[0].schema, 0);
    assert_true(h->at[3].fingerprint != h->at[0].fingerprint);
    assert_int_equal(h->names_n, 3);
    assert_int_equal(history_named(h, SLICE_LIT("main"))->position, 3);
    assert_int_equal(history_named(h, SLICE_LIT("v1"))->position, 0);
    assert_int_equal(history_named(h, SLICE_LIT("dev"))->position, 2);
    assert_false(history_named(h, SLICE_LIT("v1"))->branch);
    assert_null(history_named(h, SLICE_LIT("gone")));
}

/* Aim: without a log, what was current follows from what the current snapshot descends from. */
static void test_descent(void **state)
{
    (void)state;
    AUTO(iceberg_metadata)
    struct iceberg_metadata *m =
        parse(TABLE("u", "/t", "0", "") "\"current-snapshot-id\":3,\"snapshots\":[" SNAPSHOT(
            1, 3, 10, 0) "," SNAPSHOT(2, 1, 20, 0) "," SNAPSHOT(3, 1, 30, 0) "]}");
    AUTO(history) struct history *h = history_of(m);
    assert_int_equal(number_at(h, 9), -1);
    assert_int_equal(number_at(h, 25), 1); /* 2 is on no way to 3 */
    assert_int_equal(number_at(h, 30), 3);
}

/* Aim: a table without a snapshot on main shows nothing, whatever its branches have. */
static void test_no_main(void **state)
{
    (void)state;
    AUTO(iceberg_metadata)
    struct iceberg_metadata *m = parse(TABLE("u", "/t", "0", "") "\"snapshots\":[" SNAPSHOT(
        1, 0, 10, 0) "],\"refs\":{" REF("dev", "branch", 1) "}}");
    AUTO(history) struct history *h = history_of(m);
    assert_int_equal(h->live, -1);
    assert_int_equal(number_at(h, 1000), -1);
    assert_int_equal(history_named(h, SLICE_LIT("dev"))->position, 0);
}

static uint64_t fingerprint(const char *text)
{
    AUTO(iceberg_metadata) struct iceberg_metadata *m = parse(text);
    return iceberg_history_fingerprint(m, iceberg_metadata_snapshot(m, 10), 0);
}

/* Aim: runs of one table are never taken for another's, nor for those of other columns. */
static void test_fingerprint(void **state)
{
    (void)state;
    uint64_t first = fingerprint(TABLE("u", "/t", "1", "") BODY);
    assert_true(first ==
                fingerprint(TABLE("u", "/t", "0", "") "\"properties\":{\"a\":\"b\"}," BODY));
    assert_true(first != fingerprint(TABLE("v", "/t", "1", "") BODY));
    assert_true(first != fingerprint(TABLE("u", "/u", "1", "") BODY));
    assert_true(first != fingerprint(TABLE("u", "/t", "1", ",\"x\":1") BODY));
    assert_true(first != fingerprint(TABLE("u", "/t", "1",
                                           "") "\"properties\":{"
                                               "\"schema.name-mapping.default\":\"[]\"}," BODY));
}

/* Aim: .tarn tells of each snapshot what it says of itself, and less to who is shown less. */
static void test_describe(void **state)
{
    (void)state;
    AUTO(iceberg_metadata) struct iceberg_metadata *m = parse(TABLE("u", "/t", "1", "") BODY);
    AUTO(history) struct history *h = history_of(m);
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 64 * KIB);
    assert_int_equal(iceberg_describe_history(m, h, 1, false, &out, NULL), 0);
    assert_null(strstr(out.data, "\"version\":10,"));
    assert_non_null(strstr(out.data, "{\"version\":30,\"timestamp\":\"1970-01-01T00:00:00.300Z\","
                                     "\"timestampMs\":300,\"operation\":\"append\""));
    assert_non_null(strstr(out.data, "\"engineInfo\":\"spark\",\"readVersion\":10,"
                                     "\"numAddedFiles\":2,\"numRemovedFiles\":0,"
                                     "\"addedBytes\":70,\"removedBytes\":0"));
    buf_reset(&out);
    assert_int_equal(iceberg_describe_history(m, h, 0, true, &out, NULL), 0);
    assert_null(strstr(out.data, "spark"));
    assert_null(strstr(out.data, "addedBytes"));
    buf_reset(&out);
    assert_int_equal(iceberg_describe_refs(m, h, &out, NULL), 0);
    assert_non_null(strstr(out.data, "{\"name\":\"main\",\"type\":\"branch\",\"version\":10,"));
    assert_non_null(strstr(out.data, "{\"name\":\"v1\",\"type\":\"tag\",\"version\":10,"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions_and_times),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_descent),
        cmocka_unit_test(test_no_main),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_describe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
