/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Signature Version 4 in the Authorization header, as S3 wants it: paths are signed as they
 * are sent, with no normalisation and no second encoding. Pure: the time is given.
 */
#ifndef CACHE_STORE_SIGV4_H
#define CACHE_STORE_SIGV4_H

#include "cache/store/http.h"

#define SIGV4_EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SIGV4_FIELDS_MAX 24
#define SIGV4_PARAMETERS_MAX 16

struct sigv4_credentials {
    const char *access_key_id, *secret_access_key;
};

/* Who else signs in this way, with words of its own. */
struct sigv4_scheme {
    const char *key_prefix; /* "AWS4" */
    const char *algorithm;  /* "AWS4-HMAC-SHA256" */
    const char *terminator; /* "aws4_request" */
};

struct sigv4_request {
    const struct sigv4_scheme *scheme; /* NULL: AWS's */
    const char *method;
    struct slice path;               /* percent-encoded, as sent; begins with `/` */
    struct slice query;              /* as sigv4_query makes it and as sent, without `?` */
    const struct http_field *fields; /* all are signed; names in lower case, host among them */
    size_t fields_count;
    const char *payload_sha256; /* hex, or "UNSIGNED-PAYLOAD" */
    int64_t time_ms;            /* the same as in the field x-amz-date */
    const char *region, *service;
};

/* Appends the value of the field Authorization. A failure sticks in out; errors: too many fields.
 */
int sigv4_sign(const struct sigv4_request *r, const struct sigv4_credentials *credentials,
               struct buf *out, struct err *err);

/* Appends `name=value&...`, encoded and in the order that is signed. */
void sigv4_query(struct buf *out, const struct http_parameter *parameters, size_t count);

#endif
