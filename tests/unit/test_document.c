/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lake/delta/delta.h"
#include "lake/document.h"
#include "lake/files/files.h"

/* Aim: what is listed can be found and nothing else; a format without schemas has no document. */
static void test_names(void **state)
{
    (void)state;
    const struct driver_ops *formats[] = {&delta_ops, &files_ops};
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        size_t n = 0;
        bool schema = false;
        for (const char *name; (name = document_name(formats[i], n)); n++) {
            assert_true(document_exists(formats[i], slice_of(name)));
            schema |= slice_is(slice_of(name), "schema.json");
        }
        assert_int_equal(n, formats[i] == &delta_ops ? 6 : 3);
        assert_int_equal(schema, formats[i] == &delta_ops);
        assert_int_equal(document_exists(formats[i], SLICE_LIT("schema.json")), schema);
        assert_false(document_exists(formats[i], SLICE_LIT("other")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
