/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of a store's own lifecycle that put objects into the class which their tag names
 * (lake/tier/apply.h), one for each layer and class of a lake file's rules:
 *
 *   S3     a bucket's lifecycle configuration, as PutBucketLifecycleConfiguration takes it
 *   Azure  an account's lifecycle management policy
 *
 * Only tagged objects below the layer's root are met. Pure.
 */
#ifndef LAKE_TIER_LIFECYCLE_H
#define LAKE_TIER_LIFECYCLE_H

#include "base/buf.h"
#include "base/err.h"

struct lakefile;

enum tier_lifecycle {
    TIER_LIFECYCLE_S3,     /* JSON, as `aws s3api` takes it */
    TIER_LIFECYCLE_S3_XML, /* as the API itself does */
    TIER_LIFECYCLE_AZURE,  /* JSON */
};

/*
 * Appends the document for one bucket (Azure: account). `of` NULL: the only one that layers with
 * rules have. -EINVAL: there is none, or several, or a class that no lifecycle moves to.
 */
int tier_lifecycle(const struct lakefile *file, enum tier_lifecycle format, const char *of,
                   struct buf *out, struct err *err);

#endif
