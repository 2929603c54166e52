/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever an archive store holds: a manifest or a line of a list that is taken formats to a text
 * that says the same; keys and names lead back; stored frames are opened and read within their
 * size.
 *
 *   input: size of the object u32 | text, or stored form
 */
#include <assert.h>
#include <stdlib.h>

#include "lake/archive/frames.h"
#include "lake/archive/manifest.h"

#define SIZE_MAX_HERE (4 * FRAME_PLAIN_BYTES)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_manifest(struct slice text)
{
    static struct manifest m, again;
    AUTO(buf) struct buf b = {0};
    buf_init(&b, 4 * MANIFEST_BYTES_MAX);
    if (manifest_parse(text, &m, NULL) < 0)
        return;
    assert(m.version >= 0 && m.table[0] && m.format[0] && m.list.stored);
    manifest_format(&m, &b);
    if (manifest_parse(buf_slice(&b), &again, NULL) == 0)
        assert(again.version == m.version && again.list.size == m.list.size);
}

/* The first line's sum is put behind it, so that what it says is looked at. */
static void check_summed(struct slice text)
{
    AUTO(buf) struct buf b = {0};
    char sum[2 * SHA256_BYTES + 1];
    buf_init(&b, 2 * MANIFEST_BYTES_MAX);
    ptrdiff_t end = slice_find(text, '\n');
    buf_add(&b, text.p, end < 0 ? text.n : (size_t)end);
    buf_add_char(&b, '\n');
    if (b.failed)
        return;
    sha256_hex(buf_slice(&b), sum);
    buf_addf(&b, "{\"sha256\":\"%s\"}\n", sum);
    check_manifest(buf_slice(&b));
}

static void check_object(struct slice line)
{
    struct archive_object o, again;
    AUTO(buf) struct buf scratch = {0}, b = {0}, more = {0}, url = {0};
    buf_init(&scratch, 2 * LIST_LINE_BYTES_MAX);
    buf_init(&more, 2 * LIST_LINE_BYTES_MAX);
    buf_init(&b, 8 * LIST_LINE_BYTES_MAX);
    buf_init(&url, 2 * LIST_LINE_BYTES_MAX);
    if (archive_object_parse(line, &scratch, &o, NULL) < 0)
        return;
    assert(o.name.n && o.name.n <= LIST_LINE_BYTES_MAX && o.etag.n < ETAG_BYTES_MAX);
    archive_object_format(&o, &b);
    assert(!b.failed);
    if (archive_object_parse(slice_make(b.data, b.len - 1), &more, &again, NULL) == 0)
        assert(again.content.size == o.content.size && again.kind == o.kind);
    (void)archive_name_url(SLICE_LIT("s3://b/t"), o.name, &url);
}

static void check_keys(struct slice key)
{
    uint8_t sum[SHA256_BYTES];
    struct slice table;
    int64_t version;
    AUTO(buf) struct buf again = {0};
    buf_init(&again, KIB);
    if (archive_content_parse(key, sum)) {
        archive_content_key(sum, &again);
        assert(slice_eq(buf_slice(&again), key));
    }
    if (archive_version_parse(key, &table, &version))
        assert(version >= 0 && slice_starts(key, table));
}

static void check_frames(uint32_t object, struct slice stored)
{
    size_t n = (size_t)frames_table_bytes(frames_count(object));
    if (object > SIZE_MAX_HERE || stored.n < n)
        return;
    AUTO_FREE struct frames *f =
        frames_parse(slice_from(stored, stored.n - n), object, stored.n, NULL);
    AUTO_FREE char *plain = f ? malloc(FRAME_PLAIN_BYTES) : NULL;
    for (uint64_t i = 0; plain && i < f->count; i++) {
        assert(f->at[i + 1] <= stored.n && f->at[i] < f->at[i + 1]);
        struct slice frame = slice_make(stored.p + f->at[i], (size_t)(f->at[i + 1] - f->at[i]));
        (void)frames_decode(frame, plain, frames_length(object, i), NULL); /* or it is refused */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t object;
    if (size < sizeof object)
        return 0;
    memcpy(&object, data, sizeof object);
    struct slice rest = slice_make(data + sizeof object, size - sizeof object);
    check_manifest(rest);
    check_summed(rest);
    check_object(rest);
    check_keys(rest);
    check_frames(object, rest);
    return 0;
}
