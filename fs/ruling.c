/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/ruling.h"

#include <stdatomic.h>

#include "base/limits.h"
#include "lake/format/shape.h"
#include "lake/former.h"
#include "lake/table.h"
#include "lake/view/policy_grant.h"
#include "lake/view/restricted.h"

/* A policy that a catalog requires. Who has it by a grant of it has a reference. */
struct restricted {
    _Atomic unsigned refs;
    struct policy *policy;
    char *text; /* the key */
};

static void restricted_unref(struct restricted *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    policy_free(r->policy);
    free(r->text);
    free(r);
}
DEFINE_AUTO(restricted, struct restricted *, restricted_unref)

static struct restricted *restricted_ref(struct restricted *r)
{
    if (r)
        (void)atomic_fetch_add(&r->refs, 1);
    return r;
}

/* What a kept view is found by; no padding. */
struct view_key {
    const struct grant *grant;
    const struct table *table;
    uint32_t at, today;
};

struct kept_view {
    struct view_key key;
    struct restricted *of; /* whose grant it is: no other one is at that address meanwhile */
    struct view *view;     /* NULL: err tells why */
    struct basis *basis;
    struct err err;
};

static void kept_free(struct kept_view *k)
{
    restricted_unref(k->of);
    view_unref(k->view);
    basis_unref(k->basis);
    free(k);
}
DEFINE_AUTO(kept, struct kept_view *, kept_free)

struct ruling *ruling_new(struct policy *policy, uint64_t generation, const struct err *why)
{
    struct ruling *r = calloc(1, sizeof *r);
    if (!r) {
        policy_free(policy);
        return NULL;
    }
    r->refs = 1;
    r->generation = generation;
    r->policy = policy;
    r->why = *why;
    lock_init(&r->lock);
    map_init(&r->views, RULING_VIEWS_MAX);
    map_init(&r->restricted, RULING_RESTRICTED_MAX);
    return r;
}

struct ruling *ruling_ref(struct ruling *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

static void forget_views_locked(struct ruling *r) REQUIRES(r->lock)
{
    const struct map_entry *e;
    for (size_t at = 0; (e = map_next(&r->views, &at));)
        kept_free(e->value);
    map_done(&r->views);
    map_init(&r->views, RULING_VIEWS_MAX);
}

/* Catalogs have required too much: all of it is made again when it is asked for. */
static void forget_restricted_locked(struct ruling *r) REQUIRES(r->lock)
{
    const struct map_entry *e;
    for (size_t at = 0; (e = map_next(&r->restricted, &at));)
        restricted_unref(e->value);
    map_done(&r->restricted);
    map_init(&r->restricted, RULING_RESTRICTED_MAX);
}

void ruling_unref(struct ruling *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    WITH_LOCK (&r->lock) {
        forget_views_locked(r);
        forget_restricted_locked(r);
    }
    map_done(&r->views);
    map_done(&r->restricted);
    lock_done(&r->lock);
    policy_free(r->policy);
    free(r);
}

struct basis *basis_ref(struct basis *b)
{
    atomic_fetch_add(&b->refs, 1);
    return b;
}

void basis_unref(struct basis *b)
{
    if (!b || atomic_fetch_sub(&b->refs, 1) != 1)
        return;
    shape_unref(b->at);
    shape_unref(b->at_partitions);
    shape_unref(b->today);
    shape_unref(b->today_partitions);
    former_unref(b->former);
    free(b);
}

static int columns_of(struct table *table, const struct ruling_run *run, struct shape **shape,
                      struct shape **partitions, struct err *err)
{
    const struct driver_ops *ops = table_ops(table);
    if (!run->run)
        return 0;
    int rc = lake_run_shape(table_lake(table), table, run->run, run->number, shape, err);
    return rc < 0 || !ops->partitions ? rc : ops->partitions(run_meta(run->run), partitions, err);
}

static int make_basis(const struct ruling_ask *ask, struct basis **out, struct err *err)
{
    AUTO(basis) struct basis *b = calloc(1, sizeof *b);
    if (!b)
        return err_set(err, ENOMEM, "out of memory");
    b->refs = 1;
    b->table = ask->table;
    int rc = columns_of(ask->table, &ask->at, &b->at, &b->at_partitions, err);
    if (rc == 0)
        rc = columns_of(ask->table, &ask->today, &b->today, &b->today_partitions, err);
    if (rc == 0 && ask->today.run && table_ops(ask->table)->former)
        rc = table_ops(ask->table)->former(run_meta(ask->today.run), &b->former, err);
    if (rc < 0)
        return rc;
    *out = STEAL(b);
    return 0;
}

int ruling_view_of(const struct grant *g, const struct basis *b, const uint8_t *salt,
                   struct view **view, struct err *err)
{
    struct slice path = table_path(b->table);
    const struct view_columns at = {path, b->at, b->at_partitions, NULL};
    const struct view_columns today = {path, b->today, b->today_partitions, b->former};
    return view_make(g, &at, &today, salt, view, err);
}

static int give(const struct kept_view *k, struct view **view, struct basis **basis,
                struct err *err)
{
    if (!k->view)
        return err_copy(err, &k->err);
    *view = view_ref(k->view);
    *basis = basis_ref(k->basis);
    return 0;
}

/* What another thread has made meanwhile is taken instead. */
static int keep(struct ruling *r, struct kept_view *made, struct view **view, struct basis **basis,
                struct err *err)
{
    AUTO(kept) struct kept_view *mine = made;
    struct slice key = slice_make(&mine->key, sizeof mine->key);
    int rc = 0;
    WITH_LOCK (&r->lock) {
        const struct kept_view *k = map_find(&r->views, key);
        if (!k && r->views.count == RULING_VIEWS_MAX)
            forget_views_locked(r);
        rc = give(k ? k : mine, view, basis, err);
        if (!k && map_put(&r->views, key, mine) == 0)
            mine = NULL;
    }
    return rc;
}

static int make_restricted(struct slice text, struct restricted **out, struct err *err)
{
    AUTO(restricted) struct restricted *made = calloc(1, sizeof *made);
    struct err why = ERR_INIT;
    if (!made)
        return err_set(err, ENOMEM, "out of memory");
    made->refs = 1;
    int rc = restricted_parse(text, &made->policy, &why);
    if (rc == -EINVAL)
        return err_set(err, EOPNOTSUPP, "%s", why.msg);
    if (rc < 0)
        return err_copy(err, &why);
    made->text = strndup(text.p, text.n);
    if (!made->text)
        return err_set(err, ENOMEM, "out of memory");
    *out = STEAL(made);
    return 0;
}

/* The one policy of a text of restricted_policy, a reference: while it is kept, the same text has
 * the same grant. */
static int find_restricted(struct ruling *r, struct slice text, struct restricted **out,
                           struct err *err)
{
    AUTO(restricted) struct restricted *made = NULL;
    int rc = 0;
    WITH_LOCK (&r->lock)
        *out = restricted_ref(map_find(&r->restricted, text));
    if (*out)
        return 0;
    rc = make_restricted(text, &made, err);
    if (rc < 0)
        return rc;
    WITH_LOCK (&r->lock) {
        *out = restricted_ref(map_find(&r->restricted, text));
        if (!*out && r->restricted.count == RULING_RESTRICTED_MAX)
            forget_restricted_locked(r);
        if (!*out)
            rc = map_put(&r->restricted, slice_of(made->text), made);
        if (!*out && rc == 0)
            *out = restricted_ref(STEAL(made)); /* the map has the other one */
    }
    return rc < 0 ? err_set(err, -rc, "no room for what catalogs require") : 0;
}

/* The policy that a catalog's restrictions are, of these columns; a reference. */
static int restricted_of(struct ruling *r, const struct ruling_ask *ask, const struct basis *b,
                         struct restricted **out, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    struct slice path = table_path(ask->table);
    const struct view_columns at = {path, b->at, b->at_partitions, NULL};
    const struct view_columns today = {path, b->today, b->today_partitions, b->former};
    buf_init(&text, POLICY_BYTES_MAX);
    int rc = restricted_policy(ask->restrictions, &at, &today, &text, err);
    return rc < 0 ? rc : find_restricted(r, buf_slice(&text), out, err);
}

bool ruling_refuses(int rc)
{
    return rc == -ENOENT || rc == -EOPNOTSUPP || rc == -EINVAL || rc == -EOVERFLOW;
}

int ruling_view(struct ruling *r, const struct ruling_ask *ask, struct view **view,
                struct basis **basis, bool *first, struct err *err)
{
    const struct grant *grant = ask->grant;
    AUTO(basis) struct basis *basis_made = NULL;
    AUTO(restricted) struct restricted *of = NULL;
    const struct kept_view *found;
    int rc = ask->restrictions ? make_basis(ask, &basis_made, err) : 0;
    *first = false;
    if (rc == 0 && ask->restrictions)
        rc = restricted_of(r, ask, basis_made, &of, err);
    if (rc < 0)
        return rc;
    if (of)
        grant = of->policy->grants;
    const struct view_key key = {grant, ask->table, ask->at.number, ask->today.number};
    WITH_LOCK (&r->lock) {
        found = map_find(&r->views, slice_make(&key, sizeof key));
        if (found)
            rc = give(found, view, basis, err);
    }
    if (found)
        return rc;
    AUTO(kept) struct kept_view *k = calloc(1, sizeof *k);
    if (!k)
        return err_set(err, ENOMEM, "out of memory");
    k->key = key;
    k->of = STEAL(of);
    *first = true;
    k->basis = STEAL(basis_made);
    if (!k->basis)
        rc = make_basis(ask, &k->basis, err);
    if (rc == 0)
        rc = ruling_view_of(grant, k->basis, ask->salt, &k->view, &k->err);
    else
        return rc;
    if (rc < 0 && !ruling_refuses(rc))
        return err_copy(err, &k->err);
    return keep(r, STEAL(k), view, basis, err);
}
