/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which parts of a Parquet file will be read next. Who has touched a column chunk will read the
 * same columns of the next row groups:
 *
 *              columns   a    b    c    d
 *   row group 0         [##] [  ] [##] [  ]     ## touched: a and c are chosen
 *   row group 1         [ >] [  ] [ >] [  ]      > fetched ahead, as far as the window reaches
 *   row group 2         [ >] [  ] [ >] [  ]
 *
 *   parquet_layout   where the chunks are: made once of a footer, shared by all who read the file
 *   parquet_plan     of one reader: what he has touched, and what was planned
 *
 * The window begins small and doubles with each row group that was planned and is then touched;
 * who goes elsewhere begins anew. Chunks with small gaps between them are one range.
 *
 * Pure and bounded. A layout is immutable and may be shared by threads; a plan has one owner.
 */
#ifndef LAKE_FORMAT_PARQUET_PLAN_H
#define LAKE_FORMAT_PARQUET_PLAN_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

/* Footers that are larger are not planned from: their layouts would take too much memory. */
#define PARQUET_PLAN_FOOTER_MAX (4 * MIB)
/* Chunks of a layout (24 bytes each), and columns that one reader may touch. */
#define PARQUET_PLAN_CHUNKS_MAX ((size_t)1 << 17)
#define PARQUET_PLAN_COLUMNS_MAX 1024

/* Bytes behind the touched row group: at first, and at most. */
#define PARQUET_PLAN_WINDOW_MIN (8 * MIB)
#define PARQUET_PLAN_WINDOW_MAX (64 * MIB)
/* A gap between two chunks is fetched with them where it is no more than a twentieth of both. */
#define PARQUET_PLAN_GAP_SHARE 20

/* The end of every Parquet file: the footer's length and the magic. */
#define PARQUET_TAIL_BYTES 8

/*
 * The footer's length from a file's last PARQUET_TAIL_BYTES; 0 where they are not those of a
 * Parquet file of that size, or the footer is too large to plan from.
 */
uint64_t parquet_tail_footer(const char tail[PARQUET_TAIL_BYTES], uint64_t file_bytes);

struct parquet_layout;

/* Of a footer's bytes (without length and magic). One reference. Chunks that do not lie in the file
 * are left out. Errors as parquet_footer_parse; -EOVERFLOW for too many chunks. */
int parquet_layout_parse(struct slice footer, uint64_t file_bytes, struct parquet_layout **out,
                         struct err *err);
struct parquet_layout *parquet_layout_ref(struct parquet_layout *l);
void parquet_layout_unref(struct parquet_layout *l);
DEFINE_AUTO(parquet_layout, struct parquet_layout *, parquet_layout_unref)
/* What it takes of memory. */
size_t parquet_layout_bytes(const struct parquet_layout *l);

struct parquet_plan;

/* Holds a reference. NULL: out of memory. */
struct parquet_plan *parquet_plan_new(struct parquet_layout *l);
void parquet_plan_free(struct parquet_plan *p);
DEFINE_AUTO(parquet_plan, struct parquet_plan *, parquet_plan_free)

/*
 * Notes a read. False: what was planned before and has not been fetched is of no use (the reader
 * has gone elsewhere).
 */
bool parquet_plan_touch(struct parquet_plan *p, uint64_t offset, uint64_t length);

/* The next range to fetch. False: there is none until more is touched. */
bool parquet_plan_next(struct parquet_plan *p, uint64_t *offset, uint64_t *length);

#endif
