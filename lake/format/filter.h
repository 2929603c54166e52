/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rows of a table somebody may see: an expression over its columns, in SQL's words and with
 * its logic of three values (docs/FILTERS.md has the language). A row stays where the expression is
 * TRUE; FALSE and NULL take it out.
 *
 *   text ──filter_parse──► filter: columns by name, literals as they are written
 *                            │  filter_bind: which field each column is, literals as its type has
 *                            ▼  them; what does not fit is refused here, nothing is ever rounded
 *                          row_filter
 *                            │  row_filter_partition: what a file's partition values decide
 *                            │  row_filter_plan: the leaves of one file, by its footer
 *                            ▼  row_filter_rows: only those are read
 *                          roaring: the rows that go
 *
 * Values are those of the table before any mask: the file's, converted and filled as present.h
 * does it for the shape of that version. Statistics, indexes and bloom filters decide nothing: they
 * may be wrong. Filters of both kinds are immutable and shared by reference; any thread. Pure but
 * for the source.
 */
#ifndef LAKE_FORMAT_FILTER_H
#define LAKE_FORMAT_FILTER_H

#include "lake/format/present.h"
#include "lake/format/roaring.h"

/* Parsed */

struct filter;

/* The names from a top column down to a field of a struct. */
struct filter_path {
    const struct slice *names;
    size_t n; /* at least 1 */
};

/* -EINVAL it is no such expression (says at which character), -EOVERFLOW over a limit, -ENOMEM. */
int filter_parse(struct slice text, struct filter **out, struct err *err);
struct filter *filter_ref(struct filter *f);
void filter_unref(struct filter *f);
DEFINE_AUTO(filter, struct filter *, filter_unref)

/* The columns that it names, each once, in the order in which they come first. */
size_t filter_columns(const struct filter *f);
struct filter_path filter_column_path(const struct filter *f, size_t i);
/* The same joined with dots, for people. */
struct slice filter_column(const struct filter *f, size_t i);

/* Bound */

struct row_filter;

enum filter_from {
    FILTER_FIELD,     /* a leaf of the shape that is in no list or map; a struct's by its path */
    FILTER_PARTITION, /* a partition column */
    FILTER_ABSENT,    /* the version does not have it: NULL in every row */
};

struct filter_binding {
    enum filter_from from;
    uint32_t field; /* index in the fields of `shape`, or of `partitions` (from 1 on: flat) */
};

/*
 * Binds column i of the filter to columns[i]. `shape`: what files of the version present, before
 * drops and masks; `partitions`: a flat shape of the partition columns, or NULL: there are none.
 * Neither is needed afterwards. -EINVAL a literal that the column's type does not have, -EOPNOTSUPP
 * a column (lists, maps, whole structs, variants) or a comparison that is not decided here; both
 * name the column. -ENOMEM.
 */
int filter_bind(struct filter *f, const struct filter_binding *columns, const struct shape *shape,
                const struct shape *partitions, struct row_filter **out, struct err *err);
struct row_filter *row_filter_ref(struct row_filter *rf);
void row_filter_unref(struct row_filter *rf);
DEFINE_AUTO(row_filter, struct row_filter *, row_filter_unref)

/* Of all that decides: the same in every process. */
uint64_t row_filter_hash(const struct row_filter *rf);

/*
 * The same filter of one file whose columns have other constants: `shape` is made of
 * row_filter_shape's (NULL: it reads no column of a file). One reference; -ENOMEM.
 */
struct shape *row_filter_shape(const struct row_filter *rf);
int row_filter_own(struct row_filter *rf, struct shape *shape, struct row_filter **out,
                   struct err *err);

/* It is decided by value i of row_filter_partition. */
bool row_filter_needs(const struct row_filter *rf, size_t i);

/* How many partition values there are: the fields of the partitions' shape. */
size_t row_filter_values(const struct row_filter *rf);

enum filter_answer {
    FILTER_ALL,  /* every row stays */
    FILTER_NONE, /* not one can stay */
    FILTER_SOME, /* the file's rows decide, or partition values that are not known yet */
};

/*
 * What partition values decide. values[i]: of field i + 1 of the partitions' shape, as text in
 * Delta's serialization (PROTOCOL.md, "Partition Value Serialization"), the escapes of paths taken
 * away; without a pointer, empty, or __HIVE_DEFAULT_PARTITION__: NULL. A text that is none of its
 * type: FILTER_NONE, where the filter names that column. known: which of them are known; NULL: all.
 */
enum filter_answer row_filter_partition(const struct row_filter *rf, const struct slice *values,
                                        const bool *known);

/*
 * Finds the columns in one file; `footer`: its Thrift bytes, not needed afterwards. For
 * row_filter_rows alone: nothing is presented by it. Errors as present_plan.
 */
int row_filter_plan(const struct row_filter *rf, struct slice footer, uint64_t object_bytes,
                    struct present_plan **out, struct err *err);

/*
 * The rows of the file that go, for roaring_free. Reads the pages of the filter's columns that
 * partition values (all are known) leave open, in all row groups side by side. Memory: of each of
 * these columns a window of 1 MiB, a page and a dictionary (base/limits.h), and the result.
 * -EIO damaged, -EOPNOTSUPP encryption, a codec or encoding that is not known, or a value that is
 * beyond its column's type; -EOVERFLOW, -ENOMEM, the source's.
 */
int row_filter_rows(const struct row_filter *rf, const struct present_plan *plan,
                    const struct source *source, const struct slice *values, struct roaring **gone,
                    struct err *err);

#endif
