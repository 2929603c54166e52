/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node ids are computed, never stored (design.md section 3).
 *
 *   63 filling | 62..61 kind | 60..53 view | 52..28 number (25 bits) | 27..0 ordinal (28 bits)
 *
 *   NODE_PLACE    number: a path in the registry (live directories, `.tarn`, objects outside
 *                 tables ...), ordinal: 0
 *   NODE_PINNED   number: the path of the snapshot's root, ordinal: of the directory
 *   NODE_FILE     number: a run in the registry, ordinal: of the file in it
 *
 * A file's id does not depend on the version through which it is reached, so versions on one base
 * share the kernel's pages. Id 1 is the mount's root, as FUSE wants it.
 *
 * A file has two ids, with one inode number in stat: its pass node, and its filling node, which a
 * lookup gives while a large object is incomplete, and whose opens all ask the daemon. So the
 * kernel never sees two modes on one inode (fs/open_mode.h).
 */
#ifndef FS_NODE_H
#define FS_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "lake/registry.h"

#define NODE_ROOT 1U
#define NODE_ORDINAL_BITS 28
#define NODE_NUMBER_BITS 25
#define NODE_VIEW_BITS 8
#define NODE_KIND_BITS 2

enum node_kind { NODE_NONE, NODE_PLACE, NODE_PINNED, NODE_FILE };

struct node {
    enum node_kind kind;
    bool filling;  /* of files only */
    unsigned view; /* of files and documents (fs/slots.h); 0: the whole table */
    uint32_t number, ordinal;
};

_Static_assert(FILES_MAX <= UINT64_C(1) << NODE_ORDINAL_BITS, "ordinals fit");
_Static_assert(REGISTRY_NUMBER_MAX < UINT64_C(1) << NODE_NUMBER_BITS, "numbers fit");

static inline uint64_t node_id(struct node n)
{
    uint64_t kind = (uint64_t)n.filling << NODE_KIND_BITS | n.kind;
    return (((kind << NODE_VIEW_BITS | n.view) << NODE_NUMBER_BITS | n.number)
            << NODE_ORDINAL_BITS) |
           n.ordinal;
}

/* The root is a place without a number. */
static inline struct node node_of(uint64_t id)
{
    if (id == NODE_ROOT)
        return (struct node){.kind = NODE_PLACE};
    uint64_t kind = id >> (NODE_VIEW_BITS + NODE_NUMBER_BITS + NODE_ORDINAL_BITS);
    return (struct node){
        .kind = (enum node_kind)(kind & ((1U << NODE_KIND_BITS) - 1)),
        .filling = kind >> NODE_KIND_BITS,
        .view =
            (unsigned)(id >> (NODE_NUMBER_BITS + NODE_ORDINAL_BITS)) & ((1U << NODE_VIEW_BITS) - 1),
        .number = (uint32_t)(id >> NODE_ORDINAL_BITS) & ((1U << NODE_NUMBER_BITS) - 1),
        .ordinal = (uint32_t)id & ((1U << NODE_ORDINAL_BITS) - 1),
    };
}

#endif
