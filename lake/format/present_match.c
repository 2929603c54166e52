/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two trees side by side: the shape's fields, and the stored nodes that stand for them. A stored
 * node is copied with the wrappers that its file puts around elements and pairs; what stands for no
 * field is left out. Recursion is as deep as the shape (SHAPE_DEPTH_MAX).
 */
#include "base/limits.h"
#include "lake/format/present_private.h"

static int match_node(struct present_build *b, const struct present_place *place, uint32_t field,
                      uint32_t stored);

/* column "a.b": the table has decimal(9,2), the file has STRING */
static int mismatch(const struct present_build *b, const struct present_place *place,
                    uint32_t field, uint32_t stored)
{
    AUTO(buf) struct buf what = {0};
    buf_init(&what, KIB);
    const struct parquet_node *node = &b->meta->footer.nodes[stored];
    buf_add_str(&what, "the table has ");
    present_type_name(&b->shape->fields[field], &what);
    buf_add_str(&what, ", the file has ");
    if (node->repetition == PARQUET_REPEATED && !place->element)
        buf_add_str(&what, "repeated ");
    parquet_type_name(node, &b->meta->elements[stored].logical, &what);
    return present_refuse(b, place, what.data ? what.data : "other types");
}

static size_t children(const struct parquet_footer *f, uint32_t node)
{
    size_t n = 0;
    for (uint32_t i = node + 1; i < f->nodes[node].end; i = f->nodes[i].end)
        n++;
    return n;
}

/* Masks */

/* What takes no value is made instead of what is stored. */
static bool is_replaced(const struct shape_field *f)
{
    return f->mask == SHAPE_MASK_NULL || f->mask == SHAPE_MASK_FIXED;
}

static uint32_t leaf_below(const struct parquet_footer *f, uint32_t group);

/*
 * Nulls, or one value, wherever the stored node's parent is. An element that is what repeats stands
 * below a wrapper of ours (`once`), and is its parent itself.
 */
static int replace(struct present_build *b, const struct present_place *place, uint32_t field,
                   uint32_t stored)
{
    const struct parquet_footer *f = &b->meta->footer;
    const struct parquet_node *node = &f->nodes[stored];
    unsigned own = !place->once && node->repetition != PARQUET_REQUIRED;
    unsigned repeats = !place->once && node->repetition == PARQUET_REPEATED;
    struct present_missing missing = {.source = PARQUET_NO_LEAF,
                                      .masked = b->shape->fields[field].mask,
                                      .repetition = (uint8_t)(node->max_repetition - repeats),
                                      .definition = (uint8_t)(node->max_definition - own),
                                      .there = (uint8_t)(node->max_definition - own)};
    for (uint32_t i = stored; i < node->end; i++)
        b->p->detail->masked += f->nodes[i].leaf != PARQUET_NO_LEAF;
    if (missing.definition > 0)
        missing.source = node->leaf != PARQUET_NO_LEAF ? node->leaf : leaf_below(f, stored);
    if (missing.definition > 0 && missing.source == PARQUET_NO_LEAF)
        return present_refuse(b, place, "nothing in the file tells where its parent is");
    return present_fill(b, place, field, &missing);
}

/*
 * Spark counted days before 1582-10-15 by the Julian calendar until version 3.0 (INT96: 3.1), and
 * says so where it still does.
 */
static bool is_hybrid(const struct parquet_meta *m, bool int96)
{
    const char *says = int96 ? "org.apache.spark.legacyINT96" : "org.apache.spark.legacyDateTime";
    for (size_t i = 0; i < m->pairs_n; i++) {
        const struct parquet_key_value *kv = &m->pairs[i];
        bool old = slice_starts(kv->value, SLICE_LIT("2.")) ||
                   (int96 && slice_starts(kv->value, SLICE_LIT("3.0.")));
        if (slice_is(kv->key, says) || (old && slice_is(kv->key, "org.apache.spark.version")))
            return true;
    }
    return false;
}

/* Text under a mask is no JSON any more, and hashes of bytes have another length. */
static int mask_leaf(const struct present_build *b, const struct present_place *place,
                     const struct shape_field *f, struct present_type *type, struct mask_rule *rule)
{
    struct mask mask;
    struct err err = ERR_INIT;
    if (f->type == SHAPE_STRING && type->logical.annotation != PARQUET_STRING) {
        type->logical = (struct parquet_logical){.annotation = PARQUET_STRING};
        type->relabelled = true;
    }
    if (f->type == SHAPE_BINARY && type->type == PARQUET_FIXED_LEN_BYTE_ARRAY) {
        *type = present_type_new(f);
        type->relabelled = true;
    }
    if (type->how == PRESENT_COPY)
        type->how = PRESENT_MASKED;
    *rule = present_mask_rule(b->p, f, type);
    rule->hybrid =
        is_hybrid(b->meta, type->type == PARQUET_INT96 || type->how == PRESENT_INT96_TO_TIMESTAMP);
    if (mask_init(&mask, rule, &err) < 0)
        return present_refuse(b, place, err.msg);
    mask_done(&mask);
    return 0;
}

/* Leaves */

static int match_leaf(struct present_build *b, const struct present_place *place, uint32_t field,
                      uint32_t stored)
{
    const struct shape_field *f = &b->shape->fields[field];
    const struct parquet_node *node = &b->meta->footer.nodes[stored];
    struct present_type type;
    if (node->leaf == PARQUET_NO_LEAF ||
        !present_type_match(f, node, &b->meta->elements[stored].logical, &type))
        return mismatch(b, place, field, stored);
    if (b->shape->match == SHAPE_BY_MAPPING || b->shape->match == SHAPE_BY_ID_ALONE)
        present_type_plain(f, &type); /* a file that was another table's stands beside others */
    struct mask_rule rule = {.how = SHAPE_MASK_NONE};
    if (f->mask != SHAPE_MASK_NONE && mask_leaf(b, place, f, &type, &rule) < 0)
        return -b->err->code;
    uint32_t at = present_put_node(b, place->parent, place->name, node->repetition, stored);
    if (at == PRESENT_NO_NODE)
        return -b->err->code;
    present_set_id(b, at, f);
    if (type.relabelled)
        present_describe(b, at, type.logical);
    present_put_leaf(
        b, at, &type,
        (struct present_leaf){
            .source = node->leaf, .how = type.how, .digits = type.digits, .mask = rule});
    return 0;
}

/* A variant is a group of `metadata` and `value`, and `typed_value` where it was taken apart. */
static bool is_variant(const struct parquet_meta *m, uint32_t stored)
{
    const struct parquet_footer *f = &m->footer;
    bool metadata = false, value = false;
    for (uint32_t i = stored + 1; i < f->nodes[stored].end; i = f->nodes[i].end) {
        bool binary = f->nodes[i].leaf != PARQUET_NO_LEAF && f->nodes[i].type == PARQUET_BYTE_ARRAY;
        metadata |= binary && slice_is(f->nodes[i].name, "metadata");
        value |= slice_is(f->nodes[i].name, "value") || slice_is(f->nodes[i].name, "typed_value");
    }
    return metadata && value;
}

static int match_tree(struct present_build *b, const struct present_place *place, uint32_t field,
                      uint32_t stored)
{
    const struct shape_field *f = &b->shape->fields[field];
    uint32_t at = (uint32_t)b->p->nodes_n;
    if (f->type == SHAPE_VARIANT && !is_variant(b->meta, stored))
        return mismatch(b, place, field, stored);
    int rc = present_copy_tree(b, place, stored);
    if (rc == 0)
        present_set_id(b, at, f);
    return rc;
}

/* Lists and maps */

/*
 * The element of a list whose repeated node is given (LogicalTypes.md, backward compatibility):
 * that node itself, where it is no group, has several fields, or a name that old writers gave to
 * elements; else its only child.
 */
static uint32_t element_of(const struct present_build *b, uint32_t list, uint32_t repeated,
                           uint32_t field)
{
    const struct parquet_footer *f = &b->meta->footer;
    const struct parquet_node *node = &f->nodes[repeated];
    uint32_t child = repeated + 1;
    if (node->leaf != PARQUET_NO_LEAF || children(f, repeated) != 1 ||
        f->nodes[child].repetition == PARQUET_REPEATED || slice_is(node->name, "array"))
        return repeated;
    struct slice of = f->nodes[list].name;
    if (node->name.n == of.n + 6 && slice_starts(node->name, of) &&
        slice_ends(node->name, SLICE_LIT("_tuple")))
        return repeated;
    /* A struct of one field cannot be that field. */
    if (b->shape->fields[field].kind == SHAPE_STRUCT && f->nodes[child].leaf != PARQUET_NO_LEAF)
        return repeated;
    return child;
}

static bool is_repeated_only(const struct parquet_footer *f, uint32_t stored)
{
    return f->nodes[stored].leaf == PARQUET_NO_LEAF && children(f, stored) == 1 &&
           f->nodes[stored + 1].repetition == PARQUET_REPEATED;
}

/*
 * A struct that is the repeated node itself, and of which one field is left (or was, under a name
 * that goes with the list's), would read as a wrapper of that field. What is replaced is made below
 * what repeats.
 */
static bool needs_wrapper(const struct present_build *b, uint32_t field, uint32_t repeated,
                          bool renamed)
{
    const struct parquet_footer *f = &b->meta->footer;
    const struct shape_field *e = &b->shape->fields[field];
    if (is_replaced(e))
        return true;
    if (e->kind != SHAPE_STRUCT || b->shape->fields[field + 1].end != e->end)
        return false;
    return children(f, repeated) != 1 || (renamed && !slice_is(f->nodes[repeated].name, "array"));
}

/* The element below a repeated node, which was put just now. */
static int match_below(struct present_build *b, uint32_t wrapper, struct present_place place,
                       uint32_t field, uint32_t stored)
{
    if (wrapper == PRESENT_NO_NODE)
        return -b->err->code;
    place.parent = wrapper;
    int rc = match_node(b, &place, field, stored);
    present_end_node(b, wrapper);
    return rc;
}

/* `list` and `element` of our own, so that the struct is what repeats; levels stay what they are.
 */
static int match_wrapped(struct present_build *b, uint32_t at, uint32_t field, uint32_t repeated)
{
    struct present_place place = {.name = SLICE_LIT("element"), .element = true, .once = true};
    uint32_t wrapper =
        present_put_node(b, at, SLICE_LIT("list"), PARQUET_REPEATED, PRESENT_NO_NODE);
    return match_below(b, wrapper, place, field, repeated);
}

/* Below a list's own node: the repeated one, and the element in it or itself. */
static int match_element(struct present_build *b, uint32_t at, uint32_t field, uint32_t stored)
{
    const struct parquet_node *nodes = b->meta->footer.nodes;
    uint32_t repeated = stored + 1, element = element_of(b, stored, repeated, field);
    struct present_place place = {.parent = at, .name = nodes[element].name};
    if (element != repeated) {
        uint32_t wrapper =
            present_put_node(b, at, nodes[repeated].name, PARQUET_REPEATED, repeated);
        return match_below(b, wrapper, place, field, element);
    }
    bool renamed = !slice_eq(b->p->nodes[at].name, nodes[stored].name);
    if (needs_wrapper(b, field, repeated, renamed))
        return match_wrapped(b, at, field, repeated);
    place.element = true;
    return match_node(b, &place, field, repeated);
}

/* A repeated field outside of any list is one. */
static int match_bare_list(struct present_build *b, const struct present_place *place,
                           uint32_t field, uint32_t stored)
{
    if (!needs_wrapper(b, field + 1, stored, false)) {
        struct present_place own = *place;
        own.element = true;
        return match_node(b, &own, field + 1, stored);
    }
    uint32_t at =
        present_put_node(b, place->parent, place->name, PARQUET_REQUIRED, PRESENT_NO_NODE);
    if (at == PRESENT_NO_NODE)
        return -b->err->code;
    present_set_id(b, at, &b->shape->fields[field]);
    present_describe(b, at, (struct parquet_logical){.annotation = PARQUET_LIST});
    int rc = match_wrapped(b, at, field + 1, stored);
    present_end_node(b, at);
    return rc;
}

static int match_list(struct present_build *b, const struct present_place *place, uint32_t field,
                      uint32_t stored)
{
    const struct parquet_footer *f = &b->meta->footer;
    const struct parquet_node *node = &f->nodes[stored];
    if (node->repetition == PARQUET_REPEATED && !place->element)
        return match_bare_list(b, place, field, stored);
    if (!is_repeated_only(f, stored))
        return mismatch(b, place, field, stored);
    uint32_t at = present_put_node(b, place->parent, place->name, node->repetition, stored);
    if (at == PRESENT_NO_NODE)
        return -b->err->code;
    present_set_id(b, at, &b->shape->fields[field]);
    int rc = match_element(b, at, field + 1, stored);
    present_end_node(b, at);
    return rc;
}

static int match_map(struct present_build *b, const struct present_place *place, uint32_t field,
                     uint32_t stored)
{
    const struct parquet_footer *f = &b->meta->footer;
    const struct shape_field *fields = b->shape->fields;
    uint32_t pairs = stored + 1, key = field + 1, value = fields[key].end;
    if (!is_repeated_only(f, stored) || children(f, pairs) != 2)
        return mismatch(b, place, field, stored);
    uint32_t at =
        present_put_node(b, place->parent, place->name, f->nodes[stored].repetition, stored);
    uint32_t wrapper = at == PRESENT_NO_NODE
                           ? at
                           : present_put_node(b, at, f->nodes[pairs].name, PARQUET_REPEATED, pairs);
    if (wrapper == PRESENT_NO_NODE)
        return -b->err->code;
    present_set_id(b, at, &fields[field]);
    uint32_t stored_key = pairs + 1, stored_value = f->nodes[stored_key].end;
    struct present_place of_key = {.parent = wrapper, .name = f->nodes[stored_key].name};
    if (fields[key].mask == SHAPE_MASK_NULL)
        return present_refuse(b, &of_key, "keys of a map cannot be replaced with null");
    struct present_place of_value = {.parent = wrapper, .name = f->nodes[stored_value].name};
    int rc = match_node(b, &of_key, key, stored_key);
    if (rc == 0)
        rc = match_node(b, &of_value, value, stored_value);
    present_end_node(b, wrapper);
    present_end_node(b, at);
    return rc;
}

/* Structs */

/* The leaf below a group that repeats least: its levels tell how often the group is there. */
static uint32_t leaf_below(const struct parquet_footer *f, uint32_t group)
{
    uint32_t best = PARQUET_NO_LEAF;
    unsigned repetition = UINT32_MAX;
    for (uint32_t i = group + 1; i < f->nodes[group].end; i++)
        if (f->nodes[i].leaf != PARQUET_NO_LEAF && f->nodes[i].max_repetition < repetition) {
            best = f->nodes[i].leaf;
            repetition = f->nodes[i].max_repetition;
        }
    return best;
}

static int fill_below(struct present_build *b, const struct present_place *place, uint32_t field,
                      uint32_t group, uint32_t source)
{
    const struct parquet_node *node = &b->meta->footer.nodes[group];
    struct present_missing missing = {.source = PARQUET_NO_LEAF,
                                      .repetition = node->max_repetition,
                                      .definition = node->max_definition,
                                      .there = node->max_definition};
    if (node->max_definition > 0 && source == PARQUET_NO_LEAF)
        return present_refuse(b, place, "nothing in the file tells where its parent is");
    if (node->max_definition > 0)
        missing.source = source;
    return present_fill(b, place, field, &missing);
}

static int match_fields(struct present_build *b, uint32_t at, uint32_t field, uint32_t stored)
{
    const struct shape_field *fields = b->shape->fields;
    AUTO_FREE uint32_t *found = NULL;
    int rc = present_find(b, at, field, stored, &found);
    uint32_t source = rc == 0 ? leaf_below(&b->meta->footer, stored) : PARQUET_NO_LEAF;
    size_t n = 0;
    for (uint32_t i = field + 1; rc == 0 && i < fields[field].end; i = fields[i].end, n++) {
        struct present_place place = {.parent = at, .name = fields[i].name};
        rc = found[n] ? match_node(b, &place, i, found[n])
                      : fill_below(b, &place, i, stored, source);
    }
    return rc;
}

static int match_struct(struct present_build *b, const struct present_place *place, uint32_t field,
                        uint32_t stored)
{
    const struct parquet_node *node = &b->meta->footer.nodes[stored];
    if (node->leaf != PARQUET_NO_LEAF ||
        b->meta->elements[stored].logical.annotation != PARQUET_NONE)
        return mismatch(b, place, field, stored);
    enum parquet_repetition repetition = place->once ? PARQUET_REQUIRED : node->repetition;
    uint32_t at = present_put_node(b, place->parent, place->name, repetition, stored);
    if (at == PRESENT_NO_NODE)
        return -b->err->code;
    present_set_id(b, at, &b->shape->fields[field]);
    int rc = match_fields(b, at, field, stored);
    present_end_node(b, at);
    if (rc == 0 && b->p->nodes_n == at + 1)
        return present_refuse(b, place, "the file has nothing of it");
    return rc;
}

static int match_node(struct present_build *b, const struct present_place *place, uint32_t field,
                      uint32_t stored)
{
    const struct shape_field *f = &b->shape->fields[field];
    bool tree = f->type == SHAPE_STORED || f->type == SHAPE_VARIANT;
    if (is_replaced(f))
        return replace(b, place, field, stored);
    if (f->kind == SHAPE_LEAF && f->type == SHAPE_STORED)
        return match_tree(b, place, field, stored);
    if (f->kind == SHAPE_LIST)
        return match_list(b, place, field, stored);
    if (b->meta->footer.nodes[stored].repetition == PARQUET_REPEATED && !place->element)
        return mismatch(b, place, field, stored);
    if (f->kind == SHAPE_MAP)
        return match_map(b, place, field, stored);
    if (f->kind == SHAPE_STRUCT)
        return match_struct(b, place, field, stored);
    return tree ? match_tree(b, place, field, stored) : match_leaf(b, place, field, stored);
}

int present_match(struct present_plan *p, const struct shape *shape, struct err *err)
{
    const struct parquet_meta *meta = &p->detail->meta;
    struct err local = ERR_INIT;
    struct present_build b = {
        .p = p,
        .meta = meta,
        .shape = shape,
        /* A variant that is filled takes three, as does a map with its key alone. */
        .nodes_max = meta->footer.nodes_n + (shape ? 3 * shape->fields_n : 0),
        .err = &local,
    };
    p->nodes = arena_calloc(&p->arena, b.nodes_max, sizeof *p->nodes);
    p->leaves = arena_calloc(&p->arena, b.nodes_max, sizeof *p->leaves);
    p->detail->origins = arena_calloc(&p->arena, b.nodes_max, sizeof *p->detail->origins);
    if (!p->nodes || !p->leaves || !p->detail->origins)
        return arena_failed(&p->arena, "a presented schema", err);
    if (shape && shape->match == SHAPE_BY_ID_ALONE && !meta->has_ids)
        return err_set(
            err, EOPNOTSUPP,
            "the file has no field ids, and the table no schema.name-mapping.default that "
            "tells which column is which");
    struct present_place root = {.name = meta->footer.nodes[0].name, .element = true};
    if (p->confined)
        root.name = SLICE_LIT("schema");
    int rc = shape ? match_struct(&b, &root, 0, 0) : present_copy_tree(&b, &root, 0);
    return rc < 0 ? err_copy(err, &local) : 0;
}
