/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/key_name.h"

#include "base/limits.h"
#include "base/text.h"

/* Followed by two upper-case hex digits it is a byte, else nothing. */
#define ESCAPE "%~"

const char *key_flaw_reason(enum key_flaw flaw)
{
    switch (flaw) {
    case KEY_FLAW_NONE:
        break;
    case KEY_FLAW_LONG_NAME:
        return "a name of more than 255 bytes";
    case KEY_FLAW_LONG_PATH:
        return "a path of more than 4096 bytes";
    case KEY_FLAW_ZERO:
        return "a zero byte in its key";
    }
    return "nothing";
}

/* Bytes at the start that are one character which a name may have; 0: the first one is escaped. */
static size_t shown_length(struct slice s)
{
    unsigned char c = (unsigned char)s.p[0];
    if (c < 0x20 || c == 0x7f || slice_starts(s, SLICE_LIT(ESCAPE)))
        return 0;
    size_t n = c == '/' ? 0 : utf8_length(s);                           /* of catalogs' names */
    bool control = n == 2 && c == 0xc2 && (unsigned char)s.p[1] < 0xa0; /* U+0080 to U+009F */
    return control ? 0 : n;
}

static bool is_reserved(struct slice component)
{
    return slice_is(component, ".") || slice_is(component, "..") ||
           slice_is(component, KEY_NAME_META);
}

static void escape_first(struct buf *out, struct slice *rest)
{
    buf_addf(out, "%s%02X", ESCAPE, (unsigned char)rest->p[0]);
    *rest = slice_from(*rest, 1);
}

enum key_flaw key_name_add(struct buf *out, struct slice component, bool beside_dir)
{
    size_t start = out->len;
    struct slice rest = component;
    if (slice_find(component, '\0') >= 0)
        return KEY_FLAW_ZERO;
    if (is_reserved(component))
        escape_first(out, &rest);
    while (rest.n) {
        size_t n = shown_length(rest);
        if (n == 0) {
            escape_first(out, &rest);
        } else {
            buf_add(out, rest.p, n);
            rest = slice_from(rest, n);
        }
    }
    if (component.n == 0)
        buf_add_str(out, ESCAPE);
    if (beside_dir)
        buf_add_str(out, ESCAPE);
    if (out->failed || out->len - start <= NAME_BYTES_MAX)
        return KEY_FLAW_NONE;
    out->len = start;
    out->data[start] = '\0';
    return KEY_FLAW_LONG_NAME;
}

enum key_flaw key_name_add_path(struct buf *out, struct slice key, bool beside_dir)
{
    size_t start = out->len;
    enum key_flaw flaw = KEY_FLAW_NONE;
    for (ptrdiff_t slash = 0; flaw == KEY_FLAW_NONE && slash >= 0;) {
        slash = slice_find(key, '/');
        struct slice component = slice_make(key.p, slash < 0 ? key.n : (size_t)slash);
        flaw = key_name_add(out, component, slash < 0 && beside_dir);
        if (slash >= 0) {
            buf_add_char(out, '/');
            key = slice_from(key, component.n + 1);
        }
        if (flaw == KEY_FLAW_NONE && out->len - start > KEY_BYTES_MAX)
            flaw = KEY_FLAW_LONG_PATH;
    }
    if (flaw != KEY_FLAW_NONE && out->len > start) {
        out->len = start;
        out->data[start] = '\0';
    }
    return flaw;
}

/* The digit's value, or -1; lower-case ones are no digits here. */
static int digit(char c)
{
    return c >= 'a' ? -1 : text_hex_digit(c);
}

void key_name_add_key(struct buf *out, struct slice path)
{
    while (path.n) {
        ptrdiff_t at = slice_find(path, ESCAPE[0]);
        size_t plain = at < 0 ? path.n : (size_t)at;
        buf_add_slice(out, slice_make(path.p, plain));
        path = slice_from(path, plain);
        if (!slice_starts(path, SLICE_LIT(ESCAPE))) {
            plain = path.n ? 1 : 0;
            buf_add_slice(out, slice_make(path.p, plain));
            path = slice_from(path, plain);
            continue;
        }
        int high = path.n >= 4 ? digit(path.p[2]) : -1, low = high < 0 ? -1 : digit(path.p[3]);
        if (low >= 0)
            buf_add_char(out, (char)(high * 16 + low));
        path = slice_from(path, low >= 0 ? 4 : 2);
    }
}
