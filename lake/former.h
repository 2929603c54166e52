/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that columns once had, by their field ids: who named a column in a policy meant it by the
 * name of that day. Filled by one thread, then immutable and shared by reference.
 */
#ifndef LAKE_FORMER_H
#define LAKE_FORMER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"

struct shape; /* lake/format/shape.h */

struct former_name {
    int32_t id;
    struct slice name;
    struct former_name *next;    /* that was added after it */
    struct former_name *same_id; /* likewise, of the same column */
};

struct former {
    _Atomic unsigned refs;
    struct arena arena;
    struct former_name *first, *last;
    struct map by_id; /* the first name of each column */
};

struct former *former_new(struct err *err); /* NULL: out of memory */
void former_unref(struct former *f);
DEFINE_AUTO(former, struct former *, former_unref)

/* Adds a name, unless it is there. -EOVERFLOW over FORMER_BYTES_MAX, -ENOMEM. */
int former_add(struct former *f, int32_t id, struct slice name, struct err *err);

/* The first of a column's names, or NULL. */
const struct former_name *former_names(const struct former *f, int32_t id);

/* The same of all columns of a shape that have an id. */
int former_add_shape(struct former *f, const struct shape *shape, struct err *err);

/* Appends them as a run's meta has them: [[id,"name"],..]. */
void former_format(const struct former *f, struct buf *out);
/* Adds what such a text has. -EIO where it is none, and as former_add. */
int former_parse(struct former *f, struct slice text, struct err *err);

#endif
