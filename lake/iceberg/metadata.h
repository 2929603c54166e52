/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table metadata file: what an Iceberg table is at one commit, as its one JSON object says it
 * (Iceberg specification, "Table Metadata and Snapshots" and "Appendix C: JSON serialization").
 *
 *   metadata ── schemas, partition specs, properties          by id; ids are never used again
 *           ├── snapshots ── manifest list, or manifests (v1)  every one that can still be read
 *           ├── refs                                           branches and tags; `main` is current
 *           └── snapshot log                                   when `main` changed, and to what
 *
 * Of version 1 what it says once (`schema`, `partition-spec`) stands in the same lists. Format
 * versions 1 to 3 are read, others are refused. What nobody here needs (statistics, sort orders,
 * encryption keys) is passed over; unknown members are.
 *
 * Immutable, in one allocation of its own with the text, shared by reference; any thread. Pure.
 */
#ifndef LAKE_ICEBERG_METADATA_H
#define LAKE_ICEBERG_METADATA_H

#include "base/arena.h"
#include "lake/iceberg/partition.h"

/* No snapshot: of `parent` and the like. Real ids are not negative. */
#define ICEBERG_NONE (-1)

/* One of `schemas`. */
struct iceberg_schema_text {
    int32_t id;
    uint64_t hash;     /* of the text: the same id with other columns is another schema */
    struct slice json; /* the whole object */
};

/* One of `partition-specs`; fields of version 1 without ids have 1000 and on. */
struct iceberg_spec {
    int32_t id;
    size_t n;
    const struct iceberg_partition_field *fields;
};

/* One of `snapshots` ("Snapshots"). */
struct iceberg_snapshot {
    int64_t id, parent;   /* parent: ICEBERG_NONE where there is none */
    int64_t sequence;     /* 0 of version 1 */
    int64_t timestamp_ms; /* when it was made */
    int64_t first_row_id; /* v3; ICEBERG_NONE: not told */
    int32_t schema_id;    /* the table's current one when it was made; ICEBERG_NONE: not told */
    struct slice manifest_list;    /* empty: the manifests are named here (v1) */
    const struct slice *manifests; /* their paths */
    size_t manifests_n;
    struct slice operation; /* `append`, `overwrite`, ...; empty: not told */
    struct slice summary;   /* the JSON object; empty: not told */
    struct slice key_id;    /* the manifest list is encrypted with that key; empty: it is not */
    struct slice metadata;  /* the older file that has it; empty: the newest one has */
};

/* One of `refs` ("Snapshot References"). */
struct iceberg_ref {
    struct slice name;
    bool branch; /* else a tag */
    int64_t snapshot;
    int64_t max_age_ms, max_snapshot_age_ms, min_snapshots; /* ICEBERG_NONE: not told */
};

/* A line of `snapshot-log`: from then on `main` was that snapshot, which may have expired. */
struct iceberg_moment {
    int64_t timestamp_ms, snapshot;
};

/* A line of `metadata-log`: an older metadata file. */
struct iceberg_older {
    int64_t timestamp_ms;
    struct slice path;
};

struct iceberg_property {
    struct slice name, value;
};

struct iceberg_metadata {
    _Atomic unsigned refs_count;
    struct iceberg_metadata *base; /* a reference, whose texts these are too; NULL: none */
    struct arena arena;            /* everything below */
    struct slice text;             /* the file's JSON */
    struct slice name;             /* of the file, for messages: `v3.metadata.json` */
    int format_version;
    struct slice uuid;     /* empty: not told (v1) */
    struct slice location; /* as written, not empty */
    int64_t last_updated_ms;
    int64_t last_sequence;

    const struct iceberg_schema_text *schemas; /* by id */
    size_t schemas_n;
    int32_t current_schema_id;
    const struct iceberg_spec *specs; /* by id */
    size_t specs_n;
    int32_t default_spec_id;
    const struct iceberg_property *properties; /* by name */
    size_t properties_n;

    const struct iceberg_snapshot *snapshots; /* by time, then as they are written */
    size_t snapshots_n;
    const struct iceberg_snapshot **by_id; /* the same by id */
    int64_t current_snapshot;       /* what `main` is; ICEBERG_NONE: the table has none yet */
    const struct iceberg_ref *refs; /* by name; `main` too, where it is told or follows */
    size_t refs_n;
    const struct iceberg_moment *moments; /* `snapshot-log`, by time */
    size_t moments_n;
    const struct iceberg_older *older; /* `metadata-log`, as written */
    size_t older_n;
};

/*
 * Parses the text, of which it keeps a copy. One reference. -EIO where it is damaged (names the
 * file, and what is wrong), -EOPNOTSUPP for a format version above 3, -EOVERFLOW over
 * ICEBERG_METADATA_BYTES_MAX, -ENOMEM.
 */
int iceberg_metadata_parse(struct slice text, struct slice name, struct iceberg_metadata **out,
                           struct err *err);
/* What older files have. */
struct iceberg_forgotten {
    struct arena arena; /* of their texts */
    const struct iceberg_schema_text *schemas;
    size_t schemas_n;
    const struct iceberg_spec *specs;
    size_t specs_n;
    const struct iceberg_snapshot *snapshots;
    size_t snapshots_n;
};
/* The same table with these besides, none of which it may have: one reference. Takes the arena.
 * -ENOMEM, and as iceberg_metadata_parse. */
int iceberg_metadata_with(struct iceberg_metadata *base, struct iceberg_forgotten *more,
                          struct iceberg_metadata **out, struct err *err);
struct iceberg_metadata *iceberg_metadata_ref(struct iceberg_metadata *m);
void iceberg_metadata_unref(struct iceberg_metadata *m);
DEFINE_AUTO(iceberg_metadata, struct iceberg_metadata *, iceberg_metadata_unref)

/* By id; NULL: there is none (any more). */
const struct iceberg_snapshot *iceberg_metadata_snapshot(const struct iceberg_metadata *m,
                                                         int64_t id);
const struct iceberg_schema_text *iceberg_metadata_schema(const struct iceberg_metadata *m,
                                                          int32_t id);
const struct iceberg_spec *iceberg_metadata_spec(const struct iceberg_metadata *m, int32_t id);

/* The value of a property, `schema.name-mapping.default`; an empty slice where it is not set. */
struct slice iceberg_metadata_property(const struct iceberg_metadata *m, const char *name);

/* The schema that a snapshot is read with when it is asked for by id, tag or time: its own, or the
 * current one where it does not tell (or tells one that is not there). */
int32_t iceberg_metadata_schema_of(const struct iceberg_metadata *m,
                                   const struct iceberg_snapshot *s);

#endif
