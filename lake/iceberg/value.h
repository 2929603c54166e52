/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A value of a partition tuple as a manifest's writer wrote it: which field, by what Avro type.
 * The spec of the manifest tells what the field means (lake/iceberg/partition.h).
 */
#ifndef LAKE_ICEBERG_VALUE_H
#define LAKE_ICEBERG_VALUE_H

#include "lake/format/avro.h"

struct iceberg_value {
    int32_t field_id;  /* of the partition field; -1: the manifest has no ids */
    struct slice name; /* as the manifest has it: counts where there is no id */
    enum avro_type type;
    enum avro_logical logical;
    uint32_t scale; /* of AVRO_DECIMAL */
    bool null;
    int64_t number;     /* BOOLEAN, INT, LONG */
    double real;        /* FLOAT, DOUBLE */
    struct slice bytes; /* BYTES, STRING, FIXED */
};

#endif
