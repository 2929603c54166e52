/* SPDX-License-Identifier: Apache-2.0 */
/* Records of decoded manifests. Internal to decoded.c and decoded_write.c. */
#ifndef LAKE_ICEBERG_DECODED_PRIVATE_H
#define LAKE_ICEBERG_DECODED_PRIVATE_H

#include "base/limits.h"
#include "lake/iceberg/decoded.h"

#define RECORD_HEAD 'h'
#define RECORD_TUPLE 't'
#define RECORD_COLUMNS 'c'
#define RECORD_FILE 'f'
#define RECORD_END 'e'

/* A frame with its longest record: a file with all its texts, or a set of columns. */
#define FRAME_BYTES_MAX (ICEBERG_DECODED_FRAME_BYTES + 16 * MIB)

#endif
