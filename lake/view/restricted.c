/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/view/restricted.h"

#include "base/json_escape.h"
#include "base/limits.h"
#include "lake/catalog/restrictions.h"
#include "lake/view/policy_grant.h"
#include "lake/view/view_tree.h"

/* Begins the line that tells whose masks follow: the term's number, an id each. */
#define IDS_LINE "# of fields"

struct saying {
    struct view_tree at, today;
    struct buf ids;  /* " 3 3 5": of each mask */
    struct buf *out; /* of one filter */
    struct err *err;
};

/* Columns */

static const struct view_node *find_in(const struct view_node *nodes, size_t n, int32_t id)
{
    for (size_t i = 1; i < n; i++)
        if (nodes[i].field->id == id)
            return &nodes[i];
    return NULL;
}

static const struct view_node *find_id(const struct view_tree *t, int32_t id)
{
    const struct view_node *node = find_in(t->fields, t->fields_n, id);
    return node ? node : find_in(t->partitions, t->partitions_n, id);
}

/* `a`.`b`, as patterns and filters have it; a backtick is two. */
static void add_column(struct buf *out, struct slice full)
{
    buf_add_char(out, '`');
    for (size_t i = 0; i < full.n; i++) {
        if (full.p[i] == COLUMN_SEPARATOR)
            buf_add_str(out, "`.`");
        else if (full.p[i] == '`')
            buf_add_str(out, "``");
        else
            buf_add_char(out, full.p[i]);
    }
    buf_add_char(out, '`');
}

/* Masks */

static int add_mask(struct saying *s, struct buf *out, const struct view_node *node,
                    const struct restriction_column *c)
{
    AUTO(buf) struct buf column = {0};
    buf_init(&column, GLOB_BYTES_MAX);
    add_column(&column, node->name.full);
    int rc = buf_check(&column, s->err);
    if (rc < 0)
        return rc;
    buf_add_json(out, buf_slice(&column));
    buf_addf(out, ": %s, ", restriction_action_names[c->action]);
    buf_addf(&s->ids, " %d", (int)c->field_id);
    return 0;
}

/* By the name of today and that of the version; what is in neither is not shown. */
static int add_masks(struct saying *s, const struct restrictions *r, struct buf *out)
{
    int rc = 0;
    buf_add_str(out, "    mask: {");
    for (size_t i = 0; rc == 0 && i < r->columns_n; i++) {
        const struct restriction_column *c = &r->columns[i];
        const struct view_node *today = find_id(&s->today, c->field_id);
        const struct view_node *at = find_id(&s->at, c->field_id);
        if (today)
            rc = add_mask(s, out, today, c);
        if (rc == 0 && at && (!today || !slice_eq(today->name.full, at->name.full)))
            rc = add_mask(s, out, at, c);
    }
    buf_addf(out, "}\n" IDS_LINE "%.*s\n", SLICE_FMT(buf_slice(&s->ids)));
    return rc < 0 ? rc : buf_check(&s->ids, s->err);
}

static bool has_masks(const struct saying *s, const struct restrictions *r)
{
    for (size_t i = 0; i < r->columns_n; i++)
        if (find_id(&s->today, r->columns[i].field_id) || find_id(&s->at, r->columns[i].field_id))
            return true;
    return false;
}

/* Filters */

static int unsaid(struct saying *s, const char *what)
{
    return err_set(s->err, EOPNOTSUPP, "the catalog requires a row filter with %s", what);
}

static void add_text(struct buf *out, struct slice text)
{
    buf_add_char(out, '\'');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\'')
            buf_add_char(out, '\'');
        buf_add_char(out, text.p[i]);
    }
    buf_add_char(out, '\'');
}

static bool is_number(struct slice text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!strchr("0123456789+-.eE", text.p[i]) || !text.p[i])
            return false;
    return text.n > 0;
}

static bool is_hex(struct slice text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!strchr("0123456789abcdefABCDEF", text.p[i]) || !text.p[i])
            return false;
    return text.n % 2 == 0;
}

/* JSON's one form of a value becomes the filter's, by the column's type; what does not fit is
 * refused when the filter is bound. */
static int add_literal(struct saying *s, const struct view_node *node, const struct literal *l)
{
    enum shape_type type = (enum shape_type)node->field->type;
    if (node->field->kind != SHAPE_LEAF || type == SHAPE_TIME)
        return unsaid(s, "a comparison of a column whose type is not compared");
    if (l->kind == LITERAL_BOOL || l->kind == LITERAL_NUMBER) {
        if (l->kind == LITERAL_NUMBER && !is_number(l->text))
            return unsaid(s, "a number that is none");
        buf_add_slice(s->out, l->text);
        return 0;
    }
    if (type == SHAPE_DECIMAL) {
        if (!is_number(l->text))
            return unsaid(s, "a decimal that is none");
        buf_add_slice(s->out, l->text);
    } else if (type == SHAPE_BINARY || type == SHAPE_FIXED) {
        if (!is_hex(l->text))
            return unsaid(s, "bytes that are no hex");
        buf_addf(s->out, "x'%.*s'", SLICE_FMT(l->text));
    } else {
        add_text(s->out, l->text);
    }
    return 0;
}

static int add_literals(struct saying *s, const struct view_node *node, const struct predicate *p)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < p->literals_n; i++) {
        buf_add_str(s->out, i ? ", " : "");
        rc = add_literal(s, node, &p->literals[i]);
    }
    return rc;
}

/* A text that LIKE takes as it is. */
static int add_prefix(struct saying *s, const struct predicate *p)
{
    AUTO(buf) struct buf pattern = {0};
    if (p->literals_n != 1 || p->literals[0].kind != LITERAL_STRING)
        return unsaid(s, "a prefix that is no text");
    struct slice text = p->literals[0].text;
    buf_init(&pattern, 2 * FILTER_BYTES_MAX);
    for (size_t i = 0; i < text.n; i++) {
        if (strchr("%_!", text.p[i]) && text.p[i])
            buf_add_char(&pattern, '!');
        buf_add_char(&pattern, text.p[i]);
    }
    buf_add_char(&pattern, '%');
    add_text(s->out, buf_slice(&pattern));
    buf_add_str(s->out, " ESCAPE '!'");
    return buf_check(&pattern, s->err);
}

/* A comparison: of NULL it is `of_null`. */
static int add_comparison(struct saying *s, const struct view_node *node, const struct predicate *p,
                          const char *operator, bool of_null)
{
    bool list = p->kind == PREDICATE_IN || p->kind == PREDICATE_NOT_IN;
    bool prefix = p->kind == PREDICATE_STARTS_WITH || p->kind == PREDICATE_NOT_STARTS_WITH;
    if (list && p->literals_n == 0) {
        buf_add_str(s->out, p->kind == PREDICATE_IN ? "FALSE" : "TRUE");
        return 0;
    }
    buf_add_char(s->out, '(');
    add_column(s->out, node->name.full);
    buf_add_str(s->out, of_null ? " IS NULL OR " : " IS NOT NULL AND ");
    add_column(s->out, node->name.full);
    buf_addf(s->out, " %s %s", operator, list ? "(" : "");
    int rc = prefix ? add_prefix(s, p) : add_literals(s, node, p);
    buf_add_str(s->out, list ? "))" : ")");
    return rc;
}

static int add_term(struct saying *s, const struct predicate *p)
{
    static const struct {
        const char *operator;
        enum predicate_kind kind;
        bool of_null;
    } comparisons[] = {{"<", PREDICATE_LESS, false},
                       {"<=", PREDICATE_LESS_EQUAL, false},
                       {">", PREDICATE_GREATER, false},
                       {">=", PREDICATE_GREATER_EQUAL, false},
                       {"=", PREDICATE_EQUAL, false},
                       {"<>", PREDICATE_NOT_EQUAL, true},
                       {"LIKE", PREDICATE_STARTS_WITH, false},
                       {"NOT LIKE", PREDICATE_NOT_STARTS_WITH, true},
                       {"IN", PREDICATE_IN, false},
                       {"NOT IN", PREDICATE_NOT_IN, true}};
    const struct view_node *node = find_id(&s->today, p->field_id);
    if (!node)
        node = find_id(&s->at, p->field_id);
    if (!node)
        return unsaid(s, "a column that the table does not have");
    if (p->kind == PREDICATE_IS_NULL || p->kind == PREDICATE_NOT_NULL) {
        add_column(s->out, node->name.full);
        buf_add_str(s->out, p->kind == PREDICATE_IS_NULL ? " IS NULL" : " IS NOT NULL");
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(comparisons); i++)
        if (comparisons[i].kind == p->kind)
            return add_comparison(s, node, p, comparisons[i].operator, comparisons[i].of_null);
    return unsaid(s, "is-nan");
}

/* Bounded by the parser's own depth. */
/* NOLINTNEXTLINE(misc-no-recursion) */
static int add_predicate(struct saying *s, const struct predicate *p)
{
    int rc = 0;
    buf_add_char(s->out, '(');
    switch (p->kind) {
    case PREDICATE_TRUE:
    case PREDICATE_FALSE:
        buf_add_str(s->out, p->kind == PREDICATE_TRUE ? "TRUE" : "FALSE");
        break;
    case PREDICATE_NOT:
        buf_add_str(s->out, "NOT ");
        rc = add_predicate(s, p->left);
        break;
    case PREDICATE_AND:
    case PREDICATE_OR:
        rc = add_predicate(s, p->left);
        buf_add_str(s->out, p->kind == PREDICATE_AND ? " AND " : " OR ");
        if (rc == 0)
            rc = add_predicate(s, p->right);
        break;
    case PREDICATE_IS_NULL:
    case PREDICATE_NOT_NULL:
    case PREDICATE_IS_NAN:
    case PREDICATE_NOT_NAN:
    case PREDICATE_LESS:
    case PREDICATE_LESS_EQUAL:
    case PREDICATE_GREATER:
    case PREDICATE_GREATER_EQUAL:
    case PREDICATE_EQUAL:
    case PREDICATE_NOT_EQUAL:
    case PREDICATE_STARTS_WITH:
    case PREDICATE_NOT_STARTS_WITH:
    case PREDICATE_IN:
    case PREDICATE_NOT_IN:
        rc = add_term(s, p);
        break;
    }
    buf_add_char(s->out, ')');
    return rc;
}

static int add_rows(struct saying *s, const struct restrictions *r, struct buf *out)
{
    AUTO(buf) struct buf filter = {0};
    buf_init(&filter, FILTER_BYTES_MAX);
    s->out = &filter;
    int rc = add_predicate(s, r->filter);
    s->out = NULL;
    if (rc == 0)
        rc = buf_check(&filter, s->err);
    buf_add_str(out, "    rows: ");
    buf_add_json(out, buf_slice(&filter));
    buf_add_str(out, "\n");
    return rc;
}

int restricted_policy(const struct restrictions *r, const struct view_columns *at,
                      const struct view_columns *today, struct buf *out, struct err *err)
{
    struct saying s = {.err = err};
    buf_init(&s.ids, POLICY_BYTES_MAX);
    int rc = view_tree_init(&s.at, at, err);
    int rc_today = view_tree_init(&s.today, today, rc < 0 ? NULL : err);
    if (rc == 0)
        rc = rc_today;
    buf_add_str(out, "grants:\n  - to: [everyone]\n    tables: [\"**\"]\n");
    if (rc == 0 && has_masks(&s, r))
        rc = add_masks(&s, r, out);
    if (rc == 0 && r->filter)
        rc = add_rows(&s, r, out);
    view_tree_done(&s.at);
    view_tree_done(&s.today);
    buf_done(&s.ids);
    return rc < 0 ? rc : buf_check(out, err);
}

/* Names are in JSON, so that no line of the text but its own begins as this one does. */
static bool find_ids(struct slice text, struct slice *ids)
{
    static const char begin[] = "\n" IDS_LINE;
    const char *at = memmem(text.p, text.n, begin, sizeof begin - 1);
    if (!at)
        return false;
    *ids = slice_from(text, (size_t)(at - text.p) + sizeof begin - 1);
    ptrdiff_t end = slice_find(*ids, '\n');
    ids->n = end < 0 ? ids->n : (size_t)end;
    return true;
}

static size_t read_ids(struct slice ids, int32_t *to, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < ids.n; i++) {
        if (ids.p[i] == ' ' && n++ < max)
            to[n - 1] = 0;
        else if (n && n <= max)
            to[n - 1] = to[n - 1] * 10 + (ids.p[i] - '0');
    }
    return n;
}

int restricted_parse(struct slice text, struct policy **out, struct err *err)
{
    AUTO(policy) struct policy *policy = NULL;
    struct slice ids;
    int rc = policy_parse(text, "the catalog's restrictions", &policy, err);
    if (rc == 0 && find_ids(text, &ids)) {
        struct grant *g = &policy->grants[0];
        int32_t *of = arena_calloc(&policy->arena, g->mask.n, sizeof *of);
        if (!of)
            return arena_failed(&policy->arena, "a policy", err);
        if (read_ids(ids, of, g->mask.n) != g->mask.n)
            return err_set(err, EINVAL, "masks without their columns");
        g->mask_ids = of;
    }
    if (rc == 0)
        *out = STEAL(policy);
    return rc;
}
