/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/delta.h"

#include <stdlib.h>

#include "lake/delta/describe.h"
#include "lake/delta/history.h"
#include "lake/delta/load.h"

struct delta_driver {
    struct driver driver;
    struct delta_table table; /* immutable after open */
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
        .root = {slice_of(config->store->home), slice_of(config->prefix)},
        .dirfd = config->index_dirfd,
    };
    *out = &d->driver;
    return 0;
}

static void op_close(struct driver *d)
{
    free(CONTAINER_OF(d, struct delta_driver, driver));
}

static int op_history(struct driver *d, struct history *previous, struct history **out,
                      struct err *err)
{
    return delta_history(table_of(d), previous, out, err);
}

static int op_load(struct driver *d, const struct history *h, size_t position,
                   struct snapshot **out, struct err *err)
{
    return delta_load(table_of(d), h, position, out, err);
}

static int op_locate(struct driver *d, const struct entry *entry, struct object_location *out,
                     struct err *err)
{
    buf_reset(&out->etag); /* a log tells none */
    return delta_path_locate(&table_of(d)->root, entry->raw, &out->key, err);
}

static int op_describe_history(struct driver *d, const struct history *h, struct buf *out,
                               struct err *err)
{
    return delta_describe_history(table_of(d), h, out, err);
}

const struct driver_ops delta_ops = {
    .format = "delta",
    .marker = "_delta_log",
    .digits17_is_time = true,
    .open = op_open,
    .close = op_close,
    .history = op_history,
    .load = op_load,
    .locate = op_locate,
    .describe_history = op_describe_history,
    .describe_schema = delta_describe_schema,
};
