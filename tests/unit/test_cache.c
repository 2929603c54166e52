/* SPDX-License-Identifier: Apache-2.0 */
/* The object cache: reads, flights, generations, identity. */
#include "tests/unit/cache_fixture.h"

/* Aim: many readers of one block cause one request, and all get its bytes. */
static void test_one_request(void **state)
{
    (void)state;
    struct place *p = place_open(MIB, 64 * MIB);
    struct object *o = open_key(p, "a");
    struct reading *g[50];
    p->fake.halt = true;
    for (size_t i = 0; i < 50; i++)
        g[i] = reading_start(o, i * 1000, 5000);
    wait_halted(&p->fake, 1);
    assert_int_equal(stat_of(p).flights, 1);
    let_go(&p->fake);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(reading_end(g[i], 1, "a", NULL), 0);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(read_range(o, "a", i * 20000, 20000), 0);
    assert_int_equal(p->fake.requests, 1);
    object_unref(o);
    place_free(p);
}

/* Aim: who borrows bytes of one fetch is lent them; of two, and without asking, he gets his
 * own. Lent ones stay as they are when the object is closed. */
static void test_lent_bytes(void **state)
{
    (void)state;
    struct place *p = place_open(4 * MIB, 64 * MIB);
    struct object *o = open_key(p, "a");
    struct object_read borrow = {.borrow = true};
    p->fake.halt = true;
    struct reading *one = reading_start_as(o, MIB + 1000, 100000, borrow);
    struct reading *two = reading_start_as(o, MIB + 100000, 300000, borrow);
    struct reading *own = reading_start(o, MIB + 1000, 100000);
    let_go(&p->fake);
    object_unref(o);
    reading_wait(one);
    reading_wait(two);
    reading_wait(own);
    assert_ptr_not_equal(one->read.bytes, one->read.to);
    assert_ptr_equal(two->read.bytes, two->read.to);
    assert_ptr_equal(own->read.bytes, own->read.to);
    assert_int_equal(reading_end(one, 1, "a", NULL), 0);
    assert_int_equal(reading_end(two, 1, "a", NULL), 0);
    assert_int_equal(reading_end(own, 1, "a", NULL), 0);
    while (stat_of(p).buffers) /* or for ever */
        pause_ms(1);
    place_free(p);
}

/* Aim: a reader gets its bytes when they have arrived, not when the block is complete. */
static void test_early_bytes(void **state)
{
    (void)state;
    struct place *p = place_open(2 * MIB, 64 * MIB);
    struct object *o = open_key(p, "a");
    p->fake.tells_early = true;
    p->fake.halt_half = true;
    struct reading *front = reading_start(o, 100, 1000);
    struct reading *back = reading_start(o, 2 * MIB - 1000, 1000);
    assert_int_equal(reading_end(front, 1, "a", NULL), 0);
    wait_halted(&p->fake, 1);
    WITH_LOCK (&back->lock)
        assert_false(back->over);
    let_go(&p->fake);
    assert_int_equal(reading_end(back, 1, "a", NULL), 0);
    /* And a store that tells its ETag late serves early once the ETag is known. */
    p->fake.tells_early = false;
    WITH_LOCK (&p->fake.lock)
        p->fake.go = false;
    assert_int_equal(reading_end(reading_start(o, MIB, 1000), 1, "a", NULL), 0);
    let_go(&p->fake);
    object_unref(o);
    place_free(p);
}

/* Aim: reads of any place and length give the store's bytes, cold, warm and after a restart,
 * which asks the store for nothing. */
static void test_ranges_and_reopen(void **state)
{
    (void)state;
    uint64_t size = 5 * MIB + 12345;
    struct place *p = place_open(size, 64 * MIB);
    int requests = 0;
    for (int round = 0; round < 3; round++) {
        struct object *o = open_key(p, "a");
        assert_int_equal(object_size(o), size);
        assert_int_equal(read_range(o, "a", MIB - 1, 2), 0);
        assert_int_equal(read_range(o, "a", MIB / 2, 3 * MIB), 0);
        assert_int_equal(read_range(o, "a", 0, (size_t)size), 0);
        assert_int_equal(read_range(o, "a", size - 1, 1), 0);
        assert_int_equal(read_range(o, "a", size, 0), 0);
        assert_int_equal(read_range(o, "a", size, 1), -EINVAL);
        char etag[ETAG_BYTES_MAX];
        assert_string_equal(object_etag(o, etag), "\"g1\"");
        object_unref(o);
        close_cache(p);
        open_cache(p);
        assert_int_equal(stat_of(p).objects, 1);
        o = open_key(p, "a");
        assert_int_equal(object_cached_bytes(o), size);
        object_unref(o);
        requests = round ? requests : p->fake.requests;
        assert_int_equal(p->fake.requests, requests);
    }
    place_free(p);
}

/* Aim: an object of no bytes is read without a request. */
static void test_empty(void **state)
{
    (void)state;
    struct place *p = place_open(0, 64 * MIB);
    struct object *o = open_key(p, "a");
    assert_int_equal(read_range(o, "a", 0, 0), 0);
    assert_int_equal(object_cached_bytes(o), 0);
    assert_int_equal(p->fake.requests, 0);
    object_unref(o);
    place_free(p);
}

/* Aim: an object that changes after its first block is -ESTALE, and its first bytes stay right. */
static void changed_object(bool ignores_match)
{
    struct err err = ERR_INIT;
    struct place *p = place_open(4 * MIB, 64 * MIB);
    struct object *o = open_key(p, "a");
    p->fake.ignores_match = ignores_match;
    p->fake.tells_early = ignores_match;
    assert_int_equal(read_range(o, "a", 0, 1000), 0);
    p->fake.generation = 2;
    assert_int_equal(reading_end(reading_start(o, MIB, 1000), 1, "a", &err), -ESTALE);
    assert_int_equal(err.code, ESTALE);
    assert_int_equal(reading_end(reading_start(o, MIB - 10, 20), 1, "a", NULL), -ESTALE);
    assert_int_equal(read_range(o, "a", 0, 1000), 0);
    object_unref(o);
    close_cache(p);
    open_cache(p);
    o = open_key(p, "a");
    assert_int_equal(read_range(o, "a", 0, 1000), 0);
    assert_int_equal(reading_end(reading_start(o, MIB, 1000), 1, "a", NULL), -ESTALE);
    object_unref(o);
    place_free(p);
}

static void test_changed(void **state)
{
    (void)state;
    changed_object(false);
    changed_object(true);
}

/* Aim: first flights that see different generations: one wins, no read is a mixture. */
static void test_concurrent_generations(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct place *p = place_open(8 * MIB, 64 * MIB);
        struct object *o = open_key(p, "a");
        struct reading *g[8];
        char etag[ETAG_BYTES_MAX];
        p->fake.tells_early = round % 2;
        p->fake.flip = true;
        for (size_t i = 0; i < 8; i++)
            g[i] = reading_start(o, i * MIB, 1000);
        int good = 0, generation = 0;
        for (size_t i = 0; i < 8; i++) {
            WITH_LOCK (&g[i]->lock) {
                while (!g[i]->over)
                    cond_wait(&g[i]->changed, &g[i]->lock);
            }
        }
        assert_int_equal(sscanf(object_etag(o, etag), "\"g%d\"", &generation), 1);
        for (size_t i = 0; i < 8; i++) {
            int rc = reading_end(g[i], generation, "a", NULL);
            assert_true(rc == 0 || rc == -ESTALE);
            good += rc == 0;
        }
        assert_int_equal(good, 1);
        object_unref(o);
        place_free(p);
    }
}

/* Aim: a size other than the listed one is -ESTALE and says both. */
static void test_other_size(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct place *p = place_open(MIB, 64 * MIB);
    struct object *o = open_key(p, "a");
    p->fake.size = 999;
    assert_int_equal(reading_end(reading_start(o, 0, 10), 1, "a", &err), -ESTALE);
    assert_non_null(strstr(err.msg, "1048576"));
    assert_non_null(strstr(err.msg, "999"));
    object_unref(o);
    place_free(p);
}

/* Aim: the store's error reaches all waiters with its message, and the next read tries again. */
static void test_store_error(void **state)
{
    (void)state;
    struct place *p = place_open(2 * MIB, 64 * MIB);
    struct object *o = open_key(p, "a");
    struct reading *g[10];
    p->fake.halt = true;
    p->fake.fail = EACCES;
    for (size_t i = 0; i < 10; i++)
        g[i] = reading_start(o, i * 10, MIB + 100);
    wait_halted(&p->fake, 1);
    let_go(&p->fake);
    for (size_t i = 0; i < 10; i++) {
        struct err err = ERR_INIT;
        assert_int_equal(reading_end(g[i], 1, "a", &err), -EACCES);
        assert_string_equal(err.msg, "a: the store is ill");
    }
    assert_int_equal(p->fake.requests, 1); /* of two blocks, a train */
    p->fake.fail = 0;
    assert_int_equal(read_range(o, "a", 0, 2 * MIB), 0);
    object_unref(o);
    place_free(p);
}

static void write_near(struct place *p, const char *key, size_t n)
{
    int fd = openat(p->dirfd, key, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    AUTO_FREE char *bytes = malloc(n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(1, key, i);
    assert_int_equal(file_pwrite_full(fd, bytes, n, 0, NULL), 0);
    (void)close(fd);
}

/* Aim: objects of a local store are read where they are; another size is -ESTALE. */
static void test_in_place(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct object *none = NULL;
    struct place *p = place_open(3 * MIB, 64 * MIB);
    p->fake.store.ops = &near_ops;
    struct object_name name = {
        .store = &p->fake.store, .key = SLICE_LIT("f"), .size = p->fake.size};
    assert_true(object_open_blocks(&p->fake.store));
    assert_int_equal(object_open(p->cache, &name, &none, &err), -ENOENT);
    write_near(p, "f", 1000);
    assert_int_equal(object_open(p->cache, &name, &none, &err), -ESTALE);
    assert_non_null(strstr(err.msg, "3145728"));
    assert_non_null(strstr(err.msg, "1000"));
    assert_null(none);
    write_near(p, "f", 3 * MIB);
    struct object *o = open_key(p, "f");
    assert_int_equal(read_range(o, "f", 0, 3 * MIB), 0);
    assert_int_equal(read_range(o, "f", MIB - 3, 9), 0);
    assert_int_equal(object_cached_bytes(o), 3 * MIB);
    write_near(p, "f", 1000);
    assert_int_equal(reading_end(reading_start(o, MIB, 10), 1, "f", &err), -ESTALE);
    object_unref(o);
    assert_int_equal(p->fake.requests, 0);
    assert_int_equal(stat_of(p).objects, 0);
    place_free(p);
}

/* Aim: opens of one object share it; names that cannot be are refused; what differs in any field
 * is another object. */
static void test_identity(void **state)
{
    (void)state;
    struct place *p = place_open(MIB, 64 * MIB);
    struct object *a = open_key(p, "a"), *b = open_key(p, "a"), *o = NULL;
    assert_ptr_equal(a, b);
    assert_ptr_equal(object_ref(a), a);
    object_unref(a);
    struct object_name name = {.store = &p->fake.store, .key = SLICE_LIT("a"), .size = MIB};
    name.etag = SLICE_LIT("\"g1\"");
    assert_int_equal(object_open(p->cache, &name, &o, NULL), 0);
    assert_ptr_not_equal(a, o);
    object_unref(o);
    name.key = SLICE_LIT("a\0b");
    assert_int_equal(object_open(p->cache, &name, &o, NULL), -ENOENT);
    name.key = SLICE_LIT("a");
    name.size = UINT64_MAX;
    assert_int_equal(object_open(p->cache, &name, &o, NULL), -EFBIG);
    object_unref(a);
    object_unref(b);
    object_unref(NULL);
    place_free(p);
}

/* Aim: a store may be freed when drained, though a read was left alone; and the object that the
 * flusher still holds then asks the store of its next opener. */
static void test_drain_store(void **state)
{
    (void)state;
    struct place *p = place_open(2 * MIB, 64 * MIB);
    struct fake *old = calloc(1, sizeof *old);
    struct object *o = NULL;
    assert_non_null(old);
    old->store = (struct store){.ops = &far_ops, .url = p->fake.store.url};
    old->threads = p->fake.threads;
    old->generation = 1;
    old->size = p->fake.size;
    old->halt = true;
    lock_init(&old->lock);
    cond_init(&old->changed);
    struct object_name name = {.store = &old->store, .key = SLICE_LIT("a"), .size = p->fake.size};
    assert_int_equal(object_open(p->cache, &name, &o, NULL), 0);
    struct reading *g = reading_start(o, 0, MIB);
    object_unref(o);
    let_go(old);
    cache_drain_store(p->cache, &old->store);
    assert_int_equal(reading_end(g, 1, "a", NULL), 0);
    cond_done(&old->changed);
    lock_done(&old->lock);
    free(old);
    read_key(p, "a");
    assert_int_equal(p->fake.requests, 1);
    place_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_request),
        cmocka_unit_test(test_lent_bytes),
        cmocka_unit_test(test_early_bytes),
        cmocka_unit_test(test_ranges_and_reopen),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_concurrent_generations),
        cmocka_unit_test(test_other_size),
        cmocka_unit_test(test_store_error),
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_drain_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
