/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request of Cloud Storage's XML API: its address, who asks, what must hold of the object, and
 * what the answer means.
 *
 *   https://storage.googleapis.com/BUCKET/KEY    Google's own
 *   ENDPOINT/BUCKET/KEY
 *
 * An object's content never changes; what replaces it has another *generation*, a number that no
 * other content of this name ever has. It is the object's identity: in store_info.etag it stands
 * in quotes, as an ETag does, and every request for an object that is known sends it as
 * `x-goog-if-generation-match`. The ETag proper is not used: it is the MD5 of the bytes, which
 * composed objects do not have.
 */
#ifndef CACHE_STORE_GCS_REQUEST_H
#define CACHE_STORE_GCS_REQUEST_H

#include "cache/store/gcs_auth.h"
#include "cache/store/remote.h"
#include "cache/store/sigv4.h"

/* Where a bucket is and who asks. Immutable. */
struct gcs_bucket {
    char *origin; /* "https://host:port" */
    char *name;
    char where[REMOTE_WHERE_BYTES]; /* "bucket NAME" */
    struct gcs_auth auth;
    int64_t deadline_ms;
    char *user_project, *ca_bundle, *proxy_url; /* may be NULL */
};

void gcs_bucket_done(struct gcs_bucket *b);

/* A generation is a 64-bit number. */
#define GCS_GENERATION_BYTES 24

struct gcs_request {
    struct remote_request remote;
    const struct gcs_bucket *bucket;
    struct slice path, query; /* of the URL */
    char date[24], payload_sha256[65], generation[GCS_GENERATION_BYTES];
};

static inline struct gcs_request *gcs_request_of(struct remote_request *q)
{
    return CONTAINER_OF(q, struct gcs_request, remote);
}

/* Addresses it. -ESTALE for an identity that no generation has. */
int gcs_request_init(struct gcs_request *q, const struct gcs_bucket *bucket,
                     const struct remote_parts *parts, struct err *err);

extern const struct remote_ops gcs_request_ops;

/* The identity of a generation as an answer or a listing tells it; empty where it tells none. */
void gcs_identity(struct slice generation, char out[ETAG_BYTES_MAX]);

#endif
