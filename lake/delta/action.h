/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Actions: what a Delta log says, one at a time (delta.io PROTOCOL.md, "Actions").
 *
 * A line of a commit, and a row of a checkpoint, become the same struct. What a file list does not
 * need (tags, most of the statistics) is passed over unread. Pure; not thread-safe.
 */
#ifndef LAKE_DELTA_ACTION_H
#define LAKE_DELTA_ACTION_H

#include "base/arena.h"
#include "base/err.h"

enum delta_kind {
    DELTA_OTHER, /* txn, domainMetadata, ...: of no effect on the files */
    DELTA_ADD,
    DELTA_REMOVE,
    DELTA_CDC, /* a file of change data: of no effect on the files either */
    DELTA_METADATA,
    DELTA_PROTOCOL,
    DELTA_COMMIT_INFO,
    DELTA_SIDECAR, /* of checkpoints */
};

/* A list of texts, or of pairs. */
struct delta_list {
    struct slice *at;
    size_t n;
};

struct delta_pair {
    struct slice key, value;
    bool null; /* the value is null */
};
struct delta_map {
    struct delta_pair *at;
    size_t n;
};

/* Which rows of a file are deleted; storage is empty where none are. */
struct delta_dv {
    struct slice storage, path; /* storageType, pathOrInlineDv */
    int64_t offset, size, cardinality;
    bool has_offset, has_size, has_cardinality;
};

/* add, remove and cdc; what an action does not have is zero. */
struct delta_file {
    struct slice path; /* as in the log: a URI reference */
    struct delta_map partition_values;
    int64_t size, modification_time;
    int64_t deletion_time; /* of a removal, ms; 0: it does not tell */
    bool has_size;         /* a removal need not tell it */
    bool data_change;      /* the table's rows are other ones by this */
    struct slice stats;    /* JSON text; empty: not told, or from a checkpoint */
    struct delta_dv dv;
};

struct delta_metadata {
    struct slice id, schema, provider; /* provider is empty where it is not told */
    struct delta_list partition_columns;
    struct delta_map configuration;
};

struct delta_protocol {
    int64_t reader, writer;
    bool has_reader_features, has_writer_features;
    struct delta_list reader_features, writer_features;
};

/* Raw values are JSON text; empty where the commit does not tell. */
struct delta_commit_info {
    struct slice operation, parameters, user_name, engine_info, read_version, blind_append;
    bool has_in_commit_timestamp;
    int64_t in_commit_timestamp;
};

/* A file of a checkpoint that holds its adds. */
struct delta_sidecar {
    struct slice path; /* a URI reference */
    int64_t size;
};

struct delta_action {
    enum delta_kind kind;
    union {
        struct delta_file file;
        struct delta_metadata metadata;
        struct delta_protocol protocol;
        struct delta_commit_info info;
        struct delta_sidecar sidecar;
    };
};

/*
 * Reads one line. What follows the JSON value is not looked at, as other readers do not either.
 * The action points into the line and into the arena, which the caller resets. -EIO where the line
 * is damaged or lacks what the protocol requires, -EOVERFLOW over the arena's maximum, -ENOMEM.
 */
int delta_action_parse(struct slice line, struct arena *arena, struct delta_action *out,
                       struct err *err);

/* The values of `metaData` and `protocol` alone, as JSON text; else as delta_action_parse. */
int delta_metadata_parse(struct slice value, struct arena *arena, struct delta_metadata *out,
                         struct err *err);
int delta_protocol_parse(struct slice value, struct arena *arena, struct delta_protocol *out,
                         struct err *err);

/* Copies into an arena of the caller's, so that it outlives the line. -EOVERFLOW, -ENOMEM. */
int delta_metadata_copy(struct arena *arena, const struct delta_metadata *from,
                        struct delta_metadata *out, struct err *err);
int delta_protocol_copy(struct arena *arena, const struct delta_protocol *from,
                        struct delta_protocol *out, struct err *err);

/* The value of a key that is there and not null; false else. */
bool delta_map_find(const struct delta_map *map, struct slice key, struct slice *value);

#endif
