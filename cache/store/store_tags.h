/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags of an object as S3 and Azure write them; only the root's name differs. Pure.
 *
 *   <Tagging><TagSet><Tag><Key>project</Key><Value>lake</Value></Tag></TagSet></Tagging>
 */
#ifndef CACHE_STORE_STORE_TAGS_H
#define CACHE_STORE_STORE_TAGS_H

#include "cache/store/class.h"

/* -EIO for what is no such document; -EOVERFLOW for more or longer tags than can be kept. */
int store_tags_parse(struct slice xml, struct store_tags *out, struct err *err);

/* Appended. */
void store_tags_format(const struct store_tags *tags, const char *root, struct buf *out);

/* NULL: no tag of that name. */
const struct store_tag *store_tags_find(const struct store_tags *tags, const char *name);

/*
 * Sets it, or removes it where its value is empty. False: it is so already. -EOVERFLOW in *rc where
 * there is no room for one more.
 */
bool store_tags_set(struct store_tags *tags, const struct store_tag *tag, int *rc);

#endif
