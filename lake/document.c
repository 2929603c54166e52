/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/document.h"

#include <stdatomic.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/instant.h"

#define DOCUMENTS_KEPT 32
#define DOCUMENT_BYTES_MAX ((size_t)256 << 20) /* of those that are made in memory */
#define WRITE_BYTES ((size_t)1 << 20)

struct document {
    _Atomic unsigned refs;
    uint64_t key;
    uint64_t size;
    uint64_t used;
    int fd;
};

struct document_cache {
    int dirfd;
    struct lock lock;
    struct document *kept[DOCUMENTS_KEPT]; /* lock */
    uint64_t clock;                        /* lock */
};

struct making {
    struct table *table;
    struct table_version *version;
    struct history *history;
    int fd;
    struct buf out; /* what is not written yet */
    uint64_t written;
    struct err *err;
};

static int flush(struct making *m)
{
    int rc = buf_check(&m->out, m->err);
    if (rc == 0)
        rc = file_pwrite_full(m->fd, m->out.data, m->out.len, (off_t)m->written, m->err);
    if (rc == 0) {
        m->written += m->out.len;
        buf_reset(&m->out);
    }
    return rc;
}

static int make_version(struct making *m)
{
    buf_addf(&m->out, "%lld\n", (long long)m->version->version.number);
    return 0;
}

static int make_history(struct making *m)
{
    return table_ops(m->table)->describe_history(table_driver(m->table), m->history, &m->out,
                                                 m->err);
}

static int make_schema(struct making *m)
{
    struct snapshot *s = m->version->snapshot;
    if (!s)
        return err_set(m->err, ENOENT, "the table has no version yet");
    return table_ops(m->table)->describe_schema(snapshot_meta(s), &m->out, m->err);
}

static int file_line(void *arg, const struct entry *e)
{
    struct making *m = arg;
    buf_add_str(&m->out, "{\"path\":");
    buf_add_json(&m->out, e->path);
    buf_addf(&m->out, ",\"size\":%llu,\"modificationTime\":%lld,\"version\":%lld,\"object\":",
             (unsigned long long)e->size, (long long)e->mtime_ms, (long long)e->version);
    buf_add_json(&m->out, e->raw);
    buf_add_str(&m->out, "}\n");
    return m->out.len >= WRITE_BYTES ? flush(m) : 0;
}

static int make_files(struct making *m)
{
    struct snapshot *s = m->version->snapshot;
    return s ? snapshot_each_file(s, file_line, m, m->err) : 0;
}

static const struct {
    const char *name;
    int (*make)(struct making *m);
    bool of_history; /* made from the versions up to this one */
} documents[] = {
    {"version", make_version, false},
    {"history.json", make_history, true},
    {"schema.json", make_schema, false},
    {"files.jsonl", make_files, false},
};

static bool format_has(const struct driver_ops *ops, size_t which)
{
    return documents[which].make != make_schema || ops->describe_schema;
}

static ptrdiff_t find_document(const struct driver_ops *ops, struct slice name)
{
    for (size_t i = 0; i < ARRAY_SIZE(documents); i++)
        if (slice_is(name, documents[i].name) && format_has(ops, i))
            return (ptrdiff_t)i;
    return -1;
}

bool document_exists(const struct driver_ops *ops, struct slice name)
{
    return find_document(ops, name) >= 0;
}

const char *document_name(const struct driver_ops *ops, size_t i)
{
    for (size_t which = 0; which < ARRAY_SIZE(documents); which++)
        if (format_has(ops, which) && i-- == 0)
            return documents[which].name;
    return NULL;
}

struct document_cache *document_cache_new(int dirfd, struct err *err)
{
    struct document_cache *c = calloc(1, sizeof *c);
    if (!c) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    c->dirfd = dirfd;
    lock_init(&c->lock);
    return c;
}

void document_cache_free(struct document_cache *c)
{
    for (size_t i = 0; i < DOCUMENTS_KEPT; i++)
        document_unref(c->kept[i]);
    lock_done(&c->lock);
    free(c);
}

void document_unref(struct document *d)
{
    if (!d || atomic_fetch_sub(&d->refs, 1) != 1)
        return;
    (void)close(d->fd); /* a file without a name: gone with it */
    free(d);
}

uint64_t document_size(const struct document *d)
{
    return d->size;
}

int document_fd(const struct document *d)
{
    return d->fd;
}

static struct document *find_kept(struct document_cache *c, uint64_t key)
{
    struct document *found = NULL;
    WITH_LOCK (&c->lock)
        for (size_t i = 0; i < DOCUMENTS_KEPT && !found; i++)
            if (c->kept[i] && c->kept[i]->key == key) {
                found = c->kept[i];
                found->used = ++c->clock;
                atomic_fetch_add(&found->refs, 1);
            }
    return found;
}

static void keep(struct document_cache *c, struct document *d)
{
    struct document *old;
    WITH_LOCK (&c->lock) {
        size_t at = 0;
        for (size_t i = 0; i < DOCUMENTS_KEPT; i++)
            if (!c->kept[i] || (c->kept[at] && c->kept[i]->used < c->kept[at]->used))
                at = i;
        old = c->kept[at];
        c->kept[at] = d;
        d->used = ++c->clock;
        atomic_fetch_add(&d->refs, 1);
    }
    document_unref(old);
}

/* What the document's bytes depend on. */
static uint64_t key_of(struct table *table, const struct table_version *version, ptrdiff_t which)
{
    uint64_t parts[] = {(uint64_t)which, (uint64_t)version->version.number,
                        version->version.fingerprint};
    return hash64(hash64(2, table_id(table)), slice_make(parts, sizeof parts));
}

static int make_in(int dirfd, struct making *m, ptrdiff_t which, struct document **out)
{
    AUTO_FD int fd = -1;
    int rc = file_temporary(dirfd, &fd, m->err);
    m->fd = fd;
    if (rc == 0)
        rc = documents[which].make(m);
    if (rc == 0)
        rc = flush(m);
    if (rc < 0)
        return rc;
    struct document *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(m->err, ENOMEM, "out of memory");
    d->refs = 1;
    d->size = m->written;
    d->fd = STEAL_FD(fd);
    *out = d;
    return 0;
}

static int make(struct document_cache *c, struct making *m, ptrdiff_t which, struct document **out)
{
    struct lake *lake = table_lake(m->table);
    int spare;
    int rc = make_in(c->dirfd, m, which, out);
    bool disk = rc == -EIO || rc == -ENOSPC || rc == -EDQUOT || rc == -EROFS;
    if (disk && spare_get(&lake->spare, c->dirfd, &spare, NULL) == 0) {
        buf_reset(&m->out);
        m->written = 0;
        rc = make_in(spare, m, which, out);
    }
    return rc;
}

int document_open(struct document_cache *c, const struct document_of *of, struct task *task,
                  struct document **out, struct err *err)
{
    struct table *table = of->table;
    struct table_version *version = of->version;
    struct slice name = of->name;
    AUTO(history) struct history *h = NULL;
    ptrdiff_t which = find_document(table_ops(table), name);
    if (which < 0)
        return err_set(err, ENOENT, "no document %.*s", SLICE_FMT(name));
    uint64_t key = key_of(table, version, which);
    *out = find_kept(c, key);
    if (*out)
        return 0;
    int rc = task_to_worker(task, table_lake(table)->config.workers);
    if (rc == 0 && documents[which].of_history)
        rc = table_history(table, task, &h, err);
    if (rc < 0)
        return rc;
    if (h) { /* up to this version: what it says of its history does not change */
        struct history *all = h;
        h = history_cut(all, (size_t)(history_find(all, version->version.number) + 1), err);
        history_unref(all);
        if (!h)
            return -ENOMEM;
    }
    struct making m = {.table = table, .version = version, .history = h, .err = err};
    buf_init(&m.out, DOCUMENT_BYTES_MAX);
    rc = make(c, &m, which, out);
    buf_done(&m.out);
    if (rc < 0)
        return rc;
    (*out)->key = key;
    keep(c, *out);
    return 0;
}
