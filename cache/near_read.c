/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/near_private.h"

#include <sys/uio.h>

#include "base/thread.h"

/* A read has so long before home is asked: to begin with, and for its bytes. */
#define LATE_MS 500
#define LATE_BYTES_PER_MS ((size_t)16 << 10)
/* After a failure home alone is asked for so long; each time longer. */
#define OFF_MS_MIN 1000
#define OFF_MS_MAX 60000
/* What was not there may have been put there by another machine. */
#define ABSENT_S 60
/* The book notes no more often that an object is used. */
#define NOTES_MS 1000

static uint64_t hash_of(const uint8_t *identity)
{
    uint64_t hash;
    memcpy(&hash, identity + 8, sizeof hash); /* the first bits are chosen */
    return hash;
}

bool near_is_absent_locked(const struct near *n, const uint8_t *identity)
{
    uint64_t hash = hash_of(identity);
    size_t at = hash % NEAR_ABSENT_MAX;
    return n->absent_hash[at] == hash && near_now_s() < n->absent_until_s[at];
}

void near_note_locked(struct near *n, const uint8_t *identity, bool there)
{
    uint64_t hash = hash_of(identity);
    size_t at = hash % NEAR_ABSENT_MAX;
    if (!there) {
        n->absent_hash[at] = hash;
        n->absent_until_s[at] = near_now_s() + ABSENT_S;
    } else if (n->absent_hash[at] == hash) {
        n->absent_until_s[at] = 0;
    }
    if (n->ending || n->notes_count == NEAR_NOTES_MAX)
        return; /* it is learned again */
    struct near_note *note = &n->notes[n->notes_count++];
    *note = (struct near_note){.place.store = n->url_hash, .used_s = there ? near_now_s() : 0};
    memcpy(note->place.identity, identity, SHA256_BYTES);
}

/* ---- whether it is asked ---- */

/* It works, or this read shall try whether it works again. */
static bool may_ask_locked(struct near *n, bool *probe) REQUIRES(n->lock)
{
    *probe = false;
    if (n->ending)
        return false;
    if (n->off_until_ms == 0)
        return true;
    if (n->probing || clock_mono_ms() < n->off_until_ms)
        return false;
    n->probing = *probe = true;
    return true;
}

static void worked_locked(struct near *n, bool probe) REQUIRES(n->lock)
{
    if (probe)
        n->probing = false;
    if (probe || n->off_until_ms == 0)
        n->off_until_ms = n->off_ms = 0;
}

/* True: it is so since now, and somebody may want to know. */
static bool failed_locked(struct near *n, bool probe) REQUIRES(n->lock)
{
    int64_t now = clock_mono_ms();
    n->cache->near_failed++;
    if (probe)
        n->probing = false;
    else if (n->off_until_ms)
        return false; /* another one has said so */
    bool first = n->off_ms == 0;
    n->off_ms = first ? OFF_MS_MIN : 2 * n->off_ms < OFF_MS_MAX ? 2 * n->off_ms : OFF_MS_MAX;
    n->off_until_ms = now + n->off_ms;
    return first;
}

static void tell_failed(struct near *n, const char *why)
{
    char text[600];
    (void)snprintf(text, sizeof text,
                   "the near store %.200s is left alone for a while, reads go on from home: %.300s",
                   n->url, why); /* may be cut */
    cache_tell(n->cache, text);
}

/* ---- what came ---- */

/* Copies bytes to where the reader wants them. */
struct target {
    const struct store_get *req;
    unsigned room;
    size_t at; /* in it */
};

static void copy_out(struct target *t, const char *bytes, size_t n)
{
    const struct store_get *req = t->req;
    if (!req->rooms) {
        memcpy(req->to + t->at, bytes, n);
        t->at += n;
        return;
    }
    while (n) {
        const struct iovec *room = &req->rooms[t->room];
        size_t left = room->iov_len - t->at, some = n < left ? n : left;
        memcpy((char *)room->iov_base + t->at, bytes, some);
        bytes += some;
        n -= some;
        t->at += some;
        if (t->at == room->iov_len) {
            t->room++;
            t->at = 0;
        }
    }
}

enum verdict { GOOD, ABSENT, OTHER, WRONG, FAILED };

/* Checks all that came before anything of it is handed out. */
static enum verdict check_bytes(const struct near_get *g, const struct store_get *req,
                                char etag[ETAG_BYTES_MAX])
{
    const struct near_object o = {req->identity, req->object_size};
    const char *at = g->bytes;
    if (g->get.info.size != near_bytes(o.size) || g->get.got != g->get.length)
        return WRONG;
    for (uint64_t place = req->offset; place < req->offset + req->length; place += GRANULE_BYTES) {
        size_t n = granule_length(o.size, place / GRANULE_BYTES);
        if (!near_granule_right(&o, place / GRANULE_BYTES, at, n, etag))
            return WRONG;
        at += n + NEAR_TAIL_BYTES;
    }
    return req->if_match && strcmp(req->if_match, etag) != 0 ? OTHER : GOOD;
}

static enum verdict judge(const struct near_get *g, const struct store_get *req,
                          char etag[ETAG_BYTES_MAX])
{
    if (g->get.rc == -ENOENT)
        return ABSENT;
    return g->get.rc < 0 ? FAILED : check_bytes(g, req, etag);
}

static void hand_out(const struct near_get *g, struct store_get *req, const char *etag)
{
    struct target to = {.req = req};
    const char *at = g->bytes;
    for (uint64_t place = req->offset; place < req->offset + req->length; place += GRANULE_BYTES) {
        size_t n = granule_length(req->object_size, place / GRANULE_BYTES);
        copy_out(&to, at, n);
        at += n + NEAR_TAIL_BYTES;
    }
    req->rc = 0;
    req->got = req->length;
    req->err = (struct err)ERR_INIT;
    req->info = (struct store_info){.size = req->object_size};
    memcpy(req->info.etag, etag, strlen(etag) + 1);
}

/* ---- the way of a read ---- */

static void unlist_locked(struct near *n, struct near_get *g) REQUIRES(n->lock)
{
    if (g->before)
        g->before->next = g->next;
    else
        n->gets = g->next;
    if (g->next)
        g->next->before = g->before;
    n->bytes -= g->room;
    if (n->ending)
        cond_broadcast(&n->changed);
}

/* Whose it is; NULL: home has been asked. The counters and what is known are brought up to date. */
static void settle(struct near *n, const struct near_get *g, const uint8_t *identity,
                   enum verdict verdict)
{
    bool tell = false;
    WITH_LOCK (&n->lock) {
        switch (verdict) {
        case GOOD:
            n->cache->near_hits++;
            n->cache->near_hit_bytes += g->req->length;
            if (!near_is_absent_locked(n, identity)) /* else it has been found wrong meanwhile */
                near_note_locked(n, identity, true);
            worked_locked(n, g->probe);
            break;
        case ABSENT:
        case WRONG:
            near_note_locked(n, identity, false);
            worked_locked(n, g->probe);
            break;
        case OTHER:
            worked_locked(n, g->probe);
            break;
        case FAILED:
            tell = failed_locked(n, g->probe);
            break;
        }
    }
    if (verdict == WRONG) {
        n->cache->near_damaged++;
        near_remove(n, identity);
    }
    if (tell)
        tell_failed(n, g->get.err.msg);
}

static void get_done(struct store_get *get)
{
    struct near_get *g = CONTAINER_OF(get, struct near_get, get);
    struct near *n = g->near;
    struct store_get *req;
    WITH_LOCK (&n->lock) {
        req = g->req; /* from now on nobody takes it away */
        g->due_ms = INT64_MAX;
    }
    if (req) {
        char etag[ETAG_BYTES_MAX] = "";
        enum verdict verdict = judge(g, req, etag);
        settle(n, g, req->identity, verdict);
        if (verdict == GOOD) {
            hand_out(g, req, etag);
            WITH_LOCK (&n->lock)
                unlist_locked(n, g);
            free(g);
            req->done(req);
            return;
        }
        n->home->ops->get(n->home, req);
    }
    WITH_LOCK (&n->lock)
        unlist_locked(n, g);
    free(g);
}

/* A range of whole granules of an object that the cache names. */
static bool is_granules(const struct store_get *req)
{
    uint64_t end = req->offset + req->length;
    return req->identity && req->offset % GRANULE_BYTES == 0 && end <= req->object_size &&
           (end == req->object_size || end % GRANULE_BYTES == 0);
}

/* NULL: home is asked. */
static struct near_get *begin(struct near *n, struct store_get *req)
{
    size_t room = (size_t)near_bytes(req->length);
    bool probe = false, ask;
    WITH_LOCK (&n->lock) {
        ask = !near_is_absent_locked(n, req->identity) && n->bytes + room <= NEAR_BYTES_MAX &&
              may_ask_locked(n, &probe);
        if (ask)
            n->bytes += room;
    }
    struct near_get *g = ask ? malloc(sizeof *g + room) : NULL;
    if (!g) {
        WITH_LOCK (&n->lock) {
            n->bytes -= ask ? room : 0;
            n->probing = n->probing && !probe;
        }
        return NULL;
    }
    *g = (struct near_get){.near = n, .req = req, .probe = probe, .room = room};
    near_key(req->identity, g->key);
    g->due_ms = clock_mono_ms() + LATE_MS + (int64_t)(room / LATE_BYTES_PER_MS);
    g->get = (struct store_get){.key = g->key,
                                .offset = near_offset(req->offset),
                                .length = room,
                                .ahead = req->ahead,
                                .to = g->bytes,
                                .done = get_done};
    return g;
}

void near_get(struct store *s, struct store_get *req)
{
    struct near *n = near_of(s);
    struct near_get *g = is_granules(req) ? begin(n, req) : NULL;
    if (!g) {
        n->home->ops->get(n->home, req);
        return;
    }
    WITH_LOCK (&n->lock) {
        bool first = !n->gets;
        g->next = n->gets;
        if (g->next)
            g->next->before = g;
        n->gets = g;
        if (first)
            cond_signal(&n->changed);
    }
    n->far->ops->get(n->far, &g->get);
}

/* ---- what is late ---- */

/* The requests of reads that are late, in a list by their `private`; the next time to look. */
static struct store_get *take_late_locked(struct near *n, int64_t *look_ms, bool *tell)
    REQUIRES(n->lock)
{
    struct store_get *late = NULL;
    int64_t now = clock_mono_ms();
    for (struct near_get *g = n->gets; g; g = g->next) {
        if (!g->req || g->due_ms > now) {
            if (g->req && g->due_ms < *look_ms)
                *look_ms = g->due_ms;
            continue;
        }
        g->req->private = late;
        late = g->req;
        g->req = NULL;
        *tell = failed_locked(n, g->probe) || *tell;
        g->probe = false;
    }
    return late;
}

static void write_notes(struct near *n)
{
    struct near_note *notes = NULL;
    size_t count = 0;
    WITH_LOCK (&n->lock) {
        count = n->notes_count;
        notes = count ? malloc(count * sizeof *notes) : NULL;
        if (notes)
            memcpy(notes, n->notes, count * sizeof *notes);
        n->notes_count = 0;
        n->in_cache++;
    }
    if (notes)
        near_book_write(n->book, notes, count);
    free(notes);
    WITH_LOCK (&n->lock)
        n->in_cache--;
}

void *near_timer_run(void *arg)
{
    struct near *n = arg;
    int64_t write_at = 0;
    bool go_on = true;
    thread_name("tarn-near");
    while (go_on) {
        bool tell = false, write = false;
        struct store_get *late = NULL, *next;
        WITH_LOCK (&n->lock) {
            int64_t look_ms = clock_mono_ms() + NOTES_MS;
            late = take_late_locked(n, &look_ms, &tell);
            if (!late && (!n->ending || n->gets))
                (void)cond_wait_until(&n->changed, &n->lock, look_ms); /* looked at below */
            go_on = !n->ending || n->gets;
            write = n->notes_count && (clock_mono_ms() >= write_at || n->ending);
        }
        if (tell)
            tell_failed(n, "it is late");
        for (; late; late = next) {
            next = late->private;
            n->home->ops->get(n->home, late);
        }
        if (write) {
            write_notes(n);
            write_at = clock_mono_ms() + NOTES_MS;
        }
    }
    WITH_LOCK (&n->lock) {
        n->threads--;
        cond_broadcast(&n->changed);
    }
    return NULL;
}
