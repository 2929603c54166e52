/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns that a schema of table metadata names (Iceberg specification, "Schemas and Data
 * Types", "Column Projection"; appendix C, "Schemas"), as the shape of what files present.
 *
 *   field id        finds a column in files, whatever they call it; also of elements, keys, values
 *   initial-default what files from before the column have of it (default.h)
 *   name mapping    finds columns in files without ids (name_mapping.h); without one, such files
 *                   are refused when they are opened; in one whose ids contradict the schema the
 *                   columns' own names count
 *   partitions      a column that a file lacks may have its partition's value (partition.h)
 *
 * Row lineage (`_row_id`, `_last_updated_sequence_number`) and other columns with reserved ids are
 * in files only: no schema names them, so they are not presented. Pure; any thread.
 */
#ifndef LAKE_ICEBERG_SCHEMA_H
#define LAKE_ICEBERG_SCHEMA_H

#include "lake/format/shape.h"

/* Ids from here on are metadata columns' ("Reserved Field IDs"). */
#define ICEBERG_RESERVED_ID (INT32_MAX - 200)

/*
 * The shape of a schema, given as JSON text: a reference. `mapping`: the JSON text of the property
 * `schema.name-mapping.default`; empty: there is none. -EIO damaged, -EOPNOTSUPP a type or default
 * that is not known (says which column), -EOVERFLOW over a limit, -ENOMEM.
 */
int iceberg_schema_shape(struct slice json, struct slice mapping, struct shape **out,
                         struct err *err);

/* Files that were written with the columns of `a` have just those of `b`: ids, names, types,
 * order; defaults and what may be null are not looked at. */
bool iceberg_schema_same(const struct shape *a, const struct shape *b);

/*
 * Ids of the leaves, ascending, for free(): those of which files written with this schema have
 * metrics (elements, keys and values among them). -ENOMEM.
 */
int iceberg_leaf_ids(const struct shape *shape, int32_t **ids, size_t *n, struct err *err);

/*
 * A file that has these leaves presents them as it is stored. False where a name is one that
 * writers change in files (Parquet columns of Iceberg have names that Avro permits, `a_x20b` for
 * `a b`), or where a column is stored in no file (unknown).
 */
bool iceberg_schema_as_written(const struct shape *shape);

/*
 * What one field of a schema is, found by its id at any depth, as of a leaf: kind, type, precision,
 * scale and length are set. False where it is not there, is none, or has a type that is not known.
 */
bool iceberg_schema_type(struct slice json, int32_t id, struct shape_field *out);

#endif
