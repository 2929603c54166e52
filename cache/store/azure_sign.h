/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared Key of Azure Blob: an HMAC over what a request asks, in the field Authorization. Pure: the
 * time is a field of the request's. ("Authorize with Shared Key", the form of versions 2015-02-21
 * and later.)
 */
#ifndef CACHE_STORE_AZURE_SIGN_H
#define CACHE_STORE_AZURE_SIGN_H

#include "cache/store/http.h"

#define AZURE_KEY_BYTES_MAX 128 /* Azure's have 64 */
#define AZURE_PARAMETERS_MAX 8
#define AZURE_FIELDS_MAX 12

struct azure_key {
    size_t n; /* 0: none */
    uint8_t bytes[AZURE_KEY_BYTES_MAX];
};

/* From base64, as the portal shows it. False for what is none. */
bool azure_key_parse(struct slice text, struct azure_key *out);

struct azure_signed {
    const char *method;
    const char *account;
    struct slice path;                       /* percent-encoded, as sent; begins with `/` */
    const struct http_parameter *parameters; /* names in lower case */
    size_t parameters_count;                 /* at most AZURE_PARAMETERS_MAX */
    const struct http_field *fields;         /* as sent, in lower case; x-ms-date among them */
    size_t fields_count;                     /* at most AZURE_FIELDS_MAX */
    size_t content_length;
};

/* What is signed, appended. For tests, and for azure_sign. */
void azure_sign_text(const struct azure_signed *r, struct buf *out);

/* The value of the field Authorization, appended; a failure sticks in out. */
void azure_sign(const struct azure_signed *r, const struct azure_key *key, struct buf *out);

#endif
