/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/object_reader.h"

void object_reader_init(struct object_reader *o, struct store *store, const char *key,
                        uint64_t size)
{
    *o =
        (struct object_reader){.store = store,
                               .key = key,
                               .size = size,
                               .window_bytes = store->ops->open_in_place ? OBJECT_LOCAL_WINDOW_BYTES
                                                                         : OBJECT_WINDOW_BYTES};
}

void object_reader_done(struct object_reader *o)
{
    for (size_t i = 0; i < OBJECT_WINDOWS; i++)
        free(o->windows[i].data);
}

static int ask(struct object_reader *o, uint64_t offset,
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

int object_reader_fetch(struct object_reader *o, uint64_t offset, char *to, size_t n,
                        struct err *err)
{
    int rc = ask(o, offset, to, n, err);
    o->failed = o->failed || rc < 0;
    return rc;
}

/* The window that holds the byte, or NULL. */
static struct object_window *find_window(struct object_reader *o, uint64_t offset)
{
    for (size_t i = 0; i < OBJECT_WINDOWS; i++) {
        struct object_window *w = &o->windows[i];
        if (w->n && offset >= w->offset && offset - w->offset < w->n)
            return w;
    }
    return NULL;
}

/* How far a window from there on may go until another one has the bytes. */
static size_t room_at(const struct object_reader *o, uint64_t offset,
                      const struct object_window *but)
{
    uint64_t n = o->size - offset;
    n = n < o->window_bytes ? n : o->window_bytes;
    for (size_t i = 0; i < OBJECT_WINDOWS; i++) {
        const struct object_window *w = &o->windows[i];
        if (w != but && w->n && w->offset > offset && w->offset - offset < n)
            n = w->offset - offset;
    }
    return (size_t)n;
}

/* Reads the window that begins at the byte, or, where there is none yet and it is near, ends with
 * the object: its footer is read first. */
static int load_window(struct object_reader *o, uint64_t offset, struct object_window **out,
                       struct err *err)
{
    struct object_window *oldest = &o->windows[0];
    for (size_t i = 1; i < OBJECT_WINDOWS; i++)
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
    int rc = object_reader_fetch(o, offset, oldest->data, n, err);
    if (rc < 0)
        return rc;
    oldest->offset = offset;
    oldest->n = n;
    *out = oldest;
    return 0;
}

int object_reader_read(void *object, uint64_t offset, void *to, size_t n, struct err *err)
{
    struct object_reader *o = object;
    char *at = to;
    if (offset > o->size || n > o->size - offset)
        return err_set(err, EIO, "%s: %zu bytes at %llu, the file has %llu", o->key, n,
                       (unsigned long long)offset, (unsigned long long)o->size);
    while (n) {
        struct object_window *w = find_window(o, offset);
        if (!w && n >= o->window_bytes)
            return object_reader_fetch(o, offset, at, n, err);
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
