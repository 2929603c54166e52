/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pull reader for JSON (RFC 8259): pure, bounded, no tree.
 *
 * The caller walks the text and skips what it does not want, at the speed of a scan: in a Delta
 * commit most bytes are one statistics string that nobody reads here.
 *
 *   json_init(&j, text);
 *   if (json_enter_object(&j))
 *       while (json_next_key(&j, &key))
 *           if (slice_is(key, "path"))
 *               json_string(&j, &scratch, &path);
 *           else
 *               json_skip(&j, NULL);
 *   if (json_failed(&j)) ... j.why, j.at
 *
 * Errors stick: after the first one every call is false and moves nothing. Nesting is bounded by
 * JSON_DEPTH_MAX. Depth of the caller's own recursion is the caller's to bound.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

enum json_type {
    JSON_NONE,
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json {
    const char *p, *end, *begin;
    const char *why; /* NULL, or what is wrong */
    size_t at;       /* byte at which it is wrong */
    unsigned depth;
    bool first;    /* no element of the current array or object was read yet */
    char key[256]; /* a decoded key with escapes; longer ones are an error */
};

void json_init(struct json *j, struct slice text);
static inline bool json_failed(const struct json *j)
{
    return j->why != NULL;
}

/* Type of the value that comes next; JSON_NONE at the end or after an error. */
enum json_type json_peek(struct json *j);

/* Steps into an object or array; false (and an error) where the next value is none. */
bool json_enter_object(struct json *j);
bool json_enter_array(struct json *j);

/*
 * The next key, decoded (points into the text, or into a small buffer inside that lives until the
 * next call where it has escapes), the value follows. False at the end of the object, which is
 * left by that.
 */
bool json_next_key(struct json *j, struct slice *key);

/* There is a next element, the value follows. False at the end of the array, which is left by that.
 */
bool json_next_element(struct json *j);

/*
 * A string, decoded. Without escapes it points into the text; else it is decoded into scratch
 * (reset first), valid until scratch changes. Half a surrogate pair is an error.
 */
bool json_string(struct json *j, struct buf *scratch, struct slice *out);
bool json_int64(struct json *j, int64_t *out); /* also 1.0 and 1e3, where exact */
bool json_bool(struct json *j, bool *out);
bool json_null(struct json *j); /* consumes a null; false without an error where it is none */

/* Passes over one value of any type. *raw (may be NULL) is its text. */
bool json_skip(struct json *j, struct slice *raw);

/* Texts of the members of an object that are wanted; others are passed over. *to is as it was where
 * there is no such member. False (and an error) where the next value is no object. */
struct json_member {
    const char *key;
    struct slice *to;
};
bool json_members(struct json *j, const struct json_member *wanted, size_t n);

/* Only white space is left. */
bool json_at_end(struct json *j);

/* err from the reader's error: "byte 12: expected a string". Returns -EIO. */
int json_error(const struct json *j, struct err *err);

#endif
