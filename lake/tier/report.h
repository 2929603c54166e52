/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports: every object that the stores of a lake list, by layer, table, what it is there for, and
 * storage class. Its sums are those of the listings: each listed object is in one row.
 *
 * Versions, where they are wanted: what each holds, and what no other one holds.
 */
#ifndef LAKE_TIER_REPORT_H
#define LAKE_TIER_REPORT_H

#include "lake/lake.h"

struct lakefile;

enum tier_kind {
    TIER_LIVE,     /* the newest version of a table holds it */
    TIER_OLDER,    /* only older versions do, and its rows are gone from the newest one */
    TIER_LEFTOVER, /* only older versions do; a compaction has put its rows into other files */
    TIER_CHANGES,  /* change data */
    TIER_DELETES,  /* deletion vectors */
    TIER_LOG,      /* a table's metadata: logs, checkpoints */
    TIER_UNNAMED,  /* in a table's directory, but no version names it */
    TIER_UNREAD,   /* in the directory of a table that is not read */
    TIER_PLAIN,    /* outside of tables */
    TIER_KINDS
};
/* "live", "older", "leftover", ... */
const char *tier_kind_name(enum tier_kind kind);

#define TIER_NO_TABLE SIZE_MAX

struct tier_row {
    size_t layer, table; /* TIER_NO_TABLE: of PLAIN */
    enum tier_kind kind;
    struct slice class;
    uint64_t files, bytes;
    double month;
    bool priced; /* somebody says what the class costs */
};

struct tier_version {
    size_t table;
    int64_t number, time_ms;
    uint64_t files, bytes; /* that it holds, as the store lists them */
    double month;
    uint64_t only_files, only_bytes; /* that no other version holds */
    double only_month;
};

struct tier_report_config {
    struct lake *lake;
    const struct lakefile *file; /* NULL: the lake is one store */
    const char *const *tables;   /* patterns; with some, nothing outside of tables is told */
    size_t tables_n;
    bool versions;
    int scratch_dirfd;
};

struct tier_report;

/* As tier_plan. */
int tier_report(const struct tier_report_config *config, struct tier_report **out, struct err *err);
void tier_report_free(struct tier_report *r);
DEFINE_AUTO(tier_report, struct tier_report *, tier_report_free)

/* All borrowed. Rows by layer, table, kind and class; versions by table and number. */
size_t tier_report_rows(const struct tier_report *r, const struct tier_row **out);
size_t tier_report_versions(const struct tier_report *r, const struct tier_version **out);
size_t tier_report_layers(const struct tier_report *r);
struct slice tier_report_layer(const struct tier_report *r, size_t layer);
const char *tier_report_layer_url(const struct tier_report *r, size_t layer);
struct slice tier_report_table(const struct tier_report *r, size_t table);
size_t tier_report_notes(const struct tier_report *r);
const char *tier_report_note(const struct tier_report *r, size_t i);

#endif
