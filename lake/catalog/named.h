/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalog that a lake file is itself (`tables:`): names, each with a metadata file that
 * somebody has chosen. Such a table stays at that file's newest snapshot. No namespaces; asks
 * nobody.
 */
#ifndef LAKE_CATALOG_NAMED_H
#define LAKE_CATALOG_NAMED_H

#include "lake/catalog/catalog.h"

struct named_table {
    const char *name, *metadata;
};

/* All is copied. -ENOMEM, -EOVERFLOW over CATALOG_TABLE_MEMORY_MAX. */
int catalog_named_open(const struct named_table *tables, size_t n, struct catalog **out,
                       struct err *err);

#endif
