/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freezing: segments of objects that nobody has open, has used for a while, and that compress,
 * are kept as seekable zstd. The upkeep thread does it.
 *
 *   choose   its record is full, neither frozen nor dense, not used for freeze_after_ms
 *   write    objects/freezing, checking every granule on the way; synced
 *   doom     if it is still closed and its record the same: who opens it from here on neither reads
 *            its file nor writes to it until this is over
 *   commit   renamed to its name, directory synced; the record names the frozen file, no granules
 *   punch    the segment's bytes leave the plain file, which stays as a hole
 *
 * A crash before the commit leaves a file that no record names, one after it bytes that none names:
 * both are found by cache_gc. What does not compress is marked dense, so that it is not tried
 * again.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "cache/frozen.h"
#include "cache/private.h"

#define ASIDE "freezing"
#define FROZEN_PERCENT_MAX 80

struct freezing {
    struct cache *cache;
    struct segment_id id;
    struct index_record record;
    void *owned;  /* what the record points to */
    int plain_fd; /* of the object's file, borrowed */
};

static void freezing_done(struct freezing *f)
{
    free(f->owned);
}
DEFINE_AUTO_DONE(freezing, struct freezing, freezing_done)

/* ---- choosing ---- */

struct search {
    struct cache *cache;
    int64_t before_ms; /* what was used later stays */
};

static bool used_before(const struct search *s, const struct segment_id *id, uint32_t segment,
                        const struct index_record *r)
{
    int64_t last_s = uses_last_s(s->cache->uses, segment_key(&id->object, segment));
    return (last_s ? last_s * 1000 : r->checked_ms) < s->before_ms;
}

/* Of a large object also the ends are looked at: who reads a Parquet file reads its last bytes. */
static bool is_due(void *arg, const struct segment_id *id, const struct index_record *r)
{
    const struct search *s = arg;
    unsigned granules = granules_of(r->size, id->number);
    return !r->frozen_bytes && !r->dense && r->check_bytes == s->cache->check_bytes &&
           used_before(s, id, id->number, r) && used_before(s, id, 0, r) &&
           used_before(s, id, segments_of(r->size) - 1, r) &&
           present_sum(r->size, id->number, r->present).granules == granules;
}

/* From *place on, which moves behind it. False: none is due up to the end. */
static bool find_due(struct cache *c, uint64_t *place, struct segment_id *out)
{
    struct search s = {.cache = c, .before_ms = clock_real_ms() - c->freeze_after_ms};
    uint64_t size; /* take_record looks again */
    return index_search(c->index, place, is_due, &s, out, &size);
}

/* ---- writing ---- */

static bool is_closed_locked(struct cache *c, const struct object_id *id) REQUIRES(c->lock)
{
    return !map_find(&c->table, id_slice(id)) && !map_find(&c->doomed, id_slice(id));
}

/* The record as it is now. False: the object is open, or its record is gone. */
static bool take_record(struct freezing *f)
{
    struct cache *c = f->cache;
    bool taken = false;
    WITH_LOCK (&c->lock)
        taken = is_closed_locked(c, &f->id.object) &&
                index_find(c->index, &f->id, &f->record, &f->owned) == 0;
    return taken;
}

/* Compares each granule with its check; ends where there is something better to do. */
static int check_block(void *arg, uint64_t block, const void *bytes, size_t n, struct err *err)
{
    struct freezing *f = arg;
    struct cache *c = f->cache;
    const uint8_t *check =
        f->record.checks + block * BLOCK_GRANULES * (size_t)f->record.check_bytes;
    bool go_on;
    WITH_LOCK (&c->lock)
        go_on = !c->upkeep_ending && is_closed_locked(c, &f->id.object);
    if (!go_on)
        return err_set(err, ECANCELED, "there is something better to do");
    for (size_t at = 0; at < n; at += GRANULE_BYTES, check += f->record.check_bytes) {
        size_t length = n - at < GRANULE_BYTES ? n - at : GRANULE_BYTES;
        uint32_t crc = crc32c(0, (const char *)bytes + at, length);
        if (memcmp(&crc, check, sizeof crc) != 0)
            return err_set(err, EBADMSG, "a granule is wrong");
    }
    return 0;
}

static bool reserve(struct cache *c, uint64_t n)
{
    uint64_t limit = c->limit_bytes;
    bool room = false;
    if (cache_is_off(c))
        return false;
    WITH_LOCK (&c->lock) {
        room = c->bytes <= limit && n <= limit - c->bytes;
        c->bytes += room ? n : 0;
    }
    return room;
}

/* Writes the frozen form aside, synced. */
static int write_aside(struct freezing *f, struct frozen_source *from, uint64_t *bytes,
                       struct err *err)
{
    struct cache *c = f->cache;
    (void)cache_clear(c, ASIDE); /* what an earlier daemon left, or what else is there */
    AUTO_FD int out = openat(c->objects_fd, ASIDE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        return err_set(err, errno, "%s: %s", ASIDE, strerror(errno));
    from->look = check_block;
    from->arg = f;
    int rc = frozen_write(from, out, bytes, err);
    if (rc == 0 && fsync(out) < 0)
        rc = err_set(err, errno, "%s: %s", ASIDE, strerror(errno));
    (void)posix_fadvise(out, 0, 0, POSIX_FADV_DONTNEED); /* nobody wants it soon */
    return rc;
}

/* ---- committing ---- */

static bool same_record(const struct freezing *f, const struct index_record *r)
{
    unsigned granules = granules_of(r->size, f->id.number);
    return r->size == f->record.size && r->check_bytes == f->record.check_bytes &&
           !r->frozen_bytes && memcmp(r->present, f->record.present, bitmap_bytes(granules)) == 0 &&
           memcmp(r->checks, f->record.checks, (size_t)granules * r->check_bytes) == 0;
}

/* Takes the object for ourselves, if nothing has changed; the record as it is now. */
static bool doom_same(struct freezing *f, enum doom why)
{
    struct cache *c = f->cache;
    struct index_record r;
    void *owned = NULL;
    bool doomed = false;
    WITH_LOCK (&c->lock) {
        doomed = is_closed_locked(c, &f->id.object) &&
                 index_find(c->index, &f->id, &r, &owned) == 0 && same_record(f, &r) &&
                 cache_doom_locked(c, &f->id.object, why);
    }
    if (doomed) {
        free(f->owned);
        f->record = r;
        f->owned = owned;
    } else {
        free(owned);
    }
    return doomed;
}

static int sync_directory(struct cache *c, const char *path, struct err *err)
{
    char directory[3] = {path[0], path[1], '\0'};
    AUTO_FD int fd =
        openat(c->objects_fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_set(err, errno, "%s: %s", directory, strerror(errno));
    return file_sync_dir(fd, err);
}

static int put_in_place(struct freezing *f, struct err *err)
{
    struct cache *c = f->cache;
    char path[FROZEN_PATH_BYTES];
    frozen_path(&f->id, path);
    if (renameat(c->objects_fd, ASIDE, c->objects_fd, path) < 0)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    return sync_directory(c, path, err);
}

/* Its record, and the first one, which says that the object is sealed. *sealed: it did. */
static int write_records(struct freezing *f, uint64_t frozen_bytes, bool *sealed, struct err *err)
{
    static const uint8_t none[SEGMENT_GRANULES / 8];
    struct cache *c = f->cache;
    struct segment_id first = {.object = f->id.object};
    struct index_record own = f->record, head;
    struct index_change changes[2] = {{.id = f->id, .record = &own}};
    AUTO_FREE void *owned = NULL;
    size_t n = 1;
    own.dense = !frozen_bytes;
    own.frozen_bytes = frozen_bytes;
    if (frozen_bytes)
        own.present = none;
    *sealed = frozen_bytes && own.sealed;
    own.sealed = own.sealed && !frozen_bytes;
    if (frozen_bytes && f->id.number) {
        int rc = -EIO;
        WITH_LOCK (&c->lock)
            rc = index_find(c->index, &first, &head, &owned);
        if (rc < 0 && rc != -ENOENT)
            return err_set(err, -rc, "the first record cannot be read");
        *sealed = rc == 0 && head.sealed;
        head.sealed = false;
        if (*sealed)
            changes[n++] = (struct index_change){.id = first, .record = &head};
    }
    return index_write(c->index, changes, n, err);
}

/* What stays where it cannot be done is found by cache_gc. */
static void punch(const struct freezing *f)
{
    (void)fallocate(f->plain_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    (off_t)(f->id.number * (uint64_t)SEGMENT_BYTES), (off_t)SEGMENT_BYTES);
}

/* What stands aside becomes its form; frozen_bytes 0: it is marked dense. */
static int commit(struct freezing *f, uint64_t frozen_bytes, struct err *err)
{
    struct cache *c = f->cache;
    bool sealed = false;
    if (!doom_same(f, frozen_bytes ? DOOM_FROZEN : DOOM_SWEPT))
        return err_set(err, ECANCELED, "it was used meanwhile");
    int rc = 0;
    if (frozen_bytes && !keep_is_alone(f->plain_fd)) /* and stays so: nobody opens what is doomed */
        rc = err_set(err, ECANCELED, "the kernel has its file");
    if (rc == 0 && frozen_bytes)
        rc = put_in_place(f, err);
    if (rc == 0)
        rc = write_records(f, frozen_bytes, &sealed, err);
    if (rc < 0 && frozen_bytes)
        frozen_remove(c, &f->id);
    if (rc == 0 && frozen_bytes) {
        uint64_t plain = present_sum(f->record.size, f->id.number, f->record.present).disk;
        punch(f);
        cache_count(c, (int64_t)frozen_bytes - (int64_t)plain, 0, sealed ? -1 : 0);
        cache_count_frozen(c, 1, (int64_t)frozen_bytes);
    }
    cache_undoom(c, &f->id.object);
    return rc;
}

/* ---- all of it ---- */

static int freeze(struct freezing *f, struct frozen_source *from, struct err *err)
{
    struct cache *c = f->cache;
    uint64_t bytes = 0;
    bool worth = false;
    int rc = frozen_worth(from, &worth, err);
    if (rc < 0)
        return rc;
    if (!worth)
        return commit(f, 0, err);
    from->bytes_max = from->size * FROZEN_PERCENT_MAX / 100;
    uint64_t room = disk_bytes((size_t)from->bytes_max);
    if (!reserve(c, room))
        return err_set(err, EAGAIN, "no room to freeze it");
    rc = write_aside(f, from, &bytes, err);
    if (rc == 0)
        rc = commit(f, disk_bytes((size_t)bytes), err);
    else if (rc == -EFBIG)
        rc = commit(f, 0, err); /* the samples were not like the rest */
    cache_count(c, -(int64_t)room, 0, 0);
    (void)unlinkat(c->objects_fd, ASIDE, 0); /* gone where it was renamed */
    return rc;
}

static bool is_not_ending(struct walk *w)
{
    bool ending;
    WITH_LOCK (&w->cache->lock)
        ending = w->cache->upkeep_ending;
    return !ending;
}

static void freeze_segment(struct cache *c, const struct segment_id *id)
{
    char path[OBJECT_PATH_BYTES];
    struct stat st;
    struct err err = ERR_INIT;
    AUTO(freezing) struct freezing f = {.cache = c, .id = *id};
    object_path(&id->object, path);
    AUTO_FD int fd = openat(c->objects_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    f.plain_fd = fd;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !take_record(&f) ||
        (uint64_t)st.st_size != f.record.size || !keep_is_alone(fd))
        return;
    struct frozen_source from = {.fd = fd,
                                 .offset = id->number * (uint64_t)SEGMENT_BYTES,
                                 .size = segment_bytes(f.record.size, id->number)};
    int rc = freeze(&f, &from, &err);
    struct walk wrong = {.cache = c, .go_on = is_not_ending};
    if (rc == -EBADMSG)
        (void)maintain_verify(&wrong, &id->object, f.record.size); /* drops what is wrong */
    else if (rc == -ENOSPC || rc == -EDQUOT || rc == -EIO || rc == -EROFS)
        c->write_errors++; /* the object is as it was; tried again in the next round */
}

bool freeze_next(struct cache *c, uint64_t *place)
{
    struct segment_id id;
    if (cache_is_off(c) || !find_due(c, place, &id))
        return false;
    freeze_segment(c, &id);
    return true;
}
