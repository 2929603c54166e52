/* SPDX-License-Identifier: Apache-2.0 */
/* YAML to a lake file: a table for each kind of mapping, of its keys and who reads them. */
#include <stdatomic.h>

#include "base/limits.h"
#include "base/text.h"
#include "cache/store/url.h"
#include "lake/lakefile_private.h"

/* Stores */

static int set_option(const struct yaml_node *node, const char *value, struct lakefile_store *s)
{
    struct lakefile_option *o = (struct lakefile_option *)(uintptr_t)&s->options[s->options_n++];
    *o = (struct lakefile_option){node->key.p, value, node->key_place};
    return 0;
}

static int parse_option(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    const char *value;
    int rc = lakefile_text(p, node, node->key.p, &value);
    return rc < 0 ? rc : set_option(node, value, out);
}

static int parse_path(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    const char *value;
    int rc = lakefile_path(p, node, &value);
    return rc < 0 ? rc : set_option(node, value, out);
}

static int parse_endpoint(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    AUTO(buf) struct buf canonical = {0};
    buf_init(&canonical, URL_BYTES_MAX);
    int rc = parse_option(p, node, out);
    if (rc == 0 && url_endpoint(node->text, &canonical, p->err) < 0)
        rc = yaml_wrap(p->err, p->file->name, node->place);
    return rc;
}

static int parse_addressing(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    if (!slice_is(node->text, "auto") && !slice_is(node->text, "path") &&
        !slice_is(node->text, "virtual"))
        return wrong(p, node->place, "addressing is auto, path or virtual");
    return parse_option(p, node, out);
}

static int parse_sse(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    if (!slice_is(node->text, "aws:kms") && !slice_is(node->text, "AES256"))
        return wrong(p, node->place, "sse is aws:kms or AES256");
    return parse_option(p, node, out);
}

static int parse_proxy(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    if (node->text.n && memchr(node->text.p, '@', node->text.n))
        return wrong(p, node->place,
                     "a password has no place in a lake file: https_proxy and "
                     "http_proxy of the environment take one");
    return parse_option(p, node, out);
}

static int parse_option_flag(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    bool set;
    int rc = lakefile_flag(p, node, &set);
    return rc < 0 || !set ? rc : set_option(node, NULL, out);
}

static int parse_url(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile_store *s = out;
    s->place = node->place;
    return lakefile_url(p, node, &s->url);
}

#define STORE_ROWS                                                                                 \
    {"url", parse_url}, {"endpoint-url", parse_endpoint}, {"region", parse_option},                \
        {"profile", parse_option}, {"addressing", parse_addressing}, {"ca-bundle", parse_path},    \
        {"proxy", parse_proxy}, {"sse", parse_sse}, {"sse-kms-key-id", parse_option},              \
        {"requester-pays", parse_option_flag},                                                     \
    {                                                                                              \
        "no-sign-request", parse_option_flag                                                       \
    }

/* What a kind of store has besides. */
struct kind {
    const char *what; /* "a layer" */
    const struct lakefile_member *rows;
    size_t n;
    bool may_lack; /* the URL: who calls looks at that */
};

/* A URL alone, or a mapping by the kind's rows, of which `out` begins with the store. */
static int parse_store(struct lakefile_parser *p, const struct yaml_node *node,
                       const struct kind *kind, struct lakefile_store *out)
{
    if (node->kind == YAML_STRING)
        return parse_url(p, node, out);
    if (node->kind != YAML_MAP)
        return wrong(p, node->place, "%s is a URL, or has one: {url: ...}", kind->what);
    out->options = lakefile_allocate(p, node, YAML_MAP, SIZE_MAX, "a store lacks \"url\"",
                                     sizeof *out->options);
    int rc = out->options ? lakefile_members(p, node, kind->what, kind->rows, kind->n, out)
                          : -p->err->code;
    if (rc == 0 && !out->url && !kind->may_lack)
        rc = wrong(p, node->place, "%s lacks \"url\"", kind->what);
    return rc;
}

/* Prices */

/* Digits, and digits behind a dot. */
static bool parse_number(struct slice text, double *out)
{
    ptrdiff_t dot = slice_find(text, '.');
    struct slice left = dot < 0 ? text : slice_make(text.p, (size_t)dot);
    struct slice right = dot < 0 ? SLICE_NONE : slice_from(text, (size_t)dot + 1);
    uint64_t whole, part = 0;
    if (!text_parse_u64(left, 999999999, &whole) || (left.n > 1 && left.p[0] == '0') ||
        (dot >= 0 && (right.n > 12 || !text_parse_u64(right, UINT64_MAX, &part))))
        return false;
    double scale = 1;
    for (size_t i = 0; i < right.n; i++)
        scale *= 10;
    *out = (double)whole + (double)part / scale;
    return true;
}

static int parse_price_list(struct lakefile_parser *p, const struct yaml_node *node,
                            struct lakefile_prices *out)
{
    struct lakefile_price *at =
        lakefile_allocate(p, node, YAML_MAP, SIZE_MAX,
                          "prices are a map of classes to money per GB and month", sizeof *at);
    if (!at)
        return -p->err->code;
    out->at = at;
    for (const struct yaml_node *i = node->first; i; i = i->next) {
        struct lakefile_price *price = &at[out->n++];
        price->class = i->key.p;
        if (!lakefile_is_class(i->key))
            return wrong(p, i->key_place, "\"%.*s\" is no storage class", CUT(i->key));
        if (i->kind != YAML_STRING || !i->typed || !parse_number(i->text, &price->gb_month))
            return wrong(p, i->place, "a price is a number such as 0.023");
    }
    return 0;
}

/* Layers */

static int parse_near_bytes(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile_layer *layer = CONTAINER_OF(out, struct lakefile_layer, near);
    if (node->kind != YAML_STRING || !lakefile_has_unit(node->text, "KMGT") ||
        node->text.p[0] == '0' || !text_parse_size(node->text, &layer->near_bytes))
        return wrong(p, node->place, "size takes a size such as 500G or 2T");
    return 0;
}

static int parse_near(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    static const struct lakefile_member rows[] = {STORE_ROWS, {"size", parse_near_bytes}};
    struct lakefile_layer *layer = out;
    const struct kind kind = {"a near store", rows, ARRAY_SIZE(rows), false};
    return parse_store(p, node, &kind, &layer->near);
}

static int parse_outside(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile_layer *layer = out;
    struct lakefile_store *at = lakefile_allocate(p, node, YAML_LIST, LAKE_OUTSIDE_MAX,
                                                  "outside is a list of URLs", sizeof *at);
    int rc = at ? 0 : -p->err->code;
    layer->outside = at;
    for (const struct yaml_node *i = node->first; rc == 0 && i; i = i->next)
        rc = parse_url(p, i, &at[layer->outside_n++]);
    return rc;
}

static int parse_layer_prices(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile_layer *layer = out;
    return parse_price_list(p, node, &layer->prices);
}

/* A layer has one source; what goes with a store alone is refused of the others. */
static int check_source(struct lakefile_parser *p, const struct yaml_node *node,
                        const struct lakefile_layer *layer)
{
    const struct lakefile_catalog *c = &layer->catalog;
    if (layer->store.url ? c->kind != LAKEFILE_CATALOG_NONE : c->kind == LAKEFILE_CATALOG_NONE)
        return wrong(p, node->place, "a layer has one of \"url\", \"catalog\" and \"tables\"");
    for (const struct yaml_node *i = node->first; c->kind && i; i = i->next)
        if (slice_is(i->key, "near") || slice_is(i->key, "prices"))
            return wrong(p, i->key_place, "%.*s goes with the URL of a store", CUT(i->key));
    return 0;
}

static int parse_layer(struct lakefile_parser *p, const struct yaml_node *node,
                       struct lakefile_layer *layer)
{
    static const struct lakefile_member rows[] = {STORE_ROWS,
                                                  {"near", parse_near},
                                                  {"outside", parse_outside},
                                                  {"prices", parse_layer_prices},
                                                  {"catalog", lakefile_parse_catalog},
                                                  {"tables", lakefile_parse_tables}};
    layer->name = node->key.p;
    layer->place = node->key_place;
    const struct kind kind = {"a layer", rows, ARRAY_SIZE(rows), .may_lack = true};
    int rc = lakefile_name(p, node, "a layer");
    if (rc == 0)
        rc = parse_store(p, node, &kind, &layer->store);
    return rc < 0 || node->kind != YAML_MAP ? rc : check_source(p, node, layer);
}

static int parse_layers(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile *file = out;
    struct lakefile_layer *at = lakefile_allocate(
        p, node, YAML_MAP, LAKE_LAYERS_MAX, "layers are a map of names to stores", sizeof *at);
    int rc = at ? 0 : -p->err->code;
    file->layers = at;
    for (const struct yaml_node *i = node->first; rc == 0 && i; i = i->next)
        rc = parse_layer(p, i, &at[file->layers_n++]);
    return rc;
}

/* Rules */

static int parse_tables(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile_rule *rule = out;
    struct glob *at =
        lakefile_allocate(p, node, YAML_LIST, SIZE_MAX,
                          "tables are a list of patterns such as silver/**", sizeof *at);
    int rc = at ? 0 : -p->err->code;
    rule->tables = at;
    for (const struct yaml_node *i = node->first; rc == 0 && i; i = i->next) {
        const char *text;
        rc = lakefile_text(p, i, "a pattern", &text);
        if (rc == 0 && glob_parse(p->arena, i->text, "/", &at[rule->tables_n++], p->err) < 0)
            rc = yaml_wrap(p->err, p->file->name, i->place);
    }
    return rc;
}

static int parse_to(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile_move *move = out;
    int rc = lakefile_text(p, node, "a storage class", &move->to);
    return rc == 0 && !lakefile_is_class(node->text)
               ? wrong(p, node->place, "\"%.*s\" is no storage class", CUT(node->text))
               : rc;
}

static int parse_after(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile_move *move = out;
    return lakefile_duration(p, node, node->text, &move->after_ms);
}

static int parse_move(struct lakefile_parser *p, const struct yaml_node *node,
                      struct lakefile_move *move)
{
    static const struct lakefile_member rows[] = {{"to", parse_to}, {"after", parse_after}};
    move->after_ms = -1;
    int rc = lakefile_members(p, node, "a move", rows, ARRAY_SIZE(rows), move);
    if (rc == 0 && (!move->to || move->after_ms < 0))
        rc = wrong(p, node->place, "a move lacks \"%s\"", move->to ? "after" : "to");
    return rc;
}

static int parse_moves(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile_rule *rule = out;
    struct lakefile_move *at =
        lakefile_allocate(p, node, YAML_LIST, SIZE_MAX,
                          "move is a list such as [{to: STANDARD_IA, after: 30d}]", sizeof *at);
    int rc = at ? 0 : -p->err->code;
    rule->moves = at;
    for (const struct yaml_node *i = node->first; rc == 0 && i; i = i->next) {
        struct lakefile_move *move = &at[rule->moves_n++];
        rc = parse_move(p, i, move);
        if (rc == 0 && move > at && move->after_ms <= move[-1].after_ms)
            rc = wrong(p, i->place,
                       "to %s, after no more than to %s before it: moves stand in the "
                       "order of their times",
                       move->to, move[-1].to);
    }
    return rc;
}

static int parse_need(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    static const struct slice older = SLICE_LIT("older-than-");
    struct lakefile_rule *rule = out;
    if (node->kind == YAML_STRING && slice_is(node->text, "compacted")) {
        rule->need = LAKEFILE_NEED_COMPACTED;
        return 0;
    }
    if (node->kind != YAML_STRING || !slice_starts(node->text, older) ||
        !lakefile_has_unit(slice_from(node->text, older.n), "smhd"))
        return wrong(p, node->place,
                     "need is compacted, or older-than- and a time, such as "
                     "older-than-7d");
    rule->need = LAKEFILE_NEED_OLDER_THAN;
    return lakefile_duration(p, node, slice_from(node->text, older.n), &rule->need_ms);
}

static int parse_column(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile_rule *rule = out;
    return lakefile_text(p, node, "a partition column", &rule->partition_column);
}

static int parse_older(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile_rule *rule = out;
    return lakefile_duration(p, node, node->text, &rule->partition_older_ms);
}

static int parse_partition(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    static const struct lakefile_member rows[] = {{"column", parse_column},
                                                  {"older-than", parse_older}};
    struct lakefile_rule *rule = out;
    rule->partition_older_ms = -1;
    int rc = lakefile_members(p, node, "a partition", rows, ARRAY_SIZE(rows), rule);
    if (rc == 0 && (!rule->partition_column || rule->partition_older_ms < 0))
        rc = wrong(p, node->place, "a partition lacks \"%s\"",
                   rule->partition_column ? "older-than" : "column");
    return rc;
}

static int parse_live(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile_rule *rule = out;
    return lakefile_flag(p, node, &rule->live);
}

static int parse_tags(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile_rule *rule = out;
    return lakefile_flag(p, node, &rule->tags);
}

static int parse_rule(struct lakefile_parser *p, const struct yaml_node *node,
                      struct lakefile_rule *rule)
{
    static const struct lakefile_member rows[] = {
        {"tables", parse_tables},       {"move", parse_moves}, {"need", parse_need},
        {"partition", parse_partition}, {"live", parse_live},  {"tags", parse_tags}};
    rule->place = node->place;
    int rc = lakefile_members(p, node, "a rule", rows, ARRAY_SIZE(rows), rule);
    if (rc == 0 && (!rule->tables_n || !rule->moves_n))
        rc = wrong(p, node->place, "a rule lacks \"%s\"", rule->tables_n ? "move" : "tables");
    return rc;
}

static int parse_rules(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile *file = out;
    if (node->kind == YAML_LIST && !node->first)
        return 0;
    struct lakefile_rule *at =
        lakefile_allocate(p, node, YAML_LIST, SIZE_MAX, "rules are a list", sizeof *at);
    int rc = at ? 0 : -p->err->code;
    file->rules = at;
    for (const struct yaml_node *i = node->first; rc == 0 && i; i = i->next)
        rc = parse_rule(p, i, &at[file->rules_n++]);
    return rc;
}

/* The whole */

static int parse_archive(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    static const struct lakefile_member rows[] = {STORE_ROWS};
    struct lakefile *file = out;
    const struct kind kind = {"an archive", rows, ARRAY_SIZE(rows), false};
    return parse_store(p, node, &kind, &file->archive);
}

static int parse_prices(struct lakefile_parser *p, const struct yaml_node *node, void *out)
{
    struct lakefile *file = out;
    return parse_price_list(p, node, &file->prices);
}

static int parse_root(struct lakefile_parser *p, const struct yaml_node *root)
{
    static const struct lakefile_member rows[] = {{"layers", parse_layers},
                                                  {"archive", parse_archive},
                                                  {"prices", parse_prices},
                                                  {"rules", parse_rules}};
    int rc = lakefile_members(p, root, "a lake file", rows, ARRAY_SIZE(rows), p->file);
    return rc == 0 && !p->file->layers_n ? wrong(p, root->place, "a lake file lacks \"layers\"")
                                         : rc;
}

int lakefile_parse(struct slice text, const char *name, struct lakefile **out, struct err *err)
{
    static const struct yaml_rules rules = {
        .what = "a lake file", .bytes_max = LAKEFILE_BYTES_MAX, .typed = true};
    struct err e = ERR_INIT;
    const struct yaml_node *root = NULL;
    struct lakefile_whole *whole = calloc(1, sizeof *whole);
    if (!whole)
        return err_set(err, ENOMEM, "%s: out of memory", name);
    AUTO(lakefile) struct lakefile *file = &whole->file;
    arena_init(&whole->arena, LAKEFILE_MEMORY_MAX);
    struct lakefile_parser p = {file, &whole->arena, &e};
    file->name = arena_slice(p.arena, slice_of(name)).p;
    int rc = file->name ? yaml_parse(p.arena, text, file->name, &rules, &root, &e)
                        : arena_failed(p.arena, "a lake file", &e);
    if (rc == 0)
        rc = parse_root(&p, root);
    if (rc < 0)
        return err_copy(err, &e);
    *out = STEAL(file);
    return 0;
}
