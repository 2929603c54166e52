/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a catalog requires of who reads a table (lake/catalog/restrictions.h) as a policy of one
 * grant, for everybody and every table: so masks and row filters have one meaning here, wherever
 * they come from.
 *
 *   {"field-id": 3, "action": "show-last-4"}        mask: {`phone`: show-last-4}, and its id
 *   {"type": "not-eq", "term": 2, "value": "EU"}    rows: (`region` IS NULL OR `region` <> 'EU')
 *
 * Columns are named by what their ids are called in the version and today; a mask takes both names.
 * A column that has a mask of its own has that one, whatever names it and others had; the names are
 * for what has no id: columns of files from before there were ids, and partitions.
 *
 * Predicates of catalogs have two values, so each comparison says what becomes of NULL. Pure.
 */
#ifndef LAKE_VIEW_RESTRICTED_H
#define LAKE_VIEW_RESTRICTED_H

#include "base/buf.h"
#include "lake/view/view.h"

struct policy;
struct restrictions;

/* Appends the policy's text, with the ids of its masks in a comment. -EOPNOTSUPP what cannot be
 * said so: a filter over a column that there is none of, is-nan, times of day. -EOVERFLOW, -ENOMEM.
 */
int restricted_policy(const struct restrictions *r, const struct view_columns *at,
                      const struct view_columns *today, struct buf *out, struct err *err);

/* The policy of such a text, and of nothing else than it; errors are policy_parse's. */
int restricted_parse(struct slice text, struct policy **out, struct err *err);

#endif
