/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/index/page_stream.h"

#include "base/file.h"
#include "base/hash.h"

static int flush(struct page_sums *sums, struct page_stream *s, struct err *err)
{
    size_t n = (s->fill + RUN_PAGE_BYTES - 1) / RUN_PAGE_BYTES;
    memset(s->buffer + s->fill, 0, n * RUN_PAGE_BYTES - s->fill);
    size_t need = s->page + n;
    if (need > sums->capacity) {
        size_t capacity = need * 2;
        uint32_t *more = reallocarray(sums->at, capacity, sizeof *more);
        if (!more)
            return err_set(err, ENOMEM, "index: out of memory");
        memset(more + sums->capacity, 0, (capacity - sums->capacity) * sizeof *more);
        sums->at = more;
        sums->capacity = capacity;
    }
    for (size_t i = 0; i < n; i++)
        sums->at[s->page + i] = crc32c(0, s->buffer + i * RUN_PAGE_BYTES, RUN_PAGE_BYTES);
    int rc = file_pwrite_full(sums->fd, s->buffer, n * RUN_PAGE_BYTES,
                              (off_t)(s->page * RUN_PAGE_BYTES), err);
    s->page += n;
    s->fill = 0;
    return rc < 0 ? err_wrap(err, "index") : 0;
}

void page_stream_begin(struct page_stream *s, uint64_t page)
{
    s->first_page = s->page = page;
    s->bytes = 0;
    s->fill = 0;
}

int page_stream_put(struct page_sums *sums, struct page_stream *s, const void *data, size_t n,
                    struct err *err)
{
    const uint8_t *p = data;
    s->bytes += n;
    while (n) {
        size_t part = n < PAGE_STREAM_BYTES - s->fill ? n : PAGE_STREAM_BYTES - s->fill;
        memcpy(s->buffer + s->fill, p, part);
        s->fill += part;
        p += part;
        n -= part;
        int rc = s->fill == PAGE_STREAM_BYTES ? flush(sums, s, err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

int page_stream_end(struct page_sums *sums, struct page_stream *s, struct err *err)
{
    return s->fill ? flush(sums, s, err) : 0;
}
