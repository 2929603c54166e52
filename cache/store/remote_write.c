/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/remote_write.h"

#include <assert.h>
#include <openssl/evp.h>

#include "base/hash.h"

/* To give up what was begun. */
#define TRY_MS 10000
#define BROKEN_ANSWERS_MAX 3
/* A part has so long beside the deadline of any request. */
#define BYTES_PER_MS_MIN 64

static struct remote_writer *remote_writer_of(struct store_writer *w)
{
    return CONTAINER_OF(w, struct remote_writer, writer);
}

void remote_part_field(struct remote_part *p, const char *name, const char *value)
{
    assert(p->parts.fields_count < ARRAY_SIZE(p->fields));
    p->parts.fields = p->fields;
    p->fields[p->parts.fields_count++] = (struct http_field){name, value};
}

void remote_part_parameter(struct remote_part *p, const char *name, const char *value)
{
    assert(p->parts.parameters_count < ARRAY_SIZE(p->parameters));
    p->parts.parameters = p->parameters;
    p->parameters[p->parts.parameters_count++] = (struct http_parameter){name, value};
}

void remote_crc_text(uint32_t crc, char out[16])
{
    const unsigned char bytes[4] = {(unsigned char)(crc >> 24), (unsigned char)(crc >> 16),
                                    (unsigned char)(crc >> 8), (unsigned char)crc};
    (void)EVP_EncodeBlock((unsigned char *)out, bytes, sizeof bytes); /* 8 characters */
}

void remote_try(struct remote *r, const struct remote_parts *parts)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    if (remote_request_new(r, parts, &q, NULL) < 0)
        return;
    if (q->http.deadline_ms > TRY_MS)
        q->http.deadline_ms = TRY_MS;
    (void)remote_run(q, r->http, NULL); /* nobody needs it to succeed */
}

/* ---- parts ---- */

/* Also an answer that was cut off before what has to be known of the part. */
static bool part_again(struct http_request *http)
{
    struct remote_request *q = CONTAINER_OF(http, struct remote_request, http);
    const struct http_answer *a = &http->answer;
    bool cut = a->status >= 200 && a->status < 300 && !a->etag[0];
    return remote_retryable(q) || (cut && http->attempts < BROKEN_ANSWERS_MAX);
}

static void part_ended(struct remote_request *q)
{
    event_set(q->ended);
}

static void part_begin(struct remote_part *p, const char *key)
{
    p->parts = (struct remote_parts){.method = "PUT",
                                     .key = key,
                                     .upload = slice_make(p->data, p->used),
                                     .text_max = REMOTE_ERROR_BYTES_MAX};
    p->crc = crc32c(0, p->data, p->used);
}

/* Sends it and returns. */
static int part_send(struct remote_writer *w, struct remote_part *p, struct err *err)
{
    part_begin(p, w->whole_key);
    p->parts.is_part = true;
    int rc = w->ops->part(w, p, err);
    if (rc == 0)
        rc = remote_request_new(w->remote, &p->parts, &p->request, err);
    if (rc < 0)
        return rc;
    p->request->ended = &p->ended;
    if (w->ops->parts_have_etags)
        p->request->http.again = part_again;
    p->request->http.deadline_ms += (int64_t)(p->used / BYTES_PER_MS_MIN);
    event_init(&p->ended);
    remote_send(p->request, w->remote->http, part_ended);
    return 0;
}

/* Waits for a part that was sent, and makes it free for another one. */
static int part_wait(struct remote_writer *w, struct remote_part *p, struct err *err)
{
    int rc = 0;
    if (p->request) {
        event_wait(&p->ended);
        event_done(&p->ended);
        rc = w->ops->sent(w, p, err);
        remote_request_free(p->request);
        p->request = NULL;
    }
    p->used = 0;
    return rc;
}

static struct remote_part *part_now(struct remote_writer *w)
{
    return &w->parts[w->next % w->ops->parts_at_once];
}

static int begin_upload(struct remote_writer *w, struct err *err)
{
    size_t count = (size_t)((w->size + w->part_bytes - 1) / w->part_bytes);
    w->sums = calloc(count, w->ops->sum_bytes ? w->ops->sum_bytes : 1);
    if (!w->sums)
        return err_set(err, ENOMEM, "out of memory");
    int rc = w->ops->begin ? w->ops->begin(w, err) : 0;
    w->begun = rc == 0;
    return rc;
}

/* All of the part is there: it goes, and the next one has room. */
static int part_full(struct remote_writer *w, struct err *err)
{
    struct remote_part *p = part_now(w);
    int rc = w->begun ? 0 : begin_upload(w, err);
    if (rc == 0)
        rc = part_send(w, p, err);
    w->next++;
    return rc == 0 ? part_wait(w, part_now(w), err) : rc;
}

/* ---- a writer ---- */

static int add(struct store_writer *writer, struct slice data, struct err *err)
{
    struct remote_writer *w = remote_writer_of(writer);
    w->crc = crc32c(w->crc, data.p, data.n);
    while (data.n) {
        struct remote_part *p = part_now(w);
        uint64_t offset = w->next * (uint64_t)w->part_bytes, left = w->size - offset;
        size_t whole = left < w->part_bytes ? (size_t)left : w->part_bytes;
        if (!p->data && !(p->data = malloc(whole)))
            return err_set(err, ENOMEM, "out of memory");
        size_t room = whole - p->used, some = data.n < room ? data.n : room;
        p->number = w->next;
        p->offset = offset;
        memcpy(p->data + p->used, data.p, some);
        p->used += some;
        data = slice_from(data, some);
        int rc = p->used == whole && w->size > w->part_bytes ? part_full(w, err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int refuse_existing(const struct remote_writer *w, struct err *err)
{
    return err_set(err, EEXIST, "%s, key %.160s: the key is there already", w->remote->where,
                   w->whole_key);
}

static int end_whole(struct remote_writer *w, struct store_info *out, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    struct remote_part *p = &w->parts[0];
    part_begin(p, w->whole_key);
    p->parts.if_absent = w->if_absent;
    int rc = w->ops->whole(w, p, err);
    if (rc == 0)
        rc = remote_ask(w->remote, &p->parts, &q, err);
    if (w->if_absent && (rc == -ESTALE || rc == -EEXIST) && q) {
        bool mine = q->http.attempts > 1 && store_holds(&w->remote->store, w->key, p->parts.upload);
        return mine ? 0 : refuse_existing(w, err); /* by an attempt whose answer was lost */
    }
    if (rc == 0)
        q->ops->identity(&q->http.answer, out->etag);
    return rc;
}

/* What is there has the bytes that were added. */
static bool is_there(struct remote_writer *w, struct store_info *out)
{
    AUTO_FREE char *to = malloc(BLOCK_BYTES);
    uint32_t crc = 0;
    uint64_t at = 0;
    struct store_info first = {0};
    while (to && at < w->size) {
        struct store_get get = {.key = w->key,
                                .offset = at,
                                .length = BLOCK_BYTES,
                                .if_match = first.etag[0] ? first.etag : NULL,
                                .to = to};
        if (store_get_wait(&w->remote->store, &get, NULL) < 0 || get.got == 0 ||
            get.info.size != w->size)
            return false;
        first = get.info;
        crc = crc32c(crc, to, get.got);
        at += get.got;
    }
    if (!to || crc != w->crc)
        return false;
    *out = first;
    return true;
}

static int end_parts(struct remote_writer *w, struct store_info *out, struct err *err)
{
    int rc = 0;
    for (unsigned i = 0; i < w->ops->parts_at_once && rc == 0; i++)
        rc = part_wait(w, &w->parts[i], err);
    if (rc < 0)
        return rc;
    bool lost = false;
    rc = w->ops->end(w, out, &lost, err);
    if (rc < 0 && lost && is_there(w, out))
        rc = 0;
    else if (w->if_absent && (rc == -ESTALE || rc == -EEXIST))
        rc = refuse_existing(w, err);
    w->ended = rc == 0;
    return rc;
}

static int end(struct store_writer *writer, struct store_info *out, struct err *err)
{
    struct remote_writer *w = remote_writer_of(writer);
    struct store_info info = {0};
    int rc = w->size > w->part_bytes ? end_parts(w, &info, err) : end_whole(w, &info, err);
    if (rc < 0)
        return rc;
    *out = info;
    out->size = w->size;
    return 0;
}

static void free_writer(struct store_writer *writer)
{
    struct remote_writer *w = remote_writer_of(writer);
    for (size_t i = 0; i < ARRAY_SIZE(w->parts); i++) {
        if (w->parts[i].request)
            event_wait(&w->parts[i].ended);
        if (w->parts[i].request)
            event_done(&w->parts[i].ended);
        remote_request_free(w->parts[i].request);
        free(w->parts[i].data);
    }
    if (w->begun && !w->ended && w->ops->abort)
        w->ops->abort(w);
    free(w->sums);
    free(w->key);
    free(w->whole_key);
    free(w->class);
    free(w);
}

static const struct store_writer_ops writer_ops = {.add = add, .end = end, .free = free_writer};

int remote_write_begin(struct store *s, const struct remote_write_ops *ops, const char *key,
                       const struct store_put *how, struct store_writer **out, struct err *err)
{
    struct remote_writer *w = calloc(1, sizeof *w);
    AUTO(store_writer) struct store_writer *owned = w ? &w->writer : NULL;
    if (!w)
        return err_set(err, ENOMEM, "out of memory");
    *w = (struct remote_writer){.writer.ops = &writer_ops,
                                .remote = remote_of(s),
                                .ops = ops,
                                .size = how->size,
                                .if_absent = how->if_absent};
    w->key = strdup(key);
    w->whole_key = remote_whole_key(w->remote, key);
    w->class = how->class ? strdup(how->class) : NULL;
    if (!w->key || !w->whole_key || (how->class && !w->class))
        return err_set(err, ENOMEM, "out of memory");
    uint64_t least = how->size / REMOTE_PARTS_MAX + 1;
    w->part_bytes =
        least < STORE_PART_BYTES ? STORE_PART_BYTES : (size_t)((least + MIB - 1) / MIB * MIB);
    *out = STEAL(owned);
    return 0;
}

/* Of an answer with 404: it is the object that is not there, not the bucket. */
static bool key_is_missing(const struct remote_request *q)
{
    struct s3_problem problem = remote_problem(q);
    return strcmp(problem.code, "NoSuchBucket") != 0 &&
           strcmp(problem.code, "ContainerNotFound") != 0;
}

int remote_remove(struct store *s, const char *key, struct err *err)
{
    struct remote *r = remote_of(s);
    AUTO(remote_request) struct remote_request *q = NULL;
    AUTO_FREE char *whole = remote_whole_key(r, key);
    if (!whole)
        return err_set(err, ENOMEM, "out of memory");
    if (!key[0])
        return err_set(err, EINVAL, "%s: no key to remove", r->where);
    struct remote_parts parts = {
        .method = "DELETE", .key = whole, .text_max = REMOTE_ERROR_BYTES_MAX};
    int rc = remote_ask(r, &parts, &q, err);
    return rc == -ENOENT && key_is_missing(q) ? 0 : rc;
}
