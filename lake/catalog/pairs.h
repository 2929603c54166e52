/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what all catalogs' answers have in common, into an arena. Pure. */
#ifndef LAKE_CATALOG_PAIRS_H
#define LAKE_CATALOG_PAIRS_H

#include "base/json.h"
#include "lake/catalog/catalog.h"

/* Of one object; Polaris sends some 20. */
#define CATALOG_PAIRS_MAX ((size_t)4096)

struct catalog_pairs {
    const struct catalog_pair *at;
    size_t n;
};

/*
 * A string, which is copied, followed by a zero; null is SLICE_NONE. False where the next value is
 * neither, or has a zero byte in it, or there is no memory (arena->full, or *out stays as it is).
 */
bool catalog_read_text(struct json *j, struct arena *a, struct slice *out);

/*
 * An object of texts; a number or a boolean is its text, null is left out. Objects and arrays are
 * refused.
 */
bool catalog_read_pairs(struct json *j, struct arena *a, struct catalog_pairs *out);

/* `why` where that is the reader's own to tell: the JSON's error, the arena's, or "WHAT is not as
 * it should be". -EIO, -EOVERFLOW, -ENOMEM. */
int catalog_read_failed(const struct json *j, const struct arena *a, const char *what,
                        struct err *err);

#endif
