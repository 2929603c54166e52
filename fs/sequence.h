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

static inline uint64_t sequence_window(const struct sequence *s, uint64_t length)
{
    uint64_t run = s->end - s->start, twice = 2 * run;
    if (s->before >= run && (s->on || length >= SEQUENCE_FIRST)) {
        uint64_t most = s->on && twice > SEQUENCE_TRUST ? twice : SEQUENCE_TRUST;
        uint64_t rest = s->before - run;
        twice = rest < most ? rest : most;
    } else if (!s->on) {
        return 0;
    }
    return twice < SEQUENCE_MAX ? twice : SEQUENCE_MAX;
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
    uint64_t window = sequence_window(s, length), unit = window / 4;
    unit = unit > TRAIN_BYTES     ? TRAIN_BYTES
           : unit > BLOCK_BYTES   ? BLOCK_BYTES
           : unit > GRANULE_BYTES ? GRANULE_BYTES
                                  : 1;
    uint64_t to = (s->end + window) / unit * unit; /* not a sliver for each small read */
    if (window && to > s->planned) {
        a.offset = s->planned;
        a.length = to - s->planned;
        s->planned = to;
    }
    return a;
}

#endif
