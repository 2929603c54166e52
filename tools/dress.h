/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is put around the stores of a lake: the archive store that has what home has lost.
 *
 * One of these belongs to one lake and is needed while that is opened; what the stores need later
 * (engine, directory) must outlive them.
 */
#ifndef TOOLS_DRESS_H
#define TOOLS_DRESS_H

#include "cache/store/store.h"
#include "lake/lakefile.h"

struct dress {
    const char *archive_url; /* NULL: there is none */
    struct store_options archive_options;
    const struct store_runtime *runtime;
    int scratch_dirfd;
    char wrapped[2 * 64 + 1]; /* what is put around, for store_runtime.wrapped */
};

/*
 * The archive store of the lake file (NULL: there is none), or of an option (NULL: none), with the
 * mount's options. Everything is borrowed.
 */
void dress_init(struct dress *d, const struct lakefile *file, const char *archive_url,
                const struct store_options *options, const struct store_runtime *runtime,
                int scratch_dirfd);

/* Sets a runtime's wrap; it stays as it is where nothing is put around. */
void dress_runtime(struct dress *d, struct store_runtime *runtime);

/* The same as lake_config.dress wants it; arg is the dress. */
void dress_layer(void *arg, const struct lakefile_layer *layer, struct store_runtime *runtime);

#endif
