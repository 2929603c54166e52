/* SPDX-License-Identifier: Apache-2.0 */
/* The background job of a table: asks for its versions, loads them, moves the live path. */
#include "base/log.h"
#include "lake/cataloged.h"
#include "lake/table_private.h"

/* Takes the snapshot (NULL: an empty table). */
static struct table_version *version_new(struct table *t, const struct version *version,
                                         const struct wanted *what, struct snapshot *snapshot,
                                         struct err *err)
{
    AUTO(table_version) struct table_version *v = calloc(1, sizeof *v);
    if (!v) {
        if (snapshot)
            snapshot_unref(snapshot);
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    v->refs = 1;
    v->kind = what->kind;
    v->after = what->after;
    v->version = *version;
    v->snapshot = snapshot;
    if (snapshot) {
        struct run *patch = snapshot_patch(snapshot);
        if (lake_run_number(t->lake, t, snapshot_base(snapshot), &v->base_number, err) < 0)
            return NULL;
        if (patch && lake_run_number(t->lake, t, patch, &v->patch_number, err) < 0)
            return NULL;
    }
    return STEAL(v);
}

void table_loaded_drop(struct table *t, size_t i) REQUIRES(&t->lock)
{
    table_version_unref(t->loaded[i].version);
    t->loaded[i] = t->loaded[--t->loaded_n];
}

bool table_wanted_same(const struct wanted *a, const struct wanted *b)
{
    return a->kind == b->kind && a->after == b->after && a->number == b->number &&
           a->head == b->head;
}

struct loaded *table_loaded_find(struct table *t, const struct wanted *what, uint64_t fingerprint,
                                 int64_t errors_ms) REQUIRES(&t->lock)
{
    for (size_t i = 0; i < t->loaded_n; i++) {
        struct loaded *l = &t->loaded[i];
        if (!table_wanted_same(&l->what, what))
            continue;
        bool stale = !l->version && l->err.code != EOPNOTSUPP && l->at_ms < errors_ms;
        if (l->fingerprint == fingerprint && !stale) {
            if (l->version)
                l->at_ms = clock_mono_ms();
            return l;
        }
        table_loaded_drop(t, i);
        return NULL;
    }
    return NULL;
}

/* Takes the version's reference. */
static void loaded_add(struct table *t, const struct wanted *what, uint64_t fingerprint,
                       struct table_version *version, const struct err *err) REQUIRES(&t->lock)
{
    int64_t now_ms = clock_mono_ms();
    struct loaded *old = table_loaded_find(t, what, fingerprint, now_ms - ERROR_KEPT_MS);
    if (old)
        table_loaded_drop(t, (size_t)(old - t->loaded));
    if (t->loaded_n == LOADED_MAX) {
        size_t oldest = 0;
        for (size_t i = 1; i < t->loaded_n; i++)
            if (t->loaded[i].at_ms < t->loaded[oldest].at_ms)
                oldest = i;
        table_loaded_drop(t, oldest);
    }
    t->loaded[t->loaded_n++] = (struct loaded){.what = *what,
                                               .fingerprint = fingerprint,
                                               .version = version,
                                               .err = *err,
                                               .at_ms = now_ms};
}

/* the background job */

#define QUICK_MS 5000

/*
 * Whether what failed is worth a second attempt, because the disk with the indexes may have been
 * the reason: it is full (maybe for a large run only), or failed once. Errors of stores are EIO as
 * well, but take their time. Blocks.
 */
static bool again(struct table *t, int rc, int64_t since_ms)
{
    bool full = rc == -ENOSPC || rc == -EDQUOT || rc == -EROFS;
    if (rc != -EIO && !full)
        return false;
    return table_move_index(t, full) || (rc == -EIO && clock_mono_ms() - since_ms < QUICK_MS);
}

/* An error as everybody is told it: of which table, and damage as EIO. */
static void tell_failure(const struct table *t, struct err *err)
{
    (void)err_wrap(err, "table %s", t->path);
    if (err->code == EBADMSG)
        err->code = EIO;
}

/* What is loaded: a version or a range of a history, or a moment where h is NULL. */
struct loading {
    struct wanted what;
    const struct history *h;
    struct version version;
};

/* Has the driver load it. Blocks. */
static int load_snapshot(struct table *t, const struct loading *l, struct snapshot **out,
                         struct err *err)
{
    if (!l->h)
        return t->ops->moment(t->driver, l->what.number, out, err);
    size_t upto = (size_t)table_wanted_position(l->h, &l->what);
    if (l->what.kind == TABLE_VERSION)
        return t->ops->load(t->driver, l->h, upto, out, err);
    struct version_range range = {.after = history_find(l->h, l->what.after),
                                  .upto = upto,
                                  .changes = l->what.kind == TABLE_CHANGES};
    return t->ops->range(t->driver, l->h, &range, out, err);
}

/* Loads it, or takes it from what is loaded. NULL and err. Blocks. */
static struct table_version *load(struct table *t, const struct loading *l, struct err *err)
{
    struct table_version *version = NULL;
    struct err failed = ERR_INIT;
    uint64_t fingerprint = l->version.fingerprint;
    bool known = false;
    WITH_LOCK (&t->lock) {
        struct loaded *old =
            table_loaded_find(t, &l->what, fingerprint, clock_mono_ms() - ERROR_KEPT_MS);
        known = old != NULL;
        if (old && old->version)
            version = table_version_ref(old->version);
        else if (old)
            failed = old->err;
    }
    if (!known) {
        struct snapshot *snapshot = NULL;
        int64_t since_ms = clock_mono_ms();
        int rc = load_snapshot(t, l, &snapshot, &failed);
        if (rc < 0 && again(t, rc, since_ms))
            rc = load_snapshot(t, l, &snapshot, &failed);
        if (rc == 0)
            version = version_new(t, &l->version, &l->what, snapshot, &failed);
        if (!version)
            tell_failure(t, &failed);
        WITH_LOCK (&t->lock)
            loaded_add(t, &l->what, fingerprint, version ? table_version_ref(version) : NULL,
                       &failed);
    }
    if (!version)
        (void)err_copy(err, &failed);
    return version;
}

static struct table_version *load_live(struct table *t, const struct history *h, struct err *err)
{
    struct loading l = {.what = table_wanted_at(h, h->live), .h = h, .version = h->at[h->live]};
    return load(t, &l, err);
}

static struct table_version *load_moment(struct table *t, int64_t time_ms, struct err *err)
{
    struct loading l = {.what = {.kind = TABLE_VERSION, .number = time_ms},
                        .version = table_moment(time_ms)};
    return load(t, &l, err);
}

/* What --as-of leaves of a history. A new reference. */
static struct history *cut_history(const struct table *t, struct history *heard, struct err *err)
{
    int64_t as_of_ms = t->lake->config.as_of_ms;
    return as_of_ms ? history_until(heard, as_of_ms, err) : history_ref(heard);
}

struct keeping {
    struct table *table;
    const struct table_version *from, *to;
    int64_t until_ms;
    struct err *err;
};

static int keep_file(struct keeping *k, uint32_t number, uint32_t ordinal, struct slice path)
{
    struct snapshot_node node;
    int rc = snapshot_walk(k->to->snapshot, path, &node, k->err);
    if (rc != -ENOENT)
        return rc;
    WITH_LOCK (&k->table->lock)
        rc = kept_add(&k->table->kept, path,
                      (struct kept_file){.run_number = number, .ordinal = ordinal}, k->until_ms);
    return rc;
}

/* Keeps the names of one run of `from` that are gone in `to`. */
static int keep_run(struct keeping *k, struct run *run, uint32_t number, const struct run *patch)
{
    AUTO(run_cursor) struct run_cursor c = {0};
    int rc = run_cursor_init(&c, run, 0, k->err);
    while (rc == 0) {
        struct entry e;
        uint32_t ordinal = c.ordinal;
        rc = run_cursor_next(&c, &e, k->err);
        if (rc <= 0)
            break;
        rc = patch && run_removed(patch, ordinal) ? 0 : keep_file(k, number, ordinal, e.path);
    }
    return rc;
}

/* The same for two versions on one base: only what the newer patch took away can be gone. */
static int keep_removed(struct keeping *k, struct run *base, const struct run *before,
                        const struct run *after)
{
    AUTO(buf) struct buf scratch = {0};
    buf_init(&scratch, ACTION_BYTES_MAX);
    int rc = 0;
    uint32_t ordinal = run_removed_next(after, 0);
    for (; rc == 0 && ordinal != RUN_NONE; ordinal = run_removed_next(after, ordinal + 1)) {
        struct entry e;
        if (before && run_removed(before, ordinal))
            continue;
        rc = run_file(base, ordinal, &scratch, &e, NULL, k->err);
        if (rc == 0)
            rc = keep_file(k, k->from->base_number, ordinal, e.path);
    }
    return rc;
}

/* Before the live path moves: the names that only the old version has are kept. Blocks. */
static int keep_names(struct table *t, const struct table_version *from,
                      const struct table_version *to, struct err *err)
{
    if (!from->snapshot || !to->snapshot || t->lake->config.keep_ms == 0)
        return 0;
    int64_t now_ms = clock_mono_ms();
    struct keeping k = {t, from, to, now_ms + t->lake->config.keep_ms, err};
    struct run *base = snapshot_base(from->snapshot), *patch = snapshot_patch(from->snapshot);
    WITH_LOCK (&t->lock)
        kept_expire(&t->kept, now_ms);
    int rc = 0;
    if (from->base_number != to->base_number)
        rc = keep_run(&k, base, from->base_number, patch);
    else if (snapshot_patch(to->snapshot))
        rc = keep_removed(&k, base, patch, snapshot_patch(to->snapshot));
    if (rc == 0 && patch)
        rc = keep_run(&k, patch, from->patch_number, NULL);
    return rc;
}

/* With --as-of, a table of moments shows that one; NULL where its store does not know it. Blocks.
 */
static struct table_version *as_of(struct table *t)
{
    int64_t as_of_ms = t->lake->config.as_of_ms;
    return as_of_ms && t->ops->moment ? load_moment(t, as_of_ms, NULL) : NULL;
}

/* Moves the live path to what the history says; `heard`: the same beyond --as-of. Blocks. */
static void move_live(struct table *t, const struct history *h, struct history *heard)
{
    static const struct version none = {.number = -1};
    static const struct wanted empty = {.kind = TABLE_VERSION, .number = -1};
    struct err err = ERR_INIT;
    AUTO(table_version) struct table_version *before = NULL;
    AUTO(table_version) struct table_version *next = NULL;
    WITH_LOCK (&t->lock)
        before = t->live ? table_version_ref(t->live) : NULL;
    next = as_of(t);
    if (!next && h->live >= 0) {
        next = load_live(t, h, &err);
        if (next && h->n < heard->n)
            table_ask_removable(t, heard, (size_t)h->live);
    } else if (!next && !t->lake->config.as_of_ms)
        next = version_new(t, &none, &empty, NULL, &err);
    else if (!next)
        (void)err_set(&err, ENOENT, "table %s has no version at that time", t->path);
    bool moved = next && before && next != before;
    if (moved && keep_names(t, before, next, &err) < 0)
        log_debug("table %s: names of version %lld are not kept: %s", t->path,
                  (long long)before->version.number, err.msg);
    WITH_LOCK (&t->lock) {
        int64_t now_ms = clock_mono_ms();
        t->live_checked_ms = now_ms;
        if (next && next != t->live) {
            table_version_unref(t->live);
            t->live = STEAL(next);
            t->held_since_ms = now_ms;
        } else if (!next) {
            table_version_unref(t->live); /* refused: no older version stands in for it */
            t->live = NULL;
        }
        t->live_err = err;
    }
}

/* What its catalog says now. Who cannot keep back what that wants kept back reads nothing. */
static int hear_catalog(struct table *t, struct err *err)
{
    int rc = cataloged_hear(t->cataloged, err);
    if (rc < 0 || t->lake->config.narrows)
        return rc;
    AUTO(catalog_answer) struct catalog_answer *answer = cataloged_answer(t->cataloged);
    return answer->table->restrictions
               ? err_set(err, EOPNOTSUPP,
                         "its catalog keeps columns or rows back, which only a mount does")
               : 0;
}

static void refresh(struct table *t, bool live)
{
    struct err err = ERR_INIT;
    AUTO(history) struct history *previous = NULL;
    AUTO(history) struct history *heard = NULL;
    AUTO(history) struct history *next = NULL;
    WITH_LOCK (&t->lock)
        previous = t->heard ? history_ref(t->heard) : NULL;
    int64_t since_ms = clock_mono_ms();
    int rc = t->cataloged ? hear_catalog(t, &err) : 0;
    struct err refused = err;
    if (rc == 0)
        rc = t->ops->history(t->driver, previous, &heard, &err);
    if (rc < 0 && again(t, rc, since_ms))
        rc = t->ops->history(t->driver, previous, &heard, &err);
    if (rc == 0 && heard->n == 0 && previous && previous->n)
        rc = err_set(&err, EMEDIUMTYPE, "its log is gone");
    if (rc == 0 && !(next = cut_history(t, heard, &err)))
        rc = -err.code;
    bool passing =
        rc == -EIO; /* the store cannot be reached: what is shown stays right meanwhile */
    if (rc < 0)
        tell_failure(t, &err);
    WITH_LOCK (&t->lock) {
        t->heard_ms = clock_mono_ms();
        t->asked_ms = since_ms;
        t->catalog_err = refused;
        t->history_err = err;
        if (rc == 0) {
            history_unref(t->heard);
            history_unref(t->history);
            t->heard = history_ref(heard);
            t->history = history_ref(next);
        } else {
            t->live_err = err;
            t->live_checked_ms = t->heard_ms;
            if (t->live && !passing) {
                table_version_unref(t->live);
                t->live = NULL;
            }
        }
    }
    if (rc == 0 && live)
        move_live(t, next, heard);
}

static void load_wanted(struct table *t, const struct wanted *what)
{
    struct err err = ERR_INIT;
    AUTO(history) struct history *h = NULL;
    AUTO(history) struct history *heard = NULL;
    struct loading l = {.what = *what};
    if (t->ops->moment) {
        table_version_unref(load_moment(t, what->number, &err)); /* it is kept in loaded */
        return;
    }
    WITH_LOCK (&t->lock) {
        h = t->history ? history_ref(t->history) : NULL;
        heard = t->heard ? history_ref(t->heard) : NULL;
    }
    ptrdiff_t position = h ? table_wanted_position(h, what) : -1;
    if (position < 0)
        return;
    l.h = h;
    l.version = h->at[position];
    if (what->kind != TABLE_VERSION && !table_range_version(h, what, &l.version))
        return;
    AUTO(table_version) struct table_version *v = load(t, &l, &err); /* likewise */
    if (!v && err.code == ESTALE) /* the table was made anew: who waits finds the version there */
        refresh(t, false);
    if (v && what->kind == TABLE_VERSION)
        table_ask_removable(t, heard, (size_t)position);
}

void table_work(struct job *job)
{
    struct table *t = CONTAINER_OF(job, struct table, job);
    bool history, live, tags, any;
    struct wanted what = {.number = 0};
    WITH_LOCK (&t->lock) {
        history = t->want_history || t->want_live;
        live = t->want_live;
        tags = t->want_tags || (live && t->tags); /* they move as the live path does */
        any = !history && !tags && t->wanted_n > 0;
        t->want_tags = false;
        t->moving = live;
        if (history)
            t->want_history = t->want_live = false;
        else if (any)
            what = t->wanted[--t->wanted_n];
    }
    if (tags)
        table_load_tags(t);
    if (history)
        refresh(t, live);
    else if (any)
        load_wanted(t, &what);
    if (history && live)
        table_touch(t); /* the wait was no pause of the one who walks */
    WITH_LOCK (&t->lock) {
        t->moving = false;
        waitlist_wake(&t->waiting, t->lake->config.workers);
        t->working = t->want_history || t->want_live || t->want_tags || t->wanted_n > 0;
        if (t->working)
            workers_submit(table_workers(t), &t->job);
        else
            cond_broadcast(&t->idle);
    }
}
