/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "lake/delta/protocol.h"

static struct slice features[2];

/* A protocol with up to two reader features. */
static struct delta_protocol protocol_of(int64_t reader, const char *one, const char *two)
{
    features[0] = slice_of(one);
    features[1] = slice_of(two);
    return (struct delta_protocol){.reader = reader,
                                   .writer = 7,
                                   .has_reader_features = one != NULL || reader >= 3,
                                   .reader_features = {features, one ? (two ? 2 : 1) : 0}};
}

static int check(int64_t reader, const char *feature, const struct delta_metadata *metadata,
                 struct err *err)
{
    struct delta_protocol protocol = protocol_of(reader, feature, NULL);
    return delta_protocol_check(&protocol, metadata, err);
}

/* Aim: versions and features that need nothing of a reader pass. */
static void test_passes(void **state)
{
    (void)state;
    static const char *const names[] = {"timestampNtz",   "vacuumProtocolCheck", "deletionVectors",
                                        "columnMapping",  "v2Checkpoint",        "typeWidening",
                                        "domainMetadata", "variantType-preview", "rowTracking"};
    struct delta_metadata metadata = {.provider = SLICE_LIT("parquet")};
    assert_int_equal(check(1, NULL, &metadata, NULL), 0);
    assert_int_equal(check(2, NULL, &metadata, NULL), 0);
    assert_int_equal(check(3, NULL, &metadata, NULL), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(check(3, names[i], &metadata, NULL), 0);
    metadata.provider = SLICE_NONE;
    assert_int_equal(check(1, NULL, &metadata, NULL), 0);
}

/* Aim: what is not known, or would change what is read, is refused by name. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t reader;
        const char *feature, *why;
    } cases[] = {
        {4, NULL, "reader version 4"},
        {99, NULL, "reader version 99"},
        {3, "futureFeature", "futureFeature"},
        {3, "catalogManaged", "catalogManaged"},
        {3, "catalogOwned-preview", "catalogOwned-preview"},
    };
    struct delta_metadata metadata = {.provider = SLICE_LIT("parquet")};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = ERR_INIT;
        assert_int_equal(check(cases[i].reader, cases[i].feature, &metadata, &err), -EOPNOTSUPP);
        assert_non_null(strstr(err.msg, cases[i].why));
    }
    metadata.provider = SLICE_LIT("orc");
    assert_int_equal(check(1, NULL, &metadata, NULL), -EOPNOTSUPP);
}

/* Aim: a catalog that only writers are told of has the last word too. */
static void test_catalog_for_writers(void **state)
{
    (void)state;
    struct delta_metadata metadata = {0};
    struct slice writer[] = {SLICE_LIT("appendOnly"), SLICE_LIT("catalogManaged")};
    struct delta_protocol protocol = protocol_of(1, NULL, NULL);
    protocol.writer_features = (struct delta_list){writer, 1};
    assert_int_equal(delta_protocol_check(&protocol, &metadata, NULL), 0);
    protocol.writer_features.n = 2;
    assert_int_equal(delta_protocol_check(&protocol, &metadata, NULL), -EOPNOTSUPP);
}

/* Aim: modes of column mapping that are known pass, others are refused where the mode counts;
 * columns whose type was widened pass. */
static void test_by_effect(void **state)
{
    (void)state;
    static const char *const modes[] = {"none", "name", "id"};
    struct delta_pair mode = {SLICE_LIT("delta.columnMapping.mode"), SLICE_LIT("none"), false};
    struct delta_metadata metadata = {.configuration = {&mode, 1}};
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        mode.value = slice_of(modes[i]);
        assert_int_equal(check(2, NULL, &metadata, NULL), 0);
        assert_int_equal(check(3, "columnMapping", &metadata, NULL), 0);
    }
    mode.value = SLICE_LIT("position");
    assert_int_equal(check(1, NULL, &metadata, NULL), 0);
    assert_int_equal(check(2, NULL, &metadata, NULL), -EOPNOTSUPP);
    assert_int_equal(check(3, "columnMapping", &metadata, NULL), -EOPNOTSUPP);
    mode.null = true;
    metadata.schema = SLICE_LIT("{\"metadata\":{\"delta.typeChanges\":[]}}");
    assert_int_equal(check(3, "typeWidening", &metadata, NULL), 0);
    assert_int_equal(check(3, "typeWidening-preview", &metadata, NULL), 0);
}

/* Aim: a log without protocol or metadata, or with one that contradicts itself, is damaged. */
static void test_damaged(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct delta_metadata metadata = {0};
    struct delta_protocol protocol = {.reader = 3};
    assert_int_equal(delta_protocol_check(NULL, &metadata, &err), -EIO);
    assert_string_equal(err.msg, "no protocol action");
    assert_int_equal(delta_protocol_check(&protocol, &metadata, &err), -EIO);
    protocol.reader = 1;
    assert_int_equal(delta_protocol_check(&protocol, NULL, &err), -EIO);
    assert_string_equal(err.msg, "no metaData action");
    protocol.reader = 0;
    assert_int_equal(delta_protocol_check(&protocol, &metadata, &err), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_by_effect), cmocka_unit_test(test_catalog_for_writers),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
