/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/view/transform.h"

const char *transform_name(enum transform t)
{
    switch (t) {
    case TRANSFORM_NONE:
        break;
    }
    return "none";
}

uint64_t transform_size(enum transform t, uint64_t object_bytes)
{
    (void)t;
    return object_bytes;
}

int64_t transform_mtime(enum transform t, int64_t object_mtime_ms)
{
    (void)t;
    return object_mtime_ms;
}

struct transform_piece transform_map(enum transform t, uint64_t object_bytes, uint64_t offset,
                                     size_t length)
{
    (void)t;
    if (offset >= object_bytes)
        return (struct transform_piece){object_bytes, 0};
    uint64_t left = object_bytes - offset;
    return (struct transform_piece){offset, left < length ? (size_t)left : length};
}
