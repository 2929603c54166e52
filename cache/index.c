/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/index.h"

#include <fcntl.h>
#include <lmdb.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "cache/index_check.h"

#define FILE_NAME "cache.mdb"
#define LOCK_NAME FILE_NAME "-lock"
#define FORMAT 1
#define FIXED_BYTES 24
#define MAP_BYTES_MIN (64 * MIB)
/* Files take a page at least; a record with its share of half-filled pages takes less than an
 * eighth of one. */
#define MAP_BYTES_PER_BUDGET 8

struct index {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *finder; /* of index_find: reset between calls */
};

static int lmdb_error(struct err *err, int rc)
{
    int code = rc > 0 ? rc : EIO;
    if (rc == MDB_MAP_FULL)
        code = ENOSPC;
    return err_set(err, code, "%s: %s", FILE_NAME, mdb_strerror(rc));
}

static uint32_t checksum(const struct object_id *id, const uint8_t *value, size_t n)
{
    return crc32c(crc32c(0, id->bytes, sizeof id->bytes), value + sizeof(uint32_t),
                  n - sizeof(uint32_t));
}

static bool parse_record(const MDB_val *key, const MDB_val *value, struct object_id *id,
                         struct index_record *out)
{
    if (key->mv_size != sizeof id->bytes || value->mv_size < FIXED_BYTES)
        return false;
    memcpy(id->bytes, key->mv_data, sizeof id->bytes);
    struct bytes b = bytes_make(value->mv_data, value->mv_size);
    uint32_t crc = bytes_le32(&b);
    uint8_t format = bytes_u8(&b);
    struct index_record r = {0};
    size_t etag_length = bytes_u8(&b);
    (void)bytes_take(&b, 2);
    r.size = bytes_le64(&b);
    r.used_ms = (int64_t)bytes_le64(&b);
    if (format != FORMAT || etag_length >= sizeof r.etag ||
        crc != checksum(id, value->mv_data, value->mv_size))
        return false;
    const uint8_t *etag = bytes_take(&b, etag_length);
    if (!etag)
        return false;
    memcpy(r.etag, etag, etag_length);
    r.present = b.p;
    if (bytes_left(&b) != bitmap_bytes(r.size))
        return false;
    *out = r;
    return true;
}

static void format_record(uint8_t *to, size_t n, const struct object_id *id,
                          const struct index_record *r)
{
    size_t etag_length = strlen(r->etag);
    memset(to, 0, FIXED_BYTES);
    to[4] = FORMAT;
    to[5] = (uint8_t)etag_length;
    memcpy(to + 8, &r->size, sizeof r->size);
    memcpy(to + 16, &r->used_ms, sizeof r->used_ms);
    memcpy(to + FIXED_BYTES, r->etag, etag_length);
    memcpy(to + FIXED_BYTES + etag_length, r->present, bitmap_bytes(r->size));
    uint32_t crc = checksum(id, to, n);
    memcpy(to, &crc, sizeof crc);
}

uint64_t index_record_disk(const struct index_record *r)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < blocks_of(r->size); i++)
        if (bitmap_has(r->present, i))
            sum += disk_bytes(block_length(r->size, i));
    return sum;
}

uint64_t index_record_bytes(const struct index_record *r)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < blocks_of(r->size); i++)
        if (bitmap_has(r->present, i))
            sum += block_length(r->size, i);
    return sum;
}

uint64_t index_record_end(const struct index_record *r)
{
    for (uint64_t i = blocks_of(r->size); i-- > 0;)
        if (bitmap_has(r->present, i))
            return i * BLOCK_BYTES + block_length(r->size, i);
    return 0;
}

int index_find(struct index *ix, const struct object_id *id, struct index_record *out)
{
    MDB_val key = {sizeof id->bytes, (void *)(uintptr_t)id->bytes}, value;
    struct object_id same;
    struct index_record r;
    int rc = mdb_txn_renew(ix->finder);
    if (rc)
        return -EIO;
    rc = mdb_get(ix->finder, ix->dbi, &key, &value);
    if (rc == MDB_NOTFOUND)
        rc = -ENOENT;
    else if (rc || !parse_record(&key, &value, &same, &r))
        rc = -EIO;
    if (rc == 0) {
        size_t n = bitmap_bytes(r.size);
        uint8_t *copy = malloc(n ? n : 1);
        if (copy) {
            memcpy(copy, r.present, n);
            r.present = copy;
            *out = r;
        } else {
            rc = -ENOMEM;
        }
    }
    mdb_txn_reset(ix->finder);
    return rc;
}

int index_each(struct index *ix,
               int (*each)(void *arg, const struct object_id *id, const struct index_record *r),
               void *arg, struct err *err)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    int stop = 0;
    int rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return lmdb_error(err, rc);
    rc = mdb_cursor_open(txn, ix->dbi, &cursor);
    if (rc == 0) {
        while (stop == 0 && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
            struct object_id id;
            struct index_record r;
            if (parse_record(&key, &value, &id, &r))
                stop = each(arg, &id, &r);
            else
                stop = err_set(err, EBADMSG, "%s: damaged record", FILE_NAME);
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    if (rc && rc != MDB_NOTFOUND)
        return lmdb_error(err, rc);
    return stop;
}

static int write_change(struct index *ix, MDB_txn *txn, const struct index_change *change)
{
    const struct index_record *r = change->record;
    MDB_val key = {sizeof change->id.bytes, (void *)(uintptr_t)change->id.bytes};
    if (!r) {
        int rc = mdb_del(txn, ix->dbi, &key, NULL);
        return rc == MDB_NOTFOUND ? 0 : rc;
    }
    MDB_val value = {FIXED_BYTES + strlen(r->etag) + bitmap_bytes(r->size), NULL};
    int rc = mdb_put(txn, ix->dbi, &key, &value, MDB_RESERVE);
    if (rc == 0)
        format_record(value.mv_data, value.mv_size, &change->id, r);
    return rc;
}

int index_write(struct index *ix, const struct index_change *changes, size_t count, struct err *err)
{
    MDB_txn *txn;
    int rc = count ? mdb_txn_begin(ix->env, NULL, 0, &txn) : 0;
    if (rc || count == 0)
        return rc ? lmdb_error(err, rc) : 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = write_change(ix, txn, &changes[i]);
    if (rc == 0)
        rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    return rc ? lmdb_error(err, rc) : 0;
}

static int pass(void *arg, const struct object_id *id, const struct index_record *r)
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

static struct index *try_open(int dirfd, size_t map_bytes, struct err *err)
{
    if (index_check(dirfd, FILE_NAME, err) < 0)
        return NULL;
    struct index *ix = calloc(1, sizeof *ix);
    if (!ix) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    int rc = open_env(ix, dirfd, map_bytes);
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

/* Failures that another file would not help against. */
static bool is_want(int code)
{
    return code == ENOMEM || code == EMFILE || code == ENFILE || code == ENOSPC || code == EDQUOT ||
           code == EROFS || code == EAGAIN;
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
    if (is_want(first.code) || (unlinkat(dirfd, FILE_NAME, 0) < 0 && errno != ENOENT)) {
        (void)err_copy(err, &first);
        return NULL;
    }
    return try_open(dirfd, (size_t)map_bytes, err);
}

void index_close(struct index *ix)
{
    if (!ix)
        return;
    if (ix->finder)
        mdb_txn_abort(ix->finder);
    if (ix->env)
        mdb_env_close(ix->env);
    free(ix);
}
