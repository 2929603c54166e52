/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of Iceberg tables as trees: bases and patches, which deletes apply, what is damaged. */
#include "tests/unit/iceberg_fixture.h"

#include "lake/iceberg/runs.h"
#include "lake/objects.h"

/* Aim: a snapshot shows the files of its manifests, and the next one costs its difference. */
static void test_versions(void **state)
{
    struct fixture *f = *state;
    struct made_entry one[] = {data("data/p=1/a", 1), data("data/p=2/b", 2)};
    struct made_entry two[] = {data("c", 3)};
    struct made_manifest m[] = {made(f, "m1", false, 1, one, 2), made(f, "m2", false, 2, two, 1)};
    struct made_snapshot s[] = {{1, -1, 1, "append"}, {2, 1, 2, "append"}};
    write_list(f, 1, m, 1);
    write_list(f, 2, m, 2);
    write_metadata(f, s, 2, "");
    AUTO(history) struct history *h = history(f);
    check_load(f, h, 0, "data/p=1/a 100 1 stored 1000\ndata/p=2/b 100 1 stored 1000\n", false);
    check_load(f, h, 1,
               "data/p=1/a 100 1 stored 1000\ndata/p=2/b 100 1 stored 1000\n"
               "p=3/c 100 2 built stored 2000\n",
               true);
}

/* Aim: a file whose deletes come later is shown with them from that snapshot on, not before. */
static void test_deletes(void **state)
{
    struct fixture *f = *state;
    struct made_entry one[] = {data("p=1/a", 1), data("p=1/b", 1), data("p=2/c", 2)};
    struct made_entry two[] = {position("x", 1)};
    struct made_entry three[] = {vector("v", "p=1/a", 4)};
    struct made_manifest m[] = {made(f, "m1", false, 1, one, 3), made(f, "m2", true, 2, two, 1),
                                made(f, "m3", true, 3, three, 1)};
    struct made_snapshot s[] = {{1, -1, 1, "append"}, {2, 1, 2, "delete"}, {3, 2, 3, "delete"}};
    for (int64_t i = 1; i <= 3; i++)
        write_list(f, i, m, (size_t)i);
    write_metadata(f, s, 3, "");
    AUTO(history) struct history *h = history(f);
    check_load(f, h, 0,
               "p=1/a 100 1 stored 1000\np=1/b 100 1 stored 1000\np=2/c 100 1 stored 1000\n",
               false);
    check_load(f, h, 1, "p=1/a 100 1 - p:x 2000\np=1/b 100 1 - p:x 2000\np=2/c 100 1 stored 1000\n",
               true);
    check_load(f, h, 2,
               "p=1/a 100 1 - v:v@4 3000\np=1/b 100 1 - p:x 2000\np=2/c 100 1 stored 1000\n", true);
}

/* Aim: what is not proven to be as it is stored is not called so: files that may have no ids, or
 * may lack the column by which they are partitioned. */
static void test_proof(void **state)
{
    struct fixture *f = *state;
    struct made_entry one[] = {data("p=1/a", 1), data("p=1/b", 1)};
    one[1].sizes = false;
    struct made_manifest m = made(f, "m1", false, 1, one, 2);
    struct made_snapshot s = {1, -1, 1, "append"};
    write_list(f, 1, &m, 1);
    write_metadata(f, &s, 1, "\"schema.name-mapping.default\":\"[]\"");
    AUTO(history) struct history *h = history(f);
    check_load(f, h, 0, "p=1/a 100 1 1000\np=1/b 100 1 1000\n", false);
    history_unref(STEAL(h));
    forget(f);
    write_metadata(f, &s, 1, "");
    h = history(f);
    check_load(f, h, 0, "p=1/a 100 1 stored 1000\np=1/b 100 1 1000\n", false);
}

static int load_error(struct fixture *f, const struct history *h)
{
    AUTO(buf) struct buf out;
    bool patch;
    buf_init(&out, MIB);
    return load(f, h, 0, &out, &patch);
}

/* Aim: a snapshot of which a part is gone, or that tells what cannot be, is an error with its
 * reason, never a part of it. */
static void test_damage(void **state)
{
    struct fixture *f = *state;
    struct made_entry one[] = {data("p=1/a", 1), data("p=1/a", 1)};
    struct made_manifest m[] = {made(f, "m1", false, 1, one, 1), made(f, "m2", false, 1, one, 1)};
    struct made_snapshot s = {1, -1, 1, "append"};
    write_list(f, 1, m, 1);
    write_metadata(f, &s, 1, "");
    AUTO(history) struct history *h = history(f);
    check_load(f, h, 0, "p=1/a 100 1 stored 1000\n", false);
    forget(f);
    history_unref(STEAL(h));
    h = history(f);
    assert_int_equal(unlinkat(f->table_fd, "m1.avro", 0), 0);
    assert_int_equal(load_error(f, h), -EIO);
    assert_non_null(strstr(f->err.msg, "m1.avro' is gone"));
    assert_int_equal(unlinkat(f->table_fd, "snap-1.avro", 0), 0);
    forget(f);
    history_unref(STEAL(h));
    h = history(f);
    assert_int_equal(load_error(f, h), -EIO);
    assert_non_null(strstr(f->err.msg, "snap-1.avro' is gone"));
    m[0] = made(f, "m1", false, 1, one, 1);
    write_list(f, 1, m, 2);
    assert_int_equal(load_error(f, h), -EIO);
    assert_non_null(strstr(f->err.msg, "named twice"));
}

/* Aim: a manifest or list that was kept, and is damaged, is read again. */
static void test_kept_damage(void **state)
{
    struct fixture *f = *state;
    char name[RUN_NAME_BYTES], path[128];
    struct made_entry one[] = {data("p=1/a", 1)};
    struct made_manifest m = made(f, "m1", false, 1, one, 1);
    struct made_snapshot s = {1, -1, 1, "append"};
    write_list(f, 1, &m, 1);
    write_metadata(f, &s, 1, "");
    AUTO(history) struct history *h = history(f);
    (void)snprintf(path, sizeof path, "file://%s/lake/t/metadata/m1.avro", f->dir);
    iceberg_manifest_name(name, slice_of(path), (uint64_t)m.length);
    assert_int_equal(file_replace(f->runs_fd, name, SLICE_LIT("junk"), 0600, &f->err), 0);
    check_load(f, h, 0, "p=1/a 100 1 stored 1000\n", false);
    AUTO(buf) struct buf kept = {0};
    buf_init(&kept, MIB);
    assert_int_equal(file_read(f->runs_fd, name, &kept, &f->err), 0);
    kept.data[kept.len / 2] ^= 1;
    assert_int_equal(file_replace(f->runs_fd, name, buf_slice(&kept), 0600, &f->err), 0);
    iceberg_base_name(name, 1, 0);
    assert_int_equal(unlinkat(f->runs_fd, name, 0), 0);
    (void)snprintf(path, sizeof path, "file://%s/lake/t/metadata/snap-1.avro", f->dir);
    iceberg_list_name(name, slice_of(path));
    assert_int_equal(file_replace(f->runs_fd, name, SLICE_LIT("junk"), 0600, &f->err), 0);
    check_load(f, h, 0, "p=1/a 100 1 stored 1000\n", false);
}

static int list_range(struct fixture *f, const struct history *h, ptrdiff_t after, size_t upto,
                      struct buf *out)
{
    AUTO(snapshot) struct snapshot *s = NULL;
    struct version_range range = {.after = after, .upto = upto};
    buf_reset(out);
    f->err = (struct err)ERR_INIT;
    int rc = iceberg_ops.range(f->driver, h, &range, &s, &f->err);
    if (rc < 0)
        return rc;
    rc = snapshot_each_file(s, list_entry, out, &f->err);
    sort_lines(out);
    return rc;
}

/* Aim: a range has what its snapshots appended, not what they rewrote, and only of one line of
 * descent. */
static void test_range(void **state)
{
    struct fixture *f = *state;
    struct made_entry one[] = {data("p=1/a", 1)}, two[] = {data("p=1/b", 1)};
    struct made_entry three[] = {data("p=1/ab", 1), data("p=1/a", 1)};
    three[1].status = REMOVED;
    three[1].sequence = three[1].snapshot = 1;
    struct made_manifest m[] = {made(f, "m1", false, 1, one, 1), made(f, "m2", false, 2, two, 1),
                                made(f, "m3", false, 3, three, 2), made(f, "m4", false, 4, one, 1)};
    struct made_snapshot s[] = {
        {1, -1, 1, "append"}, {2, 1, 2, "append"}, {3, 2, 3, "replace"}, {4, 1, 4, "append"}};
    AUTO(buf) struct buf out = {0};
    buf_init(&out, MIB);
    write_list(f, 1, m, 1);
    write_list(f, 2, m, 2);
    write_list(f, 3, &m[2], 1);
    write_list(f, 4, &m[3], 1);
    write_metadata(f, s, 4, "");
    AUTO(history) struct history *h = history(f);
    assert_int_equal(list_range(f, h, -1, 2, &out), 0);
    assert_string_equal(out.data, "p=1/a 100 1 stored 1000\np=1/b 100 2 stored 2000\n");
    assert_int_equal(list_range(f, h, 0, 2, &out), 0);
    assert_string_equal(out.data, "p=1/b 100 2 stored 2000\n");
    assert_int_equal(list_range(f, h, 1, 3, &out), -ENOENT);
    assert_non_null(strstr(f->err.msg, "no ancestor"));
}

static int tell_key(void *arg, const char *key)
{
    buf_addf(arg, "%s\n", key);
    return 0;
}

/* Three snapshots: a file comes with its deletes, and is rewritten, by the third one. */
static void make_rewritten(struct fixture *f, int64_t parent)
{
    struct made_entry one[] = {data("p=1/a", 1), data("p=2/b", 2)};
    struct made_entry two[] = {position("x", 1), vector("v", "p=2/b", 4)};
    struct made_entry three[] = {data("p=1/c", 1), data("p=2/b", 2), data("p=1/a", 1)};
    three[1].status = 0;
    three[1].sequence = three[1].snapshot = three[2].sequence = three[2].snapshot = 1;
    three[2].status = REMOVED;
    struct made_manifest m[] = {made(f, "m1", false, 1, one, 2), made(f, "m2", true, 2, two, 2),
                                made(f, "m3", false, 3, three, 3)};
    struct made_snapshot s[] = {
        {1, -1, 1, "append"}, {2, 1, 2, "delete"}, {3, parent, 3, "replace"}};
    struct made_manifest last[] = {m[2], m[1]};
    write_list(f, 1, m, 1);
    write_list(f, 2, m, 2);
    write_list(f, 3, last, 2);
    write_metadata(f, s, 3, "");
}

/* Aim: an archive of a version has all that the version is made of, its delete files too. */
static void test_needs(void **state)
{
    struct fixture *f = *state;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, MIB);
    make_rewritten(f, 2);
    AUTO(history) struct history *h = history(f);
    assert_int_equal(iceberg_ops.log_objects(f->driver, h, 1, tell_key, &out, &f->err), 0);
    sort_lines(&out);
    assert_string_equal(out.data, "t/metadata/00001-x.metadata.json\nt/metadata/m1.avro\n"
                                  "t/metadata/m2.avro\nt/metadata/snap-2.avro\nt/v\nt/x\n");
}

static int tell_event(void *arg, const struct object_event *e, struct err *err)
{
    (void)err;
    static const char *const kinds[] = {"", "changes ", "deletes ", "log "};
    buf_addf(arg, "%zu %s %s%.*s", e->position,
             e->what == OBJECT_REMOVED ? "-"
             : e->what == OBJECT_ADDED ? "+"
                                       : "=",
             kinds[e->kind], SLICE_FMT(e->key));
    for (size_t i = 0; i < e->partitions_n; i++)
        buf_addf(arg, " %.*s=%.*s", SLICE_FMT(e->partitions[i].column),
                 SLICE_FMT(e->partitions[i].value));
    buf_addf(arg, "%s\n", e->moves_rows ? " moved" : "");
    return 0;
}

static int tell_facts(void *arg, const struct object_facts *facts, struct err *err)
{
    (void)err;
    buf_addf(arg, "9 kept %lld by %.*s\n", (long long)facts->retention_ms,
             SLICE_FMT(facts->columns[0].name));
    return 0;
}

static void tell_objects(struct fixture *f, int64_t parent, struct buf *out)
{
    struct object_sink sink = {tell_event, tell_facts, out};
    buf_init(out, MIB);
    make_rewritten(f, parent);
    AUTO(history) struct history *h = history(f);
    assert_int_equal(iceberg_ops.objects(f->driver, h, &sink, &f->err), 0);
    sort_lines(out);
}

/* Aim: what each snapshot came to hold and ceased to is told, and what a rewriting moved. */
static void test_objects(void **state)
{
    AUTO(buf) struct buf out = {0};
    tell_objects(*state, 2, &out);
    assert_string_equal(out.data,
                        "0 + log t/metadata/m1.avro\n0 + log t/metadata/snap-1.avro\n"
                        "0 + t/p=1/a p=1\n0 + t/p=2/b p=2\n1 + deletes t/v\n1 + deletes t/x\n"
                        "1 + log t/metadata/m2.avro\n1 + log t/metadata/snap-2.avro\n"
                        "1 - log t/metadata/snap-1.avro\n2 + log t/metadata/m3.avro\n"
                        "2 + log t/metadata/snap-3.avro\n2 + t/p=1/c p=1\n"
                        "2 - log t/metadata/m1.avro\n2 - log t/metadata/snap-2.avro\n"
                        "2 - t/p=1/a moved\n2 - t/p=2/b moved\n2 = t/p=2/b p=2\n"
                        "9 kept 432000000 by p\n");
}

/* Aim: what a compaction of one branch does not hold is another branch's, and was not moved. */
static void test_objects_of_branches(void **state)
{
    AUTO(buf) struct buf out = {0};
    tell_objects(*state, 1, &out);
    assert_non_null(strstr(out.data, "2 - t/p=1/a\n"));
    assert_null(strstr(out.data, "moved"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_versions), TEST(test_deletes),     TEST(test_proof),
        TEST(test_damage),   TEST(test_kept_damage), TEST(test_range),
        TEST(test_needs),    TEST(test_objects),     TEST(test_objects_of_branches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
