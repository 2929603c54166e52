/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/near_private.h"

#include "base/thread.h"

/* What is refused is tried again after this: no room, and no right to write. */
#define WRITE_OFF_MS 30000
#define REFUSED_OFF_MS 600000
/* What lies there is counted again after this, because others fill it too. */
#define MEASURE_MS 600000
/* Over the budget, so much of it stays: nine tenths. */
#define KEEP_TENTHS 9
/* One object takes no more of the budget: a fourth. */
#define SHARE 4
/* Use is noted by the hour. */
#define HOUR_S 3600
#define HOURS_MAX 8784 /* what was used before is as old as that */
/* In place of a size: it shall be removed. */
#define REMOVE UINT64_MAX

/* ---- the queue ---- */

static void want(struct near *n, const uint8_t *identity, uint64_t size)
{
    struct near_queue *q = &n->queues[identity[1] % NEAR_FILLERS];
    WITH_LOCK (&n->lock) {
        if (!n->ending && q->count < NEAR_QUEUE_MAX) { /* else when it is opened again */
            struct near_wanted *w = &q->at[(q->first + q->count++) % NEAR_QUEUE_MAX];
            memcpy(w->identity, identity, SHA256_BYTES);
            w->size = size;
            cond_broadcast(&n->wanted_changed);
        }
    }
}

void near_sealed(struct store *s, const uint8_t *identity, uint64_t size)
{
    struct near *n = near_of(s);
    if (size && near_bytes(size) <= n->size_bytes / SHARE)
        want(n, identity, size);
}

void near_remove(struct near *n, const uint8_t *identity)
{
    want(n, identity, REMOVE);
}

/* Waits for the next one. False: the end. */
static bool take(struct near *n, struct near_queue *q, struct near_wanted *out)
{
    bool taken = false;
    WITH_LOCK (&n->lock) {
        while (!n->ending && q->count == 0)
            cond_wait(&n->wanted_changed, &n->lock);
        taken = !n->ending;
        if (taken) {
            *out = q->at[q->first];
            q->first = (q->first + 1) % NEAR_QUEUE_MAX;
            q->count--;
        }
    }
    return taken;
}

/* ---- what the cache knows: not after the end ---- */

static bool enter_cache(struct near *n)
{
    bool may = false;
    WITH_LOCK (&n->lock) {
        may = !n->ending;
        n->in_cache += may;
    }
    return may;
}

static void leave_cache(struct near *n)
{
    WITH_LOCK (&n->lock) {
        n->in_cache--;
        cond_broadcast(&n->changed);
    }
}

/* When it was used last, as far as this machine knows; 0: it does not know it to be there. */
static uint32_t last_used_s(struct near *n, const uint8_t *identity)
{
    struct near_place place = {.store = n->url_hash};
    memcpy(place.identity, identity, SHA256_BYTES);
    if (!enter_cache(n))
        return 0;
    uint32_t used_s = near_book_find(n->book, &place);
    leave_cache(n);
    return used_s;
}

static int load(struct object *o, uint64_t offset, char *to, size_t length)
{
    int fd;
    if (!o->sealed)
        return -ENODATA;
    object_load_range(o, offset, length);
    int rc = object_file_wait(o, &fd);
    return rc < 0 ? rc : object_load_bytes(o, fd, offset, to, length);
}

/* Bytes of a sealed object from the cache's file, checked, and its ETag. */
static int read_cached(struct near *n, const struct near_wanted *w, uint64_t offset, char *to,
                       size_t length, char etag[ETAG_BYTES_MAX])
{
    struct object_id id;
    int rc = -ENODATA;
    if (!enter_cache(n))
        return rc;
    memcpy(id.bytes, w->identity, sizeof id.bytes);
    struct object *o = object_hold(n->cache, &id, w->size);
    if (o && o->size == w->size && !o->in_place) {
        rc = load(o, offset, to, length);
        (void)object_etag(o, etag);
    }
    object_unref(o);
    leave_cache(n);
    return rc;
}

/* ---- writing ---- */

static bool writes_off(struct near *n)
{
    bool off;
    WITH_LOCK (&n->lock)
        off = n->write_off_until_ms && clock_mono_ms() < n->write_off_until_ms;
    return off;
}

static void write_failed(struct near *n, int rc, const struct err *err)
{
    char text[600];
    bool refused = rc == -EROFS || rc == -EACCES, tell;
    WITH_LOCK (&n->lock) {
        n->write_off_until_ms = clock_mono_ms() + (refused ? REFUSED_OFF_MS : WRITE_OFF_MS);
        tell = !n->told_write_off && !n->ending;
        n->told_write_off = true;
    }
    if (!tell || !enter_cache(n))
        return;
    (void)snprintf(text, sizeof text, "the near store %.200s is not filled for a while: %.300s",
                   n->url, err->msg); /* may be cut */
    cache_tell(n->cache, text);
    leave_cache(n);
}

static void filled(struct near *n, const struct near_wanted *w)
{
    WITH_LOCK (&n->lock) {
        near_note_locked(n, w->identity, true);
        n->there_bytes += near_bytes(w->size);
        n->write_off_until_ms = 0;
        n->told_write_off = false;
        if (!n->ending) {
            n->cache->near_filled++;
            n->cache->near_filled_bytes += w->size;
        }
    }
}

/* The granules of one block with their tails. Returns the bytes of them, or -errno. */
static ssize_t make_block(struct near *n, const struct near_wanted *w, uint64_t offset, char *plain,
                          char *out, char etag[ETAG_BYTES_MAX])
{
    const struct near_object o = {w->identity, w->size};
    uint64_t left = w->size - offset;
    size_t length = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES, made = 0;
    char now[ETAG_BYTES_MAX] = "";
    int rc = read_cached(n, w, offset, plain, length, now);
    if (rc < 0)
        return rc;
    if (offset && strcmp(etag, now) != 0)
        return -ESTALE;
    memcpy(etag, now, sizeof now);
    for (size_t at = 0; at < length; at += GRANULE_BYTES) {
        uint64_t granule = (offset + at) / GRANULE_BYTES;
        size_t some = granule_length(w->size, granule);
        memcpy(out + made, plain + at, some);
        near_tail(&o, granule, plain + at, some, etag, out + made + some);
        made += some + NEAR_TAIL_BYTES;
    }
    return (ssize_t)made;
}

#define BLOCK_MADE_BYTES (BLOCK_GRANULES * NEAR_STEP)

/* -ENODATA and others that are not the near store's: the cache has it no more. */
static int copy(struct near *n, const struct near_wanted *w, struct store_writer *writer,
                bool *store_failed, struct err *err)
{
    AUTO_FREE char *buffers = malloc(BLOCK_BYTES + BLOCK_MADE_BYTES);
    char etag[ETAG_BYTES_MAX] = "";
    int rc = buffers ? 0 : -ENOMEM;
    for (uint64_t offset = 0; rc == 0 && offset < w->size; offset += BLOCK_BYTES) {
        char *made = buffers + BLOCK_BYTES;
        ssize_t length = make_block(n, w, offset, buffers, made, etag);
        if (length < 0)
            return (int)length;
        rc = store_writer_add(writer, slice_make(made, (size_t)length), err);
        *store_failed = rc < 0;
    }
    return rc;
}

static int put(struct near *n, const struct near_wanted *w, bool *store_failed, struct err *err)
{
    char key[NEAR_KEY_BYTES];
    AUTO(store_writer) struct store_writer *writer = NULL;
    const struct store_put how = {.size = near_bytes(w->size), .if_absent = true};
    near_key(w->identity, key);
    int rc = store_put_begin(n->far, key, &how, &writer, err);
    *store_failed = rc < 0;
    if (rc == 0)
        rc = copy(n, w, writer, store_failed, err);
    if (rc == 0) {
        rc = store_writer_end(writer, NULL, err);
        *store_failed = rc < 0;
    }
    return rc;
}

/* 1: it is there, put by somebody else; 0: it is not; -errno. */
static int is_there(struct near *n, const struct near_wanted *w, struct err *err)
{
    char key[NEAR_KEY_BYTES];
    struct store_info info;
    near_key(w->identity, key);
    int rc = n->far->ops->head(n->far, key, &info, err);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0)
        return rc;
    if (info.size == near_bytes(w->size))
        return 1;
    return store_remove(n->far, key, err); /* of another form */
}

/* ---- the budget ---- */

struct census {
    struct near *near;
    uint64_t *hours; /* bytes by the hours since they were used; HOURS_MAX */
    uint64_t bytes;
    uint64_t over;   /* to be removed: in the second pass */
    unsigned oldest; /* hours: what was used before goes, and of that hour until it is enough */
    struct err *err;
    int rc;
};

static unsigned hours_since_use(struct near *n, const struct store_entry *e,
                                const uint8_t *identity)
{
    uint32_t now = near_now_s(), used = last_used_s(n, identity);
    int64_t made = e->mtime_ms / 1000;
    if (made > used && made <= now)
        used = (uint32_t)made;
    uint32_t hours = used < now ? (now - used) / HOUR_S : 0;
    return hours < HOURS_MAX ? hours : HOURS_MAX - 1;
}

static int count_one(void *arg, const struct store_entry *e)
{
    struct census *c = arg;
    uint8_t identity[SHA256_BYTES];
    bool ending;
    WITH_LOCK (&c->near->lock)
        ending = c->near->ending;
    if (ending)
        return -EINTR;
    if (!e->is_prefix && near_key_parse(e->key, identity)) {
        c->hours[hours_since_use(c->near, e, identity)] += e->size;
        c->bytes += e->size;
    }
    return 0;
}

static int remove_one(void *arg, const struct store_entry *e)
{
    struct census *c = arg;
    uint8_t identity[SHA256_BYTES];
    char key[NEAR_KEY_BYTES];
    if (e->is_prefix || !near_key_parse(e->key, identity) ||
        hours_since_use(c->near, e, identity) < c->oldest)
        return 0;
    near_key(identity, key);
    c->rc = store_remove(c->near->far, key, c->err);
    if (c->rc < 0)
        return c->rc;
    WITH_LOCK (&c->near->lock) {
        near_note_locked(c->near, identity, false);
        if (!c->near->ending)
            c->near->cache->near_removed_bytes += e->size;
    }
    c->bytes -= e->size < c->bytes ? e->size : c->bytes;
    c->over -= e->size < c->over ? e->size : c->over;
    return c->over == 0;
}

static int list_all(struct census *c, int (*emit)(void *arg, const struct store_entry *e))
{
    struct store *far = c->near->far;
    const struct store_list list = {
        .prefix = "objects/", .recursive = true, .emit = emit, .arg = c};
    int rc = far->ops->list(far, &list, c->err);
    return rc < 0 ? rc : 0;
}

/* Removes the least lately used of it until there is room. */
static int trim(struct census *c, uint64_t wanted)
{
    uint64_t found = 0, keep = c->near->size_bytes / 10 * KEEP_TENTHS;
    c->over = c->bytes + wanted - keep;
    c->oldest = HOURS_MAX;
    while (c->oldest > 0 && found < c->over)
        found += c->hours[--c->oldest];
    return list_all(c, remove_one);
}

/* Counts what is there, and removes what is too much, with so much that is wanted. */
static int measure(struct near *n, uint64_t wanted, struct err *err)
{
    struct census c = {.near = n, .err = err};
    AUTO_FREE uint64_t *hours = calloc(HOURS_MAX, sizeof *hours);
    if (!hours)
        return err_set(err, ENOMEM, "out of memory");
    c.hours = hours;
    int rc = list_all(&c, count_one);
    bool counted = rc == 0;
    if (counted && c.bytes + wanted > n->size_bytes)
        rc = trim(&c, wanted);
    WITH_LOCK (&n->lock) {
        n->measured = n->measured || rc == 0;
        n->there_bytes = counted ? c.bytes : n->there_bytes;
        n->measured_ms = counted ? clock_mono_ms() : n->measured_ms;
    }
    return rc;
}

static void give_room(struct near *n, uint64_t bytes)
{
    WITH_LOCK (&n->lock)
        n->reserved_bytes -= bytes;
}

/* 1: there is room for so much, for give_room; 0: there is none now; or -errno. */
static int take_room(struct near *n, uint64_t bytes, struct err *err)
{
    bool mine, fits;
    int rc = 0;
    WITH_LOCK (&n->lock) {
        mine = !n->trimming &&
               (!n->measured || n->there_bytes + n->reserved_bytes + bytes > n->size_bytes ||
                clock_mono_ms() - n->measured_ms > MEASURE_MS);
        n->trimming = n->trimming || mine;
    }
    if (mine)
        rc = measure(n, bytes, err);
    WITH_LOCK (&n->lock) {
        if (mine)
            n->trimming = false;
        fits =
            rc == 0 && n->measured && n->there_bytes + n->reserved_bytes + bytes <= n->size_bytes;
        if (fits)
            n->reserved_bytes += bytes;
    }
    return rc < 0 ? rc : fits;
}

/* ---- the fillers ---- */

static bool known_there(struct near *n, const struct near_wanted *w)
{
    uint32_t used_s = last_used_s(n, w->identity), now_s = near_now_s();
    bool there;
    WITH_LOCK (&n->lock) {
        there = used_s && !near_is_absent_locked(n, w->identity);
        if (there && used_s + HOUR_S < now_s)
            near_note_locked(n, w->identity, true);
    }
    return there;
}

/* 0 where it was put there by us, -EEXIST by others. */
static int look_and_put(struct near *n, const struct near_wanted *w, bool *store_failed,
                        struct err *err)
{
    int rc = is_there(n, w, err);
    *store_failed = rc < 0;
    if (rc > 0)
        return -EEXIST;
    return rc < 0 ? rc : put(n, w, store_failed, err);
}

static void fill(struct near *n, const struct near_wanted *w)
{
    struct err err = ERR_INIT;
    bool store_failed = true;
    if (writes_off(n) || known_there(n, w))
        return;
    int rc = take_room(n, near_bytes(w->size), &err);
    if (rc == 0)
        return;
    if (rc > 0) {
        rc = look_and_put(n, w, &store_failed, &err);
        if (rc == 0)
            filled(n, w);
        give_room(n, near_bytes(w->size));
    }
    if (rc == -EEXIST)
        WITH_LOCK (&n->lock)
            near_note_locked(n, w->identity, true);
    else if (rc < 0 && store_failed)
        write_failed(n, rc, &err);
}

static void remove_wrong(struct near *n, const struct near_wanted *w)
{
    char key[NEAR_KEY_BYTES];
    struct err err = ERR_INIT;
    near_key(w->identity, key);
    if (writes_off(n))
        return;
    int rc = store_remove(n->far, key, &err);
    if (rc < 0)
        write_failed(n, rc, &err);
}

void *near_fill_run(void *arg)
{
    struct near *n = arg;
    struct near_queue *q;
    struct near_wanted w;
    thread_name("tarn-near-fill");
    WITH_LOCK (&n->lock)
        q = &n->queues[n->fillers++];
    while (take(n, q, &w)) {
        if (w.size == REMOVE)
            remove_wrong(n, &w);
        else
            fill(n, &w);
    }
    WITH_LOCK (&n->lock) {
        n->threads--;
        cond_broadcast(&n->changed);
    }
    return NULL;
}
