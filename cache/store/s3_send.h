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

/*
 * Returns at once. done runs once, on the engine's thread, a worker's or the caller's, under no
 * lock; s3_request_check then tells how it went. Of q->http the caller may have set all but done,
 * also `to`, which is written from its start again with each try. Must be initialised.
 */
void s3_send(struct s3_request *q, struct http *http, void (*done)(struct s3_request *q));

/* Sends and waits. As s3_request_check. */
int s3_run(struct s3_request *q, struct http *http, struct err *err);

#endif
