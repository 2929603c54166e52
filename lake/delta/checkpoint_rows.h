/* SPDX-License-Identifier: Apache-2.0 */
/* One Parquet file of a checkpoint: its rows as actions. Internal to checkpoint.c. */
#ifndef LAKE_DELTA_CHECKPOINT_ROWS_H
#define LAKE_DELTA_CHECKPOINT_ROWS_H

#include "lake/delta/checkpoint.h"

/* Errors as delta_checkpoint_read. Blocks. */
int delta_rows_read(struct object_reader *object, enum delta_checkpoint_part part,
                    const struct delta_sink *sink, struct err *err);

/*
 * Names the file in err, and tells what is wrong with it (-EBADMSG) apart from what kept it from
 * being read: `tried` where all that was asked for came. Returns -err->code.
 */
int delta_rows_refuse(const char *key, bool tried, struct err *err);

#endif
