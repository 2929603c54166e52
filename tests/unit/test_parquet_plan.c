/* SPDX-License-Identifier: Apache-2.0 */
/* What of a Parquet file is fetched ahead; tests/fixtures/parquet/make.py wrote the footer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>

#include "base/buf.h"
#include "base/file.h"
#include "lake/format/parquet_footer.h"
#include "lake/format/parquet_plan.h"

#define FOOTER "tests/fixtures/parquet/wide.footer"
#define BEFORE_FOOTER UINT64_C(839045604)
#define GROUPS 40
#define COLUMNS 20

struct world {
    struct buf bytes;
    uint64_t file_bytes;
    struct parquet_footer footer;
    struct parquet_layout *layout;
    struct parquet_plan *plan;
};

static int setup(void **state)
{
    static struct world w;
    struct err err = ERR_INIT;
    buf_init(&w.bytes, MIB);
    assert_int_equal(file_read(AT_FDCWD, FOOTER, &w.bytes, &err), 0);
    w.file_bytes = BEFORE_FOOTER + w.bytes.len + PARQUET_TAIL_BYTES;
    assert_int_equal(parquet_footer_parse(&w.footer, buf_slice(&w.bytes), &err), 0);
    assert_int_equal(w.footer.groups_n, GROUPS);
    assert_int_equal(w.footer.leaves_n, COLUMNS);
    assert_int_equal(parquet_layout_parse(buf_slice(&w.bytes), w.file_bytes, &w.layout, &err), 0);
    w.plan = parquet_plan_new(w.layout);
    assert_non_null(w.plan);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    parquet_plan_free(w->plan);
    parquet_layout_unref(w->layout);
    parquet_footer_done(&w->footer);
    buf_done(&w->bytes);
    return 0;
}

static const struct parquet_chunk *chunk(const struct world *w, size_t group, size_t column)
{
    return &w->footer.chunks[group][column];
}

/* The reader begins with the chunk's first 64 KiB. */
static bool touch(struct world *w, size_t group, size_t column)
{
    return parquet_plan_touch(w->plan, chunk(w, group, column)->offset, 64 * KIB);
}

static void expect(struct world *w, size_t group, size_t column, size_t columns)
{
    uint64_t offset = 0, length = 0;
    const struct parquet_chunk *last = chunk(w, group, column + columns - 1);
    assert_true(parquet_plan_next(w->plan, &offset, &length));
    assert_int_equal(offset, chunk(w, group, column)->offset);
    assert_int_equal(offset + length, last->offset + last->size_bytes);
}

static void expect_no_more(struct world *w)
{
    uint64_t offset, length;
    assert_false(parquet_plan_next(w->plan, &offset, &length));
}

/* Aim: who touches a column gets its chunk and the same column of the next row groups, each once,
 * and further ahead the longer he goes on. */
static void test_column(void **state)
{
    struct world *w = *state;
    size_t planned = 0, window = PARQUET_PLAN_WINDOW_MIN / MIB;
    expect_no_more(w);
    for (size_t group = 0; group < GROUPS; group++) {
        assert_true(touch(w, group, 3));
        if (group)
            window = 2 * window < PARQUET_PLAN_WINDOW_MAX / MIB ? 2 * window
                                                                : PARQUET_PLAN_WINDOW_MAX / MIB;
        /* Chunks are a little more than 1 MiB. */
        size_t last = group + window - 1 < GROUPS - 1 ? group + window - 1 : GROUPS - 1;
        while (planned <= last)
            expect(w, planned++, 3, 1);
        expect_no_more(w);
        assert_true(parquet_plan_touch(w->plan, chunk(w, group, 3)->offset + 500 * KIB, MIB / 8));
        expect_no_more(w);
    }
    assert_int_equal(planned, GROUPS);
}

/* Aim: columns that lie side by side are one range; those with others between them are not. */
static void test_neighbours(void **state)
{
    struct world *w = *state;
    assert_true(touch(w, 5, 7));
    expect(w, 5, 7, 1);
    assert_true(touch(w, 5, 8));
    assert_true(touch(w, 5, 10));
    expect(w, 5, 8, 1);
    expect(w, 5, 10, 1);
    expect(w, 6, 7, 2);
    expect(w, 6, 10, 1);
    expect(w, 7, 7, 2);
    expect(w, 7, 10, 1);
    expect_no_more(w);
}

/* Aim: a read of two chunks touches both; what is rounded out to pages does not. */
static void test_edges(void **state)
{
    struct world *w = *state;
    uint64_t offset = chunk(w, 0, 2)->offset, length = chunk(w, 0, 2)->size_bytes;
    assert_true(parquet_plan_touch(w->plan, offset - 1000, length + 3000));
    expect(w, 0, 2, 1);
    expect(w, 1, 2, 1);
    assert_true(parquet_plan_touch(w->plan, offset + length - 50 * KIB, 100 * KIB));
    expect(w, 0, 3, 1);
    assert_true(parquet_plan_touch(w->plan, 0, 4));
    assert_true(parquet_plan_touch(w->plan, BEFORE_FOOTER, 64 * KIB));
    expect(w, 1, 3, 1);
}

/* Aim: who goes elsewhere begins anew there, and what was planned is of no use. */
static void test_jump(void **state)
{
    struct world *w = *state;
    assert_true(touch(w, 0, 3));
    assert_false(touch(w, 30, 3));
    for (size_t group = 30; group < 30 + PARQUET_PLAN_WINDOW_MIN / MIB; group++)
        expect(w, group, 3, 1);
    expect_no_more(w);
    assert_false(touch(w, 2, 3));
    expect(w, 2, 3, 1);
}

/* Aim: threads that take row groups in another order are no jump. */
static void test_threads(void **state)
{
    struct world *w = *state;
    const size_t order[] = {1, 0, 3, 2, 4, 6, 5};
    for (size_t i = 0; i < 7; i++)
        assert_true(touch(w, order[i], 3));
    uint64_t offset, length, before = 0;
    while (parquet_plan_next(w->plan, &offset, &length)) {
        assert_true(offset > before);
        before = offset;
    }
    assert_int_equal(before, chunk(w, GROUPS - 1, 3)->offset);
}

/* Aim: footers that lie about where chunks are, or are none, plan nothing outside the file. */
static void test_damaged(void **state)
{
    struct world *w = *state;
    struct parquet_layout *l = NULL;
    struct err err = ERR_INIT;
    uint64_t offset, length;
    assert_int_equal(parquet_layout_parse(buf_slice(&w->bytes), 100 * MIB, &l, &err), 0);
    struct parquet_plan *p = parquet_plan_new(l);
    assert_non_null(p);
    assert_true(parquet_plan_touch(p, 0, 100 * MIB));
    while (parquet_plan_next(p, &offset, &length))
        assert_true(offset + length <= 100 * MIB);
    parquet_plan_free(p);
    parquet_layout_unref(l);
    l = NULL;
    struct slice half = slice_make(w->bytes.data, w->bytes.len / 2);
    assert_int_equal(parquet_layout_parse(half, w->file_bytes, &l, &err), -EIO);
    assert_null(l);
    assert_int_equal(parquet_tail_footer("\x10\0\0\0PAR1", 1000), 16);
    assert_int_equal(parquet_tail_footer("\x10\0\0\0PAR1", 20), 0);
    assert_int_equal(parquet_tail_footer("\x10\0\0\0PARE", 1000), 0);
    assert_int_equal(parquet_tail_footer("\xff\xff\xff\x7fPAR1", (uint64_t)1 << 40), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_column), CASE(test_neighbours), CASE(test_edges),
        CASE(test_jump),   CASE(test_threads),    CASE(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
