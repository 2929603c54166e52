/* SPDX-License-Identifier: Apache-2.0 */
/* From which files of a log a version is made, and what is noticed of those that are wrong. */
#include "tests/unit/delta_fixture.h"

#include "lake/delta/checksum.h"
#include "lake/delta/key_set.h"

#define JUNK "junk\n"
#define SUM(files, bytes, id)                                                                      \
    "{\"tableSizeBytes\":" #bytes ",\"numFiles\":" #files ",\"numMetadata\":1,\"numProtocol\":1,"  \
    "\"metadata\":{\"id\":\"" id "\",\"partitionColumns\":[]},\"allFiles\":[{\"size\":1}]}"

static void put(struct fixture *f, const char *name, const char *text)
{
    assert_int_equal(file_replace(f->table_fd, name, slice_of(text), 0600, &f->err), 0);
}

static void put_compacted(struct fixture *f, int first, int last, const char *text)
{
    char name[96];
    (void)snprintf(name, sizeof name, "%020d.%020d.compacted.json", first, last);
    put(f, name, text);
}

static void put_sum(struct fixture *f, int version, const char *text)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%020d.crc", version);
    put(f, name, text);
}

/* The paths of the newest version. */
static void check_newest(struct fixture *f, const char *want)
{
    AUTO(buf) struct buf out;
    bool patch;
    AUTO(history) struct history *h = history(f, NULL);
    buf_init(&out, KIB);
    if (load(f, h, h->n - 1, &out, &patch) < 0)
        fail_msg("%s", f->err.msg);
    assert_string_equal(out.data ? out.data : "", want);
}

static void check_refused(struct fixture *f, const char *why)
{
    AUTO(buf) struct buf out;
    bool patch;
    AUTO(history) struct history *h = history(f, NULL);
    buf_init(&out, KIB);
    assert_int_equal(load(f, h, h->n - 1, &out, &patch), -EIO);
    if (!strstr(f->err.msg, why))
        fail_msg("%s", f->err.msg);
}

/* Commits 0 to 3, each with a file more; 1 to 3 may be given as they are not. */
static void four_commits(struct fixture *f, bool readable)
{
    commit(f, 0, FIRST, 100);
    commit(f, 1, readable ? ADD("b") : JUNK, 200);
    commit(f, 2, readable ? ADD("c") REMOVE("a") : JUNK, 300);
    commit(f, 3, ADD("d"), 400);
}

/* Aim: compacted commits are read in place of what they hold. */
static void test_compacted(void **state)
{
    struct fixture *f = *state;
    four_commits(f, false);
    put_compacted(f, 1, 2, ADD("c") REMOVE("a") ADD("b"));
    check_newest(f, "p=1/b p=1/c p=1/d");
}

/* Aim: compacted commits that are of no use are passed over, and the commits read. */
static void test_useless_compacted(void **state)
{
    static const char *const cases[] = {
        "",                                                         /* says nothing: wrong sums */
        JUNK,                                                       /* damaged */
        ADD("c") "{\"add\":{\"path\":\"p=1/b\",\"si",               /* cut off */
        ADD("b") ADD("c") REMOVE("a") ADD("b"),                     /* not reconciled */
        ADD("b") REMOVE("b") ADD("c") REMOVE("a"),                  /* likewise */
        "{\"metaData\":{\"id\":\"i\",\"partitionColumns\":[\"q\"]," /* other columns */
        "\"configuration\":{}}}\n" ADD("b") ADD("c") REMOVE("a"),
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        four_commits(f, true);
        put_sum(f, 3, SUM(3, 21, "i"));
        put_compacted(f, 1, 3, cases[i]);
        check_newest(f, "p=1/b p=1/c p=1/d");
        commit(f, 3, ADD("d"), 500 + (time_t)i); /* another one: nothing made before counts */
    }
}

/* Aim: compacted commits reach no version whose commits are gone. */
static void test_gap(void **state)
{
    struct fixture *f = *state;
    four_commits(f, true);
    put_compacted(f, 1, 3, ADD("b") ADD("c") REMOVE("a") ADD("d"));
    assert_int_equal(unlinkat(f->table_fd, "00000000000000000002.json", 0), 0);
    AUTO(history) struct history *h = NULL;
    f->err = (struct err)ERR_INIT;
    assert_true(delta_ops.history(f->driver, NULL, &h, &f->err) < 0);
    assert_non_null(strstr(f->err.msg, "commits before 3 are missing"));
}

/* Aim: checksums that cannot be read, or are of another table, say nothing. */
static void test_useless_sums(void **state)
{
    static const char *const cases[] = {"",
                                        JUNK,
                                        "{\"numFiles\":9}",
                                        "{\"numFiles\":9,\"tableSizeBytes\":1",
                                        "[1]",
                                        SUM(9, 9, "of another table"),
                                        "{\"numFiles\":-1,\"tableSizeBytes\":1}",
                                        "{\"numFiles\":9,\"tableSizeBytes\":1,\"metadata\":3}"};
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        four_commits(f, true);
        commit(f, 3, ADD("d"), 500 + (time_t)i);
        put_sum(f, 3, cases[i]);
        check_newest(f, "p=1/b p=1/c p=1/d");
    }
}

/* Puts tests/fixtures/checkpoint/good.parquet, which has the file a alone, at version 1. */
static void put_checkpoint(struct fixture *f)
{
    AUTO(buf) struct buf text;
    buf_init(&text, MIB);
    assert_int_equal(file_read(AT_FDCWD, "tests/fixtures/checkpoint/good.parquet", &text, &f->err),
                     0);
    assert_int_equal(file_replace(f->table_fd, "00000000000000000001.checkpoint.parquet",
                                  buf_slice(&text), 0600, &f->err),
                     0);
}

/* Aim: a checkpoint whose state is not what checksums tell is refused where commits are gone. */
static void test_wrong_sums(void **state)
{
    struct fixture *f = *state;
    four_commits(f, true);
    put_checkpoint(f);
    assert_int_equal(unlinkat(f->table_fd, "00000000000000000000.json", 0), 0);
    put_sum(f, 3, SUM(4, 28, "i"));
    check_refused(f, "tells of 4 files with 28 bytes, the log of 2 with 14");
    put_sum(f, 3, SUM(2, 15, "i"));
    check_refused(f, "tells of 2 files with 15 bytes, the log of 2 with 14");
    put_sum(f, 3, SUM(2, 14, "i"));
    check_newest(f, "p=1/c p=1/d");
}

/* Aim: checksums that all commits together contradict are told of, and do not count. */
static void test_sums_against_all_commits(void **state)
{
    struct fixture *f = *state;
    four_commits(f, true);
    put_sum(f, 3, SUM(4, 28, "i"));
    check_newest(f, "p=1/b p=1/c p=1/d");
}

/* Aim: a checkpoint that lost a file, as the checksums tell, is passed over for the commits. */
static void test_lossy_checkpoint(void **state)
{
    struct fixture *f = *state;
    four_commits(f, true);
    put_checkpoint(f); /* without b */
    check_newest(f, "p=1/c p=1/d");
    commit(f, 3, ADD("d"), 500);
    commit(f, 1, ADD("b"), 201);
    put_sum(f, 3, SUM(3, 21, "i"));
    check_newest(f, "p=1/b p=1/c p=1/d");
}

/* Aim: hints and commits that were only staged change nothing. */
static void test_hints(void **state)
{
    static const char *const hints[] = {"{\"version\":99,\"size\":3}", "{\"version\":0}", JUNK, ""};
    struct fixture *f = *state;
    four_commits(f, true);
    assert_int_equal(mkdirat(f->table_fd, "_staged_commits", 0700), 0);
    put(f, "_staged_commits/00000000000000000004.80a083e8-7026-4e79-81be-64bd76c43a11.json",
        ADD("e"));
    for (size_t i = 0; i < ARRAY_SIZE(hints); i++) {
        commit(f, 3, ADD("d"), 500 + (time_t)i);
        put(f, "_last_checkpoint", hints[i]);
        check_newest(f, "p=1/b p=1/c p=1/d");
    }
}

/* Aim: of a log that was cleaned up, only what can still be made is told. */
static void test_cleaned_up(void **state)
{
    struct fixture *f = *state;
    four_commits(f, true);
    put_checkpoint(f);
    assert_int_equal(unlinkat(f->table_fd, "00000000000000000000.json", 0), 0);
    AUTO(history) struct history *h = history(f, NULL);
    assert_int_equal(h->n, 3);
    assert_int_equal(h->at[0].number, 1);
    assert_int_equal(history_find(h, 0), -1);
    AUTO(buf) struct buf out;
    bool patch;
    buf_init(&out, KIB);
    assert_int_equal(load(f, h, 0, &out, &patch), 0);
    assert_string_equal(out.data, "p=1/a");
    assert_int_equal(load(f, h, 2, &out, &patch), 0);
    assert_string_equal(out.data, "p=1/c p=1/d");
}

/* Aim: many commits give the same state read together as it would be one by one. */
static void test_many(void **state)
{
    enum { VERSIONS = 150 };
    struct fixture *f = *state;
    AUTO(buf) struct buf want;
    AUTO(buf) struct buf text;
    buf_init(&want, KIB);
    buf_init(&text, KIB);
    commit(f, 0, FIRST, 100);
    for (int i = 1; i < VERSIONS; i++) { /* each one takes its predecessor out */
        char before[16] = "a";
        if (i > 1)
            (void)snprintf(before, sizeof before, "f%d", i - 1);
        buf_reset(&text);
        buf_addf(&text,
                 "{\"commitInfo\":{\"inCommitTimestamp\":%d}}\n"
                 "{\"remove\":{\"path\":\"p=1/%s\"}}\n"
                 "{\"add\":{\"path\":\"p=1/f%d\",\"partitionValues\":{\"p\":\"1\"},\"size\":7,"
                 "\"modificationTime\":8}}\n",
                 1000000 + i, before, i);
        commit(f, i, text.data, 200);
    }
    buf_addf(&want, "p=1/f%d", VERSIONS - 1);
    check_newest(f, want.data);
    AUTO(history) struct history *h = history(f, NULL);
    for (int i = 1; i < VERSIONS; i++)
        assert_int_equal(h->at[i].timestamp_ms, 1000000 + i);
    assert_int_equal(h->at[0].timestamp_ms, 100000);
}

/* Aim: behind large commits the newest version has a base of its own, older ones share theirs. */
static void test_own_base(void **state)
{
    struct fixture *f = *state;
    AUTO(buf) struct buf large;
    buf_init(&large, 4 * MIB);
    buf_addf(&large, "{\"commitInfo\":{\"text\":\"%*s\"}}\n", (int)(2 * MIB), "");
    four_commits(f, true);
    AUTO(history) struct history *small = history(f, NULL);
    check_load(f, small, 3, "p=1/b p=1/c p=1/d", true);
    commit(f, 0, FIRST, 101); /* another table: nothing made before counts */
    buf_add_str(&large, ADD("b"));
    commit(f, 1, large.data, 201);
    AUTO(history) struct history *h = history(f, NULL);
    check_load(f, h, 3, "p=1/b p=1/c p=1/d", false);
    check_load(f, h, 2, "p=1/b p=1/c", true);
    commit(f, 4, ADD("e"), 500);
    AUTO(history) struct history *more = history(f, h);
    check_load(f, more, 4, "p=1/b p=1/c p=1/d p=1/e", true);
}

/* Aim: a set tells new keys from those that it met, however many they are. */
static void test_key_set(void **state)
{
    (void)state;
    AUTO(key_set) struct key_set set = {0};
    char key[16];
    for (int round = 0; round < 2; round++) {
        for (int twice = 0; twice < 2; twice++)
            for (int i = 0; i < 5000; i++) {
                int n = snprintf(key, sizeof key, "key %d", i);
                assert_int_equal(key_set_add(&set, slice_make(key, (size_t)n)),
                                 twice ? -EEXIST : 0);
            }
        key_set_clear(&set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_compacted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_useless_compacted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_sums, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sums_against_all_commits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_useless_sums, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lossy_checkpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hints, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cleaned_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_own_base, set_up, tear_down),
        cmocka_unit_test(test_key_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
