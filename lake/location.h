/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole names of objects as table formats write them, and their one spelling:
 *
 *   s3a://bucket/a/x    s3n://..    s3://bucket/a/x
 *   abfs://c@account.dfs.core.windows.net/x, wasb(s)://c@account.blob... abfss://c@account.dfs...
 *   /a/x    file:/a/x    file:///a/x                                        file:///a/x
 *
 * Whether a path is percent-encoded is the format's own rule: nothing here decodes. Pure.
 */
#ifndef LAKE_LOCATION_H
#define LAKE_LOCATION_H

#include "base/buf.h"

/* A name in its parts; borrowed. A path alone has no scheme and no authority. */
struct location {
    struct slice scheme, authority, path;
};
struct location location_split(struct slice name);

/* Begins with `/` or a scheme: not relative to anything. */
bool location_is_absolute(struct slice name);

/* Appends `scheme://authority` in the one spelling, `file://` where there is no scheme. */
void location_add_root(struct buf *out, const struct location *l);

/* The next component and what follows it; false at the end. Empty ones are passed over. */
bool location_component(struct slice *rest, struct slice *component);

/*
 * Appends the path without empty, `.` and `..` components. False where `..` would leave the place
 * at which `out` began.
 */
bool location_add_normal(struct buf *out, struct slice path);

/* What follows `home` (which may end in slashes) and one slash in a whole name of the same
 * spelling, if that is anything; false where the name is not below it. */
bool location_below(struct slice home, struct slice name, struct slice *out);

#endif
