/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/rest.h"

#include "base/lock.h"
#include "base/text.h"
#include "lake/catalog/client.h"
#include "lake/catalog/pages.h"
#include "lake/catalog/rest_parse.h"

#define PATH_BYTES_MAX (8 * URL_BYTES_MAX)
#define CONFIG_BYTES_MAX (4 * MIB)
#define CONFIG_MEMORY_MAX (4 * MIB)
/* The unit separator, percent-encoded. */
#define SEPARATOR "%1F"
/* What of a prefix is sent as the catalog told it. */
#define PREFIX_KEEPS "/:@!$&'()*+,;=%"

struct rest {
    struct catalog catalog;
    struct client *client;
    char *warehouse, *own_prefix;
    bool vended; /* credentials are asked for */

    struct lock lock;
    bool configured; /* lock; then what follows is immutable */
    char *uri;       /* NULL: the client's */
    char *prefix;    /* of paths: "/v1" or "/v1/PREFIX" */
    char *separator; /* percent-encoded */
    bool has_credentials;
};

static struct rest *rest_of(struct catalog *c)
{
    return CONTAINER_OF(c, struct rest, catalog);
}

/* ---- configuration ---- */

static bool is_configured(struct rest *r)
{
    bool configured = false;
    WITH_LOCK (&r->lock)
        configured = r->configured;
    return configured;
}

static bool separator_valid(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
              (s.p[i] >= 'a' && s.p[i] <= 'z') || strchr("-._~%", s.p[i])))
            return false;
    return s.n && s.n <= 32;
}

/* What a configuration means for paths; for free. */
static int make_paths(const struct rest *r, const struct rest_config *config, char **prefix,
                      char **separator, struct err *err)
{
    AUTO(buf) struct buf path = {0};
    struct slice told = config->prefix.n ? config->prefix : slice_of(r->own_prefix);
    struct slice between = config->separator.n ? config->separator : SLICE_LIT(SEPARATOR);
    buf_init(&path, URL_BYTES_MAX);
    buf_add_str(&path, "/v1");
    if (told.n) {
        buf_add_char(&path, '/');
        text_percent_encode(&path, told, PREFIX_KEEPS);
    }
    int rc = buf_check(&path, err);
    if (rc == 0 && !separator_valid(between))
        rc = err_set(err, EIO, "the catalog tells a separator of namespaces that is none");
    if (rc < 0)
        return rc;
    char *text = strndup(between.p, between.n);
    if (!text)
        return err_set(err, ENOMEM, "out of memory");
    *separator = text;
    *prefix = buf_steal_str(&path);
    return 0;
}

/* The first who is there: what several were told at once is the same. */
static int configure(struct rest *r, const struct rest_config *config, struct err *err)
{
    AUTO_FREE char *prefix = NULL, *separator = NULL, *uri = NULL;
    int rc = make_paths(r, config, &prefix, &separator, err);
    if (rc == 0 && config->uri.n)
        rc = client_moved(r->client, config->uri, &uri, err);
    if (rc < 0)
        return rc;
    WITH_LOCK (&r->lock) {
        if (!r->configured) {
            r->uri = STEAL(uri);
            r->prefix = STEAL(prefix);
            r->separator = STEAL(separator);
            r->has_credentials = config->has_credentials;
            r->configured = true;
        }
    }
    return 0;
}

static int ask_config(struct rest *r, struct err *err)
{
    static const char what[] = "its configuration";
    AUTO(client_answer) struct client_answer answer;
    AUTO(arena) struct arena arena;
    struct rest_config config = {0};
    const struct http_parameter warehouse = {"warehouse", r->warehouse};
    arena_init(&arena, CONFIG_MEMORY_MAX);
    int rc = client_ask(r->client,
                        &(struct client_question){.what = what,
                                                  .path = "/v1/config",
                                                  .parameters = &warehouse,
                                                  .parameters_n = r->warehouse ? 1 : 0,
                                                  .text_max = CONFIG_BYTES_MAX},
                        &answer, err);
    if (rc == -ENOENT) { /* of the warehouse; not of what is asked for next */
        err->code = EIO;
        return -EIO;
    }
    if (rc < 0)
        return rc;
    rc = rest_config_parse(buf_slice(&answer.text), &arena, &config, err);
    if (rc == 0)
        rc = configure(r, &config, err);
    return rc < 0 ? client_wrap(r->client, what, err) : 0;
}

static int ready(struct rest *r, struct err *err)
{
    return is_configured(r) ? 0 : ask_config(r, err);
}

/* ---- paths ---- */

/* "a%1Fb", appended. */
static int add_levels(const struct rest *r, const struct catalog_namespace *in, struct buf *out,
                      struct err *err)
{
    AUTO(buf) struct buf plain = {0};
    buf_init(&plain, 64);
    text_percent_decode(&plain, slice_of(r->separator));
    for (size_t i = 0; i < in->n; i++) {
        struct slice level = in->levels[i];
        if (level.n && memmem(level.p, level.n, plain.data, plain.len))
            return err_set(err, EOPNOTSUPP,
                           "the namespace has the separator of namespaces in its name");
        if (i)
            buf_add_str(out, r->separator);
        text_percent_encode(out, level, "");
    }
    return buf_check(out, err);
}

/* "/v1/PREFIX/namespaces/a%1Fb/tables", and "/t" where there is a table. */
static int make_path(const struct rest *r, const struct catalog_namespace *in,
                     const struct slice *table, struct buf *out, struct err *err)
{
    buf_init(out, PATH_BYTES_MAX);
    buf_addf(out, "%s/namespaces/", r->prefix);
    int rc = in->n ? add_levels(r, in, out, err)
                   : err_set(err, ENOENT, "tables are in namespaces, and never at the root");
    buf_add_str(out, "/tables");
    if (table) {
        buf_add_char(out, '/');
        text_percent_encode(out, *table, "");
    }
    return rc < 0 ? rc : buf_check(out, err);
}

/* ---- lists ---- */

struct listing {
    struct pages pages;
    struct rest *rest;
    const struct catalog_namespace *in;
    bool tables;
    const char *path;
    const char *parent; /* of namespaces: plain; NULL: the root */
};

/* "parent" is percent-encoded with the other parameters: here with the plain separator. */
static int make_parent(const struct rest *r, const struct catalog_namespace *in, struct buf *out,
                       struct err *err)
{
    AUTO(buf) struct buf encoded = {0};
    buf_init(&encoded, PATH_BYTES_MAX);
    buf_init(out, PATH_BYTES_MAX);
    int rc = add_levels(r, in, &encoded, err);
    if (rc < 0)
        return rc;
    text_percent_decode(out, buf_slice(&encoded));
    return buf_check(out, err);
}

/* Such a catalog has no namespaces below others; who told some of them has. */
static bool has_one_level(const struct client_answer *a)
{
    return *a->problem.type &&
           (a->status == 400 || a->status == 405 || a->status == 406 || a->status == 501);
}

static int ask_page(struct pages *pages, const char *token, struct catalog_names *names,
                    struct err *err)
{
    struct listing *l = CONTAINER_OF(pages, struct listing, pages);
    AUTO(client_answer) struct client_answer answer;
    struct http_parameter parameters[2] = {{"pageToken", token}};
    size_t n = 1;
    if (l->parent)
        parameters[n++] = (struct http_parameter){"parent", l->parent};
    int rc = client_ask(l->rest->client,
                        &(struct client_question){.what = pages->what,
                                                  .uri = l->rest->uri,
                                                  .path = l->path,
                                                  .parameters = parameters,
                                                  .parameters_n = n,
                                                  .text_max = CATALOG_PAGE_BYTES_MAX},
                        &answer, err);
    if (rc < 0)
        return l->parent && !*token && has_one_level(&answer) ? 0 : rc;
    rc = l->tables ? rest_tables_parse(buf_slice(&answer.text), l->in, names, err)
                   : rest_namespaces_parse(buf_slice(&answer.text), l->in, names, err);
    return rc < 0 ? client_wrap(l->rest->client, pages->what, err) : 0;
}

static int rest_namespaces(struct catalog *c, const struct catalog_namespace *parent,
                           catalog_emit *emit, void *arg, struct err *err)
{
    struct rest *r = rest_of(c);
    struct catalog_what what = catalog_what_of(parent, NULL);
    AUTO(buf) struct buf path = {0}, levels = {0};
    struct listing l = {.rest = r, .in = parent, .pages = {ask_page, r->client, what.text}};
    int rc = ready(r, err);
    if (rc < 0)
        return rc;
    buf_init(&path, PATH_BYTES_MAX);
    buf_addf(&path, "%s/namespaces", r->prefix);
    rc = buf_check(&path, err);
    if (rc == 0 && parent->n)
        rc = make_parent(r, parent, &levels, err);
    if (rc < 0)
        return client_wrap(r->client, what.text, err);
    l.path = path.data;
    l.parent = parent->n ? levels.data : NULL;
    return pages_list(&l.pages, emit, arg, err);
}

static int rest_tables(struct catalog *c, const struct catalog_namespace *in, catalog_emit *emit,
                       void *arg, struct err *err)
{
    struct rest *r = rest_of(c);
    struct catalog_what what = catalog_what_of(in, NULL);
    AUTO(buf) struct buf path = {0};
    struct listing l = {
        .rest = r, .in = in, .tables = true, .pages = {ask_page, r->client, what.text}};
    if (!in->n)
        return 0;
    int rc = ready(r, err);
    if (rc < 0)
        return rc;
    rc = make_path(r, in, NULL, &path, err);
    if (rc < 0)
        return client_wrap(r->client, what.text, err);
    l.path = path.data;
    return pages_list(&l.pages, emit, arg, err);
}

/* ---- tables ---- */

struct table_question {
    const struct catalog_namespace *in;
    struct slice table;
    const char *etag; /* NULL: none */
    bool credentials; /* these alone */
};

/* *out stays NULL where nothing has changed. */
static int ask_table(struct rest *r, const struct table_question *q, struct catalog_table **out,
                     struct err *err)
{
    AUTO(client_answer) struct client_answer answer = {0};
    AUTO(catalog_table) struct catalog_table *t = catalog_table_new(err);
    AUTO(buf) struct buf path = {0};
    struct catalog_what what = catalog_what_of(q->in, &q->table);
    struct http_field fields[2];
    size_t n = 0;
    if (!t)
        return -ENOMEM;
    int rc = make_path(r, q->in, &q->table, &path, err);
    if (q->credentials)
        buf_add_str(&path, "/credentials");
    if (rc == 0)
        rc = buf_check(&path, err);
    if (rc < 0)
        return client_wrap(r->client, what.text, err);
    if (r->vended)
        fields[n++] = (struct http_field){"x-iceberg-access-delegation", "vended-credentials"};
    if (q->etag)
        fields[n++] = (struct http_field){"if-none-match", q->etag};
    rc = client_ask(r->client,
                    &(struct client_question){.what = what.text,
                                              .uri = r->uri,
                                              .path = path.data,
                                              .fields = fields,
                                              .fields_n = n,
                                              .text_max = CATALOG_ANSWER_BYTES_MAX},
                    &answer, err);
    if (rc < 0)
        return rc;
    if (answer.status == 304 && q->etag) {
        *out = NULL;
        return 0;
    }
    buf_done(&t->text);
    t->text = answer.text;
    answer.text = (struct buf){0}; /* taken over */
    t->etag = arena_slice(&t->arena, slice_of(answer.etag));
    rc = t->etag.p ? 0 : arena_failed(&t->arena, "an ETag", err);
    if (rc == 0)
        rc = q->credentials ? rest_credentials_parse(t, err) : rest_table_parse(t, err);
    if (rc < 0)
        return client_wrap(r->client, what.text, err);
    *out = STEAL(t);
    return 0;
}

static int rest_load(struct catalog *c, const struct catalog_namespace *in, struct slice table,
                     const char *etag, struct catalog_table **out, struct err *err)
{
    struct rest *r = rest_of(c);
    int rc = ready(r, err);
    return rc < 0 ? rc : ask_table(r, &(struct table_question){in, table, etag, false}, out, err);
}

/* A catalog need not have what is for credentials alone; a load brings them in any case. */
static int rest_credentials(struct catalog *c, const struct catalog_namespace *in,
                            struct slice table, struct catalog_table **out, struct err *err)
{
    struct rest *r = rest_of(c);
    int rc = ready(r, err);
    return rc < 0
               ? rc
               : ask_table(
                     r, &(struct table_question){in, table, NULL, r->has_credentials && r->vended},
                     out, err);
}

/* ---- the catalog ---- */

static void rest_free(struct catalog *c)
{
    struct rest *r = rest_of(c);
    client_free(r->client);
    free(r->catalog.name);
    free(r->warehouse);
    free(r->own_prefix);
    free(r->uri);
    free(r->prefix);
    free(r->separator);
    lock_done(&r->lock);
    free(r);
}

static const struct catalog_ops ops = {
    .namespaces = rest_namespaces,
    .tables = rest_tables,
    .load = rest_load,
    .credentials = rest_credentials,
    .free = rest_free,
};

int catalog_rest_open(const struct catalog_options *o, struct http *http, struct catalog **out,
                      struct err *err)
{
    struct rest *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(err, ENOMEM, "out of memory");
    AUTO(catalog) struct catalog *c = &r->catalog;
    r->catalog.ops = &ops;
    r->vended = !o->no_vended_credentials;
    lock_init(&r->lock);
    int rc = client_new(o, http, &r->client, err);
    if (rc < 0)
        return err_wrap(err, "catalog %.120s", o->name ? o->name : "");
    r->catalog.name = strdup(client_name(r->client));
    r->warehouse = o->warehouse ? strdup(o->warehouse) : NULL;
    r->own_prefix = strdup(o->prefix ? o->prefix : "");
    if (!r->catalog.name || (o->warehouse && !r->warehouse) || !r->own_prefix)
        return err_set(err, ENOMEM, "out of memory");
    *out = STEAL(c);
    return 0;
}
