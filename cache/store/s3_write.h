/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing to a bucket: one PUT, or a multipart upload (Amazon S3 API Reference: PutObject,
 * CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload). The server
 * compares what arrives with its CRC32C, and where requests are signed with its SHA-256.
 */
#ifndef CACHE_STORE_S3_WRITE_H
#define CACHE_STORE_S3_WRITE_H

#include "cache/store/remote_write.h"

/* As put_begin of struct store_ops. */
int s3_put_begin(struct store *s, const char *key, const struct store_put *how,
                 struct store_writer **out, struct err *err);

#endif
