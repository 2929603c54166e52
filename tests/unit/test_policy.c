/* SPDX-License-Identifier: Apache-2.0 */
/* A policy's file, and which of its grants decides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/view/policy_grant.h"
#include "lake/view/principal.h"

#define EXAMPLE                                                                                    \
    "classes:\n"                                                                                   \
    "  pii: [silver/customers.email, silver/customers.ssn, \"**.phone\"]\n"                        \
    "grants:\n"                                                                                    \
    "  - to: [role:governance, user:carol]\n"                                                      \
    "    tables: [\"**\"]\n"                                                                       \
    "  - to: [role:trainer, group:ml]\n"                                                           \
    "    tables: [silver/customers]\n"                                                             \
    "    hide: [class:pii, address.street]\n"                                                      \
    "    mask: {birth_date: truncate-to-year, income: replace-with-null}\n"                        \
    "    rows: region = 'EU' and amount > 100\n"                                                   \
    "  - to: [everyone]\n"                                                                         \
    "    tables: [\"gold/**\"]\n"

static struct policy *parse(const char *text)
{
    struct err err = ERR_INIT;
    struct policy *p = NULL;
    if (policy_parse(slice_of(text), "p.yaml", &p, &err) < 0)
        fail_msg("%s", err.msg);
    return p;
}

static struct principal *role(const char *name)
{
    struct principal *p = principal_role(name, NULL);
    assert_non_null(p);
    return p;
}

static struct principal *user(uid_t uid, const char *name, const char *group)
{
    static const gid_t gids[] = {100};
    struct principal *p = principal_user(uid, name, &group, gids, group ? 1 : 0, NULL);
    assert_non_null(p);
    return p;
}

/* The line that decides; 0: denied. Takes the principal. */
static unsigned line_of(const struct policy *p, struct principal *who, const char *path)
{
    const struct grant *g = policy_decide(p, who, slice_of(path));
    principal_unref(who);
    return g ? grant_line(g) : 0;
}

/* Aim: the first grant that names principal and table decides, and without one it is denied. */
static void test_first_decides(void **state)
{
    (void)state;
    AUTO(policy) struct policy *p = parse(EXAMPLE);
    assert_int_equal(line_of(p, role("governance"), "silver/customers"), 4);
    assert_int_equal(line_of(p, user(7, "carol", "ml"), "silver/customers"), 4);
    assert_int_equal(line_of(p, role("trainer"), "silver/customers"), 6);
    assert_int_equal(line_of(p, user(8, "dave", "ml"), "silver/customers"), 6);
    assert_int_equal(line_of(p, user(8, "dave", "ops"), "silver/customers"), 0);
    assert_int_equal(line_of(p, role("trainer"), "silver/orders"), 0);
    assert_int_equal(line_of(p, role("trainer"), "gold/report/daily"), 11);
    assert_int_equal(line_of(p, user(9, NULL, NULL), "gold"), 11);
    assert_int_equal(line_of(p, role("governance"), ""), 4);
    assert_int_equal(line_of(p, role("nobody"), "Gold/report"), 0);
}

/* Aim: a role is no user and a user no role, and root has no right of his own. */
static void test_kinds_of_principals(void **state)
{
    (void)state;
    AUTO(policy)
    struct policy *p = parse("grants:\n"
                             "- to: [role:carol]\n"
                             "  tables: [a]\n"
                             "- to: [user:carol]\n"
                             "  tables: [b]\n"
                             "- to: [group:carol]\n"
                             "  tables: [c]\n"
                             "- to: ['user:1000', 'group:100']\n"
                             "  tables: [d]\n");
    assert_int_equal(line_of(p, role("carol"), "a"), 2);
    assert_int_equal(line_of(p, role("carol"), "b"), 0);
    assert_int_equal(line_of(p, user(5, "carol", NULL), "a"), 0);
    assert_int_equal(line_of(p, user(5, "carol", NULL), "b"), 4);
    assert_int_equal(line_of(p, user(5, "carol", NULL), "c"), 0);
    assert_int_equal(line_of(p, user(5, "x", "carol"), "c"), 6);
    assert_int_equal(line_of(p, user(1000, "x", NULL), "d"), 8);
    assert_int_equal(line_of(p, user(5, "1000", NULL), "d"), 0);
    assert_int_equal(line_of(p, user(5, "x", "y"), "d"), 8);
    assert_int_equal(line_of(p, user(0, "root", "root"), "a"), 0);
}

/* Aim: what lies where a grant keeps a part of a table back is no loose object of a wider one. */
static void test_objects_below_parts(void **state)
{
    (void)state;
    AUTO(policy)
    struct policy *p = parse("grants:\n"
                             "- to: [role:r]\n"
                             "  tables: [open/crm/orders]\n"
                             "- to: [role:r]\n"
                             "  tables: [silver/orders, 'open/*/orders']\n"
                             "  hide: [email]\n"
                             "- to: [everyone]\n"
                             "  tables: ['silver/**', 'open/**']\n");
    static const struct {
        const char *place, *path;
        unsigned line, other;
    } cases[] = {
        {"silver/orders/a", "silver/orders/a", 4, 7},
        {"silver/orders", "silver/orders", 4, 7},
        {"silver/ordersx/a", "silver/ordersx/a", 7, 7},
        {"open", "open/us/orders/p=1/a", 4, 7},
        {"open", "open/us/x/a", 7, 7},
        {"open", "open/crm/orders/a", 4, 7},
        {"open/crm/orders", "open/crm/orders/a", 2, 7},
        {"gold/a", "gold/a", 0, 0},
    };
    AUTO(principal) struct principal *r = role("r"), *other = role("other");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct slice place = slice_of(cases[i].place), path = slice_of(cases[i].path);
        const struct grant *g = policy_decide_object(p, r, place, path);
        const struct grant *o = policy_decide_object(p, other, place, path);
        assert_int_equal(g ? grant_line(g) : 0, cases[i].line);
        assert_int_equal(o ? grant_line(o) : 0, cases[i].other);
    }
    assert_true(policy_parts_below(p, r, slice_of("silver")));
    assert_true(policy_parts_below(p, r, slice_of("open/us")));
    assert_false(policy_parts_below(p, r, slice_of("silver/orders")));
    assert_false(policy_parts_below(p, r, slice_of("silver/parts")));
    assert_false(policy_parts_below(p, other, slice_of("silver")));
}

/* Aim: a directory is reached where something in it may be granted, and not elsewhere. */
static void test_reach(void **state)
{
    (void)state;
    AUTO(policy)
    struct policy *p = parse("grants:\n"
                             "- to: [role:r]\n"
                             "  tables: [silver/eu/orders, 'lab*/x', 'deep/**/end']\n");
    AUTO(principal) struct principal *r = role("r"), *other = role("other");
    static const char *const yes[] = {"",     "silver",    "silver/eu", "silver/eu/orders",
                                      "labs", "labs/x",    "deep",      "deep/a/b/c",
                                      "lab",  "deep/a/end"};
    static const char *const no[] = {"silver/us", "silver/eu/orders/x", "gold", "labs/y", "la"};
    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        assert_true(policy_may_reach(p, r, slice_of(yes[i])));
        assert_false(policy_may_reach(p, other, slice_of(yes[i])));
    }
    for (size_t i = 0; i < ARRAY_SIZE(no); i++)
        assert_false(policy_may_reach(p, r, slice_of(no[i])));
}

/* Aim: only a grant that keeps nothing back gives a table as it is. */
static void test_whole(void **state)
{
    (void)state;
    AUTO(policy) struct policy *p = parse(EXAMPLE);
    assert_true(grant_whole(&p->grants[0]));
    assert_false(grant_whole(&p->grants[1]));
    assert_true(grant_whole(&p->grants[2]));
    AUTO(policy)
    struct policy *q = parse("grants:\n"
                             "- {to: [everyone], tables: [a], hide: [x]}\n"
                             "- {to: [everyone], tables: [a], only: [x]}\n"
                             "- {to: [everyone], tables: [a], mask: {x: show-last-4}}\n"
                             "- {to: [everyone], tables: [a], rows: a = 1}\n");
    for (size_t i = 0; i < q->grants_n; i++)
        assert_false(grant_whole(&q->grants[i]));
}

#define G "grants:\n- to: [everyone]\n  tables: [t]\n"

/* Aim: what is no policy is refused whole, with file, line and column of what is wrong. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *where, *why;
    } cases[] = {
        {"", "1:1", "empty"},
        {"# nothing\n", "1:1", "empty"},
        {"grants: {}\n", "1:9", "list"},
        {"[]\n", "1:1", "classes and grants"},
        {"classes: {}\n", "1:1", "lacks"},
        {"grants: []\ngrant: []\n", "2:1", "no \"grant\""},
        {"grants: []\ngrants: []\n", "2:1", "twice"},
        {"grants:\n- to: [everyone]\n", "2:3", "lacks \"tables\""},
        {"grants:\n- tables: [t]\n", "2:3", "lacks \"to\""},
        {G "  hides: [a]\n", "4:3", "no \"hides\""},
        {G "  hide: [a]\n  only: [b]\n", "2:3", "not both"},
        {G "  hide: []\n", "4:9", "list of columns"},
        {G "  hide:\n", "4:8", "missing"},
        {G "  only: a\n", "4:9", "list of columns"},
        {G "  hide: [[a]]\n", "4:10", "string"},
        {G "  hide: [class:pii]\n", "4:10", "no class:pii"},
        {G "  hide: [t.a/b]\n", "4:10", "slash"},
        {G "  hide: ['a..b']\n", "4:10", "empty component"},
        {G "  hide: ['a[bc]']\n", "4:10", "backticks"},
        {G "  hide: [12]\n", "4:10", "quotes"},
        {G "  hide: [null]\n", "4:10", "quotes"},
        {G "  hide: [no]\n", "4:10", "quotes"},
        {G "  mask: {}\n", "4:9", "mask"},
        {G "  mask: {a: rot13}\n", "4:13", "no mask"},
        {G "  mask: {a: [x]}\n", "4:13", "no mask"},
        {G "  mask: {a: show-last-4, a: mask-alphanum}\n", "4:26", "twice"},
        {G "  rows: [a]\n", "4:9", "condition"},
        {G "  rows: amount >\n", "4:9", ""},
        {"grants:\n- to: [bob]\n  tables: [t]\n", "2:8", "principal"},
        {"grants:\n- to: ['role:']\n  tables: [t]\n", "2:8", "principal"},
        {"grants:\n- to: [Everyone]\n  tables: [t]\n", "2:8", "principal"},
        {"grants:\n- to: []\n  tables: [t]\n", "2:7", "principals"},
        {"grants:\n- to: [role: x]\n  tables: [t]\n", "2:8", "principal"},
        {"grants:\n- to: [everyone]\n  tables: []\n", "3:11", "tables"},
        {"grants:\n- to: [everyone]\n  tables: [/t]\n", "3:12", "empty component"},
        {"grants:\n- to: [everyone]\n  tables: [a**]\n", "3:12", "alone"},
        {"grants: []\nclasses: {p: [email]}\n", "2:15", "TABLE.COLUMN"},
        {"grants: []\nclasses: {p: ['a/b']}\n", "2:15", "TABLE.COLUMN"},
        {"grants: []\nclasses: {p: ['class:q']}\n", "2:15", "TABLE.COLUMN"},
        {"grants: []\nclasses: {p: []}\n", "2:14", "list of columns"},
        {"grants: []\nclasses: {p: [t.a], p: [t.b]}\n", "2:21", "twice"},
        {"grants: &a []\n", "1:9", "anchors"},
        {"grants: []\nclasses: *a\n", "2:10", "aliases"},
        {"grants: !!seq []\n", "1:9", "tags"},
        {"%YAML 1.1\n---\ngrants: []\n", "1:1", "directives"},
        {"grants: []\n---\ngrants: []\n", "2:1", "documents"},
        {"grants:\n- <<: {}\n", "2:3", "quotes"},
        {"grants: [[[[[[[[[]]]]]]]]]\n", "1:16", "deeper"},
        {"? [a]\n: b\n", "1:3", "key"},
        {"grants: [\n", "2:1", ""},
        {"grants: \"\\0\"\n", "1:9", "control"},
        {"grants: \xff\n", "1:9", "UTF-8"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct policy *p = NULL;
        struct err err = ERR_INIT;
        char want[64];
        (void)snprintf(want, sizeof want, "p.yaml:%s: ", cases[i].where);
        assert_int_equal(policy_parse(slice_of(cases[i].text), "p.yaml", &p, &err), -EINVAL);
        assert_null(p);
        if (strncmp(err.msg, want, strlen(want)) != 0 || !strstr(err.msg, cases[i].why))
            fail_msg("%s: got \"%s\", want \"%s...%s\"", cases[i].text, err.msg, want,
                     cases[i].why);
    }
}

/* Aim: a file over the limits, and one with a NUL in it, are refused before YAML is read. */
static void test_bounds(void **state)
{
    (void)state;
    struct policy *p = NULL;
    struct err err = ERR_INIT;
    AUTO_FREE char *big = malloc(POLICY_BYTES_MAX + 1);
    assert_non_null(big);
    memset(big, '\n', POLICY_BYTES_MAX + 1);
    assert_int_equal(policy_parse(slice_make(big, POLICY_BYTES_MAX + 1), "p", &p, &err),
                     -EOVERFLOW);
    assert_int_equal(policy_parse(slice_make("grants: []\n\0x: 1", 16), "p", &p, &err), -EINVAL);
    assert_string_equal(err.msg, "p:2:1: a NUL character");
    assert_null(p);
}

/* Aim: a policy may be written in any order and style that YAML has. */
static void test_styles(void **state)
{
    (void)state;
    AUTO(policy)
    struct policy *p = parse("---\n"
                             "grants:\n"
                             "- tables:\n"
                             "  - 'a/b'\n"
                             "  rows: >-\n"
                             "    region = 'EU'\n"
                             "    and x = 1\n"
                             "  hide: ['class:p q']\n"
                             "  to: [\"role:\\u00e9\"]\n"
                             "classes:\n"
                             "  'p q': [a/b.c]\n"
                             "...\n");
    assert_int_equal(p->grants_n, 1);
    assert_true(slice_is(p->grants[0].rows_text, "region = 'EU' and x = 1"));
    assert_int_equal(line_of(p, role("\xc3\xa9"), "a/b"), 3);
    AUTO(policy) struct policy *none = parse("grants: []");
    assert_int_equal(line_of(none, role("r"), "a"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_decides),
        cmocka_unit_test(test_kinds_of_principals),
        cmocka_unit_test(test_objects_below_parts),
        cmocka_unit_test(test_reach),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_styles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
