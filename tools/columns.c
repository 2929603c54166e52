/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/columns.h"

#include <stdarg.h>

#include "base/limits.h"

#define CELLS_MAX ((size_t)4 << 20)
#define BYTES_MAX (256 * MIB)
#define REMARK '\x01' /* before a remark, which takes a row: no cell begins so */

void columns_init(struct columns *c, const char *heads)
{
    *c = (struct columns){.cells = VEC_MAX(CELLS_MAX)};
    arena_init(&c->arena, BYTES_MAX);
    struct slice rest = slice_of(heads);
    while (rest.n && c->n < COLUMNS_MAX) {
        ptrdiff_t bar = slice_find(rest, '|');
        size_t n = bar < 0 ? rest.n : (size_t)bar;
        c->right[c->n] = rest.p[0] == '>';
        c->heads[c->n++] = slice_make(rest.p + 1, n - 1);
        rest = slice_from(rest, bar < 0 ? n : n + 1);
    }
}

void columns_done(struct columns *c)
{
    vec_done(&c->cells);
    arena_done(&c->arena);
}

static void keep(struct columns *c, char first, const char *fmt, va_list ap)
{
    AUTO_FREE char *text = NULL;
    int n = vasprintf(&text, fmt, ap);
    if (n < 0)
        text = NULL;
    for (char *p = text; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    char *own = text ? arena_alloc(&c->arena, (size_t)n + 2) : NULL;
    if (own) {
        own[0] = first;
        memcpy(own + (first != 0), text, (size_t)n + 1);
    }
    struct slice cell = slice_make(own, own ? strlen(own) : 0);
    int rc = own ? vec_push(&c->cells, cell) : -ENOMEM;
    c->failed = c->failed ? c->failed : rc;
}

void columns_add(struct columns *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    keep(c, 0, fmt, ap);
    va_end(ap);
}

void columns_remark(struct columns *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    keep(c, REMARK, fmt, ap);
    va_end(ap);
}

/* Characters, as a terminal has them: UTF-8's further bytes take no room. */
static size_t width_of(struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static void print_cell(const struct columns *c, size_t column, struct slice cell, size_t width,
                       FILE *to)
{
    size_t pad = width - width_of(cell);
    bool last = column + 1 == c->n;
    if (c->right[column])
        (void)fprintf(to, "%*s%.*s", (int)pad, "", SLICE_FMT(cell));
    else
        (void)fprintf(to, "%.*s%*s", SLICE_FMT(cell), last ? 0 : (int)pad, "");
    (void)fputs(last ? "\n" : "  ", to);
}

static bool is_remark(struct slice cell)
{
    return cell.n && cell.p[0] == REMARK;
}

int columns_print(const struct columns *c, FILE *to)
{
    size_t widths[COLUMNS_MAX] = {0}, column = 0;
    if (c->failed)
        return c->failed;
    for (size_t i = 0; i < c->n; i++)
        widths[i] = width_of(c->heads[i]);
    for (size_t i = 0; i < c->cells.n; i++) {
        struct slice cell = c->cells.at[i];
        if (is_remark(cell))
            continue;
        size_t width = width_of(cell);
        widths[column] = width > widths[column] ? width : widths[column];
        column = (column + 1) % c->n;
    }
    for (size_t i = 0; i < c->n; i++)
        print_cell(c, i, c->heads[i], widths[i], to);
    for (size_t i = 0; i < c->cells.n; i++) {
        struct slice cell = c->cells.at[i];
        if (is_remark(cell)) {
            (void)fprintf(to, "  %.*s\n", (int)cell.n - 1, cell.p + 1);
            continue;
        }
        print_cell(c, column, cell, widths[column], to);
        column = (column + 1) % c->n;
    }
    return 0;
}
