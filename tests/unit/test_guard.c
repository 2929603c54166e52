/* SPDX-License-Identifier: Apache-2.0 */
/* A mapped file that was cut short under the mapping ends the guarded call, not the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/guard.h"

#define PAGE 4096

struct mapping {
    volatile char *at; /* two pages, of which the file has none any more */
    int touched, after;
};

static int set_up(void **state)
{
    static struct mapping m;
    char path[] = "/tmp/tarn-guard-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
    m = (struct mapping){
        .at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
    };
    assert_true(m.at != MAP_FAILED);
    assert_int_equal(ftruncate(fd, 0), 0);
    (void)close(fd);
    *state = &m;
    return 0;
}

static int tear_down(void **state)
{
    struct mapping *m = *state;
    return munmap((void *)m->at, 2 * PAGE);
}

/* cmocka sets handlers of its own before each test. */
static struct sigaction ours;

static void take_signal(void)
{
    assert_int_equal(sigaction(SIGBUS, &ours, NULL), 0);
}

static void touch(void *arg)
{
    struct mapping *m = arg;
    m->touched++;
    (void)m->at[PAGE];
    m->after++;
}

static void scribble(void *arg)
{
    struct mapping *m = arg;
    m->at[0] = 1;
    m->after++;
}

/* A read and a write of what is gone are errors, as often as they are tried. */
static void test_lost_bytes(void **state)
{
    take_signal();
    struct mapping *m = *state;
    struct err err = ERR_INIT;
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(guard_run(touch, m, &err), -EIO);
        assert_int_equal(err.code, EIO);
        assert_int_equal(m->touched, i);
        assert_int_equal(guard_run(scribble, m, NULL), -EIO);
    }
    assert_int_equal(m->after, 0);
}

static void nothing(void *arg)
{
    ++*(int *)arg;
}

/* What ends by itself is no error. */
static void test_sound(void **state)
{
    (void)state;
    int runs = 0;
    assert_int_equal(guard_run(nothing, &runs, NULL), 0);
    assert_int_equal(runs, 1);
}

static void nested(void *arg)
{
    struct mapping *m = arg;
    assert_int_equal(guard_run(touch, m, NULL), -EIO); /* the inner one ends */
    assert_int_equal(m->after++, 0);
    touch(m); /* and then the outer one */
    m->after = 100;
}

/* The innermost guard ends, and the outer one guards on. */
static void test_nesting(void **state)
{
    take_signal();
    struct mapping *m = *state;
    assert_int_equal(guard_run(nested, m, NULL), -EIO);
    assert_int_equal(m->touched, 2);
    assert_int_equal(m->after, 1);
}

static void *blocked_thread(void *arg)
{
    struct mapping *m = arg;
    sigset_t all;
    (void)sigfillset(&all);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &all, NULL), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(guard_run(touch, m, NULL), -EIO);
    return NULL;
}

/* Threads that block all signals are guarded too, each for itself. */
static void test_threads(void **state)
{
    take_signal();
    struct mapping *m = *state;
    struct mapping own[4] = {*m, *m, *m, *m};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, blocked_thread, &own[i]), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(own[i].touched, 1000);
        assert_int_equal(own[i].after, 0);
    }
}

static int signal_of_child(void (*act)(struct mapping *m), struct mapping *m)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        act(m);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void touch_unguarded(struct mapping *m)
{
    (void)guard_run(touch, m, NULL);
    touch(m);
}

static void send_inside(void *arg)
{
    (void)arg;
    (void)raise(SIGBUS);
}

static void be_sent(struct mapping *m)
{
    (void)guard_run(send_inside, m, NULL);
}

/* Without a guard SIGBUS ends the process, and so does one that somebody sent. */
static void test_unguarded(void **state)
{
    take_signal();
    assert_int_equal(signal_of_child(touch_unguarded, *state), SIGBUS);
    assert_int_equal(signal_of_child(be_sent, *state), SIGBUS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lost_bytes, set_up, tear_down),
        cmocka_unit_test(test_sound),
        cmocka_unit_test_setup_teardown(test_nesting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unguarded, set_up, tear_down),
    };
    int runs = 0;
    if (guard_run(nothing, &runs, NULL) < 0 || sigaction(SIGBUS, NULL, &ours) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
