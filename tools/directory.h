/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache directory: who has it. A process that opens the cache in it holds DIR/lock; a daemon
 * also listens on DIR/ctl.sock. Blocks.
 */
#ifndef TOOLS_DIRECTORY_H
#define TOOLS_DIRECTORY_H

#include "base/workers.h"
#include "tools/options.h"

struct cache;

struct directory {
    int dirfd, lock_fd; /* -1: not open */
};
#define DIRECTORY_NONE                                                                             \
    {                                                                                              \
        -1, -1                                                                                     \
    }

/*
 * Opens the directory (makes it, with `make`), makes it private, and takes its lock; waits half a
 * minute for one who is starting or ending. -EBUSY where a daemon serves it; -EAGAIN where another
 * process holds the lock; -EPERM of another user's, -EEXIST of one that holds other things.
 */
int directory_open(struct directory *d, const char *path, bool make, struct err *err);

/* Gives the lock back. */
void directory_close(struct directory *d);
DEFINE_AUTO_DONE(directory, struct directory, directory_close)

/* How its cache is kept, for who opens it later: see options_format_cache. */
int directory_save_options(const struct directory *d, const struct options *o, struct err *err);

/* Sets what was saved and is not set yet; nothing where nothing was saved. */
int directory_load_options(const struct directory *d, struct options *o, struct err *err);

struct directory_key {
    const uint8_t *bytes; /* KEY_BYTES; NULL: none */
    bool any;             /* objects of another key are no reason to refuse; they cannot be read */
};

/*
 * Opens the cache in it, as the options say. The workers are borrowed while it lives. What the
 * cache has to say goes to the log. NULL and err where it cannot.
 */
struct cache *directory_open_cache(const struct directory *d, const struct options *o,
                                   const struct directory_key *key, struct workers *workers,
                                   struct err *err);

#endif
