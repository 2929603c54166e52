/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/view/view_decide.h"

#include "base/limits.h"
#include "lake/former.h"

/* A column of the version as a grant looks at it, from the top down. */
struct look {
    struct column_name today; /* what it is called today, as far as is known */
    struct column_name any;   /* with all names of each component, where one has several; or none */
    size_t mask;              /* the first term of `mask` that names it or what it is part of */
    bool named;               /* `only` names it, or what it is part of */
    bool taken;               /* something else is called so today */
    bool lost;   /* it had an id, and the table has none any more: who knows its name */
    bool nulled; /* what it is part of becomes null */
};

struct decide {
    struct view_decision *d;
    const struct grant *g;
    struct slice table;
    const struct former *former; /* NULL: not known */
    struct err *err;
};

static int out_of_memory(const struct decide *c)
{
    return arena_failed(&c->d->at.arena, "a table's columns", c->err);
}

static struct slice last_name(struct slice path)
{
    return slice_from(path, (size_t)(slice_rfind(path, COLUMN_SEPARATOR) + 1));
}

static int join(const struct decide *c, struct slice above, struct slice name, struct slice *out)
{
    AUTO(buf) struct buf path = {0};
    buf_init(&path, above.n + name.n + 1);
    buf_add_slice(&path, above);
    if (above.n)
        buf_add_char(&path, COLUMN_SEPARATOR);
    buf_add_slice(&path, name);
    int rc = buf_check(&path, c->err);
    if (rc < 0)
        return rc;
    *out = arena_slice(&c->d->at.arena, buf_slice(&path));
    return out->p ? 0 : out_of_memory(c);
}

/* What is called so in something that has another path than in its version. */
static int name_below(const struct decide *c, const struct view_node *node, struct slice name,
                      const struct column_name *above, struct column_name *out)
{
    struct slice shorter = above->shorter.p ? above->shorter : above->full;
    *out = (struct column_name){.dotted = node->name.dotted || above->dotted,
                                .opaque = node->name.opaque};
    int rc = join(c, above->full, name, &out->full);
    if (node->word)
        out->shorter = shorter;
    else if (rc == 0 && above->shorter.p)
        rc = join(c, shorter, name, &out->shorter);
    return rc;
}

static int name_today(const struct decide *c, const struct view_node *up,
                      const struct view_node *node, const struct look *above, struct look *l)
{
    const struct view_node *same = node->word ? NULL : view_tree_today(&c->d->today, node);
    if (same) {
        l->today = same->name;
        return 0;
    }
    int rc = 0;
    l->today = node->name;
    if (!slice_eq(above->today.full, up->name.full))
        rc = name_below(c, node, last_name(node->name.full), &above->today, &l->today);
    bool there = !node->word && view_tree_exact(&c->d->today, l->today.full);
    l->taken = above->taken || there;
    l->lost = !node->word && !there && view_tree_has_ids(&c->d->at) &&
              !view_tree_has_ids(&c->d->today) && c->d->today.fields_n;
    return rc;
}

/* Adds one more name that a column has had. */
static void add_name(struct buf *names, struct slice name)
{
    struct slice rest = buf_slice(names);
    for (ptrdiff_t end = 0; rest.n && end >= 0; rest = slice_from(rest, (size_t)end + 1)) {
        end = slice_find(rest, GLOB_OR);
        if (slice_eq(name, end < 0 ? rest : slice_make(rest.p, (size_t)end)))
            return;
        if (end < 0)
            break;
    }
    if (names->len)
        buf_add_char(names, GLOB_OR);
    buf_add_slice(names, name);
}

/* Each name that it and what it is in had may have stood beside each of the others' once. */
static int name_any(const struct decide *c, const struct view_node *node, const struct look *above,
                    struct look *l)
{
    AUTO(buf) struct buf names = {0};
    struct slice now = last_name(l->today.full);
    buf_init(&names, FORMER_BYTES_MAX);
    add_name(&names, now);
    add_name(&names, last_name(node->name.full));
    add_name(&names, last_name(node->stored.full));
    const struct former_name *former =
        c->former && !node->word ? former_names(c->former, node->field->id) : NULL;
    for (; former; former = former->same_id)
        add_name(&names, former->name);
    int rc = buf_check(&names, c->err);
    if (rc < 0 || (!above->any.full.p && names.len == now.n))
        return rc;
    return name_below(c, node, buf_slice(&names), above->any.full.p ? &above->any : &above->today,
                      &l->any);
}

/* What keeps back: a name of today, of then, or that files have, which one renamed had before. */
static const struct column_term *find_loosely(const struct decide *c,
                                              const struct column_terms *terms,
                                              const struct view_node *node, const struct look *l)
{
    const struct column_name *names[] = {&l->today, &node->name, &node->stored, &l->any};
    const struct column_term *first = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!names[i]->full.p || (i && slice_eq(names[i]->full, l->today.full)))
            continue;
        const struct column_term *term = column_terms_find(terms, c->table, names[i], false);
        if (term && (!first || term < first))
            first = term;
    }
    return first;
}

/* The first mask that was meant for that very column, or that names it. */
static size_t find_mask(const struct decide *c, const struct view_node *node, const struct look *l,
                        size_t above)
{
    const struct grant *g = c->g;
    for (size_t i = 0; g->mask_ids && i < g->mask.n; i++)
        if (node->field->id == g->mask_ids[i])
            return i; /* whatever is or was called so, and whatever it is in */
    const struct column_term *masks = find_loosely(c, &g->mask, node, l);
    size_t own = masks ? (size_t)(masks - g->mask.at) : SIZE_MAX;
    return own < above ? own : above;
}

static void look_at(const struct decide *c, const struct view_node *node, struct look *looks,
                    struct column_decision *out)
{
    struct look *l = &looks[node->index];
    const struct look *up = &looks[node->parent];
    const struct column_term *named = column_terms_find(&c->g->only, c->table, &l->today, true);
    *out = (struct column_decision){.term = find_loosely(c, &c->g->hide, node, l)};
    out->state = out->term || l->lost ? COLUMN_HIDDEN : COLUMN_SHOWN;
    l->named = up->named || (named && !l->taken);
    if (c->g->only.at && !l->named && node->field->kind == SHAPE_LEAF)
        out->state = COLUMN_HIDDEN;
    l->mask = find_mask(c, node, l, up->mask);
    l->nulled = up->nulled;
    if (l->nulled || l->mask == SIZE_MAX || out->state == COLUMN_HIDDEN)
        return;
    const struct column_term *mask = &c->g->mask.at[l->mask];
    l->nulled = mask->mask == SHAPE_MASK_NULL;
    if (node->field->kind != SHAPE_LEAF && !l->nulled)
        return; /* its leaves are masked */
    *out = (struct column_decision){COLUMN_MASKED, (enum shape_mask)mask->mask, mask};
}

/* A struct without a field, a list without its element, a map without key or value: none. */
static bool is_left(const struct shape_field *fields, const struct column_decision *columns,
                    const bool *cut, uint32_t i)
{
    bool all = true, any = false;
    uint32_t first = i + 1;
    for (uint32_t at = first; at < fields[i].end; at = fields[at].end) {
        bool hidden = columns[at].state == COLUMN_HIDDEN;
        all = all && hidden;
        any = any || hidden;
    }
    if (fields[i].kind == SHAPE_MAP)
        return !any && !cut[first];
    return fields[i].kind == SHAPE_LEAF || !all;
}

/* What has nothing left goes, from the inside out; and all that is in what goes. */
static int hide_the_rest(const struct decide *c, const struct view_node *nodes, size_t n,
                         struct column_decision *columns)
{
    const struct shape_field *fields = nodes[0].field;
    bool *cut = arena_calloc(&c->d->at.arena, n, sizeof *cut); /* something in it is hidden */
    if (!cut)
        return out_of_memory(c);
    for (uint32_t i = (uint32_t)n - 1; i > 0; i--) {
        if (!is_left(fields, columns, cut, i))
            columns[i].state = COLUMN_HIDDEN;
        cut[i] = cut[i] || columns[i].state == COLUMN_HIDDEN;
        cut[nodes[i].parent] = cut[nodes[i].parent] || cut[i];
    }
    for (uint32_t i = 1; i < n; i++) {
        const struct column_decision *up = &columns[nodes[i].parent];
        if (up->state == COLUMN_HIDDEN)
            columns[i] = (struct column_decision){COLUMN_HIDDEN, SHAPE_MASK_NONE,
                                                  columns[i].term ? columns[i].term : up->term};
    }
    return 0;
}

static int decide_columns(const struct decide *c, const struct view_node *nodes, size_t n,
                          struct column_decision **out)
{
    struct arena *arena = &c->d->at.arena;
    int rc = 0;
    if (n == 0)
        return 0;
    struct look *looks = arena_calloc(arena, n, sizeof *looks);
    *out = arena_calloc(arena, n, sizeof **out);
    if (!looks || !*out)
        return out_of_memory(c);
    looks[0] = (struct look){.today = nodes[0].name, .mask = SIZE_MAX};
    for (size_t i = 1; rc == 0 && i < n; i++) {
        rc = name_today(c, &nodes[nodes[i].parent], &nodes[i], &looks[nodes[i].parent], &looks[i]);
        if (rc == 0)
            rc = name_any(c, &nodes[i], &looks[nodes[i].parent], &looks[i]);
        if (rc == 0)
            look_at(c, &nodes[i], looks, &(*out)[i]);
    }
    return rc < 0 ? rc : hide_the_rest(c, nodes, n, *out);
}

int view_decide(struct view_decision *d, const struct grant *g, const struct view_columns *at,
                const struct view_columns *today, struct err *err)
{
    struct decide c = {d, g, at->table, today->former, err};
    *d = (struct view_decision){0};
    int rc = view_tree_init(&d->at, at, err);
    int rc_today = view_tree_init(&d->today, today, rc < 0 ? NULL : err);
    if (rc == 0)
        rc = rc_today;
    if (rc == 0)
        rc = decide_columns(&c, d->at.fields, d->at.fields_n, &d->fields);
    if (rc == 0)
        rc = decide_columns(&c, d->at.partitions, d->at.partitions_n, &d->partitions);
    return rc;
}

void view_decision_done(struct view_decision *d)
{
    view_tree_done(&d->at);
    view_tree_done(&d->today);
}
