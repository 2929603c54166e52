/* SPDX-License-Identifier: Apache-2.0 */
/* tarn policy test: which grant decides about a table for somebody, and what it shows. */
#include <grp.h>
#include <pwd.h>

#include "base/limits.h"
#include "base/text.h"
#include "base/vec.h"
#include "lake/format/present_types.h"
#include "lake/view/principal.h"
#include "lake/view/view_decide.h"
#include "tools/policy.h"
#include "tools/policy_columns.h"
#include "tools/tools.h"

#define GROUPS_MAX 1024

struct test {
    const char *policy_file, *role, *user, *path;
    VEC(const char *) groups;
    bool json;
    struct policy *policy;
    struct principal *who;
    struct buf name, table; /* of who; as policies write it */
    enum policy_place place;
    struct policy_columns at, today;
    const struct grant *grant; /* NULL: denied */
    struct err denied;         /* by what the table has: code 0 is not */
};

static void test_done(struct test *t)
{
    vec_done(&t->groups);
    policy_free(STEAL(t->policy));
    principal_unref(STEAL(t->who));
    buf_done(&t->name);
    buf_done(&t->table);
    policy_columns_done(&t->at);
    policy_columns_done(&t->today);
}
DEFINE_AUTO_DONE(test, struct test, test_done)

/* An option with a value in the next argument. */
static bool take(const char *name, int argc, char **argv, int *i, const char **out)
{
    if (strcmp(argv[*i], name) != 0 || *i + 1 >= argc)
        return false;
    *out = argv[++*i];
    return true;
}

static int parse(struct test *t, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *group = NULL;
        if (take("--group", argc, argv, &i, &group)) {
            if (vec_push(&t->groups, group) < 0)
                return usage_error("policy", "too many groups");
        } else if (strcmp(argv[i], "--json") == 0) {
            t->json = true;
        } else if (take("--policy", argc, argv, &i, &t->policy_file) ||
                   take("--as", argc, argv, &i, &t->role) ||
                   take("--user", argc, argv, &i, &t->user)) {
            continue;
        } else if (argv[i][0] == '-' || t->path) {
            return usage_error("policy", "unexpected argument %s", argv[i]);
        } else {
            t->path = argv[i];
        }
    }
    if (!t->policy_file || !t->path)
        return usage_error("policy", "--policy FILE and a TABLE are needed");
    if (!t->role == !t->user || (t->role && t->groups.n))
        return usage_error("policy", "--as ROLE or --user USER is needed, groups with the latter");
    return EXIT_OK;
}

/* Who asks */

static int told_user(const struct test *t, uid_t uid, const char *name, struct principal **out,
                     struct err *err)
{
    AUTO_FREE const char **names = calloc(t->groups.n + 1, sizeof *names);
    AUTO_FREE gid_t *gids = calloc(t->groups.n + 1, sizeof *gids);
    if (!names || !gids)
        return err_set(err, ENOMEM, "out of memory");
    for (size_t i = 0; i < t->groups.n; i++) {
        uint64_t number = 0;
        bool digits = text_parse_u64(slice_of(t->groups.at[i]), UINT32_MAX, &number);
        const struct group *g =
            digits ? getgrgid((gid_t)number) : getgrnam(t->groups.at[i]); /* alone here */
        gids[i] = digits ? (gid_t)number : g ? g->gr_gid : (gid_t)-1;
        names[i] = digits ? (g ? g->gr_name : NULL) : t->groups.at[i];
    }
    *out = principal_user(uid, name, names, gids, t->groups.n, err);
    return *out ? 0 : -err->code;
}

static int find_user(const struct test *t, struct principal **out, struct err *err)
{
    uint64_t number = 0;
    bool digits = text_parse_u64(slice_of(t->user), UINT32_MAX, &number);
    const struct passwd *p = digits ? getpwuid((uid_t)number) : getpwnam(t->user);
    uid_t uid = digits ? (uid_t)number : p ? p->pw_uid : (uid_t)-1;
    const char *name = digits ? (p ? p->pw_name : NULL) : t->user;
    return p && t->groups.n == 0 ? principal_resolve(uid, out, err)
                                 : told_user(t, uid, name, out, err);
}

static int find_principal(struct test *t, struct err *err)
{
    if (t->user)
        return find_user(t, &t->who, err);
    t->who = principal_role(t->role, err);
    return t->who ? 0 : -err->code;
}

/* What is asked for */

/* A path as policies write it: without `/` at its ends, and without its ref. */
static int bare_table(const char *path, struct buf *out, struct err *err)
{
    struct slice s = slice_of(path);
    while (s.n && s.p[0] == '/')
        s = slice_from(s, 1);
    ptrdiff_t ref = slice_find(text_basename(s), '@');
    if (ref > 0)
        s.n -= text_basename(s).n - (size_t)ref;
    while (s.n && s.p[s.n - 1] == '/')
        s.n--;
    buf_init(out, KEY_BYTES_MAX);
    buf_add_slice(out, s);
    return buf_check(out, err);
}

static int find_table(struct test *t, struct err *err)
{
    int rc = policy_find(t->path, &t->place, &t->table, err);
    if (rc == 0 && t->place == PLACE_OUTSIDE)
        return bare_table(t->path, &t->table, err);
    if (rc < 0 || t->place == PLACE_OBJECT)
        return rc;
    rc = policy_columns_at(t->path, &t->at, err);
    return rc < 0 ? rc : policy_columns_today(t->path, buf_slice(&t->table), &t->today, err);
}

static struct view_columns columns_of(const struct test *t, const struct policy_columns *c)
{
    return (struct view_columns){buf_slice(&t->table), c->shape, c->partitions, NULL};
}

/* Output */

struct line {
    const struct view_node *node;
    const struct column_decision *decision;
};

static bool is_leaf(const struct view_node *node)
{
    return node->field->kind == SHAPE_LEAF;
}

/* What decides of a leaf: itself, or the masked struct, list or map that it is in. */
static const struct column_decision *effective(const struct view_node *nodes,
                                               const struct column_decision *decisions, size_t i)
{
    for (size_t up = i; up; up = nodes[up].parent)
        if (decisions[up].state == COLUMN_MASKED)
            return &decisions[up];
    return &decisions[i];
}

static const char *how(const struct column_decision *d)
{
    return d->state == COLUMN_HIDDEN  ? "hidden"
           : d->state == COLUMN_SHOWN ? "shown"
                                      : shape_mask_name(d->mask);
}

/* What decides, and its line; 0: nothing does. What `only` does not name is hidden by the grant. */
static unsigned decided_by(const struct test *t, const struct column_decision *d, struct slice *by)
{
    *by = d->term ? d->term->text : t->grant->only.at ? SLICE_LIT("only") : SLICE_LIT("");
    return d->term ? d->term->place.line : d->state == COLUMN_HIDDEN ? grant_line(t->grant) : 0;
}

static void print_column(const struct test *t, const struct line *l, bool *first)
{
    AUTO(buf) struct buf path = {0}, type = {0}, out = {0};
    struct slice by;
    unsigned line = decided_by(t, l->decision, &by);
    buf_init(&path, MIB);
    buf_init(&type, KIB);
    buf_init(&out, 4 * MIB);
    view_path_format(&path, l->node->name.full);
    present_type_name(l->node->field, &type);
    if (t->json) {
        buf_add_str(&out, *first ? "" : ",");
        buf_add_str(&out, "{\"name\":");
        buf_add_json(&out, buf_slice(&path));
        buf_add_str(&out, ",\"type\":");
        buf_add_json(&out, buf_slice(&type));
        buf_addf(&out, ",\"partition\":%s,\"shown\":\"%s\"", l->node->partition ? "true" : "false",
                 how(l->decision));
        if (line) {
            buf_addf(&out, ",\"line\":%u,\"by\":", line);
            buf_add_json(&out, by);
        }
        buf_add_char(&out, '}');
    } else {
        buf_addf(&out, "  %-32.*s  %-16.*s  %-20s", SLICE_FMT(buf_slice(&path)),
                 SLICE_FMT(buf_slice(&type)), how(l->decision));
        if (line)
            buf_addf(&out, "  line %u%s%.*s", line, by.n ? ": " : "", SLICE_FMT(by));
        else if (l->node->partition)
            buf_add_str(&out, "  partition");
        while (out.len && out.data[out.len - 1] == ' ')
            out.len--;
        buf_add_char(&out, '\n');
    }
    (void)fwrite(out.data, 1, out.len, stdout);
    *first = false;
}

static void print_columns(const struct test *t, const struct view_decision *d)
{
    bool first = true;
    for (size_t i = 1; i < d->at.partitions_n; i++)
        print_column(t, &(struct line){&d->at.partitions[i], &d->partitions[i]}, &first);
    for (size_t i = 1; i < d->at.fields_n; i++)
        if (is_leaf(&d->at.fields[i]))
            print_column(t, &(struct line){&d->at.fields[i], effective(d->at.fields, d->fields, i)},
                         &first);
}

static bool names_any(const struct test *t, const struct view_node *nodes, size_t n,
                      const struct column_term *term, bool narrow)
{
    struct column_terms one = {term, 1};
    for (size_t i = 1; i < n; i++)
        if (column_terms_find(&one, buf_slice(&t->table), &nodes[i].name, narrow) ||
            (!narrow && column_terms_find(&one, buf_slice(&t->table), &nodes[i].stored, false)))
            return true;
    return false;
}

/* Patterns that name nothing: misspelt, or for columns to come. */
static void print_idle(const struct test *t, const struct view_decision *d,
                       const struct column_terms *terms, bool narrow, bool *first)
{
    for (size_t i = 0; i < terms->n; i++) {
        const struct column_term *term = &terms->at[i];
        AUTO(buf) struct buf text = {0};
        if (names_any(t, d->today.fields, d->today.fields_n, term, narrow) ||
            names_any(t, d->today.partitions, d->today.partitions_n, term, narrow))
            continue;
        buf_init(&text, MIB);
        buf_add_json(&text, term->text);
        if (t->json)
            printf("%s{\"line\":%u,\"pattern\":%s}", *first ? "" : ",", term->place.line,
                   text.data);
        else
            printf("line %u: %s names no column of the table\n", term->place.line, text.data);
        *first = false;
    }
}

static void print_all_idle(const struct test *t, const struct view_decision *d)
{
    bool first = true;
    print_idle(t, d, &t->grant->hide, false, &first);
    print_idle(t, d, &t->grant->only, true, &first);
    print_idle(t, d, &t->grant->mask, false, &first);
}

static void print_json(const struct test *t, const struct view_decision *d)
{
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 4 * MIB);
    buf_add_str(&out, "{\"table\":");
    buf_add_json(&out, buf_slice(&t->table));
    buf_add_str(&out, ",\"principal\":");
    buf_add_json(&out, buf_slice(&t->name));
    buf_addf(&out, ",\"granted\":%s", t->grant && !t->denied.code ? "true" : "false");
    if (t->grant)
        buf_addf(&out, ",\"line\":%u,\"whole\":%s", grant_line(t->grant),
                 grant_whole(t->grant) ? "true" : "false");
    if (t->denied.code) {
        buf_add_str(&out, ",\"reason\":");
        buf_add_json(&out, slice_of(t->denied.msg));
    }
    if (t->grant && t->grant->rows) {
        buf_add_str(&out, ",\"rows\":{\"text\":");
        buf_add_json(&out, t->grant->rows_text);
        buf_addf(&out, ",\"line\":%u}", t->grant->rows_place.line);
    }
    printf("%s", out.data);
    if (d) {
        printf(",\"columns\":[");
        print_columns(t, d);
        printf("],\"idle\":[");
        print_all_idle(t, d);
        printf("]");
    }
    printf("}\n");
}

static void print_text(const struct test *t, const struct view_decision *d)
{
    printf("%s for %s: ", t->table.len ? t->table.data : "(the mount's root)", t->name.data);
    if (!t->grant) {
        printf("denied, by no grant of %s\n", t->policy_file);
        return;
    }
    printf("%s, by the grant in line %u\n",
           t->denied.code          ? "denied"
           : grant_whole(t->grant) ? "all of it"
                                   : "a part of it",
           grant_line(t->grant));
    if (t->denied.code)
        printf("because: %s\n", t->denied.msg);
    if (t->grant->rows)
        printf("rows: %.*s (line %u)\n", SLICE_FMT(t->grant->rows_text), t->grant->rows_place.line);
    if (d) {
        print_columns(t, d);
        print_all_idle(t, d);
    } else if (!grant_whole(t->grant) && t->place == PLACE_OUTSIDE) {
        printf("columns: give a path in a mount to see them\n");
    }
}

static int decide(struct test *t, struct err *err)
{
    static const uint8_t salt[VIEW_SALT_BYTES];
    AUTO(view_decision) struct view_decision d = {0};
    AUTO(view) struct view *view = NULL;
    struct view_columns at = columns_of(t, &t->at), today = columns_of(t, &t->today);
    bool columns = t->at.shape != NULL;
    struct slice path = buf_slice(&t->table);
    t->grant = t->place == PLACE_OBJECT ? policy_decide_object(t->policy, t->who, path, path)
                                        : policy_decide(t->policy, t->who, path);
    if (t->grant && t->place == PLACE_OBJECT && !grant_whole(t->grant))
        (void)err_set(&t->denied, ENOENT, "it is in no table, and only whole grants give such");
    if (t->grant && t->place == PLACE_TABLE)
        (void)view_make(t->grant, &at, &today, salt, &view, &t->denied);
    if (t->grant && columns) {
        int rc = view_decide(&d, t->grant, &at, &today, err);
        if (rc < 0)
            return rc;
    }
    (t->json ? print_json : print_text)(t, t->grant && columns ? &d : NULL);
    return 0;
}

int policy_test(int argc, char **argv)
{
    struct err err = ERR_INIT;
    AUTO(test) struct test t = {.groups.max = GROUPS_MAX};
    int status = parse(&t, argc, argv);
    if (status != EXIT_OK)
        return status;
    int rc = policy_read(t.policy_file, &t.policy, &err);
    buf_init(&t.name, KIB);
    if (rc == 0)
        rc = find_principal(&t, &err);
    if (rc == 0)
        rc = find_table(&t, &err);
    if (rc == 0)
        principal_name(t.who, &t.name);
    if (rc == 0)
        rc = decide(&t, &err);
    if (rc < 0)
        (void)fprintf(stderr, "tarn policy: %s\n", err.msg);
    return rc < 0 ? EXIT_FAILED : EXIT_OK;
}
