/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/catalog_show.h"

#include <stdio.h>

#include "base/instant.h"
#include "lake/catalog/access.h"
#include "lake/catalog/restrictions.h"

/* Of all others the value may be a secret. */
static bool is_public(struct slice key)
{
    static const char *const ends[] = {".region",        "-expires-at-ms",  "-expires-at",
                                       ".endpoint",      "-access-enabled", "path-style-access",
                                       "-planning-mode", "-signing-enabled"};
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        if (slice_ends(key, slice_of(ends[i])))
            return true;
    return slice_starts(key, SLICE_LIT("adls.sas-token-expires-at-ms."));
}

static void show(const char *name, struct slice value)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 64 * KIB);
    for (size_t i = 0; i < value.n && i < 4 * KIB; i++)
        buf_add_char(&text,
                     (unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f ? '?' : value.p[i]);
    printf("%s: %s\n", name, text.data ? text.data : "");
}

static void show_pairs(const char *name, const struct catalog_pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        AUTO(buf) struct buf text = {0};
        buf_init(&text, 256 * KIB);
        buf_add_slice(&text, pairs[i].key);
        buf_add_str(&text, " = ");
        buf_add_slice(&text, is_public(pairs[i].key) ? pairs[i].value : SLICE_LIT("(not shown)"));
        show(name, buf_slice(&text));
    }
}

/* ---- restrictions ---- */

static const char *const operators[] = {
    [PREDICATE_IS_NULL] = "is null",
    [PREDICATE_NOT_NULL] = "is not null",
    [PREDICATE_IS_NAN] = "is nan",
    [PREDICATE_NOT_NAN] = "is not nan",
    [PREDICATE_LESS] = "<",
    [PREDICATE_LESS_EQUAL] = "<=",
    [PREDICATE_GREATER] = ">",
    [PREDICATE_GREATER_EQUAL] = ">=",
    [PREDICATE_EQUAL] = "=",
    [PREDICATE_NOT_EQUAL] = "!=",
    [PREDICATE_STARTS_WITH] = "starts with",
    [PREDICATE_NOT_STARTS_WITH] = "does not start with",
    [PREDICATE_IN] = "in",
    [PREDICATE_NOT_IN] = "not in",
};

static void add_predicate(struct buf *out, const struct predicate *p);

static void add_two(struct buf *out, const struct predicate *p, const char *between)
{
    buf_add_char(out, '(');
    add_predicate(out, p->left);
    buf_add_str(out, between);
    add_predicate(out, p->right);
    buf_add_char(out, ')');
}

static void add_test(struct buf *out, const struct predicate *p)
{
    buf_addf(out, "field %d %s", (int)p->field_id, operators[p->kind]);
    for (size_t i = 0; i < p->literals_n; i++) {
        buf_add_str(out, i ? ", " : " ");
        if (p->literals[i].kind == LITERAL_STRING)
            buf_add_json(out, p->literals[i].text);
        else
            buf_add_slice(out, p->literals[i].text);
    }
}

/* As deep as the parser lets it be. */
static void add_predicate(struct buf *out, const struct predicate *p)
{
    if (p->kind == PREDICATE_TRUE || p->kind == PREDICATE_FALSE) {
        buf_add_str(out, p->kind == PREDICATE_TRUE ? "true" : "false");
    } else if (p->kind == PREDICATE_NOT) {
        buf_add_str(out, "not ");
        add_predicate(out, p->left);
    } else if (p->kind == PREDICATE_AND || p->kind == PREDICATE_OR) {
        add_two(out, p, p->kind == PREDICATE_AND ? " and " : " or ");
    } else {
        add_test(out, p);
    }
}

static void show_restrictions(const struct restrictions *r)
{
    AUTO(buf) struct buf filter = {0};
    buf_init(&filter, MIB);
    for (size_t i = 0; i < r->columns_n; i++)
        printf("column: field %d %s\n", (int)r->columns[i].field_id,
               restriction_action_names[r->columns[i].action]);
    if (!r->filter)
        return;
    add_predicate(&filter, r->filter);
    show("rows", buf_slice(&filter));
}

/* ---- the table ---- */

static void show_end(int64_t ends_ms)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 64);
    if (!ends_ms)
        return;
    instant_format(&text, ends_ms);
    show("credentials until", buf_slice(&text));
}

void catalog_show(const struct catalog_table *t)
{
    struct catalog_access access;
    show("format", t->format == CATALOG_DELTA ? SLICE_LIT("delta") : SLICE_LIT("iceberg"));
    show("location", t->location);
    if (t->metadata_location.n)
        show("metadata file", t->metadata_location);
    if (t->metadata.n)
        printf("metadata: %zu bytes\n", t->metadata.n);
    if (t->uuid.n)
        show("uuid", t->uuid);
    if (t->etag.n)
        show("etag", t->etag);
    show_pairs("config", t->config, t->config_n);
    for (size_t i = 0; i < t->credentials_n; i++) {
        show("credentials for", t->credentials[i].prefix);
        show_pairs("    ", t->credentials[i].config, t->credentials[i].config_n);
    }
    if (t->location.n)
        printf("credentials of the location: %s\n",
               catalog_access_of(t, t->location, &access) ? "vended" : "none are vended");
    show_end(catalog_access_ends(t));
    if (t->restrictions)
        show_restrictions(t->restrictions);
}
