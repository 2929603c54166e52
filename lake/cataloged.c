/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/cataloged.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/vec.h"
#include "lake/catalog/access.h"
#include "lake/catalog_layer.h"
#include "lake/layers.h"
#include "lake/location.h"

/* Of one table: metadata and data may be vended apart. */
#define VENDED_STORES_MAX 8

/* An ETag is of the table's metadata, and need not change with what is kept back of it: "nothing
 * has changed" is believed for so long behind a whole answer. */
#define WHOLE_ANSWER_MS 5000

struct cataloged {
    const struct layer *layer; /* immutable, as is all but the answer */
    struct catalog_name name;
    enum catalog_format format;
    char *location; /* in its one spelling, without a final slash */
    struct store *store;
    char *prefix;
    VEC(struct store *) own;    /* opened for this table alone */
    VEC(struct store *) others; /* other layers', what is vended besides, what the layer names */
    struct table_source source;
    struct lock lock;
    struct catalog_answer *answer; /* lock */
};

/* Answers */

static struct catalog_answer *answer_new(struct catalog_table *table, struct err *err)
{
    struct catalog_answer *a = calloc(1, sizeof *a);
    if (!a) {
        catalog_table_free(table);
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    a->refs = 1;
    a->table = table;
    a->heard_ms = clock_mono_ms();
    return a;
}

void catalog_answer_unref(struct catalog_answer *a)
{
    if (!a || atomic_fetch_sub(&a->refs, 1) != 1)
        return;
    catalog_table_free(a->table);
    free(a);
}

struct catalog_answer *cataloged_answer(struct cataloged *c)
{
    struct catalog_answer *a;
    WITH_LOCK (&c->lock) {
        a = c->answer;
        (void)atomic_fetch_add(&a->refs, 1);
    }
    return a;
}

/* Locations */

/* The one spelling of a whole name, without a final slash. */
static int add_location(struct slice name, struct buf *out, struct err *err)
{
    struct location l = location_split(name);
    if (!location_is_absolute(name))
        return err_set(err, EIO, "its location \"%.*s\" is no URL",
                       (int)(name.n < 200 ? name.n : 200), name.p);
    location_add_root(out, &l);
    if (!l.scheme.n || slice_is(l.scheme, "file")) {
        buf_add_char(out, '/');
        if (!location_add_normal(out, l.path))
            return err_set(err, EIO, "its location leads out of the root");
        return buf_check(out, err);
    }
    while (l.path.n && l.path.p[l.path.n - 1] == '/')
        l.path.n--;
    buf_add_slice(out, l.path);
    return buf_check(out, err);
}

/*
 * Where an answer's table lies. A catalog that tells its metadata file alone means, as writers of
 * Iceberg do, that the file is in the table's directory `metadata`.
 */
static int add_table_location(const struct catalog_table *t, struct buf *out, struct err *err)
{
    struct slice at = t->location;
    buf_init(out, URL_BYTES_MAX + KEY_BYTES_MAX);
    if (!at.n) {
        ptrdiff_t file = slice_rfind(t->metadata_location, '/');
        at = slice_make(t->metadata_location.p, file < 0 ? 0 : (size_t)file);
        ptrdiff_t dir = slice_rfind(at, '/');
        if (dir >= 0 && slice_is(slice_from(at, (size_t)dir + 1), "metadata"))
            at.n = (size_t)dir;
    }
    return add_location(at, out, err);
}

/* The location is the store's root, or below it. *below: the rest. */
static bool is_in(const struct store *store, struct slice location, struct slice *below)
{
    struct slice home = slice_of(store->home);
    *below = slice_of("");
    return home.n && (slice_eq(location, home) || location_below(home, location, below));
}

/* The store of the layer's that the table lies in by the lake file's word; NULL: there is none. */
static struct store *find_store(const struct layer *layer, struct slice location,
                                struct slice *below)
{
    for (size_t i = layer->layers_n; i < layer->others.n; i++)
        if (is_in(layer->others.at[i], location, below))
            return layer->others.at[i];
    return NULL;
}

/*
 * Objects of another layer's store are that layer's, whoever vends for them: else whoever may make
 * a table in the catalog could show them to those who have no grant for that layer.
 */
static int check_layers(const struct cataloged *c, struct err *err)
{
    struct slice location = slice_of(c->location), rest;
    if (find_store(c->layer, location, &rest)) /* by the lake file's word */
        return 0;
    for (size_t i = 0; i < c->layer->layers_n; i++) {
        const struct store *other = c->layer->others.at[i];
        if (is_in(other, location, &rest) || location_below(location, slice_of(other->home), &rest))
            return err_set(err, EACCES,
                           "it lies in %s, which has objects of another layer, %s, and is neither "
                           "in the layer's warehouse nor in its `outside`",
                           c->location, other->url);
    }
    return 0;
}

/* Stores */

/* A store for a location, this table's own. */
static int open_own(struct cataloged *c, struct slice location, const struct store_options *options,
                    struct store **out, struct err *err)
{
    AUTO_FREE char *url = strndup(location.p, location.n);
    if (!url)
        return err_set(err, ENOMEM, "out of memory");
    struct store *store = store_open(url, options, catalog_layer_runtime(c->layer->catalog), err);
    if (!store)
        return -err->code;
    if (vec_push(&c->own, store) < 0) {
        layers_close_store(store, NULL);
        return err_set(err, EOVERFLOW, "credentials for more than %d places", VENDED_STORES_MAX);
    }
    *out = store;
    return 0;
}

/* Whose host the catalog names: no key of who mounts goes there, and none comes before what is
 * vended. */
static void forget_own_keys(struct store_options *o)
{
    o->no_sign_request = false;
    o->access_key_id = o->secret_access_key = o->session_token = NULL;
    o->sse_c_key = NULL;
    o->gcs_access_token = o->gcs_access_key_id = o->gcs_secret_access_key = NULL;
    o->gcs_credentials_file = NULL;
    o->azure_connection_string = o->azure_account_key = NULL;
    o->azure_sas_token = o->azure_token = NULL;
}

/* By what the catalog vends for it, which is in the answer. */
static int open_vended(struct cataloged *c, const struct catalog_table *t, struct slice location,
                       struct store **out, struct err *err)
{
    struct catalog_access access = {.expires_ms = 0};
    const struct catalog_layer *l = c->layer->catalog;
    struct store_options options = *catalog_layer_options(l, location);
    (void)catalog_access_of(t, location, &access); /* there are some */
    struct vended *vended = catalog_layer_vend(l, &c->name, location, err);
    if (!vended)
        return -ENOMEM;
    vended->sas = access.azure_sas_token != NULL;
    forget_own_keys(&options);
    access.access_key_id = access.secret_access_key = access.session_token = NULL;
    access.gcs_token = access.azure_sas_token = access.azure_token = NULL;
    catalog_access_options(&access, &options);
    options.vended = vended;
    int rc = open_own(c, location, &options, out, err);
    vended_unref(vended);
    return rc;
}

static bool is_remote(struct slice location)
{
    return !slice_starts(location, SLICE_LIT("file:"));
}

static bool is_vended(const struct cataloged *c, const struct catalog_table *t,
                      struct slice location)
{
    struct catalog_access access;
    return catalog_layer_vends(c->layer->catalog) && is_remote(location) &&
           catalog_access_of(t, location, &access) == 1;
}

/* What else is vended by its prefix, such as the place of the metadata. */
static int open_besides(struct cataloged *c, const struct catalog_table *t, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < t->credentials_n; i++) {
        AUTO(buf) struct buf place = {0};
        struct slice below;
        struct store *store;
        struct err why = ERR_INIT;
        buf_init(&place, URL_BYTES_MAX);
        if (!location_is_absolute(t->credentials[i].prefix) ||
            add_location(t->credentials[i].prefix, &place, NULL) < 0 ||
            is_in(c->store, buf_slice(&place), &below) || !is_vended(c, t, buf_slice(&place)))
            continue;
        rc = open_vended(c, t, buf_slice(&place), &store, &why);
        if (rc == -EBUSY) { /* for another table: only what lies there is not read */
            rc = 0;
            continue;
        }
        if (rc < 0)
            return err_copy(err, &why);
        if (vec_push(&c->others, store) < 0)
            rc = err_set(err, ENOMEM, "out of memory");
    }
    return rc;
}

static int open_store(struct cataloged *c, const struct catalog_table *t, struct err *err)
{
    struct slice below = slice_of(""), location = slice_of(c->location);
    int rc = 0;
    if (is_vended(c, t, location)) {
        rc = check_layers(c, err);
        if (rc == 0)
            rc = open_vended(c, t, location, &c->store, err);
        if (rc == 0)
            rc = open_besides(c, t, err);
    } else if (catalog_layer_names(c->layer->catalog)) {
        rc = open_own(c, location, catalog_layer_options(c->layer->catalog, location), &c->store,
                      err);
    } else {
        c->store = find_store(c->layer, location, &below);
    }
    if (rc == 0 && !c->store)
        return err_set(err, EACCES,
                       "it lies in %s, which is neither in the layer's warehouse nor in its "
                       "`outside`, and the catalog vends no credentials for it",
                       c->location);
    AUTO(buf) struct buf prefix = {0};
    buf_init(&prefix, KEY_BYTES_MAX);
    buf_addf(&prefix, "%.*s%s", SLICE_FMT(below), below.n ? "/" : "");
    if (rc == 0)
        rc = buf_check(&prefix, err);
    c->prefix = rc == 0 ? buf_steal_str(&prefix) : NULL;
    return rc < 0 || c->prefix ? rc : err_set(err, ENOMEM, "out of memory");
}

/* Those of the layer's. */
static int add_others(struct cataloged *c, size_t from, size_t to, struct err *err)
{
    for (size_t i = from; i < to; i++)
        if (c->layer->others.at[i] != c->store && vec_push(&c->others, c->layer->others.at[i]) < 0)
            return err_set(err, ENOMEM, "out of memory");
    return 0;
}

/* The source of metadata */

static int tell_metadata(void *arg, struct table_metadata *out, struct err *err)
{
    AUTO(catalog_answer) struct catalog_answer *a = cataloged_answer(arg);
    const struct catalog_table *t = a->table;
    char name[2 * SHA256_BYTES + 1];
    struct slice etag = t->etag;
    if (t->metadata_location.n) { /* which never changes: its name tells more than an ETag */
        sha256_hex(t->metadata_location, name);
        etag = slice_of(name);
    }
    out->same = etag.n && slice_eq(buf_slice(&out->etag), etag);
    if (out->same)
        return 0;
    buf_reset(&out->etag);
    buf_add_slice(&out->etag, etag);
    buf_add_slice(&out->url, t->metadata_location);
    buf_add_slice(&out->text, t->metadata);
    int rc = buf_check(&out->etag, err);
    if (rc == 0)
        rc = buf_check(&out->url, err);
    return rc < 0 ? rc : buf_check(&out->text, err);
}

/* Life */

void cataloged_free(struct cataloged *c, struct cache *cache)
{
    for (size_t i = 0; i < c->own.n; i++)
        layers_close_store(c->own.at[i], cache);
    vec_done(&c->own);
    vec_done(&c->others);
    catalog_answer_unref(c->answer);
    catalog_name_done(&c->name);
    lock_done(&c->lock);
    free(c->location);
    free(c->prefix);
    free(c);
}

/* Takes the answer's table. */
static int set_answer(struct cataloged *c, struct catalog_table *table, struct err *err)
{
    AUTO(buf) struct buf location = {0};
    c->answer = answer_new(table, err);
    if (!c->answer)
        return -ENOMEM;
    c->format = table->format;
    int rc = add_table_location(table, &location, err);
    if (rc < 0)
        return rc;
    c->location = buf_steal_str(&location);
    if (!c->location)
        return err_set(err, ENOMEM, "out of memory");
    /* the other layers' come first: who reads there needs a grant for it, whatever is vended */
    rc = add_others(c, 0, c->layer->layers_n, err);
    if (rc == 0)
        rc = open_store(c, table, err);
    return rc < 0 ? rc : add_others(c, c->layer->layers_n, c->layer->others.n, err);
}

int cataloged_open(const struct layer *layer, struct slice path, struct cataloged **out,
                   struct err *err)
{
    struct catalog_table *table;
    struct cataloged *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(err, ENOMEM, "out of memory");
    lock_init(&c->lock);
    c->layer = layer;
    c->own.max = VENDED_STORES_MAX;
    c->others.max = layer->others.n + VENDED_STORES_MAX;
    c->source = (struct table_source){.metadata = tell_metadata, .arg = c};
    int rc = catalog_name_parse(&c->name, path, err);
    if (rc == 0)
        rc = catalog_load(catalog_layer_catalog(layer->catalog), &c->name.in, c->name.table, NULL,
                          &table, err);
    if (rc == 0)
        rc = set_answer(c, table, err);
    if (rc < 0) {
        cataloged_free(c, NULL);
        return rc;
    }
    *out = c;
    return 0;
}

enum catalog_format cataloged_format(const struct cataloged *c)
{
    return c->format;
}

struct store *cataloged_store(const struct cataloged *c)
{
    return c->store;
}

const char *cataloged_prefix(const struct cataloged *c)
{
    return c->prefix;
}

struct store *const *cataloged_others(const struct cataloged *c, size_t *n)
{
    *n = c->others.n;
    return c->others.at;
}

const struct table_source *cataloged_source(const struct cataloged *c)
{
    return c->format == CATALOG_ICEBERG ? &c->source : NULL;
}

/* It is where it was, and of the format that it was. */
static int check_place(const struct cataloged *c, const struct catalog_table *t, struct err *err)
{
    AUTO(buf) struct buf location = {0};
    int rc = add_table_location(t, &location, err);
    if (rc < 0)
        return rc;
    return t->format == c->format && slice_is(buf_slice(&location), c->location)
               ? 0
               : err_set(err, EMEDIUMTYPE, "the catalog has it elsewhere now");
}

int cataloged_hear(struct cataloged *c, struct err *err)
{
    struct catalog_table *table = NULL;
    AUTO(catalog_answer) struct catalog_answer *before = cataloged_answer(c);
    AUTO(catalog_answer) struct catalog_answer *next = NULL;
    bool recent = clock_mono_ms() - before->heard_ms < WHOLE_ANSWER_MS;
    int rc = catalog_load(catalog_layer_catalog(c->layer->catalog), &c->name.in, c->name.table,
                          recent ? before->table->etag.p : NULL, &table, err);
    if (rc == -ENOENT)
        return err_set(err, EMEDIUMTYPE, "the catalog has no such table any more");
    if (rc < 0 || !table)
        return rc;
    next = answer_new(table, err);
    if (!next)
        return -ENOMEM;
    rc = check_place(c, table, err);
    if (rc < 0)
        return rc;
    WITH_LOCK (&c->lock) {
        struct catalog_answer *old = c->answer;
        c->answer = next;
        next = old; /* freed behind the lock */
    }
    return 0;
}
