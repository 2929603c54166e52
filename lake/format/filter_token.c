/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/filter_token.h"

#include "base/buf.h"
#include "base/limits.h"

/* Failures */

/* Characters up to a byte, counted from 1. */
static size_t character(const struct filter_tokens *t, size_t at)
{
    size_t n = 1;
    for (size_t i = 0; i < at && i < t->text.n; i++)
        n += ((uint8_t)t->text.p[i] & 0xc0) != 0x80;
    return n;
}

void filter_refuse_at(struct filter_tokens *t, size_t at, const char *what)
{
    if (!filter_failed(t))
        (void)err_set(&t->err, EINVAL, "at character %zu: %s", character(t, at), what);
}

void filter_refuse(struct filter_tokens *t, const char *what)
{
    filter_refuse_at(t, t->token.at, what);
}

void filter_no_room(struct filter_tokens *t, int rc, const char *what, size_t max)
{
    if (filter_failed(t))
        return;
    if (rc == -EOVERFLOW)
        (void)err_set(&t->err, EOVERFLOW, "a row filter has more than %zu %s", max, what);
    else
        (void)err_set(&t->err, ENOMEM, "out of memory");
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

static char at_byte(const struct filter_tokens *t, size_t i)
{
    return t->at + i < t->text.n ? t->text.p[t->at + i] : '\0';
}

/* What stands between quotes, which are doubled inside. */
static void take_quoted(struct filter_tokens *t, enum filter_token_kind kind, char quote)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, FILTER_BYTES_MAX);
    for (t->at++;; t->at++) {
        if (t->at >= t->text.n) {
            filter_refuse(t, "a quote that does not end");
            return;
        }
        char c = at_byte(t, 0);
        if (c == quote && at_byte(t, 1) != quote)
            break;
        t->at += c == quote;
        buf_add_char(&text, c);
    }
    t->at++;
    if (buf_check(&text, &t->err) < 0)
        return;
    t->token.kind = kind;
    t->token.text = arena_slice(t->arena, buf_slice(&text));
    if (!t->token.text.p)
        filter_no_room(t, -ENOMEM, "", 0);
}

/* digits, a fraction, an exponent */
static void take_number(struct filter_tokens *t)
{
    size_t from = t->at;
    while (is_digit(at_byte(t, 0)))
        t->at++;
    if (at_byte(t, 0) == '.')
        for (t->at++; is_digit(at_byte(t, 0));)
            t->at++;
    bool exponent = (at_byte(t, 0) | 0x20) == 'e';
    size_t sign = at_byte(t, 1) == '+' || at_byte(t, 1) == '-';
    if (exponent && is_digit(at_byte(t, 1 + sign)))
        for (t->at += 1 + sign; is_digit(at_byte(t, 0));)
            t->at++;
    if (is_name(at_byte(t, 0), false))
        filter_refuse(t, "a number with letters behind it");
    t->token.kind = TOKEN_NUMBER;
    t->token.text = slice_make(t->text.p + from, t->at - from);
}

static void take_sign(struct filter_tokens *t)
{
    static const char *const signs[] = {"<=", ">=", "<>", "!=", "<", ">", "=",
                                        "(",  ")",  ",",  ".",  "+", "-"};
    struct slice rest = slice_from(t->text, t->at);
    for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
        if (slice_starts(rest, slice_of(signs[i]))) {
            t->token.kind = TOKEN_SIGN;
            t->token.text = slice_of(signs[i]);
            t->at += t->token.text.n;
            return;
        }
    filter_refuse(t, at_byte(t, 0) == '"' ? "names are quoted as `name`, text as 'text'"
                                          : "nothing begins with this character");
}

void filter_advance(struct filter_tokens *t)
{
    while (t->at < t->text.n && strchr(" \t\r\n", t->text.p[t->at]) && t->text.p[t->at])
        t->at++;
    t->token = (struct filter_token){.kind = TOKEN_END, .at = t->at};
    char c = at_byte(t, 0);
    if (filter_failed(t) || t->at >= t->text.n)
        return;
    if ((c | 0x20) == 'x' && at_byte(t, 1) == '\'') {
        t->at++;
        take_quoted(t, TOKEN_BYTES, '\'');
    } else if (is_name(c, true)) {
        size_t from = t->at;
        while (t->at < t->text.n && is_name(t->text.p[t->at], false))
            t->at++;
        t->token.kind = TOKEN_NAME;
        t->token.text = slice_make(t->text.p + from, t->at - from);
    } else if (is_digit(c) || (c == '.' && is_digit(at_byte(t, 1)))) {
        take_number(t);
    } else if (c == '\'') {
        take_quoted(t, TOKEN_TEXT, c);
    } else if (c == '`') {
        take_quoted(t, TOKEN_QUOTED, c);
    } else {
        take_sign(t);
    }
}

bool filter_is_sign(const struct filter_tokens *t, const char *sign)
{
    return t->token.kind == TOKEN_SIGN && slice_is(t->token.text, sign);
}

bool filter_is_word(const struct filter_tokens *t, const char *word)
{
    struct slice s = t->token.text;
    if (t->token.kind != TOKEN_NAME || s.n != strlen(word))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] | 0x20) != word[i])
            return false;
    return true;
}

bool filter_take_word(struct filter_tokens *t, const char *word)
{
    bool is = filter_is_word(t, word);
    if (is)
        filter_advance(t);
    return is;
}

bool filter_is_reserved(const struct filter_tokens *t)
{
    static const char *const words[] = {"and",  "or",   "not",    "in",   "between", "is",
                                        "null", "like", "escape", "true", "false"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (filter_is_word(t, words[i]))
            return true;
    return false;
}

bool filter_is_typed(const struct filter_tokens *t)
{
    size_t i = t->at;
    while (i < t->text.n && (t->text.p[i] == ' ' || t->text.p[i] == '\t'))
        i++;
    return (filter_is_word(t, "date") || filter_is_word(t, "timestamp")) && i < t->text.n &&
           t->text.p[i] == '\'';
}
