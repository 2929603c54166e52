/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: their identity and handles. */
#include <assert.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "cache/private.h"

bool object_open_blocks(const struct store *s)
{
    return s->ops->open_in_place != NULL;
}

uint64_t object_size(const struct object *o)
{
    return o->size;
}

const char *object_key(const struct object *o)
{
    return o->key;
}

char *object_etag(struct object *o, char out[ETAG_BYTES_MAX])
{
    WITH_LOCK (&o->lock)
        memcpy(out, o->etag, sizeof o->etag);
    return out;
}

uint64_t object_cached_bytes(struct object *o)
{
    if (o->in_place || o->sealed)
        return o->size;
    uint64_t bytes = 0;
    for (uint32_t n = 0; n < o->segment_count; n++) {
        object_load(o, n);
        WITH_LOCK (&o->lock) {
            const struct segment *s = o->segments ? o->segments[n] : NULL;
            if (s)
                bytes += s->frozen_bytes ? segment_bytes(o->size, n)
                                         : present_sum(o->size, n, s->present).bytes;
        }
    }
    return bytes;
}

/* Each field with its length before it, so that no two identities have the same text. */
static int make_id(const struct object_name *name, struct object_id *id, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, URL_BYTES_MAX + KEY_BYTES_MAX + 2 * ETAG_BYTES_MAX);
    struct slice fields[] = {slice_of(name->store->url), name->key, name->etag};
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        buf_add_le64(&text, fields[i].n);
        buf_add_slice(&text, fields[i]);
    }
    buf_add_le64(&text, name->size);
    int rc = buf_check(&text, err);
    if (rc < 0)
        return rc;
    sha256(buf_slice(&text), id->bytes);
    /* the first bit tells large objects, so that eviction finds them among the small ones */
    id->bytes[0] = (uint8_t)((id->bytes[0] & 0x7f) | (name->size < LARGE_BYTES ? 0 : 0x80));
    return 0;
}

static int check_name(const struct object_name *name, struct err *err)
{
    if (name->key.n > KEY_BYTES_MAX)
        return err_set(err, ENAMETOOLONG, "key of %zu bytes, at most %d are possible", name->key.n,
                       KEY_BYTES_MAX);
    if (slice_find(name->key, '\0') >= 0)
        return err_set(err, ENOENT, "a key cannot contain a zero byte");
    if (name->etag.n >= ETAG_BYTES_MAX || slice_find(name->etag, '\0') >= 0)
        return err_set(err, EINVAL, "%.*s: unusable ETag of %zu bytes", SLICE_FMT(name->key),
                       name->etag.n);
    if (name->version.n >= VERSION_ID_BYTES_MAX || slice_find(name->version, '\0') >= 0)
        return err_set(err, EINVAL, "%.*s: unusable version id of %zu bytes", SLICE_FMT(name->key),
                       name->version.n);
    if (name->size > OBJECT_BYTES_MAX)
        return err_set(err, EFBIG, "%.*s: size %llu, at most %llu is possible",
                       SLICE_FMT(name->key), (unsigned long long)name->size,
                       (unsigned long long)OBJECT_BYTES_MAX);
    return 0;
}

void object_free(struct object *o)
{
    assert(!o->flights && !o->fills);
    if (o->fd >= 0)
        (void)close(o->fd); /* what has to last was synced */
    if (o->direct_fd >= 0)
        (void)close(o->direct_fd);
    lock_done(&o->lock);
    segments_free(o);
    free(o->version);
    free(o->key);
    free(o);
}
DEFINE_AUTO(object_half, struct object *, object_free)

static struct object *object_new(struct cache *c, const struct object_id *id, uint64_t size)
{
    struct object *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->cache = c;
    o->id = *id;
    o->size = size;
    o->segment_count = segments_of(size);
    o->fd = o->direct_fd = -1;
    o->refs = 1;
    lock_init(&o->lock);
    return o;
}

static struct object *object_named(struct cache *c, const struct object_name *name,
                                   const struct object_id *id)
{
    AUTO(object_half) struct object *o = object_new(c, id, name->size);
    if (!o)
        return NULL;
    o->store = name->store;
    o->in_place = object_open_blocks(name->store);
    if (name->etag.n)
        memcpy(o->etag, name->etag.p, name->etag.n);
    o->key = strndup(name->key.n ? name->key.p : "", name->key.n);
    return o->key ? STEAL(o) : NULL;
}

static int open_in_place(struct object *o, bool wait, struct err *err)
{
    struct store_file file = {.if_match = o->etag[0] ? o->etag : NULL};
    struct store *store = o->store;
    int rc = store->ops->open_in_place(store, o->key, wait, &file, err);
    if (rc < 0)
        return rc;
    o->fd = file.fd;
    return file.size == o->size
               ? 0
               : err_set(err, ESTALE, "%s: size %llu expected, the file has %llu", o->key,
                         (unsigned long long)o->size, (unsigned long long)file.size);
}

/* Takes over what the first record says. Nobody else has the object yet. */
static void load_record_locked(struct cache *c, struct object *o) REQUIRES(c->lock)
{
    struct segment_id first = {.object = o->id};
    struct index_record r;
    enum doom doom = cache_doom_of_locked(c, &o->id);
    if (doom == DOOM_REMOVED)
        return;
    int rc = index_head(c->index, &first, &r);
    if (rc == -ENOENT)
        return;
    if (rc < 0 || r.size != o->size || r.check_bytes != c->check_bytes) {
        o->keeping = KEEP_NO; /* the record that cannot be had must not meet other bytes */
        return;
    }
    o->sealed = r.sealed && doom != DOOM_FROZEN;
    o->came = true;
    o->counted = true;
    o->checked_ms = r.checked_ms;
    if (r.etag[0])
        memcpy(o->etag, r.etag, sizeof o->etag);
    o->unchecked = r.checked_ms < c->started_ms;
}

/* `fresh` NULL: only what somebody has opened already; else what is merely held gets its name. */
static struct object *find_locked(struct cache *c, const struct object_id *id, struct store *store,
                                  struct object *fresh) REQUIRES(c->lock)
{
    struct object *o = map_find(&c->table, id_slice(id));
    if (!o || (!o->key && !fresh))
        return NULL;
    if (!o->key) {
        if (!o->etag[0])
            memcpy(o->etag, fresh->etag, sizeof o->etag);
        o->key = STEAL(fresh->key);
    }
    o->store = store; /* the one it had may be gone where only the flusher still held the object */
    return object_ref(o);
}

static int put_locked(struct cache *c, struct object *o) REQUIRES(c->lock)
{
    int rc = map_put(&c->table, id_slice(&o->id), o);
    if (rc == 0 && !o->in_place && o->size)
        load_record_locked(c, o);
    return rc;
}

static int find_or_make(struct cache *c, const struct object_name *name, const struct object_id *id,
                        struct object **out, struct err *err)
{
    struct object *o;
    int rc = 0;
    WITH_LOCK (&c->lock)
        o = find_locked(c, id, name->store, NULL);
    if (o) {
        *out = o;
        return 0;
    }
    AUTO(object_half) struct object *fresh = object_named(c, name, id);
    if (!fresh)
        return err_set(err, ENOMEM, "out of memory");
    if (fresh->in_place && (rc = open_in_place(fresh, !name->at_once, err)) < 0)
        return rc;
    WITH_LOCK (&c->lock) {
        o = find_locked(c, id, name->store, fresh); /* somebody may have been quicker */
        if (!o && (rc = put_locked(c, fresh)) == 0) {
            o = STEAL(fresh);
            if (o->sealed && o->unchecked)
                upkeep_check_locked(c, o);
            if (o->sealed)
                cache_tell_sealed_locked(c, o);
        }
    }
    if (!o)
        return err_set(err, -rc, "%s: %zu objects may be open", strerror(-rc), OBJECTS_OPEN_MAX);
    *out = o;
    return 0;
}

/* Who names no version is served by one that another opener has named. */
static int set_version(struct object *o, struct slice version, struct err *err)
{
    char *copy = strndup(version.p, version.n);
    if (!copy)
        return err_set(err, ENOMEM, "out of memory");
    WITH_LOCK (&o->lock) {
        free(o->version);
        o->version = copy;
    }
    return 0;
}

int object_open(struct cache *c, const struct object_name *name, struct object **out,
                struct err *err)
{
    struct object_id id;
    AUTO(object) struct object *o = NULL;
    int rc = check_name(name, err);
    if (rc == 0)
        rc = make_id(name, &id, err);
    if (rc == 0)
        rc = find_or_make(c, name, &id, &o, err);
    if (rc == 0 && name->version.n)
        rc = set_version(o, name->version, err);
    if (rc == 0)
        *out = STEAL(o);
    return rc;
}

struct object *object_hold(struct cache *c, const struct object_id *id, uint64_t size)
{
    AUTO(object_half) struct object *fresh = object_new(c, id, size);
    struct object *o = NULL;
    WITH_LOCK (&c->lock) {
        if (map_find(&c->table, id_slice(id)))
            o = object_ref(map_find(&c->table, id_slice(id)));
        else if (fresh && doom_is_steady(cache_doom_of_locked(c, id)) && put_locked(c, fresh) == 0)
            o = STEAL(fresh);
    }
    return o;
}

bool cache_has_sealed(struct cache *c, const struct object_name *name)
{
    struct object_id id;
    struct index_record r;
    bool sealed = false;
    if (object_open_blocks(name->store))
        return true;
    if (c->dead) /* the file may be lost, and the record that says it is sealed stay */
        return false;
    if (check_name(name, NULL) < 0 || make_id(name, &id, NULL) < 0)
        return false;
    struct segment_id first = {.object = id};
    WITH_LOCK (&c->lock) {
        const struct object *o = map_find(&c->table, id_slice(&id));
        if (o)
            sealed = o->sealed;
        else if (doom_is_steady(cache_doom_of_locked(c, &id)))
            sealed = index_head(c->index, &first, &r) == 0 && r.sealed && r.size == name->size;
    }
    return sealed;
}
