/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of objects: read in order, or searched by name. */
#include "base/file.h"
#include "lake/archive/archive_private.h"

#define WINDOW_BYTES (128 * KIB)

int archive_list_open(struct archive *a, const struct archive_content *content,
                      struct archive_list *out, struct err *err)
{
    struct archive_list l = {.size = content->size};
    int rc = archive_file(a, content, &l.fd, err);
    if (rc < 0)
        return err_wrap(err, "the list of objects");
    buf_init(&l.line, LIST_LINE_BYTES_MAX + WINDOW_BYTES);
    buf_init(&l.scratch, 2 * LIST_LINE_BYTES_MAX);
    *out = l;
    return 0;
}

void archive_list_done(struct archive_list *l)
{
    if (l->fd > 0)
        (void)close(l->fd); /* only read */
    buf_done(&l->line);
    buf_done(&l->scratch);
}

/* The line that begins at the offset, into l->line. */
static int read_line(struct archive_list *l, uint64_t at, struct slice *line, struct err *err)
{
    buf_reset(&l->line);
    for (;;) {
        uint64_t from = at + l->line.len;
        size_t n = l->size - from < 4 * KIB ? (size_t)(l->size - from) : 4 * KIB;
        char *to = n ? buf_reserve(&l->line, n) : NULL;
        if (!to)
            return err_set(err, EIO, "a list of objects has a line without an end");
        int rc = file_pread_full(l->fd, to, n, (off_t)from, err);
        if (rc < 0)
            return rc;
        ptrdiff_t end = slice_find(slice_make(to, n), '\n');
        l->line.len += end < 0 ? n : (size_t)end;
        if (end >= 0)
            break;
    }
    *line = buf_slice(&l->line);
    return 0;
}

int archive_list_next(struct archive_list *l, struct archive_object *out, struct err *err)
{
    struct slice line;
    if (l->at >= l->size)
        return 0;
    int rc = read_line(l, l->at, &line, err);
    if (rc == 0)
        rc = archive_object_parse(line, &l->scratch, out, err);
    if (rc < 0)
        return rc;
    l->at += line.n + 1;
    return 1;
}

/* The start of the line that holds the byte. */
static int line_start(struct archive_list *l, uint64_t at, uint64_t *start, struct err *err)
{
    char chunk[512];
    while (at > 0) {
        size_t n = at < sizeof chunk ? (size_t)at : sizeof chunk;
        int rc = file_pread_full(l->fd, chunk, n, (off_t)(at - n), err);
        if (rc < 0)
            return rc;
        ptrdiff_t end = slice_rfind(slice_make(chunk, n), '\n');
        if (end >= 0) {
            *start = at - n + (uint64_t)end + 1;
            return 0;
        }
        at -= n;
    }
    *start = 0;
    return 0;
}

int archive_list_seek(struct archive_list *l, struct slice name, struct err *err)
{
    uint64_t low = 0, high = l->size; /* both begin a line, or are the end */
    while (low < high) {
        uint64_t start;
        struct slice line = {0};
        struct archive_object o = {.mtime_ms = 0};
        int rc = line_start(l, low + (high - low) / 2, &start, err);
        if (rc == 0)
            rc = read_line(l, start, &line, err);
        if (rc == 0)
            rc = archive_object_parse(line, &l->scratch, &o, err);
        if (rc < 0)
            return rc;
        if (slice_cmp(o.name, name) < 0)
            low = start + line.n + 1;
        else
            high = start;
    }
    l->at = low;
    return 0;
}

int archive_list_find(struct archive_list *l, struct slice name, struct archive_object *out,
                      struct err *err)
{
    int rc = archive_list_seek(l, name, err);
    if (rc == 0)
        rc = archive_list_next(l, out, err);
    return rc <= 0 ? rc : slice_eq(out->name, name);
}
