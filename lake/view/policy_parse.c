/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/map.h"
#include "lake/view/policy_grant.h"

/* Classes of one policy. */
#define CLASSES_MAX ((size_t)1 << 16)

#define CLASS_PREFIX "class:"

struct parse {
    struct policy *policy;
    struct arena *arena;
    const char *name;
    struct map classes; /* of struct class, by name */
    struct policy_warning *last_warning;
    struct err *err;
};

/* The columns that a class names. */
struct class
{
    struct slice name;
    const struct column_rule *rules;
    size_t rules_n;
};

static void parse_done(struct parse *p)
{
    map_done(&p->classes);
    policy_free(STEAL(p->policy));
}
DEFINE_AUTO_DONE(parse, struct parse, parse_done)

#define wrong(p, place, ...) yaml_error((p)->err, EINVAL, (p)->name, place, __VA_ARGS__)
#define CUT(s) (int)((s).n < 100 ? (s).n : 100), (s).p

static void *allocate(struct parse *p, size_t n, size_t size)
{
    void *room = arena_calloc(p->arena, n, size);
    if (!room)
        (void)arena_failed(p->arena, "a policy", p->err);
    return room;
}

/* Room for a value of each member, or NULL: it is no list (map) of something. */
static void *allocate_list(struct parse *p, const struct yaml_node *list, enum yaml_kind kind,
                           const char *what, size_t size)
{
    size_t n = 0;
    if (list->kind != kind || !list->first) {
        (void)wrong(p, list->place, "%s", what);
        return NULL;
    }
    for (const struct yaml_node *i = list->first; i; i = i->next)
        n++;
    return allocate(p, n, size);
}

/* Patterns */

static int parse_glob(struct parse *p, struct yaml_place place, struct slice text,
                      const char *separators, struct glob *out)
{
    int rc = glob_parse(p->arena, text, separators, out, p->err);
    return rc < 0 ? yaml_wrap(p->err, p->name, place) : 0;
}

/* Policies govern all versions, so a ref matches nothing; but names may have an `@`. column: one
 * follows behind the table's first dot. */
static int warn_of_ref(struct parse *p, const struct yaml_node *node, bool column)
{
    struct slice text = node->text;
    bool quoted = false, ref = false, behind = false; /* behind: the dot, since the last slash */
    for (size_t i = 0; i < text.n; i++) {
        quoted = quoted != (text.p[i] == '`');
        if (quoted)
            continue;
        behind = text.p[i] != '/' && (behind || (column && text.p[i] == '.'));
        ref = ref || (text.p[i] == '@' && !behind);
    }
    if (!ref)
        return 0;
    struct policy_warning *w = allocate(p, 1, sizeof *w);
    if (!w)
        return -p->err->code;
    *w = (struct policy_warning){.place = node->place, .text = text};
    if (p->last_warning)
        p->last_warning->next = w;
    else
        p->policy->warnings = w;
    p->last_warning = w;
    return 0;
}

/* The table whose last names, of which the first is at `first` and the last before `end`, have dots
 * between them; else a name each. */
static int table_glob(struct parse *p, const struct glob *whole, size_t first, size_t end,
                      struct glob *out)
{
    AUTO(buf) struct buf joined = {0};
    struct glob_part *parts = allocate(p, first + 1, sizeof *parts);
    if (!parts)
        return -p->err->code;
    memcpy(parts, whole->parts, (first + 1) * sizeof *parts);
    *out = (struct glob){parts, first + 1};
    if (end == first + 1)
        return 0;
    buf_init(&joined, GLOB_BYTES_MAX);
    for (size_t i = first; i < end; i++) {
        if (i > first)
            buf_add_char(&joined, '.');
        buf_add_slice(&joined, whole->parts[i].text);
        if (whole->parts[i].kind != GLOB_NAME)
            parts[first].kind =
                GLOB_WILD; /* what was in backticks matches more: this is for hide */
    }
    if (buf_check(&joined, p->err) < 0)
        return -p->err->code;
    parts[first].text = arena_slice(p->arena, buf_slice(&joined));
    return parts[first].text.p ? 0 : arena_failed(p->arena, "a policy", p->err);
}

/* The column at any depth, where the table's pattern ends in `**`. */
static int column_glob(struct parse *p, const struct glob *whole, size_t from, struct glob *out)
{
    bool deep = whole->parts[from - 1].kind == GLOB_DEEP;
    struct glob_part *parts = allocate(p, whole->n - from + deep, sizeof *parts);
    if (!parts)
        return -p->err->code;
    from -= deep;
    memcpy(parts, &whole->parts[from], (whole->n - from) * sizeof *parts);
    *out = (struct glob){parts, whole->n - from};
    return 0;
}

/* Adds the rules of TABLE.COLUMN to those that there is room for; `*n` counts them. */
static int parse_class_pattern(struct parse *p, const struct yaml_node *node,
                               struct column_rule *rules, size_t *n)
{
    struct glob whole;
    if (node->kind != YAML_STRING || slice_starts(node->text, SLICE_LIT(CLASS_PREFIX)))
        return wrong(p, node->place, "a class names columns: TABLE.COLUMN");
    int rc = parse_glob(p, node->place, node->text, "/.", &whole);
    if (rc < 0)
        return rc;
    size_t first = whole.n - 1; /* of the names behind the last `/` */
    while (first > 0 && whole.parts[first].before == '.')
        first--;
    if (first == whole.n - 1)
        return wrong(p, node->place, "\"%.*s\" names no column: TABLE.COLUMN", CUT(node->text));
    for (size_t end = first + 1; rc == 0 && end < whole.n; end++) {
        struct column_rule *rule = rules ? &rules[*n] : NULL;
        (*n)++;
        if (!rule)
            continue;
        rule->second = end > first + 1;
        rc = table_glob(p, &whole, first, end, &rule->table);
        if (rc == 0)
            rc = column_glob(p, &whole, end, &rule->column);
    }
    return rc;
}

static int parse_class(struct parse *p, const struct yaml_node *node)
{
    struct class *c = allocate(p, 1, sizeof *c);
    size_t n = 0, filled = 0;
    int rc = c ? 0 : -p->err->code;
    if (rc == 0 && (node->kind != YAML_LIST || !node->first))
        rc = wrong(p, node->place, "a class is a list of columns: [TABLE.COLUMN, ...]");
    for (const struct yaml_node *i = rc == 0 ? node->first : NULL; rc == 0 && i; i = i->next)
        rc = parse_class_pattern(p, i, NULL, &n);
    struct column_rule *rules = rc == 0 ? allocate(p, n, sizeof *rules) : NULL;
    if (rc < 0 || !rules)
        return -p->err->code;
    for (const struct yaml_node *i = node->first; rc == 0 && i; i = i->next)
        rc = parse_class_pattern(p, i, rules, &filled);
    *c = (struct class){node->key, rules, n};
    for (const struct yaml_node *i = node->first; rc == 0 && i; i = i->next)
        rc = warn_of_ref(p, i, true);
    if (rc < 0)
        return rc;
    rc = map_put(&p->classes, c->name, c);
    return rc < 0 ? yaml_error(p->err, -rc, p->name, node->key_place, "too many classes") : 0;
}

static int parse_classes(struct parse *p, const struct yaml_node *node)
{
    int rc = 0;
    if (node->kind != YAML_MAP)
        return wrong(p, node->place, "classes are names, each with a list of columns");
    for (const struct yaml_node *i = node->first; rc == 0 && i; i = i->next)
        rc = parse_class(p, i);
    return rc;
}

/* Grants */

/* One of hide, only, mask: a column of the grant's tables, or a class. */
static int parse_term(struct parse *p, struct slice text, struct yaml_place place,
                      struct column_term *out)
{
    struct slice prefix = SLICE_LIT(CLASS_PREFIX);
    *out = (struct column_term){.text = text, .place = place};
    if (slice_starts(text, prefix)) {
        const struct class *c = map_find(&p->classes, slice_from(text, prefix.n));
        if (!c)
            return wrong(p, place, "there is no %.*s", CUT(text));
        out->rules = c->rules;
        out->rules_n = c->rules_n;
        return 0;
    }
    struct column_rule *rule = allocate(p, 1, sizeof *rule);
    if (!rule)
        return -p->err->code;
    int rc = parse_glob(p, place, text, "/.", &rule->column);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < rule->column.n; i++)
        if (rule->column.parts[i].before == '/')
            return wrong(p, place,
                         "\"%.*s\" has a slash: columns of a grant are those of its tables, and a "
                         "name with a slash stands in backticks",
                         CUT(text));
    out->rules = rule;
    out->rules_n = 1;
    return 0;
}

static int parse_terms(struct parse *p, const struct yaml_node *node, struct column_terms *out)
{
    struct column_term *terms =
        allocate_list(p, node, YAML_LIST, "a list of columns is needed", sizeof *terms);
    int rc = terms ? 0 : -p->err->code;
    size_t n = 0;
    for (const struct yaml_node *i = terms ? node->first : NULL; rc == 0 && i; i = i->next, n++)
        rc = i->kind == YAML_STRING ? parse_term(p, i->text, i->place, &terms[n])
                                    : wrong(p, i->place, "a column is a string");
    *out = (struct column_terms){terms, n};
    return rc;
}

static int parse_mask(struct parse *p, const struct yaml_node *node, struct column_terms *out)
{
    struct column_term *terms =
        allocate_list(p, node, YAML_MAP, "columns with a mask each are needed", sizeof *terms);
    int rc = terms ? 0 : -p->err->code;
    size_t n = 0;
    for (const struct yaml_node *i = terms ? node->first : NULL; rc == 0 && i; i = i->next, n++) {
        rc = parse_term(p, i->key, i->key_place, &terms[n]);
        terms[n].mask = (uint8_t)shape_mask_parse(i->text);
        if (rc == 0 && terms[n].mask == SHAPE_MASK_NONE)
            rc = wrong(p, i->place, "\"%.*s\" is no mask", CUT(i->text));
    }
    *out = (struct column_terms){terms, n};
    return rc;
}

static int parse_grantee(struct parse *p, const struct yaml_node *node, struct grantee *out)
{
    static const struct {
        const char *prefix;
        enum grantee_kind kind;
    } kinds[] = {{"role:", GRANTEE_ROLE}, {"user:", GRANTEE_USER}, {"group:", GRANTEE_GROUP}};
    if (node->kind == YAML_STRING && slice_is(node->text, "everyone")) {
        *out = (struct grantee){.kind = GRANTEE_EVERYONE};
        return 0;
    }
    for (size_t i = 0; node->kind == YAML_STRING && i < ARRAY_SIZE(kinds); i++) {
        struct slice prefix = slice_of(kinds[i].prefix);
        if (slice_starts(node->text, prefix) && node->text.n > prefix.n) {
            *out = (struct grantee){kinds[i].kind, slice_from(node->text, prefix.n)};
            return 0;
        }
    }
    return wrong(p, node->place, "a principal is role:NAME, user:NAME, group:NAME or everyone");
}

static int parse_to(struct parse *p, const struct yaml_node *node, struct grant *g)
{
    struct grantee *to =
        allocate_list(p, node, YAML_LIST, "a list of principals is needed", sizeof *to);
    int rc = to ? 0 : -p->err->code;
    for (const struct yaml_node *i = to ? node->first : NULL; rc == 0 && i; i = i->next)
        rc = parse_grantee(p, i, &to[g->to_n++]);
    g->to = to;
    return rc;
}

static int parse_tables(struct parse *p, const struct yaml_node *node, struct grant *g)
{
    struct glob *tables =
        allocate_list(p, node, YAML_LIST, "a list of tables is needed", sizeof *tables);
    int rc = tables ? 0 : -p->err->code;
    for (const struct yaml_node *i = tables ? node->first : NULL; rc == 0 && i; i = i->next) {
        rc = i->kind == YAML_STRING ? parse_glob(p, i->place, i->text, "/", &tables[g->tables_n++])
                                    : wrong(p, i->place, "a table is a string");
        if (rc == 0)
            rc = warn_of_ref(p, i, false);
    }
    g->tables = tables;
    return rc;
}

static int parse_rows(struct parse *p, const struct yaml_node *node, struct grant *g)
{
    if (node->kind != YAML_STRING)
        return wrong(p, node->place, "a condition on rows is needed");
    g->rows_text = node->text;
    g->rows_place = node->place;
    int rc = filter_parse(node->text, &g->rows, p->err);
    return rc < 0 ? yaml_wrap(p->err, p->name, node->place) : 0;
}

static int parse_member(struct parse *p, const struct yaml_node *node, struct grant *g)
{
    if (slice_is(node->key, "to"))
        return parse_to(p, node, g);
    if (slice_is(node->key, "tables"))
        return parse_tables(p, node, g);
    if (slice_is(node->key, "hide"))
        return parse_terms(p, node, &g->hide);
    if (slice_is(node->key, "only"))
        return parse_terms(p, node, &g->only);
    if (slice_is(node->key, "mask"))
        return parse_mask(p, node, &g->mask);
    if (slice_is(node->key, "rows"))
        return parse_rows(p, node, g);
    return wrong(p, node->key_place,
                 "a grant has no \"%.*s\"; it has to, tables, hide, only, mask, rows",
                 CUT(node->key));
}

static int parse_grant(struct parse *p, const struct yaml_node *node, struct grant *g)
{
    int rc = 0;
    g->place = node->place;
    if (node->kind != YAML_MAP)
        return wrong(p, node->place, "a grant has keys: to, tables, hide, only, mask, rows");
    for (const struct yaml_node *i = node->first; rc == 0 && i; i = i->next)
        rc = parse_member(p, i, g);
    if (rc == 0 && (!g->to || !g->tables))
        rc = wrong(p, node->place, "a grant lacks \"%s\"", g->to ? "tables" : "to");
    if (rc == 0 && g->hide.at && g->only.at)
        rc = wrong(p, node->place, "a grant has hide or only, not both");
    return rc;
}

static int parse_grants(struct parse *p, const struct yaml_node *node)
{
    struct policy *policy = p->policy;
    size_t n = 0;
    int rc = 0;
    if (node->kind != YAML_LIST)
        return wrong(p, node->place, "grants are a list");
    for (const struct yaml_node *i = node->first; i; i = i->next)
        n++;
    policy->grants = n ? allocate(p, n, sizeof policy->grants[0]) : NULL;
    if (n && !policy->grants)
        return -p->err->code;
    for (const struct yaml_node *i = node->first; rc == 0 && i; i = i->next)
        rc = parse_grant(p, i, &policy->grants[policy->grants_n++]);
    return rc;
}

static int parse_root(struct parse *p, const struct yaml_node *root)
{
    const struct yaml_node *classes = NULL, *grants = NULL;
    if (root->kind != YAML_MAP)
        return wrong(p, root->place, "a policy has classes and grants");
    for (const struct yaml_node *i = root->first; i; i = i->next) {
        if (slice_is(i->key, "classes"))
            classes = i;
        else if (slice_is(i->key, "grants"))
            grants = i;
        else
            return wrong(p, i->key_place, "a policy has no \"%.*s\"; it has classes and grants",
                         CUT(i->key));
    }
    if (!grants)
        return wrong(p, root->place, "a policy lacks \"grants\"");
    int rc = classes ? parse_classes(p, classes) : 0;
    return rc < 0 ? rc : parse_grants(p, grants);
}

int policy_parse(struct slice text, const char *name, struct policy **out, struct err *err)
{
    struct err e = ERR_INIT;
    AUTO(parse) struct parse p = {.name = name, .err = &e};
    const struct yaml_node *root = NULL;
    const struct yaml_rules rules = {.what = "a policy", .bytes_max = POLICY_BYTES_MAX};
    map_init(&p.classes, CLASSES_MAX);
    p.policy = calloc(1, sizeof *p.policy);
    if (!p.policy)
        return err_set(err, ENOMEM, "%s: out of memory", name);
    arena_init(&p.policy->arena, POLICY_MEMORY_MAX);
    p.arena = &p.policy->arena;
    int rc = yaml_parse(p.arena, text, name, &rules, &root, &e);
    if (rc == 0)
        rc = parse_root(&p, root);
    if (rc < 0)
        return err_copy(err, &e);
    *out = STEAL(p.policy);
    return 0;
}
