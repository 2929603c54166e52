/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of `tarn mount`: one table for the command line (`--refresh 5`, `--refresh=5`,
 * `-o refresh=5`) and for the request that travels to the daemon.
 */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include "base/buf.h"
#include "cache/store/store.h"
#include "lake/view/transform.h"

/* Values as given; NULL where not given. Durations, sizes and times are parsed by options_check. */
struct options {
    char *cache_dir, *cache_size, *cache_free, *cache_key_file, *cache_compress_after;
    char *refresh, *hold, *keep, *as_of;
    char *archive_store;
    char *outside; /* all of them, with line feeds between */
    char *near, *near_size;
    char *endpoint_url, *region, *ca_bundle, *deadline, *threads, *uid, *gid, *passthrough;
    char *slack;
    char *archive, *recall_days, *recall_speed;
    char *profile, *addressing, *proxy, *sse, *sse_kms_key_id, *sse_c_key_file;
    char *policy, *role, *audit;
    bool per_uid, revocable, audit_strict;
    bool requester_pays, no_sign_request, allow_other, foreground, debug;

    /* set by options_check */
    uint64_t cache_size_bytes;
    uint64_t near_size_bytes; /* 0: not given */
    /* Of the disk that stays free: the lesser of both. */
    uint64_t cache_free_bytes;
    unsigned cache_free_percent;
    int64_t cache_compress_after_ms; /* 0: never */
    int64_t refresh_ms, hold_ms, keep_ms, as_of_ms, deadline_ms;
    struct slack slack_rule;
    bool recalls; /* opens of archived objects have them restored, so: */
    struct store_restore recall;
    unsigned threads_count;
    int64_t owner_uid, owner_gid; /* -1: the caller's */
};
void options_done(struct options *o);
DEFINE_AUTO_DONE(options, struct options, options_done)

/* Sets one option by its name; value NULL for flags. -EINVAL where it is unknown, or lacks or has a
 * value. */
int options_set(struct options *o, struct slice name, const char *value, struct err *err);

/* The option takes a value: 1, it is a flag: 0, there is none of that name: -1. */
int options_takes_value(struct slice name);

/* `key=value,key,...`; a comma in a value is written `\,`. */
int options_set_list(struct options *o, const char *list, struct err *err);

/* An argument that begins with `-`: `-o LIST`, `--KEY VALUE`, `--KEY=VALUE`, or a flag; *i moves
 * over its value. -EINVAL. */
int options_argument(struct options *o, int argc, char **argv, int *i, struct err *err);

/* Parses the values and fills in defaults. -EINVAL names the option and what it takes. */
int options_check(struct options *o, struct err *err);

/* A JSON object of all that were given, for the daemon. */
void options_format(const struct options *o, struct buf *out);

/* Those that say how a cache is kept, but for its place: what a daemon remembers for those who open
 * the directory when it is gone. */
void options_format_cache(const struct options *o, struct buf *out);

/* Sets the options of such an object; those that are set already stay. -EINVAL as options_set. */
int options_parse(struct options *o, struct slice json, struct err *err);

/* One line an option, for --help. */
void options_help(void);

#endif
