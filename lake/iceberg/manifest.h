/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A manifest: data files or delete files with their partition and what happened to them (Iceberg
 * specification, "Manifests"). Read by the writer's Avro schema; statistics are passed over unread,
 * but for the columns that a file has (keys of column_sizes) and the paths that a position delete
 * file names (bounds of file_path). Pure.
 *
 *   manifest ── tuples    distinct partition tuples, numbered as they come
 *           ├── columns   distinct sets of columns, likewise
 *           └── files     each with a tuple and a set
 *
 * Sequence number and snapshot are as written: those that are not told are the manifest's own
 * ("Inheritance": iceberg_entry_inherit).
 */
#ifndef LAKE_ICEBERG_MANIFEST_H
#define LAKE_ICEBERG_MANIFEST_H

#include "lake/format/source.h"
#include "lake/iceberg/extra.h"
#include "lake/iceberg/manifest_list.h"
#include "lake/iceberg/partition.h"

enum iceberg_status {
    ICEBERG_EXISTING,
    ICEBERG_ADDED,
    ICEBERG_DELETED, /* the snapshot removed it: no part of the table */
};

enum iceberg_content {
    ICEBERG_DATA,
    ICEBERG_POSITIONS, /* a position delete file, or a deletion vector */
    ICEBERG_EQUALITY,
};

/* One entry of a manifest. Slices live for the call that gives it. */
struct iceberg_entry {
    enum iceberg_status status;
    enum iceberg_content content;
    enum iceberg_format format;
    int64_t snapshot; /* that added or removed it */
    int64_t sequence; /* its data sequence number */
    struct slice path;
    uint64_t size, rows;
    uint32_t tuple;   /* number of its partition tuple in the manifest */
    uint32_t columns; /* number of its set of columns */
    bool encrypted;   /* it has key metadata */
    /* Of delete files. */
    struct slice referenced;   /* the one data file that it is about; empty: of any */
    struct slice lower, upper; /* bounds of the paths that it names; p NULL: not told */
    int64_t offset, length;    /* of a deletion vector; ICEBERG_NONE: it is none */
    const int32_t *ids;        /* of an equality delete file, ascending */
    size_t ids_n;
};

/* A value of a partition tuple. */
struct iceberg_tuple_value {
    int32_t field_id;  /* of the partition field; -1: the manifest has no ids */
    struct slice name; /* as the manifest has it */
    struct iceberg_value value;
};

/* Which columns a file has: the keys of column_sizes. */
struct iceberg_columns {
    const int32_t *ids; /* ascending */
    size_t n;           /* 0: not told */
};

/* Who takes what a manifest says. Each is called with a new number before the first file that has
 * it. Other than 0 ends it and is returned. */
struct iceberg_manifest_sink {
    int (*tuple)(void *arg, const struct iceberg_tuple_value *values, size_t n, struct err *err);
    int (*columns)(void *arg, const struct iceberg_columns *columns, struct err *err);
    int (*file)(void *arg, const struct iceberg_entry *file, struct err *err);
    void *arg;
};

/* What a manifest says of itself. */
struct iceberg_manifest_head {
    int32_t spec_id; /* ICEBERG_NONE: not told */
    bool deletes;    /* its content is delete files; set before: as its list tells */
};

/* Reads a manifest to its end. -EIO damaged, -EOPNOTSUPP, -EOVERFLOW over a limit, -ENOMEM. */
int iceberg_manifest_read(const struct source *source, const struct iceberg_manifest_sink *sink,
                          struct iceberg_manifest_head *head, struct err *err);

/* Sets what the entry has of its manifest. -EIO where it needs what the list does not tell. */
int iceberg_entry_inherit(struct iceberg_entry *file, const struct iceberg_manifest *manifest,
                          struct err *err);

#endif
