/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog_layer.h"

#include <stdatomic.h>

#include "base/hash.h"
#include "cache/store/settings.h"
#include "lake/catalog/access.h"
#include "lake/catalog_open.h"
#include "lake/dir_listing.h"
#include "lake/key_name.h"

/* Listings, loads and tables' work that wait for one catalog and its stores. */
#define LAYER_WORKERS 8
/* Fetch vended credentials; nothing but a catalog's answer is waited for there. */
#define VENDING_WORKERS 2
/* A name of at most KEY_BYTES_MAX in its levels: chunks of an arena are larger. */
#define NAME_MEMORY_MAX (64 * KIB)

/* A catalog and who asks it, shared by the layer and by stores with its credentials, which other
 * mounts may use for longer. */
struct catalog_share {
    _Atomic unsigned refs;
    struct catalog *catalog;
    struct workers *vending;
    struct store_options options;   /* strings are owned */
    struct store_options elsewhere; /* than in S3; likewise */
    struct store_runtime runtime;
    char identity[65];
};

struct catalog_layer {
    struct catalog_share *share;
    struct workers *workers;
    bool vends, names;
};

static void share_unref(struct catalog_share *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    if (s->vending)
        workers_free(s->vending);
    catalog_free(s->catalog);
    settings_done(&s->options);
    settings_done(&s->elsewhere);
    free(s);
}
DEFINE_AUTO(catalog_share, struct catalog_share *, share_unref)

static struct catalog_share *share_new(const struct lakefile_layer *file,
                                       const struct store_options *options,
                                       const struct store_options *elsewhere,
                                       const struct store_runtime *runtime, struct err *err)
{
    AUTO(catalog_share) struct catalog_share *s = calloc(1, sizeof *s);
    if (!s || settings_copy(&s->options, options) < 0 ||
        settings_copy(&s->elsewhere, elsewhere) < 0) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    s->refs = 1;
    s->runtime = *runtime;
    s->runtime.wrap = NULL; /* no near store and no archive is around these stores */
    s->runtime.wrapped = NULL;
    catalog_open_identity(file, options, s->identity);
    if (catalog_open(file, &s->options, runtime->http, &s->catalog, err) < 0)
        return NULL;
    s->vending = workers_new("tarn-vending", VENDING_WORKERS, err);
    return s->vending ? STEAL(s) : NULL;
}

struct catalog_layer *catalog_layer_new(const struct lakefile_layer *file,
                                        const struct store_options *options,
                                        const struct store_options *elsewhere,
                                        const struct store_runtime *runtime, struct err *err)
{
    struct catalog_layer *l = calloc(1, sizeof *l);
    if (!l) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    l->share = share_new(file, options, elsewhere, runtime, err);
    if (l->share)
        l->workers = workers_new("tarn-catalog", LAYER_WORKERS, err);
    l->vends = !file->catalog.own_credentials;
    l->names = file->catalog.kind == LAKEFILE_CATALOG_TABLES;
    if (l->workers)
        return l;
    catalog_layer_free(l);
    return NULL;
}

void catalog_layer_free(struct catalog_layer *l)
{
    if (l->workers)
        workers_free(l->workers);
    share_unref(l->share);
    free(l);
}

const char *catalog_layer_url(const struct catalog_layer *l)
{
    return l->share->catalog->name;
}

struct workers *catalog_layer_workers(const struct catalog_layer *l)
{
    return l->workers;
}

struct catalog *catalog_layer_catalog(const struct catalog_layer *l)
{
    return l->share->catalog;
}

const struct store_options *catalog_layer_options(const struct catalog_layer *l,
                                                  struct slice location)
{
    bool s3 = slice_starts(location, SLICE_LIT("s3://"));
    return s3 ? &l->share->options : &l->share->elsewhere;
}

const struct store_runtime *catalog_layer_runtime(const struct catalog_layer *l)
{
    return &l->share->runtime;
}

bool catalog_layer_vends(const struct catalog_layer *l)
{
    return l->vends;
}

bool catalog_layer_names(const struct catalog_layer *l)
{
    return l->names;
}

/* Names */

void catalog_name_done(struct catalog_name *n)
{
    arena_done(&n->arena);
}

/* All levels of a path into n->levels; their number, or -errno. */
static int parse_levels(struct catalog_name *n, struct slice path, struct err *err)
{
    AUTO(buf) struct buf level = {0};
    size_t count = 0;
    arena_init(&n->arena, NAME_MEMORY_MAX);
    buf_init(&level, KEY_BYTES_MAX);
    for (ptrdiff_t slash = 0; path.n && slash >= 0;) {
        slash = slice_find(path, '/');
        struct slice component = slice_make(path.p, slash < 0 ? path.n : (size_t)slash);
        path = slice_from(path, component.n + (slash >= 0));
        if (count == CATALOG_LEVELS_MAX)
            return err_set(err, ENOENT, "no catalog has more than %d levels", CATALOG_LEVELS_MAX);
        buf_reset(&level);
        key_name_add_key(&level, component);
        n->levels[count] = arena_slice(&n->arena, buf_slice(&level));
        if (level.failed || !n->levels[count++].p)
            return err_set(err, ENOMEM, "out of memory");
    }
    n->in = (struct catalog_namespace){n->levels, count};
    return (int)count;
}

int catalog_name_parse(struct catalog_name *n, struct slice path, struct err *err)
{
    int count = parse_levels(n, path, err);
    if (count <= 0)
        return count < 0 ? count : err_set(err, ENOENT, "the root of a catalog is no table");
    n->in.n = (size_t)count - 1;
    n->table = n->levels[n->in.n];
    return 0;
}

/* Listing */

static int stop_at_first(void *arg, struct slice name)
{
    (void)arg;
    (void)name;
    return 1;
}

int catalog_layer_ask(const struct catalog_layer *l, struct err *err)
{
    const struct catalog_namespace root = {NULL, 0};
    int rc = catalog_namespaces(l->share->catalog, &root, stop_at_first, NULL, err);
    return rc < 0 ? rc : 0;
}

struct listing_names {
    struct listing *listing;
    bool tables;
    struct err *err;
};

static int add_name(void *arg, struct slice name)
{
    struct listing_names *n = arg;
    return listing_add(n->listing, name, n->tables, n->err);
}

int catalog_layer_list(const struct catalog_layer *l, struct slice path, struct listing **out,
                       struct err *err)
{
    struct catalog_name name = {.levels = {{0}}};
    AUTO(listing) struct listing *listing = listing_new(err);
    if (!listing)
        return -ENOMEM;
    struct listing_names names = {listing, false, err};
    int rc = parse_levels(&name, path, err);
    if (rc >= 0)
        rc = catalog_namespaces(l->share->catalog, &name.in, add_name, &names, err);
    names.tables = true;
    if (rc == 0)
        rc = catalog_tables(l->share->catalog, &name.in, add_name, &names, err);
    catalog_name_done(&name);
    if (rc == 0 || rc == -ENOENT)
        rc = listing_finish(listing, err);
    if (rc == 0)
        *out = STEAL(listing);
    return rc;
}

/* Vending */

struct vending {
    struct vended vended;
    struct catalog_share *share;
    struct catalog_name name;
    char *location;
    char identity[65];
};

static struct vending *vending_of(struct vended *v)
{
    return CONTAINER_OF(v, struct vending, vended);
}

static void vending_free(struct vended *v)
{
    struct vending *g = vending_of(v);
    share_unref(g->share);
    catalog_name_done(&g->name);
    free(g->location);
    free(g);
}

static bool copy_text(char *to, size_t size, const char *from)
{
    size_t n = from ? strlen(from) : 0;
    if (n >= size)
        return false;
    memcpy(to, n ? from : "", n + 1);
    return true;
}

static int vending_fetch(struct vended *v, struct vended_secret *out, struct err *err)
{
    struct vending *g = vending_of(v);
    AUTO(catalog_table) struct catalog_table *answer = NULL;
    struct catalog_access access = {.expires_ms = 0};
    int rc = catalog_credentials(g->share->catalog, &g->name.in, g->name.table, &answer, err);
    if (rc == -ENOENT) /* it is no object that does not exist */
        err->code = EACCES;
    if (rc < 0)
        return -err->code;
    if (catalog_access_of(answer, slice_of(g->location), &access) != 1)
        return err_set(err, EACCES, "the catalog vends no credentials for %s any more",
                       g->location);
    out->expires_ms = access.expires_ms;
    bool fits =
        copy_text(out->keys.access_key_id, sizeof out->keys.access_key_id, access.access_key_id) &&
        copy_text(out->keys.secret_access_key, sizeof out->keys.secret_access_key,
                  access.secret_access_key) &&
        copy_text(out->keys.session_token, sizeof out->keys.session_token, access.session_token) &&
        copy_text(out->token.text, sizeof out->token.text,
                  access.gcs_token ? access.gcs_token : access.azure_token) &&
        copy_text(out->sas, sizeof out->sas, access.azure_sas_token);
    out->keys.expires_ms = access.expires_ms;
    return fits ? 0 : err_set(err, EACCES, "the credentials that the catalog vends are too long");
}

/* Two mounts may share a store where the same catalog gives the same one credentials for the same
 * table. */
static void identify(struct vending *g)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 16 * KEY_BYTES_MAX);
    buf_addf(&text, "%s\n%s", g->share->identity, g->location);
    for (size_t i = 0; i <= g->name.in.n; i++) {
        struct slice level = i < g->name.in.n ? g->name.in.levels[i] : g->name.table;
        buf_addf(&text, "\n%zu %.*s", level.n, SLICE_FMT(level));
    }
    sha256_hex(buf_slice(&text), g->identity);
}

static int copy_name(struct catalog_name *to, const struct catalog_name *from)
{
    bool all = true;
    arena_init(&to->arena, NAME_MEMORY_MAX);
    for (size_t i = 0; i < from->in.n; i++) {
        to->levels[i] = arena_slice(&to->arena, from->in.levels[i]);
        all = all && to->levels[i].p;
    }
    to->in = (struct catalog_namespace){to->levels, from->in.n};
    to->table = arena_slice(&to->arena, from->table);
    return all && to->table.p ? 0 : -ENOMEM;
}

struct vended *catalog_layer_vend(const struct catalog_layer *l, const struct catalog_name *name,
                                  struct slice location, struct err *err)
{
    struct vending *g = calloc(1, sizeof *g);
    if (!g) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    (void)atomic_fetch_add(&l->share->refs, 1);
    g->share = l->share;
    g->vended = (struct vended){.refs = 1,
                                .fetch = vending_fetch,
                                .free = vending_free,
                                .workers = l->share->vending,
                                .identity = g->identity};
    g->location = strndup(location.p, location.n);
    if (!g->location || copy_name(&g->name, name) < 0) {
        vending_free(&g->vended);
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    identify(g);
    return &g->vended;
}
