/* SPDX-License-Identifier: Apache-2.0 */
/* Rewrites tests/fixtures/parquet in memory. TARN_SEED repeats a run; what other readers say of
 * such files is in tests/e2e/test_rewrite.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/limits.h"
#include "lake/format/parquet_rewrite.h"

#define ROWS 300
#define SLACK (64 * KIB)

static const char *const fixtures[] = {
    "codec_brotli_v1", "codec_gzip_v1",    "codec_lz4_v2", "codec_none_v1", "codec_snappy_v1",
    "codec_zstd_v2",   "delta_v2",         "length_v1",    "long_delta",    "long_plain",
    "nested_v1",       "nested_v2",        "pages_v1",     "pages_v2",      "plain_v2",
    "types_delta",     "types_dictionary", "types_plain",  "types_split",
};

struct memory {
    struct buf file, out;
    struct source source;
    struct parquet_sink sink;
    unsigned reads_left, writes_left; /* until one fails */
    unsigned rewinds;
};

static int read_memory(void *arg, uint64_t offset, void *to, size_t n, struct err *err)
{
    struct memory *m = arg;
    assert_true(offset <= m->file.len && n <= m->file.len - offset);
    if (m->reads_left-- == 0)
        return err_set(err, ECONNRESET, "the source fails");
    memcpy(to, m->file.data + offset, n);
    return 0;
}

static int write_memory(void *arg, struct slice bytes, struct err *err)
{
    struct memory *m = arg;
    if (m->writes_left-- == 0)
        return err_set(err, ENOSPC, "the sink fails");
    buf_add_slice(&m->out, bytes);
    return 0;
}

static int rewind_memory(void *arg, struct err *err)
{
    struct memory *m = arg;
    (void)err;
    m->rewinds++;
    buf_reset(&m->out);
    return 0;
}

static void memory_load(struct memory *m, const char *name)
{
    char path[256];
    struct err err = ERR_INIT;
    (void)snprintf(path, sizeof path, "tests/fixtures/parquet/%s.parquet", name);
    *m = (struct memory){.reads_left = UINT32_MAX, .writes_left = UINT32_MAX};
    buf_init(&m->file, MIB);
    buf_init(&m->out, MIB);
    assert_int_equal(file_read(AT_FDCWD, path, &m->file, &err), 0);
    m->source = (struct source){.size_bytes = m->file.len, .read = read_memory, .arg = m};
    m->sink = (struct parquet_sink){write_memory, rewind_memory, m};
}

static void memory_done(struct memory *m)
{
    buf_done(&m->file);
    buf_done(&m->out);
}
DEFINE_AUTO_DONE(memory, struct memory, memory_done)

static struct present_plan *plan_of(const struct memory *m, uint64_t slack)
{
    struct err err = ERR_INIT;
    struct present_plan *plan = NULL;
    const struct buf *f = &m->file;
    uint32_t n;
    memcpy(&n, f->data + f->len - 8, sizeof n);
    struct present_request r = {.footer = slice_make(f->data + f->len - 8 - n, n),
                                .object_bytes = f->len,
                                .presented_bytes = f->len + slack,
                                .deletes = true};
    assert_int_equal(present_plan(&r, &plan, &err), 0);
    assert_int_equal(plan->kind, PRESENT_REWRITE);
    return plan;
}

/* Random rows as a bitmap of one array container; gone[] says which. */
static struct roaring *some_rows(bool gone[ROWS], uint64_t *random)
{
    AUTO(buf) struct buf b = {0};
    struct roaring *r = NULL;
    struct err err = ERR_INIT;
    uint16_t n = 0;
    unsigned share = 1 + (unsigned)(*random >> 33) % 9;
    buf_init(&b, KIB * 4);
    for (unsigned i = 0; i < ROWS; i++) {
        *random = *random * 6364136223846793005ULL + 1442695040888963407ULL;
        gone[i] = (*random >> 33) % 10 < share;
        n = (uint16_t)(n + gone[i]);
    }
    gone[0] = false; /* one stays, one goes */
    gone[1] = true;
    n = 0;
    for (unsigned i = 0; i < ROWS; i++)
        n = (uint16_t)(n + gone[i]);
    uint32_t head[] = {12346, 1, (uint32_t)(n - 1) << 16, 16};
    buf_add(&b, head, sizeof head);
    for (uint16_t i = 0; i < ROWS; i++)
        if (gone[i])
            buf_add(&b, &i, sizeof i);
    assert_int_equal(roaring_parse(buf_slice(&b), &r, &err), 0);
    return r;
}

static struct parquet *open_all(const struct source *source, int *handles, size_t *n)
{
    struct err err = ERR_INIT;
    struct parquet *p = parquet_open(source, &err);
    assert_non_null(p);
    *n = parquet_leaves(p);
    for (size_t i = 0; i < *n; i++) {
        AUTO(buf) struct buf path = {0};
        buf_init(&path, KIB);
        parquet_leaf_path(p, i, &path);
        handles[i] = parquet_choose(p, path.data, &err);
        assert_true(handles[i] >= 0);
    }
    return p;
}

static void same_cells(const struct parquet *a, const struct parquet *b, int handle)
{
    size_t n, m;
    const struct parquet_cell *x = parquet_cells(a, handle, &n), *y = parquet_cells(b, handle, &m);
    assert_int_equal(n, m);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(x[i].repetition, y[i].repetition);
        assert_int_equal(x[i].definition, y[i].definition);
        assert_int_equal(x[i].number, y[i].number);
        assert_memory_equal(&x[i].real, &y[i].real, sizeof x[i].real);
        assert_true(slice_eq(x[i].bytes, y[i].bytes));
    }
}

/* The presented file's rows are those of the stored one that are not gone. */
static void check_rows(struct memory *m, const bool gone[ROWS])
{
    AUTO(memory) struct memory copy = {.reads_left = UINT32_MAX};
    struct err err = ERR_INIT;
    int handles[64];
    size_t n;
    buf_init(&copy.file, MIB);
    buf_add_slice(&copy.file, buf_slice(&m->out));
    copy.source = (struct source){.size_bytes = copy.file.len, .read = read_memory, .arg = &copy};
    m->reads_left = UINT32_MAX;
    AUTO(parquet) struct parquet *stored = open_all(&m->source, handles, &n);
    AUTO(parquet) struct parquet *presented = open_all(&copy.source, handles, &n);
    for (size_t row = 0; parquet_next_row(stored, &err) == 1; row++) {
        if (row < ROWS && gone[row])
            continue;
        assert_int_equal(parquet_next_row(presented, &err), 1);
        for (size_t i = 0; i < n; i++)
            same_cells(stored, presented, handles[i]);
    }
    assert_int_equal(parquet_next_row(presented, &err), 0);
}

static uint64_t seed(void)
{
    const char *given = getenv("TARN_SEED");
    uint64_t s = given ? strtoull(given, NULL, 10) : 20261121;
    printf("seed %ju\n", (uintmax_t)s);
    return s;
}

/* Aim: each codec, encoding and page version, without random rows, has the other rows, cell by
 * cell, in a file of the promised size. */
static void test_rows(void **state)
{
    (void)state;
    uint64_t random = seed();
    for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++)
        for (unsigned round = 0; round < 8; round++) {
            AUTO(memory) struct memory m;
            struct err err = ERR_INIT;
            bool gone[ROWS];
            memory_load(&m, fixtures[i]);
            AUTO(present_plan) struct present_plan *plan = plan_of(&m, SLACK);
            AUTO(roaring) struct roaring *rows = some_rows(gone, &random);
            assert_int_equal(parquet_rewrite(&m.source, plan, rows, &m.sink, &err), 0);
            assert_int_equal(m.out.len, m.file.len + SLACK);
            assert_int_equal(m.rewinds, 0);
            check_rows(&m, gone);
        }
}

/* Aim: without room it is tried once more, smaller; then it is refused, and without a sink that
 * can rewind at once. */
static void test_room(void **state)
{
    (void)state;
    uint64_t random = seed();
    unsigned refused = 0, squeezed = 0;
    for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++)
        for (unsigned round = 0; round < 8; round++) {
            AUTO(memory) struct memory m;
            struct err err = ERR_INIT;
            bool gone[ROWS];
            memory_load(&m, fixtures[i]);
            AUTO(present_plan) struct present_plan *plan = plan_of(&m, 0);
            AUTO(roaring) struct roaring *rows = some_rows(gone, &random);
            int rc = parquet_rewrite(&m.source, plan, rows, &m.sink, &err);
            assert_true(rc == 0 || rc == -EOPNOTSUPP);
            refused += rc < 0;
            squeezed += rc == 0 && m.rewinds;
            assert_true(rc == 0 || m.rewinds == 1);
            if (rc == 0) {
                assert_int_equal(m.out.len, m.file.len);
                check_rows(&m, gone);
                continue;
            }
            m.sink.rewind = NULL;
            buf_reset(&m.out);
            assert_int_equal(parquet_rewrite(&m.source, plan, rows, &m.sink, &err), -EOPNOTSUPP);
            assert_int_equal(m.rewinds, 1);
        }
    printf("%u refused, %u fitted the second time\n", refused, squeezed);
    assert_true(squeezed > 0);
}

/* Aim: whichever read or write fails, its error comes back. */
static void test_failures(void **state)
{
    (void)state;
    uint64_t random = seed();
    for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++)
        for (unsigned which = 0, failed = 1; failed; which++) {
            failed = 0;
            for (unsigned write = 0; write < 2; write++) {
                AUTO(memory) struct memory m;
                struct err err = ERR_INIT;
                bool gone[ROWS];
                memory_load(&m, fixtures[i]);
                AUTO(present_plan) struct present_plan *plan = plan_of(&m, SLACK);
                AUTO(roaring) struct roaring *rows = some_rows(gone, &random);
                *(write ? &m.writes_left : &m.reads_left) = which;
                int rc = parquet_rewrite(&m.source, plan, rows, &m.sink, &err);
                assert_int_equal(rc, -err.code);
                assert_true(rc == 0 || rc == (write ? -ENOSPC : -ECONNRESET));
                failed += rc < 0;
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
