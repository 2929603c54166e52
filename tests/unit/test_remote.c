/* SPDX-License-Identifier: Apache-2.0 */
/* What the stores that are asked by HTTP do alike: each test is of all of them. */
#include "base/clock.h"
#include "tests/unit/wire_fixture.h"

#define ANSWER(status, fields, length, body)                                                       \
    "HTTP/1.1 " status "\r\nConnection: close\r\nETag: \"e\"\r\nx-goog-generation: 7\r\n" fields   \
    "Content-Length: " length "\r\n\r\n" body
#define PART ANSWER("206 Partial Content", "Content-Range: bytes 10-14/90\r\n", "5", "abcde")

static const char *const urls[] = {"s3://bucket/lake", "gs://bucket/lake", "az://acc/con/lake"};
#define SAS "sv=2023-11-03&sp=rl&sig=hunter2%3D"

#define FOR_EACH(f, ...)                                                                           \
    static const char *const script_[] = {__VA_ARGS__};                                            \
    for (size_t i_ = 0;                                                                            \
         i_ < ARRAY_SIZE(urls) && (open_store((f), i_, script_, ARRAY_SIZE(script_)), true);       \
         end(f), i_++)

static void open_store(struct fixture *f, size_t i, const char *const *script, size_t n)
{
    struct store_options options = {.no_sign_request = i < 2,
                                    .azure_sas_token = i < 2 ? NULL : SAS};
    begin(f, urls[i], options, script, n);
}

/* Aim: one request brings several blocks, each into its own buffer. */
static void test_rooms(void **state)
{
    (void)state;
    struct fixture f;
    FOR_EACH(&f, PART)
    {
        char first[3] = "", second[4] = "";
        const struct iovec rooms[] = {{first, 2}, {second, 3}};
        struct store_get req = {
            .key = "k", .offset = 10, .length = 5, .to = first, .rooms = rooms, .rooms_count = 2};
        assert_int_equal(f.store->ops->rooms_bytes, TRAIN_BYTES);
        assert_int_equal(store_get_wait(f.store, &req, &f.err), 0);
        assert_int_equal(req.got, 5);
        assert_string_equal(first, "ab");
        assert_string_equal(second, "cde");
        assert_int_equal(served(&f), 1);
    }
}

/* Aim: an answer that cannot be right is asked for again, thrice at most, and never believed. */
static void test_broken_answers(void **state)
{
    (void)state;
    struct fixture f;
    FOR_EACH(&f, ANSWER("206 Partial Content", "Content-Range: bytes 0-4/90\r\n", "5", "abcde"))
    {
        assert_int_equal(get(&f, "k", NULL, NULL), -EIO);
        assert_int_equal(served(&f), 3);
    }
}

/* Aim: a broken answer is no error where the next one is right. */
static void test_mended_answer(void **state)
{
    (void)state;
    struct fixture f;
    FOR_EACH(&f, ANSWER("206 Partial Content", "Content-Range: bytes 0-4/90\r\n", "5", "abcde"),
             PART)
    {
        struct store_info info = {0};
        assert_int_equal(get(&f, "k", NULL, &info), 0);
        assert_int_equal(info.size, 90);
        assert_int_equal(served(&f), 2);
    }
}

/* Aim: what the object was is said, and what it is now. */
static void test_changed(void **state)
{
    (void)state;
    struct fixture f;
    FOR_EACH(&f, PART)
    {
        assert_int_equal(get(&f, "k", "\"8\"", NULL), -ESTALE);
        assert_non_null(strstr(f.err.msg, "the object changed: "));
        assert_non_null(strstr(f.err.msg, "asked for \"8\""));
        assert_non_null(strstr(f.err.msg, i_ == 1 ? "generation \"7\"" : "ETag \"e\""));
    }
}

/* Aim: the root is no object, and no object is longer than a store can say: nothing is asked. */
static void test_not_asked(void **state)
{
    (void)state;
    struct fixture f;
    FOR_EACH(&f, PART)
    {
        char to[5];
        struct store_info info;
        struct store_get far = {.key = "k", .offset = UINT64_MAX - 5, .length = 5, .to = to};
        assert_int_equal(get(&f, "", NULL, NULL), -ENOENT);
        assert_int_equal(f.store->ops->head(f.store, "", &info, &f.err), -ENOENT);
        assert_int_equal(f.store->ops->put_if_absent(f.store, "", SLICE_LIT("x"), &f.err), -EINVAL);
        assert_int_equal(store_get_wait(f.store, &far, &f.err), -EIO);
        assert_int_equal(served(&f), 0);
    }
}

#define DEADLINE_MS 1000
#define LONG_DEADLINE_MS 9000 /* of which a sixth is for who was never reached */

static int64_t fail_ms(struct fixture *f)
{
    int64_t began_ms = clock_mono_ms();
    assert_int_equal(get(f, "k", NULL, NULL), -EIO);
    assert_non_null(strstr(f->err.msg, "onnect"));
    return clock_mono_ms() - began_ms;
}

/* Aim: who names a server that nobody can reach is told long before the deadline. */
static void test_never_reached(void **state)
{
    (void)state;
    struct fixture f;
    static const char *const script[] = {PART};
    begin(&f, urls[0],
          (struct store_options){.no_sign_request = true, .deadline_ms = LONG_DEADLINE_MS}, script,
          1);
    (void)shutdown(f.fd, SHUT_RDWR);
    assert_true(fail_ms(&f) < LONG_DEADLINE_MS * 4 / 5);
    end(&f);
}

/* Aim: a server that is gone for a moment is waited for until the deadline. */
static void test_reached_before(void **state)
{
    (void)state;
    struct fixture f;
    static const char *const script[] = {PART};
    begin(&f, urls[0], (struct store_options){.no_sign_request = true, .deadline_ms = DEADLINE_MS},
          script, 1);
    assert_int_equal(get(&f, "k", NULL, NULL), 0);
    (void)shutdown(f.fd, SHUT_RDWR);
    assert_true(fail_ms(&f) > DEADLINE_MS * 4 / 5);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rooms),          cmocka_unit_test(test_broken_answers),
        cmocka_unit_test(test_mended_answer),  cmocka_unit_test(test_changed),
        cmocka_unit_test(test_not_asked),      cmocka_unit_test(test_never_reached),
        cmocka_unit_test(test_reached_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
