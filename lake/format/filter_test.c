/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "lake/format/filter_private.h"

/* Patterns */

bool filter_like_parse(struct slice text, const struct filter_term *t, uint16_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (t->escapes && c == t->escape) {
            char next = ++i < text.n ? text.p[i] : '\0';
            if (i == text.n || (next != '%' && next != '_' && next != t->escape))
                return false;
            out[n++] = (uint8_t)next;
        } else if (c == '%') {
            out[n++] = FILTER_LIKE_ANY;
        } else {
            out[n++] = c == '_' ? FILTER_LIKE_ONE : (uint8_t)c;
        }
    }
    out[n] = FILTER_LIKE_END;
    return true;
}

/* Bytes of the character at i; one where it is none. */
static size_t character(struct slice s, size_t i)
{
    size_t n = utf8_length(slice_from(s, i));
    return n ? n : 1;
}

/* What follows the last % is tried one character later each time it does not fit. */
static bool is_like(const uint16_t *pattern, struct slice s)
{
    const uint16_t *p = pattern, *again = NULL;
    size_t i = 0, from = 0;
    for (;;) {
        if (*p == FILTER_LIKE_ANY) {
            again = ++p;
            from = i;
            if (*p == FILTER_LIKE_END)
                return true;
        } else if (i < s.n && *p == FILTER_LIKE_ONE) {
            i += character(s, i);
            p++;
        } else if (i < s.n && *p == (uint8_t)s.p[i]) {
            i++;
            p++;
        } else if (i == s.n && *p == FILTER_LIKE_END) {
            return true;
        } else if (again && from < s.n) {
            i = from += character(s, from);
            p = again;
        } else {
            return false;
        }
    }
}

/* Ranges */

static bool in_numbers(const struct filter_range *r, size_t n, __int128 v)
{
    size_t low = 0;
    while (low < n) {
        size_t middle = low + (n - low) / 2;
        if (v < r[middle].low)
            n = middle;
        else if (v > r[middle].high)
            low = middle + 1;
        else
            return true;
    }
    return false;
}

/* Below 0: the value lies before the range, above: behind it. */
static int place(const struct filter_bytes_range *r, struct slice v)
{
    int c = r->from ? slice_cmp(v, r->low) : 1;
    if (c < 0 || (c == 0 && r->low_open))
        return -1;
    c = r->to ? slice_cmp(v, r->high) : -1;
    return c > 0 || (c == 0 && r->high_open);
}

static bool in_bytes(const struct filter_bytes_range *r, size_t n, struct slice v)
{
    size_t low = 0;
    while (low < n) {
        size_t middle = low + (n - low) / 2;
        int c = place(&r[middle], v);
        if (c == 0)
            return true;
        if (c < 0)
            n = middle;
        else
            low = middle + 1;
    }
    return false;
}

void filter_test_numbers(const struct filter_test *t, const __int128 *v, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = in_numbers(t->numbers, t->n, v[i]) ? t->match : t->other;
}

/* Spans */

/* The range in units of the file, as far as 64 bits hold values. False: nothing is left. */
static bool to_span(const struct filter_range *r, int64_t unit, struct filter_span *out)
{
    __int128 low = r->low / unit + (r->low % unit > 0);    /* not below */
    __int128 high = r->high / unit - (r->high % unit < 0); /* not above */
    low = low < INT64_MIN ? INT64_MIN : low;
    high = high > INT64_MAX ? INT64_MAX : high;
    if (low > high)
        return false;
    *out = (struct filter_span){(int64_t)low, (int64_t)high};
    return true;
}

bool filter_spans_make(const struct filter_test *t, int64_t unit, struct filter_spans *out)
{
    struct filter_spans s = {.at = calloc(t->n + 1, sizeof *s.at)};
    for (size_t i = 0; s.at && i < t->n; i++)
        s.n += to_span(&t->numbers[i], unit, &s.at[s.n]);
    *out = s;
    return s.at != NULL;
}

static bool in_spans(const struct filter_spans *s, int64_t v)
{
    size_t low = 0, n = s->n;
    while (low < n) {
        size_t middle = low + (n - low) / 2;
        if (v < s->at[middle].low)
            n = middle;
        else if (v > s->at[middle].high)
            low = middle + 1;
        else
            return true;
    }
    return false;
}

void filter_test_spans(const struct filter_test *t, const struct filter_spans *s, const int64_t *v,
                       size_t n, uint8_t *out)
{
    uint8_t match = t->match, other = t->other;
    if (s->n == 1) {
        uint64_t low = (uint64_t)s->at[0].low, width = (uint64_t)s->at[0].high - low;
        for (size_t i = 0; i < n; i++)
            out[i] = (uint64_t)v[i] - low <= width ? match : other;
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = in_spans(s, v[i]) ? match : other;
}

/* Values */

void filter_test_bytes(const struct filter_test *t, const struct slice *v, size_t n, uint8_t *out)
{
    if (t->kind == FILTER_TEST_LIKE)
        for (size_t i = 0; i < n; i++)
            out[i] = is_like(t->pattern, v[i]) ? t->match : t->other;
    else
        for (size_t i = 0; i < n; i++)
            out[i] = in_bytes(t->bytes, t->n, v[i]) ? t->match : t->other;
}

enum filter_truth filter_test_value(const struct filter_test *t, const struct filter_value *v)
{
    uint8_t out = FILTER_NULL;
    if (t->kind == FILTER_TEST_NULL)
        return v->null ? FILTER_TRUE : FILTER_FALSE;
    if (v->null)
        return FILTER_NULL;
    if (t->kind == FILTER_TEST_NUMBERS)
        filter_test_numbers(t, &v->number, 1, &out);
    else
        filter_test_bytes(t, &v->bytes, 1, &out);
    return out;
}
