/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a plain directory is listed. A table of which a grant keeps a part back may have nothing
 * left by its columns (a partition column is hidden), so its log is read before it is listed. Of
 * the entries behind the one that a request waits for, as many are learned meanwhile as the lake
 * has workers for.
 */
#include <stdatomic.h>

#include "base/clock.h"
#include "fs/govern_private.h"
#include "fs/request.h"

/* Of one listing at once; their logs are read side by side. */
#define LEARNERS_MAX 64
/* Entries that are quickly judged where nothing has to be learned. */
#define QUICK_MAX 4096

/* Looks at one entry for nobody: who asks next finds it known. */
struct learner {
    struct task task;
    struct asker asker;
    struct session *session;
    struct buf place;
};

static void learn(struct job *job)
{
    struct learner *l = CONTAINER_OF(job, struct learner, task.job);
    struct session *s = l->session;
    l->task.on_worker = true;
    if (govern_entry(&l->asker, buf_slice(&l->place), true, &l->task, NULL) == -EINPROGRESS)
        return;
    asker_done(&l->asker);
    buf_done(&l->place);
    free(l);
    atomic_fetch_sub(&s->learners, 1);
    session_release(s);
}

/* Without memory it is learned later. */
static void begin_learning(const struct asker *a, struct slice place)
{
    struct session *s = a->governor->session;
    struct learner *l = calloc(1, sizeof *l);
    if (!l)
        return;
    l->asker = *a;
    (void)ruling_ref(l->asker.ruling);
    (void)principal_ref(l->asker.principal);
    l->session = s;
    l->task = (struct task){.job = {.run = learn}, .since_ms = clock_mono_ms()};
    buf_init(&l->place, REGISTRY_NAME_MAX);
    buf_add_slice(&l->place, place);
    atomic_fetch_add(&s->learners, 1);
    session_hold(s);
    workers_submit(s->config.lake.workers, &l->task.job);
}

static void place_of(struct slice dir, const struct listing_entry *e, struct buf *out)
{
    buf_reset(out);
    buf_addf(out, "%.*s%s%.*s", SLICE_FMT(dir), dir.n ? "/" : "", SLICE_FMT(e->name));
}

/* Once for a listing: who comes back while they are under way begins no others. */
static void learn_ahead(const struct asker *a, struct slice dir, const struct listing *l,
                        size_t from)
{
    AUTO(buf) struct buf place = {0};
    if (atomic_load(&a->governor->session->learners))
        return;
    buf_init(&place, REGISTRY_NAME_MAX);
    for (size_t i = from; i < listing_count(l) && i - from < LEARNERS_MAX; i++) {
        place_of(dir, listing_at(l, i), &place);
        if (listing_at(l, i)->is_dir && !place.failed)
            begin_learning(a, buf_slice(&place));
    }
}

int govern_list(const struct asker *a, struct slice dir, const struct listing *l, struct task *task,
                uint8_t **hidden, struct err *err)
{
    AUTO(buf) struct buf place = {0};
    *hidden = NULL;
    if (!a->governor || !l)
        return 0;
    if (listing_count(l) > QUICK_MAX) {
        int rc = task_to_worker(task, a->governor->session->config.lake.workers);
        if (rc < 0)
            return rc;
    }
    AUTO_FREE uint8_t *bits = calloc(listing_count(l) / 8 + 1, 1);
    if (!bits)
        return err_set(err, ENOMEM, "out of memory");
    buf_init(&place, REGISTRY_NAME_MAX);
    for (size_t i = 0; i < listing_count(l); i++) {
        const struct listing_entry *e = listing_at(l, i);
        place_of(dir, e, &place);
        int rc = place.failed ? -ENOENT : govern_entry(a, buf_slice(&place), e->is_dir, task, NULL);
        if (rc == -EINPROGRESS) {
            learn_ahead(a, dir, l, i + 1);
            return rc;
        }
        if (rc < 0)
            bits[i / 8] |= (uint8_t)(1U << i % 8);
    }
    *hidden = STEAL(bits);
    return 0;
}
