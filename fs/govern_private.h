/* SPDX-License-Identifier: Apache-2.0 */
/* What deciding (fs/govern.c, fs/govern_shown.c), what is open (fs/govern_held.c) and the policy in
 * force with its thread (fs/governor.c) share. */
#ifndef FS_GOVERN_PRIVATE_H
#define FS_GOVERN_PRIVATE_H

#include <pthread.h>

#include "fs/govern.h"
#include "fs/policy_file.h"
#include "fs/slots.h"

struct governor {
    bool per_uid, revocable; /* immutable, as all to `lock` */
    bool fixed_policy;       /* there is no file: all is granted */
    uid_t uid;
    char *mountpoint;
    struct principal *fixed; /* of a role; NULL: users */
    struct principals *principals;
    struct audit *audit; /* NULL: none */
    uint8_t salt[VIEW_SALT_BYTES];
    struct slots slots;
    struct session *session;
    pthread_t thread;  /* watches the policy */
    pthread_t dropper; /* drops pages of what is revoked */
    bool started, drops_started;

    struct policy_file file; /* the thread's, once it runs */

    struct lock lock;
    struct cond changed;   /* lock's, as the next lines */
    struct ruling *ruling; /* in force */
    bool kicked, ended;
    bool drops;                  /* something may have been revoked */
    _Atomic uint64_t generation; /* of the ruling in force; set under the lock */
};

/* The ruling in force: a reference. */
struct ruling *governor_ruling(struct governor *g) EXCLUDES(g->lock);

/* Under a ruling, is it still shown as it was when it was opened? Pure. */
void held_look_again(struct held *h, const struct ruling *ruling);

/* Where it is, below the mount; appended. */
void govern_add_place(const struct where *w, struct buf *out);

/* -ENOENT, told to the audit: the line of the policy that decided, 0: none; reason may be NULL. */
int govern_deny(const struct asker *a, const struct where *w, unsigned line, const char *reason,
                struct err *err);

/* An entry of a plain directory's listing: -ENOENT: it is not shown, and nobody is told. Parks. */
int govern_entry(const struct asker *a, struct slice place, bool is_dir, struct task *task,
                 struct err *err);

/* The grant that decides; NULL: denied. */
static inline const struct grant *ruling_decide(const struct ruling *r, const struct principal *who,
                                                struct slice path)
{
    return r->policy ? policy_decide(r->policy, who, path) : NULL;
}

/* As policy_decide_object. */
static inline const struct grant *ruling_decide_object(const struct ruling *r,
                                                       const struct principal *who,
                                                       struct slice place, struct slice path)
{
    return r->policy ? policy_decide_object(r->policy, who, place, path) : NULL;
}

/* An object is granted as a whole. */
static inline bool ruling_gives_object(const struct ruling *r, const struct principal *who,
                                       const struct object_place *o)
{
    struct slice path = slice_of(o->path);
    const struct grant *g = ruling_decide_object(r, who, slice_make(path.p, o->table_n), path);
    return g && grant_whole(g);
}

/* Adds one; the path is copied. */
int object_places_add(struct object_places *to, struct slice path, size_t table_n, struct err *err);

/* The mount's root is there for everybody, though it may be empty for him. */
static inline bool ruling_reaches(const struct ruling *r, const struct principal *who,
                                  struct slice dir)
{
    return dir.n == 0 || (r->policy && policy_may_reach(r->policy, who, dir));
}

#endif
