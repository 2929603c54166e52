/* SPDX-License-Identifier: Apache-2.0 */
/* Objects written to a directory: whole or not at all, and removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <utime.h>

#include "base/workers.h"
#include "cache/store/write.h"

struct fixture {
    char root[64];
    struct workers *workers;
    struct store *store;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err err = ERR_INIT;
    strcpy(f->root, "/tmp/test-write-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    f->workers = workers_new("local", 2, &err);
    struct store_options options = {0};
    struct store_runtime runtime = {.workers = f->workers};
    f->store = store_open(f->root, &options, &runtime, &err);
    assert_non_null(f->store);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    store_free(f->store);
    workers_free(f->workers);
    (void)snprintf(command, sizeof command, "rm -rf %s", f->root);
    int rc = system(command);
    free(f);
    return rc;
}

static int count_one(void *arg, const struct store_entry *entry)
{
    (void)entry;
    ++*(int *)arg;
    return 0;
}

/* Objects that a listing names. */
static int count(struct fixture *f)
{
    int n = 0;
    struct store_list list = {.prefix = "", .recursive = true, .emit = count_one, .arg = &n};
    assert_int_equal(f->store->ops->list(f->store, &list, &f->err), 0);
    return n;
}

/* Files below the root, whatever a listing says of them. */
static int files_there(const struct fixture *f)
{
    char command[128];
    int n = -1;
    (void)snprintf(command, sizeof command, "find %s -type f | wc -l", f->root);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    assert_int_equal(fscanf(p, "%d", &n), 1);
    assert_int_equal(pclose(p), 0);
    return n;
}

static void assert_holds(struct fixture *f, const char *key, const char *text)
{
    assert_true(store_holds(f->store, key, slice_of(text)));
}

static int write_text(struct fixture *f, const char *key, bool if_absent, const char *text)
{
    const struct store_put how = {.size = strlen(text), .if_absent = if_absent};
    return store_write(f->store, key, &how, slice_of(text), NULL, &f->err);
}

/* Until it ends, an object is not there; then it is, whole, with the identity that a get tells. */
static void test_whole_or_not(void **state)
{
    struct fixture *f = *state;
    const struct store_put how = {.size = 10};
    for (int replaces = 0; replaces < 2; replaces++) {
        struct store_writer *w = NULL;
        struct store_info told, seen;
        const struct store_put as = {.size = how.size, .if_absent = !replaces};
        const char *key = replaces ? "a/b" : "a/c";
        assert_int_equal(store_put_begin(f->store, key, &as, &w, &f->err), 0);
        assert_int_equal(store_writer_add(w, SLICE_LIT("hello"), &f->err), 0);
        assert_int_equal(f->store->ops->head(f->store, key, &seen, NULL), -ENOENT);
        assert_int_equal(store_writer_add(w, SLICE_LIT("world"), &f->err), 0);
        assert_int_equal(count(f), replaces);
        assert_int_equal(store_writer_end(w, &told, &f->err), 0);
        store_writer_free(w);
        assert_int_equal(f->store->ops->head(f->store, key, &seen, &f->err), 0);
        assert_string_equal(told.etag, seen.etag);
        assert_int_equal(told.size, 10);
        assert_holds(f, key, "helloworld");
    }
    assert_int_equal(files_there(f), 2);
}

/* What is given up, and what has not the promised size, leaves no file. */
static void test_given_up(void **state)
{
    struct fixture *f = *state;
    for (int if_absent = 0; if_absent < 2; if_absent++) {
        const struct store_put how = {.size = 4, .if_absent = if_absent};
        struct store_writer *w = NULL;
        assert_int_equal(store_put_begin(f->store, "x", &how, &w, &f->err), 0);
        assert_int_equal(store_writer_add(w, SLICE_LIT("123"), &f->err), 0);
        assert_int_equal(store_writer_end(w, NULL, &f->err), -EINVAL);
        assert_int_equal(store_writer_add(w, SLICE_LIT("4"), &f->err), -EINVAL); /* it stays */
        store_writer_free(w);
        assert_int_equal(store_put_begin(f->store, "x", &how, &w, &f->err), 0);
        assert_int_equal(store_writer_add(w, SLICE_LIT("12345"), &f->err), -EINVAL);
        store_writer_free(w);
        assert_int_equal(files_there(f), 0);
    }
}

/* if_absent never replaces; else the new one takes the place of the old one. */
static void test_if_absent(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(write_text(f, "k", true, "one"), 0);
    assert_int_equal(write_text(f, "k", true, "two"), -EEXIST);
    assert_holds(f, "k", "one");
    assert_int_equal(write_text(f, "k", false, "three"), 0);
    assert_holds(f, "k", "three");
    const struct store_put how = {.size = 1, .if_absent = true};
    struct store_writer *a = NULL, *b = NULL; /* both begin where there is none */
    assert_int_equal(store_put_begin(f->store, "race", &how, &a, &f->err), 0);
    assert_int_equal(store_put_begin(f->store, "race", &how, &b, &f->err), 0);
    assert_int_equal(store_writer_add(a, SLICE_LIT("a"), &f->err), 0);
    assert_int_equal(store_writer_add(b, SLICE_LIT("b"), &f->err), 0);
    assert_int_equal(store_writer_end(b, NULL, &f->err), 0);
    assert_int_equal(store_writer_end(a, NULL, &f->err), -EEXIST);
    store_writer_free(a);
    store_writer_free(b);
    assert_holds(f, "race", "b");
    assert_int_equal(files_there(f), 2);
}

/* A writer that is killed leaves nothing that a listing names; a day later nothing at all. */
static void test_killed(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork();
    if (pid == 0) {
        const struct store_put how = {.size = 4};
        struct store_writer *w = NULL;
        if (store_put_begin(f->store, "x", &how, &w, NULL) < 0 ||
            store_writer_add(w, SLICE_LIT("123"), NULL) < 0)
            _exit(1);
        (void)raise(SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(files_there(f), 1);
    assert_int_equal(count(f), 0);
    assert_int_equal(write_text(f, "y", false, "1"), 0);
    assert_int_equal(files_there(f), 2); /* it may still be at it */

    char command[256];
    (void)snprintf(command, sizeof command, "touch -d '2 days ago' %s/.tarn-unfinished/*", f->root);
    assert_int_equal(system(command), 0);
    assert_int_equal(write_text(f, "z", false, "1"), 0);
    assert_int_equal(files_there(f), 2);
    assert_int_equal(count(f), 2);
}

/* A disk that is full is said to be, and nothing of the object is there. */
static void test_full(void **state)
{
    struct fixture *f = *state;
    char inner[96];
    if (geteuid() != 0)
        skip();
    (void)snprintf(inner, sizeof inner, "%s/small", f->root);
    assert_int_equal(mkdir(inner, 0755), 0);
    assert_int_equal(mount("tmpfs", inner, "tmpfs", 0, "size=1m"), 0);
    struct err err = ERR_INIT;
    struct store_options options = {0};
    struct store_runtime runtime = {.workers = f->workers};
    struct store *small = store_open(inner, &options, &runtime, &err);
    AUTO_FREE char *much = calloc(1, 2 * MIB);
    for (int if_absent = 0; if_absent < 2; if_absent++) {
        const struct store_put how = {.size = 2 * MIB, .if_absent = if_absent};
        assert_int_equal(store_write(small, "k", &how, slice_make(much, 2 * MIB), NULL, &err),
                         -ENOSPC);
    }
    assert_int_equal(files_there(f), 0);
    assert_int_equal(mount(NULL, inner, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    const struct store_put how = {.size = 1};
    assert_int_equal(store_write(small, "k", &how, SLICE_LIT("x"), NULL, &err), -EROFS);
    assert_int_equal(store_remove(small, "nothing", &err), 0);
    store_free(small);
    assert_int_equal(umount(inner), 0);
}

/* What is removed is gone; to remove what is not there is no error, nor is a directory one. */
static void test_remove(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(write_text(f, "d/k", false, "one"), 0);
    assert_int_equal(store_remove(f->store, "d", &f->err), 0);
    assert_holds(f, "d/k", "one");
    for (int i = 0; i < 2; i++)
        assert_int_equal(store_remove(f->store, "d/k", &f->err), 0);
    assert_int_equal(store_remove(f->store, "no/such/k", &f->err), 0);
    assert_int_equal(store_remove(f->store, "../x", &f->err), 0);
    assert_int_equal(count(f), 0);
}

/* Keys and classes that a directory cannot have are refused; so is what leads out of it. */
static void test_refused(void **state)
{
    struct fixture *f = *state;
    const struct store_put classed = {.size = 1, .class = "GLACIER"};
    char link[96];
    assert_int_equal(store_write(f->store, "k", &classed, SLICE_LIT("x"), NULL, &f->err), -EINVAL);
    assert_int_equal(write_text(f, "", false, "x"), -EINVAL);
    assert_int_equal(write_text(f, "a//b", false, "x"), -ENOENT);
    assert_int_equal(write_text(f, "../b", true, "x"), -ENOENT);
    (void)snprintf(link, sizeof link, "%s/out", f->root);
    assert_int_equal(symlink("/tmp", link), 0);
    assert_int_equal(write_text(f, "out/b", true, "x"), -ENOENT);
    assert_int_equal(write_text(f, "file", true, "x"), 0);
    assert_int_equal(write_text(f, "file/b", true, "x"), -ENOENT);
    assert_int_equal(files_there(f), 1);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_whole_or_not), WITH_STORE(test_given_up), WITH_STORE(test_if_absent),
        WITH_STORE(test_killed),       WITH_STORE(test_full),     WITH_STORE(test_remove),
        WITH_STORE(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
