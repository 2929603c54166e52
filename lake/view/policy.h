/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy: who sees which tables, and what of them. A YAML file of `classes` (names for columns)
 * and `grants`, of which the first that matches principal and table decides; where none does, the
 * table is denied. docs/POLICY.md is its reference, lake/view/policy.schema.json its JSON Schema.
 *
 *   policy_parse ─► policy_decide(who, table) ─► a grant, or NULL: denied
 *                                                  └─► view_make (view.h): what it makes of columns
 *
 *   policy.c         deciding         policy_parse.c   YAML to grants (base/yaml.h: the reader)
 *   base/glob.h      paths            policy_grant.h   what both know
 *
 * A policy is immutable and lies in one arena; any thread. Grants live as long as their policy,
 * which belongs to who parsed it. Pure: nothing here reads the file or asks who a user is.
 */
#ifndef LAKE_VIEW_POLICY_H
#define LAKE_VIEW_POLICY_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/slice.h"

struct principal; /* lake/view/principal.h */
struct policy;
struct grant;

/*
 * Reads a policy into *out, for policy_free. Every message begins with `name:line:column: ` (name:
 * of the file; both counted from 1). -EINVAL for what is no policy; -EOVERFLOW over
 * POLICY_BYTES_MAX or POLICY_MEMORY_MAX; -ENOMEM.
 */
int policy_parse(struct slice text, const char *name, struct policy **out, struct err *err);

void policy_free(struct policy *p);
DEFINE_AUTO(policy, struct policy *, policy_free)

/*
 * The first grant that matches who asks and the path of a table (of a loose object, of a `files`
 * table), from the mount's root, without `/` at its ends; NULL: denied.
 */
const struct grant *policy_decide(const struct policy *p, const struct principal *who,
                                  struct slice path);

/*
 * The same of an object that is in no table of which columns are known, `path`: `place` is the
 * `files` table that it lies in, or its own path. A grant that keeps a part back of the path, or of
 * a directory above it, decides too: what is a table there today, was one or will be one tomorrow
 * has its files there while it has no log, and nothing of them can be kept back.
 */
const struct grant *policy_decide_object(const struct policy *p, const struct principal *who,
                                         struct slice place, struct slice path);

/* policy_decide_object may decide otherwise of something in a `files` table than policy_decide of
 * the table. */
bool policy_parts_below(const struct policy *p, const struct principal *who, struct slice table);

/* Some path at or below that directory may be granted; else it is not shown. */
bool policy_may_reach(const struct policy *p, const struct principal *who, struct slice dir);

/* The line of the policy's file in which it begins, from 1. */
unsigned grant_line(const struct grant *g);

/* It grants tables as they are: no column, no row is kept back. */
bool grant_whole(const struct grant *g);

#endif
