/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the presented file of a plan that is a REWRITE (present.h): row groups in their order, in
 * each the plan's leaves, page after page; then zeros, then the footer, which ends at the presented
 * size exactly.
 *
 *   PAR1 [chunk][chunk]... [chunk]... [zeros][footer]
 *
 * Rows that are gone are not in it, row groups that are left without rows neither. What need not
 * change is not decoded: pages whose rows all stay are copied, dictionaries stay as they are (also
 * words that only rows had which are gone). Where the plan is confined, no trace is left of such
 * rows: dictionaries have the words of rows that stay, in their order, and pages of indices are
 * written anew. What is masked is decoded and written anew, words of dictionaries once each.
 *
 * Room: pages are compressed as writers do by default; when half of what the presented size has
 * beyond the object is used up, harder. Where wider values would not fit, their columns get
 * encodings (and where theirs is a quick one, a codec) that take less. If all of it does not fit,
 * and the sink can rewind, it is done once more with everything but copied chunks in zstd.
 *
 * Memory, whatever the file: a window of 1 MiB or the largest page, that page decompressed, its
 * dictionary, and the page that is written up to four times (each at most PAGE_BYTES_MAX); a bit
 * for each row of the largest row group that has lost rows (PARQUET_GROUP_ROWS_MAX); a struct
 * present_chunk for each chunk. Time goes by cells and bytes.
 *
 * Errors: -EIO damaged (says where), -EOPNOTSUPP encryption, codecs and encodings that are not
 * known, values beyond their column's new type, or no room; -EOVERFLOW, -ENOMEM, and what source
 * and sink return. What was written to the sink is of no use then. Pure but for those two; any
 * thread.
 */
#ifndef LAKE_FORMAT_PARQUET_REWRITE_H
#define LAKE_FORMAT_PARQUET_REWRITE_H

#include "lake/format/parquet_page_write.h"
#include "lake/format/present.h"
#include "lake/format/roaring.h"

/* deleted: rows of the file that are gone; NULL: all stay. */
int parquet_rewrite(const struct source *source, const struct present_plan *plan,
                    const struct roaring *deleted, const struct parquet_sink *sink,
                    struct err *err);

#endif
