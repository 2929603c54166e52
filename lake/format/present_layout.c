/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A FOOTER plan's bytes:
 *
 *   PAR1 [kept][zeros][kept] ... [pages of our own][zeros              ][footer]
 *        at their offsets         behind the last   over the old footer  at the very end
 *
 * Kept are the chunks of leaves that are presented, with their indexes and Bloom filters; nothing
 * else of the object is in an extent.
 */
#include "base/limits.h"
#include "base/text.h"
#include "lake/format/present_private.h"

/* parquet.thrift: enum PageType, enum Encoding. */
#define PAGE_DATA 0
#define PAGE_DICTIONARY 2
#define ENCODING_PLAIN 0
#define ENCODING_RLE 3
#define ENCODING_RLE_DICTIONARY 8

/* Rows of one page: they are as small however many it has; some readers make room for all at once.
 */
#define PAGE_ROWS_MAX ((uint64_t)1 << 20)

/* What is kept, or what is hidden. */
struct span {
    uint64_t start, end;
    bool kept;
};

struct layout {
    struct present_plan *p;
    struct span *spans;
    size_t spans_n;
    struct present_group *groups;
    struct present_chunk *chunks;
    struct buf own;
    uint64_t pages_at; /* of our own, in the presented file */
    bool indexed;      /* kept chunks have page indexes: readers want one of all or of none */
};

static void layout_done(struct layout *l)
{
    free(l->spans);
    free(l->groups);
    free(l->chunks);
    buf_done(&l->own);
}
DEFINE_AUTO_DONE(layout, struct layout, layout_done)

static int no_room(struct err *err)
{
    return err_set(err, ENOMEM, "a presented file: out of memory");
}

/* What is kept of the object */

static int add_span(struct layout *l, uint64_t offset, uint64_t bytes, bool kept, struct err *err)
{
    const struct present_plan *p = l->p;
    uint64_t data_end = p->object_bytes - p->detail->footer_bytes - PRESENT_TAIL_BYTES;
    if (bytes == 0)
        return 0;
    if (offset < PRESENT_MAGIC_BYTES || offset > data_end || bytes > data_end - offset)
        return err_set(err, EIO,
                       "damaged Parquet file: %ju bytes of a column at %ju, its footer begins at "
                       "%ju",
                       (uintmax_t)bytes, (uintmax_t)offset, (uintmax_t)data_end);
    l->spans[l->spans_n++] = (struct span){offset, offset + bytes, kept};
    return 0;
}

static int add_chunk(struct layout *l, size_t group, size_t leaf, bool kept, struct err *err)
{
    const struct parquet_meta *m = &l->p->detail->meta;
    const struct parquet_chunk *c = &m->footer.chunks[group][leaf];
    const struct parquet_detail *d = &m->details[group][leaf];
    l->indexed |= kept && d->offset_index.bytes;
    int rc = add_span(l, c->offset, c->size_bytes, kept, err);
    if (rc == 0)
        rc = add_span(l, d->column_index.offset, d->column_index.bytes, kept, err);
    if (rc == 0)
        rc = add_span(l, d->offset_index.offset, d->offset_index.bytes, kept, err);
    if (rc == 0)
        rc = add_span(l, d->bloom.offset, d->bloom.bytes, kept, err);
    return rc;
}

static int compare(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

/*
 * parquet-mr before 1.2.9 (PARQUET-816) forgot to count the header of a chunk's dictionary page;
 * its readers read so many bytes more.
 */
#define FORGOTTEN_BYTES_MAX 100

/* The next number of a version like `1.2.8rc3`, which is cut off; 0 where there is none. */
static uint64_t next_number(struct slice *version)
{
    size_t n = 0;
    uint64_t number = 0;
    while (n < version->n && version->p[n] >= '0' && version->p[n] <= '9')
        n++;
    bool is_number = text_parse_u64(slice_make(version->p, n), UINT32_MAX, &number);
    *version = slice_from(*version, n < version->n ? n + 1 : n);
    return is_number ? number : 0;
}

bool present_forgets_headers(struct slice created_by)
{
    struct slice writer = SLICE_LIT("parquet-mr"), before = SLICE_LIT(" version ");
    if (!slice_starts(created_by, writer))
        return false;
    struct slice version = slice_from(created_by, writer.n);
    if (!slice_starts(version, before))
        return true;
    version = slice_from(version, before.n);
    uint64_t fixed = 1002009, number = 0;
    for (int i = 0; i < 3; i++)
        number = number * 1000 + next_number(&version);
    return number < fixed;
}

/* What lies behind a kept chunk and is nobody's may be its end. */
static void grow_spans(struct layout *l)
{
    const struct present_plan *p = l->p;
    uint64_t next = p->object_bytes - p->detail->footer_bytes - PRESENT_TAIL_BYTES;
    for (size_t i = l->spans_n; i-- > 0;) {
        struct span *s = &l->spans[i];
        uint64_t start = s->start;
        if (s->kept && s->end < next)
            s->end = next - s->end < FORGOTTEN_BYTES_MAX ? next : s->end + FORGOTTEN_BYTES_MAX;
        next = start;
    }
}

/* No byte may be kept for one column and hidden as another's. */
static int check_spans(const struct layout *l, struct err *err)
{
    uint64_t end[2] = {0, 0};
    for (size_t i = 0; i < l->spans_n; i++) {
        const struct span *s = &l->spans[i];
        if (s->start < end[!s->kept])
            return err_set(err, EIO, "damaged Parquet file: columns overlap at byte %ju",
                           (uintmax_t)s->start);
        if (s->end > end[s->kept])
            end[s->kept] = s->end;
    }
    return 0;
}

static int find_spans(struct layout *l, struct err *err)
{
    const struct parquet_footer *f = &l->p->detail->meta.footer;
    size_t n;
    if (__builtin_mul_overflow(f->groups_n, 4 * f->leaves_n, &n))
        return no_room(err);
    AUTO_FREE bool *kept = calloc(f->leaves_n + 1, sizeof *kept);
    l->spans = calloc(n + 1, sizeof *l->spans);
    if (!kept || !l->spans)
        return no_room(err);
    for (size_t i = 0; i < l->p->leaves_n; i++)
        if (l->p->leaves[i].source != PARQUET_NO_LEAF)
            kept[l->p->leaves[i].source] = true;
    int rc = 0;
    for (size_t g = 0; rc == 0 && g < f->groups_n; g++)
        for (size_t i = 0; rc == 0 && i < f->leaves_n; i++)
            rc = add_chunk(l, g, i, kept[i], err);
    if (rc < 0)
        return rc;
    qsort(l->spans, l->spans_n, sizeof *l->spans, compare);
    if (present_forgets_headers(l->p->detail->meta.created_by))
        grow_spans(l);
    l->pages_at = PRESENT_MAGIC_BYTES;
    for (size_t i = 0; i < l->spans_n; i++)
        if (l->spans[i].kept && l->spans[i].end > l->pages_at)
            l->pages_at = l->spans[i].end;
    return check_spans(l, err);
}

/* Pages of our own */

/* A run of n equal numbers below 256 (Encodings.md: RLE hybrid). */
static void put_run(struct buf *out, uint64_t n, uint8_t value)
{
    buf_add_varint(out, n << 1);
    buf_add_char(out, (char)value);
}

/* The same with its length before it. */
static void put_sized_run(struct buf *out, uint64_t n, uint8_t value)
{
    AUTO(buf) struct buf run = {0};
    buf_init(&run, 16);
    put_run(&run, n, value);
    uint32_t length = (uint32_t)run.len;
    buf_add(out, &length, sizeof length);
    buf_add_slice(out, buf_slice(&run));
    if (run.failed && !out->failed)
        out->failed = run.failed;
}

static void put_page(struct layout *l, int type, uint32_t values, uint32_t encoding,
                     struct slice body)
{
    struct thrift_out t = thrift_out_make(&l->own);
    thrift_put_int(&t, 1, THRIFT_I32, type);
    thrift_put_int(&t, 2, THRIFT_I32, (int64_t)body.n);
    thrift_put_int(&t, 3, THRIFT_I32, (int64_t)body.n);
    thrift_put_struct(&t, type == PAGE_DATA ? 5 : 7);
    thrift_put_int(&t, 1, THRIFT_I32, values);
    thrift_put_int(&t, 2, THRIFT_I32, encoding);
    if (type == PAGE_DATA) {
        thrift_put_int(&t, 3, THRIFT_I32, ENCODING_RLE);
        thrift_put_int(&t, 4, THRIFT_I32, ENCODING_RLE);
    }
    thrift_put_end(&t);
    thrift_put_end(&t);
    buf_add_slice(&l->own, body);
}

static void put_dictionary(struct layout *l, const struct parquet_node *node, struct slice value)
{
    AUTO(buf) struct buf body = {0};
    buf_init(&body, value.n + sizeof(uint32_t));
    uint32_t length = (uint32_t)value.n;
    if (node->type == PARQUET_BYTE_ARRAY)
        buf_add(&body, &length, sizeof length);
    buf_add_slice(&body, value);
    put_page(l, PAGE_DICTIONARY, 1, ENCODING_PLAIN, buf_slice(&body));
    if (body.failed)
        l->own.failed = body.failed;
}

/* A data page of `rows` rows that are all the same. */
static void put_rows(struct layout *l, const struct present_leaf *leaf, uint32_t encoding,
                     uint64_t rows)
{
    const struct parquet_node *node = &l->p->nodes[leaf->node];
    AUTO(buf) struct buf body = {0};
    buf_init(&body, KIB);
    if (node->max_repetition > 0)
        put_sized_run(&body, rows, 0);
    if (node->max_definition > 0)
        put_sized_run(&body, rows, leaf->definition);
    if (encoding == ENCODING_RLE) { /* BOOLEAN, of which there are no dictionaries */
        put_sized_run(&body, rows, leaf->constant.p[0] != 0);
    } else if (encoding == ENCODING_RLE_DICTIONARY) {
        buf_add_char(&body, 1); /* bits of an index */
        put_run(&body, rows, 0);
    }
    put_page(l, PAGE_DATA, (uint32_t)rows, encoding, buf_slice(&body));
    if (body.failed)
        l->own.failed = body.failed;
}

static uint64_t here(const struct layout *l)
{
    return l->pages_at + l->own.len - PRESENT_MAGIC_BYTES;
}

/* struct OffsetIndex; `locations`: n PageLocations. */
static struct present_range put_offset_index(struct layout *l, struct slice locations, size_t n)
{
    uint64_t start = here(l);
    struct thrift_out t = thrift_out_make(&l->own);
    thrift_put_list(&t, 1, THRIFT_STRUCT_TYPE, n);
    buf_add_slice(&l->own, locations);
    thrift_put_end(&t);
    return (struct present_range){start, here(l) - start};
}

/* struct ColumnIndex of pages of nulls alone. */
static struct present_range put_column_index(struct layout *l, uint64_t rows, size_t n)
{
    uint64_t start = here(l);
    struct thrift_out t = thrift_out_make(&l->own);
    thrift_put_list(&t, 1, THRIFT_TRUE, n); /* null_pages */
    for (size_t i = 0; i < n; i++)
        buf_add_char(&l->own, THRIFT_TRUE);
    for (int bound = 2; bound <= 3; bound++) { /* min_values, max_values */
        thrift_put_list(&t, bound, THRIFT_BINARY, n);
        for (size_t i = 0; i < n; i++)
            thrift_put_item_binary(&t, SLICE_LIT(""));
    }
    thrift_put_int(&t, 4, THRIFT_I32, 0); /* boundary_order: UNORDERED */
    thrift_put_list(&t, 5, THRIFT_I64, n);
    for (size_t i = 0; i < n; i++) {
        uint64_t of_page = rows < PAGE_ROWS_MAX ? rows : PAGE_ROWS_MAX;
        thrift_put_item_int(&t, (int64_t)of_page);
        rows -= of_page;
    }
    thrift_put_end(&t);
    return (struct present_range){start, here(l) - start};
}

/* Data pages for so many rows; gives how many, and appends their PageLocations. */
static size_t put_pages(struct layout *l, const struct present_leaf *leaf, uint32_t encoding,
                        uint64_t rows, struct buf *locations)
{
    size_t pages = 0;
    for (uint64_t row = 0; (row < rows || pages == 0) && !l->own.failed; pages++) {
        uint64_t start = here(l), left = rows - row;
        uint64_t n = left < PAGE_ROWS_MAX ? left : PAGE_ROWS_MAX;
        put_rows(l, leaf, encoding, n);
        struct thrift_out t = thrift_out_make(locations);
        thrift_put_int(&t, 1, THRIFT_I64, (int64_t)start);
        thrift_put_int(&t, 2, THRIFT_I32, (int64_t)(here(l) - start));
        thrift_put_int(&t, 3, THRIFT_I64, (int64_t)row);
        thrift_put_end(&t);
        row += n;
    }
    return pages;
}

/* The pages of one leaf in one row group. */
static void put_own(struct layout *l, const struct present_leaf *leaf, uint64_t rows,
                    struct present_chunk *c)
{
    const struct parquet_node *node = &l->p->nodes[leaf->node];
    AUTO(buf) struct buf locations = {0};
    uint32_t encoding = leaf->how == PRESENT_NULLS      ? ENCODING_PLAIN
                        : node->type == PARQUET_BOOLEAN ? ENCODING_RLE
                                                        : ENCODING_RLE_DICTIONARY;
    uint64_t start = here(l);
    buf_init(&locations, FOOTER_BYTES_MAX);
    *c = (struct present_chunk){.cells = rows, .encodings = 1U << encoding};
    if (encoding == ENCODING_RLE_DICTIONARY) {
        c->dictionary_offset = start;
        c->encodings |= 1U << ENCODING_PLAIN;
        put_dictionary(l, node, leaf->constant);
    }
    c->data_offset = here(l);
    size_t pages = put_pages(l, leaf, encoding, rows, &locations);
    c->stored_bytes = c->plain_bytes = here(l) - start;
    if (locations.failed)
        l->own.failed = locations.failed;
    if (l->indexed)
        c->offset_index = put_offset_index(l, buf_slice(&locations), pages);
    if (l->indexed && leaf->how == PRESENT_NULLS)
        c->column_index = put_column_index(l, rows, pages);
}

static int put_groups(struct layout *l, struct err *err)
{
    const struct present_plan *p = l->p;
    const struct parquet_footer *f = &p->detail->meta.footer;
    l->groups = calloc(f->groups_n + 1, sizeof *l->groups);
    size_t n;
    if (__builtin_mul_overflow(f->groups_n, p->leaves_n, &n))
        return no_room(err);
    l->chunks = calloc(n + 1, sizeof *l->chunks);
    if (!l->groups || !l->chunks)
        return no_room(err);
    for (size_t g = 0; g < f->groups_n; g++) {
        l->groups[g] = (struct present_group){
            .rows = f->group_rows[g], .stored = (uint32_t)g, .chunks = &l->chunks[g * p->leaves_n]};
        for (size_t i = 0; i < p->leaves_n && !l->own.failed; i++)
            if (p->leaves[i].how == PRESENT_COPY)
                l->groups[g].chunks[i].untouched = true;
            else
                put_own(l, &p->leaves[i], f->group_rows[g], &l->groups[g].chunks[i]);
    }
    return buf_check(&l->own, err);
}

/* Extents */

/* Kept spans that touch are one extent. */
static void add_object(const struct layout *l)
{
    struct present_plan *p = l->p;
    uint64_t end = PRESENT_MAGIC_BYTES;
    for (size_t i = 0; i < l->spans_n; i++) {
        const struct span *s = &l->spans[i];
        if (!s->kept || s->end <= end)
            continue;
        uint64_t start = s->start > end ? s->start : end;
        struct present_extent *last = &p->extents[p->extents_n - 1];
        if (start == end && last->from == PRESENT_OBJECT) {
            last->length += s->end - start;
        } else {
            present_add_extent(p, start - end, PRESENT_ZEROS, 0);
            present_add_extent(p, s->end - start, PRESENT_OBJECT, start);
        }
        end = s->end;
    }
}

static int make_extents(const struct layout *l, uint64_t footer_at, struct err *err)
{
    struct present_plan *p = l->p;
    uint64_t pages = footer_at - PRESENT_MAGIC_BYTES, footer = l->own.len - footer_at;
    uint64_t end = l->pages_at + pages;
    if (end > p->presented_bytes || footer > p->presented_bytes - end)
        return err_set(err, EOPNOTSUPP,
                       "its columns as the table has them take %ju bytes behind byte %ju, there "
                       "is room up to %ju (-o slack= makes more)",
                       (uintmax_t)(pages + footer), (uintmax_t)l->pages_at,
                       (uintmax_t)p->presented_bytes);
    p->own = arena_slice(&p->arena, buf_slice(&l->own));
    /* Magic, pages, zeros, footer; each span and what is before it. */
    p->extents = arena_calloc(&p->arena, 4 + 2 * l->spans_n, sizeof *p->extents);
    if (!p->own.p || !p->extents)
        return arena_failed(&p->arena, "a presented file", err);
    present_add_extent(p, PRESENT_MAGIC_BYTES, PRESENT_OWN, 0);
    add_object(l);
    present_add_extent(p, pages, PRESENT_OWN, PRESENT_MAGIC_BYTES);
    present_add_extent(p, p->presented_bytes - end - footer, PRESENT_ZEROS, 0);
    present_add_extent(p, footer, PRESENT_OWN, footer_at);
    return 0;
}

int present_layout(struct present_plan *p, struct err *err)
{
    AUTO(layout) struct layout l = {.p = p};
    buf_init(&l.own, 2 * FOOTER_BYTES_MAX);
    buf_add_str(&l.own, PRESENT_MAGIC);
    int rc = find_spans(&l, err);
    if (rc == 0)
        rc = put_groups(&l, err);
    uint64_t footer_at = l.own.len;
    if (rc == 0)
        rc = present_footer_put(p, l.groups, p->detail->meta.footer.groups_n, true, &l.own, err);
    return rc < 0 ? rc : make_extents(&l, footer_at, err);
}
