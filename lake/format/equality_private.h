/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the parts of equality.h:
 *
 *   equality_set.c    tuples as keys in a hash table
 *   equality_scan.c   the tuples of a file, row by row
 *   equality.c        delete files to sets, data files to rows
 *
 *   key   one after the other, the columns' values:
 *           0                   null
 *           1 number:le64       a number of 64 bits
 *           2 number:le128      a larger one
 *           3 size:le32 bytes   bytes
 */
#ifndef LAKE_FORMAT_EQUALITY_PRIVATE_H
#define LAKE_FORMAT_EQUALITY_PRIVATE_H

#include "base/buf.h"
#include "lake/format/equality.h"

/* Appends a value of a key. */
void equality_put(enum column_class class, const struct column_value *v, struct buf *key);
uint64_t equality_hash(struct slice key);

bool equality_set_has(const struct equality_set *s, struct slice key, uint64_t hash);
/* All keys of the sets as one set. */
int equality_join(struct equality_set *const *sets, size_t n, struct equality_set **out,
                  struct err *err);
int equality_builder_put(struct equality_builder *b, struct slice key, struct err *err);

/* What a file's tuples are given to, in the order of its rows. */
typedef int equality_row_fn(void *arg, uint64_t row, struct slice key, struct err *err);

/* The plan is one for the shape. */
int equality_scan(const struct shape *columns, const struct present_plan *plan,
                  const struct source *source, equality_row_fn *row, void *arg, struct err *err);

#endif
