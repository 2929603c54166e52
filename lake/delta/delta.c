/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/delta.h"

#include <stdlib.h>

#include "base/lock.h"
#include "lake/delta/deletion_vector.h"
#include "lake/delta/describe.h"
#include "lake/delta/history.h"
#include "lake/delta/load.h"
#include "lake/delta/needs.h"
#include "lake/delta/objects.h"
#include "lake/delta/range.h"
#include "lake/delta/retention.h"

/* Versions that were refused lately: a table that is asked for again is not replayed again. */
#define REFUSALS_MAX 8

struct refusal {
    int64_t number;
    uint64_t fingerprint;
    struct err err; /* code 0: none yet */
};

struct delta_driver {
    struct driver driver;
    struct delta_table table; /* immutable after open */
    struct lock lock;
    struct refusal refusals[REFUSALS_MAX]; /* lock */
    unsigned next_refusal;                 /* lock: the one that is replaced next */
};

static const struct delta_table *table_of(struct driver *d)
{
    return &CONTAINER_OF(d, struct delta_driver, driver)->table;
}

static int op_open(const struct driver_config *config, struct driver **out, struct err *err)
{
    struct delta_driver *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(err, ENOMEM, "out of memory for a table");
    d->driver.ops = &delta_ops;
    d->table = (struct delta_table){
        .store = config->store,
        .prefix = config->prefix,
        .root = {slice_of(config->store->home), slice_of(config->prefix), config->outside,
                 config->outside_n},
        .dirfd = config->index_dirfd,
    };
    lock_init(&d->lock);
    *out = &d->driver;
    return 0;
}

static void op_close(struct driver *driver)
{
    struct delta_driver *d = CONTAINER_OF(driver, struct delta_driver, driver);
    lock_done(&d->lock);
    free(d);
}

static int op_history(struct driver *d, struct history *previous, struct history **out,
                      struct err *err)
{
    struct err e = ERR_INIT;
    int rc = delta_history(table_of(d), previous, out, &e);
    if (rc < 0 && e.code == EOVERFLOW)
        e.code = EBADMSG; /* over a limit: damaged, and no fault of the store's */
    return rc < 0 ? err_copy(err, &e) : 0;
}

static bool find_refusal(struct delta_driver *d, const struct version *v, struct err *err)
{
    bool found = false;
    WITH_LOCK (&d->lock) {
        for (size_t i = 0; i < REFUSALS_MAX; i++) {
            const struct refusal *r = &d->refusals[i];
            if (r->err.code && r->number == v->number && r->fingerprint == v->fingerprint) {
                *err = r->err;
                found = true;
            }
        }
    }
    return found;
}

static void keep_refusal(struct delta_driver *d, const struct version *v, const struct err *err)
{
    WITH_LOCK (&d->lock) {
        d->refusals[d->next_refusal++ % REFUSALS_MAX] =
            (struct refusal){v->number, v->fingerprint, *err};
    }
}

static int op_load(struct driver *driver, const struct history *h, size_t position,
                   struct snapshot **out, struct err *err)
{
    struct delta_driver *d = CONTAINER_OF(driver, struct delta_driver, driver);
    const struct version *v = &h->at[position];
    struct err e = ERR_INIT;
    if (find_refusal(d, v, &e))
        return err_copy(err, &e);
    int rc = delta_load(&d->table, h, position, out, &e);
    if (rc == -EOPNOTSUPP) /* of what a version is; other failures may pass */
        keep_refusal(d, v, &e);
    return rc < 0 ? driver_refuse(err, &e) : 0;
}

static int op_range(struct driver *d, const struct history *h, const struct version_range *range,
                    struct snapshot **out, struct err *err)
{
    struct err e = ERR_INIT;
    int rc = delta_range(table_of(d), h, range, out, &e);
    return rc < 0 ? driver_refuse(err, &e) : 0;
}

static int op_locate(struct driver *d, const struct entry *entry, struct object_location *out,
                     struct err *err)
{
    buf_reset(&out->etag); /* a log tells none */
    return delta_path_locate(&table_of(d)->root, entry->raw, &out->store, &out->key, err);
}

static int op_log_objects(struct driver *d, const struct history *h, size_t position,
                          int (*emit)(void *arg, const char *key), void *arg, struct err *err)
{
    struct err e = ERR_INIT;
    int rc = delta_needs(table_of(d), h->at[position].number, emit, arg, &e);
    return rc < 0 && e.code ? driver_refuse(err, &e) : rc;
}

static int op_locate_deletes(struct driver *d, const struct entry *entry,
                             int (*emit)(void *arg, const struct object_location *at), void *arg,
                             struct err *err)
{
    AUTO(object_location) struct object_location at;
    struct delta_dv dv;
    struct err e = ERR_INIT;
    object_location_init(&at);
    int rc = delta_dv_parse(entry->extra, &dv, &e);
    if (rc == 0)
        rc = delta_dv_locate(&table_of(d)->root, &dv, &at.store, &at.key, &e);
    if (rc < 0)
        return driver_refuse(err, &e);
    return at.key.len ? emit(arg, &at) : 0;
}

static int op_shape(struct slice meta, struct shape **out, struct err *err)
{
    AUTO(delta_state) struct delta_state state;
    delta_state_init(&state);
    int rc = delta_state_parse(meta, &state, err);
    if (rc < 0)
        return rc;
    return state.changes ? delta_schema_shape_of_changes(&state.metadata, state.mapping, out, err)
                         : delta_schema_shape(&state.metadata, state.mapping, out, err);
}

static int op_partitions(struct slice meta, struct shape **out, struct err *err)
{
    AUTO(delta_state) struct delta_state state;
    delta_state_init(&state);
    int rc = delta_state_parse(meta, &state, err);
    return rc < 0 ? rc : delta_schema_partitions(&state.metadata, state.mapping, out, err);
}

static int op_former(struct slice meta, struct former **out, struct err *err)
{
    AUTO(delta_state) struct delta_state state;
    delta_state_init(&state);
    int rc = delta_state_parse(meta, &state, err);
    if (rc == 0)
        *out = STEAL(state.former);
    return rc;
}

static int op_deleted(struct driver *d, const struct entry *entry, struct roaring **out,
                      struct err *err)
{
    const struct delta_table *t = table_of(d);
    struct delta_dv dv;
    struct err e = ERR_INIT;
    if (!(entry->flags & ENTRY_DELETES)) {
        *out = NULL;
        return 0;
    }
    int rc = delta_dv_parse(entry->extra, &dv, &e);
    if (rc == 0)
        rc = delta_dv_read(t->store, &t->root, &dv, out, &e);
    if (rc < 0)
        (void)err_wrap(&e, "%s%.*s", t->prefix, SLICE_FMT(entry->path));
    return rc < 0 ? driver_refuse(err, &e) : 0;
}

static int op_describe_history(struct driver *d, const struct history *h, size_t first, bool part,
                               struct buf *out, struct err *err)
{
    struct err e = ERR_INIT;
    int rc = delta_describe_history(table_of(d), h, first, part, out, &e);
    return rc < 0 ? driver_refuse(err, &e) : 0;
}

static int op_retention(struct driver *d, const struct history *h, struct retention *out,
                        struct err *err)
{
    struct err e = ERR_INIT;
    int rc = delta_retention(table_of(d), h, out, &e);
    return rc < 0 ? driver_refuse(err, &e) : 0;
}

static int op_removable(struct driver *d, const struct history *h, size_t position, int64_t now_ms,
                        int64_t *since_ms, struct err *err)
{
    struct err e = ERR_INIT;
    int rc = delta_removable(table_of(d), h, position, now_ms, since_ms, &e);
    return rc < 0 ? driver_refuse(err, &e) : 0;
}

static int op_objects(struct driver *d, const struct history *h, const struct object_sink *sink,
                      struct err *err)
{
    struct err e = ERR_INIT;
    int rc = delta_objects(table_of(d), h, sink, &e);
    return rc < 0 ? driver_refuse(err, &e) : 0;
}

const struct driver_ops delta_ops = {
    .format = "delta",
    .marker = "_delta_log",
    .digits17_is_time = true,
    .open = op_open,
    .close = op_close,
    .history = op_history,
    .load = op_load,
    .range = op_range,
    .locate = op_locate,
    .log_objects = op_log_objects,
    .locate_deletes = op_locate_deletes,
    .describe_history = op_describe_history,
    .retention = op_retention,
    .removable = op_removable,
    .objects = op_objects,
    .describe_schema = delta_describe_schema,
    .describe_properties = delta_describe_properties,
    .shape = op_shape,
    .partitions = op_partitions,
    .former = op_former,
    .deleted = op_deleted,
};
