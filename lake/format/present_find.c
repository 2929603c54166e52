/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/map.h"
#include "lake/format/present_private.h"

/* What children of a stored group are looked up with. */
enum key {
    BY_ID,
    BY_NAME,
    BY_FOLDED, /* names without case (ASCII) */
    BY_NAMES,  /* of SHAPE_BY_MAPPING */
};

struct finder {
    const struct present_build *b;
    uint32_t at, group;
    struct map map;
    struct arena arena; /* folded names */
    bool *taken;        /* nodes from the group on that stand for a field */
};

static void finder_done(struct finder *f)
{
    map_done(&f->map);
    arena_done(&f->arena);
    free(f->taken);
}
DEFINE_AUTO_DONE(finder, struct finder, finder_done)

static int no_room(const struct finder *f)
{
    return err_set(f->b->err, ENOMEM, "the columns of a file: out of memory");
}

static struct slice fold(struct arena *a, struct slice s)
{
    char *to = arena_alloc(a, s.n + 1);
    for (size_t i = 0; to && i < s.n; i++)
        to[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] - 'A' + 'a' : s.p[i]);
    return slice_make(to, to ? s.n : 0);
}

/* The root stands for no field: in the map it says that several children have that key. */
static void *several(const struct finder *f)
{
    return f->b->meta->footer.nodes;
}

static int fill_map(struct finder *f, enum key by)
{
    const struct parquet_footer *footer = &f->b->meta->footer;
    map_done(&f->map);
    map_init(&f->map, PARQUET_NODES_MAX);
    for (uint32_t i = f->group + 1; i < footer->nodes[f->group].end; i = footer->nodes[i].end) {
        const struct parquet_element *e = &f->b->meta->elements[i];
        struct slice key = footer->nodes[i].name;
        if ((by == BY_ID && !e->has_id) || (by == BY_FOLDED && f->taken[i - f->group]))
            continue;
        if (by == BY_ID)
            key = slice_make(&e->id, sizeof e->id);
        else if (by == BY_FOLDED)
            key = fold(&f->arena, key);
        if (!key.p ||
            map_put(&f->map, key, map_find(&f->map, key) ? several(f) : &footer->nodes[i]) < 0)
            return no_room(f);
    }
    return 0;
}

/* The child that one of a mapping's names means. */
static const struct parquet_node *find_named(const struct finder *f,
                                             const struct shape_field *field)
{
    const struct parquet_node *node = NULL;
    for (uint32_t i = 0; i < field->names_n; i++) {
        const struct parquet_node *named = map_find(&f->map, field->names[i]);
        if (named && node && named != node)
            return several(f);
        node = named ? named : node;
    }
    return node;
}

/* Looks one field up; *found stays as it is where no child has that key. */
static int look_up(struct finder *f, enum key by, const struct shape_field *field, uint32_t *found)
{
    struct slice key = field->stored;
    if (by == BY_ID)
        key = slice_make(&field->id, sizeof field->id);
    else if (by == BY_FOLDED)
        key = fold(&f->arena, key);
    if (!key.p)
        return no_room(f);
    const struct parquet_node *node =
        by == BY_NAMES ? find_named(f, field) : map_find(&f->map, key);
    if (!node)
        return 0;
    struct present_place place = {.parent = f->at, .name = field->name};
    if (node == several(f))
        return present_refuse(f->b, &place, "several columns of the file may be meant");
    uint32_t at = (uint32_t)(node - f->b->meta->footer.nodes);
    if (f->taken[at - f->group])
        return present_refuse(f->b, &place, "its column of the file is another one's, too");
    f->taken[at - f->group] = true;
    *found = at;
    return 0;
}

/* Ids and a mapping's names are all or nothing; a name may stand there in other letters. */
static bool is_looked_up(const struct finder *f, enum key by, const struct shape_field *field)
{
    const struct shape *shape = f->b->shape;
    bool has_id = field->id != SHAPE_NO_ID;
    if (has_id && shape->match != SHAPE_BY_NAME && f->b->meta->has_ids)
        return by == BY_ID;
    if (has_id && shape->match == SHAPE_BY_MAPPING)
        return by == BY_NAMES;
    return by == BY_NAME || by == BY_FOLDED;
}

/* All fields that are looked up in this way and were not found yet. */
static int look_all_up(struct finder *f, enum key by, uint32_t field, uint32_t *found)
{
    const struct shape_field *fields = f->b->shape->fields;
    size_t n = 0;
    bool filled = false;
    int rc = 0;
    for (uint32_t i = field + 1; rc == 0 && i < fields[field].end; i = fields[i].end, n++) {
        if (found[n] || !is_looked_up(f, by, &fields[i]))
            continue;
        if (!filled)
            rc = fill_map(f, by);
        filled = true;
        if (rc == 0)
            rc = look_up(f, by, &fields[i], &found[n]);
    }
    return rc;
}

int present_find(const struct present_build *b, uint32_t at, uint32_t field, uint32_t group,
                 uint32_t **out)
{
    const struct parquet_node *node = &b->meta->footer.nodes[group];
    const struct shape_field *f = &b->shape->fields[field];
    AUTO(finder) struct finder finder = {.b = b, .at = at, .group = group};
    map_init(&finder.map, PARQUET_NODES_MAX);
    arena_init(&finder.arena, SHAPE_MEMORY_MAX);
    /* As many as there are at most: each has at least one node. */
    AUTO_FREE uint32_t *found = calloc(f->end - field, sizeof *found);
    finder.taken = calloc(node->end - group, sizeof *finder.taken);
    if (!found || !finder.taken)
        return no_room(&finder);
    static const enum key ways[] = {BY_ID, BY_NAMES, BY_NAME, BY_FOLDED};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(ways); i++)
        rc = look_all_up(&finder, ways[i], field, found);
    if (rc == 0)
        *out = STEAL(found);
    return rc;
}
