/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a store's own lifecycle that a lake file's rules make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lake/lakefile.h"
#include "lake/tier/lifecycle.h"

#define LAYERS                                                                                     \
    "layers:\n"                                                                                    \
    "  bronze: s3://raw/landing\n"                                                                 \
    "  silver: s3://raw/silver\n"                                                                  \
    "  gold: s3://best\n"                                                                          \
    "  old: abfss://con@acc.dfs.core.windows.net/x\n"
#define RULE(tables, to) "  - {tables: [\"" tables "\"], move: [{to: " to ", after: 30d}]}\n"

/* The document for a lake file, or the reason why there is none. */
static int lifecycle(const char *text, enum tier_lifecycle format, const char *of, struct buf *out,
                     struct err *err)
{
    AUTO(lakefile) struct lakefile *file = NULL;
    *err = (struct err)ERR_INIT;
    assert_int_equal(lakefile_parse(slice_of(text), "lake.yaml", &file, err), 0);
    buf_reset(out);
    return tier_lifecycle(file, format, of, out, err);
}

/* Aim: a rule for each layer and class, only below the layer's root. */
static void test_layers(void **state)
{
    (void)state;
    struct err err;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 64 * 1024);
    const char *text = LAYERS "rules:\n" RULE("bronze/**", "GLACIER")
        RULE("silver/**", "GLACIER_IR") RULE("bronze/x", "GLACIER");
    assert_int_equal(lifecycle(text, TIER_LIFECYCLE_S3, NULL, &out, &err), 0);
    assert_non_null(strstr(out.data, "\"ID\": \"tarn-tier-bronze-GLACIER\""));
    assert_non_null(strstr(out.data, "\"Prefix\": \"silver/\""));
    assert_null(strstr(strstr(out.data, "bronze-GLACIER") + 1, "bronze-GLACIER"));
    assert_null(strstr(out.data, "old"));
}

/* Aim: one document is of one bucket, and who has several says which. */
static void test_several(void **state)
{
    (void)state;
    struct err err;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 64 * 1024);
    const char *text = LAYERS "rules:\n" RULE("bronze/**", "GLACIER") RULE("gold/**", "GLACIER");
    assert_int_equal(lifecycle(text, TIER_LIFECYCLE_S3, NULL, &out, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "raw and best"));
    assert_int_equal(lifecycle(text, TIER_LIFECYCLE_S3, "best", &out, &err), 0);
    assert_non_null(strstr(out.data, "\"Filter\": {\"Tag\": "));
    assert_null(strstr(out.data, "landing"));
    assert_int_equal(lifecycle(text, TIER_LIFECYCLE_S3, "none", &out, &err), -EINVAL);
    assert_int_equal(lifecycle(text, TIER_LIFECYCLE_AZURE, NULL, &out, &err), -EINVAL);
}

/* Aim: a container is a prefix of its account, with its end: not of those whose names go on. */
static void test_azure(void **state)
{
    (void)state;
    struct err err;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 64 * 1024);
    const char *text = LAYERS "rules:\n" RULE("old/**", "Archive");
    assert_int_equal(lifecycle(text, TIER_LIFECYCLE_AZURE, NULL, &out, &err), 0);
    assert_non_null(strstr(out.data, "\"prefixMatch\": [\"con/x/\"]"));
    assert_non_null(strstr(out.data, "\"tierToArchive\""));
}

/* Aim: a class to which no lifecycle moves is told with the rule's line. */
static void test_no_target(void **state)
{
    (void)state;
    struct err err;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 64 * 1024);
    const char *text = LAYERS "rules:\n" RULE("bronze/**", "STANDARD");
    assert_int_equal(lifecycle(text, TIER_LIFECYCLE_S3, NULL, &out, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "lake.yaml:7:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_azure),
        cmocka_unit_test(test_no_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
