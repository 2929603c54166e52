/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/schema_type.h"

#include "base/text.h"

static const struct {
    const char *name;
    enum shape_type type;
} types[] = {
    {"string", SHAPE_STRING},
    {"long", SHAPE_INT64},
    {"integer", SHAPE_INT32},
    {"short", SHAPE_INT16},
    {"byte", SHAPE_INT8},
    {"float", SHAPE_FLOAT},
    {"double", SHAPE_DOUBLE},
    {"boolean", SHAPE_BOOLEAN},
    {"binary", SHAPE_BINARY},
    {"date", SHAPE_DATE},
    {"timestamp", SHAPE_TIMESTAMP},
    {"timestamp_ntz", SHAPE_TIMESTAMP_LOCAL},
    {"variant", SHAPE_VARIANT},
    {"void", SHAPE_UNKNOWN},
    {"null", SHAPE_UNKNOWN},
    /* What some writers name the types that others note in a column's metadata. */
    {"char(", SHAPE_STRING},
    {"varchar(", SHAPE_STRING},
    {"string collate ", SHAPE_STRING},
    /* Spark stores months, and microseconds. */
    {"interval year", SHAPE_INT32},
    {"interval month", SHAPE_INT32},
    {"interval ", SHAPE_INT64},
};

static bool parse_decimal(struct slice type, struct shape_field *f)
{
    uint64_t precision, scale;
    if (slice_is(type, "decimal")) {
        f->precision = 10;
        return true;
    }
    struct slice rest = slice_from(type, strlen("decimal("));
    ptrdiff_t comma = slice_find(rest, ',');
    if (comma < 0 || rest.p[rest.n - 1] != ')')
        return false;
    struct slice after = slice_make(rest.p + comma + 1, rest.n - (size_t)comma - 2);
    while (after.n && after.p[0] == ' ')
        after = slice_from(after, 1);
    if (!text_parse_u64(slice_make(rest.p, (size_t)comma), 38, &precision) ||
        !text_parse_u64(after, 38, &scale))
        return false;
    f->precision = (uint8_t)precision;
    f->scale = (uint8_t)scale;
    return true;
}

int delta_type_leaf(struct slice type, struct shape_field *f, struct err *err)
{
    f->kind = SHAPE_LEAF;
    if (slice_is(type, "decimal") || slice_starts(type, SLICE_LIT("decimal("))) {
        f->type = SHAPE_DECIMAL;
        if (parse_decimal(type, f))
            return 0;
    } else {
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
            struct slice name = slice_of(types[i].name);
            char last = name.p[name.n - 1];
            bool prefix = last == '(' || last == ' ' || slice_starts(name, SLICE_LIT("interval"));
            if (prefix ? slice_starts(type, name) : slice_eq(type, name)) {
                f->type = (uint8_t)types[i].type;
                return 0;
            }
        }
    }
    return err_set(err, EOPNOTSUPP, "a column of the type %.*s", (int)(type.n < 100 ? type.n : 100),
                   type.p);
}

bool delta_type_is_loose(struct slice json)
{
    static const char *const loose[] = {"\"timestamp\"", "\"timestamp_ntz\"", "\"float\"",
                                        "\"double\"", "\"binary\""};
    for (size_t i = 0; i < ARRAY_SIZE(loose); i++)
        if (slice_is(json, loose[i]))
            return true;
    return slice_starts(json, SLICE_LIT("\"decimal"));
}
