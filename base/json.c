/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <assert.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/json_escape.h"
#include "base/limits.h"
#include "base/text.h"

void json_init(struct json *j, struct slice text)
{
    static const char nothing[] = "";
    j->begin = j->p = text.n ? text.p : nothing;
    j->end = j->begin + text.n;
    j->why = NULL;
    j->at = 0;
    j->depth = 0;
    j->first = false;
}

static bool fail(struct json *j, const char *why)
{
    if (!j->why) {
        j->why = why;
        j->at = (size_t)(j->p - j->begin);
        j->p = j->end; /* nothing moves any more */
    }
    return false;
}

static void skip_space(struct json *j)
{
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r'))
        j->p++;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

enum json_type json_peek(struct json *j)
{
    if (j->why)
        return JSON_NONE;
    skip_space(j);
    if (j->p == j->end)
        return JSON_NONE;
    switch (*j->p) {
    case 'n':
        return JSON_NULL;
    case 't':
    case 'f':
        return JSON_BOOL;
    case '"':
        return JSON_STRING;
    case '[':
        return JSON_ARRAY;
    case '{':
        return JSON_OBJECT;
    default:
        return *j->p == '-' || is_digit(*j->p) ? JSON_NUMBER : JSON_NONE;
    }
}

static bool enter(struct json *j, enum json_type type, const char *why)
{
    if (json_peek(j) != type)
        return fail(j, why);
    if (j->depth >= JSON_DEPTH_MAX)
        return fail(j, "nested too deep");
    j->p++;
    j->depth++;
    j->first = true;
    return true;
}

bool json_enter_object(struct json *j)
{
    return enter(j, JSON_OBJECT, "expected an object");
}

bool json_enter_array(struct json *j)
{
    return enter(j, JSON_ARRAY, "expected an array");
}

/* Passes `,` where one is due; false at the closing bracket, which is passed, or after an error. */
static bool next_item(struct json *j, char close)
{
    if (j->why)
        return false;
    assert(j->depth > 0);
    skip_space(j);
    if (j->p == j->end)
        return fail(j, "the text ends too early");
    if (*j->p == close) {
        j->p++;
        j->depth--;
        j->first = false;
        return false;
    }
    if (!j->first) {
        if (*j->p != ',')
            return fail(j, "expected a comma");
        j->p++;
        skip_space(j);
    }
    j->first = false;
    return true;
}

/* Bytes that are looked at in one step, one bit each. */
#define STEP 64

/* Which of STEP bytes are c. */
static uint64_t bytes_that_are(const char *p, char c)
{
    uint64_t mask = 0;
#ifdef __SSE2__
    for (unsigned i = 0; i < STEP; i += 16) {
        __m128i same = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + i)),
                                      _mm_set1_epi8(c));
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(same) << i;
    }
#else
    for (unsigned i = 0; i < STEP; i++)
        mask |= (uint64_t)(p[i] == c) << i;
#endif
    return mask;
}

/* Which of STEP bytes a backslash stands before; *escaped: the first one, and then the next one. */
static uint64_t escaped_bytes(uint64_t backslashes, bool *escaped)
{
    uint64_t out = *escaped, left = backslashes & ~out;
    *escaped = false;
    while (left) {
        uint64_t one = left & (0 - left);
        *escaped = one >> (STEP - 1);
        out |= one << 1;
        left &= ~(one | one << 1);
    }
    return out;
}

/*
 * From behind the opening quote to behind the closing one; *inner is what stands between. Most
 * bytes of a Delta log are strings that are passed over here, full of escaped quotes.
 */
static bool scan_string(struct json *j, struct slice *inner)
{
    const char *start = j->p, *p = start;
    bool escaped = false;
    for (; j->end - p >= STEP; p += STEP) {
        uint64_t quotes = bytes_that_are(p, '"');
        uint64_t backslashes = bytes_that_are(p, '\\');
        if (backslashes || escaped)
            quotes &= ~escaped_bytes(backslashes, &escaped);
        if (quotes) {
            p += __builtin_ctzll(quotes);
            goto found;
        }
    }
    for (; p < j->end && (escaped || *p != '"'); p++)
        escaped = !escaped && *p == '\\';
    if (p == j->end)
        return fail(j, "a string has no end");
found:
    *inner = slice_make(start, (size_t)(p - start));
    j->p = p + 1;
    return true;
}

static bool unescape(struct json *j, struct slice inner, char *to, size_t *n)
{
    const char *why = NULL;
    return json_unescape(inner, to, n, &why) || fail(j, why);
}

static bool has_escape(struct slice inner)
{
    return slice_find(inner, '\\') >= 0;
}

bool json_next_key(struct json *j, struct slice *key)
{
    if (!next_item(j, '}'))
        return false;
    if (j->p == j->end || *j->p != '"')
        return fail(j, "expected a key");
    j->p++;
    struct slice inner;
    if (!scan_string(j, &inner))
        return false;
    if (has_escape(inner)) {
        size_t n;
        if (inner.n > sizeof j->key)
            return fail(j, "a key with escapes is too long");
        if (!unescape(j, inner, j->key, &n))
            return false;
        inner = slice_make(j->key, n);
    }
    skip_space(j);
    if (j->p == j->end || *j->p != ':')
        return fail(j, "expected a colon");
    j->p++;
    *key = inner;
    return true;
}

bool json_next_element(struct json *j)
{
    return next_item(j, ']');
}

bool json_string(struct json *j, struct buf *scratch, struct slice *out)
{
    if (json_peek(j) != JSON_STRING)
        return fail(j, "expected a string");
    j->p++;
    struct slice inner;
    if (!scan_string(j, &inner))
        return false;
    if (!has_escape(inner)) {
        *out = inner;
        return true;
    }
    buf_reset(scratch);
    char *to = buf_reserve(scratch, inner.n);
    size_t n;
    if (!to)
        return fail(j, "a string is too long");
    if (!unescape(j, inner, to, &n))
        return false;
    to[n] = '\0';
    scratch->len = n;
    *out = buf_slice(scratch);
    return true;
}

/* Passes over a number (RFC 8259 section 6). */
static bool scan_number(struct json *j, struct slice *raw)
{
    const char *p = j->p, *end = j->end;
    if (p < end && *p == '-')
        p++;
    const char *digits = p;
    while (p < end && is_digit(*p))
        p++;
    if (p == digits || (*digits == '0' && p - digits > 1))
        return fail(j, "not a number");
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        while (p < end && is_digit(*p))
            p++;
        if (p == fraction)
            return fail(j, "not a number");
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        const char *exponent = p;
        while (p < end && is_digit(*p))
            p++;
        if (p == exponent)
            return fail(j, "not a number");
    }
    *raw = slice_make(j->p, (size_t)(p - j->p));
    j->p = p;
    return true;
}

/* A number that is an integer although it is written with a fraction or an exponent. */
static bool exact_int64(struct slice raw, int64_t *out)
{
    char digits[64];
    size_t n = 0, i = 0;
    int64_t exponent = 0;
    bool negative = raw.p[0] == '-', fraction = false;
    for (i = negative; i < raw.n && raw.p[i] != 'e' && raw.p[i] != 'E'; i++) {
        if (raw.p[i] == '.') {
            fraction = true;
            continue;
        }
        if (n == 0 && raw.p[i] == '0') {
            exponent -= fraction;
            continue;
        }
        if (n == sizeof digits)
            return false;
        digits[n++] = raw.p[i];
        exponent -= fraction;
    }
    if (i < raw.n) {
        struct slice text = slice_from(raw, i + 1);
        int64_t written;
        if (text.p[0] == '+')
            text = slice_from(text, 1);
        if (!text_parse_i64(text, &written) || written < -1000 || written > 1000)
            return false;
        exponent += written;
    }
    for (; exponent < 0 && n && digits[n - 1] == '0'; exponent++)
        n--;
    if (n == 0) {
        *out = 0;
        return true;
    }
    if (exponent < 0 || exponent > 18)
        return false;
    int64_t v = 0;
    for (size_t k = 0; k < n + (size_t)exponent; k++) {
        int digit = k < n ? digits[k] - '0' : 0;
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, negative ? -digit : digit, &v))
            return false;
    }
    *out = v;
    return true;
}

bool json_int64(struct json *j, int64_t *out)
{
    struct slice raw;
    if (json_peek(j) != JSON_NUMBER)
        return fail(j, "expected a number");
    if (!scan_number(j, &raw))
        return false;
    if (!text_parse_i64(raw, out) && !exact_int64(raw, out))
        return fail(j, "not an integer of 64 bits");
    return true;
}

static bool scan_word(struct json *j, struct slice word)
{
    if (!slice_starts(slice_make(j->p, (size_t)(j->end - j->p)), word))
        return fail(j, "expected a value");
    j->p += word.n;
    return true;
}

bool json_bool(struct json *j, bool *out)
{
    if (json_peek(j) != JSON_BOOL)
        return fail(j, "expected true or false");
    bool value = *j->p == 't';
    if (!scan_word(j, value ? SLICE_LIT("true") : SLICE_LIT("false")))
        return false;
    *out = value;
    return true;
}

bool json_null(struct json *j)
{
    return json_peek(j) == JSON_NULL && scan_word(j, SLICE_LIT("null"));
}

static bool skip_scalar(struct json *j)
{
    struct slice ignored;
    switch (json_peek(j)) {
    case JSON_NULL:
        return scan_word(j, SLICE_LIT("null"));
    case JSON_BOOL:
        return scan_word(j, *j->p == 't' ? SLICE_LIT("true") : SLICE_LIT("false"));
    case JSON_NUMBER:
        return scan_number(j, &ignored);
    case JSON_STRING:
        j->p++;
        return scan_string(j, &ignored);
    case JSON_NONE:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return fail(j, "expected a value");
}

/* Which of the open brackets are objects, one bit each. */
struct brackets {
    uint8_t object[(JSON_DEPTH_MAX + 8) / 8];
};

static bool in_object(const struct brackets *b, unsigned depth)
{
    return b->object[depth / 8] >> depth % 8 & 1;
}

/* Skips a key with its colon; true also where the container is left or an element follows. */
static bool skip_to_value(struct json *j, const struct brackets *b, bool *left)
{
    bool object = in_object(b, j->depth);
    *left = !next_item(j, object ? '}' : ']');
    if (j->why)
        return false;
    if (*left || !object)
        return true;
    struct slice ignored;
    if (j->p == j->end || *j->p != '"')
        return fail(j, "expected a key");
    j->p++;
    if (!scan_string(j, &ignored))
        return false;
    skip_space(j);
    if (j->p == j->end || *j->p != ':')
        return fail(j, "expected a colon");
    j->p++;
    return true;
}

static bool skip_container(struct json *j)
{
    struct brackets b = {0};
    unsigned outside = j->depth;
    for (;;) {
        enum json_type type = json_peek(j);
        if (type == JSON_OBJECT || type == JSON_ARRAY) {
            if (!enter(j, type, "expected a value"))
                return false;
            uint8_t bit = (uint8_t)(1U << j->depth % 8);
            b.object[j->depth / 8] = (uint8_t)(type == JSON_OBJECT ? b.object[j->depth / 8] | bit
                                                                   : b.object[j->depth / 8] & ~bit);
        } else if (!skip_scalar(j)) {
            return false;
        }
        bool left = true;
        while (left) {
            if (j->depth == outside)
                return true;
            if (!skip_to_value(j, &b, &left))
                return false;
        }
    }
}

bool json_skip(struct json *j, struct slice *raw)
{
    enum json_type type = json_peek(j);
    const char *start = j->p;
    bool ok = type == JSON_OBJECT || type == JSON_ARRAY ? skip_container(j) : skip_scalar(j);
    if (ok && raw)
        *raw = slice_make(start, (size_t)(j->p - start));
    return ok;
}

bool json_members(struct json *j, const struct json_member *wanted, size_t n)
{
    struct slice key;
    if (!json_enter_object(j))
        return false;
    while (json_next_key(j, &key)) {
        size_t i = 0;
        while (i < n && !slice_is(key, wanted[i].key))
            i++;
        (void)json_skip(j, i < n ? wanted[i].to : NULL);
    }
    return !json_failed(j);
}

bool json_at_end(struct json *j)
{
    if (j->why)
        return false;
    skip_space(j);
    return j->p == j->end;
}

int json_error(const struct json *j, struct err *err)
{
    return err_set(err, EIO, "byte %zu: %s", j->at, j->why ? j->why : "not JSON");
}
