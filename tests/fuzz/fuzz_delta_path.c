/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: a path, a zero, a partition value. A presented path never has an empty, `.` or `..`
 * component, and its base name never begins with `_` or `.`; a key that is located has none of
 * those components either.
 */
#include <assert.h>

#include "base/limits.h"
#include "lake/delta/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_components(struct slice path)
{
    assert(path.n);
    for (;;) {
        ptrdiff_t slash = slice_find(path, '/');
        struct slice component = slice_make(path.p, slash < 0 ? path.n : (size_t)slash);
        assert(component.n && !slice_is(component, ".") && !slice_is(component, ".."));
        assert(slice_find(component, 0) < 0);
        if (slash < 0)
            return;
        path = slice_from(path, (size_t)slash + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct delta_root root = {.home = {"s3://b/lake", 11}, .prefix = {"t/", 2}};
    struct slice input = slice_make(data, size);
    ptrdiff_t zero = slice_find(input, 0);
    struct slice raw = zero < 0 ? input : slice_make(input.p, (size_t)zero);
    struct slice value = zero < 0 ? SLICE_NONE : slice_from(input, (size_t)zero + 1);
    struct delta_pair pair = {SLICE_LIT("p"), value, zero < 0};
    struct delta_column column = {.name = SLICE_LIT("p"), .loose = size % 2 != 0};
    struct delta_columns columns = {&column, size % 3 != 0};
    struct delta_file file = {.path = raw, .partition_values = {&pair, 1}};
    AUTO(buf) struct buf path, key;
    bool built = false;
    buf_init(&path, 2 * ACTION_BYTES_MAX);
    buf_init(&key, 2 * ACTION_BYTES_MAX);
    if (delta_path_present(&root, &columns, &file, &path, &built, NULL) == 0) {
        check_components(buf_slice(&path));
        ptrdiff_t slash = slice_rfind(buf_slice(&path), '/');
        char first = path.data[slash + 1];
        assert(first != '_' && first != '.');
    }
    struct store *store;
    if (delta_path_locate(&root, raw, &store, &key, NULL) == 0)
        check_components(buf_slice(&key));
    if (delta_path_key(&file, &key, NULL) == 0)
        assert(key.len > 1);
    return 0;
}
