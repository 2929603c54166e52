/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rule of sizes (design.md section 5): a file that metadata does not prove to be presented as
 * it is stored is shown with room behind its object, so that its size is known before anybody has
 * read it. What is done to it is decided when it is opened (lake/view/presented_store.h).
 *
 *   [object][slack: at first zeros][a footer that ends at the file's end]
 *
 * Pure; any thread.
 */
#ifndef LAKE_VIEW_TRANSFORM_H
#define LAKE_VIEW_TRANSFORM_H

#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

struct shape; /* lake/format/shape.h */

struct slack {
    uint64_t bytes; /* whatever the object has */
    uint64_t part;  /* and one of so many parts of the object; 0: nothing */
};

#define SLACK_DEFAULT                                                                              \
    {                                                                                              \
        64 * KIB, 16                                                                               \
    }

/* `64K+1/16`, `1M`, `0+1/8`. -EINVAL says what is understood; out is untouched then. */
int slack_parse(struct slice text, struct slack *out, struct err *err);

/*
 * Size of the presented file, with the room that the masks of its shape take (NULL: there are
 * none); never over OBJECT_BYTES_MAX unless the object is.
 */
uint64_t transform_size(const struct slack *s, uint64_t object_bytes, const struct shape *shape);

#endif
