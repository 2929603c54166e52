/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to a bucket: its address, its signature, and what its answer means.
 *
 *   https://bucket.s3.REGION.amazonaws.com/KEY   AWS's own
 *   ENDPOINT/bucket/KEY                          path style: endpoints, and buckets with dots, for
 *                                                which no wildcard certificate holds
 *
 * A key is bytes: `.`, `..` and empty components are sent as they are.
 */
#ifndef CACHE_STORE_S3_REQUEST_H
#define CACHE_STORE_S3_REQUEST_H

#include "cache/store/s3_list.h"
#include "cache/store/sigv4.h"

/* Where a bucket is and who asks. Immutable. */
struct s3_bucket {
    char *origin; /* "https://host:port" */
    char *name;
    bool path_style;
    bool sign;
    int64_t deadline_ms;
    char *region;
    char *access_key_id, *secret_access_key;     /* where it signs */
    char *session_token, *ca_bundle, *proxy_url; /* may be NULL */
};

void s3_bucket_done(struct s3_bucket *b);

#define S3_REQUEST_FIELDS_MAX 12
/* Of an answer that should have none but an error's sentence. */
#define S3_ERROR_BYTES_MAX (64 * KIB)

struct s3_request {
    struct http_request http; /* its `text` holds the body of a listing or an error */
    const struct s3_bucket *bucket;
    const char *key; /* whole, for messages; borrowed */

    /* What http points to. */
    struct http_field fields[S3_REQUEST_FIELDS_MAX];
    struct buf url, authorization;
    char range[64], date[24], payload_sha256[65];
};

struct s3_parts {
    const char *method;
    const char *key; /* whole; empty: the bucket. Must live as long as the request */
    const struct sigv4_parameter *parameters;
    size_t parameters_count;
    uint64_t offset, length; /* range; length 0: none. Their sum must not overflow */
    const char *if_match;    /* must live as long as the request */
    bool if_absent;
    struct slice upload; /* likewise */
    size_t text_max;     /* of the answer's body */
};

/* Addresses and signs at this moment. s3_request_done also where it failed. */
int s3_request_init(struct s3_request *q, const struct s3_bucket *bucket,
                    const struct s3_parts *parts, struct err *err);
void s3_request_done(struct s3_request *q);
DEFINE_AUTO_DONE(s3_request, struct s3_request, s3_request_done)

/*
 * 0 where the answer is a success. Else the errno of the table in status.h, and a message that
 * names bucket, key, status, the store's code and sentence, and the request's id.
 */
int s3_request_check(const struct s3_request *q, struct err *err);

/* As above with a reason of our own: an answer that cannot be right. Returns -code. */
int s3_request_refuse(const struct s3_request *q, int code, const char *why, struct err *err);

/* For http.again: the status or code says that it may go better. */
bool s3_request_retryable(const struct s3_request *q);

#endif
