/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/iceberg.h"

#include <stdlib.h>

#include "base/limits.h"
#include "lake/iceberg/delete_files.h"
#include "lake/iceberg/deleted.h"
#include "lake/iceberg/describe.h"
#include "lake/iceberg/elsewhere.h"
#include "lake/iceberg/extra.h"
#include "lake/iceberg/find.h"
#include "lake/iceberg/history.h"
#include "lake/iceberg/load.h"
#include "lake/iceberg/needs.h"
#include "lake/iceberg/objects.h"
#include "lake/iceberg/range.h"
#include "lake/iceberg/schema.h"
#include "lake/iceberg/state.h"

#define NAME_MAPPING "schema.name-mapping.default"

struct iceberg_driver {
    struct driver driver;
    struct iceberg_table table;
};

static struct iceberg_table *table_of(struct driver *d)
{
    return &CONTAINER_OF(d, struct iceberg_driver, driver)->table;
}

int iceberg_table_metadata(struct iceberg_table *t, struct iceberg_metadata **out, struct err *err)
{
    struct iceberg_metadata *m = NULL;
    WITH_LOCK (&t->lock) {
        if (t->metadata)
            m = iceberg_metadata_ref(t->metadata);
    }
    if (!m)
        return err_set(err, EIO, "no metadata of %s was read yet", t->prefix);
    *out = m;
    return 0;
}

struct iceberg_root iceberg_table_root(const struct iceberg_table *t,
                                       const struct iceberg_metadata *m)
{
    struct iceberg_root root = t->root;
    iceberg_root_set(&root, m);
    return root;
}

static int op_open(const struct driver_config *config, struct driver **out, struct err *err)
{
    struct iceberg_driver *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(err, ENOMEM, "out of memory for a table");
    d->driver.ops = &iceberg_ops;
    d->table = (struct iceberg_table){
        .store = config->store,
        .prefix = config->prefix,
        .root = {.home = slice_of(config->store->home),
                 .prefix = slice_of(config->prefix),
                 .outside = config->outside,
                 .outside_n = config->outside_n},
        .dirfd = config->index_dirfd,
        .source = config->source,
    };
    d->table.delete_files = iceberg_delete_files_new(err);
    if (!d->table.delete_files) {
        free(d);
        return -ENOMEM;
    }
    lock_init(&d->table.lock);
    *out = &d->driver;
    return 0;
}

static void op_close(struct driver *driver)
{
    struct iceberg_driver *d = CONTAINER_OF(driver, struct iceberg_driver, driver);
    iceberg_metadata_unref(d->table.newest);
    iceberg_metadata_unref(d->table.metadata);
    history_unref(d->table.history);
    iceberg_delete_files_free(d->table.delete_files);
    lock_done(&d->table.lock);
    free(d);
}

static int op_history(struct driver *d, struct history *previous, struct history **out,
                      struct err *err)
{
    struct err e = ERR_INIT;
    (void)previous; /* what was heard is the table's */
    int rc = iceberg_history(table_of(d), out, &e);
    if (rc < 0 && e.code == EOVERFLOW)
        e.code = EBADMSG; /* over a limit: damaged, and no fault of the store's */
    return rc < 0 ? err_copy(err, &e) : 0;
}

static int op_load(struct driver *d, const struct history *h, size_t position,
                   struct snapshot **out, struct err *err)
{
    struct err e = ERR_INIT;
    int rc = iceberg_load(table_of(d), h, position, out, &e);
    return rc < 0 ? driver_refuse(err, &e) : 0;
}

static int op_range(struct driver *d, const struct history *h, const struct version_range *range,
                    struct snapshot **out, struct err *err)
{
    struct err e = ERR_INIT;
    int rc = iceberg_range(table_of(d), h, range, out, &e);
    return rc < 0 ? driver_refuse(err, &e) : 0;
}

static int op_locate(struct driver *d, const struct entry *entry, struct object_location *out,
                     struct err *err)
{
    AUTO(iceberg_metadata) struct iceberg_metadata *m = NULL;
    struct iceberg_table *t = table_of(d);
    int rc = iceberg_table_metadata(t, &m, err);
    if (rc < 0)
        return rc;
    struct iceberg_root root = iceberg_table_root(t, m);
    buf_reset(&out->etag); /* metadata tells none */
    return iceberg_path_locate(&root, entry->raw, &out->store, &out->key, err);
}

static int op_locate_deletes(struct driver *d, const struct entry *entry,
                             int (*emit)(void *arg, const struct object_location *at), void *arg,
                             struct err *err)
{
    struct err e = ERR_INIT;
    int rc = iceberg_locate_deletes(table_of(d), entry, emit, arg, &e);
    return rc < 0 && e.code ? driver_refuse(err, &e) : rc;
}

static int op_log_elsewhere(struct driver *d, struct slice meta,
                            int (*emit)(void *arg, const struct object_location *at), void *arg,
                            struct err *err)
{
    return iceberg_elsewhere_locate(table_of(d), meta, emit, arg, err);
}

static int op_deleted(struct driver *d, const struct entry *entry, struct roaring **out,
                      struct err *err)
{
    struct err e = ERR_INIT;
    int rc = iceberg_deleted(table_of(d), entry, out, &e);
    return rc < 0 ? driver_refuse(err, &e) : 0;
}

static int op_deleted_values(struct driver *d, const struct entry *entry, struct equality **out,
                             struct err *err)
{
    struct err e = ERR_INIT;
    int rc = iceberg_deleted_values(table_of(d), entry, out, &e);
    return rc < 0 ? driver_refuse(err, &e) : 0;
}

static bool op_other_format(const struct entry *entry)
{
    return iceberg_extra_format_of(entry->extra) != ICEBERG_PARQUET;
}

static int op_log_objects(struct driver *d, const struct history *h, size_t position,
                          int (*emit)(void *arg, const char *key), void *arg, struct err *err)
{
    struct err e = ERR_INIT;
    int rc = iceberg_needs(table_of(d), h, position, emit, arg, &e);
    return rc < 0 && e.code ? driver_refuse(err, &e) : rc;
}

static int op_objects(struct driver *d, const struct history *h, const struct object_sink *sink,
                      struct err *err)
{
    struct err e = ERR_INIT;
    int rc = iceberg_objects(table_of(d), h, sink, &e);
    return rc < 0 ? driver_refuse(err, &e) : 0;
}

static int op_describe_history(struct driver *d, const struct history *h, size_t first, bool part,
                               struct buf *out, struct err *err)
{
    AUTO(iceberg_metadata) struct iceberg_metadata *m = NULL;
    int rc = iceberg_table_metadata(table_of(d), &m, err);
    return rc < 0 ? rc : iceberg_describe_history(m, h, first, part, out, err);
}

static int op_describe_refs(struct driver *d, const struct history *h, struct buf *out,
                            struct err *err)
{
    AUTO(iceberg_metadata) struct iceberg_metadata *m = NULL;
    int rc = iceberg_table_metadata(table_of(d), &m, err);
    return rc < 0 ? rc : iceberg_describe_refs(m, h, out, err);
}

static int op_shape(struct slice meta, struct shape **out, struct err *err)
{
    AUTO(iceberg_metadata) struct iceberg_metadata *m = NULL;
    int rc = iceberg_state_parse(meta, &m, NULL, err);
    if (rc < 0)
        return rc;
    const struct iceberg_schema_text *schema = iceberg_metadata_schema(m, m->current_schema_id);
    if (!schema)
        return err_set(err, EUCLEAN, "the meta of a run cannot be read");
    return iceberg_schema_shape(schema->json, iceberg_metadata_property(m, NAME_MAPPING), out, err);
}

/* Specs and schemas of metadata, in an arena. */
static int make_partitions(const struct iceberg_metadata *m, struct arena *arena,
                           struct iceberg_partition **out, struct err *err)
{
    struct iceberg_partition *specs = arena_calloc(arena, m->specs_n + 1, sizeof *specs);
    struct slice *schemas = arena_calloc(arena, m->schemas_n + 1, sizeof *schemas);
    if (!specs || !schemas)
        return arena_failed(arena, "partition specs", err);
    for (size_t i = 0; i < m->schemas_n; i++)
        schemas[i] = m->schemas[i].json;
    struct iceberg_partition_schemas texts = {schemas, m->schemas_n};
    for (size_t i = 0; i < m->specs_n; i++) {
        int rc = iceberg_partition_make(arena, m->specs[i].fields, m->specs[i].n, &texts, &specs[i],
                                        err);
        if (rc < 0)
            return rc;
    }
    *out = specs;
    return 0;
}

static int op_own_shape(struct slice text, struct shape *shape, struct shape **out, struct err *err)
{
    AUTO(arena) struct arena arena;
    struct iceberg_extra extra;
    arena_init(&arena, 4 * ACTION_BYTES_MAX);
    int rc = iceberg_extra_parse(text, &arena, &extra, err);
    return rc < 0 ? rc : iceberg_partition_own_shape(extra.constants, shape, out, err);
}

static int op_partitions(struct slice meta, struct shape **out, struct err *err)
{
    AUTO(iceberg_metadata) struct iceberg_metadata *m = NULL;
    AUTO(arena) struct arena arena = {0};
    struct iceberg_partition *specs = NULL;
    arena_init(&arena, SHAPE_MEMORY_MAX);
    int rc = iceberg_state_parse(meta, &m, NULL, err);
    if (rc == 0)
        rc = make_partitions(m, &arena, &specs, err);
    return rc < 0 ? rc : iceberg_partition_shape(specs, m->specs_n, out, err);
}

const struct driver_ops iceberg_ops = {
    .format = "iceberg",
    .marker = "metadata",
    .marker_inside = ICEBERG_METADATA_ENDING,
    .open = op_open,
    .close = op_close,
    .history = op_history,
    .load = op_load,
    .range = op_range,
    .locate = op_locate,
    .log_objects = op_log_objects,
    .log_elsewhere = op_log_elsewhere,
    .locate_deletes = op_locate_deletes,
    .describe_history = op_describe_history,
    .objects = op_objects,
    .describe_schema = iceberg_describe_schema,
    .describe_refs = op_describe_refs,
    .describe_properties = iceberg_describe_properties,
    .shape = op_shape,
    .partitions = op_partitions,
    .former = iceberg_state_former,
    .deleted = op_deleted,
    .deleted_values = op_deleted_values,
    .other_format = op_other_format,
    .own_shape = op_own_shape,
};
