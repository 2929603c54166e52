/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of a run share (run.c, run_cursor.c, and patch.c for keys). Internal. */
#ifndef LAKE_INDEX_RUN_PRIVATE_H
#define LAKE_INDEX_RUN_PRIVATE_H

#include "base/limits.h"
#include "lake/index/run.h"
#include "lake/index/run_format.h"

/* Immutable after run_open, but for refs and checked. */
struct run {
    _Atomic unsigned refs;
    char *name; /* that it was opened by */
    const uint8_t *map;
    size_t map_bytes;
    int guard; /* of the map: base/guard.h */
    struct run_header head;
    const uint32_t *sums;      /* in the map; checked on open */
    size_t pages;              /* that have a sum */
    _Atomic uint64_t *checked; /* a bit a page: its sum was right */
};

/* -EUCLEAN with a message that names the place. */
static inline int run_damaged(const char *what, uint64_t where, struct err *err)
{
    return err_set(err, EUCLEAN, "the index is damaged: %s %llu", what, (unsigned long long)where);
}

/* Some bytes of a section. */
struct run_place {
    enum run_section_id section;
    uint64_t offset, bytes;
};

/* The bytes, their pages checked. *out points into the map. -EUCLEAN. */
int run_touch(const struct run *r, struct run_place place, const uint8_t **out, struct err *err);

/* The key at a position of the key table, which run_check_keys has checked. */
struct run_key run_key_at(const struct run *r, uint32_t position);

#endif
