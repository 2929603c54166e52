/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/layouts.h"

#include <string.h>

void layouts_init(struct layouts *l)
{
    memset(l, 0, sizeof *l);
    lock_init(&l->lock);
}

void layouts_done(struct layouts *l)
{
    for (size_t i = 0; i < LAYOUTS_MAX; i++)
        parquet_layout_unref(l->at[i].layout);
    lock_done(&l->lock);
}

static struct layout_entry *find_locked(struct layouts *l, struct layout_key key) REQUIRES(l->lock)
{
    for (size_t i = 0; i < LAYOUTS_MAX; i++) {
        struct layout_entry *e = &l->at[i];
        if (e->layout && e->key.node == key.node && e->key.identity == key.identity)
            return e;
    }
    return NULL;
}

struct parquet_layout *layouts_find(struct layouts *l, struct layout_key key)
{
    struct parquet_layout *found = NULL;
    WITH_LOCK (&l->lock) {
        struct layout_entry *e = find_locked(l, key);
        if (e) {
            e->used = ++l->clock;
            found = parquet_layout_ref(e->layout);
        }
    }
    return found;
}

static void drop_locked(struct layouts *l, struct layout_entry *e) REQUIRES(l->lock)
{
    if (!e->layout)
        return;
    l->bytes -= parquet_layout_bytes(e->layout);
    parquet_layout_unref(e->layout);
    *e = (struct layout_entry){0};
}

/* A free place, or the one that was not used for longest. */
static struct layout_entry *oldest_locked(struct layouts *l, bool free_too) REQUIRES(l->lock)
{
    struct layout_entry *oldest = NULL;
    for (size_t i = 0; i < LAYOUTS_MAX; i++) {
        struct layout_entry *e = &l->at[i];
        if ((free_too || e->layout) && (!oldest || e->used < oldest->used))
            oldest = e;
    }
    return oldest;
}

void layouts_put(struct layouts *l, struct layout_key key, struct parquet_layout *layout)
{
    size_t bytes = parquet_layout_bytes(layout);
    WITH_LOCK (&l->lock) {
        struct layout_entry *e = find_locked(l, key);
        while (e || (l->bytes && l->bytes + bytes > LAYOUTS_BYTES_MAX)) {
            drop_locked(l, e ? e : oldest_locked(l, false));
            e = NULL;
        }
        e = oldest_locked(l, true);
        drop_locked(l, e);
        *e = (struct layout_entry){
            .key = key, .layout = parquet_layout_ref(layout), .used = ++l->clock};
        l->bytes += bytes;
    }
}
