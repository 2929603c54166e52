/* SPDX-License-Identifier: Apache-2.0 */
/* A file as its readers see it: a size, and a way to any of its bytes. */
#ifndef LAKE_FORMAT_SOURCE_H
#define LAKE_FORMAT_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Where the bytes are. read: exactly n bytes at offset, 0 or -errno. */
struct source {
    uint64_t size_bytes;
    int (*read)(void *arg, uint64_t offset, void *to, size_t n, struct err *err);
    void *arg;
    size_t window_bytes; /* that are read ahead at once; 0: 1 MiB */
};

#define SOURCE_WINDOW_BYTES ((size_t)1 << 20)

#endif
