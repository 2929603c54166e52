/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lake/delta/log.h"

#define UUID "80a083e8-7026-4e79-81be-64bd76c43a11"

/* A log that has these names; each file's size is its place in the list. */
static void fill(struct delta_log *log, const char *const *names, size_t n)
{
    delta_log_init(log);
    for (size_t i = 0; i < n; i++) {
        struct store_entry entry = {.size = i, .mtime_ms = (int64_t)i};
        assert_int_equal(delta_log_add(log, slice_of(names[i]), &entry, NULL), 0);
    }
    delta_log_finish(log);
}

/* The versions that can be made, as text; or the error's. */
static int versions(const char *const *names, size_t n, char text[256], struct err *err)
{
    AUTO(delta_log) struct delta_log log;
    struct delta_files files = {NULL, 0, 0, VERSIONS_MAX};
    AUTO(buf) struct buf out;
    buf_init(&out, 255);
    fill(&log, names, n);
    int rc = delta_log_versions(&log, &files, err);
    for (size_t i = 0; i < files.n; i++)
        buf_addf(&out, "%s%lld%s", i ? " " : "", (long long)files.at[i].name.version,
                 files.at[i].name.kind == DELTA_NAME_COMMIT ? "" : "c");
    (void)snprintf(text, 256, "%s", out.data ? out.data : "");
    vec_done(&files);
    return rc;
}

#define COMMIT(n) "0000000000000000000" #n ".json"
#define CHECKPOINT(n) "0000000000000000000" #n ".checkpoint.parquet"
#define PART(n, i, of)                                                                             \
    "0000000000000000000" #n ".checkpoint.000000000" #i ".000000000" #of ".parquet"
#define COMPACTED(n, last) "0000000000000000000" #n ".0000000000000000000" #last ".compacted.json"
#define V2(n) "0000000000000000000" #n ".checkpoint." UUID ".parquet"

/* Aim: names are told apart. */
static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum delta_name_kind kind;
    } cases[] = {
        {COMMIT(3), DELTA_NAME_COMMIT},
        {CHECKPOINT(3), DELTA_NAME_CHECKPOINT},
        {PART(3, 1, 2), DELTA_NAME_CHECKPOINT},
        {PART(3, 3, 2), DELTA_NAME_OTHER},
        {PART(3, 0, 2), DELTA_NAME_OTHER},
        {V2(3), DELTA_NAME_CHECKPOINT},
        {"00000000000000000003.checkpoint." UUID ".json", DELTA_NAME_CHECKPOINT},
        {"00000000000000000003.checkpoint." UUID ".crc", DELTA_NAME_OTHER},
        {"00000000000000000003.crc", DELTA_NAME_CHECKSUM},
        {"00000000000000000003.crc.tmp", DELTA_NAME_OTHER},
        {"00000000000000000003.json.tmp", DELTA_NAME_OTHER},
        {"00000000000000000003.00000000000000000005.compacted.json", DELTA_NAME_COMPACTED},
        {"00000000000000000003.00000000000000000003.compacted.json", DELTA_NAME_OTHER},
        {"00000000000000000003.00000000000000000002.compacted.json", DELTA_NAME_OTHER},
        {"00000000000000000003.00000000000000000005.compacted.parquet", DELTA_NAME_OTHER},
        {"00000000000000000003." UUID ".json", DELTA_NAME_OTHER},
        {"3.json", DELTA_NAME_OTHER},
        {"_last_checkpoint", DELTA_NAME_OTHER},
        {".00000000000000000003.json.crc", DELTA_NAME_OTHER},
        {"99999999999999999999.json", DELTA_NAME_OTHER},
        {"", DELTA_NAME_OTHER},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct delta_name name = delta_name_parse(slice_of(cases[i].name));
        assert_int_equal(name.kind, cases[i].kind);
        if (name.kind != DELTA_NAME_OTHER)
            assert_int_equal(name.version, 3);
        if (name.kind != DELTA_NAME_OTHER) {
            AUTO(buf) struct buf key;
            buf_init(&key, KEY_BYTES_MAX);
            delta_log_key(&key, "t/", &name);
            assert_string_equal(key.data + strlen("t/_delta_log/"), cases[i].name);
        }
    }
}

/* Aim: the versions are those that commits and checkpoints reach, gaps or not. */
static void test_versions(void **state)
{
    (void)state;
    static const struct {
        const char *names[8];
        const char *want;
        int rc;
    } cases[] = {
        {{NULL}, "", 0},
        {{COMMIT(0)}, "0", 0},
        {{COMMIT(2), COMMIT(0), COMMIT(1)}, "0 1 2", 0},
        {{COMMIT(0), COMMIT(2)}, "0", -EBADMSG},
        {{COMMIT(1)}, "", -EBADMSG},
        {{CHECKPOINT(3), COMMIT(4)}, "3c 4", 0},
        {{COMMIT(0), COMMIT(1), CHECKPOINT(3), COMMIT(3), COMMIT(4)}, "0 1 3 4", 0},
        {{COMMIT(0), CHECKPOINT(1), COMMIT(3)}, "0 1c", -EBADMSG},
        {{COMMIT(0), COMMIT(1), CHECKPOINT(2)}, "0 1 2c", 0},
        {{PART(3, 1, 2), COMMIT(4)}, "", -EBADMSG},
        {{PART(3, 1, 2), PART(3, 2, 2), COMMIT(4)}, "3c 4", 0},
        {{PART(3, 1, 3), PART(3, 1, 2), PART(3, 2, 2), COMMIT(4)}, "3c 4", 0},
        {{V2(3), COMMIT(4)}, "3c 4", 0},
        {{V2(3)}, "3c", 0},
        {{COMMIT(0), COMMIT(1), V2(1)}, "0 1", 0},
        {{COMMIT(0), V2(2)}, "0 2c", 0},
        {{V2(3), CHECKPOINT(3), V2(3), COMMIT(4)}, "3c 4", 0},
        {{V2(3), PART(3, 1, 2), PART(3, 2, 2), COMMIT(4)}, "3c 4", 0},
        {{COMMIT(0), COMPACTED(1, 3), COMMIT(3)}, "0", -EBADMSG},
        {{COMMIT(0), COMMIT(1), COMMIT(2), COMPACTED(1, 5)}, "0 1 2", 0},
        {{CHECKPOINT(3), COMMIT(3), COMMIT(4), COMPACTED(0, 2)}, "3 4", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[256];
        size_t n = 0;
        struct err err = ERR_INIT;
        while (n < 8 && cases[i].names[n])
            n++;
        assert_int_equal(versions(cases[i].names, n, text, &err), cases[i].rc);
        assert_string_equal(text, cases[i].want);
    }
}

/* Aim: the reason names what is missing. */
static void test_reasons(void **state)
{
    (void)state;
    static const char *const gap[] = {COMMIT(0), COMMIT(5), COMMIT(6)};
    char text[256];
    struct err err = ERR_INIT;
    assert_int_equal(versions(gap, 3, text, &err), -EBADMSG);
    assert_string_equal(err.msg, "commits before 5 are missing");
}

/* Aim: the checkpoint that a version starts from is complete and not later. */
static void test_checkpoint(void **state)
{
    (void)state;
    static const char *const names[] = {CHECKPOINT(2), PART(4, 2, 2), PART(4, 1, 2), PART(6, 1, 2),
                                        COMMIT(6)};
    AUTO(delta_log) struct delta_log log;
    fill(&log, names, ARRAY_SIZE(names));
    assert_null(delta_log_checkpoint(&log, 1));
    assert_int_equal(delta_log_checkpoint(&log, 3)->name.version, 2);
    const struct delta_log_file *parts = delta_log_checkpoint(&log, INT64_MAX);
    assert_int_equal(parts[0].name.version, 4);
    assert_int_equal(parts[0].name.part, 1);
    assert_int_equal(parts[1].name.part, 2);
    assert_non_null(delta_log_commit(&log, 6));
    assert_null(delta_log_commit(&log, 5));
}

/* Aim: where the first checkpoint is of no use, each of the others there is comes once. */
static void test_further_checkpoints(void **state)
{
    (void)state;
    static const char *const names[] = {CHECKPOINT(2), PART(4, 2, 2), PART(4, 1, 2), PART(4, 1, 3),
                                        V2(4),         CHECKPOINT(4), COMMIT(6)};
    AUTO(delta_log) struct delta_log log;
    fill(&log, names, ARRAY_SIZE(names));
    const struct delta_log_file *c = delta_log_checkpoint(&log, 6);
    assert_int_equal(c->name.version, 4);
    assert_true(c->name.parts == 0 && c->name.uuid.n == 0);
    c = delta_log_checkpoint_after(&log, c);
    assert_true(c->name.version == 4 && c->name.uuid.n);
    c = delta_log_checkpoint_after(&log, c);
    assert_true(c->name.version == 4 && c->name.parts == 2 && c->name.part == 1);
    c = delta_log_checkpoint_after(&log, c);
    assert_int_equal(c->name.version, 2);
    assert_null(delta_log_checkpoint_after(&log, c));
}

/* The files that say what the commits first to last say, by their versions. */
static int plan(const struct delta_log *log, int64_t first, int64_t last, bool commits_only,
                char text[256])
{
    struct delta_plan way = {.max = VERSIONS_MAX};
    AUTO(buf) struct buf out;
    buf_init(&out, 255);
    int rc = delta_log_plan(log, first, last, commits_only, &way, NULL);
    for (size_t i = 0; i < way.n; i++) {
        const struct delta_name *name = &way.at[i]->name;
        buf_addf(&out, "%s%lld", i ? " " : "", (long long)name->version);
        if (name->kind == DELTA_NAME_COMPACTED)
            buf_addf(&out, "-%lld", (long long)name->last);
    }
    (void)snprintf(text, 256, "%s", out.data ? out.data : "");
    vec_done(&way);
    return rc;
}

/* Aim: compacted commits stand for the commits that they hold, where that saves reading. */
static void test_plan(void **state)
{
    (void)state;
    static const char *const names[] = {
        COMMIT(0),       COMMIT(1),       COMMIT(2),       COMMIT(3),       COMMIT(4),
        COMMIT(5),       COMMIT(6),       COMMIT(7),       COMMIT(9),       COMPACTED(0, 2),
        COMPACTED(0, 3), COMPACTED(2, 6), COMPACTED(4, 5), COMPACTED(5, 9), COMPACTED(7, 9)};
    static const struct {
        int64_t first, last;
        bool commits_only;
        const char *want;
        int rc;
    } cases[] = {
        {0, 7, false, "0 1 2-6 7", 0},
        {0, 3, false, "0 1 2 3", 0},
        {1, 6, false, "1 2-6", 0},
        {0, 5, false, "0 1 2 3 4-5", 0},
        {1, 5, false, "1 2 3 4-5", 0},
        {3, 7, false, "3 4-5 6 7", 0},
        {0, 7, true, "0 1 2 3 4 5 6 7", 0},
        {5, 5, false, "5", 0},
        {6, 5, false, "", 0},
        {5, 9, false, "", -ENOENT}, /* 8 is missing, whatever compacted ones say */
        {9, 9, false, "9", 0},
    };
    AUTO(delta_log) struct delta_log log;
    fill(&log, names, ARRAY_SIZE(names));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[256];
        assert_int_equal(plan(&log, cases[i].first, cases[i].last, cases[i].commits_only, text),
                         cases[i].rc);
        assert_string_equal(text, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),   cmocka_unit_test(test_versions),
        cmocka_unit_test(test_reasons), cmocka_unit_test(test_checkpoint),
        cmocka_unit_test(test_plan),    cmocka_unit_test(test_further_checkpoints)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
