/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lake Formation (AWS Lake Formation API reference: ListPermissions, ListDataCellsFilter). Its
 * permissions add up: who has two sees what either shows. Ours do not, so those of one principal on
 * one table become one grant, or none where they cannot.
 */
#include <strings.h>

#include "base/fold.h"
#include "tools/policy_import.h"

enum cell_columns { CELL_ALL, CELL_ONLY, CELL_BUT };

/* What one permission shows of a table. */
struct cell {
    struct slice principal; /* as policies write it */
    struct slice identifier;
    struct slice catalog, database, table;
    bool every; /* every table of the database */
    enum cell_columns columns;
    struct import_list names; /* of CELL_ONLY and CELL_BUT, as patterns */
    struct slice rows;        /* empty: all */
    struct slice unknown;     /* a condition that cannot be expressed */
};

struct lake {
    struct import *im;
    VEC(struct cell) cells;
};

static void lake_done(struct lake *l)
{
    for (size_t i = 0; i < l->cells.n; i++)
        vec_done(&l->cells.at[i].names);
    vec_done(&l->cells);
}
DEFINE_AUTO_DONE(lake, struct lake, lake_done)

/* Principals */

/* `arn:aws:iam::1:role/path/name` is role:name; empty: it is none of ours. */
static struct slice map_principal(struct import *im, struct slice arn)
{
    static const struct {
        const char *theirs, *ours;
    } kinds[] = {{"role/", "role:"}, {"user/", "user:"}, {"group/", "group:"}};
    AUTO(buf) struct buf name = {0};
    struct slice last = slice_from(arn, (size_t)(slice_rfind(arn, ':') + 1));
    buf_init(&name, arn.n + 16);
    for (size_t i = 0; slice_starts(arn, SLICE_LIT("arn:")) && i < ARRAY_SIZE(kinds); i++)
        if (slice_starts(last, slice_of(kinds[i].theirs))) {
            struct slice bare = slice_from(last, (size_t)slice_rfind(last, '/') + 1);
            if (bare.n == 0)
                return SLICE_NONE;
            buf_add_str(&name, kinds[i].ours);
            buf_add_slice(&name, bare);
            return arena_slice(&im->arena, buf_slice(&name));
        }
    return SLICE_NONE;
}

/* Another account's principal of the same name: here they could not be told apart. */
static bool is_shared_name(const struct lake *l, const struct cell *c)
{
    for (size_t i = 0; i < l->cells.n; i++)
        if (slice_eq(l->cells.at[i].principal, c->principal) &&
            !slice_eq(l->cells.at[i].identifier, c->identifier))
            return true;
    return false;
}

/* Columns */

/* `name`, or `"address"."zip"`, as a pattern. */
static struct slice map_column(struct import *im, struct slice name)
{
    AUTO(buf) struct buf path = {0};
    buf_init(&path, 4 * name.n + 8);
    while (name.n) {
        bool quoted = name.p[0] == '"';
        struct slice rest = slice_from(name, quoted ? 1 : 0);
        ptrdiff_t end = slice_find(rest, quoted ? '"' : '.');
        struct slice one = end < 0 ? rest : slice_make(rest.p, (size_t)end);
        buf_add_slice(&path, import_literal(im, one));
        name = slice_from(rest, end < 0 ? rest.n : (size_t)end + (quoted ? 1 : 0));
        if (name.n && name.p[0] == '.') {
            name = slice_from(name, 1);
            buf_add_char(&path, '.');
        }
    }
    return arena_slice(&im->arena, buf_slice(&path));
}

static int take_names(struct import *im, struct slice array, struct import_list *out)
{
    struct slice element;
    int rc = 0;
    while (rc == 0 && import_next(&array, &element))
        rc = import_list_add(im, out, map_column(im, import_text(im, element)));
    return rc;
}

/* ColumnNames or ColumnWildcard of what has them. Neither: nothing is known of it, -ENOENT. */
static int take_columns(struct import *im, struct slice of, struct cell *c)
{
    struct slice names = import_member(of, "ColumnNames");
    struct slice wildcard = import_member(of, "ColumnWildcard"), first = names, element;
    if (names.n && import_next(&first, &element)) {
        c->columns = CELL_ONLY;
        return take_names(im, names, &c->names);
    }
    if (!wildcard.n)
        return -ENOENT;
    int rc = take_names(im, import_member(wildcard, "ExcludedColumnNames"), &c->names);
    c->columns = c->names.n ? CELL_BUT : CELL_ALL;
    return rc;
}

/* Permissions */

static struct slice find_filter(struct import *im, struct slice resource)
{
    static const char *const keys[] = {"Name", "TableName", "DatabaseName", "TableCatalogId"};
    for (size_t i = 0; i < im->files.n; i++) {
        struct slice filters = import_member(im->files.at[i].text, "DataCellsFilters"), filter;
        while (import_next(&filters, &filter)) {
            bool same = true;
            for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
                same = same && slice_eq(import_text_of(im, filter, keys[k]),
                                        import_text_of(im, resource, keys[k]));
            if (same)
                return filter;
        }
    }
    return SLICE_NONE;
}

/* Why it cannot be expressed, or NULL. */
static const char *take_filter(struct import *im, struct slice resource, struct cell *c)
{
    struct slice filter = find_filter(im, resource);
    struct slice rows = import_member(filter, "RowFilter");
    struct slice text = import_text_of(im, rows, "FilterExpression");
    c->catalog = import_text_of(im, resource, "TableCatalogId");
    c->database = import_text_of(im, resource, "DatabaseName");
    c->table = import_text_of(im, resource, "TableName");
    if (!filter.n)
        return "its data filter is in no file";
    if (take_columns(im, filter, c) < 0)
        return "its data filter names no columns";
    if (import_member(rows, "AllRowsWildcard").n ||
        (text.n == 4 && strncasecmp(text.p, "true", 4) == 0))
        return NULL;
    c->rows = import_condition(text);
    if (!c->rows.n)
        c->unknown = text;
    return c->rows.n ? NULL : "its row filter cannot be expressed";
}

static const char *take_resource(struct import *im, struct slice resource, struct cell *c)
{
    struct slice table = import_member(resource, "Table");
    struct slice columns = import_member(resource, "TableWithColumns");
    struct slice filter = import_member(resource, "DataCellsFilter");
    if (filter.n)
        return take_filter(im, filter, c);
    struct slice of = columns.n ? columns : table;
    if (!of.n)
        return "it is on no table";
    c->catalog = import_text_of(im, of, "CatalogId");
    c->database = import_text_of(im, of, "DatabaseName");
    c->every = import_member(of, "TableWildcard").n > 0;
    c->table = c->every ? SLICE_LIT("*") : import_text_of(im, of, "Name");
    if (!c->database.n || !c->table.n)
        return "its table has no name";
    return columns.n && take_columns(im, columns, c) < 0 ? "it names no columns" : NULL;
}

static bool may_read(struct import *im, struct slice permission)
{
    static const char *const reading[] = {"SELECT", "ALL", "SUPER", "SUPER_USER"};
    struct slice list = import_member(permission, "Permissions"), element;
    while (import_next(&list, &element))
        for (size_t i = 0; i < ARRAY_SIZE(reading); i++)
            if (slice_is(import_text(im, element), reading[i]))
                return true;
    return false;
}

static bool is_on_rows(struct slice resource)
{
    return import_member(resource, "Table").n || import_member(resource, "TableWithColumns").n ||
           import_member(resource, "DataCellsFilter").n || import_member(resource, "LFTagPolicy").n;
}

static int add_permission(struct lake *l, struct slice permission)
{
    struct import *im = l->im;
    struct slice resource = import_member(permission, "Resource");
    struct cell c = {.identifier = import_text_of(im, import_member(permission, "Principal"),
                                                  "DataLakePrincipalIdentifier")};
    if (!may_read(im, permission) || !is_on_rows(resource))
        return 0;
    c.principal = map_principal(im, c.identifier);
    const char *why = import_member(permission, "Condition").n   ? "it has a condition"
                      : import_member(resource, "LFTagPolicy").n ? "it goes by tags"
                      : !c.principal.n ? "its principal is no role, user or group"
                                       : take_resource(im, resource, &c);
    if (why) {
        import_left_out(im, "left out: a permission of %.*s on %.*s.%.*s: %s%s%.*s",
                        SLICE_FMT(c.identifier), SLICE_FMT(c.database), SLICE_FMT(c.table), why,
                        c.unknown.n ? ": " : "", SLICE_FMT(c.unknown));
        vec_done(&c.names);
        return 0;
    }
    int rc = vec_push(&l->cells, c);
    if (rc < 0)
        vec_done(&c.names);
    return rc < 0 ? err_set(im->err, -rc, "too many permissions") : 0;
}

/* Adding up */

static bool same_names(const struct import_list *a, const struct import_list *b)
{
    bool same = true;
    for (size_t i = 0; i < a->n; i++)
        same = same && import_list_has(b, a->at[i]);
    for (size_t i = 0; i < b->n; i++)
        same = same && import_list_has(a, b->at[i]);
    return same;
}

/* One of the list is the column, or something that it is in; case does not count there. */
static bool covers(const struct import_list *list, struct slice name)
{
    for (size_t i = 0; i < list->n; i++) {
        struct slice one = list->at[i];
        if (one.n <= name.n && fold_equal(one, slice_make(name.p, one.n)) &&
            (one.n == name.n || name.p[one.n] == '.'))
            return true;
    }
    return false;
}

/* What both lists keep back. */
static int both(struct import *im, struct import_list *list, const struct import_list *other)
{
    struct import_list out = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < list->n; i++)
        if (covers(other, list->at[i]))
            rc = import_list_add(im, &out, list->at[i]);
    for (size_t i = 0; rc == 0 && i < other->n; i++)
        if (covers(list, other->at[i]))
            rc = import_list_add(im, &out, other->at[i]);
    vec_done(list);
    *list = out;
    return rc;
}

/* What the list keeps back and the other does not show by name. */
static void without(struct import_list *list, const struct import_list *other)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++)
        if (!import_list_has(other, list->at[i]))
            list->at[n++] = list->at[i];
    list->n = n;
}

/* Both without rows: what either shows. */
static int add_columns(struct import *im, struct cell *sum, struct cell *c)
{
    int rc = 0;
    if (sum->columns == CELL_ONLY && c->columns == CELL_ONLY) {
        for (size_t i = 0; rc == 0 && i < c->names.n; i++)
            if (!import_list_has(&sum->names, c->names.at[i]))
                rc = import_list_add(im, &sum->names, c->names.at[i]);
        return rc;
    }
    if (sum->columns == CELL_BUT && c->columns == CELL_BUT)
        return both(im, &sum->names, &c->names);
    if (sum->columns == CELL_ONLY) { /* the one that names what is not shown goes on */
        struct import_list names = sum->names;
        sum->names = c->names;
        c->names = names;
        sum->columns = CELL_BUT;
    }
    without(&sum->names, &c->names);
    return 0;
}

/* False: no one grant shows what both show together. */
static bool add_up(struct import *im, struct cell *sum, struct cell *c)
{
    AUTO(buf) struct buf rows = {0};
    if (sum->columns == CELL_ALL && !sum->rows.n)
        return true;
    if (c->columns == CELL_ALL && !c->rows.n) {
        sum->columns = CELL_ALL;
        sum->rows = SLICE_NONE;
        sum->names.n = 0;
        return true;
    }
    if (!sum->rows.n && !c->rows.n)
        return add_columns(im, sum, c) == 0;
    if (sum->columns != c->columns || !same_names(&sum->names, &c->names))
        return false;
    if (!sum->rows.n || !c->rows.n) {
        sum->rows = SLICE_NONE;
        return true;
    }
    buf_init(&rows, sum->rows.n + c->rows.n + 16);
    buf_addf(&rows, "(%.*s) or (%.*s)", SLICE_FMT(sum->rows), SLICE_FMT(c->rows));
    sum->rows = arena_slice(&im->arena, buf_slice(&rows));
    return sum->rows.p != NULL;
}

static int order(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;
    int c = slice_cmp(x->catalog, y->catalog);
    if (c == 0)
        c = slice_cmp(x->database, y->database);
    if (c == 0)
        c = y->every - x->every; /* before the others: it adds to what they show */
    if (c == 0)
        c = slice_cmp(x->table, y->table);
    return c ? c : slice_cmp(x->principal, y->principal);
}

static bool same_place(const struct cell *a, const struct cell *b)
{
    return order(a, b) == 0;
}

static int emit(struct import *im, struct cell *c)
{
    struct import_list to = {0};
    struct import_table table = {c->catalog, c->database, c->table, c->every};
    struct import_grant g = {.to = &to, .table = &table, .rows = c->rows};
    if (c->columns == CELL_ONLY)
        g.only = &c->names;
    if (c->columns == CELL_BUT)
        g.hide = &c->names;
    int rc = import_list_add(im, &to, c->principal);
    if (rc == 0)
        rc = import_grant(im, &g);
    vec_done(&to);
    return rc;
}

/* The cells of one principal on one table, from the first on; *n: how many. */
static int emit_place(struct lake *l, size_t first, size_t *n)
{
    struct cell *cells = &l->cells.at[first];
    size_t rest = l->cells.n - first, with_rows = 0;
    for (*n = 0; *n < rest && same_place(&cells[*n], cells); (*n)++)
        with_rows += cells[*n].rows.n > 0;
    for (size_t i = 0; i < *n; i++) { /* one that shows all is enough, in whatever order */
        if (cells[i].columns == CELL_ALL && !cells[i].rows.n)
            return emit(l->im, &cells[i]);
    }
    for (size_t i = 1; i < *n; i++)
        if (!add_up(l->im, cells, &cells[i])) {
            import_left_out(l->im,
                            "left out: %zu permissions of %.*s on %.*s.%.*s, %zu with rows, "
                            "show other columns of other rows",
                            *n, SLICE_FMT(cells->identifier), SLICE_FMT(cells->database),
                            SLICE_FMT(cells->table), with_rows);
            return 0;
        }
    return emit(l->im, cells);
}

int import_lake_formation(struct import *im)
{
    static const char *const answers[] = {"PrincipalResourcePermissions", "DataCellsFilters", NULL};
    AUTO(lake) struct lake l = {.im = im, .cells.max = IMPORT_ITEMS_MAX};
    int rc = import_require(im, answers, false, "ListPermissions or ListDataCellsFilter");
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < im->files.n; i++) {
        struct slice list = import_member(im->files.at[i].text, "PrincipalResourcePermissions");
        struct slice permission;
        while (rc == 0 && import_next(&list, &permission))
            rc = add_permission(&l, permission);
    }
    if (rc == 0 && l.cells.n)
        qsort(l.cells.at, l.cells.n, sizeof l.cells.at[0], order);
    for (size_t i = 0, n = 0; rc == 0 && i < l.cells.n; i += n) {
        if (is_shared_name(&l, &l.cells.at[i])) {
            n = 1;
            const struct cell *c = &l.cells.at[i];
            import_left_out(im,
                            "left out: a permission of %.*s on %.*s.%.*s: another principal has "
                            "its name",
                            SLICE_FMT(c->identifier), SLICE_FMT(c->database), SLICE_FMT(c->table));
        } else {
            rc = emit_place(&l, i, &n);
        }
    }
    return rc;
}
