/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranged reads of Cloud Storage. An answer counts only where it is what was asked for: the range
 * and the length to the byte, and the generation; it is checked before its first byte goes to the
 * caller.
 */
#ifndef CACHE_STORE_GCS_GET_H
#define CACHE_STORE_GCS_GET_H

#include "cache/store/gcs_request.h"
#include "cache/store/store.h"

/*
 * Takes `key`, whole and from the heap. -EINPROGRESS: get->done runs when it is done, maybe before
 * this returns; what get holds belongs to the engine's thread then. Else -errno, get->err is set
 * and done will not run. A range at or after the end is no error: nothing is got.
 */
int gcs_get_start(struct http *http, const struct gcs_bucket *bucket, char *key,
                  struct store_get *get);

#endif
