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
    const struct document_shown *shown; /* NULL: all */
    struct history *history;            /* what `uses` says of it */
    size_t versions;                    /* of a whole one, what --as-of leaves */
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
    table_version_name(m->version, &m->out);
    buf_add_char(&m->out, '\n');
    return 0;
}

static int make_history(struct making *m)
{
    const struct table_version *v = m->version;
    size_t first = v->kind == TABLE_RANGE ? (size_t)(history_find(m->history, v->after) + 1) : 0;
    return table_ops(m->table)->describe_history(table_driver(m->table), m->history, first,
                                                 m->shown != NULL, &m->out, m->err);
}

static int make_schema(struct making *m)
{
    struct snapshot *s = m->version->snapshot;
    if (!s)
        return err_set(m->err, ENOENT, "the table has no version yet");
    if (m->shown && !m->shown->shape)
        return err_set(m->err, ENOENT, "columns that are shown are not told");
    return table_ops(m->table)->describe_schema(snapshot_meta(s), m->shown ? m->shown->shape : NULL,
                                                &m->out, m->err);
}

static int make_properties(struct making *m)
{
    struct snapshot *s = m->version->snapshot;
    if (!s)
        return err_set(m->err, ENOENT, "the table has no version yet");
    return table_ops(m->table)->describe_properties(snapshot_meta(s), m->shown != NULL, &m->out,
                                                    m->err);
}

static int make_retention(struct making *m)
{
    const struct history *h = m->history;
    AUTO_FREE int64_t *removable_ms = calloc(h->n ? h->n : 1, sizeof *removable_ms);
    struct retention r = {.removable_ms = removable_ms};
    if (!removable_ms)
        return err_set(m->err, ENOMEM, "out of memory");
    for (size_t i = 0; i < h->n; i++)
        removable_ms[i] = RETENTION_NONE;
    int rc = table_ops(m->table)->retention(table_driver(m->table), h, &r, m->err);
    if (rc < 0)
        return rc;
    buf_addf(&m->out, "{\"newest\":%lld,\"retentionMs\":%lld,\"versions\":[",
             (long long)(h->live >= 0 ? h->at[h->live].number : -1), (long long)r.period_ms);
    bool any = false;
    for (size_t i = 0; i < m->versions; i++) {
        if (removable_ms[i] == RETENTION_NONE)
            continue;
        buf_addf(&m->out, "%s{\"version\":%lld,\"removableAt\":\"", any ? ",\n" : "",
                 (long long)h->at[i].number);
        instant_format(&m->out, removable_ms[i]);
        buf_addf(&m->out, "\",\"removableAtMs\":%lld}", (long long)removable_ms[i]);
        any = true;
    }
    buf_add_str(&m->out, "]}\n");
    return 0;
}

static int make_refs(struct making *m)
{
    return table_ops(m->table)->describe_refs(table_driver(m->table), m->history, &m->out, m->err);
}

/* Of the object and of the rows that are deleted in it: the same in all versions. */
static uint64_t identity_of(const struct entry *e)
{
    ptrdiff_t end = slice_find(e->extra, '\n');
    struct slice extra = slice_make(e->extra.p, end < 0 ? e->extra.n : (size_t)end);
    return hash64(hash64(e->size, e->raw), extra);
}

static int file_line(void *arg, const struct entry *e)
{
    struct making *m = arg;
    if (m->shown && m->shown->file && !m->shown->file(m->shown->arg, e))
        return 0;
    buf_add_str(&m->out, "{\"path\":");
    buf_add_json(&m->out, e->path);
    buf_addf(&m->out, ",\"size\":%llu,\"modificationTime\":%lld,\"version\":%lld",
             (unsigned long long)e->size, (long long)e->mtime_ms, (long long)e->version);
    if (!m->shown) { /* the stored bytes are for who sees the whole table */
        buf_add_str(&m->out, ",\"object\":");
        buf_add_json(&m->out, e->raw);
    }
    buf_addf(&m->out, ",\"identity\":\"%016llx\"}\n", (unsigned long long)identity_of(e));
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
    enum { NO_HISTORY, HISTORY_UP_TO, HISTORY_NOW, HISTORY_WHOLE } uses;
} documents[] = {
    {"version", make_version, NO_HISTORY},    {"history.json", make_history, HISTORY_UP_TO},
    {"schema.json", make_schema, NO_HISTORY}, {"properties.json", make_properties, NO_HISTORY},
    {"files.jsonl", make_files, NO_HISTORY},  {"retention.json", make_retention, HISTORY_WHOLE},
    {"refs.json", make_refs, HISTORY_NOW},
};

static bool format_has(const struct driver_ops *ops, size_t which)
{
    return (documents[which].make != make_schema || ops->describe_schema) &&
           (documents[which].make != make_properties || ops->describe_properties) &&
           (documents[which].make != make_retention || ops->retention) &&
           (documents[which].make != make_refs || ops->describe_refs);
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

/* Of which versions and names it is. */
static uint64_t hash_of_history(const struct history *h)
{
    uint64_t hash = h->live >= 0 ? h->at[h->live].fingerprint : 0;
    for (size_t i = 0; i < h->names_n; i++) {
        const struct history_name *name = &h->names[i];
        uint64_t parts[] = {hash, h->at[name->position].fingerprint, name->branch};
        hash = hash64(hash64(5, slice_make(parts, sizeof parts)), name->name);
    }
    return hash;
}

/* What the document's bytes depend on. */
static uint64_t key_of(const struct making *m, ptrdiff_t which)
{
    const struct version *v = &m->version->version;
    const struct history *h = documents[which].uses >= HISTORY_NOW ? m->history : NULL;
    uint64_t parts[] = {(uint64_t)which,  (uint64_t)v->number,
                        v->fingerprint,   h ? hash_of_history(h) : 0,
                        m->shown != NULL, m->shown ? m->shown->hash : 0};
    return hash64(hash64(2, table_id(m->table)), slice_make(parts, sizeof parts));
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

/* The history that the document is made of: NULL where it needs none. Parks. */
static int find_history(const struct document_of *of, ptrdiff_t which, struct task *task,
                        struct history **out, size_t *versions, struct err *err)
{
    AUTO(history) struct history *all = NULL;
    if (documents[which].uses == NO_HISTORY)
        return 0;
    if (documents[which].uses == HISTORY_WHOLE) /* what removes files is no matter of --as-of */
        return table_whole_history(of->table, task, out, versions, err);
    int rc = table_history(of->table, task, &all, err);
    if (rc == 0 && documents[which].uses == HISTORY_NOW)
        *out = STEAL(all);
    if (rc < 0 || *out)
        return rc;
    /* what is said of it does not change */
    size_t n = (size_t)(history_find(all, of->version->version.number) + 1);
    *out = history_cut(all, n, err);
    return *out ? 0 : -ENOMEM;
}

int document_open(struct document_cache *c, const struct document_of *of, struct task *task,
                  struct document **out, struct err *err)
{
    AUTO(history) struct history *h = NULL;
    ptrdiff_t which = find_document(table_ops(of->table), of->name);
    if (which < 0)
        return err_set(err, ENOENT, "no document %.*s", SLICE_FMT(of->name));
    struct making m = {.table = of->table, .version = of->version, .shown = of->shown, .err = err};
    bool first = documents[which].uses >= HISTORY_NOW;
    int rc = first ? find_history(of, which, task, &h, &m.versions, err) : 0;
    if (rc < 0)
        return rc;
    m.history = h;
    uint64_t key = key_of(&m, which);
    *out = find_kept(c, key);
    if (*out)
        return 0;
    rc = task_to_worker(task, table_lake(of->table)->config.workers);
    if (rc == 0 && !first)
        rc = find_history(of, which, task, &h, &m.versions, err);
    if (rc < 0)
        return rc;
    m.history = h;
    buf_init(&m.out, DOCUMENT_BYTES_MAX);
    rc = make(c, &m, which, out);
    buf_done(&m.out);
    if (rc < 0)
        return rc;
    (*out)->key = key;
    keep(c, *out);
    return 0;
}
