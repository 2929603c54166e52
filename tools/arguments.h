/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of a command, one after the other: options until `--`, operands mixed with them and
 * behind it.
 *
 *   struct arguments a = {.argc = argc, .argv = argv};
 *   bool option;
 *   for (const char *arg; (arg = arguments_next(&a, &option));)
 *       ...
 *
 * Borrows argv. One thread.
 */
#ifndef TOOLS_ARGUMENTS_H
#define TOOLS_ARGUMENTS_H

#include <stdbool.h>

struct arguments {
    int argc;
    char **argv;
    int taken; /* behind argv[0] */
    bool ended;
};

/*
 * The next one, NULL behind the last. `option`: it begins with `-` and stands before `--`, which is
 * itself passed over.
 */
const char *arguments_next(struct arguments *a, bool *option);

/* What stands behind an option, whatever it begins with; NULL where there is nothing. */
const char *arguments_value(struct arguments *a);

#endif
