/* SPDX-License-Identifier: Apache-2.0 */
/* tarn log PATH: what was done to a table, newest first, with what the commits tell. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "tools/arguments.h"
#include "tools/human.h"
#include "tools/table_log.h"
#include "tools/tools.h"

struct log_command {
    const char *path;
    bool json;
    size_t count;
};

static void help(void)
{
    printf("usage: tarn log [--json] [-n COUNT] PATH\n\n"
           "PATH is a table in a mount, or something in it. What each version did, newest first:\n"
           "the operation with its parameters, when, by whom, files and bytes added and removed.\n"
           "PATH may be a pinned one: TABLE@12 for the versions up to 12, TABLE@10..12 for 11 and "
           "12.\n");
}

static void print_files(const struct table_log_line *l)
{
    char a[HUMAN_BYTES], b[HUMAN_BYTES];
    if (l->added_files == TABLE_LOG_UNKNOWN)
        return;
    printf("    added    %s file%s, %s\n", human_count((uint64_t)l->added_files, a),
           l->added_files == 1 ? "" : "s", human_bytes((uint64_t)l->added_bytes, b));
    printf("    removed  %s file%s", human_count((uint64_t)l->removed_files, a),
           l->removed_files == 1 ? "" : "s");
    if (l->removed_bytes != TABLE_LOG_UNKNOWN)
        printf(", %s", human_bytes((uint64_t)l->removed_bytes, b));
    printf("\n");
    if (l->change_files)
        printf("    changes  %s file%s of change data\n", human_count((uint64_t)l->change_files, a),
               l->change_files == 1 ? "" : "s");
    if (l->added_deletes > 0 || l->removed_deletes > 0)
        printf("    deletes  %s file%s of deleted rows added, %s removed\n",
               human_count((uint64_t)l->added_deletes, a), l->added_deletes == 1 ? "" : "s",
               human_count((uint64_t)l->removed_deletes, b));
    if (!l->rows && (l->added_files || l->removed_files))
        printf("    rows     unchanged\n");
    if (l->metadata)
        printf("    schema or properties were set\n");
    if (l->protocol)
        printf("    the protocol was set\n");
}

static void print_version(const struct table_log_line *l, int64_t now_ms)
{
    AUTO(buf) struct buf time = {0};
    buf_init(&time, KIB);
    table_log_time(&time, l->time_ms);
    printf("version %lld  %s", (long long)l->version, l->operation ? l->operation : "-");
    printf(l->names ? "  (%s)\n" : "\n", l->names);
    printf("    time     %s\n", time.data);
    if (l->user)
        printf("    by       %s\n", l->user);
    if (l->engine)
        printf("    with     %s\n", l->engine);
    if (l->parameters && strcmp(l->parameters, "{}") != 0)
        printf("    asked    %s\n", l->parameters);
    print_files(l);
    if (l->removable_ms <= now_ms) {
        buf_reset(&time);
        table_log_time(&time, l->removable_ms);
        printf("    ! holds files that VACUUM may remove since %s\n", time.data);
    }
    printf("\n");
}

static int parse(struct log_command *c, int argc, char **argv)
{
    uint64_t count;
    struct arguments a = {.argc = argc, .argv = argv};
    bool option;
    for (const char *arg; (arg = arguments_next(&a, &option));) {
        if (option && strcmp(arg, "--json") == 0) {
            c->json = true;
        } else if (option && strcmp(arg, "-n") == 0) {
            const char *value = arguments_value(&a);
            if (!value || !text_parse_u64(slice_of(value), SIZE_MAX, &count))
                return usage_error("log", "-n: %s is no number", value ? value : "nothing");
            c->count = (size_t)count;
        } else if (c->path || option) {
            return usage_error("log", "one PATH of a table in a mount is needed");
        } else {
            c->path = arg;
        }
    }
    return c->path ? EXIT_OK : usage_error("log", "one PATH of a table in a mount is needed");
}

int cmd_log(int argc, char **argv)
{
    struct err err = ERR_INIT;
    AUTO(table_log) struct table_log log = {0};
    struct log_command c = {.count = SIZE_MAX};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        help();
        return EXIT_OK;
    }
    int status = parse(&c, argc, argv);
    if (status != EXIT_OK)
        return status;
    table_log_init(&log);
    if (table_log_read(&log, c.path, &err) < 0) {
        (void)fprintf(stderr, "tarn log: %s\n", err.msg);
        return EXIT_FAILED;
    }
    if (c.json) {
        table_log_print_json(&log, true, c.count);
        return EXIT_OK;
    }
    for (size_t i = log.n; i > 0 && log.n - i < c.count; i--)
        print_version(&log.at[i - 1], clock_real_ms());
    return EXIT_OK;
}
