/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which metadata file of a table is the newest one, where no catalog tells: by a listing of
 * `metadata/` and what `version-hint.text` says (Iceberg specification, "File System Tables",
 * "Metastore Tables"; catalogs' names are their writers' habit).
 *
 *   v12.metadata.json, v12.gz.metadata.json                  tables of a file system: the 12th
 *   00012-<uuid>.metadata.json, ....gz.metadata.json,        a catalog's: the 13th commit, or one
 * that 00012-<uuid>.metadata.json.gz                            lost a race and was left behind
 *   <uuid>.metadata.json, any other                          perhaps on its way to a name of the
 *                                                            first kind: counts where it is alone
 *   version-hint.text     `12`, `v12`, a file's name with or without its ending; perhaps stale
 *
 * Of the first kind the newest one is the hinted one, or the last of those that follow on it
 * without a gap, as a commit puts the file there before the hint; the highest where the hint is of
 * no use. Of the second it is the highest number. Where several files remain (both kinds, or one
 * number twice), the newest by what they say is taken (last-updated-ms): see lake/iceberg/newest.h.
 */
#ifndef LAKE_ICEBERG_FIND_H
#define LAKE_ICEBERG_FIND_H

#include "base/limits.h"
#include "base/vec.h"
#include "cache/store/store.h"

#define ICEBERG_METADATA_DIR "metadata/"
#define ICEBERG_METADATA_ENDING ".metadata.json"

enum iceberg_name_kind {
    ICEBERG_NAME_OTHER,   /* no metadata file */
    ICEBERG_NAME_FILES,   /* v12 */
    ICEBERG_NAME_CATALOG, /* 00012-<uuid> */
    ICEBERG_NAME_PLAIN, /* any other name with the ending: counts where it is hinted at, or alone */
};

/* What a name in `metadata/` means; *number and the stem (what stands before the endings) of those
 * that are not OTHER. Pure. */
enum iceberg_name_kind iceberg_name_parse(struct slice name, uint64_t *number, struct slice *stem);

struct iceberg_file {
    char name[NAME_BYTES_MAX + 1]; /* in `metadata/` */
    enum iceberg_name_kind kind;
    uint64_t number;
    uint64_t size;
    int64_t mtime_ms;
    char etag[ETAG_BYTES_MAX]; /* empty: not told */
};

/* Files that remain: which of them is the newest, their contents tell. */
#define ICEBERG_CANDIDATES_MAX 16

struct iceberg_files {
    VEC(struct iceberg_file) at;
    bool hinted; /* there is a version-hint.text */
};
void iceberg_files_init(struct iceberg_files *f);
void iceberg_files_done(struct iceberg_files *f);
DEFINE_AUTO_DONE(iceberg_files, struct iceberg_files, iceberg_files_done)

/* Takes a line of the listing, by its name in `metadata/`; what is no metadata file is passed over.
 * -EOVERFLOW, -ENOMEM. */
int iceberg_files_add(struct iceberg_files *f, struct slice name, const struct store_entry *entry,
                      struct err *err);

/* Leaves those of which one is the newest, by the rules above; all of one number where there is a
 * choice. hint: the text of version-hint.text, or empty. */
void iceberg_files_choose(struct iceberg_files *f, struct slice hint);

/* Lists `metadata/` below the prefix, reads the hint, and chooses. Blocks. -EBADMSG where there is
 * no metadata file, or more candidates than can be told apart. */
int iceberg_files_find(struct iceberg_files *f, struct store *store, const char *prefix,
                       struct err *err);

#endif
