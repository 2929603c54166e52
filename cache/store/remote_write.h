/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writers of the stores that are asked by HTTP: what is collected, sent and waited for. What a
 * protocol does with it stands in struct remote_write_ops.
 *
 *   one part     collected, one request in the end: ops->whole
 *   more         ops->begin, ops->part for each (two on the way: one is sent, one collected),
 *                ops->end. Given up: ops->abort
 *
 * A part that fails for the network's or the server's sake is sent again like any request. Where
 * the answer to the last one was lost, what is there is read back and compared.
 */
#ifndef CACHE_STORE_REMOTE_WRITE_H
#define CACHE_STORE_REMOTE_WRITE_H

#include "cache/store/remote.h"
#include "cache/store/write.h"

#define REMOTE_PARTS_MAX 10000
#define REMOTE_PARTS_AT_ONCE 2
/* What names an upload; S3's have some 200 bytes, GCS's some 300. */
#define REMOTE_UPLOAD_ID_BYTES 2048

/* One request's worth of bytes. */
struct remote_part {
    unsigned number; /* from 0 */
    uint64_t offset;
    char *data;
    size_t used, room;
    uint32_t crc; /* CRC32C */

    /* What ops->whole and ops->part say of it; where their texts may stand. */
    struct remote_parts parts;
    struct http_field fields[4];
    struct http_parameter parameters[2];
    char number_text[16], sum_text[64], id_text[96];

    struct remote_request *request; /* NULL: none is under way */
    struct event ended;
};

struct remote_writer {
    struct store_writer writer;
    struct remote *remote;
    const struct remote_write_ops *ops;
    char *key, *whole_key;
    uint64_t size;
    bool if_absent;
    char *class;       /* or NULL */
    size_t part_bytes; /* of each but the last one */
    unsigned next;     /* the number of the next part */
    uint32_t crc;      /* of all that was added */
    bool begun, ended;
    char upload_id[REMOTE_UPLOAD_ID_BYTES];
    char etag[ETAG_BYTES_MAX]; /* of what is there, where a part's answer tells it */
    char *sums;                /* the protocol's: of each part, sum_bytes */
    struct remote_part parts[REMOTE_PARTS_AT_ONCE];
};

struct remote_write_ops {
    unsigned parts_at_once; /* at most REMOTE_PARTS_AT_ONCE; 1: in their order */
    size_t sum_bytes;       /* kept of each part */
    bool parts_have_etags;  /* an answer without one is sent for again */
    /* Adds to p->parts what the request tells that writes all of it, or this part. */
    int (*whole)(struct remote_writer *w, struct remote_part *p, struct err *err);
    int (*part)(struct remote_writer *w, struct remote_part *p, struct err *err);
    /* The answer came: 0 where it is right, and what the end has to know is kept. */
    int (*sent)(struct remote_writer *w, struct remote_part *p, struct err *err);
    int (*begin)(struct remote_writer *w, struct err *err); /* NULL: nothing has to be asked */
    /* *lost: it may have worked though it failed, because an answer was lost. */
    int (*end)(struct remote_writer *w, struct store_info *out, bool *lost, struct err *err);
    void (*abort)(struct remote_writer *w); /* NULL: the store forgets by itself */
};

/* As store_put_begin. */
int remote_write_begin(struct store *s, const struct remote_write_ops *ops, const char *key,
                       const struct store_put *how, struct store_writer **out, struct err *err);

/* For ops: one more field or parameter of a part's request. */
void remote_part_field(struct remote_part *p, const char *name, const char *value);
void remote_part_parameter(struct remote_part *p, const char *name, const char *value);
/* The CRC32C as the field that S3 and GCS know has it: base64, the highest byte first. */
void remote_crc_text(uint32_t crc, char out[16]);

/* As remote_ask for what nobody needs to succeed: it ends soon. */
void remote_try(struct remote *r, const struct remote_parts *parts);

/* As store_remove. */
int remote_remove(struct store *s, const char *key, struct err *err);

#endif
