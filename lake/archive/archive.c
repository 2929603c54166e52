/* SPDX-License-Identifier: Apache-2.0 */
/* Which versions an archive store has. */
#include "lake/archive/archive.h"

#include "base/clock.h"
#include "base/vec.h"
#include "lake/archive/archive_private.h"

/* Versions of one store: a version a day of a thousand tables, for years. */
#define PLACES_MAX ((size_t)1 << 22)

void archive_listing_unref(struct archive_listing *l)
{
    if (!l || --l->refs > 0)
        return;
    for (size_t i = 0; i < l->n; i++)
        free(l->at[i].table);
    free(l->at);
    free(l);
}

void archive_version_unref(struct archive_version *v)
{
    if (v && --v->refs == 0)
        free(v);
}

struct archive *archive_new(struct store *store, int scratch_dirfd, struct err *err)
{
    struct archive *a = calloc(1, sizeof *a);
    if (!a) {
        (void)store_leave(store);
        store_free(store);
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    a->store = store;
    a->scratch_dirfd = scratch_dirfd;
    lock_init(&a->lock);
    for (size_t i = 0; i < FILES_MAX_OPEN; i++)
        a->files[i].fd = -1;
    return a;
}

static void drop_manifests(struct archive *a)
{
    for (size_t i = 0; i < a->manifests_n; i++) {
        free(a->manifests[i].key);
        archive_version_unref(a->manifests[i].version);
    }
    free(a->manifests);
    a->manifests = NULL;
    a->manifests_n = 0;
}

void archive_free(struct archive *a)
{
    if (!a)
        return;
    drop_manifests(a);
    archive_listing_unref(a->listing);
    archive_contents_done(a);
    (void)store_leave(a->store); /* nothing of ours is under way */
    store_free(a->store);
    lock_done(&a->lock);
    free(a);
}

struct store *archive_store(const struct archive *a)
{
    return a->store;
}

void archive_forget(struct archive *a)
{
    WITH_LOCK (&a->lock) {
        drop_manifests(a);
        archive_listing_unref(a->listing);
        a->listing = NULL;
    }
}

/* listing */

struct heard {
    struct archive_listing *listing;
    struct err *err;
};

static bool parse_place(struct slice key, struct slice *table, int64_t *version)
{
    ptrdiff_t slash = slice_rfind(key, '/');
    if (slash < 0 || !slice_is(slice_from(key, (size_t)slash + 1), ARCHIVE_OUTSIDE))
        return archive_version_parse(key, table, version);
    *table = slice_make(key.p, (size_t)slash + 1);
    *version = -1;
    return true;
}

static int add_place(void *arg, const struct store_entry *e)
{
    struct heard *h = arg;
    struct slice table;
    int64_t version;
    if (e->is_prefix || !parse_place(e->key, &table, &version))
        return 0; /* nothing of ours */
    struct archive_place place = {strndup(table.p, table.n), version};
    int rc = place.table ? vec_push(h->listing, place) : -ENOMEM;
    if (rc == 0)
        return 0;
    free(place.table);
    return err_set(h->err, -rc, "more than %zu versions are archived", PLACES_MAX);
}

static int compare_places(const void *x, const void *y)
{
    const struct archive_place *a = x, *b = y;
    int c = strcmp(a->table, b->table);
    return c ? c : (a->version > b->version) - (a->version < b->version);
}

static int hear(struct archive *a, struct archive_listing **out, struct err *err)
{
    AUTO(archive_listing) struct archive_listing *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(err, ENOMEM, "out of memory");
    l->refs = 1;
    l->max = PLACES_MAX;
    l->heard_ms = clock_mono_ms();
    struct heard h = {l, err};
    struct store_list req = {.prefix = "tables/", .recursive = true, .emit = add_place, .arg = &h};
    int rc = a->store->ops->list(a->store, &req, err);
    if (rc < 0)
        return err_wrap(err, "archive %s", a->store->url);
    if (l->n)
        qsort(l->at, l->n, sizeof l->at[0], compare_places);
    *out = STEAL(l);
    return 0;
}

int archive_listing_get(struct archive *a, int64_t max_age_ms, struct archive_listing **out,
                        struct err *err)
{
    struct archive_listing *l = NULL;
    struct err failed = ERR_INIT;
    WITH_LOCK (&a->lock) {
        int64_t now_ms = clock_mono_ms();
        if (a->listing && now_ms - a->listing->heard_ms <= max_age_ms) {
            l = a->listing;
            l->refs++;
        } else if (a->listing_err.code && now_ms - a->failed_ms < LISTING_ERROR_MS) {
            failed = a->listing_err;
        }
    }
    if (failed.code)
        return err_copy(err, &failed);
    if (!l) {
        int rc = hear(a, &l, &failed);
        WITH_LOCK (&a->lock) {
            a->listing_err = rc < 0 ? failed : (struct err)ERR_INIT;
            a->failed_ms = clock_mono_ms();
        }
        if (rc < 0)
            return err_copy(err, &failed);
        WITH_LOCK (&a->lock) {
            archive_listing_unref(a->listing);
            a->listing = l;
            l->refs++;
        }
    }
    *out = l;
    return 0;
}

bool archive_listing_known(struct archive *a, struct archive_listing **out)
{
    bool known;
    WITH_LOCK (&a->lock) {
        known = a->listing != NULL;
        if (known) {
            a->listing->refs++;
            *out = a->listing;
        }
    }
    return known;
}

bool archive_listing_find(const struct archive_listing *l, struct slice table, size_t *first,
                          size_t *end)
{
    size_t low = 0, high = l->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slice_cmp(slice_of(l->at[middle].table), table) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *first = low;
    while (low < l->n && slice_is(table, l->at[low].table))
        low++;
    *end = low;
    return *end > *first;
}

/* manifests */

static struct archive_version *find_manifest(struct archive *a, const char *key)
{
    struct archive_version *v = NULL;
    WITH_LOCK (&a->lock)
        for (size_t i = 0; i < a->manifests_n && !v; i++)
            if (strcmp(a->manifests[i].key, key) == 0) {
                v = a->manifests[i].version;
                v->refs++;
            }
    return v;
}

/* Where there is no room it is read again. */
static void keep_manifest(struct archive *a, const char *key, struct archive_version *v)
{
    struct kept_manifest kept = {strdup(key), v};
    WITH_LOCK (&a->lock) {
        if (!a->manifests)
            a->manifests = calloc(MANIFESTS_MAX, sizeof *a->manifests);
        if (a->manifests_n == MANIFESTS_MAX)
            drop_manifests(a);
        if (a->manifests && kept.key) {
            v->refs++;
            a->manifests[a->manifests_n++] = kept;
            kept.key = NULL;
        }
    }
    free(kept.key);
}

/* What a manifest says must be of the place that it stands at. */
static int check_place(const struct manifest *m, const struct archive_place *place, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    buf_init(&key, KIB);
    archive_table_key(slice_of(m->table), &key);
    if (m->version != place->version || !slice_is(buf_slice(&key), place->table))
        return err_set(err, EIO, "it is of version %lld of %s", (long long)m->version, m->table);
    return buf_check(&key, err);
}

int archive_version_get(struct archive *a, const struct archive_place *place,
                        struct archive_version **out, struct err *err)
{
    AUTO(buf) struct buf key = {0}, text = {0};
    buf_init(&key, KIB);
    buf_init(&text, MANIFEST_BYTES_MAX);
    buf_addf(&key, "%s%020lld.json", place->table, (long long)place->version);
    int rc = buf_check(&key, err);
    if (rc < 0)
        return rc;
    AUTO(archive_version) struct archive_version *v = find_manifest(a, key.data);
    if (!v) {
        v = calloc(1, sizeof *v);
        if (!v)
            return err_set(err, ENOMEM, "out of memory");
        v->refs = 1;
        rc = store_read(a->store, key.data, &text, NULL, err);
        if (rc == 0)
            rc = manifest_parse(buf_slice(&text), &v->manifest, err);
        if (rc == 0)
            rc = check_place(&v->manifest, place, err);
        if (rc < 0)
            return err_wrap(err, "%s/%s", a->store->url, key.data);
        keep_manifest(a, key.data, v);
    }
    *out = STEAL(v);
    return 0;
}
