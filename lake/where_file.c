/* SPDX-License-Identifier: Apache-2.0 */
/* Files of snapshots: what they show of their objects, and which number that has. */
#include "base/hash.h"
#include "lake/format/shape.h"
#include "lake/where_private.h"

bool where_object_is_whole(struct lake *lake, const struct object_name *name)
{
    return name->size <= BLOCK_BYTES ||
           (lake->config.cache && cache_has_sealed(lake->config.cache, name));
}

struct where_file where_file_of(struct table *table, const struct table_version *version,
                                const struct snapshot_node *node, const struct entry *entry)
{
    struct snapshot *s = version->snapshot;
    return (struct where_file){.table = table,
                               .run = node->in_patch ? snapshot_patch(s) : snapshot_base(s),
                               .run_number =
                                   node->in_patch ? version->patch_number : version->base_number,
                               .ordinal = node->ordinal,
                               .entry = entry};
}

bool where_is_as_stored(const struct table *table, const struct entry *entry)
{
    return entry->flags & ENTRY_AS_STORED || !table_ops(table)->shape;
}

bool where_is_other_format(const struct table *table, const struct entry *entry)
{
    const struct driver_ops *ops = table_ops(table);
    return ops->other_format && ops->other_format(entry);
}

/* Of object and deleted rows; `shape` NULL: the columns are as stored. */
static uint64_t identity_of(const struct table *table, const struct entry *entry,
                            const struct shape *shape)
{
    uint64_t hash = hash64(hash64(entry->size, table_id(table)), entry->raw);
    /* The version by which it is read is not what it is: one object has one number at all times. */
    ptrdiff_t end = slice_find(entry->extra, '\n');
    hash = hash64(hash, slice_make(entry->extra.p, end < 0 ? entry->extra.n : (size_t)end));
    if (!where_is_as_stored(table, entry)) {
        uint64_t columns = shape ? shape->hash : 0;
        hash = hash64(hash, slice_make(&columns, sizeof columns));
    }
    return hash > 2 ? hash : hash + 2; /* 1 is the mount's root, and 0 hides a name from readdir */
}

static int shape_of(const struct where_file *f, struct shape **out, struct err *err)
{
    struct err e = ERR_INIT;
    *out = NULL;
    if (where_is_as_stored(f->table, f->entry))
        return 0;
    int rc = lake_run_shape(table_lake(f->table), f->table, f->run, f->run_number, out, &e);
    /* Where the columns cannot be read, whoever opens it is told why. */
    return rc == 0 || rc == -EOPNOTSUPP || rc == -EIO ? 0 : err_copy(err, &e);
}

int where_identity(const struct where_file *f, uint64_t *out, struct err *err)
{
    AUTO(shape) struct shape *shape = NULL;
    int rc = shape_of(f, &shape, err);
    if (rc == 0)
        *out = identity_of(f->table, f->entry, shape);
    return rc;
}

/* Where its object cannot be told: whoever opens it is told why. */
static bool file_is_whole(const struct table *table, const struct entry *entry)
{
    struct lake *lake = table_lake(table);
    AUTO(object_location) struct object_location where;
    bool whole = true;
    object_location_init(&where);
    size_t others_n;
    (void)table_others(table, &others_n);
    bool elsewhere = others_n > 0; /* it may be */
    if (entry->size <= BLOCK_BYTES || (object_open_blocks(table_store(table)) && !elsewhere))
        return true;
    if (table_ops(table)->locate(table_driver(table), entry, &where, NULL) == 0) {
        struct object_name name = {.store = where.store ? where.store : table_store(table),
                                   .key = buf_slice(&where.key),
                                   .size = entry->size,
                                   .etag = buf_slice(&where.etag)};
        whole = object_open_blocks(name.store) || where_object_is_whole(lake, &name);
    }
    return whole;
}

/* What is made of a file that may not be shown as it is stored. */
static int set_object(struct where *out, const struct where_file *f, struct err *err)
{
    AUTO(object_location) struct object_location at;
    const struct entry *entry = f->entry;
    object_location_init(&at);
    out->deletes = entry->flags & ENTRY_DELETES;
    out->other_format = where_is_other_format(f->table, entry);
    buf_add_slice(&out->extra, entry->extra);
    /* Where it must not be read: whoever opens it is told why. */
    if (table_ops(f->table)->locate(table_driver(f->table), entry, &at, NULL) == 0) {
        out->home = at.store;
        buf_add_slice(&out->key, buf_slice(&at.key));
        buf_add_slice(&out->etag, buf_slice(&at.etag));
    }
    return buf_check(&out->extra, err);
}

static int set_presented(struct where *out, const struct where_file *f, struct err *err)
{
    bool narrows = table_lake(f->table)->config.narrows;
    out->presented = !where_is_as_stored(f->table, f->entry);
    out->built = f->entry->flags & ENTRY_BUILT;
    out->added = f->entry->version;
    if (narrows)
        buf_add_slice(&out->shown_path, f->entry->path);
    int rc = buf_check(&out->shown_path, err);
    if (rc == 0 && (out->presented || narrows))
        rc = set_object(out, f, err);
    return rc < 0 || !out->presented ? rc : shape_of(f, &out->shape, err);
}

int where_set_file(struct where *out, const struct where_file *f, struct err *err)
{
    const struct entry *entry = f->entry;
    out->kind = WHERE_FILE;
    out->table = f->table;
    out->run_number = f->run_number;
    out->ordinal = f->ordinal;
    out->size = entry->size;
    out->mtime_ms = entry->mtime_ms;
    int rc = set_presented(out, f, err);
    if (rc < 0)
        return rc;
    if (!out->presented)
        out->whole = file_is_whole(f->table, entry);
    out->identity = identity_of(f->table, entry, out->shape);
    return 0;
}
