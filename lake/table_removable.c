/* SPDX-License-Identifier: Apache-2.0 */
/* Versions whose files the table's own clean-up may remove: found out aside, told once. */
#include "base/instant.h"
#include "lake/table_private.h"

struct asking {
    struct job job;
    struct table *table; /* which waits for it */
    struct history *history;
    size_t position;
};

static struct told *find_locked(struct table *t, int64_t version) REQUIRES(&t->lock)
{
    for (size_t i = 0; i < t->told_n && i < LOADED_MAX; i++)
        if (t->told[i].version == version)
            return &t->told[i];
    return NULL;
}

static void ask(struct job *job)
{
    struct asking *a = CONTAINER_OF(job, struct asking, job);
    struct table *t = a->table;
    const struct lake_config *c = &t->lake->config;
    const struct version *v = &a->history->at[a->position];
    int64_t since_ms = RETENTION_NONE;
    struct err ignored = ERR_INIT; /* nothing is known, nothing is told */
    int rc =
        t->ops->removable(t->driver, a->history, a->position, clock_real_ms(), &since_ms, &ignored);
    if (rc == 0 && since_ms != RETENTION_NONE) {
        WITH_LOCK (&t->lock) {
            struct told *told = find_locked(t, v->number);
            if (told)
                told->since_ms = since_ms;
        }
        if (c->removable)
            c->removable(c->arg, t, v, since_ms);
    }
    history_unref(a->history);
    free(a);
    WITH_LOCK (&t->lock) {
        t->asking--;
        cond_broadcast(&t->idle);
    }
}

void table_ask_removable(struct table *t, struct history *h, size_t position)
{
    bool known = true;
    if (!t->ops->removable || position + 1 >= h->n)
        return;
    WITH_LOCK (&t->lock) {
        known = find_locked(t, h->at[position].number) != NULL;
        if (!known)
            t->told[t->told_n++ % LOADED_MAX] =
                (struct told){h->at[position].number, RETENTION_NONE};
        t->asking += !known;
    }
    struct asking *a = known ? NULL : calloc(1, sizeof *a);
    if (a) {
        *a = (struct asking){
            .job = {.run = ask}, .table = t, .history = history_ref(h), .position = position};
        workers_submit(t->lake->config.workers, &a->job);
    } else if (!known) {
        WITH_LOCK (&t->lock)
            t->asking--;
    }
}

int table_tell_gone(struct table *t, int64_t version, struct err *err)
{
    AUTO(buf) struct buf since = {0};
    int64_t since_ms = RETENTION_NONE;
    if (!t->ops->removable)
        return -ENOENT;
    buf_init(&since, 64);
    WITH_LOCK (&t->lock) {
        const struct told *told = find_locked(t, version);
        since_ms = told ? told->since_ms : RETENTION_NONE;
    }
    if (since_ms == RETENTION_NONE)
        return err_wrap(err,
                        "the object is gone, though version %lld names it: VACUUM may remove what "
                        "newer versions do not hold",
                        (long long)version);
    instant_format(&since, since_ms);
    return err_wrap(err,
                    "the object is gone: version %lld holds files that VACUUM may remove since %s",
                    (long long)version, since.data);
}
