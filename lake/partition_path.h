/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partition values as a table's paths say them: `region=EU/day=2026-03-01/part-0.parquet`.
 *
 * A driver gives a file a path whose directories say its values, in the columns' order (Delta:
 * lake/delta/path.h). Of types whose text is open to debate (timestamps, decimals, floats, binary)
 * a path that the writer chose need not say the value that the metadata has: those are not read
 * from it. Pure; any thread.
 */
#ifndef LAKE_PARTITION_PATH_H
#define LAKE_PARTITION_PATH_H

#include "base/buf.h"
#include "lake/format/shape.h"

/* More partition columns than that no path has room for. */
#define PARTITION_COLUMNS_MAX 64
/* Of no type whose texts are open to debate: a filter that names the column keeps no row. */
#define PARTITION_UNCERTAIN "\x01"

/* What stands for null in a directory's name. */
#define PARTITION_NULL "__HIVE_DEFAULT_PARTITION__"

/* A column of a type whose text is open to debate. */
bool partition_path_is_loose(const struct shape_field *f);

/*
 * A directory's name, percent-decoded, says that the column has this value; without a pointer:
 * null. loose: any text that is not null's does. Where memory ends, it does not say so.
 */
bool partition_path_says(struct slice component, struct slice column, struct slice value,
                         bool loose);

/* Appends `column=value/`, escaped as Hive and Spark do; a value without a pointer is null. */
void partition_path_add(struct buf *out, struct slice column, struct slice value);

struct partition_values {
    size_t n;
    struct slice at[PARTITION_COLUMNS_MAX]; /* of field i + 1 of the partitions' shape */
    bool known[PARTITION_COLUMNS_MAX];
    struct buf text; /* where they lie */
};
void partition_values_init(struct partition_values *v);
void partition_values_done(struct partition_values *v);
DEFINE_AUTO_DONE(partition_values, struct partition_values, partition_values_done)

/*
 * The values that the directories of a path below the table say (the path of a directory has a
 * final slash, or is empty). `built`: tarn made the path of the metadata's values, so that it says
 * all of them. A column of such a type is PARTITION_UNCERTAIN in other paths. -EINVAL where two
 * directories say the same column, so that nobody knows which is meant; -EOVERFLOW, -ENOMEM.
 */
int partition_path_values(const struct shape *partitions, struct slice path, bool built,
                          struct partition_values *out, struct err *err);

#endif
