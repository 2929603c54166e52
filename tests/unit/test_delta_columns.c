/* SPDX-License-Identifier: Apache-2.0 */
/* What versions say of their files' columns and rows: which are as stored, since when, and why. */
#include <dirent.h>

#include "lake/delta/deletion_vector.h"
#include "lake/format/roaring.h"
#include "lake/format/shape.h"
#include "tests/unit/delta_fixture.h"

#define COLUMN(name) "{\\\"name\\\":\\\"" name "\\\",\\\"type\\\":\\\"long\\\"}"
#define COLUMNS_WITH(fields, configuration)                                                        \
    "{\"metaData\":{\"id\":\"i\",\"format\":{\"provider\":\"parquet\"},\"schemaString\":"          \
    "\"{\\\"fields\\\":[" fields "]}\",\"partitionColumns\":[],\"configuration\":"                 \
    "{" configuration "}}}\n"
#define COLUMNS(fields) COLUMNS_WITH(fields, "")
#define ONE COLUMNS(COLUMN("a"))
#define TWO COLUMNS(COLUMN("a") "," COLUMN("b"))
#define FILE(name)                                                                                 \
    "{\"add\":{\"path\":\"" name "\",\"partitionValues\":{},\"size\":7,\"modificationTime\":8}}\n"
#define GONE(name) "{\"remove\":{\"path\":\"" name "\"}}\n"
#define VECTOR(text)                                                                               \
    "\"deletionVector\":{\"storageType\":\"i\",\"pathOrInlineDv\":\"" text                         \
    "\",\"sizeInBytes\":34,\"cardinality\":1}"
#define ROW3 "^Bg9^0rr910000000000iXQKl0rr91000005c8Xg##093"
#define FILE_DV(name, dv)                                                                          \
    "{\"add\":{\"path\":\"" name "\",\"partitionValues\":{},\"size\":7,\"modificationTime\":8,"    \
    "" VECTOR(dv) "}}\n"
#define GONE_DV(name, dv) "{\"remove\":{\"path\":\"" name "\"," VECTOR(dv) "}}\n"
#define OPERATION(name) "{\"commitInfo\":{\"operation\":\"" name "\"}}\n"
#define ENGINE(name) "{\"commitInfo\":{\"operation\":\"WRITE\",\"engineInfo\":\"" name "\"}}\n"
#define IN_PARTITION(name)                                                                         \
    "{\"add\":{\"path\":\"p=1/" name "\",\"partitionValues\":{\"p\":\"1\"},\"size\":7,"            \
    "\"modificationTime\":8}}\n"
#define NOTHING "{\"commitInfo\":{}}\n"

static int list_file(void *arg, const struct entry *e)
{
    buf_addf(arg, "%.*s%s%s@%lld ", SLICE_FMT(e->path), e->flags & ENTRY_AS_STORED ? "!" : "?",
             e->flags & ENTRY_DELETES ? "-" : "", (long long)e->mtime_ms);
    return 0;
}

static struct snapshot *snapshot_of(struct fixture *f, int64_t version)
{
    AUTO(history) struct history *h = history(f, NULL);
    struct snapshot *s = NULL;
    ptrdiff_t at = history_find(h, version);
    assert_true(at >= 0);
    f->err = (struct err)ERR_INIT;
    if (delta_ops.load(f->driver, h, (size_t)at, &s, &f->err) < 0)
        fail_msg("%s", f->err.msg);
    return s;
}

/* The files of a version: `!` as stored, `?` not proven, `-` rows are deleted; times in ms. */
static void check_files(struct fixture *f, int64_t version, const char *want)
{
    AUTO(snapshot) struct snapshot *s = snapshot_of(f, version);
    AUTO(buf) struct buf out;
    buf_init(&out, MIB);
    assert_int_equal(snapshot_each_file(s, list_file, &out, &f->err), 0);
    assert_string_equal(out.data ? out.data : "", want);
}

/* All that was made is forgotten. */
static void forget(const struct fixture *f)
{
    DIR *dir = fdopendir(openat(f->runs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    assert_non_null(dir);
    for (struct dirent *d; (d = readdir(dir));)
        if (d->d_name[0] != '.')
            assert_int_equal(unlinkat(f->runs_fd, d->d_name, 0), 0);
    (void)closedir(dir);
}

/* Aim: a table whose columns never changed is as stored, all of it. */
static void test_unchanged(void **state)
{
    struct fixture *f = *state;
    commit(f, 0, PROTOCOL ONE FILE("a"), 100);
    commit(f, 1, FILE("b"), 200);
    commit(f, 2, COLUMNS_WITH(COLUMN("a"), "\"delta.appendOnly\":\"true\"") GONE("a"), 300);
    check_files(f, 1, "a!@8 b!@8 ");
    check_files(f, 2, "b!@8 ");
}

/* Aim: a change of columns makes a new base; older files are not as stored any more, and show its
 * time, until the columns are the old ones again for new files. */
static void test_changed(void **state)
{
    struct fixture *f = *state;
    commit(f, 0, PROTOCOL ONE FILE("a"), 100);
    commit(f, 1, TWO FILE("b"), 200);
    commit(f, 2, FILE("c"), 300);
    commit(f, 3, ONE FILE("d"), 400);
    for (int way = 0; way < 2; way++) {
        for (int i = 0; i < 4; i++) {
            static const char *const want[] = {"a!@8 ", "a?@200000 b!@8 ", "a?@200000 b!@8 c!@8 ",
                                               "a?@400000 b?@400000 c?@400000 d!@8 "};
            int version = way ? 3 - i : i;
            check_files(f, version, want[version]);
        }
        forget(f);
    }
    AUTO(snapshot) struct snapshot *before = snapshot_of(f, 0);
    AUTO(snapshot) struct snapshot *after = snapshot_of(f, 1);
    assert_null(snapshot_patch(after)); /* base and patch have the same columns */
}

/* A checkpoint of version 2 in the log. */
static void put_checkpoint(struct fixture *f, int version, const char *actions)
{
    char name[96];
    AUTO(buf) struct buf text;
    buf_init(&text, MIB);
    buf_addf(&text, "{\"checkpointMetadata\":{\"version\":%d}}\n%s", version, actions);
    (void)snprintf(name, sizeof name, "%020d.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json",
                   version);
    assert_int_equal(file_replace(f->table_fd, name, buf_slice(&text), 0600, &f->err), 0);
}

static void drop_commit(struct fixture *f, int version)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%020d.json", version);
    assert_int_equal(unlinkat(f->table_fd, name, 0), 0);
}

/* Aim: files that a commit brings back, or takes over, are no proof of their columns. */
static void test_old_files(void **state)
{
    struct fixture *f = *state;
    commit(f, 0, PROTOCOL ONE FILE("a") FILE("b"), 100);
    commit(f, 1, OPERATION("WRITE") TWO GONE("a") GONE("b") FILE("c"), 200);
    commit(f, 2, OPERATION("RESTORE") FILE("a"), 300);
    commit(f, 3, OPERATION("WRITE") FILE("d"), 400);
    commit(f, 4, OPERATION("CLONE") FILE("b"), 500);
    check_files(f, 4, "a?@200000 b?@200000 c!@8 d!@8 ");
    forget(f);
    put_checkpoint(f, 4, PROTOCOL TWO FILE("a") FILE("b") FILE("c") FILE("d"));
    check_files(f, 4, "a?@200000 b?@200000 c!@8 d!@8 ");
}

/* Aim: where an engine may have stored partition columns, files of partitioned tables are no proof.
 */
static void test_stored_partitions(void **state)
{
    struct fixture *f = *state;
    commit(f, 0,
           PROTOCOL
           "{\"metaData\":{\"id\":\"i\",\"format\":{\"provider\":\"parquet\"},"
           "\"schemaString\":\"{\\\"fields\\\":[" COLUMN("a") "," COLUMN(
               "p") "]}\",\"partitionColumns\":[\"p\"],\"configuration\":{}}}\n" IN_PARTITION("x"),
           100);
    commit(f, 1, ENGINE("delta-rs:py-1.6.6") IN_PARTITION("y"), 200);
    commit(f, 2, ENGINE("Apache-Spark/3.5.3 Delta-Lake/3.2.1") IN_PARTITION("z"), 300);
    commit(f, 3, ENGINE("Apache-Spark/4.1.4 Delta-Lake/4.4.0") IN_PARTITION("zz"), 400);
    check_files(f, 3, "p=1/x!@8 p=1/y!@8 p=1/z!@8 p=1/zz?@100000 ");
}

/* Aim: files of a checkpoint are as stored where the commits before it prove it: those that are
 * there, up to the last change of columns. */
static void test_checkpoint(void **state)
{
    struct fixture *f = *state;
    commit(f, 0, PROTOCOL ONE FILE("a"), 100);
    commit(f, 1, TWO FILE("b") FILE("x"), 200);
    commit(f, 2, FILE("c") GONE("x"), 300);
    commit(f, 3, FILE("d"), 400);
    commit(f, 4, FILE("e"), 500);
    put_checkpoint(f, 3, PROTOCOL TWO FILE("a") FILE("b") FILE("c") FILE("d"));
    check_files(f, 4, "a?@200000 b!@8 c!@8 d!@8 e!@8 ");
    forget(f);
    drop_commit(f, 0); /* the first version that is there has its time, and the proof */
    check_files(f, 4, "a?@400000 b!@8 c!@8 d!@8 e!@8 ");
    forget(f);
    drop_commit(f, 1); /* not any more: but not later than from here on */
    check_files(f, 4, "a?@400000 b?@400000 c!@8 d!@8 e!@8 ");
    forget(f);
    drop_commit(f, 2);
    check_files(f, 4, "a?@400000 b?@400000 c?@400000 d!@8 e!@8 ");
    forget(f);
    drop_commit(f, 3); /* nothing is left that tells of the checkpoint's files */
    check_files(f, 4, "a?@500000 b?@500000 c?@500000 d?@500000 e!@8 ");
}

/* Aim: where files of a checkpoint come from, commits tell; whether they are there, it alone. */
static void test_evidence_only(void **state)
{
    struct fixture *f = *state;
    commit(f, 0, PROTOCOL ONE FILE("a") FILE("left%20out") FILE("gone"), 100);
    commit(f, 1, GONE("gone") NOTHING, 200);
    put_checkpoint(f, 1, PROTOCOL ONE FILE("a") FILE("gone") FILE("other"));
    check_files(f, 1, "a!@8 gone?@100000 other?@100000 ");
    forget(f);
    /* Commits that the checkpoint contradicts, or that are damaged, prove nothing. */
    put_checkpoint(f, 1, PROTOCOL TWO FILE("a"));
    check_files(f, 1, "a?@200000 ");
    forget(f);
    put_checkpoint(f, 1, PROTOCOL ONE FILE("a"));
    commit(f, 1, "{\"add\":{\"path\":", 200);
    check_files(f, 1, "a?@200000 ");
}

/* Aim: not more commits are asked than the limit, the newest ones. */
static void test_evidence_limit(void **state)
{
    struct fixture *f = *state;
    enum { LAST = EVIDENCE_COMMITS_MAX + 1 };
    commit(f, 0, PROTOCOL ONE FILE("a"), 100);
    for (int i = 1; i <= LAST; i++)
        commit(f, i, i == 1 ? FILE("b") : i == 2 ? FILE("c") : NOTHING, 100 + i);
    put_checkpoint(f, LAST, PROTOCOL ONE FILE("a") FILE("b") FILE("c"));
    check_files(f, LAST, "a?@102000 b?@102000 c!@8 ");
}

/* Aim: where writers put columns of their own into files, none is proven to have none of them. */
static void test_own_columns(void **state)
{
    struct fixture *f = *state;
    commit(f, 0, PROTOCOL ONE FILE("a"), 100);
    commit(f, 1,
           FILE("b") COLUMNS_WITH(COLUMN("a"), "\"delta.enableChangeDataFeed\":\"true\"") FILE("c"),
           200);
    commit(f, 2, FILE("d"), 300);
    commit(f, 3, ONE, 400);
    commit(f, 4, FILE("e"), 500);
    check_files(f, 0, "a!@8 ");
    check_files(f, 4, "a?@300000 b?@300000 c?@300000 d?@300000 e!@8 ");
}

/* Aim: new deletes take the place of the file in one commit; it shows their time, has another
 * identity, and tells its rows. Deletes that are taken back show the file as it was. */
static void test_deletes(void **state)
{
    struct fixture *f = *state;
    commit(f, 0, PROTOCOL ONE FILE("a"), 100);
    commit(f, 1, GONE("a") FILE_DV("a", ROW3), 200);
    commit(f, 2, GONE_DV("a", ROW3) FILE("a"), 300);
    check_files(f, 2, "a!@8 ");
    check_files(f, 1, "a?-@200000 ");
    check_files(f, 0, "a!@8 ");
    AUTO(snapshot) struct snapshot *s = snapshot_of(f, 1);
    AUTO(buf) struct buf scratch;
    AUTO(roaring) struct roaring *r = NULL;
    struct entry e;
    uint64_t row;
    buf_init(&scratch, MIB);
    struct run *run = snapshot_patch(s) ? snapshot_patch(s) : snapshot_base(s);
    assert_int_equal(run_file(run, 0, &scratch, &e, NULL, &f->err), 0);
    assert_true(slice_starts(e.extra, SLICE_LIT("i" ROW3 "\n")));
    assert_int_equal(delta_ops.deleted(f->driver, &e, &r, &f->err), 0);
    assert_int_equal(roaring_count(r), 1);
    assert_true(roaring_next(r, 0, &row) && row == 3);
    struct roaring *none = r;
    e.flags = 0;
    assert_int_equal(delta_ops.deleted(f->driver, &e, &none, &f->err), 0);
    assert_null(none);
}

/* Aim: rows that are gone are told with the file's name where they cannot be read. */
static void test_deletes_damaged(void **state)
{
    struct fixture *f = *state;
    struct roaring *r = NULL;
    struct entry e = {
        .path = SLICE_LIT("dir/x"), .extra = SLICE_LIT("iHello\n5 34 1 "), .flags = ENTRY_DELETES};
    assert_int_equal(delta_ops.deleted(f->driver, &e, &r, &f->err), -EIO);
    assert_non_null(strstr(f->err.msg, "t/dir/x"));
}

#define MAPPING "\"delta.columnMapping.mode\":\"name\""
#define MAPPED(name, physical, id)                                                                 \
    "{\\\"name\\\":\\\"" name "\\\",\\\"type\\\":\\\"long\\\",\\\"metadata\\\":{"                  \
    "\\\"delta.columnMapping.physicalName\\\":\\\"" physical                                       \
    "\\\",\\\"delta.columnMapping.id\\\":" #id "}}"
#define PROTOCOL2 "{\"protocol\":{\"minReaderVersion\":2,\"minWriterVersion\":5}}\n"

/* Aim: under column mapping no file is as stored, and a renamed column is presented so from its
 * version on. */
static void test_mapped(void **state)
{
    struct fixture *f = *state;
    commit(f, 0, PROTOCOL ONE FILE("a"), 100);
    commit(f, 1, COLUMNS_WITH(MAPPED("a", "a", 1), MAPPING) PROTOCOL2, 200);
    commit(f, 2, COLUMNS_WITH(MAPPED("z", "a", 1), MAPPING) FILE("b"), 300);
    static const char *const names[] = {"a", "a", "z"};
    check_files(f, 0, "a!@8 ");
    check_files(f, 1, "a?@200000 ");
    check_files(f, 2, "a?@300000 b?@300000 ");
    for (int i = 0; i < 3; i++) {
        AUTO(snapshot) struct snapshot *s = snapshot_of(f, i);
        AUTO(shape) struct shape *shape = NULL;
        assert_int_equal(delta_ops.shape(snapshot_meta(s), &shape, &f->err), 0);
        assert_int_equal(shape->fields_n, 2);
        assert_true(slice_is(shape->fields[1].name, names[i]));
        assert_true(slice_is(shape->fields[1].stored, "a"));
        assert_int_equal(shape->fields[1].id, i ? 1 : SHAPE_NO_ID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unchanged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_changed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_old_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stored_partitions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_checkpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_evidence_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_evidence_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_own_columns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deletes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deletes_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mapped, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
