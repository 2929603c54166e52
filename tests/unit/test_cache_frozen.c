/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that nobody used for a while are compressed, and nobody who reads them notices. */
#include "tests/unit/cache_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "cache/private.h"

#define BUDGET ((uint64_t)512 * MIB)
/* Use is noted in seconds, so this is between one and two. */
#define FREEZE_AFTER_MS 1000

static struct place *frozen_place(uint64_t size, uint64_t budget)
{
    struct place *p = place_new(size, budget);
    p->freeze_after_ms = FREEZE_AFTER_MS;
    return p;
}

static struct place *frozen_open(uint64_t size, uint64_t budget)
{
    struct place *p = frozen_place(size, budget);
    start_threads(p);
    open_cache(p);
    return p;
}

static void wait_frozen(struct place *p, uint64_t segments)
{
    while (stat_of(p).frozen != segments)
        pause_ms(5);
}

/* Without freezing. */
static void reopen(struct place *p)
{
    close_cache(p);
    p->freeze_after_ms = 0;
    open_cache(p);
}

static void visit(struct place *p, int (*one)(const char *, const struct stat *, int, struct FTW *))
{
    (void)nftw(p->path, one, 16, FTW_PHYS);
}

static unsigned zst_count;
static int count_zst(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)ftw;
    zst_count += type == FTW_F && strstr(path, ".zst") != NULL;
    return 0;
}

static unsigned frozen_files(struct place *p)
{
    zst_count = 0;
    visit(p, count_zst);
    return zst_count;
}

/* What the counters say is what the disk has. */
static void assert_counted(struct place *p)
{
    struct cache_stat s = stat_of(p);
    struct disk_use disk = disk_use_of(p);
    assert_int_equal(s.frozen, frozen_files(p));
    assert_true(disk.bytes >= s.bytes && disk.bytes <= s.bytes + 64 * KIB);
}

/* Aim: a frozen object takes less disk, comes back byte by byte without a request, is what it was
 * before, and its frozen file goes. */
static void test_freeze_and_thaw(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {100000, 5 * MIB + 12345, 131 * MIB + 7};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct place *p = frozen_open(sizes[i], BUDGET);
        uint32_t segments = segments_of(sizes[i]);
        read_key(p, "za");
        int requests = p->fake.requests;
        wait_frozen(p, segments);
        assert_counted(p);
        assert_true(disk_use_of(p).bytes < sizes[i] / 2);
        assert_int_equal(stat_of(p).sealed, 0);
        assert_int_equal(stat_of(p).objects, 1);
        reopen(p);
        assert_int_equal(stat_of(p).frozen, segments);
        assert_counted(p);
        struct object *o = open_key(p, "za");
        assert_int_equal(object_cached_bytes(o), sizes[i]);
        assert_int_equal(read_range(o, "za", 0, sizes[i]), 0);
        wait_frozen(p, 0);
        while (!object_is_sealed(o))
            pause_ms(5);
        assert_counted(p);
        AUTO_FD int fd = backing_of(o);
        assert_true(fd >= 0);
        object_unref(o);
        reopen(p);
        assert_int_equal(stat_of(p).sealed, 1);
        assert_int_equal(stat_of(p).damaged, 0);
        read_key(p, "za");
        assert_int_equal(p->fake.requests, requests);
        place_free(p);
    }
}

struct filling {
    struct object_fill fill;
    atomic_bool over;
};

static void filled(struct object_fill *f)
{
    CONTAINER_OF(f, struct filling, fill)->over = true;
}

/* Aim: making a frozen object complete, as an open does that passes through, asks nobody. */
static void test_fill(void **state)
{
    (void)state;
    struct place *p = frozen_open(5 * MIB + 12345, BUDGET);
    struct filling f = {.fill = {.done = filled}};
    read_key(p, "za");
    int requests = p->fake.requests;
    wait_frozen(p, 1);
    reopen(p);
    struct object *o = open_key(p, "za");
    struct object_name name = {.store = &p->fake.store, .key = SLICE_LIT("za"), .size = o->size};
    assert_false(cache_has_sealed(p->cache, &name));
    assert_int_equal(object_fill(o, &f.fill, NULL), -EINPROGRESS);
    while (!f.over)
        pause_ms(1);
    assert_int_equal(f.fill.rc, 0);
    assert_true(object_is_sealed(o));
    assert_int_equal(p->fake.requests, requests);
    object_unref(o);
    place_free(p);
}

/* Aim: what was thawed in part lasts, over a restart and beside the rest that is frozen. */
static void test_thawed_in_part(void **state)
{
    (void)state;
    struct place *p = frozen_open(70 * MIB, BUDGET);
    read_key(p, "za");
    int requests = p->fake.requests;
    wait_frozen(p, 2);
    reopen(p);
    struct object *o = open_key(p, "za");
    assert_int_equal(read_range(o, "za", 3 * MIB + 70000, 100000), 0);
    assert_int_equal(read_range(o, "za", 3 * MIB - 1, 2), 0);
    assert_int_equal(read_range(o, "za", 69 * MIB, 1000), 0);
    object_unref(o);
    reopen(p);
    assert_int_equal(stat_of(p).frozen, 2);
    assert_counted(p);
    o = open_key(p, "za");
    for (uint64_t at = 5; at < 70 * MIB; at += 777777)
        assert_int_equal(read_range(o, "za", at, 4096), 0);
    object_unref(o);
    read_key(p, "za");
    wait_frozen(p, 0);
    assert_counted(p);
    assert_int_equal(p->fake.requests, requests);
    place_free(p);
}

static bool is_dense(struct place *p, const char *key)
{
    struct object *o = open_key(p, key);
    struct segment_id id = {.object = o->id};
    struct index_record r;
    int rc;
    object_unref(o);
    WITH_LOCK (&p->cache->lock)
        rc = index_head(p->cache->index, &id, &r);
    return rc == 0 && r.dense;
}

/* Aim: what does not compress stays as it is, and is known as such. */
static void test_dense(void **state)
{
    (void)state;
    struct place *p = frozen_open(3 * MIB, BUDGET);
    read_key(p, "a");
    while (!is_dense(p, "a"))
        pause_ms(20);
    assert_int_equal(stat_of(p).frozen, 0);
    assert_int_equal(stat_of(p).sealed, 1);
    reopen(p);
    assert_true(is_dense(p, "a"));
    int requests = p->fake.requests;
    read_key(p, "a");
    assert_int_equal(p->fake.requests, requests);
    place_free(p);
}

/* Aim: what somebody has open, and what is not complete, is left alone. */
static void test_open_and_incomplete(void **state)
{
    (void)state;
    struct place *p = frozen_open(3 * MIB, BUDGET);
    struct object *open = open_key(p, "za");
    assert_int_equal(read_range(open, "za", 0, 3 * MIB), 0);
    struct object *some = open_key(p, "zb");
    assert_int_equal(read_range(some, "zb", 0, 1000), 0);
    object_unref(some);
    read_key(p, "zc");
    wait_frozen(p, 1); /* zc */
    assert_true(object_is_sealed(open));
    object_unref(open);
    place_free(p);
}

/* ---- damage ---- */

enum harm { HARM_FLIP, HARM_CUT, HARM_DELETE, HARM_OTHER, HARM_SYMLINK, HARM_KINDS };
static enum harm harm_kind;

static int harm_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    char byte;
    if (type != FTW_F || !strstr(path, ".zst"))
        return 0;
    AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    switch (harm_kind) {
    case HARM_FLIP:
        assert_int_equal(file_pread_full(fd, &byte, 1, st->st_size / 3, NULL), 0);
        byte ^= 16;
        assert_int_equal(file_pwrite_full(fd, &byte, 1, st->st_size / 3, NULL), 0);
        break;
    case HARM_CUT:
        assert_int_equal(ftruncate(fd, st->st_size / 2), 0);
        break;
    case HARM_DELETE:
        assert_int_equal(unlink(path), 0);
        break;
    case HARM_OTHER:
        assert_int_equal(file_pwrite_full(fd, "rubbish", 7, 0, NULL), 0);
        break;
    case HARM_SYMLINK:
    case HARM_KINDS:
        assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink("/etc/passwd", path), 0);
        break;
    }
    return 1;
}

/* Aim: a frozen file that is damaged or gone is noticed, counted, and its object fetched again. */
static void test_damage(void **state)
{
    (void)state;
    for (int kind = 0; kind < HARM_KINDS; kind++) {
        struct place *p = frozen_open(5 * MIB, BUDGET);
        read_key(p, "za");
        int requests = p->fake.requests;
        wait_frozen(p, 1);
        close_cache(p);
        harm_kind = (enum harm)kind;
        visit(p, harm_one);
        p->freeze_after_ms = 0;
        open_cache(p);
        read_key(p, "za");
        assert_true(stat_of(p).damaged > 0);
        assert_true(p->fake.requests > requests);
        wait_frozen(p, 0);
        requests = p->fake.requests;
        reopen(p);
        read_key(p, "za");
        assert_int_equal(p->fake.requests, requests);
        assert_counted(p);
        place_free(p);
    }
}

/* Aim: verify reads what is frozen too, and drops what is wrong in it. */
static void test_verify(void **state)
{
    (void)state;
    struct place *p = frozen_open(5 * MIB, BUDGET);
    struct cache_report report;
    read_key(p, "za");
    wait_frozen(p, 1);
    reopen(p);
    assert_int_equal(cache_verify(p->cache, NULL, NULL, &report, NULL), 0);
    assert_int_equal(report.damaged, 0);
    assert_int_equal(report.bytes, 5 * MIB);
    close_cache(p);
    harm_kind = HARM_FLIP;
    visit(p, harm_one);
    open_cache(p);
    assert_int_equal(cache_verify(p->cache, NULL, NULL, &report, NULL), 0);
    assert_int_equal(report.damaged, 1);
    assert_int_equal(stat_of(p).frozen, 0);
    read_key(p, "za");
    assert_int_equal(stat_of(p).damaged, 1);
    place_free(p);
}

/* Aim: a plain file that has lost bytes takes its frozen ones with it. */
static int cut_plain(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)ftw;
    if (type == FTW_F && strstr(path, "/objects/") && !strstr(path, ".zst"))
        assert_int_equal(truncate(path, 10), 0);
    return 0;
}

static void test_plain_file_lost(void **state)
{
    (void)state;
    struct place *p = frozen_open(5 * MIB, BUDGET);
    read_key(p, "za");
    wait_frozen(p, 1);
    close_cache(p);
    visit(p, cut_plain);
    p->freeze_after_ms = 0;
    open_cache(p);
    read_key(p, "za");
    read_key(p, "za");
    assert_int_equal(stat_of(p).frozen, 0);
    reopen(p);
    read_key(p, "za");
    assert_counted(p);
    place_free(p);
}

/* ---- room ---- */

/* Aim: drop and eviction take frozen files too, and the counters agree. */
static void test_removed(void **state)
{
    (void)state;
    struct place *p = frozen_open(65 * MIB, 160 * MIB);
    struct cache_report report;
    read_key(p, "za");
    wait_frozen(p, 2);
    reopen(p);
    assert_int_equal(cache_drop(p->cache, &report, NULL), 0);
    assert_int_equal(frozen_files(p), 0);
    assert_int_equal(stat_of(p).frozen_bytes, 0);
    assert_int_equal(stat_of(p).bytes, 0);
    p->freeze_after_ms = FREEZE_AFTER_MS;
    close_cache(p);
    open_cache(p);
    read_key(p, "za");
    wait_frozen(p, 2);
    reopen(p);
    for (char key[] = "b"; key[0] < 'e'; key[0]++) /* dense: 195 MiB */
        read_key(p, key);
    while (stat_of(p).bytes > 160 * MIB)
        pause_ms(5);
    close_cache(p);
    open_cache(p);
    assert_counted(p);
    place_free(p);
}

/* Aim: what a crash leaves beside the records is found: a frozen file too early, and one too late.
 */
static void test_strays(void **state)
{
    (void)state;
    struct place *p = frozen_open(3 * MIB, BUDGET);
    struct cache_report report;
    struct object *o = open_key(p, "za");
    char path[FROZEN_PATH_BYTES + 16], good[FROZEN_PATH_BYTES + 16];
    struct segment_id id = {.object = o->id};
    assert_int_equal(read_range(o, "za", 0, 3 * MIB), 0);
    object_unref(o);
    wait_frozen(p, 1);
    reopen(p);
    memcpy(good, "objects/", 9);
    memcpy(path, "objects/", 9);
    frozen_path(&id, good + 8);
    id.number = 1;
    frozen_path(&id, path + 8);
    AUTO_FD int fd = openat(p->dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0); /* the upkeep, too, may find it */
    assert_int_equal(cache_gc(p->cache, &report, NULL), 0);
    assert_int_equal(frozen_files(p), 1);
    assert_int_equal(faccessat(p->dirfd, good, F_OK, 0), 0);
    assert_int_equal(report.damaged, 0);
    place_free(p);
}

/* ---- at any moment ---- */

#define KEYS 6
#define ROUNDS 12

/* Reads at random for ever; what rests is frozen at once. */
static void reader_process(struct place *p, unsigned seed)
{
    p->freeze_after_ms = 1;
    start_threads(p);
    open_cache(p);
    for (;;) {
        seed = seed * 1103515245 + 12345;
        char key[] = {'z', (char)('a' + (seed >> 16) % KEYS), '\0'};
        struct object *o = open_key(p, key);
        if (seed % 3)
            (void)read_range(o, key, (seed >> 4) % (p->fake.size - 1000), 1000);
        else
            (void)read_range(o, key, 0, p->fake.size);
        object_unref(o);
    }
}

/* Aim: killed at any moment of freezing and thawing, nothing has to be fetched again. */
static void test_killed(void **state)
{
    (void)state;
    struct place *p = frozen_place(2 * MIB + 77, BUDGET);
    unsigned frozen = 0;
    start_threads(p);
    open_cache(p);
    for (char key[] = "za"; key[1] < 'a' + KEYS; key[1]++)
        read_key(p, key);
    wait_frozen(p, KEYS);
    close_cache(p);
    for (unsigned round = 0; round < ROUNDS; round++) {
        workers_free(STEAL(p->workers));
        workers_free(STEAL(p->fake.threads));
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            reader_process(p, round + 1);
            _exit(1);
        }
        pause_ms(200 + round * 2654435761U % 1499);
        assert_int_equal(kill(child, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        start_threads(p);
        p->freeze_after_ms = 0;
        open_cache(p);
        frozen += (unsigned)stat_of(p).frozen;
        int requests = p->fake.requests;
        for (char key[] = "za"; key[1] < 'a' + KEYS; key[1]++)
            read_key(p, key);
        assert_int_equal(p->fake.requests, requests);
        assert_int_equal(stat_of(p).damaged, 0);
        close_cache(p);
    }
    assert_true(frozen > 0 && frozen < ROUNDS * KEYS); /* both were met */
    place_free(p);
}

struct reader {
    struct place *place;
    pthread_t thread;
    unsigned seed;
    int64_t until;
};

static void *read_on(void *arg)
{
    struct reader *r = arg;
    struct place *p = r->place;
    while (clock_mono_ms() < r->until) {
        r->seed = r->seed * 1103515245 + 12345;
        char key[] = {'z', (char)('a' + (r->seed >> 16) % KEYS), '\0'};
        struct object *o = open_key(p, key);
        (void)read_range(o, key, (r->seed >> 4) % (p->fake.size - 70000), 70000);
        object_unref(o);
        if (r->seed % 16 == 0)
            pause_ms(r->seed % 7);
    }
    return NULL;
}

/* Aim: readers that come and go while their objects are frozen and thawed see right bytes. */
static void test_readers_meanwhile(void **state)
{
    (void)state;
    struct place *p = frozen_place(3 * MIB + 77, BUDGET);
    struct reader readers[3];
    p->freeze_after_ms = 1;
    start_threads(p);
    open_cache(p);
    uint64_t most = 0;
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
        readers[i] =
            (struct reader){.place = p, .seed = (unsigned)i + 1, .until = clock_mono_ms() + 5000};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
    for (char key[] = "za"; key[1] < 'a' + KEYS; key[1]++)
        read_key(p, key);
    wait_frozen(p, KEYS);
    most = stat_of(p).frozen;
    assert_int_equal(most, KEYS);
    assert_int_equal(stat_of(p).damaged, 0);
    assert_counted(p);
    place_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed), /* first: it forks, so no thread may be there */
        cmocka_unit_test(test_freeze_and_thaw),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_thawed_in_part),
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_open_and_incomplete),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_plain_file_lost),
        cmocka_unit_test(test_removed),
        cmocka_unit_test(test_strays),
        cmocka_unit_test(test_readers_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
