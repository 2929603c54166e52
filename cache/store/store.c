/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/store.h"

#include "cache/store/azure.h"
#include "cache/store/event.h"
#include "cache/store/gcs.h"
#include "cache/store/local.h"
#include "cache/store/s3.h"
#include "cache/store/share.h"
#include "cache/store/url.h"

/* Parts of a whole object that are on the way together. */
#define PARTS_AT_ONCE 8

static struct store *open_own(const char *text, const struct store_options *options,
                              const struct store_runtime *runtime, struct err *err)
{
    AUTO(url) struct url url = {0};
    if (url_parse(slice_of(text), &url, err) < 0)
        return NULL;
    switch (url.kind) {
    case URL_LOCAL:
        return local_new(url.path, runtime->workers, err);
    case URL_S3:
        return s3_new(&url, options, runtime, err);
    case URL_AZURE:
        return azure_new(&url, options, runtime, err);
    case URL_GCS:
        return gcs_new(&url, options, runtime, err);
    }
    (void)err_set(err, EINVAL, "no store for this kind of URL");
    return NULL;
}

struct store *store_open(const char *text, const struct store_options *options,
                         const struct store_runtime *runtime, struct err *err)
{
    struct store *s = open_own(text, options, runtime, err);
    if (s && runtime->wrap)
        s = runtime->wrap(runtime->wrap_arg, s, err);
    return s && runtime->shares ? store_share(runtime->shares, s, options, runtime->wrapped, err)
                                : s;
}

void store_object_url(const struct store *s, struct slice key, struct buf *out)
{
    /* A local URL is encoded, and `home` is not; S3's is not, and tells the endpoint too. */
    struct slice root = slice_of(s->ops->open_in_place ? s->home : s->url);
    buf_add_slice(out, root);
    if (!slice_ends(root, SLICE_LIT("/")))
        buf_add_char(out, '/');
    buf_add_slice(out, key);
}

static void wake(struct store_get *get)
{
    event_set(get->waiter);
}

int store_get_wait(struct store *s, struct store_get *req, struct err *err)
{
    struct event ended;
    event_init(&ended);
    /* cppcheck-suppress autoVariables ; waited for below, before it ends */
    req->waiter = &ended;
    req->done = wake;
    s->ops->get(s, req);
    event_wait(&ended);
    event_done(&ended);
    return req->rc < 0 ? err_copy(err, &req->err) : 0;
}

static int too_long(const char *key, uint64_t size, const struct buf *out, struct err *err)
{
    return err_set(err, EOVERFLOW, "%.300s: %llu bytes, at most %zu are permitted", key,
                   (unsigned long long)size, out->max);
}

/* The first part, which tells the size of the object: it fits into the buffer, or -EOVERFLOW. */
static int read_first(struct store *s, const char *key, struct buf *out, struct store_info *info,
                      struct err *err)
{
    char probe; /* a full buffer asks for one byte, and is right if none comes */
    size_t room = out->max - out->len;
    struct store_get get = {.key = key, .length = room < BLOCK_BYTES ? room : BLOCK_BYTES};
    get.to = room ? buf_reserve(out, get.length) : &probe;
    get.length = room ? get.length : 1;
    if (!get.to)
        return buf_check(out, err);
    int rc = store_get_wait(s, &get, err);
    if (rc < 0)
        return rc;
    if (get.info.size > room)
        return too_long(key, get.info.size, out, err);
    out->len += get.got;
    *info = get.info;
    return 0;
}

struct part {
    struct store_get get;
    struct event ended;
};

/* What came is that part of the object that the first one told of. */
static int check_part(const struct store_get *get, const struct store_info *first, struct err *err)
{
    if (get->rc < 0)
        return err_copy(err, &get->err);
    if (get->info.size != first->size)
        return err_set(err, ESTALE, "%.300s: the object changed while it was read", get->key);
    if (get->got != get->length)
        return err_set(err, EIO, "%.300s: %zu of %zu bytes came at %llu", get->key, get->got,
                       get->length, (unsigned long long)get->offset);
    return 0;
}

/* The next parts, side by side, from `at` on into `to`; returns the bytes that they cover. */
static ssize_t read_parts(struct store *s, const char *key, const struct store_info *first,
                          uint64_t at, char *to, /* NOLINT(readability-non-const-parameter) */
                          struct err *err)
{
    struct part parts[PARTS_AT_ONCE];
    size_t n = 0, covered = 0;
    for (; n < PARTS_AT_ONCE && at + covered < first->size; n++) {
        uint64_t left = first->size - at - covered;
        struct part *p = &parts[n];
        p->get = (struct store_get){.key = key,
                                    .offset = at + covered,
                                    .length = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES,
                                    .if_match = first->etag[0] ? first->etag : NULL,
                                    .to = to + covered,
                                    .done = wake,
                                    .waiter = &p->ended};
        event_init(&p->ended);
        covered += p->get.length;
        s->ops->get(s, &p->get);
    }
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        event_wait(&parts[i].ended);
        event_done(&parts[i].ended);
        if (rc == 0)
            rc = check_part(&parts[i].get, first, err);
    }
    return rc < 0 ? rc : (ssize_t)covered;
}

int store_read(struct store *s, const char *key, struct buf *out, struct store_info *info,
               struct err *err)
{
    size_t before = out->len;
    struct store_info first = {0};
    int rc = read_first(s, key, out, &first, err);
    size_t got = out->len - before;
    char *to = rc == 0 ? buf_reserve(out, (size_t)first.size - got) : NULL; /* both below max */
    if (rc == 0 && !to)
        rc = buf_check(out, err);
    while (rc == 0 && got < first.size) {
        ssize_t n = read_parts(s, key, &first, got, out->data + before + got, err);
        rc = n < 0 ? (int)n : 0;
        got += n < 0 ? 0 : (size_t)n;
    }
    out->len = rc < 0 ? before : before + got;
    if (out->data)
        out->data[out->len] = '\0';
    if (rc == 0 && info)
        *info = first;
    return rc;
}

bool store_holds(struct store *s, const char *key, struct slice data)
{
    AUTO(buf) struct buf there = {0};
    buf_init(&there, data.n);
    return store_read(s, key, &there, NULL, NULL) == 0 && slice_eq(buf_slice(&there), data);
}
