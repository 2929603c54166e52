/* SPDX-License-Identifier: Apache-2.0 */
/* What is not presented as it is stored: a store above each one of the lake's, of which a catalog's
 * tables bring further ones. */
#include "fs/request.h"

/* Of the cache's budget, for files that are rewritten and not all in the cache yet; and so much at
 * least. */
#define TEMPORARY_PART 4
#define TEMPORARY_BYTES_MIN GIB
/* Each has some hundred bytes. */
#define PRESENTED_MAX ((size_t)1 << 18)

void presents_init(struct session *s)
{
    lock_init(&s->presents_lock);
    s->presented.max = PRESENTED_MAX;
}

static void close_presented(const struct session *s, struct store *store)
{
    if (store_leave(store))
        cache_drain_store(s->config.lake.cache, store);
    store_free(store);
}

void presents_done(struct session *s)
{
    for (size_t i = 0; i < s->presented.n; i++)
        close_presented(s, s->presented.at[i].store);
    vec_done(&s->presented);
    lock_done(&s->presents_lock);
}

void presents_leaving(struct session *s)
{
    WITH_LOCK (&s->presents_lock)
        for (size_t i = 0; i < s->presented.n; i++)
            presented_store_leaving(s->presented.at[i].store);
}

static struct store *find_locked(const struct session *s, const struct store *home)
    REQUIRES(&s->presents_lock)
{
    for (size_t i = 0; i < s->presented.n; i++)
        if (s->presented.at[i].home == home) /* two layers may reach one prefix outside */
            return s->presented.at[i].store;
    return NULL;
}

struct store *session_presents(struct session *s, struct store *home, struct err *err)
{
    struct store *found, *spare = NULL;
    WITH_LOCK (&s->presents_lock)
        found = find_locked(s, home);
    if (found)
        return found;
    struct presented_config config = s->presents;
    config.home = home;
    struct presented p = {home, presented_store_open(&config, err)};
    if (!p.store)
        return NULL;
    WITH_LOCK (&s->presents_lock) {
        found = find_locked(s, home); /* another thread may have been quicker */
        if (!found && vec_push(&s->presented, p) == 0)
            found = p.store;
        if (found != p.store)
            spare = p.store;
    }
    if (spare)
        close_presented(s, spare);
    if (!found)
        (void)err_set(err, ENOMEM, "out of memory");
    return found;
}

int presents_open(struct session *s, const struct session_config *config, struct err *err)
{
    const struct layers *layers = &s->lake->layers;
    struct cache_stat cache;
    cache_stat(config->lake.cache, &cache);
    uint64_t bytes = cache.limit_bytes / TEMPORARY_PART;
    s->presents = (struct presented_config){
        .shares = config->lake.runtime->shares,
        .cache = config->lake.cache,
        .workers = config->lake.workers,
        .disk = config->lake.runtime->workers,
        .dirfd = config->temporary_dirfd,
        .temporary_bytes_max = bytes > TEMPORARY_BYTES_MIN ? bytes : TEMPORARY_BYTES_MIN};
    for (size_t i = 0; i < layers->at.n + layers->outside.n; i++) {
        struct store *home =
            i < layers->at.n ? layers->at.at[i].store : layers->outside.at[i - layers->at.n];
        if (home && !session_presents(s, home, err))
            return -ENOMEM;
    }
    return 0;
}
