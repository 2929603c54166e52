/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever lies in `_tarn/tags/`: a key gives a name that can be one and comes back, or nothing; an
 * object gives a version, -1, or nothing. */
#include <assert.h>

#include "base/limits.h"
#include "lake/tags.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(struct slice name)
{
    AUTO(buf) struct buf text = {0}, back = {0};
    buf_init(&text, KEY_BYTES_MAX);
    buf_init(&back, KEY_BYTES_MAX);
    assert(tag_name_valid(name));
    tag_name_format(&text, name);
    assert(!text.failed && memchr(text.data, '/', text.len) == NULL);
    assert(tag_name_parse(&back, buf_slice(&text)) && slice_eq(buf_slice(&back), name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf) struct buf name = {0};
    struct slice text = slice_make(data, size);
    uint64_t generation;
    int64_t version = 0;
    buf_init(&name, 4 * KEY_BYTES_MAX);
    if (tags_parse_key(text, &name, &generation))
        check_name(buf_slice(&name));
    buf_reset(&name);
    if (tag_name_parse(&name, text))
        check_name(buf_slice(&name));
    if (tags_parse_object(text, &version))
        assert(version >= -1);
    return 0;
}
