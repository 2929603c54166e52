/* SPDX-License-Identifier: Apache-2.0 */
/* What an entry tells of a file's deletes, as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/iceberg/extra.h"

static const int32_t ids[] = {1, 12};
static const struct iceberg_delete deletes[] = {
    {.kind = ICEBERG_DELETE_POSITION,
     .format = ICEBERG_AVRO,
     .path = SLICE_LIT("s3://b/t/data/a\tb\n%41.avro"),
     .size = 5,
     .rows = 6},
    {.kind = ICEBERG_DELETE_EQUALITY,
     .format = ICEBERG_PARQUET,
     .path = SLICE_LIT("s3://b/t/data/a1.parquet"),
     .size = 7,
     .rows = 8,
     .ids = ids,
     .ids_n = 2},
    {.kind = ICEBERG_DELETE_VECTOR,
     .format = ICEBERG_PUFFIN,
     .path = SLICE_LIT("s3://b/t/data/a1.puffin"),
     .offset = 4,
     .length = 44,
     .rows = 2},
};

/* Aim: what is written is read again, in one line without a newline. */
static void test_round_trip(void **state)
{
    struct iceberg_extra extra = {.format = ICEBERG_ORC,
                                  .constants = SLICE_LIT("2=01000000"),
                                  .deletes = deletes,
                                  .deletes_n = 3};
    struct iceberg_extra read;
    AUTO(buf) struct buf text = {0};
    AUTO(arena) struct arena arena = {0};
    (void)state;
    buf_init(&text, MIB);
    arena_init(&arena, MIB);
    assert_int_equal(iceberg_extra_format(&extra, &text, NULL), 0);
    assert_string_equal(text.data, "fo\tc2=01000000\tpa,5,6:0:s3://b/t/data/a%09b%0A%2541.avro\t"
                                   "ep,7,8,1+12:15:1.parquet\tv4,44,2:18:uffin\t");
    assert_int_equal(iceberg_extra_parse(buf_slice(&text), &arena, &read, NULL), 0);
    assert_int_equal(read.format, ICEBERG_ORC);
    assert_true(slice_is(read.constants, "2=01000000"));
    assert_int_equal(read.deletes_n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(iceberg_delete_compare(&read.deletes[i], &deletes[i]), 0);
        assert_int_equal(read.deletes[i].format, deletes[i].format);
        assert_int_equal(read.deletes[i].size, deletes[i].size);
        assert_int_equal(read.deletes[i].rows, deletes[i].rows);
        assert_int_equal(read.deletes[i].length, deletes[i].length);
        assert_int_equal(read.deletes[i].ids_n, deletes[i].ids_n);
    }
    assert_memory_equal(read.deletes[1].ids, ids, sizeof ids);
}

/* Aim: of a file of which nothing is to be told there is no text. */
static void test_nothing(void **state)
{
    struct iceberg_extra extra = {.format = ICEBERG_PARQUET};
    AUTO(buf) struct buf text = {0};
    AUTO(arena) struct arena arena = {0};
    (void)state;
    buf_init(&text, MIB);
    arena_init(&arena, MIB);
    assert_int_equal(iceberg_extra_format(&extra, &text, NULL), 0);
    assert_int_equal(text.len, 0);
    assert_int_equal(iceberg_extra_parse(SLICE_NONE, &arena, &extra, NULL), 0);
    assert_int_equal(extra.deletes_n, 0);
}

/* Aim: a text that is damaged is told from one that is not. */
static void test_damaged(void **state)
{
    static const char *const texts[] = {
        "x\t",
        "p\t",
        "fz\t",
        "fo",
        "pp,1,2:1:a\t",
        "pp,1,2:0:\t",
        "ep,1,2:0:a\t",
        "ep,1,2,:0:a\t",
        "ep,1,2,x:0:a\t",
        "v1,2:0:a\t",
        "vx,2,3:0:a\t",
        "pp,-1,2:0:a\t",
        "pq,1,2:0:a\t",
        "ep,1,2,4294967296:0:a\t",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct iceberg_extra extra;
        AUTO(arena) struct arena arena = {0};
        arena_init(&arena, MIB);
        assert_int_equal(iceberg_extra_parse(slice_of(texts[i]), &arena, &extra, NULL), -EIO);
    }
}

/* Aim: more deletes than an index keeps are refused with what to do. */
static void test_too_many(void **state)
{
    static struct iceberg_delete many[20000];
    static char paths[20000][32];
    struct iceberg_extra extra = {.deletes = many, .deletes_n = 20000};
    AUTO(buf) struct buf text = {0};
    struct err err = ERR_INIT;
    (void)state;
    for (size_t i = 0; i < 20000; i++) {
        (void)snprintf(paths[i], sizeof paths[i], "%zu/a/rather/long/path", i * 7919);
        many[i] =
            (struct iceberg_delete){.kind = ICEBERG_DELETE_POSITION, .path = slice_of(paths[i])};
    }
    buf_init(&text, MIB);
    assert_int_equal(iceberg_extra_format(&extra, &text, &err), -EOVERFLOW);
    assert_non_null(strstr(err.msg, "20000 delete files"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
