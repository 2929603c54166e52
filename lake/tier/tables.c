/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/tier/tables.h"

#include "lake/dir.h"
#include "lake/wait.h"

#define TABLES_BYTES_MAX (256 * MIB)
#define DIRECTORIES_MAX ((size_t)1 << 20)

/* finding */

/* A directory that is to be looked into. */
struct opening {
    struct lake *lake;
    struct slice path;
    struct table *table;
    struct listing *listing;
};

static int open_step(void *arg, struct task *task, struct err *err)
{
    struct opening *o = arg;
    return dir_open(o->lake, o->path, task, &o->table, &o->listing, err);
}

struct finding {
    struct tier_tables *tables;
    VEC(struct slice) todo; /* paths of directories, in the arena */
};

static int add_table(struct tier_tables *t, struct table *table, struct err *err)
{
    size_t layer = 0;
    while (t->layers.at[layer].store != table_store(table))
        layer++;
    struct tier_table new = {.path = table_path(table),
                             .layer = layer,
                             .table = table,
                             .prefix = table_prefix(table),
                             .selected = true,
                             .holds_all = table_ops(table)->holds_all};
    return vec_push(&t->at, new) < 0
               ? err_set(err, EOVERFLOW, "more than %zu tables", TIER_TABLES_MAX)
               : 0;
}

static int add_directory(struct finding *f, struct slice parent, struct slice name, struct err *err)
{
    AUTO(buf) struct buf path = {0};
    buf_init(&path, KEY_BYTES_MAX);
    buf_add_slice(&path, parent);
    if (parent.n)
        buf_add_char(&path, '/');
    buf_add_slice(&path, name);
    if (path.failed)
        return 0; /* no path of the mount is as long */
    struct slice own = arena_slice(&f->tables->arena, buf_slice(&path));
    if (!own.p)
        return arena_failed(&f->tables->arena, "directories", err);
    return vec_push(&f->todo, own) < 0
               ? err_set(err, EOVERFLOW, "more than %zu directories", DIRECTORIES_MAX)
               : 0;
}

/* Of a catalog's layer nothing is looked at: its objects lie where other lakes have them. */
static bool is_cataloged(const struct lake *lake, struct slice name)
{
    struct slice rest;
    const struct layer *layer = layers_place(&lake->layers, name, &rest);
    return layer && layer->catalog;
}

static int look_into(struct finding *f, struct slice path, struct err *err)
{
    struct opening o = {.lake = f->tables->lake, .path = path};
    int rc = lake_wait(o.lake, open_step, &o, err);
    if (rc < 0)
        return err_wrap(err, "%.*s/", SLICE_FMT(path));
    if (o.table)
        return add_table(f->tables, o.table, err);
    AUTO(listing) struct listing *listing = o.listing;
    for (size_t i = listing_count(listing); rc == 0 && i-- > 0;) {
        const struct listing_entry *e = listing_at(listing, i);
        if (e->is_dir && !(path.n == 0 && is_cataloged(o.lake, e->name)))
            rc = add_directory(f, path, e->name, err);
    }
    return rc;
}

static int by_path(const void *a, const void *b)
{
    const struct tier_table *x = a, *y = b;
    return slice_cmp(x->path, y->path);
}

/* The layers of the lake that are stores, in its order; a table's number of its layer is that
 * here. */
static int find_layers(struct tier_tables *t, const struct lakefile *file, struct err *err)
{
    const struct layers *layers = &t->lake->layers;
    for (size_t i = 0; i < layers->at.n; i++) {
        const struct layer *l = &layers->at.at[i];
        if (l->catalog)
            continue;
        struct tier_layer new = {.name = slice_of(l->name),
                                 .store = l->store,
                                 .file = file ? lakefile_layer(file, slice_of(l->name)) : NULL};
        if (vec_push(&t->layers, new) < 0)
            return err_set(err, EINVAL, "more than %d layers", NEED_PLACES_MAX);
    }
    return 0;
}

int tier_tables_find(struct tier_tables *t, struct lake *lake, const struct lakefile *file,
                     struct err *err)
{
    struct finding f = {.tables = t, .todo = VEC_MAX(DIRECTORIES_MAX)};
    *t = (struct tier_tables){
        .lake = lake, .layers = VEC_MAX(NEED_PLACES_MAX), .at = VEC_MAX(TIER_TABLES_MAX)};
    arena_init(&t->arena, TABLES_BYTES_MAX);
    int rc = find_layers(t, file, err);
    if (rc == 0)
        rc = look_into(&f, SLICE_LIT(""), err);
    while (rc == 0 && f.todo.n)
        rc = look_into(&f, f.todo.at[--f.todo.n], err);
    vec_done(&f.todo);
    if (rc == 0 && t->at.n)
        qsort(t->at.at, t->at.n, sizeof t->at.at[0], by_path);
    return rc;
}

void tier_tables_done(struct tier_tables *t)
{
    for (size_t i = 0; i < t->at.n; i++)
        history_unref(t->at.at[i].history);
    vec_done(&t->at);
    vec_done(&t->layers);
    arena_done(&t->arena);
    free(t->by_root);
}

int tier_tables_select(struct tier_tables *t, const char *const *patterns, size_t n,
                       struct err *err)
{
    AUTO(arena) struct arena arena = {0};
    arena_init(&arena, MIB);
    for (size_t i = 0; n && i < t->at.n; i++)
        t->at.at[i].selected = false;
    for (size_t p = 0; p < n; p++) {
        struct glob glob;
        bool some = false;
        int rc = glob_parse(&arena, slice_of(patterns[p]), "/", &glob, err);
        if (rc < 0)
            return err_wrap(err, "%s", patterns[p]);
        for (size_t i = 0; i < t->at.n; i++)
            if (glob_matches(&glob, t->at.at[i].path, '/', false))
                some = t->at.at[i].selected = true;
        if (!some)
            return err_set(err, EINVAL, "no table of the lake is %s", patterns[p]);
    }
    return 0;
}

/* reading */

/* Says that nothing of it is known. */
static int leave_unread(struct tier_tables *t, struct tier_table *table, const struct err *why,
                        struct err *err)
{
    struct slice text = arena_slice(&t->arena, slice_of(why->msg));
    table->unread = text.p;
    return text.p ? 0 : arena_failed(&t->arena, "tables", err);
}

static int read_history(struct tier_table *table, struct err *err)
{
    const struct driver_ops *ops = table_ops(table->table);
    if (table->holds_all)
        return 0;
    int rc = ops->history(table_driver(table->table), NULL, &table->history, err);
    if (rc == 0 && !ops->objects)
        rc = err_set(err, EOPNOTSUPP, "what %s tables hold is not read", ops->format);
    return rc;
}

static int read_table(struct tier_tables *t, struct tier_table *table, struct need *need,
                      bool damaged, struct err *err)
{
    struct err why = ERR_INIT;
    const struct object_sink *sink;
    struct store *store = t->layers.at[table->layer].store;
    int rc = read_history(table, &why);
    bool hopeless = damaged || rc == -EOPNOTSUPP || rc == -EBADMSG;
    if (rc < 0 && !hopeless)
        return err_copy(err, &why);
    int also = need_table(need, store, table->history, &sink, err);
    if (also < 0)
        return also;
    if (rc == 0 && table->history) {
        const struct driver_ops *ops = table_ops(table->table);
        rc = ops->objects(table_driver(table->table), table->history, sink, &why);
        hopeless = damaged || rc == -EOPNOTSUPP;
    }
    if (rc == 0)
        return 0;
    return hopeless ? leave_unread(t, table, &why, err) : err_copy(err, &why);
}

/* For the sort, which has no argument of its own. */
struct root {
    uint8_t place;
    struct slice key;
    size_t number;
};

static int by_root(const void *a, const void *b)
{
    const struct root *x = a, *y = b;
    int c = (x->place > y->place) - (x->place < y->place);
    c = c ? c : slice_cmp(x->key, y->key);
    return c ? c : (x->number > y->number) - (x->number < y->number);
}

static int order_roots(struct tier_tables *t, const struct need *need, struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    AUTO_FREE struct root *roots = calloc(t->at.n + 1, sizeof *roots);
    t->by_root = calloc(t->at.n + 1, sizeof *t->by_root);
    buf_init(&scratch, 2 * KEY_BYTES_MAX);
    if (!roots || !t->by_root)
        return err_set(err, ENOMEM, "out of memory");
    for (size_t i = 0; i < t->at.n; i++) {
        struct tier_table *table = &t->at.at[i];
        struct need_name root;
        /* Of the root itself, not of what is in it: a store's own root is a place too. */
        int rc = need_locate(need, t->layers.at[table->layer].store, table->prefix, &scratch, &root,
                             err);
        if (rc < 0)
            return rc;
        table->place = root.place;
        table->place_key = arena_slice(&t->arena, root.key);
        if (!table->place_key.p)
            return arena_failed(&t->arena, "tables", err);
        roots[i] = (struct root){table->place, table->place_key, i};
    }
    if (t->at.n)
        qsort(roots, t->at.n, sizeof *roots, by_root);
    for (size_t i = 0; i < t->at.n; i++)
        t->by_root[i] = roots[i].number;
    return 0;
}

int tier_tables_place(const struct tier_tables *t, struct need *need, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < t->layers.n; i++)
        rc = need_place(need, t->layers.at[i].store, err);
    return rc;
}

int tier_tables_read(struct tier_tables *t, struct need *need, bool damaged, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < t->at.n; i++) {
        rc = read_table(t, &t->at.at[i], need, damaged, err);
        if (rc < 0)
            (void)err_wrap(err, "%.*s", SLICE_FMT(t->at.at[i].path));
    }
    return rc < 0 ? rc : order_roots(t, need, err);
}

/* Tables by their roots */

/* The first table whose root is exactly that; NULL: there is none. */
static const struct tier_table *at_root(const struct tier_tables *t, uint8_t place,
                                        struct slice root)
{
    size_t low = 0, high = t->at.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct tier_table *m = &t->at.at[t->by_root[middle]];
        if (m->place < place || (m->place == place && slice_cmp(m->place_key, root) < 0))
            low = middle + 1;
        else
            high = middle;
    }
    const struct tier_table *found = low < t->at.n ? &t->at.at[t->by_root[low]] : NULL;
    return found && found->place == place && slice_eq(found->place_key, root) ? found : NULL;
}

const struct tier_table *tier_tables_owner(struct tier_tables *t, uint8_t place, struct slice key)
{
    struct slice dir = key;
    /* From the innermost directory outwards: layers may lie in one another. */
    for (ptrdiff_t slash; (slash = slice_rfind(dir, '/')) >= 0; dir.n = (size_t)slash) {
        struct slice root = slice_make(key.p, (size_t)slash + 1);
        const struct tier_table *found = at_root(t, place, root);
        if (found)
            return found;
    }
    return at_root(t, place, SLICE_LIT(""));
}

/* listing */

struct listing_walk {
    struct tier_listing *listing;
    struct store *store;
};

static int take_listed(void *arg, const struct store_entry *e)
{
    struct listing_walk *w = arg;
    struct tier_listing *l = w->listing;
    if (atomic_load_explicit(&l->stop, memory_order_relaxed))
        return -ECANCELED;
    return e->is_prefix ? 0 : need_listed(l->need, w->store, e, &l->err);
}

static int list_below(struct tier_listing *l, const struct tier_layer *layer, const char *prefix)
{
    struct listing_walk w = {l, layer->store};
    struct store_list req = {.prefix = prefix, .recursive = true, .emit = take_listed, .arg = &w};
    int rc = layer->store->ops->list(layer->store, &req, &l->err);
    return rc < 0 ? err_wrap(&l->err, "%s/%s", layer->store->url, prefix) : 0;
}

static void run_listing(struct job *job)
{
    struct tier_listing *l = CONTAINER_OF(job, struct tier_listing, job);
    const struct tier_tables *t = l->tables;
    int rc = 0;
    for (size_t i = 0; rc == 0 && !l->wants && i < t->layers.n; i++)
        rc = list_below(l, &t->layers.at[i], "");
    for (size_t i = 0; rc == 0 && l->wants && i < t->at.n; i++)
        if (l->wants(l->arg, &t->at.at[i]))
            rc = list_below(l, &t->layers.at[t->at.at[i].layer], t->at.at[i].prefix.p);
    l->rc = rc;
    event_set(&l->ended);
}

void tier_listing_begin(struct tier_listing *l, const struct tier_tables *t, struct need *need,
                        bool (*wants)(void *arg, const struct tier_table *table), void *arg)
{
    *l = (struct tier_listing){.job = {.run = run_listing},
                               .begun = true,
                               .tables = t,
                               .need = need,
                               .wants = wants,
                               .arg = arg};
    event_init(&l->ended);
    workers_submit(t->lake->config.workers, &l->job);
}

int tier_listing_end(struct tier_listing *l, bool stop, struct err *err)
{
    if (!l->begun)
        return 0;
    l->begun = false;
    if (stop)
        atomic_store(&l->stop, true);
    event_wait(&l->ended);
    event_done(&l->ended);
    return l->rc < 0 ? err_copy(err, &l->err) : 0;
}
