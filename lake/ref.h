/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ref: what stands after `@` (design.md section 2). Pure.
 *
 * A bare ref is, first match: digits (the format's own version; exactly 17 digits may be a UTC
 * time, which the driver decides); `v` and digits; a complete date or time; a name. Prefixed:
 * `version=`, `timestamp=`, `tag=`, `branch=`. Two of them with `..` between are a range.
 */
#ifndef LAKE_REF_H
#define LAKE_REF_H

#include "base/buf.h"
#include "base/slice.h"

enum ref_kind {
    REF_VERSION,
    REF_TIME,
    REF_NAME, /* a tag or a branch */
    REF_TAG,  /* no branch */
    REF_BRANCH,
    REF_RANGE, /* a..b, each a ref of another kind */
};

struct ref {
    enum ref_kind kind;
    int64_t version;   /* REF_VERSION */
    int64_t time_ms;   /* REF_TIME */
    struct slice name; /* of a tag or branch, without its prefix, as spelled; REF_RANGE: a */
    struct slice to;   /* REF_RANGE: b */
};

static inline bool ref_is_name(const struct ref *ref)
{
    return ref->kind == REF_NAME || ref->kind == REF_TAG || ref->kind == REF_BRANCH;
}

/* False where the text is malformed. */
bool ref_parse(struct slice text, bool digits17_is_time, struct ref *out);

/* A name that a table itself has, whatever it is, as it may stand behind `@`, appended: with `tag=`
 * or `branch=` where it would be read as something else. */
void ref_name_format(struct buf *out, struct slice name, bool branch);
/* The name of a ref as the table has it, appended; false where there is none. */
bool ref_name_decode(struct buf *out, const struct ref *ref);

#endif
