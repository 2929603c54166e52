/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokens of a row filter's text, one ahead, and the first failure, which ends it: there are no
 * tokens any more. One thread.
 */
#ifndef LAKE_FORMAT_FILTER_TOKEN_H
#define LAKE_FORMAT_FILTER_TOKEN_H

#include "base/arena.h"

enum filter_token_kind {
    TOKEN_END,
    TOKEN_NAME,   /* `text` without quotes */
    TOKEN_QUOTED, /* a name in backquotes */
    TOKEN_NUMBER,
    TOKEN_TEXT,
    TOKEN_BYTES,
    TOKEN_SIGN, /* one of ( ) , . + - and the comparisons */
};

struct filter_token {
    enum filter_token_kind kind;
    size_t at; /* byte of the text */
    struct slice text;
};

struct filter_tokens {
    struct slice text;
    size_t at;
    struct filter_token token; /* the next one */
    struct arena *arena;       /* of texts without their quotes */
    struct err err;            /* the first failure */
};

static inline bool filter_failed(const struct filter_tokens *t)
{
    return t->err.code != 0;
}

/* -EINVAL at the next token, or at a byte of the text. */
void filter_refuse(struct filter_tokens *t, const char *what);
void filter_refuse_at(struct filter_tokens *t, size_t at, const char *what);
/* rc: -EOVERFLOW over a limit of so many, -ENOMEM. */
void filter_no_room(struct filter_tokens *t, int rc, const char *what, size_t max);

/* Moves on to the next token. */
void filter_advance(struct filter_tokens *t);
bool filter_is_sign(const struct filter_tokens *t, const char *sign);
/* A word of the language, without case. */
bool filter_is_word(const struct filter_tokens *t, const char *word);
/* The same, and moves on where it is. */
bool filter_take_word(struct filter_tokens *t, const char *word);
/* The next token is a word that names no column without quotes. */
bool filter_is_reserved(const struct filter_tokens *t);
/* `date` or `timestamp` with text behind it; else they are names. */
bool filter_is_typed(const struct filter_tokens *t);

#endif
