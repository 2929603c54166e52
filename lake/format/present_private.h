/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the parts of present.h:
 *
 *   present_match.c    for each field of the shape the stored node that stands for it, or none
 *   present_find.c     which child of a group a field means, by id or name
 *   present_build.c    the new schema, node by node, and what no file has
 *   present_footer.c   the footer of what was written
 *   present_layout.c   where bytes of a FOOTER plan come from, and pages of our own
 *   present.c          puts them together
 */
#ifndef LAKE_FORMAT_PRESENT_PRIVATE_H
#define LAKE_FORMAT_PRESENT_PRIVATE_H

#include "lake/format/parquet_meta.h"
#include "lake/format/present.h"
#include "lake/format/present_types.h"

#define PRESENT_NO_NODE UINT32_MAX

/* Length and magic behind a footer. */
#define PRESENT_TAIL_BYTES 8
#define PRESENT_MAGIC "PAR1"
#define PRESENT_MAGIC_BYTES 4

/* Beside a node of the plan. */
struct present_origin {
    uint32_t parent; /* in the plan's nodes; of the root: itself */
    uint32_t stored; /* in the stored schema, or PRESENT_NO_NODE: made */
    bool relabelled; /* the values stay, what they are called does not */
    struct parquet_element element;
};

struct present_detail {
    struct parquet_meta meta;
    struct present_origin *origins; /* nodes_n of the plan */
    uint64_t footer_bytes;          /* of the stored one, without length and magic */
    size_t masked;                  /* stored leaves in whose place masked ones are made */
};

/* present_build.c: a schema on its way. */

struct present_build {
    struct present_plan *p;
    const struct parquet_meta *meta;
    const struct shape *shape;
    size_t nodes_max;
    struct err *err;
};

/* Where a field is to be put. */
struct present_place {
    uint32_t parent;   /* in the new schema */
    struct slice name; /* there */
    bool element;      /* a repetition of the stored node is its list's or map's, not its own */
    bool once;         /* it was put into a wrapper that repeats instead */
};

/* How often a column that no file has is there: as its parent, which is. */
struct present_missing {
    uint32_t source;                /* a leaf below that parent, or PARQUET_NO_LEAF: in every row */
    uint8_t repetition, definition; /* of the parent */
    uint8_t there;  /* the same, or the definition of a struct in it that is there by default */
    bool inside;    /* below something else that is missing */
    uint8_t masked; /* by which mask; SHAPE_MASK_NONE: no file has it */
};

/* A node below its parent, which is the last one's ancestor or itself; open until the end is set.
 * `stored`: what it is a copy of. PRESENT_NO_NODE and err where it failed. */
uint32_t present_put_node(struct present_build *b, uint32_t parent, struct slice name,
                          enum parquet_repetition repetition, uint32_t stored);
void present_end_node(struct present_build *b, uint32_t node);
/* The node is a leaf. */
void present_put_leaf(struct present_build *b, uint32_t node, const struct present_type *type,
                      struct present_leaf leaf);
/* What the node is called from now on; its id stays. */
void present_describe(struct present_build *b, uint32_t node, struct parquet_logical logical);
/* The table's id, where it has one. */
void present_set_id(struct present_build *b, uint32_t node, const struct shape_field *f);
/* The stored subtree as it is, but for its name. */
int present_copy_tree(struct present_build *b, const struct present_place *place, uint32_t stored);
/* A field of the shape that the file does not have, or that a mask replaces. */
int present_fill(struct present_build *b, const struct present_place *place, uint32_t field,
                 const struct present_missing *missing);
/* The field's mask, of values as they are written. */
struct mask_rule present_mask_rule(const struct present_plan *p, const struct shape_field *f,
                                   const struct present_type *type);
/* -EOPNOTSUPP: column "a.b": what */
int present_refuse(const struct present_build *b, const struct present_place *place,
                   const char *what);

/*
 * present_find.c: for each field of a struct, in order, the child of the stored group that stands
 * for it, or 0: the root is nobody's child. The caller frees. `at`: where the struct is in the new
 * schema.
 */
int present_find(const struct present_build *b, uint32_t at, uint32_t field, uint32_t group,
                 uint32_t **out);

/* present_match.c: fills nodes, leaves and origins of the plan; shape NULL: as they are. */
int present_match(struct present_plan *p, const struct shape *shape, struct err *err);

/* present_footer.c: in_place: untouched chunks lie where they were, and what points at their
 * indexes and filters holds. */
int present_footer_put(const struct present_plan *p, const struct present_group *groups, size_t n,
                       bool in_place, struct buf *out, struct err *err);

/* present_layout.c: makes the extents and own bytes of a FOOTER plan, in its arena. */
int present_layout(struct present_plan *p, struct err *err);

/* present.c: one more, behind the last; none where the length is 0. There is room for it. */
void present_add_extent(struct present_plan *p, uint64_t length, enum present_from from,
                        uint64_t at);

/* present_layout.c: the file's writer forgot to count a page's header in the sizes of chunks. */
bool present_forgets_headers(struct slice created_by);

#endif
