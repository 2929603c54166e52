/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "tools/tools.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"mount", cmd_mount, "SOURCE MOUNTPOINT   mount a lake: a URL, a directory or a lake file"},
    {"umount", cmd_umount, "MOUNTPOINT   unmount it"},
    {"versions", cmd_versions, "PATH   list the versions of a table in a mount"},
    {"log", cmd_log, "PATH   tell what was done to a table, newest first"},
    {"diff", cmd_diff, "PATH PATH   compare two versions of a table"},
    {"tag", cmd_tag, "PATH NAME   name a version of a table"},
    {"archive", cmd_archive, "TABLE@REF --to STORE   keep a version beyond the table's clean-up"},
    {"doctor", cmd_doctor, "PATH   tell which tables are refused, and why"},
    {"catalog", cmd_catalog, "URI [NAMESPACE]...   tell what a catalog of tables answers"},
    {"warm", cmd_warm, "PATH...   bring files of a mount into the cache"},
    {"recall", cmd_recall, "PATH...   have archived files of a mount restored"},
    {"cache", cmd_cache, "stat|verify|drop|gc [MOUNTPOINT]   look after a cache"},
    {"lake", cmd_lake, "check FILE...   tell what is wrong in a lake file"},
    {"tier", cmd_tier, "plan|report LAKE ...   plan storage classes, and tell what they cost"},
    {"policy", cmd_policy, "check|test|import ...   look at a policy of access"},
    {"audit", cmd_audit, "verify FILE...   tell whether an audit log is whole"},
};

int usage_error(const char *command, const char *fmt, ...)
{
    va_list ap;
    (void)fprintf(stderr, "tarn %s: ", command);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fprintf(stderr, "\nTry `tarn %s --help`.\n", command);
    return EXIT_USAGE;
}

static void help(FILE *to)
{
    (void)fprintf(to, "tarn " TARN_VERSION ": a data lakehouse as plain directories\n\n"
                      "usage: tarn COMMAND ...\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        (void)fprintf(to, "  tarn %s %s\n", commands[i].name, commands[i].help);
    (void)fprintf(to, "\n`tarn COMMAND --help` tells more, tarn(1) all.\n");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help(stdout);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("tarn " TARN_VERSION "\n");
        return EXIT_OK;
    }
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    (void)fprintf(stderr, "tarn: unknown command %s\n", argv[1]);
    help(stderr);
    return EXIT_USAGE;
}
