/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/tier/plan_sums.h"

#include <stdarg.h>

#define SUMS_MAX ((size_t)1 << 22)
#define DAY_MS INT64_C(86400000)
#define MONTH_DAYS 30.0

void tier_plan_free(struct tier_plan *p)
{
    if (!p)
        return;
    tier_tables_done(&p->tables);
    vec_done(&p->sums);
    for (size_t i = 0; i < p->notes.n; i++)
        free(p->notes.at[i]);
    vec_done(&p->notes);
    free(p);
}

size_t tier_plan_sums(const struct tier_plan *p, const struct tier_sum **out)
{
    *out = p->sums.at;
    return p->sums.n;
}

struct slice tier_plan_table(const struct tier_plan *p, size_t table)
{
    return p->tables.at.at[table].path;
}

size_t tier_plan_notes(const struct tier_plan *p)
{
    return p->notes.n;
}

const char *tier_plan_note(const struct tier_plan *p, size_t i)
{
    return p->notes.at[i];
}

int tier_plan_add_note(struct tier_plan *p, const char *fmt, ...)
{
    char *text;
    va_list ap;
    p->notes.max = TIER_NOTES_MAX;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return -ENOMEM;
    int rc = vec_push(&p->notes, text);
    if (rc < 0)
        free(text);
    return rc == -EOVERFLOW ? 0 : rc; /* nobody reads so many */
}

struct tier_sum *tier_plan_sum(struct tier_plan *p, size_t table, size_t rule, const char *to)
{
    p->sums.max = SUMS_MAX;
    /* Objects come table by table, so the sum is among the last ones. */
    for (size_t i = p->sums.n; i-- > 0 && p->sums.at[i].table == table;) {
        struct tier_sum *s = &p->sums.at[i];
        if (s->rule == rule && strcmp(s->to, to) == 0)
            return s;
    }
    struct tier_sum new = {.table = table, .rule = rule, .to = to};
    return vec_push(&p->sums, new) < 0 ? NULL : &p->sums.at[p->sums.n - 1];
}

static int by_table(const void *a, const void *b)
{
    const struct tier_sum *x = a, *y = b;
    int c = (x->table > y->table) - (x->table < y->table);
    c = c ? c : (x->rule > y->rule) - (x->rule < y->rule);
    return c ? c : strcmp(x->to, y->to);
}

static void add(struct tier_sum *to, const struct tier_sum *s)
{
    to->files += s->files;
    to->bytes += s->bytes;
    to->month_before += s->month_before;
    to->month_after += s->month_after;
    to->once += s->once;
    to->read_all += s->read_all;
    to->dear_files += s->dear_files;
    to->dear_bytes += s->dear_bytes;
    to->early_files += s->early_files;
    to->passing_files += s->passing_files;
}

void tier_plan_settle(struct tier_plan *p)
{
    size_t n = 0;
    if (p->sums.n)
        qsort(p->sums.at, p->sums.n, sizeof p->sums.at[0], by_table);
    for (size_t i = 0; i < p->sums.n; i++) {
        if (n && by_table(&p->sums.at[n - 1], &p->sums.at[i]) == 0)
            add(&p->sums.at[n - 1], &p->sums.at[i]);
        else
            p->sums.at[n++] = p->sums.at[i];
    }
    p->sums.n = n;
}

struct tier_cost tier_cost_of(const struct tier_price *from, const struct tier_price *to,
                              uint64_t bytes, int64_t mtime_ms, int64_t stays_ms, int64_t now_ms)
{
    struct tier_cost c = {.before = tier_price_month(from, bytes),
                          .after = tier_price_month(to, bytes)};
    c.dear = c.after > c.before;
    /* It came into its class when it was written, or later: that is as much as a listing tells. */
    int64_t days = mtime_ms > 0 && now_ms > mtime_ms ? (now_ms - mtime_ms) / DAY_MS : 0;
    if (from->class && days < (int64_t)from->class->minimum_days) {
        c.early = true;
        c.once = c.before * (double)((int64_t)from->class->minimum_days - days) / MONTH_DAYS;
    }
    if (to->class) {
        c.once += to->class->request;
        c.read_all = to->class->retrieval_gb * (double)bytes / TIER_GB;
        c.passing = stays_ms != INT64_MAX &&
                    (stays_ms - now_ms) / DAY_MS < (int64_t)to->class->minimum_days;
    }
    return c;
}
