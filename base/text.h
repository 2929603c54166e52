/* SPDX-License-Identifier: Apache-2.0 */
/* Text: UTF-8, percent-encoding, numbers. Pure functions over slices. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/buf.h"

/* Bytes of the well-formed UTF-8 character at the start of s (Unicode 15, table 3-7); 0 where there
 * is none. */
size_t utf8_length(struct slice s);

/* The whole slice is well-formed UTF-8. */
bool utf8_valid(struct slice s);

/*
 * Percent-decodes once (RFC 3986 section 2.1). A `%` that two hex digits do not follow stays as it
 * is, as Hadoop's and Java's URI readers are followed by no common rule there.
 */
void text_percent_decode(struct buf *out, struct slice s);

/* Percent-encodes every byte but unreserved ones (RFC 3986 section 2.3) and those in `keep`. */
void text_percent_encode(struct buf *out, struct slice s, const char *keep);

/* Lower-case hex digits of n bytes. */
void text_hex(struct buf *out, const void *data, size_t n);

/* The value of a hex digit, or -1. */
int text_hex_digit(char c);

/* The other way: text.n / 2 bytes; false where it is an odd count of characters, or not of hex. */
bool text_unhex(struct slice text, void *out);
/* The same, appended. */
bool text_unhex_add(struct buf *out, struct slice text);

/* 1 to 16 hex digits as a number. */
bool text_parse_hex(struct slice s, uint64_t *out);

/* The whole slice as decimal digits, no sign, no space, within max: true and *out, or false. */
bool text_parse_u64(struct slice s, uint64_t max, uint64_t *out);

/* The whole slice as a decimal integer with an optional `-`. */
bool text_parse_i64(struct slice s, int64_t *out);

/* A size: digits and an optional k, M, G, T (powers of 1024; `KiB`, `kB`, `K` alike). */
bool text_parse_size(struct slice s, uint64_t *out);

/* Seconds as a decimal number ("0.5", "60", with an optional s, m, h, d) in milliseconds. */
bool text_parse_duration_ms(struct slice s, int64_t *out);

/* The directory part without its final `/` (empty: none), and the part after the last `/`. */
struct slice text_dirname(struct slice path);
struct slice text_basename(struct slice path);

#endif
