/* SPDX-License-Identifier: Apache-2.0 */
/* What a store says of one object (its tags, its access list, its copy) from a server that means
 * harm: an error, or what can be kept; and tags that are written are read again. */
#include <assert.h>

#include "cache/store/s3_class.h"
#include "cache/store/store_tags.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tags(struct slice xml)
{
    AUTO_FREE struct store_tags *tags = calloc(2, sizeof *tags);
    AUTO(buf) struct buf text = {0};
    assert(tags);
    if (store_tags_parse(xml, &tags[0], NULL) < 0)
        return;
    assert(tags[0].count <= STORE_TAGS_MAX);
    buf_init(&text, MIB);
    store_tags_format(&tags[0], "Tagging", &text);
    if (store_tags_parse(buf_slice(&text), &tags[1], NULL) < 0)
        return; /* characters that XML cannot hold */
    assert(tags[1].count == tags[0].count);
    for (unsigned i = 0; i < tags[0].count; i++) {
        assert(strcmp(tags[0].at[i].name, tags[1].at[i].name) == 0);
        assert(strcmp(tags[0].at[i].value, tags[1].at[i].value) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice xml = slice_make(data, size);
    struct s3_problem problem;
    char etag[ETAG_BYTES_MAX];
    bool private = false;
    check_tags(xml);
    (void)s3_ownership_enforced(xml);          /* either is right */
    (void)s3_acl_private(xml, &private, NULL); /* likewise */
    if (s3_copied_parse(xml, etag, &problem, NULL) == 0)
        assert(memchr(etag, '\0', sizeof etag));
    return 0;
}
