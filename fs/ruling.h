/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy that is in force, and the views that were made of it so far.
 *
 *   (grant, table, run of the version, run of the newest one) ─► view, or why there is none
 *
 * Another policy is another ruling: so what was kept of the one before is never asked again, and
 * who began under it ends under it. Shared by reference; any thread.
 */
#ifndef FS_RULING_H
#define FS_RULING_H

#include "base/lock.h"
#include "base/map.h"
#include "lake/view/policy.h"
#include "lake/view/view.h"

struct former;
struct restrictions; /* lake/catalog/restrictions.h */
struct run;
struct table;

/* Views that are kept at once; some hundred bytes each, and their shapes. */
#define RULING_VIEWS_MAX 4096
/* Policies that catalogs required; one more, and they are all forgotten. */
#define RULING_RESTRICTED_MAX 4096

struct ruling {
    _Atomic unsigned refs;
    uint64_t generation;   /* immutable, as the next lines; a later one is greater */
    struct policy *policy; /* NULL: there is none that holds, and all is denied */
    struct err why;        /* then */
    struct lock lock;
    struct map views;      /* lock */
    struct map restricted; /* lock: policies that catalogs require, by their texts */
};

/* Takes the policy, which may be NULL (`why`: the reason). NULL: out of memory. */
struct ruling *ruling_new(struct policy *policy, uint64_t generation, const struct err *why);
struct ruling *ruling_ref(struct ruling *r);
void ruling_unref(struct ruling *r);
DEFINE_AUTO(ruling, struct ruling *, ruling_unref)

/* The columns from which a view was made, so that it can be made again by another policy.
 * Immutable, shared by reference. */
struct basis {
    _Atomic unsigned refs;
    struct table *table;                                         /* borrowed from the lake */
    struct shape *at, *at_partitions, *today, *today_partitions; /* references, each may be NULL */
    struct former *former;                                       /* of today; likewise */
};
struct basis *basis_ref(struct basis *b);
void basis_unref(struct basis *b);
DEFINE_AUTO(basis, struct basis *, basis_unref)

/* A version by one of its runs, which all have the same columns. NULL: none yet. */
struct ruling_run {
    struct run *run;
    uint32_t number;
};

struct ruling_ask {
    const struct grant *grant;
    /* What a catalog requires of the table; NULL: nothing. The grant is whole then. */
    const struct restrictions *restrictions;
    struct table *table;
    struct ruling_run at, today;
    const uint8_t *salt; /* VIEW_SALT_BYTES */
};

/*
 * What a grant that is not whole makes of a version: references of the view and its basis. Errors
 * of view_make, kept as well; *first: nobody was told of it before. Pure but for mapped runs.
 */
int ruling_view(struct ruling *r, const struct ruling_ask *ask, struct view **view,
                struct basis **basis, bool *first, struct err *err) EXCLUDES(r->lock);

/* The same of columns that are at hand. */
int ruling_view_of(const struct grant *g, const struct basis *b, const uint8_t *salt,
                   struct view **view, struct err *err);

/* An error of these that is the policy's: what it cannot be made to say of these columns will be so
 * for the next one who asks. */
bool ruling_refuses(int rc);

#endif
