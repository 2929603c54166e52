/* SPDX-License-Identifier: Apache-2.0 */
/* The policy's file: when it is read, and when it must not be believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>

#include "base/limits.h"
#include "fs/policy_file.h"

#define HEAD "grants:\n  - to: [a]\n    tables: [x]\n"
#define HIDES "    hide: [b]\n"
#define NEXT "  - to: [c]\n    tables: [y]\n"

/* A file that ends within a grant may lack what the grant keeps back. */
static void test_a_text_that_is_cut_off(void **state)
{
    (void)state;
    static const struct {
        const char *before, *now;
        bool cut;
    } cases[] = {
        {HEAD HIDES, HEAD, true},
        {HEAD HIDES NEXT, HEAD, true},
        {HEAD "\n    # why\n" HIDES, HEAD "\n", true},
        {HEAD "    hide:\n      - b\n", HEAD "    hide:\n", true},
        {HEAD HIDES, "grants:\n  - to: [a]\n    tables: [x", true},
        {HEAD HIDES NEXT, HEAD HIDES, false},
        {HEAD HIDES "classes:\n", HEAD HIDES, false},
        {HEAD "# the end\n", HEAD, false},
        {HEAD, "grants:\n  - to: [a]\n    tables: [x]", false},
        {HEAD, HEAD HIDES, false},
        {HEAD, HEAD, false},
        {HEAD, "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (policy_text_is_cut(slice_of(cases[i].before), slice_of(cases[i].now)) != cases[i].cut)
            fail_msg("case %zu", i);
}

static void put(const char *path, const char *text)
{
    AUTO_FILE FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
}

/* A changed file is due once it holds still; one that somebody writes to, not before the limit. */
static void test_when_a_file_is_due(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = {0};
    struct policy_file f;
    char path[] = "/tmp/tarn-policy-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    buf_init(&text, POLICY_BYTES_MAX);
    put(path, HEAD);
    assert_int_equal(policy_file_init(&f, path, NULL), 0);
    assert_int_equal(policy_file_read(&f, &text, NULL), 0);
    assert_true(slice_is(buf_slice(&text), HEAD));
    policy_file_keep(&f, &text);
    assert_false(policy_file_due(&f, 1000));
    put(path, HEAD HIDES);
    assert_false(policy_file_due(&f, 2000));
    assert_false(policy_file_due(&f, 2000 + POLICY_STILL_MS - 1));
    fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_false(policy_file_due(&f, 2000 + POLICY_STILL_MS));
    assert_int_equal(policy_file_read(&f, &text, NULL), -EBUSY);
    (void)close(fd);
    assert_false(policy_file_due(&f, 5000));
    assert_true(policy_file_due(&f, 5000 + POLICY_STILL_MS));
    assert_int_equal(policy_file_read(&f, &text, NULL), 0);
    assert_true(slice_is(buf_slice(&text), HEAD HIDES));
    assert_false(policy_file_due(&f, 9000));
    assert_int_equal(unlink(path), 0);
    assert_false(policy_file_due(&f, 10000));
    assert_true(policy_file_due(&f, 10000 + POLICY_STILL_MS));
    assert_int_equal(policy_file_read(&f, &text, NULL), -ENOENT);
    policy_file_done(&f);
}

struct replacing {
    const char *path;
    _Atomic bool ended;
};

static void *replace_again_and_again(void *arg)
{
    struct replacing *r = arg;
    char aside[64];
    (void)snprintf(aside, sizeof aside, "%s-aside", r->path);
    while (!r->ended) {
        put(aside, HEAD HIDES);
        assert_int_equal(rename(aside, r->path), 0);
    }
    return NULL;
}

/* A policy that is replaced while it is read is the old one or the new one, and never none. */
static void test_a_file_that_is_replaced_while_it_is_read(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = {0};
    struct policy_file f;
    struct err err = ERR_INIT;
    pthread_t thread;
    char path[] = "/tmp/tarn-policy-XXXXXX";
    struct replacing r = {.path = path};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    buf_init(&text, POLICY_BYTES_MAX);
    put(path, HEAD HIDES);
    assert_int_equal(policy_file_init(&f, path, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, replace_again_and_again, &r), 0);
    for (int i = 0; i < 20000; i++) {
        if (policy_file_read(&f, &text, &err) < 0)
            fail_msg("read %d: %s", i, err.msg);
        assert_true(slice_is(buf_slice(&text), HEAD HIDES));
    }
    r.ended = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(unlink(path), 0);
    policy_file_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_text_that_is_cut_off),
        cmocka_unit_test(test_when_a_file_is_due),
        cmocka_unit_test(test_a_file_that_is_replaced_while_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
