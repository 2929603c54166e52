/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/view/view_tree.h"

#include "base/fold.h"
#include "base/limits.h"

/* Paths of all columns: names are repeated below each struct. */
#define TREE_MEMORY_MAX (4 * SHAPE_MEMORY_MAX)
/* A path of 100 names. */
#define PATH_BYTES_MAX (MIB)

static int out_of_memory(const struct view_tree *t, struct err *err)
{
    return arena_failed(&t->arena, "a table's columns", err);
}

/* What stands for a list's element and a map's two, which have no names; else SLICE_NONE. */
static struct slice stand_in(const struct shape *shape, uint32_t parent, uint32_t index)
{
    if (shape->fields[parent].kind == SHAPE_LIST)
        return SLICE_LIT("element");
    if (shape->fields[parent].kind == SHAPE_MAP)
        return index == parent + 1 ? SLICE_LIT("key") : SLICE_LIT("value");
    return SLICE_NONE;
}

static int join(struct view_tree *t, struct slice parent, struct slice name, struct slice *out,
                struct err *err)
{
    AUTO(buf) struct buf path = {0};
    buf_init(&path, PATH_BYTES_MAX);
    buf_add_slice(&path, parent);
    if (parent.n)
        buf_add_char(&path, COLUMN_SEPARATOR);
    buf_add_slice(&path, name);
    int rc = buf_check(&path, err);
    if (rc < 0)
        return rc;
    *out = arena_slice(&t->arena, buf_slice(&path));
    return out->p ? 0 : out_of_memory(t, err);
}

/* The path of what is called so in `up`. word: what stands for a name, or none. */
static int name_below(struct view_tree *t, const struct column_name *up, struct slice word,
                      struct slice name, struct column_name *out, struct err *err)
{
    struct slice above = up->shorter.p ? up->shorter : up->full;
    out->dotted = up->dotted || (!word.p && slice_find(name, '.') >= 0);
    int rc = join(t, up->full, word.p ? word : name, &out->full, err);
    if (word.p)
        out->shorter = above;
    else if (rc == 0 && up->shorter.p)
        rc = join(t, above, name, &out->shorter, err);
    return rc;
}

static int name_node(struct view_tree *t, const struct shape *shape, const struct view_node *up,
                     struct view_node *node, struct err *err)
{
    struct slice word = stand_in(shape, node->parent, node->index);
    const struct shape_field *f = node->field;
    node->word = word.p != NULL;
    node->name.opaque = node->stored.opaque =
        f->kind == SHAPE_LEAF && (f->type == SHAPE_VARIANT || f->type == SHAPE_STORED);
    node->key = up->key || slice_is(word, "key");
    int rc = name_below(t, &up->name, word, f->name, &node->name, err);
    return rc < 0 ? rc : name_below(t, &up->stored, word, f->stored, &node->stored, err);
}

static int put_first(struct map *map, struct slice key, struct view_node *node)
{
    return map_find(map, key) ? 0 : map_put(map, key, node);
}

static int add_node(struct view_tree *t, struct view_node *node, struct err *err)
{
    const int32_t *id = &node->field->id;
    int rc = *id == SHAPE_NO_ID ? 0 : put_first(&t->by_id, slice_make(id, sizeof *id), node);
    if (rc == 0)
        rc = put_first(&t->by_path, node->name.full, node);
    if (rc == 0)
        rc = put_first(&t->by_stored, node->stored.full, node);
    return rc < 0 ? err_set(err, -rc, "no room for a table's columns") : 0;
}

static int add_shape(struct view_tree *t, const struct shape *shape, bool partition,
                     struct view_node **out, size_t *n, struct err *err)
{
    struct view_node *nodes = arena_calloc(&t->arena, shape->fields_n, sizeof *nodes);
    uint32_t open = 0; /* the innermost field that has not ended */
    int rc = 0;
    if (!nodes)
        return out_of_memory(t, err);
    nodes[0] = (struct view_node){.field = &shape->fields[0], .partition = partition};
    nodes[0].name.full = nodes[0].stored.full = SLICE_LIT("");
    for (uint32_t i = 1; rc == 0 && i < shape->fields_n; i++) {
        while (shape->fields[open].end <= i)
            open = nodes[open].parent;
        nodes[i] = (struct view_node){
            .field = &shape->fields[i], .index = i, .parent = open, .partition = partition};
        rc = name_node(t, shape, &nodes[open], &nodes[i], err);
        if (rc == 0)
            rc = add_node(t, &nodes[i], err);
        if (shape->fields[i].kind != SHAPE_LEAF)
            open = i;
    }
    if (rc < 0)
        return rc;
    *out = nodes;
    *n = shape->fields_n;
    return 0;
}

int view_tree_init(struct view_tree *t, const struct view_columns *columns, struct err *err)
{
    *t = (struct view_tree){0};
    arena_init(&t->arena, TREE_MEMORY_MAX);
    map_init(&t->by_id, 2 * PARQUET_NODES_MAX);
    map_init(&t->by_path, 2 * PARQUET_NODES_MAX);
    map_init(&t->by_stored, 2 * PARQUET_NODES_MAX);
    int rc =
        columns->shape ? add_shape(t, columns->shape, false, &t->fields, &t->fields_n, err) : 0;
    if (rc == 0 && columns->partitions)
        rc = add_shape(t, columns->partitions, true, &t->partitions, &t->partitions_n, err);
    return rc;
}

void view_tree_done(struct view_tree *t)
{
    map_done(&t->by_id);
    map_done(&t->by_path);
    map_done(&t->by_stored);
    arena_done(&t->arena);
}

static const struct view_node *find_folded(const struct view_node *nodes, size_t n,
                                           struct slice full)
{
    for (size_t i = 1; i < n; i++)
        if (fold_equal(nodes[i].name.full, full))
            return &nodes[i];
    return NULL;
}

const struct view_node *view_tree_exact(const struct view_tree *t, struct slice full)
{
    return map_find(&t->by_path, full);
}

const struct view_node *view_tree_find(const struct view_tree *t, struct slice full)
{
    const struct view_node *node = view_tree_exact(t, full);
    if (!node)
        node = find_folded(t->fields, t->fields_n, full);
    return node ? node : find_folded(t->partitions, t->partitions_n, full);
}

bool view_tree_has_ids(const struct view_tree *t)
{
    return t->by_id.count > 0;
}

static const struct view_node *find_id(const struct view_tree *t, int32_t id)
{
    return map_find(&t->by_id, slice_make(&id, sizeof id));
}

const struct view_node *view_tree_today(const struct view_tree *today, const struct view_node *of)
{
    if (!view_tree_has_ids(today))
        return view_tree_exact(today, of->name.full);
    return of->field->id == SHAPE_NO_ID ? map_find(&today->by_stored, of->stored.full)
                                        : find_id(today, of->field->id);
}

const struct view_node *view_tree_then(const struct view_tree *then, const struct view_node *of)
{
    if (!view_tree_has_ids(then))
        return view_tree_exact(then, of->stored.full);
    return of->field->id == SHAPE_NO_ID ? view_tree_exact(then, of->name.full)
                                        : find_id(then, of->field->id);
}

void view_path_format(struct buf *out, struct slice full)
{
    for (size_t i = 0; i < full.n; i++)
        buf_add_char(out, full.p[i] == COLUMN_SEPARATOR ? '.' : full.p[i]);
}
