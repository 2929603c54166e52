/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/delete_files.h"

#include <assert.h>

#include "base/limits.h"
#include "base/lock.h"
#include "base/map.h"

/* Kept at once: they are a few hundred bytes at least. */
#define FILES_KEPT_MAX ((size_t)1 << 16)

struct iceberg_delete_file {
    char *key;
    size_t key_n;
    unsigned refs; /* lock, all below */
    bool reading;  /* by who has put it there */
    bool known;    /* it is in the map */
    size_t bytes;
    struct iceberg_delete_file *older, *newer; /* of those that are known and not being read */
    struct iceberg_delete_content content;     /* immutable once read */
};

struct iceberg_delete_files {
    struct lock lock;
    struct cond read; /* something was read, or was not */
    struct map map;   /* lock, all below */
    struct iceberg_delete_file *oldest, *newest;
    size_t bytes; /* of all that is known */
};

struct iceberg_delete_files *iceberg_delete_files_new(struct err *err)
{
    struct iceberg_delete_files *f = calloc(1, sizeof *f);
    if (!f) {
        (void)err_set(err, ENOMEM, "delete files: out of memory");
        return NULL;
    }
    lock_init(&f->lock);
    cond_init(&f->read);
    map_init(&f->map, FILES_KEPT_MAX);
    return f;
}

static void file_free(struct iceberg_delete_file *d)
{
    if (!d)
        return;
    iceberg_positions_free(d->content.positions);
    equality_set_unref(d->content.set);
    free(d->key);
    free(d);
}
DEFINE_AUTO(file, struct iceberg_delete_file *, file_free)

void iceberg_delete_files_free(struct iceberg_delete_files *f)
{
    if (!f)
        return;
    while (f->oldest) {
        struct iceberg_delete_file *d = f->oldest;
        assert(d->refs == 0);
        f->oldest = d->newer;
        file_free(d);
    }
    map_done(&f->map);
    cond_done(&f->read);
    lock_done(&f->lock);
    free(f);
}

static struct iceberg_delete_file *file_new(struct slice key, struct err *err)
{
    AUTO(file) struct iceberg_delete_file *d = calloc(1, sizeof *d);
    if (d)
        d->key = malloc(key.n ? key.n : 1);
    if (!d || !d->key) {
        (void)err_set(err, ENOMEM, "delete files: out of memory");
        return NULL;
    }
    memcpy(d->key, key.p, key.n);
    d->key_n = key.n;
    d->refs = 1;
    d->reading = true;
    return STEAL(d);
}

static void leave_list_locked(struct iceberg_delete_files *f, struct iceberg_delete_file *d)
    REQUIRES(f->lock)
{
    *(d->older ? &d->older->newer : &f->oldest) = d->newer;
    *(d->newer ? &d->newer->older : &f->newest) = d->older;
    d->older = d->newer = NULL;
}

static void enter_list_locked(struct iceberg_delete_files *f, struct iceberg_delete_file *d)
    REQUIRES(f->lock)
{
    d->older = f->newest;
    *(f->newest ? &f->newest->newer : &f->oldest) = d;
    f->newest = d;
}

static void forget_locked(struct iceberg_delete_files *f, struct iceberg_delete_file *d)
    REQUIRES(f->lock)
{
    (void)map_remove(&f->map, slice_make(d->key, d->key_n)); /* it is d */
    d->known = false;
    f->bytes -= d->bytes;
}

/* To drop what somebody has would free nothing, and he who asks next would read it again. */
static bool is_held(const struct iceberg_delete_file *d)
{
    return d->refs || (d->content.set && equality_set_shared(d->content.set));
}

/* Of those that nobody has the one that was not used for longest, where they are too many. */
static struct iceberg_delete_file *drop_locked(struct iceberg_delete_files *f) REQUIRES(f->lock)
{
    struct iceberg_delete_file *d = f->bytes > ICEBERG_DELETES_KEPT_BYTES ? f->oldest : NULL;
    while (d && is_held(d))
        d = d->newer;
    if (!d)
        return NULL;
    leave_list_locked(f, d);
    forget_locked(f, d);
    return d;
}

static void drop_old(struct iceberg_delete_files *f)
{
    struct iceberg_delete_file *d;
    do {
        WITH_LOCK (&f->lock)
            d = drop_locked(f);
        file_free(d);
    } while (d);
}

/* A reference to it, or to a new one that the caller (*mine) has to read. Waits for who reads it.
 */
static struct iceberg_delete_file *find_locked(struct iceberg_delete_files *f, struct slice key,
                                               struct iceberg_delete_file **fresh) REQUIRES(f->lock)
{
    struct iceberg_delete_file *d;
    while ((d = map_find(&f->map, key)) && d->reading)
        cond_wait(&f->read, &f->lock);
    if (d) {
        d->refs++;
        leave_list_locked(f, d);
        enter_list_locked(f, d);
        return d;
    }
    d = STEAL(*fresh);
    /* Where there is no room it is read for the caller alone. */
    d->known = map_put(&f->map, slice_make(d->key, d->key_n), d) == 0;
    return d;
}

static size_t content_bytes(const struct iceberg_delete_file *d)
{
    size_t bytes = sizeof *d + d->key_n + sizeof(struct map_entry);
    if (d->content.positions)
        bytes += iceberg_positions_bytes(d->content.positions);
    return d->content.set ? bytes + equality_set_bytes(d->content.set) : bytes;
}

/* The caller has read it, or failed to. */
static void end_reading(struct iceberg_delete_files *f, struct iceberg_delete_file *d, bool failed)
{
    WITH_LOCK (&f->lock) {
        d->reading = false;
        if (d->known && failed) {
            forget_locked(f, d);
        } else if (d->known) {
            d->bytes = content_bytes(d);
            f->bytes += d->bytes;
            enter_list_locked(f, d);
        }
        cond_broadcast(&f->read);
    }
}

int iceberg_delete_files_get(struct iceberg_delete_files *f, struct slice key,
                             iceberg_delete_read *read, void *arg, struct iceberg_delete_file **out,
                             struct err *err)
{
    AUTO(file) struct iceberg_delete_file *fresh = file_new(key, err);
    struct iceberg_delete_file *d;
    int rc = 0;
    if (!fresh)
        return -ENOMEM;
    WITH_LOCK (&f->lock)
        d = find_locked(f, key, &fresh);
    if (!fresh) { /* it is ours */
        rc = read(arg, &d->content, err);
        end_reading(f, d, rc < 0);
        drop_old(f);
    }
    if (rc < 0) {
        file_free(d);
        return rc;
    }
    *out = d;
    return 0;
}

void iceberg_delete_files_put(struct iceberg_delete_files *f, struct iceberg_delete_file *file)
{
    bool last;
    WITH_LOCK (&f->lock)
        last = --file->refs == 0 && !file->known;
    if (last)
        file_free(file);
    else
        drop_old(f);
}

const struct iceberg_delete_content *
iceberg_delete_file_content(const struct iceberg_delete_file *file)
{
    return &file->content;
}
