/* SPDX-License-Identifier: Apache-2.0 */
/* Any key has one path of names that a file can have, or none; the path leads back to the key,
 * and to no other directory. */
#include <assert.h>

#include "base/limits.h"
#include "base/text.h"
#include "lake/key_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(struct slice name)
{
    assert(name.n > 0 && name.n <= NAME_BYTES_MAX);
    assert(!slice_is(name, ".") && !slice_is(name, "..") && !slice_is(name, KEY_NAME_META));
    assert(utf8_valid(name));
    for (size_t i = 0; i < name.n; i++)
        assert((unsigned char)name.p[i] >= 0x20 && name.p[i] != 0x7f && name.p[i] != '/');
}

static void check(struct slice key, bool beside_dir)
{
    AUTO(buf) struct buf path = {0}, back = {0};
    buf_init(&path, 2 * KEY_BYTES_MAX);
    buf_init(&back, 2 * KEY_BYTES_MAX);
    if (key_name_add_path(&path, key, beside_dir) != KEY_FLAW_NONE) {
        assert(path.len == 0);
        return;
    }
    assert(!path.failed && path.len <= KEY_BYTES_MAX);
    key_name_add_key(&back, buf_slice(&path));
    assert(slice_eq(buf_slice(&back), key));
    for (struct slice rest = buf_slice(&path);;) {
        ptrdiff_t slash = slice_find(rest, '/');
        check_name(slice_make(rest.p, slash < 0 ? rest.n : (size_t)slash));
        if (slash < 0)
            break;
        rest = slice_from(rest, (size_t)slash + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf) struct buf key = {0};
    struct slice text = slice_make(data, size);
    check(text, false);
    check(text, true);
    buf_init(&key, size + 1);
    key_name_add_key(&key, text); /* a path that nobody made */
    assert(!key.failed && key.len <= size);
    return 0;
}
