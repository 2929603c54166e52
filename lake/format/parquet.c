/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/parquet.h"

#include <assert.h>

#include "base/limits.h"
#include "base/vec.h"
#include "lake/format/parquet_footer.h"
#include "lake/format/parquet_page.h"
#include "lake/format/parquet_values.h"

/* The file's end: the footer's length and the magic. */
#define TAIL_BYTES 8

/*
 * A chosen leaf. Cells are decoded a batch at a time; a row is a run of them. Where a row goes on
 * after the batch, its cells move to the front and the next batch follows behind them:
 *
 *   cells   [ rows before | row ....... row_end | rows after ]n
 *   refill  [ row ... | new batch ]n
 */
struct leaf {
    const struct parquet_node *node;
    struct parquet_pages pages;
    struct parquet_hybrid repetition, definition;
    struct parquet_values values;
    union parquet_value *dictionary;
    uint32_t page_left; /* cells of the page that were not decoded yet */
    struct parquet_cell *cells;
    size_t n, capacity;
    size_t row, row_end;
    size_t kept;       /* cells of the row whose bytes stay, whatever page comes */
    struct arena keep; /* such bytes */
};

struct parquet {
    const struct source *source;
    uint64_t data_end; /* where the footer begins */
    struct parquet_footer footer;
    VEC(struct leaf *) chosen;
    bool started;
    size_t group; /* the next row group */
    uint64_t rows_left;
    struct err failure; /* the first one; every further call gives it again */
    /* One batch, while it is decoded. */
    uint32_t repetition[PARQUET_BATCH], definition[PARQUET_BATCH];
    union parquet_value values[PARQUET_BATCH];
};

/* Opening */

static int read_footer(struct parquet *p, struct err *err)
{
    const struct source *s = p->source;
    char tail[TAIL_BYTES];
    if (s->size_bytes < TAIL_BYTES)
        return err_set(err, EIO, "no Parquet file: it has %ju bytes", (uintmax_t)s->size_bytes);
    int rc = s->read(s->arg, s->size_bytes - TAIL_BYTES, tail, TAIL_BYTES, err);
    if (rc < 0)
        return rc;
    uint32_t n;
    memcpy(&n, tail, sizeof n);
    if (memcmp(tail + 4, "PARE", 4) == 0)
        return err_set(err, EOPNOTSUPP, "the Parquet footer is encrypted");
    if (memcmp(tail + 4, "PAR1", 4) != 0)
        return err_set(err, EIO, "no Parquet file: it does not end in PAR1");
    if (n > s->size_bytes - TAIL_BYTES)
        return err_set(err, EIO, "a Parquet footer of %u bytes, the file has %ju", n,
                       (uintmax_t)s->size_bytes);
    if (n > FOOTER_BYTES_MAX)
        return err_set(err, EOVERFLOW, "a Parquet footer of %u bytes, permitted are %zu", n,
                       FOOTER_BYTES_MAX);
    p->data_end = s->size_bytes - TAIL_BYTES - n;
    AUTO_FREE char *bytes = malloc(n + 1U);
    if (!bytes)
        return err_set(err, ENOMEM, "out of memory");
    rc = s->read(s->arg, p->data_end, bytes, n, err);
    return rc < 0 ? rc : parquet_footer_parse(&p->footer, slice_make(bytes, n), err);
}

struct parquet *parquet_open(const struct source *source, struct err *err)
{
    AUTO(parquet) struct parquet *p = calloc(1, sizeof *p);
    if (!p) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    p->source = source;
    p->chosen.max = PARQUET_NODES_MAX;
    return read_footer(p, err) < 0 ? NULL : STEAL(p);
}

static void leaf_free(struct leaf *l)
{
    parquet_pages_done(&l->pages);
    parquet_values_done(&l->values);
    arena_done(&l->keep);
    free(l->dictionary);
    free(l->cells);
    free(l);
}
DEFINE_AUTO(leaf, struct leaf *, leaf_free)

void parquet_close(struct parquet *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->chosen.n; i++)
        leaf_free(p->chosen.at[i]);
    vec_done(&p->chosen);
    parquet_footer_done(&p->footer);
    free(p);
}

/* Schema */

size_t parquet_leaves(const struct parquet *p)
{
    return p->footer.leaves_n;
}

void parquet_leaf_path(const struct parquet *p, size_t i, struct buf *out)
{
    assert(i < p->footer.leaves_n);
    parquet_footer_path(&p->footer, i, out);
}

bool parquet_has_group(const struct parquet *p, const char *path)
{
    return parquet_footer_find(&p->footer, slice_of(path), false) != NULL;
}

int parquet_choose(struct parquet *p, const char *path, struct err *err)
{
    assert(!p->started);
    const struct parquet_node *node = parquet_footer_find(&p->footer, slice_of(path), true);
    if (!node)
        return err_set(err, ENOENT, "no column %s", path);
    for (size_t i = 0; i < p->chosen.n; i++)
        if (p->chosen.at[i]->node == node)
            return (int)i;
    AUTO(leaf) struct leaf *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(err, ENOMEM, "out of memory");
    l->node = node;
    parquet_pages_init(&l->pages, p->source, node);
    parquet_values_init(&l->values, node->type, node->type_length);
    arena_init(&l->keep, PARQUET_ROW_BYTES_MAX);
    int rc = vec_push(&p->chosen, l);
    if (rc < 0)
        return err_set(err, -rc, "no room for another column");
    l = NULL; /* the vector's */
    return (int)p->chosen.n - 1;
}

static const struct leaf *leaf_of(const struct parquet *p, int handle)
{
    assert(handle >= 0 && (size_t)handle < p->chosen.n);
    return p->chosen.at[handle];
}

void parquet_leaf(const struct parquet *p, int handle, struct parquet_leaf *out)
{
    const struct parquet_node *node = leaf_of(p, handle)->node;
    *out = (struct parquet_leaf){node->type, node->max_definition, node->max_repetition,
                                 parquet_footer_item(&p->footer, node)};
}

/* Pages */

static int load_dictionary(struct leaf *l, const struct parquet_page *page, struct err *err)
{
    size_t n = page->values;
    if (page->encoding != PARQUET_PLAIN && page->encoding != PARQUET_PLAIN_DICTIONARY)
        return err_set(err, EOPNOTSUPP, "a dictionary in encoding %u is not supported",
                       page->encoding);
    if (n > PARQUET_DICTIONARY_MAX)
        return err_set(err, EOVERFLOW, "a dictionary of %zu values, permitted are %zu", n,
                       PARQUET_DICTIONARY_MAX);
    /* Each value has a byte at least: what is claimed beyond is not allocated for. */
    if (n > page->data.n || l->node->type == PARQUET_BOOLEAN)
        return err_set(err, EIO, "a dictionary of %zu values in %zu bytes", n, page->data.n);
    union parquet_value *values = reallocarray(l->dictionary, n ? n : 1, sizeof *values);
    if (!values)
        return err_set(err, ENOMEM, "out of memory");
    l->dictionary = values;
    int rc = parquet_values_start(&l->values, PARQUET_PLAIN, page->data, err);
    for (size_t done = 0; rc == 0 && done < n;) {
        size_t take = n - done < PARQUET_BATCH ? n - done : PARQUET_BATCH;
        rc = parquet_values_get(&l->values, values + done, take, err);
        done += take;
    }
    if (rc == 0)
        parquet_values_dictionary(&l->values, values, n);
    return rc;
}

/* The next page that has cells: 1, 0 at the chunk's end, or -errno. */
static int load_page(struct leaf *l, struct err *err)
{
    while (l->page_left == 0) {
        struct parquet_page page;
        int rc = parquet_pages_next(&l->pages, &page, err);
        if (rc <= 0)
            return rc;
        if (page.dictionary) {
            rc = load_dictionary(l, &page, err);
        } else {
            parquet_hybrid_init(&l->repetition, page.repetition,
                                parquet_bit_width(l->node->max_repetition));
            parquet_hybrid_init(&l->definition, page.definition,
                                parquet_bit_width(l->node->max_definition));
            l->page_left = page.values;
            rc = parquet_values_start(&l->values, page.encoding, page.data, err);
        }
        if (rc < 0)
            return rc;
    }
    return 1;
}

/* Cells */

static bool has_bytes(const struct leaf *l)
{
    return l->node->type == PARQUET_INT96 || l->node->type >= PARQUET_BYTE_ARRAY;
}

/* Copies what the current row's cells point to, before it goes. */
static int keep_row(struct leaf *l, struct err *err)
{
    bool copy = has_bytes(l) && parquet_values_lifetime(&l->values) != PARQUET_WITH_DICTIONARY;
    for (size_t i = l->row + l->kept; copy && i < l->n; i++) {
        struct parquet_cell *c = &l->cells[i];
        if (!c->present)
            continue;
        c->bytes = arena_slice(&l->keep, c->bytes);
        if (!c->bytes.p)
            return err_set(err, EOVERFLOW, "a row of more than %zu bytes", PARQUET_ROW_BYTES_MAX);
    }
    l->kept = l->n - l->row;
    return 0;
}

static int make_cells(struct leaf *l, size_t more, struct err *err)
{
    size_t n = l->n + more;
    if (n > PARQUET_ROW_CELLS_MAX)
        return err_set(err, EOVERFLOW, "a row of more than %zu values",
                       PARQUET_ROW_CELLS_MAX - PARQUET_BATCH);
    if (n <= l->capacity)
        return 0;
    size_t capacity = n > 2 * l->capacity ? n : 2 * l->capacity;
    struct parquet_cell *cells = reallocarray(l->cells, capacity, sizeof *cells);
    if (!cells)
        return err_set(err, ENOMEM, "out of memory");
    l->cells = cells;
    l->capacity = capacity;
    return 0;
}

static void set_value(struct parquet_cell *c, enum parquet_type type, const union parquet_value *v)
{
    switch (type) {
    case PARQUET_BOOLEAN:
    case PARQUET_INT32:
    case PARQUET_INT64:
        c->number = v->number;
        break;
    case PARQUET_FLOAT:
    case PARQUET_DOUBLE:
        c->real = v->real;
        break;
    case PARQUET_INT96:
    case PARQUET_BYTE_ARRAY:
    case PARQUET_FIXED_LEN_BYTE_ARRAY:
        c->bytes = v->bytes;
        break;
    }
}

/* The levels of the next n cells of the page; *present of them have values. */
static int decode_levels(struct parquet *p, struct leaf *l, size_t n, size_t *present,
                         struct err *err)
{
    unsigned max_repetition = l->node->max_repetition, max_definition = l->node->max_definition;
    if ((max_repetition && !parquet_hybrid_get(&l->repetition, p->repetition, n)) ||
        (max_definition && !parquet_hybrid_get(&l->definition, p->definition, n)))
        return err_set(err, EIO, "fewer levels than values");
    size_t values = 0;
    bool bad = false;
    for (size_t i = 0; i < n; i++) {
        unsigned repetition = max_repetition ? p->repetition[i] : 0;
        unsigned definition = max_definition ? p->definition[i] : 0;
        bad |= repetition > max_repetition || definition > max_definition;
        l->cells[l->n + i] = (struct parquet_cell){.repetition = repetition,
                                                   .definition = definition,
                                                   .present = definition == max_definition};
        values += definition == max_definition;
    }
    if (bad)
        return err_set(err, EIO, "levels beyond the schema's %u and %u", max_repetition,
                       max_definition);
    *present = values;
    return 0;
}

/* Decodes the next batch of the page's cells behind those that are there. */
static int decode(struct parquet *p, struct leaf *l, struct err *err)
{
    size_t n = parquet_values_batch(&l->values), present = 0;
    if (n > l->page_left)
        n = l->page_left;
    int rc = make_cells(l, n, err);
    if (rc == 0)
        rc = decode_levels(p, l, n, &present, err);
    if (rc == 0)
        rc = parquet_values_get(&l->values, p->values, present, err);
    if (rc < 0)
        return rc;
    const union parquet_value *v = p->values;
    for (struct parquet_cell *c = l->cells + l->n, *end = c + n; c < end; c++)
        if (c->present)
            set_value(c, l->node->type, v++);
    l->n += n;
    l->page_left -= (uint32_t)n;
    return 0;
}

/* More cells behind those of the current row, which move to the front: 1, 0 at the chunk's end. */
static int refill(struct parquet *p, struct leaf *l, struct err *err)
{
    if (l->page_left == 0 || parquet_values_lifetime(&l->values) == PARQUET_UNTIL_NEXT_GET) {
        int rc = keep_row(l, err);
        if (rc < 0)
            return rc;
    }
    int rc = load_page(l, err);
    if (rc <= 0)
        return rc;
    if (l->row) {
        memmove(l->cells, l->cells + l->row, (l->n - l->row) * sizeof *l->cells);
        l->n -= l->row;
        l->row = 0;
    }
    rc = decode(p, l, err);
    return rc < 0 ? rc : 1;
}

/* Rows */

static int next_row(struct parquet *p, struct leaf *l, struct err *err)
{
    l->row = l->row_end;
    if (l->kept) {
        arena_reset(&l->keep);
        l->kept = 0;
    }
    if (l->row == l->n) {
        int rc = refill(p, l, err);
        if (rc <= 0)
            return rc < 0 ? rc : err_set(err, EIO, "fewer rows than the row group");
    }
    if (l->cells[l->row].repetition)
        return err_set(err, EIO, "the row group begins inside a row");
    size_t n = 1;
    while (l->node->max_repetition) {
        while (l->row + n < l->n && l->cells[l->row + n].repetition)
            n++;
        if (l->row + n < l->n)
            break;
        int rc = refill(p, l, err);
        if (rc < 0)
            return rc;
        if (rc == 0)
            break;
    }
    l->row_end = l->row + n;
    return 0;
}

static int start_leaf(struct parquet *p, struct leaf *l, struct err *err)
{
    if (l->row_end < l->n || l->page_left || l->pages.cells_left)
        return err_set(err, EIO, "more rows than the row group before");
    if (p->group == p->footer.groups_n)
        return 0;
    l->n = l->row = l->row_end = 0;
    parquet_values_dictionary(&l->values, NULL, 0);
    return parquet_pages_start(&l->pages, &p->footer.chunks[p->group][l->node->leaf], p->data_end,
                               err);
}

/* Says where: in the row group that is being read. */
static int in_leaf(const struct parquet *p, const struct leaf *l, struct err *err)
{
    size_t group = p->rows_left ? p->group - 1 : p->group;
    AUTO(buf) struct buf path = {0};
    buf_init(&path, sizeof err->msg / 2);
    parquet_footer_path(&p->footer, l->node->leaf, &path);
    return err_wrap(err, "row group %zu, column %s", group, path.data ? path.data : "");
}

/* Ends the row group before and starts the next: 1, 0 at the end, or -errno. */
static int next_group(struct parquet *p, struct err *err)
{
    for (size_t i = 0; i < p->chosen.n; i++)
        if (start_leaf(p, p->chosen.at[i], err) < 0)
            return in_leaf(p, p->chosen.at[i], err);
    if (p->group == p->footer.groups_n)
        return 0;
    p->rows_left = p->footer.group_rows[p->group++];
    return 1;
}

static int advance(struct parquet *p, struct err *err)
{
    while (p->rows_left == 0) {
        int rc = next_group(p, err);
        if (rc <= 0)
            return rc;
    }
    for (size_t i = 0; i < p->chosen.n; i++)
        if (next_row(p, p->chosen.at[i], err) < 0)
            return in_leaf(p, p->chosen.at[i], err);
    p->rows_left--;
    return 1;
}

int parquet_next_row(struct parquet *p, struct err *err)
{
    p->started = true;
    if (p->failure.code)
        return err_copy(err, &p->failure);
    int rc = advance(p, &p->failure);
    return rc < 0 ? err_copy(err, &p->failure) : rc;
}

const struct parquet_cell *parquet_cells(const struct parquet *p, int handle, size_t *n)
{
    const struct leaf *l = leaf_of(p, handle);
    *n = l->row_end - l->row;
    return l->cells + l->row;
}
