/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file of a table's metadata, read by ranges at any place in bounded memory: a few windows, as
 * columns are read side by side; the oldest is dropped.
 *
 * Every request after the first asks for the first one's ETag, and the size must be the listed one:
 * generations never mix (-ESTALE). Blocks; one thread.
 */
#ifndef LAKE_OBJECT_READER_H
#define LAKE_OBJECT_READER_H

#include "base/limits.h"
#include "cache/store/store.h"

/* One request. Four of them bound what reading such a file holds here. Requests of so much go
 * past them: a column chunk of many pages has a window of its own (lake/format/parquet_page.c). */
#define OBJECT_WINDOW_BYTES MIB
#define OBJECT_WINDOWS 4
/* The same where the bytes are on the local disk: a request costs nothing, memory does. */
#define OBJECT_LOCAL_WINDOW_BYTES (128 * KIB)

struct object_window {
    char *data; /* NULL: not used yet */
    uint64_t offset, used;
    size_t n;
};

struct object_reader {
    struct store *store;
    const char *key;
    uint64_t size;
    size_t window_bytes; /* of a request for some part */
    char etag[ETAG_BYTES_MAX];
    struct object_window windows[OBJECT_WINDOWS];
    uint64_t uses; /* the clock of windows[].used */
    bool failed;   /* a request failed: what could not be read is not known to be damaged */
};

/* Store and key are borrowed while it lives. Asks nobody. */
void object_reader_init(struct object_reader *o, struct store *store, const char *key,
                        uint64_t size);
void object_reader_done(struct object_reader *o);
DEFINE_AUTO_DONE(object_reader, struct object_reader, object_reader_done)

/* Exactly n bytes; as struct source wants it, whose arg is the object. */
int object_reader_read(void *object, uint64_t offset, void *to, size_t n, struct err *err);

/* The same as one request, past the windows: who knows how much he needs of what. */
int object_reader_fetch(struct object_reader *o, uint64_t offset, char *to, size_t n,
                        struct err *err);

#endif
