/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "lake/format/present_private.h"

/* A node's place in the tree and its levels follow from its parent's. */
static void link_node(struct parquet_node *node, const struct parquet_node *above)
{
    node->depth = (uint8_t)(above->depth + 1);
    node->max_definition =
        (uint8_t)(above->max_definition + (node->repetition != PARQUET_REQUIRED));
    node->max_repetition =
        (uint8_t)(above->max_repetition + (node->repetition == PARQUET_REPEATED));
}

uint32_t present_put_node(struct present_build *b, uint32_t parent, struct slice name,
                          enum parquet_repetition repetition, uint32_t stored)
{
    struct present_plan *p = b->p;
    uint32_t at = (uint32_t)p->nodes_n;
    if (at == b->nodes_max || (at > 0 && p->nodes[parent].depth == PARQUET_DEPTH_MAX)) {
        (void)err_set(b->err, EOVERFLOW,
                      "a presented schema has more than %zu nodes, or nests "
                      "deeper than %d",
                      b->nodes_max, PARQUET_DEPTH_MAX);
        return PRESENT_NO_NODE;
    }
    struct slice own = name.n ? arena_slice(&p->arena, name) : SLICE_LIT("");
    if (!own.p) {
        (void)arena_failed(&p->arena, "a presented schema", b->err);
        return PRESENT_NO_NODE;
    }
    p->nodes[at] = (struct parquet_node){
        .name = own, .end = at + 1, .leaf = PARQUET_NO_LEAF, .repetition = (uint8_t)repetition};
    if (at > 0)
        link_node(&p->nodes[at], &p->nodes[parent]);
    p->detail->origins[at] = (struct present_origin){
        .parent = parent,
        .stored = stored,
        .element = stored == PRESENT_NO_NODE ? parquet_element_of((struct parquet_logical){0})
                                             : b->meta->elements[stored],
    };
    p->nodes_n++;
    return at;
}

void present_end_node(struct present_build *b, uint32_t node)
{
    b->p->nodes[node].end = (uint32_t)b->p->nodes_n;
}

void present_put_leaf(struct present_build *b, uint32_t node, const struct present_type *type,
                      struct present_leaf leaf)
{
    struct present_plan *p = b->p;
    p->nodes[node].type = (uint8_t)type->type;
    p->nodes[node].type_length = type->length;
    p->nodes[node].leaf = (uint32_t)p->leaves_n;
    leaf.node = node;
    p->leaves[p->leaves_n++] = leaf;
}

void present_describe(struct present_build *b, uint32_t node, struct parquet_logical logical)
{
    struct present_origin *o = &b->p->detail->origins[node];
    struct parquet_element e = parquet_element_of(logical);
    e.has_id = o->element.has_id;
    e.id = o->element.id;
    o->element = e;
    o->relabelled = true;
}

void present_set_id(struct present_build *b, uint32_t node, const struct shape_field *f)
{
    struct parquet_element *e = &b->p->detail->origins[node].element;
    if (f->id == SHAPE_NO_ID)
        return;
    e->id = f->id;
    e->has_id = true;
}

int present_copy_tree(struct present_build *b, const struct present_place *place, uint32_t stored)
{
    const struct parquet_node *nodes = b->meta->footer.nodes;
    const struct present_origin *origins = b->p->detail->origins;
    uint32_t first = (uint32_t)b->p->nodes_n;
    for (uint32_t i = stored; i < nodes[stored].end; i++) {
        uint32_t parent = place->parent;
        /* The one before is the parent, or one of its ancestors is. */
        if (i > stored) {
            parent = (uint32_t)b->p->nodes_n - 1;
            while (nodes[origins[parent].stored].end <= i)
                parent = origins[parent].parent;
        }
        uint32_t at = present_put_node(b, parent, i == stored ? place->name : nodes[i].name,
                                       nodes[i].repetition, i);
        if (at == PRESENT_NO_NODE)
            return -b->err->code;
        b->p->nodes[at].end = nodes[i].end - stored + first;
        if (nodes[i].leaf != PARQUET_NO_LEAF)
            present_put_leaf(
                b, at,
                &(struct present_type){.type = nodes[i].type, .length = nodes[i].type_length},
                (struct present_leaf){.source = nodes[i].leaf, .how = PRESENT_COPY});
    }
    return 0;
}

struct mask_rule present_mask_rule(const struct present_plan *p, const struct shape_field *f,
                                   const struct present_type *type)
{
    return (struct mask_rule){.how = f->mask,
                              .of = f->type,
                              .type = (uint8_t)type->type,
                              .unit = type->logical.unit,
                              .salt = p->salt};
}

int present_refuse(const struct present_build *b, const struct present_place *place,
                   const char *what)
{
    AUTO(buf) struct buf path = {0};
    buf_init(&path, MIB);
    struct slice names[PARQUET_DEPTH_MAX + 2];
    size_t n = 0;
    names[n++] = place->name;
    for (uint32_t at = place->parent; at != 0; at = b->p->detail->origins[at].parent)
        names[n++] = b->p->nodes[at].name;
    while (n--) {
        buf_add_slice(&path, names[n]);
        if (n)
            buf_add_char(&path, '.');
    }
    return err_set(b->err, EOPNOTSUPP, "column \"%.200s\": %s", path.data ? path.data : "", what);
}

/* What no file has, or a mask replaces */

/* Rows have a value where they would have none. */
static bool is_constant(const struct shape_field *f, const struct present_missing *missing)
{
    if (missing->inside || f->mask == SHAPE_MASK_NULL)
        return false;
    return f->has_constant || f->mask == SHAPE_MASK_FIXED;
}

/* A constant and the value that a mask takes are held alike; only their sizes may differ. */
static int mask_constant(struct present_build *b, const struct shape_field *f,
                         const struct present_type *type, struct buf *value)
{
    struct mask_rule rule = present_mask_rule(b->p, f, type);
    AUTO(mask) struct mask mask = {.rule = rule};
    union parquet_value v = {.bytes = f->constant};
    uint32_t bytes = parquet_type_bytes(type->type, type->length);
    bool number = type->type == PARQUET_INT32 || type->type == PARQUET_INT64;
    int rc = mask_init(&mask, &rule, b->err);
    if (rc < 0)
        return rc;
    if (number) {
        int32_t half = 0;
        if (f->constant.n != bytes)
            return err_set(b->err, EINVAL, "a constant of %zu bytes", f->constant.n);
        memcpy(&half, f->constant.p, sizeof half);
        v.number = half;
        if (bytes == sizeof v.number)
            memcpy(&v.number, f->constant.p, sizeof v.number);
    }
    rc = mask_batch(&mask, &v, 1, b->err);
    if (number)
        buf_add(value, &v.number, bytes);
    else
        buf_add_slice(value, v.bytes);
    return rc;
}

static int find_constant(struct present_build *b, const struct shape_field *f,
                         const struct present_type *type, struct slice *out)
{
    AUTO(buf) struct buf value = {0};
    int rc = 0;
    buf_init(&value, SHAPE_MEMORY_MAX);
    if (f->mask == SHAPE_MASK_NONE)
        buf_add_slice(&value, f->constant);
    else if (f->mask == SHAPE_MASK_FIXED && type->type == PARQUET_BOOLEAN)
        mask_fixed_value(f, 1, &value);
    else if (f->mask == SHAPE_MASK_FIXED)
        mask_fixed_value(f, parquet_type_bytes(type->type, type->length), &value);
    else
        rc = mask_constant(b, f, type, &value);
    if (rc == 0)
        rc = buf_check(&value, b->err);
    if (rc < 0)
        return rc;
    *out = value.len ? arena_slice(&b->p->arena, buf_slice(&value)) : SLICE_LIT("");
    return out->p ? 0 : arena_failed(&b->p->arena, "a presented schema", b->err);
}

static int fill_leaf(struct present_build *b, const struct shape_field *f, uint32_t at,
                     const struct present_missing *missing)
{
    struct present_type type = present_type_new(f);
    bool constant = is_constant(f, missing);
    struct present_leaf leaf = {
        .mask = {.how = missing->masked ? missing->masked : f->mask},
        .source = missing->source,
        .how = constant ? PRESENT_CONSTANT : PRESENT_NULLS,
        .repetition = missing->repetition,
        .parent = missing->definition,
        .definition = constant ? b->p->nodes[at].max_definition : missing->there,
    };
    int rc = constant ? find_constant(b, f, &type, &leaf.constant) : 0;
    if (rc < 0)
        return rc;
    present_describe(b, at, type.logical);
    present_put_leaf(b, at, &type, leaf);
    return 0;
}

static int fill_variant(struct present_build *b, uint32_t at, const struct present_missing *missing)
{
    static const char *const names[] = {"metadata", "value"};
    const struct shape_field binary = {.type = SHAPE_BINARY};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(names); i++) {
        uint32_t leaf =
            present_put_node(b, at, slice_of(names[i]), PARQUET_REQUIRED, PRESENT_NO_NODE);
        rc = leaf == PRESENT_NO_NODE ? -b->err->code : fill_leaf(b, &binary, leaf, missing);
    }
    return rc;
}

/* The children of a struct, list or map that is missing as a whole (LogicalTypes.md: LIST, MAP). */
static int fill_children(struct present_build *b, uint32_t at, uint32_t field,
                         const struct present_missing *missing)
{
    static const char *const names[][3] = {
        [SHAPE_LIST] = {"list", "element"}, [SHAPE_MAP] = {"key_value", "key", "value"}};
    const struct shape_field *fields = b->shape->fields, *f = &fields[field];
    bool wrapped = f->kind != SHAPE_STRUCT;
    struct present_missing inside = *missing;
    inside.inside = !is_constant(f, missing);
    if (!inside.inside)
        inside.there = b->p->nodes[at].max_definition;
    if (f->mask != SHAPE_MASK_NONE)
        inside.masked = f->mask;
    uint32_t parent = at;
    if (wrapped)
        parent =
            present_put_node(b, at, slice_of(names[f->kind][0]), PARQUET_REPEATED, PRESENT_NO_NODE);
    if (parent == PRESENT_NO_NODE)
        return -b->err->code;
    int rc = 0;
    size_t n = 1;
    for (uint32_t i = field + 1; rc == 0 && i < f->end; i = fields[i].end) {
        struct slice name = wrapped ? slice_of(names[f->kind][n++]) : fields[i].name;
        rc = present_fill(b, &(struct present_place){.parent = parent, .name = name}, i, &inside);
    }
    present_end_node(b, parent);
    return rc;
}

int present_fill(struct present_build *b, const struct present_place *place, uint32_t field,
                 const struct present_missing *missing)
{
    static const enum parquet_annotation annotations[] = {
        [SHAPE_LEAF] = PARQUET_VARIANT, [SHAPE_LIST] = PARQUET_LIST, [SHAPE_MAP] = PARQUET_MAP};
    const struct shape_field *f = &b->shape->fields[field];
    bool variant = f->kind == SHAPE_LEAF && f->type == SHAPE_VARIANT;
    bool constant = is_constant(f, missing), optional = f->nullable || f->mask == SHAPE_MASK_NULL;
    if (f->kind == SHAPE_LEAF && f->type == SHAPE_STORED)
        return 0;
    bool shape = f->type == SHAPE_GEOMETRY || f->type == SHAPE_GEOGRAPHY;
    if (variant && constant)
        return present_refuse(b, place, "a variant cannot be filled with a constant");
    if (f->kind == SHAPE_LEAF && shape && f->length)
        return present_refuse(b, place, "nothing in the file tells its coordinate system");
    if (!optional && !missing->inside && !constant)
        return present_refuse(b, place, "the table has no nulls in it, the file does not have it");
    uint32_t at = present_put_node(b, place->parent, place->name,
                                   optional ? PARQUET_OPTIONAL : PARQUET_REQUIRED, PRESENT_NO_NODE);
    if (at == PRESENT_NO_NODE)
        return -b->err->code;
    present_set_id(b, at, f);
    if (f->kind == SHAPE_LEAF && !variant)
        return fill_leaf(b, f, at, missing);
    present_describe(b, at, (struct parquet_logical){.annotation = annotations[f->kind]});
    int rc = variant ? fill_variant(b, at, missing) : fill_children(b, at, field, missing);
    present_end_node(b, at);
    return rc;
}
