/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept and what goes: the eviction's score on a model of the cache, and its file. */
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/unit/evict_model.h"
#include "tests/unit/temp_dir.h"

#define SEED 20260321
#define LOOP 1000 /* objects of 1 MiB that are read again and again */

static struct uses *open_uses(int dir, uint64_t budget_bytes)
{
    struct err err = ERR_INIT;
    struct uses *u = NULL;
    assert_int_equal(uses_open(dir, budget_bytes, &u, &err), 0);
    return u;
}

static void begin(struct model *m, uint64_t budget_bytes, size_t objects)
{
    (void)printf("seed %d\n", SEED);
    model_init(m, open_uses(-1, budget_bytes), budget_bytes, objects, SEED);
}

static void end(struct model *m)
{
    uses_close(m->uses);
    model_done(m);
}

/* One epoch over `count` objects of 1 MiB: the hits. */
static size_t epoch(struct model *m, size_t first, size_t count, bool shuffled)
{
    size_t hits = 0, *order = calloc(count, sizeof *order);
    assert_non_null(order);
    for (size_t i = 0; i < count; i++) {
        size_t j = shuffled ? model_random(m) % (i + 1) : i;
        order[i] = order[j];
        order[j] = first + i;
    }
    for (size_t i = 0; i < count; i++)
        hits += model_use(m, order[i], MIB);
    free(order);
    return hits;
}

/* Aim: a data set that fits is read from the cache from the second epoch on, all of it. */
static void test_fits(void **state)
{
    (void)state;
    struct model m;
    begin(&m, LOOP * MIB, LOOP);
    assert_int_equal(epoch(&m, 0, LOOP, true), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(epoch(&m, 0, LOOP, true), LOOP);
    end(&m);
}

/* Aim: of a data set of twice the cache nearly half of each epoch is read from the cache, which is
 * the most that can be had in order, and without knowing the order; LRU has nothing in order. */
static void test_twice_the_cache(void **state)
{
    (void)state;
    for (int shuffled = 0; shuffled < 2; shuffled++) {
        struct model m;
        size_t hits = 0;
        begin(&m, LOOP * MIB / 2, LOOP);
        (void)epoch(&m, 0, LOOP, shuffled);
        for (int i = 0; i < 6; i++)
            hits += epoch(&m, 0, LOOP, shuffled);
        print_message("%s: %zu of %d\n", shuffled ? "shuffled" : "in order", hits, 6 * LOOP);
        assert_in_range(hits, 6 * LOOP * (shuffled ? 38 : 45) / 100, 6 * LOOP / 2);
        end(&m);
    }
}

/* Aim: reading ten times the cache once, beside a table that is in use, takes nothing from it. */
static void test_scan_beside_hot_table(void **state)
{
    (void)state;
    enum { HOT = 300, ROUNDS = 50 };
    struct model m;
    size_t hits = 0, next = HOT;
    begin(&m, 400 * MIB, HOT + ROUNDS * HOT);
    for (int i = 0; i < 3; i++)
        (void)epoch(&m, 0, HOT, true);
    for (int i = 0; i < ROUNDS; i++)
        for (size_t j = 0; j < HOT; j++) {
            hits += model_use(&m, model_random(&m) % HOT, MIB);
            (void)model_use(&m, next++, MIB);
        }
    print_message("%zu of %d\n", hits, ROUNDS * HOT);
    assert_in_range(hits, ROUNDS * HOT * 98 / 100, ROUNDS * HOT);
    end(&m);
}

/* Aim: when a data set gives way to another, the other is wholly cached after few epochs. */
static void test_another_data_set(void **state)
{
    (void)state;
    for (int shuffled = 0; shuffled < 2; shuffled++) {
        struct model m;
        begin(&m, LOOP * MIB * 11 / 10, 2 * LOOP);
        for (int i = 0; i < 6; i++)
            (void)epoch(&m, 0, LOOP, shuffled);
        for (int i = 0; i < 4; i++)
            print_message("epoch %d: %zu of %d\n", i, epoch(&m, LOOP, LOOP, shuffled), LOOP);
        assert_int_equal(epoch(&m, LOOP, LOOP, shuffled), LOOP);
        end(&m);
    }
}

/* Aim: small files that are read in epochs stay, however much of huge ones is read beside. */
static void test_small_beside_huge(void **state)
{
    (void)state;
    enum { SMALL = 2000, HUGE = 40, EPOCHS = 5 };
    struct model m;
    size_t hits = 0, huge = 0;
    begin(&m, 500 * MIB, SMALL + HUGE);
    for (int i = 0; i < EPOCHS; i++)
        for (size_t j = 0; j < SMALL; j++) {
            hits += model_use(&m, j, 100 * KIB);
            if (j % 20 == 0)
                (void)model_use(&m, SMALL + huge++ % HUGE, 64 * MIB);
        }
    print_message("%zu of %d\n", hits, (EPOCHS - 1) * SMALL);
    assert_in_range(hits, (EPOCHS - 1) * SMALL * 97 / 100, (EPOCHS - 1) * SMALL);
    end(&m);
}

/* Aim: many processes that open one file at once are one use of it, not proof that it is hot. */
static void test_quick_succession(void **state)
{
    (void)state;
    struct uses *one = open_uses(-1, GIB), *many = open_uses(-1, GIB);
    for (int i = 0; i < 100; i++)
        uses_note(many, 7, MIB, 1);
    uses_note(one, 7, MIB, 1);
    assert_true(uses_score(one, 7, MIB) == uses_score(many, 7, MIB));
    uses_close(one);
    uses_close(many);
}

/* Aim: what is used again is known even when far more is used once than the table has room for. */
static void test_table_overflows(void **state)
{
    (void)state;
    enum { HOT = 100 };
    struct uses *u = open_uses(-1, 16 * MIB); /* the smallest table */
    size_t known = 0, next = HOT;
    for (int64_t round = 1; round <= 200; round++) {
        for (size_t i = 0; i < HOT; i++)
            uses_note(u, model_key(i), 16 * KIB, round);
        for (size_t i = 0; i < 5 * HOT; i++)
            uses_note(u, model_key(next++), 16 * KIB, round);
    }
    for (size_t i = 0; i < HOT; i++)
        known += uses_last_s(u, model_key(i)) == 200;
    assert_int_equal(known, HOT);
    uses_close(u);
}

static void use_some(struct uses *u)
{
    for (size_t i = 0; i < 3000; i++)
        uses_note(u, model_key(i % 700), 100 * KIB + i, (int64_t)i + 1);
}

/* Aim: after a restart it is known what was used when. */
static void test_saved(void **state)
{
    struct temp_dir *f = *state;
    struct err err = ERR_INIT;
    struct uses *u = open_uses(f->dir, 100 * MIB);
    assert_int_equal(uses_last_s(u, model_key(1)), 0);
    use_some(u);
    assert_int_equal(uses_save(u, &err), 0);
    struct uses *again = open_uses(f->dir, 100 * MIB);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(uses_last_s(u, model_key(i)), uses_last_s(again, model_key(i)));
        assert_true(uses_score(u, model_key(i), MIB) == uses_score(again, model_key(i), MIB));
    }
    assert_int_equal(uses_last_s(again, model_key(699)), 2800);
    uses_close(again);
    uses_close(u);
}

/* Aim: a daemon that was killed between two savings goes on with the older state. */
static void test_killed(void **state)
{
    struct temp_dir *f = *state;
    struct uses *u = open_uses(f->dir, 100 * MIB);
    use_some(u);
    assert_int_equal(uses_save(u, NULL), 0);
    uses_note(u, model_key(5000), MIB, 9);
    uses_close(u);
    u = open_uses(f->dir, 100 * MIB);
    assert_int_equal(uses_last_s(u, model_key(5000)), 0);
    assert_int_equal(uses_last_s(u, model_key(699)), 2800);
    uses_close(u);
}

static void write_some(struct temp_dir *f, const char *name, off_t at, const void *p, size_t n)
{
    AUTO_FD int fd = openat(f->dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_pwrite_full(fd, p, n, at, NULL), 0);
}

/* Aim: killed in the middle of a saving, so that uses are there that the clock has not reached:
 * they are taken for fresh, not for ancient. */
static void test_killed_while_saving(void **state)
{
    struct temp_dir *f = *state;
    char header[64];
    struct uses *u = open_uses(f->dir, 100 * MIB);
    use_some(u);
    assert_int_equal(uses_save(u, NULL), 0);
    AUTO_FD int fd = openat(f->dir, "uses", O_RDONLY | O_CLOEXEC);
    assert_int_equal(file_pread_full(fd, header, sizeof header, 0, NULL), 0);
    for (size_t i = 0; i < 50; i++)
        uses_note(u, model_key(9000 + i), 50 * MIB, 9);
    assert_int_equal(uses_save(u, NULL), 0);
    uses_close(u);
    write_some(f, "uses", 0, header, sizeof header);
    u = open_uses(f->dir, 100 * MIB);
    assert_int_equal(uses_last_s(u, model_key(9049)), 9);
    double fresh = uses_score(u, model_key(9049), MIB), new = uses_score(u, model_key(8000), MIB);
    assert_true(fabs(fresh - new) <= 1); /* the tie */
    uses_close(u);
}

/* Whatever it knows, it works: scores are numbers, uses are kept and saved. */
static void check_works(struct temp_dir *f, uint64_t budget_bytes)
{
    struct uses *u = open_uses(f->dir, budget_bytes);
    for (size_t i = 0; i < 1000; i++)
        assert_true(isfinite(uses_score(u, model_key(i), i)));
    use_some(u);
    assert_int_equal(uses_last_s(u, model_key(699)), 2800);
    assert_true(isfinite(uses_score(u, model_key(699), MIB)));
    assert_true(uses_score(u, model_key(699), MIB) < uses_score(u, model_key(5000), MIB) + 1);
    assert_int_equal(uses_save(u, NULL), 0);
    uses_close(u);
    u = open_uses(f->dir, budget_bytes);
    assert_int_equal(uses_last_s(u, model_key(699)), 2800);
    uses_close(u);
}

/* Aim: a file that is foreign, of another size, cut or full of noise is no worse than none. */
static void test_damaged(void **state)
{
    struct temp_dir *f = *state;
    struct model noise = {.seed = SEED};
    (void)printf("seed %d\n", SEED);
    write_some(f, "uses", 0, "something else", 14);
    check_works(f, 100 * MIB);
    struct uses *u = open_uses(f->dir, 10 * GIB);
    for (size_t i = 0; i < 700; i++)
        assert_int_equal(uses_last_s(u, model_key(i)), 0);
    uses_close(u);
    check_works(f, 10 * GIB);
    check_works(f, 100 * MIB);
    for (int i = 0; i < 20; i++) {
        uint64_t words[512];
        for (size_t j = 0; j < ARRAY_SIZE(words); j++)
            words[j] = model_random(&noise);
        off_t at = (off_t)(4096 + model_random(&noise) % (100 * KIB));
        write_some(f, "uses", at, words, sizeof words);
        check_works(f, 100 * MIB);
        write_some(f, "uses", (off_t)(model_random(&noise) % 56), words, 1 + (size_t)i % 8);
        check_works(f, 100 * MIB);
        AUTO_FD int fd = openat(f->dir, "uses", O_RDWR | O_CLOEXEC);
        assert_int_equal(ftruncate(fd, (off_t)(model_random(&noise) % (120 * KIB))), 0);
        check_works(f, 100 * MIB);
    }
}

/* Aim: noise where the times of a slot stood gives a score all the same, and is got over. */
static void test_damaged_times(void **state)
{
    struct temp_dir *f = *state;
    static const uint64_t patterns[] = {UINT64_MAX, 0x7f8000, 0xff8000, 0x7fc000, 1, 0x800001};
    uint64_t words[16 * KIB];
    for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
        check_works(f, 100 * MIB);
        AUTO_FD int fd = openat(f->dir, "uses", O_RDWR | O_CLOEXEC);
        assert_int_equal(file_pread_full(fd, words, sizeof words, 4096, NULL), 0);
        for (size_t j = 1; j < ARRAY_SIZE(words); j += 2)
            words[j] = patterns[i];
        assert_int_equal(file_pwrite_full(fd, words, sizeof words, 4096, NULL), 0);
        struct uses *u = open_uses(f->dir, 100 * MIB);
        for (size_t j = 0; j < 700; j++) {
            double score = uses_score(u, model_key(j), MIB);
            assert_true(isfinite(score) && fabs(score) < 100);
        }
        uses_close(u);
    }
    check_works(f, 100 * MIB);
}

/* Aim: where the file is a link, a pipe or a folder nothing is read or written through it, it says
 * so, and what was to be saved is saved once that is over. */
static void test_cannot_be_saved(void **state)
{
    struct temp_dir *f = *state;
    struct err err = ERR_INIT;
    struct stat st;
    struct uses *u = open_uses(f->dir, 100 * MIB);
    write_some(f, "other", 0, "x", 1);
    use_some(u);
    assert_int_equal(symlinkat("other", f->dir, "uses"), 0);
    assert_int_equal(uses_save(u, &err), -ELOOP);
    assert_non_null(strstr(err.msg, "uses"));
    uses_close(open_uses(f->dir, 100 * MIB));
    assert_int_equal(fstatat(f->dir, "other", &st, 0), 0);
    assert_int_equal(st.st_size, 1);
    assert_int_equal(unlinkat(f->dir, "uses", 0), 0);

    assert_int_equal(mkfifoat(f->dir, "uses", 0600), 0);
    assert_true(uses_save(u, NULL) < 0);
    uses_close(open_uses(f->dir, 100 * MIB));
    assert_int_equal(unlinkat(f->dir, "uses", 0), 0);

    assert_int_equal(mkdirat(f->dir, "uses", 0700), 0);
    assert_int_equal(uses_save(u, NULL), -EISDIR);
    uses_close(open_uses(f->dir, 100 * MIB));
    assert_int_equal(unlinkat(f->dir, "uses", AT_REMOVEDIR), 0);

    assert_int_equal(uses_save(u, NULL), 0);
    uses_close(u);
    u = open_uses(f->dir, 100 * MIB);
    assert_int_equal(uses_last_s(u, model_key(699)), 2800);
    uses_close(u);
}

struct user {
    struct uses *uses;
    size_t first;
};

static void *use_in_thread(void *arg)
{
    const struct user *user = arg;
    for (size_t i = 0; i < 20000; i++) {
        size_t object = user->first + i % 100;
        uses_note(user->uses, model_key(object), MIB, (int64_t)i + 1);
        if (!isfinite(uses_score(user->uses, model_key(i % 400), MIB)))
            return arg;
    }
    return NULL;
}

/* Aim: many threads use, judge and save at once, and none is in the way of another. */
static void test_threads(void **state)
{
    struct temp_dir *f = *state;
    struct uses *u = open_uses(f->dir, GIB);
    struct user users[4];
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        users[i] = (struct user){u, i * 100};
        assert_int_equal(pthread_create(&threads[i], NULL, use_in_thread, &users[i]), 0);
    }
    for (int i = 0; i < 20; i++)
        assert_int_equal(uses_save(u, NULL), 0);
    for (size_t i = 0; i < 4; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    for (size_t i = 0; i < 400; i++)
        assert_int_equal(uses_last_s(u, model_key(i)), 19901 + i % 100);
    uses_close(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fits),
        cmocka_unit_test(test_twice_the_cache),
        cmocka_unit_test(test_scan_beside_hot_table),
        cmocka_unit_test(test_another_data_set),
        cmocka_unit_test(test_small_beside_huge),
        cmocka_unit_test(test_quick_succession),
        cmocka_unit_test(test_table_overflows),
        cmocka_unit_test_setup_teardown(test_saved, temp_dir_set_up, temp_dir_tear_down),
        cmocka_unit_test_setup_teardown(test_killed, temp_dir_set_up, temp_dir_tear_down),
        cmocka_unit_test_setup_teardown(test_damaged, temp_dir_set_up, temp_dir_tear_down),
        cmocka_unit_test_setup_teardown(test_killed_while_saving, temp_dir_set_up,
                                        temp_dir_tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_times, temp_dir_set_up, temp_dir_tear_down),
        cmocka_unit_test_setup_teardown(test_cannot_be_saved, temp_dir_set_up, temp_dir_tear_down),
        cmocka_unit_test_setup_teardown(test_threads, temp_dir_set_up, temp_dir_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
