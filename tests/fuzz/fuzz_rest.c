/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of a catalog that mean harm: taken as a whole or refused, never a crash. The first byte
 * says which answer it is.
 */
#include <assert.h>

#include "lake/catalog/access.h"
#include "lake/catalog/problem.h"
#include "lake/catalog/rest_parse.h"
#include "lake/catalog/restrictions.h"
#include "lake/catalog/unity_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_predicate(const struct predicate *p)
{
    bool two = p->kind == PREDICATE_AND || p->kind == PREDICATE_OR;
    assert((two || p->kind == PREDICATE_NOT) == (p->left != NULL) && two == (p->right != NULL));
    bool compares = p->kind >= PREDICATE_LESS && p->kind <= PREDICATE_NOT_STARTS_WITH;
    assert(!compares || p->literals_n == 1);
    assert(p->field_id >= 0);
    for (size_t i = 0; i < p->literals_n; i++)
        assert(p->literals[i].text.p);
    if (p->left)
        check_predicate(p->left);
    if (p->right)
        check_predicate(p->right);
}

static void check_restrictions(const struct restrictions *r)
{
    assert(r->columns_n || r->filter);
    for (size_t i = 1; i < r->columns_n; i++)
        assert(r->columns[i - 1].field_id < r->columns[i].field_id);
    if (r->filter)
        check_predicate(r->filter);
}

static void check_table(struct catalog_table *t)
{
    static const char *const locations[] = {"s3://b/t/x", "gs://b/t/x", "file:///x",
                                            "abfss://c@acc.dfs.core.windows.net/t/x"};
    struct catalog_access access;
    struct store_options options = {0};
    for (size_t i = 0; i < ARRAY_SIZE(locations); i++) {
        int there = catalog_access_of(t, slice_of(locations[i]), &access);
        assert(!there || access.access_key_id || access.gcs_token || access.azure_sas_token ||
               access.azure_token);
        assert(access.expires_ms >= 0);
        catalog_access_options(&access, &options);
    }
    assert(catalog_access_ends(t) >= 0);
    if (t->restrictions)
        check_restrictions(t->restrictions);
}

static void fuzz_names(char which, struct slice text)
{
    const struct slice level = SLICE_LIT("a");
    const struct catalog_namespace root = {NULL, 0}, in = {&level, 1};
    struct err err = ERR_INIT;
    AUTO(catalog_names) struct catalog_names names;
    catalog_names_init(&names);
    int rc = which == 'n'   ? rest_namespaces_parse(text, &root, &names, &err)
             : which == 'm' ? rest_namespaces_parse(text, &in, &names, &err)
             : which == 't' ? rest_tables_parse(text, &in, &names, &err)
                            : unity_names_parse(text, "tables", &names, &err);
    assert(rc == -err.code);
    for (size_t i = 0; i < names.n; i++)
        assert(names.at[i].p && names.at[i].p[names.at[i].n] == '\0');
}

static void fuzz_table(char which, struct slice text)
{
    struct err err = ERR_INIT;
    AUTO(catalog_table) struct catalog_table *t = catalog_table_new(NULL);
    assert(t);
    buf_add_slice(&t->text, text);
    t->location = SLICE_LIT("s3://b/t");
    int rc = which == 'l'   ? rest_table_parse(t, &err)
             : which == 'c' ? rest_credentials_parse(t, &err)
             : which == 'u' ? unity_table_parse(t, &err)
                            : unity_credentials_parse(text, t, &err);
    assert(rc == -err.code);
    if (rc == 0)
        check_table(t);
}

static void fuzz_rest_of(char which, struct slice text)
{
    struct err err = ERR_INIT;
    AUTO(arena) struct arena arena;
    arena_init(&arena, CATALOG_TABLE_MEMORY_MAX);
    if (which == 'r') {
        const struct restrictions *r = NULL;
        int rc = restrictions_parse(text, &arena, &r, &err);
        assert(rc == -err.code && (rc == 0 || !r));
        if (r)
            check_restrictions(r);
    } else if (which == 'f') {
        struct rest_config config;
        assert(rest_config_parse(text, &arena, &config, &err) == -err.code);
    } else {
        struct catalog_problem p;
        catalog_problem_parse(text, &p);
        for (const char *c = p.message; *c; c++)
            assert(*c >= ' ' && *c < 0x7f);
        assert(strlen(p.type) < sizeof p.type && strlen(p.message) < sizeof p.message);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct slice text = slice_make(data + 1, size - 1);
    char which = (char)data[0];
    if (strchr("nmts", which) && which)
        fuzz_names(which, text);
    else if (strchr("lcux", which) && which)
        fuzz_table(which, text);
    else
        fuzz_rest_of(which, text);
    return 0;
}
