/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Azure's Archive tier. Who wants a blob of it moves it to another tier (Set Blob Tier), for good:
 * it can be read hours later, when it is there.
 */
#ifndef CACHE_STORE_AZURE_RESTORE_H
#define CACHE_STORE_AZURE_RESTORE_H

#include "cache/store/http_answer.h"
#include "cache/store/store.h"

/* Class and access, as the head of an answer tells them. Pure. */
void azure_tell_class(const struct http_answer *a, struct store_info *info);

/* As in struct store_ops: the blob moves to Hot. */
int azure_restore(struct store *s, const char *key, const struct store_restore *how,
                  struct err *err);

#endif
