/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags of objects in stores that write them as XML: S3 and Azure. No such store sets tags on a
 * condition, so the object is looked at before and after:
 *
 *   HEAD ─► the tags ─► the tags with ours ─► the tags again ─► HEAD
 *                                                               another object: ours is taken away
 *                                                               again, -ESTALE
 *
 * In a bucket that keeps versions the version is named, and no other can be met.
 */
#ifndef CACHE_STORE_REMOTE_TAGS_H
#define CACHE_STORE_REMOTE_TAGS_H

#include "cache/store/class.h"

/* As in struct store_ops. */
int remote_tags(struct store *s, const char *key, struct store_tags *out, struct err *err);
int remote_set_tag(struct store *s, const char *key, const struct store_tag *tag,
                   const struct store_info *if_is, bool *changed, struct err *err);

#endif
