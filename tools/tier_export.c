/* SPDX-License-Identifier: Apache-2.0 */
/* tarn tier export: the rules of a store's own lifecycle for objects that `tarn tier apply` tags.
 */
#include <stdio.h>

#include "base/limits.h"
#include "lake/lakefile.h"
#include "lake/tier/lifecycle.h"
#include "tools/tier.h"
#include "tools/tools.h"

#define DOCUMENT_BYTES_MAX (4 * MIB)

static const struct {
    const char *name;
    enum tier_lifecycle format;
} formats[] = {{"s3-lifecycle", TIER_LIFECYCLE_S3},
               {"s3-lifecycle-xml", TIER_LIFECYCLE_S3_XML},
               {"azure", TIER_LIFECYCLE_AZURE}};

static void help(void)
{
    printf("usage: tarn tier export --format FORMAT [--of NAME] LAKE.yaml\n\n"
           "Writes the rules by which a store's own lifecycle puts objects into the class that\n"
           "their tag `tarn-tier` names (`tarn tier apply`). Nothing is asked of any store.\n\n"
           "  --format s3-lifecycle      of a bucket, for\n"
           "             aws s3api put-bucket-lifecycle-configuration --lifecycle-configuration\n"
           "           s3-lifecycle-xml  the same as the API itself takes it\n"
           "           azure             of an account, for\n"
           "             az storage account management-policy create --policy\n"
           "  --of NAME  the bucket or account, where the lake has several\n\n"
           "Either replaces the rules that are there: others of yours have to be put beside "
           "these.\n");
}

static int find_format(const char *name, enum tier_lifecycle *out, struct err *err)
{
    for (size_t i = 0; name && i < ARRAY_SIZE(formats); i++)
        if (strcmp(name, formats[i].name) == 0) {
            *out = formats[i].format;
            return 0;
        }
    return err_set(err, EINVAL, "--format is s3-lifecycle, s3-lifecycle-xml or azure");
}

static int run(const char *path, enum tier_lifecycle format, const char *of, struct err *err)
{
    AUTO(lakefile) struct lakefile *file = NULL;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, DOCUMENT_BYTES_MAX);
    int rc = lakefile_read(path, &file, err);
    if (rc == 0)
        rc = tier_lifecycle(file, format, of, &out, err);
    if (rc == 0 && (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0))
        rc = err_set(err, errno, "standard output");
    return rc;
}

int tier_export_command(int argc, char **argv)
{
    struct err err = ERR_INIT;
    AUTO(tier_arguments) struct tier_arguments a = {.source = NULL};
    const char *name = NULL, *of = NULL;
    enum tier_lifecycle format = TIER_LIFECYCLE_S3;
    const struct tier_option own[] = {{"--format", NULL, &name}, {"--of", NULL, &of}, {0}};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        help();
        return EXIT_OK;
    }
    int rc = tier_arguments_parse(&a, argc, argv, own, &err);
    if (rc == 0)
        rc = find_format(name, &format, &err);
    if (rc == 0 && a.tables_n)
        rc = err_set(&err, EINVAL, "one LAKE.yaml, and no tables");
    if (rc < 0)
        return usage_error("tier export", "%s", err.msg);
    if (run(a.source, format, of, &err) == 0)
        return EXIT_OK;
    (void)fprintf(stderr, "tarn tier export: %s\n", err.msg);
    return EXIT_FAILED;
}
