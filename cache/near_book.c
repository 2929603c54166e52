/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/near_book.h"

#include <fcntl.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/guard.h"
#include "base/limits.h"
#include "base/lock.h"

#define DATABASE "near.mdb"
#define MAP_BYTES ((size_t)GIB) /* address space only: ten million objects */
#define KEY_BYTES (8 + SHA256_BYTES)

struct near_book {
    struct lock lock; /* guards all below */
    MDB_env *env;     /* NULL: there is none */
    MDB_dbi dbi;
    bool dead; /* the disk failed in the middle of something */
};

static int open_env(struct near_book *b, const char *path)
{
    MDB_txn *txn = NULL;
    int rc = mdb_env_create(&b->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(b->env, MAP_BYTES);
    if (rc == 0)
        rc = mdb_env_open(b->env, path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NOLOCK, 0600);
    if (rc == 0)
        rc = mdb_txn_begin(b->env, NULL, 0, &txn);
    if (rc == 0)
        rc = mdb_dbi_open(txn, NULL, 0, &b->dbi);
    if (rc == 0)
        return mdb_txn_commit(txn);
    if (txn)
        mdb_txn_abort(txn);
    if (b->env)
        mdb_env_close(b->env);
    b->env = NULL;
    return rc;
}

struct opening {
    struct near_book *book;
    const char *path;
    int rc;
};

static void open_run(void *arg)
{
    struct opening *o = arg;
    o->rc = open_env(o->book, o->path);
}

struct near_book *near_book_open(int dirfd, struct err *err)
{
    char path[64];
    struct near_book *b = calloc(1, sizeof *b);
    if (!b) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    lock_init(&b->lock);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d/" DATABASE, dirfd); /* a number fits */
    struct opening o = {b, path, 0};
    if (file_remove_other(dirfd, DATABASE, NULL) < 0 || guard_run(open_run, &o, NULL) < 0) {
        b->dead = true;
        return b;
    }
    if (o.rc == MDB_INVALID || o.rc == MDB_CORRUPTED || o.rc == MDB_VERSION_MISMATCH) {
        (void)unlinkat(dirfd, DATABASE, 0); /* open_run tells where that failed */
        b->dead = guard_run(open_run, &o, NULL) < 0;
    }
    return b;
}

void near_book_close(struct near_book *b)
{
    if (!b)
        return;
    if (b->env && !b->dead) /* else LMDB was left in the middle of something */
        mdb_env_close(b->env);
    lock_done(&b->lock);
    free(b);
}

struct access {
    struct near_book *book;
    uint8_t key[KEY_BYTES];
    const struct near_note *notes;
    size_t count;
    uint32_t found;
    int rc;
};

static void run_locked(struct near_book *b, struct access *a, void (*run)(void *arg))
    REQUIRES(b->lock)
{
    if (!b->env || b->dead)
        return;
    if (guard_run(run, a, NULL) < 0)
        b->dead = true;
}

static void make_key(const struct near_place *place, uint8_t key[KEY_BYTES])
{
    memcpy(key, &place->store, 8);
    memcpy(key + 8, place->identity, SHA256_BYTES);
}

static void find_run(void *arg)
{
    struct access *a = arg;
    MDB_txn *txn;
    MDB_val key = {sizeof a->key, a->key}, value;
    if (mdb_txn_begin(a->book->env, NULL, MDB_RDONLY, &txn))
        return;
    if (mdb_get(txn, a->book->dbi, &key, &value) == 0 && value.mv_size == sizeof a->found)
        memcpy(&a->found, value.mv_data, sizeof a->found);
    mdb_txn_abort(txn);
}

uint32_t near_book_find(struct near_book *b, const struct near_place *place)
{
    struct access a = {.book = b};
    make_key(place, a.key);
    WITH_LOCK (&b->lock)
        run_locked(b, &a, find_run);
    return a.found;
}

static void write_run(void *arg)
{
    struct access *a = arg;
    MDB_txn *txn;
    a->rc = mdb_txn_begin(a->book->env, NULL, 0, &txn);
    if (a->rc)
        return;
    for (size_t i = 0; i < a->count && a->rc == 0; i++) {
        uint32_t used_s = a->notes[i].used_s;
        make_key(&a->notes[i].place, a->key);
        MDB_val key = {sizeof a->key, a->key}, value = {sizeof used_s, &used_s};
        a->rc = used_s ? mdb_put(txn, a->book->dbi, &key, &value, 0)
                       : mdb_del(txn, a->book->dbi, &key, NULL);
        if (a->rc == MDB_NOTFOUND)
            a->rc = 0;
    }
    if (a->rc == MDB_MAP_FULL || a->rc == MDB_CORRUPTED || a->rc == MDB_PAGE_NOTFOUND) {
        mdb_txn_abort(txn);
        a->rc = mdb_txn_begin(a->book->env, NULL, 0, &txn);
        if (a->rc == 0)
            a->rc = mdb_drop(txn, a->book->dbi, 0); /* begun anew */
    }
    if (a->rc)
        mdb_txn_abort(txn);
    else
        a->rc = mdb_txn_commit(txn);
}

void near_book_write(struct near_book *b, const struct near_note *notes, size_t count)
{
    struct access a = {.book = b, .notes = notes, .count = count};
    WITH_LOCK (&b->lock)
        run_locked(b, &a, write_run);
}
