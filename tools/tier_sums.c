/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/tier_sums.h"

#include <stdlib.h>

static struct slice name_of(const struct tier_report *r, const struct tier_row *row,
                            enum tier_by by)
{
    switch (by) {
    case TIER_BY_LAYER:
        return tier_report_layer(r, row->layer);
    case TIER_BY_TABLE:
        return row->table == TIER_NO_TABLE ? SLICE_LIT("(outside of tables)")
                                           : tier_report_table(r, row->table);
    case TIER_BY_KIND:
        return slice_of(tier_kind_name(row->kind));
    case TIER_BY_CLASS:
        return row->class;
    }
    return SLICE_NONE;
}

static void add(struct tier_group *g, const struct tier_row *row)
{
    g->files += row->files;
    g->bytes += row->bytes;
    g->month += row->month;
    g->kind_bytes[row->kind] += row->bytes;
    g->kind_month[row->kind] += row->month;
}

struct keyed {
    struct slice name;
    size_t order; /* where the size is not what orders them */
    const struct tier_row *row;
};

static int by_name(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int c = (x->order > y->order) - (x->order < y->order);
    return c ? c : slice_cmp(x->name, y->name);
}

static int by_bytes(const void *a, const void *b)
{
    const struct tier_group *x = a, *y = b;
    int c = (x->bytes < y->bytes) - (x->bytes > y->bytes);
    return c ? c : slice_cmp(x->name, y->name);
}

struct tier_group *tier_groups(const struct tier_report *r, enum tier_by by, size_t *n)
{
    const struct tier_row *rows;
    size_t count = tier_report_rows(r, &rows), groups = 0;
    struct keyed *keyed = calloc(count + 1, sizeof *keyed);
    struct tier_group *out = calloc(count + 1, sizeof *out);
    if (!keyed || !out) {
        free(keyed);
        free(out);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        keyed[i] = (struct keyed){name_of(r, &rows[i], by),
                                  by == TIER_BY_LAYER  ? rows[i].layer
                                  : by == TIER_BY_KIND ? rows[i].kind
                                                       : 0,
                                  &rows[i]};
    qsort(keyed, count, sizeof *keyed, by_name);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || by_name(&keyed[i - 1], &keyed[i]) != 0)
            out[groups++] = (struct tier_group){.name = keyed[i].name,
                                                .layer = keyed[i].row->layer,
                                                .table = keyed[i].row->table,
                                                .kind = keyed[i].row->kind};
        add(&out[groups - 1], keyed[i].row);
    }
    free(keyed);
    if (by == TIER_BY_TABLE || by == TIER_BY_CLASS)
        qsort(out, groups, sizeof *out, by_bytes);
    *n = groups;
    return out;
}

struct tier_group tier_total(const struct tier_report *r)
{
    const struct tier_row *rows;
    size_t n = tier_report_rows(r, &rows);
    struct tier_group total = {.name = SLICE_LIT("total")};
    for (size_t i = 0; i < n; i++)
        add(&total, &rows[i]);
    return total;
}

const char *tier_kind_text(enum tier_kind kind)
{
    static const char *const texts[TIER_KINDS] = {
        [TIER_LIVE] = "the newest versions hold it",
        [TIER_OLDER] = "only older versions hold it",
        [TIER_LEFTOVER] = "left behind by compaction",
        [TIER_CHANGES] = "change data",
        [TIER_DELETES] = "deletion vectors",
        [TIER_LOG] = "logs, checkpoints, manifests",
        [TIER_UNNAMED] = "in tables' directories, but no version names it",
        [TIER_UNREAD] = "of tables that are not read",
        [TIER_PLAIN] = "outside of tables"};
    return texts[kind];
}
