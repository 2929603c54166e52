/* SPDX-License-Identifier: Apache-2.0 */
/* A catalog's answer about one table, printed without secrets. */
#ifndef TOOLS_CATALOG_SHOW_H
#define TOOLS_CATALOG_SHOW_H

#include "lake/catalog/catalog.h"

void catalog_show(const struct catalog_table *t);

#endif
