/* SPDX-License-Identifier: Apache-2.0 */
/* What making bases, patches and ranges has in common. Internal. */
#ifndef LAKE_ICEBERG_MAKE_PRIVATE_H
#define LAKE_ICEBERG_MAKE_PRIVATE_H

#include "lake/iceberg/make.h"
#include "lake/iceberg/place.h"
#include "lake/index/build.h"

/* A live file of a manifest, which has inherited what it had to. */
typedef int iceberg_walk_file(void *arg, const struct iceberg_decoded *decoded,
                              const struct iceberg_entry *file, struct err *err);

/* The live files of a manifest. -EUCLEAN where what is kept of it is damaged: it is dropped. */
int iceberg_walk_manifest(struct iceberg_place *place, const struct iceberg_manifest *manifest,
                          iceberg_walk_file *file, void *arg, struct err *err);

/* What a caller of the driver is told of that: EIO, and the next one reads the manifest again. */
int iceberg_walk_failed(struct err *err, const struct err *why);

/* All deletes of the list's delete manifests; *out NULL: there are none. */
int iceberg_make_deletes(struct iceberg_place *place, const struct iceberg_manifest_list *list,
                         struct iceberg_deletes **out, struct err *err);

/* Where data files go. */
struct iceberg_filling {
    struct iceberg_place *place;
    struct index_build *build;
    uint64_t seq;   /* of two files of one path the one with the greater one counts */
    uint64_t files; /* so far */
    bool any;       /* files may be named twice */
    /* Looks at the run before it has its name; NULL: nobody does. */
    int (*check)(void *arg, const struct run *run, struct err *err);
    void *arg;
};
int iceberg_make_add(struct iceberg_filling *filling, const struct iceberg_decoded *decoded,
                     const struct iceberg_entry *file, struct err *err);

/* Writes the run of that name of what was filled in: -EIO (of a patch -EAGAIN) where files are
 * named twice. base: NULL, or what the patch stands on. */
int iceberg_make_run(struct iceberg_make *m, const struct iceberg_filling *filling,
                     struct run *base, const char *name, struct run **out, struct err *err);

#endif
