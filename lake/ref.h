/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ref: what stands after `@` (design.md section 2). Pure.
 *
 * A bare ref is, first match: digits (the format's own version; exactly 17 digits may be a UTC
 * time, which the driver decides); `v` and digits; a complete date or time; a name. Prefixed:
 * `version=`, `timestamp=`, `tag=`, `branch=`.
 */
#ifndef LAKE_REF_H
#define LAKE_REF_H

#include "base/slice.h"

enum ref_kind {
    REF_VERSION,
    REF_TIME,
    REF_NAME,  /* a tag or a branch: no driver has any yet */
    REF_RANGE, /* a..b: its own place, not served yet */
};

struct ref {
    enum ref_kind kind;
    int64_t version; /* REF_VERSION */
    int64_t time_ms; /* REF_TIME */
    struct slice name;
};

/* False where the text is malformed. */
bool ref_parse(struct slice text, bool digits17_is_time, struct ref *out);

#endif
