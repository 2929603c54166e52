/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   or        and { OR and }
 *   and       not { AND not }
 *   not       NOT not | predicate
 *   predicate ( or ) | TRUE | FALSE | NULL
 *             | column [ IS [NOT] NULL | [NOT] IN ( literal, ... ) | [NOT] BETWEEN literal AND
 *               literal | [NOT] LIKE text [ESCAPE text] | comparison literal ]
 *             | literal comparison column
 *
 * One pass, by recursion that FILTER_DEPTH_MAX bounds; chains of AND and OR take no depth.
 */
#include <stdatomic.h>

#include "base/limits.h"
#include "base/text.h"
#include "base/vec.h"
#include "lake/format/filter_private.h"
#include "lake/format/filter_token.h"

struct parser {
    struct filter *f;
    struct filter_tokens t;
    unsigned depth;
    VEC(struct filter_node) nodes;
    VEC(struct filter_term) terms;
    VEC(struct filter_literal) literals;
    VEC(struct filter_column) columns;
};

/* rc: of vec_push. */
static void pushed(struct parser *p, int rc, const char *what, size_t max)
{
    if (rc < 0)
        filter_no_room(&p->t, rc, what, max);
}

static struct slice keep(struct parser *p, struct slice s)
{
    struct slice kept = arena_slice(&p->f->arena, s);
    if (!kept.p)
        filter_no_room(&p->t, -ENOMEM, "", 0);
    return kept;
}

static void want_sign(struct parser *p, const char *sign, const char *what)
{
    if (filter_is_sign(&p->t, sign))
        filter_advance(&p->t);
    else
        filter_refuse(&p->t, what);
}

/* Nodes */

static uint32_t put_node(struct parser *p, enum filter_kind kind, uint32_t first)
{
    struct filter_node node = {
        .kind = (uint8_t)kind, .first = first, .next = FILTER_NONE_AT, .truth = FILTER_NULL};
    pushed(p, vec_push(&p->nodes, node), "parts", p->nodes.max);
    return filter_failed(&p->t) ? 0 : (uint32_t)p->nodes.n - 1;
}

static uint32_t put_term(struct parser *p, const struct filter_term *term)
{
    uint32_t at = put_node(p, FILTER_TERM, FILTER_NONE_AT);
    pushed(p, vec_push(&p->terms, *term), "terms", p->terms.max);
    if (!filter_failed(&p->t))
        p->nodes.at[at].term = (uint32_t)p->terms.n - 1;
    return at;
}

static uint32_t negate(struct parser *p, uint32_t node)
{
    return put_node(p, FILTER_NOT, node);
}

/* Columns and literals */

static bool is_path(const struct filter_path *path, const struct slice *names, size_t n)
{
    bool same = path->n == n;
    for (size_t i = 0; same && i < n; i++)
        same = slice_eq(path->names[i], names[i]);
    return same;
}

static uint32_t put_column(struct parser *p, const struct slice *names, size_t n)
{
    AUTO(buf) struct buf dotted = {0};
    for (size_t i = 0; i < p->columns.n; i++)
        if (is_path(&p->columns.at[i].path, names, n))
            return (uint32_t)i;
    buf_init(&dotted, FILTER_BYTES_MAX);
    struct slice *kept = arena_calloc(&p->f->arena, n, sizeof *kept);
    for (size_t i = 0; kept && i < n; i++) {
        kept[i] = keep(p, names[i]);
        if (i)
            buf_add_char(&dotted, '.');
        buf_add_slice(&dotted, names[i]);
    }
    if (!kept || buf_check(&dotted, NULL) < 0)
        filter_no_room(&p->t, -ENOMEM, "", 0);
    struct filter_column column = {.path = {kept, n}, .dotted = keep(p, buf_slice(&dotted))};
    pushed(p, vec_push(&p->columns, column), "columns", p->columns.max);
    return filter_failed(&p->t) ? 0 : (uint32_t)p->columns.n - 1;
}

static uint32_t take_column(struct parser *p)
{
    struct slice names[SHAPE_DEPTH_MAX];
    size_t n = 0;
    for (;;) {
        bool name = p->t.token.kind == TOKEN_QUOTED || (p->t.token.kind == TOKEN_NAME && n) ||
                    (p->t.token.kind == TOKEN_NAME && !filter_is_reserved(&p->t));
        if (!name || p->t.token.text.n == 0)
            filter_refuse(&p->t, "a column's name is expected");
        else if (n == SHAPE_DEPTH_MAX)
            filter_refuse(&p->t, "a path of too many names");
        if (filter_failed(&p->t))
            return 0;
        names[n++] = p->t.token.text;
        filter_advance(&p->t);
        if (!filter_is_sign(&p->t, "."))
            return put_column(p, names, n);
        filter_advance(&p->t);
    }
}

static bool is_literal(const struct parser *p)
{
    return p->t.token.kind == TOKEN_NUMBER || p->t.token.kind == TOKEN_TEXT ||
           p->t.token.kind == TOKEN_BYTES || filter_is_sign(&p->t, "-") ||
           filter_is_sign(&p->t, "+") || filter_is_word(&p->t, "null") ||
           filter_is_word(&p->t, "true") || filter_is_word(&p->t, "false") ||
           filter_is_typed(&p->t);
}

static struct filter_literal take_number_literal(struct parser *p)
{
    AUTO(buf) struct buf text = {0};
    struct filter_number number;
    bool minus = filter_is_sign(&p->t, "-");
    buf_init(&text, FILTER_BYTES_MAX);
    if (minus || filter_is_sign(&p->t, "+"))
        filter_advance(&p->t);
    if (minus)
        buf_add_char(&text, '-');
    buf_add_slice(&text, p->t.token.text);
    struct filter_literal l = {.kind = FILTER_LITERAL_NUMBER, .text = keep(p, buf_slice(&text))};
    if (p->t.token.kind != TOKEN_NUMBER)
        filter_refuse(&p->t, "a number is expected");
    else if (!filter_failed(&p->t) && !filter_number_parse(l.text, &number))
        filter_refuse(&p->t, "a number of more than 38 digits");
    filter_advance(&p->t);
    return l;
}

static struct filter_literal take_hex_literal(struct parser *p)
{
    struct slice hex = p->t.token.text;
    char *bytes = arena_alloc(&p->f->arena, hex.n / 2 + 1);
    if (!bytes)
        filter_no_room(&p->t, -ENOMEM, "", 0);
    else if (!text_unhex(hex, bytes))
        filter_refuse(&p->t, "x'...' takes an even count of hex digits");
    filter_advance(&p->t);
    return (struct filter_literal){.kind = FILTER_LITERAL_BYTES,
                                   .text = slice_make(bytes, hex.n / 2)};
}

static struct filter_literal take_time_literal(struct parser *p)
{
    bool date = filter_is_word(&p->t, "date"), zoned;
    __int128 value;
    filter_advance(&p->t);
    struct filter_literal l = {.kind = date ? FILTER_LITERAL_DATE : FILTER_LITERAL_INSTANT,
                               .text = p->t.token.text};
    if (!filter_failed(&p->t) &&
        !(date ? filter_date_parse(l.text, &value) : filter_instant_parse(l.text, &zoned, &value)))
        filter_refuse(&p->t, date ? "no date such as '2026-03-01'"
                                  : "no timestamp such as '2026-03-01 09:30:00.123456'");
    filter_advance(&p->t);
    return l;
}

static struct filter_literal take_literal(struct parser *p)
{
    struct filter_literal l = {.kind = FILTER_LITERAL_NULL};
    if (p->t.token.kind == TOKEN_NUMBER || filter_is_sign(&p->t, "-") || filter_is_sign(&p->t, "+"))
        return take_number_literal(p);
    if (p->t.token.kind == TOKEN_BYTES)
        return take_hex_literal(p);
    if (filter_is_typed(&p->t))
        return take_time_literal(p);
    if (p->t.token.kind == TOKEN_TEXT) {
        l = (struct filter_literal){.kind = FILTER_LITERAL_TEXT, .text = p->t.token.text};
    } else if (filter_is_word(&p->t, "true") || filter_is_word(&p->t, "false")) {
        l.kind = FILTER_LITERAL_TRUTH;
        l.truth = filter_is_word(&p->t, "true");
    } else if (!filter_is_word(&p->t, "null")) {
        filter_refuse(&p->t, "a value is expected: columns are compared with values");
    }
    filter_advance(&p->t);
    return l;
}

static void put_literal(struct parser *p, struct filter_term *t)
{
    struct filter_literal l = take_literal(p);
    pushed(p, vec_push(&p->literals, l), "values", p->literals.max);
    if (t->n++ == 0)
        t->first = (uint32_t)p->literals.n - 1;
}

/* Predicates */

static bool take_comparison(struct parser *p, uint8_t *out)
{
    static const struct {
        const char *sign;
        uint8_t relation;
    } signs[] = {{"=", FILTER_EQUAL},         {"<>", FILTER_UNEQUAL},    {"!=", FILTER_UNEQUAL},
                 {"<", FILTER_LESS},          {"<=", FILTER_LESS_EQUAL}, {">", FILTER_GREATER},
                 {">=", FILTER_GREATER_EQUAL}};
    for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
        if (filter_is_sign(&p->t, signs[i].sign)) {
            *out = signs[i].relation;
            filter_advance(&p->t);
            return true;
        }
    return false;
}

/* What `5 < x` says of x. */
static uint8_t mirrored(uint8_t relation)
{
    static const uint8_t other[] = {
        [FILTER_EQUAL] = FILTER_EQUAL,  [FILTER_UNEQUAL] = FILTER_UNEQUAL,
        [FILTER_LESS] = FILTER_GREATER, [FILTER_LESS_EQUAL] = FILTER_GREATER_EQUAL,
        [FILTER_GREATER] = FILTER_LESS, [FILTER_GREATER_EQUAL] = FILTER_LESS_EQUAL,
    };
    return other[relation];
}

static uint32_t take_in(struct parser *p, struct filter_term t)
{
    t.relation = FILTER_IN;
    want_sign(p, "(", "`(` is expected behind IN");
    while (!filter_failed(&p->t)) {
        put_literal(p, &t);
        if (!filter_is_sign(&p->t, ","))
            break;
        filter_advance(&p->t);
    }
    want_sign(p, ")", "`,` or `)` is expected in a list");
    return put_term(p, &t);
}

static uint32_t take_between(struct parser *p, struct filter_term t)
{
    struct filter_term low = t, high = t;
    low.relation = FILTER_GREATER_EQUAL;
    high.relation = FILTER_LESS_EQUAL;
    put_literal(p, &low);
    if (!filter_take_word(&p->t, "and"))
        filter_refuse(&p->t, "AND is expected behind BETWEEN and a value");
    put_literal(p, &high);
    uint32_t first = put_term(p, &low), second = put_term(p, &high);
    if (!filter_failed(&p->t))
        p->nodes.at[first].next = second;
    return put_node(p, FILTER_AND, first);
}

static uint32_t take_like(struct parser *p, struct filter_term t)
{
    size_t at = p->t.token.at;
    t.relation = FILTER_LIKE;
    put_literal(p, &t);
    if (filter_failed(&p->t))
        return 0;
    struct filter_literal *l = &p->literals.at[t.first];
    if (l->kind != FILTER_LITERAL_TEXT && l->kind != FILTER_LITERAL_NULL)
        filter_refuse_at(&p->t, at, "LIKE takes a pattern as text");
    if (filter_take_word(&p->t, "escape")) {
        t.escapes = p->t.token.kind == TOKEN_TEXT && p->t.token.text.n == 1;
        if (!t.escapes)
            filter_refuse(&p->t, "ESCAPE takes one ASCII character");
        else
            t.escape = p->t.token.text.p[0];
        filter_advance(&p->t);
    }
    uint16_t *pattern = arena_calloc(&p->f->arena, l->text.n + 1, sizeof *pattern);
    if (!pattern)
        filter_no_room(&p->t, -ENOMEM, "", 0);
    else if (!filter_failed(&p->t) && !filter_like_parse(l->text, &t, pattern))
        filter_refuse_at(&p->t, at, "what follows the escape character is none of %, _ and itself");
    t.pattern = pattern;
    return put_term(p, &t);
}

/* Behind a column. */
static uint32_t take_tail(struct parser *p, uint32_t column)
{
    struct filter_term t = {.column = column};
    uint32_t node;
    if (take_comparison(p, &t.relation)) {
        put_literal(p, &t);
        return put_term(p, &t);
    }
    if (filter_take_word(&p->t, "is")) {
        bool negated = filter_take_word(&p->t, "not");
        t.relation = FILTER_IS_NULL;
        if (!filter_take_word(&p->t, "null"))
            filter_refuse(&p->t, "NULL is expected behind IS");
        node = put_term(p, &t);
        return negated ? negate(p, node) : node;
    }
    bool negated = filter_take_word(&p->t, "not");
    if (filter_take_word(&p->t, "in"))
        node = take_in(p, t);
    else if (filter_take_word(&p->t, "between"))
        node = take_between(p, t);
    else if (filter_take_word(&p->t, "like"))
        node = take_like(p, t);
    else {
        if (negated)
            filter_refuse(&p->t, "IN, BETWEEN or LIKE is expected behind NOT");
        t.relation = FILTER_EQUAL; /* a boolean, alone */
        t.first = (uint32_t)p->literals.n;
        t.n = 1;
        struct filter_literal yes = {.kind = FILTER_LITERAL_TRUTH, .truth = true};
        pushed(p, vec_push(&p->literals, yes), "values", p->literals.max);
        return put_term(p, &t);
    }
    return negated ? negate(p, node) : node;
}

static uint32_t take_mirrored(struct parser *p)
{
    struct filter_term t = {.n = 0};
    size_t at = p->t.token.at;
    put_literal(p, &t);
    if (filter_failed(&p->t))
        return 0;
    const struct filter_literal *l = &p->literals.at[t.first];
    bool constant = l->kind == FILTER_LITERAL_NULL || l->kind == FILTER_LITERAL_TRUTH;
    if (!take_comparison(p, &t.relation)) {
        if (!constant)
            filter_refuse_at(&p->t, at, "a value alone is no condition");
        enum filter_truth truth = l->truth ? FILTER_TRUE : FILTER_FALSE;
        uint32_t node = put_node(p, FILTER_CONSTANT, FILTER_NONE_AT);
        if (!filter_failed(&p->t))
            p->nodes.at[node].truth =
                (uint8_t)(l->kind == FILTER_LITERAL_NULL ? FILTER_NULL : truth);
        return node;
    }
    t.relation = mirrored(t.relation);
    if (is_literal(p))
        filter_refuse(&p->t, "two values are compared");
    t.column = take_column(p);
    return put_term(p, &t);
}

static uint32_t take_or(struct parser *p);

static uint32_t take_predicate(struct parser *p)
{
    if (is_literal(p))
        return take_mirrored(p);
    if (!filter_is_sign(&p->t, "("))
        return take_tail(p, take_column(p));
    if (p->depth == FILTER_DEPTH_MAX) {
        filter_refuse(&p->t, "too many parentheses in one another");
        return 0;
    }
    p->depth++;
    filter_advance(&p->t);
    uint32_t node = take_or(p);
    want_sign(p, ")", "`)`, AND or OR is expected");
    p->depth--;
    return node;
}

static uint32_t take_not(struct parser *p)
{
    bool negated = false;
    while (!filter_failed(&p->t) && filter_take_word(&p->t, "not"))
        negated = !negated;
    uint32_t node = filter_failed(&p->t) ? 0 : take_predicate(p);
    return negated ? negate(p, node) : node;
}

/* Members joined by a word. */
static uint32_t take_chain(struct parser *p, const char *word, enum filter_kind kind,
                           uint32_t (*member)(struct parser *))
{
    uint32_t first = member(p), last = first;
    if (filter_failed(&p->t) || !filter_is_word(&p->t, word))
        return first;
    while (!filter_failed(&p->t) && filter_take_word(&p->t, word)) {
        uint32_t next = member(p);
        if (filter_failed(&p->t))
            return 0;
        p->nodes.at[last].next = next;
        last = next;
    }
    return put_node(p, kind, first);
}

static uint32_t take_and(struct parser *p)
{
    return take_chain(p, "and", FILTER_AND, take_not);
}

static uint32_t take_or(struct parser *p)
{
    return take_chain(p, "or", FILTER_OR, take_and);
}

/* The filter */

struct filter *filter_ref(struct filter *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void filter_unref(struct filter *f)
{
    if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(f->nodes);
    free(f->terms);
    free(f->literals);
    free(f->columns);
    arena_done(&f->arena);
    free(f);
}

int filter_parse(struct slice text, struct filter **out, struct err *err)
{
    if (text.n > FILTER_BYTES_MAX)
        return err_set(err, EOVERFLOW, "a row filter of more than %zu bytes", FILTER_BYTES_MAX);
    AUTO(filter) struct filter *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(err, ENOMEM, "out of memory");
    atomic_init(&f->refs, 1);
    arena_init(&f->arena, FILTER_MEMORY_MAX);
    struct parser p = {.f = f,
                       .t.arena = &f->arena,
                       .nodes.max = FILTER_NODES_MAX,
                       .terms.max = FILTER_TERMS_MAX,
                       .literals.max = FILTER_VALUES_MAX,
                       .columns.max = FILTER_COLUMNS_MAX};
    p.t.text = f->text = keep(&p, text);
    if (!utf8_valid(text))
        filter_refuse(&p.t, "the text is not UTF-8");
    filter_advance(&p.t);
    f->root = filter_failed(&p.t) ? 0 : take_or(&p);
    if (p.t.token.kind != TOKEN_END)
        filter_refuse(&p.t, "AND, OR or the end is expected");
    f->nodes = p.nodes.at;
    f->nodes_n = p.nodes.n;
    f->terms = p.terms.at;
    f->terms_n = p.terms.n;
    f->literals = p.literals.at;
    f->literals_n = p.literals.n;
    f->columns = p.columns.at;
    f->columns_n = p.columns.n;
    if (filter_failed(&p.t))
        return err_copy(err, &p.t.err);
    *out = STEAL(f);
    return 0;
}

size_t filter_columns(const struct filter *f)
{
    return f->columns_n;
}

struct filter_path filter_column_path(const struct filter *f, size_t i)
{
    return f->columns[i].path;
}

struct slice filter_column(const struct filter *f, size_t i)
{
    return f->columns[i].dotted;
}
