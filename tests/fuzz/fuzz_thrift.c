/* SPDX-License-Identifier: Apache-2.0 */
/* Property: any bytes read as a Thrift struct end, inside the input; what is skipped and what is
 * read of the same field end at the same place. */
#include <assert.h>

#include "lake/format/parquet_footer.h"
#include "lake/format/thrift.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads a field by its type instead of passing over it. False where only skipping is possible. */
static bool read_field(struct thrift *t, const struct thrift_field *f)
{
    switch (f->type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        return thrift_bool(t, f) == (f->type == THRIFT_TRUE);
    case THRIFT_I8:
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        (void)thrift_int(t, f); /* any number will do */
        return true;
    case THRIFT_BINARY:
        (void)thrift_binary(t, f); /* likewise */
        return true;
    case THRIFT_STOP:
    case THRIFT_DOUBLE:
    case THRIFT_LIST:
    case THRIFT_SET:
    case THRIFT_MAP:
    case THRIFT_STRUCT_TYPE:
    case THRIFT_UUID:
        break;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct thrift t = thrift_make(slice_make(data, size));
    struct thrift_field f = THRIFT_STRUCT;
    while (thrift_next(&t, &f)) {
        struct thrift skipped = t;
        thrift_skip(&skipped, &f);
        assert(skipped.in.p >= t.in.p && skipped.in.p <= t.in.end);
        if (!read_field(&t, &f))
            t = skipped;
        assert(t.in.bad == skipped.in.bad && (t.in.bad || t.in.p == skipped.in.p));
    }
    AUTO(parquet_footer) struct parquet_footer footer = {0};
    struct err err = ERR_INIT;
    if (parquet_footer_parse(&footer, slice_make(data, size), &err) < 0)
        assert(err.code);
    return 0;
}
