/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to a bucket: its address, its signature, and what its answer means. Sending is
 * s3_send.h's.
 *
 *   https://bucket.s3.REGION.amazonaws.com/KEY   AWS's own
 *   ENDPOINT/bucket/KEY                          path style: endpoints, and buckets with dots, for
 *                                                which no wildcard certificate holds
 *
 * A key is bytes: `.`, `..` and empty components are sent as they are.
 */
#ifndef CACHE_STORE_S3_REQUEST_H
#define CACHE_STORE_S3_REQUEST_H

#include "base/lock.h"
#include "cache/store/credentials.h"
#include "cache/store/region.h"
#include "cache/store/s3_list.h"
#include "cache/store/sigv4.h"

/* Where a bucket is and who asks. Immutable, but for what has a lock. */
struct s3_bucket {
    char *name;
    char *endpoint; /* "https://host:port", before which a virtual host's name comes; NULL: AWS's */
    bool path_style;
    int64_t deadline_ms;
    struct renewed *credentials; /* of struct credentials; NULL: nothing is signed */
    char *ca_bundle, *proxy_url; /* may be NULL */

    bool dualstack; /* AWS's own hosts with IPv6 addresses */
    bool requester_pays;
    char *sse, *sse_kms_key_id; /* of what is written; may be NULL */
    char sse_c_key[48];         /* base64, as is the MD5 of the key; empty: none */
    char sse_c_key_md5[28];

    struct lock lock;
    char region[REGION_BYTES_MAX]; /* lock: the bucket's may turn out to be another */
};

/* Before anything else is done with a zeroed one. */
void s3_bucket_init(struct s3_bucket *b);
void s3_bucket_done(struct s3_bucket *b);

/*
 * The bucket is in that region, says a server. True where requests now go, or are signed, for it:
 * AWS's own only ever within the domain that they went to before.
 */
bool s3_bucket_move(struct s3_bucket *b, const char *region);

/* "https://host" of the bucket in a region, appended. */
void s3_bucket_origin(const struct s3_bucket *b, const char *region, struct buf *out);

#define S3_REQUEST_FIELDS_MAX 20
/* Of an answer that should have none but an error's sentence. */
#define S3_ERROR_BYTES_MAX (64 * KIB)

struct s3_request {
    struct http_request http; /* its `text` holds the body of a listing or an error */
    struct s3_bucket *bucket;
    const char *key; /* whole, for messages; borrowed */
    const char *if_match;
    bool if_absent;

    /* What it was signed for. */
    struct credentials credentials;
    char region[REGION_BYTES_MAX];

    /* What http points to. */
    struct http_field fields[S3_REQUEST_FIELDS_MAX];
    struct buf path, query; /* as sent */
    struct buf origin, url, authorization;
    char range[64], date[24], payload_sha256[65];

    /* s3_send's. */
    struct http *engine;
    void (*done)(struct s3_request *q);
    struct event *ended;
    struct renewed_wait wait;
    int64_t until_ms;
    unsigned corrections, fetches;
    bool refused; /* with the credentials that it has */
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

/* s3_request_done also where it failed. */
int s3_request_init(struct s3_request *q, struct s3_bucket *bucket, const struct s3_parts *parts,
                    struct err *err);
void s3_request_done(struct s3_request *q);
DEFINE_AUTO_DONE(s3_request, struct s3_request, s3_request_done)

/* Addresses it to the bucket's region and signs it at this moment, with its credentials. */
int s3_request_address(struct s3_request *q, struct err *err);

/* What the answer says where it is not a success. */
struct s3_problem s3_request_problem(const struct s3_request *q);

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
