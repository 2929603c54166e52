/* SPDX-License-Identifier: Apache-2.0 */
/* A near store around a home: filled, read, wiped, damaged and hanging under load. */
#include "tests/unit/cache_fixture.h"

#include <dirent.h>
#include <ftw.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "cache/near_private.h"

static void free_nothing(struct store *s)
{
    (void)s; /* it is part of its place */
}

static struct store_ops home_ops;

/* A machine: a cache, a home store of its own that all machines see alike, a near store around it.
 */
struct machine {
    struct place *place;
    struct store *store;
};

static char nas[64];

static struct machine machine_new(uint64_t size, uint64_t budget, uint64_t near_bytes_max)
{
    struct err err = ERR_INIT;
    struct machine m = {.place = place_open(size, budget)};
    struct store_options options = {0};
    struct store_runtime runtime = {0};
    home_ops = far_ops;
    home_ops.free = free_nothing;
    m.place->fake.store.ops = &home_ops;
    const struct near_config config = {.url = nas,
                                       .options = &options,
                                       .runtime = &runtime,
                                       .size_bytes = near_bytes_max,
                                       .cache = m.place->cache};
    m.store = near_wrap(&m.place->fake.store, &config, &err);
    if (!m.store)
        fail_msg("near_wrap: %s", err.msg);
    return m;
}

static void machine_free(struct machine *m)
{
    cache_drain_store(m->place->cache, m->store);
    store_free(m->store);
    place_free(m->place);
}

static struct object *open_on(struct machine *m, const char *key)
{
    struct err err = ERR_INIT;
    struct object *o = NULL;
    struct object_name name = {
        .store = m->store, .key = slice_of(key), .size = m->place->fake.size};
    if (object_open(m->place->cache, &name, &o, &err) < 0)
        fail_msg("object_open: %s", err.msg);
    return o;
}

/* Reads all of it and has it sealed. */
static void read_all(struct machine *m, const char *key)
{
    AUTO(object) struct object *o = open_on(m, key);
    assert_int_equal(read_range(o, key, 0, (size_t)o->size), 0);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(nas, "/tmp/test_near.XXXXXX");
    return mkdtemp(nas) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return nftw(nas, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Files with an object's name, to each of which `visit` is done (NULL: they are counted). */
static unsigned each_file(void (*visit)(int dir, const char *name, void *arg), void *arg)
{
    char path[128];
    unsigned n = 0;
    for (unsigned i = 0; i < 256; i++) {
        (void)snprintf(path, sizeof path, "%s/objects/%02x", nas, i);
        DIR *d = opendir(path);
        struct dirent *e;
        while (d && (e = readdir(d))) {
            if (e->d_name[0] == '.')
                continue;
            n++;
            if (visit)
                visit(dirfd(d), e->d_name, arg);
        }
        if (d)
            (void)closedir(d);
    }
    return n;
}

static void wait_filled(unsigned count)
{
    int64_t until = clock_mono_ms() + 60000;
    while (each_file(NULL, NULL) < count && clock_mono_ms() < until)
        (void)usleep(10000);
    assert_int_equal(each_file(NULL, NULL), count);
}

#define SIZE ((uint64_t)(3 * MIB + 5))

/* What one machine has read another one gets without asking home. */
static void test_shared(void **state)
{
    (void)state;
    struct machine a = machine_new(SIZE, 64 * MIB, GIB), b = machine_new(SIZE, 64 * MIB, GIB);
    read_all(&a, "k");
    wait_filled(1);
    read_all(&b, "k");
    assert_int_equal(b.place->fake.requests, 0);
    struct cache_stat stat;
    cache_stat(b.place->cache, &stat);
    assert_int_equal(stat.near_hit_bytes, SIZE);
    machine_free(&a);
    machine_free(&b);
}

/* A reader who has bytes of one generation gets none of another from the near store. */
static void test_generations(void **state)
{
    (void)state;
    struct machine a = machine_new(SIZE, 64 * MIB, GIB), b = machine_new(SIZE, 64 * MIB, GIB);
    read_all(&a, "k");
    wait_filled(1);
    b.place->fake.generation = 2;
    AUTO(object) struct object *o = open_on(&b, "k");
    memcpy(o->etag, "\"g2\"", 5); /* he has read some of the new one */
    assert_int_equal(reading_end(reading_start(o, 0, MIB), 2, "k", NULL), 0);
    assert_true(b.place->fake.requests > 0);
    object_unref(STEAL(o));
    machine_free(&a);
    machine_free(&b);
}

/* A near store that hangs costs its deadline, once, and does not hold up the end. */
static void test_hangs(void **state)
{
    (void)state;
    struct machine m = machine_new(SIZE, 64 * MIB, GIB);
    struct near *n = near_of(m.store);
    struct place *hanging = place_new(SIZE, 64 * MIB);
    struct store *far = n->far;
    start_threads(hanging);
    hanging->fake.halt = true;
    WITH_LOCK (&n->lock) {
        n->write_off_until_ms = INT64_MAX; /* it can be read only */
        n->far = &hanging->fake.store;
    }
    int64_t began = clock_mono_ms();
    read_all(&m, "k");
    read_all(&m, "l");
    assert_true(clock_mono_ms() - began < 20000);
    assert_true(m.place->fake.requests >= 2);
    struct cache_stat stat;
    cache_stat(m.place->cache, &stat);
    assert_true(stat.near_failed >= 1);
    let_go(&hanging->fake);
    int64_t until = clock_mono_ms() + 60000;
    bool idle = false;
    while (!idle && clock_mono_ms() < until)
        WITH_LOCK (&n->lock)
            idle = !n->gets;
    assert_true(idle);
    n->far = far;
    machine_free(&m);
    place_free(hanging);
}

/* ---- under load ---- */

#define KEYS 12
#define READERS 6
#define SMALL ((uint64_t)(MIB + 5))

struct load {
    struct machine machines[2];
    atomic_bool stop;
    atomic_uint reads;
    uint64_t seed;
};

struct reader {
    struct load *load;
    uint64_t random;
};

static uint64_t next_random(uint64_t *random)
{
    *random = hash64(*random, SLICE_LIT("next"));
    return *random;
}

static void *read_some(void *arg)
{
    struct reader *r = arg;
    struct load *l = r->load;
    while (!l->stop) {
        struct machine *m = &l->machines[next_random(&r->random) % 2];
        const char key[2] = {(char)('a' + next_random(&r->random) % KEYS)};
        uint64_t from = next_random(&r->random) % 2 ? 0 : next_random(&r->random) % SMALL;
        size_t length = from ? (size_t)(1 + next_random(&r->random) % (SMALL - from)) : SMALL;
        AUTO(object) struct object *o = open_on(m, key);
        assert_int_equal(read_range(o, key, from, length), 0);
        l->reads++;
    }
    return NULL;
}

static void spoil(int dir, const char *name, void *arg)
{
    uint64_t *random = arg;
    switch (next_random(random) % 10) {
    case 0:
        (void)unlinkat(dir, name, 0);
        break;
    case 1: {
        AUTO_FD int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
        if (fd >= 0)
            (void)!pwrite(fd, "spoiled", 7, (off_t)(next_random(random) % SMALL));
        break;
    }
    case 2: {
        AUTO_FD int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
        if (fd >= 0)
            (void)!ftruncate(fd, (off_t)(next_random(random) % SMALL));
        break;
    }
    default:
        break;
    }
}

/* Two machines with little room, readers at random, files removed, cut and spoiled: all is right.
 */
static void test_load(void **state)
{
    (void)state;
    const char *given = getenv("SEED");
    struct load l = {.seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL)};
    pthread_t threads[READERS];
    struct reader readers[READERS];
    print_message("SEED %llu\n", (unsigned long long)l.seed);
    for (unsigned i = 0; i < 2; i++)
        l.machines[i] = machine_new(SMALL, 8 * MIB, 12 * MIB);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){&l, l.seed + i};
        assert_int_equal(pthread_create(&threads[i], NULL, read_some, &readers[i]), 0);
    }
    uint64_t random = ~l.seed;
    int64_t until = clock_mono_ms() + 4000, longest = clock_mono_ms() + 60000;
    bool all = false;
    while ((clock_mono_ms() < until || !all) && clock_mono_ms() < longest) {
        struct cache_stat stat;
        cache_stat(l.machines[0].place->cache, &stat);
        all = stat.near_filled && stat.near_hits && stat.near_damaged;
        (void)each_file(spoil, &random);
        (void)usleep(100000);
    }
    l.stop = true;
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    uint64_t filled = 0, hits = 0, damaged = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct cache_stat stat;
        cache_stat(l.machines[i].place->cache, &stat);
        filled += stat.near_filled;
        hits += stat.near_hits;
        damaged += stat.near_damaged;
        machine_free(&l.machines[i]);
    }
    print_message("%u reads, %u filled, %u hits, %u wrong\n", (unsigned)l.reads, (unsigned)filled,
                  (unsigned)hits, (unsigned)damaged);
    assert_true(filled > 0 && hits > 0);
}

static void add_size(int dir, const char *name, void *arg)
{
    struct stat st;
    if (fstatat(dir, name, &st, 0) == 0)
        *(uint64_t *)arg += (uint64_t)st.st_size;
}

/* Over the budget, what was used least lately goes, and what is used stays. */
static void test_budget(void **state)
{
    (void)state;
    struct machine m = machine_new(SIZE, 256 * MIB, 16 * MIB);
    for (char key[2] = "a"; key[0] < 'q'; key[0]++) {
        read_all(&m, key);
        uint64_t bytes = 0;
        (void)each_file(add_size, &bytes);
        assert_true(bytes <= 16 * MIB);
    }
    int64_t until = clock_mono_ms() + 60000;
    struct cache_stat stat = {0};
    while (stat.near_filled < 16 && clock_mono_ms() < until) {
        (void)usleep(10000);
        cache_stat(m.place->cache, &stat);
    }
    uint64_t bytes = 0;
    (void)each_file(add_size, &bytes);
    assert_true(bytes <= 16 * MIB);
    assert_true(stat.near_removed_bytes > 0);
    machine_free(&m);
}

#define WITH_NAS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NAS(test_shared), WITH_NAS(test_generations), WITH_NAS(test_hangs),
        WITH_NAS(test_load),   WITH_NAS(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
