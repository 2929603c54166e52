/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a store's URL: refused, or parsed to something whose canonical form is the same
 * store. */
#include <assert.h>

#include "base/limits.h"
#include "cache/store/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(url) struct url u = {0}, again = {0};
    struct err err = ERR_INIT;
    int rc = url_parse(slice_make(data, size), &u, &err);
    assert(rc == -err.code);
    if (rc < 0)
        return 0;
    if (u.kind == URL_LOCAL) {
        assert(u.path && u.path[0]);
        return 0;
    }
    AUTO(buf) struct buf first, second;
    buf_init(&first, 2 * URL_BYTES_MAX);
    buf_init(&second, 2 * URL_BYTES_MAX);
    url_format(&u, &first);
    assert(!first.failed);
    if (first.len > URL_BYTES_MAX)
        return 0; /* by the `/` that was added */
    rc = url_parse(buf_slice(&first), &again, &err);
    assert(rc == 0);
    url_format(&again, &second);
    assert(slice_eq(buf_slice(&first), buf_slice(&second)));
    return 0;
}
