/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/local_tags.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/guard.h"
#include "base/lock.h"

#define DATABASE "tags.mdb"
#define DAMAGED DATABASE ".damaged"
#define MAP_BYTES ((size_t)1 << 30) /* address space only: ten million tags of 100 bytes */
#define KEY_BYTES 480               /* LMDB takes 511 */

_Static_assert(sizeof(struct local_tag) == 24, "local_tag has no holes");

struct local_tags {
    struct lock lock; /* guards all below */
    MDB_env *env;
    MDB_dbi dbi;
    bool dead; /* the disk failed in the middle of something */
};

/* One access to the environment, whose mapping may be of a dead disk. */
struct access {
    struct local_tags *t;
    char key[KEY_BYTES];
    size_t key_bytes;
    size_t table_bytes; /* of the key: the table's part */
    struct local_tag tag;
    bool replace;
    struct buf found; /* of list: the name, a zero, the tag ... */
    int rc;
};

static int lmdb_error(struct err *err, const char *what, int rc)
{
    return err_set(err, rc > 0 ? rc : EIO, DATABASE ": %s: %s", what, mdb_strerror(rc));
}

static int open_env(struct local_tags *t, const char *path)
{
    MDB_txn *txn = NULL;
    int rc = mdb_env_create(&t->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(t->env, MAP_BYTES);
    if (rc == 0)
        rc = mdb_env_open(t->env, path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NOLOCK, 0600);
    if (rc == 0)
        rc = mdb_txn_begin(t->env, NULL, 0, &txn);
    if (rc == 0)
        rc = mdb_dbi_open(txn, NULL, 0, &t->dbi);
    if (rc == 0)
        return mdb_txn_commit(txn);
    if (txn)
        mdb_txn_abort(txn);
    if (t->env)
        mdb_env_close(t->env);
    t->env = NULL;
    return rc;
}

struct local_tags *local_tags_open(int dirfd, const char *path, struct err *err)
{
    AUTO_FREE char *file = NULL;
    struct local_tags *t = calloc(1, sizeof *t);
    if (!t || asprintf(&file, "%s/" DATABASE, path) < 0) {
        (void)err_set(err, ENOMEM, "out of memory");
        free(t);
        return NULL;
    }
    lock_init(&t->lock);
    int rc = file_remove_other(dirfd, DATABASE, err) < 0 ? EIO : open_env(t, file);
    if (rc == MDB_INVALID || rc == MDB_CORRUPTED || rc == MDB_VERSION_MISMATCH) {
        (void)renameat(dirfd, DATABASE, dirfd, DAMAGED); /* open_env tells where that failed */
        rc = open_env(t, file);
    }
    if (rc) {
        (void)lmdb_error(err, "open", rc);
        local_tags_close(t);
        return NULL;
    }
    return t;
}

void local_tags_close(struct local_tags *t)
{
    if (!t)
        return;
    if (t->env && !t->dead) /* else LMDB was left in the middle of something */
        mdb_env_close(t->env);
    lock_done(&t->lock);
    free(t);
}

static int begin(struct access *a, struct local_tags *t, struct slice table, struct slice name,
                 struct err *err)
{
    if (table.n + name.n > KEY_BYTES)
        return err_set(err, ENAMETOOLONG, "a tag of %zu bytes", name.n);
    *a = (struct access){.t = t, .key_bytes = table.n + name.n, .table_bytes = table.n, .rc = EIO};
    memcpy(a->key, table.p, table.n);
    if (name.n)
        memcpy(a->key + table.n, name.p, name.n);
    return 0;
}

/* Runs it where the disk may die under it; LMDB's result. */
static int run(struct access *a, void (*access)(void *arg))
{
    struct local_tags *t = a->t;
    WITH_LOCK (&t->lock) {
        if (t->env && !t->dead && guard_run(access, a, NULL) < 0) {
            t->dead = true;
            a->rc = EIO;
        }
    }
    return a->rc;
}

static void end(struct access *a, MDB_txn *txn)
{
    if (a->rc)
        mdb_txn_abort(txn);
    else
        a->rc = mdb_txn_commit(txn);
}

static void set_run(void *arg)
{
    struct access *a = arg;
    MDB_txn *txn;
    MDB_val key = {a->key_bytes, a->key}, value = {sizeof a->tag, &a->tag};
    a->rc = mdb_txn_begin(a->t->env, NULL, 0, &txn);
    if (a->rc)
        return;
    a->rc = mdb_put(txn, a->t->dbi, &key, &value, a->replace ? 0 : MDB_NOOVERWRITE);
    end(a, txn);
}

static void remove_run(void *arg)
{
    struct access *a = arg;
    MDB_txn *txn;
    MDB_val key = {a->key_bytes, a->key};
    a->rc = mdb_txn_begin(a->t->env, NULL, 0, &txn);
    if (a->rc)
        return;
    a->rc = mdb_del(txn, a->t->dbi, &key, NULL);
    end(a, txn);
}

static void list_run(void *arg)
{
    struct access *a = arg;
    MDB_txn *txn;
    MDB_cursor *cursor = NULL;
    MDB_val key = {a->table_bytes, a->key}, value;
    a->rc = mdb_txn_begin(a->t->env, NULL, MDB_RDONLY, &txn);
    if (a->rc)
        return;
    a->rc = mdb_cursor_open(txn, a->t->dbi, &cursor);
    for (MDB_cursor_op op = MDB_SET_RANGE; a->rc == 0; op = MDB_NEXT) {
        a->rc = mdb_cursor_get(cursor, &key, &value, op);
        if (a->rc || key.mv_size <= a->table_bytes ||
            memcmp(key.mv_data, a->key, a->table_bytes) != 0)
            break;
        if (value.mv_size != sizeof a->tag)
            continue; /* of a later release of ours */
        buf_add(&a->found, (const char *)key.mv_data + a->table_bytes,
                key.mv_size - a->table_bytes);
        buf_add_char(&a->found, '\0');
        buf_add(&a->found, value.mv_data, value.mv_size);
    }
    if (cursor)
        mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    a->rc = a->rc == MDB_NOTFOUND ? 0 : a->rc;
}

int local_tags_set(struct local_tags *t, struct slice table, struct slice name,
                   const struct local_tag *tag, bool replace, struct err *err)
{
    struct access a;
    int rc = begin(&a, t, table, name, err);
    if (rc < 0)
        return rc;
    a.tag = *tag;
    a.replace = replace;
    rc = run(&a, set_run);
    if (rc == MDB_KEYEXIST)
        return err_set(err, EEXIST, "there is a tag %.*s (--force sets it anew)", SLICE_FMT(name));
    return rc ? lmdb_error(err, "set", rc) : 0;
}

int local_tags_remove(struct local_tags *t, struct slice table, struct slice name, struct err *err)
{
    struct access a;
    int rc = begin(&a, t, table, name, err);
    if (rc < 0)
        return rc;
    rc = run(&a, remove_run);
    if (rc == MDB_NOTFOUND)
        return err_set(err, ENOENT,
                       "there is no tag %.*s of this machine (--shared: one of the lake)",
                       SLICE_FMT(name));
    return rc ? lmdb_error(err, "remove", rc) : 0;
}

int local_tags_each(struct local_tags *t, struct slice table,
                    int (*emit)(void *arg, struct slice name, const struct local_tag *tag),
                    void *arg, struct err *err)
{
    struct access a;
    int rc = begin(&a, t, table, SLICE_NONE, err);
    if (rc < 0)
        return rc;
    buf_init(&a.found, (size_t)64 << 20);
    rc = run(&a, list_run);
    rc = rc ? lmdb_error(err, "list", rc) : buf_check(&a.found, err);
    struct slice rest = buf_slice(&a.found);
    while (rc == 0 && rest.n) {
        struct local_tag tag;
        struct slice name = slice_make(rest.p, (size_t)slice_find(rest, '\0'));
        memcpy(&tag, name.p + name.n + 1, sizeof tag);
        rest = slice_from(rest, name.n + 1 + sizeof tag);
        rc = emit(arg, name, &tag);
    }
    buf_done(&a.found);
    return rc;
}
