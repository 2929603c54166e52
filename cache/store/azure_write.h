/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing to a container: Put Blob, or Put Block and Put Block List (Blob service REST API). The
 * service compares what arrives with its MD5. Blocks that are not in a list go after a week.
 */
#ifndef CACHE_STORE_AZURE_WRITE_H
#define CACHE_STORE_AZURE_WRITE_H

#include "cache/store/remote_write.h"

/* As put_begin of struct store_ops. */
int azure_put_begin(struct store *s, const char *key, const struct store_put *how,
                    struct store_writer **out, struct err *err);

#endif
