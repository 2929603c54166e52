/* SPDX-License-Identifier: Apache-2.0 */
/* Storage classes as answers tell them: what is archived, what is on its way back, what is read. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>

#include "cache/store/azure_restore.h"
#include "cache/store/s3_restore.h"
#include "lake/files/listing.h"
#include "tools/recall_speed.h"

/* The head of an answer, line by line. */
static struct http_answer answer_of(const char *const *lines)
{
    struct http_answer a = {0};
    for (; *lines; lines++)
        http_answer_read(&a, slice_of(*lines));
    return a;
}

static struct store_info s3_of(const char *const *lines)
{
    struct http_answer a = answer_of(lines);
    struct store_info info = {0};
    s3_tell_class(&a, &info);
    return info;
}

#define S3(...) s3_of((const char *const[]){__VA_ARGS__, NULL})

static void check(struct store_info info, const char *class, enum store_access access)
{
    assert_string_equal(info.class, class);
    assert_int_equal(info.access, access);
}

/* S3 tells the class of all but STANDARD, and by x-amz-restore what becomes of an archived object.
 */
static void test_s3(void **state)
{
    (void)state;
    check(S3("Content-Length: 1"), "STANDARD", STORE_READABLE);
    check(S3("x-amz-storage-class: STANDARD_IA"), "STANDARD_IA", STORE_READABLE);
    check(S3("x-amz-storage-class: GLACIER_IR"), "GLACIER_IR", STORE_READABLE);
    check(S3("X-Amz-Storage-Class: GLACIER"), "GLACIER", STORE_ARCHIVED);
    check(S3("x-amz-storage-class: DEEP_ARCHIVE"), "DEEP_ARCHIVE", STORE_ARCHIVED);
    check(S3("x-amz-storage-class: GLACIER", "x-amz-restore: ongoing-request=\"true\""), "GLACIER",
          STORE_RESTORING);
    struct store_info back =
        S3("x-amz-storage-class: GLACIER", "x-amz-restore: ongoing-request=\"false\", "
                                           "expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\"");
    check(back, "GLACIER", STORE_READABLE);
    assert_int_equal(back.restored_until_ms, 1356048000000);
}

/* INTELLIGENT_TIERING is archived where x-amz-archive-status says so. */
static void test_intelligent_tiering(void **state)
{
    (void)state;
    const char *class = "INTELLIGENT_TIERING";
    check(S3("x-amz-storage-class: INTELLIGENT_TIERING"), class, STORE_READABLE);
    check(S3("x-amz-storage-class: INTELLIGENT_TIERING", "x-amz-archive-status: ARCHIVE_ACCESS"),
          class, STORE_ARCHIVED);
    check(S3("x-amz-storage-class: INTELLIGENT_TIERING",
             "x-amz-archive-status: DEEP_ARCHIVE_ACCESS",
             "x-amz-restore: ongoing-request=\"true\""),
          class, STORE_RESTORING);
}

/* What is no x-amz-restore as S3 writes it says nothing: the object counts as archived. */
static void test_broken_restore(void **state)
{
    (void)state;
    const char *const texts[] = {"",
                                 "ongoing-request",
                                 "ongoing-request=",
                                 "ongoing-request=false",
                                 "ongoing-request=\"",
                                 "ongoing-request=\"maybe\"",
                                 "expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\""};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        char line[160];
        (void)snprintf(line, sizeof line, "x-amz-restore: %s", texts[i]);
        check(S3("x-amz-storage-class: GLACIER", line), "GLACIER", STORE_ARCHIVED);
    }
    struct store_info back = S3("x-amz-storage-class: GLACIER",
                                "x-amz-restore: ongoing-request=\"false\", expiry-date=\"soon\"");
    check(back, "GLACIER", STORE_READABLE);
    assert_int_equal(back.restored_until_ms, 0);
    char longest[200] = "x-amz-storage-class: ";
    memset(longest + strlen(longest), 'X', 100);
    check(S3(longest), "STANDARD", STORE_READABLE); /* a class too long is not told */
}

static struct store_info azure_of(const char *const *lines)
{
    struct http_answer a = answer_of(lines);
    struct store_info info = {0};
    azure_tell_class(&a, &info);
    return info;
}

#define AZURE(...) azure_of((const char *const[]){__VA_ARGS__, NULL})

/* Azure's Archive is archived; where it is on its way to another tier, it is being restored. */
static void test_azure(void **state)
{
    (void)state;
    check(AZURE("Content-Length: 1"), "", STORE_READABLE);
    check(AZURE("x-ms-access-tier: Cool"), "Cool", STORE_READABLE);
    check(AZURE("x-ms-access-tier: Archive"), "Archive", STORE_ARCHIVED);
    check(AZURE("x-ms-access-tier: Archive", "x-ms-archive-status: rehydrate-pending-to-hot"),
          "Archive", STORE_RESTORING);
    check(AZURE("x-ms-access-tier: Archive", "x-ms-archive-status: new"), "Archive",
          STORE_ARCHIVED);
}

/* An entry's extra bytes tell whether its class can be archived, whatever else they tell. */
static void test_listed(void **state)
{
    (void)state;
    const struct {
        const char *extra, *etag, *version;
        bool readable;
    } rows[] = {
        {"", "", "", true},
        {"\"e\"", "\"e\"", "", true},
        {"\"e\"\nv1", "\"e\"", "v1", true},
        {"\"e\"\n\nGLACIER", "\"e\"", "", false},
        {"\"e\"\nv1\nGLACIER", "\"e\"", "v1", false},
        {"\"e\"\n\n", "\"e\"", "", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct files_object o = files_listing_object(slice_of(rows[i].extra));
        assert_true(slice_is(o.etag, rows[i].etag));
        assert_true(slice_is(o.version, rows[i].version));
        assert_int_equal(o.readable, rows[i].readable);
    }
}

/* Speeds are named as they are parsed; each archive class has a time, and bulk is no quicker. */
static void test_speeds(void **state)
{
    (void)state;
    enum store_speed speed;
    const char *const classes[] = {"GLACIER", "DEEP_ARCHIVE", "INTELLIGENT_TIERING", "Archive"};
    for (enum store_speed i = STORE_SPEED_STANDARD; i <= STORE_SPEED_EXPEDITED; i++) {
        assert_true(recall_speed_parse(slice_of(recall_speed_name(i)), &speed));
        assert_int_equal(speed, i);
    }
    assert_false(recall_speed_parse(SLICE_LIT("Standard"), &speed));
    assert_false(recall_speed_parse(SLICE_NONE, &speed));
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
        struct slice class = slice_of(classes[i]);
        assert_in_range(recall_minutes(class, STORE_SPEED_STANDARD), 1,
                        recall_minutes(class, STORE_SPEED_BULK));
    }
    assert_int_equal(recall_minutes(SLICE_LIT("STANDARD"), STORE_SPEED_STANDARD), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_s3),
        cmocka_unit_test(test_intelligent_tiering),
        cmocka_unit_test(test_broken_restore),
        cmocka_unit_test(test_azure),
        cmocka_unit_test(test_listed),
        cmocka_unit_test(test_speeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
