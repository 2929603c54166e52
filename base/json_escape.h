/* SPDX-License-Identifier: Apache-2.0 */
/* What is between the quotes of a JSON string, with its escapes (RFC 8259 section 7). Pure. */
#ifndef BASE_JSON_ESCAPE_H
#define BASE_JSON_ESCAPE_H

#include "base/slice.h"

/*
 * Decodes into `to`, which has room for inner.n bytes: an escape is never shorter than its text. No
 * backslash is the last byte, but for an escaped one. False: *why not.
 */
bool json_unescape(struct slice inner, char *to, size_t *n, const char **why);

#endif
