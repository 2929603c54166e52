/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instants as people and protocols write them (RFC 3339 section 5.6, RFC 9110 section 5.6.7), held
 * as milliseconds since 1970-01-01T00:00:00Z, proleptic Gregorian. Pure.
 */
#ifndef BASE_INSTANT_H
#define BASE_INSTANT_H

#include "base/buf.h"

/*
 * A complete date (`2026-03-01`: its first instant), or a date and time: `2026-03-01T09:30:00`,
 * `2026-03-01T093000.123Z`, `2026-03-01 09:30:00+01:00`; seconds and fraction may be left out,
 * digits after the third of a fraction are cut; no zone means UTC. False where it is none.
 */
bool instant_parse(struct slice s, int64_t *out_ms);

/* Delta's 17 digits, yyyyMMddHHmmssSSS, UTC. */
bool instant_parse_digits17(struct slice s, int64_t *out_ms);

/* An HTTP date: `Sun, 06 Nov 1994 08:49:37 GMT`. */
bool instant_parse_http(struct slice s, int64_t *out_ms);

/* `2026-03-01T09:30:00.123Z`; the fraction only where it is not zero. */
void instant_format(struct buf *out, int64_t ms);

/* `20260301T093000Z`, as AWS signatures want it. */
void instant_format_basic(struct buf *out, int64_t ms);

/* An HTTP date, as instant_parse_http reads it. */
void instant_format_http(struct buf *out, int64_t ms);

#endif
