/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access tokens (RFC 6749 sections 4 and 5; RFC 6750 section 2.1): one request to who gives them
 * out, and what its answer says. What is sent as proof is the caller's.
 */
#ifndef CACHE_STORE_OAUTH_H
#define CACHE_STORE_OAUTH_H

#include "cache/store/http.h"

/* Google's have up to 2,048 bytes, those of Entra with many groups up to 6,000. */
#define OAUTH_TOKEN_BYTES_MAX 8192

/* A value for cache/store/renewed.h: text that may stand in a field of a request. */
struct oauth_token {
    char text[OAUTH_TOKEN_BYTES_MAX];
};

struct oauth_request {
    const char *url;
    struct slice form;                 /* sent by POST; empty: GET */
    const struct http_field *fields;   /* besides Content-Type */
    size_t fields_count;               /* at most 4 */
    const char *ca_bundle, *proxy_url; /* as in struct store_options */
    int64_t deadline_ms;
};

/*
 * Blocks: workers. *expires_ms: by clock_real_ms. -EACCES where it is refused, with what the server
 * says of it; -EIO for the rest. No message has what was sent.
 */
int oauth_fetch(struct http *http, const struct oauth_request *request, struct oauth_token *out,
                int64_t *expires_ms, struct err *err);

/*
 * A successful answer's JSON: `access_token`, `expires_in` (a number, or one in quotes), or Azure's
 * `expires_on`, in seconds since 1970.
 * *expires_ms is 0 where it is not told. -EIO for what is none, or a token that may stand in no
 * field.
 */
int oauth_parse(struct slice json, int64_t now_ms, struct oauth_token *out, int64_t *expires_ms,
                struct err *err);

/* Copies a token that was given as text. -EINVAL where it may stand in no field. */
int oauth_token_set(struct oauth_token *token, struct slice text, struct err *err);

#endif
