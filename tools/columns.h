/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of texts for a terminal: columns as wide as their widest cell, numbers at the right.
 *
 *   columns_init(&c, "<TABLE|>FILES|>BYTES"), columns_add for each cell, row by row, columns_print
 *
 * Bounded memory: rows over the limit are counted, not kept. One thread.
 */
#ifndef TOOLS_COLUMNS_H
#define TOOLS_COLUMNS_H

#include <stdio.h>

#include "base/arena.h"
#include "base/vec.h"

#define COLUMNS_MAX 16

struct columns {
    struct arena arena;
    struct slice heads[COLUMNS_MAX];
    bool right[COLUMNS_MAX];
    size_t n;
    VEC(struct slice) cells;
    int failed; /* 0 or -errno of the first cell that was not kept */
};

/* heads: names with `<` (left) or `>` (right) before each and `|` between them; borrowed. */
void columns_init(struct columns *c, const char *heads);
void columns_done(struct columns *c);
DEFINE_AUTO_DONE(columns, struct columns, columns_done)

/* The next cell; control characters are shown as `?`. Failures stick. */
__attribute__((format(printf, 2, 3))) void columns_add(struct columns *c, const char *fmt, ...);

/* A line between the rows, not in columns, indented. */
__attribute__((format(printf, 2, 3))) void columns_remark(struct columns *c, const char *fmt, ...);

/* 0, or -errno of what was not kept, which is not printed. */
int columns_print(const struct columns *c, FILE *to);

#endif
