/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/object.h"

void delta_object_init(struct delta_object *o, struct store *store, const char *key, uint64_t size)
{
    *o = (struct delta_object){.store = store,
                               .key = key,
                               .size = size,
                               .window_bytes = store->ops->open_in_place ? DELTA_LOCAL_WINDOW_BYTES
                                                                         : DELTA_WINDOW_BYTES};
}

void delta_object_done(struct delta_object *o)
{
    for (size_t i = 0; i < DELTA_WINDOWS; i++)
        free(o->windows[i].data);
}

static int ask(struct delta_object *o, uint64_t offset,
               char *to, /* NOLINT(readability-non-const-parameter): the store writes there */
               size_t n, struct err *err)
{
    struct store_get req = {.key = o->key,
                            .offset = offset,
                            .length = n,
                            .if_match = o->etag[0] ? o->etag : NULL,
                            .to = to};
    int rc = store_get_wait(o->store, &req, err);
    if (rc < 0)
        return rc;
    if (req.info.size != o->size)
        return err_set(err, ESTALE, "%s: listed with %llu bytes, now it has %llu", o->key,
                       (unsigned long long)o->size, (unsigned long long)req.info.size);
    if (req.got != n)
        return err_set(err, EIO, "%s: %zu bytes at %llu, expected %zu", o->key, req.got,
                       (unsigned long long)offset, n);
    if (!o->etag[0])
        memcpy(o->etag, req.info.etag, sizeof o->etag);
    return 0;
}

/* One request of exactly n bytes. */
static int fetch(struct delta_object *o, uint64_t offset, char *to, size_t n, struct err *err)
{
    int rc = ask(o, offset, to, n, err);
    o->failed = o->failed || rc < 0;
    return rc;
}

/* The window that holds the byte, or NULL. */
static struct delta_window *find_window(struct delta_object *o, uint64_t offset)
{
    for (size_t i = 0; i < DELTA_WINDOWS; i++) {
        struct delta_window *w = &o->windows[i];
        if (w->n && offset >= w->offset && offset - w->offset < w->n)
            return w;
    }
    return NULL;
}

/* How far a window from there on may go until another one has the bytes. */
static size_t room_at(const struct delta_object *o, uint64_t offset, const struct delta_window *but)
{
    uint64_t n = o->size - offset;
    n = n < o->window_bytes ? n : o->window_bytes;
    for (size_t i = 0; i < DELTA_WINDOWS; i++) {
        const struct delta_window *w = &o->windows[i];
        if (w != but && w->n && w->offset > offset && w->offset - offset < n)
            n = w->offset - offset;
    }
    return (size_t)n;
}

/* Reads the window that begins at the byte, or, where there is none yet and it is near, ends with
 * the object: its footer is read first. */
static int load_window(struct delta_object *o, uint64_t offset, struct delta_window **out,
                       struct err *err)
{
    struct delta_window *oldest = &o->windows[0];
    for (size_t i = 1; i < DELTA_WINDOWS; i++)
        if (o->windows[i].used < oldest->used)
            oldest = &o->windows[i];
    if (!oldest->data)
        oldest->data = malloc(o->window_bytes);
    if (!oldest->data)
        return err_set(err, ENOMEM, "%s: no room for a window", o->key);
    if (o->uses == 0 && o->size - offset < o->window_bytes)
        offset = o->size < o->window_bytes ? 0 : o->size - o->window_bytes;
    oldest->n = 0;
    size_t n = room_at(o, offset, oldest);
    int rc = fetch(o, offset, oldest->data, n, err);
    if (rc < 0)
        return rc;
    oldest->offset = offset;
    oldest->n = n;
    *out = oldest;
    return 0;
}

int delta_object_read(void *object, uint64_t offset, void *to, size_t n, struct err *err)
{
    struct delta_object *o = object;
    char *at = to;
    if (offset > o->size || n > o->size - offset)
        return err_set(err, EIO, "%s: %zu bytes at %llu, the file has %llu", o->key, n,
                       (unsigned long long)offset, (unsigned long long)o->size);
    while (n) {
        struct delta_window *w = find_window(o, offset);
        if (!w && n >= o->window_bytes)
            return fetch(o, offset, at, n, err);
        int rc = w ? 0 : load_window(o, offset, &w, err);
        if (rc < 0)
            return rc;
        w->used = ++o->uses;
        size_t skip = (size_t)(offset - w->offset);
        size_t part = w->n - skip < n ? w->n - skip : n;
        memcpy(at, w->data + skip, part);
        at += part;
        offset += part;
        n -= part;
    }
    return 0;
}

void delta_lines_init(struct delta_lines *l, struct store *store, const char *key, uint64_t size,
                      size_t first_bytes)
{
    *l = (struct delta_lines){.fetch = first_bytes};
    delta_object_init(&l->object, store, key, size);
    buf_init(&l->text, JSON_LINE_BYTES_MAX + DELTA_WINDOW_BYTES);
}

void delta_lines_done(struct delta_lines *l)
{
    delta_object_done(&l->object);
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
    int rc = fetch(&l->object, l->offset, to, n, err);
    if (rc < 0)
        return rc;
    l->text.len += n;
    l->offset += n;
    l->fetch = DELTA_WINDOW_BYTES;
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
