/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `tarn cache` does with a cache that is open, in whatever process has it open: the daemon, or
 * the command itself where there is none. It is told in lines of JSON (tools/control.h), so that
 * both ways read alike:
 *
 *   {"progress":{"objects":..,"bytes":..,"damaged":..},"allObjects":..,"allBytes":..}
 *                                            of verify, a few a second
 *   {"ok":true,"stat":{..}}   or   {"ok":true,"report":{..}}        the last line
 *
 * Blocks; verify for long.
 */
#ifndef TOOLS_MAINTAIN_H
#define TOOLS_MAINTAIN_H

#include "base/buf.h"
#include "cache/cache.h"
#include "cache/store/http.h"

enum maintenance { MAINTENANCE_STAT, MAINTENANCE_VERIFY, MAINTENANCE_DROP, MAINTENANCE_GC };

/* "stat", "verify", "drop", "gc". */
bool maintenance_find(struct slice name, enum maintenance *out);
const char *maintenance_name(enum maintenance what);

/*
 * Does it (`http`: the engine that stat tells of, NULL: there is none), and gives every line to
 * `line` (this thread or one of the cache's). What that returns false for is given up. After an
 * error no last line was given.
 */
int maintain(struct cache *c, struct http *http, enum maintenance what,
             bool (*line)(void *arg, struct slice text), void *arg, struct err *err);

/* The last line of something that was done without opening the cache. */
void maintain_format_report(const struct cache_report *r, struct buf *out);

/* What a line says; the parts that it does not have stay as they were. */
struct maintenance_line {
    bool last;       /* "ok" is in it, and true: an error is for control_check_answer */
    bool has_report; /* of "report" or "progress" */
    struct cache_stat stat;
    struct cache_report report;
    uint64_t all_objects, all_bytes; /* that there are to look at */
    struct slice raw;                /* text of "stat" or "report", in the line */
};
int maintain_parse(struct slice text, struct maintenance_line *out, struct err *err);

#endif
