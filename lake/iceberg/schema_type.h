/* SPDX-License-Identifier: Apache-2.0 */
/* Names of primitive types (Iceberg specification, "Primitive Types"; appendix C, "Schemas"). Pure.
 */
#ifndef LAKE_ICEBERG_SCHEMA_TYPE_H
#define LAKE_ICEBERG_SCHEMA_TYPE_H

#include "lake/format/shape.h"

/* Sets kind, type, precision, scale and length of a field. False: no type of that name is known. */
bool iceberg_type_leaf(struct slice name, struct shape_field *f);

#endif
