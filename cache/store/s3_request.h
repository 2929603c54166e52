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
#include "cache/store/remote.h"
#include "cache/store/sigv4.h"

/* Whether objects of a bucket have access lists of their own. */
enum s3_acls { S3_ACLS_UNKNOWN, S3_ACLS_ON, S3_ACLS_OFF };

/* Where a bucket is and who asks. Immutable, but for what has a lock. */
struct s3_bucket {
    char *name;
    char where[REMOTE_WHERE_BYTES]; /* "bucket NAME" */
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
    enum s3_acls acls;             /* lock */
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

struct s3_request {
    struct remote_request remote;
    struct s3_bucket *bucket;
    struct remote_parts parts; /* what it points to lives as long */

    /* What it was signed for. */
    struct credentials credentials;
    char region[REGION_BYTES_MAX];

    /* What http points to. */
    struct buf path, query; /* as sent */
    struct buf origin;
    char date[24], payload_sha256[65];

    /* s3_send's. */
    unsigned corrections, fetches;
    bool refused; /* with the credentials that it has */
};

static inline struct s3_request *s3_request_of(struct remote_request *q)
{
    return CONTAINER_OF(q, struct s3_request, remote);
}

/* It is addressed and signed when it is sent. s3_request_done also where it failed. */
int s3_request_init(struct s3_request *q, struct s3_bucket *bucket,
                    const struct remote_parts *parts, struct err *err);
void s3_request_done(struct s3_request *q);
DEFINE_AUTO_DONE(s3_request, struct s3_request, s3_request_done)

/* Addresses it to the bucket's region and signs it at this moment, with its credentials. */
int s3_request_address(struct s3_request *q, struct err *err);

extern const struct remote_ops s3_request_ops;

#endif
