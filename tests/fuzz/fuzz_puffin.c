/* SPDX-License-Identifier: Apache-2.0 */
/* Property: whatever the bytes are, they are a Puffin file whose blobs lie in it, or an error; a
 * blob is a deletion vector or an error. */
#include <assert.h>

#include "base/limits.h"
#include "lake/format/puffin.h"
#include "lake/format/roaring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t sum; /* so that every byte that is given is looked at */

static void add(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        sum += (uint8_t)s.p[i];
}

static void look_at(struct slice file, const struct puffin_blob *blob, uint64_t end)
{
    struct err err = ERR_INIT;
    AUTO(roaring) struct roaring *r = NULL;
    add(blob->type);
    add(blob->codec);
    for (size_t i = 0; i < blob->fields_n; i++)
        sum += (uint64_t)blob->fields[i];
    for (size_t i = 0; i < blob->properties_n; i++) {
        add(blob->properties[i].key);
        add(puffin_property(blob, "cardinality"));
    }
    assert(blob->offset >= 4 && blob->offset <= end && blob->length <= end - blob->offset);
    int rc = roaring_parse_framed(slice_make(file.p + blob->offset, blob->length), &r, &err);
    assert(rc == -err.code && (rc == 0) == (r != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    struct slice file = slice_make(data, size);
    AUTO(puffin) struct puffin *p = NULL;
    uint64_t n;
    if (size < PUFFIN_TAIL_BYTES)
        return 0;
    int rc = puffin_footer_bytes(slice_from(file, size - PUFFIN_TAIL_BYTES), size, &n, &err);
    if (rc == 0) {
        assert(n <= size);
        rc = puffin_parse(slice_from(file, size - n), size, &p, &err);
    }
    assert(rc == -err.code && (rc == 0) == (p != NULL));
    for (size_t i = 0; p && i < puffin_blobs(p); i++)
        look_at(file, puffin_blob(p, i), size - n);
    return 0;
}
