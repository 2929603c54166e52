/* SPDX-License-Identifier: Apache-2.0 */
/* Which versions of a table are archived: for formats whose newest log forgets older versions. */
#include "base/text.h"
#include "lake/archive/overlay_private.h"

/* The versions of the table at that prefix: 1, 0 there are none, or -errno. */
static int find_places(struct overlay *o, const char *prefix, struct archive_places *out,
                       struct archive_listing **listing, struct err *err)
{
    AUTO(buf) struct buf url = {0}, table = {0};
    struct archive_places places;
    buf_init(&url, URL_BYTES_MAX + KEY_BYTES_MAX);
    buf_init(&table, KIB);
    archive_table_url(&o->store, slice_of(prefix), &url);
    archive_table_key(buf_slice(&url), &table);
    int rc = buf_check(&url, err);
    if (rc == 0)
        rc = overlay_listing(o, listing, err);
    if (rc < 0)
        return rc;
    places.listing = *listing;
    if (!archive_listing_find(*listing, buf_slice(&table), &places.first, &places.end))
        return 0;
    *out = places;
    return 1;
}

int overlay_kept(struct store *s, const char *prefix, int (*emit)(void *arg, int64_t version),
                 void *arg, struct err *err)
{
    AUTO(archive_listing) struct archive_listing *listing = NULL;
    struct archive_places p;
    int rc = find_places(overlay_of(s), prefix, &p, &listing, err);
    if (rc <= 0)
        return rc;
    rc = 0;
    for (size_t i = p.first; rc == 0 && i < p.end; i++)
        if (listing->at[i].version >= 0)
            rc = emit(arg, listing->at[i].version);
    return rc;
}

struct telling {
    struct archive *archive;
    const char *prefix;
    int (*emit)(void *arg, const struct store_entry *entry);
    void *arg;
    bool found;
};

/* An object of the log that lies below the table; others have the scheme of a URL in their names.
 */
static int tell_object(const struct telling *t, const struct archive_object *o, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    if (o->kind != ARCHIVE_LOG || (o->name.n && memmem(o->name.p, o->name.n, "://", 3)))
        return 0;
    buf_init(&key, KEY_BYTES_MAX);
    buf_add_str(&key, t->prefix);
    text_percent_decode(&key, o->name);
    int rc = buf_check(&key, err);
    if (rc < 0)
        return rc;
    struct store_entry e = {
        .key = buf_slice(&key), .size = o->content.size, .mtime_ms = o->mtime_ms, .etag = o->etag};
    return t->emit(t->arg, &e);
}

static int tell_version(void *arg, struct archive_version *v, struct err *err)
{
    struct telling *t = arg;
    AUTO(archive_list) struct archive_list list = {.fd = -1};
    struct archive_object o;
    t->found = true;
    int rc = archive_list_open(t->archive, &v->manifest.list, &list, err);
    while (rc == 0) {
        rc = archive_list_next(&list, &o, err);
        if (rc <= 0)
            break;
        rc = tell_object(t, &o, err);
    }
    return rc;
}

int overlay_kept_log(struct store *s, const char *prefix, int64_t version,
                     int (*emit)(void *arg, const struct store_entry *entry), void *arg,
                     struct err *err)
{
    AUTO(archive_listing) struct archive_listing *listing = NULL;
    struct overlay *o = overlay_of(s);
    struct telling t = {o->archive, prefix, emit, arg, false};
    struct archive_places p;
    int rc = find_places(o, prefix, &p, &listing, err);
    if (rc < 0)
        return rc;
    for (size_t i = rc ? p.first : 0; rc && i < p.end; i++)
        if (listing->at[i].version == version) {
            rc = archive_each_version(o->archive, (struct archive_places){listing, i, i + 1},
                                      tell_version, &t, err);
            break;
        }
    return t.found || rc < 0
               ? rc
               : err_set(err, ENOENT, "version %lld is not archived", (long long)version);
}
