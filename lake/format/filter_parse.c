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

enum token_kind {
    TOKEN_END,
    TOKEN_NAME,   /* `text` without quotes */
    TOKEN_QUOTED, /* a name in backquotes */
    TOKEN_NUMBER,
    TOKEN_TEXT,
    TOKEN_BYTES,
    TOKEN_SIGN, /* one of ( ) , . + - and the comparisons */
};

struct token {
    enum token_kind kind;
    size_t at; /* byte of the text */
    struct slice text;
};

struct parser {
    struct filter *f;
    struct slice text;
    size_t at;
    struct token token; /* the next one */
    unsigned depth;
    VEC(struct filter_node) nodes;
    VEC(struct filter_term) terms;
    VEC(struct filter_literal) literals;
    VEC(struct filter_column) columns;
    struct err err; /* the first failure */
};

/* Failures */

static bool failed(const struct parser *p)
{
    return p->err.code != 0;
}

/* Characters up to a byte, counted from 1. */
static size_t character(const struct parser *p, size_t at)
{
    size_t n = 1;
    for (size_t i = 0; i < at && i < p->text.n; i++)
        n += ((uint8_t)p->text.p[i] & 0xc0) != 0x80;
    return n;
}

static void refuse_at(struct parser *p, size_t at, const char *what)
{
    if (!failed(p))
        (void)err_set(&p->err, EINVAL, "at character %zu: %s", character(p, at), what);
}

static void refuse(struct parser *p, const char *what)
{
    refuse_at(p, p->token.at, what);
}

static void out_of_room(struct parser *p, int rc, const char *what, size_t max)
{
    if (failed(p))
        return;
    if (rc == -EOVERFLOW)
        (void)err_set(&p->err, EOVERFLOW, "a row filter has more than %zu %s", max, what);
    else
        (void)err_set(&p->err, ENOMEM, "out of memory");
}

#define PUSH(p, list, value, what)                                                                 \
    do {                                                                                           \
        int rc_ = vec_push(&(p)->list, value);                                                     \
        if (rc_ < 0)                                                                               \
            out_of_room(p, rc_, what, (p)->list.max);                                              \
    } while (0)

static struct slice keep(struct parser *p, struct slice s)
{
    struct slice kept = arena_slice(&p->f->arena, s);
    if (!kept.p)
        out_of_room(p, -ENOMEM, "", 0);
    return kept;
}

/* Tokens */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c, bool first)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
    return letter || (!first && (is_digit(c) || c == '$'));
}

static char at_byte(const struct parser *p, size_t i)
{
    return p->at + i < p->text.n ? p->text.p[p->at + i] : '\0';
}

/* What stands between quotes, which are doubled inside. */
static void take_quoted(struct parser *p, enum token_kind kind, char quote)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, FILTER_BYTES_MAX);
    for (p->at++;; p->at++) {
        if (p->at >= p->text.n) {
            refuse(p, "a quote that does not end");
            return;
        }
        char c = at_byte(p, 0);
        if (c == quote && at_byte(p, 1) != quote)
            break;
        p->at += c == quote;
        buf_add_char(&text, c);
    }
    p->at++;
    if (buf_check(&text, &p->err) < 0)
        return;
    p->token.kind = kind;
    p->token.text = keep(p, buf_slice(&text));
}

/* digits, a fraction, an exponent */
static void take_number(struct parser *p)
{
    size_t from = p->at;
    while (is_digit(at_byte(p, 0)))
        p->at++;
    if (at_byte(p, 0) == '.')
        for (p->at++; is_digit(at_byte(p, 0));)
            p->at++;
    bool exponent = (at_byte(p, 0) | 0x20) == 'e';
    size_t sign = at_byte(p, 1) == '+' || at_byte(p, 1) == '-';
    if (exponent && is_digit(at_byte(p, 1 + sign)))
        for (p->at += 1 + sign; is_digit(at_byte(p, 0));)
            p->at++;
    if (is_name(at_byte(p, 0), false))
        refuse(p, "a number with letters behind it");
    p->token.kind = TOKEN_NUMBER;
    p->token.text = slice_make(p->text.p + from, p->at - from);
}

static void take_sign(struct parser *p)
{
    static const char *const signs[] = {"<=", ">=", "<>", "!=", "<", ">", "=",
                                        "(",  ")",  ",",  ".",  "+", "-"};
    struct slice rest = slice_from(p->text, p->at);
    for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
        if (slice_starts(rest, slice_of(signs[i]))) {
            p->token.kind = TOKEN_SIGN;
            p->token.text = slice_of(signs[i]);
            p->at += p->token.text.n;
            return;
        }
    refuse(p, at_byte(p, 0) == '"' ? "names are quoted as `name`, text as 'text'"
                                   : "nothing begins with this character");
}

/* Moves on to the next token. */
static void advance(struct parser *p)
{
    while (p->at < p->text.n && strchr(" \t\r\n", p->text.p[p->at]) && p->text.p[p->at])
        p->at++;
    p->token = (struct token){.kind = TOKEN_END, .at = p->at};
    char c = at_byte(p, 0);
    if (failed(p) || p->at >= p->text.n)
        return;
    if ((c | 0x20) == 'x' && at_byte(p, 1) == '\'') {
        p->at++;
        take_quoted(p, TOKEN_BYTES, '\'');
    } else if (is_name(c, true)) {
        size_t from = p->at;
        while (p->at < p->text.n && is_name(p->text.p[p->at], false))
            p->at++;
        p->token.kind = TOKEN_NAME;
        p->token.text = slice_make(p->text.p + from, p->at - from);
    } else if (is_digit(c) || (c == '.' && is_digit(at_byte(p, 1)))) {
        take_number(p);
    } else if (c == '\'') {
        take_quoted(p, TOKEN_TEXT, c);
    } else if (c == '`') {
        take_quoted(p, TOKEN_QUOTED, c);
    } else {
        take_sign(p);
    }
}

static bool is_sign(const struct parser *p, const char *sign)
{
    return p->token.kind == TOKEN_SIGN && slice_is(p->token.text, sign);
}

static bool is_word(const struct parser *p, const char *word)
{
    struct slice t = p->token.text;
    if (p->token.kind != TOKEN_NAME || t.n != strlen(word))
        return false;
    for (size_t i = 0; i < t.n; i++)
        if ((t.p[i] | 0x20) != word[i])
            return false;
    return true;
}

static bool take_word(struct parser *p, const char *word)
{
    bool is = is_word(p, word);
    if (is)
        advance(p);
    return is;
}

static void want_sign(struct parser *p, const char *sign, const char *what)
{
    if (is_sign(p, sign))
        advance(p);
    else
        refuse(p, what);
}

static bool is_reserved(const struct parser *p)
{
    static const char *const words[] = {"and",  "or",   "not",    "in",   "between", "is",
                                        "null", "like", "escape", "true", "false"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (is_word(p, words[i]))
            return true;
    return false;
}

/* Nodes */

static uint32_t put_node(struct parser *p, enum filter_kind kind, uint32_t first)
{
    PUSH(p, nodes,
         ((struct filter_node){
             .kind = (uint8_t)kind, .first = first, .next = FILTER_NONE_AT, .truth = FILTER_NULL}),
         "parts");
    return failed(p) ? 0 : (uint32_t)p->nodes.n - 1;
}

static uint32_t put_term(struct parser *p, const struct filter_term *term)
{
    uint32_t at = put_node(p, FILTER_TERM, FILTER_NONE_AT);
    PUSH(p, terms, *term, "terms");
    if (!failed(p))
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
        out_of_room(p, -ENOMEM, "", 0);
    else
        PUSH(p, columns,
             ((struct filter_column){.path = {kept, n}, .dotted = keep(p, buf_slice(&dotted))}),
             "columns");
    return failed(p) ? 0 : (uint32_t)p->columns.n - 1;
}

static uint32_t take_column(struct parser *p)
{
    struct slice names[SHAPE_DEPTH_MAX];
    size_t n = 0;
    for (;;) {
        bool name = p->token.kind == TOKEN_QUOTED || (p->token.kind == TOKEN_NAME && n) ||
                    (p->token.kind == TOKEN_NAME && !is_reserved(p));
        if (!name || p->token.text.n == 0)
            refuse(p, "a column's name is expected");
        else if (n == SHAPE_DEPTH_MAX)
            refuse(p, "a path of too many names");
        if (failed(p))
            return 0;
        names[n++] = p->token.text;
        advance(p);
        if (!is_sign(p, "."))
            return put_column(p, names, n);
        advance(p);
    }
}

/* `date` and `timestamp` are names too, but where text follows. */
static bool is_typed(const struct parser *p)
{
    size_t i = p->at;
    while (i < p->text.n && (p->text.p[i] == ' ' || p->text.p[i] == '\t'))
        i++;
    return (is_word(p, "date") || is_word(p, "timestamp")) && i < p->text.n && p->text.p[i] == '\'';
}

static bool is_literal(const struct parser *p)
{
    return p->token.kind == TOKEN_NUMBER || p->token.kind == TOKEN_TEXT ||
           p->token.kind == TOKEN_BYTES || is_sign(p, "-") || is_sign(p, "+") ||
           is_word(p, "null") || is_word(p, "true") || is_word(p, "false") || is_typed(p);
}

static struct filter_literal take_number_literal(struct parser *p)
{
    AUTO(buf) struct buf text = {0};
    struct filter_number number;
    bool minus = is_sign(p, "-");
    buf_init(&text, FILTER_BYTES_MAX);
    if (minus || is_sign(p, "+"))
        advance(p);
    if (minus)
        buf_add_char(&text, '-');
    buf_add_slice(&text, p->token.text);
    struct filter_literal l = {.kind = FILTER_LITERAL_NUMBER, .text = keep(p, buf_slice(&text))};
    if (p->token.kind != TOKEN_NUMBER)
        refuse(p, "a number is expected");
    else if (!failed(p) && !filter_number_parse(l.text, &number))
        refuse(p, "a number of more than 38 digits");
    advance(p);
    return l;
}

static struct filter_literal take_hex_literal(struct parser *p)
{
    struct slice hex = p->token.text;
    char *bytes = arena_alloc(&p->f->arena, hex.n / 2 + 1);
    bool good = hex.n % 2 == 0;
    if (!bytes)
        out_of_room(p, -ENOMEM, "", 0);
    for (size_t i = 0; bytes && good && i < hex.n / 2; i++) {
        int high = text_hex_digit(hex.p[2 * i]), low = text_hex_digit(hex.p[2 * i + 1]);
        good = high >= 0 && low >= 0;
        bytes[i] = (char)(good ? high << 4 | low : 0);
    }
    if (!good)
        refuse(p, "x'...' takes an even count of hex digits");
    advance(p);
    return (struct filter_literal){.kind = FILTER_LITERAL_BYTES,
                                   .text = slice_make(bytes, hex.n / 2)};
}

static struct filter_literal take_time_literal(struct parser *p)
{
    bool date = is_word(p, "date"), zoned;
    __int128 value;
    advance(p);
    struct filter_literal l = {.kind = date ? FILTER_LITERAL_DATE : FILTER_LITERAL_INSTANT,
                               .text = p->token.text};
    if (!failed(p) &&
        !(date ? filter_date_parse(l.text, &value) : filter_instant_parse(l.text, &zoned, &value)))
        refuse(p, date ? "no date such as '2026-03-01'"
                       : "no timestamp such as '2026-03-01 09:30:00.123456'");
    advance(p);
    return l;
}

static struct filter_literal take_literal(struct parser *p)
{
    struct filter_literal l = {.kind = FILTER_LITERAL_NULL};
    if (p->token.kind == TOKEN_NUMBER || is_sign(p, "-") || is_sign(p, "+"))
        return take_number_literal(p);
    if (p->token.kind == TOKEN_BYTES)
        return take_hex_literal(p);
    if (is_typed(p))
        return take_time_literal(p);
    if (p->token.kind == TOKEN_TEXT) {
        l = (struct filter_literal){.kind = FILTER_LITERAL_TEXT, .text = p->token.text};
    } else if (is_word(p, "true") || is_word(p, "false")) {
        l.kind = FILTER_LITERAL_TRUTH;
        l.truth = is_word(p, "true");
    } else if (!is_word(p, "null")) {
        refuse(p, "a value is expected: columns are compared with values");
    }
    advance(p);
    return l;
}

static void put_literal(struct parser *p, struct filter_term *t)
{
    struct filter_literal l = take_literal(p);
    PUSH(p, literals, l, "values");
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
        if (is_sign(p, signs[i].sign)) {
            *out = signs[i].relation;
            advance(p);
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
    while (!failed(p)) {
        put_literal(p, &t);
        if (!is_sign(p, ","))
            break;
        advance(p);
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
    if (!take_word(p, "and"))
        refuse(p, "AND is expected behind BETWEEN and a value");
    put_literal(p, &high);
    uint32_t first = put_term(p, &low), second = put_term(p, &high);
    if (!failed(p))
        p->nodes.at[first].next = second;
    return put_node(p, FILTER_AND, first);
}

static uint32_t take_like(struct parser *p, struct filter_term t)
{
    size_t at = p->token.at;
    t.relation = FILTER_LIKE;
    put_literal(p, &t);
    if (failed(p))
        return 0;
    struct filter_literal *l = &p->literals.at[t.first];
    if (l->kind != FILTER_LITERAL_TEXT && l->kind != FILTER_LITERAL_NULL)
        refuse_at(p, at, "LIKE takes a pattern as text");
    if (take_word(p, "escape")) {
        t.escapes = p->token.kind == TOKEN_TEXT && p->token.text.n == 1;
        if (!t.escapes)
            refuse(p, "ESCAPE takes one ASCII character");
        else
            t.escape = p->token.text.p[0];
        advance(p);
    }
    uint16_t *pattern = arena_calloc(&p->f->arena, l->text.n + 1, sizeof *pattern);
    if (!pattern)
        out_of_room(p, -ENOMEM, "", 0);
    else if (!failed(p) && !filter_like_parse(l->text, &t, pattern))
        refuse_at(p, at, "what follows the escape character is none of %, _ and itself");
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
    if (take_word(p, "is")) {
        bool negated = take_word(p, "not");
        t.relation = FILTER_IS_NULL;
        if (!take_word(p, "null"))
            refuse(p, "NULL is expected behind IS");
        node = put_term(p, &t);
        return not ? negate(p, node) : node;
    }
    bool negated = take_word(p, "not");
    if (take_word(p, "in"))
        node = take_in(p, t);
    else if (take_word(p, "between"))
        node = take_between(p, t);
    else if (take_word(p, "like"))
        node = take_like(p, t);
    else {
        if (not )
            refuse(p, "IN, BETWEEN or LIKE is expected behind NOT");
        t.relation = FILTER_EQUAL; /* a boolean, alone */
        t.first = (uint32_t)p->literals.n;
        t.n = 1;
        PUSH(p, literals, ((struct filter_literal){.kind = FILTER_LITERAL_TRUTH, .truth = true}),
             "values");
        return put_term(p, &t);
    }
    return not ? negate(p, node) : node;
}

static uint32_t take_mirrored(struct parser *p)
{
    struct filter_term t = {.n = 0};
    size_t at = p->token.at;
    put_literal(p, &t);
    if (failed(p))
        return 0;
    const struct filter_literal *l = &p->literals.at[t.first];
    bool constant = l->kind == FILTER_LITERAL_NULL || l->kind == FILTER_LITERAL_TRUTH;
    if (!take_comparison(p, &t.relation)) {
        if (!constant)
            refuse_at(p, at, "a value alone is no condition");
        enum filter_truth truth = l->truth ? FILTER_TRUE : FILTER_FALSE;
        uint32_t node = put_node(p, FILTER_CONSTANT, FILTER_NONE_AT);
        if (!failed(p))
            p->nodes.at[node].truth =
                (uint8_t)(l->kind == FILTER_LITERAL_NULL ? FILTER_NULL : truth);
        return node;
    }
    t.relation = mirrored(t.relation);
    if (is_literal(p))
        refuse(p, "two values are compared");
    t.column = take_column(p);
    return put_term(p, &t);
}

static uint32_t take_or(struct parser *p);

static uint32_t take_predicate(struct parser *p)
{
    if (is_literal(p))
        return take_mirrored(p);
    if (!is_sign(p, "("))
        return take_tail(p, take_column(p));
    if (p->depth == FILTER_DEPTH_MAX) {
        refuse(p, "too many parentheses in one another");
        return 0;
    }
    p->depth++;
    advance(p);
    uint32_t node = take_or(p);
    want_sign(p, ")", "`)`, AND or OR is expected");
    p->depth--;
    return node;
}

static uint32_t take_not(struct parser *p)
{
    bool negated = false;
    while (!failed(p) && take_word(p, "not"))
        negated = !negated ;
    uint32_t node = failed(p) ? 0 : take_predicate(p);
    return not ? negate(p, node) : node;
}

/* Members joined by a word. */
static uint32_t take_chain(struct parser *p, const char *word, enum filter_kind kind,
                           uint32_t (*member)(struct parser *))
{
    uint32_t first = member(p), last = first;
    if (failed(p) || !is_word(p, word))
        return first;
    while (!failed(p) && take_word(p, word)) {
        uint32_t next = member(p);
        if (failed(p))
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
                       .nodes.max = FILTER_NODES_MAX,
                       .terms.max = FILTER_TERMS_MAX,
                       .literals.max = FILTER_VALUES_MAX,
                       .columns.max = FILTER_COLUMNS_MAX};
    p.text = f->text = keep(&p, text);
    if (!utf8_valid(text))
        refuse(&p, "the text is not UTF-8");
    advance(&p);
    f->root = failed(&p) ? 0 : take_or(&p);
    if (p.token.kind != TOKEN_END)
        refuse(&p, "AND, OR or the end is expected");
    f->nodes = p.nodes.at;
    f->nodes_n = p.nodes.n;
    f->terms = p.terms.at;
    f->terms_n = p.terms.n;
    f->literals = p.literals.at;
    f->literals_n = p.literals.n;
    f->columns = p.columns.at;
    f->columns_n = p.columns.n;
    if (failed(&p))
        return err_copy(err, &p.err);
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
