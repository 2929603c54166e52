/* SPDX-License-Identifier: Apache-2.0 */
/* Manifest lists and manifests: what is read of them, what is kept, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lake/iceberg/decoded.h"
#include "tests/unit/avro_fixture.h"

#define FIELD(name, id, type) "{\"name\":\"" name "\",\"field-id\":" id ",\"type\":" type "}"
#define MAYBE(name, id, type) FIELD(name, id, "[\"null\"," type "]")
#define MAP(name, key, value, type)                                                                \
    "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"" name                          \
    "\",\"fields\":[" FIELD("key", key, "\"int\"") "," FIELD("value", value, type) "]}}"
#define RECORD(name, fields) "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"

static const char
    v2_schema[] =
        RECORD("manifest_entry",
               FIELD("status", "0", "\"int\"") "," MAYBE("snapshot_id", "1", "\"long\"") "," MAYBE("sequence_number", "3", "\"long\"") "," FIELD(
                   "data_file", "2",
                   RECORD(
                       "r2",
                       FIELD("content", "134", "\"int\"") "," FIELD("file_path", "100", "\"string\"") "," FIELD("file_format", "101", "\"string\"") "," FIELD(
                           "partition", "102",
                           RECORD(
                               "r102",
                               MAYBE("day", "1000", "\"int\"") "," MAYBE(
                                   "name", "1001",
                                   "\"string\""))) "," FIELD("record_count", "103",
                                                             "\"long\"") "," FIELD("file_size_in_"
                                                                                   "bytes",
                                                                                   "104",
                                                                                   "\"long\"") "," MAYBE("column_sizes",
                                                                                                         "108",
                                                                                                         MAP("k1",
                                                                                                             "117",
                                                                                                             "118",
                                                                                                             "\"long\"")) "," MAYBE("upper_bounds",
                                                                                                                                    "128",
                                                                                                                                    MAP("k2",
                                                                                                                                        "129",
                                                                                                                                        "130",
                                                                                                                                        "\"bytes\"")))));

/* The same fields without ids, and without those that version 1 did not have. */
static const char v1_schema[] =
    "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":["
    "{\"name\":\"status\",\"type\":\"int\"},{\"name\":\"snapshot_id\",\"type\":\"long\"},"
    "{\"name\":\"data_file\",\"type\":{\"type\":\"record\",\"name\":\"d\",\"fields\":["
    "{\"name\":\"file_path\",\"type\":\"string\"},{\"name\":\"file_format\",\"type\":\"string\"},"
    "{\"name\":\"partition\",\"type\":{\"type\":\"record\",\"name\":\"p\",\"fields\":[]}},"
    "{\"name\":\"record_count\",\"type\":\"long\"},"
    "{\"name\":\"file_size_in_bytes\",\"type\":\"long\"}]}}]}";

struct written {
    int status;
    int64_t snapshot, sequence; /* -1: null */
    int content;
    const char *path, *format;
    int day;          /* -1: null */
    const char *name; /* NULL: null */
    const int32_t *columns;
    size_t columns_n;
};

static bool put_some(struct buf *out, bool some)
{
    put_long(out, some);
    return some;
}

static void put_written(struct buf *out, const struct written *w)
{
    put_long(out, w->status);
    if (put_some(out, w->snapshot >= 0))
        put_long(out, w->snapshot);
    if (put_some(out, w->sequence >= 0))
        put_long(out, w->sequence);
    put_long(out, w->content);
    put_text(out, slice_of(w->path));
    put_text(out, slice_of(w->format));
    if (put_some(out, w->day >= 0))
        put_long(out, w->day);
    if (put_some(out, w->name != NULL))
        put_text(out, slice_of(w->name));
    put_long(out, 10);
    put_long(out, 1000);
    if (put_some(out, w->columns_n > 0)) {
        put_long(out, (int64_t)w->columns_n);
        for (size_t i = 0; i < w->columns_n; i++) {
            put_long(out, w->columns[i]);
            put_long(out, 7);
        }
        put_long(out, 0);
    }
    put_some(out, false);
}

/* What a manifest gives, as text. */
static int tell_tuple(void *arg, const struct iceberg_tuple_value *values, size_t n,
                      struct err *err)
{
    (void)err;
    buf_add_str(arg, "tuple");
    for (size_t i = 0; i < n; i++) {
        buf_addf(arg, " %d:", (int)values[i].field_id);
        if (values[i].value.kind == ICEBERG_NUMBER)
            buf_addf(arg, "%lld", (long long)values[i].value.number);
        else if (values[i].value.kind == ICEBERG_BYTES)
            buf_add_slice(arg, values[i].value.bytes);
    }
    buf_add_char(arg, '\n');
    return 0;
}

static int tell_columns(void *arg, const struct iceberg_columns *columns, struct err *err)
{
    (void)err;
    buf_add_str(arg, "columns");
    for (size_t i = 0; i < columns->n; i++)
        buf_addf(arg, " %d", (int)columns->ids[i]);
    buf_add_char(arg, '\n');
    return 0;
}

static int tell_file(void *arg, const struct iceberg_entry *e, struct err *err)
{
    (void)err;
    buf_addf(arg, "%.*s %d/%d/%d %lld/%lld %llu %llu t%u c%u\n", SLICE_FMT(e->path), (int)e->status,
             (int)e->content, (int)e->format, (long long)e->snapshot, (long long)e->sequence,
             (unsigned long long)e->size, (unsigned long long)e->rows, e->tuple, e->columns);
    return 0;
}

static int read_memory(void *arg, uint64_t offset, void *to, size_t n, struct err *err)
{
    const struct buf *file = arg;
    if (offset > file->len || n > file->len - offset)
        return err_set(err, EIO, "outside the file");
    memcpy(to, file->data + offset, n);
    return 0;
}

static int read_manifest(struct buf *file, const struct iceberg_manifest_sink *sink,
                         struct iceberg_manifest_head *head, struct err *err)
{
    struct source source = {.size_bytes = file->len, .read = read_memory, .arg = file};
    return iceberg_manifest_read(&source, sink, head, err);
}

static int tell(struct buf *file, struct buf *out, struct err *err)
{
    struct iceberg_manifest_sink sink = {tell_tuple, tell_columns, tell_file, out};
    struct iceberg_manifest_head head = {.deletes = false};
    buf_reset(out);
    return read_manifest(file, &sink, &head, err);
}

static void write_v2(struct buf *file, const struct written *w, size_t n)
{
    AUTO(buf) struct buf records = {0};
    buf_init(&records, MIB);
    for (size_t i = 0; i < n; i++)
        put_written(&records, &w[i]);
    put_file(file, v2_schema, (int64_t)n, buf_slice(&records));
}

static const int32_t two[] = {2, 1}, three[] = {1, 2, 3};
static const struct written some[] = {
    {1, -1, -1, 0, "s3://b/x", "PARQUET", 5, "eu", two, 2},
    {0, 7, 3, 0, "s3://b/xy", "parquet", 5, "eu", two, 2},
    {2, 8, 4, 0, "s3://b/z", "ORC", -1, NULL, NULL, 0},
    {1, -1, -1, 0, "s3://b/zz", "avro", 5, "eu", three, 3},
};
static const char told[] = "tuple 1000:5 1001:eu\ncolumns 1 2\n"
                           "s3://b/x 1/0/0 -1/-1 1000 10 t0 c0\n"
                           "s3://b/xy 0/0/0 7/3 1000 10 t0 c0\n"
                           "tuple 1000: 1001:\ncolumns\n"
                           "s3://b/z 2/0/1 8/4 1000 10 t1 c1\n"
                           "columns 1 2 3\n"
                           "s3://b/zz 1/0/2 -1/-1 1000 10 t0 c2\n";

/* Aim: a manifest gives its files, each partition and set of columns once. */
static void test_manifest(void **state)
{
    AUTO(buf) struct buf file = {0};
    AUTO(buf) struct buf out = {0};
    (void)state;
    buf_init(&out, MIB);
    write_v2(&file, some, 4);
    assert_int_equal(tell(&file, &out, NULL), 0);
    assert_string_equal(out.data, told);
}

/* Aim: manifests of writers that gave no ids are read by their names. */
static void test_no_ids(void **state)
{
    AUTO(buf) struct buf file = {0};
    AUTO(buf) struct buf records = {0};
    AUTO(buf) struct buf out = {0};
    (void)state;
    buf_init(&out, MIB);
    buf_init(&records, MIB);
    put_long(&records, 1);
    put_long(&records, 9);
    put_text(&records, SLICE_LIT("a"));
    put_text(&records, SLICE_LIT("parquet"));
    put_long(&records, 3);
    put_long(&records, 4);
    put_file(&file, v1_schema, 1, buf_slice(&records));
    assert_int_equal(tell(&file, &out, NULL), 0);
    assert_string_equal(out.data, "tuple\ncolumns\na 1/0/0 9/-1 4 3 t0 c0\n");
}

/* Aim: what is kept of a manifest says the same as the manifest. */
static void test_decoded(void **state)
{
    AUTO(buf) struct buf file = {0};
    AUTO(buf) struct buf out = {0};
    AUTO(iceberg_decoded_writer) struct iceberg_decoded_writer w;
    AUTO(iceberg_decoded) struct iceberg_decoded d = {.fd = -1};
    struct iceberg_manifest m = {.path = SLICE_LIT("s3://b/m"), .length = 77};
    struct iceberg_entry e;
    size_t tuples = 0, columns = 0;
    int fd = memfd_create("decoded", MFD_CLOEXEC), rc;
    (void)state;
    buf_init(&out, MIB);
    write_v2(&file, some, 4);
    iceberg_decoded_writer_init(&w, fd, &m);
    struct iceberg_manifest_sink sink = iceberg_decoded_sink(&w);
    assert_int_equal(read_manifest(&file, &sink, &w.head, NULL), 0);
    assert_int_equal(iceberg_decoded_finish(&w, NULL), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(iceberg_decoded_open(dup(fd), &m, &d, NULL), 0);
    while ((rc = iceberg_decoded_next(&d, &e, NULL)) > 0) {
        for (; tuples < d.tuples.n; tuples++)
            (void)tell_tuple(&out, d.tuples.at[tuples].values, d.tuples.at[tuples].n, NULL);
        for (; columns < d.columns.n; columns++)
            (void)tell_columns(&out, &d.columns.at[columns], NULL);
        (void)tell_file(&out, &e, NULL);
    }
    assert_int_equal(rc, 0);
    assert_string_equal(out.data, told);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    struct iceberg_manifest other = {.path = SLICE_LIT("s3://b/m"), .length = 78};
    AUTO(iceberg_decoded) struct iceberg_decoded wrong = {.fd = -1};
    assert_int_equal(iceberg_decoded_open(fd, &other, &wrong, NULL), -EUCLEAN);
}

/* Aim: a manifest that says what cannot be is refused, with what is wrong. */
static void test_refused(void **state)
{
    static const struct {
        struct written w;
        int rc;
        const char *why;
    } cases[] = {
        {{3, -1, -1, 0, "a", "parquet", 1, "", NULL, 0}, -EIO, "status 3"},
        {{1, -1, -1, 1, "a", "parquet", 1, "", NULL, 0}, -EIO, "content 1"},
        {{1, -1, -1, 0, "", "parquet", 1, "", NULL, 0}, -EIO, "no path"},
        {{1, -1, -1, 0, "a", "vortex", 1, "", NULL, 0}, -EOPNOTSUPP, "'vortex'"},
        {{1, -1, -1, 0, "a", "puffin", 1, "", NULL, 0}, -EIO, "puffin"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(buf) struct buf file = {0};
        AUTO(buf) struct buf out = {0};
        struct err err = ERR_INIT;
        buf_init(&out, MIB);
        write_v2(&file, &cases[i].w, 1);
        assert_int_equal(tell(&file, &out, &err), cases[i].rc);
        assert_non_null(strstr(err.msg, cases[i].why));
    }
}

/* Aim: sequence number and snapshot that an entry does not tell are the manifest's, but for an old
 * file without a sequence number: nobody knows which deletes apply to that. */
static void test_inheritance(void **state)
{
    struct iceberg_manifest m = {.sequence = 5, .snapshot = 50}, v1 = {.snapshot = 50};
    struct iceberg_entry added = {.status = ICEBERG_ADDED, .snapshot = -1, .sequence = -1};
    struct iceberg_entry old = {.status = ICEBERG_EXISTING, .snapshot = 40, .sequence = -1};
    struct iceberg_entry of_v1 = old, own = {.snapshot = 40, .sequence = 4};
    (void)state;
    assert_int_equal(iceberg_entry_inherit(&added, &m, NULL), 0);
    assert_int_equal(added.sequence, 5);
    assert_int_equal(added.snapshot, 50);
    assert_int_equal(iceberg_entry_inherit(&old, &m, NULL), -EIO);
    assert_int_equal(iceberg_entry_inherit(&of_v1, &v1, NULL), 0);
    assert_int_equal(of_v1.sequence, 0);
    assert_int_equal(iceberg_entry_inherit(&own, &m, NULL), 0);
    assert_int_equal(own.sequence, 4);
    assert_int_equal(own.snapshot, 40);
}

static const char list_schema[] = RECORD(
    "manifest_file",
    FIELD("manifest_path", "500", "\"string\"") "," FIELD("manifest_length", "501", "\"long\"") "," FIELD(
        "partition_spec_id", "502",
        "\"int\"") "," FIELD("content", "517",
                             "\"int\"") "," FIELD("sequence_number", "515",
                                                  "\"long\"") "," MAYBE("added_snapshot_id", "503",
                                                                        "\"long\"") "," MAYBE("adde"
                                                                                              "d_"
                                                                                              "data"
                                                                                              "_fil"
                                                                                              "es_"
                                                                                              "coun"
                                                                                              "t",
                                                                                              "504",
                                                                                              "\"in"
                                                                                              "t\"") "," MAYBE("existing_data_files_"
                                                                                                               "count",
                                                                                                               "505",
                                                                                                               "\"int\""));

static void put_line(struct buf *out, const char *path, int64_t length, int64_t content, int added)
{
    put_text(out, slice_of(path));
    put_long(out, length);
    put_long(out, 2);
    put_long(out, content);
    put_long(out, 9);
    put_long(out, 0);
    if (put_some(out, added >= 0))
        put_long(out, added);
    put_some(out, true);
    put_long(out, 1);
}

/* Aim: a list gives its manifests with what their entries inherit; one that tells no length or
 * content that is known is damaged. */
static void test_list(void **state)
{
    AUTO(iceberg_manifest_list) struct iceberg_manifest_list l;
    AUTO(buf) struct buf records = {0};
    AUTO(buf) struct buf file = {0};
    (void)state;
    buf_init(&records, MIB);
    put_line(&records, "m1", 100, 0, 4);
    put_line(&records, "m2", 200, 1, -1);
    put_file(&file, list_schema, 2, buf_slice(&records));
    iceberg_manifest_list_init(&l);
    assert_int_equal(iceberg_manifest_list_parse(&l, buf_slice(&file), NULL), 0);
    assert_int_equal(l.n, 2);
    assert_true(slice_is(l.at[0].path, "m1"));
    assert_int_equal(l.at[0].length, 100);
    assert_int_equal(l.at[0].spec_id, 2);
    assert_int_equal(l.at[0].sequence, 9);
    assert_int_equal(l.at[0].snapshot, ICEBERG_NONE);
    assert_int_equal(l.at[0].live, 5);
    assert_false(l.at[0].deletes);
    assert_true(l.at[1].deletes);
    assert_int_equal(l.at[1].live, ICEBERG_NONE);
    for (int i = 0; i < 2; i++) {
        AUTO(iceberg_manifest_list) struct iceberg_manifest_list bad;
        buf_reset(&records);
        put_line(&records, "m1", i ? 100 : 0, i ? 2 : 0, 4);
        buf_done(&file);
        put_file(&file, list_schema, 1, buf_slice(&records));
        iceberg_manifest_list_init(&bad);
        assert_int_equal(iceberg_manifest_list_parse(&bad, buf_slice(&file), NULL), -EIO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest),    cmocka_unit_test(test_no_ids),
        cmocka_unit_test(test_decoded),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_inheritance), cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
