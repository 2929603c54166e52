/* SPDX-License-Identifier: Apache-2.0 */
/* Presented files that are rewritten, because rows of them are deleted. */
#include "tests/unit/presented_fixture.h"

#include "base/hash.h"
#include "base/vec.h"
#include "lake/view/presented_object.h"

/* Rows 1, 2 and 7: one array container of the 32-bit format. */
static const char some_rows[] = "\x3a\x30\x00\x00\x01\x00\x00\x00\x00\x00\x02\x00\x10\x00\x00\x00"
                                "\x01\x00\x02\x00\x07\x00";

static struct presented_file file_with_deletes(struct world *w)
{
    struct presented_file f = file_of(w);
    w->deleted = some_rows;
    w->deleted_n = sizeof some_rows - 1;
    f.deletes = true;
    f.extra = SLICE_LIT("some rows");
    return f;
}

struct racer {
    struct job job;
    struct world *world;
    struct presented_file *file;
    struct shown shown;
    struct event over;
};

static void race(struct job *job)
{
    struct racer *r = CONTAINER_OF(job, struct racer, job);
    r->shown = open_shown(r->world, r->file);
    event_set(&r->over);
}

/* Rows that are gone are not in the file; however many open it at once, it is rewritten once. */
static void test_deleted_rows(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file f = file_with_deletes(w);
    struct racer racers[8];
    struct workers *threads = workers_new("race", ARRAY_SIZE(racers), NULL);
    assert_non_null(threads);
    for (size_t i = 0; i < ARRAY_SIZE(racers); i++) {
        racers[i] = (struct racer){.job = {.run = race}, .world = w, .file = &f};
        event_init(&racers[i].over);
        workers_submit(threads, &racers[i].job);
    }
    for (size_t i = 0; i < ARRAY_SIZE(racers); i++)
        event_wait(&racers[i].over);
    assert_int_equal(w->place->fake.requests, 1); /* all of it with the footer, as it is small */
    for (size_t i = 0; i < ARRAY_SIZE(racers); i++) {
        assert_int_equal(rows_of(racers[i].shown.object), 300 - 3);
        close_shown(&racers[i].shown);
        event_done(&racers[i].over);
    }
    workers_free(threads);
    world_free(w);
}

/* What was rewritten and sealed leaves no file beside the cache's, and needs nobody afterwards. */
static void test_rewritten_is_sealed(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file f = file_with_deletes(w);
    struct presented_store *s = presented_of(w->presented);
    struct shown o = open_shown(w, &f);
    while (!object_is_sealed(o.object))
        pause_ms(1);
    for (bool gone = false; !gone; pause_ms(1)) /* while it is open still */
        WITH_LOCK (&s->lock)
            gone = s->temporary_bytes == 0;
    close_shown(&o);
    restart(w);
    int before = w->place->fake.requests;
    o = open_shown(w, &f);
    assert_int_equal(rows_of(o.object), 300 - 3);
    assert_int_equal(w->place->fake.requests, before);
    assert_int_equal(w->asked_rows, 1);
    close_shown(&o);
    world_free(w);
}

/* Without a cache a rewritten file is read from what it was written into. */
static void test_rewritten_without_cache(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", 0);
    struct presented_file f = file_with_deletes(w);
    struct shown o = open_shown(w, &f);
    assert_int_equal(rows_of(o.object), 300 - 3);
    close_shown(&o);
    world_free(w);
}

/* Damaged rows are an error of the open, and the next open asks again. */
static void test_damaged_rows(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file f = file_with_deletes(w);
    struct err err = ERR_INIT;
    struct shown o;
    w->deleted_n = 5;
    assert_int_equal(try_open(w, &f, &o, &err), -EIO);
    w->deleted_n = sizeof some_rows - 1;
    o = open_shown(w, &f);
    assert_int_equal(rows_of(o.object), 300 - 3);
    close_shown(&o);
    world_free(w);
}

/* Row filters */

/* Over the shape of one column, int64 or binary as the file has it, and one partition column. */
static struct row_filter *filter_of(const char *text, const struct shape *shape, int *rc)
{
    AUTO(filter) struct filter *f = NULL;
    AUTO(shape) struct shape *partitions = shape_of_one(SLICE_LIT("part"));
    struct filter_binding columns[2];
    struct row_filter *rf = NULL;
    assert_int_equal(filter_parse(slice_of(text), &f, NULL), 0);
    for (size_t i = 0; i < filter_columns(f); i++)
        columns[i] = (struct filter_binding){
            slice_is(filter_column(f, i), "part") ? FILTER_PARTITION : FILTER_FIELD, 1};
    *rc = filter_bind(f, columns, shape, partitions, &rf, NULL);
    return rf;
}

static uint64_t rows_left(struct world *w, const struct presented_file *f)
{
    struct shown o = open_shown(w, f);
    uint64_t rows = rows_of(o.object);
    close_shown(&o);
    return rows;
}

/* Rows that the filter does not keep are not in the file, with or without deleted ones; values of
 * partitions decide as if they were in it. */
static void test_filtered_rows(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
        bool deletes;
        uint64_t rows;
    } cases[] = {
        {"int64 < -140", NULL, false, 10},
        {"int64 < -140", NULL, true, 7}, /* the deleted ones are among them */
        {"int64 < -140 and part = 5", "5", false, 10},
        {"int64 < -140 and part = 5", "6", false, 0},
        {"int64 < -140 or part = 5", "5", true, 297},
        {"part is null", NULL, false, 300},
        {"part <> 1", "no number", false, 0},
    };
    struct world *w = world_new("types_plain.parquet", BUDGET);
    AUTO(shape) struct shape *shape = shape_of_one(SLICE_LIT("int64"));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct presented_file f = cases[i].deletes ? file_with_deletes(w) : file_of(w);
        struct slice value = slice_of(cases[i].part);
        int rc;
        AUTO(row_filter) struct row_filter *rf = filter_of(cases[i].text, shape, &rc);
        assert_int_equal(rc, 0);
        f.filter = rf;
        f.values = &value;
        if (rows_left(w, &f) != cases[i].rows)
            fail_msg("%s", cases[i].text);
    }
    world_free(w);
}

/* What is made for one filter is never taken for another's, nor for the whole file. */
static void test_filters_differ(void **state)
{
    (void)state;
    static const char *const texts[] = {"int64 < 0", "int64 < 1", "int64 < 0 and part = 5"};
    struct world *w = world_new("types_plain.parquet", BUDGET);
    AUTO(shape) struct shape *shape = shape_of_one(SLICE_LIT("int64"));
    struct slice values[] = {SLICE_LIT("5"), SLICE_LIT("6"), SLICE_LIT(""), SLICE_NONE};
    struct presented_file f = file_of(w);
    AUTO(buf) struct buf keys = {0};
    VEC(uint64_t) seen = VEC_MAX(100);
    uint64_t hash;
    buf_init(&keys, KEY_BYTES_MAX);
    presented_key(&f, &keys);
    assert_int_equal(vec_push(&seen, hash64(0, buf_slice(&keys))), 0);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
            int rc;
            AUTO(row_filter) struct row_filter *rf = filter_of(texts[i], shape, &rc);
            f.filter = rf;
            f.values = &values[v];
            buf_reset(&keys);
            presented_key(&f, &keys);
            hash = hash64(0, buf_slice(&keys));
            for (size_t j = 0; j < seen.n; j++)
                assert_int_not_equal(hash, seen.at[j]);
            assert_int_equal(vec_push(&seen, hash), 0);
        }
    assert_int_equal(seen.n, 13);
    vec_done(&seen);
    world_free(w);
}

/* A filter whose column the file has otherwise is refused when the file is opened. */
static void test_filter_refused(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    AUTO(shape) struct shape *shape = shape_of_one(SLICE_LIT("binary")); /* no int64 there */
    struct presented_file f = file_of(w);
    struct slice value = SLICE_NONE;
    struct err err = ERR_INIT;
    struct shown o;
    int rc;
    AUTO(row_filter) struct row_filter *rf = filter_of("binary < 0", shape, &rc);
    f.filter = rf;
    f.values = &value;
    assert_int_equal(try_open(w, &f, &o, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err.msg, "the table has int64, the file has"));
    world_free(w);
}

/* What a file is made of is read ahead, what lies between is not: but for gaps in which no granule
 * of the cache lies whole. */
static void test_reads_ahead(void **state)
{
    (void)state;
    enum { CHUNK = 300000 };
    struct parquet_chunk chunks[4];
    struct parquet_chunk *groups[] = {chunks};
    struct parquet_footer stored = {.groups_n = 1, .chunks = groups, .leaves_n = 4};
    struct present_leaf leaves[] = {{.source = 3}, {.source = 0}, {.source = PARQUET_NO_LEAF}};
    struct present_plan plan = {.leaves = leaves, .leaves_n = 3, .stored = &stored};
    struct recipe recipe = {.object_bytes = 4 * CHUNK};
    struct presented_object r;
    for (size_t i = 0; i < 4; i++)
        chunks[i] = (struct parquet_chunk){.offset = 4 + i * CHUNK, .size_bytes = CHUNK};
    assert_int_equal(presented_object_init(&r, &recipe, "", NULL, NULL), 0);
    assert_int_equal(presented_object_end(&r, 4), 4); /* nothing is known */
    assert_int_equal(presented_object_plan(&r, &plan, NULL), 0);
    assert_int_equal(presented_object_end(&r, 0), 0);
    assert_in_range(presented_object_end(&r, 4), 4 + CHUNK, 4 + CHUNK + GRANULE_BYTES / 2);
    assert_int_equal(presented_object_end(&r, 4 + 2 * CHUNK), 4 + 2 * CHUNK);
    assert_true(presented_object_end(&r, 4 + 3 * CHUNK + 5) >= 4 + 4 * CHUNK);
    leaves[2].source = 1;
    chunks[2].size_bytes = GRANULE_BYTES - 1; /* the hidden one is short, */
    chunks[3].offset = chunks[2].offset + chunks[2].size_bytes;
    assert_int_equal(presented_object_plan(&r, &plan, NULL), 0);
    assert_true(presented_object_end(&r, 4) >= chunks[3].offset + CHUNK); /* and read over */
    presented_object_done(&r);
}

static void check_described(struct world *w, const struct presented_file *f, const char *want)
{
    struct opener o = {.task = {.job = {.run = wake_opener}, .since_ms = clock_mono_ms()}};
    AUTO(buf) struct buf got = {0};
    struct err err = ERR_INIT;
    int rc = -EINPROGRESS;
    while (rc == -EINPROGRESS) {
        event_init(&o.woken);
        buf_reset(&got);
        got.max = 100;
        rc = presented_describe(w->presented, f, &o.task, &got, &err);
        if (rc == -EINPROGRESS)
            event_wait(&o.woken);
        event_done(&o.woken);
    }
    assert_int_equal(rc, 0);
    assert_string_equal(got.data, want);
}

/* What is done to a file is told from its footer: nobody asks for rows, and nothing is rewritten.
 */
static void test_described(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file padded = file_of(w), rows = file_with_deletes(w), columns = file_of(w),
                          both = rows;
    struct slice value = SLICE_NONE;
    int rc;
    check_described(w, &padded, "padded");
    check_described(w, &rows, "rows");
    columns.shape = both.shape = shape_of_one(SLICE_LIT("a"));
    check_described(w, &columns, "columns");
    check_described(w, &both, "columns,rows");
    check_described(w, &both, "columns,rows");
    both.deletes = false;
    both.filter = filter_of("a < 0", both.shape, &rc);
    both.values = &value;
    check_described(w, &both, "columns,rows");
    row_filter_unref(both.filter);
    assert_int_equal(w->place->fake.requests, 2);
    assert_int_equal(w->asked_rows, 0);
    shape_unref(columns.shape);
    world_free(w);
}

/* Equality deletes */

/* What the driver of the tests below names: values of int64, which is the row less 150. */
static struct equality *values_deleted;

static int deleted_rows_if_any(struct driver *d, const struct entry *entry, struct roaring **out,
                               struct err *err)
{
    struct world *w = CONTAINER_OF(d, struct world, driver);
    *out = NULL;
    return w->deleted ? driver_deleted(d, entry, out, err) : 0;
}

static int deleted_values(struct driver *d, const struct entry *entry, struct equality **out,
                          struct err *err)
{
    (void)d;
    (void)entry;
    (void)err;
    *out = equality_ref(values_deleted);
    return 0;
}

static const struct driver_ops value_ops = {
    .format = "test", .deleted = deleted_rows_if_any, .deleted_values = deleted_values};

static void delete_values(struct world *w, struct shape *column, const int64_t *values, size_t n)
{
    AUTO(equality_builder) struct equality_builder *b = equality_builder_new(column, NULL);
    AUTO(equality_set) struct equality_set *set = NULL;
    assert_non_null(b);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(equality_builder_add(b, &(struct column_value){.number = values[i]}, NULL),
                         0);
    assert_int_equal(equality_builder_end(b, &set, NULL), 0);
    struct equality_part part = {column, &set, 1};
    equality_unref(values_deleted);
    assert_int_equal(equality_new(&part, 1, &values_deleted, NULL), 0);
    w->driver.ops = &value_ops;
}

/* Rows go by their values, by their places and by a filter at once. */
static void test_values_places_and_filters(void **state)
{
    (void)state;
    static const int64_t values[] = {-150 + 3, -150 + 7, 1000};
    static const struct {
        const char *extra;
        bool places, filtered;
        uint64_t rows;
    } cases[] = {
        {"values", false, false, 298},
        {"values and places", true, false, 296}, /* 1, 2 and 7, and 3 and 7 */
        {"values, filtered", false, true, 8},
        {"all of it", true, true, 6},
    };
    struct world *w = world_new("types_plain.parquet", BUDGET);
    AUTO(shape) struct shape *shape = shape_of_one(SLICE_LIT("int64"));
    struct slice value = SLICE_NONE;
    int rc;
    AUTO(row_filter) struct row_filter *rf = filter_of("int64 < -140", shape, &rc);
    delete_values(w, shape, values, ARRAY_SIZE(values));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct presented_file f = file_with_deletes(w);
        w->deleted = cases[i].places ? some_rows : NULL;
        f.extra = slice_of(cases[i].extra);
        f.filter = cases[i].filtered ? rf : NULL;
        f.values = &value;
        if (rows_left(w, &f) != cases[i].rows)
            fail_msg("%s", cases[i].extra);
    }
    equality_unref(STEAL(values_deleted));
    world_free(w);
}

/* What deletes have nothing of is the object, and is said to be. */
static void test_values_of_no_row(void **state)
{
    (void)state;
    static const int64_t values[] = {-151, 150, 7}; /* the last one is there */
    struct world *w = world_new("types_plain.parquet", BUDGET);
    AUTO(shape) struct shape *shape = shape_of_one(SLICE_LIT("int64"));
    for (size_t n = 3; n >= 2; n--) {
        struct presented_file f = file_with_deletes(w);
        w->deleted = NULL;
        f.extra = n == 3 ? SLICE_LIT("some") : SLICE_LIT("none");
        delete_values(w, shape, values, n);
        check_described(w, &f, n == 3 ? "rows" : "padded");
        struct shown o = open_shown(w, &f);
        assert_int_equal(rows_of(o.object), n == 3 ? 299 : 300);
        WITH_LOCK (&presented_of(w->presented)->lock)
            assert_true(n == 3 || !o.recipe->work || o.recipe->work->fd < 0);
        close_shown(&o);
        check_described(w, &f, n == 3 ? "rows" : "padded");
    }
    equality_unref(STEAL(values_deleted));
    world_free(w);
}

/* Files that are open and cannot be sealed take no more than they may. */
static void test_temporary_bytes(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", 0);
    struct presented_file f = file_with_deletes(w), g = f;
    struct err err = ERR_INIT;
    struct shown o, p;
    presented_of(w->presented)->config.temporary_bytes_max = f.size;
    g.extra = SLICE_LIT("other rows");
    o = open_shown(w, &f);
    assert_int_equal(try_open(w, &g, &p, &err), -ENOSPC);
    close_shown(&o);
    while (try_open(w, &g, &p, &err) < 0) /* in the place of what nobody has open */
        pause_ms(50);
    assert_int_equal(rows_of(p.object), 300 - 3);
    close_shown(&p);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deleted_rows),
        cmocka_unit_test(test_rewritten_is_sealed),
        cmocka_unit_test(test_rewritten_without_cache),
        cmocka_unit_test(test_damaged_rows),
        cmocka_unit_test(test_filtered_rows),
        cmocka_unit_test(test_filters_differ),
        cmocka_unit_test(test_filter_refused),
        cmocka_unit_test(test_reads_ahead),
        cmocka_unit_test(test_described),
        cmocka_unit_test(test_values_places_and_filters),
        cmocka_unit_test(test_values_of_no_row),
        cmocka_unit_test(test_temporary_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
