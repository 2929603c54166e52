/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/extra.h"

#include "base/limits.h"
#include "base/text.h"

/* Of data files and delete files, in order of enum iceberg_format. */
static const char format_letters[] = "poav";

int iceberg_delete_compare(const struct iceberg_delete *a, const struct iceberg_delete *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    int c = slice_cmp(a->path, b->path);
    if (c)
        return c;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

static bool is_escaped(char c)
{
    return (unsigned char)c < 0x20 || c == '%' || c == 0x7f;
}

static void add_escaped(struct buf *out, struct slice s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (is_escaped(s.p[i])) {
            buf_add_char(out, '%');
            buf_add_char(out, hex[c >> 4]);
            buf_add_char(out, hex[c & 15]);
        } else {
            buf_add_char(out, s.p[i]);
        }
    }
}

static size_t shared_bytes(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n, i = 0;
    while (i < n && a.p[i] == b.p[i])
        i++;
    return i;
}

static void add_delete(const struct iceberg_delete *d, struct slice before, struct buf *out)
{
    switch (d->kind) {
    case ICEBERG_DELETE_POSITION:
    case ICEBERG_DELETE_EQUALITY:
        buf_addf(out, "%c%c,%llu,%llu", d->kind == ICEBERG_DELETE_POSITION ? 'p' : 'e',
                 format_letters[d->format], (unsigned long long)d->size,
                 (unsigned long long)d->rows);
        for (size_t i = 0; d->kind == ICEBERG_DELETE_EQUALITY && i < d->ids_n; i++)
            buf_addf(out, "%c%d", i ? '+' : ',', (int)d->ids[i]);
        break;
    case ICEBERG_DELETE_VECTOR:
        buf_addf(out, "v%llu,%llu,%llu", (unsigned long long)d->offset,
                 (unsigned long long)d->length, (unsigned long long)d->rows);
        break;
    }
    size_t shared = shared_bytes(before, d->path);
    buf_addf(out, ":%zu:", shared);
    add_escaped(out, slice_from(d->path, shared));
    buf_add_char(out, '\t');
}

static bool parse_format(char c, enum iceberg_format *out)
{
    const char *at = c ? strchr(format_letters, c) : NULL;
    if (at)
        *out = (enum iceberg_format)(at - format_letters);
    return at != NULL;
}

enum iceberg_format iceberg_extra_format_of(struct slice text)
{
    enum iceberg_format format = ICEBERG_PARQUET;
    if (text.n > 1 && text.p[0] == 'f')
        (void)parse_format(text.p[1], &format);
    return format;
}

int iceberg_extra_format(const struct iceberg_extra *extra, struct buf *out, struct err *err)
{
    struct slice before = SLICE_NONE;
    size_t begin = out->len;
    if (extra->format != ICEBERG_PARQUET)
        buf_addf(out, "f%c\t", format_letters[extra->format]);
    if (extra->constants.n) {
        buf_add_char(out, 'c');
        buf_add_slice(out, extra->constants);
        buf_add_char(out, '\t');
    }
    for (size_t i = 0; i < extra->deletes_n && !out->failed; i++) {
        add_delete(&extra->deletes[i], before, out);
        before = extra->deletes[i].path;
    }
    if (!out->failed && out->len - begin <= ICEBERG_EXTRA_BYTES_MAX)
        return 0;
    if (out->failed == ENOMEM)
        return buf_check(out, err);
    return err_set(err, EOVERFLOW,
                   "%zu delete files apply to one data file: more than an index keeps (rewrite the "
                   "table's data files)",
                   extra->deletes_n);
}

/* Parsing ------------------------------------------------------------------------------------- */

struct parser {
    struct arena *arena;
    struct slice path; /* of the record before */
};

static int bad(struct err *err)
{
    return err_set(err, EIO, "what an index says of a file's deletes is damaged");
}

/* What stands before the first `c`, which is taken; false where there is none. */
static bool take_until(struct slice *rest, char c, struct slice *out)
{
    ptrdiff_t at = slice_find(*rest, c);
    if (at < 0)
        return false;
    *out = slice_make(rest->p, (size_t)at);
    *rest = slice_from(*rest, (size_t)at + 1);
    return true;
}

static bool take_number(struct slice *rest, char end, uint64_t max, uint64_t *out)
{
    struct slice text;
    return take_until(rest, end, &text) && text_parse_u64(text, max, out);
}

/* `<shared>:<rest>` */
static int take_path(struct parser *p, struct slice text, struct slice *out, struct err *err)
{
    uint64_t shared;
    AUTO(buf) struct buf path = {0};
    buf_init(&path, ACTION_BYTES_MAX);
    if (!take_number(&text, ':', p->path.n, &shared))
        return bad(err);
    buf_add(&path, p->path.p, (size_t)shared);
    text_percent_decode(&path, text);
    int rc = buf_check(&path, err);
    if (rc < 0)
        return rc;
    if (path.len == 0)
        return bad(err);
    p->path = arena_slice(p->arena, buf_slice(&path));
    if (!p->path.p)
        return arena_failed(p->arena, "a file's deletes", err);
    *out = p->path;
    return 0;
}

/* `5+7+9` */
static int take_ids(struct parser *p, struct slice text, struct iceberg_delete *d, struct err *err)
{
    size_t most = 1;
    for (size_t i = 0; i < text.n; i++)
        most += text.p[i] == '+';
    int32_t *ids = arena_calloc(p->arena, most, sizeof ids[0]);
    if (!ids)
        return arena_failed(p->arena, "a file's deletes", err);
    d->ids = ids;
    while (text.n) {
        struct slice one;
        uint64_t id;
        if (!take_until(&text, '+', &one)) {
            one = text;
            text.n = 0;
        }
        if (!text_parse_u64(one, INT32_MAX, &id))
            return bad(err);
        ids[d->ids_n++] = (int32_t)id;
    }
    return d->ids_n ? 0 : bad(err);
}

/* A record of a delete, without its first letter. */
static int take_delete(struct parser *p, char kind, struct slice r, struct iceberg_delete *d,
                       struct err *err)
{
    struct slice format, ids;
    int rc = 0;
    if (kind == 'v') {
        d->kind = ICEBERG_DELETE_VECTOR;
        d->format = ICEBERG_PUFFIN;
        if (!take_number(&r, ',', INT64_MAX, &d->offset) ||
            !take_number(&r, ',', INT64_MAX, &d->length) ||
            !take_number(&r, ':', INT64_MAX, &d->rows))
            return bad(err);
        return take_path(p, r, &d->path, err);
    }
    d->kind = kind == 'e' ? ICEBERG_DELETE_EQUALITY : ICEBERG_DELETE_POSITION;
    if (!take_until(&r, ',', &format) || format.n != 1 || !parse_format(format.p[0], &d->format) ||
        !take_number(&r, ',', INT64_MAX, &d->size) ||
        !take_number(&r, kind == 'e' ? ',' : ':', INT64_MAX, &d->rows))
        return bad(err);
    if (kind == 'e')
        rc = take_until(&r, ':', &ids) ? take_ids(p, ids, d, err) : bad(err);
    return rc < 0 ? rc : take_path(p, r, &d->path, err);
}

int iceberg_extra_parse(struct slice text, struct arena *arena, struct iceberg_extra *out,
                        struct err *err)
{
    struct parser p = {.arena = arena};
    struct iceberg_extra extra = {.format = ICEBERG_PARQUET};
    size_t most = 0;
    for (size_t i = 0; i < text.n; i++)
        most += text.p[i] == '\t';
    struct iceberg_delete *deletes = arena_calloc(arena, most + 1, sizeof deletes[0]);
    if (!deletes)
        return arena_failed(arena, "a file's deletes", err);
    while (text.n) {
        struct slice record;
        int rc = 0;
        if (!take_until(&text, '\t', &record) || record.n < 2)
            return bad(err);
        struct slice rest = slice_from(record, 1);
        switch (record.p[0]) {
        case 'f':
            rc = rest.n == 1 && parse_format(rest.p[0], &extra.format) ? 0 : bad(err);
            break;
        case 'c':
            extra.constants = rest;
            break;
        case 'e':
        case 'p':
        case 'v':
            rc = take_delete(&p, record.p[0], rest, &deletes[extra.deletes_n++], err);
            break;
        default:
            rc = bad(err);
        }
        if (rc < 0)
            return rc;
    }
    extra.deletes = deletes;
    *out = extra;
    return 0;
}
