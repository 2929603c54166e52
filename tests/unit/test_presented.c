/* SPDX-License-Identifier: Apache-2.0 */
/* Presented files through the cache: what is read of them, how often their objects are asked for,
 * and what happens when those change, fail or are damaged. */
#include "tests/unit/presented_fixture.h"

/* Of a file of which nothing has to change. */
static char padded_byte(const struct world *w, const struct presented_file *f, uint64_t offset)
{
    const struct far *far = &w->far;
    uint64_t trailer = far->size - 8, n = 0;
    for (unsigned i = 0; i < 4; i++)
        n |= (uint64_t)(unsigned char)far_byte(far, f->key.p, trailer + i) << (8 * i);
    if (offset < far->size)
        return far_byte(far, f->key.p, offset);
    uint64_t from_end = f->size - offset;
    return from_end <= n + 8 ? far_byte(far, f->key.p, far->size - from_end) : 0;
}

static void check_padded(struct world *w, const struct presented_file *f, struct object *o,
                         uint64_t offset, size_t length)
{
    AUTO_FREE char *got = NULL;
    assert_int_equal(read_bytes(o, offset, length, &got), 0);
    for (size_t i = 0; i < length; i++)
        if (got[i] != padded_byte(w, f, offset + i))
            fail_msg("byte %llu is wrong", (unsigned long long)offset + i);
}

/* A file of which nothing has to change is its object, zeros, and its footer again. */
static void test_padded(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file f = file_of(w);
    struct shown s = open_shown(w, &f);
    assert_int_equal(object_size(s.object), f.size);
    check_padded(w, &f, s.object, 0, (size_t)f.size);
    assert_int_equal(w->place->fake.requests, 1); /* a small one comes with its footer */
    close_shown(&s);
    world_free(w);
}

/* Any range of a large object is right, is asked for once, and waits for no more than it needs. */
static void test_ranges(void **state)
{
    (void)state;
    struct world *w = world_new(WIDE, BUDGET);
    struct presented_file f = file_of(w);
    struct shown s = open_shown(w, &f);
    unsigned seed = 7;
    assert_int_equal(w->place->fake.requests, 1); /* the footer, once */
    for (int i = 0; i < 100; i++) {
        uint64_t offset = (uint64_t)rand_r(&seed) * 4093 % f.size;
        size_t length = 1 + (size_t)rand_r(&seed) % 100000;
        if (i % 3 == 0) /* around the object's end */
            offset = w->far.size - (uint64_t)rand_r(&seed) % 100000;
        if (i % 7 == 0) /* and the file's */
            offset = f.size - 1 - (uint64_t)rand_r(&seed) % 100000;
        if (length > f.size - offset)
            length = (size_t)(f.size - offset);
        check_padded(w, &f, s.object, offset, length);
    }
    close_shown(&s);
    world_free(w);
}

/* Zeros and our own bytes cost no request. */
static void test_own_bytes_cost_nothing(void **state)
{
    (void)state;
    struct world *w = world_new(WIDE, BUDGET);
    struct presented_file f = file_of(w);
    struct shown s = open_shown(w, &f);
    check_padded(w, &f, s.object, f.size - 3 * MIB, 3 * MIB);
    assert_int_equal(w->place->fake.requests, 1);
    close_shown(&s);
    world_free(w);
}

/* What was sealed opens after a restart without any request. */
static void test_sealed_needs_nobody(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file f = file_of(w);
    assert_false(presented_is_whole(w->presented, &f));
    struct shown s = open_shown(w, &f);
    check_padded(w, &f, s.object, 0, (size_t)f.size);
    while (!object_is_sealed(s.object))
        pause_ms(1);
    close_shown(&s);
    assert_true(presented_is_whole(w->presented, &f));
    restart(w);
    int before = w->place->fake.requests;
    w->place->fake.fail = EIO;
    s = open_shown(w, &f);
    assert_true(object_is_sealed(s.object));
    check_padded(w, &f, s.object, 0, (size_t)f.size);
    assert_int_equal(w->place->fake.requests, before);
    close_shown(&s);
    world_free(w);
}

/* What is half in the cache goes on after a restart. */
static void test_goes_on_after_restart(void **state)
{
    (void)state;
    struct world *w = world_new(WIDE, BUDGET);
    struct presented_file f = file_of(w);
    struct shown s = open_shown(w, &f);
    check_padded(w, &f, s.object, 5 * MIB, MIB);
    close_shown(&s);
    restart(w);
    s = open_shown(w, &f);
    int before = w->place->fake.requests;
    check_padded(w, &f, s.object, 5 * MIB, MIB);
    assert_int_equal(w->place->fake.requests, before);
    check_padded(w, &f, s.object, 6 * MIB, MIB);
    close_shown(&s);
    world_free(w);
}

/* A cache that keeps nothing serves presented files all the same. */
static void test_without_cache(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", 0);
    struct presented_file f = file_of(w);
    for (int i = 0; i < 2; i++) {
        struct shown s = open_shown(w, &f);
        check_padded(w, &f, s.object, 0, (size_t)f.size);
        close_shown(&s);
    }
    world_free(w);
}

/* An object that was replaced under an open file is ESTALE; who opens it again sees the new one. */
static void test_object_changes(void **state)
{
    (void)state;
    struct world *w = world_new(WIDE, BUDGET);
    struct presented_file f = file_of(w);
    struct shown s = open_shown(w, &f);
    struct err err = ERR_INIT;
    char *got;
    check_padded(w, &f, s.object, 0, MIB);
    w->place->fake.generation = 2;
    assert_int_equal(read_bytes(s.object, 50 * MIB, MIB, &got), -ESTALE);
    free(got);
    struct shown again;
    assert_int_equal(try_open(w, &f, &again, &err), -ESTALE); /* what has just happened counts */
    while (try_open(w, &f, &again, &err) < 0)
        pause_ms(50);
    check_padded(w, &f, again.object, 50 * MIB, MIB);
    assert_int_equal(read_bytes(s.object, 60 * MIB, MIB, &got), -ESTALE);
    free(got);
    close_shown(&again);
    close_shown(&s);
    world_free(w);
}

/* A store that fails makes the open fail with its reason, and later ones work again. */
static void test_store_fails(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file f = file_of(w);
    struct err err = ERR_INIT;
    struct shown s;
    w->place->fake.fail = EACCES;
    assert_int_equal(try_open(w, &f, &s, &err), -EACCES);
    assert_non_null(strstr(err.msg, "the store is ill"));
    w->place->fake.fail = 0;
    while (try_open(w, &f, &s, &err) < 0)
        pause_ms(50);
    check_padded(w, &f, s.object, 0, (size_t)f.size);
    close_shown(&s);
    world_free(w);
}

/* What is no Parquet file, or an encrypted one, is refused on open with the reason. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *end, *words;
        int rc;
    } cases[] = {
        {"PARE", "encrypted", -EOPNOTSUPP},
        {"XXXX", "does not end as Parquet files do", -EIO},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct world *w = world_new("types_plain.parquet", BUDGET);
        struct presented_file f = file_of(w);
        struct err err = ERR_INIT;
        struct shown s;
        memcpy(w->far.end.data + w->far.end.len - 4, cases[i].end, 4);
        assert_int_equal(try_open(w, &f, &s, &err), cases[i].rc);
        assert_non_null(strstr(err.msg, cases[i].words));
        world_free(w);
    }
}

/* A footer that does not fit into the slack is refused, and -o slack= makes it fit. */
static void test_slack(void **state)
{
    (void)state;
    static char name[20000];
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file f = file_of(w);
    struct err err = ERR_INIT;
    struct shown s;
    memset(name, 'n', sizeof name);
    f.shape = shape_of_one(slice_make(name, sizeof name));
    f.size = f.object_bytes + 10;
    assert_int_equal(try_open(w, &f, &s, &err), -EOPNOTSUPP);
    f.size = f.object_bytes + 100000;
    s = open_shown(w, &f);
    char magic[4];
    assert_int_equal(read_presented(s.object, f.size - 4, magic, 4, &err), 0);
    assert_memory_equal(magic, "PAR1", 4);
    close_shown(&s);
    shape_unref(f.shape);
    world_free(w);
}

/* The footer becomes the longest that is read: zeros follow what it says. */
static void lengthen_footer(struct far *f)
{
    struct buf longer = {0};
    size_t had = f->end.len - 8;
    buf_init(&longer, FOOTER_BYTES_MAX + 8);
    char *to = buf_reserve(&longer, FOOTER_BYTES_MAX + 8);
    assert_non_null(to);
    memset(to, 0, FOOTER_BYTES_MAX);
    memcpy(to, f->end.data, had);
    for (unsigned i = 0; i < 4; i++)
        to[FOOTER_BYTES_MAX + i] = (char)(FOOTER_BYTES_MAX >> (8 * i));
    memcpy(to + FOOTER_BYTES_MAX + 4, "PAR1", 4);
    longer.len = FOOTER_BYTES_MAX + 8;
    f->before -= FOOTER_BYTES_MAX - had;
    buf_done(&f->end);
    f->end = longer;
}

/* The plan of a file is there for who looks for it next, however large it is. */
static void test_longest_footer(void **state)
{
    (void)state;
    struct world *w = world_new(WIDE, BUDGET);
    lengthen_footer(&w->far);
    struct presented_file f = file_of(w);
    for (int i = 0; i < 2; i++) {
        struct shown s = open_shown(w, &f);
        close_shown(&s);
        assert_int_equal(w->place->fake.requests, 2); /* the object's end, the footer */
    }
    world_free(w);
}

/* A key that nobody has opened does not exist: what the cache has of it is a leftover. */
static void test_unknown_key(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    char to[16];
    struct err err = ERR_INIT;
    struct store_get get = {.key = "dir/part-0.parquet 00", .length = sizeof to, .to = to};
    assert_int_equal(store_get_wait(w->presented, &get, &err), -ENOENT);
    world_free(w);
}

/* Another shape, other deleted rows, another size are other keys; words behind a newline are not.
 */
static void test_keys_differ(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct shape *shape = shape_of_one(SLICE_LIT("a"));
    struct err err = ERR_INIT;
    struct presented_file files[6];
    char keys[6][256];
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        files[i] = file_of(w);
        files[i].extra = SLICE_LIT("dv\nv12");
    }
    files[1].shape = shape;
    files[2].deletes = true;
    files[3].extra = SLICE_LIT("dw\nv12");
    files[4].size++;
    files[5].extra = SLICE_LIT("dv\nv13");
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        AUTO(buf) struct buf key = {0};
        buf_init(&key, sizeof keys[i] - 1);
        presented_key(&files[i], &key);
        assert_int_equal(buf_check(&key, &err), 0);
        (void)snprintf(keys[i], sizeof keys[i], "%.*s", SLICE_FMT(buf_slice(&key)));
        for (size_t j = 0; j < i; j++)
            assert_int_equal(strcmp(keys[i], keys[j]) == 0, i == 5 && j == 0);
    }
    shape_unref(shape);
    world_free(w);
}

/* The rule of sizes says what it understands. */
static void test_slack_rule(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        uint64_t of_a_mebibyte;
    } cases[] = {
        {"64K+1/16", true, 2 * 64 * KIB},
        {"1M", true, MIB},
        {"0", true, 0},
        {"0+1/8", true, 128 * KIB},
        {"", false, 0},
        {"64K+", false, 0},
        {"64K+1/0", false, 0},
        {"+1/8", false, 0},
        {"64K+2/8", false, 0},
        {"64K+1/8x", false, 0},
        {"-1", false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct slack s = SLACK_DEFAULT;
        struct err err = ERR_INIT;
        int rc = slack_parse(slice_of(cases[i].text), &s, &err);
        assert_int_equal(rc, cases[i].ok ? 0 : -EINVAL);
        if (cases[i].ok)
            assert_int_equal(transform_size(&s, MIB, NULL), MIB + cases[i].of_a_mebibyte);
    }
    struct slack huge = {UINT64_MAX, 1};
    assert_int_equal(transform_size(&huge, 5, NULL), OBJECT_BYTES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_padded),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_own_bytes_cost_nothing),
        cmocka_unit_test(test_sealed_needs_nobody),
        cmocka_unit_test(test_goes_on_after_restart),
        cmocka_unit_test(test_without_cache),
        cmocka_unit_test(test_object_changes),
        cmocka_unit_test(test_store_fails),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_slack),
        cmocka_unit_test(test_longest_footer),
        cmocka_unit_test(test_unknown_key),
        cmocka_unit_test(test_keys_differ),
        cmocka_unit_test(test_slack_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
