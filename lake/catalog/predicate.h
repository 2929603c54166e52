/* SPDX-License-Identifier: Apache-2.0 */
/* Iceberg's predicates as JSON (format/expressions-spec.md, Appendix B), into a tree. Pure. */
#ifndef LAKE_CATALOG_PREDICATE_H
#define LAKE_CATALOG_PREDICATE_H

#include "base/json.h"
#include "lake/catalog/restrictions.h"

/* Nodes of one tree, its depth, and its literals. */
#define PREDICATE_NODES_MAX ((size_t)4096)
#define PREDICATE_DEPTH_MAX 64
#define PREDICATE_LITERALS_MAX ((size_t)1 << 17)

/*
 * Reads the value that comes next. -EOPNOTSUPP for what is not known or not compared here, -EIO for
 * damaged JSON, -EOVERFLOW over a limit, -ENOMEM.
 */
int predicate_read(struct json *j, struct arena *arena, const struct predicate **out,
                   struct err *err);

#endif
