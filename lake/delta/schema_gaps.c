/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "lake/delta/schema.h"
#include "lake/delta/stats.h"

/* A list or map in which something has several fields. */
static bool has_fields(const struct shape *shape, uint32_t list)
{
    for (uint32_t i = list + 1; i < shape->fields[list].end; i++)
        if (shape->fields[i].kind == SHAPE_STRUCT &&
            shape->fields[i + 1].end < shape->fields[i].end)
            return true;
    return false;
}

/* Nulls are counted of fewer columns than by default. */
static bool counts_fewer(const struct delta_metadata *metadata)
{
    struct slice text;
    uint64_t n;
    if (delta_map_find(&metadata->configuration, SLICE_LIT(DELTA_COUNTED_NAMES), &text))
        return true;
    if (!delta_map_find(&metadata->configuration, SLICE_LIT(DELTA_COUNTED_NUMBER), &text) ||
        slice_is(text, "-1")) /* all */
        return false;
    return !text_parse_u64(text, INT64_MAX, &n) || n < DELTA_COUNTED_MAX;
}

bool delta_schema_hides_gaps(const struct delta_metadata *metadata)
{
    AUTO(shape) struct shape *shape = NULL;
    if (counts_fewer(metadata))
        return true;
    if (delta_schema_shape(metadata, DELTA_MAPPING_NONE, &shape, NULL) < 0 || !shape)
        return false; /* told by who presents a file */
    for (uint32_t i = 0; i < shape->fields_n; i++)
        if (shape->fields[i].kind != SHAPE_LEAF && shape->fields[i].kind != SHAPE_STRUCT &&
            has_fields(shape, i))
            return true;
    return false;
}
