/* SPDX-License-Identifier: Apache-2.0 */
/* A report's rows taken together by one of their members, for text and HTML. Pure. */
#ifndef TOOLS_TIER_SUMS_H
#define TOOLS_TIER_SUMS_H

#include "base/buf.h"
#include "lake/tier/report.h"

enum tier_by { TIER_BY_LAYER, TIER_BY_TABLE, TIER_BY_KIND, TIER_BY_CLASS };

struct tier_group {
    struct slice name;
    size_t layer, table; /* of the first row, as is the kind */
    enum tier_kind kind;
    uint64_t files, bytes;
    double month;
    uint64_t kind_bytes[TIER_KINDS];
    double kind_month[TIER_KINDS];
};

/* The groups, the largest first (layers in their order, kinds in theirs); caller frees. NULL: out
 * of memory. */
struct tier_group *tier_groups(const struct tier_report *r, enum tier_by by, size_t *n);

/* All rows. */
struct tier_group tier_total(const struct tier_report *r);

/* What old versions, leftovers and what nobody names are, in words. */
const char *tier_kind_text(enum tier_kind kind);

/* An HTML page with plots, whole in itself, appended. */
void tier_html(const struct tier_report *r, int64_t now_ms, struct buf *out);

#endif
