/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores shared by those who open the same one: objects in the cache are fetched through the store
 * of whoever opened them, so one URL has one store in a process.
 *
 * Two who open one URL with other credentials cannot share it: the second is refused. Any thread.
 */
#ifndef CACHE_STORE_SHARE_H
#define CACHE_STORE_SHARE_H

#include "cache/store/store.h"

struct store_shares;

struct store_shares *store_shares_new(struct err *err);
/* No store may be left. */
void store_shares_free(struct store_shares *shares);

/*
 * Takes a store that was just opened and gives back the one to use: itself, or one of the same URL
 * and options that is there already. NULL and err (-EBUSY) where that has other options. `options`
 * NULL: it has none of its own, its URL tells all. `wrapped` as in struct store_runtime.
 */
struct store *store_share(struct store_shares *shares, struct store *opened,
                          const struct store_options *options, const char *wrapped,
                          struct err *err);

#endif
