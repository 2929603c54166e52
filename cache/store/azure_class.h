/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access tiers of Azure, changed by Set Blob Tier: the blob stays what it is, its ETag too.
 *
 * That request knows no condition on the ETag. So the blob is leased for a moment, which does:
 *
 *   properties ─► lease it if its ETag is that ─► its tier, as who holds the lease ─► release
 *
 * While it is leased nobody replaces or deletes it. A lease lasts 15 s and ends by itself where its
 * holder was killed; who finds a blob leased waits for that, and looks whether it is done.
 */
#ifndef CACHE_STORE_AZURE_CLASS_H
#define CACHE_STORE_AZURE_CLASS_H

#include "cache/store/remote.h"

/* As store_ops.set_class. */
int azure_set_class(struct store *s, const char *key, const char *class,
                    const struct store_info *if_is, struct store_info *now, struct err *err);

#endif
