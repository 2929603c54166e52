/* SPDX-License-Identifier: Apache-2.0 */
/* Layers whose tables somebody else knows: `catalog` and `tables` of a lake file. */
#include <stddef.h>

#include "base/limits.h"
#include "base/text.h"
#include "lake/catalog/sql_uri.h"
#include "lake/lakefile_private.h"

static struct lakefile_catalog *catalog_of(void *out)
{
    return out;
}

static int parse_type(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    static const struct {
        const char *name;
        enum lakefile_catalog_kind kind;
    } kinds[] = {{"rest", LAKEFILE_CATALOG_REST},
                 {"glue", LAKEFILE_CATALOG_GLUE},
                 {"unity", LAKEFILE_CATALOG_UNITY},
                 {"sql", LAKEFILE_CATALOG_SQL}};
    for (size_t i = 0; node->kind == YAML_STRING && i < ARRAY_SIZE(kinds); i++)
        if (slice_is(node->text, kinds[i].name)) {
            catalog_of(out)->kind = kinds[i].kind;
            return 0;
        }
    return wrong(p, node->place, "a catalog's type is rest, glue, unity or sql");
}

static const struct {
    const char *key;
    size_t offset;
} texts[] = {
    {"uri", offsetof(struct lakefile_catalog, uri)},
    {"warehouse", offsetof(struct lakefile_catalog, warehouse)},
    {"prefix", offsetof(struct lakefile_catalog, prefix)},
    {"name", offsetof(struct lakefile_catalog, name)},
    {"token-file", offsetof(struct lakefile_catalog, token_file)},
    {"credential-file", offsetof(struct lakefile_catalog, credential_file)},
    {"oauth2-server-uri", offsetof(struct lakefile_catalog, oauth2_server_uri)},
    {"scope", offsetof(struct lakefile_catalog, scope)},
    {"audience", offsetof(struct lakefile_catalog, audience)},
    {"resource", offsetof(struct lakefile_catalog, resource)},
    {"signing-name", offsetof(struct lakefile_catalog, signing_name)},
    {"signing-region", offsetof(struct lakefile_catalog, signing_region)},
};

/* The field that a key means, which is one of `texts`. */
static const char **field_of(struct lakefile_catalog *c, const struct yaml_node *node)
{
    size_t i = 0;
    while (!slice_is(node->key, texts[i].key))
        i++;
    return (const char **)(void *)((char *)c + texts[i].offset);
}

static int parse_catalog_text(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    return lakefile_text(p, node, node->key.p, field_of(out, node));
}

static int parse_catalog_path(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    return lakefile_path(p, node, field_of(out, node));
}

static int check_http(struct lakefile_parser *p, const struct yaml_node *node)
{
    static const struct slice schemes[] = {SLICE_LIT("http://"), SLICE_LIT("https://")};
    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
        if (!slice_starts(node->text, schemes[i]))
            continue;
        struct slice rest = slice_from(node->text, schemes[i].n);
        for (size_t at = 0; at < rest.n; at++)
            if (strchr("@?# ", rest.p[at]))
                return wrong(p, node->place, "%.*s has no @, no ?, no # and no space",
                             CUT(node->key));
        if (rest.n && rest.p[0] != '/' && node->text.n <= URL_BYTES_MAX)
            return 0;
    }
    return wrong(p, node->place, "%.*s begins with https:// or http:// and names a server",
                 CUT(node->key));
}

static int parse_server(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    int rc = parse_catalog_text(p, node, out);
    return rc < 0 ? rc : check_http(p, node);
}

static int parse_auth(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    static const char *const names[] = {"none", "bearer", "oauth2", "sigv4"};
    for (size_t i = 0; node->kind == YAML_STRING && i < ARRAY_SIZE(names); i++)
        if (slice_is(node->text, names[i])) {
            catalog_of(out)->auth = names[i];
            return 0;
        }
    return wrong(p, node->place, "auth is none, bearer, oauth2 or sigv4");
}

static int parse_vended(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    bool vended;
    int rc = lakefile_flag(p, node, &vended);
    if (rc == 0)
        catalog_of(out)->own_credentials = !vended;
    return rc;
}

/* What the type of a catalog makes of its URI, which is known when all keys are read. */
static int check_uri(struct lakefile_parser *p, const struct yaml_node *node,
                     const struct lakefile_catalog *c)
{
    for (const struct yaml_node *i = node->first; i; i = i->next) {
        struct sql_uri uri;
        if (!slice_is(i->key, "uri"))
            continue;
        if (c->kind != LAKEFILE_CATALOG_SQL)
            return check_http(p, i);
        return sql_uri_parse(i->text, &uri, p->err) < 0 ? yaml_wrap(p->err, p->file->name, i->place)
                                                        : 0;
    }
    return c->kind == LAKEFILE_CATALOG_GLUE ? 0 : wrong(p, node->place, "a catalog lacks \"uri\"");
}

static int check_catalog(struct lakefile_parser *p, const struct yaml_node *node,
                         const struct lakefile_catalog *c)
{
    static const char *const of_sql[] = {"type", "uri", "warehouse", "name", "credential-file"};
    if (!c->kind)
        return wrong(p, node->place, "a catalog lacks \"type\"");
    for (const struct yaml_node *i = node->first; i; i = i->next) {
        size_t row = 0;
        while (row < ARRAY_SIZE(of_sql) && !slice_is(i->key, of_sql[row]))
            row++;
        if (c->kind == LAKEFILE_CATALOG_SQL && row == ARRAY_SIZE(of_sql))
            return wrong(p, i->key_place, "%.*s is of no sql catalog", CUT(i->key));
        if (c->kind != LAKEFILE_CATALOG_SQL && slice_is(i->key, "name"))
            return wrong(p, i->key_place, "name is of sql catalogs alone");
    }
    return check_uri(p, node, c);
}

int lakefile_parse_catalog(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    static const struct lakefile_member rows[] = {{"type", parse_type},
                                                  {"uri", parse_catalog_text},
                                                  {"warehouse", parse_catalog_text},
                                                  {"prefix", parse_catalog_text},
                                                  {"name", parse_catalog_text},
                                                  {"auth", parse_auth},
                                                  {"token-file", parse_catalog_path},
                                                  {"credential-file", parse_catalog_path},
                                                  {"oauth2-server-uri", parse_server},
                                                  {"scope", parse_catalog_text},
                                                  {"audience", parse_catalog_text},
                                                  {"resource", parse_catalog_text},
                                                  {"signing-name", parse_catalog_text},
                                                  {"signing-region", parse_catalog_text},
                                                  {"vended-credentials", parse_vended}};
    struct lakefile_layer *layer = out;
    if (layer->catalog.kind)
        return wrong(p, node->key_place, "a layer has \"catalog\" or \"tables\"");
    layer->catalog.place = node->key_place;
    int rc = lakefile_members(p, node, "a catalog", rows, ARRAY_SIZE(rows), &layer->catalog);
    return rc < 0 ? rc : check_catalog(p, node, &layer->catalog);
}

/* `tables` */

/* s3://bucket/orders/metadata/00003-....metadata.json: the table is what is above `metadata`. */
static bool is_metadata_file(struct slice url)
{
    ptrdiff_t slash = slice_rfind(url, '/');
    struct slice name = slice_from(url, (size_t)(slash + 1));
    struct slice dir = slice_make(url.p, slash < 0 ? 0 : (size_t)slash);
    return slice_ends(dir, SLICE_LIT("/metadata")) &&
           (slice_ends(name, SLICE_LIT(".metadata.json")) ||
            slice_ends(name, SLICE_LIT(".metadata.json.gz")) ||
            slice_ends(name, SLICE_LIT(".metadata.json.zst")));
}

static int parse_table(struct lakefile_parser *p, const struct yaml_node *node,
                       struct lakefile_table *table)
{
    table->name = node->key.p;
    table->place = node->place;
    int rc = lakefile_name(p, node, "a table");
    if (rc == 0)
        rc = lakefile_url(p, node, &table->url);
    if (rc == 0 && !is_metadata_file(node->text))
        rc = wrong(p, node->place,
                   "a table is told by its metadata file, such as "
                   "s3://bucket/orders/metadata/v3.metadata.json");
    return rc;
}

int lakefile_parse_tables(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile_layer *layer = out;
    if (layer->catalog.kind)
        return wrong(p, node->key_place, "a layer has \"catalog\" or \"tables\"");
    struct lakefile_table *at = lakefile_allocate(
        p, node, YAML_MAP, SIZE_MAX, "tables are a map of names to metadata files", sizeof *at);
    int rc = at ? 0 : -p->err->code;
    layer->catalog.kind = LAKEFILE_CATALOG_TABLES;
    layer->catalog.place = node->key_place;
    layer->tables = at;
    for (const struct yaml_node *i = node->first; rc == 0 && i; i = i->next)
        rc = parse_table(p, i, &at[layer->tables_n++]);
    return rc;
}
