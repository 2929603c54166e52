/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/pairs.h"

#include "base/vec.h"

/* One text: a token, a SAS, a sentence. */
#define TEXT_BYTES_MAX (64 * KIB)

bool catalog_read_text(struct json *j, struct arena *a, struct slice *out)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice s;
    buf_init(&scratch, TEXT_BYTES_MAX);
    if (json_null(j)) {
        *out = SLICE_NONE;
        return true;
    }
    if (!json_string(j, &scratch, &s) || slice_find(s, '\0') >= 0)
        return false;
    struct slice copy = arena_slice(a, s);
    if (scratch.data)
        explicit_bzero(scratch.data, scratch.cap);
    if (!copy.p)
        return false;
    *out = copy;
    return true;
}

static bool read_value(struct json *j, struct arena *a, struct slice *out)
{
    struct slice raw;
    switch (json_peek(j)) {
    case JSON_STRING:
    case JSON_NULL:
        return catalog_read_text(j, a, out);
    case JSON_NUMBER:
    case JSON_BOOL:
        if (!json_skip(j, &raw))
            return false;
        *out = arena_slice(a, raw);
        return out->p;
    case JSON_NONE:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return false;
}

bool catalog_read_pairs(struct json *j, struct arena *a, struct catalog_pairs *out)
{
    VEC(struct catalog_pair) pairs = VEC_MAX(CATALOG_PAIRS_MAX);
    struct slice key;
    bool ok = json_null(j);
    bool object = !ok;
    if (object)
        ok = json_enter_object(j);
    while (ok && object && json_next_key(j, &key)) {
        struct catalog_pair pair = {arena_slice(a, key), SLICE_NONE};
        ok = pair.key.p && read_value(j, a, &pair.value);
        if (ok && pair.value.p)
            ok = !vec_push(&pairs, pair);
    }
    ok = ok && !json_failed(j);
    struct catalog_pair *at = ok && pairs.n ? arena_calloc(a, pairs.n, sizeof *at) : NULL;
    if (at)
        memcpy(at, pairs.at, pairs.n * sizeof *at);
    ok = ok && (at || !pairs.n);
    if (ok)
        *out = (struct catalog_pairs){at, pairs.n};
    vec_done(&pairs);
    return ok;
}

int catalog_read_failed(const struct json *j, const struct arena *a, const char *what,
                        struct err *err)
{
    if (a->full)
        return arena_failed(a, what, err);
    if (json_failed(j)) {
        (void)json_error(j, err);
        return err_wrap(err, "%s", what);
    }
    return err_set(err, EIO, "%s: not as the protocol has it", what);
}
