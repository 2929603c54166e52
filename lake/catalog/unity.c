/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/unity.h"

#include "base/text.h"
#include "lake/catalog/client.h"
#include "lake/catalog/pages.h"
#include "lake/catalog/unity_parse.h"

#define API "/api/2.1/unity-catalog"
#define PATH_BYTES_MAX (8 * URL_BYTES_MAX)
/* A table with its columns, some 300 bytes each. */
#define TABLE_BYTES_MAX (64 * MIB)

struct unity {
    struct catalog catalog;
    struct client *client;
    char *one; /* the catalog that is shown; NULL: all are */
    bool vended;
};

static struct unity *unity_of(struct catalog *c)
{
    return CONTAINER_OF(c, struct unity, catalog);
}

/* Catalog, schema: of a namespace with all its levels. */
struct place {
    struct slice levels[2];
    size_t n;
};

/* False: nothing lies so deep. */
static bool place_of(const struct unity *u, const struct catalog_namespace *in, struct place *out)
{
    *out = (struct place){0};
    if (u->one)
        out->levels[out->n++] = slice_of(u->one);
    if (in->n > ARRAY_SIZE(out->levels) - out->n)
        return false;
    for (size_t i = 0; i < in->n; i++)
        out->levels[out->n++] = in->levels[i];
    return true;
}

/* A text that a request can say: a name with a zero is nobody's. */
static char *text_of(struct slice s)
{
    return slice_find(s, '\0') >= 0 ? NULL : strndup(s.p ? s.p : "", s.n);
}

static int no_such(const struct unity *u, const char *what, struct err *err)
{
    (void)err_set(err, ENOENT, "tables are in schemas, and these in catalogs");
    return client_wrap(u->client, what, err);
}

/* Nobody vends anything for a directory. */
static bool is_local(struct slice location)
{
    return slice_starts(location, SLICE_LIT("file:")) || slice_starts(location, SLICE_LIT("/"));
}

/* ---- lists ---- */

struct listing {
    struct pages pages;
    struct unity *unity;
    const char *path, *member;
    struct http_parameter parameters[3]; /* and room for the page's */
    size_t parameters_n;
};

static int ask_page(struct pages *pages, const char *token, struct catalog_names *names,
                    struct err *err)
{
    struct listing *l = CONTAINER_OF(pages, struct listing, pages);
    AUTO(client_answer) struct client_answer answer;
    struct http_parameter parameters[ARRAY_SIZE(l->parameters)];
    size_t n = l->parameters_n;
    memcpy(parameters, l->parameters, sizeof parameters);
    if (*token)
        parameters[n++] = (struct http_parameter){"page_token", token};
    int rc = client_ask(l->unity->client,
                        &(struct client_question){.what = pages->what,
                                                  .path = l->path,
                                                  .parameters = parameters,
                                                  .parameters_n = n,
                                                  .text_max = CATALOG_PAGE_BYTES_MAX},
                        &answer, err);
    if (rc == 0 && (rc = unity_names_parse(buf_slice(&answer.text), l->member, names, err)) < 0)
        rc = client_wrap(l->unity->client, pages->what, err);
    return rc;
}

static int unity_namespaces(struct catalog *c, const struct catalog_namespace *parent,
                            catalog_emit *emit, void *arg, struct err *err)
{
    struct unity *u = unity_of(c);
    struct catalog_what what = catalog_what_of(parent, NULL);
    struct place place;
    struct listing l = {.pages = {ask_page, u->client, what.text}, .unity = u};
    if (!place_of(u, parent, &place) || place.n == 2)
        return 0;
    AUTO_FREE char *name = text_of(place.levels[0]);
    if (place.n == 0) {
        l.path = API "/catalogs";
        l.member = "catalogs";
    } else {
        if (!name)
            return no_such(u, what.text, err);
        l.path = API "/schemas";
        l.member = "schemas";
        l.parameters[l.parameters_n++] = (struct http_parameter){"catalog_name", name};
    }
    return pages_list(&l.pages, emit, arg, err);
}

static int unity_tables(struct catalog *c, const struct catalog_namespace *in, catalog_emit *emit,
                        void *arg, struct err *err)
{
    struct unity *u = unity_of(c);
    struct catalog_what what = catalog_what_of(in, NULL);
    struct place place;
    struct listing l = {.pages = {ask_page, u->client, what.text},
                        .unity = u,
                        .path = API "/tables",
                        .member = "tables"};
    if (!place_of(u, in, &place))
        return no_such(u, what.text, err);
    if (place.n < 2)
        return 0;
    AUTO_FREE char *catalog = text_of(place.levels[0]);
    AUTO_FREE char *schema = text_of(place.levels[1]);
    if (!catalog || !schema)
        return no_such(u, what.text, err);
    l.parameters[l.parameters_n++] = (struct http_parameter){"catalog_name", catalog};
    l.parameters[l.parameters_n++] = (struct http_parameter){"schema_name", schema};
    return pages_list(&l.pages, emit, arg, err);
}

/* ---- tables ---- */

static int ask_table(struct unity *u, const char *what, const struct place *place,
                     struct slice table, struct catalog_table *t, struct err *err)
{
    AUTO(client_answer) struct client_answer answer = {0};
    AUTO(buf) struct buf path = {0};
    buf_init(&path, PATH_BYTES_MAX);
    buf_add_str(&path, API "/tables/");
    for (size_t i = 0; i < place->n; i++) {
        text_percent_encode(&path, place->levels[i], "");
        buf_add_char(&path, '.');
    }
    text_percent_encode(&path, table, "");
    int rc = buf_check(&path, err);
    if (rc == 0)
        rc = client_ask(
            u->client,
            &(struct client_question){.what = what, .path = path.data, .text_max = TABLE_BYTES_MAX},
            &answer, err);
    if (rc < 0)
        return rc;
    buf_done(&t->text);
    t->text = answer.text;
    answer.text = (struct buf){0}; /* taken over */
    rc = unity_table_parse(t, err);
    return rc < 0 ? client_wrap(u->client, what, err) : 0;
}

static int ask_credentials(struct unity *u, const char *what, struct catalog_table *t,
                           struct err *err)
{
    AUTO(client_answer) struct client_answer answer = {0};
    AUTO(buf) struct buf question = {0};
    buf_init(&question, PATH_BYTES_MAX);
    buf_add_str(&question, "{\"table_id\":");
    buf_add_json(&question, t->uuid);
    buf_add_str(&question, ",\"operation\":\"READ\"}");
    int rc = buf_check(&question, err);
    if (rc == 0)
        rc = client_ask(u->client,
                        &(struct client_question){.what = what,
                                                  .path = API "/temporary-table-credentials",
                                                  .upload = buf_slice(&question),
                                                  .text_max = MIB},
                        &answer, err);
    if (rc == 0 && (rc = unity_credentials_parse(buf_slice(&answer.text), t, err)) < 0)
        rc = client_wrap(u->client, what, err);
    return rc;
}

/* The API has no ETags: a table's location stays, and its log tells what is new. */
static int unity_load(struct catalog *c, const struct catalog_namespace *in, struct slice table,
                      const char *etag, struct catalog_table **out, struct err *err)
{
    struct unity *u = unity_of(c);
    struct catalog_what what = catalog_what_of(in, &table);
    struct place place;
    (void)etag;
    if (!place_of(u, in, &place) || place.n < 2 || !table.n)
        return no_such(u, what.text, err);
    AUTO(catalog_table) struct catalog_table *t = catalog_table_new(err);
    if (!t)
        return -ENOMEM;
    int rc = ask_table(u, what.text, &place, table, t, err);
    if (rc == 0 && u->vended && !is_local(t->location))
        rc = ask_credentials(u, what.text, t, err);
    if (rc == 0)
        *out = STEAL(t);
    return rc;
}

/* ---- the catalog ---- */

static void unity_free(struct catalog *c)
{
    struct unity *u = unity_of(c);
    client_free(u->client);
    free(u->catalog.name);
    free(u->one);
    free(u);
}

static const struct catalog_ops ops = {
    .namespaces = unity_namespaces,
    .tables = unity_tables,
    .load = unity_load,
    .free = unity_free,
};

int catalog_unity_open(const struct catalog_options *o, struct http *http, struct catalog **out,
                       struct err *err)
{
    struct unity *u = calloc(1, sizeof *u);
    if (!u)
        return err_set(err, ENOMEM, "out of memory");
    AUTO(catalog) struct catalog *c = &u->catalog;
    u->catalog.ops = &ops;
    u->vended = !o->no_vended_credentials;
    int rc = client_new(o, http, &u->client, err);
    if (rc < 0)
        return err_wrap(err, "catalog %.120s", o->name ? o->name : "");
    u->catalog.name = strdup(client_name(u->client));
    u->one = o->warehouse ? strdup(o->warehouse) : NULL;
    if (!u->catalog.name || (o->warehouse && !u->one))
        return err_set(err, ENOMEM, "out of memory");
    *out = STEAL(c);
    return 0;
}
