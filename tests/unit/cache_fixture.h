/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the cache share: a store of their own, which can stall, fail and change its
 * mind; a place with a cache in it; reads that are checked byte by byte.
 */
#ifndef TESTS_UNIT_CACHE_FIXTURE_H
#define TESTS_UNIT_CACHE_FIXTURE_H

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/lock.h"
#include "cache/cache.h"

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

/* Objects whose key begins with z compress well, and of those with 0 every other MiB and all of the
 * odd granules are zeros; the others do not. */
static inline char byte_at(int generation, const char *key, uint64_t offset)
{
    if (key[0] == '0' && (offset / MIB % 2 || offset / GRANULE_BYTES % 2))
        return 0;
    if (key[0] == 'z')
        offset /= 128;
    uint64_t x = (offset / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)generation * 77;
    return (char)((x >> (offset % 8 * 8)) ^ (unsigned char)key[0]);
}

static inline void halt(struct fake *f)
{
    f->halted++;
    WITH_LOCK (&f->lock) {
        while (!f->go)
            cond_wait(&f->changed, &f->lock);
    }
}

static inline void let_go(struct fake *f)
{
    WITH_LOCK (&f->lock) {
        f->go = true;
        cond_broadcast(&f->changed);
    }
}

/* Where byte i of the answer goes. */
static inline char *place_of(const struct store_get *get, size_t i)
{
    unsigned room = 0;
    while (get->rooms && i >= get->rooms[room].iov_len)
        i -= get->rooms[room++].iov_len;
    return get->rooms ? (char *)get->rooms[room].iov_base + i : get->to + i;
}

static inline void fill(const struct request *q, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        *place_of(q->get, i) = byte_at(q->generation, q->get->key, q->get->offset + i);
}

static inline void answer(struct job *job)
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

static inline void fake_get(struct store *s, struct store_get *get)
{
    struct fake *f = CONTAINER_OF(s, struct fake, store);
    struct request *q = calloc(1, sizeof *q);
    assert_non_null(q);
    f->requests++;
    *q = (struct request){.job = {.run = answer}, .fake = f, .get = get};
    q->generation = f->flip ? f->generation++ : f->generation;
    workers_submit(f->threads, &q->job);
}

static inline int fake_open(struct store *s, const char *key, bool wait, struct store_file *out,
                            struct err *err)
{
    (void)wait;
    struct stat st;
    struct fake *f = CONTAINER_OF(s, struct fake, store);
    int opened = openat(f->dirfd, key, O_RDONLY | O_CLOEXEC);
    if (opened < 0 || fstat(opened, &st) < 0)
        return err_set(err, errno, "%s: %s", key, strerror(errno));
    *out = (struct store_file){.fd = opened, .size = (uint64_t)st.st_size};
    return 0;
}

static const struct store_ops far_ops = {
    .scheme = "s3", .rooms_bytes = TRAIN_BYTES, .get = fake_get};
static const struct store_ops near_ops = {
    .scheme = "file", .get = fake_get, .open_in_place = fake_open};

/* ---- a place with a cache in it ---- */

struct place {
    struct fake fake;
    struct workers *workers;
    char path[64];
    int dirfd;
    uint64_t budget;
    const uint8_t *key; /* of the cache; NULL: not encrypted */
    int64_t freeze_after_ms;
    struct cache *cache;
};

static inline void open_cache(struct place *p)
{
    struct err err = ERR_INIT;
    struct cache_config config = {.dirfd = p->dirfd,
                                  .size_bytes = p->budget,
                                  .workers = p->workers,
                                  .key = p->key,
                                  .freeze_after_ms = p->freeze_after_ms};
    p->cache = cache_open(&config, &err);
    if (!p->cache)
        fail_msg("cache_open: %s", err.msg);
}

static inline void close_cache(struct place *p)
{
    cache_close(p->cache);
    p->cache = NULL;
}

static inline void start_threads(struct place *p)
{
    p->workers = workers_new("work", 4, NULL);
    p->fake.threads = workers_new("fake", 8, NULL);
    assert_non_null(p->workers);
    assert_non_null(p->fake.threads);
}

static inline struct place *place_new(uint64_t size, uint64_t budget)
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

static inline struct place *place_open(uint64_t size, uint64_t budget)
{
    struct place *p = place_new(size, budget);
    start_threads(p);
    open_cache(p);
    return p;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void place_free(struct place *p)
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

static inline struct object *open_key(struct place *p, const char *key)
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

static inline void reading_done(struct object_read *r)
{
    struct reading *g = CONTAINER_OF(r, struct reading, read);
    WITH_LOCK (&g->lock) {
        g->over = true;
        cond_broadcast(&g->changed);
    }
}

/* `as`: in what it differs from a read at random. */
static inline struct reading *reading_start_as(struct object *o, uint64_t offset, size_t length,
                                               struct object_read as)
{
    struct reading *g = calloc(1, sizeof *g);
    assert_non_null(g);
    lock_init(&g->lock);
    cond_init(&g->changed);
    g->read = as;
    g->read.offset = offset;
    g->read.length = length;
    g->read.to = malloc(length + 1);
    g->read.done = reading_done;
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

static inline struct reading *reading_start(struct object *o, uint64_t offset, size_t length)
{
    return reading_start_as(o, offset, length, (struct object_read){0});
}

static inline void reading_wait(struct reading *g)
{
    WITH_LOCK (&g->lock) {
        while (!g->over)
            cond_wait(&g->changed, &g->lock);
    }
}

/* Waits, checks the bytes against the generation where the read was right, and frees. */
static inline int reading_end(struct reading *g, int generation, const char *key, struct err *err)
{
    reading_wait(g);
    int rc = g->read.rc;
    for (size_t i = 0; rc == 0 && i < g->read.length; i++)
        if (g->read.bytes[i] != byte_at(generation, key, g->read.offset + i))
            fail_msg("%s: byte %zu is wrong", key, (size_t)g->read.offset + i);
    if (err)
        *err = g->read.err;
    object_read_end(&g->read);
    cond_done(&g->changed);
    lock_done(&g->lock);
    free(g->read.to);
    free(g);
    return rc;
}

static inline int read_range(struct object *o, const char *key, uint64_t offset, size_t length)
{
    return reading_end(reading_start(o, offset, length), 1, key, NULL);
}

/* Opens, reads all, closes. */
static inline void read_key(struct place *p, const char *key)
{
    AUTO(object) struct object *o = open_key(p, key);
    assert_int_equal(read_range(o, key, 0, (size_t)p->fake.size), 0);
}

/* Its file as the kernel is given it, for the caller to close; or -errno. */
static inline int backing_of(struct object *o)
{
    struct task t = {.on_worker = true};
    int fd, opened;
    int rc = object_backing(o, &t, &fd, &opened, NULL);
    if (rc < 0)
        return rc;
    return opened >= 0 ? opened : dup(fd);
}

static inline struct cache_stat stat_of(struct place *p)
{
    struct cache_stat s;
    cache_stat(p->cache, &s);
    return s;
}

static inline void pause_ms(unsigned ms)
{
    (void)usleep(ms * 1000);
}

/* Until it is so; after a minute it is taken for never. */
#define AWAIT(condition)                                                                           \
    do {                                                                                           \
        for (int waited_ = 0; waited_ < 60000 / 20 && !(condition); waited_++)                     \
            pause_ms(20);                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

static inline void wait_halted(struct fake *f, int count)
{
    while (f->halted < count)
        pause_ms(1);
}

/* Disk that the objects' files take. */
struct disk_use {
    uint64_t bytes, count;
};

static inline struct disk_use *counted(void)
{
    static struct disk_use use;
    return &use;
}

static inline int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type == FTW_F && strstr(path, "/objects/")) {
        counted()->bytes += (uint64_t)st->st_blocks * 512;
        counted()->count++;
    }
    return 0;
}

static inline struct disk_use disk_use_of(struct place *p)
{
    *counted() = (struct disk_use){0};
    (void)nftw(p->path, count_one, 16, FTW_PHYS);
    return *counted();
}

#endif
