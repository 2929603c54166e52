/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a table of a mount tells of its versions (`.tarn/history.json`, `.tarn/retention.json`,
 * `.tarn/refs.json`), for the commands that show it. Blocks on reading the mount.
 */
#ifndef TOOLS_TABLE_LOG_H
#define TOOLS_TABLE_LOG_H

#include "base/buf.h"

#define TABLE_LOG_UNKNOWN INT64_MIN /* of a count: the commit does not tell, or was not read */

/* One version. Texts are decoded and empty where the commit does not tell. */
struct table_log_line {
    int64_t version, time_ms;
    char *operation, *parameters, *user, *engine; /* parameters: JSON */
    char *names; /* the format's own branches and tags that are at it now, ", " between */
    int64_t added_files, removed_files, added_bytes, removed_bytes, change_files;
    int64_t added_deletes, removed_deletes; /* delete files; 0 where the format has none */
    bool rows, metadata, protocol;          /* what the commit changed, as far as it tells */
    int64_t removable_ms; /* from then on VACUUM may remove files of it; INT64_MAX: none */
    struct slice raw;     /* its object in history.json; lives as long as the log */
};

struct table_log {
    struct table_log_line *at; /* in order of versions */
    size_t n, capacity, max;
    int64_t retention_ms; /* 0: the format has no such rule */
    struct buf text;
};

void table_log_init(struct table_log *log);
void table_log_done(struct table_log *log);
DEFINE_AUTO_DONE(table_log, struct table_log, table_log_done)

/*
 * Reads what the table that the path is in tells, up to the version (or in the range) that the path
 * shows. -ENOENT where the path is in no table of a mount.
 */
int table_log_read(struct table_log *log, const char *path, struct err *err);

/*
 * A document of `.tarn/` of the table that the path is in, which is looked for from the path
 * upwards, into out.
 */
int table_log_document(const char *path, const char *name, struct buf *out, struct err *err);

/* `2026-03-01 10:30:00 +0100`, in the zone of who reads it, appended. */
void table_log_time(struct buf *out, int64_t time_ms);

/* The versions whose files VACUUM may remove now: a line on stdout for a person, none where there
 * are none. */
void table_log_warn(const struct table_log *log);

/* The log as a JSON array, newest first or not, at most `count` of the newest. */
void table_log_print_json(const struct table_log *log, bool newest_first, size_t count);

#endif
