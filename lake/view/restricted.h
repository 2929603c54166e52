/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a catalog requires of who reads a table (lake/catalog/restrictions.h) as a policy of one
 * grant, for everybody and every table: so masks and row filters have one meaning here, wherever
 * they come from.
 *
 *   {"field-id": 3, "action": "show-last-4"}        mask: {`phone`: show-last-4}
 *   {"type": "not-eq", "term": 2, "value": "EU"}    rows: (`region` IS NULL OR `region` <> 'EU')
 *
 * Columns are named by what their ids are called in the version and today; a mask takes both names.
 * Predicates of catalogs have two values, so each comparison says what becomes of NULL. Pure.
 */
#ifndef LAKE_VIEW_RESTRICTED_H
#define LAKE_VIEW_RESTRICTED_H

#include "base/buf.h"
#include "lake/view/view.h"

struct restrictions;

/* Appends the policy's text. -EOPNOTSUPP what cannot be said so: a filter over a column that there
 * is none of, is-nan, times of day. -EOVERFLOW, -ENOMEM. */
int restricted_policy(const struct restrictions *r, const struct view_columns *at,
                      const struct view_columns *today, struct buf *out, struct err *err);

#endif
