/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/format/codec.h"
#include "lake/format/unpack.h"

static const unsigned codecs[] = {CODEC_GZIP, CODEC_ZSTD};

/* Text of that length, which compresses. */
static void fill(struct buf *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_add_char(out, (char)('a' + i * i % 23));
}

/* Aim: what was compressed comes out, also of several members or frames, of any size. */
static void test_all_of_it(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 300000};
    for (size_t c = 0; c < ARRAY_SIZE(codecs); c++)
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
            AUTO(buf) struct buf text = {0}, packed = {0}, out = {0};
            buf_init(&text, MIB);
            buf_init(&packed, MIB);
            buf_init(&out, 2 * sizes[i]); /* no byte more */
            fill(&text, sizes[i]);
            for (int twice = 0; twice < 2; twice++)
                assert_int_equal(
                    codec_compress(codecs[c], CODEC_QUICK, buf_slice(&text), &packed, NULL), 0);
            assert_true(unpack_is_packed(buf_slice(&packed)));
            struct err err = ERR_INIT;
            if (unpack(buf_slice(&packed), &out, &err) < 0 && sizes[i])
                fail_msg("%zu bytes: %s", sizes[i], err.msg);
            assert_int_equal(out.len, 2 * sizes[i]);
            for (size_t at = 0; sizes[i] && at < 2; at++)
                assert_memory_equal(out.data + at * sizes[i], text.data, sizes[i]);
        }
}

/* Aim: what is cut off or damaged is an error, and so is more than there is room for. */
static void test_damage(void **state)
{
    (void)state;
    for (size_t c = 0; c < ARRAY_SIZE(codecs); c++) {
        AUTO(buf) struct buf text = {0}, packed = {0}, out = {0};
        buf_init(&text, MIB);
        buf_init(&packed, MIB);
        buf_init(&out, MIB);
        fill(&text, 100000);
        assert_int_equal(codec_compress(codecs[c], CODEC_QUICK, buf_slice(&text), &packed, NULL),
                         0);
        for (size_t n = 4; n < packed.len; n += 97) {
            buf_reset(&out);
            assert_int_equal(unpack(slice_make(packed.data, n), &out, NULL), -EIO);
        }
        AUTO(buf) struct buf small = {0};
        buf_init(&small, 99999);
        assert_int_equal(unpack(buf_slice(&packed), &small, NULL), -EOVERFLOW);
    }
    AUTO(buf) struct buf out = {0};
    buf_init(&out, KIB);
    assert_int_equal(unpack(SLICE_LIT("{}"), &out, NULL), -EIO);
    assert_false(unpack_is_packed(SLICE_LIT("{}")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_of_it),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
