/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/tier/rule.h"

#include "base/instant.h"
#include "base/text.h"

#define DAY_MS INT64_C(86400000)
#define HIVE_NULL "__HIVE_DEFAULT_PARTITION__"

/* Saturates: "older than 10,000 years" is no instant that counts. */
static int64_t later(int64_t ms, int64_t by_ms)
{
    int64_t sum;
    return __builtin_add_overflow(ms, by_ms, &sum) ? INT64_MAX : sum;
}

bool tier_rule_takes(const struct lakefile_rule *rule, const struct tier_subject *s,
                     struct slice value, int64_t now_ms, int64_t *from_ms)
{
    int64_t end_ms;
    if (s->live && !rule->live)
        return false;
    if (rule->partition_column && !(value.p && tier_partition_end(value, &end_ms) &&
                                    later(end_ms, rule->partition_older_ms) <= now_ms))
        return false;
    switch (rule->need) {
    case LAKEFILE_NEED_ANY:
        *from_ms = s->added_ms;
        return true;
    case LAKEFILE_NEED_OLDER_THAN:
        *from_ms = later(s->ceased_ms, rule->need_ms);
        return !s->live && *from_ms <= now_ms;
    case LAKEFILE_NEED_COMPACTED:
        *from_ms = s->ceased_ms;
        return !s->live && s->compacted;
    }
    return false;
}

const struct lakefile_move *tier_rule_due(const struct lakefile_rule *rule, int64_t from_ms,
                                          int64_t now_ms)
{
    const struct lakefile_move *due = NULL;
    for (size_t i = 0; i < rule->moves_n; i++)
        if (later(from_ms, rule->moves[i].after_ms) <= now_ms)
            due = &rule->moves[i];
    return due;
}

static bool digits(struct slice s, size_t at, size_t n, unsigned *out)
{
    *out = 0;
    if (at + n > s.n)
        return false;
    for (size_t i = at; i < at + n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        *out = *out * 10 + (unsigned)(s.p[i] - '0');
    }
    return true;
}

/* The first instant of a day; false where there is no such day. */
static bool day(unsigned year, unsigned month, unsigned of_month, int64_t *out_ms)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%04u-%02u-%02u", year, month, of_month);
    return n == 10 && instant_parse(slice_of(text), out_ms);
}

bool tier_partition_end(struct slice v, int64_t *out_ms)
{
    unsigned year, month = 0, of_month = 0;
    bool dashed = v.n > 4 && v.p[4] == '-';
    size_t step = dashed ? 3 : 2, from = dashed ? 5 : 4;
    if (!digits(v, 0, 4, &year))
        return false;
    if (v.n == 4)
        return day(year + 1, 1, 1, out_ms);
    if (!digits(v, from, 2, &month))
        return false;
    if (v.n == from + 2)
        return day(year, month, 1, out_ms) && /* it is a month */
               day(year + month / 12, month % 12 + 1, 1, out_ms);
    if (v.n != from + 2 + step)
        return instant_parse(v, out_ms);
    if ((dashed && v.p[7] != '-') || !digits(v, v.n - 2, 2, &of_month) ||
        !day(year, month, of_month, out_ms))
        return false;
    *out_ms += DAY_MS;
    return true;
}

bool tier_partition_in_path(struct slice path, struct slice column, struct buf *scratch,
                            struct slice *value)
{
    for (ptrdiff_t slash; (slash = slice_find(path, '/')) >= 0;
         path = slice_from(path, (size_t)slash + 1)) {
        struct slice dir = slice_make(path.p, (size_t)slash);
        ptrdiff_t equals = slice_find(dir, '=');
        if (equals < 0 || !slice_eq(slice_make(dir.p, (size_t)equals), column))
            continue;
        buf_reset(scratch);
        text_percent_decode(scratch, slice_from(dir, (size_t)equals + 1));
        *value = buf_slice(scratch);
        return !scratch->failed && !slice_is(*value, HIVE_NULL);
    }
    return false;
}
