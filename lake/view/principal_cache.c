/* SPDX-License-Identifier: Apache-2.0 */
/* Users that were asked for lately: lake/view/principal.h. */
#include <assert.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/thread.h"
#include "lake/view/principal.h"

/* After a failure nobody asks for so long. */
#define FAILED_MS 1000
/* How often those who wait are looked at. */
#define LOOK_MS 1000

struct user {
    uid_t uid;               /* the map's key */
    struct principal *known; /* a reference, or NULL */
    int64_t known_ms;        /* when NSS was asked for it */
    bool asked;              /* queued, or a resolver has it: the user stays until it has ended */
    int64_t asked_ms;
    struct err failed; /* why the last one failed; code 0: it did not */
    int64_t failed_ms;
    uint64_t used; /* clock of the cache */
    struct waitlist waiting;
    struct user *next; /* in the queue */
};

struct principals {
    atomic_uint refs;        /* of the owner and each resolver */
    struct workers *workers; /* immutable, as resolve and watcher */
    principal_resolver *resolve;
    pthread_t watcher;
    struct lock lock;
    struct cond asked; /* lock, as all below */
    struct map users;
    struct user *first, *last; /* asked, and nobody has them yet */
    unsigned resolvers;
    size_t asked_n;
    uint64_t clock;
    bool ending;
};

static void unref(struct principals *p)
{
    if (atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    const struct map_entry *e;
    for (size_t at = 0; (e = map_next(&p->users, &at));) {
        struct user *u = e->value;
        assert(!u->waiting.first);
        principal_unref(u->known);
        free(u);
    }
    map_done(&p->users);
    cond_done(&p->asked);
    lock_done(&p->lock);
    free(p);
}

static struct user *take_locked(struct principals *p) REQUIRES(p->lock)
{
    struct user *u = p->ending ? NULL : p->first;
    if (u) {
        p->first = u->next;
        if (!p->first)
            p->last = NULL;
        u->next = NULL;
    }
    return u;
}

static void answer_locked(struct principals *p, struct user *u, int rc, struct principal *got,
                          const struct err *err) REQUIRES(p->lock)
{
    int64_t now_ms = clock_mono_ms();
    u->asked = false;
    p->asked_n--;
    if (rc == 0) {
        principal_unref(u->known);
        u->known = got;
        u->failed = (struct err)ERR_INIT;
    } else {
        u->failed = *err;
        u->failed.code = -rc;
        u->failed_ms = now_ms;
    }
    waitlist_wake(&u->waiting, p->workers);
}

/* A thread of its own, for which nobody waits. */
static void *resolver(void *arg)
{
    struct principals *p = arg;
    thread_name("tarn-nss");
    for (;;) {
        struct user *u;
        int64_t began_ms = clock_mono_ms();
        WITH_LOCK (&p->lock) {
            u = take_locked(p);
            if (!u)
                p->resolvers--;
        }
        if (!u)
            break;
        struct principal *got = NULL;
        struct err err = ERR_INIT;
        int rc = p->resolve(u->uid, &got, &err); /* the uid does not change while it is asked for */
        WITH_LOCK (&p->lock) {
            if (rc == 0)
                u->known_ms = began_ms;
            answer_locked(p, u, rc, got, &err);
        }
    }
    unref(p);
    return NULL;
}

static void ask_locked(struct principals *p, struct user *u) REQUIRES(p->lock)
{
    struct err why = ERR_INIT, err = ERR_INIT;
    u->asked = true;
    u->asked_ms = clock_mono_ms();
    if (p->asked_n++ == 0)
        cond_signal(&p->asked);
    if (p->last)
        p->last->next = u;
    else
        p->first = u;
    p->last = u;
    if (p->resolvers == PRINCIPAL_RESOLVERS_MAX)
        return;
    atomic_fetch_add(&p->refs, 1);
    p->resolvers++;
    if (thread_start(resolver, p, NULL, &why) == 0)
        return;
    atomic_fetch_sub(&p->refs, 1); /* not the last: the caller's is there */
    if (--p->resolvers)
        return; /* another one will take it */
    p->first = p->last = NULL;
    (void)err_set(&err, EIO, "user %u: %s", u->uid, why.msg);
    answer_locked(p, u, -EIO, NULL, &err);
}

static bool late(const struct user *u, int64_t now_ms)
{
    return u->asked && now_ms - u->asked_ms >= PRINCIPAL_DEADLINE_MS;
}

static void wake_late_locked(struct principals *p) REQUIRES(p->lock)
{
    const struct map_entry *e;
    int64_t now_ms = clock_mono_ms();
    for (size_t at = 0; (e = map_next(&p->users, &at));) {
        struct user *u = e->value;
        if (late(u, now_ms))
            waitlist_wake(&u->waiting, p->workers);
    }
}

/* Ends waiting for what hangs in NSS. */
static void *watch(void *arg)
{
    struct principals *p = arg;
    thread_name("tarn-nss-watch");
    WITH_LOCK (&p->lock) {
        while (!p->ending) {
            if (p->asked_n == 0) {
                cond_wait(&p->asked, &p->lock);
                continue;
            }
            (void)cond_wait_until(&p->asked, &p->lock, clock_mono_ms() + LOOK_MS);
            wake_late_locked(p);
        }
    }
    return NULL;
}

struct principals *principals_new(struct workers *workers, principal_resolver *resolve,
                                  struct err *err)
{
    struct principals *p = calloc(1, sizeof *p);
    if (!p) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    atomic_init(&p->refs, 1);
    p->workers = workers;
    p->resolve = resolve ? resolve : principal_resolve;
    lock_init(&p->lock);
    cond_init(&p->asked);
    map_init(&p->users, PRINCIPALS_MAX);
    if (thread_start(watch, p, &p->watcher, err) < 0) {
        unref(p);
        return NULL;
    }
    return p;
}

void principals_free(struct principals *p)
{
    if (!p)
        return;
    WITH_LOCK (&p->lock) {
        p->ending = true;
        cond_broadcast(&p->asked);
    }
    (void)pthread_join(p->watcher, NULL); /* our own, joined once */
    unref(p);
}

/* The user who was not wanted for longest makes room. -EMFILE: all are being asked for. */
static int make_room_locked(struct principals *p, struct err *err) REQUIRES(p->lock)
{
    const struct map_entry *e;
    struct user *oldest = NULL;
    if (p->users.count < p->users.max)
        return 0;
    for (size_t at = 0; (e = map_next(&p->users, &at));) {
        struct user *u = e->value;
        if (!u->asked && !u->waiting.first && (!oldest || u->used < oldest->used))
            oldest = u;
    }
    if (!oldest)
        return err_set(err, EMFILE, "%d users are being asked for", PRINCIPALS_MAX);
    (void)map_remove(&p->users, slice_make(&oldest->uid, sizeof oldest->uid));
    principal_unref(oldest->known);
    free(oldest);
    return 0;
}

static int find_locked(struct principals *p, uid_t uid, struct user **out, struct err *err)
    REQUIRES(p->lock)
{
    struct user *u = map_find(&p->users, slice_make(&uid, sizeof uid));
    int rc = u ? 0 : make_room_locked(p, err);
    if (!u && rc == 0) {
        u = calloc(1, sizeof *u);
        if (!u)
            return err_set(err, ENOMEM, "out of memory");
        u->uid = uid;
        rc = map_put(&p->users, slice_make(&u->uid, sizeof u->uid), u);
        if (rc < 0) {
            free(u);
            return err_set(err, -rc, "out of memory");
        }
    }
    if (rc < 0)
        return rc;
    u->used = ++p->clock;
    *out = u;
    return 0;
}

static int of_locked(struct principals *p, struct user *u, struct task *task,
                     struct principal **out, struct err *err) REQUIRES(p->lock)
{
    int64_t now_ms = clock_mono_ms();
    bool failed = u->failed.code && now_ms - u->failed_ms < FAILED_MS;
    int64_t age_ms = u->known ? now_ms - u->known_ms : PRINCIPAL_GOOD_MS;
    if (age_ms >= PRINCIPAL_GOOD_MS / 2 && !u->asked && !failed) {
        ask_locked(p, u);
        failed = u->failed.code && !u->asked;
    }
    if (age_ms < PRINCIPAL_GOOD_MS) {
        *out = principal_ref(u->known);
        return 0;
    }
    if (failed)
        return err_copy(err, &u->failed);
    if (late(u, now_ms))
        return err_set(err, EIO, "user %u: NSS does not answer", u->uid);
    waitlist_add(&u->waiting, &task->job);
    return -EINPROGRESS;
}

int principals_of(struct principals *p, uid_t uid, struct task *task, struct principal **out,
                  struct err *err)
{
    int rc = 0;
    WITH_LOCK (&p->lock) {
        struct user *u = NULL;
        rc = find_locked(p, uid, &u, err);
        if (rc == 0)
            rc = of_locked(p, u, task, out, err);
    }
    return rc;
}
