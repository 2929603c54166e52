/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of one version as a grant looks for them: each with its path, found by id or by path.
 * Of view*.c. Texts and tables lie in one arena; what they tell of is borrowed.
 */
#ifndef LAKE_VIEW_VIEW_TREE_H
#define LAKE_VIEW_VIEW_TREE_H

#include "base/map.h"
#include "lake/view/policy_grant.h"
#include "lake/view/view.h"

struct view_node {
    const struct shape_field *field;
    uint32_t index;          /* in the fields of its shape */
    uint32_t parent;         /* the index of its parent; 0: the root */
    bool partition;          /* its shape is that of the partition columns */
    bool word;               /* it is an element, a key or a value, which has no name of its own */
    bool key;                /* it is the key of a map, or in one */
    struct column_name name; /* as the version calls it */
    struct column_name stored; /* as its files call it */
};

struct view_tree {
    struct arena arena;
    /* Of the shape's fields and of the partitions', by their indices; [0] of each is the root. */
    struct view_node *fields, *partitions;
    size_t fields_n, partitions_n;        /* 0: there is no such shape */
    struct map by_id, by_path, by_stored; /* of struct view_node; paths as column_name.full */
};

/* -EOVERFLOW, -ENOMEM; the tree is to be done in any case. */
int view_tree_init(struct view_tree *t, const struct view_columns *columns, struct err *err);
void view_tree_done(struct view_tree *t);
DEFINE_AUTO_DONE(view_tree, struct view_tree, view_tree_done)

/* The column of that path; or the one whose path differs in case alone; or NULL. */
const struct view_node *view_tree_find(const struct view_tree *t, struct slice full);
/* The column of exactly that path, or NULL. */
const struct view_node *view_tree_exact(const struct view_tree *t, struct slice full);

/*
 * The column that a column of an older version is today; and the other way round, what a column of
 * today was then. NULL: there is none. By id; where the older version is from before its table had
 * ids, by what files call it, which was its name then and stayed; in a table without ids by name.
 */
const struct view_node *view_tree_today(const struct view_tree *today, const struct view_node *of);
const struct view_node *view_tree_then(const struct view_tree *then, const struct view_node *of);
/* The columns have ids. */
bool view_tree_has_ids(const struct view_tree *t);

/* Appends a path for people: names with dots between them. */
void view_path_format(struct buf *out, struct slice full);

#endif
