/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <zlib.h>

#include "lake/delta/deletion_vector.h"
#include "lake/delta/path.h"
#include "lake/format/roaring.h"
#include "tests/unit/delta_fixture.h"

/* As Spark wrote it: rows 0 and 9. */
static const char stored[] = "\x01"
                             "\0\0\0\x24\xd1\xd3\x39\x64\x01\0\0\0\0\0\0\0\0\0\0\0\x3a\x30\0\0\x01"
                             "\0\0\0\0\0\x01\0\x10\0\0\0\0\0\x09\0\x2a\x67\x18\x46";
#define STORED_BYTES (sizeof stored - 1)
#define STORED_UUID "vBn[lx{q8@P<9BNH/isA"
#define STORED_NAME "deletion_vector_61d16c75-6994-46b7-a15b-8b538852e50e.bin"

static struct delta_dv dv_of(const char *storage, const char *path, int64_t size, int64_t rows)
{
    return (struct delta_dv){.storage = slice_of(storage),
                             .path = slice_of(path),
                             .size = size,
                             .cardinality = rows,
                             .has_size = true,
                             .has_cardinality = true};
}

static int read_dv(struct fixture *f, const struct delta_dv *dv, struct roaring **out)
{
    struct delta_root root = {.home = slice_of(f->store->home), .prefix = SLICE_LIT("t/")};
    f->err = (struct err)ERR_INIT;
    return delta_dv_read(f->store, &root, dv, out, &f->err);
}

/* Puts a file beside the log's directory. */
static void put(struct fixture *f, const char *name, struct slice bytes)
{
    char path[256];
    (void)snprintf(path, sizeof path, "../%s", name);
    assert_int_equal(file_replace(f->table_fd, path, bytes, 0600, &f->err), 0);
}

static void check_rows(const struct roaring *r, const uint64_t *rows, size_t n)
{
    uint64_t row, from = 0;
    for (size_t i = 0; i < n; i++, from = row + 1) {
        assert_true(roaring_next(r, from, &row));
        assert_int_equal(row, rows[i]);
    }
    assert_int_equal(roaring_count(r), n);
}

/* Aim: z85 is decoded as its specification says, and nothing else is. */
static void test_z85(void **state)
{
    (void)state;
    AUTO(buf) struct buf out;
    buf_init(&out, KIB);
    assert_true(delta_z85_decode(SLICE_LIT("HelloWorld"), &out));
    assert_true(slice_eq(buf_slice(&out), SLICE_LIT("\x86\x4f\xd2\x6f\xb5\x59\xf7\x5b")));
    buf_reset(&out);
    assert_true(delta_z85_decode(SLICE_LIT("Hello##093"), &out)); /* two bytes are missing */
    assert_true(slice_eq(buf_slice(&out), SLICE_LIT("\x86\x4f\xd2\x6f\x03\0")));
    static const char *const wrong[] = {"Hell",  "HelloW", "Hel o", "Hel\"o",
                                        "####%", "#####",  "##%%%", "##093Hello"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_false(delta_z85_decode(slice_of(wrong[i]), &out));
    assert_false(delta_z85_decode(SLICE_LIT("Hel\0o"), &out));
}

/* Aim: an inline deletion vector is read from the log alone: the protocol's own example. */
static void test_inline(void **state)
{
    struct fixture *f = *state;
    static const uint64_t rows[] = {3, 4, 7, 11, 18, 29};
    AUTO(roaring) struct roaring *r = NULL;
    struct delta_dv dv = dv_of("i", "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", 40, 6);
    assert_int_equal(read_dv(f, &dv, &r), 0);
    check_rows(r, rows, ARRAY_SIZE(rows));
    struct roaring *none = NULL;
    dv.cardinality = 5;
    assert_int_equal(read_dv(f, &dv, &none), -EIO);
    dv.size = 44;
    assert_int_equal(read_dv(f, &dv, &none), -EIO);
    dv.size = 36;
    assert_int_equal(read_dv(f, &dv, &none), -EIO);
    assert_null(none);
}

/* Aim: one in a file is found by its UUID, below its prefix, or by its address; at any offset. */
static void test_files(void **state)
{
    struct fixture *f = *state;
    static const uint64_t rows[] = {0, 9};
    char path[128];
    struct slice bytes = slice_make(stored, STORED_BYTES);
    put(f, STORED_NAME, bytes);
    assert_int_equal(mkdirat(f->table_fd, "../a%b", 0700), 0);
    put(f, "a%b/" STORED_NAME, bytes);
    AUTO(buf) struct buf far;
    buf_init(&far, MIB);
    buf_add_char(&far, 1);
    memset(buf_reserve(&far, 100 * KIB), 'x', 100 * KIB);
    far.len += 100 * KIB;
    buf_add_slice(&far, slice_from(bytes, 1));
    put(f, "far.bin", buf_slice(&far));
    (void)snprintf(path, sizeof path, "file:%s/lake/t/far.bin", f->dir);
    struct delta_dv cases[] = {dv_of("u", STORED_UUID, 36, 2), dv_of("u", STORED_UUID, 36, 2),
                               dv_of("u", "a%b" STORED_UUID, 36, 2), dv_of("p", path, 36, 2)};
    cases[1].has_offset = cases[2].has_offset = cases[3].has_offset = true;
    cases[1].offset = cases[2].offset = 1;
    cases[3].offset = 1 + 100 * (int64_t)KIB;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(roaring) struct roaring *r = NULL;
        if (read_dv(f, &cases[i], &r) < 0)
            fail_msg("case %zu: %s", i, f->err.msg);
        check_rows(r, rows, ARRAY_SIZE(rows));
    }
}

/* Aim: a file with any byte damaged takes no rows out: size, bitmap and checksum are checked. */
static void test_damage(void **state)
{
    struct fixture *f = *state;
    struct roaring *r = NULL;
    struct delta_dv dv = dv_of("u", STORED_UUID, 36, 2);
    for (size_t i = 0; i < STORED_BYTES; i++) {
        char bytes[STORED_BYTES];
        memcpy(bytes, stored, sizeof bytes);
        bytes[i] ^= 0x40;
        put(f, STORED_NAME, slice_make(bytes, sizeof bytes));
        assert_int_equal(read_dv(f, &dv, &r), i ? -EIO : -EOPNOTSUPP);
        assert_non_null(strstr(f->err.msg, STORED_NAME));
        put(f, STORED_NAME, slice_make(stored, i));
        assert_int_equal(read_dv(f, &dv, &r), -EIO);
    }
    put(f, STORED_NAME, slice_make(stored, STORED_BYTES));
    dv.cardinality = 3;
    assert_int_equal(read_dv(f, &dv, &r), -EIO);
    dv.size = 35;
    assert_int_equal(read_dv(f, &dv, &r), -EIO);
    dv.size = ROARING_BYTES_MAX + 1;
    assert_int_equal(read_dv(f, &dv, &r), -EOVERFLOW);
    assert_null(r);
}

/* Aim: no descriptor leads out of what may be read, and what is not known is refused. */
static void test_refused(void **state)
{
    struct fixture *f = *state;
    struct roaring *r = NULL;
    const struct {
        const char *storage, *path;
        int rc;
    } cases[] = {
        {"u", "../../" STORED_UUID, -EIO}, {"u", "a//b" STORED_UUID, -EIO},
        {"u", "tooshort", -EIO},           {"u", "vBn[lx{q8@P<9BNH/is\"", -EIO},
        {"u", STORED_UUID, -ENOENT},       {"p", "file:///etc/passwd", -EACCES},
        {"x", "path", -EOPNOTSUPP},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct delta_dv dv = dv_of(cases[i].storage, cases[i].path, 36, 2);
        assert_int_equal(read_dv(f, &dv, &r), cases[i].rc);
    }
    assert_null(r);
}

/* Aim: an index's entry holds the descriptor; its first line is the id that Delta gives it. */
static void test_extra(void **state)
{
    (void)state;
    static const struct {
        const char *storage, *path;
        bool has_offset;
        const char *id;
    } cases[] = {{"u", "ab@c", true, "uab@c@7\n"}, {"i", "wi5b=@@7", false, "iwi5b=@@7\n"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(buf) struct buf extra;
        struct delta_dv dv = dv_of(cases[i].storage, cases[i].path, 36, 2), again;
        buf_init(&extra, KIB);
        dv.has_offset = cases[i].has_offset;
        dv.offset = dv.has_offset ? 7 : 0;
        assert_int_equal(delta_dv_format(&dv, &extra, NULL), 0);
        assert_true(slice_starts(buf_slice(&extra), slice_of(cases[i].id)));
        assert_int_equal(delta_dv_parse(buf_slice(&extra), &again, NULL), 0);
        assert_true(slice_eq(again.storage, dv.storage) && slice_eq(again.path, dv.path));
        assert_int_equal(again.size, 36);
        assert_int_equal(again.cardinality, 2);
        assert_int_equal(again.has_offset, dv.has_offset);
        assert_int_equal(again.offset, dv.offset);
        for (size_t n = 0; n < extra.len; n++) /* cut: damage, or at least no reading past it */
            (void)delta_dv_parse(slice_make(extra.data, n), &again, NULL);
    }
    AUTO(buf) struct buf out;
    buf_init(&out, KIB);
    struct delta_dv bad = dv_of("uu", "x", 1, 1);
    assert_int_equal(delta_dv_format(&bad, &out, NULL), -EIO);
    bad = dv_of("u", "x\ny", 1, 1);
    assert_int_equal(delta_dv_format(&bad, &out, NULL), -EIO);
    bad = dv_of("u", "x", 1, 1);
    bad.has_size = false;
    assert_int_equal(delta_dv_format(&bad, &out, NULL), -EIO);
    assert_int_equal(out.len, 0);
    assert_int_equal(delta_dv_parse(SLICE_LIT("uab\n9 1 1 "), &bad, NULL), -EUCLEAN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_z85),
        cmocka_unit_test_setup_teardown(test_inline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test(test_extra),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
