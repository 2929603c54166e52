/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/left_out.h"

#include "base/limits.h"
#include "base/text.h"

/* An extended attribute has 64 KiB at most, and a reader wants the gist. */
#define LINES_BYTES_MAX (32 * KIB)
#define TOLD_MAX 50

void left_out_init(struct left_out *l)
{
    *l = (struct left_out){0};
    buf_init(&l->lines, LINES_BYTES_MAX);
}

void left_out_done(struct left_out *l)
{
    buf_done(&l->lines);
}

/* As names are escaped, of whatever length; zero bytes too. */
static void add_shown(struct buf *out, struct slice key)
{
    for (size_t i = 0; i < key.n;) {
        unsigned char c = (unsigned char)key.p[i];
        size_t n = utf8_length(slice_from(key, i));
        if (n == 0 || c < 0x20 || c == 0x7f)
            buf_addf(out, "%%~%02X", c);
        else
            buf_add(out, key.p + i, n);
        i += n ? n : 1;
    }
}

void left_out_add(struct left_out *l, struct slice key, enum key_flaw flaw)
{
    AUTO(buf) struct buf line = {0};
    if (l->count++ >= TOLD_MAX)
        return;
    buf_init(&line, LINES_BYTES_MAX);
    add_shown(&line, key);
    buf_addf(&line, ": %s\n", key_flaw_reason(flaw));
    if (!line.failed && l->lines.len + line.len <= LINES_BYTES_MAX)
        buf_add_slice(&l->lines, buf_slice(&line));
}

void left_out_format(const struct left_out *l, struct buf *out)
{
    size_t told = 0;
    if (l->count == 0)
        return;
    for (size_t i = 0; i < l->lines.len; i++)
        told += l->lines.data[i] == '\n';
    buf_addf(out, "%zu %s left out\n", l->count, l->count == 1 ? "object is" : "objects are");
    buf_add_slice(out, buf_slice(&l->lines));
    if (told < l->count)
        buf_addf(out, "and %zu more\n", l->count - told);
}
