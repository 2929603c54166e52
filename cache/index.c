/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/index.h"

#include <endian.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/guard.h"
#include "base/lock.h"
#include "cache/index_check.h"

#define FILE_NAME "cache.mdb"
#define LOCK_NAME FILE_NAME "-lock"
#define FORMAT 2
#define FLAG_SEALED 1
#define FLAG_DENSE 2
#define FIXED_BYTES 32
#define KEY_BYTES (SHA256_BYTES + 4)
#define RECORD_BYTES_MAX                                                                           \
    (FIXED_BYTES + ETAG_BYTES_MAX + SEGMENT_GRANULES / 8 +                                         \
     (size_t)SEGMENT_GRANULES * CHECK_BYTES_MAX)
#define MAP_BYTES_MIN (64 * MIB)
/* The longest record, of a segment with one granule, takes half of what that takes. */
#define MAP_BYTES_PER_BUDGET 2

struct index {
    MDB_env *env; /* NULL: the disk has no room for one */
    MDB_dbi dbi;
    MDB_txn *finder;     /* of index_find and index_head: reset between calls */
    struct copy *found;  /* likewise */
    atomic_bool dead;    /* its disk failed in the middle of LMDB, which is not called any more */
    struct lock writing; /* LMDB's own lock stays taken where its disk fails */
};

static int lmdb_error(struct err *err, int rc)
{
    int code = rc > 0 ? rc : EBADMSG;
    if (rc == MDB_MAP_FULL)
        code = ENOSPC;
    return err_set(err, code, "%s: %s", FILE_NAME, mdb_strerror(rc));
}

/* Segment 0 is where its object's id says; the others are in the same half. */
static uint64_t scatter(uint32_t segment)
{
    return segment * UINT64_C(0x9e3779b97f4a7c15) & ~htobe64(INDEX_PLACE_LARGE);
}

static void format_key(uint8_t to[KEY_BYTES], const struct segment_id *id)
{
    uint64_t first, mixed = scatter(id->number);
    memcpy(to, id->object.bytes, SHA256_BYTES);
    memcpy(&first, to, sizeof first);
    first ^= mixed;
    memcpy(to, &first, sizeof first);
    memcpy(to + SHA256_BYTES, &id->number, sizeof id->number);
}

static bool parse_key(const MDB_val *key, struct segment_id *id)
{
    uint64_t first;
    if (key->mv_size != KEY_BYTES)
        return false;
    const uint8_t *from = key->mv_data;
    memcpy(id->object.bytes, from, SHA256_BYTES);
    memcpy(&id->number, from + SHA256_BYTES, sizeof id->number);
    memcpy(&first, from, sizeof first);
    first ^= scatter(id->number);
    memcpy(id->object.bytes, &first, sizeof first);
    return true;
}

static uint32_t checksum(const MDB_val *key, const uint8_t *value, size_t n)
{
    return crc32c(crc32c(0, key->mv_data, key->mv_size), value + sizeof(uint32_t),
                  n - sizeof(uint32_t));
}

static bool parse_record(const MDB_val *key, const MDB_val *value, struct segment_id *id,
                         struct index_record *out)
{
    if (!parse_key(key, id) || value->mv_size < FIXED_BYTES)
        return false;
    struct bytes b = bytes_make(value->mv_data, value->mv_size);
    uint32_t crc = bytes_le32(&b);
    uint8_t format = bytes_u8(&b), flags = bytes_u8(&b);
    struct index_record r = {.sealed = flags & FLAG_SEALED, .dense = flags & FLAG_DENSE};
    size_t etag_length = bytes_u8(&b);
    r.check_bytes = bytes_u8(&b);
    r.size = bytes_le64(&b);
    r.checked_ms = (int64_t)bytes_le64(&b);
    r.frozen_bytes = bytes_le64(&b);
    if (format != FORMAT || etag_length >= sizeof r.etag || r.check_bytes == 0 ||
        r.check_bytes > CHECK_BYTES_MAX || r.size > OBJECT_BYTES_MAX ||
        id->number >= segments_of(r.size) || crc != checksum(key, value->mv_data, value->mv_size))
        return false;
    unsigned granules = granules_of(r.size, id->number);
    const uint8_t *etag = bytes_take(&b, etag_length);
    if (!etag)
        return false;
    memcpy(r.etag, etag, etag_length);
    r.present = bytes_take(&b, bitmap_bytes(granules));
    r.checks = bytes_take(&b, (size_t)granules * r.check_bytes);
    if (!r.present || !r.checks || bytes_left(&b) != 0)
        return false;
    *out = r;
    return true;
}

static size_t record_bytes(const struct segment_id *id, const struct index_record *r)
{
    unsigned granules = granules_of(r->size, id->number);
    return FIXED_BYTES + strlen(r->etag) + bitmap_bytes(granules) +
           (size_t)granules * r->check_bytes;
}

static void format_record(const MDB_val *key, MDB_val *value, const struct segment_id *id,
                          const struct index_record *r)
{
    uint8_t *to = value->mv_data;
    unsigned granules = granules_of(r->size, id->number);
    size_t etag_length = strlen(r->etag), bitmap = bitmap_bytes(granules);
    memset(to, 0, FIXED_BYTES);
    to[4] = FORMAT;
    to[5] = (uint8_t)((r->sealed ? FLAG_SEALED : 0) | (r->dense ? FLAG_DENSE : 0));
    to[6] = (uint8_t)etag_length;
    to[7] = (uint8_t)r->check_bytes;
    memcpy(to + 8, &r->size, sizeof r->size);
    memcpy(to + 16, &r->checked_ms, sizeof r->checked_ms);
    memcpy(to + 24, &r->frozen_bytes, sizeof r->frozen_bytes);
    memcpy(to + FIXED_BYTES, r->etag, etag_length);
    memcpy(to + FIXED_BYTES + etag_length, r->present, bitmap);
    memcpy(to + FIXED_BYTES + etag_length + bitmap, r->checks, (size_t)granules * r->check_bytes);
    uint32_t crc = checksum(key, to, value->mv_size);
    memcpy(to, &crc, sizeof crc);
}

struct present_sum present_sum(uint64_t size, uint32_t segment, const uint8_t *present)
{
    struct present_sum sum = {0};
    uint64_t first = (uint64_t)segment * SEGMENT_GRANULES;
    for (unsigned i = 0, n = granules_of(size, segment); i < n; i++) {
        if (!bitmap_has(present, i))
            continue;
        size_t length = granule_length(size, first + i);
        sum.disk += disk_bytes(length);
        sum.bytes += length;
        sum.granules++;
    }
    return sum;
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
    uint8_t bytes[KEY_BYTES + RECORD_BYTES_MAX];
};

/* MDB_CORRUPTED: no record is so long. */
static int copy_take(struct copy *to, const MDB_val *key, const MDB_val *value)
{
    if (key->mv_size > KEY_BYTES || value->mv_size > RECORD_BYTES_MAX)
        return MDB_CORRUPTED;
    memcpy(to->bytes, key->mv_data, key->mv_size);
    memcpy(to->bytes + KEY_BYTES, value->mv_data, value->mv_size);
    to->key = (MDB_val){key->mv_size, to->bytes};
    to->value = (MDB_val){value->mv_size, to->bytes + KEY_BYTES};
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
    uint8_t key_bytes[KEY_BYTES];
    struct segment_id same;
    struct finding f = {.ix = ix, .key = {sizeof key_bytes, key_bytes}};
    format_key(key_bytes, id);
    if (!ix->env)
        return -ENOENT;
    if (ix->dead || !touch(ix, find_run, &f))
        return -EIO;
    if (f.rc == MDB_NOTFOUND)
        return -ENOENT;
    return f.rc || !parse_record(&ix->found->key, &ix->found->value, &same, out) ? -EIO : 0;
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
        if (!parse_record(&s->copy->key, &s->copy->value, &id, &r))
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

uint64_t index_place(const struct segment_id *id)
{
    uint8_t key[KEY_BYTES];
    uint64_t first;
    format_key(key, id);
    memcpy(&first, key, sizeof first);
    return be64toh(first);
}

static int write_change(struct index *ix, MDB_txn *txn, const struct index_change *change)
{
    uint8_t key_bytes[KEY_BYTES];
    const struct index_record *r = change->record;
    format_key(key_bytes, &change->id);
    MDB_val key = {sizeof key_bytes, key_bytes};
    if (!r) {
        int rc = mdb_del(txn, ix->dbi, &key, NULL);
        return rc == MDB_NOTFOUND ? 0 : rc;
    }
    MDB_val value = {record_bytes(&change->id, r), NULL};
    int rc = mdb_put(txn, ix->dbi, &key, &value, MDB_RESERVE);
    if (rc == 0)
        format_record(&key, &value, &change->id, r);
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

struct index *index_open(int dirfd, uint64_t budget_bytes, struct err *err)
{
    struct err first = ERR_INIT;
    uint64_t map_bytes = budget_bytes / MAP_BYTES_PER_BUDGET / MIB * MIB;
    if (map_bytes < MAP_BYTES_MIN)
        map_bytes = MAP_BYTES_MIN;
    /* What a killed process left in it; LMDB makes it again. */
    (void)unlinkat(dirfd, LOCK_NAME, 0);
    struct index *ix = try_open(dirfd, (size_t)map_bytes, &first);
    if (ix)
        return ix;
    if (!is_want(first.code) && !is_refusal(first.code) &&
        (unlinkat(dirfd, FILE_NAME, 0) == 0 || errno == ENOENT)) {
        ix = try_open(dirfd, (size_t)map_bytes, &first);
        if (ix)
            return ix;
    }
    if (is_refusal(first.code))
        return index_new(err); /* it stays blind */
    (void)err_copy(err, &first);
    return NULL;
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
