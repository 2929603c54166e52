/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making room, and making files and records agree at the start.
 *
 * Eviction takes whole objects, least recently used first, never one in the table. The record goes
 * first, then the file; a crash between leaves a file without a record, which the next cache_open
 * deletes. While both go, the id is in `doomed`: an object that is opened meanwhile starts empty
 * and keeps nothing until that is over.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cache/private.h"

#define CANDIDATES_MAX 512 /* the oldest ones found by one walk */
#define ROOM_SHARE 8       /* evicts until so much of the budget is free */

struct candidate {
    struct object_id id;
    int64_t used_ms;
    uint64_t disk;
    bool chosen;
};

struct candidates {
    struct cache *cache;
    size_t count;
    struct candidate at[2 * CANDIDATES_MAX];
};

static int older_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return (x->used_ms > y->used_ms) - (x->used_ms < y->used_ms);
}

static int collect(void *arg, const struct object_id *id, const struct index_record *r)
{
    struct candidates *all = arg;
    struct cache *c = all->cache;
    bool open;
    WITH_LOCK (&c->lock)
        open = map_find(&c->table, id_slice(id)) != NULL;
    if (open)
        return 0;
    if (all->count == ARRAY_SIZE(all->at)) {
        qsort(all->at, all->count, sizeof all->at[0], older_first);
        all->count = CANDIDATES_MAX;
    }
    all->at[all->count++] = (struct candidate){.id = *id, .used_ms = r->used_ms};
    return 0;
}

/* Dooms candidates until enough would be free; again looks at each, which may have been opened
 * or written since. */
static size_t choose_locked(struct cache *c, struct candidates *all, uint64_t target)
    REQUIRES(c->lock)
{
    size_t chosen = 0;
    uint64_t bytes = c->bytes;
    for (size_t i = 0; i < all->count && bytes > target; i++) {
        struct candidate *one = &all->at[i];
        struct index_record r;
        if (map_find(&c->table, id_slice(&one->id)) || index_find(c->index, &one->id, &r) < 0)
            continue;
        one->disk = index_record_disk(&r);
        free((void *)(uintptr_t)r.present);
        one->chosen = map_put(&c->doomed, id_slice(&one->id), one) == 0;
        if (!one->chosen)
            break;
        bytes -= one->disk;
        chosen++;
    }
    return chosen;
}

static void delete_chosen(struct cache *c, struct candidates *all, size_t chosen)
{
    AUTO_FREE struct index_change *changes = calloc(chosen, sizeof *changes);
    size_t n = 0;
    for (size_t i = 0; changes && i < all->count; i++)
        if (all->at[i].chosen)
            changes[n++].id = all->at[i].id;
    bool deleted = changes && index_write(c->index, changes, n, NULL) == 0;
    for (size_t i = 0; deleted && i < all->count; i++) {
        char path[OBJECT_PATH_BYTES];
        if (!all->at[i].chosen)
            continue;
        object_path(&all->at[i].id, path);
        (void)unlinkat(c->objects_fd, path, 0); /* what stays is found by the next cache_open */
    }
    WITH_LOCK (&c->lock) {
        for (size_t i = 0; i < all->count; i++) {
            struct candidate *one = &all->at[i];
            if (!one->chosen)
                continue;
            (void)map_remove(&c->doomed, id_slice(&one->id)); /* itself */
            c->bytes -= deleted ? one->disk : 0;
            c->objects -= deleted;
        }
    }
}

bool cache_evict(struct cache *c)
{
    AUTO_FREE struct candidates *all = calloc(1, sizeof *all);
    if (!all)
        return false;
    uint64_t target = c->size_bytes - c->size_bytes / ROOM_SHARE;
    for (;;) {
        size_t chosen;
        bool enough;
        all->cache = c;
        all->count = 0;
        if (index_each(c->index, collect, all, NULL) < 0)
            return false;
        qsort(all->at, all->count, sizeof all->at[0], older_first);
        WITH_LOCK (&c->lock)
            chosen = choose_locked(c, all, target);
        if (chosen)
            delete_chosen(c, all, chosen);
        WITH_LOCK (&c->lock)
            enough = c->bytes <= target;
        if (enough || chosen == 0)
            return enough;
    }
}

/* Blocks that were written but never recorded take room that nobody would count. */
static void punch_absent(int objects_fd, const char *path, const struct index_record *r)
{
    AUTO_FD int fd = openat(objects_fd, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    for (uint64_t i = 0; fd >= 0 && i < blocks_of(r->size); i++)
        if (!bitmap_has(r->present, i))
            (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                            (off_t)(i * BLOCK_BYTES), (off_t)block_length(r->size, i));
}

/* A record is good where its file has all that it names. */
static int sweep_record(void *arg, const struct object_id *id, const struct index_record *r)
{
    struct candidates *bad = arg;
    struct cache *c = bad->cache;
    char path[OBJECT_PATH_BYTES];
    struct stat st;
    uint64_t disk = index_record_disk(r);
    object_path(id, path);
    if (disk == 0 || r->size > OBJECT_BYTES_MAX ||
        fstatat(c->objects_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
        (uint64_t)st.st_size < index_record_end(r)) {
        bad->at[bad->count++] = (struct candidate){.id = *id};
        return bad->count == ARRAY_SIZE(bad->at) ? 1 : 0;
    }
    if ((uint64_t)st.st_blocks * 512 > disk + BLOCK_BYTES)
        punch_absent(c->objects_fd, path, r);
    cache_count(c, (int64_t)disk, 1);
    return 0;
}

static int sweep_records(struct cache *c, struct err *err)
{
    AUTO_FREE struct candidates *bad = calloc(1, sizeof *bad);
    AUTO_FREE struct index_change *changes = calloc(2 * CANDIDATES_MAX, sizeof *changes);
    if (!bad || !changes)
        return err_set(err, ENOMEM, "out of memory");
    int more;
    do {
        WITH_LOCK (&c->lock)
            c->bytes = c->objects = 0; /* each walk starts over */
        bad->cache = c;
        bad->count = 0;
        more = index_each(c->index, sweep_record, bad, err);
        if (more < 0)
            return more;
        for (size_t i = 0; i < bad->count; i++)
            changes[i] = (struct index_change){.id = bad->at[i].id};
        int rc = index_write(c->index, changes, bad->count, err);
        if (rc < 0)
            return rc;
    } while (more);
    return 0;
}

static bool parse_path(const char *directory, const char *name, struct object_id *id)
{
    char digits[2 * SHA256_BYTES + 1];
    if (strlen(directory) != 2 || strlen(name) != sizeof digits - 3)
        return false;
    (void)snprintf(digits, sizeof digits, "%s%s", directory, name);
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        int high = text_hex_digit(digits[2 * i]), low = text_hex_digit(digits[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        id->bytes[i] = (uint8_t)(high << 4 | low);
    }
    char path[OBJECT_PATH_BYTES];
    object_path(id, path); /* upper-case digits are not ours */
    return strncmp(path, directory, 2) == 0 && strcmp(path + 3, name) == 0;
}

/* True where the index names the file. */
static bool is_known(struct cache *c, const char *directory, const char *name)
{
    struct object_id id;
    struct index_record r;
    int rc = -ENOENT;
    if (parse_path(directory, name, &id))
        WITH_LOCK (&c->lock)
            rc = index_find(c->index, &id, &r);
    if (rc == 0)
        free((void *)(uintptr_t)r.present);
    return rc != -ENOENT;
}

static void sweep_files(struct cache *c, const char *directory)
{
    int fd = openat(c->objects_fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0)
            (void)close(fd); /* a directory */
        return;
    }
    struct dirent *e;
    while ((e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            !is_known(c, directory, e->d_name))
            (void)unlinkat(fd, e->d_name, 0); /* what cannot be deleted does no harm */
    (void)closedir(d);
}

int cache_sweep(struct cache *c, struct err *err)
{
    int rc = sweep_records(c, err);
    for (unsigned i = 0; rc == 0 && i < 256; i++) {
        char directory[3];
        (void)snprintf(directory, sizeof directory, "%02x", i);
        sweep_files(c, directory);
    }
    return rc;
}
