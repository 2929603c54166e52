/* SPDX-License-Identifier: Apache-2.0 */
/* tarn versions PATH: the versions of a table, a line each, oldest first. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "tools/arguments.h"
#include "tools/human.h"
#include "tools/table_log.h"
#include "tools/tools.h"

static void help(void)
{
    printf(
        "usage: tarn versions [--json] PATH\n\n"
        "PATH is a table in a mount, or something in it. A line a version: when it was made, by\n"
        "what, the files that it added and removed, and by whom; in parentheses the format's own\n"
        "branches and tags. `!` marks those that hold files which VACUUM may remove.\n");
}

static void add_files(struct buf *out, char sign, int64_t files, int64_t bytes)
{
    char text[HUMAN_BYTES];
    if (files == TABLE_LOG_UNKNOWN) {
        buf_addf(out, "%c?", sign);
        return;
    }
    buf_addf(out, "%c%s", sign, human_count((uint64_t)files, text));
    if (files && bytes != TABLE_LOG_UNKNOWN)
        buf_addf(out, " (%s)", human_bytes((uint64_t)bytes, text));
}

static void print_line(const struct table_log_line *l, int digits, int64_t now_ms)
{
    AUTO(buf) struct buf time = {0}, added = {0}, removed = {0};
    buf_init(&time, KIB);
    buf_init(&added, KIB);
    buf_init(&removed, KIB);
    table_log_time(&time, l->time_ms);
    add_files(&added, '+', l->added_files, l->added_bytes);
    add_files(&removed, '-', l->removed_files, l->removed_bytes);
    const char *by = l->user ? l->user : l->engine ? l->engine : "-";
    printf("%*lld%c %-26s%-22s%-16s %-16s %s", digits, (long long)l->version,
           l->removable_ms <= now_ms ? '!' : ' ', time.data, l->operation ? l->operation : "-",
           added.data, removed.data, by);
    printf(l->names ? "  (%s)\n" : "\n", l->names);
}

/* The numbers of Iceberg's versions have 19 digits. */
static int digits_of(const struct table_log *log)
{
    int most = 8;
    for (size_t i = 0; i < log->n; i++) {
        int digits = snprintf(NULL, 0, "%lld", (long long)log->at[i].version);
        most = digits > most ? digits : most;
    }
    return most;
}

int cmd_versions(int argc, char **argv)
{
    struct err err = ERR_INIT;
    AUTO(table_log) struct table_log log = {0};
    const char *path = NULL;
    struct arguments a = {.argc = argc, .argv = argv};
    bool json = false, option;
    for (const char *arg; (arg = arguments_next(&a, &option));) {
        if (option && strcmp(arg, "--help") == 0) {
            help();
            return EXIT_OK;
        }
        if (option && strcmp(arg, "--json") == 0)
            json = true;
        else if (path || option)
            return usage_error("versions", "one PATH of a table in a mount is needed");
        else
            path = arg;
    }
    if (!path)
        return usage_error("versions", "one PATH of a table in a mount is needed");
    table_log_init(&log);
    if (table_log_read(&log, path, &err) < 0) {
        (void)fprintf(stderr, "tarn versions: %s\n", err.msg);
        return EXIT_FAILED;
    }
    if (json) {
        table_log_print_json(&log, false, log.n);
        return EXIT_OK;
    }
    int digits = digits_of(&log);
    if (log.n)
        printf("%*s  %-26s%-22s%-16s %-16s %s\n", digits, "version", "time", "operation",
               "files added", "removed", "by");
    for (size_t i = 0; i < log.n; i++)
        print_line(&log.at[i], digits, clock_real_ms());
    table_log_warn(&log);
    return EXIT_OK;
}
