/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a version's manifests, and of its manifest list, lie elsewhere than below the table's
 * root: who may write a table can name another one's, whose files it lists then. A run keeps them,
 * one of each directory, so that access control asks for what they lie in. Any thread.
 */
#ifndef LAKE_ICEBERG_ELSEWHERE_H
#define LAKE_ICEBERG_ELSEWHERE_H

#include "lake/iceberg/manifests.h"

/* Directories of one version. */
#define ICEBERG_ELSEWHERE_MAX 256

struct iceberg_elsewhere {
    struct arena arena;
    struct slice *at; /* paths as the metadata has them */
    size_t n;
};
/* Allocates nothing. */
void iceberg_elsewhere_init(struct iceberg_elsewhere *e);
void iceberg_elsewhere_done(struct iceberg_elsewhere *e);
DEFINE_AUTO_DONE(iceberg_elsewhere, struct iceberg_elsewhere, iceberg_elsewhere_done)

/* Adds what a snapshot is made of, where it lies elsewhere. -EOVERFLOW, -ENOMEM. */
int iceberg_elsewhere_add(struct iceberg_elsewhere *e, const struct iceberg_view *view,
                          const struct iceberg_snapshot *snapshot,
                          const struct iceberg_manifest_list *list, struct err *err);

/*
 * Where those of a run's meta are, one object after the other, until emit returns other than 0
 * (returned). -EACCES, what the mount does not allow; -EUCLEAN where the meta cannot be read.
 */
int iceberg_elsewhere_locate(struct iceberg_table *table, struct slice meta,
                             int (*emit)(void *arg, const struct object_location *at), void *arg,
                             struct err *err);

#endif
