/* SPDX-License-Identifier: Apache-2.0 */
/* Property: whatever the bytes are, a Parquet file is read in bounded time and memory, every row
 * has at least one cell a leaf, and the first cell alone begins it. */
#include <assert.h>

#include "lake/format/parquet.h"

#define ROWS_MAX 20000
#define LEAVES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_memory(void *arg, uint64_t offset, void *to, size_t n, struct err *err)
{
    const struct slice *file = arg;
    (void)err;
    assert(offset <= file->n && n <= file->n - offset);
    if (n)
        memcpy(to, file->p + offset, n);
    return 0;
}

static uint64_t sum; /* so that every byte that is given is looked at */

static void look_at(const struct parquet *p, int handle)
{
    size_t n;
    const struct parquet_cell *cells = parquet_cells(p, handle, &n);
    struct parquet_leaf leaf;
    parquet_leaf(p, handle, &leaf);
    assert(n > 0);
    for (size_t i = 0; i < n; i++) {
        assert((cells[i].repetition == 0) == (i == 0));
        assert(cells[i].repetition <= leaf.max_repetition);
        assert(cells[i].present == (cells[i].definition == leaf.max_definition));
        sum += (uint64_t)cells[i].number;
        for (size_t j = 0; j < cells[i].bytes.n; j++)
            sum += (uint8_t)cells[i].bytes.p[j];
    }
}

static int choose(struct parquet *p, size_t i)
{
    AUTO(buf) struct buf path = {0};
    buf_init(&path, 1 << 20);
    parquet_leaf_path(p, i, &path);
    return parquet_choose(p, path.data ? path.data : "", NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    struct slice file = slice_make(data, size);
    struct source source = {.size_bytes = size, .read = read_memory, .arg = &file};
    AUTO(parquet) struct parquet *p = parquet_open(&source, &err);
    if (!p) {
        assert(err.code);
        return 0;
    }
    int handles[LEAVES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < parquet_leaves(p) && n < LEAVES_MAX; i++) {
        int handle = choose(p, i);
        if (handle >= 0)
            handles[n++] = handle;
    }
    for (size_t row = 0; row < ROWS_MAX && parquet_next_row(p, &err) > 0; row++)
        for (size_t i = 0; i < n; i++)
            look_at(p, handles[i]);
    return 0;
}
