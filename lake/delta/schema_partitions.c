/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/schema.h"

static const struct shape_field *find_top(const struct shape *all, struct slice name)
{
    for (uint32_t i = 1; i < all->fields_n; i = all->fields[i].end)
        if (slice_eq(all->fields[i].name, name))
            return &all->fields[i];
    return NULL;
}

int delta_schema_partitions(const struct delta_metadata *metadata, enum delta_mapping mapping,
                            struct shape **out, struct err *err)
{
    const struct delta_list *names = &metadata->partition_columns;
    struct delta_metadata unpartitioned = *metadata;
    AUTO(shape) struct shape *all = NULL;
    if (names->n == 0) {
        *out = NULL;
        return 0;
    }
    unpartitioned.partition_columns = (struct delta_list){0};
    int rc = delta_schema_shape(&unpartitioned, mapping, &all, err);
    if (rc < 0)
        return rc;
    AUTO(shape_builder) struct shape_builder b;
    shape_builder_init(&b, mapping == DELTA_MAPPING_ID ? SHAPE_BY_ID : SHAPE_BY_NAME);
    for (size_t i = 0; i < names->n; i++) {
        const struct shape_field *f = all ? find_top(all, names->at[i]) : NULL;
        if (!f || f->kind != SHAPE_LEAF)
            return err_set(err, EIO, "the schema: the partition column \"%.*s\" is %s",
                           (int)(names->at[i].n < 100 ? names->at[i].n : 100), names->at[i].p,
                           f ? "no plain value" : "not there");
        shape_add(&b, f);
    }
    return shape_finish(&b, out, err);
}
