/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/registry.h"

#include <fcntl.h>
#include <lmdb.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/text.h"

#define DATABASE "nodes.mdb"
#define BOOT_FILE "nodes.boot"
#define MAP_BYTES ((size_t)8 << 30) /* address space only: 33 million names of 200 bytes */

struct registry {
    struct lock
        lock; /* guards writers against each other before LMDB does: it would block as well */
    MDB_env *env;
    MDB_dbi by_name, by_number;
    uint32_t last; /* lock */
};

static int lmdb_error(struct err *err, const char *what, int rc)
{
    int code = rc > 0 ? rc : EIO;
    return err_set(err, code, "%s: %s: %s", DATABASE, what, mdb_strerror(rc));
}

/* The database belongs to one boot of the machine: another one's is removed. */
static int begin_boot(int dirfd, struct err *err)
{
    AUTO(buf) struct buf now, then;
    buf_init(&now, KIB);
    buf_init(&then, KIB);
    int rc = file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &now, err);
    if (rc < 0)
        return rc;
    if (file_read(dirfd, BOOT_FILE, &then, NULL) == 0 &&
        slice_eq(buf_slice(&now), buf_slice(&then)))
        return 0;
    (void)unlinkat(dirfd, DATABASE, 0);         /* absent in a new cache */
    (void)unlinkat(dirfd, DATABASE "-lock", 0); /* likewise */
    return file_replace(dirfd, BOOT_FILE, buf_slice(&now), 0600, err);
}

static int find_last(struct registry *r, MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(txn, r->by_number, &cursor);
    if (rc)
        return rc;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    if (rc == 0 && key.mv_size == sizeof r->last)
        memcpy(&r->last, key.mv_data, sizeof r->last);
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int open_env(struct registry *r, const char *path)
{
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NOSYNC | MDB_NORDAHEAD;
    MDB_txn *txn = NULL;
    int rc = mdb_env_create(&r->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(r->env, MAP_BYTES);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(r->env, 2);
    if (rc == 0)
        rc = mdb_env_open(r->env, path, flags, 0600);
    if (rc == 0)
        rc = mdb_txn_begin(r->env, NULL, 0, &txn);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "name", MDB_CREATE, &r->by_name);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "number", MDB_CREATE | MDB_INTEGERKEY, &r->by_number);
    if (rc == 0)
        rc = find_last(r, txn);
    if (rc == 0)
        return mdb_txn_commit(txn);
    if (txn)
        mdb_txn_abort(txn);
    return rc;
}

struct registry *registry_open(int dirfd, const char *path, struct err *err)
{
    AUTO(registry) struct registry *r = calloc(1, sizeof *r);
    AUTO_FREE char *file = NULL;
    if (!r || asprintf(&file, "%s/%s", path, DATABASE) < 0) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    lock_init(&r->lock);
    if (begin_boot(dirfd, err) < 0)
        return NULL;
    int rc = open_env(r, file);
    if (rc) { /* damaged: nothing in it is worth more than a new one */
        mdb_env_close(r->env);
        r->env = NULL;
        (void)unlinkat(dirfd, DATABASE, 0); /* open_env tells when it cannot be made again */
        rc = open_env(r, file);
    }
    if (rc) {
        (void)lmdb_error(err, "open", rc);
        return NULL;
    }
    return STEAL(r);
}

void registry_close(struct registry *r)
{
    if (r->env)
        mdb_env_close(r->env);
    lock_done(&r->lock);
    free(r);
}

/* The key of a name: itself, or its hash where LMDB would refuse it. */
static MDB_val key_of(struct slice name, char hashed[2 * SHA256_BYTES + 2])
{
    const size_t key_max = 500;
    if (name.n <= key_max)
        return (MDB_val){name.n, (void *)(uintptr_t)name.p};
    hashed[0] = '\0'; /* no name begins with a zero */
    sha256_hex(name, hashed + 1);
    return (MDB_val){2 * SHA256_BYTES + 1, hashed};
}

static int find(struct registry *r, MDB_val *key, uint32_t *out)
{
    MDB_txn *txn;
    MDB_val value;
    int rc = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return rc;
    rc = mdb_get(txn, r->by_name, key, &value);
    if (rc == 0 && value.mv_size == sizeof *out)
        memcpy(out, value.mv_data, sizeof *out);
    mdb_txn_abort(txn);
    return rc;
}

static int insert_locked(struct registry *r, MDB_val *key, struct slice name, uint32_t *out)
{
    MDB_txn *txn;
    int rc = find(r, key, out); /* another thread may have been quicker */
    if (rc != MDB_NOTFOUND)
        return rc;
    uint32_t number = r->last + 1;
    if (number > REGISTRY_NUMBER_MAX)
        return ENOSPC;
    rc = mdb_txn_begin(r->env, NULL, 0, &txn);
    if (rc)
        return rc;
    MDB_val number_val = {sizeof number, &number};
    MDB_val name_val = {name.n, (void *)(uintptr_t)name.p};
    rc = mdb_put(txn, r->by_name, key, &number_val, 0);
    if (rc == 0)
        rc = mdb_put(txn, r->by_number, &number_val, &name_val, MDB_APPEND);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    rc = mdb_txn_commit(txn);
    if (rc == 0) {
        r->last = number;
        *out = number;
    }
    return rc;
}

int registry_number(struct registry *r, struct slice name, uint32_t *out, struct err *err)
{
    char hashed[2 * SHA256_BYTES + 2];
    MDB_val key = key_of(name, hashed);
    uint32_t number = 0;
    if (name.n == 0 || name.n > REGISTRY_NAME_MAX)
        return err_set(err, ENAMETOOLONG, "path of %zu bytes", name.n);
    int rc = find(r, &key, &number);
    if (rc == MDB_NOTFOUND)
        WITH_LOCK (&r->lock)
            rc = insert_locked(r, &key, name, &number);
    if (rc)
        return lmdb_error(err, "number", rc);
    *out = number;
    return 0;
}

int registry_name(struct registry *r, uint32_t number, struct buf *out, struct err *err)
{
    MDB_txn *txn;
    MDB_val key = {sizeof number, &number}, value;
    int rc = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return lmdb_error(err, "read", rc);
    rc = mdb_get(txn, r->by_number, &key, &value);
    if (rc == 0) {
        buf_reset(out);
        buf_add(out, value.mv_data, value.mv_size);
    }
    mdb_txn_abort(txn);
    if (rc == MDB_NOTFOUND)
        return err_set(err, ENOENT, "no place has the number %u", number);
    return rc ? lmdb_error(err, "read", rc) : buf_check(out, err);
}
