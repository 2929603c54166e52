/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be done to one Parquet file so that it presents a table's columns (design.md section
 * 5): decided from its footer alone, for any size that stat has promised before.
 *
 *   SAME      nothing changes     [object][zeros][its footer again]
 *   FOOTER    drop, rename, fill  [kept bytes at their offsets, zeros between][our
 * pages][zeros][footer] REWRITE   values change, rows are taken out, or nulls need the levels of a
 * sibling: parquet_rewrite.h writes the pages by the plan, present_footer() what stands behind
 *
 * The new schema is in the shape's order and under its names, but for what is the file's own: how
 * lists and maps are wrapped, which fields are required, units of time. A footer is made of a
 * whitelist of fields; no byte, name or statistic of a leaf that is not presented is in it.
 *
 * A confined shape (shape.h) is never SAME: chunks, indexes and filters of what is shown stay, as
 * far as no row is taken out; all other bytes are zeros, free text of the footer is not passed on.
 * What is masked has neither statistics nor indexes.
 *
 * Errors: -EIO damaged, -EOPNOTSUPP cannot be presented truthfully or does not fit (says why),
 * -EOVERFLOW over a limit, -ENOMEM. Pure. A plan is immutable; any thread.
 */
#ifndef LAKE_FORMAT_PRESENT_H
#define LAKE_FORMAT_PRESENT_H

#include "lake/format/mask.h"
#include "lake/format/parquet_footer.h"

struct present_request {
    struct slice footer; /* Thrift bytes, without length and magic; not needed afterwards */
    uint64_t object_bytes;
    uint64_t presented_bytes;  /* at least the object's */
    const struct shape *shape; /* NULL: the columns as they are; not needed afterwards */
    bool deletes;              /* some rows are taken out */
};

enum present_kind {
    PRESENT_SAME,
    PRESENT_FOOTER,
    PRESENT_REWRITE,
};

/* Of SAME and FOOTER: where the bytes of a range of the presented file come from. */
enum present_from {
    PRESENT_OBJECT,
    PRESENT_ZEROS,
    PRESENT_OWN,
};

struct present_extent {
    uint64_t offset, length; /* in the presented file; in order, without gaps */
    uint64_t at;             /* in the object, or in the plan's own bytes */
    enum present_from from;
};

/* How the values of a leaf are made. Nulls stay nulls. What a mask makes of values comes after
 * that; with one, nothing is PRESENT_COPY. */
enum present_conversion {
    PRESENT_COPY,
    PRESENT_MASKED,             /* the values as they are, for the leaf's mask */
    PRESENT_INT_TO_INT,         /* INT32 -> INT64 */
    PRESENT_INT_TO_DOUBLE,      /* INT32 -> DOUBLE */
    PRESENT_FLOAT_TO_DOUBLE,    /* FLOAT -> DOUBLE */
    PRESENT_DATE_TO_TIMESTAMP,  /* INT32 days -> INT64 microseconds; beyond 64 bits: -EOPNOTSUPP */
    PRESENT_INT96_TO_TIMESTAMP, /* INT96 -> INT64 nanoseconds without the last `digits`; likewise */
    /*
     * An integer or unscaled decimal (INT32, INT64, big-endian two's complement in BYTE_ARRAY or
     * FIXED_LEN_BYTE_ARRAY) times ten to the power of `digits` -> the new node's type, which is one
     * of these but never BYTE_ARRAY. What the new type does not hold: -EOPNOTSUPP.
     */
    PRESENT_RESCALE,
    PRESENT_NULLS,    /* no values */
    PRESENT_CONSTANT, /* `constant` wherever there is a value */
};

/*
 * A leaf of the presented file.
 *
 * PRESENT_COPY and conversions: cells are those of `source`, with its levels (the same as the new
 * node's).
 *
 * Masks that take no value (replace-with-null, mask-to-fixed-value) are NULLS and CONSTANT, too.
 *
 * NULLS and CONSTANT without a source (PARQUET_NO_LEAF): one cell a row, repetition 0, definition
 * `definition`. With a source, whose levels tell how often the parent of what is missing is there:
 * for each cell (r, d) of the source with r <= `repetition`, one cell (r, min(d, parent)), or,
 * where d >= parent, (r, definition).
 */
struct present_leaf {
    uint32_t node;   /* in the plan's nodes */
    uint32_t source; /* leaf of the stored file, or PARQUET_NO_LEAF */
    enum present_conversion how;
    uint8_t digits; /* of PRESENT_RESCALE */
    /* rule.how: SHAPE_MASK_NONE where values are not masked. */
    struct mask_rule mask;
    uint8_t repetition; /* of NULLS and CONSTANT: see above */
    uint8_t parent;
    uint8_t definition;    /* NULLS: parent's, or that of a struct that is there by default;
                            * CONSTANT: the node's max_definition */
    struct slice constant; /* PLAIN encoded, strings without length */
};

/* What was done to the stored schema, in numbers. */
struct present_changes {
    uint32_t dropped;    /* leaves */
    uint32_t filled;     /* leaves with nulls or a constant */
    uint32_t converted;  /* leaves whose values change */
    uint32_t masked;     /* leaves that have a mask; in none of the above */
    uint32_t renamed;    /* leaves and groups */
    uint32_t relabelled; /* the same with another logical type; some of them were converted */
    bool moved;          /* their order changed */
};

struct present_plan {
    enum present_kind kind;
    struct present_changes changes;
    uint64_t object_bytes, presented_bytes;

    /* Of SAME and FOOTER. */
    struct present_extent *extents;
    size_t extents_n;
    struct slice own;

    /* Of REWRITE: the new schema, as in struct parquet_footer. */
    struct parquet_node *nodes;
    size_t nodes_n;
    struct present_leaf *leaves;
    size_t leaves_n;

    const struct parquet_footer *stored; /* the file as it is */
    bool confined;                       /* as the shape is */
    bool deletes;                        /* as requested */
    uint8_t salt[SHAPE_SALT_BYTES];      /* what leaves' masks point to */

    struct present_detail *detail; /* what only present*.c look into */
    struct arena arena;            /* everything above */
};

int present_plan(const struct present_request *r, struct present_plan **out, struct err *err);
void present_plan_free(struct present_plan *p);
DEFINE_AUTO(present_plan, struct present_plan *, present_plan_free)

/* What the values of a node of a REWRITE's new schema mean. */
struct parquet_logical;
const struct parquet_logical *present_logical(const struct present_plan *p, uint32_t node);

/* A column chunk of the presented file, as it was written. */
struct present_chunk {
    uint64_t dictionary_offset; /* of the dictionary page; 0: there is none */
    uint64_t data_offset;       /* of the first data page */
    uint64_t stored_bytes;      /* of all pages with their headers */
    uint64_t plain_bytes;       /* the same, uncompressed */
    uint64_t cells;             /* of all data pages */
    uint32_t codec;             /* enum codec */
    uint32_t encodings;         /* bit 1 << encoding for each that pages' values have */
    /* What was written of the page index; bytes 0: nothing. */
    struct present_range {
        uint64_t offset, bytes;
    } offset_index, column_index;
    /*
     * Of PRESENT_COPY: all pages are the stored chunk's as they were, in the same order, so that
     * what is known of it (statistics, encodings) holds. `codec` to `plain_bytes` are not looked at
     * then.
     */
    bool untouched;
};

struct present_group {
    uint64_t rows;
    uint32_t stored;              /* which row group of the stored file it was made of */
    struct present_chunk *chunks; /* leaves_n of the plan */
};

/*
 * Of a REWRITE: appends the footer, its length and the magic, as they stand at the very end of the
 * presented file. Row groups may be left out and are in the file's order. The same errors.
 */
int present_footer(const struct present_plan *p, const struct present_group *groups, size_t n,
                   struct buf *out, struct err *err);

#endif
