/* SPDX-License-Identifier: Apache-2.0 */
/* A page of a listing and an error document from a server that means harm: an error or a page whose
 * every key is there, never a crash. */
#include <assert.h>

#include "cache/store/s3_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    for (int versions = 0; versions < 2; versions++) {
        AUTO(s3_page) struct s3_page page;
        s3_page_init(&page);
        int rc = s3_page_parse(slice_make(data, size), versions, &page, &err);
        assert(rc < 0 ? rc == -err.code : true);
        if (rc < 0)
            continue;
        assert(!page.truncated || (versions ? page.next_key : page.token));
        for (size_t i = 0; i < page.lines.n; i++) {
            const struct s3_line *line = &page.lines.at[i];
            assert(line->key.n && (!versions || line->is_prefix || line->version.n));
            assert(line->version.n < VERSION_ID_BYTES_MAX);
        }
    }
    bool keeps;
    (void)s3_versioning_parse(slice_make(data, size), &keeps, &err); /* either is right */
    struct s3_problem problem;
    s3_problem_parse(slice_make(data, size), &problem);
    assert(memchr(problem.code, '\0', sizeof problem.code));
    assert(memchr(problem.message, '\0', sizeof problem.message));
    return 0;
}
