/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/unity_parse.h"

#include <inttypes.h>

#include "base/vec.h"
#include "lake/catalog/pairs.h"

/* What of a TableInfo counts here; borrowed from an arena. */
struct info {
    struct slice name, type, format, location, id;
    struct slice policy; /* the member that tells of one */
};

static bool is_view(const struct info *i)
{
    return slice_is(i->type, "VIEW") || slice_is(i->type, "MATERIALIZED_VIEW") ||
           slice_is(i->type, "METRIC_VIEW");
}

/* A row filter or a column mask that is there: `null` and `[]` are none. */
static bool read_policy(struct json *j, struct slice key, struct info *out)
{
    struct slice raw;
    if (!json_skip(j, &raw))
        return false;
    if (!slice_is(raw, "null") && !slice_is(raw, "[]") && !slice_is(raw, "{}"))
        out->policy = key;
    return true;
}

/* ColumnInfo has `mask` where Databricks masks it. */
static bool read_columns(struct json *j, struct info *out)
{
    struct slice key;
    if (json_null(j))
        return true;
    bool ok = json_enter_array(j);
    while (ok && json_next_element(j)) {
        ok = json_enter_object(j);
        while (ok && json_next_key(j, &key))
            ok =
                slice_is(key, "mask") ? read_policy(j, SLICE_LIT("mask"), out) : json_skip(j, NULL);
    }
    return ok && !json_failed(j);
}

static bool read_info(struct json *j, struct arena *a, struct info *out)
{
    const struct {
        const char *name;
        struct slice *to;
    } known[] = {{"name", &out->name},
                 {"table_type", &out->type},
                 {"data_source_format", &out->format},
                 {"storage_location", &out->location},
                 {"table_id", &out->id}};
    struct slice key;
    *out = (struct info){0};
    bool ok = json_enter_object(j);
    while (ok && json_next_key(j, &key)) {
        struct slice *to = NULL;
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
            if (slice_is(key, known[i].name))
                to = known[i].to;
        if (to)
            ok = catalog_read_text(j, a, to);
        else if (slice_is(key, "row_filter"))
            ok = read_policy(j, SLICE_LIT("row_filter"), out);
        else if (slice_is(key, "columns"))
            ok = read_columns(j, out);
        else
            ok = json_skip(j, NULL);
    }
    return ok && !json_failed(j);
}

struct page {
    struct json j;
    struct catalog_names *out;
    VEC(struct slice) names;
};

static bool read_names(struct page *p)
{
    bool ok = json_null(&p->j);
    if (ok) /* none is left out */
        return true;
    ok = json_enter_array(&p->j);
    while (ok && json_next_element(&p->j)) {
        struct info info;
        ok = read_info(&p->j, &p->out->arena, &info) && info.name.n;
        if (ok && !is_view(&info))
            ok = !vec_push(&p->names, info.name);
    }
    return ok && !json_failed(&p->j);
}

int unity_names_parse(struct slice json, const char *member, struct catalog_names *out,
                      struct err *err)
{
    struct page p = {.out = out, .names = VEC_MAX(CATALOG_NAMES_MAX)};
    struct slice key;
    json_init(&p.j, json);
    bool ok = json_enter_object(&p.j);
    while (ok && json_next_key(&p.j, &key)) {
        if (slice_is(key, member))
            ok = read_names(&p);
        else if (slice_is(key, "next_page_token"))
            ok = catalog_read_text(&p.j, &out->arena, &out->next);
        else
            ok = json_skip(&p.j, NULL);
    }
    out->at = p.names.at; /* taken over, also where it failed */
    out->n = p.names.n;
    if (!ok || !json_at_end(&p.j))
        return catalog_read_failed(&p.j, &out->arena, "a list of names", err);
    return 0;
}

int unity_table_parse(struct catalog_table *t, struct err *err)
{
    struct info info;
    struct json j;
    t->format = CATALOG_DELTA;
    json_init(&j, buf_slice(&t->text));
    if (!read_info(&j, &t->arena, &info) || !json_at_end(&j))
        return catalog_read_failed(&j, &t->arena, "the catalog's answer", err);
    if (is_view(&info))
        return err_set(err, EOPNOTSUPP, "it is a view, which has no files");
    if (!slice_is(info.format, "DELTA"))
        return err_set(err, EOPNOTSUPP,
                       "its format is %.*s: of Unity Catalog's own API only Delta "
                       "tables are read%s",
                       (int)(info.format.n < 40 ? info.format.n : 40),
                       info.format.n ? info.format.p : "",
                       slice_is(info.format, "ICEBERG") ? ", Iceberg's by its REST face" : "");
    if (info.policy.n)
        return err_set(err, EOPNOTSUPP,
                       "the catalog has a policy for it (%.*s) that only its own engines know",
                       SLICE_FMT(info.policy));
    if (!info.location.n || !info.id.n)
        return err_set(err, EIO, "the catalog's answer has no location, or no id");
    t->location = info.location;
    t->uuid = info.id;
    return 0;
}

/* ---- credentials ---- */

#define PAIRS 4

struct vended {
    struct arena *arena;
    struct catalog_pair pairs[PAIRS];
    size_t n;
    const char *ends; /* the key of their end */
    int64_t expires_ms;
};

struct member {
    const char *name, *key;
};

/* An object of texts, each under another name. */
static bool read_secrets(struct json *j, struct vended *v, const struct member *members, size_t n,
                         const char *ends)
{
    struct slice key, value;
    if (json_null(j))
        return true;
    bool ok = v->n == 0 && json_enter_object(j);
    while (ok && json_next_key(j, &key)) {
        const char *to = NULL;
        for (size_t i = 0; i < n; i++)
            if (slice_is(key, members[i].name))
                to = members[i].key;
        if (!to) {
            ok = json_skip(j, NULL);
            continue;
        }
        ok = v->n + 1 < PAIRS && catalog_read_text(j, v->arena, &value);
        if (ok && value.n)
            v->pairs[v->n++] = (struct catalog_pair){slice_of(to), value};
    }
    v->ends = ends;
    return ok && !json_failed(j);
}

static bool read_member(struct json *j, struct slice key, struct vended *v)
{
    static const struct member aws[] = {{"access_key_id", "s3.access-key-id"},
                                        {"secret_access_key", "s3.secret-access-key"},
                                        {"session_token", "s3.session-token"}};
    static const struct member azure[] = {{"sas_token", "adls.sas-token"}};
    static const struct member google[] = {{"oauth_token", "gcs.oauth2.token"}};
    if (slice_is(key, "aws_temp_credentials"))
        return read_secrets(j, v, aws, ARRAY_SIZE(aws), "s3.session-token-expires-at-ms");
    if (slice_is(key, "azure_user_delegation_sas"))
        return read_secrets(j, v, azure, ARRAY_SIZE(azure), "adls.sas-token-expires-at-ms");
    if (slice_is(key, "gcp_oauth_token"))
        return read_secrets(j, v, google, ARRAY_SIZE(google), "gcs.oauth2.token-expires-at");
    if (slice_is(key, "expiration_time") && !json_null(j))
        return json_int64(j, &v->expires_ms);
    return slice_is(key, "expiration_time") || json_skip(j, NULL);
}

static int add_end(struct vended *v, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 32);
    if (v->expires_ms <= 0)
        return 0;
    buf_addf(&text, "%" PRId64, v->expires_ms);
    struct slice copy = arena_slice(v->arena, buf_slice(&text));
    if (!copy.p)
        return arena_failed(v->arena, "the catalog's credentials", err);
    v->pairs[v->n++] = (struct catalog_pair){slice_of(v->ends), copy};
    return 0;
}

int unity_credentials_parse(struct slice json, struct catalog_table *t, struct err *err)
{
    struct vended v = {.arena = &t->arena};
    struct json j;
    struct slice key;
    json_init(&j, json);
    bool ok = json_enter_object(&j);
    while (ok && json_next_key(&j, &key))
        ok = read_member(&j, key, &v);
    if (!ok || !json_at_end(&j))
        return catalog_read_failed(&j, &t->arena, "the catalog's credentials", err);
    if (!v.n) /* of a store that needs none: a local one */
        return 0;
    int rc = add_end(&v, err);
    if (rc < 0)
        return rc;
    struct catalog_pair *pairs = arena_calloc(&t->arena, v.n, sizeof *pairs);
    struct catalog_credential *one = arena_calloc(&t->arena, 1, sizeof *one);
    if (!pairs || !one)
        return arena_failed(&t->arena, "the catalog's credentials", err);
    memcpy(pairs, v.pairs, v.n * sizeof *pairs);
    *one = (struct catalog_credential){t->location, pairs, v.n};
    t->credentials = one;
    t->credentials_n = 1;
    return 0;
}
