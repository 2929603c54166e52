/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "cache/store/class.h"
#include "cache/store/local_path.h"
#include "cache/store/write.h"
#include "lake/archive/overlay_private.h"

/* Reads of what is gone wait for the archive store there, each on a thread. */
#define WORKERS 8
#define LOCAL_WORKERS 4
#define LOST_MS 60000
#define LISTING_MS 10000
/* Of a request to the archive store: what home has waits no longer for one that is dead. */
#define DEADLINE_MS 20000
#define STORE_NAME "archive"

/* What home has lost */

static bool is_lost(struct overlay *o, const char *key)
{
    uint64_t hash = hash64(0, slice_of(key));
    bool lost;
    WITH_LOCK (&o->lock) {
        const struct lost *l = &o->lost[hash % LOST_SLOTS];
        lost = l->hash == hash && l->until_ms > clock_mono_ms();
    }
    return lost || !o->home;
}

static void set_lost(struct overlay *o, const char *key)
{
    uint64_t hash = hash64(0, slice_of(key));
    WITH_LOCK (&o->lock)
        o->lost[hash % LOST_SLOTS] = (struct lost){hash, clock_mono_ms() + LOST_MS};
}

static int find(struct overlay *o, const char *key, const char *etag, struct archive_found *out,
                struct err *err)
{
    AUTO(buf) struct buf url = {0};
    buf_init(&url, URL_BYTES_MAX + KEY_BYTES_MAX);
    store_object_url(&o->store, slice_of(key), &url);
    int rc = buf_check(&url, err);
    return rc < 0 ? rc : archive_find(o->archive, buf_slice(&url), etag, out, err);
}

static int not_at_home(const char *key, struct err *err)
{
    return err_set(err, ENOENT, "%.300s: home does not have it", key);
}

/* It is gone at home, and nobody can tell whether it is archived. */
static int untold(const char *key, struct err *err)
{
    if (err)
        err->code = EIO;
    return err_wrap(err, "%.300s is not at home, and the archive cannot be asked", key);
}

static void tell(const struct overlay *o, const struct archive_found *f, struct store_info *out)
{
    char class[STORE_CLASS_BYTES_MAX];
    *out = (struct store_info){.size = f->content.size, .mtime_ms = f->mtime_ms};
    memcpy(out->etag, f->etag, sizeof out->etag);
    archive_class(o->archive, class);
    (void)snprintf(out->class, sizeof out->class, STORE_NAME "%s%.*s", class[0] ? "/" : "",
                   (int)(sizeof out->class - sizeof STORE_NAME "/"), class); /* cut where longer */
}

/* Gets */

struct overlay_get {
    struct job job;
    struct overlay *overlay;
    struct store_get *get; /* the caller's */
    struct store_get home; /* the same, asked at home */
};

static void finish(struct overlay_get *g)
{
    struct store_get *get = g->get;
    get->rc = g->home.rc;
    get->err = g->home.err;
    get->got = g->home.got;
    get->info = g->home.info;
    free(g);
    get->done(get);
}

static void on_progress(struct store_get *home, size_t got)
{
    struct overlay_get *g = CONTAINER_OF(home, struct overlay_get, home);
    g->get->info = home->info;
    g->get->progress(g->get, got);
}

/* Bytes into the caller's room, or rooms. */
static void scatter(const struct store_get *get, const char *bytes, size_t n)
{
    for (unsigned i = 0; n && i < get->rooms_count; i++) {
        size_t part = get->rooms[i].iov_len < n ? get->rooms[i].iov_len : n;
        memcpy(get->rooms[i].iov_base, bytes, part);
        bytes += part;
        n -= part;
    }
}

static int read_found(struct overlay_get *g, const struct archive_found *f, struct err *err)
{
    struct store_get *home = &g->home;
    uint64_t left = home->offset < f->content.size ? f->content.size - home->offset : 0;
    size_t n = left < home->length ? (size_t)left : home->length;
    AUTO_FREE char *aside = home->rooms && n ? malloc(n) : NULL;
    if (home->rooms && n && !aside)
        return err_set(err, ENOMEM, "out of memory");
    int rc = n ? archive_read(g->overlay->archive, &f->content, home->offset, n,
                              aside ? aside : home->to, err)
               : 0;
    if (rc < 0)
        return rc;
    if (aside)
        scatter(home, aside, n);
    home->got = n;
    tell(g->overlay, f, &home->info);
    return 0;
}

/* Home did not have it: its answer stands where the archive has it neither. */
static void look_in_archive(struct job *job)
{
    struct overlay_get *g = CONTAINER_OF(job, struct overlay_get, job);
    struct archive_found f;
    struct err err = ERR_INIT;
    int rc = find(g->overlay, g->home.key, g->home.if_match, &f, &err);
    if (rc == 1) {
        if (g->home.rc == -ENOENT)
            set_lost(g->overlay, g->home.key);
        rc = read_found(g, &f, &err);
        g->home.rc = rc;
        g->home.err = err;
    } else if (rc < 0 && g->home.rc == -ENOENT) {
        g->home.rc = untold(g->home.key, &err);
        g->home.err = err;
    }
    finish(g);
}

/* The threads that ask the archive; NULL: they cannot be started. */
static struct workers *threads(struct overlay *o, struct err *err)
{
    struct workers *w;
    WITH_LOCK (&o->lock) {
        if (!o->workers)
            o->workers = workers_new("tarn-archive", WORKERS, err);
        w = o->workers;
    }
    return w;
}

static void hear_anew(struct job *job)
{
    struct overlay *o = CONTAINER_OF(job, struct overlay, refresh);
    AUTO(archive_listing) struct archive_listing *l = NULL;
    struct err err = ERR_INIT;
    if (archive_listing_get(o->archive, LISTING_MS, &l, &err) < 0)
        log_debug("%s", err.msg);
    WITH_LOCK (&o->lock)
        o->refreshing = false;
}

int overlay_listing(struct overlay *o, struct archive_listing **out, struct err *err)
{
    struct archive_listing *l;
    if (!archive_listing_known(o->archive, &l))
        return archive_listing_get(o->archive, LISTING_MS, out, err);
    bool old = clock_mono_ms() - l->heard_ms > LISTING_MS, refresh = false;
    struct workers *w = old ? threads(o, NULL) : NULL;
    if (w)
        WITH_LOCK (&o->lock) {
            refresh = !o->refreshing;
            o->refreshing = true;
        }
    if (refresh)
        workers_submit(w, &o->refresh);
    *out = l;
    return 0;
}

static void ask_archive(struct overlay_get *g)
{
    struct err err = ERR_INIT;
    struct workers *w = threads(g->overlay, &err);
    g->job.run = look_in_archive;
    if (w) {
        workers_submit(w, &g->job);
        return;
    }
    g->home.rc = -err.code;
    g->home.err = err;
    finish(g);
}

static void on_home(struct store_get *home)
{
    struct overlay_get *g = CONTAINER_OF(home, struct overlay_get, home);
    bool other = home->rc == -ESTALE && home->if_match; /* another generation than was asked for */
    if (home->rc == -ENOENT || home->rc == -EREMOTE || other)
        ask_archive(g);
    else
        finish(g);
}

static void overlay_get(struct store *s, struct store_get *get)
{
    struct overlay *o = overlay_of(s);
    struct overlay_get *g = calloc(1, sizeof *g);
    get->rc = 0;
    get->got = 0;
    get->info = (struct store_info){0};
    get->err = (struct err)ERR_INIT;
    if (!g) {
        get->rc = err_set(&get->err, ENOMEM, "out of memory");
        get->done(get);
        return;
    }
    g->overlay = o;
    g->get = get;
    g->home = *get;
    g->home.progress = get->progress ? on_progress : NULL;
    g->home.done = on_home;
    if (is_lost(o, get->key)) {
        g->home.rc = not_at_home(get->key, &g->home.err);
        ask_archive(g);
        return;
    }
    o->home->ops->get(o->home, &g->home);
}

/* The rest */

static int overlay_head(struct store *s, const char *key, struct store_info *out, struct err *err)
{
    struct overlay *o = overlay_of(s);
    struct archive_found f;
    struct err e = ERR_INIT, home = ERR_INIT;
    int rc = o->home ? o->home->ops->head(o->home, key, out, &home) : not_at_home(key, &home);
    struct store_info here = rc == 0 ? *out : (struct store_info){0};
    bool kept = rc == 0 && here.access != STORE_READABLE; /* it must be restored there */
    if (rc != -ENOENT && !kept)
        return rc < 0 ? err_copy(err, &home) : 0;
    rc = find(o, key, kept ? here.etag : NULL, &f, &e);
    if (kept && rc != 1)
        return 0;
    if (rc == 1) {
        AUTO(buf) struct buf content = {0};
        struct store_info there;
        buf_init(&content, KIB);
        archive_content_key(f.content.sha256, &content);
        struct store *store = archive_store(o->archive);
        rc = store->ops->head(store, content.data ? content.data : "", &there, &e);
        if (rc < 0)
            return untold(key, err_copy(err, &e) < 0 ? err : NULL);
        tell(o, &f, out);
        (void)snprintf(out->class, sizeof out->class, STORE_NAME "%s%.*s",
                       there.class[0] ? "/" : "", (int)(sizeof out->class - sizeof STORE_NAME "/"),
                       there.class); /* cut where longer */
        out->access = there.access;
        out->restored_until_ms = there.restored_until_ms;
        return 0;
    }
    if (rc == 0)
        return err_copy(err, &home);
    (void)untold(key, &e);
    return err_copy(err, &e);
}

/* A file of home that is another one than was asked for. */
static bool is_other(const struct store_file *file)
{
    struct stat st;
    struct store_info info;
    if (!file->if_match || fstat(file->fd, &st) < 0)
        return false;
    local_info(&st, &info);
    return strcmp(info.etag, file->if_match) != 0;
}

static int overlay_open_in_place(struct store *s, const char *key, bool wait,
                                 struct store_file *out, struct err *err)
{
    struct overlay *o = overlay_of(s);
    struct archive_found f;
    struct err home = ERR_INIT, e = ERR_INIT;
    struct store_file file = {.if_match = out->if_match, .fd = -1};
    int rc = o->home ? o->home->ops->open_in_place(o->home, key, wait, &file, &home)
                     : not_at_home(key, &home);
    bool other = rc == 0 && is_other(&file);
    if ((rc < 0 && rc != -ENOENT) || (rc == 0 && !other)) {
        *out = file;
        return rc < 0 ? err_copy(err, &home) : 0;
    }
    AUTO_FD int opened = file.fd;
    if (!wait)
        return err_set(err, EAGAIN, "%.300s: home does not have it", key);
    int found = find(o, key, out->if_match, &f, &e);
    if (found == 1) {
        found = archive_file(o->archive, &f.content, &file.fd, &e);
        if (found < 0)
            return err_copy(err, &e);
        file.size = f.content.size;
        *out = file;
        return 0;
    }
    if (other) { /* what becomes of it is for who opens it to say, as without an archive */
        file.fd = STEAL_FD(opened);
        *out = file;
        return 0;
    }
    if (found == 0)
        return err_copy(err, &home);
    (void)untold(key, &e);
    return err_copy(err, &e);
}

static int overlay_put_if_absent(struct store *s, const char *key, struct slice data,
                                 struct err *err)
{
    struct store *home = overlay_of(s)->home;
    return home->ops->put_if_absent(home, key, data, err);
}

static int overlay_put_begin(struct store *s, const char *key, const struct store_put *how,
                             struct store_writer **out, struct err *err)
{
    return store_put_begin(overlay_of(s)->home, key, how, out, err);
}

static int overlay_remove(struct store *s, const char *key, struct err *err)
{
    return store_remove(overlay_of(s)->home, key, err);
}

static int overlay_restore(struct store *s, const char *key, const struct store_restore *how,
                           struct err *err)
{
    struct store *home = overlay_of(s)->home;
    return home->ops->restore(home, key, how, err);
}

static int overlay_set_class(struct store *s, const char *key, const char *class,
                             const struct store_info *if_is, struct store_info *now,
                             struct err *err)
{
    return store_set_class(overlay_of(s)->home, key, class, if_is, now, err);
}

static int overlay_tags(struct store *s, const char *key, struct store_tags *out, struct err *err)
{
    return store_tags(overlay_of(s)->home, key, out, err);
}

static int overlay_set_tag(struct store *s, const char *key, const struct store_tag *tag,
                           const struct store_info *if_is, bool *changed, struct err *err)
{
    return store_set_tag(overlay_of(s)->home, key, tag, if_is, changed, err);
}

static void overlay_sealed(struct store *s, const uint8_t *identity, uint64_t size)
{
    struct store *home = overlay_of(s)->home;
    home->ops->sealed(home, identity, size);
}

static void overlay_free(struct store *s)
{
    struct overlay *o = overlay_of(s);
    workers_free(o->workers);
    if (o->owns_archive)
        archive_free(o->archive);
    workers_free(o->local);
    store_free(o->home);
    lock_done(&o->lock);
    free(s->url);
    free(s->home);
    free(o);
}

/* Those of home, and where home has none, none. */
static void set_ops(struct overlay *o)
{
    const struct store_ops *h = o->home ? o->home->ops : NULL;
    o->ops = (struct store_ops){
        .scheme = h ? h->scheme : "archive",
        .rooms_bytes = h ? h->rooms_bytes : 0,
        .has_elsewhere = true,
        .get = overlay_get,
        .head = overlay_head,
        .list = overlay_list,
        .list_at = overlay_list_at,
        .kept = overlay_kept,
        .kept_log = overlay_kept_log,
        .put_if_absent = h ? overlay_put_if_absent : NULL,
        .sealed = h && h->sealed ? overlay_sealed : NULL,
        .set_class = h && h->set_class ? overlay_set_class : NULL,
        .tags = h && h->tags ? overlay_tags : NULL,
        .set_tag = h && h->set_tag ? overlay_set_tag : NULL,
        .put_begin = h && h->put_begin ? overlay_put_begin : NULL,
        .remove = h && h->remove ? overlay_remove : NULL,
        .restore = h && h->restore ? overlay_restore : NULL,
        .open_in_place = h && h->open_in_place ? overlay_open_in_place : NULL,
        .free = overlay_free,
    };
    o->store.ops = &o->ops;
}

/* A store with the names of that one. */
static struct overlay *overlay_new(const struct store *like, struct err *err)
{
    struct overlay *o = calloc(1, sizeof *o);
    if (o) {
        o->store.url = strdup(like->url);
        o->store.home = like->home ? strdup(like->home) : NULL;
        if (o->store.url && (o->store.home || !like->home)) {
            lock_init(&o->lock);
            o->refresh.run = hear_anew;
            return o;
        }
        free(o->store.url);
        free(o->store.home);
        free(o);
    }
    (void)err_set(err, ENOMEM, "out of memory");
    return NULL;
}

struct store *archive_alone(struct archive *a, const struct store *like, struct err *err)
{
    struct overlay *o = overlay_new(like, err);
    AUTO(buf) struct buf root = {0};
    if (!o)
        return NULL;
    /* URLs of objects are told from it, whatever kind of store it is like */
    buf_init(&root, URL_BYTES_MAX + KEY_BYTES_MAX);
    store_object_url(like, SLICE_NONE, &root);
    free(o->store.url);
    o->store.url = buf_steal_str(&root);
    o->archive = a;
    set_ops(o);
    if (o->store.url)
        return &o->store;
    overlay_free(&o->store);
    (void)err_set(err, ENOMEM, "out of memory");
    return NULL;
}

/* The archive store, with threads of its own where its reads wait for a disk: who asks it may
 * himself be one of those that home's reads wait on. */
static int open_archive(struct overlay *o, const struct archive_wrap_config *c, struct err *err)
{
    struct store_runtime runtime = *c->runtime;
    struct store_options options = *c->options;
    if (options.deadline_ms == 0 || options.deadline_ms > DEADLINE_MS)
        options.deadline_ms = DEADLINE_MS;
    runtime.shares = NULL;
    runtime.wrap = NULL;
    bool here = !strstr(c->url, "://") || strncmp(c->url, "file:", 5) == 0;
    if (here) {
        o->local = workers_new("tarn-keep", LOCAL_WORKERS, err);
        if (!o->local)
            return -err->code;
        runtime.workers = o->local;
    }
    struct store *store = store_open(c->url, &options, &runtime, err);
    if (store)
        o->archive = archive_new(store, c->scratch_dirfd, err);
    o->owns_archive = true;
    return o->archive ? 0 : -err->code;
}

struct store *archive_wrap(struct store *home, const struct archive_wrap_config *config,
                           struct err *err)
{
    struct overlay *o = overlay_new(home, err);
    if (!o) {
        store_free(home);
        return NULL;
    }
    o->home = home;
    set_ops(o);
    if (open_archive(o, config, err) < 0) {
        (void)err_wrap(err, "archive store %s", config->url);
        overlay_free(&o->store);
        return NULL;
    }
    return &o->store;
}
