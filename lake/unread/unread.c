/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/unread/unread.h"

static int refuse(struct driver *d, struct err *err)
{
    return err_set(err, EOPNOTSUPP, "tables of the format %s are not read yet", d->ops->format);
}

static int open_as(const struct driver_ops *ops, struct driver **out, struct err *err)
{
    struct driver *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(err, ENOMEM, "out of memory");
    d->ops = ops;
    *out = d;
    return 0;
}

static int open_hudi(const struct driver_config *config, struct driver **out, struct err *err)
{
    (void)config;
    return open_as(&unread_hudi_ops, out, err);
}

static void unread_close(struct driver *d)
{
    free(d);
}

static int unread_history(struct driver *d, struct history *previous, struct history **out,
                          struct err *err)
{
    (void)previous;
    (void)out;
    return refuse(d, err);
}

static int unread_load(struct driver *d, const struct history *h, size_t position,
                       struct snapshot **out, struct err *err)
{
    (void)h;
    (void)position;
    (void)out;
    return refuse(d, err);
}

static int unread_locate(struct driver *d, const struct entry *entry, struct object_location *out,
                         struct err *err)
{
    (void)entry;
    (void)out;
    return refuse(d, err);
}

static int unread_describe_history(struct driver *d, const struct history *h, size_t first,
                                   bool part, struct buf *out, struct err *err)
{
    (void)part;
    (void)first;
    (void)h;
    (void)out;
    return refuse(d, err);
}

static int unread_describe_schema(struct slice meta, const struct shape *shown, struct buf *out,
                                  struct err *err)
{
    (void)shown;
    (void)meta;
    (void)out;
    return err_set(err, EOPNOTSUPP, "this format is not read yet");
}

const struct driver_ops unread_hudi_ops = {
    .format = "hudi",
    .marker = ".hoodie",
    .open = open_hudi,
    .close = unread_close,
    .history = unread_history,
    .load = unread_load,
    .locate = unread_locate,
    .describe_history = unread_describe_history,
    .describe_schema = unread_describe_schema,
};
