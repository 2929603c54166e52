/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/stored.h"

#include <stdlib.h>

#include "lake/iceberg/schema.h"

/* Java's writers tell of so many columns where nothing else is set. */
#define DEFAULT_METRICS 100

/* Nothing was there before it, nor in between: tables begin with schema 0, and only v1 had schemas
 * without ids. */
static bool is_first_schema(const struct iceberg_metadata *m)
{
    const struct iceberg_schema_text *s = &m->schemas[0];
    for (size_t i = 0; i < m->snapshots_n; i++) /* of one that was cleaned up since */
        if (m->snapshots[i].schema_id != ICEBERG_NONE && m->snapshots[i].schema_id != s->id)
            return false;
    return m->schemas_n == 1 && s->id == 0 &&
           (m->format_version > 1 || memmem(s->json.p, s->json.n, "\"schema-id\"", 11));
}

static bool limits_metrics(const struct iceberg_metadata *m)
{
    for (size_t i = 0; i < m->properties_n; i++)
        if (slice_starts(m->properties[i].name, SLICE_LIT("write.metadata.metrics.")))
            return true;
    return false;
}

static bool has_id(const int32_t *ids, size_t n, int32_t id)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && ids[low] == id;
}

/* Every one of `some` is one of `all`. */
static bool has_ids(const int32_t *all, size_t n, const int32_t *some, size_t some_n)
{
    for (size_t i = 0; i < some_n; i++)
        if (!has_id(all, n, some[i]))
            return false;
    return true;
}

/*
 * No schema has the leaves of the one that is shown, but other columns or more of them: a writer
 * need not tell of each leaf that a file has. All schemas that were are there.
 */
static int find_alone(struct iceberg_stored *s, struct err *err)
{
    const struct iceberg_metadata *m = s->metadata;
    bool alone = s->shape && (m->format_version > 1 || m->schemas_n > 1);
    int rc = 0;
    for (size_t i = 0; rc == 0 && alone && i < m->schemas_n; i++) {
        AUTO(shape) struct shape *shape = NULL;
        AUTO_FREE int32_t *leaves = NULL;
        struct err e = ERR_INIT;
        size_t n = 0;
        rc = iceberg_schema_shape(m->schemas[i].json, SLICE_NONE, &shape, &e);
        if (rc == 0)
            rc = iceberg_leaf_ids(shape, &leaves, &n, &e);
        alone =
            rc == 0 && m->schemas[i].id == (int32_t)i &&
            (!has_ids(leaves, n, s->leaves, s->leaves_n) || iceberg_schema_same(s->shape, shape));
        rc = rc == -EOPNOTSUPP || rc == -EIO ? 0 : rc < 0 ? err_copy(err, &e) : 0;
    }
    s->alone = rc == 0 && alone;
    return rc;
}

int iceberg_stored_init(struct iceberg_stored *s, const struct iceberg_metadata *m, int32_t schema,
                        struct err *err)
{
    struct err e = ERR_INIT;
    struct slice mapping = iceberg_metadata_property(m, "schema.name-mapping.default");
    *s = (struct iceberg_stored){
        .metadata = m,
        .schema = iceberg_metadata_schema(m, schema),
        .one_schema = is_first_schema(m),
    };
    if (!s->schema)
        return err_set(err, EIO, "%.*s has no schema %d", SLICE_FMT(m->name), (int)schema);
    int rc = iceberg_schema_shape(s->schema->json, mapping, &s->shape, &e);
    if (rc == 0)
        rc = iceberg_leaf_ids(s->shape, &s->leaves, &s->leaves_n, &e);
    if (rc < 0 && rc != -EOPNOTSUPP && rc != -EIO)
        return err_copy(err, &e);
    s->limited = s->leaves_n > DEFAULT_METRICS || limits_metrics(m);
    s->never = mapping.n || (s->shape && !iceberg_schema_as_written(s->shape));
    return find_alone(s, err);
}

void iceberg_stored_done(struct iceberg_stored *s)
{
    if (s->shape)
        shape_unref(s->shape);
    s->shape = NULL;
    free(s->leaves);
    s->leaves = NULL;
}

bool iceberg_stored_columns(const struct iceberg_stored *s, const struct iceberg_columns *columns,
                            enum iceberg_format format, const int32_t *identity, size_t identity_n)
{
    if (s->never)
        return false;
    if (!s->shape) /* the table has always had the columns that it has */
        return s->one_schema && has_ids(columns->ids, columns->n, identity, identity_n);
    if (!columns->n) /* Avro files have no such sizes, some writers tell none */
        return format != ICEBERG_PARQUET || (s->one_schema && !identity_n);
    if (has_ids(columns->ids, columns->n, s->leaves, s->leaves_n))
        /* ORC tells of groups as well. */
        return format != ICEBERG_PARQUET || columns->n == s->leaves_n;
    return s->one_schema && s->limited &&
           has_ids(s->leaves, s->leaves_n, columns->ids, columns->n) &&
           has_ids(columns->ids, columns->n, identity, identity_n);
}

bool iceberg_stored_proven(const struct iceberg_stored *s, enum iceberg_format format)
{
    return s->one_schema || (s->alone && format == ICEBERG_PARQUET);
}
