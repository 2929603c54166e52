/* SPDX-License-Identifier: Apache-2.0 */
/* The object cache over a store of the test's own, which can stall, fail and change its mind. */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "cache/cache.h"
#include "cache/pool.h"

#define URL "s3://bucket/prefix"

/* ---- the store ---- */

struct fake {
    struct store store;
    struct workers *threads; /* gets complete on these */
    struct lock lock;
    struct cond changed;
    atomic_int requests;
    atomic_int generation; /* of the bytes and the ETag */
    atomic_int fail;       /* errno of every get, or 0 */
    atomic_bool halt_half; /* stop after half the bytes until `go` */
    atomic_bool halt;      /* stop before the first byte until `go` */
    atomic_int halted;     /* gets that stopped */
    bool go;               /* lock */
    bool tells_early;      /* info before progress */
    bool ignores_match;    /* a store that does not know If-Match */
    atomic_bool flip;      /* each get finds another generation */
    uint64_t size;         /* what it says */
    int dirfd;             /* of open_in_place */
};

struct request {
    struct job job;
    struct fake *fake;
    struct store_get *get;
    int generation;
};

static char byte_at(int generation, const char *key, uint64_t offset)
{
    uint64_t x = (offset / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)generation * 77;
    return (char)((x >> (offset % 8 * 8)) ^ (unsigned char)key[0]);
}

static void halt(struct fake *f)
{
    f->halted++;
    WITH_LOCK (&f->lock) {
        while (!f->go)
            cond_wait(&f->changed, &f->lock);
    }
}

static void let_go(struct fake *f)
{
    WITH_LOCK (&f->lock) {
        f->go = true;
        cond_broadcast(&f->changed);
    }
}

static void fill(const struct request *q, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        q->get->to[i] = byte_at(q->generation, q->get->key, q->get->offset + i);
}

static void answer(struct job *job)
{
    struct request *q = CONTAINER_OF(job, struct request, job);
    struct fake *f = q->fake;
    struct store_get *get = q->get;
    struct store_info info = {.size = f->size};
    (void)snprintf(info.etag, sizeof info.etag, "\"g%d\"", q->generation);
    if (f->halt)
        halt(f);
    if (f->fail) {
        get->rc = err_set(&get->err, f->fail, "%s: the store is ill", get->key);
    } else if (get->if_match && !f->ignores_match && strcmp(get->if_match, info.etag) != 0) {
        get->rc = err_set(&get->err, ESTALE, "%s: precondition failed", get->key);
    } else {
        if (f->tells_early)
            get->info = info;
        fill(q, 0, get->length / 2);
        if (get->progress)
            get->progress(get, get->length / 2);
        if (f->halt_half)
            halt(f);
        fill(q, get->length / 2, get->length);
        get->rc = 0;
        get->got = get->length;
        get->info = info;
    }
    free(q);
    get->done(get);
}

static void fake_get(struct store *s, struct store_get *get)
{
    struct fake *f = CONTAINER_OF(s, struct fake, store);
    struct request *q = calloc(1, sizeof *q);
    assert_non_null(q);
    f->requests++;
    *q = (struct request){.job = {.run = answer}, .fake = f, .get = get};
    q->generation = f->flip ? f->generation++ : f->generation;
    workers_submit(f->threads, &q->job);
}

static int fake_open(struct store *s, const char *key, int *fd, struct err *err)
{
    struct fake *f = CONTAINER_OF(s, struct fake, store);
    int opened = openat(f->dirfd, key, O_RDONLY | O_CLOEXEC);
    if (opened < 0)
        return err_set(err, errno, "%s: %s", key, strerror(errno));
    *fd = opened;
    return 0;
}

static const struct store_ops far_ops = {.scheme = "s3", .get = fake_get};
static const struct store_ops near_ops = {
    .scheme = "file", .get = fake_get, .open_in_place = fake_open};

/* ---- a place with a cache in it ---- */

struct place {
    struct fake fake;
    struct workers *workers;
    char path[64];
    int dirfd;
    uint64_t budget;
    struct cache *cache;
};

static void open_cache(struct place *p)
{
    struct err err = ERR_INIT;
    struct cache_config config = {
        .dirfd = p->dirfd, .size_bytes = p->budget, .workers = p->workers};
    p->cache = cache_open(&config, &err);
    if (!p->cache)
        fail_msg("cache_open: %s", err.msg);
}

static void close_cache(struct place *p)
{
    cache_close(p->cache);
    p->cache = NULL;
}

static void start_threads(struct place *p)
{
    p->workers = workers_new("work", 4, NULL);
    p->fake.threads = workers_new("fake", 8, NULL);
    assert_non_null(p->workers);
    assert_non_null(p->fake.threads);
}

static struct place *place_new(uint64_t size, uint64_t budget)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    (void)snprintf(p->path, sizeof p->path, "/tmp/test_cache.XXXXXX");
    assert_non_null(mkdtemp(p->path));
    p->dirfd = open(p->path, O_RDONLY | O_DIRECTORY);
    assert_true(p->dirfd >= 0);
    p->budget = budget;
    p->fake.store = (struct store){.ops = &far_ops, .url = strdup(URL)};
    p->fake.size = size;
    p->fake.generation = 1;
    p->fake.dirfd = p->dirfd;
    lock_init(&p->fake.lock);
    cond_init(&p->fake.changed);
    return p;
}

static struct place *place_open(uint64_t size, uint64_t budget)
{
    struct place *p = place_new(size, budget);
    start_threads(p);
    open_cache(p);
    return p;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void place_free(struct place *p)
{
    cache_close(p->cache);
    workers_free(p->workers);
    workers_free(p->fake.threads);
    (void)close(p->dirfd);
    (void)nftw(p->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    cond_done(&p->fake.changed);
    lock_done(&p->fake.lock);
    free(p->fake.store.url);
    free(p);
}

static struct object *open_key(struct place *p, const char *key)
{
    struct err err = ERR_INIT;
    struct object *o = NULL;
    struct object_name name = {.store = &p->fake.store, .key = slice_of(key), .size = p->fake.size};
    if (object_open(p->cache, &name, &o, &err) < 0)
        fail_msg("object_open: %s", err.msg);
    return o;
}

/* ---- reads ---- */

struct reading {
    struct object_read read;
    struct lock lock;
    struct cond changed;
    bool over; /* lock */
};

static void reading_done(struct object_read *r)
{
    struct reading *g = CONTAINER_OF(r, struct reading, read);
    WITH_LOCK (&g->lock) {
        g->over = true;
        cond_broadcast(&g->changed);
    }
}

static struct reading *reading_start(struct object *o, uint64_t offset, size_t length)
{
    struct reading *g = calloc(1, sizeof *g);
    assert_non_null(g);
    lock_init(&g->lock);
    cond_init(&g->changed);
    g->read = (struct object_read){
        .offset = offset, .length = length, .to = malloc(length + 1), .done = reading_done};
    memset(g->read.to, 0x55, length + 1);
    struct err err = ERR_INIT;
    int rc = object_read(o, &g->read, &err);
    if (rc != -EINPROGRESS) {
        g->over = true;
        g->read.rc = rc;
        g->read.err = err;
    }
    return g;
}

/* Waits, checks the bytes against the generation where the read was right, and frees. */
static int reading_end(struct reading *g, int generation, const char *key, struct err *err)
{
    WITH_LOCK (&g->lock) {
        while (!g->over)
            cond_wait(&g->changed, &g->lock);
    }
    int rc = g->read.rc;
    for (size_t i = 0; rc == 0 && i < g->read.length; i++)
        if (g->read.to[i] != byte_at(generation, key, g->read.offset + i))
            fail_msg("%s: byte %zu is wrong", key, (size_t)g->read.offset + i);
    if (err)
        *err = g->read.err;
    cond_done(&g->changed);
    lock_done(&g->lock);
    free(g->read.to);
    free(g);
    return rc;
}

static int read_range(struct object *o, const char *key, uint64_t offset, size_t length)
{
    return reading_end(reading_start(o, offset, length), 1, key, NULL);
}

/* Opens, reads all, closes. */
static void read_key(struct place *p, const char *key)
{
    AUTO(object) struct object *o = open_key(p, key);
    assert_int_equal(read_range(o, key, 0, (size_t)p->fake.size), 0);
}

static struct cache_stat stat_of(struct place *p)
{
    struct cache_stat s;
    cache_stat(p->cache, &s);
    return s;
}

static void pause_ms(unsigned ms)
{
    (void)usleep(ms * 1000);
}

static void wait_halted(struct fake *f, int count)
{
    while (f->halted < count)
        pause_ms(1);
}

/* ---- tests ---- */

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

/* Aim: a reader gets its bytes when they have arrived, not when the block is complete. */
static void test_early_bytes(void **state)
{
    (void)state;
    struct place *p = place_open(2 * MIB, 64 * MIB);
    struct object *o = open_key(p, "a");
    p->fake.tells_early = true;
    p->fake.halt_half = true;
    struct reading *front = reading_start(o, 100, 1000);
    struct reading *back = reading_start(o, MIB - 1000, 1000);
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
        assert_int_equal(p->fake.requests, 6);
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
    wait_halted(&p->fake, 2);
    let_go(&p->fake);
    for (size_t i = 0; i < 10; i++) {
        struct err err = ERR_INIT;
        assert_int_equal(reading_end(g[i], 1, "a", &err), -EACCES);
        assert_string_equal(err.msg, "a: the store is ill");
    }
    assert_int_equal(p->fake.requests, 2);
    p->fake.fail = 0;
    assert_int_equal(read_range(o, "a", 0, 2 * MIB), 0);
    object_unref(o);
    place_free(p);
}

/* Aim: more blocks than buffers wait their turn; all are read; the pool stays within its bound. */
static void test_pool_exhausted(void **state)
{
    (void)state;
    struct place *p = place_open(200 * MIB, 400 * MIB);
    struct object *o = open_key(p, "a");
    struct reading *g[200];
    p->fake.halt = true;
    for (size_t i = 0; i < 200; i++)
        g[i] = reading_start(o, i * MIB + i, 4000);
    wait_halted(&p->fake, 8);
    assert_int_equal(stat_of(p).flights, 200);
    assert_int_equal(p->fake.requests, TRANSFER_BLOCKS_MAX);
    let_go(&p->fake);
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(reading_end(g[i], 1, "a", NULL), 0);
    /* And when all fail at once, the queue is not walked by recursion. */
    struct object *b = open_key(p, "b");
    p->fake.fail = EIO;
    for (size_t i = 0; i < 200; i++)
        g[i] = reading_start(b, i * MIB, 4000);
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(reading_end(g[i], 1, "b", NULL), -EIO);
    object_unref(b);
    object_unref(o);
    place_free(p);
}

static void no_run(struct job *job)
{
    (void)job;
}

static size_t resident_kib(void)
{
    size_t kib = 0;
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        (void)sscanf(line, "RssAnon: %zu", &kib);
    (void)fclose(f);
    return kib;
}

/* Aim: idle buffers give their memory back. */
static void test_pool_trim(void **state)
{
    (void)state;
    struct workers *w = workers_new("work", 1, NULL);
    struct pool pool;
    char *taken[TRANSFER_BLOCKS_MAX];
    struct pool_wait wait = {.job.run = no_run};
    assert_int_equal(pool_init(&pool, w, NULL), 0);
    for (size_t i = 0; i < TRANSFER_BLOCKS_MAX; i++) {
        taken[i] = pool_take(&pool, &wait);
        assert_non_null(taken[i]);
        memset(taken[i], 1, BLOCK_BYTES);
    }
    size_t full = resident_kib();
    for (size_t i = 0; i < TRANSFER_BLOCKS_MAX; i++)
        pool_put(&pool, taken[i]);
    assert_true(pool_trim(&pool)); /* taken since the last one: still warm */
    assert_false(pool_trim(&pool));
    assert_true(resident_kib() + 90 * 1024 < full);
    pool_done(&pool);
    workers_free(w);
}

/* Disk that the objects' files take. */
static uint64_t files_bytes, files_count;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type == FTW_F && strstr(path, "/objects/")) {
        files_bytes += (uint64_t)st->st_blocks * 512;
        files_count++;
    }
    return 0;
}

static void count_files(struct place *p)
{
    files_bytes = files_count = 0;
    (void)nftw(p->path, count_one, 16, FTW_PHYS);
}

/* Aim: the budget holds whatever is read, the open object stays, the least recently used go. */
static void test_eviction(void **state)
{
    (void)state;
    struct place *p = place_open(MIB, 32 * MIB);
    struct object *kept = open_key(p, "kept");
    assert_int_equal(read_range(kept, "kept", 0, MIB), 0);
    for (int i = 0; i < 100; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        clock_shift_for_test(i * 10);
        read_key(p, key);
        if (i % 20 == 19) { /* lets the flusher run */
            pause_ms(1100);
            count_files(p);
            assert_true(files_bytes <= 32 * MIB);
            assert_true(stat_of(p).bytes <= 32 * MIB);
        }
    }
    read_key(p, "k99"); /* there may have been no room for it in the rush */
    int before = p->fake.requests;
    assert_int_equal(read_range(kept, "kept", 0, MIB), 0);
    read_key(p, "k99");
    assert_int_equal(p->fake.requests, before);
    read_key(p, "k0");
    assert_int_equal(p->fake.requests, before + 1);
    object_unref(kept);
    close_cache(p);
    count_files(p);
    uint64_t bytes = files_bytes, count = files_count;
    open_cache(p);
    assert_int_equal(stat_of(p).bytes, bytes);
    assert_int_equal(stat_of(p).objects, count);
    clock_shift_for_test(0);
    place_free(p);
}

/* Aim: what is larger than the budget is read all the same, while the disk stays within it. */
static void test_larger_than_budget(void **state)
{
    (void)state;
    struct place *p = place_open(20 * MIB, 8 * MIB);
    read_key(p, "a");
    count_files(p);
    assert_true(files_bytes <= 8 * MIB);
    place_free(p);
}

static void damage_index(struct place *p, int kind)
{
    int fd = openat(p->dirfd, "cache.mdb", O_RDWR);
    struct stat st;
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    char noise[4096];
    unsigned seed = (unsigned)kind;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)(seed = seed * 1103515245 + 12345, seed >> 16);
    if (kind == 0) {
        assert_int_equal(ftruncate(fd, 4096 * 2), 0);
    } else if (kind == 1) {
        assert_int_equal(ftruncate(fd, 100), 0);
    } else if (kind == 2) {
        for (off_t at = 0; at < st.st_size; at += 4096)
            assert_int_equal(pwrite(fd, noise, 4096, at), 4096);
    } else { /* some bytes of some page */
        off_t page = (off_t)(seed >> 8) % (st.st_size / 4096) * 4096;
        size_t n = kind % 3 == 0 ? 4096 : 1 + (size_t)kind % 40;
        off_t at = kind % 2 ? (off_t)(seed >> 4) % 4000 : 0;
        n = n > 4096 - (size_t)at ? 4096 - (size_t)at : n;
        assert_int_equal(pwrite(fd, noise, n, page + at), (ssize_t)n);
    }
    (void)close(fd);
}

/* Aim: a damaged index, whatever the damage, costs requests and no byte. */
static void test_damaged_index(void **state)
{
    (void)state;
    struct place *p = place_open(20000, 64 * MIB);
    for (int kind = 0; kind < 120; kind++) {
        char key[] = {(char)('a' + kind % 26), (char)('a' + kind / 26), '\0'};
        for (int i = 0; i < 30; i++) {
            char more[] = {(char)('A' + i), '\0'};
            if (kind % 10 < 3)
                read_key(p, more);
        }
        read_key(p, key);
        close_cache(p);
        damage_index(p, kind);
        open_cache(p);
        read_key(p, key);
        read_key(p, "A");
    }
    place_free(p);
}

static int cut_to;

static int cut_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    if (type == FTW_F && strstr(path, "/objects/"))
        return cut_to < 0 ? unlink(path) : truncate(path, cut_to);
    return 0;
}

/* Aim: object files that are gone or cut are fetched again: no zeros are served, also not when
 * the file has grown again or the process dies in between. */
static void test_damaged_files(void **state)
{
    (void)state;
    struct place *p = place_open(3 * MIB + 5, 64 * MIB);
    const int cuts[] = {-1, 0, MIB, 3 * MIB};
    for (size_t i = 0; i < 4; i++) {
        for (int while_open = 0; while_open < 2; while_open++) {
            read_key(p, "a");
            close_cache(p);
            cut_to = cuts[i];
            if (!while_open)
                (void)nftw(p->path, cut_one, 16, FTW_PHYS);
            open_cache(p);
            if (while_open) /* after the check at the start */
                (void)nftw(p->path, cut_one, 16, FTW_PHYS);
            struct object *o = open_key(p, "a");
            assert_int_equal(read_range(o, "a", 3 * MIB, 5), 0);
            assert_int_equal(read_range(o, "a", 0, MIB), 0);
            object_unref(o);
            read_key(p, "a");
            close_cache(p);
            open_cache(p);
            read_key(p, "a");
        }
    }
    /* Cut while its file is open. */
    struct object *o = open_key(p, "a");
    assert_int_equal(read_range(o, "a", 0, MIB), 0);
    cut_to = 0;
    (void)nftw(p->path, cut_one, 16, FTW_PHYS);
    assert_int_equal(read_range(o, "a", 2 * MIB, MIB), 0);
    assert_int_equal(read_range(o, "a", 0, MIB), 0);
    object_unref(o);
    read_key(p, "a");
    place_free(p);
}

/* Aim: files that the index does not name are deleted at the start. */
static void test_orphans(void **state)
{
    (void)state;
    struct place *p = place_open(1000, 64 * MIB);
    read_key(p, "a");
    close_cache(p);
    assert_true(mkdirat(p->dirfd, "objects/00", 0700) == 0 || errno == EEXIST);
    const char *names[] = {
        "objects/00/00000000000000000000000000000000000000000000000000000000000000",
        "objects/00/junk"};
    for (size_t i = 0; i < 2; i++) {
        int fd = openat(p->dirfd, names[i], O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    count_files(p);
    assert_int_equal(files_count, 3);
    open_cache(p);
    count_files(p);
    assert_int_equal(files_count, 1);
    int before = p->fake.requests;
    read_key(p, "a");
    assert_int_equal(p->fake.requests, before);
    place_free(p);
}

/* Reads at random for ever. */
static void reader_process(struct place *p, unsigned seed)
{
    start_threads(p);
    open_cache(p);
    for (;;) {
        seed = seed * 1103515245 + 12345;
        char key[] = {(char)('a' + (seed >> 16) % 4), '\0'};
        struct object *o = open_key(p, key);
        uint64_t offset = (seed >> 4) % (p->fake.size - 1000);
        (void)read_range(o, key, offset, 1000);
        object_unref(o);
        if (seed % 64 == 0) {
            close_cache(p);
            open_cache(p);
        }
    }
}

/* Aim: killed at any moment, the cache opens again, and every byte it serves is the store's. */
static void test_killed(void **state)
{
    (void)state;
    struct place *p = place_new(6 * MIB + 77, 16 * MIB);
    unsigned hits = 0;
    for (unsigned round = 0; round < 50; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            reader_process(p, round + 1);
            _exit(1);
        }
        pause_ms(round * 2654435761U % 97);
        assert_int_equal(kill(child, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        if (round % 5 == 4) {
            start_threads(p);
            open_cache(p);
            for (char key[] = "a"; key[0] <= 'd'; key[0]++)
                read_key(p, key);
            hits += stat_of(p).hit_bytes > 0;
            close_cache(p);
            workers_free(STEAL(p->workers));
            workers_free(STEAL(p->fake.threads));
        }
    }
    assert_true(hits > 0);
    place_free(p);
}

/* Aim: a full disk costs the copy and not the read. */
static void full_disk(struct place *p)
{
    struct object *o = open_key(p, "a");
    assert_int_equal(read_range(o, "a", 0, (size_t)p->fake.size), 0);
    while (stat_of(p).flights)
        pause_ms(1);
    assert_true(stat_of(p).write_errors > 0);
    assert_int_equal(read_range(o, "a", 0, (size_t)p->fake.size), 0);
    object_unref(o);
    close_cache(p);
    open_cache(p);
    read_key(p, "a");
}

static void test_disk_full(void **state)
{
    (void)state;
    struct place *p = place_new(12 * MIB, 64 * MIB);
    start_threads(p);
    if (mount("none", p->path, "tmpfs", 0, "size=4m") == 0) {
        (void)close(p->dirfd);
        p->dirfd = open(p->path, O_RDONLY | O_DIRECTORY);
        open_cache(p);
        full_disk(p);
        close_cache(p);
        (void)umount2(p->path, MNT_DETACH);
    }
    open_cache(p);
    place_free(p);
    /* And files that must not grow. */
    p = place_new(12 * MIB, 64 * MIB);
    start_threads(p);
    struct rlimit old, small;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){5 * MIB, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    open_cache(p);
    full_disk(p);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
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
    struct reading *g = reading_start(o, 0, 1000);
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
        cmocka_unit_test(test_killed), /* first: it forks, so no thread may be there */
        cmocka_unit_test(test_one_request),
        cmocka_unit_test(test_early_bytes),
        cmocka_unit_test(test_ranges_and_reopen),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_concurrent_generations),
        cmocka_unit_test(test_other_size),
        cmocka_unit_test(test_store_error),
        cmocka_unit_test(test_pool_exhausted),
        cmocka_unit_test(test_pool_trim),
        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_larger_than_budget),
        cmocka_unit_test(test_damaged_index),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_orphans),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_drain_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
