/* SPDX-License-Identifier: Apache-2.0 */
/* A Delta table in a directory, written by hand, and its driver. For tests. */
#ifndef TESTS_UNIT_DELTA_FIXTURE_H
#define TESTS_UNIT_DELTA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/workers.h"
#include "lake/delta/delta.h"

#define PROTOCOL "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n"
#define METADATA                                                                                   \
    "{\"metaData\":{\"id\":\"i\",\"format\":{\"provider\":\"parquet\"},\"schemaString\":"          \
    "\"{\\\"fields\\\":[]}\",\"partitionColumns\":[\"p\"],\"configuration\":{}}}\n"
#define ADD(name)                                                                                  \
    "{\"add\":{\"path\":\"p=1/" name "\",\"partitionValues\":{\"p\":\"1\"},\"size\":7,"            \
    "\"modificationTime\":8,\"dataChange\":true}}\n"
#define REMOVE(name) "{\"remove\":{\"path\":\"p=1/" name "\",\"dataChange\":true}}\n"
#define FIRST PROTOCOL METADATA ADD("a")

struct fixture {
    char dir[64];
    int table_fd, runs_fd; /* <dir>/lake/t, <dir>/runs */
    struct workers *workers;
    struct store *store;
    struct driver *driver;
    struct err err;
};

static inline int set_up(void **state)
{
    static struct fixture f;
    char path[128];
    f = (struct fixture){.dir = "/tmp/tarn-delta-XXXXXX"};
    assert_non_null(mkdtemp(f.dir));
    (void)snprintf(path, sizeof path, "%s/lake/t/_delta_log", f.dir);
    assert_int_equal(file_mkdirs(path, 0700, &f.err), 0);
    f.table_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)snprintf(path, sizeof path, "%s/runs", f.dir);
    assert_int_equal(file_mkdirs(path, 0700, &f.err), 0);
    f.runs_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f.workers = workers_new("test", 1, &f.err);
    struct store_runtime runtime = {.workers = f.workers};
    struct store_options options = {0};
    (void)snprintf(path, sizeof path, "%s/lake", f.dir);
    f.store = store_open(path, &options, &runtime, &f.err);
    assert_non_null(f.store);
    struct driver_config config = {.store = f.store, .prefix = "t/", .index_dirfd = f.runs_fd};
    assert_int_equal(delta_ops.open(&config, &f.driver, &f.err), 0);
    *state = &f;
    return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    delta_ops.close(f->driver);
    store_free(f->store);
    workers_free(f->workers);
    (void)close(f->table_fd);
    (void)close(f->runs_fd);
    return nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes a commit whose modification time is `seconds`. */
static inline void commit(struct fixture *f, int version, const char *text, time_t seconds)
{
    char name[64];
    struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    (void)snprintf(name, sizeof name, "%020d.json", version);
    assert_int_equal(file_replace(f->table_fd, name, slice_of(text), 0600, &f->err), 0);
    assert_int_equal(utimensat(f->table_fd, name, times, 0), 0);
}

static inline int list_path(void *arg, const struct entry *entry)
{
    struct buf *out = arg;
    buf_addf(out, "%s%.*s", out->len ? " " : "", SLICE_FMT(entry->path));
    return 0;
}

/* The paths of a version, and whether it is a patch; or the error. */
static inline int load(struct fixture *f, const struct history *h, size_t position, struct buf *out,
                       bool *patch)
{
    AUTO(snapshot) struct snapshot *s = NULL;
    buf_reset(out);
    f->err = (struct err)ERR_INIT;
    int rc = delta_ops.load(f->driver, h, position, &s, &f->err);
    if (rc < 0)
        return rc;
    *patch = snapshot_patch(s) != NULL;
    return snapshot_each_file(s, list_path, out, &f->err);
}

static inline void check_load(struct fixture *f, const struct history *h, size_t position,
                              const char *want, bool want_patch)
{
    AUTO(buf) struct buf out;
    bool patch = false;
    buf_init(&out, KIB);
    assert_int_equal(load(f, h, position, &out, &patch), 0);
    assert_string_equal(out.data ? out.data : "", want);
    assert_int_equal(patch, want_patch);
}

static inline struct history *history(struct fixture *f, struct history *previous)
{
    struct history *h = NULL;
    assert_int_equal(delta_ops.history(f->driver, previous, &h, &f->err), 0);
    return h;
}

#endif
