/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a long command is, on standard error: on a terminal one line that is redrawn up to ten
 * times a second and never wider than it; elsewhere a plain line every few seconds.
 *
 *   [==========>         ]  52%  1,040/2,000 files  1.2 GiB of 2.3 GiB  110 MiB/s  0:10 left
 *
 * progress_say may be called from any thread, the rest from one.
 */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include "base/buf.h"
#include "base/lock.h"

#define PROGRESS_SAMPLES 64
#define PROGRESS_WIDTH_MAX 512

struct progress_state {
    uint64_t files, files_all, bytes, bytes_all;
    uint64_t rate;    /* bytes a second, lately; 0: not known yet */
    const char *unit; /* "files" where NULL */
    const char *word; /* what the line begins with instead of a share, or NULL: "looking" */
};

struct progress {
    const char *command; /* immutable, as the next two */
    bool terminal, quiet;
    int64_t drawn_ms; /* of the last line */
    /* Bytes at moments of the last seconds: a ring. */
    struct progress_sample {
        int64_t ms;
        uint64_t bytes;
    } samples[PROGRESS_SAMPLES];
    unsigned samples_made;
    struct lock lock; /* standard error, and: */
    bool line_there;  /* the terminal's last line is ours */
};

/* command: "warm", for plain lines. quiet: nothing is shown but what progress_say says. */
void progress_init(struct progress *p, const char *command, bool quiet);
void progress_done(struct progress *p);

/* Leaves the terminal's line empty, for what others write. */
void progress_clear(struct progress *p) EXCLUDES(p->lock);

/* Shows the state, where it is time to; its rate is filled in here. */
void progress_show(struct progress *p, struct progress_state *s) EXCLUDES(p->lock);

/* A line of its own, above the bar: "tarn COMMAND: ...". */
__attribute__((format(printf, 2, 3))) void progress_say(struct progress *p, const char *fmt, ...)
    EXCLUDES(p->lock);

/* The line for a width in columns, with a bar or without; what does not fit is left out. Pure. */
void progress_format(struct buf *out, const struct progress_state *s, unsigned width, bool bar);

#endif
