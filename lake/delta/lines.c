/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/lines.h"

void delta_lines_init(struct delta_lines *l, struct store *store, const char *key, uint64_t size,
                      size_t first_bytes)
{
    *l = (struct delta_lines){.fetch = first_bytes};
    object_reader_init(&l->object, store, key, size);
    buf_init(&l->text, JSON_LINE_BYTES_MAX + OBJECT_WINDOW_BYTES);
}

void delta_lines_done(struct delta_lines *l)
{
    object_reader_done(&l->object);
    buf_done(&l->text);
}

/* Reads on. 1: there is more text; 0: the object has no more. */
static int read_on(struct delta_lines *l, struct err *err)
{
    uint64_t left = l->object.size - l->offset;
    size_t n = left < l->fetch ? (size_t)left : l->fetch;
    if (n == 0)
        return 0;
    if (l->at) { /* lines that were given are not needed any more */
        memmove(l->text.data, l->text.data + l->at, l->text.len - l->at);
        l->text.len -= l->at;
        l->at = 0;
    }
    char *to = buf_reserve(&l->text, n);
    if (!to) {
        (void)buf_check(&l->text, err);
        return err_wrap(err, "%s: line %llu", l->object.key, (unsigned long long)l->number + 1);
    }
    int rc = object_reader_fetch(&l->object, l->offset, to, n, err);
    if (rc < 0)
        return rc;
    l->text.len += n;
    l->offset += n;
    l->fetch = OBJECT_WINDOW_BYTES;
    return 1;
}

static bool is_blank(struct slice line)
{
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] != ' ' && line.p[i] != '\t' && line.p[i] != '\r')
            return false;
    return true;
}

int delta_lines_next(struct delta_lines *l, struct slice *line, struct err *err)
{
    size_t seen = 0; /* bytes of the line that have no end in them */
    for (;;) {
        struct slice rest = slice_from(buf_slice(&l->text), l->at);
        ptrdiff_t end = slice_find(slice_from(rest, seen), '\n');
        if (end >= 0) {
            *line = slice_make(rest.p, seen + (size_t)end);
            l->at += line->n + 1;
        } else {
            seen = rest.n;
            int rc = read_on(l, err);
            if (rc < 0)
                return rc;
            if (rc == 1)
                continue;
            if (rest.n == 0)
                return 0;
            *line = rest;
            l->at = l->text.len;
        }
        l->number++;
        if (!is_blank(*line))
            return 1;
        seen = 0;
    }
}
