/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of listings and error documents, also from a server that means harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "cache/store/s3_list.h"

#define HEAD                                                                                       \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"                                                   \
    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
#define TAIL "</ListBucketResult>"
#define ENTRY(key)                                                                                 \
    "<Contents><Key>" key "</Key><LastModified>2026-03-01T09:30:00.123Z</LastModified>"            \
    "<ETag>&quot;abc&quot;</ETag><Size>42</Size><Owner><ID>x</ID></Owner></Contents>"

static int parse(const char *xml, struct s3_page *page)
{
    struct err err = ERR_INIT;
    s3_page_init(page);
    int rc = s3_page_parse(slice_of(xml), false, page, &err);
    assert_int_equal(rc < 0, err.code != 0);
    return rc;
}

/* Keys, sizes, times, ETags, common prefixes and the token of the next page are read. */
static void test_page(void **state)
{
    (void)state;
    AUTO(s3_page) struct s3_page page;
    assert_int_equal(
        parse(HEAD "<IsTruncated>true</IsTruncated><NextContinuationToken>a/+=</"
                   "NextContinuationToken>" ENTRY("d/one") ENTRY(
                       "d/two") "<CommonPrefixes><Prefix>d/sub/</Prefix></CommonPrefixes>" TAIL,
              &page),
        0);
    assert_true(page.truncated);
    assert_string_equal(page.token, "a/+=");
    assert_int_equal(page.lines.n, 3);
    assert_true(slice_is(page.lines.at[0].key, "d/one"));
    assert_int_equal(page.lines.at[0].size, 42);
    assert_int_equal(page.lines.at[0].mtime_ms, 1772357400123);
    assert_true(slice_is(page.lines.at[1].etag, "\"abc\""));
    assert_true(page.lines.at[2].is_prefix);
    assert_true(slice_is(page.lines.at[2].key, "d/sub/"));
}

/* With encoding-type=url keys are decoded once, `+` as a space; wherever the server says so. */
static void test_encoded_keys(void **state)
{
    (void)state;
    AUTO(s3_page) struct s3_page page;
    assert_int_equal(
        parse(HEAD ENTRY("a+b%2Bc%2520%0A%FF") "<EncodingType>url</EncodingType>" TAIL, &page), 0);
    assert_true(slice_is(page.lines.at[0].key, "a b+c%20\n\xff"));
    AUTO(s3_page) struct s3_page plain;
    assert_int_equal(parse(HEAD ENTRY("a+b%2Bc") TAIL, &plain), 0);
    assert_true(slice_is(plain.lines.at[0].key, "a+b%2Bc"));
    AUTO(s3_page) struct s3_page zero;
    assert_int_equal(parse(HEAD ENTRY("a%00b") "<EncodingType>url</EncodingType>" TAIL, &zero), 0);
    assert_true(slice_eq(zero.lines.at[0].key, SLICE_LIT("a\0b")));
}

/* What is no page, or half of one, is an error and never a short listing. */
static void test_broken_pages(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "<",
        "<html><body>gateway</body></html>",
        "<Error><Code>SlowDown</Code></Error>",
        HEAD ENTRY("x"),
        HEAD "<IsTruncated>true</IsTruncated>" TAIL,
        HEAD "<IsTruncated>perhaps</IsTruncated>" TAIL,
        HEAD "<Contents><Key>x</Key></Contents>" TAIL,
        HEAD "<Contents><Size>1</Size></Contents>" TAIL,
        HEAD "<Contents><Key>x</Key><Size>-1</Size></Contents>" TAIL,
        HEAD "<Contents><Key>x</Key><Size>99999999999999999999</Size></Contents>" TAIL,
        HEAD "<Contents><Key>x</Key><Key>y</Key><Size>1</Size></Contents>" TAIL,
        HEAD "<Contents><Key></Key><Size>1</Size></Contents>" TAIL,
        "<!DOCTYPE a [<!ENTITY b \"c\"><!ENTITY d \"&b;&b;\">]>" HEAD ENTRY("&d;") TAIL,
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(s3_page) struct s3_page page;
        assert_int_equal(parse(cases[i], &page), -EIO);
    }
}

/* Depth, length of a text and number of entries are bounded. */
static void test_bounds(void **state)
{
    (void)state;
    AUTO(buf) struct buf xml = {0};
    buf_init(&xml, 16 * MIB);
    for (int i = 0; i < 100; i++)
        buf_add_str(&xml, "<ListBucketResult>");
    AUTO(s3_page) struct s3_page deep;
    assert_int_equal(parse(xml.data, &deep), -EIO);

    buf_reset(&xml);
    buf_add_str(&xml, HEAD "<Contents><Key>");
    for (size_t i = 0; i < 5 * KEY_BYTES_MAX; i++)
        buf_add_char(&xml, 'k');
    buf_add_str(&xml, "</Key><Size>1</Size></Contents>" TAIL);
    AUTO(s3_page) struct s3_page wide;
    assert_int_equal(parse(xml.data, &wide), -EIO);

    buf_reset(&xml);
    buf_add_str(&xml, HEAD);
    for (size_t i = 0; i <= S3_PAGE_ENTRIES_MAX; i++)
        buf_add_str(&xml, "<Contents><Key>x</Key><Size>1</Size></Contents>");
    buf_add_str(&xml, TAIL);
    AUTO(s3_page) struct s3_page many;
    assert_int_equal(parse(xml.data, &many), -EIO);
}

/* An error document tells code, message and size; anything else tells nothing. */
static void test_problem(void **state)
{
    (void)state;
    struct s3_problem p;
    s3_problem_parse(SLICE_LIT("<Error><Code>InvalidRange</Code><Message>no</Message>"
                               "<ActualObjectSize>7</ActualObjectSize></Error>"),
                     &p);
    assert_string_equal(p.code, "InvalidRange");
    assert_string_equal(p.message, "no");
    assert_true(p.has_size);
    assert_int_equal(p.size, 7);
    s3_problem_parse(SLICE_LIT("<html><Code>x</Code></html>"), &p);
    assert_string_equal(p.code, "");
    s3_problem_parse(SLICE_NONE, &p);
    assert_string_equal(p.code, "");
    assert_false(p.has_size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),         cmocka_unit_test(test_encoded_keys),
        cmocka_unit_test(test_broken_pages), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_problem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
