/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/tier/apply.h"

#include <assert.h>

#include "base/clock.h"
#include "lake/lakefile.h"
#include "lake/layers.h"
#include "lake/tier/journal.h"

/* So many in a row that failed: rights are missing, or the store is not there. */
#define FAILURES_MAX 100
/* Moves that wait for a thread, for each that is under way. */
#define WAITING_SHARE 2
/* Stores that a plan may have: a layer each. */
#define STORES_MAX 4096

struct apply {
    const struct tier_apply_config *config;
    struct tier_applied *out; /* lock */
    struct workers *workers;
    struct journal *journal; /* may be NULL */
    unsigned at_once;

    struct lock lock;
    struct cond freed;
    unsigned under_way; /* lock; waiting for a thread, or at work */
    unsigned failures;  /* lock; the last ones, one after the other */
    struct err stop;    /* lock; code 0: none */

    /* The thread that plans has these alone: how far it is. */
    VEC(const struct store *) stores; /* in order, the last one is where it is */
    struct buf key;                   /* of the last move */
    int64_t plan_until_ms;            /* 0: it has brought no new move yet */
    bool is_aged;
};

/* One move on its way. Its texts follow it. */
struct work {
    struct job job;
    struct apply *a;
    struct tier_move move;
};

/* ---- one object ---- */

static void tell(struct apply *a, const struct tier_move *m, enum tier_done done,
                 const struct err *why)
{
    WITH_LOCK (&a->lock) {
        a->out->files[done]++;
        a->out->bytes[done] += m->size;
        if (done == TIER_MOVED || done == TIER_TAGGED) {
            a->out->month_before += m->month_before;
            a->out->month_after += m->month_after;
        }
        a->failures = done == TIER_FAILED ? a->failures + 1 : 0;
        if (a->failures >= FAILURES_MAX && !a->stop.code)
            (void)err_set(&a->stop, why->code, "%d objects in a row failed, the last one: %s",
                          FAILURES_MAX, why->msg);
        if (a->config->told)
            a->config->told(a->config->arg, m, done, why->code ? why : NULL);
    }
}

static int note(struct apply *a, const char *did, const struct tier_move *m, const char *etag,
                struct err *err)
{
    char from[STORE_CLASS_BYTES_MAX];
    if (!a->journal)
        return 0;
    (void)snprintf(from, sizeof from, "%.*s", SLICE_FMT(m->from)); /* a class fits */
    struct journal_entry e = {did, m->store->url, m->key, m->size, etag, from, m->to};
    int rc = journal_add(a->journal, &e, err);
    if (rc < 0)
        WITH_LOCK (&a->lock)
            if (!a->stop.code)
                (void)err_copy(&a->stop, err); /* what is not written down is not done */
    return rc;
}

/* What the plan saw, and nothing else, is changed. */
static struct store_info seen(const struct tier_move *m)
{
    struct store_info info = {.size = m->size};
    if (m->etag.n < sizeof info.etag)
        memcpy(info.etag, m->etag.p, m->etag.n);
    if (m->from.n < sizeof info.class)
        memcpy(info.class, m->from.p, m->from.n);
    return info;
}

static int set_tag(struct apply *a, const struct tier_move *m, const struct store_info *if_is,
                   bool *changed, struct err *err)
{
    struct store_tag tag = {.name = TIER_TAG};
    int rc = note(a, "tag", m, if_is->etag, err);
    if (rc < 0)
        return rc;
    (void)snprintf(tag.value, sizeof tag.value, "%s", m->to); /* a class fits */
    return store_set_tag(m->store, m->key, &tag, if_is, changed, err);
}

static void move_object(struct apply *a, const struct tier_move *m)
{
    const struct lakefile_rule *rule = &a->config->plan.file->rules[m->rule];
    struct store_info if_is = seen(m), now = {0};
    struct err err = ERR_INIT;
    bool tags = a->config->tags || rule->tags, changed = false;
    int rc = tags ? 0 : store_set_class(m->store, m->key, m->to, &if_is, &now, &err);
    if (!tags && rc == 0)
        rc = note(a, "class", m, now.etag, &err);
    else if (tags || rc == -EOPNOTSUPP || rc == -EREMOTE) {
        struct err why = err;
        tags = true;
        err = (struct err)ERR_INIT;
        rc = set_tag(a, m, &if_is, &changed, &err);
        if (rc == -EOPNOTSUPP && why.code)
            (void)err_wrap(&err, "%s; and", why.msg);
    }
    if (rc == 0)
        tell(a, m, !tags ? TIER_MOVED : changed ? TIER_TAGGED : TIER_WAITS, &err);
    else if (rc == -ENOENT || rc == -ESTALE)
        tell(a, m, TIER_SKIPPED, &err);
    else
        tell(a, m, rc == -EOPNOTSUPP ? TIER_REFUSED : TIER_FAILED, &err);
}

static void run_work(struct job *job)
{
    struct work *w = CONTAINER_OF(job, struct work, job);
    struct apply *a = w->a;
    bool stopped = false;
    WITH_LOCK (&a->lock)
        stopped = a->stop.code != 0;
    if (!stopped)
        move_object(a, &w->move);
    free(w);
    WITH_LOCK (&a->lock) {
        a->under_way--;
        cond_broadcast(&a->freed);
    }
}

/* ---- the moves of a plan ---- */

static struct slice put_slice(char **at, struct slice text)
{
    struct slice copy = slice_make(*at, text.n);
    if (text.n)
        memcpy(*at, text.p, text.n);
    (*at)[text.n] = '\0';
    *at += text.n + 1;
    return copy;
}

static struct work *work_new(struct apply *a, const struct tier_move *m)
{
    struct slice key = slice_of(m->key);
    struct work *w =
        malloc(sizeof *w + key.n + m->layer.n + m->table.n + m->etag.n + m->from.n + 5);
    if (!w)
        return NULL;
    char *at = (char *)(w + 1);
    *w = (struct work){.job.run = run_work, .a = a, .move = *m};
    w->move.key = put_slice(&at, key).p;
    w->move.layer = put_slice(&at, m->layer);
    w->move.table = put_slice(&at, m->table);
    w->move.etag = put_slice(&at, m->etag);
    w->move.from = put_slice(&at, m->from);
    return w;
}

/* Gives it to a thread once there is room. */
static int submit(struct apply *a, const struct tier_move *m, struct err *err)
{
    struct work *w = work_new(a, m);
    int rc = 0;
    if (!w)
        return err_set(err, ENOMEM, "out of memory");
    WITH_LOCK (&a->lock) {
        while (!a->stop.code && a->under_way >= WAITING_SHARE * a->at_once)
            cond_wait(&a->freed, &a->lock);
        if (a->stop.code)
            rc = err_copy(err, &a->stop);
        else
            a->under_way++;
    }
    if (rc < 0)
        free(w);
    else
        workers_submit(a->workers, &w->job);
    return rc;
}

/* An earlier plan had it. */
static bool is_behind(const struct apply *a, const struct tier_move *m)
{
    size_t i = 0;
    while (i < a->stores.n && a->stores.at[i] != m->store)
        i++;
    return i + 1 < a->stores.n ||
           (i + 1 == a->stores.n && a->key.len && strcmp(m->key, a->key.data) <= 0);
}

static int advance(struct apply *a, const struct tier_move *m, struct err *err)
{
    if ((!a->stores.n || a->stores.at[a->stores.n - 1] != m->store) &&
        vec_push(&a->stores, m->store) < 0)
        return err_set(err, ENOMEM, "out of memory");
    buf_reset(&a->key);
    buf_add_str(&a->key, m->key);
    return buf_check(&a->key, err);
}

static int take_move(void *arg, const struct tier_move *m, struct err *err)
{
    struct apply *a = arg;
    if (a->journal)
        journal_name(a->journal, m->store->url, m->key);
    if (is_behind(a, m))
        return 0;
    int64_t now_ms = clock_mono_ms(), age_ms = a->config->plan_age_ms;
    if (!a->plan_until_ms) /* each plan brings something, however long it takes to make */
        a->plan_until_ms = now_ms + (age_ms ? age_ms : TIER_PLAN_AGE_MS);
    a->is_aged = now_ms >= a->plan_until_ms;
    if (a->is_aged)
        return err_set(err, ECANCELED, "the plan is old");
    int rc = advance(a, m, err);
    if (rc < 0)
        return rc;
    if (!a->config->dry_run)
        return submit(a, m, err);
    const struct err none = ERR_INIT;
    bool tags = a->config->tags || a->config->plan.file->rules[m->rule].tags;
    tell(a, m, tags ? TIER_TAGGED : TIER_MOVED, &none);
    return 0;
}

/* ---- tags that nobody wants any more ---- */

static struct store *find_store(const struct lake *lake, const char *url)
{
    for (size_t i = 0; i < lake->layers.at.n; i++)
        if (lake->layers.at.at[i].store && strcmp(lake->layers.at.at[i].store->url, url) == 0)
            return lake->layers.at.at[i].store;
    return NULL;
}

/* What became of an object that was tagged: `did` of the line about it, or NULL. */
static int look_after(struct store *s, const struct journal_entry *e, const char **did,
                      struct err *err)
{
    struct store_info now;
    struct store_tag none = {.name = TIER_TAG};
    AUTO_FREE struct store_tags *tags = calloc(1, sizeof *tags);
    if (!tags)
        return err_set(err, ENOMEM, "out of memory");
    *did = "settled";
    int rc = s->ops->head(s, e->key, &now, err);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0 || now.size != e->size || (e->etag[0] && strcmp(now.etag, e->etag) != 0) ||
        strcmp(now.class, e->to) == 0)
        return rc;
    rc = store_tags(s, e->key, tags, err);
    for (unsigned i = 0; rc == 0 && i < tags->count; i++)
        if (strcmp(tags->at[i].name, TIER_TAG) == 0 && strcmp(tags->at[i].value, e->to) == 0) {
            *did = "untag";
            return store_set_tag(s, e->key, &none, &now, NULL, err);
        }
    return rc;
}

static int untag(void *arg, const struct journal_entry *e, struct err *err)
{
    struct apply *a = arg;
    struct store *s = find_store(a->config->plan.lake, e->store);
    const char *did = NULL;
    if (!s)
        return 0; /* of another lake: it stays in the journal */
    int rc = look_after(s, e, &did, err);
    if (rc == -ENOENT || rc == -ESTALE || rc == -EOPNOTSUPP) /* since then; or it takes no tags */
        rc = 0;
    struct journal_entry line = *e;
    line.did = did;
    if (rc == 0)
        rc = journal_add(a->journal, &line, err);
    if (rc == 0 && strcmp(did, "untag") == 0)
        a->out->untagged++;
    return rc;
}

/* ---- the whole ---- */

static void wait_for_all(struct apply *a)
{
    WITH_LOCK (&a->lock)
        while (a->under_way)
            cond_wait(&a->freed, &a->lock);
}

/* Plans, and again where the plan grew old. */
static int plan_and_do(struct apply *a, struct err *err)
{
    struct tier_plan_config plan = a->config->plan;
    int rc;
    do {
        struct err why = ERR_INIT;
        int64_t began_ms = clock_mono_ms();
        a->plan_until_ms = 0;
        a->is_aged = false;
        if (a->journal)
            journal_begin(a->journal);
        tier_plan_free(a->out->plan);
        a->out->plan = NULL;
        rc = tier_plan(&plan, take_move, a, &a->out->plan, &why);
        a->out->plans++;
        wait_for_all(a);
        plan.now_ms += clock_mono_ms() - began_ms;
        if (rc < 0 && !a->is_aged)
            (void)err_copy(err, &why);
    } while (rc < 0 && a->is_aged);
    return rc;
}

static int run(struct apply *a, struct err *err)
{
    const struct tier_apply_config *c = a->config;
    int rc = c->journal && !c->dry_run ? journal_open(c->journal, &a->journal, err) : 0;
    if (rc < 0)
        return rc;
    a->workers = workers_new("tier", a->at_once, err);
    if (!a->workers)
        return -err->code;
    rc = plan_and_do(a, err);
    WITH_LOCK (&a->lock)
        if (a->stop.code)
            rc = err_copy(err, &a->stop);
    if (rc == 0 && a->journal && !c->plan.tables_n)
        rc = journal_unnamed(a->journal, untag, a, err);
    return rc;
}

int tier_apply(const struct tier_apply_config *config, struct tier_applied *out, struct err *err)
{
    *out = (struct tier_applied){.plans = 0};
    struct apply a = {.config = config,
                      .out = out,
                      .at_once = config->at_once ? config->at_once : TIER_AT_ONCE,
                      .stores = VEC_MAX(STORES_MAX)};
    assert(a.at_once <= TIER_AT_ONCE_MAX);
    lock_init(&a.lock);
    cond_init(&a.freed);
    buf_init(&a.key, KEY_BYTES_MAX);
    int rc = run(&a, err);
    workers_free(a.workers);
    journal_close(a.journal);
    vec_done(&a.stores);
    buf_done(&a.key);
    cond_done(&a.freed);
    lock_done(&a.lock);
    return rc;
}
