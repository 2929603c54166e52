/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/index_fixture.h"

#include "lake/index/sort.h"

static int compare(struct slice a, struct slice b)
{
    return slice_cmp(a, b);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_sizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
