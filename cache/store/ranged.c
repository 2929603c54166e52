/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/ranged.h"

#include "base/text.h"

/* `bytes 0-99/1000`; an asterisk stands for the range where none was satisfied. */
static bool parse_content_range(struct slice s, uint64_t *first, uint64_t *last, uint64_t *size,
                                bool *satisfied)
{
    if (!slice_starts(s, SLICE_LIT("bytes ")))
        return false;
    s = slice_from(s, sizeof "bytes " - 1);
    ptrdiff_t slash = slice_find(s, '/');
    if (slash < 0 || !text_parse_u64(slice_from(s, (size_t)slash + 1), INT64_MAX, size))
        return false;
    struct slice range = slice_make(s.p, (size_t)slash);
    *satisfied = !slice_is(range, "*");
    if (!*satisfied)
        return true;
    ptrdiff_t dash = slice_find(range, '-');
    return dash > 0 && text_parse_u64(slice_make(range.p, (size_t)dash), INT64_MAX, first) &&
           text_parse_u64(slice_from(range, (size_t)dash + 1), INT64_MAX, last) &&
           *first <= *last && *last < *size;
}

static const char *check_partial(const struct http_answer *a, uint64_t offset, size_t length,
                                 struct ranged_promise *out)
{
    uint64_t first = 0, last = 0, size = 0;
    bool satisfied = false;
    if (!parse_content_range(slice_of(a->content_range), &first, &last, &size, &satisfied) ||
        !satisfied)
        return "no Content-Range that tells range and size";
    uint64_t want = size - first < length ? size - first : length;
    if (first != offset || last - first + 1 != want)
        return "another range than was asked for";
    if (a->has_length && a->content_length != want)
        return "Content-Length and Content-Range differ";
    *out = (struct ranged_promise){.size = size, .length = (size_t)want};
    return NULL;
}

/* A server that knows no ranges, or an object that the range covers. */
static const char *check_whole(const struct http_answer *a, uint64_t offset, size_t length,
                               struct ranged_promise *out)
{
    if (offset || !a->has_length || a->content_length > length)
        return "the whole object instead of a range of it";
    *out = (struct ranged_promise){.size = a->content_length, .length = (size_t)a->content_length};
    return NULL;
}

const char *ranged_check(const struct http_answer *a, uint64_t offset, size_t length,
                         struct ranged_promise *out)
{
    if (a->status == 206)
        return check_partial(a, offset, length, out);
    if (a->status == 200)
        return check_whole(a, offset, length, out);
    return "a success of an unknown kind";
}

const char *ranged_past_end(const struct http_answer *a, uint64_t offset, const uint64_t *told,
                            uint64_t *size)
{
    uint64_t first, last, n = 0;
    bool satisfied = false;
    if (!parse_content_range(slice_of(a->content_range), &first, &last, &n, &satisfied) ||
        satisfied) {
        if (!told && offset)
            return "past the end of an object of unknown size";
        n = told ? *told : 0; /* no range from 0 on: there can be no byte */
    }
    if (n > offset)
        return "the range is refused, though it is inside";
    *size = n;
    return NULL;
}
