/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file of the log by lines (commits), in bounded memory; lake/object_reader.h asks for it.
 * Blocks; one thread.
 */
#ifndef LAKE_DELTA_LINES_H
#define LAKE_DELTA_LINES_H

#include "lake/object_reader.h"

/* The lines of an object, from its start. */
struct delta_lines {
    struct object_reader object;
    uint64_t offset; /* of what is not in the buffer yet */
    size_t fetch;    /* bytes of the next request */
    struct buf text; /* what was read */
    size_t at;       /* of the next line in it */
    uint64_t number; /* of the line that was given last, from 1 */
};

/* `first_bytes`: of the first request; later ones grow to a window. */
void delta_lines_init(struct delta_lines *l, struct store *store, const char *key, uint64_t size,
                      size_t first_bytes);
void delta_lines_done(struct delta_lines *l);
DEFINE_AUTO_DONE(delta_lines, struct delta_lines, delta_lines_done)

/*
 * The next line that is not blank, without its end, until the next call: 1, 0 at the end, or
 * -errno. -EOVERFLOW over JSON_LINE_BYTES_MAX.
 */
int delta_lines_next(struct delta_lines *l, struct slice *line, struct err *err);

#endif
