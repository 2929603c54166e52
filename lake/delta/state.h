/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the log says of a version beside its files: metadata and protocol in effect. Kept with each
 * run as its meta, JSON:
 *
 *   {"version":12,"fingerprint":"<16 hex>","id":..,"format":{"provider":..},
 *    "partitionColumns":[..],"schemaString":..,"configuration":{..},"protocol":{..},
 *    "columnsSince":7}, "formerNames":[[id,"name"],..] where columns have ids, and "changes":true
 * of change data
 *
 * Nothing in it depends on more than the log up to that version. Not thread-safe.
 */
#ifndef LAKE_DELTA_STATE_H
#define LAKE_DELTA_STATE_H

#include "lake/delta/action.h"
#include "lake/delta/path.h"
#include "lake/former.h"

struct delta_state {
    bool has_metadata, has_protocol;
    struct delta_metadata metadata;
    struct delta_protocol protocol;
    /* Of both: settled after either has come. */
    enum delta_mapping mapping;
    struct delta_columns columns;
    uint64_t columns_hash; /* delta_schema_hash */
    /* delta_schema_counted: by every writer, and by Spark. */
    struct delta_list counted, counted_by_spark;
    bool hides_gaps; /* delta_schema_hides_gaps */
    bool changes;    /* the files are change data of the versions; the range sets it */
    /* Writers may put columns of their own into files: change data feed, row tracking. */
    bool own_columns;
    /* No commit after this version has changed the columns: the last that did, or the first one of
     * which that is known. The replay sets it. */
    int64_t columns_since;
    struct former *former; /* names that columns with ids have had; NULL: none has been noted */
    struct arena metadata_arena, protocol_arena, columns_arena;
};

void delta_state_init(struct delta_state *s);
void delta_state_done(struct delta_state *s);
DEFINE_AUTO_DONE(delta_state, struct delta_state, delta_state_done)

/* Copies what an action says. -EIO for a schema that cannot be read; a mode of column mapping that
 * is not known is left to delta_protocol_check. */
int delta_state_metadata(struct delta_state *s, const struct delta_metadata *metadata,
                         struct err *err);
int delta_state_protocol(struct delta_state *s, const struct delta_protocol *protocol,
                         struct err *err);

/* Adds to `former` of a state the names that columns with ids have in `of` (which may be the same).
 * -EOVERFLOW, -ENOMEM; a schema that cannot be read has none. */
int delta_state_note_names(struct delta_state *s, const struct delta_state *of, struct err *err);

/* The same columns, presented and placed in the same way. */
bool delta_state_same_columns(const struct delta_state *a, const struct delta_state *b);

/* Appends a run's meta. The state must have both. */
void delta_state_format(const struct delta_state *s, int64_t version, uint64_t fingerprint,
                        struct buf *out);

/* Of which version of which history a run is: 0, or -EUCLEAN where the meta cannot be read. */
int delta_state_identity(struct slice meta, int64_t *version, uint64_t *fingerprint,
                         struct err *err);

/* The state that a run's meta holds. -EUCLEAN where it cannot be read. */
int delta_state_parse(struct slice meta, struct delta_state *out, struct err *err);

#endif
