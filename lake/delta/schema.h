/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns that a metaData action names (PROTOCOL.md, "Schema Serialization Format", "Column
 * Mapping"): those of partitions, which paths say, and the shape of what files present.
 *
 *   mode   a file's column is found by            partition values and Parquet columns are called
 *   none   its name                               as the table calls them
 *   name   delta.columnMapping.physicalName       by their physical names
 *   id     delta.columnMapping.id, the field id   by their physical names
 *
 * `void` columns have no values and are in no file: Spark's reader leaves them out, and so does the
 * shape. Pure; not thread-safe.
 */
#ifndef LAKE_DELTA_SCHEMA_H
#define LAKE_DELTA_SCHEMA_H

#include "lake/delta/action.h"
#include "lake/format/shape.h"

enum delta_mapping { DELTA_MAPPING_NONE, DELTA_MAPPING_NAME, DELTA_MAPPING_ID };

struct delta_column {
    struct slice name;
    bool loose;            /* the text of its values is open to debate: timestamps, decimals, ... */
    struct slice physical; /* by which add.partitionValues has it; empty: by its name */
};

/* A table's partition columns, in order. Borrowed. */
struct delta_columns {
    struct delta_column *at;
    size_t n;
};

bool delta_columns_equal(const struct delta_columns *a, const struct delta_columns *b);

/*
 * How columns are found. The table's property counts where the protocol (NULL: not known yet) has
 * the feature. -EOPNOTSUPP for a mode that is not known.
 */
int delta_schema_mapping(const struct delta_metadata *metadata,
                         const struct delta_protocol *protocol, enum delta_mapping *out,
                         struct err *err);

/* The partition columns, in the arena; texts may be the metadata's. -EIO where the schema is
 * damaged; -ENOMEM. */
int delta_schema_columns(struct arena *arena, const struct delta_metadata *metadata,
                         enum delta_mapping mapping, struct delta_columns *out, struct err *err);

/*
 * The shape of the other columns: a reference; NULL where the metadata tells no schema. -EIO where
 * it is damaged, -EOPNOTSUPP for a type that is not known, -EOVERFLOW over a limit, -ENOMEM.
 */
int delta_schema_shape(const struct delta_metadata *metadata, enum delta_mapping mapping,
                       struct shape **out, struct err *err);

/* The shape of the partition columns, flat, in their order; NULL where there are none. Errors
 * likewise; -EIO also where the schema lacks one of them. */
int delta_schema_partitions(const struct delta_metadata *metadata, enum delta_mapping mapping,
                            struct shape **out, struct err *err);

/* The same of files of change data, which have a column more that tells of the change. */
int delta_schema_shape_of_changes(const struct delta_metadata *metadata, enum delta_mapping mapping,
                                  struct shape **out, struct err *err);

/*
 * Columns of which writers count nulls in every file that has them, in the arena: those of the
 * first DELTA_COUNTED_MAX leaves that are no part of another one; `all`: the columns that these
 * leaves are in, of any type, as Spark counts. None where the table's properties choose them, or
 * the schema cannot be read.
 */
void delta_schema_counted(struct arena *arena, const struct delta_metadata *metadata, bool all,
                          struct delta_list *out);

/*
 * A file may lack columns, or fields of them, and the nulls that Spark counts do not tell: of lists
 * and maps of structs it counts none of the fields, and of some columns none where the table's
 * properties choose them.
 */
bool delta_schema_hides_gaps(const struct delta_metadata *metadata);

/*
 * Of all that says how files are presented and placed: two metaData with the same one have the same
 * columns. Texts that are no columns (comments, defaults, properties) are not in it.
 */
uint64_t delta_schema_hash(const struct delta_metadata *metadata, enum delta_mapping mapping);

#endif
