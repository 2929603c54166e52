/* SPDX-License-Identifier: Apache-2.0 */
/* Names of primitive types in a table's schema (PROTOCOL.md, "Primitive Types"). Pure. */
#ifndef LAKE_DELTA_SCHEMA_TYPE_H
#define LAKE_DELTA_SCHEMA_TYPE_H

#include "lake/format/shape.h"

/* Sets kind, type, and digits of a decimal. -EOPNOTSUPP for a type that is not known. */
int delta_type_leaf(struct slice type, struct shape_field *f, struct err *err);

/* Are there several ways to write a value of that type, given as JSON text, as text? */
bool delta_type_is_loose(struct slice json);

#endif
