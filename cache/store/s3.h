/* SPDX-License-Identifier: Apache-2.0 */
/* The store of an S3 bucket. */
#ifndef CACHE_STORE_S3_H
#define CACHE_STORE_S3_H

#include "cache/store/http.h"
#include "cache/store/store.h"
#include "cache/store/url.h"

/*
 * Its url is `s3://bucket/prefix`, or `s3+ENDPOINT/bucket/prefix` where an endpoint was named. The
 * runtime's parts are borrowed. Blocks until credentials were found or nobody answers: -EACCES
 * where there are none. -EINVAL for options that fit no request: half of a key pair, a region with
 * strange characters.
 */
struct store *s3_new(const struct url *url, const struct store_options *options,
                     const struct store_runtime *runtime, struct err *err);

#endif
