/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/near_private.h"

#include "base/clock.h"
#include "base/thread.h"
#include "cache/store/class.h"

/* One request to a near store, with its retries. */
#define FAR_DEADLINE_MS 5000
/* How long a mount's end waits for what it has asked of a near store that hangs. */
#define END_MS 10000

/* ---- all that is home's ---- */

static struct store *home_of(struct store *s)
{
    return near_of(s)->home;
}

static int near_head(struct store *s, const char *key, struct store_info *out, struct err *err)
{
    struct store *home = home_of(s);
    return home->ops->head(home, key, out, err);
}

static int near_list(struct store *s, const struct store_list *req, struct err *err)
{
    struct store *home = home_of(s);
    return home->ops->list(home, req, err);
}

static int near_list_at(struct store *s, const struct store_list *req, int64_t time_ms,
                        struct err *err)
{
    struct store *home = home_of(s);
    return home->ops->list_at(home, req, time_ms, err);
}

static int near_put_if_absent(struct store *s, const char *key, struct slice data, struct err *err)
{
    struct store *home = home_of(s);
    return home->ops->put_if_absent(home, key, data, err);
}

static int near_put_begin(struct store *s, const char *key, const struct store_put *how,
                          struct store_writer **out, struct err *err)
{
    struct store *home = home_of(s);
    return home->ops->put_begin(home, key, how, out, err);
}

static int near_remove_home(struct store *s, const char *key, struct err *err)
{
    struct store *home = home_of(s);
    return home->ops->remove(home, key, err);
}

static int near_set_class(struct store *s, const char *key, const char *class,
                          const struct store_info *if_is, struct store_info *now, struct err *err)
{
    struct store *home = home_of(s);
    return home->ops->set_class(home, key, class, if_is, now, err);
}

static int near_tags(struct store *s, const char *key, struct store_tags *out, struct err *err)
{
    struct store *home = home_of(s);
    return home->ops->tags(home, key, out, err);
}

static int near_set_tag(struct store *s, const char *key, const struct store_tag *tag,
                        const struct store_info *if_is, bool *changed, struct err *err)
{
    struct store *home = home_of(s);
    return home->ops->set_tag(home, key, tag, if_is, changed, err);
}

static int near_restore(struct store *s, const char *key, const struct store_restore *how,
                        struct err *err)
{
    struct store *home = home_of(s);
    return home->ops->restore(home, key, how, err);
}

/* ---- the end ---- */

/* False: something hangs in the near store, and what it has stays. */
static bool drained(struct near *n)
{
    bool all;
    int64_t until = clock_mono_ms() + END_MS;
    WITH_LOCK (&n->lock) {
        n->ending = true;
        cond_broadcast(&n->changed);
        cond_broadcast(&n->wanted_changed);
        while ((n->threads || n->gets) && (n->in_cache || clock_mono_ms() < until))
            (void)cond_wait_until(&n->changed, &n->lock, clock_mono_ms() + 100); /* looked at */
        all = !n->threads && !n->gets;
    }
    return all;
}

static void near_done(struct near *n)
{
    if (n->far)
        store_free(n->far);
    if (n->workers)
        workers_free(n->workers);
    cond_done(&n->changed);
    cond_done(&n->wanted_changed);
    lock_done(&n->lock);
    free(n->url);
    free(n);
}

static void near_free(struct store *s)
{
    struct near *n = near_of(s);
    struct store *home = n->home;
    bool all = drained(n);
    store_free(home);
    if (all)
        near_done(n);
}

/* ---- making one ---- */

/* What home can do, through the wrapper. */
static void set_ops(struct near *n)
{
    const struct store_ops *home = n->home->ops;
    n->ops = (struct store_ops){
        .scheme = home->scheme,
        .rooms_bytes = home->rooms_bytes,
        .get = near_get,
        .head = near_head,
        .list = near_list,
        .list_at = home->list_at ? near_list_at : NULL,
        .put_if_absent = near_put_if_absent,
        .put_begin = home->put_begin ? near_put_begin : NULL,
        .remove = home->remove ? near_remove_home : NULL,
        .set_class = home->set_class ? near_set_class : NULL,
        .tags = home->tags ? near_tags : NULL,
        .set_tag = home->set_tag ? near_set_tag : NULL,
        .restore = home->restore ? near_restore : NULL,
        .sealed = near_sealed,
        .free = near_free,
    };
    n->store = (struct store){.ops = &n->ops, .url = n->home->url, .home = n->home->home};
}

static int open_far(struct near *n, const struct near_config *config, struct err *err)
{
    struct store_options options = *config->options; /* borrows its texts */
    struct store_runtime runtime = {.http = config->runtime->http,
                                    .secrets = config->runtime->secrets};
    if (options.deadline_ms == 0 || options.deadline_ms > FAR_DEADLINE_MS)
        options.deadline_ms = FAR_DEADLINE_MS;
    n->workers = runtime.workers = workers_new("tarn-near-disk", NEAR_WORKERS, err);
    if (!n->workers)
        return -err->code;
    n->far = store_open(config->url, &options, &runtime, err);
    if (!n->far)
        return err_wrap(err, "near store");
    n->url = strdup(n->far->url);
    n->url_hash = hash64(0, slice_of(n->far->url));
    return n->url ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int start_threads(struct near *n, struct err *err)
{
    void *(*const runs[])(void *) = {near_timer_run, near_fill_run, near_fill_run};
    _Static_assert(ARRAY_SIZE(runs) == 1 + NEAR_FILLERS, "the timer and the fillers");
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
        WITH_LOCK (&n->lock)
            n->threads++;
        if (thread_start(runs[i], n, NULL, err) < 0) {
            WITH_LOCK (&n->lock)
                n->threads--;
            return -err->code;
        }
    }
    return 0;
}

struct store *near_wrap(struct store *home, const struct near_config *config, struct err *err)
{
    AUTO(store) struct store *owned = home;
    if (home->ops->open_in_place) {
        (void)err_set(err, EINVAL, "%.300s: a directory of this machine has no nearer store",
                      home->url);
        return NULL;
    }
    struct near *n = calloc(1, sizeof *n);
    if (!n) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    lock_init(&n->lock);
    cond_init(&n->changed);
    cond_init(&n->wanted_changed);
    n->cache = config->cache;
    n->size_bytes = config->size_bytes;
    n->home = home;
    n->book = cache_near_book(config->cache, err);
    if (!n->book || open_far(n, config, err) < 0) {
        near_done(n);
        return NULL;
    }
    set_ops(n);
    (void)STEAL(owned); /* the wrapper's now */
    if (start_threads(n, err) < 0) {
        near_free(&n->store);
        return NULL;
    }
    return &n->store;
}
