/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file of the log, read by ranges in bounded memory: by lines (commits), or at any place
 * (checkpoints, whose columns are read side by side: a few windows, the oldest is dropped).
 *
 * Every request after the first asks for the first one's ETag, and the size must be the listed one:
 * generations never mix (-ESTALE). Blocks; one thread.
 */
#ifndef LAKE_DELTA_OBJECT_H
#define LAKE_DELTA_OBJECT_H

#include "base/limits.h"
#include "cache/store/store.h"

/* One request. Four of them bound what reading a checkpoint holds here. Requests of so much go
 * past them: a column chunk of many pages has a window of its own (lake/format/parquet_page.c). */
#define DELTA_WINDOW_BYTES MIB
#define DELTA_WINDOWS 4
/* The same where the bytes are on the local disk: a request costs nothing, memory does. */
#define DELTA_LOCAL_WINDOW_BYTES (128 * KIB)

struct delta_window {
    char *data; /* NULL: not used yet */
    uint64_t offset, used;
    size_t n;
};

struct delta_object {
    struct store *store;
    const char *key;
    uint64_t size;
    size_t window_bytes; /* of a request for some part */
    char etag[ETAG_BYTES_MAX];
    struct delta_window windows[DELTA_WINDOWS];
    uint64_t uses; /* the clock of windows[].used */
    bool failed;   /* a request failed: what could not be read is not known to be damaged */
};

/* Store and key are borrowed while it lives. Asks nobody. */
void delta_object_init(struct delta_object *o, struct store *store, const char *key, uint64_t size);
void delta_object_done(struct delta_object *o);
DEFINE_AUTO_DONE(delta_object, struct delta_object, delta_object_done)

/* Exactly n bytes; as struct source wants it, whose arg is the object. */
int delta_object_read(void *object, uint64_t offset, void *to, size_t n, struct err *err);

/* The lines of an object, from its start. */
struct delta_lines {
    struct delta_object object;
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
