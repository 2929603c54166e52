/* SPDX-License-Identifier: Apache-2.0 */
/* Row filters as far as no file is needed: what is an expression, what fits a column, what
 * partition values decide, three-valued logic. Rows of files: tests/e2e/test_filter.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/format/filter.h"

/* A flat shape of one column a type, named as the type. */
static struct shape *all_types(void)
{
    static const struct shape_field fields[] = {
        {.name = {"truth", 5}, .type = SHAPE_BOOLEAN},
        {.name = {"tiny", 4}, .type = SHAPE_INT8},
        {.name = {"i32", 3}, .type = SHAPE_INT32},
        {.name = {"i64", 3}, .type = SHAPE_INT64},
        {.name = {"f", 1}, .type = SHAPE_FLOAT},
        {.name = {"d", 1}, .type = SHAPE_DOUBLE},
        {.name = {"dec", 3}, .type = SHAPE_DECIMAL, .precision = 9, .scale = 2},
        {.name = {"dec38", 5}, .type = SHAPE_DECIMAL, .precision = 38, .scale = 0},
        {.name = {"s", 1}, .type = SHAPE_STRING},
        {.name = {"y", 1}, .type = SHAPE_BINARY},
        {.name = {"u", 1}, .type = SHAPE_UUID},
        {.name = {"day", 3}, .type = SHAPE_DATE},
        {.name = {"tod", 3}, .type = SHAPE_TIME},
        {.name = {"ts", 2}, .type = SHAPE_TIMESTAMP},
        {.name = {"ntz", 3}, .type = SHAPE_TIMESTAMP_LOCAL},
        {.name = {"void", 4}, .type = SHAPE_UNKNOWN},
        {.name = {"v", 1}, .type = SHAPE_VARIANT},
    };
    struct shape_builder b;
    struct shape *s = NULL;
    shape_builder_init(&b, SHAPE_BY_NAME);
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        struct shape_field f = fields[i];
        f.id = SHAPE_NO_ID;
        f.nullable = true;
        shape_add(&b, &f);
    }
    assert_int_equal(shape_finish(&b, &s, NULL), 0);
    return s;
}

static uint32_t find(const struct shape *s, struct slice name)
{
    for (uint32_t i = 1; i < s->fields_n; i++)
        if (slice_eq(s->fields[i].name, name))
            return i;
    return 0;
}

/* Binds to partition columns by name; what there is no column for is absent. */
static int bind(const char *text, const struct shape *s, struct row_filter **out, struct err *err)
{
    AUTO(filter) struct filter *f = NULL;
    struct filter_binding columns[FILTER_COLUMNS_MAX];
    int rc = filter_parse(slice_of(text), &f, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < filter_columns(f); i++) {
        uint32_t field = find(s, filter_column(f, i));
        columns[i] = (struct filter_binding){field ? FILTER_PARTITION : FILTER_ABSENT, field};
    }
    return filter_bind(f, columns, NULL, s, out, err);
}

/* Parsing */

static void test_syntax(void **state)
{
    (void)state;
    static const char *const good[] = {
        "a = 1",
        "region = 'EU' and amount > 100",
        "NOT a IN (1, -2.5e3, NULL) Or b.c.`d e` Is Not Null",
        "a not between 1 and 2 and b like 'x!%' escape '!'",
        "((a))",
        "not not a",
        "date = date '2026-03-01' or timestamp > timestamp '2026-03-01 09:30:00.123456789+01:00'",
        "x = x'00fF' or x='y'",
        "'it''s' <> `a``b`",
        "true or false or null",
        "größe > .5",
        "a.date = 1 and a.in = 2", /* behind a dot there is no other meaning */
    };
    static const char *const bad[] = {
        "",
        "a =",
        "a = b",
        "1 = 2",
        "a = 1 b",
        "a = 1 and",
        "(a = 1",
        "a = 1)",
        "a in ()",
        "a in (1,)",
        "a is 1",
        "a not 1",
        "a like 5",
        "a like 'x!' escape '!'",
        "a like 'x' escape 'ab'",
        "a = 'x",
        "a = \"x\"",
        "a = x'0'",
        "a = x'0g'",
        "a = 1x",
        "a = 123456789012345678901234567890123456789",
        "a = date '2026-02-30'",
        "a = timestamp 'noon'",
        "in = 1",
        "a. = 1",
        "`` = 1",
        "a = 1; drop",
        "a == 1",
        "a = -",
        "'x'",
        "5",
        "a = 1 -- x",
        "a in (b)",
        "a\xff = 1",
    };
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        AUTO(filter) struct filter *f = NULL;
        struct err err = ERR_INIT;
        if (filter_parse(slice_of(good[i]), &f, &err) < 0)
            fail_msg("%s: %s", good[i], err.msg);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        AUTO(filter) struct filter *f = NULL;
        struct err err = ERR_INIT;
        if (filter_parse(slice_of(bad[i]), &f, &err) != -EINVAL)
            fail_msg("%s: %d", bad[i], err.code);
        assert_non_null(strstr(err.msg, "at character "));
    }
}

/* A failure names the character, not the byte, that is wrong. */
static void test_position(void **state)
{
    (void)state;
    AUTO(filter) struct filter *f = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(filter_parse(SLICE_LIT("größe = ?"), &f, &err), -EINVAL);
    assert_string_equal(err.msg, "at character 9: nothing begins with this character");
}

/* What is too deep, too long or too much is refused; chains are not deep. */
static void test_limits(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = {0};
    AUTO(filter) struct filter *f = NULL;
    buf_init(&text, 2 * FILTER_BYTES_MAX);
    for (size_t i = 0; i < FILTER_DEPTH_MAX + 1; i++)
        buf_add_char(&text, '(');
    buf_add_str(&text, "a = 1");
    assert_int_equal(filter_parse(buf_slice(&text), &f, NULL), -EINVAL);
    buf_reset(&text);
    for (size_t i = 0; i <= FILTER_TERMS_MAX; i++)
        buf_addf(&text, "%sa = %zu", i ? " or " : "", i);
    assert_int_equal(filter_parse(buf_slice(&text), &f, NULL), -EOVERFLOW);
    buf_reset(&text);
    for (size_t i = 0; i < FILTER_TERMS_MAX; i++)
        buf_addf(&text, "%sa = %zu", i ? " or " : "", i);
    assert_int_equal(filter_parse(buf_slice(&text), &f, NULL), 0);
    filter_unref(STEAL(f));
    buf_reset(&text);
    for (size_t i = 0; i <= FILTER_COLUMNS_MAX; i++)
        buf_addf(&text, "%sa%zu", i ? " or " : "", i);
    assert_int_equal(filter_parse(buf_slice(&text), &f, NULL), -EOVERFLOW);
    buf_reset(&text);
    buf_add_str(&text, "a = '");
    while (text.len < FILTER_BYTES_MAX)
        buf_add_char(&text, 'x');
    buf_add_str(&text, "'");
    assert_int_equal(filter_parse(buf_slice(&text), &f, NULL), -EOVERFLOW);
}

/* Columns are told once each, in order, with their names. */
static void test_columns(void **state)
{
    (void)state;
    AUTO(filter) struct filter *f = NULL;
    assert_int_equal(
        filter_parse(SLICE_LIT("b.`x.y` = 1 or a = 2 or b.`x.y` = 3 or b.x.y = 4"), &f, NULL), 0);
    assert_int_equal(filter_columns(f), 3);
    assert_int_equal(filter_column_path(f, 0).n, 2);
    assert_true(slice_is(filter_column_path(f, 0).names[1], "x.y"));
    assert_true(slice_is(filter_column(f, 1), "a"));
    assert_int_equal(filter_column_path(f, 2).n, 3);
    assert_true(slice_is(filter_column(f, 2), "b.x.y"));
}

/* Binding */

/* A comparison is bound only where it can be decided exactly. */
static void test_types(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        {"truth = true", 0},
        {"truth = 1", -EINVAL},
        {"truth", 0},
        {"i32", -EINVAL},
        {"tiny = 1000", 0}, /* never, but well said */
        {"i64 > 1.5", 0},
        {"i64 = 'x'", -EINVAL},
        {"i64 = true", -EINVAL},
        {"f = 0.1", 0},
        {"f = 16777217", -EINVAL}, /* a float rounds it */
        {"f = 0.123456789", -EINVAL},
        {"d = 0.123456789", 0},
        {"d = 9007199254740993", -EINVAL},
        {"d = 0.30000000000000004", 0},
        {"d = 1e309", -EINVAL},
        {"d = 1e-400", -EINVAL},
        {"f = 1e39", -EINVAL},
        {"dec = 1.005", 0},
        {"dec = 1e30", 0},
        {"dec like '1%'", -EINVAL},
        {"s = 1", -EINVAL},
        {"s = x'00'", -EINVAL},
        {"s = date '2026-01-01'", -EINVAL},
        {"y = 'a'", -EINVAL},
        {"y = x'61'", 0},
        {"u = '00112233-4455-6677-8899-AAbbccddeeff'", 0},
        {"u = '0011'", -EINVAL},
        {"day = '2026-01-01'", 0},
        {"day = date '2026-1-5'", 0},
        {"day = 'today'", -EINVAL},
        {"day = timestamp '2026-01-01 00:00:00'", -EINVAL},
        {"ts = '2026-01-01'", 0},
        {"ts = date '2026-01-01'", 0},
        {"ts = timestamp '2026-01-01T00:00:00.123456789Z'", 0},
        {"ts = timestamp '2026-01-01T00:00:00+02:00'", 0},
        {"ntz = timestamp '2026-01-01T00:00:00'", 0},
        {"ntz = timestamp '2026-01-01T00:00:00Z'", -EINVAL},
        {"tod is null", 0},
        {"tod = '12:00:00'", -EOPNOTSUPP},
        {"void = 5", 0},
        {"v is null", -EOPNOTSUPP},
        {"nowhere = 5 or nowhere like 'x'", 0},
        {"i32 in (1, 'x')", -EINVAL},
        {"i32 between null and 5", 0},
    };
    AUTO(shape) struct shape *s = all_types();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(row_filter) struct row_filter *rf = NULL;
        struct err err = ERR_INIT;
        int rc = bind(cases[i].text, s, &rf, &err);
        if (rc != cases[i].rc)
            fail_msg("%s: %d %s", cases[i].text, rc, err.msg);
        if (rc < 0)
            assert_non_null(strstr(err.msg, "column \""));
    }
}

static struct shape *nested(void)
{
    struct shape_builder b;
    struct shape *s = NULL;
    struct shape_field leaf = {
        .name = SLICE_LIT("x"), .id = SHAPE_NO_ID, .type = SHAPE_INT32, .nullable = true};
    struct shape_field group = leaf;
    shape_builder_init(&b, SHAPE_BY_NAME);
    group.kind = SHAPE_STRUCT; /* 1 */
    shape_add(&b, &group);
    shape_add(&b, &leaf); /* 2 */
    shape_end(&b);
    group.kind = SHAPE_LIST; /* 3 */
    group.name = SLICE_LIT("l");
    shape_add(&b, &group);
    shape_add(&b, &leaf); /* 4 */
    shape_end(&b);
    assert_int_equal(shape_finish(&b, &s, NULL), 0);
    return s;
}

/* Fields of structs are columns; structs themselves, lists and what is in lists are none. */
static void test_nested(void **state)
{
    (void)state;
    static const int want[] = {-EINVAL, -EOPNOTSUPP, 0, -EOPNOTSUPP, -EOPNOTSUPP, -EINVAL};
    AUTO(shape) struct shape *s = nested();
    AUTO(filter) struct filter *f = NULL;
    assert_int_equal(filter_parse(SLICE_LIT("a = 1"), &f, NULL), 0);
    for (uint32_t i = 0; i < ARRAY_SIZE(want); i++) {
        AUTO(row_filter) struct row_filter *rf = NULL;
        struct filter_binding column = {FILTER_FIELD, i};
        assert_int_equal(filter_bind(f, &column, s, NULL, &rf, NULL), want[i]);
    }
}

/* Partition values */

struct decided {
    const char *text, *value; /* value: NULL, or of every column that is named */
    enum filter_answer answer;
};

static enum filter_answer decide(const struct shape *s, const char *text, const char *value,
                                 bool known)
{
    AUTO(row_filter) struct row_filter *rf = NULL;
    struct slice values[32];
    bool are_known[32];
    struct err err = ERR_INIT;
    if (bind(text, s, &rf, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    assert_int_equal(row_filter_values(rf), s->fields_n - 1);
    for (size_t i = 0; i < 32; i++) {
        values[i] = value ? slice_of(value) : SLICE_NONE;
        are_known[i] = known;
    }
    return row_filter_partition(rf, values, known ? NULL : are_known);
}

static void check_decided(const struct decided *cases, size_t n)
{
    AUTO(shape) struct shape *s = all_types();
    for (size_t i = 0; i < n; i++) {
        enum filter_answer got = decide(s, cases[i].text, cases[i].value, true);
        if (got != cases[i].answer)
            fail_msg("%s of %s: %d", cases[i].text, cases[i].value, got);
    }
}

/* Values are read in each type's spellings and compared exactly. */
static void test_partition_values(void **state)
{
    (void)state;
    static const struct decided cases[] = {
        {"truth", "true", FILTER_ALL},
        {"truth", "false", FILTER_NONE},
        {"not truth", "TRUE", FILTER_NONE}, /* no boolean of Delta's */
        {"i32 = -5", "-5", FILTER_ALL},
        {"i32 > 2147483646.5", "2147483647", FILTER_ALL},
        {"i32 <> 0", "2147483648", FILTER_NONE}, /* no int */
        {"not (tiny = 3)", "128", FILTER_NONE},
        {"i64 = 9223372036854775807", "9223372036854775807", FILTER_ALL},
        {"i64 < 9223372036854775808", "9223372036854775807", FILTER_ALL},
        {"dec = 1.5", "1.50", FILTER_ALL},
        {"dec > 1.499", "1.50", FILTER_ALL},
        {"dec < 1.501", "1.50", FILTER_ALL},
        {"dec = 1.501", "1.50", FILTER_NONE},
        {"dec <> 1.501", "1.50", FILTER_ALL},
        {"dec >= 1.501 or dec > 1.501", "1.50", FILTER_NONE},
        {"dec > -1.501", "-1.50", FILTER_ALL},
        {"dec < -1.499", "-1.50", FILTER_ALL},
        {"dec <> 7", "1.505", FILTER_NONE}, /* no decimal(9,2) */
        {"dec <> 7", "12345678.00", FILTER_NONE},
        {"dec < 1e300 and dec > -1e300", "9999999.99", FILTER_ALL},
        {"dec38 = 99999999999999999999999999999999999999", "99999999999999999999999999999999999999",
         FILTER_ALL},
        {"dec38 > 99999999999999999999999999999999999998", "99999999999999999999999999999999999999",
         FILTER_ALL},
        {"dec38 < 0.5 and dec38 > -0.5", "0", FILTER_ALL},
        {"dec38 < -0.5 and dec38 > -1.5", "-1", FILTER_ALL},
        {"f = 0.1", "0.1", FILTER_ALL},
        {"d = 0.1", "0.1", FILTER_ALL},
        {"d = 10000000000", "1.0E10", FILTER_ALL},
        {"d > 1e308", "NaN", FILTER_ALL},
        {"d > 1e308", "Infinity", FILTER_ALL},
        {"d < -1e308", "-Infinity", FILTER_ALL},
        {"d = 0 and d >= 0 and d <= 0", "-0.0", FILTER_ALL},
        {"d <> 1", "many", FILTER_NONE},
        {"s = 'EU'", "EU", FILTER_ALL},
        {"s > 'Z'", "a", FILTER_ALL},
        {"s like '_U'", "EU", FILTER_ALL},
        {"y = x'6162'", "ab", FILTER_ALL},
        {"y <> x'00'", "\xc3\xa4", FILTER_NONE}, /* writers disagree what that is */
        {"u = '00112233-4455-6677-8899-aabbccddeeff'", "00112233-4455-6677-8899-AABBCCDDEEFF",
         FILTER_ALL},
        {"day = '2026-03-01'", "2026-03-01", FILTER_ALL},
        {"day = '2026-03-01'", "2026-3-1", FILTER_ALL},
        {"day < '1970-01-01'", "1969-12-31", FILTER_ALL},
        {"day <> '1970-01-01'", "2026-02-30", FILTER_NONE},
        {"ts = '2026-03-01 09:30:00'", "2026-03-01 09:30:00", FILTER_ALL},
        {"ts = '2026-03-01T09:30:00.123456Z'", "2026-03-01 09:30:00.123456", FILTER_ALL},
        {"ts = '2026-03-01T09:30:00.123456Z'", "2026-03-01T09:30:00.123456Z", FILTER_ALL},
        {"ts = '2026-03-01T10:30:00.123456+01:00'", "2026-03-01T09:30:00.123456000Z", FILTER_ALL},
        {"ts > '2026-03-01T09:30:00.123456'", "2026-03-01 09:30:00.123457", FILTER_ALL},
        {"ts < '1970-01-01'", "1969-12-31 23:59:59.999999", FILTER_ALL},
        {"ntz = '2026-03-01 09:30:00.1'", "2026-03-01 09:30:00.1", FILTER_ALL},
        {"ntz is not null", "2026-03-01 09:30:00Z", FILTER_NONE},
    };
    check_decided(cases, ARRAY_SIZE(cases));
}

/* NULL is neither equal nor unequal to anything, and not in any list. */
static void test_null(void **state)
{
    (void)state;
    static const struct decided cases[] = {
        {"s is null", NULL, FILTER_ALL},
        {"s is null", "", FILTER_ALL},
        {"s is null", "__HIVE_DEFAULT_PARTITION__", FILTER_ALL},
        {"s is not null", NULL, FILTER_NONE},
        {"s = 'a' or s <> 'a' or not (s = 'a')", NULL, FILTER_NONE},
        {"s like '%' or s not like '%'", NULL, FILTER_NONE},
        {"i32 between 1 and 5 or i32 not between 1 and 5", NULL, FILTER_NONE},
        {"i32 in (1, null)", "1", FILTER_ALL},
        {"i32 in (1, null)", "2", FILTER_NONE},
        {"i32 not in (1, null)", "2", FILTER_NONE},
        {"i32 not in (1, 3)", "2", FILTER_ALL},
        {"i32 not in (1, 3)", NULL, FILTER_NONE},
        {"i32 = null or i32 <> null or i32 in (null)", "2", FILTER_NONE},
        {"i32 not between null and 5", "6", FILTER_ALL}, /* whatever null is */
        {"i32 between null and 5", "3", FILTER_NONE},
        {"s like null or s not like null", "x", FILTER_NONE},
        {"nowhere is null", "x", FILTER_ALL},
        {"nowhere = 1 or not (nowhere = 1)", "x", FILTER_NONE},
        {"void is null and not (void = 1 and false)", NULL, FILTER_ALL},
    };
    check_decided(cases, ARRAY_SIZE(cases));
}

/* All of AND, OR and NOT over TRUE, FALSE and NULL, told by IS NULL's way: what a row is kept by.
 */
static void test_truth_tables(void **state)
{
    (void)state;
    static const char *const words[] = {"false", "null", "true"};
    static const char and_[] = "FFFFNNFNT", or_[] = "FNTNNTTTT", not_[] = "TNF";
    AUTO(shape) struct shape *s = all_types();
    char text[100];
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++) {
            for (int kind = 0; kind < 2; kind++) {
                char want = kind ? or_[3 * i + j] : and_[3 * i + j];
                (void)snprintf(text, sizeof text, "%s %s %s", words[i], kind ? "or" : "and",
                               words[j]);
                assert_int_equal(decide(s, text, NULL, true),
                                 want == 'T' ? FILTER_ALL : FILTER_NONE);
                /* NOT tells FALSE from NULL. */
                (void)snprintf(text, sizeof text, "not (%s %s %s)", words[i], kind ? "or" : "and",
                               words[j]);
                assert_int_equal(decide(s, text, NULL, true),
                                 want == 'F' ? FILTER_ALL : FILTER_NONE);
            }
            (void)snprintf(text, sizeof text, "not %s", words[i]);
            assert_int_equal(decide(s, text, NULL, true),
                             not_[i] == 'T' ? FILTER_ALL : FILTER_NONE);
        }
}

/* AND binds closer than OR, NOT closer than both. */
static void test_precedence(void **state)
{
    (void)state;
    static const struct decided cases[] = {
        {"true or true and false", NULL, FILTER_ALL},
        {"(true or true) and false", NULL, FILTER_NONE},
        {"not false and false", NULL, FILTER_NONE},
        {"not (false and false)", NULL, FILTER_ALL},
        {"not not true", NULL, FILTER_ALL},
        {"i32 between 1 and 3 and false", "2", FILTER_NONE},
    };
    check_decided(cases, ARRAY_SIZE(cases));
}

/* What is not known yet leaves all open, but what is certain anyway. */
static void test_unknown(void **state)
{
    (void)state;
    AUTO(shape) struct shape *s = all_types();
    assert_int_equal(decide(s, "i32 = 1", "1", false), FILTER_SOME);
    assert_int_equal(decide(s, "i32 is null", "1", false), FILTER_SOME);
    assert_int_equal(decide(s, "i32 = 1 and false", "1", false), FILTER_NONE);
    assert_int_equal(decide(s, "i32 = 1 or true", "1", false), FILTER_ALL);
    assert_int_equal(decide(s, "i32 = 1 and nowhere = 1", "1", false), FILTER_NONE);
    assert_int_equal(decide(s, "i32 = null", "1", false), FILTER_NONE);
    assert_int_equal(decide(s, "day = '2026-01-01'", "no date", false), FILTER_SOME);
}

/* Patterns match whole texts, `_` one character of them, however many bytes. */
static void test_like(void **state)
{
    (void)state;
    static const struct decided cases[] = {
        {"s like 'abc'", "abc", FILTER_ALL},
        {"s like 'ab'", "abc", FILTER_NONE},
        {"s like '%b%'", "abc", FILTER_ALL},
        {"s like 'a%c'", "abcbc", FILTER_ALL},
        {"s like '%%c'", "abc", FILTER_ALL},
        {"s like '_'", "\xe6\xbc\xa2", FILTER_ALL},
        {"s like '__'", "\xe6\xbc\xa2", FILTER_NONE},
        {"s like '%_x'", "\xf0\x9f\x98\x80x", FILTER_ALL},
        {"s like '_'", "\xff", FILTER_ALL}, /* what is no character is one */
        {"s like 'A%'", "abc", FILTER_NONE},
        {"s like 'a!%' escape '!'", "a%", FILTER_ALL},
        {"s like 'a!%' escape '!'", "ab", FILTER_NONE},
        {"s like 'a\\%'", "a\\b", FILTER_ALL}, /* without ESCAPE nothing escapes */
        {"s like '%aab'", "aaaab", FILTER_ALL},
        {"s like 'a%a%a%b'", "aaaaaaaaaaaaaaaac", FILTER_NONE},
    };
    check_decided(cases, ARRAY_SIZE(cases));
}

/* Whatever decides is in the hash; the same filter has the same one again. */
static void test_hash(void **state)
{
    (void)state;
    static const char *const texts[] = {"i32 = 1", "i32 = 2", "i64 = 1", "nowhere = 1", "i32 <> 1"};
    AUTO(shape) struct shape *s = all_types();
    uint64_t hashes[ARRAY_SIZE(texts)];
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        AUTO(row_filter) struct row_filter *a = NULL, *b = NULL;
        assert_int_equal(bind(texts[i], s, &a, NULL), 0);
        assert_int_equal(bind(texts[i], s, &b, NULL), 0);
        hashes[i] = row_filter_hash(a);
        assert_int_equal(hashes[i], row_filter_hash(b));
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(hashes[i], hashes[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_position),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_partition_values),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_truth_tables),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_like),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
