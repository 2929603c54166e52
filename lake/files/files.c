/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/files/files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/lock.h"
#include "lake/files/listing.h"
#include "lake/index/prune.h"
#include "lake/index/run_dir.h"

#define RUN_PREFIX "listing-"
#define MOMENT_PREFIX "moment-"
#define META_BYTES_MAX (256 * KIB)
/* Listings that are kept: the last one, and some that may be asked for by a node or a holder. */
#define RUNS_MAX 4
/* Moments likewise; one that is asked for again is made from the store's versions again. */
#define MOMENTS_MAX 64
#define SETTLE_MS 2000

struct files {
    struct driver driver;
    struct driver_config config;
    struct lock lock;
    struct cond never; /* nobody wakes: waits end by their time */
};

static int files_open(const struct driver_config *config, struct driver **out, struct err *err)
{
    struct files *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(err, ENOMEM, "out of memory");
    f->driver.ops = &files_ops;
    f->config = *config;
    lock_init(&f->lock);
    cond_init(&f->never);
    *out = &f->driver;
    return 0;
}

static void files_close(struct driver *d)
{
    struct files *f = CONTAINER_OF(d, struct files, driver);
    cond_done(&f->never);
    lock_done(&f->lock);
    free(f);
}

struct listing_walk {
    struct files_listing *listing;
    const struct driver_ops *const *drivers;
    size_t prefix_length;
    struct err *err;
};

static int add_object(void *arg, const struct store_entry *e)
{
    struct listing_walk *w = arg;
    struct slice key = slice_from(e->key, w->prefix_length);
    if (driver_marks(w->drivers, key))
        return err_set(w->err, EMEDIUMTYPE, "a table has appeared at %.*s", SLICE_FMT(e->key));
    return files_listing_add(w->listing, key, e, w->err);
}

/* Lists the directory as it is at `moment_ms`, 0: now. */
static int list(const struct files *f, int64_t moment_ms, struct files_listing *out,
                struct err *err)
{
    struct store *store = f->config.store;
    struct listing_walk w = {.listing = out,
                             .drivers = f->config.drivers,
                             .prefix_length = strlen(f->config.prefix),
                             .err = err};
    struct store_list req = {
        .prefix = f->config.prefix, .recursive = true, .emit = add_object, .arg = &w};
    return moment_ms ? store->ops->list_at(store, &req, moment_ms, err)
                     : store->ops->list(store, &req, err);
}

static void run_name_of(char name[RUN_NAME_BYTES], const char *prefix, uint64_t number)
{
    (void)snprintf(name, RUN_NAME_BYTES, "%s%016llx", prefix, (unsigned long long)number);
}

static bool is_listing(struct slice name)
{
    return slice_starts(name, SLICE_LIT(RUN_PREFIX));
}

static bool is_moment(struct slice name)
{
    return slice_starts(name, SLICE_LIT(MOMENT_PREFIX));
}

/* A run that is there is the newest one from now on. */
static bool renew(const struct files *f, const char *name)
{
    return utimensat(f->config.index_dirfd, name, NULL, 0) == 0;
}

/* Lists the directory and makes the run of what was listed, where it is not there. */
static int make_run(const struct files *f, int64_t moment_ms, struct files_listed *out,
                    struct err *err)
{
    static const struct prune_kind kinds[] = {{.is = is_listing, .keep = RUNS_MAX},
                                              {.is = is_moment, .keep = MOMENTS_MAX}};
    AUTO(files_listing)
    struct files_listing *listing = files_listing_new(f->config.index_dirfd, err);
    AUTO(index_build)
    struct index_build *build = listing ? index_build_new(f->config.index_dirfd, err) : NULL;
    AUTO(buf) struct buf meta = {0};
    char name[RUN_NAME_BYTES];
    if (!build)
        return -err->code;
    buf_init(&meta, META_BYTES_MAX);
    int rc = list(f, moment_ms, listing, err);
    if (rc == 0)
        rc = files_listing_build(listing, build, &meta, out, err);
    if (rc < 0)
        return rc;
    if (moment_ms)
        run_name_of(name, MOMENT_PREFIX, (uint64_t)moment_ms);
    else
        run_name_of(name, RUN_PREFIX, out->fingerprint);
    if (!moment_ms && renew(f, name))
        return 0;
    rc = index_build_base(build, name, buf_slice(&meta), err);
    if (rc == 0)
        prune_runs(f->config.index_dirfd, kinds, ARRAY_SIZE(kinds));
    return rc;
}

static int files_history(struct driver *d, struct history *previous, struct history **out,
                         struct err *err)
{
    struct files *f = CONTAINER_OF(d, struct files, driver);
    struct err e = ERR_INIT;
    struct files_listed listed = {0};
    int rc = make_run(f, 0, &listed, &e);
    if (rc < 0)
        return driver_refuse(err, &e);
    struct version now = {.timestamp_ms = listed.newest_ms, .fingerprint = listed.fingerprint};
    if (previous && previous->n && previous->at[0].fingerprint == now.fingerprint) {
        *out = history_ref(previous);
        return 0;
    }
    struct history *h = history_new(1, 0, &e);
    if (!h)
        return driver_refuse(err, &e);
    h->at[0] = now;
    *out = h;
    return 0;
}

/* Opens a run, or makes it again where it is damaged or gone. */
static int open_run(const struct files *f, const char *name, int64_t moment_ms,
                    struct files_listed *made, struct run **out, struct err *err)
{
    int rc = run_open(f->config.index_dirfd, name, out, err);
    if (rc != -EUCLEAN && rc != -ENOENT)
        return rc;
    (void)unlinkat(f->config.index_dirfd, name, 0); /* or it is gone */
    rc = make_run(f, moment_ms, made, err);
    return rc < 0 ? rc : run_open(f->config.index_dirfd, name, out, err);
}

static int files_load(struct driver *d, const struct history *h, size_t position,
                      struct snapshot **out, struct err *err)
{
    const struct files *f = CONTAINER_OF(d, struct files, driver);
    uint64_t wanted = h->at[position].fingerprint;
    struct files_listed listed = {.fingerprint = wanted};
    char name[RUN_NAME_BYTES];
    struct run *base;
    run_name_of(name, RUN_PREFIX, wanted);
    int rc = open_run(f, name, 0, &listed, &base, err);
    if (rc == -ENOENT && listed.fingerprint != wanted)
        rc = err_set(err, ESTALE, "the listing of %s has changed", f->config.prefix);
    if (rc < 0)
        return rc;
    *out = snapshot_new(base, NULL, err);
    return *out ? 0 : -ENOMEM;
}

/* What is written at a moment may be listed a little later, and stores count in whole seconds. */
static void wait_until_settled(struct files *f, int64_t moment_ms)
{
    int64_t until_ms = clock_mono_ms() + moment_ms + SETTLE_MS - clock_real_ms();
    WITH_LOCK (&f->lock)
        while (clock_mono_ms() < until_ms)
            (void)cond_wait_until(&f->never, &f->lock, until_ms);
}

static int files_moment(struct driver *d, int64_t time_ms, struct snapshot **out, struct err *err)
{
    struct files *f = CONTAINER_OF(d, struct files, driver);
    struct files_listed listed = {0};
    char name[RUN_NAME_BYTES];
    struct run *base;
    if (time_ms <= 0)
        return err_set(err, ENOENT, "nothing was stored before 1970");
    if (!f->config.store->ops->list_at)
        return err_set(err, ENOENT, "its store keeps no versions, so it has no past");
    run_name_of(name, MOMENT_PREFIX, (uint64_t)time_ms);
    wait_until_settled(f, time_ms);
    (void)renew(f, name); /* or it is made now */
    int rc = open_run(f, name, time_ms, &listed, &base, err);
    if (rc < 0)
        return rc;
    *out = snapshot_new(base, NULL, err);
    return *out ? 0 : -ENOMEM;
}

static int files_locate(struct driver *d, const struct entry *entry, struct object_location *out,
                        struct err *err)
{
    struct files *f = CONTAINER_OF(d, struct files, driver);
    struct files_object o = files_listing_object(entry->extra);
    buf_add_str(&out->key, f->config.prefix);
    buf_add_slice(&out->key, entry->raw);
    buf_add_slice(&out->etag, o.etag);
    buf_add_slice(&out->version, o.version);
    out->readable = o.readable;
    return object_location_check(out, err);
}

static int files_describe_history(struct driver *d, const struct history *h, size_t first,
                                  bool part, struct buf *out, struct err *err)
{
    (void)part;
    (void)first;
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
    .moment = files_moment,
    .locate = files_locate,
    .describe_history = files_describe_history,
    .left_out = files_listing_left_out,
    .holds_all = true,
};
