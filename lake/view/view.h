/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A view: what a grant (policy.h) makes of one version of a table.
 *
 *   whole     hash 0, no shape, no filter: everything as without a policy
 *   narrowed  shape: the columns that are shown, with their masks, confined (shape.h)
 *             filter: bound to the version's own columns, of which some may be hidden; or NULL
 *
 * Names in a grant are those of the table's columns today. A column is followed by its field id
 * into other versions, into those from before the table had ids by the name that its files have
 * (which renaming keeps), and in a table without ids by its name:
 *
 *   hide, mask   touch a column that is called so today, was called so then or at any other time
 *                that is known, or is called so in the table's files, which is what one was called
 *                before it was renamed
 *   only         shows a column that is called so today; where it is gone today and nothing else
 *                has its name, one that was called so
 *   rows         looks at the column that is called so today; absent then, it is null. Where
 *                another column had its name then, the version is denied
 *
 * Partition columns of Delta are in paths alone. Those of Iceberg are columns of files too, found
 * by their ids: what is hidden or masked there must not be told by paths either, and the row filter
 * looks at the files; what a path says of a value only spares looking into a file or directory.
 *
 * A table that had ids and has lost them tells no more who is who: a column of such a version whose
 * name is not there today is hidden.
 *
 * A view is immutable and shared by reference; any thread. Pure.
 */
#ifndef LAKE_VIEW_VIEW_H
#define LAKE_VIEW_VIEW_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/slice.h"

struct former;     /* lake/former.h */
struct grant;      /* lake/view/policy.h */
struct shape;      /* lake/format/shape.h */
struct row_filter; /* lake/format/filter.h */

#define VIEW_SALT_BYTES 32

/* A table's columns at one version. Borrowed. */
struct view_columns {
    struct slice table;             /* its path from the mount's root */
    const struct shape *shape;      /* NULL: it has no schema, or files that cannot be narrowed */
    const struct shape *partitions; /* flat, in their order; NULL: none */
    const struct former *former; /* names that they once had; NULL: not known. Of today's alone */
};

struct view {
    _Atomic unsigned refs;
    uint64_t hash;             /* of what is shown and how; 0: the whole table */
    struct shape *shape;       /* NULL: the whole table */
    struct row_filter *filter; /* NULL: every row */
    struct row_filter *paths; /* the same of what paths say of columns that are in files, too; NULL:
                               * they say nothing of those */
    unsigned line;            /* of the grant in the policy's file */
};

struct view *view_ref(struct view *v);
void view_unref(struct view *v);
DEFINE_AUTO(view, struct view *, view_unref)

/*
 * The view that a grant gives of the version `at`; `today` are the columns of the newest version.
 * The salt is the mount's, of masks that are local to it. One reference in *out.
 *
 * -ENOENT: denied, and the message says why, for the log: a partition column is hidden or masked,
 * no column is left, or there is no schema to narrow. -EOPNOTSUPP: a mask or a comparison does not
 * fit its column. -ENOMEM, -EOVERFLOW.
 */
int view_make(const struct grant *g, const struct view_columns *at,
              const struct view_columns *today, const uint8_t salt[VIEW_SALT_BYTES],
              struct view **out, struct err *err);

#endif
