/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is put around the stores of a lake: the archive store that has what home has lost, and
 * around both the near store that is read first.
 *
 * One of these belongs to one lake and is needed while that is opened; what the stores need later
 * (engine, cache, directory) must outlive them.
 */
#ifndef TOOLS_DRESS_H
#define TOOLS_DRESS_H

#include "cache/near.h"
#include "lake/lakefile.h"
#include "lake/layers.h"

/* Strings are borrowed while the lake is opened. */
struct dress_config {
    const struct lakefile *file;         /* NULL: there is none */
    const char *archive_url;             /* of an option, before the file's; NULL: none */
    const char *near_url;                /* of what names none itself; NULL: none */
    uint64_t near_bytes;                 /* of that one; 0: NEAR_SIZE_DEFAULT */
    const struct store_options *options; /* the mount's */
    const struct store_runtime *runtime;
    struct cache *cache;
    int scratch_dirfd;
};

struct dress {
    struct dress_config config;
    struct lakefile_store archive; /* url NULL: there is none */
    struct store_options archive_options;
    /* Of what is opened now: */
    struct near_config near; /* url NULL: there is none */
    struct store_options near_options;
    char wrapped[2 * 32 + 1]; /* for store_runtime.wrapped */
};

void dress_init(struct dress *d, const struct dress_config *config);

/*
 * Sets a runtime's wrap for a layer, or for what is no layer (NULL); it stays as it is where
 * nothing is put around. As lake_config.dress wants it; arg is the dress.
 */
void dress_layer(void *arg, const struct lakefile_layer *layer, struct store_runtime *runtime);

/* As lake_config.check wants it: near and archive stores that options name lie in no layer, nor
 * layers in them (-EINVAL). Those of the file are the layers' to check. */
int dress_check(void *arg, const struct layers *layers, struct err *err);

#endif
