/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "lake/delta/schema.h"
#include "lake/delta/schema_type.h"

static struct delta_metadata metadata_of(const char *fields, struct buf *text)
{
    buf_init(text, MIB);
    buf_addf(text, "{\"type\":\"struct\",\"fields\":[%s]}", fields);
    return (struct delta_metadata){.schema = buf_slice(text)};
}

/* The shape as text: names, `stored`, `#id`, types by number, `?` where nullable. */
static void print(const struct shape *s, uint32_t at, struct buf *out)
{
    static const char brackets[][2] = {"", "{}", "[]", "<>"};
    const struct shape_field *f = &s->fields[at];
    buf_addf(out, "%.*s", SLICE_FMT(f->name));
    if (!slice_eq(f->stored, f->name))
        buf_addf(out, "=%.*s", SLICE_FMT(f->stored));
    if (f->id != SHAPE_NO_ID)
        buf_addf(out, "#%d", f->id);
    buf_add_str(out, f->nullable ? "?" : "");
    if (f->kind == SHAPE_LEAF) {
        buf_addf(out, ":%d", f->type);
        if (f->type == SHAPE_DECIMAL)
            buf_addf(out, "(%d,%d)", f->precision, f->scale);
        return;
    }
    buf_add_char(out, brackets[f->kind][0]);
    for (uint32_t i = at + 1; i < f->end; i = s->fields[i].end) {
        buf_add_str(out, i > at + 1 ? " " : "");
        print(s, i, out);
    }
    buf_add_char(out, brackets[f->kind][1]);
}

static void check_shape(const struct delta_metadata *m, enum delta_mapping mapping,
                        const char *want)
{
    struct err err = ERR_INIT;
    AUTO(shape) struct shape *s = NULL;
    AUTO(buf) struct buf out;
    buf_init(&out, MIB);
    if (delta_schema_shape(m, mapping, &s, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(s->match, mapping == DELTA_MAPPING_ID ? SHAPE_BY_ID : SHAPE_BY_NAME);
    print(s, 0, &out);
    assert_string_equal(out.data, want);
}

/* Aim: every type that tables have is the leaf that Parquet readers know it by. */
static void test_types(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int type, precision, scale;
    } cases[] = {
        {"string", SHAPE_STRING, 0, 0},
        {"long", SHAPE_INT64, 0, 0},
        {"integer", SHAPE_INT32, 0, 0},
        {"short", SHAPE_INT16, 0, 0},
        {"byte", SHAPE_INT8, 0, 0},
        {"float", SHAPE_FLOAT, 0, 0},
        {"double", SHAPE_DOUBLE, 0, 0},
        {"boolean", SHAPE_BOOLEAN, 0, 0},
        {"binary", SHAPE_BINARY, 0, 0},
        {"date", SHAPE_DATE, 0, 0},
        {"timestamp", SHAPE_TIMESTAMP, 0, 0},
        {"timestamp_ntz", SHAPE_TIMESTAMP_LOCAL, 0, 0},
        {"variant", SHAPE_VARIANT, 0, 0},
        {"void", SHAPE_UNKNOWN, 0, 0},
        {"char(3)", SHAPE_STRING, 0, 0},
        {"varchar(10)", SHAPE_STRING, 0, 0},
        {"decimal", SHAPE_DECIMAL, 10, 0},
        {"decimal(38,18)", SHAPE_DECIMAL, 38, 18},
        {"decimal(5, 2)", SHAPE_DECIMAL, 5, 2},
        {"interval year to month", SHAPE_INT32, 0, 0},
        {"interval day to second", SHAPE_INT64, 0, 0},
    };
    static const char *const unknown[] = {"geometry(OGC:CRS84)", "decimal(", "decimal(39,0)",
                                          "decimal(5)",          "strings",  ""};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct shape_field f = {.kind = SHAPE_STRUCT};
        assert_int_equal(delta_type_leaf(slice_of(cases[i].name), &f, NULL), 0);
        assert_int_equal(f.kind, SHAPE_LEAF);
        assert_int_equal(f.type, cases[i].type);
        assert_int_equal(f.precision, cases[i].precision);
        assert_int_equal(f.scale, cases[i].scale);
    }
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
        struct shape_field f = {.kind = SHAPE_STRUCT};
        assert_int_equal(delta_type_leaf(slice_of(unknown[i]), &f, NULL), -EOPNOTSUPP);
    }
}

#define NESTED                                                                                     \
    "{\"name\":\"s\",\"type\":{\"type\":\"struct\",\"fields\":[{\"name\":\"a\\u0062\",\"type\":"   \
    "\"long\",\"nullable\":false}]}},"                                                             \
    "{\"type\":{\"type\":\"array\",\"containsNull\":false,\"elementType\":{\"type\":\"map\","      \
    "\"keyType\":\"string\",\"valueType\":{\"type\":\"array\",\"elementType\":\"date\","           \
    "\"containsNull\":true},\"valueContainsNull\":false}},\"nullable\":true,\"name\":\"l\"}"

/* Aim: nested columns keep their order and who may be null; partition columns are left out. */
static void test_nested(void **state)
{
    (void)state;
    AUTO(buf) struct buf text;
    struct slice partition = SLICE_LIT("p");
    struct delta_metadata m =
        metadata_of(NESTED ",{\"name\":\"p\",\"type\":\"string\"},{\"name\":\"z\",\"type\":"
                           "\"decimal(9,3)\",\"nullable\":false}",
                    &text);
    m.partition_columns = (struct delta_list){&partition, 1};
    check_shape(&m, DELTA_MAPPING_NONE, "{s?{ab:4} l?[<:8 [?:12]>] z:7(9,3)}");
}

/* Aim: void columns are in no file and so in no shape, wherever they are. */
static void test_void(void **state)
{
    (void)state;
    AUTO(buf) struct buf text;
    struct delta_metadata m = metadata_of(
        "{\"name\":\"a\",\"type\":\"long\"},{\"name\":\"v\",\"type\":\"void\"},"
        "{\"name\":\"s\",\"type\":{\"type\":\"struct\",\"fields\":[{\"name\":\"v\",\"type\":"
        "\"void\"},{\"name\":\"b\",\"type\":\"long\"}]}},"
        "{\"name\":\"t\",\"type\":{\"type\":\"struct\",\"fields\":[{\"name\":\"v\",\"type\":"
        "\"void\"}]}},{\"name\":\"l\",\"type\":{\"type\":\"array\",\"elementType\":\"void\"}}",
        &text);
    check_shape(&m, DELTA_MAPPING_NONE, "{a?:4 s?{b?:4}}");
}

#define MAPPED(id, physical)                                                                       \
    "{\"name\":\"a\",\"type\":\"long\",\"nullable\":true,\"metadata\":{\"delta.columnMapping."     \
    "id\":" #id ",\"delta.columnMapping.physicalName\":\"" physical "\",\"comment\":\"c\"}}"

/* Aim: under column mapping fields are found by physical name or id; without, by their names,
 * whatever is noted with them. */
static void test_mapped(void **state)
{
    (void)state;
    AUTO(buf) struct buf text, lacks;
    struct shape *s = NULL;
    struct delta_metadata m = metadata_of(MAPPED(7, "col-1"), &text);
    check_shape(&m, DELTA_MAPPING_NAME, "{a=col-1#7?:4}");
    check_shape(&m, DELTA_MAPPING_ID, "{a=col-1#7?:4}");
    check_shape(&m, DELTA_MAPPING_NONE, "{a?:4}");
    struct delta_metadata bad = metadata_of("{\"name\":\"a\",\"type\":\"long\"}", &lacks);
    assert_int_equal(delta_schema_shape(&bad, DELTA_MAPPING_NAME, &s, NULL), -EIO);
    buf_done(&lacks);
    bad = metadata_of(MAPPED(4294967296, "x"), &lacks);
    assert_int_equal(delta_schema_shape(&bad, DELTA_MAPPING_NAME, &s, NULL), -EIO);
}

/* Aim: a schema that is damaged, or cannot be presented, is told as what it is. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        int rc;
    } cases[] = {
        {"{\"name\":\"a\",\"type\":\"geometry\"}", -EOPNOTSUPP},
        {"{\"name\":\"a\",\"type\":{\"type\":\"cube\"}}", -EOPNOTSUPP},
        {"{\"name\":\"a\"}", -EIO},
        {"{\"type\":\"long\"}", -EIO},
        {"{\"name\":\"a\",\"type\":{\"type\":\"array\"}}", -EIO},
        {"{\"name\":\"a\",\"type\":\"lo", -EIO},
        {"", -EOPNOTSUPP}, /* no columns */
    };
    struct shape *s = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(buf) struct buf text;
        struct err err = ERR_INIT;
        struct delta_metadata m = metadata_of(cases[i].fields, &text);
        assert_int_equal(delta_schema_shape(&m, DELTA_MAPPING_NONE, &s, &err), cases[i].rc);
        assert_int_equal(err.code, -cases[i].rc);
    }
    AUTO(buf) struct buf deep;
    buf_init(&deep, MIB);
    for (int i = 0; i < 200; i++)
        buf_add_str(&deep,
                    i ? "{\"type\":\"array\",\"elementType\":" : "{\"name\":\"a\",\"type\":");
    buf_add_str(&deep, "\"long\"");
    for (int i = 0; i < 200; i++)
        buf_add_char(&deep, '}');
    AUTO(buf) struct buf text;
    struct delta_metadata m = metadata_of(deep.data, &text);
    assert_int_equal(delta_schema_shape(&m, DELTA_MAPPING_NONE, &s, NULL), -EOVERFLOW);
    assert_null(s);
    m.schema = SLICE_NONE; /* told later */
    assert_int_equal(delta_schema_shape(&m, DELTA_MAPPING_NONE, &s, NULL), 0);
    assert_null(s);
}

/* Aim: the hash is that of the columns: comments do not change it, all that readers see does. */
static void test_hash(void **state)
{
    (void)state;
    static const char *const others[] = {
        "{\"name\":\"b\",\"type\":\"long\"}", "{\"name\":\"a\",\"type\":\"integer\"}",
        "{\"name\":\"a\",\"type\":\"long\",\"nullable\":false}",
        "{\"name\":\"a\",\"type\":\"long\"},{\"name\":\"p\",\"type\":\"long\"}"};
    AUTO(buf) struct buf plain, commented, one, two;
    struct slice partition = SLICE_LIT("p");
    struct delta_metadata m = metadata_of("{\"name\":\"a\",\"type\":\"long\"}", &plain);
    struct delta_metadata c = metadata_of(MAPPED(1, "x"), &commented);
    uint64_t hash = delta_schema_hash(&m, DELTA_MAPPING_NONE);
    assert_int_equal(delta_schema_hash(&c, DELTA_MAPPING_NONE), hash);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        AUTO(buf) struct buf text;
        struct delta_metadata o = metadata_of(others[i], &text);
        assert_int_not_equal(delta_schema_hash(&o, DELTA_MAPPING_NONE), hash);
        o.partition_columns = (struct delta_list){&partition, 1};
        assert_int_not_equal(delta_schema_hash(&o, DELTA_MAPPING_NONE), hash);
    }
    struct delta_metadata x = metadata_of(MAPPED(1, "x"), &one),
                          y = metadata_of(MAPPED(1, "y"), &two);
    assert_int_not_equal(delta_schema_hash(&x, DELTA_MAPPING_NAME),
                         delta_schema_hash(&y, DELTA_MAPPING_NAME));
    assert_int_not_equal(delta_schema_hash(&x, DELTA_MAPPING_NAME),
                         delta_schema_hash(&x, DELTA_MAPPING_ID));
    /* Of what makes no shape, the text. */
    m.schema = SLICE_LIT("{\"fields\":[{\"name\":\"a\",\"type\":\"geometry\"}]}");
    c.schema = SLICE_LIT("{\"fields\":[{\"name\":\"b\",\"type\":\"geometry\"}]}");
    assert_int_not_equal(delta_schema_hash(&m, DELTA_MAPPING_NONE),
                         delta_schema_hash(&c, DELTA_MAPPING_NONE));
}

/* Aim: the mode counts where the protocol has column mapping: reader version 2, or the feature. */
static void test_mode(void **state)
{
    (void)state;
    struct delta_pair mode = {SLICE_LIT("delta.columnMapping.mode"), SLICE_LIT("NAME"), false};
    struct delta_metadata m = {.configuration = {&mode, 1}};
    struct slice feature = SLICE_LIT("columnMapping");
    struct delta_protocol one = {.reader = 1}, two = {.reader = 2}, three = {.reader = 3};
    struct delta_protocol with = {.reader = 3, .reader_features = {&feature, 1}};
    enum delta_mapping mapping;
    const struct {
        const struct delta_protocol *protocol;
        enum delta_mapping want;
    } cases[] = {{NULL, DELTA_MAPPING_NONE},
                 {&one, DELTA_MAPPING_NONE},
                 {&two, DELTA_MAPPING_NAME},
                 {&three, DELTA_MAPPING_NONE},
                 {&with, DELTA_MAPPING_NAME}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(delta_schema_mapping(&m, cases[i].protocol, &mapping, NULL), 0);
        assert_int_equal(mapping, cases[i].want);
    }
    mode.value = SLICE_LIT("id");
    assert_int_equal(delta_schema_mapping(&m, &two, &mapping, NULL), 0);
    assert_int_equal(mapping, DELTA_MAPPING_ID);
    mode.value = SLICE_LIT("none");
    assert_int_equal(delta_schema_mapping(&m, &two, &mapping, NULL), 0);
    assert_int_equal(mapping, DELTA_MAPPING_NONE);
    mode.value = SLICE_LIT("position");
    assert_int_equal(delta_schema_mapping(&m, &two, &mapping, NULL), -EOPNOTSUPP);
}

/* Aim: partition columns are told with their types and ids, in the order of partition values. */
static void test_partitions(void **state)
{
    (void)state;
    static const char *const fields =
        "{\"name\":\"a\",\"type\":\"long\"},"
        "{\"name\":\"day\",\"type\":\"date\",\"metadata\":{\"delta.columnMapping.id\":3,"
        "\"delta.columnMapping.physicalName\":\"col-3\"}},"
        "{\"name\":\"s\",\"type\":{\"type\":\"struct\",\"fields\":[{\"name\":\"x\","
        "\"type\":\"long\"}]}},"
        "{\"name\":\"region\",\"type\":\"string\",\"nullable\":false}";
    struct slice names[] = {SLICE_LIT("region"), SLICE_LIT("day"), SLICE_LIT("s")};
    AUTO(buf) struct buf text, out;
    AUTO(shape) struct shape *s = NULL;
    struct delta_metadata m = metadata_of(fields, &text);
    buf_init(&out, MIB);
    assert_int_equal(delta_schema_partitions(&m, DELTA_MAPPING_NONE, &s, NULL), 0);
    assert_null(s);
    m.partition_columns = (struct delta_list){names, 2};
    assert_int_equal(delta_schema_partitions(&m, DELTA_MAPPING_NONE, &s, NULL), 0);
    print(s, 0, &out);
    assert_string_equal(out.data, "{region:8 day?:12}");
    shape_unref(STEAL(s));

    m.partition_columns.n = 3; /* a struct, which no path can say */
    assert_int_equal(delta_schema_partitions(&m, DELTA_MAPPING_NONE, &s, NULL), -EIO);
    names[1] = SLICE_LIT("gone");
    assert_int_equal(delta_schema_partitions(&m, DELTA_MAPPING_NONE, &s, NULL), -EIO);
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),   cmocka_unit_test(test_nested),
        cmocka_unit_test(test_void),    cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_hash),
        cmocka_unit_test(test_mode),    cmocka_unit_test(test_partitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
