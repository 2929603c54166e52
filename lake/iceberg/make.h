/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making runs of a snapshot, from the manifests that are kept (lake/iceberg/manifests.h):
 *
 *   delete manifests ─► lake/iceberg/deletes   which apply to which file
 *   data manifests   ─► lake/iceberg/place ─► lake/index/build ─► base, or patch
 *
 * A patch has the difference of two manifest lists: files of manifests that only one of them has,
 * and those to which other deletes apply. Blocks; bounded memory; one thread.
 */
#ifndef LAKE_ICEBERG_MAKE_H
#define LAKE_ICEBERG_MAKE_H

#include "lake/iceberg/elsewhere.h"
#include "lake/iceberg/manifests.h"
#include "lake/iceberg/state.h"
#include "lake/index/run.h"

struct iceberg_make {
    const struct iceberg_view *view;         /* borrowed */
    const struct iceberg_snapshot *snapshot; /* whose run is made; borrowed */
    struct iceberg_identity identity;        /* of that run */
    struct iceberg_manifest_list list;       /* its manifests, after iceberg_make_init */
    struct iceberg_elsewhere elsewhere;      /* those of them, when a run has been made */
};

/* Reads the snapshot's manifest list. */
int iceberg_make_init(struct iceberg_make *m, const struct iceberg_view *view,
                      const struct iceberg_snapshot *snapshot,
                      const struct iceberg_identity *identity, struct err *err);
void iceberg_make_done(struct iceberg_make *m);
DEFINE_AUTO_DONE(iceberg_make, struct iceberg_make, iceberg_make_done)

/* -EIO where the snapshot names a file twice: its rows would count twice. */
int iceberg_make_base(struct iceberg_make *m, struct run **out, struct err *err);

/* The patch on a base of the same table. -EAGAIN where a patch is not the way: a base is made then.
 */
int iceberg_make_patch(struct iceberg_make *m, struct run *base, struct run **out, struct err *err);

#endif
