/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transforms: what turns an object into the file that is presented (design.md section 5). There is
 * one so far, the identity; the rule of size and modification time stands here, so that whoever
 * answers stat or read asks this module and never the entry.
 *
 * Pure; any thread.
 */
#ifndef LAKE_VIEW_TRANSFORM_H
#define LAKE_VIEW_TRANSFORM_H

#include <stddef.h>
#include <stdint.h>

enum transform {
    TRANSFORM_NONE, /* presented as it is stored */
};

/* `user.tarn.transform` */
const char *transform_name(enum transform t);

/* Size and mtime of the presented file, from its object's as metadata tells them. */
uint64_t transform_size(enum transform t, uint64_t object_bytes);
int64_t transform_mtime(enum transform t, int64_t object_mtime_ms);

/* A range of the object that stands for the start of a range of the presented file. */
struct transform_piece {
    uint64_t offset; /* in the object */
    size_t length;   /* at most what was asked; 0 at the file's end */
};
struct transform_piece transform_map(enum transform t, uint64_t object_bytes, uint64_t offset,
                                     size_t length);

#endif
