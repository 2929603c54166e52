/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/dir_listing.h"

#include <stdatomic.h>

#include "base/arena.h"
#include "base/vec.h"
#include "lake/key_name.h"

#define LISTING_BYTES_MAX ((size_t)512 << 20)

struct listing {
    _Atomic unsigned refs;
    struct arena arena;
    VEC(struct listing_entry) entries;
    struct left_out left_out;
    _Atomic bool told; /* of what is left out; a later listing of the directory inherits it */
};

struct listing *listing_ref(struct listing *l)
{
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void listing_unref(struct listing *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
        return;
    vec_done(&l->entries);
    arena_done(&l->arena);
    left_out_done(&l->left_out);
    free(l);
}

size_t listing_count(const struct listing *l)
{
    return l->entries.n;
}

const struct left_out *listing_left_out(const struct listing *l)
{
    return &l->left_out;
}

bool listing_tell_left_out(struct listing *l)
{
    return l->left_out.count && !atomic_exchange(&l->told, true);
}

const struct listing_entry *listing_at(const struct listing *l, size_t i)
{
    return &l->entries.at[i];
}

static int compare_names(const void *a, const void *b)
{
    const struct listing_entry *x = a, *y = b;
    return slice_cmp(x->name, y->name);
}

const struct listing_entry *listing_find(const struct listing *l, struct slice name)
{
    struct listing_entry wanted = {.name = name};
    if (l->entries.n == 0)
        return NULL;
    return bsearch(&wanted, l->entries.at, l->entries.n, sizeof wanted, compare_names);
}

struct collecting {
    struct listing *listing;
    size_t prefix_length;
    struct err *err;
};

/* The name of a component in the listing's arena; empty where it is left out. */
static int name_of(struct collecting *c, struct slice component, bool beside_dir, struct slice *out)
{
    AUTO(buf) struct buf name = {0};
    struct listing *l = c->listing;
    buf_init(&name, 4 * KEY_BYTES_MAX);
    enum key_flaw flaw = key_name_add(&name, component, beside_dir);
    *out = SLICE_NONE;
    if (flaw != KEY_FLAW_NONE) {
        left_out_add(&l->left_out, component, flaw);
        return 0;
    }
    struct slice text = slice_eq(buf_slice(&name), component) ? component : buf_slice(&name);
    *out = arena_slice(&l->arena, text);
    if (name.failed || !out->p)
        return err_set(c->err, EOVERFLOW, "directory: its listing takes more than %zu bytes",
                       LISTING_BYTES_MAX);
    return 0;
}

static int collect(void *arg, const struct store_entry *e)
{
    struct collecting *c = arg;
    struct slice component = slice_from(e->key, c->prefix_length), name;
    if (e->is_prefix && component.n)
        component.n--; /* its final slash */
    int rc = name_of(c, component, false, &name);
    if (rc < 0 || name.n == 0)
        return rc;
    struct listing_entry entry = {.name = name,
                                  .is_dir = e->is_prefix,
                                  .size = e->size,
                                  .mtime_ms = e->mtime_ms,
                                  .etag = arena_slice(&c->listing->arena, e->etag),
                                  .readable = e->readable};
    if (!entry.etag.p)
        return err_set(c->err, EOVERFLOW, "directory: its listing takes more than %zu bytes",
                       LISTING_BYTES_MAX);
    rc = vec_push(&c->listing->entries, entry);
    return rc < 0 ? err_set(c->err, -rc, "directory of more than %zu entries", DIR_ENTRIES_MAX) : 0;
}

/* An object or a table that has a directory's name gets one of its own. */
static int rename_twin(struct collecting *c, struct listing_entry *e)
{
    AUTO(buf) struct buf component = {0};
    buf_init(&component, KEY_BYTES_MAX);
    key_name_add_key(&component, e->name);
    int rc = buf_check(&component, c->err);
    return rc < 0 ? rc : name_of(c, buf_slice(&component), true, &e->name);
}

/* Whose name stays as it is. */
static bool is_plain_dir(const struct listing_entry *e)
{
    return e->is_dir && !e->is_table;
}

static int compare_entries(const void *a, const void *b)
{
    const struct listing_entry *x = a, *y = b;
    int c = slice_cmp(x->name, y->name);
    return c ? c : is_plain_dir(x) - is_plain_dir(y);
}

static void sort_entries(struct listing *l)
{
    if (l->entries.n)
        qsort(l->entries.at, l->entries.n, sizeof *l->entries.at, compare_entries);
}

/* Where an object and a directory have one name (S3 can), or a table and a namespace, both are
 * shown; repetitions go. */
static int part_twins(struct collecting *c)
{
    struct listing *l = c->listing;
    size_t kept = 0;
    sort_entries(l);
    for (size_t i = 0; i < l->entries.n; i++) {
        struct listing_entry e = l->entries.at[i];
        struct listing_entry *last = kept ? &l->entries.at[kept - 1] : NULL;
        bool same = last && slice_eq(last->name, e.name);
        if (same && is_plain_dir(last) == is_plain_dir(&e))
            continue;
        if (same) { /* the object comes first */
            int rc = rename_twin(c, last);
            if (rc < 0)
                return rc;
            kept -= last->name.n == 0; /* left out */
        }
        l->entries.at[kept++] = e;
    }
    l->entries.n = kept;
    sort_entries(l);
    return 0;
}

struct listing *listing_new(struct err *err)
{
    struct listing *l = calloc(1, sizeof *l);
    if (!l) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    l->refs = 1;
    l->entries.max = DIR_ENTRIES_MAX;
    arena_init(&l->arena, LISTING_BYTES_MAX);
    left_out_init(&l->left_out);
    return l;
}

int listing_add(struct listing *l, struct slice component, bool is_table, struct err *err)
{
    struct collecting c = {l, 0, err};
    struct listing_entry entry = {.is_dir = true, .is_table = is_table};
    int rc = name_of(&c, component, false, &entry.name);
    if (rc < 0 || entry.name.n == 0)
        return rc;
    rc = vec_push(&l->entries, entry);
    return rc < 0 ? err_set(err, -rc, "directory of more than %zu entries", DIR_ENTRIES_MAX) : 0;
}

int listing_finish(struct listing *l, struct err *err)
{
    struct collecting c = {l, 0, err};
    return part_twins(&c);
}

void listing_inherit_told(struct listing *l, const struct listing *before)
{
    l->told = before->told && before->left_out.count == l->left_out.count;
}

int listing_read(struct store *store, const char *prefix, struct listing **out, struct err *err)
{
    AUTO(listing) struct listing *l = listing_new(err);
    if (!l)
        return -ENOMEM;
    struct collecting c = {l, strlen(prefix), err};
    struct store_list req = {.prefix = prefix, .emit = collect, .arg = &c};
    int rc = store->ops->list(store, &req, err);
    if (rc == 0)
        rc = part_twins(&c);
    if (rc < 0)
        return rc;
    *out = STEAL(l);
    return 0;
}
