/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/store.h"

#include "cache/store/event.h"
#include "cache/store/local.h"
#include "cache/store/s3.h"
#include "cache/store/url.h"

struct store *store_open(const char *text, const struct store_options *options,
                         const struct store_runtime *runtime, struct err *err)
{
    AUTO(url) struct url url = {0};
    if (url_parse(slice_of(text), &url, err) < 0)
        return NULL;
    switch (url.kind) {
    case URL_LOCAL:
        return local_new(url.path, runtime->workers, err);
    case URL_S3:
        return s3_new(&url, options, runtime->http, err);
    }
    (void)err_set(err, EINVAL, "no store for this kind of URL");
    return NULL;
}

void store_free(struct store *s)
{
    if (s)
        s->ops->free(s);
}

static void wake(struct store_get *get)
{
    event_set(get->waiter);
}

int store_get_wait(struct store *s, struct store_get *req, struct err *err)
{
    struct event ended;
    event_init(&ended);
    req->waiter = &ended;
    req->done = wake;
    s->ops->get(s, req);
    event_wait(&ended);
    event_done(&ended);
    return req->rc < 0 ? err_copy(err, &req->err) : 0;
}

/* Where a buffer is full, whether the object ends there is asked with one byte more. */
static int check_end(struct store *s, struct store_get *get, size_t max, struct err *err)
{
    char byte;
    get->to = &byte;
    get->length = 1;
    int rc = store_get_wait(s, get, err);
    if (rc == 0 && get->got)
        rc = err_set(err, EOVERFLOW, "%.300s: %llu bytes, at most %zu are permitted", get->key,
                     (unsigned long long)get->info.size, max);
    return rc;
}

static int read_part(struct store *s, struct store_get *get, struct buf *out, struct err *err)
{
    size_t room = out->max - out->len;
    if (room == 0)
        return check_end(s, get, out->max, err);
    get->length = room < BLOCK_BYTES ? room : BLOCK_BYTES;
    get->to = buf_reserve(out, get->length);
    if (!get->to)
        return buf_check(out, err);
    int rc = store_get_wait(s, get, err);
    if (rc < 0)
        return rc;
    uint64_t left = get->info.size > get->offset ? get->info.size - get->offset : 0;
    if (left > room)
        return err_set(err, EOVERFLOW, "%.300s: %llu bytes, at most %zu are permitted", get->key,
                       (unsigned long long)get->info.size, out->max);
    out->len += get->got;
    out->data[out->len] = '\0';
    return 0;
}

int store_read(struct store *s, const char *key, struct buf *out, struct store_info *info,
               struct err *err)
{
    size_t before = out->len;
    struct store_info first = {0};
    struct store_get get = {.key = key};
    int rc;
    do {
        rc = read_part(s, &get, out, err);
        if (rc == 0 && get.offset == 0)
            first = get.info;
        if (rc == 0 && get.info.size != first.size)
            rc = err_set(err, ESTALE, "%.300s: the object changed while it was read", key);
        get.if_match = first.etag[0] ? first.etag : NULL;
        get.offset += get.got;
    } while (rc == 0 && get.got && get.offset < first.size);
    if (rc == 0 && get.offset != first.size)
        rc = err_set(err, EIO, "%.300s: %llu of %llu bytes came", key,
                     (unsigned long long)get.offset, (unsigned long long)first.size);
    if (rc < 0) {
        out->len = before;
        return rc;
    }
    if (info)
        *info = first;
    return 0;
}
