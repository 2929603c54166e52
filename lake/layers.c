/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/layers.h"

#include <stddef.h>

#include "base/hash.h"
#include "base/text.h"
#include "cache/cache.h"
#include "lake/catalog_layer.h"
#include "lake/lake.h"
#include "lake/lakefile.h"
#include "lake/location.h"

/* What of a mount's options belongs to the one server that its source is on. */
static void forget_server(struct store_options *o)
{
    o->endpoint_url = o->region = o->addressing = NULL;
    o->sse = o->sse_kms_key_id = o->sse_c_key = NULL;
}

/* s3: the mount's server may be asked. */
static void options_of(const struct lakefile_store *s, bool s3, const struct store_options *mount,
                       struct store_options *out)
{
    static const struct {
        const char *name;
        size_t offset;
    } values[] = {
        {"endpoint-url", offsetof(struct store_options, endpoint_url)},
        {"region", offsetof(struct store_options, region)},
        {"profile", offsetof(struct store_options, aws_profile)},
        {"addressing", offsetof(struct store_options, addressing)},
        {"ca-bundle", offsetof(struct store_options, ca_bundle)},
        {"proxy", offsetof(struct store_options, proxy_url)},
        {"sse", offsetof(struct store_options, sse)},
        {"sse-kms-key-id", offsetof(struct store_options, sse_kms_key_id)},
    };
    *out = *mount;
    if (!s3)
        forget_server(out);
    for (size_t i = 0; i < s->options_n; i++) {
        const struct lakefile_option *o = &s->options[i];
        if (strcmp(o->name, "requester-pays") == 0)
            out->requester_pays = true;
        if (strcmp(o->name, "no-sign-request") == 0)
            out->no_sign_request = true;
        if (strcmp(o->name, "profile") == 0)
            out->aws_profile_chosen = true;
        if (strcmp(o->name, "endpoint-url") == 0)
            out->sse_c_key = NULL; /* it is for the mount's server */
        for (size_t v = 0; v < ARRAY_SIZE(values); v++)
            if (strcmp(o->name, values[v].name) == 0)
                *(const char **)(void *)((char *)out + values[v].offset) = o->value;
    }
}

void lakefile_store_options(const struct lakefile_store *s, const struct store_options *mount,
                            struct store_options *out)
{
    options_of(s, !s->url || strncmp(s->url, "s3", 2) == 0, mount, out);
}

void lakefile_near_options(const struct lakefile_store *s, const struct store_options *mount,
                           struct store_options *out)
{
    struct store_options elsewhere = *mount;
    forget_server(&elsewhere);
    elsewhere.requester_pays = false;
    elsewhere.deadline_ms = 0;
    lakefile_store_options(s, &elsewhere, out);
}

static int stop_at_first(void *arg, const struct store_entry *e)
{
    (void)arg;
    (void)e;
    return 1;
}

/* Asks the store for the first entry of its root, so that a wrong bucket or key is told at once. */
static int ask_root(struct store *store, struct err *err)
{
    struct store_list req = {.prefix = "", .emit = stop_at_first};
    int rc = store->ops->list(store, &req, err);
    return rc < 0 ? rc : 0;
}

/* One layer as it is opened. */
struct opening {
    const struct lakefile_layer *file; /* NULL: the lake is a URL */
    const char *url;
    struct store_options options;
    struct store_options elsewhere; /* the same for a catalog's tables that are not in S3 */
    struct store_runtime runtime;
};

static int open_layer(struct layers *l, struct opening *o, struct err *err)
{
    struct layer layer = {.name = o->file ? o->file->name : "",
                          .others =
                              VEC_MAX(LAKE_OUTSIDE_MAX + (o->file ? LAKE_LAYERS_MAX - 1 : 0))};
    layer.store = store_open(o->url, &o->options, &o->runtime, err);
    if (!layer.store)
        return -err->code;
    if (vec_push(&l->at, layer) < 0) {
        store_free(layer.store);
        return err_set(err, ENOMEM, "out of memory");
    }
    return ask_root(layer.store, err);
}

/* Takes the store; NULL: it could not be opened. */
static int add_outside(struct layers *l, struct layer *layer, struct store *store, struct err *err)
{
    if (!store)
        return -err->code;
    if (vec_push(&l->outside, store) < 0) {
        store_free(store);
        return err_set(err, ENOMEM, "out of memory");
    }
    return vec_push(&layer->others, store) < 0
               ? err_set(err, EINVAL, "more than %d prefixes", LAKE_OUTSIDE_MAX)
               : 0;
}

/*
 * A prefix where files of the layer's tables may lie besides. On this machine only for a source
 * that is on it too: what a table says that others write must not reach files of this machine,
 * whoever allows it.
 */
static int open_outside(struct layers *l, struct layer *layer, const struct opening *o,
                        const char *url, struct err *err)
{
    struct store_options options = o->options;
    bool here = !strstr(url, "://") || strncmp(url, "file:", 5) == 0;
    if (here && !layer->store->ops->open_in_place)
        return err_set(err, EINVAL, "%s is on this machine, and %s is not", url, layer->store->url);
    size_t scheme = strcspn(url, ":");
    if (!layer->store->ops->open_in_place && strncmp(url, o->url, scheme + 1) != 0)
        forget_server(&options); /* of a local source nothing but this can be meant */
    return add_outside(l, layer, store_open(url, &options, &o->runtime, err), err);
}

static int open_url(struct layers *l, const struct lake_config *c, struct err *err)
{
    struct opening o = {.url = c->url, .options = *c->store_options, .runtime = *c->runtime};
    AUTO_FREE char *urls = strdup(c->outside ? c->outside : "");
    char *rest = NULL;
    int rc = urls ? open_layer(l, &o, err) : err_set(err, ENOMEM, "out of memory");
    for (char *url = rc == 0 ? strtok_r(urls, "\n", &rest) : NULL; rc == 0 && url;
         url = strtok_r(NULL, "\n", &rest)) {
        rc = open_outside(l, &l->at.at[0], &o, url, err);
        rc = rc < 0 ? err_wrap(err, "option outside") : 0;
    }
    if (rc == 0)
        l->identity = strdup(l->at.at[0].store->url);
    return rc;
}

/* Of a lake file */

/* One of the roots is below the other one, or the same: 1, else 0; or -errno. */
static int overlap(const struct store *a, const struct store *b, struct err *err)
{
    AUTO(buf) struct buf one = {0}, other = {0};
    buf_init(&one, URL_BYTES_MAX + 1);
    buf_init(&other, URL_BYTES_MAX + 1);
    store_object_url(a, SLICE_NONE, &one);
    store_object_url(b, SLICE_NONE, &other);
    int rc = buf_check(&one, err);
    if (rc == 0)
        rc = buf_check(&other, err);
    return rc < 0 ? rc
                  : slice_starts(buf_slice(&one), buf_slice(&other)) ||
                        slice_starts(buf_slice(&other), buf_slice(&one));
}

static int check_apart(const struct layer *a, const struct layer *b, struct err *err)
{
    int rc = a->store ? overlap(a->store, b->store, err) : 0;
    return rc <= 0 ? rc
                   : err_set(err, EINVAL,
                             "%s has objects of %s, which is layer %s: each belongs to one layer",
                             b->store->url, a->store->url, a->name);
}

int layers_check_apart(const struct layers *l, const struct store *store, struct err *err)
{
    for (size_t i = 0; i < l->at.n; i++) {
        const struct layer *layer = &l->at.at[i];
        int rc = layer->store ? overlap(layer->store, store, err) : 0;
        if (rc < 0)
            return rc;
        if (rc)
            return err_set(err, EINVAL,
                           "%s and %s%s%s have objects in common: what is kept there would be the "
                           "lake's own, it belongs outside of the lake",
                           store->url, *layer->name ? "layer " : "the lake", layer->name,
                           *layer->name ? "" : " itself");
    }
    return 0;
}

int layers_check_apart_url(const struct layers *l, const char *url,
                           const struct store_options *options, const struct store_runtime *runtime,
                           struct err *err)
{
    const struct store_runtime plain = {
        .http = runtime->http, .workers = runtime->workers, .secrets = runtime->secrets};
    AUTO(store) struct store *store = store_open(url, options, &plain, NULL);
    return store ? layers_check_apart(l, store, err) : 0; /* who needs it says what is wrong */
}

/* Near and archive stores that the file names. */
static int check_file_stores(const struct layers *l, const struct lake_config *c, struct err *err)
{
    for (size_t i = 0; i <= c->file->layers_n; i++) {
        bool near = i < c->file->layers_n;
        const struct lakefile_store *s = near ? &c->file->layers[i].near : &c->file->archive;
        struct store_options options;
        if (!s->url)
            continue;
        if (near)
            lakefile_near_options(s, c->store_options, &options);
        else
            lakefile_store_options(s, c->store_options, &options);
        if (layers_check_apart_url(l, s->url, &options, c->runtime, err) == 0)
            continue;
        (void)err_wrap(err, near ? "near store" : "archive store");
        return yaml_wrap(err, c->file->name, s->place);
    }
    return 0;
}

static void open_of_file(struct opening *o, const struct lake_config *c,
                         const struct lakefile_layer *file)
{
    *o = (struct opening){.file = file, .url = file->store.url, .runtime = *c->runtime};
    lakefile_store_options(&file->store, c->store_options, &o->options);
    options_of(&file->store, false, c->store_options, &o->elsewhere);
    if (c->dress)
        c->dress(c->dress_arg, file, &o->runtime);
}

static int open_catalog(struct layers *l, const struct opening *o, struct err *err)
{
    struct layer layer = {.name = o->file->name,
                          .others = VEC_MAX(LAKE_OUTSIDE_MAX + LAKE_LAYERS_MAX)};
    layer.catalog = catalog_layer_new(o->file, &o->options, &o->elsewhere, &o->runtime, err);
    if (!layer.catalog)
        return -err->code;
    if (vec_push(&l->at, layer) < 0) {
        catalog_layer_free(layer.catalog);
        return err_set(err, ENOMEM, "out of memory");
    }
    return catalog_layer_ask(layer.catalog, err);
}

static int open_file_layer(struct layers *l, const struct lake_config *c,
                           const struct lakefile_layer *file, struct err *err)
{
    struct opening o;
    open_of_file(&o, c, file);
    int rc = file->catalog.kind ? open_catalog(l, &o, err) : open_layer(l, &o, err);
    for (size_t i = 0; rc == 0 && !file->catalog.kind && i + 1 < l->at.n; i++)
        rc = check_apart(&l->at.at[i], &l->at.at[l->at.n - 1], err);
    if (rc == 0)
        return 0;
    (void)err_wrap(err, "layer %s", file->name);
    return yaml_wrap(err, c->file->name,
                     file->catalog.kind ? file->catalog.place : file->store.place);
}

/* The prefix is some layer's, or below it: that layer's store, which comes first, has it. */
static bool is_in_a_layer(const struct layers *l, struct slice url)
{
    while (url.n > 1 && url.p[url.n - 1] == '/')
        url.n--;
    for (size_t i = 0; i < l->at.n; i++) {
        struct slice home = slice_of(l->at.at[i].store ? l->at.at[i].store->home : NULL);
        if (home.n && slice_starts(url, home) && (url.n == home.n || url.p[home.n] == '/'))
            return true;
    }
    return false;
}

/* Its tables may be on this machine: then they may reach files of this machine. */
static bool is_here(const struct layer *layer)
{
    return layer->store && layer->store->ops->open_in_place;
}

/* In the spelling of the lake's stores: s3a:// is s3://, file:/x is file:///x. */
static int open_root(struct layers *l, struct layer *layer, const struct opening *o,
                     const char *url, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    struct location at = location_split(slice_of(url));
    struct store_runtime runtime = o->runtime;
    buf_init(&text, URL_BYTES_MAX);
    location_add_root(&text, &at);
    buf_add_slice(&text, at.path);
    int rc = buf_check(&text, err);
    runtime.wrap = NULL; /* no near store and no archive is around these stores */
    runtime.wrapped = NULL;
    if (rc < 0)
        return rc;
    const struct store_options *options = catalog_layer_options(layer->catalog, buf_slice(&text));
    return add_outside(l, layer, store_open(text.data, options, &runtime, err), err);
}

/*
 * Where the tables of a catalog may lie: in its warehouse, where that is a URL, and in what is
 * outside. The lake file names these, so they may be on this machine, and may be in other layers.
 */
static int open_roots(struct layers *l, struct layer *layer, const struct lake_config *c,
                      const struct opening *o, struct err *err)
{
    const struct lakefile_layer *file = o->file;
    const char *warehouse = file->catalog.warehouse;
    int rc = 0;
    if (warehouse && location_is_absolute(slice_of(warehouse)))
        rc = open_root(l, layer, o, warehouse, err);
    if (rc < 0) {
        (void)err_wrap(err, "layer %s: warehouse", file->name);
        return yaml_wrap(err, c->file->name, file->catalog.place);
    }
    for (size_t i = 0; rc == 0 && i < file->outside_n; i++) {
        rc = open_root(l, layer, o, file->outside[i].url, err);
        if (rc < 0) {
            (void)err_wrap(err, "layer %s: outside", file->name);
            return yaml_wrap(err, c->file->name, file->outside[i].place);
        }
    }
    return 0;
}

/*
 * What the layer's tables may reach: the other layers' stores before what is outside, as who reads
 * there needs a grant for it. Files of this machine are for tables of this machine alone.
 */
static int open_others(struct layers *l, struct layer *layer, const struct lake_config *c,
                       const struct lakefile_layer *file, struct err *err)
{
    struct opening o;
    for (size_t i = 0; i < l->at.n; i++) {
        struct store *store = l->at.at[i].store;
        bool may = store && (is_here(layer) || !store->ops->open_in_place);
        if (&l->at.at[i] != layer && may && vec_push(&layer->others, store) < 0)
            return err_set(err, ENOMEM, "out of memory");
    }
    layer->layers_n = layer->others.n;
    open_of_file(&o, c, file);
    if (layer->catalog)
        return open_roots(l, layer, c, &o, err);
    for (size_t i = 0; i < file->outside_n; i++) {
        const struct lakefile_store *prefix = &file->outside[i];
        if (is_in_a_layer(l, slice_of(prefix->url)) ||
            open_outside(l, layer, &o, prefix->url, err) == 0)
            continue;
        (void)err_wrap(err, "layer %s: outside", file->name);
        return yaml_wrap(err, c->file->name, prefix->place);
    }
    return 0;
}

static const char *layer_url(const struct layer *layer)
{
    return layer->store ? layer->store->url : catalog_layer_url(layer->catalog);
}

static int set_identity(struct layers *l, struct err *err)
{
    AUTO(buf) struct buf all = {0}, text = {0};
    uint8_t digest[SHA256_BYTES];
    buf_init(&all, LAKE_LAYERS_MAX * (URL_BYTES_MAX + KIB));
    buf_init(&text, 128);
    for (size_t i = 0; i < l->at.n; i++)
        buf_addf(&all, "%s\n%s\n", l->at.at[i].name, layer_url(&l->at.at[i]));
    int rc = buf_check(&all, err);
    if (rc < 0)
        return rc;
    sha256(buf_slice(&all), digest);
    buf_add_str(&text, "layers:");
    text_hex(&text, digest, sizeof digest);
    l->identity = buf_steal_str(&text);
    return 0;
}

/* Names that live as long as the layers; the lake file may go. */
static int keep_names(struct layers *l, struct err *err)
{
    AUTO(buf) struct buf names = {0};
    buf_init(&names, LAKE_LAYERS_MAX * (NAME_BYTES_MAX + 1));
    for (size_t i = 0; i < l->at.n; i++)
        buf_add(&names, l->at.at[i].name, strlen(l->at.at[i].name) + 1);
    int rc = buf_check(&names, err);
    if (rc < 0)
        return rc;
    l->names = buf_steal_str(&names);
    size_t at = 0;
    for (size_t i = 0; l->names && i < l->at.n; i++) {
        l->at.at[i].name = l->names + at;
        at += strlen(l->names + at) + 1;
    }
    return l->names ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int open_file(struct layers *l, const struct lake_config *c, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < c->file->layers_n; i++)
        rc = open_file_layer(l, c, &c->file->layers[i], err);
    for (size_t i = 0; rc == 0 && i < l->at.n; i++)
        rc = open_others(l, &l->at.at[i], c, &c->file->layers[i], err);
    if (rc == 0)
        rc = check_file_stores(l, c, err);
    if (rc == 0)
        rc = keep_names(l, err);
    return rc < 0 ? rc : set_identity(l, err);
}

int layers_open(struct layers *l, const struct lake_config *config, struct err *err)
{
    *l = (struct layers){.at = VEC_MAX(LAKE_LAYERS_MAX),
                         .outside = VEC_MAX(LAKE_LAYERS_MAX * LAKE_OUTSIDE_MAX)};
    int rc = config->file ? open_file(l, config, err) : open_url(l, config, err);
    if (rc == 0 && !l->identity)
        rc = err_set(err, ENOMEM, "out of memory");
    if (rc == 0 && config->check)
        rc = config->check(config->dress_arg, l, err);
    return rc;
}

void layers_close_store(struct store *store, struct cache *cache)
{
    if (store_leave(store) && cache)
        cache_drain_store(cache, store);
    store_free(store);
}

void layers_close(struct layers *l, struct cache *cache)
{
    for (size_t i = 0; i < l->outside.n; i++)
        layers_close_store(l->outside.at[i], cache);
    vec_done(&l->outside);
    for (size_t i = 0; i < l->at.n; i++) {
        if (l->at.at[i].store)
            layers_close_store(l->at.at[i].store, cache);
        if (l->at.at[i].catalog)
            catalog_layer_free(l->at.at[i].catalog);
        vec_done(&l->at.at[i].others);
    }
    vec_done(&l->at);
    free(l->identity);
    free(l->names);
}

bool layers_are_listed(const struct layers *l)
{
    return *l->at.at[0].name != '\0';
}

const struct layer *layers_place(const struct layers *l, struct slice path, struct slice *rest)
{
    ptrdiff_t slash = slice_find(path, '/');
    struct slice name = slice_make(path.p, slash < 0 ? path.n : (size_t)slash);
    *rest = path;
    if (!layers_are_listed(l))
        return &l->at.at[0];
    for (size_t i = 0; i < l->at.n; i++)
        if (slice_is(name, l->at.at[i].name)) {
            *rest = slice_from(path, name.n + (slash >= 0));
            return &l->at.at[i];
        }
    return NULL;
}

const struct layer *layers_of_store(const struct layers *l, const struct store *store)
{
    for (size_t i = 0; i < l->at.n; i++)
        if (l->at.at[i].store == store)
            return &l->at.at[i];
    return NULL;
}
