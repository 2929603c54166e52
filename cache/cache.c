/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing, the table's counters, what the flusher is asked for. */
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "cache/near_book.h"
#include "cache/private.h"

#define DRAIN_LOOK_MS 20

void object_path(const struct object_id *id, char out[OBJECT_PATH_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    char *to = out;
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        *to++ = digits[id->bytes[i] >> 4];
        *to++ = digits[id->bytes[i] & 15];
        if (i == 0)
            *to++ = '/';
    }
    *to = '\0';
}

void cache_begin(struct cache *c, bool flight)
{
    WITH_LOCK (&c->lock) {
        c->busy++;
        c->flights += flight;
    }
}

void cache_end(struct cache *c, bool flight)
{
    WITH_LOCK (&c->lock) {
        c->flights -= flight;
        if (flight && !c->tick) { /* buffers may be idle soon */
            c->tick = true;
            cond_signal(&c->changed);
        }
        if (--c->busy == 0 || c->draining)
            cond_broadcast(&c->idle);
    }
}

static void push_dirty_locked(struct cache *c, struct object *o) REQUIRES(c->lock)
{
    o->dirty = true;
    o->dirty_next = c->dirty;
    c->dirty = o;
    c->tick = true;
    cond_signal(&c->changed);
}

void cache_dirty(struct object *o)
{
    struct cache *c = o->cache;
    WITH_LOCK (&c->lock) {
        if (!o->dirty) {
            o->refs++;
            push_dirty_locked(c, o);
        }
    }
}

struct object *object_ref(struct object *o)
{
    o->refs++;
    return o;
}

void object_unref(struct object *o)
{
    if (!o)
        return;
    struct cache *c = o->cache;
    bool last = false;
    WITH_LOCK (&c->lock) {
        if (--o->refs == 0) {
            void *removed = map_remove(&c->table, id_slice(&o->id));
            assert(removed == o);
            (void)removed;
            last = true;
        }
    }
    if (last)
        object_free(o);
}

/* ---- who is doomed ---- */

enum doom cache_doom_of_locked(struct cache *c, const struct object_id *id)
{
    const enum doom *why = map_find(&c->doomed, id_slice(id));
    return why ? *why : DOOM_NONE;
}

bool cache_doom_locked(struct cache *c, const struct object_id *id, enum doom why)
{
    static enum doom marks[] = {DOOM_NONE, DOOM_REMOVED, DOOM_FROZEN, DOOM_SWEPT};
    return !map_find(&c->table, id_slice(id)) && !map_find(&c->doomed, id_slice(id)) &&
           map_put(&c->doomed, id_slice(id), &marks[why]) == 0;
}

void cache_undoom_locked(struct cache *c, const struct object_id *id)
{
    (void)map_remove(&c->doomed, id_slice(id)); /* one of the marks */
    cond_broadcast(&c->idle);
}

bool cache_doom(struct cache *c, const struct object_id *id, enum doom why)
{
    bool doomed;
    WITH_LOCK (&c->lock) {
        while (!map_find(&c->table, id_slice(id)) && map_find(&c->doomed, id_slice(id)))
            cond_wait(&c->idle, &c->lock);
        doomed = cache_doom_locked(c, id, why);
    }
    return doomed;
}

void cache_undoom(struct cache *c, const struct object_id *id)
{
    WITH_LOCK (&c->lock)
        cache_undoom_locked(c, id);
}

/* ---- what is there ---- */

bool cache_reserve(struct object *o, uint64_t n)
{
    struct cache *c = o->cache;
    uint64_t limit = c->limit_bytes;
    bool room = false;
    if (cache_is_off(c))
        return false;
    WITH_LOCK (&c->lock) {
        if (c->bytes <= limit && n <= limit - c->bytes && !map_find(&c->doomed, id_slice(&o->id))) {
            room = true;
            c->bytes += n;
        }
        if ((!room || c->bytes > cache_high_water(c)) && !c->evict) {
            c->evict = true;
            cond_signal(&c->changed);
        }
    }
    return room;
}

void cache_count(struct cache *c, int64_t bytes, int64_t objects, int64_t sealed)
{
    WITH_LOCK (&c->lock) {
        c->bytes += (uint64_t)bytes;
        c->objects += (uint64_t)objects;
        c->sealed += (uint64_t)sealed;
    }
}

void cache_count_frozen(struct cache *c, int64_t segments, int64_t bytes)
{
    WITH_LOCK (&c->lock) {
        c->frozen += (uint64_t)segments;
        c->frozen_bytes += (uint64_t)bytes;
    }
}

void cache_stat(struct cache *c, struct cache_stat *out)
{
    struct cache_stat s = {.limit_bytes = c->limit_bytes,
                           .hit_bytes = c->hit_bytes,
                           .fetched_bytes = c->fetched_bytes,
                           .requests = c->requests,
                           .evicted_bytes = c->evicted_bytes,
                           .scrubbed_bytes = c->scrubbed_bytes,
                           .damaged = c->damaged,
                           .write_errors = c->write_errors,
                           .near_hits = c->near_hits,
                           .near_hit_bytes = c->near_hit_bytes,
                           .near_filled = c->near_filled,
                           .near_filled_bytes = c->near_filled_bytes,
                           .near_removed_bytes = c->near_removed_bytes,
                           .near_damaged = c->near_damaged,
                           .near_failed = c->near_failed,
                           .buffers = pool_taken(&c->pool),
                           .off = cache_is_off(c)};
    WITH_LOCK (&c->lock) {
        s.objects = c->objects;
        s.sealed = c->sealed;
        s.bytes = c->bytes;
        s.frozen = c->frozen;
        s.frozen_bytes = c->frozen_bytes;
        s.flights = c->flights;
    }
    prefetch_stat(c, &s);
    *out = s;
}

struct near_book *cache_near_book(struct cache *c, struct err *err)
{
    struct near_book *book;
    WITH_LOCK (&c->near_lock) {
        if (!c->near_book)
            c->near_book = near_book_open(c->dirfd, err);
        book = c->near_book;
    }
    return book;
}

void cache_tell_sealed_locked(struct cache *c, struct object *o)
{
    struct store *s = o->store; /* NULL: nobody has it open, and its store may be gone */
    (void)c;
    if (s && s->ops->sealed && !o->in_place)
        s->ops->sealed(s, o->id.bytes, o->size);
}

/* What is there when cache_open fails, too. */
static void cache_free(struct cache *c)
{
    cipher_free(c->cipher);
    index_close(c->index);
    near_book_close(c->near_book);
    lock_done(&c->near_lock);
    uses_close(c->uses);
    pool_done(&c->pool);
    map_done(&c->table);
    map_done(&c->doomed);
    if (c->objects_fd >= 0)
        (void)close(c->objects_fd); /* a directory */
    prefetcher_done(&c->prefetcher);
    cond_done(&c->changed);
    cond_done(&c->due);
    cond_done(&c->idle);
    lock_done(&c->lock);
    free(c);
}
DEFINE_AUTO(cache_half, struct cache *, cache_free)

/* What stands in the place of a directory of ours is removed: a link there would lead out of the
 * cache whoever opens a file below it. */
static void remove_links(int objects_fd)
{
    for (unsigned i = 0; i < 256; i++) {
        char name[3];
        struct stat st;
        (void)snprintf(name, sizeof name, "%02x", i);
        if (fstatat(objects_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
            (void)unlinkat(objects_fd, name, 0); /* where that fails, so will what is below it */
    }
}

static int open_objects(struct cache *c, struct err *err)
{
    if (mkdirat(c->dirfd, "objects", 0700) < 0 && errno != EEXIST)
        return err_set(err, errno, "objects: %s", strerror(errno));
    c->objects_fd = openat(c->dirfd, "objects", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (c->objects_fd < 0)
        return err_set(err, errno, "objects: %s", strerror(errno));
    remove_links(c->objects_fd);
    /* Noting access times is a thirtieth of a read of 4 KiB that the kernel makes by itself. */
    int quiet = file_quiet_dir(c->objects_fd);
    if (quiet >= 0) {
        (void)close(c->objects_fd); /* a directory */
        c->objects_fd = quiet;
    }
    return 0;
}

/* Signals are for the main thread. */
static int start_thread(pthread_t *thread, const char *name, void *(*run)(void *), struct cache *c,
                        struct err *err)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(thread, NULL, run, c);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        return err_set(err, rc, "thread: %s", strerror(rc));
    (void)pthread_setname_np(*thread, name); /* only a help to debuggers */
    return 0;
}

static void end_flusher(struct cache *c)
{
    WITH_LOCK (&c->lock) {
        c->ending = true;
        cond_signal(&c->changed);
    }
    (void)pthread_join(c->flusher, NULL); /* our own, joined once */
}

/* Before the flusher: what it finds is still written. */
static void end_upkeep(struct cache *c)
{
    WITH_LOCK (&c->lock) {
        c->upkeep_ending = true;
        cond_signal(&c->due);
    }
    (void)pthread_join(c->upkeep, NULL); /* our own, joined once */
    WITH_LOCK (&c->lock)
        while (c->busy) /* repairs that it began */
            cond_wait(&c->idle, &c->lock);
}

static int start_threads(struct cache *c, struct err *err)
{
    int rc = start_thread(&c->flusher, "flush", flusher_run, c, err);
    if (rc == 0 && (rc = start_thread(&c->upkeep, "upkeep", upkeep_run, c, err)) < 0)
        end_flusher(c);
    return rc;
}

static int count_record(void *arg, const struct segment_id *id, const struct index_record *r)
{
    struct cache *c = arg;
    /* The clock may have been set back since: what an earlier daemon checked must not count. */
    if (r->checked_ms >= c->started_ms && r->checked_ms < INT64_MAX)
        c->started_ms = r->checked_ms + 1;
    c->bytes += present_sum(r->size, id->number, r->present).disk + r->frozen_bytes;
    c->objects += id->number == 0;
    c->sealed += r->sealed;
    c->frozen += r->frozen_bytes > 0;
    c->frozen_bytes += r->frozen_bytes;
    return 0;
}

static int open_cipher(struct cache *c, const uint8_t *key, struct err *err)
{
    c->cipher = key ? cipher_new(key, err) : NULL;
    c->check_bytes = key ? CIPHER_CHECK_BYTES : sizeof(uint32_t); /* a CRC32C */
    return key && !c->cipher ? -err->code : 0;
}

static void tell_index(struct cache *c)
{
    const struct err *damage = index_damage(c->index);
    char text[sizeof damage->msg + 100];
    if (!damage)
        return;
    if (index_is_blind(c->index)) {
        cache_failed(c, damage->code);
        return;
    }
    (void)snprintf(text, sizeof text, "%s; it is made anew, and what was cached is fetched again",
                   damage->msg);
    c->damaged++;
    cache_tell(c, text);
}

/* Takes over what is there. */
static int open_index(struct cache *c, bool any_key, struct err *err)
{
    c->index = index_open(c->dirfd, c->size_bytes, err);
    if (!c->index)
        return -err->code;
    tell_index(c);
    int rc = index_each(c->index, count_record, c, err);
    return rc < 0 || any_key ? rc : keyed_check(c, err);
}

struct cache *cache_open(const struct cache_config *config, struct err *err)
{
    AUTO(cache_half) struct cache *c = calloc(1, sizeof *c);
    if (!c) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    c->dirfd = config->dirfd;
    c->objects_fd = -1;
    c->size_bytes = config->size_bytes;
    c->limit_bytes = config->size_bytes;
    c->free_bytes = config->free_bytes;
    c->freeze_after_ms = config->key ? 0 : config->freeze_after_ms;
    c->started_ms = clock_real_ms();
    c->opened_s = c->started_ms / 1000;
    c->workers = config->workers;
    c->tell = config->tell;
    c->tell_arg = config->arg;
    lock_init(&c->lock);
    lock_init(&c->near_lock);
    prefetcher_init(&c->prefetcher);
    cond_init(&c->changed);
    cond_init(&c->due);
    cond_init(&c->idle);
    map_init(&c->table, OBJECTS_OPEN_MAX);
    map_init(&c->doomed, OBJECTS_OPEN_MAX);
    if (pool_init(&c->pool, c->workers, err) < 0 || open_objects(c, err) < 0 ||
        uses_open(c->dirfd, c->size_bytes, &c->uses, err) < 0 ||
        open_cipher(c, config->key, err) < 0)
        return NULL;
    if (open_index(c, config->any_key, err) < 0) {
        (void)err_wrap(err, "cache");
        return NULL;
    }
    cache_measure(c);
    return start_threads(c, err) < 0 ? NULL : STEAL(c);
}

/* Handles, flights and reads; the list of dirty ones asks no store. */
static bool store_used_locked(struct cache *c, const struct store *store) REQUIRES(c->lock)
{
    size_t at = 0;
    const struct map_entry *e;
    while ((e = map_next(&c->table, &at))) {
        struct object *o = e->value;
        if (o->store == store && o->refs > o->dirty)
            return true;
    }
    return false;
}

/* What the list of dirty ones still has is nobody's to ask for. */
static void forget_store_locked(struct cache *c, const struct store *store) REQUIRES(c->lock)
{
    size_t at = 0;
    const struct map_entry *e;
    while ((e = map_next(&c->table, &at))) {
        struct object *o = e->value;
        if (o->store == store)
            o->store = NULL;
    }
}

void cache_drain_store(struct cache *c, const struct store *store)
{
    WITH_LOCK (&c->lock) {
        c->draining++;
        /* Timed, because the flusher, too, holds objects for a moment and wakes nobody. */
        while (store_used_locked(c, store) && !store_owners(store))
            (void)cond_wait_until(&c->idle, &c->lock, clock_mono_ms() + DRAIN_LOOK_MS);
        if (!store_owners(store)) /* else somebody else will leave it */
            forget_store_locked(c, store);
        c->draining--;
    }
}

void cache_close(struct cache *c)
{
    if (!c)
        return;
    WITH_LOCK (&c->lock) {
        while (c->busy)
            cond_wait(&c->idle, &c->lock);
    }
    end_upkeep(c);
    end_flusher(c);
    assert(c->table.count == 0 && "an object is still open");
    cache_free(c);
}
