/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing to a bucket: PUT, or a resumable upload of the XML API (Cloud Storage: "Resumable
 * uploads", "XML API object uploads"), whose parts go in their order. Of a PUT the service compares
 * the CRC32C; of a resumable upload it tells the sum at the end, and what is not right is removed.
 */
#ifndef CACHE_STORE_GCS_WRITE_H
#define CACHE_STORE_GCS_WRITE_H

#include "cache/store/remote_write.h"

/* As put_begin of struct store_ops. */
int gcs_put_begin(struct store *s, const char *key, const struct store_put *how,
                  struct store_writer **out, struct err *err);

#endif
