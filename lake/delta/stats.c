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

/* Passes over a number, null, or an object of them. */
static bool skip_value(struct slice *s)
{
    int depth = 0;
    struct slice name;
    while (s->n) {
        char c = s->p[0];
        if (depth == 0 && (c == ',' || c == '}'))
            return true;
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

bool delta_stats_lack(struct slice stats, const struct delta_list *columns)
{
    static const char mark[] = "\\\"nullCount\\\":{";
    const char *at = stats.n ? memmem(stats.p, stats.n, mark, sizeof mark - 1) : NULL;
    uint64_t seen = 0;
    size_t next = 0; /* names come in the schema's order, mostly */
    assert(columns->n <= DELTA_COUNTED_MAX);
    if (!at || columns->n == 0)
        return false;
    struct slice rest = slice_from(stats, (size_t)(at - stats.p) + sizeof mark - 1), name;
    if (slice_starts(rest, SLICE_LIT("}")))
        return false;
    do {
        if (!take_name(&rest, &name) || !skip_value(&rest))
            return false;
        for (size_t i = 0; i < columns->n; i++, next++) {
            if (!slice_eq(columns->at[next % columns->n], name))
                continue;
            seen |= (uint64_t)1 << next % columns->n;
            next++;
            break;
        }
    } while (take(&rest, SLICE_LIT(",")));
    return seen != ((uint64_t)1 << columns->n) - 1;
}
