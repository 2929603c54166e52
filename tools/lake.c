/* SPDX-License-Identifier: Apache-2.0 */
/* tarn lake: looks at lake files before they are used. */
#include <stdio.h>
#include <string.h>

#include "lake/lakefile.h"
#include "tools/tools.h"

static void help(void)
{
    printf(
        "usage: tarn lake check FILE...\n\n"
        "Reads lake files and says what is wrong in them, with line and column. Nothing is asked\n"
        "of the stores. docs/LAKE.md and tarn-lake(5) tell what stands in a lake file.\n");
}

static int check(int argc, char **argv)
{
    int status = EXIT_OK;
    if (argc < 2)
        return usage_error("lake", "check needs a FILE");
    for (int i = 1; i < argc; i++) {
        struct err err = ERR_INIT;
        AUTO(lakefile) struct lakefile *l = NULL;
        if (lakefile_read(argv[i], &l, &err) < 0) {
            (void)fprintf(stderr, "%s\n", err.msg);
            status = EXIT_FAILED;
        } else {
            printf("%s: good\n", argv[i]);
        }
    }
    return status;
}

int cmd_lake(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) {
            help();
            return EXIT_OK;
        }
    return argc > 1 && strcmp(argv[1], "check") == 0 ? check(argc - 1, argv + 1)
                                                     : usage_error("lake", "check is needed");
}
