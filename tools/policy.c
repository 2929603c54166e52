/* SPDX-License-Identifier: Apache-2.0 */
/* tarn policy: looks at policies, before they are used and after. */
#include "tools/policy.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/limits.h"
#include "lake/view/policy_grant.h"
#include "tools/tools.h"

static void help(void)
{
    printf(
        "usage: tarn policy check FILE...\n"
        "       tarn policy test --policy FILE (--as ROLE | --user USER [--group GROUP]...)\n"
        "                        [--json] TABLE[@REF]\n"
        "       tarn policy import (lake-formation | unity-catalog) [--path TEMPLATE] FILE...\n\n"
        "check reads policies and says what is wrong. test tells which grant decides about a\n"
        "table, and what it shows of it: TABLE is a path in a mount, or one as policies write it,\n"
        "of which only the decision is told. import makes a policy of what another catalog's API\n"
        "answered, on standard output. docs/POLICY.md and tarn-policy(5) tell what stands in "
        "it.\n");
}

int policy_read(const char *path, struct policy **out, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, POLICY_BYTES_MAX + 1);
    int rc = file_read(AT_FDCWD, path, &text, err);
    return rc < 0 ? rc : policy_parse(buf_slice(&text), path, out, err);
}

static void warn(const char *path, const struct policy *p)
{
    for (const struct policy_warning *w = p->warnings; w; w = w->next)
        (void)fprintf(stderr,
                      "%s:%u:%u: warning: \"%.*s\" is no version of a table, but what is really "
                      "called so: policies govern all versions, and a real name stands in "
                      "backticks\n",
                      path, w->place.line, w->place.column, SLICE_FMT(w->text));
}

static int check(int argc, char **argv)
{
    int status = EXIT_OK;
    if (argc < 2)
        return usage_error("policy", "check needs a FILE");
    for (int i = 1; i < argc; i++) {
        struct err err = ERR_INIT;
        AUTO(policy) struct policy *p = NULL;
        if (policy_read(argv[i], &p, &err) < 0) {
            (void)fprintf(stderr, "%s\n", err.msg);
            status = EXIT_FAILED;
        } else {
            warn(argv[i], p);
            printf("%s: good\n", argv[i]);
        }
    }
    return status;
}

int cmd_policy(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } parts[] = {{"check", check}, {"test", policy_test}, {"import", policy_import}};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) {
            help();
            return EXIT_OK;
        }
    for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(parts); i++)
        if (strcmp(argv[1], parts[i].name) == 0)
            return parts[i].run(argc - 1, argv + 1);
    return usage_error("policy", "check, test or import is needed");
}
