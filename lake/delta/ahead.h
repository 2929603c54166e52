/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of the log by lines, one file behind the other, while what comes next is on its way: a
 * store that is far answers many requests in the time of one.
 *
 *   files   [ 0 ][ 1 ][ 2      |      |    ][ 3 ] ...
 *   pieces    a    b    c       d      e      f        at most DELTA_AHEAD_PIECES and
 *                  └ lines are   └ requested ┘         DELTA_AHEAD_BYTES of them
 *                    given here
 *
 * Every piece must come from the generation of its file's first one, which has the listed size
 * (-ESTALE). Lines that lie in one piece are given without being copied. Blocks; one thread.
 */
#ifndef LAKE_DELTA_AHEAD_H
#define LAKE_DELTA_AHEAD_H

#include "lake/delta/log.h"

#define DELTA_AHEAD_PIECES 32
#define DELTA_AHEAD_BYTES (8 * MIB)
/* Where the log is on the local disk there is no way to be waited for. */
#define DELTA_AHEAD_LOCAL_PIECES 4
/* One request asks for so much at most. */
#define DELTA_PIECE_BYTES MIB

struct delta_ahead_options {
    struct store *store; /* these are borrowed */
    const char *prefix;
    /* The next file to read; NULL: there is none. What it gives must live as long as the reader. */
    const struct delta_log_file *(*next)(void *arg);
    void *arg;
    uint64_t file_bytes_max; /* of each file no more is read; 0: all of it */
};

struct delta_ahead;

struct delta_ahead *delta_ahead_new(const struct delta_ahead_options *options, struct err *err);
/* Waits for what is on its way. */
void delta_ahead_free(struct delta_ahead *a);
DEFINE_AUTO(delta_ahead, struct delta_ahead *, delta_ahead_free)

/* Goes on to the next file, at its first line: 1 and the file, 0 after the last one, or -errno. */
int delta_ahead_file(struct delta_ahead *a, const struct delta_log_file **file, struct err *err);

/*
 * The next line of that file that is not blank, without its end, until the next call: 1, 0 at the
 * end of what is read of the file, or -errno. -EOVERFLOW over JSON_LINE_BYTES_MAX. A last line that
 * has no end is given too, but where file_bytes_max cut it off.
 */
int delta_ahead_line(struct delta_ahead *a, struct slice *line, struct err *err);

/* Of the line that was given last: its number in its file, from 1, and the file's key. */
uint64_t delta_ahead_number(const struct delta_ahead *a);
const char *delta_ahead_key(const struct delta_ahead *a);

/* A request failed: what could not be read is not known to be damaged. */
bool delta_ahead_failed(const struct delta_ahead *a);

#endif
