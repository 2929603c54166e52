/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/driver.h"

#include <stdlib.h>

#include "base/limits.h"

struct history *history_new(size_t n, struct err *err)
{
    struct history *h = NULL;
    if (n <= VERSIONS_MAX)
        h = calloc(1, sizeof *h + n * sizeof h->at[0]);
    if (!h) {
        (void)err_set(err, n > VERSIONS_MAX ? EOVERFLOW : ENOMEM, "no room for %zu versions", n);
        return NULL;
    }
    h->refs = 1;
    h->n = n;
    return h;
}

struct history *history_ref(struct history *h)
{
    h->refs++;
    return h;
}

void history_unref(struct history *h)
{
    if (h && --h->refs == 0)
        free(h);
}

struct history *history_cut(struct history *h, size_t n, struct err *err)
{
    if (n == h->n)
        return history_ref(h);
    struct history *cut = history_new(n, err);
    if (cut) {
        cut->numbered = h->numbered;
        cut->consecutive = h->consecutive;
        memcpy(cut->at, h->at, n * sizeof cut->at[0]);
    }
    return cut;
}

ptrdiff_t history_find(const struct history *h, int64_t number)
{
    size_t low = 0, high = h->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (h->at[middle].number == number)
            return (ptrdiff_t)middle;
        if (h->at[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* From the end, as times may step back where a format changes the clock that it goes by. */
ptrdiff_t history_at(const struct history *h, int64_t time_ms)
{
    size_t i = h->n;
    while (i > 0 && h->at[i - 1].timestamp_ms > time_ms)
        i--;
    bool lost = h->consecutive && i > 0 && i < h->n && h->at[i].number != h->at[i - 1].number + 1 &&
                h->at[i - 1].timestamp_ms < time_ms;
    return lost ? -1 : (ptrdiff_t)i - 1;
}

void object_location_init(struct object_location *l)
{
    l->store = NULL;
    l->readable = false;
    buf_init(&l->key, KEY_BYTES_MAX);
    buf_init(&l->etag, ETAG_BYTES_MAX);
    buf_init(&l->version, VERSION_ID_BYTES_MAX);
}

void object_location_done(struct object_location *l)
{
    buf_done(&l->key);
    buf_done(&l->etag);
    buf_done(&l->version);
}

int object_location_check(const struct object_location *l, struct err *err)
{
    int rc = buf_check(&l->key, err);
    if (rc == 0)
        rc = buf_check(&l->etag, err);
    return rc < 0 ? rc : buf_check(&l->version, err);
}

int driver_refuse(struct err *to, const struct err *from)
{
    int rc = err_copy(to, from);
    bool damage = from->code == EOVERFLOW || from->code == EBADMSG;
    if (damage && to)
        to->code = EIO;
    return damage ? -EIO : rc;
}

bool driver_marks(const struct driver_ops *const *drivers, struct slice path)
{
    for (ptrdiff_t slash; (slash = slice_find(path, '/')) >= 0;) {
        struct slice component = slice_make(path.p, (size_t)slash);
        path = slice_from(path, (size_t)slash + 1);
        for (size_t i = 0; drivers[i]; i++) {
            const char *inside = drivers[i]->marker_inside;
            if (slice_is(component, drivers[i]->marker) &&
                (!inside || slice_ends(path, slice_of(inside))))
                return true;
        }
    }
    return false;
}
