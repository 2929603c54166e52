/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/text.h"
#include "lake/iceberg/name_mapping.h"
#include "lake/iceberg/schema.h"

/* In schemas of tests ' stands for ". */
static void put_json(struct buf *out, const char *text)
{
    buf_init(out, MIB);
    for (; *text; text++)
        buf_add_char(out, *text == '\'' ? '"' : *text);
}

static int shape_of(const char *fields, const char *mapping, struct shape **out, struct err *err)
{
    AUTO(buf) struct buf json, names;
    AUTO(buf) struct buf schema = {0};
    buf_init(&schema, MIB);
    buf_addf(&schema, "{'type':'struct','schema-id':0,'fields':[%s]}", fields);
    put_json(&json, schema.data);
    put_json(&names, mapping);
    return iceberg_schema_shape(buf_slice(&json), buf_slice(&names), out, err);
}

/* `name#id`, types by number, `?` where nullable, constants in hex, a mapping's names. */
static void print(const struct shape *s, uint32_t at, struct buf *out)
{
    static const char brackets[][2] = {"", "{}", "[]", "<>"};
    const struct shape_field *f = &s->fields[at];
    buf_addf(out, "%.*s", SLICE_FMT(f->name));
    if (f->id != SHAPE_NO_ID)
        buf_addf(out, "#%d", f->id);
    buf_add_str(out, f->nullable ? "?" : "");
    for (uint32_t i = 0; i < f->names_n; i++)
        buf_addf(out, "|%.*s", SLICE_FMT(f->names[i]));
    if (f->has_constant) {
        buf_add_char(out, '=');
        text_hex(out, f->constant.p, f->constant.n);
    }
    if (f->kind == SHAPE_LEAF) {
        buf_addf(out, ":%d", f->type);
        return;
    }
    buf_add_char(out, brackets[f->kind][0]);
    for (uint32_t i = at + 1; i < f->end; i = s->fields[i].end) {
        buf_add_str(out, i > at + 1 ? " " : "");
        print(s, i, out);
    }
    buf_add_char(out, brackets[f->kind][1]);
}

static void check_shape(const char *fields, const char *mapping, const char *want)
{
    struct err err = ERR_INIT;
    AUTO(shape) struct shape *s = NULL;
    AUTO(buf) struct buf out;
    buf_init(&out, MIB);
    if (shape_of(fields, mapping, &s, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(s->match, *mapping ? SHAPE_BY_MAPPING : SHAPE_BY_ID_ALONE);
    print(s, 0, &out);
    assert_string_equal(out.data, want);
}

static void check_refused(const char *fields, const char *mapping, int code, const char *words)
{
    struct err err = ERR_INIT;
    AUTO(shape) struct shape *s = NULL;
    assert_int_equal(shape_of(fields, mapping, &s, &err), -code);
    if (!strstr(err.msg, words))
        fail_msg("'%s' is not in '%s'", words, err.msg);
}

/* Aim: every primitive type of versions 1 to 3 is the leaf that Parquet readers know it by. */
static void test_types(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int type, precision, scale;
        uint32_t length;
    } cases[] = {
        {"boolean", SHAPE_BOOLEAN, 0, 0, 0},
        {"int", SHAPE_INT32, 0, 0, 0},
        {"long", SHAPE_INT64, 0, 0, 0},
        {"float", SHAPE_FLOAT, 0, 0, 0},
        {"double", SHAPE_DOUBLE, 0, 0, 0},
        {"decimal(9,2)", SHAPE_DECIMAL, 9, 2, 0},
        {"decimal(38, 10)", SHAPE_DECIMAL, 38, 10, 0},
        {"date", SHAPE_DATE, 0, 0, 0},
        {"time", SHAPE_TIME, 0, 0, 0},
        {"timestamp", SHAPE_TIMESTAMP_LOCAL, 0, 0, 0},
        {"timestamptz", SHAPE_TIMESTAMP, 0, 0, 0},
        {"timestamp_ns", SHAPE_TIMESTAMP_LOCAL_NS, 0, 0, 0},
        {"timestamptz_ns", SHAPE_TIMESTAMP_NS, 0, 0, 0},
        {"string", SHAPE_STRING, 0, 0, 0},
        {"uuid", SHAPE_UUID, 0, 0, 0},
        {"fixed[16]", SHAPE_FIXED, 0, 0, 16},
        {"binary", SHAPE_BINARY, 0, 0, 0},
        {"unknown", SHAPE_UNKNOWN, 0, 0, 0},
        {"variant", SHAPE_VARIANT, 0, 0, 0},
        {"geometry", SHAPE_GEOMETRY, 0, 0, 0},
        {"geometry(OGC:CRS84)", SHAPE_GEOMETRY, 0, 0, 0},
        {"geometry(srid:4326)", SHAPE_GEOMETRY, 0, 0, 1},
        {"geography(OGC:CRS84, spherical)", SHAPE_GEOGRAPHY, 0, 0, 0},
        {"geography(OGC:CRS84, karney)", SHAPE_GEOGRAPHY, 0, 0, 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(shape) struct shape *s = NULL;
        char fields[200];
        (void)snprintf(fields, sizeof fields, "{'id':7,'name':'a','required':true,'type':'%s'}",
                       cases[i].name);
        assert_int_equal(shape_of(fields, "", &s, NULL), 0);
        const struct shape_field *f = &s->fields[1];
        assert_int_equal(f->type, cases[i].type);
        assert_int_equal(f->precision, cases[i].precision);
        assert_int_equal(f->scale, cases[i].scale);
        assert_int_equal(f->length, cases[i].length);
        assert_int_equal(f->id, 7);
        assert_false(f->nullable);
    }
    static const char *const unknown[] = {"decimal(39,0)", "decimal(5)", "fixed",       "fixed[x]",
                                          "strings",       "",           "timestamp_ms"};
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
        char fields[200];
        (void)snprintf(fields, sizeof fields, "{'id':7,'name':'a','required':true,'type':'%s'}",
                       unknown[i]);
        check_refused(fields, "", EOPNOTSUPP, "column \"a\": a column of the type");
    }
}

#define NESTED                                                                                     \
    "{'id':1,'name':'s','required':false,'type':{'type':'struct','fields':["                       \
    "{'id':2,'name':'a\\u0062','required':true,'type':'long'}]}},"                                 \
    "{'id':3,'name':'l','required':true,'type':{'type':'list','element-id':4,"                     \
    "'element-required':false,'element':{'type':'map','key-id':5,'key':'string','value-id':6,"     \
    "'value-required':true,'value':'date'}}}"

/* Aim: structs, lists and maps keep their ids, those of elements, keys and values too. */
static void test_nested(void **state)
{
    (void)state;
    check_shape(NESTED, "", "{s#1?{ab#2:4} l#3[#4?<#5:8 #6:12>]}");
    AUTO(shape) struct shape *s = NULL;
    int32_t *ids = NULL;
    size_t n = 0;
    assert_int_equal(shape_of(NESTED, "", &s, NULL), 0);
    assert_int_equal(iceberg_leaf_ids(s, &ids, &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_int_equal(ids[0], 2);
    assert_int_equal(ids[1], 5);
    assert_int_equal(ids[2], 6);
    free(ids);
}

#define DEFAULT(type, value)                                                                       \
    "{'id':1,'name':'a','required':true,'type':'" type "','initial-default':" value "}"

/* Aim: a default is the constant that Parquet holds; one that is none of its type is damage. */
static void test_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *field, *want;
    } cases[] = {
        {DEFAULT("boolean", "true"), "{a#1=01:0}"},
        {DEFAULT("int", "-2"), "{a#1=feffffff:3}"},
        {DEFAULT("long", "-9223372036854775808"), "{a#1=0000000000000080:4}"},
        {DEFAULT("float", "0.5"), "{a#1=0000003f:5}"},
        {DEFAULT("double", "-1.5e0"), "{a#1=000000000000f8bf:6}"},
        {DEFAULT("decimal(4,2)", "'14.20'"), "{a#1=8c050000:7}"},
        {DEFAULT("decimal(16,2)", "'-1.00'"), "{a#1=9cffffffffffffff:7}"},
        {DEFAULT("decimal(20,1)", "'-1.5'"), "{a#1=fffffffffffffffff1:7}"},
        {DEFAULT("date", "'2003-10-20'"), "{a#1=39300000:12}"},
        {DEFAULT("date", "'1969-12-31'"), "{a#1=ffffffff:12}"},
        {DEFAULT("time", "'00:00:00.012345'"), "{a#1=3930000000000000:13}"},
        {DEFAULT("timestamp", "'1970-01-01T00:00:00.012345'"), "{a#1=3930000000000000:15}"},
        {DEFAULT("timestamptz", "'1970-01-01T00:00:00.012345+00:00'"), "{a#1=3930000000000000:14}"},
        {DEFAULT("timestamp_ns", "'1970-01-01T00:00:00.000000007'"), "{a#1=0700000000000000:17}"},
        {DEFAULT("timestamptz_ns", "'1969-12-31T23:59:59.999999999+00:00'"),
         "{a#1=ffffffffffffffff:16}"},
        {DEFAULT("string", "'h\\u00e9'"), "{a#1=68c3a9:8}"},
        {DEFAULT("string", "''"), "{a#1=:8}"},
        {DEFAULT("uuid", "'f79c3e09-677c-4bbd-a479-3f349cb785e7'"),
         "{a#1=f79c3e09677c4bbda4793f349cb785e7:11}"},
        {DEFAULT("fixed[2]", "'0aFf'"), "{a#1=0aff:10}"},
        {DEFAULT("binary", "'0102'"), "{a#1=0102:9}"},
        {DEFAULT("variant", "null"), "{a#1:18}"},
        {DEFAULT("int", "null"), "{a#1:3}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_shape(cases[i].field, "", cases[i].want);
    static const char *const damaged[] = {
        DEFAULT("int", "2147483648"),
        DEFAULT("int", "1.5"),
        DEFAULT("int", "'1'"),
        DEFAULT("boolean", "1"),
        DEFAULT("decimal(4,2)", "'1.234'"),
        DEFAULT("decimal(4,2)", "'100.00'"),
        DEFAULT("date", "'2003-13-20'"),
        DEFAULT("time", "'24:00:00'"),
        DEFAULT("timestamp", "'1970-01-01T00:00:00+00:00'"),
        DEFAULT("timestamptz", "'1970-01-01T00:00:00'"),
        DEFAULT("timestamp", "'1970-01-01T00:00:00.0000001'"),
        DEFAULT("uuid", "'f79c3e09'"),
        DEFAULT("fixed[2]", "'0a'"),
        DEFAULT("binary", "'0'"),
        DEFAULT("float", "1e39"),
        DEFAULT("string", "[]"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(damaged); i++)
        check_refused(damaged[i], "", EIO, "column \"a\": a value of the type");
    check_refused(DEFAULT("variant", "'00'"), "", EOPNOTSUPP, "is no default");
}

#define STRUCT_DEFAULT(value)                                                                      \
    "{'id':1,'name':'p','required':false,'initial-default':" value ",'type':{'type':'struct',"     \
    "'fields':[{'id':2,'name':'x','required':false,'type':'int','initial-default':3}]}}"

/* Aim: a struct whose default is {} is there in files from before it, with its fields' defaults. */
static void test_struct_defaults(void **state)
{
    (void)state;
    check_shape(STRUCT_DEFAULT("{}"), "", "{p#1?={x#2?=03000000:3}}");
    check_shape(STRUCT_DEFAULT("null"), "", "{p#1?{x#2?=03000000:3}}");
    check_refused(STRUCT_DEFAULT("{'2':1}"), "", EOPNOTSUPP, "has values for its fields");
}

/* Aim: a name mapping gives each column the names that files without ids may have for it. */
static void test_name_mapping(void **state)
{
    (void)state;
    check_shape(NESTED,
                "[{'field-id':1,'names':['s','t'],'fields':[{'field-id':2,'names':['q']},"
                "{'names':['gone']}]},{'field-id':3,'names':[],'fields':[{'field-id':4,"
                "'names':['element']}]},{'field-id':2,'names':['r']}]",
                "{s#1?|s|t{ab#2|q|r:4} l#3[#4?|element<#5:8 #6:12>]}");
    /* Ids of another schema: the list's element is said to be in the struct. */
    check_shape(NESTED,
                "[{'names':['s'],'fields':[{'names':['ab'],'field-id':2},{'field-id':4,'names':"
                "['x']}],'field-id':1},{'field-id':3,'names':['l']},{'field-id':6,'names':['v']}]",
                "{s#1?|s{ab#2|ab:4} l#3|l[#4?|<#5:8 #6|:12>]}");
    check_refused(NESTED, "[{'field-id':1}", EIO, "schema.name-mapping.default");
    check_refused(NESTED, "{}", EIO, "schema.name-mapping.default");
    check_refused(NESTED, "[{'field-id':-1,'names':[]}]", EIO, "no field id");
}

/* Aim: what lacks something, or is cut, is damage and says so. */
static void test_damage(void **state)
{
    (void)state;
    check_refused("{'name':'a','type':'int'}", "", EIO, "no id, name or type");
    check_refused("{'id':1,'type':'int'}", "", EIO, "no id, name or type");
    check_refused("{'id':1,'name':'a'}", "", EIO, "no id, name or type");
    check_refused("{'id':-1,'name':'a','type':'int'}", "", EIO, "no id, name or type");
    check_refused("{'id':1,'name':'a','type':'int'", "", EIO, "");
    check_refused("{'id':1,'name':'a','type':{'type':'list','element':'int'}}", "", EIO,
                  "lacks a type or an id");
    check_refused("{'id':1,'name':'a','type':{'type':'set'}}", "", EOPNOTSUPP, "not known");
    check_refused("{'id':1,'name':'a','type':'int','required':'x'}", "", EIO, "");
}

/* Aim: columns that nest deeper than is read are refused, not followed. */
static void test_depth(void **state)
{
    (void)state;
    AUTO(buf) struct buf deep = {0};
    buf_init(&deep, MIB);
    buf_add_str(&deep, "{'id':1,'name':'a','type':");
    for (int i = 0; i < SHAPE_DEPTH_MAX + 1; i++)
        buf_addf(&deep, "{'type':'list','element-id':%d,'element':", i + 2);
    buf_add_str(&deep, "'int'");
    for (int i = 0; i < SHAPE_DEPTH_MAX + 2; i++)
        buf_add_char(&deep, '}');
    check_refused(deep.data, "", EOVERFLOW, "deeper");
}

static bool as_written(const char *fields)
{
    AUTO(shape) struct shape *s = NULL;
    assert_int_equal(shape_of(fields, "", &s, NULL), 0);
    return iceberg_schema_as_written(s);
}

/* Aim: names that writers change in files are known, so that nothing is taken to be as stored. */
static void test_as_written(void **state)
{
    (void)state;
    assert_true(as_written(NESTED));
    assert_true(as_written("{'id':1,'name':'_a1','type':'int'}"));
    assert_false(as_written("{'id':1,'name':'a b','type':'int'}"));
    assert_false(as_written("{'id':1,'name':'1a','type':'int'}"));
    assert_false(as_written("{'id':1,'name':'a.b','type':'int'}"));
    assert_false(as_written("{'id':1,'name':'a','type':'int'},{'id':2,'name':'b','type':"
                            "'unknown'}"));
}

static bool same(const char *a, const char *b)
{
    AUTO(shape) struct shape *x = NULL;
    AUTO(shape) struct shape *y = NULL;
    assert_int_equal(shape_of(a, "", &x, NULL), 0);
    assert_int_equal(shape_of(b, "", &y, NULL), 0);
    return iceberg_schema_same(x, y);
}

/* Aim: two schemas have the same columns whatever their defaults; not with other names or types. */
static void test_same(void **state)
{
    (void)state;
    const char *a = "{'id':1,'name':'a','required':true,'type':'int'}";
    assert_true(same(a, "{'id':1,'name':'a','required':false,'type':'int','initial-default':1}"));
    assert_false(same(a, "{'id':1,'name':'b','required':true,'type':'int'}"));
    assert_false(same(a, "{'id':2,'name':'a','required':true,'type':'int'}"));
    assert_false(same(a, "{'id':1,'name':'a','required':true,'type':'long'}"));
    assert_false(same(a, NESTED));
}

/* Aim: the type of a column that a partition is of is found in structs, too. */
static void test_type_of_one(void **state)
{
    (void)state;
    AUTO(buf) struct buf json;
    struct shape_field f = {.type = SHAPE_STORED};
    put_json(&json, "{'type':'struct','fields':[" NESTED ",{'id':9,'name':'odd','type':'odd'},"
                    "{'id':10,'name':'d','type':'decimal(9,2)'}]}");
    assert_true(iceberg_schema_type(buf_slice(&json), 2, &f));
    assert_int_equal(f.type, SHAPE_INT64);
    assert_true(iceberg_schema_type(buf_slice(&json), 10, &f));
    assert_int_equal(f.scale, 2);
    assert_false(iceberg_schema_type(buf_slice(&json), 1, &f)); /* a struct */
    assert_false(iceberg_schema_type(buf_slice(&json), 9, &f));
    assert_false(iceberg_schema_type(buf_slice(&json), 11, &f));
    assert_int_equal(f.scale, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_defaults),     cmocka_unit_test(test_struct_defaults),
        cmocka_unit_test(test_name_mapping), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_depth),        cmocka_unit_test(test_as_written),
        cmocka_unit_test(test_same),         cmocka_unit_test(test_type_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
