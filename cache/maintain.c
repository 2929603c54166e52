/* SPDX-License-Identifier: Apache-2.0 */
/* Looking after what is on the disk: checking it, making files and records agree, emptying it. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/text.h"
#include "cache/evict.h"

#define STEP_RECORDS 64         /* looked at in one transaction of the index */
#define SLACK_BYTES (256 * KIB) /* of a file beyond its records: not worth looking for */

/* ---- walking over all objects ---- */

struct step {
    struct cache *cache;
    size_t count;
    struct {
        struct object_id id;
        uint64_t size;
        uint64_t place;
        bool first;
    } at[STEP_RECORDS];
};

static int collect(void *arg, const struct segment_id *id, const struct index_record *r)
{
    struct step *s = arg;
    s->at[s->count].id = id->object;
    s->at[s->count].size = r->size;
    s->at[s->count].place = index_place(id);
    s->at[s->count++].first = id->number == 0;
    return 0;
}

/* Each object that has a record; `all`: also by records other than the first. */
static int each_object(struct walk *w, bool all,
                       void (*visit)(struct walk *w, const struct object_id *id, uint64_t size),
                       struct err *err)
{
    struct cache *c = w->cache;
    uint64_t place = 0;
    if (index_is_blind(c->index))
        return err_set(err, EIO,
                       "what is cached is not known: the cache directory's disk failed, is "
                       "full or read-only");
    AUTO_FREE struct step *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ENOMEM, "out of memory");
    do {
        s->count = 0;
        int rc = index_from(c->index, place, STEP_RECORDS, collect, s, err);
        if (rc < 0)
            return rc;
        for (size_t i = 0; i < s->count; i++) {
            if (!w->go_on(w))
                return 0;
            if (s->at[i].first || all)
                visit(w, &s->at[i].id, s->at[i].size);
            place = s->at[i].place + 1;
        }
    } while (s->count == STEP_RECORDS && place != 0);
    return 0;
}

/* ---- checking ---- */

static bool is_present(struct object *o, uint64_t granule)
{
    bool present;
    WITH_LOCK (&o->lock)
        present = present_locked(o, granule);
    return present;
}

static bool is_open(struct object *o)
{
    bool open;
    WITH_LOCK (&o->cache->lock)
        open = o->key && o->store;
    return open;
}

static bool is_loaded(struct object *o, uint32_t segment)
{
    bool loaded;
    WITH_LOCK (&o->lock)
        loaded = o->segments && o->segments[segment];
    return loaded;
}

/* What is not present of a frozen segment, from its frozen file. False: stopped. */
static bool verify_frozen(struct walk *w, struct object *o, uint32_t n)
{
    AUTO_FREE char *block = malloc(BLOCK_BYTES);
    uint64_t begin = n * (uint64_t)SEGMENT_BYTES, length = segment_bytes(o->size, n);
    for (uint64_t at = 0; block && at < length && segment_is_frozen(o, n); at += BLOCK_BYTES) {
        size_t some = length - at < BLOCK_BYTES ? (size_t)(length - at) : BLOCK_BYTES;
        w->report.damaged += object_thaw(o, begin + at, block, some) == -EBADMSG;
        w->report.bytes += some;
        w->cache->scrubbed_bytes += some;
        if (!w->go_on(w))
            return false;
    }
    return true;
}

/* False: stopped, or the file cannot be read. */
static bool verify_segment(struct walk *w, struct object *o, int fd, uint32_t n)
{
    bool loaded = is_loaded(o, n);
    uint64_t first = (uint64_t)n * SEGMENT_GRANULES;
    object_load(o, n);
    for (uint64_t g = first; g < first + granules_of(o->size, n); g++) {
        size_t length = granule_length(o->size, g);
        if (!is_present(o, g))
            continue;
        int rc = object_load_bytes(o, fd, g * GRANULE_BYTES, NULL, length);
        w->report.bytes += length;
        w->cache->scrubbed_bytes += length;
        w->report.damaged += rc < 0;
        if (rc == -EIO)
            object_discard(o);
        if (rc == -EIO || !w->go_on(w))
            return false;
    }
    if (segment_is_frozen(o, n) && !verify_frozen(w, o, n))
        return false;
    if (!loaded && !is_open(o))
        object_unload(o, n);
    return true;
}

/* All that is there was right just now. Makes no record where there is none (any more). */
static void note_checked(struct object *o)
{
    object_load(o, 0);
    WITH_LOCK (&o->lock) {
        o->checked_ms = checked_now(o->cache);
        o->unchecked = false;
        if (o->counted && o->segments && o->segments[0])
            o->segments[0]->dirty = true;
    }
    cache_dirty(o);
}

/* Nothing of it is in the cache: it was removed since somebody wanted it to be looked at. */
static bool is_gone(struct object *o)
{
    bool gone;
    WITH_LOCK (&o->lock)
        gone = o->keeping == KEEP && !o->counted;
    return gone;
}

bool maintain_verify(struct walk *w, const struct object_id *id, uint64_t size)
{
    struct object *o = object_hold(w->cache, id, size);
    int fd = -1;
    uint64_t damaged = w->report.damaged;
    if (!o)
        return true;
    if (is_gone(o)) { /* to open its file would make one */
        object_unref(o);
        return true;
    }
    bool whole = o->size == size && !o->in_place;
    if (whole && object_file_wait(o, &fd) < 0) {
        w->report.damaged++;
        whole = false;
    }
    for (uint32_t n = 0; whole && n < o->segment_count; n++)
        whole = verify_segment(w, o, fd, n);
    w->report.objects++;
    bool wrong = w->report.damaged != damaged || (o->noted && !o->sealed);
    if (wrong && is_open(o))
        fill_repair(o); /* the kernel may be reading the file */
    else if (whole && !wrong)
        note_checked(o);
    object_unref(o);
    return !wrong;
}

bool maintain_next(struct walk *w, uint64_t *place, index_match *due, void *arg)
{
    struct segment_id found;
    uint64_t size;
    if (!index_search(w->cache->index, place, due, arg, &found, &size))
        return false;
    (void)maintain_verify(w, &found.object, size); /* what is wrong is dropped */
    return true;
}

static void verify(struct walk *w, const struct object_id *id, uint64_t size)
{
    (void)maintain_verify(w, id, size); /* what is wrong is in the report */
}

/* ---- files ---- */

/* The name of a frozen file ends in its segment. */
static bool parse_segment(const char *ending, uint32_t *segment)
{
    struct slice s = slice_of(ending), suffix = SLICE_LIT(".zst");
    uint64_t number;
    if (!slice_starts(s, SLICE_LIT(".")) || s.n <= suffix.n || !slice_ends(s, suffix) ||
        !text_parse_u64(slice_make(s.p + 1, s.n - 1 - suffix.n), UINT32_MAX, &number))
        return false;
    *segment = (uint32_t)number;
    return true;
}

/* *frozen: it is a frozen file, of the id's segment. */
static bool parse_path(const char *directory, const char *name, struct segment_id *id, bool *frozen)
{
    char digits[2 * SHA256_BYTES + 1], path[FROZEN_PATH_BYTES];
    size_t n = sizeof digits - 3;
    if (strlen(directory) != 2 || strlen(name) < n)
        return false;
    (void)snprintf(digits, sizeof digits, "%s%.*s", directory, (int)n, name);
    if (!text_unhex(slice_make(digits, (size_t)2 * SHA256_BYTES), id->object.bytes))
        return false;
    id->number = 0;
    *frozen = name[n] != '\0';
    if (*frozen && !parse_segment(name + n, &id->number))
        return false;
    if (*frozen)
        frozen_path(id, path);
    else
        object_path(&id->object, path);
    /* upper-case digits are not ours */
    return strncmp(path, directory, 2) == 0 && strcmp(path + 3, name) == 0;
}

/* Gives back what of a file no record names. The object is doomed: nobody writes to it. */
static void punch_absent(struct walk *w, int dir, const char *name, const struct object_id *id,
                         const struct stat *st)
{
    struct cache *c = w->cache;
    uint64_t disk = 0, size = (uint64_t)st->st_size;
    AUTO_FD int fd = keep_open_alone(dir, name);
    for (uint32_t n = 0; fd >= 0 && n < segments_of(size); n++) {
        struct segment_id at = {.object = *id, .number = n};
        struct index_record r;
        AUTO_FREE void *owned = NULL;
        int rc = -EIO;
        WITH_LOCK (&c->lock)
            rc = index_find(c->index, &at, &r, &owned);
        if (rc < 0 && rc != -ENOENT)
            return;
        for (unsigned i = 0; i < granules_of(size, n); i++) {
            uint64_t granule = (uint64_t)n * SEGMENT_GRANULES + i;
            if (rc == 0 && r.size == size && bitmap_has(r.present, i))
                disk += disk_bytes(granule_length(size, granule));
            else
                (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                (off_t)(granule * GRANULE_BYTES), GRANULE_BYTES);
        }
    }
    uint64_t had = (uint64_t)st->st_blocks * 512;
    w->report.removed_bytes += fd >= 0 && had > disk ? had - disk : 0;
}

/* The disk that all records of the object name; -ENOENT where it has none. */
static int recorded_disk(struct cache *c, const struct object_id *id, uint64_t *disk)
{
    struct segment_id first = {.object = *id};
    struct index_record r;
    int rc = -EIO;
    *disk = 0;
    WITH_LOCK (&c->lock)
        rc = index_head(c->index, &first, &r);
    for (uint32_t n = 0; rc == 0 && n < segments_of(r.size); n++) {
        struct segment_id at = {.object = *id, .number = n};
        struct index_record one;
        AUTO_FREE void *owned = NULL;
        int found = -EIO;
        WITH_LOCK (&c->lock)
            found = index_find(c->index, &at, &one, &owned);
        if (found == 0)
            *disk += present_sum(one.size, n, one.present).disk;
    }
    return rc;
}

/* 0 where the record names the frozen file; -ENOENT where it does not. */
static int recorded_frozen(struct cache *c, const struct segment_id *id)
{
    struct index_record r;
    int rc = -EIO;
    WITH_LOCK (&c->lock)
        rc = index_head(c->index, id, &r);
    return rc == 0 && !r.frozen_bytes ? -ENOENT : rc;
}

static void sweep_file(struct walk *w, const char *directory, int dir, const char *name)
{
    struct cache *c = w->cache;
    char path[NAME_MAX + 4];
    struct segment_id id;
    struct stat st;
    uint64_t disk = UINT64_MAX - SLACK_BYTES;
    bool frozen = false, ours = parse_path(directory, name, &id, &frozen);
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        (ours && !cache_doom(c, &id.object, DOOM_SWEPT)))
        return; /* it is open, so it is known */
    int rc = -ENOENT;
    if (ours)
        rc = frozen ? recorded_frozen(c, &id) : recorded_disk(c, &id.object, &disk);
    bool strange = !S_ISREG(st.st_mode); /* whoever opens the object notices a record without it */
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    if ((rc == -ENOENT || (rc == 0 && strange)) && cache_clear(c, path)) {
        w->report.damaged += strange;
        w->report.removed++;
        w->report.removed_bytes += (uint64_t)st.st_blocks * 512;
    } else if (rc == 0 && !strange && (uint64_t)st.st_blocks * 512 > disk + SLACK_BYTES) {
        punch_absent(w, dir, name, &id.object, &st);
    }
    if (ours)
        cache_undoom(c, &id.object);
}

static void sweep_directory(struct walk *w, const char *directory)
{
    struct cache *c = w->cache;
    int fd = openat(c->objects_fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0)
            (void)close(fd); /* a directory */
        return;
    }
    struct dirent *e;
    while ((e = readdir(d)) && w->go_on(w))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            sweep_file(w, directory, fd, e->d_name);
    (void)closedir(d);
}

void maintain_files(struct walk *w)
{
    if (index_is_blind(w->cache->index))
        return; /* it knows no file, which says nothing of them */
    for (unsigned i = 0; i < 256; i++) {
        char directory[3];
        (void)snprintf(directory, sizeof directory, "%02x", i);
        sweep_directory(w, directory);
    }
}

/* ---- what people ask for ---- */

static bool on_and_on(struct walk *w)
{
    (void)w;
    return true;
}

struct ticking {
    bool (*tick)(void *arg, const struct cache_report *r);
    void *arg;
};

static bool tick(struct walk *w)
{
    const struct ticking *t = w->arg;
    return !t->tick || t->tick(t->arg, &w->report);
}

int cache_verify(struct cache *c, bool (*each)(void *arg, const struct cache_report *r), void *arg,
                 struct cache_report *out, struct err *err)
{
    struct ticking t = {.tick = each, .arg = arg};
    struct walk w = {.cache = c, .go_on = tick, .arg = &t};
    cache_settle(c); /* what has no record yet is looked at, too */
    int rc = each_object(&w, false, verify, err);
    if (rc == 0)
        *out = w.report;
    return rc;
}

/* A record whose file is not there names nothing. */
static void check_file(struct walk *w, const struct object_id *id, uint64_t size)
{
    struct cache *c = w->cache;
    char path[OBJECT_PATH_BYTES];
    struct stat st;
    uint64_t freed;
    object_path(id, path);
    w->report.objects++;
    if ((fstatat(c->objects_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) ||
        !cache_doom(c, id, DOOM_REMOVED))
        return;
    if (evict_object(c, id, size, &freed) >= 0)
        w->report.damaged++;
    cache_undoom(c, id);
}

int cache_gc(struct cache *c, struct cache_report *out, struct err *err)
{
    struct walk w = {.cache = c, .go_on = on_and_on};
    uint64_t evicted = c->evicted_bytes;
    cache_settle(c); /* what is dirty is as good as open */
    int rc = each_object(&w, false, check_file, err);
    if (rc < 0)
        return rc;
    maintain_files(&w);
    cache_measure(c);
    (void)cache_evict(c); /* what is open stays */
    w.report.removed_bytes += c->evicted_bytes - evicted;
    *out = w.report;
    return 0;
}

static void drop(struct walk *w, const struct object_id *id, uint64_t size)
{
    uint64_t freed = 0;
    if (!cache_doom(w->cache, id, DOOM_REMOVED))
        return;
    int rc = evict_object(w->cache, id, size, &freed);
    w->report.objects += rc > 0; /* not again for what other records of it were collected */
    w->report.removed += rc > 0;
    w->report.removed_bytes += freed;
    cache_undoom(w->cache, id);
}

int cache_drop(struct cache *c, struct cache_report *out, struct err *err)
{
    struct walk w = {.cache = c, .go_on = on_and_on};
    cache_settle(c); /* likewise */
    upkeep_pause(c); /* nor what is only being checked */
    int rc = each_object(&w, true, drop, err);
    upkeep_resume(c);
    if (rc == 0)
        *out = w.report;
    return rc;
}
