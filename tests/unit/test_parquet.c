/* SPDX-License-Identifier: Apache-2.0 */
/* Reads tests/fixtures/parquet (see make.py there for what the files hold). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/limits.h"
#include "lake/format/parquet.h"

#define ROWS 300

/* A file in memory, in a block of exactly its size. */
struct fixture {
    char *data;
    size_t size;
    struct source source;
};

static int read_memory(void *arg, uint64_t offset, void *to, size_t n, struct err *err)
{
    const struct fixture *f = arg;
    (void)err;
    assert_true(offset <= f->size && n <= f->size - offset);
    memcpy(to, f->data + offset, n);
    return 0;
}

static void fixture_set(struct fixture *f, struct slice s)
{
    f->data = malloc(s.n ? s.n : 1);
    assert_non_null(f->data);
    if (s.n)
        memcpy(f->data, s.p, s.n);
    f->size = s.n;
    f->source = (struct source){.size_bytes = s.n, .read = read_memory, .arg = f};
}

static void fixture_load(struct fixture *f, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "tests/fixtures/parquet/%s.parquet", name);
    AUTO(buf) struct buf data = {0};
    buf_init(&data, MIB);
    struct err err = ERR_INIT;
    assert_int_equal(file_read(AT_FDCWD, path, &data, &err), 0);
    fixture_set(f, buf_slice(&data));
}

static void fixture_done(struct fixture *f)
{
    free(f->data);
}
DEFINE_AUTO_DONE(fixture, struct fixture, fixture_done)

static int next(struct parquet *p)
{
    struct err err = ERR_INIT;
    int rc = parquet_next_row(p, &err);
    if (rc < 0)
        print_error("%s\n", err.msg);
    return rc;
}

/* The only cell of a leaf without repetition. */
static struct parquet_cell cell(const struct parquet *p, int handle)
{
    size_t n;
    const struct parquet_cell *cells = parquet_cells(p, handle, &n);
    assert_int_equal(n, 1);
    assert_int_equal(cells->repetition, 0);
    return *cells;
}

static void check_row(const struct parquet *p, int number, int text, int i)
{
    char expected[16];
    (void)snprintf(expected, sizeof expected, "key-%04d", i / 7);
    struct parquet_cell c = cell(p, number);
    assert_true(c.present);
    assert_int_equal(c.number, i * 37 - 1000);
    c = cell(p, text);
    assert_int_equal(c.present, i % 5 != 4);
    assert_int_equal(c.definition, i % 5 != 4);
    assert_true(slice_is(c.bytes, c.present ? expected : ""));
}

/* Aim: each codec, page version and encoding of numbers and strings gives the same rows. */
static void test_codecs_and_encodings(void **state)
{
    (void)state;
    static const char *const files[] = {
        "codec_none_v1",   "codec_none_v2",   "codec_snappy_v1", "codec_snappy_v2", "codec_gzip_v1",
        "codec_gzip_v2",   "codec_zstd_v1",   "codec_zstd_v2",   "codec_lz4_v1",    "codec_lz4_v2",
        "codec_brotli_v1", "codec_brotli_v2", "plain_v1",        "plain_v2",        "delta_v1",
        "delta_v2",        "length_v1",       "length_v2",       "pages_v1",        "pages_v2",
    };
    for (size_t k = 0; k < ARRAY_SIZE(files); k++) {
        AUTO(fixture) struct fixture f;
        fixture_load(&f, files[k]);
        AUTO(parquet) struct parquet *p = parquet_open(&f.source, NULL);
        assert_non_null(p);
        int text = parquet_choose(p, "text", NULL), number = parquet_choose(p, "number", NULL);
        for (int i = 0; i < ROWS; i++) {
            assert_int_equal(next(p), 1);
            check_row(p, number, text, i);
        }
        assert_int_equal(next(p), 0);
        assert_int_equal(next(p), 0);
    }
}

static void check_types(const struct parquet *p, const int handle[7], int i)
{
    char bytes[16], fixed[16];
    (void)snprintf(bytes, sizeof bytes, "key-%d", i);
    (void)snprintf(fixed, sizeof fixed, "%03d", i);
    assert_int_equal(cell(p, handle[0]).number, i % 3 == 0);
    assert_int_equal(cell(p, handle[1]).number, i - 150);
    assert_int_equal(cell(p, handle[2]).number, i - 150);
    assert_true(cell(p, handle[3]).real == i - 150);
    assert_true(cell(p, handle[4]).real == i - 150);
    assert_true(slice_is(cell(p, handle[5]).bytes, bytes));
    assert_true(slice_is(cell(p, handle[6]).bytes, fixed));
}

/* Aim: each physical type is read in each encoding that it may have. */
static void test_types(void **state)
{
    (void)state;
    static const char *const files[] = {"types_plain", "types_delta", "types_split",
                                        "types_dictionary"};
    static const char *const names[] = {
        "bool", "int32", "int64", "float", "double", "binary", "fixed_size_binary"};
    for (size_t k = 0; k < ARRAY_SIZE(files); k++) {
        AUTO(fixture) struct fixture f;
        fixture_load(&f, files[k]);
        AUTO(parquet) struct parquet *p = parquet_open(&f.source, NULL);
        assert_non_null(p);
        int handles[7];
        for (size_t i = 0; i < 7; i++)
            handles[i] = parquet_choose(p, names[i], NULL);
        struct parquet_leaf leaf;
        parquet_leaf(p, handles[6], &leaf);
        assert_int_equal(leaf.type, PARQUET_FIXED_LEN_BYTE_ARRAY);
        assert_int_equal(leaf.max_definition + leaf.max_repetition, 0);
        for (int i = 0; i < ROWS; i++) {
            assert_int_equal(next(p), 1);
            check_types(p, handles, i);
        }
        assert_int_equal(next(p), 0);
    }
}

/* A row's cells as "repetition/definition=value", one after the other; rows end in `;`. */
static void render(struct buf *out, const struct parquet *p, int handle)
{
    struct parquet_leaf leaf;
    parquet_leaf(p, handle, &leaf);
    size_t n;
    const struct parquet_cell *c = parquet_cells(p, handle, &n);
    for (size_t i = 0; i < n; i++) {
        buf_addf(out, "%s%u/%u", i ? " " : "", c[i].repetition, c[i].definition);
        if (c[i].present && leaf.type == PARQUET_BYTE_ARRAY)
            buf_addf(out, "=%.*s", SLICE_FMT(c[i].bytes));
        else if (c[i].present)
            buf_addf(out, "=%jd", (intmax_t)c[i].number);
    }
    buf_add_str(out, "; ");
}

/* Aim: maps, lists of lists, structs and nulls at every depth come out as they were stored, over
 * row groups. */
static void test_nested(void **state)
{
    (void)state;
    static const struct {
        const char *path, *cells;
    } leaves[] = {
        {"add.path", "0/1=a; 0/0; 0/1=b; 0/1=c; "},
        {"add.partitionValues.*.key", "0/3=x 1/3=y; 0/0; 0/2; 0/1; "},
        {"add.partitionValues.key_value.value", "0/4=1 1/3; 0/0; 0/2; 0/1; "},
        {"add.lists.*.element.list.*", "0/6=1 2/6=2 1/4 1/3 1/6=3 2/5; 0/0; 0/1; 0/2; "},
        {"add.deletionVector.offset", "0/1; 0/0; 0/3=7; 0/2; "},
        {"version", "0/1=1; 0/1=2; 0/0; 0/1=4; "},
    };
    for (char version = '1'; version <= '2'; version++) {
        AUTO(fixture) struct fixture f;
        fixture_load(&f, version == '1' ? "nested_v1" : "nested_v2");
        AUTO(parquet) struct parquet *p = parquet_open(&f.source, NULL);
        assert_non_null(p);
        struct buf cells[ARRAY_SIZE(leaves)];
        for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
            buf_init(&cells[i], KIB);
            assert_int_equal(parquet_choose(p, leaves[i].path, NULL), i);
        }
        while (next(p) == 1)
            for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
                render(&cells[i], p, (int)i);
        for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
            assert_string_equal(cells[i].data, leaves[i].cells);
            buf_done(&cells[i]);
        }
    }
}

/* Aim: a row that is longer than a batch, and than a page, keeps all its strings. */
static void test_long_rows(void **state)
{
    (void)state;
    static const char *const files[] = {"long_plain", "long_delta"};
    static const size_t lengths[] = {1, 2500, 0, 1030};
    for (size_t k = 0; k < ARRAY_SIZE(files); k++) {
        AUTO(fixture) struct fixture f;
        fixture_load(&f, files[k]);
        AUTO(parquet) struct parquet *p = parquet_open(&f.source, NULL);
        assert_non_null(p);
        int handle = parquet_choose(p, "list.*.*", NULL);
        for (size_t row = 0; row < ARRAY_SIZE(lengths); row++) {
            assert_int_equal(next(p), 1);
            size_t n;
            const struct parquet_cell *cells = parquet_cells(p, handle, &n);
            assert_int_equal(n, lengths[row] ? lengths[row] : 1);
            for (size_t i = 0; i < lengths[row]; i++) {
                char expected[32];
                (void)snprintf(expected, sizeof expected, "%zu-%zu", row, i);
                assert_true(slice_is(cells[i].bytes, expected));
            }
        }
        assert_int_equal(next(p), 0);
    }
}

/* Aim: leaves are found by path, with and without wildcards, and nothing else is. */
static void test_schema(void **state)
{
    (void)state;
    AUTO(fixture) struct fixture f;
    fixture_load(&f, "nested_v1");
    AUTO(parquet) struct parquet *p = parquet_open(&f.source, NULL);
    assert_non_null(p);
    struct err err = ERR_INIT;
    assert_int_equal(parquet_choose(p, "add", &err), -ENOENT);
    assert_int_equal(parquet_choose(p, "add.pat", &err), -ENOENT);
    assert_int_equal(parquet_choose(p, "add.path.", &err), -ENOENT);
    assert_int_equal(parquet_choose(p, "*.path", &err), 0);
    assert_int_equal(parquet_choose(p, "add.path", &err), 0);
    assert_int_equal(parquet_leaves(p), 6);
    AUTO(buf) struct buf path = {0};
    buf_init(&path, KIB);
    parquet_leaf_path(p, 3, &path);
    assert_string_equal(path.data, "add.lists.list.element.list.element");
}

/* Aim: a file without rows ends at once, and rows are counted where no leaf was chosen. */
static void test_empty(void **state)
{
    (void)state;
    AUTO(fixture) struct fixture f;
    fixture_load(&f, "empty");
    AUTO(parquet) struct parquet *p = parquet_open(&f.source, NULL);
    assert_non_null(p);
    assert_int_equal(parquet_choose(p, "text", NULL), 0);
    assert_int_equal(next(p), 0);
    AUTO(fixture) struct fixture g;
    fixture_load(&g, "pages_v1");
    AUTO(parquet) struct parquet *q = parquet_open(&g.source, NULL);
    assert_non_null(q);
    int rows = 0;
    while (next(q) == 1)
        rows++;
    assert_int_equal(rows, ROWS);
}

/* Opens and reads everything; 0 or the first error, always with a message. */
static int read_all(struct fixture *f, struct err *err)
{
    AUTO(parquet) struct parquet *p = parquet_open(&f->source, err);
    if (!p)
        return -err->code;
    for (size_t i = 0; i < parquet_leaves(p); i++) {
        AUTO(buf) struct buf path = {0};
        buf_init(&path, MIB);
        parquet_leaf_path(p, i, &path);
        (void)parquet_choose(p, path.data ? path.data : "", NULL); /* as many as there are */
    }
    int rc;
    while ((rc = parquet_next_row(p, err)) > 0)
        continue;
    if (rc < 0) {
        struct err again = ERR_INIT;
        assert_int_equal(parquet_next_row(p, &again), rc);
        assert_string_equal(again.msg, err->msg);
    }
    return rc;
}

/* Aim: a file that is cut anywhere is refused. */
static void test_cut(void **state)
{
    (void)state;
    AUTO(fixture) struct fixture whole;
    fixture_load(&whole, "nested_v1");
    for (size_t n = 0; n < whole.size; n++) {
        AUTO(fixture) struct fixture f;
        fixture_set(&f, slice_make(whole.data, n));
        struct err err = ERR_INIT;
        assert_true(read_all(&f, &err) < 0);
        assert_int_not_equal(err.msg[0], 0);
    }
}

/* Aim: no flipped bit does harm, and in the pages of a file with checksums each one is found. */
static void test_flipped(void **state)
{
    (void)state;
    AUTO(fixture) struct fixture f;
    fixture_load(&f, "pages_v2");
    for (size_t i = 0; i < f.size; i++) {
        f.data[i] ^= (char)(1 << (i % 8));
        struct err err = ERR_INIT;
        int rc = read_all(&f, &err);
        assert_true(rc == 0 || err.msg[0]);
        f.data[i] ^= (char)(1 << (i % 8));
    }
    const char *text = memmem(f.data, f.size, "key-", 4);
    assert_non_null(text);
    f.data[text - f.data] = 'K';
    struct err err = ERR_INIT;
    assert_int_equal(read_all(&f, &err), -EIO);
    assert_non_null(strstr(err.msg, "column text"));
    assert_non_null(strstr(err.msg, "checksum"));
}

static int read_fails(void *arg, uint64_t offset, void *to, size_t n, struct err *err)
{
    const struct fixture *f = arg;
    if (offset < f->size / 2)
        return err_set(err, ESTALE, "changed under the reader");
    return read_memory(arg, offset, to, n, err);
}

/* Aim: the source's error comes through with its code. */
static void test_source_fails(void **state)
{
    (void)state;
    AUTO(fixture) struct fixture f;
    fixture_load(&f, "plain_v1");
    f.source.read = read_fails;
    struct err err = ERR_INIT;
    assert_int_equal(read_all(&f, &err), -ESTALE);
    assert_non_null(strstr(err.msg, "changed under the reader"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codecs_and_encodings),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_source_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
