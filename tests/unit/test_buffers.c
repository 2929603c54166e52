/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers of reads: all are apart, who finds none is parked and woken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <string.h>

#include "fs/buffers.h"

struct reader {
    struct job job;
    struct buffers *buffers;
    _Atomic unsigned runs, served;
};

static void read_once(struct job *job)
{
    struct reader *r = CONTAINER_OF(job, struct reader, job);
    char *buffer;
    r->runs++;
    if (buffers_get(r->buffers, &r->job, &buffer) < 0)
        return;
    memset(buffer, 'r', 100);
    r->served++;
    buffers_put(r->buffers, buffer);
}

static void take_all(struct buffers *b, struct job *job, char **taken)
{
    for (unsigned i = 0; i < READ_BUFFERS_MAX; i++)
        assert_int_equal(buffers_get(b, job, &taken[i]), 0);
}

/* Every buffer has its whole length to itself, and the one put back last is given out first. */
static void test_buffers_are_apart(void **state)
{
    (void)state;
    struct workers *w = workers_new("test", 1, NULL);
    struct buffers *b = buffers_new(w, NULL);
    char *taken[READ_BUFFERS_MAX], *again;
    struct job job = {0};
    assert_non_null(b);
    take_all(b, &job, taken);
    for (unsigned i = 0; i < READ_BUFFERS_MAX; i++) {
        taken[i][0] = (char)i;
        taken[i][READ_BYTES_MAX - 1] = (char)i;
    }
    for (unsigned i = 0; i < READ_BUFFERS_MAX; i++)
        assert_true(taken[i][0] == (char)i && taken[i][READ_BYTES_MAX - 1] == (char)i);
    buffers_put(b, taken[7]);
    assert_int_equal(buffers_get(b, &job, &again), 0);
    assert_ptr_equal(again, taken[7]);
    for (unsigned i = 0; i < READ_BUFFERS_MAX; i++)
        buffers_put(b, taken[i]);
    workers_free(w);
    buffers_free(b);
}

/* Who finds no buffer does not run until one is put back; all who wait are served in the end. */
static void test_parks_when_empty_and_wakes(void **state)
{
    (void)state;
    enum { READERS = 200 };
    static struct reader readers[READERS];
    struct workers *w = workers_new("test", 3, NULL);
    struct buffers *b = buffers_new(w, NULL);
    char *taken[READ_BUFFERS_MAX], *none = NULL;
    struct job job = {0};
    assert_non_null(b);
    take_all(b, &job, taken);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i].job.run = read_once;
        readers[i].buffers = b;
        assert_int_equal(buffers_get(b, &readers[i].job, &none), -EINPROGRESS);
        assert_null(none);
    }
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(readers[i].runs, 0);
    buffers_put(b, taken[0]);
    for (unsigned i = 0; i < READERS; i++)
        while (!readers[i].served) /* one buffer does for all, one after the other */
            (void)usleep(100);
    for (unsigned i = 1; i < READ_BUFFERS_MAX; i++)
        buffers_put(b, taken[i]);
    workers_free(w);
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(readers[i].served, 1);
    buffers_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffers_are_apart),
        cmocka_unit_test(test_parks_when_empty_and_wakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
