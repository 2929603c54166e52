/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/archive/drop.h"

#include "base/lock.h"
#include "base/vec.h"
#include "cache/store/write.h"
#include "lake/archive/lease.h"
#include "lake/archive/side.h"

/* Contents of one store that are looked at at once. */
#define CONTENTS_MAX ((size_t)1 << 26)

struct content {
    uint8_t sha256[SHA256_BYTES];
    uint64_t size, stored;
    bool needed;
};

struct contents {
    struct content *at;
    size_t n, capacity, max;
};

static int compare(const void *x, const void *y)
{
    const struct content *a = x, *b = y;
    return memcmp(a->sha256, b->sha256, SHA256_BYTES);
}

static void sort(struct contents *all)
{
    if (all->n)
        qsort(all->at, all->n, sizeof all->at[0], compare);
}

/* Calls take for each content that a version consists of, its list first. */
static int each_content(struct archive *a, const struct manifest *m,
                        int (*take)(void *arg, const struct archive_content *c, struct err *err),
                        void *arg, struct err *err)
{
    AUTO(archive_list) struct archive_list list = {.fd = -1};
    struct archive_object o;
    int rc = take(arg, &m->list, err);
    if (rc == 0)
        rc = archive_list_open(a, &m->list, &list, err);
    while (rc == 0 && (rc = archive_list_next(&list, &o, err)) == 1)
        rc = take(arg, &o.content, err);
    return rc < 0 ? err_wrap(err, "version %lld of %s", (long long)m->version, m->table) : 0;
}

/* Verifying */

struct verifying {
    struct archive *archive;
    const struct archive_listener *listener;
    struct contents contents;
    struct lock lock;
    struct archive_report report; /* lock */
};

static int add_content(void *arg, const struct archive_content *c, struct err *err)
{
    struct verifying *v = arg;
    struct content one = {.size = c->size, .stored = c->stored};
    memcpy(one.sha256, c->sha256, SHA256_BYTES);
    int rc = vec_push(&v->contents, one);
    return rc < 0 ? err_set(err, -rc, "no room for %zu contents", v->contents.n) : 0;
}

static int verify_one(void *arg, unsigned thread, size_t i, struct err *err)
{
    struct verifying *v = arg;
    const struct content *one = &v->contents.at[i];
    struct archive_content c = {.size = one->size, .stored = one->stored};
    struct err e = ERR_INIT;
    (void)thread;
    if (i && compare(one - 1, one) == 0)
        return 0; /* several objects have it */
    memcpy(c.sha256, one->sha256, SHA256_BYTES);
    int rc = archive_verify(v->archive, &c, NULL, NULL, &e);
    bool wrong = rc == -EBADMSG || rc == -ENOENT;
    WITH_LOCK (&v->lock) {
        v->report.objects++;
        v->report.bytes += c.stored;
        v->report.damaged += rc == -EBADMSG;
        v->report.missing += rc == -ENOENT;
        if (wrong)
            v->listener->wrong(v->listener->arg, e.msg);
    }
    return rc < 0 && !wrong ? err_copy(err, &e) : 0;
}

static int tick(void *arg, struct err *err)
{
    struct verifying *v = arg;
    struct archive_report r;
    WITH_LOCK (&v->lock)
        r = v->report;
    return v->listener->tick ? v->listener->tick(v->listener->arg, &r, err) : 0;
}

/* A list that is damaged hides what it names: that is told, and the rest looked at. */
static int add_version(struct verifying *v, const struct manifest *m, struct err *err)
{
    struct err e = ERR_INIT;
    int rc = each_content(v->archive, m, add_content, v, &e);
    if (rc != -EIO && rc != -ENOENT)
        return rc < 0 ? err_copy(err, &e) : 0;
    v->listener->wrong(v->listener->arg, e.msg);
    v->report.damaged++;
    return 0;
}

int archive_verify_versions(struct archive *a, struct archive_version *const *versions, size_t n,
                            const struct archive_listener *l, struct archive_report *out,
                            struct err *err)
{
    struct verifying v = {.archive = a, .listener = l, .contents = VEC_MAX(CONTENTS_MAX)};
    struct side side = {verify_one, tick, &v, l->threads};
    int rc = 0;
    lock_init(&v.lock);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = add_version(&v, &versions[i]->manifest, err);
    sort(&v.contents);
    if (rc == 0)
        rc = side_run(&side, v.contents.n, err);
    lock_done(&v.lock);
    vec_done(&v.contents);
    *out = v.report;
    if (rc == 0 && (v.report.damaged || v.report.missing))
        rc = err_set(err, EIO, "%llu contents are damaged, %llu are missing",
                     (unsigned long long)v.report.damaged, (unsigned long long)v.report.missing);
    return rc;
}

/* Removing */

int archive_drop_version(struct archive *a, const struct archive_place *place, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    struct store *s = archive_store(a);
    struct store_info info;
    buf_init(&key, KIB);
    buf_addf(&key, "%s%020lld.json", place->table, (long long)place->version);
    int rc = buf_check(&key, err);
    if (rc == 0)
        rc = s->ops->head(s, key.data, &info, err);
    if (rc == 0)
        rc = store_remove(s, key.data, err);
    archive_forget(a);
    return rc;
}

struct sweeping {
    struct archive *archive;
    struct contents contents; /* that are stored, in order */
    struct err *err;
};

static int add_stored(void *arg, const struct store_entry *e)
{
    struct sweeping *s = arg;
    struct content one = {.stored = e->size};
    if (e->is_prefix || !archive_content_parse(e->key, one.sha256))
        return 0; /* nothing of ours */
    int rc = vec_push(&s->contents, one);
    return rc < 0 ? err_set(s->err, -rc, "no room for %zu contents", s->contents.n) : 0;
}

static int set_needed(void *arg, const struct archive_content *c, struct err *err)
{
    struct sweeping *s = arg;
    struct content key;
    (void)err;
    memcpy(key.sha256, c->sha256, SHA256_BYTES);
    struct content *found =
        s->contents.n ? bsearch(&key, s->contents.at, s->contents.n, sizeof key, compare) : NULL;
    if (found)
        found->needed = true;
    return 0;
}

/* What versions name; one that cannot be read stops it, as nobody knows what that needs. */
static int find_needed(struct sweeping *s, struct err *err)
{
    AUTO(archive_listing) struct archive_listing *listing = NULL;
    int rc = archive_listing_get(s->archive, 0, &listing, err);
    for (size_t i = 0; rc == 0 && i < listing->n; i++) {
        AUTO(archive_version) struct archive_version *v = NULL;
        if (listing->at[i].version < 0)
            continue;
        rc = archive_version_get(s->archive, &listing->at[i], &v, err);
        if (rc == 0)
            rc = each_content(s->archive, &v->manifest, set_needed, s, err);
        else if (rc == -ENOENT) /* somebody else has dropped it meanwhile */
            rc = 0;
    }
    return rc;
}

static int remove_rest(struct sweeping *s, struct lease *lease, const struct archive_listener *l,
                       struct archive_report *out, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    struct store *store = archive_store(s->archive);
    int rc = 0;
    buf_init(&key, KIB);
    for (size_t i = 0; rc == 0 && i < s->contents.n; i++) {
        const struct content *c = &s->contents.at[i];
        out->objects++;
        out->bytes += c->stored;
        if (c->needed)
            continue;
        archive_content_key(c->sha256, &key);
        rc = buf_check(&key, err);
        if (rc == 0)
            rc = lease_renew(lease, err);
        if (rc == 0)
            rc = store_remove(store, key.data, err);
        out->removed += rc == 0;
        out->removed_bytes += rc == 0 ? c->stored : 0;
        if (rc == 0 && l->tick)
            rc = l->tick(l->arg, out, err);
    }
    return rc;
}

int archive_sweep(struct archive *a, const struct archive_listener *l, struct archive_report *out,
                  struct err *err)
{
    struct sweeping s = {.archive = a, .contents = VEC_MAX(CONTENTS_MAX), .err = err};
    struct lease lease;
    struct store *store = archive_store(a);
    struct store_list req = {
        .prefix = "objects/", .recursive = true, .emit = add_stored, .arg = &s};
    *out = (struct archive_report){0};
    int rc = lease_take(&lease, a, LEASE_DROP, err);
    if (rc < 0)
        return rc;
    archive_forget(a);
    rc = store->ops->list(store, &req, err);
    sort(&s.contents);
    if (rc == 0)
        rc = find_needed(&s, err);
    if (rc == 0)
        rc = remove_rest(&s, &lease, l, out, err);
    lease_end(&lease);
    vec_done(&s.contents);
    return rc;
}
