/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that take the kernel's requests: one watches, none is waited for. */
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/lock.h"
#include "fs/watch.h"

#define THREADS 3

struct party {
    struct watch watch;
    int kernel, device;
    pthread_t threads[THREADS];
    struct lock lock;
    struct cond changed;
    unsigned served; /* lock */
    bool hold;       /* lock: who serves a request with unique 1 does not come back */
    unsigned held;   /* lock */
    int64_t work_us; /* that a request takes; set before the first one */
};

static void *serve(void *arg)
{
    struct party *p = arg;
    struct fuse_in_header head;
    while (watch_read(&p->watch, p->device, &head, sizeof head) == sizeof head) {
        int64_t until_us = clock_mono_us() + p->work_us;
        while (p->work_us && clock_mono_us() < until_us)
            continue;
        WITH_LOCK (&p->lock) {
            p->held += head.unique == 1;
            cond_broadcast(&p->changed);
            while (head.unique == 1 && p->hold)
                cond_wait(&p->changed, &p->lock);
            p->served++;
            cond_broadcast(&p->changed);
        }
    }
    watch_end(&p->watch);
    return NULL;
}

static struct party *party_new(void)
{
    int ends[2];
    struct party *p = calloc(1, sizeof *p);
    assert_non_null(p);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    p->kernel = ends[0];
    p->device = ends[1];
    assert_int_equal(fcntl(p->device, F_SETFL, O_NONBLOCK), 0);
    lock_init(&p->lock);
    cond_init(&p->changed);
    watch_init(&p->watch);
    p->hold = true;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&p->threads[i], NULL, serve, p), 0);
    return p;
}

static void party_end(struct party *p)
{
    WITH_LOCK (&p->lock) {
        p->hold = false;
        cond_broadcast(&p->changed);
    }
    (void)close(p->kernel); /* as the kernel does when the mount is gone */
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(p->threads[i], NULL), 0);
    watch_done(&p->watch);
    cond_done(&p->changed);
    lock_done(&p->lock);
    (void)close(p->device);
    free(p);
}

static void ask_as(struct party *p, uint32_t asker, uint32_t opcode, uint64_t unique)
{
    struct fuse_in_header head = {
        .len = sizeof head, .opcode = opcode, .unique = unique, .pid = asker};
    assert_int_equal(write(p->kernel, &head, sizeof head), sizeof head);
}

static void ask(struct party *p, uint32_t opcode, uint64_t unique)
{
    ask_as(p, 0, opcode, unique);
}

static void wait_served(struct party *p, unsigned count)
{
    WITH_LOCK (&p->lock)
        while (p->served < count)
            cond_wait(&p->changed, &p->lock);
}

static void wait_held(struct party *p, unsigned count)
{
    WITH_LOCK (&p->lock)
        while (p->held < count)
            cond_wait(&p->changed, &p->lock);
}

/* Aim: whatever the pauses between them, each request is taken once. */
static void test_each_once(void **state)
{
    (void)state;
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)atoi(given) : (unsigned)time(NULL);
    printf("SEED=%u\n", seed);
    static const uint32_t opcodes[] = {FUSE_OPEN, FUSE_RELEASE, FUSE_READDIR, FUSE_LOOKUP};
    struct party *p = party_new();
    unsigned chance = seed;
    for (unsigned i = 1; i <= 5000; i++) {
        ask(p, opcodes[(unsigned)rand_r(&chance) % 4], 2);
        unsigned pause = (unsigned)rand_r(&chance) % 100;
        if (pause < 30)
            wait_served(p, i);
        if (pause < 3)
            (void)usleep(pause * 100);
    }
    wait_served(p, 5000);
    party_end(p);
}

/* Aim: a thread that does not come back from a request, short or long, keeps nobody waiting. */
static void test_one_is_stuck(void **state)
{
    (void)state;
    static const uint32_t opcodes[] = {FUSE_OPEN, FUSE_READDIR};
    for (unsigned which = 0; which < 2; which++) {
        struct party *p = party_new();
        for (unsigned i = 1; i <= 200; i++) { /* they follow each other closely */
            ask(p, FUSE_OPEN, 2);
            wait_served(p, i);
        }
        for (unsigned stuck = 1; stuck < THREADS; stuck++) {
            ask(p, opcodes[which], 1);
            wait_held(p, stuck);
            for (unsigned i = 1; i <= 200; i++) {
                ask(p, FUSE_OPEN, 2);
                wait_served(p, stuck * 200 + i);
            }
        }
        party_end(p);
    }
}

/* Aim: the end is seen by who sleeps and by those who are parked. */
static void test_end(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct party *p = party_new();
        if (i % 2) {
            ask(p, FUSE_OPEN, 2);
            wait_served(p, 1);
        }
        party_end(p);
    }
}

#define OUTSTANDING 50 /* there is always more than one thread can have */
#define PATIENCE_MS 20000

/* Asks as one program or two, each for file after file, until somebody helps, or `most` times. */
static unsigned ask_files(struct party *p, unsigned programs, unsigned most)
{
    unsigned asked = 0;
    while (asked < most && !p->watch.helpers) {
        ask_as(p, 0, FUSE_RELEASE, 2);
        ask_as(p, 1 + asked / 2 % programs, FUSE_OPEN, 2);
        asked += 2;
        if (asked > OUTSTANDING)
            wait_served(p, asked - OUTSTANDING);
    }
    wait_served(p, asked);
    return asked;
}

/* Aim: where several programs ask for more than one thread can serve, another one helps, until they
 * do not any more. */
static void test_crowd(void **state)
{
    (void)state;
    struct party *p = party_new();
    p->work_us = 20;
    assert_in_range(ask_files(p, 2, 1000000), 1, 999999);
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (p->watch.helpers && clock_mono_ms() < until_ms)
        (void)sched_yield();
    assert_int_equal(p->watch.helpers, 0);
    party_end(p);
}

/* Aim: a program that opens file after file has one thread, though its requests come in twos. */
static void test_alone(void **state)
{
    (void)state;
    struct party *p = party_new();
    p->work_us = 20;
    assert_int_equal(ask_files(p, 1, 20000), 20000);
    party_end(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once), cmocka_unit_test(test_one_is_stuck),
        cmocka_unit_test(test_crowd),     cmocka_unit_test(test_alone),
        cmocka_unit_test(test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
