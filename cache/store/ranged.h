/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this the answer to the ranged read that was asked for (RFC 9110 sections 14.4, 15.3.7,
 * 15.5.17)? The range and the length to the byte; whose bytes they are is the store's to check.
 * Pure.
 */
#ifndef CACHE_STORE_RANGED_H
#define CACHE_STORE_RANGED_H

#include "cache/store/http_answer.h"

/* What the head of an answer promises of the body. */
struct ranged_promise {
    uint64_t size; /* of the object */
    size_t length; /* of the body */
};

/*
 * The head of a success, for `length` bytes from `offset` on, whose sum must not overflow: NULL and
 * *out, or why it cannot be right, and *out is untouched.
 */
const char *ranged_check(const struct http_answer *a, uint64_t offset, size_t length,
                         struct ranged_promise *out);

/*
 * A 416, to a range from `offset` on: NULL and the object's size where the range begins at or after
 * its end, or why it cannot be right. `told`: the size as the body says it, or NULL.
 */
const char *ranged_past_end(const struct http_answer *a, uint64_t offset, const uint64_t *told,
                            uint64_t *size);

#endif
