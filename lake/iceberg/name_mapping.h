/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `schema.name-mapping.default`: which columns of files without field ids are which of the table's
 * (Iceberg specification, "Column Projection"; appendix C, "Name Mapping Serialization").
 *
 *   [{"field-id": 1, "names": ["id", "record_id"]},
 *    {"field-id": 2, "names": ["data"], "fields": [{"field-id": 3, "names": ["x"]}]}]
 *
 * Pure; not thread-safe.
 */
#ifndef LAKE_ICEBERG_NAME_MAPPING_H
#define LAKE_ICEBERG_NAME_MAPPING_H

#include "base/arena.h"
#include "base/map.h"

struct iceberg_names {
    const struct slice *at;
    size_t n;
};

struct iceberg_name_mapping {
    struct arena arena;
    struct map by_id;
};

/* -EIO damaged, -EOVERFLOW, -ENOMEM. To be done in any case. */
int iceberg_name_mapping_parse(struct iceberg_name_mapping *m, struct slice json, struct err *err);
void iceberg_name_mapping_done(struct iceberg_name_mapping *m);
DEFINE_AUTO_DONE(iceberg_name_mapping, struct iceberg_name_mapping, iceberg_name_mapping_done)

/* What files may call the field; none: no file has it. */
struct iceberg_names iceberg_name_mapping_find(const struct iceberg_name_mapping *m, int32_t id);

/*
 * Each column that is mapped lies in the one in which the mapping has it. Hive migrated tables with
 * mappings whose nested ids are not the schema's.
 */
struct shape;
bool iceberg_name_mapping_fits(const struct iceberg_name_mapping *m, const struct shape *shape);

#endif
