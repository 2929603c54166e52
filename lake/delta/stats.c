/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statistics are JSON within a string, as large as all the rest of an add. Only one object in
 * it is of interest, so it is read as it stands, where each quote has a backslash before it; names
 * that have more of these are left alone.
 */
#include "lake/delta/stats.h"

#define QUOTE SLICE_LIT("\\\"")

static bool take(struct slice *s, struct slice text)
{
    if (!slice_starts(*s, text))
        return false;
    *s = slice_from(*s, text.n);
    return true;
}

static bool take_name(struct slice *s, struct slice *name)
{
    if (!take(s, QUOTE))
        return false;
    ptrdiff_t end = slice_find(*s, '\\');
    if (end <= 0)
        return false;
    *name = slice_make(s->p, (size_t)end);
    *s = slice_from(*s, name->n);
    return take(s, QUOTE) && take(s, SLICE_LIT(":"));
}

static struct slice take_number(struct slice *s)
{
    size_t n = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
        n++;
    struct slice number = slice_make(s->p, n);
    *s = slice_from(*s, n);
    return number;
}

/* What follows this text; empty where it is not there. */
static struct slice after(struct slice s, const char *text)
{
    const char *at = s.n ? memmem(s.p, s.n, text, strlen(text)) : NULL;
    return at ? slice_from(s, (size_t)(at - s.p) + strlen(text)) : slice_from(s, s.n);
}

static bool holds_struct(const struct shape *shape, size_t at)
{
    for (size_t i = at + 1; i < shape->fields[at].end; i++)
        if (shape->fields[i].kind == SHAPE_STRUCT)
            return true;
    return false;
}

/* Appends the path of a field within that of what it is in. */
static bool add_path(struct arena *arena, struct slice within, struct slice name, struct slice *out)
{
    size_t n = within.n ? within.n + 1 : 0;
    char *text = arena_alloc(arena, n + name.n + 1);
    if (!text)
        return false;
    if (within.n)
        memcpy(text, within.p, within.n);
    if (n)
        text[within.n] = '\0';
    memcpy(text + n, name.p, name.n);
    *out = slice_make(text, n + name.n);
    return true;
}

void delta_counted_of(const struct shape *shape, struct arena *arena, struct delta_counted *out)
{
    struct {
        struct slice path;
        size_t end;
    } open[SHAPE_DEPTH_MAX + 1] = {{SLICE_NONE, 0}};
    size_t depth = 0;
    *out = (struct delta_counted){.possible = false};
    bool *needs = NULL;
    if (shape) {
        out->paths.at = arena_calloc(arena, DELTA_COUNTED_MAX, sizeof out->paths.at[0]);
        out->required = needs = arena_calloc(arena, DELTA_COUNTED_MAX, sizeof needs[0]);
    }
    if (!out->paths.at || !needs)
        return;
    open[0].end = shape->fields_n;
    for (size_t i = 1; i < shape->fields_n;) {
        const struct shape_field *f = &shape->fields[i];
        struct slice path;
        while (depth && open[depth].end <= i)
            depth--;
        bool group = f->kind == SHAPE_STRUCT;
        if ((!group && (holds_struct(shape, i) || out->paths.n == DELTA_COUNTED_MAX)) ||
            !add_path(arena, open[depth].path, f->name, &path))
            return;
        if (group) {
            depth++;
            open[depth].path = path;
            open[depth].end = f->end;
        } else {
            needs[out->paths.n] = depth == 0 && !f->nullable;
            out->paths.at[out->paths.n++] = path;
        }
        i = group ? i + 1 : f->end;
    }
    out->possible = true;
}

/* The counts on their way. */
struct counts {
    struct slice rest, records;
    const struct delta_list *paths;
    bool strange; /* of another column, too */
    uint64_t seen[DELTA_COUNTED_MAX / 64];
    size_t next; /* names come in the schema's order, mostly */
    char path[4096];
};

/* Nulls of this column were counted: `some` rows have a value. */
static void note(struct counts *c, struct slice path, bool some)
{
    const struct delta_list *paths = c->paths;
    for (size_t i = 0; i < paths->n; i++) {
        size_t at = (c->next + i) % paths->n;
        if (!slice_eq(paths->at[at], path))
            continue;
        c->seen[at / 64] |= (uint64_t)some << at % 64;
        c->next = at + 1;
        return;
    }
    c->strange = true;
}

/* What is between braces, the first of which was taken, below a path of `n` bytes. */
static bool take_counts(struct counts *c, size_t n, unsigned depth)
{
    struct slice name;
    if (take(&c->rest, SLICE_LIT("}")))
        return true;
    do {
        if (!take_name(&c->rest, &name) || name.n + 1 > sizeof c->path - n)
            return false;
        memcpy(c->path + n, name.p, name.n);
        size_t end = n + name.n;
        if (take(&c->rest, SLICE_LIT("{"))) {
            c->path[end] = '\0';
            if (depth == SHAPE_DEPTH_MAX || !take_counts(c, end + 1, depth + 1))
                return false;
            continue;
        }
        struct slice number = take_number(&c->rest);
        if (number.n)
            note(c, slice_make(c->path, end), !slice_eq(number, c->records));
        else if (!take(&c->rest, SLICE_LIT("null")))
            return false;
    } while (take(&c->rest, SLICE_LIT(",")));
    return take(&c->rest, SLICE_LIT("}"));
}

bool delta_stats_prove(struct slice stats, const struct delta_counted *columns)
{
    if (!columns->possible)
        return false;
    struct slice records = after(stats, "\\\"numRecords\\\":");
    struct counts c = {.rest = after(stats, "\\\"nullCount\\\":{"), .paths = &columns->paths};
    c.records = take_number(&records);
    if (c.records.n == 0 || c.rest.n == 0 || !take_counts(&c, 0, 0) || c.strange)
        return false;
    for (size_t i = 0; i < columns->paths.n; i++)
        if (!columns->required[i] && !(c.seen[i / 64] >> i % 64 & 1))
            return false;
    return true;
}
