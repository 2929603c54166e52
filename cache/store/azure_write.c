/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/azure_write.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#define MD5_BYTES 16
/* Of each block in the list: its id and the elements around it. */
#define LIST_BYTES_EACH 64

/* Content-MD5 (RFC 1864). */
static int add_md5(struct remote_part *p, struct err *err)
{
    unsigned char md5[EVP_MAX_MD_SIZE];
    if (EVP_Digest(p->data ? p->data : "", p->used, md5, NULL, EVP_md5(), NULL) != 1)
        return err_set(err, EIO, "MD5 is not to be had");
    (void)EVP_EncodeBlock((unsigned char *)p->sum_text, md5, MD5_BYTES); /* 24 characters */
    remote_part_field(p, "content-md5", p->sum_text);
    return 0;
}

static int whole(struct remote_writer *w, struct remote_part *p, struct err *err)
{
    if (w->class)
        remote_part_field(p, "x-ms-access-tier", w->class);
    return add_md5(p, err);
}

/* Blocks of two who write one blob are told apart. */
static int begin(struct remote_writer *w, struct err *err)
{
    uint64_t random;
    if (RAND_bytes((unsigned char *)&random, sizeof random) != 1)
        return err_set(err, EIO, "no random numbers");
    (void)snprintf(w->upload_id, sizeof w->upload_id, "%016" PRIx64, random); /* fits */
    return 0;
}

/* All ids of one blob have one length: 24 bytes, 32 characters. */
static void block_id(const struct remote_writer *w, unsigned number, char out[40])
{
    char text[40];
    (void)snprintf(text, sizeof text, "%.16s%08u", w->upload_id, number); /* fits */
    (void)EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text, 24);
}

static int part(struct remote_writer *w, struct remote_part *p, struct err *err)
{
    block_id(w, p->number, p->id_text);
    remote_part_parameter(p, "comp", "block");
    remote_part_parameter(p, "blockid", p->id_text);
    return add_md5(p, err);
}

static int sent(struct remote_writer *w, struct remote_part *p, struct err *err)
{
    (void)w;
    return remote_check(p->request, err);
}

static int end(struct remote_writer *w, struct store_info *out, bool *lost, struct err *err)
{
    AUTO(buf) struct buf list = {0};
    AUTO(remote_request) struct remote_request *q = NULL;
    char id[40];
    buf_init(&list, LIST_BYTES_EACH * ((size_t)w->next + 2));
    buf_add_str(&list, "<BlockList>");
    for (unsigned i = 0; i < w->next; i++) {
        block_id(w, i, id);
        buf_addf(&list, "<Uncommitted>%s</Uncommitted>", id);
    }
    buf_add_str(&list, "</BlockList>");
    int rc = buf_check(&list, err);
    if (rc < 0)
        return rc;
    const struct http_parameter parameter = {"comp", "blocklist"};
    const struct http_field fields[] = {
        {"x-ms-blob-content-type", "application/octet-stream"},
        {"x-ms-access-tier", w->class},
    };
    struct remote_parts parts = {.method = "PUT",
                                 .key = w->whole_key,
                                 .keeps = true,
                                 .if_absent = w->if_absent,
                                 .parameters = &parameter,
                                 .parameters_count = 1,
                                 .fields = fields,
                                 .fields_count = w->class ? 2 : 1,
                                 .upload = buf_slice(&list),
                                 .text_max = REMOTE_ERROR_BYTES_MAX};
    rc = remote_ask(w->remote, &parts, &q, err);
    *lost = q && (q->http.attempts > 1 || q->http.rc < 0);
    if (rc == 0)
        q->ops->identity(&q->http.answer, out->etag);
    return rc;
}

static const struct remote_write_ops ops = {
    .parts_at_once = REMOTE_PARTS_AT_ONCE,
    .whole = whole,
    .part = part,
    .sent = sent,
    .begin = begin,
    .end = end,
};

int azure_put_begin(struct store *s, const char *key, const struct store_put *how,
                    struct store_writer **out, struct err *err)
{
    return remote_write_begin(s, &ops, key, how, out, err);
}
