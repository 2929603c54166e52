/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/driver.h"

#include <stdlib.h>

#include "base/limits.h"
#include "lake/format/shape.h"

/* Names and moments of one history. */
#define HISTORY_BYTES_MAX (64 * MIB)

struct history *history_new(size_t n, size_t heads_n, struct err *err)
{
    struct history *h = NULL;
    bool fits = n <= VERSIONS_MAX && heads_n <= VERSIONS_MAX;
    if (fits)
        h = calloc(1, sizeof *h + (n + heads_n) * sizeof h->at[0]);
    if (!h) {
        (void)err_set(err, fits ? ENOMEM : EOVERFLOW, "no room for %zu versions", n);
        return NULL;
    }
    h->refs = 1;
    h->n = n;
    h->heads_n = heads_n;
    h->live = (ptrdiff_t)n - 1;
    arena_init(&h->arena, HISTORY_BYTES_MAX);
    return h;
}

struct history *history_ref(struct history *h)
{
    h->refs++;
    return h;
}

void history_unref(struct history *h)
{
    if (!h || --h->refs > 0)
        return;
    arena_done(&h->arena);
    free(h);
}

struct history *history_cut(struct history *h, size_t n, struct err *err)
{
    if (n == h->n && !h->heads_n && !h->names_n && h->live == (ptrdiff_t)n - 1)
        return history_ref(h);
    struct history *cut = history_new(n, 0, err);
    if (cut) {
        cut->numbered = h->numbered;
        cut->consecutive = h->consecutive;
        cut->unordered = h->unordered;
        memcpy(cut->at, h->at, n * sizeof cut->at[0]);
    }
    return cut;
}

/* What a position is in a history of the first n versions and the same heads; -1: it is not there.
 */
static ptrdiff_t moved_position(const struct history *h, ptrdiff_t position, size_t n)
{
    if (position < (ptrdiff_t)h->n)
        return position < (ptrdiff_t)n ? position : -1;
    ptrdiff_t version = history_find(h, h->at[position].number);
    return version >= 0 && version < (ptrdiff_t)n ? position - (ptrdiff_t)(h->n - n) : -1;
}

static int copy_names(struct history *to, const struct history *from)
{
    struct history_name *names = arena_calloc(&to->arena, from->names_n + 1, sizeof *names);
    if (!names)
        return -ENOMEM;
    for (size_t i = 0; i < from->names_n; i++) {
        struct history_name name = from->names[i];
        name.position = moved_position(from, name.position, to->n);
        name.name = arena_slice(&to->arena, name.name);
        if (!name.name.p)
            return -ENOMEM;
        if (name.position >= 0)
            names[to->names_n++] = name;
    }
    to->names = names;
    return 0;
}

static int copy_clock(struct history *to, const struct history *from, int64_t time_ms)
{
    struct history_moment *clock = arena_calloc(&to->arena, from->clock_n + 1, sizeof *clock);
    int64_t *expired = arena_calloc(&to->arena, from->expired_n + 1, sizeof *expired);
    if (!clock || !expired)
        return -ENOMEM;
    if (from->expired_n)
        memcpy(expired, from->expired, from->expired_n * sizeof *expired);
    to->expired = expired;
    to->expired_n = from->expired_n;
    for (size_t i = 0; i < from->clock_n && from->clock[i].time_ms <= time_ms; i++) {
        clock[i].time_ms = from->clock[i].time_ms;
        clock[i].position = moved_position(from, from->clock[i].position, to->n);
        to->clock_n++;
    }
    to->clock = clock;
    return 0;
}

struct history *history_until(struct history *h, int64_t time_ms, struct err *err)
{
    size_t n = h->n;
    ptrdiff_t live = history_at(h, time_ms, NULL);
    if (!h->clock)
        return history_cut(h, (size_t)(live + 1), err);
    while (n > 0 && h->at[n - 1].timestamp_ms > time_ms && (ptrdiff_t)n - 1 != live)
        n--;
    AUTO(history) struct history *until = history_new(n, h->heads_n, err);
    if (!until)
        return NULL;
    until->numbered = h->numbered;
    until->unordered = h->unordered;
    until->live = live;
    memcpy(until->at, h->at, n * sizeof h->at[0]);
    memcpy(until->at + n, h->at + h->n, h->heads_n * sizeof h->at[0]);
    if (copy_names(until, h) < 0 || copy_clock(until, h, time_ms) < 0) {
        (void)err_set(err, ENOMEM, "no room for the names of %zu versions", n);
        return NULL;
    }
    return STEAL(until);
}

static ptrdiff_t find_ordered(const struct history *h, int64_t number)
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

ptrdiff_t history_find(const struct history *h, int64_t number)
{
    if (!h->unordered)
        return find_ordered(h, number);
    for (size_t i = h->n; i-- > 0;)
        if (h->at[i].number == number)
            return (ptrdiff_t)i;
    return -1;
}

ptrdiff_t history_find_head(const struct history *h, int64_t number)
{
    for (size_t i = h->n; i < h->n + h->heads_n; i++)
        if (h->at[i].number == number)
            return (ptrdiff_t)i;
    return history_find(h, number);
}

/* From the end, as times may step back where a format changes the clock that it goes by. */
ptrdiff_t history_at(const struct history *h, int64_t time_ms, bool *last)
{
    size_t n = h->clock ? h->clock_n : h->n, i = n;
    while (i > 0 && (h->clock ? h->clock[i - 1].time_ms : h->at[i - 1].timestamp_ms) > time_ms)
        i--;
    if (last)
        *last = i > 0 && i == n &&
                time_ms > (h->clock ? h->clock[i - 1].time_ms : h->at[i - 1].timestamp_ms);
    if (h->clock)
        return i > 0 ? h->clock[i - 1].position : -1;
    bool lost = h->consecutive && i > 0 && i < h->n && h->at[i].number != h->at[i - 1].number + 1 &&
                h->at[i - 1].timestamp_ms < time_ms;
    return lost ? -1 : (ptrdiff_t)i - 1;
}

const struct history_name *history_named(const struct history *h, struct slice name)
{
    for (size_t i = 0; i < h->names_n; i++)
        if (slice_eq(h->names[i].name, name))
            return &h->names[i];
    return NULL;
}

bool history_has_expired(const struct history *h, int64_t number)
{
    for (size_t i = 0; i < h->expired_n; i++)
        if (h->expired[i] == number)
            return true;
    return false;
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

bool driver_marks_inside(const struct driver_ops *ops, struct slice name)
{
    static const struct slice packed[] = {{".gz", 3}, {".zst", 4}, {".zstd", 5}};
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++)
        if (slice_ends(name, packed[i]))
            name.n -= packed[i].n;
    return !ops->marker_inside || slice_ends(name, slice_of(ops->marker_inside));
}

bool driver_marks(const struct driver_ops *const *drivers, struct slice path)
{
    for (ptrdiff_t slash; (slash = slice_find(path, '/')) >= 0;) {
        struct slice component = slice_make(path.p, (size_t)slash);
        path = slice_from(path, (size_t)slash + 1);
        for (size_t i = 0; drivers[i]; i++) {
            if (slice_is(component, drivers[i]->marker) && driver_marks_inside(drivers[i], path))
                return true;
        }
    }
    return false;
}

/* A type that is not known is no reason to refuse what needs no look at it. */
int driver_left_out(const struct driver_ops *ops, struct slice meta, struct buf *out,
                    struct err *err)
{
    AUTO(shape) struct shape *shape = NULL;
    struct err e = ERR_INIT;
    if (ops->left_out)
        return ops->left_out(meta, out, err);
    int rc = ops->shape ? ops->shape(meta, &shape, &e) : 0;
    if (rc == -EOPNOTSUPP || rc == -EIO)
        buf_addf(out, "files that are not proven to be as stored cannot be opened: %s\n", e.msg);
    return rc == 0 || rc == -EOPNOTSUPP || rc == -EIO ? 0 : err_copy(err, &e);
}
