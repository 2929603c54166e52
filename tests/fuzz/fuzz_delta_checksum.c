/* SPDX-License-Identifier: Apache-2.0 */
/* Property: whatever a checksum file holds, what is taken from it is counts and a short text. */
#include <assert.h>
#include <string.h>

#include "lake/delta/checksum.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct delta_checksum sum;
    memset(&sum, 0xff, sizeof sum);
    if (delta_checksum_parse(slice_make(data, size), &sum, NULL) < 0)
        return 0;
    assert(sum.files >= 0 && sum.bytes >= 0);
    assert(memchr(sum.table_id, 0, sizeof sum.table_id));
    return 0;
}
