/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a file is read in sequence, and how far ahead of its reader it should be fetched. The
 * kernel reads nothing ahead of opens in direct mode, and of others only as far as a round trip
 * to this disk needs.
 *
 * Reads of several threads may come in any order; a guess that is wrong costs only a fetch.
 */
#ifndef FS_SEQUENCE_H
#define FS_SEQUENCE_H

#include <stdatomic.h>

#include "base/limits.h"

#define SEQUENCE_MIN (128 * KIB)
#define SEQUENCE_MAX (8 * MIB)
/* How far from the last read's end the next one may begin: the kernel cuts large ones into pieces
 * that come side by side. */
#define SEQUENCE_SLACK (2 * MIB)

/* Zeroed: nothing read yet. */
struct sequence {
    _Atomic uint64_t end;    /* of the last read */
    _Atomic uint64_t window; /* 0: at random places */
};

/* Notes a read. How much behind its end is worth fetching: 0 where it is not in sequence. */
static inline uint64_t sequence_note(struct sequence *s, uint64_t offset, uint64_t length)
{
    uint64_t end = atomic_exchange(&s->end, offset + length), window = atomic_load(&s->window);
    uint64_t gap = offset > end ? offset - end : end - offset;
    if (gap > (window ? SEQUENCE_SLACK : 0) || (end == 0 && length < SEQUENCE_MIN))
        window = 0; /* so is a short first read: of a head, say */
    else
        window = window == 0 ? SEQUENCE_MIN : window * 2 > SEQUENCE_MAX ? SEQUENCE_MAX : window * 2;
    atomic_store(&s->window, window);
    return window;
}

#endif
