/* SPDX-License-Identifier: Apache-2.0 */
/* A Parquet file that a fuzzer made, in memory. */
#ifndef TESTS_FUZZ_PARQUET_MEMORY_H
#define TESTS_FUZZ_PARQUET_MEMORY_H

#include <string.h>

#include "base/limits.h"
#include "lake/format/parquet_footer.h"

/* Cells take time that the bytes of a file do not tell: a run of them has a few. */
#define CELLS_MAX 200000

/* A source's read; arg: the file, a struct slice. */
static inline int read_memory(void *arg, uint64_t offset, void *to, size_t n, struct err *err)
{
    const struct slice *file = arg;
    if (offset > file->n || n > file->n - offset)
        return err_set(err, EIO, "outside the file");
    if (n)
        memcpy(to, file->p + offset, n);
    return 0;
}

/* What the file's end says is its footer. */
static inline struct slice footer_of(struct slice file)
{
    uint32_t n;
    if (file.n < 12)
        return SLICE_NONE;
    memcpy(&n, file.p + file.n - 8, sizeof n);
    return n > file.n - 12 ? SLICE_NONE : slice_make(file.p + file.n - 8 - n, n);
}

/* How many its footer claims; UINT64_MAX: too many to go through. */
static inline uint64_t cells_of(const struct parquet_footer *f)
{
    uint64_t n = f->rows * (f->leaves_n + 1);
    for (size_t g = 0; g < f->groups_n; g++)
        for (size_t i = 0; i < f->leaves_n; i++)
            if (__builtin_add_overflow(n, f->chunks[g][i].cells, &n))
                return UINT64_MAX;
    return f->rows > CELLS_MAX ? UINT64_MAX : n;
}

#endif
