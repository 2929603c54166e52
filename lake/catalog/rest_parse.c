/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/rest_parse.h"

#include "base/vec.h"
#include "lake/catalog/pairs.h"
#include "lake/catalog/restrictions.h"

#define CREDENTIALS_MAX ((size_t)1024)
#define CREDENTIALS_ENDPOINT "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials"

/* ---- configuration ---- */

static bool read_endpoints(struct json *j, struct rest_config *out)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice endpoint;
    buf_init(&scratch, 4 * KIB);
    if (json_null(j))
        return true;
    bool ok = json_enter_array(j);
    while (ok && json_next_element(j)) {
        ok = json_string(j, &scratch, &endpoint);
        out->has_credentials =
            out->has_credentials || (ok && slice_is(endpoint, CREDENTIALS_ENDPOINT));
    }
    return ok;
}

static struct slice choose(const struct catalog_pairs *first, const struct catalog_pairs *then,
                           const char *key)
{
    const struct slice *value = catalog_find(first->at, first->n, key);
    if (!value && then)
        value = catalog_find(then->at, then->n, key);
    return value ? *value : SLICE_NONE;
}

int rest_config_parse(struct slice json, struct arena *arena, struct rest_config *out,
                      struct err *err)
{
    struct rest_config config = {0};
    struct catalog_pairs defaults = {0}, overrides = {0};
    struct json j;
    struct slice key;
    json_init(&j, json);
    bool ok = json_enter_object(&j);
    while (ok && json_next_key(&j, &key)) {
        if (slice_is(key, "defaults"))
            ok = catalog_read_pairs(&j, arena, &defaults);
        else if (slice_is(key, "overrides"))
            ok = catalog_read_pairs(&j, arena, &overrides);
        else if (slice_is(key, "endpoints"))
            ok = read_endpoints(&j, &config);
        else
            ok = json_skip(&j, NULL);
    }
    if (!ok || !json_at_end(&j))
        return catalog_read_failed(&j, arena, "the catalog's configuration", err);
    config.prefix = choose(&overrides, &defaults, "prefix");
    config.uri = choose(&overrides, NULL, "uri");
    config.separator = choose(&overrides, &defaults, "namespace-separator");
    *out = config;
    return 0;
}

/* ---- names ---- */

/* An array of levels: it begins as `parent`, and the last of one level more is *name. */
static bool read_levels(struct json *j, struct arena *a, const struct catalog_namespace *parent,
                        struct slice *name, size_t *levels)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice level;
    size_t n = 0;
    bool ok = json_enter_array(j);
    buf_init(&scratch, 64 * KIB);
    while (ok && json_next_element(j)) {
        if (n < parent->n) {
            ok = json_string(j, &scratch, &level) && slice_eq(level, parent->levels[n]);
        } else {
            ok = catalog_read_text(j, a, &level) && level.p;
            *name = level;
        }
        n++;
    }
    *levels = n;
    return ok && !json_failed(j);
}

struct page {
    struct json j;
    const struct catalog_namespace *in;
    struct catalog_names *out;
    VEC(struct slice) names;
};

static bool read_namespace(struct page *p)
{
    struct slice name = SLICE_NONE;
    size_t levels = 0;
    return read_levels(&p->j, &p->out->arena, p->in, &name, &levels) && levels == p->in->n + 1 &&
           vec_push(&p->names, name) == 0;
}

/* TableIdentifier: {"namespace": [...], "name": "..."}. */
static bool read_identifier(struct page *p)
{
    struct slice key, name = SLICE_NONE, deeper;
    size_t levels = 0;
    bool ok = json_enter_object(&p->j);
    while (ok && json_next_key(&p->j, &key)) {
        if (slice_is(key, "namespace"))
            ok = read_levels(&p->j, &p->out->arena, p->in, &deeper, &levels) && levels == p->in->n;
        else if (slice_is(key, "name"))
            ok = catalog_read_text(&p->j, &p->out->arena, &name) && name.p;
        else
            ok = json_skip(&p->j, NULL);
    }
    return ok && !json_failed(&p->j) && name.p && vec_push(&p->names, name) == 0;
}

static bool read_array(struct page *p, bool (*read)(struct page *p))
{
    bool ok = json_enter_array(&p->j);
    while (ok && json_next_element(&p->j))
        ok = read(p);
    return ok && !json_failed(&p->j);
}

static int parse_page(struct slice json, const char *member, bool (*read)(struct page *p),
                      struct page *p, struct err *err)
{
    struct slice key;
    bool found = false;
    json_init(&p->j, json);
    bool ok = json_enter_object(&p->j);
    while (ok && json_next_key(&p->j, &key)) {
        if (slice_is(key, member))
            ok = found = read_array(p, read);
        else if (slice_is(key, "next-page-token"))
            ok = catalog_read_text(&p->j, &p->out->arena, &p->out->next);
        else
            ok = json_skip(&p->j, NULL);
    }
    p->out->at = p->names.at; /* taken over, also where it failed */
    p->out->n = p->names.n;
    if (!ok || !found || !json_at_end(&p->j))
        return catalog_read_failed(&p->j, &p->out->arena, "a list of names", err);
    return 0;
}

int rest_namespaces_parse(struct slice json, const struct catalog_namespace *parent,
                          struct catalog_names *out, struct err *err)
{
    struct page p = {.in = parent, .out = out, .names = VEC_MAX(CATALOG_NAMES_MAX)};
    return parse_page(json, "namespaces", read_namespace, &p, err);
}

int rest_tables_parse(struct slice json, const struct catalog_namespace *in,
                      struct catalog_names *out, struct err *err)
{
    struct page p = {.in = in, .out = out, .names = VEC_MAX(CATALOG_NAMES_MAX)};
    return parse_page(json, "identifiers", read_identifier, &p, err);
}

/* ---- a table ---- */

static bool read_credential(struct json *j, struct arena *a, struct catalog_credential *out)
{
    struct slice key;
    struct catalog_pairs config = {0};
    bool has_prefix = false, has_config = false, ok = json_enter_object(j);
    *out = (struct catalog_credential){0};
    while (ok && json_next_key(j, &key)) {
        if (slice_is(key, "prefix"))
            ok = has_prefix = catalog_read_text(j, a, &out->prefix) && out->prefix.p;
        else if (slice_is(key, "config"))
            ok = has_config = catalog_read_pairs(j, a, &config);
        else
            ok = json_skip(j, NULL);
    }
    out->config = config.at;
    out->config_n = config.n;
    return ok && !json_failed(j) && has_prefix && has_config;
}

static bool read_credentials(struct json *j, struct catalog_table *t)
{
    VEC(struct catalog_credential) all = VEC_MAX(CREDENTIALS_MAX);
    if (json_null(j))
        return true;
    bool ok = json_enter_array(j);
    while (ok && json_next_element(j)) {
        struct catalog_credential one;
        ok = read_credential(j, &t->arena, &one) && vec_push(&all, one) == 0;
    }
    ok = ok && !json_failed(j);
    struct catalog_credential *at = ok && all.n ? arena_calloc(&t->arena, all.n, sizeof *at) : NULL;
    if (at)
        memcpy(at, all.at, all.n * sizeof *at);
    ok = ok && (at || !all.n);
    if (ok) {
        t->credentials = at;
        t->credentials_n = all.n;
    }
    vec_done(&all);
    return ok;
}

/* What of the metadata is asked for before anybody reads it as a whole. */
static bool read_metadata(struct json *j, struct catalog_table *t)
{
    struct slice key, raw;
    if (json_peek(j) != JSON_OBJECT || !json_skip(j, &raw))
        return false;
    struct json inner;
    json_init(&inner, raw);
    bool ok = json_enter_object(&inner);
    while (ok && json_next_key(&inner, &key)) {
        if (slice_is(key, "location"))
            ok = catalog_read_text(&inner, &t->arena, &t->location);
        else if (slice_is(key, "table-uuid"))
            ok = catalog_read_text(&inner, &t->arena, &t->uuid);
        else
            ok = json_skip(&inner, NULL);
    }
    t->metadata = raw;
    return ok && !json_failed(&inner);
}

struct table_members {
    struct slice restrictions;
    bool is_restricted;
};

static bool read_table_member(struct json *j, struct slice key, struct catalog_table *t,
                              struct table_members *m)
{
    struct catalog_pairs config = {0};
    if (slice_is(key, "metadata"))
        return read_metadata(j, t);
    if (slice_is(key, "metadata-location"))
        return catalog_read_text(j, &t->arena, &t->metadata_location);
    if (slice_is(key, "storage-credentials"))
        return read_credentials(j, t);
    if (slice_is(key, "config")) {
        bool ok = catalog_read_pairs(j, &t->arena, &config);
        t->config = config.at;
        t->config_n = config.n;
        return ok;
    }
    if (!slice_is(key, "read-restrictions"))
        return json_skip(j, NULL);
    if (m->is_restricted) /* of two, which counts? */
        return false;
    m->is_restricted = true;
    return json_skip(j, &m->restrictions);
}

/* What the table's configuration asks for that is not done here. */
static int check_config(const struct catalog_table *t, struct err *err)
{
    const struct slice *mode = catalog_find(t->config, t->config_n, "scan-planning-mode");
    if (mode && !slice_is(*mode, "client"))
        return err_set(err, EOPNOTSUPP,
                       "the catalog wants scans to be planned by itself (scan-planning-mode "
                       "%.*s): files are listed from manifests here",
                       (int)(mode->n < 40 ? mode->n : 40), mode->p);
    return 0;
}

int rest_table_parse(struct catalog_table *t, struct err *err)
{
    struct table_members m = {0};
    struct json j;
    struct slice key;
    t->format = CATALOG_ICEBERG;
    json_init(&j, buf_slice(&t->text));
    bool ok = json_enter_object(&j);
    while (ok && json_next_key(&j, &key))
        ok = read_table_member(&j, key, t, &m);
    if (!ok || !json_at_end(&j))
        return catalog_read_failed(&j, &t->arena, "the catalog's answer", err);
    if (!t->metadata.n || !t->location.n)
        return err_set(err, EIO, "the catalog's answer has no metadata with a location");
    int rc = check_config(t, err);
    if (rc == 0 && m.is_restricted)
        rc = restrictions_parse(m.restrictions, &t->arena, &t->restrictions, err);
    return rc;
}

int rest_credentials_parse(struct catalog_table *t, struct err *err)
{
    struct json j;
    struct slice key;
    bool found = false;
    t->format = CATALOG_ICEBERG;
    json_init(&j, buf_slice(&t->text));
    bool ok = json_enter_object(&j);
    while (ok && json_next_key(&j, &key)) {
        if (slice_is(key, "storage-credentials"))
            ok = found = read_credentials(&j, t);
        else
            ok = json_skip(&j, NULL);
    }
    if (!ok || !found || !json_at_end(&j))
        return catalog_read_failed(&j, &t->arena, "the catalog's credentials", err);
    return 0;
}
