/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/view/presented_object.h"

#include "cache/store/event.h"

/* Asked for at once; it begins with one block and doubles as long as the object is read in order.
 */
#define WINDOW_BLOCKS_MAX 8
/* Old writers' chunks are longer than they say (lake/format/parquet_page.c). */
#define CHUNK_SLACK 128

struct window_part {
    struct store_get get;
    struct event ended;
};

int presented_object_init(struct presented_object *r, const struct recipe *recipe,
                          const char *if_match, const char *bytes, struct err *err)
{
    *r = (struct presented_object){.recipe = recipe, .if_match = if_match, .bytes = bytes};
    r->window = bytes ? NULL : malloc(WINDOW_BLOCKS_MAX * BLOCK_BYTES);
    return bytes || r->window ? 0 : err_set(err, ENOMEM, "out of memory");
}

void presented_object_done(struct presented_object *r)
{
    free(r->window);
    free(r->ranges);
}

/* What is read ahead */

static int compare_ranges(const void *a, const void *b)
{
    const struct object_range *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

/* In order, those of which the gap between has no granule of its own as one. */
static size_t join_ranges(struct object_range *r, size_t n)
{
    size_t out = 0;
    qsort(r, n, sizeof *r, compare_ranges);
    for (size_t i = 0; i < n; i++) {
        struct object_range *last = out ? &r[out - 1] : NULL;
        if (!last || (r[i].from > last->to && r[i].from - last->to >= GRANULE_BYTES))
            r[out++] = r[i];
        else if (r[i].to > last->to)
            last->to = r[i].to;
    }
    return out;
}

int presented_object_plan(struct presented_object *r, const struct present_plan *plan,
                          struct err *err)
{
    const struct parquet_footer *stored = plan ? plan->stored : NULL;
    size_t n = 0;
    free(r->ranges);
    r->ranges = NULL;
    r->ranges_n = r->window_n = 0;
    if (r->bytes || !plan)
        return 0;
    r->ranges = reallocarray(NULL, stored->groups_n + 1, (plan->leaves_n + 1) * sizeof *r->ranges);
    if (!r->ranges)
        return err_set(err, ENOMEM, "out of memory");
    for (size_t g = 0; g < stored->groups_n; g++)
        for (size_t i = 0; i < plan->leaves_n; i++) {
            uint32_t source = plan->leaves[i].source;
            if (source == PARQUET_NO_LEAF)
                continue;
            const struct parquet_chunk *c = &stored->chunks[g][source];
            uint64_t to;
            if (!__builtin_add_overflow(c->offset, c->size_bytes + CHUNK_SLACK, &to))
                r->ranges[n++] = (struct object_range){c->offset, to};
        }
    r->ranges_n = join_ranges(r->ranges, n);
    return 0;
}

uint64_t presented_object_end(const struct presented_object *r, uint64_t offset)
{
    size_t low = 0, high = r->ranges_n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->ranges[middle].to <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    bool inside = low < r->ranges_n && r->ranges[low].from <= offset;
    return inside ? r->ranges[low].to : offset;
}

/* The window */

static void part_ended(struct store_get *get)
{
    event_set(&CONTAINER_OF(get, struct window_part, get)->ended);
}

static int check_part(const struct recipe *r, const struct store_get *get, struct err *err)
{
    if (get->rc < 0)
        return err_copy(err, &get->err);
    if (get->info.size != r->object_bytes)
        return err_set(err, ESTALE, "%s: the object changed while it was read", r->object_key);
    if (get->got != get->length)
        return err_set(err, EIO, "%s: %zu of %zu bytes came at %llu", r->object_key, get->got,
                       get->length, (unsigned long long)get->offset);
    return 0;
}

/* Fills the window from `offset` on, with `want` bytes at least where it has room for them. */
static int fetch_window(struct presented_object *r, uint64_t offset, size_t want, struct err *err)
{
    struct window_part parts[WINDOW_BLOCKS_MAX];
    const struct recipe *recipe = r->recipe;
    struct store *home = recipe->store->config.home;
    bool onward = r->window_n && offset == r->window_at + r->window_n;
    size_t blocks = onward ? 2 * r->blocks : 1, n = 0;
    uint64_t at = offset, end = presented_object_end(r, offset);
    end = end < offset + want ? offset + want : end;
    end = end < recipe->object_bytes ? end : recipe->object_bytes;
    r->blocks = blocks < WINDOW_BLOCKS_MAX ? blocks : WINDOW_BLOCKS_MAX;
    for (; n < r->blocks && at < end; n++) {
        struct window_part *p = &parts[n];
        p->get =
            (struct store_get){.key = recipe->object_key,
                               .offset = at,
                               .length = end - at < BLOCK_BYTES ? (size_t)(end - at) : BLOCK_BYTES,
                               .if_match = r->if_match[0] ? r->if_match : NULL,
                               .version = recipe->version,
                               .to = r->window + (at - offset),
                               .done = part_ended};
        at += p->get.length;
        event_init(&p->ended);
        home->ops->get(home, &p->get);
    }
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        event_wait(&parts[i].ended);
        event_done(&parts[i].ended);
        if (rc == 0)
            rc = check_part(recipe, &parts[i].get, err);
    }
    r->window_at = offset;
    r->window_n = rc < 0 ? 0 : (size_t)(at - offset);
    return rc;
}

static int read_object(void *arg, uint64_t offset, void *to, size_t n, struct err *err)
{
    struct presented_object *r = arg;
    char *at = to;
    if (n > r->recipe->object_bytes || offset > r->recipe->object_bytes - n)
        return err_set(err, EIO, "%s: a page lies behind the end", r->recipe->object_key);
    if (r->bytes) {
        memcpy(to, r->bytes + offset, n);
        return 0;
    }
    while (n) {
        if (r->recipe->store->ending)
            return err_set(err, EIO, "%s: the mount ends", r->recipe->object_key);
        if (offset < r->window_at || offset >= r->window_at + r->window_n) {
            int rc = fetch_window(r, offset, n, err);
            if (rc < 0)
                return rc;
        }
        size_t skip = (size_t)(offset - r->window_at), some = r->window_n - skip;
        some = some < n ? some : n;
        memcpy(at, r->window + skip, some);
        at += some;
        offset += some;
        n -= some;
    }
    return 0;
}

struct source presented_object_source(struct presented_object *r)
{
    return (struct source){.size_bytes = r->recipe->object_bytes, .read = read_object, .arg = r};
}
