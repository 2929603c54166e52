/* SPDX-License-Identifier: Apache-2.0 */
/* Property: of whatever bytes, a line that counts as good has the hash of what is in it, and a log
 * is whole only where its good lines have the numbers one after another. */
#include <assert.h>

#include "lake/view/audit_verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(struct slice line)
{
    struct audit_line l;
    struct err err = ERR_INIT;
    if (audit_line_parse(line, &l, &err) < 0) {
        assert(err.code == EIO && err.msg[0]);
        return;
    }
    char hash[AUDIT_HASH_BYTES + 1];
    assert(l.at.line > 0 && strlen(l.prev) == AUDIT_HASH_BYTES);
    size_t seal = sizeof ",\"sha256\":\"\"}" - 1 + AUDIT_HASH_BYTES;
    sha256_hex(slice_make(line.p, line.n - seal), hash);
    assert(strcmp(hash, l.at.hash) == 0);
}

/* What is written from a text is read back, whatever the text is. */
static void check_made(struct slice text)
{
    AUTO(buf) struct buf event = {0}, line = {0};
    struct audit_chain chain;
    struct audit_line l;
    struct audit_event e = {.kind = AUDIT_DENIED, .path = text, .reason = text};
    buf_init(&event, 64 * text.n + 1000);
    buf_init(&line, 64 * text.n + 2000);
    audit_chain_init(&chain);
    audit_line_event(&event, &e, "/lake", text, 0);
    assert(audit_line_make(&line, &chain, buf_slice(&event), 1, 2, NULL) == 0);
    assert(slice_find(buf_slice(&line), '\n') == (ptrdiff_t)line.len - 1);
    assert(audit_line_parse(slice_make(line.data, line.len - 1), &l, NULL) == 0);
    assert(l.at.line == 1 && l.torn == 2 && !l.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_make(data, size);
    struct audit_verify v;
    struct audit_verify_end end = {.fragment = false};
    struct audit_chain chain;
    struct err err = ERR_INIT;
    bool before;
    int rc = 0;
    check_made(text);
    (void)audit_chain_parse(text, &chain); /* only must not read beyond it */
    audit_verify_init(&v);
    for (ptrdiff_t feed; rc == 0 && (feed = slice_find(text, '\n')) >= 0;) {
        uint64_t at = v.at.line, first = v.first;
        struct slice line = slice_make(text.p, (size_t)feed);
        check_line(line);
        rc = audit_verify_line(&v, line, &before, &err);
        assert(rc < 0 || v.at.line == at || !first || v.at.line == at + 1);
        text = slice_from(text, (size_t)feed + 1);
    }
    end.fragment = text.n > 0;
    if (rc == 0)
        rc = audit_verify_end(&v, &end, &before, &err);
    assert(rc == 0 || (rc == -EIO && err.msg[0]));
    return 0;
}
