/* SPDX-License-Identifier: Apache-2.0 */
/* Property: whatever the footer says, a plan ends, and lies in the file. */
#include <assert.h>

#include "base/limits.h"
#include "lake/format/parquet_plan.h"

#define FILE_BYTES GIB
/* Every chunk of a layout once, in ranges of one or more; and again for each jump. */
#define RANGES_MAX (4 * PARQUET_PLAN_CHUNKS_MAX)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    AUTO(parquet_layout) struct parquet_layout *l = NULL;
    struct slice footer = slice_make((const char *)data, size);
    if (parquet_layout_parse(footer, FILE_BYTES, &l, &err) < 0) {
        assert(err.code && !l);
        return 0;
    }
    AUTO(parquet_plan) struct parquet_plan *p = parquet_plan_new(l);
    assert(p && parquet_layout_bytes(l) > 0);
    uint64_t offset, length;
    size_t ranges = 0;
    for (uint64_t at = 0; at < FILE_BYTES; at += FILE_BYTES / 16) {
        (void)parquet_plan_touch(p, at, FILE_BYTES / 16); /* on or elsewhere: both are fine */
        while (parquet_plan_next(p, &offset, &length)) {
            assert(length && length <= FILE_BYTES && offset <= FILE_BYTES - length);
            assert(++ranges <= RANGES_MAX);
        }
    }
    return 0;
}
