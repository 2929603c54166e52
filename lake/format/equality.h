/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that are gone because of what they hold: Iceberg's equality deletes (Iceberg specification,
 * "Equality Delete Files", "Scan Planning"). A row goes where its values of some columns are those
 * of a tuple; null is like null.
 *
 *   columns (a shape of just these) + a delete file ──equality_read──► equality_set: tuples
 *   sets, by the columns that they are of           ──equality_new───► equality: of one data file
 *                                                        │ equality_plan: its leaves, by its footer
 *                                                        ▼ equality_rows: only those are read
 *                                                     roaring: the rows that go
 *
 * Values are compared as the table's type has them: both files are converted and filled as
 * present.h does it for the columns, so that what was an int when it was deleted is found as a
 * long, and a column that the data file lacks is its constant or null. Statistics decide nothing.
 *
 * Sets and what holds them are immutable and shared by reference; any thread. Pure but for the
 * source.
 */
#ifndef LAKE_FORMAT_EQUALITY_H
#define LAKE_FORMAT_EQUALITY_H

#include "lake/format/column.h"
#include "lake/format/roaring.h"

struct equality_set;

struct equality_set *equality_set_ref(struct equality_set *s);
void equality_set_unref(struct equality_set *s);
/* Somebody else has it, too. */
bool equality_set_shared(const struct equality_set *s);
DEFINE_AUTO(equality_set, struct equality_set *, equality_set_unref)

/* Tuples in it, and the memory that it takes. */
size_t equality_set_count(const struct equality_set *s);
size_t equality_set_bytes(const struct equality_set *s);

/*
 * The columns of tuples: leaves, in structs but in no list or map, at most EQUALITY_COLUMNS_MAX;
 * no reals, whose equality is nobody's. -EOPNOTSUPP says which is otherwise.
 */
int equality_check(const struct shape *columns, struct err *err);

/* A set, tuple by tuple: values in the order of the shape's leaves. One thread. */
struct equality_builder;
struct equality_builder *equality_builder_new(const struct shape *columns, struct err *err);
void equality_builder_free(struct equality_builder *b);
DEFINE_AUTO(equality_builder, struct equality_builder *, equality_builder_free)
/* -EOVERFLOW over EQUALITY_BYTES_MAX, -ENOMEM. */
int equality_builder_add(struct equality_builder *b, const struct column_value *values,
                         struct err *err);
/* The set: one reference; the builder is empty afterwards. */
int equality_builder_end(struct equality_builder *b, struct equality_set **out, struct err *err);

/*
 * All tuples of a delete file in Parquet; `footer`: its Thrift bytes. One reference. -EIO damaged,
 * or it lacks a column; -EOPNOTSUPP as present_plan, or equality_check; -EOVERFLOW as above; the
 * source's.
 */
int equality_read(const struct shape *columns, struct slice footer, const struct source *source,
                  struct equality_set **out, struct err *err);

struct equality;

/* Sets of tuples of the same columns. The shape is the data file's: its constants are those of
 * columns which that lacks. */
struct equality_part {
    struct shape *columns;
    struct equality_set *const *sets;
    size_t n;
};

/* One reference; takes references to what it holds. -EOVERFLOW where the sets together are over
 * EQUALITY_BYTES_MAX, -ENOMEM. */
int equality_new(const struct equality_part *parts, size_t n, struct equality **out,
                 struct err *err);
struct equality *equality_ref(struct equality *e);
void equality_unref(struct equality *e);
DEFINE_AUTO(equality, struct equality *, equality_unref)

/* Where one data file has the columns. */
struct equality_plan;
/* `footer`: its Thrift bytes, not needed afterwards. Errors as present_plan. */
int equality_plan(const struct equality *e, struct slice footer, uint64_t object_bytes,
                  struct equality_plan **out, struct err *err);
void equality_plan_free(struct equality_plan *p);
DEFINE_AUTO(equality_plan, struct equality_plan *, equality_plan_free)

/*
 * The rows of the file that go, for roaring_free. Memory: of each column a window of 1 MiB, a page,
 * a dictionary and a batch of rows; where many sets count for many rows, once more the tuples.
 * Errors as row_filter_rows.
 */
int equality_rows(const struct equality *e, const struct equality_plan *plan,
                  const struct source *source, struct roaring **gone, struct err *err);

#endif
