/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: a lake file. Property: what is none leaves nothing behind and says where it is wrong; what
 * is one keeps what its header promises: layers with names and URLs that a store can be opened
 * with, moves in order, times that do not overflow.
 */
#include <assert.h>

#include "base/limits.h"
#include "cache/store/url.h"
#include "lake/catalog/sql_uri.h"
#include "lake/lakefile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_store(const struct lakefile_store *s)
{
    AUTO(url) struct url url = {0};
    assert(s->url && s->place.line && url_parse(slice_of(s->url), &url, NULL) == 0);
    for (size_t i = 0; i < s->options_n; i++)
        assert(*s->options[i].name && (!s->options[i].value || *s->options[i].value));
}

/* What a catalog can be opened with. */
static void check_catalog(const struct lakefile_layer *layer)
{
    const struct lakefile_catalog *c = &layer->catalog;
    struct sql_uri uri;
    assert(!layer->store.url && c->place.line && !layer->near.url && !layer->prices.n);
    assert(c->uri || c->kind == LAKEFILE_CATALOG_GLUE || c->kind == LAKEFILE_CATALOG_TABLES);
    assert((c->kind == LAKEFILE_CATALOG_TABLES) == (layer->tables_n > 0));
    if (c->kind == LAKEFILE_CATALOG_SQL)
        assert(sql_uri_parse(slice_of(c->uri), &uri, NULL) == 0 &&
               (uri.postgres ? *uri.host && *uri.database : uri.path[0] == '/'));
    for (size_t i = 0; i < layer->tables_n; i++)
        assert(*layer->tables[i].name && strstr(layer->tables[i].url, "/metadata/"));
}

static void check_layer(const struct lakefile *l, const struct lakefile_layer *layer)
{
    size_t n = strlen(layer->name);
    assert(n && n <= NAME_BYTES_MAX && !strpbrk(layer->name, "/@") && layer->name[0] != '.');
    assert(lakefile_layer(l, slice_of(layer->name)) == layer &&
           layer->outside_n <= LAKE_OUTSIDE_MAX);
    if (layer->catalog.kind)
        check_catalog(layer);
    else
        check_store(&layer->store);
    if (layer->near.url)
        check_store(&layer->near);
    for (size_t i = 0; i < layer->outside_n; i++)
        check_store(&layer->outside[i]);
    for (size_t i = 0; i < layer->prices.n; i++) {
        double price = -1;
        assert(lakefile_price(l, layer, slice_of(layer->prices.at[i].class), &price) && price >= 0);
    }
}

static void check_rule(const struct lakefile_rule *r)
{
    assert(r->tables_n && r->moves_n && r->need_ms >= 0 && r->place.line);
    for (size_t i = 0; i < r->tables_n; i++)
        (void)glob_matches(&r->tables[i], SLICE_LIT("silver/orders"), '/', false);
    for (size_t i = 0; i < r->moves_n; i++) {
        assert(*r->moves[i].to && r->moves[i].after_ms >= 0);
        assert(i == 0 || r->moves[i].after_ms > r->moves[i - 1].after_ms);
    }
    assert(!r->partition_column || (*r->partition_column && r->partition_older_ms >= 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(lakefile) struct lakefile *l = NULL;
    struct err err = ERR_INIT;
    int rc = lakefile_parse(slice_make(data, size), "lake.yaml", &l, &err);
    assert(rc == -err.code && (rc == 0) == (l != NULL));
    if (!l) {
        assert(strncmp(err.msg, "lake.yaml:", 10) == 0);
        return 0;
    }
    assert(l->layers_n && l->layers_n <= LAKE_LAYERS_MAX);
    for (size_t i = 0; i < l->layers_n; i++)
        check_layer(l, &l->layers[i]);
    if (l->archive.url)
        check_store(&l->archive);
    for (size_t i = 0; i < l->rules_n; i++)
        check_rule(&l->rules[i]);
    return 0;
}
