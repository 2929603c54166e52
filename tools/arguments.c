/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/arguments.h"

#include <stddef.h>
#include <string.h>

const char *arguments_value(struct arguments *a)
{
    return a->taken + 1 < a->argc ? a->argv[++a->taken] : NULL;
}

const char *arguments_next(struct arguments *a, bool *option)
{
    const char *arg = arguments_value(a);
    if (arg && !a->ended && strcmp(arg, "--") == 0) {
        a->ended = true;
        arg = arguments_value(a);
    }
    *option = arg && !a->ended && arg[0] == '-';
    return arg;
}
