/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>

#include "base/hash.h"
#include "lake/tier/need.h"

#define TIME(position) (1000 * ((int64_t)(position) + 1))

static const struct store here = {.url = "s3://h/here", .home = "s3://here"};
static const struct store inner = {.url = "s3://h/here/in", .home = "s3://here/in"};
static const struct store away = {.url = "s3://h/away", .home = "s3://away/x"};

static struct need *need;
static struct err err;

static int set_up(void **state)
{
    static int fd = -1;
    (void)state;
    if (fd < 0)
        fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    need = need_new(fd, &err);
    assert_non_null(need);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    need_free(need);
    return 0;
}

static struct history *history_of(size_t n)
{
    struct history *h = history_new(n, 0, &err);
    assert_non_null(h);
    for (size_t i = 0; i < n; i++)
        h->at[i] = (struct version){.number = (int64_t)i, .timestamp_ms = TIME(i)};
    return h;
}

static const struct object_sink *add_table(const struct store *store, const struct history *h)
{
    const struct object_sink *sink;
    assert_int_equal(need_table(need, store, h, &sink, &err), 0);
    return sink;
}

static void tell_of(const struct object_sink *sink, enum object_happening what, size_t position,
                    const char *key, const char *holder, bool moves_rows)
{
    const struct object_event e = {.what = what,
                                   .position = position,
                                   .key = slice_of(key),
                                   .holder = hash64(0, slice_of(holder)),
                                   .moves_rows = moves_rows,
                                   .size = 10,
                                   .mtime_ms = 500};
    assert_int_equal(sink->event(sink->arg, &e, &err), 0);
}

static void tell(const struct object_sink *sink, enum object_happening what, size_t position,
                 const char *key)
{
    tell_of(sink, what, position, key, key, false);
}

static void next(struct need_object *o, const char *key)
{
    assert_int_equal(need_next(need, o, &err), 1);
    if (!slice_is(o->key, key))
        fail_msg("%.*s instead of %s", SLICE_FMT(o->key), key);
}

static void finish(void)
{
    assert_int_equal(need_finish(need, &err), 0);
}

static void ends(void)
{
    struct need_object o;
    assert_int_equal(need_next(need, &o, &err), 0);
}

static void check_use(const struct need_use *u, size_t added, size_t until, size_t spans)
{
    assert_int_equal(u->added, added);
    assert_int_equal(u->until, until);
    assert_int_equal(u->spans_n, spans);
    if (until != NEED_LIVE)
        assert_int_equal(u->removed_ms, TIME(until));
}

/* Aim: the versions that hold a file follow from its adds and removals, whatever order they come
 * in, also where it comes back, or is replaced within a version. */
static void test_a_files_way(void **state)
{
    (void)state;
    struct need_object o;
    AUTO(history) struct history *h = history_of(6);
    assert_int_equal(need_place(need, &here, &err), 0);
    const struct object_sink *t = add_table(&here, h);
    tell(t, OBJECT_REMOVED, 3, "back");
    tell(t, OBJECT_ADDED, 5, "back");
    tell(t, OBJECT_ADDED, 1, "back");
    tell_of(t, OBJECT_REMOVED, 4, "compacted", "compacted", true);
    tell(t, OBJECT_ADDED, 0, "compacted");
    tell(t, OBJECT_ADDED, 2, "live");
    tell(t, OBJECT_ADDED, 3, "live"); /* again, as when statistics are written anew */
    tell(t, OBJECT_REMOVED, 2, "only removed");
    tell(t, OBJECT_ADDED, 1, "replaced");
    tell(t, OBJECT_ADDED, 3, "replaced");
    tell(t, OBJECT_REMOVED, 3, "replaced");
    tell(t, OBJECT_ADDED, 0, "twice gone");
    tell_of(t, OBJECT_REMOVED, 1, "twice gone", "twice gone", true);
    tell(t, OBJECT_ADDED, 2, "twice gone");
    tell_of(t, OBJECT_REMOVED, 4, "twice gone", "twice gone", false);
    finish();
    next(&o, "back");
    check_use(o.uses, 1, NEED_LIVE, 2);
    assert_int_equal(o.uses->added_ms, TIME(1));
    assert_int_equal(o.uses->spans[0].to, 3);
    next(&o, "compacted");
    check_use(o.uses, 0, 4, 1);
    assert_true(o.uses->moved_rows);
    next(&o, "live");
    check_use(o.uses, 2, NEED_LIVE, 1);
    assert_false(o.uses->moved_rows);
    next(&o, "only removed");
    assert_int_equal(o.uses_n, 0);
    next(&o, "replaced");
    check_use(o.uses, 1, NEED_LIVE, 1);
    next(&o, "twice gone");
    check_use(o.uses, 0, 4, 2);
    assert_false(o.uses->moved_rows); /* as it went last */
    ends();
}

/* Aim: a file whose deleted rows change is one object, which stays; a file of deletion vectors is
 * needed while one of its files has them. */
static void test_logical_files(void **state)
{
    (void)state;
    struct need_object o;
    AUTO(history) struct history *h = history_of(5);
    assert_int_equal(need_place(need, &here, &err), 0);
    const struct object_sink *t = add_table(&here, h);
    tell_of(t, OBJECT_ADDED, 0, "f", "f", false);
    tell_of(t, OBJECT_REMOVED, 2, "f", "f", false);
    tell_of(t, OBJECT_ADDED, 2, "f", "f, dv", false);
    tell_of(t, OBJECT_REMOVED, 4, "f", "f, dv", true);
    tell_of(t, OBJECT_ADDED, 1, "vectors", "a", false);
    tell_of(t, OBJECT_ADDED, 1, "vectors", "b", false);
    tell_of(t, OBJECT_REMOVED, 2, "vectors", "b", false);
    tell_of(t, OBJECT_REMOVED, 3, "vectors", "a", true);
    finish();
    next(&o, "f");
    check_use(o.uses, 0, 4, 1);
    assert_true(o.uses->moved_rows);
    next(&o, "vectors");
    check_use(o.uses, 1, 3, 1);
    ends();
}

/* Aim: a version that is told as a whole ends what it does not name; what it names is as old as it
 * says, or as the version. */
static void test_states(void **state)
{
    (void)state;
    struct need_object o;
    AUTO(history) struct history *h = history_of(6);
    assert_int_equal(need_place(need, &here, &err), 0);
    const struct object_sink *t = add_table(&here, h);
    const struct object_event first = {.what = OBJECT_STATE},
                              later = {.what = OBJECT_STATE, .position = 3};
    assert_int_equal(t->event(t->arg, &first, &err), 0);
    tell(t, OBJECT_HELD, 0, "gone in the gap");
    tell(t, OBJECT_HELD, 0, "stays");
    tell(t, OBJECT_ADDED, 1, "came and went");
    tell(t, OBJECT_REMOVED, 2, "came and went");
    assert_int_equal(t->event(t->arg, &later, &err), 0);
    tell(t, OBJECT_HELD, 3, "came in the gap");
    tell(t, OBJECT_HELD, 3, "stays");
    finish();
    next(&o, "came and went");
    check_use(o.uses, 1, 2, 1);
    next(&o, "came in the gap");
    check_use(o.uses, 3, NEED_LIVE, 1);
    assert_int_equal(o.uses->added_ms, 500); /* when it was written, as that is earlier */
    next(&o, "gone in the gap");
    check_use(o.uses, 0, 3, 1);
    assert_false(o.uses->moved_rows);
    next(&o, "stays");
    check_use(o.uses, 0, NEED_LIVE, 1);
    ends();
}

/* Aim: what the live path shows, and the end of a branch, is live whatever was committed after it;
 * the rest ceased when the live path left it for the last time. */
static void test_newest_versions(void **state)
{
    (void)state;
    struct need_object o;
    AUTO(history) struct history *h = history_of(6);
    /* 4 was live, then 1, 4 and 1 again; 3 is the end of a branch */
    const struct history_moment clock[] = {{TIME(0), 0}, {TIME(1), 1}, {TIME(4), 4},
                                           {90000, 1},   {91000, 4},   {92000, 1}};
    const struct history_name names[] = {{SLICE_LIT("branch"), true, 3},
                                         {SLICE_LIT("t"), false, 2}};
    h->live = 1;
    h->clock = clock;
    h->clock_n = ARRAY_SIZE(clock);
    h->names = names;
    h->names_n = ARRAY_SIZE(names);
    assert_int_equal(need_place(need, &here, &err), 0);
    const struct object_sink *t = add_table(&here, h);
    tell(t, OBJECT_ADDED, 3, "branch");
    tell_of(t, OBJECT_REMOVED, 4, "branch", "branch", true);
    tell(t, OBJECT_ADDED, 0, "left");
    tell_of(t, OBJECT_REMOVED, 1, "left", "left", true);
    tell(t, OBJECT_ADDED, 1, "live");
    tell_of(t, OBJECT_REMOVED, 2, "live", "live", true);
    tell(t, OBJECT_ADDED, 4, "set back");
    tell(t, OBJECT_ADDED, 5, "staged");
    tell(t, OBJECT_ADDED, 2, "tagged");
    tell(t, OBJECT_REMOVED, 3, "tagged");
    finish();
    next(&o, "branch");
    check_use(o.uses, 3, NEED_LIVE, 1);
    assert_false(o.uses->moved_rows);
    next(&o, "left");
    check_use(o.uses, 0, 1, 1);
    assert_true(o.uses->moved_rows);
    next(&o, "live");
    check_use(o.uses, 1, NEED_LIVE, 1);
    next(&o, "set back");
    assert_int_equal(o.uses->until, 6);
    assert_int_equal(o.uses->removed_ms, 92000);
    next(&o, "staged");
    assert_int_equal(o.uses->until, 6);
    assert_int_equal(o.uses->removed_ms, TIME(5));
    next(&o, "tagged");
    check_use(o.uses, 2, 3, 1);
    ends();
}

/* Aim: one object is one, by whichever name, table and store it is told; what lies nowhere keeps
 * its name. */
static void test_places(void **state)
{
    (void)state;
    struct need_object o;
    AUTO(history) struct history *h = history_of(3);
    assert_int_equal(need_place(need, &here, &err), 0);
    assert_int_equal(need_place(need, &inner, &err), 0);
    const struct object_sink *a = add_table(&here, h), *b = add_table(&inner, h),
                             *c = add_table(&away, h);
    tell(a, OBJECT_ADDED, 0, "in/x");
    tell(b, OBJECT_ADDED, 1, "x");
    tell(c, OBJECT_ADDED, 0, "far");
    struct object_event e = {
        .what = OBJECT_ADDED, .position = 2, .url = SLICE_LIT("s3://here/in/x")};
    assert_int_equal(c->event(c->arg, &e, &err), 0);
    e.url = SLICE_LIT("s3://hereafter/y");
    assert_int_equal(c->event(c->arg, &e, &err), 0);
    finish();
    next(&o, "x");
    assert_int_equal(o.place, 1);
    assert_int_equal(o.uses_n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(o.uses[i].table, i);
        check_use(&o.uses[i], i, NEED_LIVE, 1);
    }
    next(&o, "s3://away/x/far");
    assert_int_equal(o.place, NEED_NOWHERE);
    next(&o, "s3://hereafter/y");
    ends();
}

/* Aim: what a store lists more than once is there once, with what it says of it. */
static void test_listed(void **state)
{
    (void)state;
    struct need_object o;
    AUTO(history) struct history *h = history_of(1);
    assert_int_equal(need_place(need, &here, &err), 0);
    const struct object_sink *t = add_table(&here, h);
    const struct store_entry e = {.key = SLICE_LIT("k"),
                                  .size = 77,
                                  .mtime_ms = 9,
                                  .etag = SLICE_LIT("\"e\""),
                                  .class = SLICE_LIT("GLACIER")};
    assert_int_equal(need_listed(need, &here, &e, &err), 0);
    tell(t, OBJECT_ADDED, 0, "k");
    tell(t, OBJECT_ADDED, 0, "not there");
    assert_int_equal(need_listed(need, &here, &e, &err), 0);
    finish();
    next(&o, "k");
    assert_true(o.listed);
    assert_int_equal(o.size, 77);
    assert_int_equal(o.mtime_ms, 9);
    assert_true(slice_is(o.class, "GLACIER"));
    assert_true(slice_is(o.etag, "\"e\""));
    assert_int_equal(o.uses_n, 1);
    next(&o, "not there");
    assert_false(o.listed);
    assert_int_equal(o.size, 10);
    ends();
}

/* Aim: partition values are found by the column's name of today; null is empty, not missing. */
static void test_partitions(void **state)
{
    (void)state;
    struct need_object o;
    struct slice value;
    AUTO(history) struct history *h = history_of(2);
    assert_int_equal(need_place(need, &here, &err), 0);
    const struct object_sink *t = add_table(&here, h);
    const struct object_partition values[] = {{SLICE_LIT("col-7"), SLICE_LIT("2026-03-01")},
                                              {SLICE_LIT("plain"), SLICE_NONE}};
    const struct object_event e = {
        .what = OBJECT_ADDED, .key = SLICE_LIT("f"), .partitions = values, .partitions_n = 2};
    const struct object_column columns[] = {{SLICE_LIT("day"), SLICE_LIT("col-7")},
                                            {SLICE_LIT("plain"), SLICE_LIT("plain")}};
    const struct object_facts facts = {.retention_ms = 5, .columns = columns, .columns_n = 2};
    assert_int_equal(t->event(t->arg, &e, &err), 0);
    tell_of(t, OBJECT_REMOVED, 1, "f", "", false);
    assert_int_equal(t->facts(t->arg, &facts, &err), 0);
    finish();
    next(&o, "f");
    assert_true(need_partition(need, o.uses, SLICE_LIT("day"), &value));
    assert_true(slice_is(value, "2026-03-01"));
    assert_true(need_partition(need, o.uses, SLICE_LIT("plain"), &value));
    assert_int_equal(value.n, 0);
    assert_false(need_partition(need, o.uses, SLICE_LIT("other"), &value));
    assert_int_equal(need_retention_ms(need, 0), 5);
    ends();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_files_way),     TEST(test_logical_files), TEST(test_states),
        TEST(test_places),          TEST(test_listed),        TEST(test_partitions),
        TEST(test_newest_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
