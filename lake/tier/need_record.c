/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/tier/need_record.h"

#include <endian.h>

struct need_record need_record_parse(struct slice record)
{
    struct need_record r;
    memcpy(&r.head, record.p, sizeof r.head);
    r.object = slice_make(record.p + sizeof r.head, r.head.object_bytes);
    r.more = slice_make(r.object.p + r.object.n, r.head.more_bytes);
    return r;
}

void need_record_format(struct buf *out, const struct need_record *r)
{
    struct need_head head = r->head;
    head.object_bytes = (uint32_t)r->object.n;
    head.more_bytes = (uint32_t)r->more.n;
    buf_reset(out);
    buf_add(out, &head, sizeof head);
    buf_add_slice(out, r->object);
    buf_add_slice(out, r->more);
}

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Within one version what goes comes before what comes: a file that is replaced is held. */
static unsigned rank(uint32_t what)
{
    return what == OBJECT_REMOVED ? 0 : 1;
}

int need_record_compare(struct slice a, struct slice b)
{
    struct need_record x = need_record_parse(a), y = need_record_parse(b);
    int c = slice_cmp(x.object, y.object);
    c = c ? c : order(x.head.table, y.head.table);
    c = c ? c : order(x.head.holder, y.head.holder);
    c = c ? c : order(x.head.position, y.head.position);
    c = c ? c : order(rank(x.head.what), rank(y.head.what));
    c = c ? c : order(x.head.moves_rows, y.head.moves_rows);
    c = c ? c : order(x.head.size, y.head.size);
    c = c ? c : order((uint64_t)x.head.mtime_ms, (uint64_t)y.head.mtime_ms);
    return c ? c : slice_cmp(x.more, y.more);
}

bool need_record_bytes(struct slice record, size_t at, uint64_t *out)
{
    struct need_head head;
    uint64_t word = 0;
    memcpy(&head, record.p, sizeof head);
    if (at >= head.object_bytes)
        return false;
    size_t n = head.object_bytes - at;
    memcpy(&word, record.p + sizeof head + at, n < sizeof word ? n : sizeof word);
    *out = be64toh(word);
    return true;
}
