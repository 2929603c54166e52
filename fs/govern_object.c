/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the object of a table's file lies. A log may name any object of the lake, of other tables
 * too: what lies outside of the table's own root is for those only who are granted all of where it
 * does.
 */
#include "fs/govern_private.h"
#include "fs/request.h"
#include "lake/key_name.h"

/* A key that lies elsewhere than below its table's root. */
struct stray {
    const struct asker *asker;
    struct buf path;  /* of the object, as names of the mount */
    struct buf place; /* of what is granted or not: the table that it lies in, or the path */
};

static bool is_own(const struct where *w)
{
    struct slice key = buf_slice(&w->key), prefix = table_prefix(w->table);
    return !w->home && slice_starts(key, prefix) && key.n > prefix.n;
}

/* Denied, and nobody is told yet. */
static int is_denied(const struct stray *s, struct err *err)
{
    return err_set(err, EACCES, "its object lies in %.*s, which is not granted as a whole",
                   SLICE_FMT(buf_slice(&s->place)));
}

/*
 * From the mount's root down to the table that the object is in, as a lookup of its path does it.
 * Parks. -EACCES: nothing is there, as far as the mount shows it.
 */
static int find_place(struct stray *s, struct task *task, struct err *err)
{
    struct lake *lake = s->asker->governor->session->lake;
    struct slice path = buf_slice(&s->path);
    buf_add_slice(&s->place, path);
    for (size_t from = 0;;) {
        AUTO(listing) struct listing *listing = NULL;
        struct table *table;
        struct slice dir = slice_make(path.p, from ? from - 1 : 0), rest = slice_from(path, from);
        int rc = dir_open(lake, dir, task, &table, &listing, err);
        if (rc < 0)
            return rc;
        if (table) {
            buf_reset(&s->place);
            buf_add_slice(&s->place, table_path(table));
            return 0;
        }
        ptrdiff_t slash = slice_find(rest, '/');
        struct slice name = slice_make(rest.p, slash < 0 ? rest.n : (size_t)slash);
        const struct listing_entry *e = listing_find(listing, name);
        if (!e || e->is_dir != (slash >= 0))
            return is_denied(s, err);
        if (slash < 0)
            return 0;
        from += name.n + 1;
    }
}

static int look(struct stray *s, const struct layer *layer, const struct where *w,
                struct task *task, struct err *err)
{
    buf_addf(&s->path, "%s%s", layer->name, *layer->name ? "/" : "");
    if (key_name_add_path(&s->path, buf_slice(&w->key), false) != KEY_FLAW_NONE)
        return err_set(err, EACCES, "its object has no path in the mount");
    int rc = buf_check(&s->path, err);
    if (rc == 0)
        rc = find_place(s, task, err);
    if (rc == 0)
        rc = buf_check(&s->place, err);
    if (rc < 0)
        return rc;
    const struct grant *g =
        ruling_decide(s->asker->ruling, s->asker->principal, buf_slice(&s->place));
    return g && grant_whole(g) ? 0 : is_denied(s, err);
}

int govern_object(const struct asker *a, const struct where *w, struct task *task, char **place,
                  struct err *err)
{
    if (place)
        *place = NULL;
    if (!a->governor || w->kind != WHERE_FILE)
        return 0;
    const struct layer *layer = layers_of_store(&table_lake(w->table)->layers, where_store(w));
    if (!layer) /* outside, where the mount allows it */
        return 0;
    if (!w->key.len) /* what must not be read; or memory was short */
        return err_set(err, EACCES, "its object lies outside of what is mounted");
    if (is_own(w))
        return 0;
    struct stray s = {.asker = a};
    buf_init(&s.path, REGISTRY_NAME_MAX);
    buf_init(&s.place, REGISTRY_NAME_MAX);
    int rc = look(&s, layer, w, task, err);
    if (rc == 0 && place) {
        *place = strndup(s.place.data ? s.place.data : "", s.place.len);
        rc = *place ? 0 : err_set(err, ENOMEM, "out of memory");
    }
    buf_done(&s.path);
    buf_done(&s.place);
    return rc;
}
