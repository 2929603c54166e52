/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/ref.h"

#include "base/instant.h"
#include "base/text.h"

static bool parse_version(struct slice text, struct ref *out)
{
    uint64_t number;
    if (!text_parse_u64(text, INT64_MAX, &number))
        return false;
    *out = (struct ref){.kind = REF_VERSION, .version = (int64_t)number};
    return true;
}

static bool parse_time(struct slice text, struct ref *out)
{
    int64_t ms;
    if (!instant_parse(text, &ms))
        return false;
    *out = (struct ref){.kind = REF_TIME, .time_ms = ms};
    return true;
}

static bool parse_digits17(struct slice text, struct ref *out)
{
    int64_t ms;
    if (!instant_parse_digits17(text, &ms))
        return false;
    *out = (struct ref){.kind = REF_TIME, .time_ms = ms};
    return true;
}

static bool parse_one(struct slice text, bool digits17_is_time, struct ref *out)
{
    static const struct {
        struct slice prefix;
        enum ref_kind kind;
    } prefixes[] = {
        {{"version=", 8}, REF_VERSION},
        {{"timestamp=", 10}, REF_TIME},
        {{"tag=", 4}, REF_TAG},
        {{"branch=", 7}, REF_BRANCH},
    };
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (!slice_starts(text, prefixes[i].prefix))
            continue;
        struct slice rest = slice_from(text, prefixes[i].prefix.n);
        if (prefixes[i].kind == REF_VERSION)
            return parse_version(rest, out);
        if (prefixes[i].kind == REF_TIME)
            return parse_time(rest, out) || (digits17_is_time && parse_digits17(rest, out));
        if (rest.n == 0)
            return false;
        *out = (struct ref){.kind = prefixes[i].kind, .name = rest};
        return true;
    }
    if (digits17_is_time && text.n == 17 && parse_digits17(text, out))
        return true;
    if (parse_version(text, out))
        return true;
    if (text.n > 1 && text.p[0] == 'v' && parse_version(slice_from(text, 1), out))
        return true;
    if (parse_time(text, out))
        return true;
    if (text.n == 0)
        return false;
    *out = (struct ref){.kind = REF_NAME, .name = text};
    return true;
}

bool ref_parse(struct slice text, bool digits17_is_time, struct ref *out)
{
    const char *dots = text.n ? memmem(text.p, text.n, "..", 2) : NULL;
    struct ref ignored;
    if (!dots)
        return parse_one(text, digits17_is_time, out);
    struct slice from = slice_make(text.p, (size_t)(dots - text.p));
    struct slice to = slice_from(text, from.n + 2);
    if (slice_starts(to, SLICE_LIT(".")) || memmem(to.p, to.n, "..", 2) ||
        !parse_one(from, digits17_is_time, &ignored) || !parse_one(to, digits17_is_time, &ignored))
        return false;
    *out = (struct ref){.kind = REF_RANGE, .name = from, .to = to};
    return true;
}

/* What paths have a meaning for; dots that would make it a range, `.` or `..`, too. */
static bool is_escaped(struct slice name, size_t i)
{
    char c = name.p[i];
    bool beside = (i && name.p[i - 1] == '.') || (i + 1 < name.n && name.p[i + 1] == '.');
    bool control = (unsigned char)c < 0x20 || c == 0x7f;
    return c == '/' || c == '@' || c == '%' || control || (c == '.' && (i == 0 || beside));
}

void ref_name_format(struct buf *out, struct slice name, bool branch)
{
    AUTO(buf) struct buf text = {0};
    struct ref ref;
    buf_init(&text, out->max);
    for (size_t i = 0; i < name.n; i++)
        if (is_escaped(name, i))
            buf_addf(&text, "%%%02X", (unsigned char)name.p[i]);
        else
            buf_add_char(&text, name.p[i]);
    if (!ref_parse(buf_slice(&text), true, &ref) || ref.kind != REF_NAME)
        buf_add_str(out, branch ? "branch=" : "tag=");
    buf_add_slice(out, buf_slice(&text));
    if (text.failed && !out->failed)
        out->failed = text.failed;
}

bool ref_name_decode(struct buf *out, const struct ref *ref)
{
    size_t before = out->len;
    if (!ref_is_name(ref))
        return false;
    text_percent_decode(out, ref->name);
    return !out->failed && out->len > before;
}
