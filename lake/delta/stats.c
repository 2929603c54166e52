/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statistics are JSON within a string, as large as all the rest of an add. Only one object in
 * it is of interest, so it is read as it stands, where each quote has a backslash before it; names
 * that have more of these are left alone.
 */
#include "lake/delta/stats.h"

#include <assert.h>

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

/* Passes over a number, null, or an object of them. `full`: one of the numbers is this one. */
static bool take_value(struct slice *s, struct slice number, bool *full)
{
    int depth = 0;
    struct slice name;
    while (s->n) {
        char c = s->p[0];
        if (depth == 0 && (c == ',' || c == '}'))
            return true;
        if (c >= '0' && c <= '9') {
            *full = slice_eq(take_number(s), number) || *full;
            continue;
        }
        if (c == '\\') {
            if (!take_name(s, &name))
                return false;
            continue;
        }
        depth += (c == '{') - (c == '}');
        *s = slice_from(*s, 1);
    }
    return false;
}

/* What follows this text; empty where it is not there. */
static struct slice after(struct slice s, const char *text)
{
    const char *at = s.n ? memmem(s.p, s.n, text, strlen(text)) : NULL;
    return at ? slice_from(s, (size_t)(at - s.p) + strlen(text)) : slice_from(s, s.n);
}

bool delta_stats_lack(struct slice stats, const struct delta_list *columns)
{
    struct slice records = after(stats, "\\\"numRecords\\\":"), name;
    struct slice rest = after(stats, "\\\"nullCount\\\":{");
    uint64_t seen = 0;
    size_t next = 0; /* names come in the schema's order, mostly */
    assert(columns->n <= DELTA_COUNTED_MAX);
    if (rest.n == 0 && after(stats, "nullCount").n)
        return true; /* written otherwise than engines do */
    if (rest.n == 0 || columns->n == 0 || slice_starts(rest, SLICE_LIT("}")))
        return false;
    records = take_number(&records);
    do {
        bool full = false;
        if (!take_name(&rest, &name) || !take_value(&rest, records, &full))
            return true;
        for (size_t i = 0; i < columns->n; i++, next++) {
            if (!slice_eq(columns->at[next % columns->n], name))
                continue;
            if (!full)
                seen |= (uint64_t)1 << next % columns->n;
            next++;
            break;
        }
    } while (take(&rest, SLICE_LIT(",")));
    return seen != ((uint64_t)1 << columns->n) - 1;
}
