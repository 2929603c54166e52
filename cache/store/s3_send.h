/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends requests to a bucket, and again where what was wrong can be put right unseen by the reader:
 *
 *   no credentials that are good now     parked until a worker has fetched some (renewed.h)
 *   301, 307, 400: another region        signed again for the region that the server names. Only
 *                                        AWS's own hosts change with it, within their domain: no
 *                                        host is ever taken from an answer
 *   expired or unknown credentials       rejected, fetched anew, sent once more if they are others
 */
#ifndef CACHE_STORE_S3_SEND_H
#define CACHE_STORE_S3_SEND_H

#include "cache/store/s3_request.h"

/* As remote_ops.send. */
void s3_send(struct remote_request *q);

#endif
