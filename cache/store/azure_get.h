/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranged reads of Azure. An answer counts only where it is what was asked for: the range and the
 * length to the byte, and the ETag; it is checked before its first byte goes to the caller.
 *
 *   wants a token -> parked -> sent -> answered -> done
 *        ^                               |
 *        '------ once: its token ended --'
 */
#ifndef CACHE_STORE_AZURE_GET_H
#define CACHE_STORE_AZURE_GET_H

#include "cache/store/azure_request.h"

/*
 * Takes `key`, whole and from the heap. get->done runs when it is done, maybe before this returns,
 * on the caller's thread, the engine's, or a worker's that fetched a token. A range at or after the
 * end is no error: nothing is got.
 */
void azure_get_start(struct http *http, const struct azure_container *container, char *key,
                     struct store_get *get);

#endif
