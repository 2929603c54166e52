/* SPDX-License-Identifier: Apache-2.0 */
/* The store of a Cloud Storage bucket, by its XML API (gcs_request.h, gcs_auth.h). */
#ifndef CACHE_STORE_GCS_H
#define CACHE_STORE_GCS_H

#include "cache/store/store.h"
#include "cache/store/url.h"

/*
 * Its url is `gs://bucket/prefix`, or `gs+ENDPOINT/bucket/prefix` where an endpoint was named. What
 * the runtime holds is borrowed. -EINVAL for options that fit no request, and for credentials that
 * cannot be used (gcs_auth_init).
 */
struct store *gcs_new(const struct url *url, const struct store_options *options,
                      const struct store_runtime *runtime, struct err *err);

#endif
