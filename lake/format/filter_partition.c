/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/text.h"
#include "lake/format/filter_private.h"

#define HIVE_NULL "__HIVE_DEFAULT_PARTITION__"

/* Values */

static bool parse_integer(struct slice text, unsigned bits, __int128 *out)
{
    int64_t v, high = bits == 64 ? INT64_MAX : ((int64_t)1 << (bits - 1)) - 1;
    bool good = text_parse_i64(text, &v) && v <= high && v >= -high - 1;
    *out = good ? v : 0;
    return good;
}

static bool parse_decimal(struct slice text, const struct filter_bound *c, __int128 *out)
{
    struct filter_number n;
    __int128 most = 1;
    bool exact;
    if (!filter_number_parse(text, &n))
        return false;
    *out = filter_number_floor(&n, c->scale, &exact);
    for (unsigned i = 0; i < c->precision; i++)
        most *= 10;
    return exact && *out<most && * out> - most;
}

/* As Java writes them. */
static bool parse_real(struct slice text, unsigned bits, __int128 *out)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"NaN", (double)__builtin_nanf("")},
                 {"Infinity", __builtin_inf()},
                 {"-Infinity", -__builtin_inf()},
                 {"inf", __builtin_inf()},
                 {"-inf", -__builtin_inf()}};
    struct filter_number n;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (slice_is(text, words[i].word)) {
            *out = column_real_key(words[i].value);
            return true;
        }
    if (!filter_number_parse(text, &n))
        return false;
    *out = column_real_key(filter_number_nearest(&n, bits));
    return true;
}

/* Writers disagree about bytes beyond ASCII. */
static bool is_ascii(struct slice text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] & 0x80)
            return false;
    return true;
}

static bool parse_instant(struct slice text, bool utc, __int128 *out)
{
    bool zoned;
    return filter_instant_parse(text, &zoned, out) && (utc || !zoned);
}

static bool parse_value(struct slice text, const struct filter_bound *c, struct filter_value *out)
{
    *out = (struct filter_value){.bytes = text};
    out->null = text.n == 0 || slice_is(text, HIVE_NULL);
    if (out->null)
        return true;
    switch ((enum shape_type)c->type) {
    case SHAPE_BOOLEAN:
        out->number = slice_is(text, "true");
        return out->number || slice_is(text, "false");
    case SHAPE_INT8:
        return parse_integer(text, 8, &out->number);
    case SHAPE_INT16:
        return parse_integer(text, 16, &out->number);
    case SHAPE_INT32:
        return parse_integer(text, 32, &out->number);
    case SHAPE_INT64:
        return parse_integer(text, 64, &out->number);
    case SHAPE_DECIMAL:
        return parse_decimal(text, c, &out->number);
    case SHAPE_FLOAT:
        return parse_real(text, 32, &out->number);
    case SHAPE_DOUBLE:
        return parse_real(text, 64, &out->number);
    case SHAPE_DATE:
        return filter_date_parse(text, &out->number);
    case SHAPE_TIMESTAMP:
    case SHAPE_TIMESTAMP_NS:
        return parse_instant(text, true, &out->number);
    case SHAPE_TIMESTAMP_LOCAL:
    case SHAPE_TIMESTAMP_LOCAL_NS:
        return parse_instant(text, false, &out->number);
    case SHAPE_STRING:
        return true;
    case SHAPE_BINARY:
    case SHAPE_FIXED:
        return is_ascii(text);
    case SHAPE_UUID:
        out->bytes = slice_make(out->uuid, sizeof out->uuid);
        return filter_uuid_parse(text, out->uuid);
    case SHAPE_TIME: /* is only asked for NULL */
        return true;
    case SHAPE_VARIANT:
    case SHAPE_UNKNOWN:
    case SHAPE_STORED:
    case SHAPE_GEOMETRY:
    case SHAPE_GEOGRAPHY:
        break;
    }
    return false;
}

bool filter_known(const struct row_filter *rf, const struct slice *values, const bool *given,
                  struct filter_value *room, const struct filter_value **known)
{
    bool good = true;
    for (size_t i = 0; i < rf->filter->columns_n; i++) {
        const struct filter_bound *c = &rf->columns[i];
        known[i] = NULL;
        room[i] = (struct filter_value){.null = true};
        if (c->from == FILTER_PARTITION && (!given || given[c->at]))
            good &= parse_value(values[c->at], c, &room[i]);
        else if (c->from == FILTER_PARTITION || c->class != COLUMN_NULL)
            continue;
        known[i] = &room[i];
    }
    return good;
}

/* Outcomes */

static unsigned outcomes_of_test(const struct filter_test *t, const struct filter_value *v)
{
    if (v)
        return 1U << filter_test_value(t, v);
    if (t->kind == FILTER_TEST_NULL)
        return 1U << FILTER_TRUE | 1U << FILTER_FALSE;
    bool matches = t->kind == FILTER_TEST_LIKE || t->n > 0;
    return 1U << FILTER_NULL | 1U << t->other | (matches ? 1U << t->match : 0);
}

/* Of two members: the least (of `or` the greatest) of each pair. */
static unsigned join(unsigned a, unsigned b, bool least)
{
    unsigned out = 0;
    for (unsigned i = FILTER_FALSE; i <= FILTER_TRUE; i++)
        for (unsigned j = FILTER_FALSE; j <= FILTER_TRUE; j++)
            if (a >> i & 1 && b >> j & 1)
                out |= 1U << ((i < j) == least ? i : j);
    return out;
}

unsigned filter_outcomes(const struct row_filter *rf, uint32_t node,
                         const struct filter_value *const *known)
{
    const struct filter_node *nodes = rf->filter->nodes, *n = &nodes[node];
    const struct filter_test *t;
    unsigned out;
    switch ((enum filter_kind)n->kind) {
    case FILTER_CONSTANT:
        return 1U << n->truth;
    case FILTER_TERM:
        t = &rf->tests[n->term];
        return outcomes_of_test(t, known[t->column]);
    case FILTER_NOT:
        out = filter_outcomes(rf, n->first, known);
        return (out & 1) << 2 | (out & 2) | (out >> 2 & 1);
    case FILTER_AND:
    case FILTER_OR:
        break;
    }
    out = filter_outcomes(rf, n->first, known);
    for (uint32_t i = nodes[n->first].next; i != FILTER_NONE_AT; i = nodes[i].next)
        out = join(out, filter_outcomes(rf, i, known), n->kind == FILTER_AND);
    return out;
}

enum filter_answer row_filter_partition(const struct row_filter *rf, const struct slice *values,
                                        const bool *known)
{
    struct filter_value room[FILTER_COLUMNS_MAX];
    const struct filter_value *at[FILTER_COLUMNS_MAX];
    if (!filter_known(rf, values, known, room, at))
        return FILTER_NONE;
    unsigned outcomes = filter_outcomes(rf, rf->filter->root, at);
    if (!(outcomes >> FILTER_TRUE & 1))
        return FILTER_NONE;
    return outcomes == 1U << FILTER_TRUE ? FILTER_ALL : FILTER_SOME;
}
