/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of `tarn archive` share. */
#ifndef TOOLS_ARCHIVE_H
#define TOOLS_ARCHIVE_H

#include "lake/archive/archive.h"
#include "lake/lakefile.h"
#include "tools/own_lake.h"

#define ARCHIVE_OPTIONS_MAX 32
#define ARCHIVE_OPERANDS_MAX 8

struct archive_arguments {
    const char *operands[ARCHIVE_OPERANDS_MAX];
    size_t operands_n;
    const char *lake, *to;                                  /* --lake, --to; NULL: not given */
    struct lakefile_option to_options[ARCHIVE_OPTIONS_MAX]; /* --to-option; names are owned */
    size_t to_options_n;
    unsigned threads;
    bool json, quiet;
    struct options options; /* of stores: those of tarn mount */
};
void archive_arguments_done(struct archive_arguments *a);
DEFINE_AUTO_DONE(archive_arguments, struct archive_arguments, archive_arguments_done)

#define ARCHIVE_HELP                                                                               \
    "  --threads N        so many objects at once (8)\n"                                           \
    "  --quiet            no progress\n" OWN_LAKE_HELP

int archive_arguments_parse(struct archive_arguments *a, int argc, char **argv, struct err *err);

/*
 * The archive store of a copy: --to, or that of the lake file. `own` gives engine and credentials;
 * the archive must be freed before it is closed.
 */
int archive_open_to(const struct archive_arguments *a, const struct own_lake *own,
                    struct archive **out, struct err *err);

/* Each returns tarn's exit status. */
int archive_list_command(int argc, char **argv);
int archive_verify_command(int argc, char **argv);
int archive_drop_command(int argc, char **argv);

#endif
