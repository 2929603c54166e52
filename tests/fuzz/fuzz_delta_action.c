/* SPDX-License-Identifier: Apache-2.0 */
/* An action that is accepted holds what the replay relies on, and metadata survives its meta. */
#include <assert.h>

#include "base/limits.h"
#include "lake/delta/protocol.h"
#include "lake/delta/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_metadata(const struct delta_metadata *metadata)
{
    AUTO(delta_state) struct delta_state s, again;
    AUTO(buf) struct buf meta;
    int64_t version;
    uint64_t fingerprint;
    delta_state_init(&s);
    delta_state_init(&again);
    buf_init(&meta, 64 * MIB);
    if (delta_state_metadata(&s, metadata, NULL) == 0) {
        delta_state_format(&s, 7, 8, &meta);
        assert(buf_check(&meta, NULL) == 0);
        assert(delta_state_identity(buf_slice(&meta), &version, &fingerprint, NULL) == 0);
        assert(version == 7 && fingerprint == 8);
        int rc = delta_state_parse(buf_slice(&meta), &again, NULL);
        assert(rc == 0 || rc == -EUCLEAN); /* text that is not UTF-8 may come out damaged */
        assert(rc < 0 || again.columns.n == s.columns.n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena arena;
    struct delta_action action = {0};
    arena_init(&arena, 4 * MIB);
    if (delta_action_parse(slice_make(data, size), &arena, &action, NULL) < 0)
        return 0;
    if (action.kind == DELTA_ADD || action.kind == DELTA_REMOVE)
        assert(action.file.path.n && action.file.size >= 0);
    if (action.kind == DELTA_METADATA)
        check_metadata(&action.metadata);
    if (action.kind == DELTA_PROTOCOL)
        (void)delta_protocol_check(&action.protocol, NULL, NULL);
    return 0;
}
