/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/index_fixture.h"

#include "base/hash.h"
#include "base/limits.h"
#include "lake/index/sort.h"

static int compare(struct slice a, struct slice b)
{
    return slice_cmp(a, b);
}

static bool bytes(struct slice record, size_t at, uint64_t *out)
{
    *out = 0;
    for (size_t i = at; i < at + sizeof *out; i++)
        *out = *out << 8 | (i < record.n ? (uint8_t)record.p[i] : 0);
    return at < record.n;
}

/* Random texts that share heads of all lengths, with zeros in them. */
static size_t make_text(unsigned *random, char text[64])
{
    static const char letters[] = {0, 'a', 'b'};
    size_t n = 0;
    *random = *random * 1103515245 + 12345;
    size_t same = *random >> 16 & 31, length = *random >> 21 & 63;
    while (n < same && n < length)
        text[n++] = 'a';
    for (; n < length; n++) {
        *random = *random * 1103515245 + 12345;
        text[n] = letters[(*random >> 16) % 3];
    }
    return n;
}

/* Told the bytes of the order, a sort gives the same order: from memory, and with a part of the
 * records in a file. */
static void test_by_bytes(void **state)
{
    (void)state;
    static const size_t memories[] = {MIB, 64 * KIB, 8 * KIB, KIB};
    unsigned random = 4711;
    for (size_t m = 0; m < ARRAY_SIZE(memories); m++) {
        struct err err = ERR_INIT;
        char dir[32], text[64], last[64];
        int fd = fixture_dir(dir);
        struct sorter *s = sorter_new(fd, memories[m], compare, &err);
        sorter_by_bytes(s, bytes);
        uint64_t sum = 0, seen = 0;
        for (unsigned i = 0; i < 5000; i++) {
            struct slice record = slice_make(text, make_text(&random, text));
            sum += hash64(0, record);
            assert_int_equal(sorter_add(s, record, &err), 0);
        }
        assert_int_equal(sorter_finish(s, &err), 0);
        struct slice record, before = SLICE_NONE;
        unsigned got = 0;
        for (; sorter_next(s, &record, &err) == 1; got++) {
            assert_true(slice_cmp(before, record) <= 0);
            memcpy(last, record.p, record.n);
            before = slice_make(last, record.n);
            seen += hash64(0, record);
        }
        assert_int_equal(got, 5000);
        assert_true(seen == sum);
        sorter_free(s);
        fixture_dir_done(fd, dir);
    }
}

static void sort_many(size_t memory_bytes, unsigned n)
{
    struct err err = ERR_INIT;
    char dir[32];
    int fd = fixture_dir(dir);
    struct sorter *s = sorter_new(fd, memory_bytes, compare, &err);
    assert_non_null(s);
    uint64_t sum = 0, seen = 0;
    char text[600];
    unsigned random = 12345;
    for (unsigned i = 0; i < n; i++) {
        random = random * 1103515245 + 12345;
        int length = snprintf(text, sizeof text, "%010u%*s", random, (int)(random >> 16 & 127), "");
        sum += random;
        assert_int_equal(sorter_add(s, slice_make(text, (size_t)length), &err), 0);
    }
    assert_int_equal(sorter_finish(s, &err), 0);
    char last[600] = "";
    struct slice record;
    unsigned got = 0;
    while (sorter_next(s, &record, &err) == 1) {
        assert_true(record.n >= 10 && record.n < sizeof last);
        assert_true(slice_cmp(slice_of(last), record) <= 0);
        memcpy(last, record.p, record.n);
        last[record.n] = '\0';
        seen += strtoul(last, NULL, 10);
        got++;
    }
    assert_int_equal(got, n);
    assert_true(seen == sum);
    assert_int_equal(sorter_next(s, &record, &err), 0);
    sorter_free(s);
    fixture_dir_done(fd, dir);
}

/* Records come out in order and complete, from memory and from any number of merged parts. */
static void test_order(void **state)
{
    (void)state;
    sort_many(1 << 20, 0);
    sort_many(1 << 20, 1);
    sort_many(1 << 20, 1000);
    sort_many(8192, 20000);
    sort_many(1024, 5000);
}

/* Empty records are records; one that is larger than the memory is refused. */
static void test_sizes(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char dir[32], large[5000] = "";
    int fd = fixture_dir(dir);
    struct sorter *s = sorter_new(fd, 4096, compare, &err);
    assert_int_equal(sorter_add(s, slice_make(large, sizeof large), &err), -EOVERFLOW);
    assert_int_equal(sorter_add(s, slice_make(large, 4000), &err), 0);
    assert_int_equal(sorter_add(s, SLICE_NONE, &err), 0);
    assert_int_equal(sorter_add(s, slice_make(large, 4076), &err), 0);
    assert_int_equal(sorter_finish(s, &err), 0);
    struct slice record;
    static const size_t sizes[] = {0, 4000, 4076};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        assert_int_equal(sorter_next(s, &record, &err), 1);
        assert_int_equal(record.n, sizes[i]);
    }
    assert_int_equal(sorter_next(s, &record, &err), 0);
    sorter_free(s);
    fixture_dir_done(fd, dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_sizes),
                                       cmocka_unit_test(test_by_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
