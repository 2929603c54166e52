/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/files/files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "lake/index/build.h"
#include "lake/index/prune.h"

#define RUN_NAME_BYTES 40
#define RUN_PREFIX "listing-"
/* Listings that are kept: the last one, and some that may be asked for by a node or a holder. */
#define RUNS_MAX 4

struct files {
    struct driver driver;
    struct driver_config config;
};

static int files_open(const struct driver_config *config, struct driver **out, struct err *err)
{
    struct files *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(err, ENOMEM, "out of memory");
    f->driver.ops = &files_ops;
    f->config = *config;
    *out = &f->driver;
    return 0;
}

static void files_close(struct driver *d)
{
    free(d);
}

struct listing_walk {
    struct index_build *build;
    const struct driver_ops *const *drivers;
    size_t prefix_length;
    uint64_t fingerprint; /* of all entries, in whatever order they come */
    int64_t newest_ms;
    struct err *err;
};

/* Names that no file system can show (an empty component, `..`): the listing would not be whole. */
static bool presentable(struct slice path)
{
    while (path.n) {
        ptrdiff_t slash = slice_find(path, '/');
        struct slice name = slice_make(path.p, slash < 0 ? path.n : (size_t)slash);
        if (name.n == 0 || name.n > NAME_BYTES_MAX || slice_is(name, ".") || slice_is(name, ".."))
            return false;
        if (slash < 0)
            return true;
        path = slice_from(path, (size_t)slash + 1);
    }
    return false;
}

static int add_object(void *arg, const struct store_entry *e)
{
    struct listing_walk *w = arg;
    struct slice path = slice_from(e->key, w->prefix_length);
    if (e->is_prefix || slice_ends(path, SLICE_LIT("/")))
        return 0; /* the marker of a directory, as consoles make them */
    if (driver_marks(w->drivers, path))
        return err_set(w->err, EMEDIUMTYPE, "a table has appeared at %.*s", SLICE_FMT(e->key));
    if (!presentable(path))
        return err_set(w->err, EOPNOTSUPP, "the object \"%.*s\" has no name that a file can have",
                       SLICE_FMT(e->key));
    struct index_action action = {
        .entry =
            {.path = path, .raw = path, .extra = e->etag, .size = e->size, .mtime_ms = e->mtime_ms},
        .key = path,
    };
    uint64_t about[] = {e->size, (uint64_t)e->mtime_ms};
    uint64_t hash = hash64(hash64(0, path), slice_make(about, sizeof about));
    w->fingerprint += hash64(hash, e->etag);
    if (e->mtime_ms > w->newest_ms)
        w->newest_ms = e->mtime_ms;
    return index_build_add(w->build, &action, w->err);
}

static void run_name_of(char name[RUN_NAME_BYTES], uint64_t fingerprint)
{
    (void)snprintf(name, RUN_NAME_BYTES, RUN_PREFIX "%016llx", (unsigned long long)fingerprint);
}

static bool is_listing(struct slice name)
{
    return slice_starts(name, SLICE_LIT(RUN_PREFIX));
}

/* Writes the listing's run, or makes the one that is there the newest, and removes old ones. */
static int keep_listing(const struct files *f, struct index_build *build, uint64_t fingerprint,
                        struct err *err)
{
    static const struct prune_kind kind = {.is = is_listing, .keep = RUNS_MAX};
    char name[RUN_NAME_BYTES];
    run_name_of(name, fingerprint);
    if (utimensat(f->config.index_dirfd, name, NULL, 0) == 0)
        return 0;
    int rc = index_build_base(build, name, SLICE_LIT("{}"), err);
    if (rc == 0)
        prune_runs(f->config.index_dirfd, &kind, 1);
    return rc;
}

/* Lists the directory; the run of what was listed is there then. */
static int list(struct files *f, struct version *out, struct err *err)
{
    AUTO(index_build) struct index_build *build = index_build_new(f->config.index_dirfd, err);
    if (!build)
        return -err->code;
    struct listing_walk w = {.build = build,
                             .drivers = f->config.drivers,
                             .prefix_length = strlen(f->config.prefix),
                             .fingerprint = 1,
                             .err = err};
    struct store_list req = {
        .prefix = f->config.prefix, .recursive = true, .emit = add_object, .arg = &w};
    int rc = f->config.store->ops->list(f->config.store, &req, err);
    if (rc == 0)
        rc = keep_listing(f, build, w.fingerprint, err);
    if (rc == 0)
        *out = (struct version){.timestamp_ms = w.newest_ms, .fingerprint = w.fingerprint};
    return rc;
}

static int files_history(struct driver *d, struct history *previous, struct history **out,
                         struct err *err)
{
    struct files *f = CONTAINER_OF(d, struct files, driver);
    struct err e = ERR_INIT;
    struct version now = {0};
    int rc = list(f, &now, &e);
    if (rc < 0)
        return driver_refuse(err, &e);
    if (previous && previous->n && previous->at[0].fingerprint == now.fingerprint) {
        *out = history_ref(previous);
        return 0;
    }
    struct history *h = history_new(1, &e);
    if (!h)
        return driver_refuse(err, &e);
    h->at[0] = now;
    *out = h;
    return 0;
}

/* The run is damaged or gone: it is made again, as long as the listing is still the same. */
static int make_again(struct files *f, const struct version *wanted, const char *name,
                      struct run **out, struct err *err)
{
    struct version now = {0};
    (void)unlinkat(f->config.index_dirfd, name, 0); /* or it is gone */
    int rc = list(f, &now, err);
    if (rc == 0 && now.fingerprint != wanted->fingerprint)
        rc = err_set(err, ESTALE, "the listing of %s has changed", f->config.prefix);
    return rc < 0 ? rc : run_open(f->config.index_dirfd, name, out, err);
}

static int files_load(struct driver *d, const struct history *h, size_t position,
                      struct snapshot **out, struct err *err)
{
    struct files *f = CONTAINER_OF(d, struct files, driver);
    char name[RUN_NAME_BYTES];
    struct run *base;
    run_name_of(name, h->at[position].fingerprint);
    int rc = run_open(f->config.index_dirfd, name, &base, err);
    if (rc == -EUCLEAN || rc == -ENOENT)
        rc = make_again(f, &h->at[position], name, &base, err);
    if (rc < 0)
        return rc;
    struct snapshot *s = snapshot_new(base, NULL, err);
    if (!s)
        return -ENOMEM;
    *out = s;
    return 0;
}

static int files_locate(struct driver *d, const struct entry *entry, struct object_location *out,
                        struct err *err)
{
    struct files *f = CONTAINER_OF(d, struct files, driver);
    buf_add_str(&out->key, f->config.prefix);
    buf_add_slice(&out->key, entry->raw);
    buf_add_slice(&out->etag, entry->extra);
    int rc = buf_check(&out->key, err);
    return rc < 0 ? rc : buf_check(&out->etag, err);
}

static int files_describe_history(struct driver *d, const struct history *h, struct buf *out,
                                  struct err *err)
{
    (void)d;
    (void)h;
    buf_add_str(out, "[]\n"); /* a listing has no history */
    return buf_check(out, err);
}

const struct driver_ops files_ops = {
    .format = "files",
    .open = files_open,
    .close = files_close,
    .history = files_history,
    .load = files_load,
    .locate = files_locate,
    .describe_history = files_describe_history,
};
