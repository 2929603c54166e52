/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the store of presented files share (lake/view/presented_store.h).
 *
 *   presented_store.c    the store, its recipes, who waits for them
 *   presented_plan.c     footers and plans
 *   presented_rewrite.c  files that are made whole
 *   presented_object.c   the objects that they are made of
 *   presented_get.c      ranges
 *   presented_open.c     opening through the cache
 *
 * One lock guards the recipes; jobs may be submitted under it, nothing else is called.
 */
#ifndef LAKE_VIEW_PRESENTED_PRIVATE_H
#define LAKE_VIEW_PRESENTED_PRIVATE_H

#include <stdatomic.h>

#include "base/lock.h"
#include "base/map.h"
#include "lake/format/equality.h"
#include "lake/format/filter.h"
#include "lake/format/present.h"
#include "lake/format/roaring.h"
#include "lake/spare.h"
#include "lake/view/presented_store.h"

/* A failure that may pass counts so long: longer than those who waited take to look again. */
#define RECIPE_ERROR_MS 1000

struct presented_store {
    struct store store;
    struct store_ops ops; /* of store: immutable, as is config */
    struct presented_config config;
    struct spare spare; /* for rewritten files that the cache's disk does not take */

    struct lock lock;
    struct cond idle;          /* busy became 0 */
    struct map recipes;        /* lock; by key */
    struct recipe *oldest;     /* lock; of those that nobody refers to */
    struct recipe *newest;     /* lock */
    size_t idle_n;             /* lock */
    size_t idle_bytes;         /* lock */
    uint64_t temporary_bytes;  /* lock; of rewritten files */
    uint64_t busy;             /* lock; gets, plans and rewrites */
    struct workers *rewriters; /* lock; NULL until something has to be rewritten */
    atomic_bool ending;        /* what is being rewritten is for nobody */
};

/* What a ready recipe serves gets from. Immutable but for refs. */
struct work {
    atomic_uint refs;
    struct presented_store *store;
    struct present_extent *extents; /* of SAME and FOOTER */
    size_t extents_n;
    char *own;
    int fd; /* of REWRITE; else -1 */
    uint64_t temporary_bytes;
    size_t memory;
    char etag[ETAG_BYTES_MAX];     /* of the presented file */
    char if_match[ETAG_BYTES_MAX]; /* of the object; empty: not known */
};

enum recipe_state { RECIPE_NEW, RECIPE_UNDER_WAY, RECIPE_READY, RECIPE_FAILED };

struct recipe {
    struct presented_store *store; /* these to values: immutable */
    char *key;                     /* the presented file's */
    char *object_key, *version;    /* version NULL: the newest */
    char *etag;                    /* of the object, as listed; empty: not told */
    uint64_t object_bytes, size;
    bool other_format;
    struct shape *shape; /* a reference, or NULL */
    bool deletes;
    struct row_filter *filter; /* a reference, or NULL */
    struct slice *values;      /* of the partition columns, with their bytes; for the filter */

    unsigned refs;                /* lock of the store, all below */
    struct recipe *older, *newer; /* in the store's list where refs is 0 */
    enum recipe_state state;
    bool planned; /* UNDER_WAY: the plan is made, the file is being rewritten */
    bool wanted;  /* UNDER_WAY: somebody wants its bytes, not only to know what is done to it */
    bool sealing; /* the cache is being given all of what was rewritten */
    bool told;    /* kind is that of a plan */
    enum present_kind kind;
    bool untouched;         /* likewise: its deletes take no row of it out */
    bool rows_told;         /* the driver has said which rows are deleted: */
    struct roaring *rows;   /* these; NULL: none are named */
    struct equality *equal; /* and those that have such values; NULL: none */
    struct work *work;      /* READY */
    struct err err;         /* FAILED */
    int64_t failed_ms;
    struct waitlist waiting; /* tasks of who opens */
    struct serving *gets;    /* gets that wait */
};

static inline struct presented_store *presented_of(struct store *s)
{
    return CONTAINER_OF(s, struct presented_store, store);
}

/* What somebody waits for. */
enum recipe_need {
    RECIPE_TOLD,    /* what is done to the file */
    RECIPE_PLANNED, /* that it can be read, though a rewritten one later only */
    RECIPE_WHOLE,   /* that all of it can be read now */
};

/* presented_store.c */

/* Counts something that the store's end waits for. */
void presented_begin(struct presented_store *s) EXCLUDES(s->lock);
void presented_end(struct presented_store *s) EXCLUDES(s->lock);

/* The recipe, made now where it is not there yet: a reference. */
int recipe_of(struct presented_store *s, const struct presented_file *f, struct recipe **out,
              struct err *err) EXCLUDES(s->lock);
/* A reference, or NULL. */
struct recipe *recipe_find_locked(struct presented_store *s, struct slice key) REQUIRES(s->lock);
void recipe_unref(struct recipe *r);
/*
 * 0: it is ready. -EINPROGRESS: it will be, or fail, in recipe_finish; *begin is set where the
 * caller has to call plan_begin when he has left the lock. `wanted`: its bytes are. -ENODATA as of
 * recipe_wait.
 */
int recipe_need_locked(struct presented_store *s, struct recipe *r, bool wanted, bool *begin,
                       struct err *err) REQUIRES(s->lock);
/* What making it has failed with, where that still counts; else 0. */
int recipe_failure(struct recipe *r, struct err *err);
/* Takes the rows that the file does not show any more, and the values of further ones. Either may
 * be NULL. */
void recipe_give_rows(struct recipe *r, struct roaring *rows, struct equality *equal);
/* Parks `task`. -ENODATA: the rows that are taken out have to be given first. */
int recipe_wait(struct recipe *r, enum recipe_need need, struct task *task, struct err *err);
/*
 * The plan is made; untouched: what is deleted is nothing of this file. False: it has to be
 * rewritten, and nobody wants that; this has ended what began with plan_begin then.
 */
bool recipe_planned(struct recipe *r, enum present_kind kind, bool untouched);
/* READY with `work`, which it takes, or FAILED. Ends what began with plan_begin. */
void recipe_finish(struct recipe *r, struct work *work, const struct err *err);
/* Forgets its work, which is the caller's then; NULL: it has none. */
struct work *recipe_take_work_locked(struct presented_store *s, struct recipe *r) REQUIRES(s->lock);
/* What this work serves is not the object any more. */
void recipe_spoil(struct recipe *r, const struct work *work, const struct err *err);

struct work *work_new(struct presented_store *s, struct err *err);
struct work *work_ref(struct work *w);
void work_unref(struct work *w);
DEFINE_AUTO(work, struct work *, work_unref)

/* presented_plan.c */

/* Makes the plan, and what it asks for; ends in recipe_finish. The reference is the caller's. */
void plan_begin(struct recipe *r);

/* Keeps of a plan that is not REWRITE what gets are served from. `end`: bytes of the object's end
 * that are at hand, its footer at least; or nothing. */
int plan_take_extents(struct work *w, const struct present_plan *plan, struct slice end,
                      struct err *err);

/* presented_rewrite.c */

/* What a file is made of. */
struct rewrite_parts {
    struct present_plan *plan;
    struct present_plan *untouched; /* where no row turns out to be deleted; NULL: some are */
    struct present_plan *filter;    /* of the recipe's row filter, where it has one */
    struct equality_plan *equal;    /* of its equality deletes, likewise */
    struct work *work;
    char *bytes; /* the whole object, where it is at hand, or NULL */
};

void rewrite_parts_done(struct rewrite_parts *parts);
DEFINE_AUTO_DONE(rewrite_parts, struct rewrite_parts, rewrite_parts_done)

/* On a worker; takes all of them and the reference. Ends in recipe_finish. */
void rewrite_begin(struct recipe *r, const struct rewrite_parts *parts);

/* presented_get.c */

void presented_get(struct store *s, struct store_get *get);

/* A get that waits for its recipe: served from `work`, or failed with `err` where that is NULL. */
struct serving;
void serving_go_on(struct serving *list, struct work *work, const struct err *err);

#endif
