/* SPDX-License-Identifier: Apache-2.0 */
/* The meaning of an answer's status and code, and the delays between attempts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "cache/store/retry.h"
#include "cache/store/status.h"

/* Every status that the table knows has the errno that users are promised. */
static void test_status_alone(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        int error;
        bool retryable;
    } cases[] = {
        {400, EIO, false}, {401, EACCES, false}, {403, EACCES, false}, {404, ENOENT, false},
        {408, EIO, true},  {412, ESTALE, false}, {429, EIO, true},     {500, EIO, true},
        {501, EIO, false}, {502, EIO, true},     {503, EIO, true},     {504, EIO, true},
        {301, EIO, false}, {0, EIO, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(status_errno(cases[i].status, SLICE_NONE), cases[i].error);
        assert_int_equal(status_retryable(cases[i].status, SLICE_NONE), cases[i].retryable);
    }
}

/* A code that says more than its status decides: archived, expired, in conflict, too slow. */
static void test_code_decides(void **state)
{
    (void)state;
    assert_int_equal(status_errno(403, SLICE_LIT("InvalidObjectState")), EREMOTE);
    assert_int_equal(status_errno(400, SLICE_LIT("ExpiredToken")), EACCES);
    assert_int_equal(status_errno(404, SLICE_LIT("NoSuchBucket")), ENOENT);
    assert_true(status_retryable(409, SLICE_LIT("ConditionalRequestConflict")));
    assert_true(status_retryable(400, SLICE_LIT("RequestTimeout")));
    assert_false(status_retryable(403, SLICE_LIT("AccessDenied")));
}

/* Every line of the table is found by what it is for, and says what is documented of its kind. */
static void test_every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < STATUS_ROWS; i++) {
        const struct status_row *r = &status_table[i];
        struct slice code = r->code ? slice_of(r->code) : SLICE_NONE;
        assert_true((r->code != NULL) != (r->status != 0));
        assert_true(r->error == EIO || r->error == EACCES || r->error == ENOENT ||
                    r->error == ESTALE || r->error == EREMOTE || r->error == EALREADY ||
                    r->error == EBUSY);
        assert_true(!r->retryable || r->error == EIO);
        for (unsigned status = r->code ? 300 : r->status; status < (r->code ? 600 : r->status + 1);
             status++) {
            assert_int_equal(status_errno(status, code), r->error);
            assert_int_equal(status_retryable(status, code), r->retryable);
        }
    }
}

/* What may pass, and any 5xx, is never told as "there is no such key". */
static void test_retryable_is_never_enoent(void **state)
{
    (void)state;
    for (unsigned status = 0; status < 1000; status++)
        if (status >= 500 || status_retryable(status, SLICE_NONE))
            assert_int_equal(status_errno(status, SLICE_NONE), EIO);
}

/* Delays stay within a bound that grows and then stands still, for any number of attempts. */
static void test_delays(void **state)
{
    (void)state;
    assert_int_equal(retry_delay_ms(1, 0), 0);
    assert_in_range(retry_delay_ms(1, UINT64_MAX), 0, 100);
    assert_int_equal(retry_delay_ms(1, 100), 100);
    assert_int_equal(retry_delay_ms(3, 400), 400);
    for (unsigned attempts = 1; attempts < 1000; attempts++)
        assert_in_range(retry_delay_ms(attempts, attempts * UINT64_C(0x9e3779b97f4a7c15)), 0, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_alone), cmocka_unit_test(test_code_decides),
        cmocka_unit_test(test_every_row),    cmocka_unit_test(test_retryable_is_never_enoent),
        cmocka_unit_test(test_delays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
