/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of Azure's listings, also from a server that means harm; and what its errors mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "cache/store/azure_list.h"
#include "cache/store/azure_status.h"

#define HEAD                                                                                       \
    "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint="   \
    "\"https://a.blob.core.windows.net/\" ContainerName=\"c\"><Prefix>d/</Prefix><Blobs>"
#define TAIL "</Blobs><NextMarker /></EnumerationResults>"
#define TIMES                                                                                      \
    "<Creation-Time>Wed, 23 Oct 2013 22:00:00 GMT</Creation-Time>"                                 \
    "<Last-Modified>Sun, 01 Mar 2026 09:30:00 GMT</Last-Modified>"
#define BLOB(name, more)                                                                           \
    "<Blob><Name>" name "</Name><Properties>" TIMES "<Etag>0x8D1</Etag>"                           \
    "<Content-Length>42</Content-Length><Content-Type>x</Content-Type>" more

static int parse(const char *xml, struct s3_page *page)
{
    struct err err = ERR_INIT;
    s3_page_init(page);
    int rc = azure_page_parse(slice_of(xml), page, &err);
    assert_int_equal(rc < 0, err.code != 0);
    return rc;
}

/* Names, sizes, times, ETags in quotes, prefixes and the marker of the next page are read. */
static void test_page(void **state)
{
    (void)state;
    AUTO(s3_page) struct s3_page page;
    assert_int_equal(parse(HEAD BLOB("d/one &amp; %41", "</Properties><OrMetadata /></Blob>")
                               BLOB("d/two", "</Properties><Metadata><Name>z</Name></Metadata></"
                                             "Blob>") "<BlobPrefix><Name>d/sub/</Name></BlobPrefix>"
                                                      "</Blobs><NextMarker>2!92!MDAw</NextMarker></"
                                                      "EnumerationResults>",
                           &page),
                     0);
    assert_string_equal(page.token, "2!92!MDAw");
    assert_int_equal(page.lines.n, 3);
    assert_true(slice_is(page.lines.at[0].key, "d/one & %41"));
    assert_int_equal(page.lines.at[0].size, 42);
    assert_int_equal(page.lines.at[0].mtime_ms, 1772357400000);
    assert_true(slice_is(page.lines.at[0].etag, "\"0x8D1\""));
    assert_true(slice_is(page.lines.at[1].key, "d/two"));
    assert_false(page.lines.at[1].is_directory);
    assert_true(page.lines.at[2].is_prefix);
    assert_true(slice_is(page.lines.at[2].key, "d/sub/"));
}

/* What stands for a directory is told: hdi_isfolder of Hadoop's, ResourceType of hierarchies. */
static void test_directories(void **state)
{
    (void)state;
    AUTO(s3_page) struct s3_page page;
    assert_int_equal(
        parse(HEAD BLOB("d/a", "</Properties><Metadata><hdi_isfolder>true</hdi_isfolder>"
                               "</Metadata></Blob>")
                  BLOB("d/b", "<ResourceType>directory</ResourceType></Properties></Blob>")
                      BLOB("d/c", "<ResourceType>file</ResourceType></Properties></Blob>")
                          BLOB("d/d", "</Properties><Metadata><hdi_isfolder>false</hdi_isfolder>"
                                      "</Metadata></Blob>") "<BlobPrefix><Properties><ResourceType>"
                                                            "directory</ResourceType></Properties>"
                                                            "<Name>d/e/</Name></BlobPrefix>" TAIL,
              &page),
        0);
    static const bool directories[] = {true, true, false, false, true};
    assert_null(page.token);
    assert_int_equal(page.lines.n, ARRAY_SIZE(directories));
    for (size_t i = 0; i < page.lines.n; i++)
        assert_int_equal(page.lines.at[i].is_directory, directories[i]);
    assert_true(page.lines.at[4].is_prefix);
}

/* Names that XML cannot hold come percent-encoded and are decoded once; others stay. */
static void test_encoded_names(void **state)
{
    (void)state;
    AUTO(s3_page) struct s3_page page;
    assert_int_equal(parse(HEAD "<Blob><Name Encoded=\"true\">a%EF%BF%BE%2520</Name><Properties>"
                                "<Content-Length>0</Content-Length></Properties></Blob>"
                                "<Blob><Name Encoded=\"false\">a%20</Name><Properties>"
                                "<Content-Length>0</Content-Length></Properties></Blob>" TAIL,
                           &page),
                     0);
    assert_true(slice_is(page.lines.at[0].key, "a\xef\xbf\xbe%20"));
    assert_true(slice_is(page.lines.at[1].key, "a%20"));
}

/* What is no such page is refused. */
static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "<html></html>",
        "<Error><Code>x</Code></Error>",
        HEAD,
        HEAD "<Blob><Properties><Content-Length>1</Content-Length></Properties></Blob>" TAIL,
        HEAD "<Blob><Name>a</Name></Blob>" TAIL,
        HEAD "<Blob><Name></Name><Properties><Content-Length>1</Content-Length></Properties>"
             "</Blob>" TAIL,
        HEAD "<Blob><Name>a</Name><Name>b</Name><Properties><Content-Length>1</Content-Length>"
             "</Properties></Blob>" TAIL,
        HEAD "<Blob><Name Encoded=\"true\">a%00</Name><Properties><Content-Length>1"
             "</Content-Length></Properties></Blob>" TAIL,
        HEAD "<Blob><Name>a</Name><Properties><Content-Length>-1</Content-Length></Properties>"
             "</Blob>" TAIL,
        HEAD "<Blob><Name>a</Name><Properties><Content-Length>1</Content-Length><Last-Modified>now"
             "</Last-Modified></Properties></Blob>" TAIL,
        "<!DOCTYPE x [<!ENTITY a \"b\">]><EnumerationResults></EnumerationResults>",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        AUTO(s3_page) struct s3_page page;
        assert_int_equal(parse(bad[i], &page), -EIO);
    }
}

static void check_status(unsigned status, const char *code, int error, bool retryable)
{
    assert_int_equal(azure_status_errno(status, slice_of(code)), error);
    assert_int_equal(azure_status_retryable(status, slice_of(code)), retryable);
}

/* Azure's codes come before the statuses; a 5xx is never ENOENT. */
static void test_errors(void **state)
{
    (void)state;
    check_status(404, "BlobNotFound", ENOENT, false);
    check_status(404, "ContainerNotFound", ENOENT, false);
    check_status(404, "", ENOENT, false);
    check_status(403, "AuthenticationFailed", EACCES, false);
    check_status(403, "AuthorizationPermissionMismatch", EACCES, false);
    check_status(401, "InvalidAuthenticationInfo", EACCES, false);
    check_status(400, "InvalidAuthenticationInfo", EACCES, false);
    check_status(401, "NoAuthenticationInformation", EACCES, false);
    check_status(409, "PublicAccessNotPermitted", EACCES, false);
    check_status(409, "BlobArchived", EREMOTE, false);
    check_status(409, "BlobBeingRehydrated", EREMOTE, false);
    check_status(409, "BlobAlreadyExists", EEXIST, false);
    check_status(412, "ConditionNotMet", ESTALE, false);
    check_status(429, "TooManyRequests", EIO, true);
    check_status(500, "InternalError", EIO, true);
    check_status(500, "OperationTimedOut", EIO, true);
    check_status(503, "ServerBusy", EIO, true);
    check_status(503, "", EIO, true);
    check_status(400, "InvalidUri", EIO, false);
    assert_true(azure_status_token_refused(401, slice_of("")));
    assert_true(azure_status_token_refused(403, slice_of("AuthenticationFailed")));
    assert_false(azure_status_token_refused(403, slice_of("AuthorizationPermissionMismatch")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),          cmocka_unit_test(test_directories),
        cmocka_unit_test(test_encoded_names), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
