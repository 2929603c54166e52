/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/commit.h"

#include "lake/delta/lines.h"

/* commitInfo, the first line, is short. */
#define FIRST_BYTES (64 * KIB)

int delta_commit_read(const struct delta_table *table, const struct delta_log_file *file,
                      uint64_t lines_max, const struct delta_sink *sink, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    AUTO(delta_lines) struct delta_lines lines;
    AUTO(arena) struct arena arena = {0};
    struct slice line;
    struct delta_action action;
    int rc = 0;
    buf_init(&key, KEY_BYTES_MAX);
    arena_init(&arena, 2 * JSON_LINE_BYTES_MAX);
    delta_log_key(&key, table->prefix, &file->name);
    delta_lines_init(&lines, table->store, key.data, file->size,
                     lines_max == DELTA_COMMIT_ALL ? OBJECT_WINDOW_BYTES : FIRST_BYTES);
    for (uint64_t n = 0; n < lines_max && (rc = delta_lines_next(&lines, &line, err)) > 0; n++) {
        arena_reset(&arena);
        rc = delta_action_parse(line, &arena, &action, err);
        if (rc == 0)
            rc = sink->emit(sink->arg, &action, err);
        if (rc)
            return rc < 0
                       ? err_wrap(err, "%s: line %llu", key.data, (unsigned long long)lines.number)
                       : rc;
    }
    return rc < 0 ? err_wrap(err, "%s", key.data) : 0;
}
