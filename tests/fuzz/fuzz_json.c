/* SPDX-License-Identifier: Apache-2.0 */
/* What json_skip takes, a walk takes too, and both end at the same byte. */
#include <assert.h>

#include "base/json.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct buf scratch;

/* Reads a value by the calls of its type; depth bounds the recursion. */
static bool walk(struct json *j, unsigned depth)
{
    struct slice s;
    int64_t number;
    bool flag;
    switch (json_peek(j)) {
    case JSON_NULL:
        return json_null(j);
    case JSON_BOOL:
        return json_bool(j, &flag);
    case JSON_NUMBER: {
        struct json before = *j;
        if (json_int64(j, &number))
            return true;
        *j = before;
        return json_skip(j, NULL);
    }
    case JSON_STRING: {
        struct json before = *j;
        if (json_string(j, &scratch, &s))
            return true;
        *j = before;
        return json_skip(j, NULL);
    }
    case JSON_ARRAY:
        if (depth == 0)
            return json_skip(j, NULL);
        if (json_enter_array(j))
            while (json_next_element(j))
                if (!walk(j, depth - 1))
                    return false;
        return !json_failed(j);
    case JSON_OBJECT:
        if (depth == 0)
            return json_skip(j, NULL);
        if (json_enter_object(j))
            while (json_next_key(j, &s))
                if (!walk(j, depth - 1))
                    return false;
        return !json_failed(j);
    case JSON_NONE:
        break;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json skipped, walked;
    struct slice raw;
    buf_init(&scratch, size + 1);
    json_init(&skipped, slice_make(data, size));
    json_init(&walked, slice_make(data, size));
    bool skips = json_skip(&skipped, &raw);
    bool walks = walk(&walked, 32);
    if (skips)
        assert(raw.n <= size && raw.n > 0);
    /* A walk also decodes keys, which may fail by an escape. */
    if (walks) {
        assert(skips && skipped.p == walked.p);
        assert(json_at_end(&skipped) == json_at_end(&walked));
    }
    buf_done(&scratch);
    return 0;
}
