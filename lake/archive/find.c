/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/archive/find.h"

#include "base/text.h"

/* What is archived from now on is found so much later, where home loses it within that time. */
#define LISTING_MS 10000

void archive_table_url(const struct store *s, struct slice prefix, struct buf *out)
{
    store_object_url(s, prefix, out);
    while (out->len && out->data[out->len - 1] == '/')
        out->data[--out->len] = '\0';
}

int archive_find_listing(struct archive *a, struct archive_listing **out, struct err *err)
{
    int rc = archive_listing_get(a, LISTING_MS, out, err);
    /* what was heard before is better than nothing */
    return rc < 0 && archive_listing_known(a, out) ? 0 : rc;
}

int archive_each_version(struct archive *a, struct archive_places places,
                         int (*take)(void *arg, struct archive_version *v, struct err *err),
                         void *arg, struct err *err)
{
    const struct archive_listing *l = places.listing;
    int rc = 0;
    for (size_t i = places.end; rc == 0 && i > places.first; i--) {
        AUTO(archive_version) struct archive_version *v = NULL;
        if (l->at[i - 1].version < 0)
            continue;
        rc = archive_version_get(a, &l->at[i - 1], &v, err);
        if (rc == -ENOENT) { /* dropped since it was listed */
            rc = 0;
            continue;
        }
        if (rc == 0)
            rc = take(arg, v, err);
    }
    return rc;
}

struct looking {
    struct archive *archive;
    struct slice url;
    const char *etag;
    struct buf name;
    uint8_t searched[SHA256_BYTES]; /* the list that was searched last: neighbours share them */
    bool any;
    struct archive_found *out;
};

static int search_list(struct looking *l, struct archive_list *list, struct err *err)
{
    struct archive_object o;
    int rc = archive_list_find(list, buf_slice(&l->name), &o, err);
    if (rc <= 0 || (l->etag && !slice_is(o.etag, l->etag)))
        return rc < 0 ? rc : 0;
    *l->out = (struct archive_found){.content = o.content, .mtime_ms = o.mtime_ms};
    memcpy(l->out->etag, o.etag.p, o.etag.n); /* shorter: archive_object_parse */
    return 1;
}

static int search_version(void *arg, struct archive_version *v, struct err *err)
{
    struct looking *l = arg;
    AUTO(archive_list) struct archive_list list = {.fd = -1};
    const struct manifest *m = &v->manifest;
    if (l->any && memcmp(l->searched, m->list.sha256, SHA256_BYTES) == 0)
        return 0;
    l->any = true;
    memcpy(l->searched, m->list.sha256, SHA256_BYTES);
    buf_reset(&l->name);
    archive_name(slice_of(m->table), l->url, &l->name);
    int rc = buf_check(&l->name, err);
    if (rc == 0)
        rc = archive_list_open(l->archive, &m->list, &list, err);
    return rc < 0 ? rc : search_list(l, &list, err);
}

/* The tables that the URL lies below, the nearest first. */
static int search_above(struct looking *l, const struct archive_listing *listing, struct err *err)
{
    AUTO(buf) struct buf table = {0};
    int rc = 0;
    buf_init(&table, KIB);
    struct slice dir = l->url;
    while (rc == 0 && (dir = text_dirname(dir)).n) {
        size_t first, end;
        archive_table_key(dir, &table);
        if (archive_listing_find(listing, buf_slice(&table), &first, &end))
            rc = archive_each_version(l->archive, (struct archive_places){listing, first, end},
                                      search_version, l, err);
    }
    return rc;
}

/* The tables that name objects elsewhere: a place of version -1 stands before theirs. */
static int search_outside(struct looking *l, const struct archive_listing *listing, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < listing->n; i++) {
        size_t first, end;
        if (listing->at[i].version < 0 &&
            archive_listing_find(listing, slice_of(listing->at[i].table), &first, &end))
            rc = archive_each_version(l->archive, (struct archive_places){listing, first, end},
                                      search_version, l, err);
    }
    return rc;
}

int archive_find(struct archive *a, struct slice url, const char *etag, struct archive_found *out,
                 struct err *err)
{
    AUTO(archive_listing) struct archive_listing *listing = NULL;
    struct looking l = {.archive = a, .url = url, .etag = etag, .out = out};
    int rc = archive_find_listing(a, &listing, err);
    if (rc < 0)
        return rc;
    buf_init(&l.name, LIST_LINE_BYTES_MAX);
    rc = search_above(&l, listing, err);
    if (rc == 0)
        rc = search_outside(&l, listing, err);
    buf_done(&l.name);
    return rc;
}
