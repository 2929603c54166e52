/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the JSON of a table metadata file into lists, as it is written; lake/iceberg/metadata.c
 * checks and orders them. Texts point into the file's, or lie in the arena. For that file alone.
 */
#ifndef LAKE_ICEBERG_METADATA_PARSE_H
#define LAKE_ICEBERG_METADATA_PARSE_H

#include "lake/iceberg/metadata_values.h"

/* 0, or -errno and err. */
int iceberg_metadata_read(struct parsing *p);

#endif
