/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listings: home's, with what it has lost of a log.
 *
 * A log of which home has lost the beginning still has the versions that are archived, if their
 * part of it is put before what home has. That must be the same log, not that of a table that stood
 * at this path before: of an archived version's part each file is either at home as it was, or it
 * comes before all that home has. Files are compared by their names, whose digits in front are
 * versions.
 */
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/text.h"
#include "base/vec.h"
#include "lake/archive/overlay_private.h"

/* Files of one log, by archived versions and at home. */
#define LOG_FILES_MAX ((size_t)1 << 20)

/* A file of a log. Owned by the list that it stands in. */
struct log_file {
    char *key; /* in the store */
    uint64_t size;
    int64_t mtime_ms;
    char *etag;
};

struct log_part {
    struct log_file *at; /* of one archived version */
    size_t n, capacity, max;
    int64_t archived_ms;
};

struct merge {
    struct overlay *overlay;
    const struct store_list *req;
    struct buf prefix_name; /* how names of a list begin that lie below the prefix */
    struct {
        struct log_part *at;
        size_t n, capacity, max;
    } parts;
    struct map home;        /* key -> struct log_file, of home */
    struct map told;        /* key -> struct log_file, of what was added */
    const char *home_first; /* the first of home's files that begin with a digit; NULL: none */
    int rc;
    struct err *err;
};

static void part_done(struct log_part *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->at[i].key);
        free(p->at[i].etag);
    }
    free(p->at);
}

static void merge_done(struct merge *m)
{
    const struct map_entry *e;
    for (size_t at = 0; (e = map_next(&m->home, &at));) {
        struct log_file *f = e->value;
        free(f->key);
        free(f->etag);
        free(f);
    }
    map_done(&m->home);
    map_done(&m->told);
    for (size_t i = 0; i < m->parts.n; i++)
        part_done(&m->parts.at[i]);
    free(m->parts.at);
    buf_done(&m->prefix_name);
}
DEFINE_AUTO_DONE(merge, struct merge, merge_done)

static const char *name_of(const struct merge *m, const struct log_file *f)
{
    return f->key + strlen(m->req->prefix);
}

static bool begins_with_digit(const char *name)
{
    return name[0] >= '0' && name[0] <= '9';
}

/* What archived versions have */

/* One object of a version's list, where it is of the log and is asked for. */
static int take_object(struct merge *m, struct log_part *part, const struct archive_object *o)
{
    AUTO(buf) struct buf key = {0};
    buf_init(&key, KEY_BYTES_MAX);
    struct slice rest = slice_from(o->name, m->prefix_name.len);
    if (o->kind != ARCHIVE_LOG || !rest.n || (!m->req->recursive && slice_find(rest, '/') >= 0))
        return 0;
    buf_add_str(&key, m->req->prefix);
    text_percent_decode(&key, rest);
    int rc = buf_check(&key, m->err);
    if (rc < 0)
        return rc;
    struct log_file f = {.key = strndup(key.data, key.len),
                         .size = o->content.size,
                         .mtime_ms = o->mtime_ms,
                         .etag = strndup(o->etag.p ? o->etag.p : "", o->etag.n)};
    rc = f.key && f.etag ? vec_push(part, f) : -ENOMEM;
    if (rc == 0)
        return 0;
    free(f.key);
    free(f.etag);
    return err_set(m->err, -rc, "no room for the log of an archived version");
}

static int read_part(struct merge *m, const struct manifest *manifest, struct log_part *part)
{
    AUTO(archive_list) struct archive_list list = {.fd = -1};
    struct archive_object o;
    int rc = archive_list_open(m->overlay->archive, &manifest->list, &list, m->err);
    if (rc == 0)
        rc = archive_list_seek(&list, buf_slice(&m->prefix_name), m->err);
    while (rc == 0) {
        rc = archive_list_next(&list, &o, m->err);
        if (rc <= 0 || !slice_starts(o.name, buf_slice(&m->prefix_name)))
            return rc < 0 ? rc : 0;
        rc = take_object(m, part, &o);
    }
    return rc;
}

static int take_version(void *arg, struct archive_version *v, struct err *err)
{
    struct merge *m = arg;
    struct log_part part = {.max = LOG_FILES_MAX, .archived_ms = v->manifest.archived_ms};
    (void)err; /* it is m->err */
    int rc = read_part(m, &v->manifest, &part);
    if (rc == 0 && part.n)
        rc = vec_push(&m->parts, part);
    else
        part_done(&part);
    return rc;
}

/* The archived table that the prefix lies in, and its versions' parts of what stands there. */
static int read_parts(struct merge *m)
{
    AUTO(archive_listing) struct archive_listing *listing = NULL;
    AUTO(buf) struct buf url = {0}, table = {0};
    buf_init(&url, URL_BYTES_MAX + KEY_BYTES_MAX);
    buf_init(&table, KIB);
    archive_table_url(&m->overlay->store, slice_of(m->req->prefix), &url);
    int rc = buf_check(&url, m->err);
    if (rc == 0)
        rc = overlay_listing(m->overlay, &listing, m->err);
    struct slice dir = buf_slice(&url);
    while (rc == 0 && m->parts.n == 0 && (dir = text_dirname(dir)).n) {
        size_t first, end;
        archive_table_key(dir, &table);
        if (!archive_listing_find(listing, buf_slice(&table), &first, &end))
            continue;
        buf_reset(&m->prefix_name);
        archive_name(dir, buf_slice(&url), &m->prefix_name);
        buf_add_char(&m->prefix_name, '/');
        rc = archive_each_version(m->overlay->archive, (struct archive_places){listing, first, end},
                                  take_version, m, m->err);
    }
    return rc;
}

/* Some of it comes behind what the caller has already. */
static bool is_wanted(const struct merge *m)
{
    const char *after = m->req->start_after;
    for (size_t i = 0; i < m->parts.n; i++)
        for (size_t k = 0; k < m->parts.at[i].n; k++)
            if (!after || strcmp(m->parts.at[i].at[k].key, after) > 0)
                return true;
    return false;
}

/* What home has */

static int keep_home(struct merge *m, const struct store_entry *e)
{
    struct log_file *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    f->key = strndup(e->key.p, e->key.n);
    f->etag = strndup(e->etag.p ? e->etag.p : "", e->etag.n);
    f->size = e->size;
    int rc = f->key && f->etag ? 0 : -ENOMEM;
    if (rc == 0 && map_find(&m->home, slice_of(f->key)))
        rc = 1; /* told twice */
    if (rc == 0)
        rc = map_put(&m->home, slice_of(f->key), f);
    if (rc != 0) {
        free(f->key);
        free(f->etag);
        free(f);
        return rc < 0 ? err_set(m->err, -rc, "no room for a log of %zu files", LOG_FILES_MAX) : 0;
    }
    const char *name = name_of(m, f);
    if (begins_with_digit(name) && (!m->home_first || strcmp(name, m->home_first) < 0))
        m->home_first = name;
    return 0;
}

/* All of home is listed, as it tells what its log is; the caller is told what he asked for. */
static int take_home(void *arg, const struct store_entry *e)
{
    struct merge *m = arg;
    const char *after = m->req->start_after;
    bool below = slice_starts(e->key, slice_of(m->req->prefix));
    m->rc = e->is_prefix || !below ? 0 : keep_home(m, e);
    if (m->rc < 0)
        return m->rc;
    if (after && slice_cmp(e->key, slice_of(after)) <= 0)
        return 0;
    return m->req->emit(m->req->arg, e);
}

/* What is put before it */

static bool is_same(const struct log_file *a, const struct log_file *b)
{
    return a->size == b->size && strcmp(a->etag, b->etag) == 0;
}

/* It is a part of the log that home has (the end of), and of what was told already. */
static bool belongs(const struct merge *m, const struct log_part *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct log_file *f = &p->at[i];
        const struct log_file *home = map_find(&m->home, slice_of(f->key));
        const struct log_file *told = map_find(&m->told, slice_of(f->key));
        const char *name = name_of(m, f);
        if ((home && !is_same(f, home)) || (told && !is_same(f, told)))
            return false;
        if (!home && m->home_first && begins_with_digit(name) && strcmp(name, m->home_first) > 0)
            return false;
    }
    return true;
}

static int tell_part(struct merge *m, struct log_part *p)
{
    const char *after = m->req->start_after;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < p->n; i++) {
        struct log_file *f = &p->at[i];
        struct slice key = slice_of(f->key);
        if (map_find(&m->home, key) || map_find(&m->told, key))
            continue;
        rc = map_put(&m->told, key, f);
        if (rc < 0)
            return err_set(m->err, -rc, "no room for a log of %zu files", LOG_FILES_MAX);
        struct store_entry e = {
            .key = key, .size = f->size, .mtime_ms = f->mtime_ms, .etag = slice_of(f->etag)};
        if (!after || strcmp(f->key, after) > 0)
            rc = m->req->emit(m->req->arg, &e);
    }
    return rc;
}

static int compare_parts(const void *x, const void *y)
{
    const struct log_part *a = x, *b = y;
    return (a->archived_ms < b->archived_ms) - (a->archived_ms > b->archived_ms);
}

/* What was archived last first: where two contradict each other, it counts. */
static int tell_parts(struct merge *m)
{
    int rc = 0;
    qsort(m->parts.at, m->parts.n, sizeof m->parts.at[0], compare_parts);
    for (size_t i = 0; rc == 0 && i < m->parts.n; i++)
        if (belongs(m, &m->parts.at[i]))
            rc = tell_part(m, &m->parts.at[i]);
    return rc;
}

static int list_home(struct overlay *o, const struct store_list *req, struct err *err)
{
    return o->home ? o->home->ops->list(o->home, req, err) : 0;
}

int overlay_list(struct store *s, const struct store_list *req, struct err *err)
{
    AUTO(merge) struct merge m = {.overlay = overlay_of(s), .req = req};
    struct err e = ERR_INIT;
    m.err = &e;
    m.parts.max = LOG_FILES_MAX;
    buf_init(&m.prefix_name, LIST_LINE_BYTES_MAX);
    map_init(&m.home, LOG_FILES_MAX);
    map_init(&m.told, LOG_FILES_MAX);
    int rc = req->prefix[0] ? read_parts(&m) : 0;
    if (rc < 0) /* what home has is there all the same */
        log_debug("archive: %s is listed as home has it: %s", req->prefix, e.msg);
    if (rc < 0 && !m.overlay->home)
        return err_copy(err, &e);
    if (rc < 0 || !is_wanted(&m))
        return list_home(m.overlay, req, err);
    struct store_list all = {
        .prefix = req->prefix, .recursive = req->recursive, .emit = take_home, .arg = &m};
    rc = list_home(m.overlay, &all, err);
    if (m.rc < 0)
        return err_copy(err, &e);
    if (rc != 0)
        return rc;
    e = (struct err)ERR_INIT;
    rc = tell_parts(&m);
    return rc < 0 && e.code ? err_copy(err, &e) : rc;
}

/* Moments */

struct moment {
    struct overlay *overlay;
    const struct store_list *req;
    bool found;
};

/* The objects of an archived moment, as a listing of then. */
static int emit_moment(void *arg, struct archive_version *v, struct err *err)
{
    struct moment *t = arg;
    AUTO(archive_list) struct archive_list list = {.fd = -1};
    AUTO(buf) struct buf key = {0};
    struct archive_object o;
    buf_init(&key, 2 * KEY_BYTES_MAX);
    int rc = archive_list_open(t->overlay->archive, &v->manifest.list, &list, err);
    while (rc == 0 && (rc = archive_list_next(&list, &o, err)) == 1) {
        buf_reset(&key);
        buf_add_str(&key, t->req->prefix);
        text_percent_decode(&key, o.name);
        rc = buf_check(&key, err);
        struct store_entry e = {
            .key = buf_slice(&key), .size = o.content.size, .mtime_ms = o.mtime_ms, .etag = o.etag};
        if (rc == 0)
            rc = t->req->emit(t->req->arg, &e);
    }
    t->found = true;
    return rc;
}

/* 1: it was archived, and is listed; 0: it was not; -errno; or what emit has returned. */
static int list_archived(struct moment *t, int64_t time_ms, int *emitted, struct err *err)
{
    AUTO(archive_listing) struct archive_listing *listing = NULL;
    AUTO(buf) struct buf url = {0}, table = {0};
    size_t first, end;
    buf_init(&url, URL_BYTES_MAX + KEY_BYTES_MAX);
    buf_init(&table, KIB);
    archive_table_url(&t->overlay->store, slice_of(t->req->prefix), &url);
    archive_table_key(buf_slice(&url), &table);
    int rc = buf_check(&url, err);
    if (rc == 0)
        rc = archive_find_listing(t->overlay->archive, &listing, err);
    if (rc < 0 || !archive_listing_find(listing, buf_slice(&table), &first, &end))
        return rc;
    for (; first < end; first++)
        if (listing->at[first].version == time_ms) {
            *emitted = archive_each_version(t->overlay->archive,
                                            (struct archive_places){listing, first, first + 1},
                                            emit_moment, t, err);
            return t->found || *emitted < 0 ? 1 : 0;
        }
    return 0;
}

int overlay_list_at(struct store *s, const struct store_list *req, int64_t time_ms, struct err *err)
{
    struct overlay *o = overlay_of(s);
    struct moment t = {o, req, false};
    struct err e = ERR_INIT;
    int emitted = 0, rc = list_archived(&t, time_ms, &emitted, &e);
    if (rc == 1)
        return emitted < 0 && e.code ? err_copy(err, &e) : emitted;
    if (o->home && o->home->ops->list_at)
        return o->home->ops->list_at(o->home, req, time_ms, err);
    if (rc < 0)
        return err_copy(err, &e);
    return err_set(err, ENOENT,
                   "its store keeps no versions, and nothing of that moment is archived");
}
