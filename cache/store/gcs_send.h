/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends requests to a bucket, and again where what was wrong can be put right unseen by the reader:
 *
 *   no token that is good now   parked until a worker has fetched one (renewed.h)
 *   the token is refused        given up; sent once more with another
 */
#ifndef CACHE_STORE_GCS_SEND_H
#define CACHE_STORE_GCS_SEND_H

#include "cache/store/gcs_request.h"

/*
 * Returns at once. done runs once, on the engine's thread, a worker's or the caller's, under no
 * lock; gcs_request_check then tells how it went. Of q->http the caller may have set all but done.
 */
void gcs_send(struct gcs_request *q, struct http *http, void (*done)(struct gcs_request *q));

/* Sends and waits: workers and tools only. As gcs_request_check. */
int gcs_run(struct gcs_request *q, struct http *http, struct err *err);

#endif
