/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Versions whose files the table's own clean-up may remove: found out aside, told once. To find out
 * takes all commits behind the version, so it is kept beside the table's indexes, for as long as no
 * newer version comes.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/instant.h"
#include "base/text.h"
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

#define MEMO_BYTES 128
/* That nothing may be removed does not stay so: it is found out anew after so long. */
#define NONE_MS ((int64_t)24 * 3600 * 1000)

/* What is known of a version while the newest one is what it is. */
static void format_memo(const struct asking *a, char name[MEMO_BYTES], char head[MEMO_BYTES])
{
    const struct version *v = &a->history->at[a->position];
    const struct version *newest = &a->history->at[a->history->live];
    (void)snprintf(name, MEMO_BYTES, "removable-%020" PRId64, v->number);
    (void)snprintf(head, MEMO_BYTES, "%016" PRIx64 " %" PRId64 " %016" PRIx64 " ", v->fingerprint,
                   newest->number, newest->fingerprint);
}

static bool recall(const struct asking *a, int64_t *since_ms)
{
    char name[MEMO_BYTES], head[MEMO_BYTES];
    AUTO(buf) struct buf text = {0};
    buf_init(&text, MEMO_BYTES);
    format_memo(a, name, head);
    if (file_read(a->table->index_dirfd, name, &text, NULL) < 0 ||
        !slice_starts(buf_slice(&text), slice_of(head)))
        return false;
    int64_t asked_ms;
    struct slice rest = slice_from(buf_slice(&text), strlen(head));
    ptrdiff_t blank = slice_find(rest, ' ');
    if (blank < 0 || !text_parse_i64(slice_make(rest.p, (size_t)blank), &asked_ms) ||
        !text_parse_i64(slice_from(rest, (size_t)blank + 1), since_ms))
        return false;
    int64_t age_ms = clock_real_ms() - asked_ms;
    return *since_ms != RETENTION_NONE || (age_ms >= 0 && age_ms < NONE_MS);
}

static void keep(const struct asking *a, int64_t since_ms)
{
    char name[MEMO_BYTES], head[MEMO_BYTES];
    AUTO(buf) struct buf text = {0};
    buf_init(&text, (size_t)2 * MEMO_BYTES);
    format_memo(a, name, head);
    buf_addf(&text, "%s%" PRId64 " %" PRId64, head, clock_real_ms(), since_ms);
    if (buf_check(&text, NULL) == 0) /* where it is not kept it is found out again */
        (void)file_replace(a->table->index_dirfd, name, buf_slice(&text), 0600, NULL);
}

static int find_out(const struct asking *a, int64_t *since_ms)
{
    struct table *t = a->table;
    struct err ignored = ERR_INIT; /* nothing is known, nothing is told */
    if (recall(a, since_ms))
        return 0;
    int rc =
        t->ops->removable(t->driver, a->history, a->position, clock_real_ms(), since_ms, &ignored);
    if (rc == 0)
        keep(a, *since_ms);
    return rc;
}

static void ask(struct job *job)
{
    struct asking *a = CONTAINER_OF(job, struct asking, job);
    struct table *t = a->table;
    const struct lake_config *c = &t->lake->config;
    const struct version *v = &a->history->at[a->position];
    int64_t since_ms = RETENTION_NONE;
    if (find_out(a, &since_ms) == 0 && since_ms != RETENTION_NONE) {
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
