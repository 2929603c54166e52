/* SPDX-License-Identifier: Apache-2.0 */
/*
 * S3's archive classes: GLACIER, DEEP_ARCHIVE, and the archive tiers of INTELLIGENT_TIERING (which
 * only HEAD tells, by x-amz-archive-status). RestoreObject makes a copy of the first two that stays
 * for some days, and moves the third back. GLACIER_IR is read like any other class.
 */
#ifndef CACHE_STORE_S3_RESTORE_H
#define CACHE_STORE_S3_RESTORE_H

#include "cache/store/http_answer.h"
#include "cache/store/store.h"

/* Class, access and end of the restored copy, as the head of an answer tells them. Pure. */
void s3_tell_class(const struct http_answer *a, struct store_info *info);

/* As in struct store_ops. */
int s3_restore(struct store *s, const char *key, const struct store_restore *how, struct err *err);

#endif
