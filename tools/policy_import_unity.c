/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unity Catalog (its REST API: tables, permissions or effective permissions, functions). Privileges
 * are inherited from schema and catalog; row filters and column masks are functions of a table and
 * hold for everybody. A grant is written for each table that was told, for who may read it:
 *
 *   SELECT on it, or inherited, and USE SCHEMA, and USE CATALOG, all told of one principal
 *
 * so that a table of which nothing was told, and whose filter nobody knows, is granted to nobody.
 */
#include <ctype.h>
#include <strings.h>

#include "lake/format/filter.h"
#include "tools/policy_import.h"

#define EVERYBODY "account users"

struct table {
    struct slice json;
    struct slice full, catalog, schema, name;
};

/* Objects of a kind */

/* The table, its schema, its catalog: which of them a file is named after. */
static bool is_above(const struct table *t, struct slice name)
{
    struct slice full = t->full;
    return name.n && slice_starts(full, name) && (name.n == full.n || full.p[name.n] == '.');
}

static bool has_privilege(struct import *im, struct slice assignment, const char *const *wanted)
{
    struct slice list = import_member(assignment, "privileges"), element;
    while (import_next(&list, &element)) {
        struct slice text = import_text(im, element); /* of effective permissions an object */
        if (!text.n)
            text = import_text_of(im, element, "privilege");
        for (size_t i = 0; wanted[i]; i++)
            if (slice_is(text, wanted[i]))
                return true;
    }
    return false;
}

/* Does the principal have one of these on the table, or on what it is in? `depth`: names of the
 * longest path that counts, 3 the table's own. */
static bool may(struct import *im, const struct table *t, struct slice principal,
                const char *const *wanted, int depth)
{
    for (size_t i = 0; i < im->files.n; i++) {
        const struct import_file *f = &im->files.at[i];
        struct slice list = import_member(f->text, "privilege_assignments"), assignment;
        int names = 1;
        for (size_t k = 0; k < f->name.n; k++)
            names += f->name.p[k] == '.';
        if (names > depth || !is_above(t, f->name))
            continue;
        while (import_next(&list, &assignment)) {
            struct slice who = import_text_of(im, assignment, "principal");
            if ((slice_eq(who, principal) || slice_is(who, EVERYBODY)) &&
                has_privilege(im, assignment, wanted))
                return true;
        }
    }
    return false;
}

static bool may_read(struct import *im, const struct table *t, struct slice who)
{
    static const char *const use_catalog[] = {"USE_CATALOG", "USE CATALOG", "ALL_PRIVILEGES",
                                              "ALL PRIVILEGES", NULL};
    static const char *const use_schema[] = {"USE_SCHEMA", "USE SCHEMA", "ALL_PRIVILEGES",
                                             "ALL PRIVILEGES", NULL};
    static const char *const select[] = {"SELECT", "ALL_PRIVILEGES", "ALL PRIVILEGES", NULL};
    return may(im, t, who, select, 3) && may(im, t, who, use_schema, 2) &&
           may(im, t, who, use_catalog, 1);
}

/* An address is a user's, the id of an application a role's, anything else a group's. */
static struct slice map_principal(struct import *im, struct slice who)
{
    AUTO(buf) struct buf name = {0};
    size_t dashes = 0, hex = 0;
    for (size_t i = 0; i < who.n; i++) {
        dashes += who.p[i] == '-';
        hex += isxdigit((unsigned char)who.p[i]) != 0;
    }
    buf_init(&name, who.n + 8);
    buf_add_str(&name, slice_find(who, '@') >= 0                 ? "user:"
                       : who.n == 36 && dashes == 4 && hex == 32 ? "role:"
                                                                 : "group:");
    buf_add_slice(&name, who);
    return arena_slice(&im->arena, buf_slice(&name));
}

/* Who may read the table, as policies write it. */
static int readers(struct import *im, const struct table *t, struct import_list *out)
{
    AUTO(buf) struct buf unused = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < im->files.n; i++) {
        struct slice list = import_member(im->files.at[i].text, "privilege_assignments");
        struct slice assignment;
        if (!is_above(t, im->files.at[i].name))
            continue;
        while (rc == 0 && import_next(&list, &assignment)) {
            struct slice who = import_text_of(im, assignment, "principal");
            struct slice ours = who.n ? map_principal(im, who) : SLICE_NONE;
            if (ours.n && !import_list_has(out, ours) && may_read(im, t, who))
                rc = import_list_add(im, out, ours);
        }
    }
    return rc;
}

/* Functions */

static struct slice find_function(struct import *im, struct slice name)
{
    for (size_t i = 0; i < im->files.n; i++) {
        struct slice file = im->files.at[i].text, one;
        struct slice list = import_member(file, "functions");
        if (slice_eq(import_text_of(im, file, "full_name"), name) &&
            import_member(file, "routine_definition").n)
            return file;
        while (import_next(&list, &one))
            if (slice_eq(import_text_of(im, one, "full_name"), name))
                return one;
    }
    return SLICE_NONE;
}

static struct slice trim(struct slice s)
{
    while (s.n && isspace((unsigned char)s.p[0]))
        s = slice_from(s, 1);
    while (s.n && (isspace((unsigned char)s.p[s.n - 1]) || s.p[s.n - 1] == ';'))
        s.n--;
    return s;
}

/* What the function returns; empty: it is not told, or no expression. */
static struct slice body_of(struct import *im, struct slice function)
{
    struct slice body = trim(import_text_of(im, function, "routine_definition"));
    if (body.n > 6 && strncasecmp(body.p, "return", 6) == 0 &&
        !(isalnum((unsigned char)body.p[6]) || body.p[6] == '_'))
        body = trim(slice_from(body, 6));
    return slice_is(import_text_of(im, function, "routine_body"), "EXTERNAL") ? SLICE_NONE : body;
}

/* The names of its parameters, in order. */
static int parameters_of(struct import *im, struct slice function, struct import_list *out)
{
    struct slice list = import_member(import_member(function, "input_params"), "parameters");
    struct slice one;
    int rc = 0;
    while (rc == 0 && import_next(&list, &one))
        rc = import_list_add(im, out, import_text_of(im, one, "name"));
    return rc;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static ptrdiff_t find_parameter(const struct import_list *parameters, struct slice word)
{
    for (size_t i = 0; i < parameters->n; i++)
        if (parameters->at[i].n == word.n && word.n &&
            strncasecmp(parameters->at[i].p, word.p, word.n) == 0)
            return (ptrdiff_t)i;
    return -1;
}

/* A column as filters write it, in backticks. */
static void add_column(struct buf *out, struct slice name)
{
    buf_add_char(out, '`');
    for (size_t i = 0; i < name.n; i++) {
        buf_add_char(out, name.p[i]);
        if (name.p[i] == '`')
            buf_add_char(out, '`');
    }
    buf_add_char(out, '`');
}

/* The body with columns for parameters. False: something else that is quoted with ` or " in it. */
static bool put_columns(struct slice body, const struct import_list *parameters,
                        const struct import_list *columns, struct buf *out)
{
    while (body.n) {
        size_t n = 1;
        if (body.p[0] == '`' || body.p[0] == '"')
            return false;
        if (body.p[0] == '\'') {
            ptrdiff_t end = slice_find(slice_from(body, 1), '\'');
            if (end < 0 || slice_find(slice_make(body.p, (size_t)end + 2), '\\') >= 0)
                return false; /* an escape there is a backslash here */
            n = (size_t)end + 2;
        } else if (is_word(body.p[0])) {
            while (n < body.n && is_word(body.p[n]))
                n++;
        }
        ptrdiff_t at = find_parameter(parameters, slice_make(body.p, n));
        if (at >= 0)
            add_column(out, columns->at[at]);
        else
            buf_add(out, body.p, n);
        body = slice_from(body, n);
    }
    return true;
}

/* Every column of the condition is one that was put in. */
static bool names_only(struct slice text, const struct import_list *columns)
{
    AUTO(filter) struct filter *f = NULL;
    bool known = filter_parse(text, &f, NULL) == 0;
    for (size_t i = 0; known && i < filter_columns(f); i++) {
        struct filter_path path = filter_column_path(f, i);
        known = path.n == 1 && import_list_has(columns, path.names[0]);
    }
    return known;
}

/* The table's row filter as a condition. False: it has one that cannot be expressed. */
static bool row_filter(struct import *im, const struct table *t, struct slice *out)
{
    struct slice filter = import_member(t->json, "row_filter");
    struct import_list columns = {0}, parameters = {0};
    AUTO(buf) struct buf text = {0};
    bool good = true;
    *out = SLICE_NONE;
    if (!filter.n)
        return true;
    struct slice function = find_function(im, import_text_of(im, filter, "function_name"));
    struct slice body = body_of(im, function);
    buf_init(&text, IMPORT_BYTES_MAX);
    good =
        body.n && import_strings(im, import_member(filter, "input_column_names"), &columns) == 0 &&
        parameters_of(im, function, &parameters) == 0 && parameters.n == columns.n &&
        put_columns(body, &parameters, &columns, &text) && names_only(buf_slice(&text), &columns);
    if (good) {
        *out = arena_slice(&im->arena, buf_slice(&text));
        good = out->p != NULL;
    }
    vec_done(&columns);
    vec_done(&parameters);
    return good;
}

static void leave_out_filter(struct import *im, const struct table *t)
{
    struct slice name = import_text_of(im, import_member(t->json, "row_filter"), "function_name");
    struct slice body = body_of(im, find_function(im, name));
    import_left_out(im, "left out: %.*s: its row filter cannot be expressed: %.*s: %.*s",
                    SLICE_FMT(t->full), SLICE_FMT(name),
                    SLICE_FMT(body.n ? body : SLICE_LIT("no expression of it is told")));
}

/* Masks */

/* Without spaces, in lower case: `sha2(val,256)`. */
static void squeeze(struct slice body, struct buf *out)
{
    buf_init(out, 2 * body.n + 1);
    for (size_t i = 0; i < body.n; i++)
        if (!isspace((unsigned char)body.p[i]))
            buf_add_char(out, (char)tolower((unsigned char)body.p[i]));
}

/* Our mask that does what the function does; NULL: there is none. */
static const char *mask_of(struct import *im, struct slice function, struct slice type)
{
    AUTO(buf) struct buf text = {0}, want = {0};
    struct slice body = body_of(im, function);
    struct import_list parameters = {0};
    const char *mask = NULL;
    squeeze(body, &text);
    if (parameters_of(im, function, &parameters) == 0 && parameters.n >= 1) {
        buf_init(&want, parameters.at[0].n + 64);
        buf_addf(&want, "sha2(%.*s,256)", SLICE_FMT(parameters.at[0]));
        if (slice_is(buf_slice(&text), "null") || slice_is(buf_slice(&text), "cast(nullasstring)"))
            mask = "replace-with-null";
        else if (slice_is(type, "STRING") && slice_is(body, "'XXXXXXXX'"))
            mask = "mask-to-fixed-value";
        else if (slice_is(type, "STRING") && text.len == want.len &&
                 strncasecmp(text.data, want.data, want.len) == 0)
            mask = "sha-256-global";
    }
    vec_done(&parameters);
    return mask;
}

static int add_masks(struct import *im, const struct table *t, struct import_list *masks,
                     struct import_list *hide)
{
    struct slice columns = import_member(t->json, "columns"), column;
    int rc = 0;
    while (rc == 0 && import_next(&columns, &column)) {
        struct slice mask = import_member(column, "mask");
        struct slice name = import_text_of(im, column, "name");
        struct slice function = import_text_of(im, mask, "function_name");
        if (!mask.n)
            continue;
        const char *ours =
            mask_of(im, find_function(im, function), import_text_of(im, column, "type_name"));
        if (!ours)
            import_left_out(im,
                            "%.*s: the mask %.*s of %.*s cannot be expressed: it is hidden: %.*s",
                            SLICE_FMT(t->full), SLICE_FMT(function), SLICE_FMT(name),
                            SLICE_FMT(body_of(im, find_function(im, function))));
        rc = import_list_add(im, ours ? masks : hide, import_literal(im, name));
        if (rc == 0 && ours)
            rc = import_list_add(im, masks, slice_of(ours));
    }
    return rc;
}

/* Tables */

/* A policy by tags (ABAC), which may filter and mask as it likes. */
static bool has_policy(struct import *im, const struct table *t)
{
    for (size_t i = 0; i < im->files.n; i++) {
        struct slice list = import_member(im->files.at[i].text, "policies"), policy;
        while (import_next(&list, &policy)) {
            struct slice on = import_text_of(im, policy, "on_securable_fullname");
            if (!on.n || is_above(t, on))
                return true;
        }
    }
    return false;
}

static int write_grant(struct import *im, const struct table *t, const struct import_list *to,
                       struct slice rows)
{
    struct import_list masks = {0}, hide = {0};
    struct import_table place = {t->catalog, t->schema, t->name, false};
    struct import_grant g = {
        .to = to, .table = &place, .hide = &hide, .mask = &masks, .rows = rows};
    int rc = add_masks(im, t, &masks, &hide);
    if (rc == 0)
        rc = import_grant(im, &g);
    vec_done(&masks);
    vec_done(&hide);
    return rc;
}

static int add_table(struct import *im, struct slice json)
{
    struct table t = {.json = json,
                      .full = import_text_of(im, json, "full_name"),
                      .catalog = import_text_of(im, json, "catalog_name"),
                      .schema = import_text_of(im, json, "schema_name"),
                      .name = import_text_of(im, json, "name")};
    struct import_list to = {0};
    struct slice rows, type = import_text_of(im, json, "table_type");
    int rc = 0;
    if (slice_is(type, "VIEW") || slice_is(type, "METRIC_VIEW"))
        return 0; /* it has no files */
    if (!t.full.n || !t.catalog.n || !t.schema.n || !t.name.n) {
        import_left_out(im, "left out: a table without its names");
        return 0;
    }
    rc = readers(im, &t, &to);
    if (rc < 0 || to.n == 0) {
        if (rc == 0)
            import_note(im, "%.*s: nobody is told to have SELECT, USE SCHEMA and USE CATALOG",
                        SLICE_FMT(t.full));
    } else if (!import_member(json, "columns").n) {
        import_left_out(im, "left out: %.*s: its columns, which may have masks, are not told",
                        SLICE_FMT(t.full));
    } else if (has_policy(im, &t)) {
        import_left_out(im, "left out: %.*s: it has policies by tags", SLICE_FMT(t.full));
    } else if (!row_filter(im, &t, &rows)) {
        leave_out_filter(im, &t);
    } else {
        rc = write_grant(im, &t, &to, rows);
    }
    vec_done(&to);
    return rc;
}

int import_unity_catalog(struct import *im)
{
    static const char *const answers[] = {"tables",
                                          "table_type",
                                          "functions",
                                          "routine_body",
                                          "routine_definition",
                                          "privilege_assignments",
                                          "policies",
                                          NULL};
    int rc = import_require(im, answers, true, "tables, functions, permissions or policies");
    for (size_t i = 0; rc == 0 && i < im->files.n; i++) {
        struct slice file = im->files.at[i].text, table;
        struct slice list = import_member(file, "tables");
        if (import_member(file, "table_type").n)
            rc = add_table(im, file);
        while (rc == 0 && import_next(&list, &table))
            rc = add_table(im, table);
    }
    return rc;
}
