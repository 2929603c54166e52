/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <lz4frame.h>

#include "base/buf.h"
#include "base/limits.h"
#include "lake/format/puffin.h"
#include "lake/format/roaring.h"

#define BLOBS_END 104

static void put32(struct buf *out, uint32_t v)
{
    buf_add(out, &v, sizeof v);
}

/* A footer, whose flags tell whether it is compressed. */
static void put_footer(struct buf *out, struct slice payload, uint32_t flags)
{
    buf_init(out, MIB);
    buf_add_str(out, "PFA1");
    buf_add_slice(out, payload);
    put32(out, (uint32_t)payload.n);
    put32(out, flags);
    buf_add_str(out, "PFA1");
}

static int parse(struct slice footer, struct puffin **out, struct err *err)
{
    *err = (struct err)ERR_INIT;
    return puffin_parse(footer, BLOBS_END + footer.n, out, err);
}

#define PAYLOAD                                                                                    \
    "{\"properties\":{\"created-by\":\"somebody\"},\"blobs\":["                                    \
    "{\"type\":\"deletion-vector-v1\",\"fields\":[2147483546],\"snapshot-id\":-1,"                 \
    "\"sequence-number\":-1,\"offset\":4,\"length\":40,\"properties\":{"                           \
    "\"referenced-data-file\":\"s3://b/\\u00e9.parquet\",\"cardinality\":\"3\"}},"                 \
    "{\"length\":60,\"offset\":44,\"compression-codec\":\"zstd\",\"sequence-number\":7,"           \
    "\"snapshot-id\":99,\"fields\":[1,2],\"type\":\"apache-datasketches-theta-v1\",\"new\":[]}]}"

static void check_blobs(const struct puffin *p)
{
    assert_int_equal(puffin_blobs(p), 2);
    const struct puffin_blob *b = puffin_find(p, 4);
    assert_ptr_equal(b, puffin_blob(p, 0));
    assert_true(slice_is(b->type, "deletion-vector-v1") && b->codec.n == 0);
    assert_true(b->fields_n == 1 && b->fields[0] == 2147483546);
    assert_true(b->snapshot == -1 && b->sequence == -1 && b->length == 40);
    assert_true(slice_is(puffin_property(b, "cardinality"), "3"));
    assert_true(slice_is(puffin_property(b, "referenced-data-file"), "s3://b/\xc3\xa9.parquet"));
    assert_null(puffin_property(b, "ndv").p);
    b = puffin_find(p, 44);
    assert_ptr_equal(b, puffin_blob(p, 1));
    assert_true(slice_is(b->codec, "zstd") && b->snapshot == 99 && b->sequence == 7);
    assert_true(b->fields_n == 2 && b->fields[1] == 2 && b->properties_n == 0);
    assert_null(puffin_find(p, 5));
}

static void pack(struct slice payload, bool with_size, struct buf *out)
{
    LZ4F_preferences_t how = {.frameInfo = {.contentSize = with_size ? payload.n : 0}};
    buf_init(out, MIB);
    char *to = buf_reserve(out, 65536);
    size_t n = LZ4F_compressFrame(to, 65536, payload.p, payload.n, &how);
    assert_false(LZ4F_isError(n));
    out->len += n;
}

/* Aim: what a footer tells of its blobs is read, compressed or not. */
static void test_footer(void **state)
{
    (void)state;
    AUTO(buf) struct buf plain = {0}, packed = {0}, frame = {0};
    struct err err = ERR_INIT;
    uint64_t n;
    put_footer(&plain, SLICE_LIT(PAYLOAD), 0);
    pack(SLICE_LIT(PAYLOAD), true, &frame);
    put_footer(&packed, buf_slice(&frame), 1);
    const struct slice footers[] = {buf_slice(&plain), buf_slice(&packed)};
    for (size_t i = 0; i < ARRAY_SIZE(footers); i++) {
        AUTO(puffin) struct puffin *p = NULL;
        struct slice tail = slice_from(footers[i], footers[i].n - PUFFIN_TAIL_BYTES);
        assert_int_equal(puffin_footer_bytes(tail, BLOBS_END + footers[i].n, &n, &err), 0);
        assert_int_equal(n, footers[i].n);
        assert_int_equal(parse(footers[i], &p, &err), 0);
        check_blobs(p);
    }
}

/* Aim: a footer that was cut, or has a wrong byte, is an error or reads as one that is right. */
static void test_damage(void **state)
{
    (void)state;
    AUTO(buf) struct buf frame = {0};
    pack(SLICE_LIT(PAYLOAD), true, &frame);
    for (int packed = 0; packed < 2; packed++) {
        AUTO(buf) struct buf footer = {0};
        put_footer(&footer, packed ? buf_slice(&frame) : SLICE_LIT(PAYLOAD), packed ? 1 : 0);
        for (size_t i = 0; i < footer.len; i++) {
            AUTO(puffin) struct puffin *cut = NULL, *wrong = NULL;
            struct err err;
            assert_true(parse(slice_from(buf_slice(&footer), i + 1), &cut, &err) < 0);
            footer.data[i] ^= 0x15;
            int rc = parse(buf_slice(&footer), &wrong, &err);
            assert_true(rc == -err.code && (rc == 0) == (wrong != NULL));
            footer.data[i] ^= 0x15;
        }
    }
}

static int code_of(struct slice payload, uint32_t flags)
{
    AUTO(buf) struct buf footer = {0};
    AUTO(puffin) struct puffin *p = NULL;
    struct err err;
    put_footer(&footer, payload, flags);
    return parse(buf_slice(&footer), &p, &err);
}

/* Aim: footers that contradict themselves are damage; what is not known is refused. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        int code;
    } cases[] = {
        {"{\"blobs\":[]}", 0},
        {"{\"blobs\":[{\"type\":\"x\",\"offset\":4,\"length\":100}]}", 0},
        {"{\"blobs\":[{\"type\":\"x\",\"offset\":4,\"length\":101}]}", -EIO},
        {"{\"blobs\":[{\"type\":\"x\",\"offset\":3,\"length\":1}]}", -EIO},
        {"{\"blobs\":[{\"type\":\"x\",\"offset\":-4,\"length\":1}]}", -EIO},
        {"{\"blobs\":[{\"type\":\"x\",\"offset\":4,\"length\":9223372036854775807}]}", -EIO},
        {"{\"blobs\":[{\"type\":\"x\",\"offset\":4}]}", -EIO},
        {"{\"blobs\":[{\"offset\":4,\"length\":1}]}", -EIO},
        {"{\"blobs\":[{\"type\":\"x\",\"offset\":4,\"length\":1,\"fields\":[\"a\"]}]}", -EIO},
        {"{\"blobs\":[{\"type\":\"x\",\"offset\":4,\"length\":1,\"properties\":{\"a\":1}}]}", -EIO},
        {"{\"properties\":{}}", -EIO},
        {"{\"blobs\":[]} {}", -EIO},
        {"", -EIO},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(code_of(slice_of(cases[i].payload), 0), cases[i].code);
    assert_int_equal(code_of(SLICE_LIT("{\"blobs\":[]}"), 2), -EOPNOTSUPP);
    assert_int_equal(code_of(SLICE_LIT("{\"blobs\":[]}"), 256), -EOPNOTSUPP);
    AUTO(buf) struct buf frame = {0};
    pack(SLICE_LIT(PAYLOAD), false, &frame);
    assert_int_equal(code_of(buf_slice(&frame), 1), -EIO); /* it does not tell its size */
    buf_add_char(&frame, 'x');
    assert_int_equal(code_of(buf_slice(&frame), 1), -EIO);
}

/* Rows 1, 2 and 5 of one bitmap, framed as a blob has them. */
static const unsigned char framed[] = {0,  0, 0, 34, 0xd1, 0xd3, 0x39, 0x64, 1, 0, 0, 0, 0, 0, 0, 0,
                                       0,  0, 0, 0,  0x3a, 0x30, 0,    0,    1, 0, 0, 0, 0, 0, 2, 0,
                                       16, 0, 0, 0,  1,    0,    2,    0,    5, 0, 0, 0, 0, 0};

/* Aim: a deletion vector's blob is read where length and checksum are right, and only then. */
static void test_deletion_vector(void **state)
{
    (void)state;
    unsigned char blob[sizeof framed];
    size_t array = sizeof framed - 8;
    memcpy(blob, framed, sizeof framed);
    blob[3] = (unsigned char)array;
    uint32_t crc = 0xFFFFFFFF; /* CRC-32 of IEEE 802.3, bit by bit */
    for (size_t i = 4; i < 4 + array; i++) {
        crc ^= blob[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    crc = __builtin_bswap32(~crc);
    memcpy(blob + 4 + array, &crc, sizeof crc);
    AUTO(roaring) struct roaring *r = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(roaring_parse_framed(slice_make(blob, sizeof blob), &r, &err), 0);
    assert_int_equal(roaring_count(r), 3);
    assert_int_equal(roaring_count_between(r, 1, 3), 2);
    for (size_t i = 0; i < sizeof blob; i++) {
        struct roaring *none = NULL;
        blob[i] ^= 1;
        assert_int_equal(roaring_parse_framed(slice_make(blob, sizeof blob), &none, &err), -EIO);
        blob[i] ^= 1;
        assert_int_equal(roaring_parse_framed(slice_make(blob, i), &none, &err), -EIO);
        assert_null(none);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_footer),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_deletion_vector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
