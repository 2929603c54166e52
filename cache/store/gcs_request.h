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
#include "cache/store/s3_list.h"
#include "cache/store/sigv4.h"

/* Where a bucket is and who asks. Immutable. */
struct gcs_bucket {
    char *origin; /* "https://host:port" */
    char *name;
    struct gcs_auth auth;
    int64_t deadline_ms;
    char *user_project, *ca_bundle, *proxy_url; /* may be NULL */
};

void gcs_bucket_done(struct gcs_bucket *b);

#define GCS_REQUEST_FIELDS_MAX 12
/* Of an answer that should have none but an error's sentence. */
#define GCS_ERROR_BYTES_MAX (64 * KIB)
/* A generation is a 64-bit number. */
#define GCS_GENERATION_BYTES 24

struct gcs_request {
    struct http_request http; /* its `text` holds the body of a listing or an error */
    const struct gcs_bucket *bucket;
    const char *key;   /* whole, for messages; borrowed */
    struct err unsent; /* code 0: it was sent; else why not */

    /* What http points to. */
    struct http_field fields[GCS_REQUEST_FIELDS_MAX];
    size_t plain_count; /* of them: those that do not say who asks */
    struct buf url, authorization;
    struct slice path, query; /* of url */
    char range[64], date[24], payload_sha256[65], generation[GCS_GENERATION_BYTES];

    /* gcs_send's. */
    struct http *engine;
    void (*done)(struct gcs_request *q);
    struct renewed_wait wait;
    struct event *ended; /* gcs_run's */
    int64_t until_ms;    /* clock_mono_ms: with all that is sent */
    unsigned token_tries;
    bool token_refused;
};

struct gcs_parts {
    const char *method;
    const char *key; /* whole; empty: the bucket. Must live as long as the request */
    const struct sigv4_parameter *parameters;
    size_t parameters_count;
    uint64_t offset, length; /* range; length 0: none. Their sum must not overflow */
    const char *identity;    /* that the object must have; NULL: any */
    bool if_absent;
    struct slice upload; /* must live as long as the request */
    size_t text_max;     /* of the answer's body */
};

/*
 * Addresses it. -ESTALE for an identity that no generation has. gcs_request_done also where it
 * failed.
 */
int gcs_request_init(struct gcs_request *q, const struct gcs_bucket *bucket,
                     const struct gcs_parts *parts, struct err *err);
void gcs_request_done(struct gcs_request *q);
DEFINE_AUTO_DONE(gcs_request, struct gcs_request, gcs_request_done)

/*
 * Says who asks, at this moment, in place of what was said before. -EAGAIN, without a message:
 * there is no token that is good now (bucket->auth.tokens).
 */
int gcs_request_sign(struct gcs_request *q, struct err *err);

/*
 * The server refused the token (401): it is given up, and true: another may be taken. False for
 * every other answer, and where no token was sent.
 */
bool gcs_request_token_refused(const struct gcs_request *q);

/* 0 where the answer is a success. Else the errno of the table in status.h, and a message that
 * names bucket, key, status, the store's code and sentence, and the request's id. */
int gcs_request_check(const struct gcs_request *q, struct err *err);

/* As above with a reason of our own: an answer that cannot be right. Returns -code. */
int gcs_request_refuse(const struct gcs_request *q, int code, const char *why, struct err *err);

/* For http.again: the status or code says that it may go better. */
bool gcs_request_retryable(const struct gcs_request *q);

/* The identity of a generation as an answer or a listing tells it; empty where it tells none. */
void gcs_identity(struct slice generation, char out[ETAG_BYTES_MAX]);

#endif
