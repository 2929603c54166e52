/* SPDX-License-Identifier: Apache-2.0 */
/* How listings of plain directories are made (lake/dir.h has what is read of them): of a level of a
 * store, or of names that a catalog or a lake file tells. */
#ifndef LAKE_DIR_LISTING_H
#define LAKE_DIR_LISTING_H

#include "lake/dir.h"

/* An empty one, one reference; NULL and err. Filled by one thread, then finished. */
struct listing *listing_new(struct err *err);
struct listing *listing_ref(struct listing *l);

/*
 * A directory or table by its component, any bytes: its name is what lake/key_name.h makes of it,
 * with slashes escaped as well. Where a table and a directory have one name, the table gets `~`
 * behind it as an object does.
 */
int listing_add(struct listing *l, struct slice component, bool is_table, struct err *err);
/* Puts them in order, apart from twins; what comes more than once stays once. */
int listing_finish(struct listing *l, struct err *err);

/* One level below prefix ("" or ending in a slash), finished. Blocks. */
int listing_read(struct store *store, const char *prefix, struct listing **out, struct err *err);

/* As listing_tell_left_out: what was told of an older listing is not told again. */
void listing_inherit_told(struct listing *l, const struct listing *before);

#endif
