/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property: whatever stands at an ORC file's end, it is read in bounded time and memory or refused.
 */
#include <assert.h>

#include "lake/format/orc.h"
#include "lake/format/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct shape *some_shape(void)
{
    struct shape_builder b;
    struct shape *s = NULL;
    shape_builder_init(&b, SHAPE_BY_ID);
    shape_add(&b, &(struct shape_field){.name = SLICE_LIT("id"), .id = 1, .type = SHAPE_INT64});
    shape_add(&b, &(struct shape_field){.name = SLICE_LIT("name"), .id = 2, .type = SHAPE_STRING});
    shape_add(&b, &(struct shape_field){.name = SLICE_LIT("day"), .id = 3, .type = SHAPE_DATE});
    int rc = shape_finish(&b, &s, NULL);
    assert(rc == 0);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(shape) struct shape *s = some_shape();
    struct slice end = slice_make(data, size);
    struct err err = ERR_INIT;
    uint64_t n = 0;
    int rc = orc_tail_bytes(end, size, &n, &err);
    assert(rc == -err.code && (rc < 0 || n <= size));
    err = (struct err)ERR_INIT;
    rc = orc_presents(end, s, &err);
    assert(rc == -err.code);
    return 0;
}
