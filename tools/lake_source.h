/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a SOURCE on the command line is: a lake file, if it is a regular file whose name ends in
 * .yaml or .yml; else a URL or a directory. Blocks.
 */
#ifndef TOOLS_LAKE_SOURCE_H
#define TOOLS_LAKE_SOURCE_H

#include "lake/lakefile.h"
#include "tools/options.h"

struct lake_source {
    struct buf text;       /* of the lake file, as it is */
    struct lakefile *file; /* NULL: it is none */
};
void lake_source_done(struct lake_source *s);
DEFINE_AUTO_DONE(lake_source, struct lake_source, lake_source_done)

/*
 * Reads and parses a lake file; 0 also where the source is none. -EINVAL for what is wrong in it,
 * and for options that say of one store what it says of each (-o outside). `out` is zeroed.
 */
int lake_source_read(const char *source, const struct options *o, struct lake_source *out,
                     struct err *err);

/* Some store of it is S3's, so that AWS's environment counts. */
bool lake_source_is_s3(const struct lake_source *s, const char *source, const struct options *o);

#endif
