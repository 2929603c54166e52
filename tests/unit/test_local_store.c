/* SPDX-License-Identifier: Apache-2.0 */
/* The directory store, in a directory of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/workers.h"
#include "cache/store/store.h"

#define NOBODY 65534

struct fixture {
    char outer[64]; /* holds `secret` and `root`, the store's directory */
    char root[80];
    struct workers *workers;
    struct store *store;
};

static void put_file(const struct fixture *f, const char *name, const char *text)
{
    struct err err = ERR_INIT;
    AUTO_FD int dir = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(file_replace(dir, name, slice_of(text), 0644, &err), 0);
}

static void make_dir(const struct fixture *f, const char *name)
{
    AUTO_FD int dir = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(dir, name, 0755), 0);
}

static void make_link(const struct fixture *f, const char *target, const char *name)
{
    AUTO_FD int dir = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(symlinkat(target, dir, name), 0);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err err = ERR_INIT;
    strcpy(f->outer, "/tmp/test-local-XXXXXX");
    assert_non_null(mkdtemp(f->outer));
    (void)snprintf(f->root, sizeof f->root, "%.60s/root", f->outer);
    assert_int_equal(mkdir(f->root, 0755), 0);
    put_file(f, "../secret", "secret");
    f->workers = workers_new("local", 2, &err);
    assert_non_null(f->workers);
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
    store_free(f->store);
    workers_free(f->workers);
    char command[256];
    (void)snprintf(command, sizeof command, "chmod -R u+rwX %s && rm -rf %s", f->outer, f->outer);
    int rc = system(command);
    free(f);
    return rc;
}

/* Gets and checks what came; *info (may be NULL) has the ETag to match, and gets what is told. */
static int get_match(const struct fixture *f, struct store_get req, const char *want,
                     struct store_info *info)
{
    struct err err = ERR_INIT;
    char to[64] = "";
    req.to = to;
    req.if_match = info && info->etag[0] ? info->etag : NULL;
    int rc = store_get_wait(f->store, &req, &err);
    assert_int_equal(rc, -err.code);
    if (rc == 0) {
        assert_int_equal(req.got, strlen(want));
        assert_string_equal(to, want);
        if (info)
            *info = req.info;
    }
    return rc;
}

static int get(const struct fixture *f, const char *key, uint64_t offset, size_t length,
               const char *want)
{
    struct store_get req = {.key = key, .offset = offset, .length = length};
    return get_match(f, req, want, NULL);
}

/* Ranges give their bytes, fewer only at the end, none past it; missing keys are ENOENT. */
static void test_get(void **state)
{
    struct fixture *f = *state;
    struct store_info info = {0};
    put_file(f, "a", "hello");
    assert_int_equal(get_match(f, (struct store_get){.key = "a", .length = 5}, "hello", &info), 0);
    assert_int_equal(info.size, 5);
    assert_int_equal(
        get_match(f, (struct store_get){.key = "a", .offset = 1, .length = 3}, "ell", &info), 0);
    assert_int_equal(get(f, "a", 3, 50, "lo"), 0);
    assert_int_equal(get(f, "a", 5, 1, ""), 0);
    assert_int_equal(get(f, "a", 500, 1, ""), 0);
    assert_int_equal(get(f, "b", 0, 1, ""), -ENOENT);
    assert_int_equal(get(f, "a/b", 0, 1, ""), -ENOENT);
    assert_int_equal(get(f, "", 0, 1, ""), -ENOENT);
}

/* A file that was replaced has another ETag, and the old one is ESTALE. */
static void test_replaced(void **state)
{
    struct fixture *f = *state;
    struct store_info before = {0}, after;
    put_file(f, "a", "one");
    assert_int_equal(get_match(f, (struct store_get){.key = "a", .length = 3}, "one", &before), 0);
    put_file(f, "a", "two");
    assert_int_equal(get_match(f, (struct store_get){.key = "a", .length = 3}, "", &before),
                     -ESTALE);
    assert_int_equal(f->store->ops->head(f->store, "a", &after, NULL), 0);
    assert_string_not_equal(before.etag, after.etag);
}

/* mtime is the floor of the nanoseconds, before 1970 too. */
static void test_mtime(void **state)
{
    struct fixture *f = *state;
    struct store_info info;
    put_file(f, "a", "x");
    AUTO_FD int dir = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct timespec late[2] = {{0, 0}, {1, 999999999}}, early[2] = {{0, 0}, {-1, 1}};
    assert_int_equal(utimensat(dir, "a", late, 0), 0);
    assert_int_equal(f->store->ops->head(f->store, "a", &info, NULL), 0);
    assert_int_equal(info.mtime_ms, 1999);
    assert_int_equal(utimensat(dir, "a", early, 0), 0);
    assert_int_equal(f->store->ops->head(f->store, "a", &info, NULL), 0);
    assert_int_equal(info.mtime_ms, -1000);
}

static int open_in_place(const struct fixture *f, const char *key, bool wait, int *fd)
{
    struct store_file file;
    int rc = f->store->ops->open_in_place(f->store, key, wait, &file, NULL);
    if (rc == 0)
        *fd = file.fd;
    return rc;
}

/* No key leads out of the root or to another name of a file; links that stay inside do work. */
static void test_beneath(void **state)
{
    struct fixture *f = *state;
    char secret[96];
    (void)snprintf(secret, sizeof secret, "%s/secret", f->outer);
    make_dir(f, "d");
    put_file(f, "d/x", "inside");
    make_link(f, "d", "link");
    make_link(f, "../secret", "out");
    make_link(f, secret, "absolute");
    make_link(f, "circle", "circle");
    assert_int_equal(get(f, "link/x", 0, 9, "inside"), 0);
    static const char *const keys[] = {
        "../secret", "d/../../secret", "out",    "absolute", "/etc/passwd", "d/../d/x", "./d/x",
        "d//x",      "d/x/",           "circle", "d",        "..",          "."};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        int fd = -1;
        assert_int_equal(get(f, keys[i], 0, 9, ""), -ENOENT);
        assert_int_equal(open_in_place(f, keys[i], true, &fd), -ENOENT);
        int rc = open_in_place(f, keys[i], false, &fd);
        assert_true(rc == -ENOENT || rc == -EAGAIN);
        assert_int_equal(fd, -1);
    }
    assert_int_equal(get(f, secret, 0, 9, ""), -ENOENT);
}

/* What the kernel knows is opened without waiting, through links too; what it does not, is not. */
static void test_open_at_once(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = {"d/x", "link/x"};
    make_dir(f, "d");
    put_file(f, "d/x", "inside");
    make_link(f, "d", "link");
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        AUTO_FD int fd = -1;
        char text[8] = "";
        assert_int_equal(get(f, keys[i], 0, 9, "inside"), 0); /* now it is known */
        assert_int_equal(open_in_place(f, keys[i], false, &fd), 0);
        assert_int_equal(read(fd, text, sizeof text), 6);
        assert_string_equal(text, "inside");
    }
    int fd = -1;
    assert_int_equal(open_in_place(f, "d/never-heard-of", false, &fd), -EAGAIN);
    assert_int_equal(open_in_place(f, "d", false, &fd), -ENOENT);
    assert_int_equal(fd, -1);
}

/* What is no regular file is no object, and nobody waits for the other end of a FIFO. */
static void test_special_files(void **state)
{
    struct fixture *f = *state;
    AUTO_FD int dir = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkfifoat(dir, "fifo", 0644), 0);
    assert_int_equal(get(f, "fifo", 0, 1, ""), -ENOENT);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.79s/socket", f->root);
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(get(f, "socket", 0, 1, ""), -ENOENT);
}

struct names {
    char text[1024];
    unsigned count;
    int stop_at;
};

static int add_name(void *arg, const struct store_entry *e)
{
    struct names *n = arg;
    n->count++;
    assert_int_equal(e->is_prefix, e->key.p[e->key.n - 1] == '/');
    assert_true(e->is_prefix || e->etag.n);
    assert_true(strlen(n->text) + e->key.n + 2 < sizeof n->text);
    (void)sprintf(n->text + strlen(n->text), "[%.*s]", SLICE_FMT(e->key)); /* checked above */
    return (int)n->count == n->stop_at ? 77 : 0;
}

static int list(const struct fixture *f, const char *prefix, const char *after, bool recursive,
                struct names *n)
{
    *n = (struct names){.stop_at = n->stop_at};
    struct store_list req = {
        .prefix = prefix, .start_after = after, .recursive = recursive, .emit = add_name, .arg = n};
    return f->store->ops->list(f->store, &req, NULL);
}

static void make_tree(const struct fixture *f)
{
    make_dir(f, "d");
    make_dir(f, "d/e");
    make_dir(f, "empty");
    put_file(f, "a", "1");
    put_file(f, "d/b", "2");
    put_file(f, "d/e/c", "3");
}

/* One level names files and directories; recursive names all files; a missing prefix is empty. */
static void test_list(void **state)
{
    struct fixture *f = *state;
    struct names n = {0};
    make_tree(f);
    assert_int_equal(list(f, "", NULL, false, &n), 0);
    assert_int_equal(n.count, 3);
    assert_non_null(strstr(n.text, "[a]"));
    assert_non_null(strstr(n.text, "[d/]"));
    assert_non_null(strstr(n.text, "[empty/]"));
    assert_int_equal(list(f, "", NULL, true, &n), 0);
    assert_int_equal(n.count, 3);
    assert_non_null(strstr(n.text, "[d/e/c]"));
    assert_int_equal(list(f, "d/", NULL, false, &n), 0);
    assert_int_equal(n.count, 2);
    assert_non_null(strstr(n.text, "[d/e/]"));
    static const char *const none[] = {"nothing/", "a/", "../", "d/../", "./", "/", "d//"};
    for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
        assert_int_equal(list(f, none[i], NULL, true, &n), 0);
        assert_int_equal(n.count, 0);
    }
    assert_int_equal(list(f, "d", NULL, true, &n), -EINVAL);
}

/* start_after leaves out what comes before in byte order, and emit can stop the listing. */
static void test_list_part(void **state)
{
    struct fixture *f = *state;
    struct names n = {0};
    make_tree(f);
    assert_int_equal(list(f, "", "d/b", true, &n), 0);
    assert_string_equal(n.text, "[d/e/c]");
    assert_int_equal(list(f, "", "d/e/c", true, &n), 0);
    assert_int_equal(n.count, 0);
    n.stop_at = 2;
    assert_int_equal(list(f, "", NULL, true, &n), 77);
    assert_int_equal(n.count, 2);
}

static bool is_d(struct slice key)
{
    return slice_is(key, "d");
}

/* What nobody wants to hear of is left out. */
static void test_list_wanted(void **state)
{
    struct fixture *f = *state;
    struct names n = {0};
    struct store_list req = {.prefix = "", .wanted = is_d, .emit = add_name, .arg = &n};
    make_tree(f);
    assert_int_equal(f->store->ops->list(f->store, &req, NULL), 0);
    assert_string_equal(n.text, "[d/]");
}

/* Links are listed as what they lead to, circles end, and what leads out or nowhere is left out. */
static void test_list_links(void **state)
{
    struct fixture *f = *state;
    struct names n = {0};
    make_tree(f);
    make_link(f, "a", "file-link");
    make_link(f, "e", "d/dir-link");
    make_link(f, "..", "d/e/up");
    make_link(f, "../secret", "out");
    make_link(f, "nowhere", "dangling");
    assert_int_equal(list(f, "", NULL, true, &n), 0);
    assert_int_equal(n.count, 5);
    assert_non_null(strstr(n.text, "[file-link]"));
    assert_non_null(strstr(n.text, "[d/dir-link/c]"));
}

/* A directory that may not be read is EACCES, never a listing without it. */
static void test_list_unreadable(void **state)
{
    struct fixture *f = *state;
    struct names n = {0};
    make_tree(f);
    AUTO_FD int dir = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fchmodat(dir, "d/e", 0, 0), 0);
    assert_int_equal(fchmod(dir, 0755), 0);
    uid_t caller = geteuid();
    if (caller == 0) /* root may read everything; all else in the tree is open to nobody, too */
        assert_int_equal(seteuid(NOBODY), 0);
    int whole = list(f, "", NULL, true, &n);
    int alone = list(f, "d/e/", NULL, true, &n);
    int beside = list(f, "d/", NULL, false, &n);
    assert_int_equal(seteuid(caller), 0);
    assert_int_equal(whole, -EACCES);
    assert_int_equal(alone, -EACCES);
    assert_int_equal(beside, 0);
}

/* A key is made once, with the directories above it; the second writer is told so. */
static void test_put_if_absent(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_INIT;
    struct store *s = f->store;
    assert_int_equal(s->ops->put_if_absent(s, "x/y/z", SLICE_LIT("one"), &err), 0);
    assert_int_equal(s->ops->put_if_absent(s, "x/y/z", SLICE_LIT("two"), &err), -EEXIST);
    assert_int_equal(s->ops->put_if_absent(s, "x/y/w", SLICE_NONE, &err), 0);
    assert_int_equal(s->ops->put_if_absent(s, "../outside", SLICE_LIT("x"), &err), -ENOENT);
    assert_int_equal(get(f, "x/y/z", 0, 9, "one"), 0);
    struct names n = {0};
    assert_int_equal(list(f, "x/y/", NULL, false, &n), 0);
    assert_int_equal(n.count, 2); /* nothing is left aside */
}

/* A whole object of several parts is read, and a maximum that is too small is EOVERFLOW. */
static void test_read(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_INIT;
    size_t size = 2 * BLOCK_BYTES + 3;
    AUTO_FREE char *data = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)('a' + i % 23);
    data[size] = '\0';
    put_file(f, "big", data);
    put_file(f, "none", "");
    struct store_info info;
    AUTO(buf) struct buf exact = {0}, small = {0}, empty = {0};
    buf_init(&exact, size);
    buf_init(&small, size - 1);
    buf_init(&empty, 0);
    assert_int_equal(store_read(f->store, "big", &exact, &info, &err), 0);
    assert_int_equal(info.size, size);
    assert_int_equal(exact.len, size);
    assert_memory_equal(exact.data, data, size);
    assert_int_equal(store_read(f->store, "big", &small, NULL, &err), -EOVERFLOW);
    assert_int_equal(store_read(f->store, "none", &empty, NULL, &err), 0);
    assert_int_equal(store_read(f->store, "big", &empty, NULL, &err), -EOVERFLOW);
    assert_int_equal(store_read(f->store, "missing", &empty, NULL, &err), -ENOENT);
}

/* Spellings of one directory are one store; a missing one is ENOENT. */
static void test_open(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_INIT;
    struct store_options options = {0};
    struct store_runtime runtime = {.workers = f->workers};
    char text[128];
    make_dir(f, "a b");
    (void)snprintf(text, sizeof text, "file://%s/a%%20b/../a%%20b/", f->root);
    AUTO(store) struct store *s = store_open(text, &options, &runtime, &err);
    assert_non_null(s);
    (void)snprintf(text, sizeof text, "file://%s/a%%20b", f->root);
    assert_string_equal(s->url, text);
    (void)snprintf(text, sizeof text, "%s/missing", f->root);
    assert_null(store_open(text, &options, &runtime, &err));
    assert_int_equal(err.code, ENOENT);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_get),
        WITH_STORE(test_replaced),
        WITH_STORE(test_mtime),
        WITH_STORE(test_beneath),
        WITH_STORE(test_special_files),
        WITH_STORE(test_list),
        WITH_STORE(test_list_part),
        WITH_STORE(test_list_wanted),
        WITH_STORE(test_list_links),
        WITH_STORE(test_put_if_absent),
        WITH_STORE(test_list_unreadable),
        WITH_STORE(test_read),
        WITH_STORE(test_open),
        WITH_STORE(test_open_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
