/* SPDX-License-Identifier: Apache-2.0 */
/* The sentence by which an answer of a store is refused: what was asked, what came, and why. */
#ifndef CACHE_STORE_REFUSAL_H
#define CACHE_STORE_REFUSAL_H

#include "cache/store/http.h"

/*
 * Sets the error: method, bucket, the end of the key, status and the request's id, and the reason.
 * An empty key: the bucket was asked. Returns -code.
 */
int refusal_set(const struct http_request *r, const char *bucket, const char *key, int code,
                const char *why, struct err *err);

#endif
