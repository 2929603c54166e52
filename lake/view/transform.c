/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/view/transform.h"

#include "base/text.h"
#include "lake/format/shape.h"

#define PART "1/"

int slack_parse(struct slice text, struct slack *out, struct err *err)
{
    struct slack s = {0, 0};
    ptrdiff_t plus = slice_find(text, '+');
    struct slice bytes = slice_make(text.p, plus < 0 ? text.n : (size_t)plus);
    struct slice part = plus < 0 ? SLICE_NONE : slice_from(text, (size_t)plus + 1);
    bool ok = text_parse_size(bytes, &s.bytes);
    if (ok && plus >= 0)
        ok = slice_starts(part, SLICE_LIT(PART)) &&
             text_parse_u64(slice_from(part, sizeof PART - 1), OBJECT_BYTES_MAX, &s.part) && s.part;
    if (!ok)
        return err_set(err, EINVAL, "%.*s is no slack (such as 64K+1/16 or 1M)", SLICE_FMT(text));
    *out = s;
    return 0;
}

static uint64_t slack_size(const struct slack *s, uint64_t object_bytes)
{
    uint64_t room = object_bytes < OBJECT_BYTES_MAX ? OBJECT_BYTES_MAX - object_bytes : 0;
    uint64_t part = s->part ? object_bytes / s->part : 0;
    uint64_t slack = s->bytes > OBJECT_BYTES_MAX ? OBJECT_BYTES_MAX : s->bytes;
    slack += part;
    return object_bytes + (slack < room ? slack : room);
}

uint64_t transform_size(const struct slack *s, uint64_t object_bytes, const struct shape *shape)
{
    uint64_t size = slack_size(s, object_bytes);
    uint64_t masks = shape ? shape_mask_room(shape, object_bytes) : 0;
    uint64_t room = size < OBJECT_BYTES_MAX ? OBJECT_BYTES_MAX - size : 0;
    return size + (masks < room ? masks : room);
}
