/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/schema_type.h"

#include "base/text.h"

#define DECIMAL_DIGITS_MAX 38
/* Of geometry and geography where they have no parameters. */
#define DEFAULT_CRS "OGC:CRS84"
#define DEFAULT_EDGES "spherical"

static const struct {
    const char *name;
    enum shape_type type;
} types[] = {
    {"boolean", SHAPE_BOOLEAN},
    {"int", SHAPE_INT32},
    {"long", SHAPE_INT64},
    {"float", SHAPE_FLOAT},
    {"double", SHAPE_DOUBLE},
    {"date", SHAPE_DATE},
    {"time", SHAPE_TIME},
    {"timestamp", SHAPE_TIMESTAMP_LOCAL},
    {"timestamptz", SHAPE_TIMESTAMP},
    {"timestamp_ns", SHAPE_TIMESTAMP_LOCAL_NS},
    {"timestamptz_ns", SHAPE_TIMESTAMP_NS},
    {"string", SHAPE_STRING},
    {"uuid", SHAPE_UUID},
    {"binary", SHAPE_BINARY},
    {"unknown", SHAPE_UNKNOWN},
    {"variant", SHAPE_VARIANT},
};

static struct slice trim(struct slice s)
{
    while (s.n && s.p[0] == ' ')
        s = slice_from(s, 1);
    while (s.n && s.p[s.n - 1] == ' ')
        s.n--;
    return s;
}

/* What stands in brackets behind a type's name, up to two parts between which a comma stands; those
 * that are not there are empty. False: it is another type. */
static bool parameters(struct slice type, const char *name, const char *brackets,
                       struct slice out[2])
{
    struct slice rest, word = slice_of(name);
    out[0] = out[1] = SLICE_LIT("");
    if (!slice_starts(type, word))
        return false;
    rest = trim(slice_from(type, word.n));
    if (rest.n == 0)
        return true;
    if (rest.n < 2 || rest.p[0] != brackets[0] || rest.p[rest.n - 1] != brackets[1])
        return false;
    rest = slice_make(rest.p + 1, rest.n - 2);
    ptrdiff_t comma = slice_rfind(rest, ',');
    out[0] = trim(slice_make(rest.p, comma < 0 ? rest.n : (size_t)comma));
    if (comma >= 0)
        out[1] = trim(slice_from(rest, (size_t)comma + 1));
    return true;
}

static bool is_or_none(struct slice s, const char *what)
{
    return s.n == 0 || slice_is(s, what);
}

bool iceberg_type_leaf(struct slice name, struct shape_field *f)
{
    struct slice part[2];
    uint64_t first = 0, second = 0;
    f->kind = SHAPE_LEAF;
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (slice_is(name, types[i].name)) {
            f->type = (uint8_t)types[i].type;
            return true;
        }
    if (parameters(name, "decimal", "()", part)) {
        f->type = SHAPE_DECIMAL;
        bool ok = text_parse_u64(part[0], DECIMAL_DIGITS_MAX, &first) &&
                  text_parse_u64(part[1], DECIMAL_DIGITS_MAX, &second);
        f->precision = (uint8_t)first;
        f->scale = (uint8_t)second;
        return ok;
    }
    if (parameters(name, "fixed", "[]", part)) {
        f->type = SHAPE_FIXED;
        bool ok = part[1].n == 0 && text_parse_u64(part[0], INT32_MAX, &first);
        f->length = (uint32_t)first;
        return ok;
    }
    bool geometry = parameters(name, "geometry", "()", part);
    if (!geometry && !parameters(name, "geography", "()", part))
        return false;
    f->type = geometry ? SHAPE_GEOMETRY : SHAPE_GEOGRAPHY;
    f->length = !is_or_none(part[0], DEFAULT_CRS) || !is_or_none(part[1], DEFAULT_EDGES);
    return true;
}
