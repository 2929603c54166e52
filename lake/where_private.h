/* SPDX-License-Identifier: Apache-2.0 */
/* What lake/where.c (walking), lake/where_file.c (files) and lake/where_ref.c (refs in paths)
 * share. */
#ifndef LAKE_WHERE_PRIVATE_H
#define LAKE_WHERE_PRIVATE_H

#include "lake/where.h"

/*
 * In the path of a place a ref stands behind an empty component, which no real path has:
 * `silver/orders//12` is orders@12, `silver/orders//@12` is orders/@12 (a directory must have one
 * node for each name under which it hangs).
 */
#define REF_MARK "//"

static inline int where_no_entry(struct err *err, struct slice name)
{
    return err_set(err, ENOENT, "no such name: %.*s", SLICE_FMT(name));
}

/* All of it can be read here now, or it is small. */
bool where_object_is_whole(struct lake *lake, const struct object_name *name);

/* What `.tarn/raw` shows. */
bool where_is_raw(const struct table_version *v);

/* What a directory's names were is kept for the live path, and for a time after the last commit,
 * which shows the same. */
bool where_keeps_names(const struct where *w);

/* A name in VERSIONS: a version or a tag. Parks. */
int where_version_child(const struct where *parent, struct slice name, struct task *task,
                        struct where *out, struct err *err);

#endif
