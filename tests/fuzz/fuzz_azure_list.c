/* SPDX-License-Identifier: Apache-2.0 */
/* A page of Azure's listing from a server that means harm, and a connection string: refused, or
 * every name is there; never a crash. */
#include <assert.h>

#include "cache/store/azure_auth.h"
#include "cache/store/azure_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    AUTO(s3_page) struct s3_page page;
    s3_page_init(&page);
    int rc = azure_page_parse(slice_make(data, size), &page, &err);
    assert(rc == -err.code);
    for (size_t i = 0; rc == 0 && i < page.lines.n; i++) {
        const struct s3_line *line = &page.lines.at[i];
        assert(line->key.n && !memchr(line->key.p, '\0', line->key.n));
        assert(line->etag.n < ETAG_BYTES_MAX);
    }
    struct azure_connection c;
    struct azure_key key;
    if (azure_connection_parse(slice_make(data, size), &c)) {
        assert(c.key.n || c.sas.n);
        (void)azure_key_parse(c.key, &key); /* only not to crash */
    }
    return 0;
}
