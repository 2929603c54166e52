/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranged reads of S3. An answer counts only where it is what was asked for: the range and the
 * length to the byte, and the ETag; it is checked before its first byte goes to the caller.
 */
#ifndef CACHE_STORE_S3_GET_H
#define CACHE_STORE_S3_GET_H

#include "cache/store/s3_request.h"
#include "cache/store/store.h"

/*
 * Takes `key`, whole and from the heap. -EINPROGRESS: get->done runs when it is done, maybe before
 * this returns; what get holds belongs to the engine's thread then. Else -errno, get->err is set
 * and done will not run. A range at or after the end is no error: nothing is got.
 */
int s3_get_start(struct http *http, struct s3_bucket *bucket, char *key, struct store_get *get);

#endif
