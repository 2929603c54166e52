/* SPDX-License-Identifier: Apache-2.0 */
/* The Delta driver as a whole, over small tables in a directory. */
#include "tests/unit/delta_fixture.h"

#include <dirent.h>

#include "base/json.h"
#include "lake/delta/runs.h"

static size_t count_runs(const struct fixture *f)
{
    size_t n = 0;
    DIR *dir = fdopendir(openat(f->runs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    assert_non_null(dir);
    for (struct dirent *d; (d = readdir(dir));)
        n += d->d_name[0] != '.' && strcmp(d->d_name, "times") != 0;
    (void)closedir(dir);
    return n;
}

/* Aim: versions are told with their times, and each has its files, on a shared base. */
static void test_versions(void **state)
{
    struct fixture *f = *state;
    commit(f, 0, FIRST, 100);
    commit(f, 1, ADD("b") REMOVE("a"), 90);
    commit(f, 2, ADD("c"), 200);
    AUTO(history) struct history *h = history(f, NULL);
    assert_int_equal(h->n, 3);
    assert_int_equal(h->at[1].timestamp_ms, 100001);
    assert_int_equal(h->at[2].timestamp_ms, 200000);
    check_load(f, h, 2, "p=1/b p=1/c", true);
    check_load(f, h, 1, "p=1/b", true);
    check_load(f, h, 0, "p=1/a", false);
    size_t runs = count_runs(f);
    check_load(f, h, 1, "p=1/b", true);
    assert_int_equal(count_runs(f), runs);
}

/* Aim: an older history is gone on from; a table that was replaced is noticed. */
static void test_going_on(void **state)
{
    struct fixture *f = *state;
    commit(f, 0, FIRST, 100);
    commit(f, 1, ADD("b"), 200);
    AUTO(history) struct history *one = history(f, NULL);
    AUTO(history) struct history *same = history(f, one);
    assert_ptr_equal(one, same);
    commit(f, 2, ADD("c"), 150);
    AUTO(history) struct history *two = history(f, one);
    assert_int_equal(two->n, 3);
    assert_int_equal(two->at[2].timestamp_ms, 200001);
    check_load(f, two, 2, "p=1/a p=1/b p=1/c", true);

    commit(f, 0, PROTOCOL METADATA ADD("z"), 100);
    commit(f, 1, ADD("y"), 300);
    commit(f, 2, ADD("x"), 400);
    assert_int_equal(load(f, two, 1, &(struct buf){.max = KIB}, &(bool){false}), -ESTALE);
    AUTO(history) struct history *other = history(f, two);
    assert_int_not_equal(other->at[2].fingerprint, two->at[2].fingerprint);
    check_load(f, other, 2, "p=1/z p=1/x p=1/y", true); /* the base first */
}

/* Aim: a damaged run is made again. */
static void test_damaged_run(void **state)
{
    struct fixture *f = *state;
    commit(f, 0, FIRST, 100);
    AUTO(history) struct history *h = history(f, NULL);
    check_load(f, h, 0, "p=1/a", false);
    assert_int_equal(
        file_replace(f->runs_fd, "base-00000000000000000000", SLICE_LIT("junk"), 0600, &f->err), 0);
    check_load(f, h, 0, "p=1/a", false);
}

/* Aim: another partitioning places every file anew. */
static void test_partitioning(void **state)
{
    struct fixture *f = *state;
    commit(f, 0, ADD("early") FIRST, 100); /* a file before the metadata */
    commit(f, 1,
           "{\"metaData\":{\"id\":\"i\",\"partitionColumns\":[\"q\"],\"configuration\":{}}}\n"
           "{\"add\":{\"path\":\"q=2/b\",\"partitionValues\":{\"q\":\"2\"},\"size\":1,"
           "\"modificationTime\":1}}\n",
           200);
    AUTO(history) struct history *h = history(f, NULL);
    check_load(f, h, 0, "p=1/a p=1/early", false);
    check_load(f, h, 1, "q=2/b q=__HIVE_DEFAULT_PARTITION__/a q=__HIVE_DEFAULT_PARTITION__/early",
               false);
}

/* Aim: what is damaged is told with file and line. */
static void test_damage(void **state)
{
    struct fixture *f = *state;
    AUTO(buf) struct buf out;
    bool patch;
    buf_init(&out, KIB);
    commit(f, 0, FIRST "{\"add\":{\"path\":\"p=1/b\",\"si", 100);
    AUTO(history) struct history *h = history(f, NULL);
    assert_int_equal(load(f, h, 0, &out, &patch), -EIO);
    assert_non_null(strstr(f->err.msg, "00000000000000000000.json: line 4"));
    commit(f, 0, METADATA ADD("a"), 101);
    AUTO(history) struct history *other = history(f, NULL);
    assert_int_equal(load(f, other, 0, &out, &patch), -EIO);
    assert_non_null(strstr(f->err.msg, "no protocol action"));
    assert_int_equal(count_runs(f), 0);
}

/* Puts a checkpoint of tests/fixtures/checkpoint at version 1, cut to `bytes` of it at most. */
static void put_checkpoint(struct fixture *f, const char *name, size_t bytes)
{
    AUTO(buf) struct buf text;
    char path[128];
    buf_init(&text, MIB);
    (void)snprintf(path, sizeof path, "tests/fixtures/checkpoint/%s.parquet", name);
    assert_int_equal(file_read(AT_FDCWD, path, &text, &f->err), 0);
    struct slice cut = slice_make(text.data, text.len < bytes ? text.len : bytes);
    assert_int_equal(
        file_replace(f->table_fd, "00000000000000000001.checkpoint.parquet", cut, 0600, &f->err),
        0);
}

/* Aim: what a checkpoint must have is never taken as absent; the reason names file and field. */
static void test_wrong_checkpoints(void **state)
{
    struct fixture *f = *state;
    static const char *const cases[][2] = {
        {"add_is_text", "add.path is missing"},
        {"add_is_list", "add.path is missing"},
        {"no_add", "add.path is missing"},
        {"no_path", "add.path is missing"},
        {"null_path", "add.path is null"},
        {"no_size", "add.size is missing"},
        {"null_size", "add.size is null"},
        {"negative_size", "add.size is negative"},
        {"no_modificationTime", "add.modificationTime is missing"},
        {"null_modificationTime", "add.modificationTime is null"},
        {"no_partitionValues", "add.partitionValues.*.key is missing"},
        {"null_partitionValues", "add.partitionValues.*.key is missing"},
        {"no_id", "metaData.id is missing"},
        {"null_id", "metaData.id is null"},
        {"no_partitionColumns", "metaData.partitionColumns.*.* is missing"},
        {"null_partitionColumns", "metaData.partitionColumns.*.* is null"},
        {"null_column", "metaData.partitionColumns.*.* has an item that is null"},
        {"only_null_column", "metaData.partitionColumns.*.* has an item that is null"},
        {"no_minReaderVersion", "protocol.minReaderVersion is missing"},
        {"null_minReaderVersion", "protocol.minReaderVersion is null"},
        {"no_minWriterVersion", "protocol.minWriterVersion is missing"},
        {"null_minWriterVersion", "protocol.minWriterVersion is null"},
        {"features_text", "protocol.readerFeatures.*.* is missing"},
        {"two_actions", "two of add, metaData, protocol and sidecar in one row"},
        {"no_protocol", "no protocol action"},
        {"no_metadata", "no metaData action"},
    };
    AUTO(buf) struct buf out;
    bool patch;
    buf_init(&out, KIB);
    commit(f, 2, PROTOCOL METADATA ADD("b"), 100); /* makes up for nothing that was before */
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        put_checkpoint(f, cases[i][0], SIZE_MAX);
        AUTO(history) struct history *h = history(f, NULL);
        assert_int_equal(load(f, h, h->n - 1, &out, &patch), -EIO);
        if (!strstr(f->err.msg, cases[i][1]))
            fail_msg("%s: %s", cases[i][0], f->err.msg);
    }
    assert_int_equal(count_runs(f), 0);
}

/* Aim: checkpoints that lack only what may be missing are read. */
static void test_odd_checkpoints(void **state)
{
    struct fixture *f = *state;
    static const char *const cases[][2] = {{"good", "p=1/a p=1/b"},
                                           {"odd_no_configuration", "p=1/a p=1/b"},
                                           {"no_schemaString", "p=1/a p=1/b"},
                                           {"null_schemaString", "p=1/a p=1/b"},
                                           {"odd_columns_empty", "p=1/a p=1/b"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        commit(f, 2, ADD("b"), 100 + (time_t)i); /* another one: nothing made before counts */
        put_checkpoint(f, cases[i][0], SIZE_MAX);
        AUTO(history) struct history *h = history(f, NULL);
        AUTO(buf) struct buf out;
        bool patch;
        buf_init(&out, KIB);
        assert_int_equal(load(f, h, 1, &out, &patch), 0);
        assert_string_equal(out.data, cases[i][1]);
    }
}

/* Aim: past a damaged checkpoint the version comes from the commits, if all are there. */
static void test_passed_checkpoint(void **state)
{
    struct fixture *f = *state;
    AUTO(buf) struct buf out;
    bool patch;
    buf_init(&out, KIB);
    commit(f, 0, FIRST, 100);
    commit(f, 1, ADD("b"), 200);
    commit(f, 2, ADD("c"), 300);
    put_checkpoint(f, "good", 100);
    AUTO(history) struct history *h = history(f, NULL);
    assert_int_equal(load(f, h, 2, &out, &patch), 0);
    assert_string_equal(out.data, "p=1/a p=1/b p=1/c");
    commit(f, 2, ADD("d"), 301);
    put_checkpoint(f, "null_path", SIZE_MAX);
    AUTO(history) struct history *other = history(f, NULL);
    assert_int_equal(load(f, other, 2, &out, &patch), 0);
    assert_string_equal(out.data, "p=1/a p=1/b p=1/d");
}

/* Aim: what is over a limit is told as damage. */
static void test_over_limits(void **state)
{
    struct fixture *f = *state;
    AUTO(buf) struct buf out;
    AUTO(buf) struct buf line;
    bool patch;
    buf_init(&out, KIB);
    buf_init(&line, 2 * JSON_LINE_BYTES_MAX);
    buf_add_str(&line, "{\"add\":{\"path\":\"");
    char *to = buf_reserve(&line, JSON_LINE_BYTES_MAX + 4 * MIB);
    assert_non_null(to);
    memset(to, 'a', JSON_LINE_BYTES_MAX + 4 * MIB);
    to[JSON_LINE_BYTES_MAX + 4 * MIB] = '\0';
    commit(f, 0, line.data, 100);
    AUTO(history) struct history *h = NULL;
    f->err = (struct err)ERR_INIT;
    int rc = delta_ops.history(f->driver, NULL, &h, &f->err);
    if (rc == 0)
        rc = load(f, h, 0, &out, &patch);
    assert_int_equal(rc, -EBADMSG); /* found while the history is told */
    assert_non_null(strstr(f->err.msg, "more than the permitted"));
}

/* Aim: runs are kept within bounds, and what was removed is made again. */
static void test_prune(void **state)
{
    struct fixture *f = *state;
    enum { VERSIONS = 300 };
    commit(f, 0, FIRST, 100);
    for (int i = 1; i < VERSIONS; i++)
        commit(f, i, "{\"commitInfo\":{}}\n", 100 + i);
    AUTO(history) struct history *h = history(f, NULL);
    for (size_t i = 0; i < VERSIONS; i++)
        check_load(f, h, i, "p=1/a", i != 0);
    assert_true(count_runs(f) <= DELTA_PATCHES_MAX + DELTA_BASES_MAX);
    assert_true(count_runs(f) >= DELTA_PATCHES_MAX);
    check_load(f, h, 1, "p=1/a", true);
}

#define INFO(ms) "{\"commitInfo\":{\"inCommitTimestamp\":" #ms ",\"operation\":\"WRITE\"}}\n"

/* Aim: in-commit timestamps count from the first commit of an unbroken run of them, read once. */
static void test_in_commit_times(void **state)
{
    struct fixture *f = *state;
    commit(f, 0, FIRST, 100);
    commit(f, 1, INFO(150000) ADD("b"), 900);
    commit(f, 2, INFO(160000) ADD("c"), 901);
    AUTO(history) struct history *h = history(f, NULL);
    assert_int_equal(h->at[0].timestamp_ms, 100000);
    assert_int_equal(h->at[1].timestamp_ms, 150000);
    assert_int_equal(h->at[2].timestamp_ms, 160000);
    assert_int_equal(faccessat(f->runs_fd, "times", F_OK, 0), 0);
    commit(f, 3, INFO(170000) ADD("d"), 902);
    AUTO(history) struct history *more = history(f, h);
    assert_int_equal(more->at[3].timestamp_ms, 170000);
    AUTO(history) struct history *again = history(f, NULL);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(again->at[i].timestamp_ms, more->at[i].timestamp_ms);
}

/* Aim: objects are found in the table, by absolute paths below the root, and nowhere else. */
static void test_locate(void **state)
{
    struct fixture *f = *state;
    char raw[128];
    struct object_location where;
    buf_init(&where.key, KEY_BYTES_MAX);
    buf_init(&where.etag, ETAG_BYTES_MAX);
    struct entry entry = {.raw = SLICE_LIT("p=a%20b/x")};
    assert_int_equal(delta_ops.locate(f->driver, &entry, &where, &f->err), 0);
    assert_string_equal(where.key.data, "t/p=a b/x");
    (void)snprintf(raw, sizeof raw, "file:%s/lake/u/x", f->dir);
    entry.raw = slice_of(raw);
    assert_int_equal(delta_ops.locate(f->driver, &entry, &where, &f->err), 0);
    assert_string_equal(where.key.data, "u/x");
    entry.raw = SLICE_LIT("/etc/passwd");
    assert_int_equal(delta_ops.locate(f->driver, &entry, &where, &f->err), -EACCES);
    buf_done(&where.key);
    buf_done(&where.etag);
}

/* Aim: the descriptions are JSON and say what the log says. */
static void test_describe(void **state)
{
    struct fixture *f = *state;
    AUTO(buf) struct buf out;
    struct json j;
    buf_init(&out, MIB);
    commit(f, 0, INFO(1000) FIRST, 100);
    commit(f, 1, "{\"commitInfo\":{\"operation\":\"DE\\\"L\",\"userName\":\"\xff\"}}\n" REMOVE("a"),
           200);
    AUTO(history) struct history *h = history(f, NULL);
    assert_int_equal(delta_ops.describe_history(f->driver, h, 0, false, &out, &f->err), 0);
    json_init(&j, buf_slice(&out));
    assert_true(json_skip(&j, NULL) && json_at_end(&j));
    assert_non_null(strstr(out.data, "\"operation\":\"DE\\\"L\",\"operationParameters\":null"));
    assert_non_null(strstr(out.data, "\"userName\":null"));
    assert_non_null(strstr(out.data, "\"numAddedFiles\":1,\"numRemovedFiles\":0,\"addedBytes\":7"));
    AUTO(snapshot) struct snapshot *s = NULL;
    assert_int_equal(delta_ops.load(f->driver, h, 0, &s, &f->err), 0);
    buf_reset(&out);
    assert_int_equal(delta_ops.describe_schema(snapshot_meta(s), NULL, &out, &f->err), 0);
    assert_string_equal(out.data, "{\"partitionColumns\":[\"p\"],\"schema\":{\"fields\":[]}}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_versions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_going_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_partitioning, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_in_commit_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_checkpoints, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_odd_checkpoints, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_passed_checkpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_over_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_prune, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_locate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_describe, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
