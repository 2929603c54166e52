/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel reads by itself is checked when it is opened: all of it, and soon. */
#include "base/clock.h"
#include "tests/unit/cache_fixture.h"

#define MANY 1500 /* more than wait for their turn at once */
#define BYTES 5000
#define EACH_DAMAGED 100
#define PATIENCE_MS 30000

static void flip(const char *path)
{
    char byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, 100), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 100), 1);
    (void)close(fd);
}

static int flipped, seen;

/* Every EACH_DAMAGED-th file. */
static int flip_some(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    if (type != FTW_F || !strstr(path, "/objects/"))
        return 0;
    if (seen++ % EACH_DAMAGED == 0) {
        flip(path);
        flipped++;
    }
    return 0;
}

static void damage_some(struct place *p)
{
    flipped = seen = 0;
    (void)nftw(p->path, flip_some, 16, FTW_PHYS);
    assert_true(flipped > 0);
}

static void fill_cache(struct place *p, int count)
{
    for (int i = 0; i < count; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "a%d", i);
        read_key(p, key);
    }
}

/* Opens as the kernel's reads need it. */
static struct object *open_passing(struct place *p, int i)
{
    char key[16];
    (void)snprintf(key, sizeof key, "a%d", i);
    struct object *o = open_key(p, key);
    AUTO_FD int fd = backing_of(o);
    assert_true(fd >= 0);
    return o;
}

static void wait_for_damaged(struct place *p, uint64_t count)
{
    int64_t until = clock_mono_ms() + PATIENCE_MS;
    while (stat_of(p).damaged < count) {
        if (clock_mono_ms() > until)
            fail_msg("%llu of %llu were found", (unsigned long long)stat_of(p).damaged,
                     (unsigned long long)count);
        pause_ms(5);
    }
}

/* Aim: of more objects than wait for their turn every one is checked, open or closed again. */
static void test_many_opened(void **state)
{
    (void)state;
    for (int held = 0; held < 2; held++) {
        static struct object *objects[MANY];
        struct place *p = place_open(BYTES, 64 * MIB);
        fill_cache(p, MANY);
        close_cache(p);
        damage_some(p);
        open_cache(p);
        for (int i = 0; i < MANY; i++) {
            objects[i] = open_passing(p, i);
            if (!held)
                object_unref(objects[i]);
        }
        wait_for_damaged(p, (uint64_t)flipped);
        for (int i = 0; held && i < MANY; i++)
            object_unref(objects[i]);
        place_free(p);
    }
}

/* Aim: a clock that was set back does not make the check of an earlier daemon count. */
static void test_clock_set_back(void **state)
{
    (void)state;
    struct place *p = place_open(BYTES, 64 * MIB);
    clock_shift_for_test(600000);
    fill_cache(p, 10);
    close_cache(p);
    clock_shift_for_test(0);
    damage_some(p);
    open_cache(p);
    for (int i = 0; i < 10; i++)
        object_unref(open_passing(p, i));
    wait_for_damaged(p, (uint64_t)flipped);
    place_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_many_opened),
                                       cmocka_unit_test(test_clock_set_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
