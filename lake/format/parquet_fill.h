/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A column chunk that the stored file does not have: nulls, or a constant, one a row or by the
 * levels of another leaf (present.h: PRESENT_NULLS, PRESENT_CONSTANT).
 */
#ifndef LAKE_FORMAT_PARQUET_FILL_H
#define LAKE_FORMAT_PARQUET_FILL_H

#include "lake/format/parquet_rewrite_chunk.h"

/* Of the chunk that the writer has started. */
int parquet_fill(struct parquet_chunk_writer *w, size_t group, struct err *err);

#endif
