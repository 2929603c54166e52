/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/index.h"

#include <endian.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/guard.h"
#include "base/lock.h"
#include "cache/index_check.h"
#include "cache/index_record.h"

#define FILE_NAME "cache.mdb"
#define LOCK_NAME FILE_NAME "-lock"
#define MAP_BYTES_MIN (64 * MIB)
#define SEARCH_RECORDS 64 /* looked at in one transaction */
/* The longest record, of a segment with one granule, takes half of what that takes. */
#define MAP_BYTES_PER_BUDGET 2

struct index {
    MDB_env *env; /* NULL: the disk has no room for one */
    MDB_dbi dbi;
    MDB_txn *finder;     /* of index_find and index_head: reset between calls */
    struct copy *found;  /* likewise */
    atomic_bool dead;    /* its disk failed in the middle of LMDB, which is not called any more */
    struct lock writing; /* LMDB's own lock stays taken where its disk fails */
    struct err damage;   /* of index_damage; code 0: none */
};

static int lmdb_error(struct err *err, int rc)
{
    int code = rc > 0 ? rc : EBADMSG;
    if (rc == MDB_MAP_FULL)
        code = ENOSPC;
    return err_set(err, code, "%s: %s", FILE_NAME, mdb_strerror(rc));
}

/* ---- reading: what the map has is copied before it is looked at, because its disk may die ---- */

bool index_is_blind(const struct index *ix)
{
    return !ix->env || ix->dead;
}

/* Runs what touches the map. False: the disk failed, and LMDB is not called any more. */
static bool touch(struct index *ix, void (*run)(void *arg), void *arg)
{
    if (guard_run(run, arg, NULL) == 0)
        return true;
    ix->dead = true;
    return false;
}

/* A record's copy. */
struct copy {
    MDB_val key, value; /* in bytes */
    uint8_t bytes[RECORD_KEY_BYTES + RECORD_BYTES_MAX];
};

/* MDB_CORRUPTED: no record is so long. */
static int copy_take(struct copy *to, const MDB_val *key, const MDB_val *value)
{
    if (key->mv_size > RECORD_KEY_BYTES || value->mv_size > RECORD_BYTES_MAX)
        return MDB_CORRUPTED;
    memcpy(to->bytes, key->mv_data, key->mv_size);
    memcpy(to->bytes + RECORD_KEY_BYTES, value->mv_data, value->mv_size);
    to->key = (MDB_val){key->mv_size, to->bytes};
    to->value = (MDB_val){value->mv_size, to->bytes + RECORD_KEY_BYTES};
    return 0;
}

struct finding {
    struct index *ix;
    MDB_val key;
    int rc;
};

static void find_run(void *arg)
{
    struct finding *f = arg;
    MDB_val value;
    f->rc = mdb_txn_renew(f->ix->finder);
    if (f->rc)
        return;
    f->rc = mdb_get(f->ix->finder, f->ix->dbi, &f->key, &value);
    if (f->rc == 0)
        f->rc = copy_take(f->ix->found, &f->key, &value);
    mdb_txn_reset(f->ix->finder);
}

/* The record, pointing into ix->found. */
static int find(struct index *ix, const struct segment_id *id, struct index_record *out)
{
    uint8_t key_bytes[RECORD_KEY_BYTES];
    struct segment_id same;
    struct finding f = {.ix = ix, .key = {sizeof key_bytes, key_bytes}};
    record_format_key(key_bytes, id);
    if (!ix->env)
        return -ENOENT;
    if (ix->dead || !touch(ix, find_run, &f))
        return -EIO;
    if (f.rc == MDB_NOTFOUND)
        return -ENOENT;
    return f.rc || !record_parse(&ix->found->key, &ix->found->value, &same, out) ? -EIO : 0;
}

int index_find(struct index *ix, const struct segment_id *id, struct index_record *out,
               void **owned)
{
    struct index_record r;
    int rc = find(ix, id, &r);
    if (rc < 0)
        return rc;
    unsigned granules = granules_of(r.size, id->number);
    size_t bitmap = bitmap_bytes(granules), checks = (size_t)granules * r.check_bytes;
    uint8_t *copy = malloc(bitmap + checks);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, r.present, bitmap);
    memcpy(copy + bitmap, r.checks, checks);
    r.present = copy;
    r.checks = copy + bitmap;
    *out = r;
    *owned = copy;
    return 0;
}

int index_head(struct index *ix, const struct segment_id *id, struct index_record *out)
{
    struct index_record r;
    int rc = find(ix, id, &r);
    if (rc < 0)
        return rc;
    r.present = r.checks = NULL;
    *out = r;
    return 0;
}

/* A walk over records, from MDB_FIRST or a key on. */
struct stepping {
    struct index *ix;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_cursor_op op;
    MDB_val key;
    struct copy *copy;
    int rc;
};

static void begin_run(void *arg)
{
    struct stepping *s = arg;
    s->rc = mdb_txn_begin(s->ix->env, NULL, MDB_RDONLY, &s->txn);
    if (s->rc)
        return;
    s->rc = mdb_cursor_open(s->txn, s->ix->dbi, &s->cursor);
    if (s->rc)
        mdb_txn_abort(s->txn);
}

static void step_run(void *arg)
{
    struct stepping *s = arg;
    MDB_val value;
    s->rc = mdb_cursor_get(s->cursor, &s->key, &value, s->op);
    if (s->rc == 0)
        s->rc = copy_take(s->copy, &s->key, &value);
    s->op = MDB_NEXT;
}

static void end_run(void *arg)
{
    struct stepping *s = arg;
    mdb_cursor_close(s->cursor);
    mdb_txn_abort(s->txn);
}

/* Who is shown records, and how many at most (0: all). */
struct visitor {
    index_visit *visit;
    void *arg;
    unsigned count;
};

static int walk(struct stepping *s, const struct visitor *v, struct err *err)
{
    for (unsigned seen = 0; v->count == 0 || seen < v->count; seen++) {
        struct segment_id id;
        struct index_record r;
        if (!touch(s->ix, step_run, s))
            return err_set(err, EIO, "%s: its disk failed", FILE_NAME);
        if (s->rc)
            return s->rc == MDB_NOTFOUND ? 0 : lmdb_error(err, s->rc);
        if (!record_parse(&s->copy->key, &s->copy->value, &id, &r))
            return err_set(err, EBADMSG, "%s: damaged record", FILE_NAME);
        int rc = v->visit(v->arg, &id, &r);
        if (rc)
            return rc;
    }
    return 0;
}

static int walk_from(struct index *ix, MDB_cursor_op op, MDB_val key, const struct visitor *v,
                     struct err *err)
{
    if (index_is_blind(ix))
        return 0;
    AUTO_FREE struct copy *copy = malloc(sizeof *copy);
    struct stepping s = {.ix = ix, .op = op, .key = key, .copy = copy};
    if (!copy)
        return err_set(err, ENOMEM, "out of memory");
    if (!touch(ix, begin_run, &s))
        return err_set(err, EIO, "%s: its disk failed", FILE_NAME);
    if (s.rc)
        return lmdb_error(err, s.rc);
    int rc = walk(&s, v, err);
    if (!ix->dead)
        (void)touch(ix, end_run, &s);
    return rc;
}

int index_each(struct index *ix, index_visit *visit, void *arg, struct err *err)
{
    return walk_from(ix, MDB_FIRST, (MDB_val){0}, &(struct visitor){visit, arg, 0}, err);
}

int index_from(struct index *ix, uint64_t place, unsigned count, index_visit *visit, void *arg,
               struct err *err)
{
    uint64_t bytes = htobe64(place);
    MDB_val key = {sizeof bytes, &bytes};
    return walk_from(ix, MDB_SET_RANGE, key, &(struct visitor){visit, arg, count}, err);
}

struct search {
    index_match *match;
    void *arg;
    unsigned seen;
    uint64_t place; /* of the last one that was seen */
    struct segment_id *found;
    uint64_t *size;
};

static int search_visit(void *arg, const struct segment_id *id, const struct index_record *r)
{
    struct search *s = arg;
    s->seen++;
    s->place = index_place(id);
    *s->found = *id;
    *s->size = r->size;
    return s->match(s->arg, id, r);
}

bool index_search(struct index *ix, uint64_t *place, index_match *match, void *arg,
                  struct segment_id *found,
                  uint64_t *size) /* NOLINT(readability-non-const-parameter): search_visit's */
{
    struct search s = {.match = match, .arg = arg, .found = found, .size = size};
    int rc;
    do {
        s.seen = 0;
        rc = index_from(ix, *place, SEARCH_RECORDS, search_visit, &s, NULL);
        *place = s.seen ? s.place + 1 : 0;
    } while (rc == 0 && s.seen == SEARCH_RECORDS && *place != 0);
    return rc == 1;
}

static int write_change(struct index *ix, MDB_txn *txn, const struct index_change *change)
{
    uint8_t key_bytes[RECORD_KEY_BYTES];
    const struct index_record *r = change->record;
    record_format_key(key_bytes, &change->id);
    MDB_val key = {sizeof key_bytes, key_bytes};
    if (!r) {
        int rc = mdb_del(txn, ix->dbi, &key, NULL);
        return rc == MDB_NOTFOUND ? 0 : rc;
    }
    MDB_val value = {record_bytes(&change->id, r), NULL};
    int rc = mdb_put(txn, ix->dbi, &key, &value, MDB_RESERVE);
    if (rc == 0)
        record_format(&key, &value, &change->id, r);
    return rc;
}

struct writing {
    struct index *ix;
    const struct index_change *changes;
    size_t count;
    int rc;
};

static void write_run(void *arg)
{
    struct writing *w = arg;
    MDB_txn *txn;
    w->rc = mdb_txn_begin(w->ix->env, NULL, 0, &txn);
    if (w->rc)
        return;
    for (size_t i = 0; w->rc == 0 && i < w->count; i++)
        w->rc = write_change(w->ix, txn, &w->changes[i]);
    if (w->rc == 0)
        w->rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
}

int index_write(struct index *ix, const struct index_change *changes, size_t count, struct err *err)
{
    struct writing w = {.ix = ix, .changes = changes, .count = count};
    bool failed = false;
    if (!ix->env)
        return err_set(err, ENOSPC, "%s: it could not be made", FILE_NAME);
    if (count == 0)
        return 0;
    WITH_LOCK (&ix->writing)
        failed = ix->dead || !touch(ix, write_run, &w);
    if (failed)
        return err_set(err, EIO, "%s: its disk failed", FILE_NAME);
    return w.rc ? lmdb_error(err, w.rc) : 0;
}

static int pass(void *arg, const struct segment_id *id, const struct index_record *r)
{
    (void)arg;
    (void)id;
    (void)r;
    return 0;
}

static int open_env(struct index *ix, int dirfd, size_t map_bytes)
{
    char path[64];
    MDB_txn *txn;
    int rc = mdb_env_create(&ix->env);
    if (rc)
        return rc;
    /* LMDB takes paths only. */
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dirfd, FILE_NAME);
    rc = mdb_env_set_mapsize(ix->env, map_bytes);
    if (rc == 0)
        rc = mdb_env_open(ix->env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600);
    if (rc == 0)
        rc = mdb_txn_begin(ix->env, NULL, 0, &txn);
    if (rc)
        return rc;
    rc = mdb_dbi_open(txn, NULL, 0, &ix->dbi);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    rc = mdb_txn_commit(txn);
    if (rc == 0)
        rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &ix->finder);
    if (rc == 0)
        mdb_txn_reset(ix->finder);
    return rc;
}

static struct index *index_new(struct err *err)
{
    struct index *ix = calloc(1, sizeof *ix);
    struct copy *found = malloc(sizeof *found);
    if (!ix || !found) {
        free(ix);
        free(found);
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    ix->found = found;
    lock_init(&ix->writing);
    return ix;
}

struct opening {
    struct index *ix;
    int dirfd;
    size_t map_bytes;
    int rc;
};

static void open_run(void *arg)
{
    struct opening *o = arg;
    o->rc = open_env(o->ix, o->dirfd, o->map_bytes);
}

/* What has one of the names of ours and is no file, LMDB would follow, or wait for. */
static int remove_others(int dirfd, struct err *err)
{
    int rc = file_remove_other(dirfd, LOCK_NAME, err);
    if (rc >= 0) /* else what a killed process left in it; LMDB makes it again */
        (void)unlinkat(dirfd, LOCK_NAME, 0);
    return rc < 0 ? rc : file_remove_other(dirfd, FILE_NAME, err);
}

static struct index *try_open(int dirfd, size_t map_bytes, struct err *err)
{
    if (index_check(dirfd, FILE_NAME, err) < 0)
        return NULL;
    struct index *ix = index_new(err);
    if (!ix)
        return NULL;
    struct opening o = {.ix = ix, .dirfd = dirfd, .map_bytes = map_bytes};
    int rc = touch(ix, open_run, &o) ? o.rc : EIO;
    if (rc)
        (void)lmdb_error(err, rc);
    else
        rc = index_each(ix, pass, NULL, err);
    if (rc) {
        index_close(ix);
        return NULL;
    }
    return ix;
}

/* Failures that another file would not help against, nor anything else. */
static bool is_want(int code)
{
    return code == ENOMEM || code == EMFILE || code == ENFILE || code == EAGAIN;
}

/* Of the disk: the cache is of no use then, but reading goes on. */
static bool is_refusal(int code)
{
    return code == ENOSPC || code == EDQUOT || code == EROFS || code == EIO;
}

/* It stays blind. What LMDB began to make is no damage that the next one should find. */
static struct index *open_blind(int dirfd, bool fresh, const struct err *why, struct err *err)
{
    struct index *ix = index_new(err);
    if (fresh)
        (void)unlinkat(dirfd, FILE_NAME, 0);
    if (ix)
        (void)err_copy(&ix->damage, why);
    return ix;
}

struct index *index_open(int dirfd, uint64_t budget_bytes, struct err *err)
{
    struct err first = ERR_INIT, damage = ERR_INIT;
    uint64_t map_bytes = budget_bytes / MAP_BYTES_PER_BUDGET / MIB * MIB;
    if (map_bytes < MAP_BYTES_MIN)
        map_bytes = MAP_BYTES_MIN;
    int rc = remove_others(dirfd, &first);
    if (rc > 0)
        (void)err_set(&damage, EBADMSG, "%s: no regular file", FILE_NAME);
    bool fresh = faccessat(dirfd, FILE_NAME, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
    struct index *ix = rc < 0 ? NULL : try_open(dirfd, (size_t)map_bytes, &first);
    if (!ix && rc >= 0 && !is_want(first.code) && !is_refusal(first.code) &&
        (unlinkat(dirfd, FILE_NAME, 0) == 0 || errno == ENOENT)) {
        (void)err_copy(&damage, &first);
        ix = try_open(dirfd, (size_t)map_bytes, &first);
    }
    if (ix)
        (void)err_copy(&ix->damage, &damage);
    else if (is_refusal(first.code))
        ix = open_blind(dirfd, fresh, &first, err);
    else if (first.code == ENOMEM)
        (void)err_set(err, ENOMEM,
                      "the index of a cache of %llu bytes takes %llu bytes of address space, for "
                      "which there is no room",
                      (unsigned long long)budget_bytes, (unsigned long long)map_bytes);
    else
        (void)err_copy(err, &first);
    return ix;
}

const struct err *index_damage(const struct index *ix)
{
    return ix->damage.code ? &ix->damage : NULL;
}

void index_close(struct index *ix)
{
    if (!ix)
        return;
    if (ix->finder && !ix->dead)
        mdb_txn_abort(ix->finder);
    if (ix->env && !ix->dead)
        mdb_env_close(ix->env);
    lock_done(&ix->writing);
    free(ix->found);
    free(ix);
}
