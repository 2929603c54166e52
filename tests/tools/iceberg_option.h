/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of the program `present` as Iceberg tells them: a schema, a name mapping, a partition. */
#ifndef TESTS_TOOLS_ICEBERG_OPTION_H
#define TESTS_TOOLS_ICEBERG_OPTION_H

#include <fcntl.h>

#include "base/file.h"
#include "base/limits.h"
#include "lake/iceberg/partition.h"
#include "lake/iceberg/schema.h"

struct iceberg_option {
    const char *schema;    /* a file; NULL: the columns are others */
    const char *mapping;   /* likewise; NULL: there is none */
    const char *constants; /* as iceberg_partition_constants writes them; NULL: none */
};

static inline int iceberg_option_shape(const struct iceberg_option *o, struct shape **out,
                                       struct err *err)
{
    AUTO(buf) struct buf schema = {0};
    AUTO(buf) struct buf mapping = {0};
    AUTO(shape) struct shape *shape = NULL;
    buf_init(&schema, SCHEMA_BYTES_MAX);
    buf_init(&mapping, SCHEMA_BYTES_MAX);
    int rc = file_read(AT_FDCWD, o->schema, &schema, err);
    if (rc == 0 && o->mapping)
        rc = file_read(AT_FDCWD, o->mapping, &mapping, err);
    if (rc == 0)
        rc = iceberg_schema_shape(buf_slice(&schema), buf_slice(&mapping), &shape, err);
    if (rc < 0)
        return rc;
    struct slice constants = o->constants ? slice_of(o->constants) : SLICE_NONE;
    return iceberg_partition_own_shape(constants, shape, out, err);
}

#endif
