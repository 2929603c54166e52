/* SPDX-License-Identifier: Apache-2.0 */
/* Reads tests/fixtures/avro (see make.py there for what the files hold), and files of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <zlib.h>

#include "tests/unit/avro_fixture.h"

#define RECORDS 300

static int read_memory(void *arg, uint64_t offset, void *to, size_t n, struct err *err)
{
    const struct slice *file = arg;
    (void)err;
    assert_true(offset <= file->n && n <= file->n - offset);
    memcpy(to, file->p + offset, n);
    return 0;
}

static void check_sizes(const struct avro *a, int slot, int i)
{
    struct avro_items items;
    struct err err = ERR_INIT;
    assert_int_equal(avro_value(a, slot)->present, i % 6 != 5);
    avro_items(a, slot, &items);
    for (int k = 1; k <= 3 && i % 6 != 5; k++) {
        assert_int_equal(avro_items_next(&items, &err), 1);
        assert_int_equal(items.value[0].number, k);
        assert_int_equal(items.value[1].number, i * k);
    }
    assert_int_equal(avro_items_next(&items, &err), 0);
    assert_int_equal(avro_items_next(&items, &err), 0);
}

static void check_offsets(const struct avro *a, int slot, int i)
{
    struct avro_items items;
    struct err err = ERR_INIT;
    avro_items(a, slot, &items);
    assert_int_equal(avro_items_next(&items, &err), 1);
    assert_int_equal(items.value[0].number, 4);
    assert_int_equal(avro_items_next(&items, &err), 1);
    assert_int_equal(items.value[0].number, 4 + i);
    assert_false(items.value[1].present);
    assert_int_equal(avro_items_next(&items, &err), 0);
}

static void check_record(const struct avro *a, const int *slots, int i)
{
    char path[64];
    (void)snprintf(path, sizeof path, "s3://lake/orders/data/part-%05d.parquet", i);
    assert_int_equal(avro_number(a, slots[0], -1), i % 3);
    assert_int_equal(avro_number(a, slots[1], -1), i % 4 == 3 ? -1 : i * 1000000000000000);
    assert_true(slice_is(avro_value(a, slots[2])->bytes, path));
    assert_true(avro_value(a, slots[3])->present);
    assert_int_equal(avro_number(a, slots[4], -1), i * i);
    check_sizes(a, slots[5], i);
    check_offsets(a, slots[6], i);
    assert_false(avro_value(a, slots[7])->present);
}

static void check_file(struct avro *a)
{
    static const struct {
        int32_t id;
        enum avro_type type;
    } wants[] = {{0, AVRO_INT},    {1, AVRO_LONG},    {100, AVRO_STRING}, {102, AVRO_RECORD},
                 {103, AVRO_LONG}, {108, AVRO_ARRAY}, {132, AVRO_ARRAY},  {145, AVRO_LONG}};
    int slots[ARRAY_SIZE(wants)], rc, n = 0;
    struct err err = ERR_INIT;
    for (size_t i = 0; i < ARRAY_SIZE(wants); i++) {
        slots[i] = choose(a, wants[i].id, NULL, wants[i].type);
        assert_int_equal(slots[i], i);
    }
    while ((rc = avro_next(a, &err)) > 0)
        check_record(a, slots, n++);
    assert_int_equal(rc, 0);
    assert_int_equal(avro_next(a, &err), 0);
    assert_int_equal(n, RECORDS);
}

/* Aim: every codec gives the same records, whatever is read of the file at once. */
static void test_codecs(void **state)
{
    (void)state;
    static const char *const codecs[] = {"null", "deflate", "snappy", "zstandard"};
    static const size_t windows[] = {1, 100, 5000, 0};
    for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
        AUTO(buf) struct buf file = {0};
        load_fixture(&file, codecs[i]);
        struct slice bytes = buf_slice(&file);
        AUTO(avro) struct avro *a = open_bytes(bytes);
        assert_true(slice_is(avro_metadata(a, "partition-spec-id"), "3"));
        assert_true(slice_is(avro_metadata(a, "avro.codec"), codecs[i]));
        assert_null(avro_metadata(a, "schema").p);
        assert_true(avro_has_ids(a));
        check_file(a);
        for (size_t w = 0; w < ARRAY_SIZE(windows); w++) {
            struct source source = {.size_bytes = bytes.n,
                                    .read = read_memory,
                                    .arg = &bytes,
                                    .window_bytes = windows[w]};
            AUTO(avro) struct avro *b = avro_open(&source, NULL);
            assert_non_null(b);
            check_file(b);
        }
    }
}

/* Aim: a partition tuple, of whose fields nobody knows beforehand, is read with their types. */
static void test_partition(void **state)
{
    (void)state;
    AUTO(buf) struct buf file = {0};
    load_fixture(&file, "deflate");
    AUTO(avro) struct avro *a = open_bytes(buf_slice(&file));
    struct avro_field day, price;
    int tuple = choose(a, 102, NULL, AVRO_RECORD), lacking = choose(a, 99, NULL, AVRO_RECORD);
    assert_int_equal(avro_fields(a, tuple), 2);
    assert_int_equal(avro_fields(a, lacking), 0);
    assert_int_equal(avro_fields(a, AVRO_ROOT), 3);
    avro_field(a, tuple, 0, &day);
    avro_field(a, tuple, 1, &price);
    assert_true(day.id == 1000 && day.optional && day.logical == AVRO_DATE && day.type == AVRO_INT);
    assert_true(price.id == 1001 && price.logical == AVRO_DECIMAL && price.type == AVRO_FIXED);
    assert_true(price.size == 4 && price.precision == 9 && price.scale == 2);
    assert_true(slice_is(price.name, "price"));
    int second = avro_choose_field(a, tuple, 1, NULL), first = avro_choose_field(a, tuple, 0, NULL);
    for (int i = 0; i < RECORDS; i++) {
        const char bytes[4] = {0, 0, (char)(i >> 8), (char)i};
        assert_int_equal(avro_next(a, NULL), 1);
        assert_int_equal(avro_number(a, first, -1), i % 5 == 4 ? -1 : 19000 + i);
        assert_int_equal(avro_value(a, second)->present, i % 7 != 6);
        if (i % 7 != 6)
            assert_true(slice_eq(avro_value(a, second)->bytes, slice_make(bytes, 4)));
    }
}

static void put_types(struct buf *out)
{
    float f = 1.5F;
    double d = -2.25;
    buf_init(out, MIB);
    buf_add_char(out, 1);
    put_long(out, 0); /* the first branch */
    put_long(out, -7);
    put_long(out, INT64_MIN);
    buf_add(out, &f, sizeof f);
    buf_add(out, &d, sizeof d);
    buf_add_str(out, "abcdef"); /* fixed, again */
    put_long(out, 1);
    put_long(out, 2); /* either: a string */
    put_text(out, SLICE_LIT("s"));
    put_long(out, -2); /* map: two items in a block that tells its bytes, one in another */
    put_long(out, 7);
    put_text(out, SLICE_LIT("k1"));
    put_long(out, 0);
    put_text(out, SLICE_LIT(""));
    put_long(out, 1);
    put_long(out, 5);
    put_long(out, 1);
    put_text(out, SLICE_LIT("k3"));
    put_long(out, 1);
    put_long(out, 6);
    put_long(out, 0);
    put_long(out, 1); /* deep: one item */
    put_long(out, 2);
    put_text(out, SLICE_LIT("p"));
    put_text(out, SLICE_LIT("q"));
    put_long(out, 0);
    put_long(out, 1);
    put_long(out, 3);
    put_long(out, 0);
    put_long(out, 0); /* last: no items, a string */
    put_long(out, 0);
    put_text(out, SLICE_LIT("z"));
    put_text(out, SLICE_LIT("end"));
}

static void check_map(const struct avro *a, int slot)
{
    static const struct {
        const char *key;
        int64_t value;
    } expected[] = {{"k1", -1}, {"", 5}, {"k3", 6}};
    struct avro_items items;
    avro_items(a, slot, &items);
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        assert_int_equal(avro_items_next(&items, NULL), 1);
        assert_true(slice_is(items.value[0].bytes, expected[i].key));
        assert_int_equal(items.value[1].present, expected[i].value > 0);
        if (items.value[1].present)
            assert_int_equal(items.value[1].number, expected[i].value);
    }
    assert_int_equal(avro_items_next(&items, NULL), 0);
}

/* Aim: values of each type are taken, whether what stands before them is taken or passed over. */
static void test_types(void **state)
{
    (void)state;
    AUTO(buf) struct buf record = {0};
    AUTO(buf) struct buf file = {0};
    put_types(&record);
    put_file(&file, TYPES, 1, buf_slice(&record));
    for (unsigned chosen = 0; chosen < 1U << 14; chosen += chosen < 64 ? 1 : 61) {
        AUTO(avro) struct avro *a = open_bytes(buf_slice(&file));
        int slot[15];
        for (int i = 1; i < 15; i++)
            slot[i] = i != 9 && chosen >> (i - 1) & 1 ? choose(a, i, NULL, AVRO_NULL) : -1;
        assert_int_equal(avro_next(a, NULL), 1);
        assert_true(slot[1] < 0 || avro_number(a, slot[1], 0) == 1);
        assert_true(slot[2] < 0 || avro_number(a, slot[2], 0) == -7);
        assert_true(slot[3] < 0 || avro_number(a, slot[3], 0) == INT64_MIN);
        assert_true(slot[4] < 0 || avro_value(a, slot[4])->real == 1.5);
        assert_true(slot[5] < 0 || avro_value(a, slot[5])->real == -2.25);
        assert_true(slot[6] < 0 || slice_is(avro_value(a, slot[6])->bytes, "abc"));
        assert_true(slot[7] < 0 || slice_is(avro_value(a, slot[7])->bytes, "def"));
        assert_true(slot[8] < 0 || avro_number(a, slot[8], 0) == 1);
        if (slot[10] >= 0)
            check_map(a, slot[10]);
        assert_true(slot[12] < 0 || avro_value(a, slot[12])->present);
        assert_true(slot[13] < 0 || !avro_value(a, slot[13])->present);
        assert_true(slot[14] < 0 || slice_is(avro_value(a, slot[14])->bytes, "end"));
        assert_int_equal(avro_next(a, NULL), 0);
    }
}

/* Aim: a file that was cut off anywhere is an error, but where a block ends. */
static void test_cut(void **state)
{
    (void)state;
    static const char *const codecs[] = {"null", "deflate", "snappy", "zstandard"};
    for (size_t c = 0; c < ARRAY_SIZE(codecs); c++) {
        AUTO(buf) struct buf file = {0};
        size_t whole = 0;
        load_fixture(&file, codecs[c]);
        for (size_t n = 0; n < file.len; n += n < 4000 ? 1 : 7) {
            AUTO_FREE char *copy = malloc(n ? n : 1);
            memcpy(copy, file.data, n);
            struct err err = ERR_INIT;
            int rc = -EIO;
            AUTO(avro) struct avro *a = avro_open_bytes(slice_make(copy, n), &err);
            while (a && (rc = avro_next(a, &err)) > 0)
                continue;
            assert_true(rc == 0 || rc == -EIO);
            assert_int_equal(rc, -err.code);
            whole += rc == 0;
            if (a && rc < 0) /* it stays */
                assert_int_equal(avro_next(a, NULL), rc);
        }
        assert_true(whole <= 4);
    }
}

/* Aim: a byte that is wrong anywhere ends in an answer. Of compressed records it is mostly noticed.
 */
static void test_damage(void **state)
{
    (void)state;
    static const char *const codecs[] = {"null", "deflate", "snappy", "zstandard"};
    for (size_t c = 0; c < ARRAY_SIZE(codecs); c++) {
        AUTO(buf) struct buf file = {0};
        load_fixture(&file, codecs[c]);
        for (size_t at = 0; at < file.len; at += at < 3000 ? 3 : 17) {
            struct err err = ERR_INIT;
            struct avro_items items;
            file.data[at] ^= (char)(1 + at % 255);
            AUTO(avro) struct avro *a = avro_open_bytes(buf_slice(&file), &err);
            int list = a ? choose(a, 108, NULL, AVRO_ARRAY) : -1;
            while (a && list >= 0 && avro_next(a, &err) > 0) {
                avro_items(a, list, &items);
                while (avro_items_next(&items, &err) > 0)
                    continue;
            }
            assert_true(c != 2 || at < 3000 || err.code); /* snappy has a checksum */
            file.data[at] ^= (char)(1 + at % 255);
        }
    }
}

/* Aim: counts that no byte stands behind cost nothing, and are not walked. */
static void test_nothing(void **state)
{
    (void)state;
    static const char schema[] = "{\"type\":\"record\",\"name\":\"r\",\"fields\":["
                                 "{\"name\":\"x\",\"type\":{\"type\":\"array\",\"items\":\"null\"},"
                                 "\"field-id\":1},"
                                 "{\"name\":\"y\",\"type\":\"int\",\"field-id\":2}]}";
    AUTO(buf) struct buf file = {0}, record = {0}, empty = {0};
    struct avro_items items;
    buf_init(&record, MIB);
    put_long(&record, INT64_MAX);
    put_long(&record, 0);
    put_long(&record, 9);
    put_file(&file, schema, 1, buf_slice(&record));
    AUTO(avro) struct avro *a = open_bytes(buf_slice(&file));
    int x = choose(a, 1, NULL, AVRO_ARRAY), y = choose(a, 2, NULL, AVRO_INT);
    assert_int_equal(avro_next(a, NULL), 1);
    assert_int_equal(avro_number(a, y, 0), 9);
    avro_items(a, x, &items);
    assert_int_equal(avro_items_next(&items, NULL), -EOPNOTSUPP);
    assert_int_equal(avro_next(a, NULL), 0);
    put_file(&empty, "{\"type\":\"record\",\"name\":\"r\",\"fields\":[]}", INT64_MAX, SLICE_NONE);
    AUTO(avro) struct avro *b = open_bytes(buf_slice(&empty));
    assert_int_equal(avro_next(b, NULL), -EOPNOTSUPP);
}

/* One block of records of {"name": "x", "type": TYPE}. */
static int read_code(const char *type, int64_t records, struct slice bytes)
{
    char schema[512];
    AUTO(buf) struct buf file = {0};
    struct err err = ERR_INIT;
    (void)snprintf(schema, sizeof schema,
                   "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"x\",\"type\":%s,"
                   "\"field-id\":1}]}",
                   type);
    put_file(&file, schema, records, bytes);
    AUTO(avro) struct avro *a = open_bytes(buf_slice(&file));
    int slot = choose(a, 1, NULL, AVRO_NULL), rc;
    assert_int_equal(slot, 0);
    while ((rc = avro_next(a, &err)) > 0)
        continue;
    return rc;
}

/* Aim: values that their type does not have are damage, and so are blocks with bytes too many or
 * too few. */
static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        int64_t records;
        struct slice bytes;
        int code;
    } cases[] = {
        {"\"boolean\"", 2, {"\0\1", 2}, 0},
        {"\"boolean\"", 1, {"\2", 1}, -EIO},
        {"\"int\"", 1, {"\xfe\xff\xff\xff\x0f", 5}, 0},
        {"\"int\"", 1, {"\x80\x80\x80\x80\x10", 5}, -EIO},
        {"\"long\"", 1, {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10}, 0},
        {"\"long\"", 1, {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10}, -EIO},
        {"\"string\"", 1, {"\1", 1}, -EIO},           /* -1 bytes */
        {"\"string\"", 1, {"\6ab", 3}, -EIO},         /* 3, and two are there */
        {"[\"null\",\"int\"]", 1, {"\4\2", 2}, -EIO}, /* a third branch */
        {"[\"null\",\"int\"]", 1, {"\1\2", 2}, -EIO}, /* branch -1 */
        {"[\"int\",\"null\"]", 2, {"\2\0\4", 3}, 0},
        {"{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"a\"]}", 1, {"\2", 1}, -EIO},
        {"{\"type\":\"array\",\"items\":\"int\"}", 1, {"\6\2\4", 3}, -EIO},
        {"{\"type\":\"array\",\"items\":\"int\"}", 1, {"\1\2\2\0", 4}, 0},
        {"{\"type\":\"array\",\"items\":\"int\"}", 1, {"\1\1\2\0", 4}, -EIO},
        {"\"int\"", 1, {"\2\2", 2}, -EIO},
        {"\"int\"", 3, {"\2\2", 2}, -EIO},
        {"\"int\"", -1, {"\2", 1}, -EIO},
        {"\"int\"", 0, {"", 0}, 0},
        {"\"int\"", 0, {"\2", 1}, -EIO},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(read_code(cases[i].type, cases[i].records, cases[i].bytes), cases[i].code);
}

/* Aim: headers longer than what is looked at first, and such in several blocks, are read. */
static void test_headers(void **state)
{
    (void)state;
    AUTO(buf) struct buf file = {0}, pairs = {0};
    AUTO_FREE char *doc = calloc(1, 100001);
    memset(doc, 'x', 100000);
    buf_init(&file, MIB);
    buf_init(&pairs, MIB);
    put_text(&pairs, SLICE_LIT("long"));
    put_text(&pairs, slice_of(doc));
    buf_add(&file, "Obj\1", 4);
    put_long(&file, -1);
    put_long(&file, (int64_t)pairs.len);
    buf_add_slice(&file, buf_slice(&pairs));
    put_long(&file, 1);
    put_text(&file, SLICE_LIT("avro.schema"));
    put_text(&file, SLICE_LIT("\"int\""));
    put_long(&file, 0);
    buf_add_str(&file, AVRO_FIXTURE_SYNC);
    put_block(&file, 2, SLICE_LIT("\2\4"));
    struct slice bytes = buf_slice(&file);
    struct source source = {.size_bytes = bytes.n, .read = read_memory, .arg = &bytes};
    AUTO(avro) struct avro *a = avro_open(&source, NULL);
    assert_non_null(a);
    assert_int_equal(avro_metadata(a, "long").n, 100000);
    assert_int_equal(avro_next(a, NULL), 1);
    assert_int_equal(avro_next(a, NULL), 1);
    assert_int_equal(avro_next(a, NULL), 0);
}

/* Aim: a codec that is not known is refused by its name; a deflated block may have the rest of a
 * checksum behind it, as Python's old writer leaves it, and nothing more. */
static void test_deflate_rest(void **state)
{
    (void)state;
    static const struct {
        const char *rest;
        int code;
    } cases[] = {{"", 1}, {"abc", 1}, {"abcd", 1}, {"abcde", -EIO}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(buf) struct buf file = {0};
        uint8_t packed[64];
        uLongf n = sizeof packed;
        assert_int_equal(compress(packed, &n, (const Bytef *)"\x0a", 1), Z_OK);
        size_t rest = strlen(cases[i].rest), raw = n - 2 - 4;
        memcpy(packed + 2 + raw, cases[i].rest, rest);
        buf_init(&file, MIB);
        put_header(&file, SLICE_LIT("\"int\""), "deflate");
        put_block(&file, 1, slice_make(packed + 2, raw + rest));
        AUTO(avro) struct avro *a = open_bytes(buf_slice(&file));
        assert_int_equal(avro_next(a, NULL), cases[i].code);
    }
    AUTO(buf) struct buf file = {0};
    struct err err = ERR_INIT;
    buf_init(&file, MIB);
    put_header(&file, SLICE_LIT("\"int\""), "bzip2");
    assert_null(avro_open_bytes(buf_slice(&file), &err));
    assert_int_equal(err.code, EOPNOTSUPP);
    assert_non_null(strstr(err.msg, "bzip2"));
}

static int read_fails(void *arg, uint64_t offset, void *to, size_t n, struct err *err)
{
    struct slice *file = arg;
    if (offset + n > 20000)
        return err_set(err, ESTALE, "it has changed");
    return read_memory(file, offset, to, n, err);
}

/* Aim: an error of the source is handed on, and stays. */
static void test_source_fails(void **state)
{
    (void)state;
    AUTO(buf) struct buf file = {0};
    load_fixture(&file, "null");
    struct slice bytes = buf_slice(&file);
    struct source source = {
        .size_bytes = bytes.n, .read = read_fails, .arg = &bytes, .window_bytes = 5000};
    AUTO(avro) struct avro *a = avro_open(&source, NULL);
    struct err err = ERR_INIT;
    int rc;
    assert_non_null(a);
    while ((rc = avro_next(a, &err)) > 0)
        continue;
    assert_int_equal(rc, -ESTALE);
    assert_int_equal(avro_next(a, &err), -ESTALE);
    assert_string_equal(err.msg, "it has changed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codecs),       cmocka_unit_test(test_partition),
        cmocka_unit_test(test_types),        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_damage),       cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_values),       cmocka_unit_test(test_headers),
        cmocka_unit_test(test_deflate_rest), cmocka_unit_test(test_source_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
