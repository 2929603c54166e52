/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delete files of one table as they were read: one that counts for many data files is read once.
 *
 *   get ──► known: as it was read │ being read: wait for that │ else read it
 *
 * What was used last is kept, up to ICEBERG_DELETES_KEPT_BYTES; what is in use stays as long as it
 * is. Any thread; calls block: workers only.
 */
#ifndef LAKE_ICEBERG_DELETE_FILES_H
#define LAKE_ICEBERG_DELETE_FILES_H

#include "lake/format/equality.h"
#include "lake/iceberg/position_deletes.h"

struct iceberg_delete_files;
struct iceberg_delete_file; /* a reference to what was read of one */

struct iceberg_delete_files *iceberg_delete_files_new(struct err *err);
/* Nobody asks it any more, and has a reference. NULL is fine. */
void iceberg_delete_files_free(struct iceberg_delete_files *f);

/* Reads one: into either of them. */
struct iceberg_delete_content {
    struct iceberg_positions *positions;
    struct equality_set *set;
};
typedef int iceberg_delete_read(void *arg, struct iceberg_delete_content *out, struct err *err);

/* `key`: what is read, and how; text. A reference, for put. Errors are read's, and -ENOMEM; they
 * are not kept. */
int iceberg_delete_files_get(struct iceberg_delete_files *f, struct slice key,
                             iceberg_delete_read *read, void *arg, struct iceberg_delete_file **out,
                             struct err *err);
void iceberg_delete_files_put(struct iceberg_delete_files *f, struct iceberg_delete_file *file);
const struct iceberg_delete_content *
iceberg_delete_file_content(const struct iceberg_delete_file *file);

#endif
