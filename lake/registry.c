/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/registry.h"

#include <fcntl.h>
#include <lmdb.h>

#include "base/file.h"
#include "base/guard.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/text.h"

#define DATABASE "nodes.mdb"
#define BOOT_FILE "nodes.boot"
#define MAP_BYTES ((size_t)8 << 30) /* address space only: 33 million names of 200 bytes */

/* Names that the disk did not take; beyond that many there are no more. */
#define UNWRITTEN_MAX ((size_t)1 << 20)

/* A name that is in memory only. */
struct unwritten {
    uint32_t number;
    size_t length;
    char name[];
};

struct registry {
    struct lock lock; /* guards all below */
    MDB_env *env;     /* NULL: there is none, all names are in memory */
    MDB_dbi by_name, by_number;
    MDB_txn *finder; /* always begun, at the last commit: it goes on where nothing else can */
    bool broken;     /* the disk failed in the middle of a commit: nothing more is written */
    bool dead;       /* what was written cannot be read any more either */
    uint32_t last;   /* the highest number on disk */

    struct map unwritten_names, unwritten_numbers; /* of struct unwritten */
    uint32_t lowest;                               /* of those; they count down from the top */
};

static int lmdb_error(struct err *err, const char *what, int rc)
{
    int code = rc > 0 ? rc : EIO;
    return err_set(err, code, "%s: %s: %s", DATABASE, what, mdb_strerror(rc));
}

/* The database belongs to one boot of the machine: another one's is removed. */
static int begin_boot(int dirfd, struct err *err)
{
    AUTO(buf) struct buf now = {0}, then = {0};
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

/* The finder sees what was committed before this. */
static int look_anew(struct registry *r)
{
    mdb_txn_reset(r->finder);
    return mdb_txn_renew(r->finder);
}

static int open_databases(struct registry *r)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(r->env, NULL, 0, &txn);
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

/* One process has it, and one thread at a time: no lock file, whose mapping a dead disk would take
 * away. The finder reads the last commit while the next is written, which LMDB allows. */
static int open_env(struct registry *r, const char *path)
{
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NOSYNC | MDB_NORDAHEAD | MDB_NOLOCK;
    int rc = mdb_env_create(&r->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(r->env, MAP_BYTES);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(r->env, 2);
    if (rc == 0)
        rc = mdb_env_open(r->env, path, flags, 0600);
    if (rc == 0)
        rc = open_databases(r);
    if (rc == 0)
        rc = mdb_txn_begin(r->env, NULL, MDB_RDONLY, &r->finder);
    return rc;
}

static void close_env(struct registry *r)
{
    if (r->finder && !r->dead)
        mdb_txn_abort(r->finder);
    if (r->env && !r->dead) /* else LMDB was left in the middle of something */
        mdb_env_close(r->env);
    r->env = NULL;
    r->finder = NULL;
}

/* What another file, or none, would not help against. */
static bool is_disk(int rc)
{
    return rc == EIO || rc == ENOSPC || rc == EDQUOT || rc == EFBIG || rc == EROFS;
}

struct registry *registry_open(int dirfd, const char *path, struct err *err)
{
    AUTO(registry) struct registry *r = calloc(1, sizeof *r);
    AUTO_FREE char *file = NULL;
    struct err why = ERR_INIT;
    if (!r || asprintf(&file, "%s/%s", path, DATABASE) < 0) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    lock_init(&r->lock);
    map_init(&r->unwritten_names, UNWRITTEN_MAX);
    map_init(&r->unwritten_numbers, UNWRITTEN_MAX);
    r->lowest = REGISTRY_NUMBER_MAX + 1;
    int rc = -begin_boot(dirfd, &why);
    if (rc == 0 && file_remove_other(dirfd, DATABASE, &why) < 0) /* LMDB would follow a link */
        rc = why.code;
    if (rc && !is_disk(rc)) {
        (void)err_copy(err, &why);
        return NULL;
    }
    if (rc == 0)
        rc = open_env(r, file);
    if (rc && !is_disk(rc)) { /* damaged: nothing in it is worth more than a new one */
        close_env(r);
        (void)unlinkat(dirfd, DATABASE, 0); /* open_env tells when it cannot be made again */
        rc = open_env(r, file);
    }
    if (rc)
        close_env(r);
    if (rc && !is_disk(rc)) {
        (void)lmdb_error(err, "open", rc);
        return NULL;
    }
    return STEAL(r);
}

void registry_close(struct registry *r)
{
    const struct map_entry *e;
    for (size_t at = 0; (e = map_next(&r->unwritten_names, &at));)
        free(e->value);
    map_done(&r->unwritten_names);
    map_done(&r->unwritten_numbers);
    close_env(r);
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

/* One access to the environment, whose mapping may be of a dead disk. */
struct access {
    struct registry *r;
    MDB_dbi dbi;
    MDB_val key, value;
    struct slice name; /* of put */
    uint32_t number;
    int rc;
    char copy[REGISTRY_NAME_MAX]; /* of the value of get */
};

static void get_run(void *arg)
{
    struct access *a = arg;
    a->rc = mdb_get(a->r->finder, a->dbi, &a->key, &a->value);
    size_t n = a->rc == 0 ? a->value.mv_size : 0;
    if (n > sizeof a->copy) /* no name is that long */
        a->rc = EIO;
    else if (n)
        memcpy(a->copy, a->value.mv_data, n);
}

static void put_run(void *arg)
{
    struct access *a = arg;
    MDB_txn *txn;
    MDB_val number = {sizeof a->number, &a->number};
    MDB_val name = {a->name.n, (void *)(uintptr_t)a->name.p};
    a->rc = mdb_txn_begin(a->r->env, NULL, 0, &txn);
    if (a->rc)
        return;
    a->rc = mdb_put(txn, a->r->by_name, &a->key, &number, 0);
    if (a->rc == 0)
        a->rc = mdb_put(txn, a->r->by_number, &number, &name, MDB_APPEND);
    if (a->rc)
        mdb_txn_abort(txn);
    else
        a->rc = mdb_txn_commit(txn);
    if (a->rc == 0)
        a->rc = look_anew(a->r);
}

static int access_locked(struct registry *r, struct access *a, void (*run)(void *arg))
    REQUIRES(r->lock)
{
    if (!r->env || r->dead)
        return EIO;
    a->r = r;
    if (guard_run(run, a, NULL) == 0)
        return a->rc;
    r->dead = true;
    return EIO;
}

static int find_locked(struct registry *r, MDB_val key, struct slice name, uint32_t *out)
    REQUIRES(r->lock)
{
    const struct unwritten *u = map_find(&r->unwritten_names, name);
    struct access a;
    if (u) {
        *out = u->number;
        return 0;
    }
    a.dbi = r->by_name;
    a.key = key;
    int rc = access_locked(r, &a, get_run);
    if (rc == 0 && a.value.mv_size == sizeof *out)
        memcpy(out, a.copy, sizeof *out);
    return rc;
}

/* In memory, for as long as this process lives: the kernel's ids live no longer either. */
static int remember_locked(struct registry *r, struct slice name, uint32_t *out) REQUIRES(r->lock)
{
    struct unwritten *u = malloc(sizeof *u + name.n);
    if (!u)
        return ENOMEM;
    u->number = r->lowest - 1;
    u->length = name.n;
    memcpy(u->name, name.p, name.n);
    struct slice number = slice_make(&u->number, sizeof u->number);
    int rc = u->number <= r->last ? -ENOSPC : map_put(&r->unwritten_numbers, number, u);
    if (rc == 0 && (rc = map_put(&r->unwritten_names, slice_make(u->name, u->length), u)) < 0)
        (void)map_remove(&r->unwritten_numbers, number); /* itself */
    if (rc < 0) {
        free(u);
        return -rc;
    }
    r->lowest = *out = u->number;
    return 0;
}

static int insert_locked(struct registry *r, MDB_val key, struct slice name, uint32_t *out)
    REQUIRES(r->lock)
{
    struct access a;
    a.key = key;
    a.name = name;
    a.number = r->last + 1;
    if (a.number >= r->lowest)
        return ENOSPC;
    int rc = r->broken ? EIO : access_locked(r, &a, put_run);
    if (rc) {
        r->broken = r->broken || rc != ENOSPC; /* a disk may have room again later */
        return remember_locked(r, name, out);
    }
    r->last = *out = a.number;
    return 0;
}

int registry_number(struct registry *r, struct slice name, uint32_t *out, struct err *err)
{
    char hashed[2 * SHA256_BYTES + 2];
    MDB_val key = key_of(name, hashed);
    uint32_t number = 0;
    int rc;
    if (name.n == 0 || name.n > REGISTRY_NAME_MAX)
        return err_set(err, ENAMETOOLONG, "path of %zu bytes", name.n);
    WITH_LOCK (&r->lock) {
        rc = find_locked(r, key, name, &number);
        if (rc)
            rc = insert_locked(r, key, name, &number);
    }
    if (rc)
        return lmdb_error(err, "number", rc);
    *out = number;
    return 0;
}

int registry_name(struct registry *r, uint32_t number, struct buf *out, struct err *err)
{
    struct access a;
    int rc;
    a.key = (MDB_val){sizeof number, &number};
    buf_reset(out);
    WITH_LOCK (&r->lock) {
        const struct unwritten *u =
            map_find(&r->unwritten_numbers, slice_make(&number, sizeof number));
        a.dbi = r->by_number;
        rc = u ? 0 : number > r->last ? MDB_NOTFOUND : access_locked(r, &a, get_run);
        if (u)
            buf_add(out, u->name, u->length);
        else if (rc == 0)
            buf_add(out, a.copy, a.value.mv_size);
    }
    if (rc == MDB_NOTFOUND)
        return err_set(err, ENOENT, "no place has the number %u", number);
    return rc ? lmdb_error(err, "read", rc) : buf_check(out, err);
}
