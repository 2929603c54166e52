/* SPDX-License-Identifier: Apache-2.0 */
/* Properties: whatever the bytes are, manifest lists, manifests, kept manifests and what an entry
 * tells of deletes are read in bounded memory; a manifest that can be read is kept as it is; a text
 * of deletes that can be read is written the same. The first byte chooses. */
#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lake/iceberg/decoded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t sum; /* so that every byte that is given is looked at */

static void look_at(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        sum += (uint8_t)s.p[i];
}

static int read_memory(void *arg, uint64_t offset, void *to, size_t n, struct err *err)
{
    const struct slice *file = arg;
    (void)err;
    assert(offset <= file->n && n <= file->n - offset);
    if (n)
        memcpy(to, file->p + offset, n);
    return 0;
}

static void fuzz_list(struct slice file)
{
    AUTO(iceberg_manifest_list) struct iceberg_manifest_list l;
    iceberg_manifest_list_init(&l);
    struct err err = ERR_INIT;
    int rc = iceberg_manifest_list_parse(&l, file, &err);
    assert(rc == -err.code);
    for (size_t i = 0; i < l.n; i++) {
        assert(l.at[i].path.n && l.at[i].length);
        look_at(l.at[i].path);
    }
}

/* What is seen of a file, as a number. */
static uint64_t state_of(const struct iceberg_entry *e)
{
    look_at(e->path);
    look_at(e->referenced);
    return e->size + 3 * e->rows + 5 * (uint64_t)e->snapshot + 7 * (uint64_t)e->sequence +
           11 * e->path.n + 13 * e->referenced.n + 17 * e->tuple + 19 * e->columns +
           23 * (uint64_t)e->offset + 29 * e->ids_n + 31 * e->status + 37 * e->content +
           41 * e->format;
}

struct copying {
    struct iceberg_manifest_sink to;
    uint64_t files, state;
};

static int take_tuple(void *arg, const struct iceberg_tuple_value *values, size_t n,
                      struct err *err)
{
    struct copying *c = arg;
    for (size_t i = 0; i < n; i++)
        look_at(values[i].value.bytes);
    return c->to.tuple(c->to.arg, values, n, err);
}

static int take_columns(void *arg, const struct iceberg_columns *columns, struct err *err)
{
    struct copying *c = arg;
    for (size_t i = 1; i < columns->n; i++)
        assert(columns->ids[i - 1] <= columns->ids[i]);
    return c->to.columns(c->to.arg, columns, err);
}

static int take_file(void *arg, const struct iceberg_entry *e, struct err *err)
{
    struct copying *c = arg;
    c->files++;
    c->state = c->state * 43 + state_of(e);
    return c->to.file(c->to.arg, e, err);
}

static void read_back(int fd, const struct iceberg_manifest *m, const struct copying *c)
{
    AUTO(iceberg_decoded) struct iceberg_decoded d = {.fd = -1};
    struct iceberg_entry e;
    uint64_t files = 0, state = 0;
    int rc = iceberg_decoded_open(fd, m, &d, NULL);
    while (rc == 0 && (rc = iceberg_decoded_next(&d, &e, NULL)) > 0) {
        assert(e.tuple < d.tuples.n && e.columns < d.columns.n);
        files++;
        state = state * 43 + state_of(&e);
        rc = 0;
    }
    assert(!c || (rc == 0 && files == c->files && state == c->state));
}

static void fuzz_manifest(struct slice file, bool deletes)
{
    AUTO(iceberg_decoded_writer) struct iceberg_decoded_writer w;
    struct iceberg_manifest m = {.path = SLICE_LIT("m"), .length = 1, .deletes = deletes};
    struct source source = {.size_bytes = file.n, .read = read_memory, .arg = &file};
    int fd = memfd_create("decoded", MFD_CLOEXEC);
    if (fd < 0)
        return;
    iceberg_decoded_writer_init(&w, fd, &m);
    struct copying c = {.to = iceberg_decoded_sink(&w)};
    struct iceberg_manifest_sink sink = {take_tuple, take_columns, take_file, &c};
    struct err err = ERR_INIT;
    int rc = iceberg_manifest_read(&source, &sink, &w.head, &err);
    assert(rc == 0 || err.code);
    if (rc == 0)
        rc = iceberg_decoded_finish(&w, NULL);
    if (rc < 0 || lseek(fd, 0, SEEK_SET) < 0)
        (void)close(fd); /* nothing to read */
    else
        read_back(fd, &m, &c);
}

static void fuzz_kept(struct slice file)
{
    struct iceberg_manifest m = {.path = SLICE_LIT("m"), .length = 1};
    int fd = memfd_create("decoded", MFD_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, file.p, file.n) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        (void)close(fd); /* nothing to read */
    else
        read_back(fd, &m, NULL);
}

static void fuzz_extra(struct slice text)
{
    struct iceberg_extra extra, again;
    AUTO(arena) struct arena arena = {0};
    AUTO(buf) struct buf once = {0};
    AUTO(buf) struct buf twice = {0};
    arena_init(&arena, 1 << 24);
    buf_init(&once, 1 << 20);
    buf_init(&twice, 1 << 20);
    if (iceberg_extra_parse(text, &arena, &extra, NULL) < 0 ||
        iceberg_extra_format(&extra, &once, NULL) < 0)
        return;
    if (slice_find(extra.constants, '\n') < 0)
        assert(slice_find(buf_slice(&once), '\n') < 0);
    assert(iceberg_extra_parse(buf_slice(&once), &arena, &again, NULL) == 0);
    assert(again.deletes_n == extra.deletes_n);
    assert(iceberg_extra_format(&again, &twice, NULL) == 0);
    assert(slice_eq(buf_slice(&once), buf_slice(&twice)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct slice rest = slice_make(data + 1, size - 1);
    switch (data[0]) {
    case 'l':
        fuzz_list(rest);
        break;
    case 'm':
    case 'd':
        fuzz_manifest(rest, data[0] == 'd');
        break;
    case 'k':
        fuzz_kept(rest);
        break;
    default:
        fuzz_extra(rest);
    }
    return 0;
}
