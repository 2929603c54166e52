/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the log says of a version beside its files: metadata and protocol in effect. Kept with each
 * run as its meta, JSON:
 *
 *   {"version":12,"fingerprint":"<16 hex>","id":..,"format":{"provider":..},
 *    "partitionColumns":[..],"schemaString":..,"configuration":{..},"protocol":{..}}
 *
 * Nothing in it depends on more than the log up to that version. Not thread-safe.
 */
#ifndef LAKE_DELTA_STATE_H
#define LAKE_DELTA_STATE_H

#include "lake/delta/action.h"
#include "lake/delta/path.h"

struct delta_state {
    bool has_metadata, has_protocol;
    struct delta_metadata metadata;
    struct delta_protocol protocol;
    struct delta_columns columns; /* of the metadata */
    struct arena metadata_arena, protocol_arena;
};

void delta_state_init(struct delta_state *s);
void delta_state_done(struct delta_state *s);
DEFINE_AUTO_DONE(delta_state, struct delta_state, delta_state_done)

/* Copies what an action says. -EIO for a schema that cannot be read. */
int delta_state_metadata(struct delta_state *s, const struct delta_metadata *metadata,
                         struct err *err);
int delta_state_protocol(struct delta_state *s, const struct delta_protocol *protocol,
                         struct err *err);

bool delta_columns_equal(const struct delta_columns *a, const struct delta_columns *b);

/* Appends a run's meta. The state must have both. */
void delta_state_format(const struct delta_state *s, int64_t version, uint64_t fingerprint,
                        struct buf *out);

/* Of which version of which history a run is: 0, or -EUCLEAN where the meta cannot be read. */
int delta_state_identity(struct slice meta, int64_t *version, uint64_t *fingerprint,
                         struct err *err);

/* The state that a run's meta holds. -EUCLEAN where it cannot be read. */
int delta_state_parse(struct slice meta, struct delta_state *out, struct err *err);

#endif
