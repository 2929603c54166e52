/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: their identity, handles and reads. */
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

char *object_etag(struct object *o, char out[ETAG_BYTES_MAX])
{
    WITH_LOCK (&o->lock)
        memcpy(out, o->etag, sizeof o->etag);
    return out;
}

uint64_t object_cached_bytes(struct object *o)
{
    uint64_t bytes = o->size;
    if (o->in_place)
        return bytes;
    WITH_LOCK (&o->lock)
        bytes = index_record_bytes(&(struct index_record){.size = o->size, .present = o->present});
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
    if (rc == 0)
        sha256(buf_slice(&text), id->bytes);
    return rc;
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
    if (name->size > OBJECT_BYTES_MAX)
        return err_set(err, EFBIG, "%.*s: size %llu, at most %llu is possible",
                       SLICE_FMT(name->key), (unsigned long long)name->size,
                       (unsigned long long)OBJECT_BYTES_MAX);
    return 0;
}

void object_free(struct object *o)
{
    assert(!o->flights);
    if (o->fd >= 0)
        (void)close(o->fd); /* what has to last was synced */
    lock_done(&o->lock);
    free(o->present);
    free(o->key);
    free(o);
}
DEFINE_AUTO(object_half, struct object *, object_free)

static struct object *object_new(struct cache *c, const struct object_name *name,
                                 const struct object_id *id)
{
    struct object *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->cache = c;
    o->id = *id;
    o->store = name->store;
    o->size = name->size;
    o->fd = -1;
    o->refs = 1;
    o->in_place = object_open_blocks(name->store);
    o->used_ms = clock_real_ms();
    if (name->etag.n)
        memcpy(o->etag, name->etag.p, name->etag.n);
    lock_init(&o->lock);
    o->key = strndup(name->key.n ? name->key.p : "", name->key.n);
    if (!o->key) {
        object_free(o);
        return NULL;
    }
    return o;
}

static int open_in_place(struct object *o, bool wait, struct err *err)
{
    struct stat st;
    int fd = -1;
    struct store *store = o->store;
    int rc = store->ops->open_in_place(store, o->key, wait, &fd, err);
    if (rc < 0)
        return rc;
    o->fd = fd;
    if (fstat(fd, &st) < 0)
        return err_set(err, errno, "%s: %s", o->key, strerror(errno));
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != o->size)
        return err_set(err, ESTALE, "%s: size %llu expected, the file has %llu", o->key,
                       (unsigned long long)o->size, (unsigned long long)st.st_size);
    return 0;
}

/* Takes over what the index knows. Nobody else has the object yet. */
static void load_record_locked(struct cache *c, struct object *o) REQUIRES(c->lock)
{
    struct index_record r;
    if (map_find(&c->doomed, id_slice(&o->id)))
        return; /* its record is being deleted */
    int rc = index_find(c->index, &o->id, &r);
    if (rc == 0 && r.size == o->size) {
        o->present = (uint8_t *)(uintptr_t)r.present;
        o->present_disk_bytes = index_record_disk(&r);
        memcpy(o->etag, r.etag, sizeof o->etag);
    } else if (rc == 0) {
        free((void *)(uintptr_t)r.present);
    }
    if (rc != -ENOENT && !o->present)
        o->keeping = KEEP_NO; /* the record that cannot be had must not meet other bytes */
}

static struct object *find_locked(struct cache *c, const struct object_id *id, struct store *store)
    REQUIRES(c->lock)
{
    struct object *o = map_find(&c->table, id_slice(id));
    if (!o)
        return NULL;
    o->store = store; /* the one it had may be gone where only the flusher still held the object */
    return object_ref(o);
}

int object_open(struct cache *c, const struct object_name *name, struct object **out,
                struct err *err)
{
    struct object_id id;
    struct object *o;
    int rc = check_name(name, err);
    if (rc == 0)
        rc = make_id(name, &id, err);
    if (rc < 0)
        return rc;
    WITH_LOCK (&c->lock)
        o = find_locked(c, &id, name->store);
    if (o) {
        *out = o;
        return 0;
    }
    AUTO(object_half) struct object *fresh = object_new(c, name, &id);
    if (!fresh)
        return err_set(err, ENOMEM, "out of memory");
    if (fresh->in_place && (rc = open_in_place(fresh, !name->at_once, err)) < 0)
        return rc;
    WITH_LOCK (&c->lock) {
        o = find_locked(c, &id, name->store); /* somebody may have been quicker */
        if (!o) {
            rc = map_put(&c->table, id_slice(&fresh->id), fresh);
            if (rc == 0) {
                o = STEAL(fresh);
                if (!o->in_place)
                    load_record_locked(c, o);
            }
        }
    }
    if (!o)
        return err_set(err, -rc, "%s: %zu objects may be open", strerror(-rc), OBJECTS_OPEN_MAX);
    *out = o;
    return 0;
}

void read_finish(struct object_read *r, int rc, const struct err *err)
{
    struct object *o = r->object;
    struct cache *c = o->cache;
    bool last;
    WITH_LOCK (&o->lock) {
        if (rc < 0 && r->rc == 0) {
            r->rc = rc;
            (void)err_copy(&r->err, err);
        }
        last = --r->missing == 0;
    }
    if (!last)
        return;
    free(r->pieces);
    r->pieces = NULL;
    r->object = NULL;
    /* Before `done`, after which the owner may close the cache: it counts on no reference. */
    object_unref(o);
    cache_end(c, false);
    r->done(r);
}

/* From the file if the block is in it, else from a flight. False: it came into the file just now.
 */
static bool read_piece(struct object *o, struct piece *p, int fd)
{
    bool present;
    WITH_LOCK (&o->lock)
        present = fd >= 0 && bitmap_has(o->present, p->block);
    if (present) {
        off_t at = (off_t)(p->block * BLOCK_BYTES + p->from);
        if (file_pread_full(fd, p->to, p->length, at, NULL) == 0) {
            o->cache->hit_bytes += p->length;
            read_finish(p->read, 0, NULL);
            return true;
        }
        object_discard(o);
    }
    return flight_join(o, p);
}

static void read_run(struct job *job)
{
    struct object_read *r = CONTAINER_OF(job, struct object_read, job);
    struct object *o = r->object;
    int fd = -1;
    bool again = false;
    if (object_file(o, job, &fd) == -EINPROGRESS)
        return;
    for (size_t i = 0; i < r->piece_count; i++) {
        struct piece *p = &r->pieces[i];
        if (p->on_disk)
            p->on_disk = !read_piece(o, p, fd);
        again = again || p->on_disk;
    }
    if (again)
        workers_submit(o->cache->workers, job);
    else
        read_finish(r, 0, NULL);
}

static void read_in_place_run(struct job *job)
{
    struct object_read *r = CONTAINER_OF(job, struct object_read, job);
    struct object *o = r->object;
    struct err err = ERR_INIT;
    int rc = file_pread_full(o->fd, r->to, r->length, (off_t)r->offset, &err);
    struct stat st;
    if (rc < 0 && fstat(o->fd, &st) == 0 && (uint64_t)st.st_size < o->size)
        rc = err_set(&err, ESTALE, "size %llu expected, the file has %llu",
                     (unsigned long long)o->size, (unsigned long long)st.st_size);
    if (rc < 0)
        (void)err_wrap(&err, "%s", o->key);
    else
        o->cache->hit_bytes += r->length;
    read_finish(r, rc, &err);
}

static void begin_wait(struct object *o, struct object_read *r)
{
    r->object = object_ref(o);
    cache_begin(o->cache, false);
}

/* Cuts the read into pieces. False: out of memory. */
static bool make_pieces(struct object_read *r)
{
    uint64_t first = r->offset / BLOCK_BYTES;
    uint64_t last = (r->offset + r->length - 1) / BLOCK_BYTES;
    r->piece_count = (size_t)(last - first + 1);
    r->pieces = calloc(r->piece_count, sizeof *r->pieces);
    if (!r->pieces)
        return false;
    size_t from = r->offset % BLOCK_BYTES, left = r->length;
    char *to = r->to;
    for (size_t i = 0; i < r->piece_count; i++) {
        size_t n = left < BLOCK_BYTES - from ? left : BLOCK_BYTES - from;
        r->pieces[i] =
            (struct piece){.read = r, .block = first + i, .from = from, .length = n, .to = to};
        to += n;
        left -= n;
        from = 0;
    }
    return true;
}

static int read_wait(struct object *o, struct object_read *r, struct err *err)
{
    if (!make_pieces(r))
        return err_set(err, ENOMEM, "%s: out of memory", o->key);
    begin_wait(o, r);
    /* This function and the job count too: the pieces must last while they walk them. */
    r->missing = r->piece_count + 2;
    bool on_disk = false;
    for (size_t i = 0; i < r->piece_count; i++) {
        struct piece *p = &r->pieces[i];
        p->on_disk = !flight_join(o, p);
        on_disk = on_disk || p->on_disk;
    }
    if (on_disk) {
        o->touched = true;
        r->job.run = read_run;
        workers_submit(o->cache->workers, &r->job);
    } else {
        read_finish(r, 0, NULL);
    }
    read_finish(r, 0, NULL);
    return -EINPROGRESS;
}

/* True: the page cache had all of it. */
static bool read_now(int fd, const struct object_read *r)
{
    struct iovec to = {r->to, r->length};
    return preadv2(fd, &to, 1, (off_t)r->offset, RWF_NOWAIT) == (ssize_t)r->length;
}

/* The open file, where all blocks of the read are in it; else -1. */
static int file_with_all(struct object *o, const struct object_read *r)
{
    int fd;
    WITH_LOCK (&o->lock) {
        fd = o->fd;
        uint64_t last = (r->offset + r->length - 1) / BLOCK_BYTES;
        for (uint64_t i = r->offset / BLOCK_BYTES; !o->in_place && fd >= 0 && i <= last; i++)
            if (!bitmap_has(o->present, i))
                fd = -1;
    }
    return fd;
}

int object_read(struct object *o, struct object_read *r, struct err *err)
{
    r->rc = 0;
    r->err = (struct err)ERR_INIT;
    r->pieces = NULL;
    if (r->offset > o->size || r->length > o->size - r->offset)
        return err_set(err, EINVAL, "%s: read of %zu at %llu, the size is %llu", o->key, r->length,
                       (unsigned long long)r->offset, (unsigned long long)o->size);
    if (r->length == 0)
        return 0;
    int fd = file_with_all(o, r);
    o->used_ms = clock_real_ms();
    if (fd >= 0 && read_now(fd, r)) {
        o->touched = !o->in_place;
        o->cache->hit_bytes += r->length;
        return 0;
    }
    if (!o->in_place)
        return read_wait(o, r, err);
    begin_wait(o, r);
    r->missing = 1;
    r->job.run = read_in_place_run;
    workers_submit(o->cache->workers, &r->job);
    return -EINPROGRESS;
}
