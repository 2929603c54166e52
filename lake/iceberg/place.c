/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/place.h"

#include <stdlib.h>

#include "base/limits.h"

/* Memory of a table's partition specs, and of one manifest's partitions. */
#define SPECS_BYTES_MAX (64 * MIB)
/* Of `as_stored`: sets of columns times formats. */
#define FORMATS 4

/* Specs --------------------------------------------------------------------------------------- */

static int make_spec(struct iceberg_place *p, const struct iceberg_spec *from,
                     const struct iceberg_partition_schemas *schemas, struct iceberg_place_spec *to,
                     struct err *err)
{
    int rc = iceberg_partition_make(&p->arena, from->fields, from->n, schemas, &to->partition, err);
    to->id = from->id;
    to->unpartitioned = true;
    to->identity = arena_calloc(&p->arena, from->n + 1, sizeof to->identity[0]);
    if (rc == 0 && !to->identity)
        rc = arena_failed(&p->arena, "partition specs", err);
    for (size_t i = 0; rc == 0 && i < to->partition.n; i++) {
        const struct iceberg_partition_column *c = &to->partition.at[i];
        to->unpartitioned = to->unpartitioned && c->transform == ICEBERG_VOID;
        if (c->transform == ICEBERG_IDENTITY)
            to->identity[to->identity_n++] = c->source_id;
    }
    return rc;
}

static int make_specs(struct iceberg_place *p, struct err *err)
{
    const struct iceberg_metadata *m = p->view->metadata;
    struct slice *schemas = arena_calloc(&p->arena, m->schemas_n + 1, sizeof schemas[0]);
    p->specs = arena_calloc(&p->arena, m->specs_n + 1, sizeof p->specs[0]);
    if (!schemas || !p->specs)
        return arena_failed(&p->arena, "partition specs", err);
    schemas[0] = p->stored.schema->json;
    for (size_t i = 0; i < m->schemas_n; i++) /* the newest first */
        schemas[i + 1] = m->schemas[m->schemas_n - 1 - i].json;
    struct iceberg_partition_schemas texts = {schemas, m->schemas_n + 1};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < m->specs_n; i++)
        rc = make_spec(p, &m->specs[i], &texts, &p->specs[i], err);
    p->specs_n = m->specs_n;
    return rc;
}

/* Since when files are shown with these columns: the first snapshot of that schema. */
static int64_t columns_since(const struct iceberg_metadata *m, int32_t schema)
{
    if (m->schemas_n == 1)
        return INT64_MIN;
    for (size_t i = 0; i < m->snapshots_n; i++)
        if (m->snapshots[i].schema_id == schema)
            return m->snapshots[i].timestamp_ms;
    return m->last_updated_ms;
}

int iceberg_place_init(struct iceberg_place *p, const struct iceberg_view *view, int32_t schema,
                       struct err *err)
{
    *p = (struct iceberg_place){.view = view,
                                .tuples.max = ICEBERG_TUPLES_MAX,
                                .as_stored.max = FORMATS * ICEBERG_TUPLES_MAX};
    p->columns_since_ms = columns_since(view->metadata, schema);
    p->added_id = ICEBERG_NONE;
    arena_init(&p->arena, SPECS_BYTES_MAX);
    arena_init(&p->manifest_arena, ICEBERG_MANIFEST_MEMORY_MAX);
    buf_init(&p->inside, ACTION_BYTES_MAX);
    buf_init(&p->path, ACTION_BYTES_MAX);
    buf_init(&p->extra, ACTION_BYTES_MAX);
    int rc = iceberg_stored_init(&p->stored, view->metadata, schema, err);
    return rc < 0 ? rc : make_specs(p, err);
}

void iceberg_place_done(struct iceberg_place *p)
{
    iceberg_stored_done(&p->stored);
    iceberg_found_done(&p->found);
    arena_done(&p->arena);
    arena_done(&p->manifest_arena);
    vec_done(&p->tuples);
    vec_done(&p->as_stored);
    buf_done(&p->inside);
    buf_done(&p->path);
    buf_done(&p->extra);
}

int iceberg_place_manifest(struct iceberg_place *p, const struct iceberg_manifest *manifest,
                           const struct iceberg_manifest_head *head, struct err *err)
{
    int32_t id = manifest->spec_id != ICEBERG_NONE ? manifest->spec_id : head->spec_id;
    arena_reset(&p->manifest_arena);
    p->tuples.n = p->as_stored.n = 0;
    p->has_extra = false;
    p->spec = NULL;
    for (size_t i = 0; i < p->specs_n; i++)
        if (p->specs[i].id == id || (id == ICEBERG_NONE && p->specs_n == 1))
            p->spec = &p->specs[i];
    return p->spec ? 0
                   : err_set(err, EIO,
                             "manifest '%.*s' has the partition spec %d, which the table "
                             "has not",
                             (int)(manifest->path.n < 300 ? manifest->path.n : 300),
                             manifest->path.p, (int)id);
}

/* Tuples -------------------------------------------------------------------------------------- */

/* The value of a column of the spec: by the field's id, or by its name where there are no ids. */
static struct iceberg_value value_of(const struct iceberg_partition_column *c,
                                     const struct iceberg_decoded_tuple *tuple)
{
    for (size_t i = 0; i < tuple->n; i++) {
        const struct iceberg_tuple_value *v = &tuple->values[i];
        if (v->field_id >= 0 ? v->field_id == c->field_id : slice_eq(v->name, c->name))
            return v->value;
    }
    return (struct iceberg_value){.kind = ICEBERG_NULL};
}

/* Without the bytes that only make it longer: a decimal's precision may have grown. */
static struct slice short_decimal(struct slice s)
{
    while (s.n > 1 && ((s.p[0] == 0 && !(s.p[1] & 0x80)) ||
                       ((unsigned char)s.p[0] == 0xff && (s.p[1] & 0x80))))
        s = slice_from(s, 1);
    return s;
}

/* Bytes that tell a partition from all others: its spec and tuple. */
static void add_key(struct buf *out, const struct iceberg_place_spec *spec,
                    const struct iceberg_value *values)
{
    buf_add_le64(out, (uint64_t)spec->id);
    for (size_t i = 0; i < spec->partition.n; i++) {
        struct slice bytes = values[i].bytes;
        if (spec->partition.at[i].source.type == SHAPE_DECIMAL)
            bytes = short_decimal(bytes);
        buf_add_char(out, (char)values[i].kind);
        switch (values[i].kind) {
        case ICEBERG_NULL:
            break;
        case ICEBERG_NUMBER:
            buf_add_le64(out, (uint64_t)values[i].number);
            break;
        case ICEBERG_REAL:
            buf_add(out, &values[i].real, sizeof values[i].real);
            break;
        case ICEBERG_BYTES:
            buf_add_varint(out, bytes.n);
            buf_add_slice(out, bytes);
            break;
        }
    }
}

/* `to`: where its partition is numbered; NULL: it is found among the deletes'. */
static int make_tuple(struct iceberg_place *p, const struct iceberg_decoded_tuple *from,
                      struct iceberg_deletes *to, struct iceberg_place_tuple *out, struct err *err)
{
    const struct iceberg_partition *partition = &p->spec->partition;
    struct iceberg_value *values =
        arena_calloc(&p->manifest_arena, partition->n + 1, sizeof values[0]);
    if (!values)
        return arena_failed(&p->manifest_arena, "a manifest's partitions", err);
    for (size_t i = 0; i < partition->n; i++)
        values[i] = value_of(&partition->at[i], from);
    *out = (struct iceberg_place_tuple){.values = values, .partition = ICEBERG_NO_PARTITION};
    buf_reset(&p->path);
    iceberg_partition_constants(partition, values, &p->path);
    int rc = buf_check(&p->path, err);
    if (rc < 0)
        return rc;
    out->constants = arena_slice(&p->manifest_arena, buf_slice(&p->path));
    if (!out->constants.p)
        return arena_failed(&p->manifest_arena, "a manifest's partitions", err);
    buf_reset(&p->path);
    add_key(&p->path, p->spec, values);
    rc = buf_check(&p->path, err);
    if (rc == 0 && to)
        rc = iceberg_deletes_partition(to, buf_slice(&p->path), &out->partition, err);
    else if (rc == 0 && p->deletes)
        out->partition = iceberg_deletes_partition_find(p->deletes, buf_slice(&p->path));
    return rc;
}

static int find_tuple(struct iceberg_place *p, const struct iceberg_decoded *decoded,
                      uint32_t number, struct iceberg_deletes *to, struct iceberg_place_tuple **out,
                      struct err *err)
{
    while (p->tuples.n <= number) {
        struct iceberg_place_tuple tuple;
        int rc = make_tuple(p, &decoded->tuples.at[p->tuples.n], to, &tuple, err);
        if (rc < 0)
            return rc;
        rc = vec_push(&p->tuples, tuple);
        if (rc < 0)
            return err_set(err, -rc, "no room for a manifest's partitions");
    }
    *out = &p->tuples.at[number];
    return 0;
}

int iceberg_place_partition(struct iceberg_place *p, const struct iceberg_decoded *decoded,
                            const struct iceberg_entry *file, struct iceberg_deletes *to,
                            uint32_t *partition, struct err *err)
{
    struct iceberg_place_tuple *tuple;
    int rc = find_tuple(p, decoded, file->tuple, to, &tuple, err);
    if (rc < 0)
        return rc;
    *partition = tuple->partition;
    return 0;
}

/* Files --------------------------------------------------------------------------------------- */

/* When a snapshot was made. Of one that has expired: not after the first that is known and can have
 * its file. */
static int64_t time_of(const struct iceberg_metadata *m, int64_t id, int64_t sequence)
{
    const struct iceberg_snapshot *s = iceberg_metadata_snapshot(m, id);
    if (s)
        return s->timestamp_ms;
    for (size_t i = 0; i < m->snapshots_n; i++)
        if (m->snapshots[i].sequence >= sequence)
            return m->snapshots[i].timestamp_ms;
    return m->last_updated_ms;
}

int64_t iceberg_place_time(struct iceberg_place *p, const struct iceberg_entry *file)
{
    if (p->added_id != file->snapshot || p->added_sequence != file->sequence) {
        p->added_ms = time_of(p->view->metadata, file->snapshot, file->sequence);
        p->added_id = file->snapshot;
        p->added_sequence = file->sequence;
    }
    return p->added_ms;
}

/* Do all files with this set of columns have those that are shown? */
static int columns_fit(struct iceberg_place *p, const struct iceberg_decoded *decoded,
                       const struct iceberg_entry *file, bool *out, struct err *err)
{
    size_t at = (size_t)file->columns * FORMATS + file->format;
    while (p->as_stored.n <= at) {
        int rc = vec_push(&p->as_stored, (signed char)0);
        if (rc < 0)
            return err_set(err, -rc, "no room for a manifest's sets of columns");
    }
    if (!p->as_stored.at[at])
        p->as_stored.at[at] =
            iceberg_stored_columns(&p->stored, &decoded->columns.at[file->columns], file->format,
                                   p->spec->identity, p->spec->identity_n)
                ? 1
                : -1;
    *out = p->as_stored.at[at] > 0;
    return 0;
}

static int is_as_stored(struct iceberg_place *p, const struct iceberg_decoded *decoded,
                        const struct iceberg_entry *file, bool *out, struct err *err)
{
    *out = false;
    return iceberg_stored_proven(&p->stored, file->format) ? columns_fit(p, decoded, file, out, err)
                                                           : 0;
}

/* A path that may be shown as it is: each component is a name. */
static bool is_tree_path(struct slice path)
{
    for (;;) {
        ptrdiff_t slash = slice_find(path, '/');
        struct slice name = {path.p, slash < 0 ? path.n : (size_t)slash};
        if (!name.n || name.n > NAME_BYTES_MAX || slice_is(name, ".") || slice_is(name, ".."))
            return false;
        if (slash < 0)
            return true;
        path = slice_from(path, name.n + 1);
    }
}

/* A file beside one whose path is kept as it is, by its own name. */
static bool is_beside_kept(const struct iceberg_place_tuple *tuple, struct slice path)
{
    if (!tuple->kept_dir.p || !slice_starts(path, tuple->kept_dir) || path.n > KEY_BYTES_MAX)
        return false;
    struct slice name = slice_from(path, tuple->kept_dir.n);
    return name.n && name.n <= NAME_BYTES_MAX && name.p[0] != '_' && name.p[0] != '.' &&
           slice_find(name, '/') < 0;
}

/* Whether the path within the table is the one that is shown. */
static int keeps_path(struct iceberg_place *p, struct iceberg_place_tuple *tuple, struct slice path,
                      bool *keeps, struct err *err)
{
    if (is_beside_kept(tuple, path)) {
        *keeps = true;
        return 0;
    }
    if (!is_tree_path(path) || path.n > KEY_BYTES_MAX)
        return 0;
    int rc = iceberg_partition_keeps(&p->spec->partition, tuple->values, path, keeps, err);
    if (rc < 0 || !*keeps || tuple->kept_dir.p)
        return rc;
    struct slice dir = {path.p, (size_t)(slice_rfind(path, '/') + 1)};
    tuple->kept_dir = arena_slice(&p->manifest_arena, dir);
    return tuple->kept_dir.p ? 0 : arena_failed(&p->manifest_arena, "a manifest's partitions", err);
}

static int place(struct iceberg_place *p, const struct iceberg_entry *file,
                 struct iceberg_place_tuple *tuple, struct entry *e, struct err *err)
{
    const struct iceberg_partition *partition = &p->spec->partition;
    bool keeps = false;
    int rc = 0;
    if (iceberg_path_inside(&p->view->root, file->path, &p->inside, &e->path))
        rc = keeps_path(p, tuple, e->path, &keeps, err);
    if (rc == 0 && p->inside.failed)
        rc = buf_check(&p->inside, err);
    if (rc < 0 || keeps)
        return rc;
    buf_reset(&p->path);
    rc = iceberg_partition_build(partition, tuple->values, file->path, &p->path, err);
    if (rc == 0)
        rc = buf_check(&p->path, err);
    e->path = buf_slice(&p->path);
    e->flags |= ENTRY_BUILT;
    return rc;
}

/* What a file that is not as stored tells: mostly the same as its neighbour. */
static int set_extra(struct iceberg_place *p, const struct iceberg_entry *file,
                     const struct iceberg_place_tuple *tuple, struct entry *e, struct err *err)
{
    const struct iceberg_extra extra = {.format = file->format,
                                        .constants = tuple->constants,
                                        .deletes = p->found.at,
                                        .deletes_n = p->deletes ? p->found.n : 0};
    bool same = p->has_extra && p->extra_tuple == file->tuple && p->extra_format == file->format &&
                p->extra_find == p->finds;
    int rc = 0;
    if (!same) {
        buf_reset(&p->extra);
        rc = iceberg_extra_format(&extra, &p->extra, err);
    }
    p->has_extra = rc == 0;
    p->extra_tuple = file->tuple;
    p->extra_format = file->format;
    p->extra_find = p->finds;
    e->extra = buf_slice(&p->extra);
    return rc;
}

static int find_deletes(struct iceberg_place *p, const struct iceberg_entry *file,
                        const struct iceberg_place_tuple *tuple, struct err *err)
{
    if (!p->deletes)
        return 0;
    int rc = iceberg_deletes_find(p->deletes, file, tuple->partition, &p->found, err);
    p->finds += !p->found.same;
    return rc;
}

int iceberg_place_file(struct iceberg_place *p, const struct iceberg_decoded *decoded,
                       const struct iceberg_entry *file, struct entry *out, struct err *err)
{
    struct iceberg_place_tuple *tuple;
    bool as_stored = false;
    *out = (struct entry){.raw = file->path,
                          .size = file->size,
                          .version = file->snapshot,
                          .mtime_ms = iceberg_place_time(p, file)};
    int rc = find_tuple(p, decoded, file->tuple, NULL, &tuple, err);
    if (rc == 0)
        rc = place(p, file, tuple, out, err);
    if (rc == 0)
        rc = find_deletes(p, file, tuple, err);
    bool deletes = p->deletes && p->found.n;
    if (rc == 0 && !deletes)
        rc = is_as_stored(p, decoded, file, &as_stored, err);
    if (rc < 0)
        return rc;
    if (as_stored) {
        out->flags |= ENTRY_AS_STORED;
        /* who narrows it has to know what it is */
        return file->format == ICEBERG_PARQUET ? 0 : set_extra(p, file, tuple, out, err);
    }
    if (deletes) {
        out->flags |= ENTRY_DELETES;
        out->mtime_ms = p->found.time_ms > out->mtime_ms ? p->found.time_ms : out->mtime_ms;
    }
    out->mtime_ms = p->columns_since_ms > out->mtime_ms ? p->columns_since_ms : out->mtime_ms;
    return set_extra(p, file, tuple, out, err);
}

int iceberg_place_touched(struct iceberg_place *p, const struct iceberg_decoded *decoded,
                          const struct iceberg_entry *file, bool *out, struct err *err)
{
    struct iceberg_place_tuple *tuple;
    int rc = find_tuple(p, decoded, file->tuple, NULL, &tuple, err);
    if (rc == 0)
        rc = find_deletes(p, file, tuple, err);
    *out = p->deletes && p->found.n;
    return rc;
}

int iceberg_place_values(struct iceberg_place *p, const struct iceberg_decoded *decoded,
                         const struct iceberg_entry *file, const struct iceberg_value **out,
                         struct err *err)
{
    struct iceberg_place_tuple *tuple;
    int rc = find_tuple(p, decoded, file->tuple, NULL, &tuple, err);
    if (rc == 0)
        *out = tuple->values;
    return rc;
}
