/* SPDX-License-Identifier: Apache-2.0 */
/* Classes of objects in S3 and their tags: what is sent, and what answers are taken for. */
#include "cache/store/s3_class.h"
#include "cache/store/store_tags.h"
#include "tests/unit/wire_fixture.h"

#define MD5 "\"0123456789abcdef0123456789abcdef\""
#define ANSWER(status, fields, body)                                                               \
    "HTTP/1.1 " status "\r\nConnection: close\r\n" fields "\r\n" body
#define HEAD_OF(etag, class, more)                                                                 \
    ANSWER("200 OK",                                                                               \
           "ETag: " etag "\r\nContent-Length: 90\r\nx-amz-storage-class: " class "\r\n" more, "")
#define HEAD HEAD_OF(MD5, "STANDARD", "")
#define MOVED HEAD_OF(MD5, "GLACIER", "")
#define ENFORCED                                                                                   \
    ANSWER("200 OK", "",                                                                           \
           "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership>"       \
           "</Rule></OwnershipControls>")
#define NO_CONTROLS ANSWER("404 Not Found", "", "<Error><Code>NoSuchOwnership</Code></Error>")
#define COPIED ANSWER("200 OK", "", "<CopyObjectResult><ETag>" MD5 "</ETag></CopyObjectResult>")
#define ERROR(status, code) ANSWER(status, "", "<Error><Code>" code "</Code></Error>")
#define ACL(grants)                                                                                \
    "<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList>" grants                    \
    "</AccessControlList></AccessControlPolicy>"
#define GRANT(id, permission)                                                                      \
    "<Grant><Grantee><ID>" id "</ID></Grantee><Permission>" permission "</Permission></Grant>"

static const struct store_info wanted = {.size = 90, .etag = MD5, .class = "STANDARD"};

static int set_class(struct fixture *f, struct store_info *now)
{
    return store_set_class(f->store, "k", "GLACIER", &wanted, now, &f->err);
}

#define WITH(f, ...)                                                                               \
    static const char *const script_[] = {__VA_ARGS__};                                            \
    begin((f), "s3://bucket/lake", (struct store_options){.no_sign_request = true}, script_,       \
          ARRAY_SIZE(script_));

/* Aim: the copy is of exactly that object onto itself, and the service copies what belongs to it.
 */
static void test_what_is_sent(void **state)
{
    (void)state;
    struct fixture f;
    WITH(&f, HEAD_OF(MD5, "STANDARD", "x-amz-server-side-encryption: AES256\r\n"), ENFORCED,
         ERROR("412 Precondition Failed", "PreconditionFailed"));
    assert_int_equal(set_class(&f, NULL), -ESTALE);
    assert_int_equal(served(&f), 3);
    assert_true(sent(&f, "PUT /bucket/lake/k HTTP/1.1\r\n"));
    assert_true(sent(&f, "x-amz-copy-source: /bucket/lake/k\r\n"));
    assert_true(sent(&f, "x-amz-copy-source-if-match: " MD5 "\r\n"));
    assert_true(sent(&f, "if-match: " MD5 "\r\n"));
    assert_true(sent(&f, "x-amz-storage-class: GLACIER\r\n"));
    assert_true(sent(&f, "x-amz-metadata-directive: COPY\r\n"));
    assert_true(sent(&f, "x-amz-tagging-directive: COPY\r\n"));
    assert_true(sent(&f, "x-amz-server-side-encryption: AES256\r\n"));
    assert_false(sent(&f, "ontent-Type:"));
    end(&f);
}

/* Aim: what is told is what the store says afterwards. */
static void test_verified(void **state)
{
    (void)state;
    struct fixture f;
    struct store_info now = {0};
    WITH(&f, HEAD, ENFORCED, COPIED, MOVED);
    assert_int_equal(set_class(&f, &now), 0);
    assert_string_equal(now.class, "GLACIER");
    assert_string_equal(now.etag, MD5);
    end(&f);
}

/* Aim: a copy that left the class as it was is no success. */
static void test_not_moved(void **state)
{
    (void)state;
    struct fixture f;
    WITH(&f, HEAD, ENFORCED, COPIED, HEAD);
    assert_int_equal(set_class(&f, NULL), -EIO);
    end(&f);
}

/* Aim: an object that is in the class already is left alone. */
static void test_done_before(void **state)
{
    (void)state;
    struct fixture f;
    WITH(&f, MOVED);
    assert_int_equal(set_class(&f, NULL), 0);
    assert_int_equal(served(&f), 1);
    end(&f);
}

/* Aim: of two who copy at once, the second is told that nothing changes, and looks. */
static void test_done_meanwhile(void **state)
{
    (void)state;
    struct fixture f;
    WITH(&f, HEAD, ENFORCED, ERROR("400 Bad Request", "InvalidRequest"), MOVED);
    assert_int_equal(set_class(&f, NULL), 0);
    end(&f);
}

/* Aim: an error that comes as a success is none: what may pass is sent again, the rest is told. */
static void test_error_in_a_success(void **state)
{
    (void)state;
    struct fixture f;
    {
        WITH(&f, HEAD, ENFORCED, ERROR("200 OK", "SlowDown"), COPIED, MOVED);
        assert_int_equal(set_class(&f, NULL), 0);
        end(&f);
    }
    WITH(&f, HEAD, ENFORCED, ERROR("200 OK", "AccessDenied"));
    assert_int_equal(set_class(&f, NULL), -EIO);
    assert_non_null(strstr(f.err.msg, "AccessDenied"));
    assert_int_equal(served(&f), 3);
    end(&f);
}

/* Aim: a copy that would be another object is not made. */
static void test_not_copied(void **state)
{
    (void)state;
    static const char *const heads[] = {
        HEAD_OF("\"0123456789abcdef0123456789abcdef-2\"", "STANDARD", ""),
        HEAD_OF("\"0123456789abcdef\"", "STANDARD", ""),
        HEAD_OF(MD5, "STANDARD", "x-amz-server-side-encryption: aws:kms\r\n"),
        HEAD_OF(MD5, "STANDARD", "x-amz-server-side-encryption: a-name-longer-than-any-known\r\n"),
        HEAD_OF(MD5, "STANDARD", "x-amz-server-side-encryption-customer-algorithm: AES256\r\n"),
        HEAD_OF(MD5, "STANDARD", "x-amz-version-id: 3sL4kqtJlcpXroDTDmJ\r\n"),
        HEAD_OF(MD5, "STANDARD", "x-amz-object-lock-mode: GOVERNANCE\r\n"),
        HEAD_OF(MD5, "STANDARD", "x-amz-object-lock-legal-hold: ON\r\n"),
        HEAD_OF(MD5, "STANDARD", "x-amz-website-redirect-location: /x\r\n"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        struct fixture f;
        struct store_info any = {.size = 90};
        begin(&f, "s3://bucket/lake", (struct store_options){.no_sign_request = true}, &heads[i],
              1);
        assert_int_equal(store_set_class(f.store, "k", "GLACIER", &any, NULL, &f.err), -EOPNOTSUPP);
        assert_int_equal(served(&f), 1);
        end(&f);
    }
}

/* Aim: another object, one of another class, and one that is archived are not touched. */
static void test_another(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        int rc;
    } cases[] = {{HEAD_OF("\"fedcba9876543210fedcba9876543210\"", "STANDARD", ""), -ESTALE},
                 {HEAD_OF(MD5, "DEEP_ARCHIVE", ""), -ESTALE}};
    struct store_info deep = {.size = 90, .etag = MD5, .class = "DEEP_ARCHIVE"};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture f;
        begin(&f, "s3://bucket/lake", (struct store_options){.no_sign_request = true},
              &cases[i].head, 1);
        assert_int_equal(set_class(&f, NULL), cases[i].rc);
        if (i == 1)
            assert_int_equal(store_set_class(f.store, "k", "GLACIER", &deep, NULL, &f.err),
                             -EREMOTE);
        end(&f);
    }
}

/* Aim: an object that others may read is not made private by a copy. */
static void test_readers(void **state)
{
    (void)state;
    struct fixture f;
    {
        WITH(&f, HEAD, NO_CONTROLS,
             ANSWER("200 OK", "", ACL(GRANT("me", "FULL_CONTROL") GRANT("you", "READ"))));
        assert_int_equal(set_class(&f, NULL), -EOPNOTSUPP);
        assert_int_equal(served(&f), 3);
        end(&f);
    }
    {
        WITH(&f, HEAD, NO_CONTROLS, ERROR("403 Forbidden", "AccessDenied"));
        assert_int_equal(set_class(&f, NULL), -EOPNOTSUPP);
        end(&f);
    }
    WITH(&f, HEAD, NO_CONTROLS, ANSWER("200 OK", "", ACL(GRANT("me", "FULL_CONTROL"))), COPIED,
         MOVED);
    assert_int_equal(set_class(&f, NULL), 0);
    end(&f);
}

/* Aim: a server that makes no conditional copies makes none. */
static void test_no_conditions(void **state)
{
    (void)state;
    struct fixture f;
    WITH(&f, HEAD, ENFORCED, ERROR("501 Not Implemented", "NotImplemented"));
    assert_int_equal(set_class(&f, NULL), -EOPNOTSUPP);
    end(&f);
}

/* Aim: only the owner alone is private. */
static void test_acl(void **state)
{
    (void)state;
    static const struct {
        const char *xml;
        bool private;
    } cases[] = {
        {ACL(GRANT("me", "FULL_CONTROL")), true},
        {ACL(GRANT("me", "READ")), false},
        {ACL(GRANT("you", "FULL_CONTROL")), false},
        {ACL(GRANT("me", "FULL_CONTROL") "<Grant><Grantee><URI>http://acs.amazonaws.com/groups/"
                                         "global/AllUsers</URI></Grantee><Permission>READ"
                                         "</Permission></Grant>"),
         false},
        {ACL(""), false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        bool private = !cases[i].private;
        assert_int_equal(s3_acl_private(slice_of(cases[i].xml), &private, NULL), 0);
        assert_int_equal(private, cases[i].private);
    }
    bool any;
    assert_int_equal(s3_acl_private(SLICE_LIT("<Error/>"), &any, NULL), -EIO);
}

#define TAGS "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag>"

/* Aim: a tag is set beside those that are there, and seen afterwards. */
static void test_tag(void **state)
{
    (void)state;
    struct fixture f;
    struct store_tag tag = {.name = "tarn-tier", .value = "GLACIER"};
    bool changed = false;
    WITH(&f, HEAD, ANSWER("200 OK", "", TAGS "</TagSet></Tagging>"), ANSWER("200 OK", "", ""),
         ANSWER("200 OK", "",
                TAGS "<Tag><Key>tarn-tier</Key><Value>GLACIER</Value></Tag></TagSet></Tagging>"),
         HEAD);
    assert_int_equal(store_set_tag(f.store, "k", &tag, &wanted, &changed, &f.err), 0);
    assert_true(changed);
    assert_int_equal(served(&f), 5);
    end(&f);
}

/* Aim: an object that took the place of the one that was tagged meanwhile loses the tag again. */
static void test_tag_of_another(void **state)
{
    (void)state;
    struct fixture f;
    struct store_tag tag = {.name = "tarn-tier", .value = "GLACIER"};
    WITH(&f, HEAD, ANSWER("200 OK", "", "<Tagging><TagSet/></Tagging>"), ANSWER("200 OK", "", ""),
         ANSWER("200 OK", "",
                "<Tagging><TagSet><Tag><Key>tarn-tier</Key><Value>GLACIER</Value></Tag></TagSet>"
                "</Tagging>"),
         HEAD_OF("\"fedcba9876543210fedcba9876543210\"", "STANDARD", ""),
         ANSWER("204 No Content", "", ""));
    assert_int_equal(store_set_tag(f.store, "k", &tag, &wanted, NULL, &f.err), -ESTALE);
    assert_int_equal(served(&f), 6);
    assert_true(sent(&f, "DELETE /bucket/lake/k?tagging= "));
    end(&f);
}

/* Aim: what is written is read again, whatever stands in a tag. */
static void test_tags_text(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = {0};
    struct store_tags tags = {0}, again = {0};
    struct store_tag one = {.name = "a<&>\r\n ", .value = "]]>&amp;"}, none = {.name = "two"};
    int rc = 0;
    buf_init(&text, 4 * KIB);
    assert_true(store_tags_set(&tags, &one, &rc));
    assert_false(store_tags_set(&tags, &one, &rc));
    assert_false(store_tags_set(&tags, &none, &rc));
    store_tags_format(&tags, "Tagging", &text);
    assert_int_equal(store_tags_parse(buf_slice(&text), &again, NULL), 0);
    assert_int_equal(again.count, 1);
    assert_string_equal(again.at[0].name, one.name);
    assert_string_equal(again.at[0].value, one.value);
    for (unsigned i = tags.count; i < STORE_TAGS_MAX; i++) {
        struct store_tag more = {.value = "x"};
        (void)snprintf(more.name, sizeof more.name, "%u", i); /* it fits */
        assert_true(store_tags_set(&tags, &more, &rc));
    }
    assert_false(store_tags_set(&tags, &(struct store_tag){.name = "n", .value = "v"}, &rc));
    assert_int_equal(rc, -EOVERFLOW);
    assert_true(store_tags_set(&tags, &(struct store_tag){.name = "5"}, &rc));
    assert_int_equal(tags.count, STORE_TAGS_MAX - 1);
    assert_null(store_tags_find(&tags, "5"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_sent),
        cmocka_unit_test(test_verified),
        cmocka_unit_test(test_not_moved),
        cmocka_unit_test(test_done_before),
        cmocka_unit_test(test_done_meanwhile),
        cmocka_unit_test(test_error_in_a_success),
        cmocka_unit_test(test_not_copied),
        cmocka_unit_test(test_another),
        cmocka_unit_test(test_readers),
        cmocka_unit_test(test_no_conditions),
        cmocka_unit_test(test_acl),
        cmocka_unit_test(test_tag),
        cmocka_unit_test(test_tag_of_another),
        cmocka_unit_test(test_tags_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
