/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/s3_write.h"

#include "cache/store/status.h"
#include "cache/store/xml.h"

/* An end that failed though its answer began as a success is asked for again so often. */
#define ENDS_MAX 5
#define TEXT_BYTES_MAX (64 * KIB)
/* Of each part: number, ETag, CRC32C, and the elements around them. */
#define LIST_BYTES_EACH 400

struct s3_part_sum {
    char etag[ETAG_BYTES_MAX];
    char crc[16];
};

/* ---- answers ---- */

struct wanted {
    const char *root, *name;
    char *to;
    size_t room;
    bool found;
};

static int on_element(void *arg, const struct xml_element *e, struct err *err)
{
    struct wanted *w = arg;
    (void)err; /* nothing is wrong with any element */
    if (e->depth == 2 && slice_is(e->root, w->root) && slice_is(e->name, w->name) &&
        e->text.n < w->room && (e->text.n == 0 || !memchr(e->text.p, '\0', e->text.n))) {
        if (e->text.n)
            memcpy(w->to, e->text.p, e->text.n);
        w->to[e->text.n] = '\0';
        w->found = e->text.n > 0;
    }
    return 0;
}

/* The text of one element below the root of that name, of an answer: copied, cut where it is too
 * long. False: there is none. */
static bool answer_text(struct slice xml, const char *root, const char *name,
                        char *to, /* NOLINT(readability-non-const-parameter) */
                        size_t room)
{
    struct wanted w = {root, name, to, room, false};
    return xml_walk(xml, TEXT_BYTES_MAX, on_element, &w, NULL) == 0 && w.found;
}

/* ---- requests ---- */

static void add_class(const struct remote_writer *w, struct remote_part *p)
{
    if (w->class)
        remote_part_field(p, "x-amz-storage-class", w->class);
}

static int whole(struct remote_writer *w, struct remote_part *p, struct err *err)
{
    (void)err;
    remote_crc_text(p->crc, p->sum_text);
    remote_part_field(p, "x-amz-checksum-crc32c", p->sum_text);
    add_class(w, p);
    return 0;
}

static int begin(struct remote_writer *w, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    const struct http_parameter parameter = {"uploads", ""};
    const struct http_field fields[] = {{"x-amz-checksum-algorithm", "CRC32C"},
                                        {"x-amz-storage-class", w->class}};
    struct remote_parts parts = {.method = "POST",
                                 .key = w->whole_key,
                                 .begins = true,
                                 .parameters = &parameter,
                                 .parameters_count = 1,
                                 .fields = fields,
                                 .fields_count = w->class ? 2 : 1,
                                 .text_max = REMOTE_ERROR_BYTES_MAX};
    int rc = remote_ask(w->remote, &parts, &q, err);
    if (rc < 0)
        return rc;
    return answer_text(buf_slice(&q->http.text), "InitiateMultipartUploadResult", "UploadId",
                       w->upload_id, sizeof w->upload_id)
               ? 0
               : remote_refuse(q, EIO, "the answer does not tell the id of an upload", err);
}

static int part(struct remote_writer *w, struct remote_part *p, struct err *err)
{
    (void)err;
    remote_crc_text(p->crc, p->sum_text);
    (void)snprintf(p->number_text, sizeof p->number_text, "%u", p->number + 1); /* fits */
    remote_part_parameter(p, "partNumber", p->number_text);
    remote_part_parameter(p, "uploadId", w->upload_id);
    remote_part_field(p, "x-amz-checksum-crc32c", p->sum_text);
    return 0;
}

static int sent(struct remote_writer *w, struct remote_part *p, struct err *err)
{
    struct s3_part_sum *sum = (struct s3_part_sum *)(void *)w->sums + p->number;
    int rc = remote_check(p->request, err);
    if (rc < 0)
        return rc == -ENOENT ? remote_refuse(p->request, EIO, "the upload is gone", err) : rc;
    const char *etag = p->request->http.answer.etag;
    if (!etag[0] || strpbrk(etag, "<>&"))
        return remote_refuse(p->request, EIO, "the answer tells no ETag of the part", err);
    memcpy(sum->etag, etag, sizeof sum->etag);
    memcpy(sum->crc, p->sum_text, sizeof sum->crc);
    return 0;
}

static int format_list(const struct remote_writer *w, struct buf *out, struct err *err)
{
    const struct s3_part_sum *sums = (const struct s3_part_sum *)(const void *)w->sums;
    buf_add_str(out, "<CompleteMultipartUpload>");
    for (unsigned i = 0; i < w->next; i++)
        buf_addf(out,
                 "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag>"
                 "<ChecksumCRC32C>%s</ChecksumCRC32C></Part>",
                 i + 1, sums[i].etag, sums[i].crc);
    buf_add_str(out, "</CompleteMultipartUpload>");
    return buf_check(out, err);
}

/* What a whole answer means: it may have begun as a success before it was known to be none. */
static int judge_end(struct remote_request *q, struct store_info *out, bool *again, struct err *err)
{
    char why[400];
    struct s3_problem problem;
    *again = false;
    if (answer_text(buf_slice(&q->http.text), "CompleteMultipartUploadResult", "ETag", out->etag,
                    sizeof out->etag))
        return 0;
    s3_problem_parse(buf_slice(&q->http.text), &problem);
    *again = !problem.code[0] || status_retryable(0, slice_of(problem.code));
    (void)snprintf(why, sizeof why, "the upload could not be completed: %s %s", problem.code,
                   problem.message); /* fits */
    return remote_refuse(q, problem.code[0] ? status_errno(0, slice_of(problem.code)) : EIO, why,
                         err);
}

static int end(struct remote_writer *w, struct store_info *out, bool *lost, struct err *err)
{
    AUTO(buf) struct buf list = {0};
    buf_init(&list, LIST_BYTES_EACH * ((size_t)w->next + 1));
    int rc = format_list(w, &list, err);
    if (rc < 0)
        return rc;
    const struct http_parameter parameter = {"uploadId", w->upload_id};
    struct remote_parts parts = {.method = "POST",
                                 .key = w->whole_key,
                                 .is_part = true,
                                 .if_absent = w->if_absent,
                                 .parameters = &parameter,
                                 .parameters_count = 1,
                                 .upload = buf_slice(&list),
                                 .text_max = REMOTE_ERROR_BYTES_MAX};
    bool again = true;
    for (unsigned i = 0; again && i < ENDS_MAX; i++) {
        AUTO(remote_request) struct remote_request *q = NULL;
        rc = remote_ask(w->remote, &parts, &q, err);
        *lost = *lost || i > 0 || (q && (q->http.attempts > 1 || q->http.rc < 0));
        again = false;
        if (rc == 0)
            rc = judge_end(q, out, &again, err);
        else if (rc == -ENOENT)
            rc = remote_refuse(q, EIO, "the upload is gone", err);
    }
    return rc;
}

static void give_up(struct remote_writer *w)
{
    const struct http_parameter parameter = {"uploadId", w->upload_id};
    struct remote_parts parts = {.method = "DELETE",
                                 .key = w->whole_key,
                                 .keeps = true,
                                 .parameters = &parameter,
                                 .parameters_count = 1,
                                 .text_max = REMOTE_ERROR_BYTES_MAX};
    remote_try(w->remote, &parts);
}

static const struct remote_write_ops ops = {
    .parts_at_once = REMOTE_PARTS_AT_ONCE,
    .sum_bytes = sizeof(struct s3_part_sum),
    .parts_have_etags = true,
    .whole = whole,
    .part = part,
    .sent = sent,
    .begin = begin,
    .end = end,
    .abort = give_up,
};

int s3_put_begin(struct store *s, const char *key, const struct store_put *how,
                 struct store_writer **out, struct err *err)
{
    return remote_write_begin(s, &ops, key, how, out, err);
}
