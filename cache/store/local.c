/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/local.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>

#include "base/file.h"
#include "base/text.h"
#include "cache/store/local_list.h"
#include "cache/store/local_path.h"
#include "cache/store/local_write.h"

/* Files that are read often enough for access times to matter: a second open costs 3 us. */
#define QUIET_BYTES_MIN ((off_t)(8 * MIB))

struct local {
    struct store store;
    int root;                /* immutable */
    int quiet_root;          /* immutable; of file_quiet_dir, or -1 */
    struct workers *workers; /* immutable */
};

static struct local *local_of(struct store *s)
{
    return CONTAINER_OF(s, struct local, store);
}

/* Reads. */

struct local_get {
    struct job job;
    struct local *local;
    struct store_get *get;
};

static int check_etag(const struct store_get *get, const char *want, const char *etag,
                      struct err *err)
{
    if (want && strcmp(want, etag) != 0)
        return err_set(err, ESTALE, "%.300s: the file changed: ETag %s, asked for %.100s", get->key,
                       etag, want);
    return 0;
}

/* What was read is one state of the file only if that state stands before and after. */
static int read_range(struct local *l, struct store_get *get, struct err *err)
{
    struct stat st;
    struct store_info info, after;
    AUTO_FD int fd = local_open_file(l->root, get->key, &st, err);
    if (fd < 0)
        return STEAL_FD(fd);
    local_info(&st, &info);
    int rc = check_etag(get, get->if_match, info.etag, err);
    if (rc < 0)
        return rc;
    uint64_t left = get->offset < info.size ? info.size - get->offset : 0;
    size_t n = left < get->length ? (size_t)left : get->length;
    rc = n ? file_pread_full(fd, get->to, n, (off_t)get->offset, err) : 0;
    if (rc < 0) {
        (void)err_wrap(err, "%.300s", get->key); /* any failure of a read is the store's EIO */
        if (err)
            err->code = EIO;
        rc = -EIO;
    }
    if (fstat(fd, &st) < 0)
        return local_error(errno, get->key, err);
    local_info(&st, &after);
    int changed = check_etag(get, info.etag, after.etag, err);
    if (changed || rc < 0)
        return changed ? changed : rc;
    get->info = info;
    get->got = n;
    return 0;
}

static void run_get(struct job *job)
{
    struct local_get *g = CONTAINER_OF(job, struct local_get, job);
    struct store_get *get = g->get;
    get->rc = read_range(g->local, get, &get->err);
    free(g);
    if (get->rc == 0 && get->got && get->progress)
        get->progress(get, get->got);
    get->done(get);
}

static void local_get(struct store *s, struct store_get *get)
{
    assert(get->length > 0);
    get->rc = 0;
    get->got = 0;
    get->info = (struct store_info){0};
    get->err = (struct err)ERR_INIT;
    struct local_get *g = calloc(1, sizeof *g);
    if (!g) {
        get->rc = err_set(&get->err, ENOMEM, "out of memory");
        get->done(get);
        return;
    }
    *g = (struct local_get){.job = {.run = run_get}, .local = local_of(s), .get = get};
    workers_submit(local_of(s)->workers, &g->job);
}

static int local_head(struct store *s, const char *key, struct store_info *out, struct err *err)
{
    struct stat st;
    AUTO_FD int fd = local_open_file(local_of(s)->root, key, &st, err);
    if (fd < 0)
        return STEAL_FD(fd);
    local_info(&st, out);
    return 0;
}

/* The same file through the quiet root, or the descriptor as it is where that leads elsewhere. */
static int open_quietly(const struct local *l, const char *key, int opened, const struct stat *st)
{
    struct stat same;
    AUTO_FD int fd = l->quiet_root < 0 ? -1 : local_open_file_now(l->quiet_root, key, &same, NULL);
    if (fd < 0 || same.st_dev != st->st_dev || same.st_ino != st->st_ino)
        return opened;
    (void)close(opened); /* only read */
    return STEAL_FD(fd);
}

static int local_open_in_place(struct store *s, const char *key, bool wait, struct store_file *out,
                               struct err *err)
{
    struct stat st;
    const struct local *l = local_of(s);
    int fd = wait ? local_open_file(l->root, key, &st, err)
                  : local_open_file_now(l->root, key, &st, err);
    if (fd < 0)
        return fd;
    if (st.st_size >= QUIET_BYTES_MIN)
        fd = open_quietly(l, key, fd, &st);
    out->fd = fd;
    out->size = (uint64_t)st.st_size;
    return 0;
}

static int local_list_store(struct store *s, const struct store_list *req, struct err *err)
{
    return local_list(local_of(s)->root, req, err);
}

static int local_put_begin(struct store *s, const char *key, const struct store_put *how,
                           struct store_writer **out, struct err *err)
{
    return local_write_begin(local_of(s)->root, key, how, out, err);
}

static int local_put_if_absent(struct store *s, const char *key, struct slice data, struct err *err)
{
    const struct store_put how = {.size = data.n, .if_absent = true};
    return store_write(s, key, &how, data, NULL, err);
}

static int local_remove(struct store *s, const char *key, struct err *err)
{
    return local_unlink(local_of(s)->root, key, err);
}

static void local_free(struct store *s)
{
    struct local *l = local_of(s);
    (void)close(l->root); /* only read */
    if (l->quiet_root >= 0)
        (void)close(l->quiet_root);
    free(s->url);
    free(s->home);
    free(l);
}

static const struct store_ops local_ops = {
    .scheme = "file",
    .get = local_get,
    .head = local_head,
    .list = local_list_store,
    .put_if_absent = local_put_if_absent,
    .put_begin = local_put_begin,
    .remove = local_remove,
    .open_in_place = local_open_in_place,
    .free = local_free,
};

struct store *local_new(const char *path, struct workers *workers, struct err *err)
{
    AUTO_FREE char *real = realpath(path, NULL);
    AUTO_FD int root = real ? open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (root < 0) {
        (void)err_set(err, errno, "%.300s: %s", path, strerror(errno));
        return NULL;
    }
    AUTO(buf) struct buf url = {0}, plain = {0};
    buf_init(&url, sizeof "file://" + 3 * (size_t)PATH_MAX);
    buf_init(&plain, sizeof "file://" + (size_t)PATH_MAX);
    buf_add_str(&url, "file://");
    text_percent_encode(&url, slice_of(real), "/");
    buf_addf(&plain, "file://%s", strcmp(real, "/") == 0 ? "" : real);
    struct local *l = calloc(1, sizeof *l);
    char *text = buf_steal_str(&url), *home = buf_steal_str(&plain);
    if (!l || !text || !home) {
        free(l);
        free(text);
        free(home);
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    l->store = (struct store){.ops = &local_ops, .url = text, .home = home};
    l->root = STEAL_FD(root);
    l->quiet_root = file_quiet_dir(l->root);
    l->workers = workers;
    return &l->store;
}
