/* SPDX-License-Identifier: Apache-2.0 */
/* Property: whatever the bytes are, a bitmap is parsed in bounded memory; what walking gives
 * ascends, is as many rows as the bitmap counts, and counts of ranges agree with it. */
#include <assert.h>

#include "lake/format/roaring.h"

#define ROWS_MAX 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct roaring *r)
{
    uint64_t row, from = 0, seen = 0;
    while (seen < ROWS_MAX && roaring_next(r, from, &row)) {
        assert(row >= from);
        assert(roaring_count_between(r, from, row) == 0);
        assert(roaring_count_between(r, row, row + 1) == 1);
        seen++;
        from = row + 1;
    }
    assert(seen == ROWS_MAX || seen == roaring_count(r));
    assert(roaring_count_between(r, 0, from) == seen);
    assert(roaring_count_between(r, 0, UINT64_MAX) == roaring_count(r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int array = 0; array < 2; array++) {
        struct err err = ERR_INIT;
        AUTO(roaring) struct roaring *r = NULL;
        struct slice bytes = slice_make(data, size);
        int rc = array ? roaring_parse_array(bytes, &r, &err) : roaring_parse(bytes, &r, &err);
        if (rc == 0)
            look_at(r);
        else
            assert(rc == -err.code && !r);
    }
    return 0;
}
