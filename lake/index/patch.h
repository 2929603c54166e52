/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a patch changes in its base, while it is built. Internal.
 *
 *   patch_init -> patch_take_out ... -> patch_count -> patch_check_path ... -> patch_done
 *
 * -EAGAIN wherever a patch cannot say it: the base's names would have to change with it.
 */
#ifndef LAKE_INDEX_PATCH_H
#define LAKE_INDEX_PATCH_H

#include "lake/index/run_writer.h"

struct patch {
    struct run_removals removals;
    struct buf dir_path; /* of the last path that was checked */
    uint32_t dir;        /* the base's directory of that path, or RUN_NONE */
    bool known;          /* the two above are set */
};

/* base: borrowed while the patch lives. */
int patch_init(struct patch *p, struct run *base, struct err *err);
void patch_done(struct patch *p);
DEFINE_AUTO_DONE(patch, struct patch, patch_done)

/* The base's file of that key (as in struct run_key), if it has one, is gone. */
int patch_take_out(struct patch *p, uint64_t hash, uint32_t check, struct err *err);

/* All that is gone was told: counts it by directories. */
int patch_count(struct patch *p, struct err *err);

/* A file may be added at that path: the base has nothing left that stands in its way. */
int patch_check_path(struct patch *p, struct slice path, struct err *err);

#endif
