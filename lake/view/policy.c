/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/view/policy.h"

#include "lake/view/policy_grant.h"
#include "lake/view/principal.h"

void policy_free(struct policy *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->grants_n; i++)
        filter_unref(p->grants[i].rows);
    arena_done(&p->arena);
    free(p);
}

static bool is_grantee(const struct grantee *to, const struct principal *who)
{
    switch (to->kind) {
    case GRANTEE_ROLE:
        return principal_has_role(who, to->name);
    case GRANTEE_USER:
        return principal_is_user(who, to->name);
    case GRANTEE_GROUP:
        return principal_in_group(who, to->name);
    case GRANTEE_EVERYONE:
        return true;
    }
    return false;
}

static bool is_for(const struct grant *g, const struct principal *who)
{
    for (size_t i = 0; i < g->to_n; i++)
        if (is_grantee(&g->to[i], who))
            return true;
    return false;
}

static bool covers(const struct grant *g, struct slice path)
{
    for (size_t i = 0; i < g->tables_n; i++)
        if (glob_matches(&g->tables[i], path, '/', false))
            return true;
    return false;
}

static bool reaches(const struct grant *g, struct slice dir)
{
    for (size_t i = 0; i < g->tables_n; i++)
        if (glob_reaches(&g->tables[i], dir, '/'))
            return true;
    return false;
}

const struct grant *policy_decide(const struct policy *p, const struct principal *who,
                                  struct slice path)
{
    for (size_t i = 0; i < p->grants_n; i++)
        if (covers(&p->grants[i], path) && is_for(&p->grants[i], who))
            return &p->grants[i];
    return NULL;
}

/* The path or a directory above it, the mount's root aside. */
static bool covers_above(const struct grant *g, struct slice path)
{
    for (size_t end = 1; end <= path.n; end++)
        if ((end == path.n || path.p[end] == '/') && covers(g, slice_make(path.p, end)))
            return true;
    return false;
}

const struct grant *policy_decide_object(const struct policy *p, const struct principal *who,
                                         struct slice place, struct slice path)
{
    for (size_t i = 0; i < p->grants_n; i++) {
        const struct grant *g = &p->grants[i];
        if ((covers(g, place) || (!grant_whole(g) && covers_above(g, path))) && is_for(g, who))
            return g;
    }
    return NULL;
}

bool policy_parts_below(const struct policy *p, const struct principal *who, struct slice table)
{
    for (size_t i = 0; i < p->grants_n; i++) {
        const struct grant *g = &p->grants[i];
        bool decides = covers(g, table);
        if ((decides || (!grant_whole(g) && reaches(g, table))) && is_for(g, who))
            return !decides;
    }
    return false;
}

bool policy_may_reach(const struct policy *p, const struct principal *who, struct slice dir)
{
    for (size_t i = 0; i < p->grants_n; i++)
        if (reaches(&p->grants[i], dir) && is_for(&p->grants[i], who))
            return true;
    return false;
}

unsigned grant_line(const struct grant *g)
{
    return g->place.line;
}

bool grant_whole(const struct grant *g)
{
    return !g->hide.at && !g->only.at && !g->mask.at && !g->rows;
}

/* Columns */

/* As hide and mask read a pattern. */
static bool touches(const struct glob *g, struct slice path, bool dotted)
{
    char text[GLOB_BYTES_MAX];
    if (glob_matches(g, path, COLUMN_SEPARATOR, true))
        return true;
    if (!dotted || path.n > sizeof text)
        return false;
    for (size_t i = 0; i < path.n; i++)
        text[i] = path.p[i] == COLUMN_SEPARATOR ? '.' : path.p[i];
    return glob_matches(g, slice_make(text, path.n), '.', true);
}

static bool touches_either(const struct glob *g, const struct column_name *column)
{
    return touches(g, column->full, column->dotted) ||
           (column->shorter.p && touches(g, column->shorter, column->dotted));
}

/* The pattern names something in the column. */
static bool leads_into(const struct glob *g, const struct column_name *column)
{
    for (size_t n = 1; n < g->n; n++) {
        struct glob head = {g->parts, n};
        if (g->parts[n - 1].kind != GLOB_DEEP && touches_either(&head, column))
            return true;
    }
    return false;
}

static bool rule_names(const struct column_rule *rule, struct slice table,
                       const struct column_name *column, bool narrow)
{
    if (narrow && rule->second)
        return false;
    if (rule->table.n && !glob_matches(&rule->table, table, '/', !narrow))
        return false;
    if (narrow)
        return glob_matches(&rule->column, column->full, COLUMN_SEPARATOR, false);
    return touches_either(&rule->column, column) ||
           (column->opaque && leads_into(&rule->column, column));
}

const struct column_term *column_terms_find(const struct column_terms *terms, struct slice table,
                                            const struct column_name *column, bool narrow)
{
    for (size_t i = 0; i < terms->n; i++)
        for (size_t j = 0; j < terms->at[i].rules_n; j++)
            if (rule_names(&terms->at[i].rules[j], table, column, narrow))
                return &terms->at[i];
    return NULL;
}
