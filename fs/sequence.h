/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a file is read in sequence, and how far ahead of its reader it should be fetched. The
 * kernel reads nothing ahead of opens in direct mode, and of others only as far as a round trip
 * to this disk needs.
 *
 *   0        start            end          planned
 *   |          |  read so far  |  asked for  |
 *   '----------'--- the run ---'-- window ---'
 *
 * The window is twice the run, so that one fetch brings at most twice what was read, and the pipe
 * is full after a few round trips. A run that follows one of several reads is taken to be as long:
 * large reads at random come from the kernel in pieces, and nothing behind their ends is fetched.
 *
 * Reads may come in any order. Pure; the caller locks.
 */
#ifndef FS_SEQUENCE_H
#define FS_SEQUENCE_H

#include <stdbool.h>

#include "base/limits.h"

/* A read of the file's start that is shorter is one of a head. */
#define SEQUENCE_FIRST (128 * KIB)
/* Fills 16 connections of 90 MB/s with 15 ms to the first byte (docs/FETCH.md). */
#define SEQUENCE_MAX (64 * MIB)
/* The most that is taken from the run before. */
#define SEQUENCE_TRUST (8 * MIB)
/* How far from the run's end the next read may begin: the kernel cuts large ones into pieces that
 * come side by side. */
#define SEQUENCE_SLACK (2 * MIB)

/* Zeroed: nothing read yet. */
struct sequence {
    uint64_t start, end; /* of the run */
    uint64_t planned;    /* what lies before it was asked for */
    uint64_t before;     /* length of the run before this one; 0: it was a single read */
    bool on;             /* several reads, or a long one of the file's start */
};

/* What is worth fetching now. */
struct sequence_ahead {
    uint64_t offset, length; /* 0: nothing */
    bool jumped;             /* what was asked for before is of no use */
};

/* Where a run that may go on for ever is fetched to: in pieces that are worth a request each,
 * however small the reads are. */
static inline uint64_t sequence_reach(uint64_t end, uint64_t run)
{
    uint64_t window = 2 * run < SEQUENCE_MAX ? 2 * run : SEQUENCE_MAX, unit = FETCH_RANDOM_BYTES;
    while ((unit < BLOCK_BYTES && 2 * unit <= window) || (unit < TRAIN_BYTES && 8 * unit <= window))
        unit *= 2;
    return (end + window + unit - 1) / unit * unit;
}

/* How far is worth fetching now: an offset; s->end: no further. */
static inline uint64_t sequence_target(const struct sequence *s, uint64_t length)
{
    uint64_t run = s->end - s->start;
    if (s->before >= run && (s->on || length >= SEQUENCE_FIRST)) {
        uint64_t most = s->on && 2 * run > SEQUENCE_TRUST ? 2 * run : SEQUENCE_TRUST;
        uint64_t rest = s->before - run;
        most = most < SEQUENCE_MAX ? most : SEQUENCE_MAX;
        return s->end + (rest < most ? rest : most);
    }
    return s->on ? sequence_reach(s->end, run) : s->end;
}

/* Notes a read. */
static inline struct sequence_ahead sequence_note(struct sequence *s, uint64_t offset,
                                                  uint64_t length)
{
    struct sequence_ahead a = {0};
    uint64_t gap = offset > s->end ? offset - s->end : s->end - offset;
    if (s->end && gap <= (s->on ? SEQUENCE_SLACK : 0)) {
        s->on = true;
        s->end = offset + length > s->end ? offset + length : s->end;
    } else {
        a.jumped = s->planned > s->end;
        s->before = s->on ? s->end - s->start : 0;
        s->start = offset;
        s->end = s->planned = offset + length;
        s->on = offset == 0 && length >= SEQUENCE_FIRST;
    }
    if (s->planned < s->end)
        s->planned = s->end;
    uint64_t to = sequence_target(s, length);
    if (to > s->planned) {
        a.offset = s->planned;
        a.length = to - s->planned;
        s->planned = to;
    }
    return a;
}

#endif
