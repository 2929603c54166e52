/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the object of a table's file lies. A log may name any object of the lake, of other tables
 * too: what lies outside of the table's own root is for those only who are granted all of where it
 * does.
 */
#include "fs/govern_private.h"
#include "fs/request.h"
#include "lake/index/entry.h"
#include "lake/key_name.h"

/* Of one file; delete files are many at times. */
#define PLACES_MAX ((size_t)1 << 20)

/* A key that lies elsewhere than below its table's root. */
struct stray {
    const struct asker *asker;
    struct task *task;
    const struct where *file;        /* whose log names it */
    struct object_places *elsewhere; /* may be NULL */
    struct buf path;                 /* of the object, as names of the mount */
    size_t table_n;                  /* of it, the path of the table that it lies in */
    struct err *err;
};

static void stray_done(struct stray *s)
{
    buf_done(&s->path);
}
DEFINE_AUTO_DONE(stray, struct stray, stray_done)

void object_places_done(struct object_places *p)
{
    for (size_t i = 0; i < p->at.n; i++)
        free(p->at.at[i].path);
    vec_done(&p->at);
}

int object_places_add(struct object_places *to, struct slice path, size_t table_n, struct err *err)
{
    struct object_place o = {strndup(path.p ? path.p : "", path.n), table_n};
    to->at.max = PLACES_MAX;
    int rc = o.path ? vec_push(&to->at, o) : -ENOMEM;
    if (rc == 0)
        return 0;
    free(o.path);
    return err_set(err, -rc, rc == -ENOMEM ? "out of memory" : "too many objects elsewhere");
}

/* Denied, and nobody is told yet. */
static int is_denied(const struct stray *s)
{
    return err_set(s->err, EACCES, "what it names lies in %.*s, which is not granted as a whole",
                   (int)s->table_n, s->path.data);
}

/*
 * From the mount's root down to the table that the object is in, as a lookup of its path does it.
 * Parks. -EACCES: nothing is there, as far as the mount shows it.
 */
static int find_place(struct stray *s)
{
    struct lake *lake = s->asker->governor->session->lake;
    struct slice path = buf_slice(&s->path);
    s->table_n = path.n;
    for (size_t from = 0;;) {
        AUTO(listing) struct listing *listing = NULL;
        struct table *table;
        struct slice dir = slice_make(path.p, from ? from - 1 : 0), rest = slice_from(path, from);
        int rc = dir_open(lake, dir, s->task, &table, &listing, s->err);
        if (rc < 0)
            return rc;
        if (table) {
            s->table_n = dir.n;
            return 0;
        }
        ptrdiff_t slash = slice_find(rest, '/');
        struct slice name = slice_make(rest.p, slash < 0 ? rest.n : (size_t)slash);
        const struct listing_entry *e = listing_find(listing, name);
        if (!e || e->is_dir != (slash >= 0))
            return is_denied(s);
        if (slash < 0)
            return 0;
        from += name.n + 1;
    }
}

static int look(struct stray *s, const struct layer *layer, struct slice key)
{
    buf_reset(&s->path);
    buf_addf(&s->path, "%s%s", layer->name, *layer->name ? "/" : "");
    if (key_name_add_path(&s->path, key, false) != KEY_FLAW_NONE)
        return err_set(s->err, EACCES, "its object has no path in the mount");
    int rc = buf_check(&s->path, s->err);
    if (rc == 0)
        rc = find_place(s);
    if (rc < 0)
        return rc;
    const struct object_place o = {s->path.data, s->table_n};
    if (!ruling_gives_object(s->asker->ruling, s->asker->principal, &o))
        return is_denied(s);
    return s->elsewhere ? object_places_add(s->elsewhere, buf_slice(&s->path), s->table_n, s->err)
                        : 0;
}

bool govern_is_own(const struct table *table, const struct store *store, struct slice key)
{
    struct slice prefix = table_prefix(table);
    if (!layers_of_store(&table_lake(table)->layers,
                         store)) /* outside, where the mount allows it */
        return true;
    return store == table_store(table) && slice_starts(key, prefix) && key.n > prefix.n;
}

/* An object of the table's log: its own, or one that may be read. */
static int check(struct stray *s, const struct store *store, struct slice key)
{
    struct table *t = s->file->table;
    return govern_is_own(t, store, key)
               ? 0
               : look(s, layers_of_store(&table_lake(t)->layers, store), key);
}

static int check_object(void *arg, const struct object_location *at)
{
    struct stray *s = arg;
    return check(s, at->store ? at->store : table_store(s->file->table), buf_slice(&at->key));
}

/* What tells of deleted rows tells of another table's, where it is that one's. */
static int govern_deletes(struct stray *s)
{
    const struct where *w = s->file;
    const struct driver_ops *ops = table_ops(w->table);
    const struct entry entry = {
        .path = buf_slice(&w->shown_path), .flags = ENTRY_DELETES, .extra = buf_slice(&w->extra)};
    if (!w->deletes || !ops->locate_deletes)
        return 0;
    return ops->locate_deletes(table_driver(w->table), &entry, check_object, s, s->err);
}

static int log_of_run(struct stray *s, const struct run *run)
{
    struct table *t = s->file->table;
    return run ? table_ops(t)->log_elsewhere(table_driver(t), run_meta(run), check_object, s,
                                             s->err)
               : 0;
}

int govern_log(const struct asker *a, const struct where *w, struct task *task,
               struct object_places *elsewhere, struct err *err)
{
    AUTO(run) struct run *run = NULL;
    AUTO(stray)
    struct stray s = {.asker = a, .task = task, .file = w, .elsewhere = elsewhere, .err = err};
    struct table *table;
    if (!a->governor || !w->table || !table_ops(w->table)->log_elsewhere)
        return 0;
    buf_init(&s.path, REGISTRY_NAME_MAX);
    if (w->kind == WHERE_FILE) {
        int rc = lake_run_find(table_lake(w->table), w->run_number, task, &table, &run, err);
        return rc < 0 ? rc : log_of_run(&s, run);
    }
    if (!w->version || !w->version->snapshot)
        return 0;
    int rc = log_of_run(&s, snapshot_base(w->version->snapshot));
    return rc < 0 ? rc : log_of_run(&s, snapshot_patch(w->version->snapshot));
}

int govern_object(const struct asker *a, const struct where *w, struct task *task,
                  struct object_places *elsewhere, struct err *err)
{
    struct err why = ERR_INIT;
    AUTO(stray)
    struct stray s = {
        .asker = a, .task = task, .file = w, .elsewhere = elsewhere, .err = err ? err : &why};
    if (!a->governor || w->kind != WHERE_FILE)
        return 0;
    buf_init(&s.path, REGISTRY_NAME_MAX);
    if (!w->key.len && layers_of_store(&table_lake(w->table)->layers, where_store(w)))
        /* what must not be read; or memory was short */
        return err_set(err, EACCES, "its object lies outside of what is mounted");
    int rc = check(&s, where_store(w), buf_slice(&w->key));
    return rc < 0 ? rc : govern_deletes(&s);
}
