/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/index/file_record.h"

#include <assert.h>

struct file_record file_record_parse(struct slice record)
{
    struct file_record f;
    memcpy(&f.head, record.p, sizeof f.head);
    const char *at = record.p + sizeof f.head;
    assert(record.n == sizeof f.head + f.head.order_bytes + f.head.raw_bytes + f.head.extra_bytes);
    f.order = slice_make(at, f.head.order_bytes);
    f.raw = slice_make(at + f.order.n, f.head.raw_bytes);
    f.extra = slice_make(at + f.order.n + f.raw.n, f.head.extra_bytes);
    return f;
}

void file_record_format(struct buf *out, const struct file_record *f)
{
    struct file_head head = f->head;
    head.order_bytes = (uint32_t)f->order.n;
    head.raw_bytes = (uint32_t)f->raw.n;
    head.extra_bytes = (uint32_t)f->extra.n;
    buf_reset(out);
    buf_add(out, &head, sizeof head);
    buf_add_slice(out, f->order);
    buf_add_slice(out, f->raw);
    buf_add_slice(out, f->extra);
}

int file_record_compare(struct slice a, struct slice b)
{
    struct file_record x = file_record_parse(a);
    struct file_record y = file_record_parse(b);
    int c = slice_cmp(x.order, y.order);
    if (c)
        return c;
    static const uint32_t flags[] = {FILE_ALIAS, ENTRY_BUILT, FILE_RAW_IS_PATH};
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        if ((x.head.flags ^ y.head.flags) & flags[i])
            return x.head.flags & flags[i] ? 1 : -1;
    c = slice_cmp(x.raw, y.raw);
    return c ? c : slice_cmp(a, b);
}

bool file_record_bytes(struct slice record, size_t at, uint64_t *out)
{
    uint32_t n;
    memcpy(&n, record.p + offsetof(struct file_head, order_bytes), sizeof n);
    if (at >= n)
        return false;
    const char *p = record.p + sizeof(struct file_head) + at;
    uint64_t bytes = 0;
    memcpy(&bytes, p, n - at < sizeof bytes ? n - at : sizeof bytes);
    *out = __builtin_bswap64(bytes);
    return true;
}

void file_order_of_path(struct buf *out, struct slice path)
{
    buf_reset(out);
    ptrdiff_t slash = slice_rfind(path, '/');
    size_t dir_bytes = slash < 0 ? 0 : (size_t)slash + 1;
    buf_add(out, path.p, dir_bytes);
    for (size_t i = 0; i < out->len; i++)
        if (out->data[i] == '/')
            out->data[i] = '\0';
    buf_add_char(out, '\0');
    buf_add_slice(out, slice_from(path, dir_bytes));
}

void file_path_of_order(struct buf *out, struct slice order)
{
    buf_reset(out);
    ptrdiff_t mark = slice_rfind(order, '\0');
    assert(mark >= 0);
    buf_add(out, order.p, (size_t)mark);
    for (size_t i = 0; i < out->len; i++)
        if (out->data[i] == '\0')
            out->data[i] = '/';
    buf_add_slice(out, slice_from(order, (size_t)mark + 1));
}
