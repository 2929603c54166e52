/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that a Parquet footer says, for who has to write it again: struct parquet_footer, and beside
 * each of its nodes and chunks the rest, as numbers where it is looked into and as Thrift bytes
 * where it is passed on.
 *
 *   footer.nodes[i]        elements[i]     annotation, field id
 *   footer.chunks[g][i]    details[g][i]   sizes, statistics, where indexes and Bloom filters lie
 *
 * Pure; immutable once parsed; slices point into the bytes that were parsed, which must outlive it.
 */
#ifndef LAKE_FORMAT_PARQUET_META_H
#define LAKE_FORMAT_PARQUET_META_H

#include "lake/format/parquet_footer.h"
#include "lake/format/parquet_schema.h"

/* A range of the file; bytes 0: there is none, or nobody says how long it is. */
struct parquet_range {
    uint64_t offset, bytes;
};

/* Of a ColumnChunk, what struct parquet_chunk does not say. */
struct parquet_detail {
    uint64_t data_offset;       /* of the first data page */
    uint64_t dictionary_offset; /* 0: no dictionary page, or data_offset is its */
    uint64_t plain_bytes;       /* of all pages, uncompressed, with their headers */
    struct parquet_range column_index, offset_index, bloom;
    /* Thrift values; empty: absent. */
    struct slice encodings;       /* list of Encoding */
    struct slice statistics;      /* struct Statistics */
    struct slice encoding_stats;  /* list of PageEncodingStats */
    struct slice size_statistics; /* struct SizeStatistics */
    struct slice geospatial;      /* struct GeospatialStatistics */
};

struct parquet_sorting {
    uint32_t leaf;
    bool descending, nulls_first;
};

struct parquet_sortings {
    struct parquet_sorting *at;
    size_t n;
};

struct parquet_key_value {
    struct slice key, value;
    bool has_value;
};

struct parquet_meta {
    struct parquet_footer footer;
    struct arena arena; /* everything below */
    struct parquet_element *elements;
    struct parquet_detail **details;
    struct parquet_sortings *sortings; /* of each row group */
    struct parquet_key_value *pairs;
    size_t pairs_n;
    struct slice *orders; /* union ColumnOrder of each leaf; NULL: the file has none */
    struct slice created_by;
    int32_t version;
    bool encrypted; /* the file, or one of its columns */
    bool external;  /* a column lies in another file */
    bool has_ids;   /* some node has a field id */
};

/* Parses the Thrift bytes (without length and magic). Errors as parquet.h says. */
int parquet_meta_parse(struct parquet_meta *m, struct slice bytes, struct err *err);
void parquet_meta_done(struct parquet_meta *m);
DEFINE_AUTO_DONE(parquet_meta, struct parquet_meta, parquet_meta_done)

#endif
