/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: a policy. Property: what is no policy leaves nothing behind and says where it is wrong;
 * what is one decides the same each time, reaches the directories of all that it grants, and makes
 * of a table's columns a view in which nothing is that its shape had not.
 */
#include <assert.h>

#include "base/limits.h"
#include "lake/view/policy_grant.h"
#include "lake/view/principal.h"
#include "lake/view/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct shape *columns(void)
{
    static const char *const leaves[] = {"id", "email", "a.b", "\xc3\xa9t\xc3\xa9"};
    struct shape_builder b;
    struct shape *s = NULL;
    shape_builder_init(&b, SHAPE_BY_NAME);
    for (int i = 0; i < 4; i++)
        shape_add(
            &b, &(struct shape_field){.name = slice_of(leaves[i]), .id = i, .type = SHAPE_STRING});
    shape_add(&b,
              &(struct shape_field){.name = SLICE_LIT("address"), .id = 5, .kind = SHAPE_STRUCT});
    shape_add(&b,
              &(struct shape_field){.name = SLICE_LIT("street"), .id = 6, .type = SHAPE_STRING});
    shape_add(&b, &(struct shape_field){.name = SLICE_LIT("tags"), .id = 7, .kind = SHAPE_MAP});
    shape_add(&b, &(struct shape_field){.id = SHAPE_NO_ID, .type = SHAPE_STRING});
    shape_add(&b, &(struct shape_field){.id = SHAPE_NO_ID, .type = SHAPE_DATE});
    shape_end(&b);
    shape_end(&b);
    assert(shape_finish(&b, &s, NULL) == 0);
    return s;
}

static void try_view(const struct grant *g, const struct shape *s, struct slice table)
{
    static const uint8_t salt[VIEW_SALT_BYTES];
    AUTO(view) struct view *v = NULL;
    struct err err = ERR_INIT;
    struct view_columns at = {table, s, NULL, NULL};
    int rc = view_make(g, &at, &at, salt, &v, &err);
    assert(rc == -err.code && (rc == 0) == (v != NULL));
    if (!v)
        return;
    assert((v->hash == 0) == grant_whole(g) && (v->shape == NULL) == grant_whole(g));
    assert(!v->shape || (v->shape->confined && v->shape->fields_n <= s->fields_n));
}

static void try_policy(const struct policy *p, struct principal *who, const struct shape *s)
{
    static const char *const tables[] = {"", "silver/customers", "a/b/c/d", "\xff/\xc3\xa9"};
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        struct slice table = slice_of(tables[i]), dir = table;
        const struct grant *g = policy_decide(p, who, table);
        assert(g == policy_decide(p, who, table));
        for (; g && dir.n; dir.n--)
            assert(table.p[dir.n] != '/' || policy_may_reach(p, who, dir));
        if (g)
            try_view(g, s, table);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(policy) struct policy *p = NULL;
    struct err err = ERR_INIT;
    int rc = policy_parse(slice_make(data, size), "p", &p, &err);
    assert(rc == -err.code && (rc == 0) == (p != NULL));
    assert(rc == 0 || err.code == ENOMEM || strncmp(err.msg, "p:", 2) == 0);
    if (!p)
        return 0;
    static const char *const groups[] = {"ml"};
    static const gid_t gids[] = {100};
    AUTO(shape) struct shape *s = columns();
    AUTO(principal)
    struct principal *role = principal_role("trainer", NULL),
                     *user = principal_user(1000, "carol", groups, gids, 1, NULL);
    if (role)
        try_policy(p, role, s);
    if (user)
        try_policy(p, user, s);
    return 0;
}
