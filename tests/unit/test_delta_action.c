/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/delta/action.h"
#include "lake/delta/state.h"

struct fixture {
    struct arena arena;
    struct delta_action action;
    struct err err;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){0};
    arena_init(&f.arena, MIB);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    arena_done(&((struct fixture *)*state)->arena);
    return 0;
}

static int parse(struct fixture *f, const char *line)
{
    return delta_action_parse(slice_of(line), &f->arena, &f->action, &f->err);
}

/* Aim: an add is read with values that are null, and statistics are passed over. */
static void test_add(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        parse(f, "{\"add\":{\"path\":\"a\\/b\",\"partitionValues\":{\"d\":\"1\",\"n\":null},"
                 "\"size\":12,\"modificationTime\":34,\"dataChange\":true,"
                 "\"stats\":\"{\\\"numRecords\\\":1}\",\"tags\":null,\"deletionVector\":null}}"),
        0);
    const struct delta_file *file = &f->action.file;
    struct slice value = SLICE_NONE;
    assert_int_equal(f->action.kind, DELTA_ADD);
    assert_true(slice_is(file->path, "a/b"));
    assert_int_equal(file->size, 12);
    assert_int_equal(file->modification_time, 34);
    assert_int_equal(file->dv.storage.n, 0);
    assert_int_equal(file->partition_values.n, 2);
    assert_true(delta_map_find(&file->partition_values, SLICE_LIT("d"), &value));
    assert_true(slice_is(value, "1"));
    assert_false(delta_map_find(&file->partition_values, SLICE_LIT("n"), &value));
    assert_false(delta_map_find(&file->partition_values, SLICE_LIT("x"), &value));
}

/* Aim: a removal needs no size; its deletion vector is told. */
static void test_remove(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(parse(f, "{\"remove\":{\"path\":\"x\",\"deletionTimestamp\":5,"
                              "\"deletionVector\":{\"storageType\":\"u\",\"pathOrInlineDv\":\"ab\","
                              "\"offset\":4,\"sizeInBytes\":6,\"cardinality\":1}}}"),
                     0);
    assert_int_equal(f->action.kind, DELTA_REMOVE);
    assert_true(slice_is(f->action.file.dv.storage, "u"));
    assert_true(f->action.file.dv.has_offset);
    assert_int_equal(f->action.file.dv.offset, 4);
    assert_int_equal(f->action.file.deletion_time, 5);
    assert_false(f->action.file.has_size);
}

/* Aim: a file of change data is told as it stands, whatever it lacks. */
static void test_cdc(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(parse(f, "{\"add\":null,\"cdc\":{\"path\":\"x\"}}"), 0);
    assert_int_equal(f->action.kind, DELTA_CDC);
    assert_false(f->action.file.has_size);
    assert_int_equal(parse(f,
                           "{\"cdc\":{\"path\":\"_change_data/c\",\"size\":7,\"partitionValues\":"
                           "{\"d\":\"1\"},\"dataChange\":false}}"),
                     0);
    assert_int_equal(f->action.kind, DELTA_CDC);
    assert_int_equal(f->action.file.size, 7);
    assert_int_equal(f->action.file.partition_values.n, 1);
    assert_int_equal(parse(f, "{\"cdc\":{},\"remove\":{\"path\":\"x\",\"dataChange\":true}}"), 0);
    assert_int_equal(f->action.kind, DELTA_REMOVE);
    assert_true(f->action.file.data_change);
}

/* Aim: metadata and protocol come whole and survive the line. */
static void test_metadata(void **state)
{
    struct fixture *f = *state;
    AUTO(delta_state) struct delta_state s, again;
    AUTO(buf) struct buf meta;
    int64_t version = 0;
    uint64_t fingerprint = 0;
    delta_state_init(&s);
    delta_state_init(&again);
    buf_init(&meta, MIB);
    assert_int_equal(
        parse(f, "{\"metaData\":{\"id\":\"i\",\"format\":{\"provider\":\"parquet\",\"options\":{}},"
                 "\"schemaString\":\"{\\\"fields\\\":[{\\\"name\\\":\\\"p\\\",\\\"type\\\":"
                 "\\\"double\\\"}]}\",\"partitionColumns\":[\"p\",\"\\u0071\"],"
                 "\"configuration\":{\"a\\n\":\"b\",\"c\":null},\"createdTime\":1}}"),
        0);
    assert_int_equal(delta_state_metadata(&s, &f->action.metadata, &f->err), 0);
    assert_int_equal(parse(f, "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,"
                              "\"readerFeatures\":[\"timestampNtz\"],\"writerFeatures\":[]}}"),
                     0);
    assert_int_equal(delta_state_protocol(&s, &f->action.protocol, &f->err), 0);
    arena_reset(&f->arena);

    delta_state_format(&s, 12, 0xabcdef, &meta);
    assert_int_equal(delta_state_identity(buf_slice(&meta), &version, &fingerprint, &f->err), 0);
    assert_int_equal(version, 12);
    assert_int_equal(fingerprint, 0xabcdef);
    assert_int_equal(delta_state_parse(buf_slice(&meta), &again, &f->err), 0);
    assert_true(slice_is(again.metadata.id, "i"));
    assert_true(slice_is(again.metadata.provider, "parquet"));
    assert_true(delta_columns_equal(&s.columns, &again.columns));
    assert_int_equal(again.columns.n, 2);
    assert_true(again.columns.at[0].loose);
    assert_true(slice_is(again.columns.at[1].name, "q"));
    assert_int_equal(again.metadata.configuration.n, 2);
    assert_true(slice_is(again.metadata.configuration.at[0].key, "a\n"));
    assert_true(again.metadata.configuration.at[1].null);
    assert_int_equal(again.protocol.reader, 3);
    assert_true(again.protocol.has_reader_features && again.protocol.has_writer_features);
    assert_int_equal(again.protocol.reader_features.n, 1);
    assert_int_equal(delta_state_parse(SLICE_LIT("{\"version\":1}"), &again, &f->err), -EUCLEAN);
}

/* Aim: a commit tells about itself; odd values do no harm. */
static void test_commit_info(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(parse(f, "{\"commitInfo\":{\"inCommitTimestamp\":77,\"operation\":\"WRITE\","
                              "\"operationParameters\":{\"mode\":\"Append\"},\"readVersion\":0,"
                              "\"isBlindAppend\":\"odd\"}}"),
                     0);
    assert_int_equal(f->action.kind, DELTA_COMMIT_INFO);
    assert_true(f->action.info.has_in_commit_timestamp);
    assert_int_equal(f->action.info.in_commit_timestamp, 77);
    assert_true(slice_is(f->action.info.operation, "\"WRITE\""));
    assert_true(slice_is(f->action.info.parameters, "{\"mode\":\"Append\"}"));
}

/* Aim: actions of no effect, and junk behind the value, are passed over. */
static void test_other(void **state)
{
    struct fixture *f = *state;
    static const char *const lines[] = {"{}", "{\"txn\":{\"appId\":\"a\",\"version\":1}}",
                                        "{\"add\":null}", "{\"domainMetadata\":{}} junk {"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        assert_int_equal(parse(f, lines[i]), 0);
        assert_int_equal(f->action.kind, DELTA_OTHER);
    }
    assert_int_equal(parse(f, "{\"remove\":{\"path\":\"x\"},\"add\":null} }}"), 0);
    assert_int_equal(f->action.kind, DELTA_REMOVE);
}

/* Aim: damaged lines are errors, and leave the out-parameter alone. */
static void test_damaged(void **state)
{
    struct fixture *f = *state;
    static const char *const lines[] = {
        "",
        "[]",
        "{\"add\":{\"path\":\"x\",\"size\":1}",
        "{\"add\":{\"path\":\"x\"}}",
        "{\"add\":{\"path\":\"x\",\"size\":-1}}",
        "{\"add\":{\"path\":\"x\",\"size\":99999999999999999999}}",
        "{\"add\":{\"path\":\"x\",\"size\":1.5}}",
        "{\"add\":{\"path\":\"x\",\"size\":null}}",
        "{\"add\":{\"path\":\"\",\"size\":1}}",
        "{\"add\":{\"path\":7,\"size\":1}}",
        "{\"add\":{\"size\":1}}",
        "{\"add\":[]}",
        "{\"remove\":{}}",
        "{\"add\":{\"path\":\"x\",\"size\":1},\"remove\":{\"path\":\"x\"}}",
        "{\"add\":{\"path\":\"x\",\"size\":1,\"partitionValues\":{\"a\":1}}}",
        "{\"remove\":{\"path\":\"x\",\"deletionVector\":{}}}",
        "{\"metaData\":{\"partitionColumns\":\"p\"}}",
        "{\"protocol\":{\"minReaderVersion\":\"1\"}}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        f->action.kind = DELTA_METADATA;
        assert_int_equal(parse(f, lines[i]), -EIO);
        assert_int_equal(f->action.kind, DELTA_METADATA);
    }
}

#define REST "\"size\":1,\"modificationTime\":2,\"partitionValues\":{}}}"

/* Aim: what the protocol requires is named where it is missing, null or half a character. */
static void test_missing(void **state)
{
    struct fixture *f = *state;
    static const char *const cases[][2] = {
        {"{\"add\":{" REST, "add.path is missing"},
        {"{\"add\":{\"path\":null," REST, "add.path is missing"},
        {"{\"add\":{\"path\":\"\\ud800-1\"," REST, "half a surrogate pair"},
        {"{\"add\":{\"path\":\"x\",\"modificationTime\":2,\"partitionValues\":{}}}",
         "add.size is missing"},
        {"{\"add\":{\"path\":\"x\",\"size\":1,\"partitionValues\":{}}}",
         "add.modificationTime is missing"},
        {"{\"add\":{\"path\":\"x\",\"size\":1,\"modificationTime\":2,\"partitionValues\":null}}",
         "add.partitionValues is missing"},
        {"{\"remove\":{\"path\":null}}", "remove.path is missing"},
        {"{\"remove\":{\"path\":\"x\",\"deletionVector\":{\"storageType\":\"u\"}}}",
         "deletionVector.pathOrInlineDv is missing"},
        {"{\"metaData\":{\"schemaString\":\"\",\"partitionColumns\":[]}}",
         "metaData.id is missing"},
        {"{\"metaData\":{\"id\":\"\",\"schemaString\":\"\"}}",
         "metaData.partitionColumns is missing"},
        {"{\"protocol\":{\"minWriterVersion\":2}}", "protocol.minReaderVersion is missing"},
        {"{\"protocol\":{\"minReaderVersion\":1}}", "protocol.minWriterVersion is missing"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(parse(f, cases[i][0]), -EIO);
        assert_non_null(strstr(f->err.msg, cases[i][1]));
    }
}

/* Aim: out of room is told as that, for maps that grow as for strings. */
static void test_no_room(void **state)
{
    struct fixture *f = *state;
    AUTO(arena) struct arena small;
    AUTO(buf) struct buf line;
    arena_init(&small, 64);
    buf_init(&line, MIB);
    buf_add_str(&line, "{\"metaData\":{\"id\":\"i\",\"schemaString\":\"\",\"partitionColumns\":[],"
                       "\"configuration\":{");
    for (int i = 0; i < 1000; i++)
        buf_addf(&line, "%s\"%d\":\"\\n%d\"", i ? "," : "", i, i);
    buf_add_str(&line, "}}}");
    assert_int_equal(delta_action_parse(buf_slice(&line), &small, &f->action, &f->err), -EOVERFLOW);
    assert_int_equal(delta_action_parse(buf_slice(&line), &f->arena, &f->action, &f->err), 0);
    assert_int_equal(f->action.metadata.configuration.n, 1000);
    assert_true(slice_is(f->action.metadata.configuration.at[999].value, "\n999"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_add, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_remove, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cdc, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_metadata, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_commit_info, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
