/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers of reads that are under way: a fixed number of READ_BYTES_MAX, of which only touched
 * pages take memory. Who finds none is parked until one is put back. Any thread.
 */
#ifndef FS_BUFFERS_H
#define FS_BUFFERS_H

#include "base/limits.h"
#include "base/workers.h"

/* The kernel's largest read: 256 pages. */
#define READ_BYTES_MAX MIB
/* Reads of one session that hold a buffer; the kernel's background limit is the same. */
#define READ_BUFFERS_MAX 64

struct buffers;

struct buffers *buffers_new(struct workers *workers, struct err *err);
/* All must have been put back. */
void buffers_free(struct buffers *b);
DEFINE_AUTO(buffers, struct buffers *, buffers_free)

/* A buffer in *out, or -EINPROGRESS: the job runs again when there may be one. */
int buffers_get(struct buffers *b, struct job *job, char **out);
void buffers_put(struct buffers *b, char *buffer);

#endif
