/* SPDX-License-Identifier: Apache-2.0 */
/* tarn policy import: policies of other catalogs as ours. */
#include "tools/policy_import.h"

#include <fcntl.h>
#include <stdarg.h>

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "lake/format/filter.h"
#include "tools/policy.h"
#include "tools/tools.h"

/* JSON */

struct slice import_member(struct slice object, const char *name)
{
    struct json j;
    struct slice key, value = SLICE_NONE;
    json_init(&j, object);
    if (json_peek(&j) != JSON_OBJECT || !json_enter_object(&j))
        return SLICE_NONE;
    while (json_next_key(&j, &key))
        (void)json_skip(&j, slice_is(key, name) ? &value : NULL);
    return json_failed(&j) || slice_is(value, "null") ? SLICE_NONE : value;
}

struct slice import_text(struct import *im, struct slice value)
{
    AUTO(buf) struct buf scratch = {0};
    struct json j;
    struct slice text = SLICE_NONE;
    buf_init(&scratch, IMPORT_BYTES_MAX);
    json_init(&j, value);
    if (json_peek(&j) != JSON_STRING || !json_string(&j, &scratch, &text))
        return SLICE_NONE;
    return arena_slice(&im->arena, text);
}

struct slice import_text_of(struct import *im, struct slice object, const char *name)
{
    return import_text(im, import_member(object, name));
}

bool import_next(struct slice *rest, struct slice *element)
{
    struct json j;
    bool first = rest->n && rest->p[0] == '[';
    const char *begin = first ? rest->p + 1 : rest->p;
    if (rest->n == 0)
        return false;
    struct slice text = slice_make(begin, rest->n - (size_t)(begin - rest->p));
    while (text.n && strchr(" \t\r\n,", text.p[0]))
        text = slice_from(text, 1);
    if (text.n == 0 || text.p[0] == ']')
        return false;
    json_init(&j, text);
    if (!json_skip(&j, element))
        return false;
    *rest = slice_from(text, (size_t)(element->p + element->n - text.p));
    return true;
}

/* A file of another API would give a policy that denies all, without a word. */
int import_require(struct import *im, const char *const *names, bool empty, const char *what)
{
    for (size_t i = 0; i < im->files.n; i++) {
        struct slice key;
        struct json j;
        json_init(&j, im->files.at[i].text);
        bool known = empty && json_enter_object(&j) && !json_next_key(&j, &key);
        for (size_t n = 0; names[n] && !known; n++)
            known = import_member(im->files.at[i].text, names[n]).n > 0;
        if (!known)
            return err_set(im->err, EINVAL, "%.*s: no answer of %s", SLICE_FMT(im->files.at[i].arg),
                           what);
    }
    return 0;
}

int import_list_add(struct import *im, struct import_list *list, struct slice text)
{
    list->max = IMPORT_ITEMS_MAX;
    int rc = vec_push(list, text);
    return rc < 0 ? err_set(im->err, -rc, "too many names") : 0;
}

bool import_list_has(const struct import_list *list, struct slice text)
{
    for (size_t i = 0; i < list->n; i++)
        if (slice_eq(list->at[i], text))
            return true;
    return false;
}

int import_strings(struct import *im, struct slice array, struct import_list *out)
{
    struct slice element;
    int rc = 0;
    while (rc == 0 && import_next(&array, &element))
        rc = import_list_add(im, out, import_text(im, element));
    return rc;
}

/* YAML. Strings are JSON's, which YAML takes between double quotes as they are. */

static void add_list(struct import *im, const char *key, const struct import_list *list)
{
    buf_addf(&im->out, "    %s: [", key);
    for (size_t i = 0; i < list->n; i++) {
        buf_add_str(&im->out, i ? ", " : "");
        buf_add_json(&im->out, list->at[i]);
    }
    buf_add_str(&im->out, "]\n");
}

static struct slice part_of(const struct import_table *t, struct slice name)
{
    return slice_is(name, "catalog")                                ? t->catalog
           : slice_is(name, "schema") || slice_is(name, "database") ? t->schema
           : slice_is(name, "table")                                ? t->table
                                                                    : SLICE_NONE;
}

/* The table's path by the template. */
static int add_path(struct import *im, const struct import_table *t, struct buf *path)
{
    struct slice rest = slice_of(im->path_template);
    while (rest.n) {
        ptrdiff_t open = slice_find(rest, '{'), close = slice_find(rest, '}');
        if (open < 0 || close < open)
            break;
        struct slice part = slice_make(rest.p + open + 1, (size_t)(close - open - 1));
        struct slice value = part_of(t, part);
        buf_add(path, rest.p, (size_t)open);
        if (value.n == 0)
            return err_set(im->err, EINVAL, "%s: there is no {%.*s}", im->path_template,
                           SLICE_FMT(part));
        buf_add_slice(path, t->every && slice_is(part, "table") ? SLICE_LIT("*")
                                                                : import_literal(im, value));
        rest = slice_from(rest, (size_t)close + 1);
    }
    buf_add_slice(path, rest);
    return buf_check(path, im->err);
}

static bool template_has(const struct import *im, const char *part)
{
    return strstr(im->path_template, part) != NULL;
}

/* Tables of the same path would have each other's grants. */
static int check_template(struct import *im, const struct import_table *t)
{
    if (!im->first.table.n)
        im->first = *t;
    const char *lacks = !template_has(im, "{table}") ? "{table}"
                        : !slice_eq(t->schema, im->first.schema) && !template_has(im, "{schema}") &&
                                !template_has(im, "{database}")
                            ? "{schema}"
                        : !slice_eq(t->catalog, im->first.catalog) && !template_has(im, "{catalog}")
                            ? "{catalog}"
                            : NULL;
    return lacks ? err_set(im->err, EINVAL, "--path %s needs %s: there are several",
                           im->path_template, lacks)
                 : 0;
}

static void add_masks(struct import *im, const struct import_list *mask)
{
    buf_add_str(&im->out, "    mask:\n");
    for (size_t i = 0; i + 1 < mask->n; i += 2) {
        buf_add_str(&im->out, "      ");
        buf_add_json(&im->out, mask->at[i]);
        buf_addf(&im->out, ": %.*s\n", SLICE_FMT(mask->at[i + 1]));
    }
}

int import_grant(struct import *im, const struct import_grant *g)
{
    AUTO(buf) struct buf path = {0};
    buf_init(&path, KEY_BYTES_MAX);
    int rc = check_template(im, g->table);
    if (rc == 0)
        rc = add_path(im, g->table, &path);
    if (rc < 0)
        return rc;
    buf_add_str(&im->out, "  - to: [");
    for (size_t i = 0; i < g->to->n; i++) {
        buf_add_str(&im->out, i ? ", " : "");
        buf_add_json(&im->out, g->to->at[i]);
    }
    buf_add_str(&im->out, "]\n    tables: [");
    buf_add_json(&im->out, buf_slice(&path));
    buf_add_str(&im->out, "]\n");
    if (g->only)
        add_list(im, "only", g->only);
    if (g->hide && g->hide->n)
        add_list(im, "hide", g->hide);
    if (g->mask && g->mask->n)
        add_masks(im, g->mask);
    if (g->rows.n) {
        buf_add_str(&im->out, "    rows: ");
        buf_add_json(&im->out, g->rows);
        buf_add_char(&im->out, '\n');
    }
    return buf_check(&im->out, im->err);
}

/* A comment of one line, whatever is in what it quotes. */
static void add_comment(struct import *im, const char *fmt, va_list ap)
{
    char line[1024];
    (void)vsnprintf(line, sizeof line, fmt, ap);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || (unsigned char)*c >= 0x80)
            *c = (unsigned char)*c >= 0x80 ? '?' : ' ';
    buf_addf(&im->out, "  # %s\n", line);
}

void import_left_out(struct import *im, const char *fmt, ...)
{
    va_list ap;
    im->left_out++;
    va_start(ap, fmt);
    add_comment(im, fmt, ap);
    va_end(ap);
}

void import_note(struct import *im, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add_comment(im, fmt, ap);
    va_end(ap);
}

struct slice import_literal(struct import *im, struct slice name)
{
    AUTO(buf) struct buf quoted = {0};
    bool plain = name.n > 0;
    for (size_t i = 0; i < name.n; i++)
        plain = plain && !strchr("[]{}\\`*?./:", name.p[i]);
    if (plain)
        return name;
    buf_init(&quoted, 2 * name.n + 2);
    buf_add_char(&quoted, '`');
    for (size_t i = 0; i < name.n; i++) {
        buf_add_char(&quoted, name.p[i]);
        if (name.p[i] == '`')
            buf_add_char(&quoted, '`');
    }
    buf_add_char(&quoted, '`');
    return arena_slice(&im->arena, buf_slice(&quoted));
}

struct slice import_condition(struct slice text)
{
    AUTO(filter) struct filter *f = NULL;
    return text.n && filter_parse(text, &f, NULL) == 0 ? text : SLICE_NONE;
}

/* Command */

static void import_done(struct import *im)
{
    arena_done(&im->arena);
    buf_done(&im->out);
    vec_done(&im->files);
}
DEFINE_AUTO_DONE(import, struct import, import_done)

/* FILE, or NAME=FILE. */
static int read_file(struct import *im, const char *arg)
{
    AUTO(buf) struct buf text = {0};
    const char *equals = strchr(arg, '=');
    struct json j;
    struct slice whole = SLICE_NONE;
    buf_init(&text, IMPORT_BYTES_MAX);
    int rc = file_read(AT_FDCWD, equals ? equals + 1 : arg, &text, im->err);
    if (rc < 0)
        return rc;
    json_init(&j, buf_slice(&text));
    if (json_peek(&j) != JSON_OBJECT || !json_skip(&j, &whole) || !json_at_end(&j))
        return err_set(im->err, EINVAL, "%s: no JSON object", arg);
    struct import_file file = {slice_of(arg), slice_make(arg, equals ? (size_t)(equals - arg) : 0),
                               arena_slice(&im->arena, whole)};
    rc = file.text.p ? vec_push(&im->files, file) : -ENOMEM;
    return rc < 0 ? err_set(im->err, -rc, "%s: too large", arg) : 0;
}

/* What was written must be a policy, or it is of no use to anybody. */
static int finish(struct import *im)
{
    AUTO(policy) struct policy *p = NULL;
    int rc = buf_check(&im->out, im->err);
    if (rc == 0)
        rc = policy_parse(buf_slice(&im->out), "what was made", &p, im->err);
    if (rc < 0)
        return rc;
    (void)fwrite(im->out.data, 1, im->out.len, stdout);
    if (im->left_out)
        (void)fprintf(stderr, "tarn policy: %zu rules could not be expressed and give nothing\n",
                      im->left_out);
    return 0;
}

int policy_import(int argc, char **argv)
{
    static const struct {
        const char *name, *path_template;
        int (*run)(struct import *im);
    } catalogs[] = {
        {"lake-formation", "{database}/{table}", import_lake_formation},
        {"unity-catalog", "{catalog}/{schema}/{table}", import_unity_catalog},
    };
    struct err err = ERR_INIT;
    AUTO(import) struct import im = {.files.max = 1 << 16, .err = &err};
    size_t which = 0;
    int rc = 0;
    while (argc > 1 && which < ARRAY_SIZE(catalogs) && strcmp(argv[1], catalogs[which].name) != 0)
        which++;
    if (argc < 3 || which == ARRAY_SIZE(catalogs))
        return usage_error("policy", "import needs lake-formation or unity-catalog, and FILEs");
    arena_init(&im.arena, 2 * IMPORT_BYTES_MAX);
    buf_init(&im.out, IMPORT_BYTES_MAX);
    im.path_template = catalogs[which].path_template;
    for (int i = 2; rc == 0 && i < argc; i++) {
        if (strcmp(argv[i], "--path") == 0 && i + 1 < argc)
            im.path_template = argv[++i];
        else if (argv[i][0] == '-')
            return usage_error("policy", "unexpected argument %s", argv[i]);
        else
            rc = read_file(&im, argv[i]);
    }
    buf_addf(&im.out, "# made by `tarn policy import %s`\n", catalogs[which].name);
    buf_add_str(&im.out, "grants:\n");
    size_t empty = im.out.len;
    if (rc == 0)
        rc = catalogs[which].run(&im);
    if (rc == 0 && !memmem(im.out.data + empty, im.out.len - empty, "\n  - to:", 8) &&
        !slice_starts(slice_from(buf_slice(&im.out), empty), SLICE_LIT("  - to:")))
        buf_add_str(&im.out, "  []\n");
    if (rc == 0)
        rc = finish(&im);
    if (rc < 0)
        (void)fprintf(stderr, "tarn policy: %s\n", err.msg);
    return rc < 0 ? EXIT_FAILED : EXIT_OK;
}
