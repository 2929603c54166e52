/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/gcs_write.h"

#include <inttypes.h>

#include "base/text.h"
#include "cache/store/gcs_request.h"

/* "Resume Incomplete": the part came, others are to come. */
#define STATUS_INCOMPLETE 308
/* A part that is taken piece by piece. */
#define PIECES_MAX 64

static int whole(struct remote_writer *w, struct remote_part *p, struct err *err)
{
    char sum[16];
    (void)err;
    remote_crc_text(p->crc, sum);
    (void)snprintf(p->sum_text, sizeof p->sum_text, "crc32c=%s", sum); /* fits */
    remote_part_field(p, "x-goog-hash", p->sum_text);
    if (w->class)
        remote_part_field(p, "x-goog-storage-class", w->class);
    return 0;
}

/* The session's id stands in its address; of the address nothing else is taken. */
static bool session_id(const char *location, char *to, size_t room)
{
    AUTO(buf) struct buf id = {0};
    const char *at = strstr(location, "upload_id=");
    if (!at || (at[-1] != '?' && at[-1] != '&'))
        return false;
    at += sizeof "upload_id=" - 1;
    buf_init(&id, room - 1);
    text_percent_decode(&id, slice_make(at, strcspn(at, "&#")));
    if (id.failed || id.len == 0 || memchr(id.data, '\0', id.len))
        return false;
    memcpy(to, id.data, id.len + 1);
    return true;
}

static int begin(struct remote_writer *w, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    const struct http_field fields[] = {{"x-goog-resumable", "start"},
                                        {"x-goog-storage-class", w->class}};
    struct remote_parts parts = {.method = "POST",
                                 .key = w->whole_key,
                                 .begins = true,
                                 .if_absent = w->if_absent,
                                 .fields = fields,
                                 .fields_count = w->class ? 2 : 1,
                                 .text_max = REMOTE_ERROR_BYTES_MAX};
    int rc = remote_ask(w->remote, &parts, &q, err);
    if (rc < 0)
        return w->if_absent && rc == -ESTALE
                   ? err_set(err, EEXIST, "%s, key %.160s: the key is there already",
                             w->remote->where, w->whole_key)
                   : rc;
    return session_id(q->http.answer.location, w->upload_id, sizeof w->upload_id)
               ? 0
               : remote_refuse(q, EIO, "the answer does not tell a session", err);
}

/* What is asked for when bytes from `from` on of a part are sent. */
static void address(struct remote_writer *w, struct remote_part *p, size_t from)
{
    (void)snprintf(p->id_text, sizeof p->id_text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
                   p->offset + from, p->offset + p->used - 1, w->size); /* three numbers fit */
    p->parts.fields_count = p->parts.parameters_count = 0;
    p->parts.upload = slice_make(p->data + from, p->used - from);
    remote_part_field(p, "content-range", p->id_text);
    remote_part_parameter(p, "upload_id", w->upload_id);
}

static int part(struct remote_writer *w, struct remote_part *p, struct err *err)
{
    (void)err;
    address(w, p, 0);
    return 0;
}

/* So much of the object has come, says an answer that there is more to come. */
static uint64_t persisted(const struct http_answer *a)
{
    struct slice text = slice_of(a->range);
    uint64_t last;
    return slice_starts(text, SLICE_LIT("bytes=0-")) &&
                   text_parse_u64(slice_from(text, sizeof "bytes=0-" - 1), INT64_MAX - 1, &last)
               ? last + 1
               : 0;
}

/* The sum of what is there, as the last answer tells it, is that of what was added. */
static int check_sum(struct remote_writer *w, const struct remote_request *q, struct err *err)
{
    char wanted[32], sum[16];
    remote_crc_text(w->crc, sum);
    (void)snprintf(wanted, sizeof wanted, "crc32c=%s", sum); /* fits */
    if (!q->http.answer.hash[0] || strstr(q->http.answer.hash, wanted))
        return 0;
    struct remote_parts parts = {.method = "DELETE",
                                 .key = w->whole_key,
                                 .identity = w->etag,
                                 .text_max = REMOTE_ERROR_BYTES_MAX};
    remote_try(w->remote, &parts);
    return remote_refuse(q, EIO, "another CRC32C than that of what was sent: it is removed", err);
}

static int took(struct remote_writer *w, struct remote_part *p, const struct remote_request *q,
                size_t *from, struct err *err)
{
    bool last = p->offset + p->used == w->size;
    if (q->http.rc == 0 && q->http.answer.status == STATUS_INCOMPLETE) {
        uint64_t have = persisted(&q->http.answer);
        if (have < p->offset + *from || have > p->offset + p->used ||
            (last && have == p->offset + p->used))
            return remote_refuse(q, EIO, "the session has other bytes than those sent", err);
        *from = (size_t)(have - p->offset);
        return 0;
    }
    int rc = remote_check(q, err);
    if (rc < 0)
        return rc == -ENOENT ? remote_refuse(q, EIO, "the session is gone", err) : rc;
    if (!last)
        return remote_refuse(q, EIO, "the session ended before its last part", err);
    q->ops->identity(&q->http.answer, w->etag);
    *from = p->used;
    return check_sum(w, q, err);
}

static int sent(struct remote_writer *w, struct remote_part *p, struct err *err)
{
    size_t from = 0;
    int rc = took(w, p, p->request, &from, err);
    for (unsigned i = 0; rc == 0 && from < p->used; i++) {
        AUTO(remote_request) struct remote_request *q = NULL;
        if (i == PIECES_MAX)
            return remote_refuse(p->request, EIO, "the session takes next to nothing", err);
        address(w, p, from);
        rc = remote_ask(w->remote, &p->parts, &q, err);
        if (q)
            rc = took(w, p, q, &from, err);
    }
    return rc;
}

/* The last part has made it be there. */
static int end(struct remote_writer *w, struct store_info *out,
               bool *lost, /* NOLINT(readability-non-const-parameter) */
               struct err *err)
{
    (void)lost;
    if (!w->etag[0])
        return err_set(err, EIO, "%s, key %.160s: the answer does not tell which object it is",
                       w->remote->where, w->whole_key);
    memcpy(out->etag, w->etag, sizeof out->etag);
    return 0;
}

static void give_up(struct remote_writer *w)
{
    const struct http_parameter parameter = {"upload_id", w->upload_id};
    struct remote_parts parts = {.method = "DELETE",
                                 .key = w->whole_key,
                                 .keeps = true,
                                 .parameters = &parameter,
                                 .parameters_count = 1,
                                 .text_max = REMOTE_ERROR_BYTES_MAX};
    remote_try(w->remote, &parts);
}

static const struct remote_write_ops ops = {
    .parts_at_once = 1,
    .whole = whole,
    .part = part,
    .sent = sent,
    .begin = begin,
    .end = end,
    .abort = give_up,
};

int gcs_put_begin(struct store *s, const char *key, const struct store_put *how,
                  struct store_writer **out, struct err *err)
{
    return remote_write_begin(s, &ops, key, how, out, err);
}
