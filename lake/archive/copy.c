/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/archive/copy.h"

#include "base/clock.h"
#include "base/file.h"
#include "cache/store/write.h"
#include "lake/archive/check.h"
#include "lake/archive/digest.h"
#include "lake/archive/find.h"
#include "lake/archive/lease.h"
#include "lake/archive/needed.h"
#include "lake/archive/put.h"
#include "lake/archive/side.h"

/* One archiving on its way. */
struct copying {
    struct archive_copy *c;
    const char *table; /* URL */
    struct needed_list needed;
    struct lease lease;
    /* The version that was archived last, whose objects need not be read again: a handle a thread.
     */
    struct archive_version *before; /* NULL: there is none */
    struct archive_list lists[SIDE_THREADS_MAX];
    bool opened[SIDE_THREADS_MAX];
};

static int scratch(const struct copying *g)
{
    return g->c->config->index_dirfd;
}

/* One object */

/* It is archived already, by the version before: 1; 0: it is not, or cannot be told. */
static int take_known(struct copying *g, unsigned thread, struct needed *o)
{
    struct archive_object known;
    struct store_info info = {.size = o->size};
    const char *etag = o->etag;
    if (!g->before)
        return 0;
    if (!g->opened[thread] &&
        archive_list_open(g->c->archive, &g->before->manifest.list, &g->lists[thread], NULL) < 0)
        return 0;
    g->opened[thread] = true;
    if (archive_list_find(&g->lists[thread], slice_of(o->name), &known, NULL) != 1)
        return 0;
    if (!etag) { /* the log tells none: home does */
        if (o->store->ops->head(o->store, o->key, &info, NULL) < 0)
            return 0;
        etag = info.etag;
    }
    if (!etag[0] || !slice_is(known.etag, etag) ||
        (info.size != UINT64_MAX && info.size != known.content.size))
        return 0;
    o->content = known.content;
    o->mtime_ms = known.mtime_ms;
    o->etag_read = strdup(etag);
    return o->etag_read != NULL;
}

static int copy_content(struct copying *g, struct needed *o, struct err *err)
{
    AUTO_FD int fd = -1;
    char etag[ETAG_BYTES_MAX];
    uint64_t written = 0;
    struct archive_object read = {.name = slice_of(o->name)};
    struct put_source from = {.store = o->store,
                              .key = o->key,
                              .etag = o->etag,
                              .version = o->version,
                              .size = o->size,
                              .twice = g->c->plain_http};
    int rc = put_read(&from, scratch(g), &fd, &read, etag, err);
    if (rc == 0)
        rc = put_content(g->c->archive, scratch(g), fd, &read.content, &written, err);
    if (rc < 0)
        return rc;
    o->content = read.content;
    o->mtime_ms = read.mtime_ms;
    o->etag_read = strdup(etag);
    g->c->written += written;
    g->c->known += written == 0;
    return o->etag_read ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int copy_one(void *arg, unsigned thread, size_t i, struct err *err)
{
    struct copying *g = arg;
    struct needed *o = &g->needed.at[i];
    int rc = take_known(g, thread, o);
    if (rc == 1)
        g->c->known++;
    else
        rc = copy_content(g, o, err);
    if (rc < 0)
        return err_wrap(err, "%s", o->key);
    g->c->objects++;
    g->c->bytes += o->size == UINT64_MAX ? 0 : o->size;
    return 0;
}

static int tick(void *arg, struct err *err)
{
    struct copying *g = arg;
    int rc = lease_renew(&g->lease, err);
    return rc == 0 && g->c->tick ? g->c->tick(g->c->arg, g->c, err) : rc;
}

/* What makes it a version */

static int write_list(struct copying *g, struct archive_content *out, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    AUTO_FD int fd = -1;
    uint64_t written = 0;
    struct archive_object read;
    off_t at = 0;
    int rc = file_temporary(scratch(g), &fd, err);
    buf_init(&text, LIST_LINE_BYTES_MAX + MIB);
    AUTO(digest) struct digest *digest = digest_new(false, err);
    if (!digest)
        return -ENOMEM;
    for (size_t i = 0; rc == 0 && i <= g->needed.n; i++) {
        if (i < g->needed.n) {
            const struct needed *o = &g->needed.at[i];
            read = (struct archive_object){.name = slice_of(o->name),
                                           .kind = o->kind,
                                           .mtime_ms = o->mtime_ms,
                                           .etag = slice_of(o->etag_read),
                                           .content = o->content};
            archive_object_format(&read, &text);
            rc = buf_check(&text, err);
        }
        if (rc == 0 && text.len && (text.len >= MIB || i == g->needed.n)) {
            digest_add(digest, buf_slice(&text));
            rc = file_pwrite_full(fd, text.data, text.len, at, err);
            at += (off_t)text.len;
            buf_reset(&text);
        }
    }
    if (rc < 0)
        return rc;
    *out = (struct archive_content){.size = (uint64_t)at};
    digest_end(digest, out->sha256, NULL);
    rc = put_content(g->c->archive, scratch(g), fd, out, &written, err);
    g->c->written += written;
    return rc;
}

static void describe(const struct copying *g, struct manifest *m)
{
    const struct archive_copy *c = g->c;
    *m = (struct manifest){.version = c->version.number,
                           .timestamp_ms = c->version.timestamp_ms,
                           .archived_ms = clock_real_ms(),
                           .objects = g->needed.n,
                           .outside = g->needed.outside};
    (void)snprintf(m->table, sizeof m->table, "%s", g->table); /* no longer: archive_copy */
    (void)snprintf(m->format, sizeof m->format, "%s", c->driver->ops->format); /* short */
    if (c->snapshot) {
        m->files = snapshot_files(c->snapshot);
        m->bytes = snapshot_bytes(c->snapshot);
    }
    for (size_t i = 0; i < g->needed.n; i++)
        m->plain += g->needed.at[i].content.size;
}

/* The version exists from here on: 0, or 1 where somebody was quicker. */
static int write_manifest(struct copying *g, const struct manifest *m, struct err *err)
{
    AUTO(buf) struct buf key = {0}, text = {0};
    struct store *s = archive_store(g->c->archive);
    buf_init(&key, KIB);
    buf_init(&text, MANIFEST_BYTES_MAX);
    int rc = 0;
    if (m->outside) {
        archive_table_key(slice_of(g->table), &key);
        buf_add_str(&key, ARCHIVE_OUTSIDE);
        rc = buf_check(&key, err);
        if (rc == 0)
            rc = s->ops->put_if_absent(s, key.data, SLICE_LIT("outside\n"), err);
        rc = rc == -EEXIST ? 0 : rc;
    }
    archive_version_key(slice_of(g->table), m->version, &key);
    manifest_format(m, &text);
    if (rc == 0)
        rc = buf_check(&key, err);
    if (rc == 0)
        rc = buf_check(&text, err);
    if (rc == 0)
        rc = s->ops->put_if_absent(s, key.data, buf_slice(&text), err);
    archive_forget(g->c->archive);
    return rc == -EEXIST ? 1 : rc;
}

/* The version as it is archived: 1 and the manifest; 0 it is not. */
static int find_archived(const struct copying *g, struct manifest *out, struct err *err)
{
    AUTO(buf) struct buf table = {0};
    AUTO(archive_version) struct archive_version *v = NULL;
    buf_init(&table, KIB);
    archive_table_key(slice_of(g->table), &table);
    int rc = buf_check(&table, err);
    if (rc < 0)
        return rc;
    struct archive_place place = {table.data, g->c->version.number};
    rc = archive_version_get(g->c->archive, &place, &v, err);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    *out = v->manifest;
    return 1;
}

/* Of the same number is not of the same table, where another one stood at this path. */
static int check_archived(const struct copying *g, const struct manifest *m, struct err *err)
{
    const struct archive_copy *c = g->c;
    if (c->snapshot &&
        (m->files != snapshot_files(c->snapshot) || m->bytes != snapshot_bytes(c->snapshot)))
        return err_set(err, EEXIST,
                       "version %lld of another table is archived that was at this path: drop it, "
                       "or archive into another store",
                       (long long)m->version);
    return 1;
}

/* The newest version of the table that is archived. */
static int find_before(struct copying *g, struct err *err)
{
    AUTO(archive_listing) struct archive_listing *listing = NULL;
    AUTO(buf) struct buf table = {0};
    size_t first, end;
    buf_init(&table, KIB);
    archive_table_key(slice_of(g->table), &table);
    archive_forget(g->c->archive);
    int rc = archive_listing_get(g->c->archive, 0, &listing, err);
    if (rc < 0 || !archive_listing_find(listing, buf_slice(&table), &first, &end) ||
        listing->at[end - 1].version < 0)
        return rc;
    rc = archive_version_get(g->c->archive, &listing->at[end - 1], &g->before, err);
    return rc == -ENOENT ? 0 : rc;
}

/* The version is whole only if nobody has taken this archiver for dead meanwhile and removed what
 * no version named; and if it can be read from here alone. */
static int check_written(struct copying *g, const struct manifest *m, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    buf_init(&key, KIB);
    int rc = lease_check(&g->lease, err);
    if (rc == 0)
        rc = archive_check(g->c, m, err);
    if (rc == 0)
        return 0;
    archive_version_key(slice_of(g->table), m->version, &key);
    struct store *s = archive_store(g->c->archive);
    if (key.data && store_remove(s, key.data, NULL) < 0)
        (void)err_wrap(err, "%s/%s is to be removed by hand", s->url, key.data);
    archive_forget(g->c->archive);
    return rc;
}

/* Somebody has archived it, who may have been killed before he had looked at it. */
static int look_again(const struct copying *g, const struct manifest *m, struct err *err)
{
    int rc = check_archived(g, m, err);
    return rc < 0 || archive_check(g->c, m, err) == 0 ? rc : -err->code;
}

/* 1: it is archived and whole; 0: it is not, or somebody has dropped it while it was looked at. */
static int find_whole(const struct copying *g, struct manifest *out, struct err *err)
{
    struct err e = ERR_INIT;
    int rc = find_archived(g, out, err);
    if (rc != 1 || look_again(g, out, &e) == 0)
        return rc;
    archive_forget(g->c->archive);
    rc = find_archived(g, out, err);
    return rc == 1 ? err_copy(err, &e) : rc;
}

static int copy_version(struct copying *g, struct manifest *out, struct err *err)
{
    struct side side = {copy_one, tick, g, g->c->threads};
    int rc = find_before(g, err);
    if (rc == 0)
        rc = needed_find(g->c, slice_of(g->table), &g->needed, err);
    if (rc < 0)
        return rc;
    g->c->objects_all = g->needed.n;
    g->c->bytes_all = g->needed.bytes;
    rc = side_run(&side, g->needed.n, err);
    if (rc < 0)
        return rc;
    describe(g, out);
    rc = write_list(g, &out->list, err);
    if (rc == 0)
        rc = lease_check(&g->lease, err); /* before anybody can see it */
    if (rc == 0)
        rc = write_manifest(g, out, err);
    if (rc == 1) /* by somebody else, at the same time */
        rc = find_archived(g, out, err);
    else if (rc == 0)
        rc = check_written(g, out, err);
    return rc == 1 ? look_again(g, out, err) : rc;
}

int archive_copy(struct archive_copy *c, struct manifest *out, struct err *err)
{
    AUTO(buf) struct buf table = {0};
    struct copying g = {.c = c};
    buf_init(&table, sizeof out->table - 1);
    archive_table_url(c->config->store, slice_of(c->config->prefix), &table);
    int rc = buf_check(&table, err);
    if (rc < 0)
        return rc;
    g.table = table.data;
    rc = find_whole(&g, out, err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = lease_take(&g.lease, c->archive, LEASE_ARCHIVE, err);
    if (rc == 0)
        rc = copy_version(&g, out, err);
    lease_end(&g.lease);
    for (unsigned i = 0; i < SIDE_THREADS_MAX; i++)
        if (g.opened[i])
            archive_list_done(&g.lists[i]);
    archive_version_unref(g.before);
    needed_done(&g.needed);
    return rc;
}
