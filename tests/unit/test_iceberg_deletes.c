/* SPDX-License-Identifier: Apache-2.0 */
/* Delete files of Iceberg tables: what is read of them, and that each is read once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdatomic.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/workers.h"
#include "cache/store/event.h"
#include "lake/iceberg/delete_files.h"
#include "lake/iceberg/equality_deletes.h"

static int read_memory(void *arg, uint64_t offset, void *to, size_t n, struct err *err)
{
    const struct buf *file = arg;
    if (offset > file->len || n > file->len - offset)
        return err_set(err, EIO, "outside the file");
    memcpy(to, file->data + offset, n);
    return 0;
}

static struct source load(struct buf *file, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "tests/fixtures/parquet/%s.parquet", name);
    buf_init(file, MIB);
    assert_int_equal(file_read(AT_FDCWD, path, file, NULL), 0);
    return (struct source){.size_bytes = file->len, .read = read_memory, .arg = file};
}

/* Position deletes */

static void check_rows(const struct roaring *rows, const uint64_t *want, size_t n)
{
    uint64_t row = 0;
    assert_non_null(rows);
    assert_int_equal(roaring_count(rows), n);
    for (size_t i = 0; i < n; i++, row++) {
        assert_true(roaring_next(rows, row, &row));
        assert_int_equal(row, want[i]);
    }
}

/* Where a table's metadata says that it lies, and where it lies. */
static const struct iceberg_root root = {.home = {"file:///lake", 12},
                                         .prefix = {"t/", 2},
                                         .location = {"s3://bucket/warehouse/t", 23},
                                         .moved = true};

static const struct roaring *find(const struct iceberg_positions *p, const char *path)
{
    AUTO(buf) struct buf place = {0};
    buf_init(&place, KIB);
    iceberg_positions_place(&root, slice_of(path), &place);
    return iceberg_positions_find(p, buf_slice(&place));
}

/* Whatever the order of a file's records, each data file gets its own rows, once each; in whatever
 * spelling its path is written. */
static void test_positions(void **state)
{
    (void)state;
    static const uint64_t a[] = {0, 2, 3, 5, 70000}, b[] = {0, 1}, d[] = {4, 8};
    AUTO(buf) struct buf file = {0};
    AUTO(buf) struct buf place = {0};
    AUTO(iceberg_positions) struct iceberg_positions *all = NULL, *only = NULL;
    struct err err = ERR_INIT;
    struct source source = load(&file, "position_deletes");
    if (iceberg_positions_read(&source, ICEBERG_PARQUET, &root, SLICE_NONE, &all, &err) < 0)
        fail_msg("%s", err.msg);
    check_rows(find(all, "s3://bucket/warehouse/t/data/a"), a, ARRAY_SIZE(a));
    check_rows(find(all, "s3a://bucket/warehouse/t/data/a"), a, ARRAY_SIZE(a));
    check_rows(find(all, "s3://bucket/warehouse/t/data/b"), b, ARRAY_SIZE(b));
    check_rows(find(all, "elsewhere:d"), d, ARRAY_SIZE(d));
    assert_null(find(all, "s3://bucket/warehouse/t/data/c"));
    assert_null(find(all, ""));
    buf_init(&place, KIB);
    iceberg_positions_place(&root, SLICE_LIT("s3n://bucket/warehouse/t/data/b"), &place);
    assert_int_equal(
        iceberg_positions_read(&source, ICEBERG_PARQUET, &root, buf_slice(&place), &only, &err), 0);
    check_rows(find(only, "s3://bucket/warehouse/t/data/b"), b, ARRAY_SIZE(b));
    assert_null(find(only, "s3://bucket/warehouse/t/data/a"));
}

/* What is no such file is refused with its reason. */
static void test_refused(void **state)
{
    (void)state;
    AUTO(buf) struct buf file = {0};
    struct iceberg_positions *p = NULL;
    struct source source = load(&file, "plain_v1");
    struct err err = ERR_INIT;
    assert_int_equal(iceberg_positions_read(&source, ICEBERG_PARQUET, &root, SLICE_NONE, &p, &err),
                     -EIO);
    assert_non_null(strstr(err.msg, "without file_path"));
    err = (struct err)ERR_INIT;
    assert_int_equal(iceberg_positions_read(&source, ICEBERG_ORC, &root, SLICE_NONE, &p, &err),
                     -EOPNOTSUPP);
    assert_non_null(strstr(err.msg, "ORC"));
    err = (struct err)ERR_INIT;
    assert_int_equal(iceberg_positions_read(&source, ICEBERG_AVRO, &root, SLICE_NONE, &p, &err),
                     -EIO);
    file.data[file.len - 1] = 'x';
    err = (struct err)ERR_INIT;
    assert_int_equal(iceberg_positions_read(&source, ICEBERG_PARQUET, &root, SLICE_NONE, &p, &err),
                     -EIO);
    assert_null(p);
}

/* Columns of equality deletes */

static struct iceberg_metadata *metadata_of(const char *schemas)
{
    AUTO(buf) struct buf text = {0};
    struct iceberg_metadata *m = NULL;
    struct err err = ERR_INIT;
    buf_init(&text, MIB);
    buf_addf(&text,
             "{\"format-version\":2,\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\","
             "\"location\":\"s3://b/t\",\"last-sequence-number\":1,\"last-updated-ms\":1,"
             "\"last-column-id\":9,\"current-schema-id\":1,\"schemas\":[%s],"
             "\"default-spec-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}],"
             "\"last-partition-id\":999,\"default-sort-order-id\":0,\"sort-orders\":[]}",
             schemas);
    if (iceberg_metadata_parse(buf_slice(&text), SLICE_LIT("v1.metadata.json"), &m, &err) < 0)
        fail_msg("%s", err.msg);
    return m;
}

#define FIELD(id, name, type)                                                                      \
    "{\"id\":" #id ",\"name\":\"" name "\",\"required\":false,\"type\":" type "}"
#define SCHEMA(id, fields) "{\"type\":\"struct\",\"schema-id\":" #id ",\"fields\":[" fields "]}"

/* A column that was dropped still deletes, and one that was widened does by its last type. */
static void test_columns(void **state)
{
    (void)state;
    AUTO(iceberg_metadata)
    struct iceberg_metadata *m = metadata_of(
        SCHEMA(0, FIELD(1, "id", "\"int\"") "," FIELD(2, "gone", "\"string\"")) "," SCHEMA(
            1, FIELD(1, "key", "\"long\"") "," FIELD(
                   3, "s", "{\"type\":\"struct\",\"fields\":[" FIELD(4, "x", "\"date\"") "]}")));
    AUTO(shape) struct shape *s = NULL;
    static const int32_t ids[] = {1, 2, 4};
    struct err err = ERR_INIT;
    if (iceberg_equality_columns(m, ids, ARRAY_SIZE(ids), &s, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(s->match, SHAPE_BY_ID_ALONE);
    assert_int_equal(s->fields_n, 5);
    assert_int_equal(s->fields[1].id, 1);
    assert_int_equal(s->fields[1].type, SHAPE_INT64);
    assert_int_equal(s->fields[2].kind, SHAPE_STRUCT);
    assert_int_equal(s->fields[3].id, 4);
    assert_int_equal(s->fields[3].type, SHAPE_DATE);
    assert_int_equal(s->fields[4].id, 2);
    assert_int_equal(s->fields[4].type, SHAPE_STRING);
}

static void test_columns_refused(void **state)
{
    (void)state;
    AUTO(iceberg_metadata)
    struct iceberg_metadata *m =
        metadata_of(SCHEMA(1, FIELD(1, "f", "\"double\"") "," FIELD(
                                  2, "l",
                                  "{\"type\":\"list\",\"element-id\":3,\"element\":\"int\","
                                  "\"element-required\":false}")));
    static const struct {
        int32_t id;
        int rc;
        const char *why;
    } cases[] = {
        {1, -EOPNOTSUPP, "\"f\": floating point"},
        {2, -EOPNOTSUPP, "the field 2"},
        {3, -EOPNOTSUPP, "what lists and maps have"},
        {9, -EOPNOTSUPP, "the field 9"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct shape *s = NULL;
        struct err err = ERR_INIT;
        assert_int_equal(iceberg_equality_columns(m, &cases[i].id, 1, &s, &err), cases[i].rc);
        if (!strstr(err.msg, cases[i].why))
            fail_msg("%s", err.msg);
        assert_null(s);
    }
}

/* Delete files that are kept */

struct reading {
    atomic_int reads;
    struct event go;
    bool waits;
    size_t tuples;
    int fails;
};

static int read_some(void *arg, struct iceberg_delete_content *out, struct err *err)
{
    struct reading *r = arg;
    atomic_fetch_add(&r->reads, 1);
    if (r->waits)
        event_wait(&r->go);
    if (r->fails)
        return err_set(err, r->fails, "it fails");
    AUTO(equality_builder) struct equality_builder *b = NULL;
    struct shape_builder shape;
    AUTO(shape) struct shape *columns = NULL;
    shape_builder_init(&shape, SHAPE_BY_ID);
    shape_add(&shape, &(struct shape_field){.name = SLICE_LIT("x"), .id = 1, .type = SHAPE_INT64});
    assert_int_equal(shape_finish(&shape, &columns, NULL), 0);
    b = equality_builder_new(columns, err);
    for (size_t i = 0; i < r->tuples; i++)
        assert_int_equal(
            equality_builder_add(b, &(struct column_value){.number = (__int128)i}, err), 0);
    return equality_builder_end(b, &out->set, err);
}

static int get(struct iceberg_delete_files *f, const char *key, struct reading *r, struct err *err)
{
    struct iceberg_delete_file *file;
    int rc = iceberg_delete_files_get(f, slice_of(key), read_some, r, &file, err);
    if (rc < 0)
        return rc;
    assert_int_equal(equality_set_count(iceberg_delete_file_content(file)->set), r->tuples);
    iceberg_delete_files_put(f, file);
    return 0;
}

struct asker {
    struct job job;
    struct iceberg_delete_files *files;
    struct reading *reading;
    struct event over;
};

static void ask(struct job *job)
{
    struct asker *a = CONTAINER_OF(job, struct asker, job);
    assert_int_equal(get(a->files, "the same", a->reading, NULL), 0);
    event_set(&a->over);
}

/* Whoever asks while it is being read gets what is read then; later ones get it at once. */
static void test_read_once(void **state)
{
    (void)state;
    struct iceberg_delete_files *f = iceberg_delete_files_new(NULL);
    struct workers *threads = workers_new("ask", 8, NULL);
    struct asker askers[8];
    struct reading r = {.waits = true, .tuples = 3};
    event_init(&r.go);
    for (size_t i = 0; i < ARRAY_SIZE(askers); i++) {
        askers[i] = (struct asker){.job = {.run = ask}, .files = f, .reading = &r};
        event_init(&askers[i].over);
        workers_submit(threads, &askers[i].job);
    }
    event_set(&r.go);
    for (size_t i = 0; i < ARRAY_SIZE(askers); i++) {
        event_wait(&askers[i].over);
        event_done(&askers[i].over);
    }
    assert_int_equal(get(f, "the same", &r, NULL), 0);
    assert_int_equal(r.reads, 1);
    assert_int_equal(get(f, "another", &r, NULL), 0);
    assert_int_equal(r.reads, 2);
    workers_free(threads);
    event_done(&r.go);
    iceberg_delete_files_free(f);
}

/* A failure is told, and the next one tries again. */
static void test_failures_are_not_kept(void **state)
{
    (void)state;
    struct iceberg_delete_files *f = iceberg_delete_files_new(NULL);
    struct reading r = {.fails = EIO, .tuples = 1};
    struct err err = ERR_INIT;
    assert_int_equal(get(f, "x", &r, &err), -EIO);
    r.fails = 0;
    assert_int_equal(get(f, "x", &r, NULL), 0);
    assert_int_equal(get(f, "x", &r, NULL), 0);
    assert_int_equal(r.reads, 2);
    iceberg_delete_files_free(f);
}

/* What was used last stays, as far as there is room. */
static void test_room(void **state)
{
    (void)state;
    struct iceberg_delete_files *f = iceberg_delete_files_new(NULL);
    struct reading large = {.tuples = 500000}, small = {.tuples = 1};
    assert_int_equal(get(f, "small", &small, NULL), 0);
    for (char name[] = "a"; name[0] <= 'h'; name[0]++) {
        assert_int_equal(get(f, name, &large, NULL), 0);
        assert_int_equal(get(f, "small", &small, NULL), 0);
    }
    assert_int_equal(small.reads, 1);
    assert_int_equal(get(f, "h", &large, NULL), 0);
    assert_int_equal(large.reads, 8);
    assert_int_equal(get(f, "a", &large, NULL), 0);
    assert_int_equal(large.reads, 9);
    iceberg_delete_files_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_columns),   cmocka_unit_test(test_columns_refused),
        cmocka_unit_test(test_read_once), cmocka_unit_test(test_failures_are_not_kept),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
