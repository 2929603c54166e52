/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of `tarn tier` have in common. One thread. */
#ifndef TOOLS_TIER_H
#define TOOLS_TIER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "tools/own_lake.h"

enum tier_format { TIER_TEXT, TIER_JSON, TIER_CSV };

/* A command's arguments: SOURCE [TABLE-GLOB...] and options of stores; the command's own are in its
 * table. */
struct tier_arguments {
    struct options options;
    const char *source;
    const char **tables; /* owned array */
    size_t tables_n;
    enum tier_format format;
    int64_t now_ms; /* of --at; else the clock's */
};
void tier_arguments_done(struct tier_arguments *a);
DEFINE_AUTO_DONE(tier_arguments, struct tier_arguments, tier_arguments_done)

/* An option of one command: a flag where `value` is NULL. */
struct tier_option {
    const char *name; /* "--files" */
    bool *flag;
    const char **value;
};

/*
 * Reads the arguments of a command; `own` ends with a NULL name. 0, or -EINVAL: wrong use. Needs no
 * lake.
 */
int tier_arguments_parse(struct tier_arguments *a, int argc, char **argv,
                         const struct tier_option *own, struct err *err);

#define TIER_HELP                                                                                  \
    "  --json, --csv      for programs\n"                                                          \
    "  --at TIME          as it will be then, as far as that is known now\n" OWN_LAKE_HELP

/* "1,234.56", "0.0042": two decimals, or as many as tell something. Returns out. */
#define TIER_MONEY_BYTES 48
char *tier_money(double money, char out[TIER_MONEY_BYTES]);

/* A text as a field of CSV (RFC 4180), appended. */
void tier_csv(struct buf *out, struct slice text);

int tier_plan_command(int argc, char **argv);
int tier_report_command(int argc, char **argv);
int tier_apply_command(int argc, char **argv);
int tier_export_command(int argc, char **argv);

#endif
