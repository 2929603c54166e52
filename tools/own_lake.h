/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lake in the command's own process, without a mount: for commands that plan, move and archive.
 * Its threads, its HTTP engine and its stores are the process's own, and so are the credentials:
 * those of the caller's environment.
 *
 *   options_argument (for each argument) ─► own_lake_open ─► own_lake_get ... ─► own_lake_close
 *
 * Nothing is cached. Indexes are made in a temporary directory (below TMPDIR, /var/tmp) that goes
 * with the lake: the cache directory is left to the daemons, which may start at any time. One
 * thread opens and closes; what the lake gives may be used by any.
 */
#ifndef TOOLS_OWN_LAKE_H
#define TOOLS_OWN_LAKE_H

#include "lake/lake.h"
#include "tools/options.h"

struct lakefile;
struct own_lake;

/* The options that such a command takes of those of a mount, one line each, for --help. */
#define OWN_LAKE_HELP                                                                              \
    "  -o KEY=VALUE,...   options of tarn mount that say how stores are asked: endpoint-url,\n"    \
    "                     region, profile, outside, cache-dir, ...; also as --KEY VALUE\n"

/*
 * Opens the lake of a lake file (a regular file whose name ends in .yaml or .yml) or of a URL.
 * Checks the options and takes from the environment what they leave open. Blocks. -EINVAL for what
 * is wrong in options or lake file.
 */
int own_lake_open(const char *source, struct options *o, struct own_lake **out, struct err *err);
void own_lake_close(struct own_lake *o);
DEFINE_AUTO(own_lake, struct own_lake *, own_lake_close)

/* Borrowed while it is open. */
struct lake *own_lake_get(const struct own_lake *o);
/* NULL where the source was a URL. */
const struct lakefile *own_lake_file(const struct own_lake *o);
/* What further stores are opened with (an archive). */
const struct store_runtime *own_lake_runtime(const struct own_lake *o);
const struct store_options *own_lake_store_options(const struct own_lake *o);
/* A directory for temporary files without names. */
int own_lake_scratch(const struct own_lake *o);

#endif
