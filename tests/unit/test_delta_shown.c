/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a Delta table to who sees a part of its columns. */
#include "tests/unit/delta_fixture.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "lake/delta/describe.h"
#include "lake/delta/schema_shown.h"

#define LEAF(name, type)                                                                           \
    "{\"name\":\"" name "\",\"type\":\"" type                                                      \
    "\",\"nullable\":true,\"metadata\":{\"comment\":\"of the secret\",\"delta."                    \
    "generationExpression\":\"secret + 1\"}}"
#define FIELD(name, type)                                                                          \
    "{\"metadata\":{},\"type\":" type ",\"nullable\":false,\"name\":\"" name "\"}"
#define STRUCT(fields) "{\"type\":\"struct\",\"fields\":[" fields "]}"
#define LIST(type) "{\"containsNull\":false,\"elementType\":" type ",\"type\":\"array\"}"
#define MAP(key, value)                                                                            \
    "{\"type\":\"map\",\"keyType\":" key ",\"valueType\":" value ",\"valueContainsNull\":true}"

#define ADDRESS STRUCT(LEAF("street", "string") "," LEAF("c\\u00edty", "string"))
#define PAIR STRUCT(LEAF("a", "decimal(10,2)") "," LEAF("b", "binary"))
#define POINT STRUCT(LEAF("x", "float") "," LEAF("y", "float"))
#define USER_DEFINED "{\"type\":\"udt\",\"class\":\"secret\",\"sqlType\":" POINT "}"
#define FLAT LEAF("id", "long") "," LEAF("secret", "string") "," LEAF("day", "date")
#define NESTED                                                                                     \
    FIELD("address", ADDRESS)                                                                      \
    "," FIELD("list", LIST(PAIR)) "," FIELD("map", MAP("\"string\"", LIST("\"double\"")))
#define ODD LEAF("nothing", "void") "," FIELD("udt", USER_DEFINED) "," LEAF("last", "timestamp_ntz")
static const char schema[] = STRUCT(FLAT "," NESTED "," ODD);

static struct delta_column day = {.name = {"day", 3}};
static const struct delta_columns partitions = {&day, 1};

static struct shape *shape_of(const char *text)
{
    struct delta_metadata m = {.schema = slice_of(text)};
    struct slice name = SLICE_LIT("day");
    struct shape *s = NULL;
    struct err err = ERR_INIT;
    m.partition_columns.at = &name;
    m.partition_columns.n = 1;
    if (delta_schema_shape(&m, DELTA_MAPPING_NONE, &s, &err) < 0)
        fail_msg("%s", err.msg);
    return s;
}

/* The subtree at `at` without the fields that `hidden` has; false: nothing of it is left. */
static bool copy(const struct shape *s, uint32_t at, const bool *hidden, struct shape_builder *b)
{
    const struct shape_field *f = &s->fields[at];
    bool any = f->kind == SHAPE_LEAF;
    for (uint32_t i = at + 1; i < f->end; i = s->fields[i].end)
        any |= !hidden[i];
    if (!any)
        return false;
    if (at)
        shape_add(b, f);
    for (uint32_t i = at + 1; i < f->end; i = s->fields[i].end)
        if (!hidden[i])
            (void)copy(s, i, hidden, b); /* of itself it is not empty: settle */
    if (at && f->kind != SHAPE_LEAF)
        shape_end(b);
    return true;
}

/* Structs of which all is hidden are hidden; lists and maps go with any part of theirs. */
static void settle(const struct shape *s, bool *hidden)
{
    for (uint32_t at = (uint32_t)s->fields_n; at-- > 1;) {
        const struct shape_field *f = &s->fields[at];
        bool all = f->kind != SHAPE_LEAF, some = false;
        for (uint32_t i = at + 1; i < f->end; i = s->fields[i].end) {
            all &= hidden[i];
            some |= hidden[i];
        }
        hidden[at] |= f->kind == SHAPE_STRUCT ? all : f->kind != SHAPE_LEAF && some;
    }
}

static void print(const struct shape *s, uint32_t at, struct buf *out)
{
    const struct shape_field *f = &s->fields[at];
    buf_addf(out, "%.*s:%d.%d%s(", SLICE_FMT(f->name), f->kind, f->type, f->nullable ? "?" : "");
    for (uint32_t i = at + 1; i < f->end; i = s->fields[i].end)
        print(s, i, out);
    buf_add_char(out, ')');
}

static void assert_same(const struct shape *a, const struct shape *b)
{
    AUTO(buf) struct buf x = {0}, y = {0};
    buf_init(&x, MIB);
    buf_init(&y, MIB);
    print(a, 0, &x);
    print(b, 0, &y);
    assert_string_equal(x.data, y.data);
}

/* Aim: whichever columns are hidden, the schema that is told is that of the others. */
static void test_any_part(void **state)
{
    (void)state;
    unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : (unsigned)clock_real_ms();
    AUTO(shape) struct shape *all = shape_of(schema);
    print_message("SEED=%u\n", seed);
    for (int round = 0; round < 2000; round++) {
        AUTO(shape) struct shape *part = NULL, *again = NULL;
        AUTO(shape_builder) struct shape_builder b;
        AUTO(buf) struct buf out = {0};
        struct err err = ERR_INIT;
        bool hidden[1000] = {false};
        for (size_t i = 1; i < all->fields_n; i++)
            hidden[i] = rand_r(&seed) % 4 == 0;
        settle(all, hidden);
        shape_builder_init(&b, SHAPE_BY_NAME);
        if (!copy(all, 0, hidden, &b))
            continue;
        assert_int_equal(shape_finish(&b, &part, &err), 0);
        buf_init(&out, MIB);
        if (delta_schema_shown(slice_of(schema), &partitions, part, &out, &err) < 0)
            fail_msg("%s", err.msg);
        again = shape_of(out.data);
        assert_same(part, again);
        assert_non_null(strstr(out.data, "{\"name\":\"day\",\"type\":\"date\""));
        if (hidden[2])
            assert_null(strstr(out.data, "secret")); /* nor in comments and expressions */
        assert_null(strstr(out.data, "expression"));
    }
}

/* Aim: columns of another schema are an error, and nothing is told that was not meant. */
static void test_another_schema(void **state)
{
    (void)state;
    AUTO(shape) struct shape *all = shape_of(schema);
    static const char *const others[] = {STRUCT(LEAF("id", "long")),
                                         STRUCT(""),
                                         "{}",
                                         "\"long\"",
                                         "[]",
                                         "",
                                         STRUCT(FIELD("id", STRUCT(LEAF("secret", "string")))),
                                         STRUCT("{\"name\":3}"),
                                         STRUCT("{\"name\":\"id\"}"),
                                         "{\"type\":\"struct\",\"fields\":[{"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        AUTO(buf) struct buf out = {0};
        struct err err = ERR_INIT;
        buf_init(&out, MIB);
        assert_int_equal(delta_schema_shown(slice_of(others[i]), &partitions, all, &out, &err),
                         -EIO);
        assert_true(err.msg[0]);
    }
}

/* Aim: of a part of a table the history tells when which operation was, and nothing of rows. */
static void test_history(void **state)
{
    struct fixture *f = *state;
    AUTO(buf) struct buf out = {0};
    struct json j;
    buf_init(&out, MIB);
    commit(f, 0,
           "{\"commitInfo\":{\"timestamp\":1,\"operation\":\"DELETE\",\"operationParameters\":{"
           "\"predicate\":\"ssn = 'canary'\"},\"userName\":\"canary\",\"engineInfo\":\"canary\","
           "\"userMetadata\":\"canary\"}}\n" FIRST,
           100);
    commit(f, 1, "{\"commitInfo\":{\"operation\":{\"a\":\"canary\"}}}\n" REMOVE("a"), 200);
    AUTO(history) struct history *h = history(f, NULL);
    assert_int_equal(delta_ops.describe_history(f->driver, h, 0, true, &out, &f->err), 0);
    json_init(&j, buf_slice(&out));
    assert_true(json_skip(&j, NULL) && json_at_end(&j));
    assert_non_null(strstr(out.data, "\"operation\":\"DELETE\",\"dataChange\":true"));
    assert_null(strstr(out.data, "canary"));
    assert_null(strstr(out.data, "num"));
}

/* Aim: of the properties of a part of a table only those are told that can name no column. */
static void test_properties(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = {0};
    struct err err = ERR_INIT;
    struct json j;
    struct slice meta = SLICE_LIT(
        "{\"id\":\"i\",\"protocol\":{\"minReaderVersion\":1},\"configuration\":{"
        "\"delta.constraints.c\":\"ssn <> 'canary'\",\"delta.appendOnly\":\"true\","
        "\"delta.dataSkippingStatsColumns\":\"canary\",\"owner\":\"canary\","
        "\"delta.logRetentionDuration\":{\"x\":\"canary\"},\"delta.checkpointInterval\":\"10\"}}");
    buf_init(&out, MIB);
    assert_int_equal(delta_describe_properties(meta, true, &out, &err), 0);
    assert_string_equal(out.data,
                        "{\"id\":\"i\",\"protocol\":{\"minReaderVersion\":1},\"configuration\":{"
                        "\"delta.appendOnly\":\"true\",\"delta.checkpointInterval\":\"10\"}}\n");
    json_init(&j, buf_slice(&out));
    assert_true(json_skip(&j, NULL) && json_at_end(&j));
    buf_reset(&out);
    assert_int_equal(delta_describe_properties(meta, false, &out, &err), 0);
    assert_non_null(strstr(out.data, "delta.constraints.c"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_part),
        cmocka_unit_test(test_another_schema),
        cmocka_unit_test_setup_teardown(test_history, set_up, tear_down),
        cmocka_unit_test(test_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
