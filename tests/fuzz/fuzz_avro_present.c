/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property: whatever an Avro file begins with, its columns are compared in bounded time and memory
 * or it is refused.
 */
#include <assert.h>

#include "lake/format/avro_present.h"
#include "lake/format/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct shape *some_shape(void)
{
    struct shape_builder b;
    struct shape *s = NULL;
    shape_builder_init(&b, SHAPE_BY_ID);
    shape_add(&b, &(struct shape_field){.name = SLICE_LIT("id"), .id = 1, .type = SHAPE_INT64});
    shape_add(&b, &(struct shape_field){.name = SLICE_LIT("m"), .id = 2, .kind = SHAPE_MAP});
    shape_add(&b, &(struct shape_field){.name = SLICE_LIT("key"), .id = 3, .type = SHAPE_STRING});
    shape_add(&b, &(struct shape_field){.name = SLICE_LIT("value"), .id = 4, .kind = SHAPE_LIST});
    shape_add(&b, &(struct shape_field){.name = SLICE_LIT("element"), .id = 5, .type = SHAPE_DATE});
    shape_end(&b);
    shape_end(&b);
    int rc = shape_finish(&b, &s, NULL);
    assert(rc == 0);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(shape) struct shape *s = some_shape();
    struct slice head = slice_make(data, size);
    struct err err = ERR_INIT;
    int rc = avro_presents(head, s, &err);
    assert(rc == -err.code && (rc < 0 || avro_is(head)));
    return 0;
}
