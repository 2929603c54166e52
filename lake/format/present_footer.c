/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The footer of a presented file (parquet.thrift: FileMetaData), of a whitelist of fields: what is
 * not written here is not in it.
 */
#include <ctype.h>

#include "base/limits.h"
#include "lake/format/present_private.h"

/* parquet.thrift: enum Encoding, of levels. */
#define ENCODING_RLE 3
#define ENCODINGS_MAX 32

/*
 * Key-value metadata that says how values are to be read, never which there are: whether old dates
 * and times were rebased, and in which zone they were written.
 */
static const char *const kept_keys[] = {
    "org.apache.spark.version",      "org.apache.spark.timeZone", "org.apache.spark.legacyDateTime",
    "org.apache.spark.legacyINT96",  "writer.date.proleptic",     "writer.time.zone",
    "writer.zone.conversion.legacy", "writer.model.name",
};

/*
 * Under a view only so much of free text is passed on as readers need: of `parquet-mr version
 * 1.12.3 (build ...)` the program and its version, by which they know its faults; of metadata a
 * word.
 */
#define WORD_BYTES_MAX 64
static const char *const known_writers[] = {
    "parquet-mr", "parquet-cpp-arrow", "parquet-cpp", "parquet-rs", "impala",
};

struct footer {
    const struct present_plan *p;
    const struct parquet_meta *meta;
    struct thrift_out t;
    uint32_t *leaf_of; /* by stored leaf: which of the plan's it is, or PARQUET_NO_LEAF */
    bool in_place;
};

/* Schema */

static size_t children(const struct present_plan *p, size_t node)
{
    size_t n = 0;
    for (size_t i = node + 1; i < p->nodes[node].end; i = p->nodes[i].end)
        n++;
    return n;
}

static void put_element(struct footer *f, size_t i)
{
    const struct parquet_node *node = &f->p->nodes[i];
    bool leaf = node->leaf != PARQUET_NO_LEAF;
    thrift_put_item(&f->t);
    if (leaf)
        thrift_put_int(&f->t, 1, THRIFT_I32, node->type);
    if (leaf && node->type_length > 0)
        thrift_put_int(&f->t, 2, THRIFT_I32, node->type_length);
    if (i > 0)
        thrift_put_int(&f->t, 3, THRIFT_I32, node->repetition);
    thrift_put_binary(&f->t, 4, node->name);
    if (!leaf)
        thrift_put_int(&f->t, 5, THRIFT_I32, (int64_t)children(f->p, i));
    parquet_element_put(&f->t, &f->p->detail->origins[i].element);
    thrift_put_end(&f->t);
}

static void put_path(struct footer *f, int id, uint32_t node)
{
    struct slice names[PARQUET_DEPTH_MAX + 1];
    size_t n = 0;
    for (uint32_t i = node; i != 0; i = f->p->detail->origins[i].parent)
        names[n++] = f->p->nodes[i].name;
    thrift_put_list(&f->t, id, THRIFT_BINARY, n);
    while (n--)
        thrift_put_item_binary(&f->t, names[n]);
}

/* Column chunks */

static void put_encodings(struct footer *f, const struct parquet_node *node, uint32_t encodings)
{
    if (node->max_definition > 0 || node->max_repetition > 0)
        encodings |= 1U << ENCODING_RLE;
    thrift_put_list(&f->t, 2, THRIFT_I32, (size_t)__builtin_popcount(encodings));
    for (unsigned e = 0; e < ENCODINGS_MAX; e++)
        if (encodings >> e & 1)
            thrift_put_item_int(&f->t, e);
}

static void put_optional(struct footer *f, int id, enum thrift_type type, struct slice value)
{
    if (value.n)
        thrift_put_raw(&f->t, id, type, value);
}

/* What is known of pages that are as they were. */
static void put_knowledge(struct footer *f, const struct parquet_detail *d)
{
    put_optional(f, 12, THRIFT_STRUCT_TYPE, d->statistics);
    put_optional(f, 13, THRIFT_LIST, d->encoding_stats);
    if (f->in_place && d->bloom.bytes) {
        thrift_put_int(&f->t, 14, THRIFT_I64, (int64_t)d->bloom.offset);
        thrift_put_int(&f->t, 15, THRIFT_I32, (int64_t)d->bloom.bytes);
    }
    put_optional(f, 16, THRIFT_STRUCT_TYPE, d->size_statistics);
    put_optional(f, 17, THRIFT_STRUCT_TYPE, d->geospatial);
}

static void put_index(struct footer *f, int id, struct present_range r)
{
    if (r.bytes == 0)
        return;
    thrift_put_int(&f->t, id, THRIFT_I64, (int64_t)r.offset);
    thrift_put_int(&f->t, id + 1, THRIFT_I32, (int64_t)r.bytes);
}

/* struct ColumnMetaData */
static void put_metadata(struct footer *f, const struct present_leaf *leaf,
                         const struct present_chunk *c, const struct parquet_detail *d)
{
    const struct parquet_node *node = &f->p->nodes[leaf->node];
    thrift_put_int(&f->t, 1, THRIFT_I32, node->type);
    if (d && d->encodings.n)
        thrift_put_raw(&f->t, 2, THRIFT_LIST, d->encodings);
    else
        put_encodings(f, node, d ? 0 : c->encodings);
    put_path(f, 3, leaf->node);
    thrift_put_int(&f->t, 4, THRIFT_I32, (int32_t)c->codec);
    thrift_put_int(&f->t, 5, THRIFT_I64, (int64_t)c->cells);
    thrift_put_int(&f->t, 6, THRIFT_I64, (int64_t)c->plain_bytes);
    thrift_put_int(&f->t, 7, THRIFT_I64, (int64_t)c->stored_bytes);
    thrift_put_int(&f->t, 9, THRIFT_I64, (int64_t)c->data_offset);
    if (c->dictionary_offset)
        thrift_put_int(&f->t, 11, THRIFT_I64, (int64_t)c->dictionary_offset);
    if (d) {
        put_knowledge(f, d);
    } else if (leaf->how == PRESENT_NULLS) {
        thrift_put_struct(&f->t, 12);
        thrift_put_int(&f->t, 3, THRIFT_I64, (int64_t)c->cells);
        thrift_put_end(&f->t);
    }
}

/* What the stored file says of a chunk that is as it was. */
static struct present_chunk known_chunk(const struct footer *f, const struct present_chunk *c,
                                        const struct parquet_chunk *stored,
                                        const struct parquet_detail *d)
{
    struct present_chunk known = *c;
    known.codec = stored->codec;
    known.cells = stored->cells;
    known.stored_bytes = stored->size_bytes;
    known.plain_bytes = d->plain_bytes;
    if (f->in_place) {
        known.offset_index = (struct present_range){d->offset_index.offset, d->offset_index.bytes};
        known.column_index = (struct present_range){d->column_index.offset, d->column_index.bytes};
        known.data_offset = d->data_offset;
        known.dictionary_offset = stored->offset == d->dictionary_offset ? stored->offset : 0;
    }
    return known;
}

/* struct ColumnChunk; gives what was written. */
static struct present_chunk put_chunk(struct footer *f, const struct present_group *g, size_t leaf)
{
    const struct present_leaf *l = &f->p->leaves[leaf];
    struct present_chunk c = g->chunks[leaf];
    const struct parquet_detail *d = NULL;
    if (c.untouched) {
        d = &f->meta->details[g->stored][l->source];
        c = known_chunk(f, &c, &f->meta->footer.chunks[g->stored][l->source], d);
    }
    uint64_t offset = c.dictionary_offset ? c.dictionary_offset : c.data_offset;
    thrift_put_item(&f->t);
    thrift_put_int(&f->t, 2, THRIFT_I64, (int64_t)offset);
    thrift_put_struct(&f->t, 3);
    put_metadata(f, l, &c, d);
    thrift_put_end(&f->t);
    put_index(f, 4, c.offset_index);
    put_index(f, 6, c.column_index);
    thrift_put_end(&f->t);
    return c;
}

/* Row groups */

/* Rows are sorted by the first columns of the list, as far as those are presented as they are. */
static void put_sorting(struct footer *f, const struct parquet_sortings *s)
{
    size_t n = 0;
    while (n < s->n && f->leaf_of[s->at[n].leaf] != PARQUET_NO_LEAF)
        n++;
    if (n == 0)
        return;
    thrift_put_list(&f->t, 4, THRIFT_STRUCT_TYPE, n);
    for (size_t i = 0; i < n; i++) {
        thrift_put_item(&f->t);
        thrift_put_int(&f->t, 1, THRIFT_I32, f->leaf_of[s->at[i].leaf]);
        thrift_put_bool(&f->t, 2, s->at[i].descending);
        thrift_put_bool(&f->t, 3, s->at[i].nulls_first);
        thrift_put_end(&f->t);
    }
}

static void put_group(struct footer *f, const struct present_group *g)
{
    uint64_t plain = 0, stored = 0;
    thrift_put_item(&f->t);
    thrift_put_list(&f->t, 1, THRIFT_STRUCT_TYPE, f->p->leaves_n);
    for (size_t i = 0; i < f->p->leaves_n; i++) {
        struct present_chunk c = put_chunk(f, g, i);
        plain += c.plain_bytes;
        stored += c.stored_bytes;
    }
    thrift_put_int(&f->t, 2, THRIFT_I64, (int64_t)plain);
    thrift_put_int(&f->t, 3, THRIFT_I64, (int64_t)g->rows);
    put_sorting(f, &f->meta->sortings[g->stored]);
    thrift_put_int(&f->t, 6, THRIFT_I64, (int64_t)stored);
    thrift_put_end(&f->t);
}

/* The file */

/* Bytes at the start of s that words and versions are made of. */
static size_t word_bytes(struct slice s)
{
    size_t n = 0;
    while (n < s.n && n < WORD_BYTES_MAX &&
           (isalnum((unsigned char)s.p[n]) || (s.p[n] && strchr("._-+:/", s.p[n]))))
        n++;
    return n;
}

/* created_by, or as much of it as is passed on. */
static struct slice writer(const struct footer *f)
{
    struct slice s = f->meta->created_by, version = SLICE_LIT(" version ");
    if (!f->p->confined)
        return s;
    for (size_t i = 0; i < ARRAY_SIZE(known_writers); i++) {
        struct slice name = slice_of(known_writers[i]);
        struct slice rest = slice_starts(s, name) ? slice_from(s, name.n) : SLICE_NONE;
        if (rest.p && slice_starts(rest, version))
            return slice_make(s.p, name.n + version.n + word_bytes(slice_from(rest, version.n)));
        if (rest.p && rest.n == 0)
            return name;
    }
    return SLICE_NONE;
}

static bool is_kept(const struct footer *f, const struct parquet_key_value *kv)
{
    if (f->p->confined && word_bytes(kv->value) < kv->value.n)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(kept_keys); i++)
        if (slice_is(kv->key, kept_keys[i]))
            return true;
    return false;
}

static void put_pairs(struct footer *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->meta->pairs_n; i++)
        n += is_kept(f, &f->meta->pairs[i]);
    if (n == 0)
        return;
    thrift_put_list(&f->t, 5, THRIFT_STRUCT_TYPE, n);
    for (size_t i = 0; i < f->meta->pairs_n; i++) {
        const struct parquet_key_value *kv = &f->meta->pairs[i];
        if (!is_kept(f, kv))
            continue;
        thrift_put_item(&f->t);
        thrift_put_binary(&f->t, 1, kv->key);
        if (kv->has_value)
            thrift_put_binary(&f->t, 2, kv->value);
        thrift_put_end(&f->t);
    }
}

/* Those of leaves that are made are the types' own. */
static void put_orders(struct footer *f)
{
    if (!f->meta->orders)
        return;
    thrift_put_list(&f->t, 7, THRIFT_STRUCT_TYPE, f->p->leaves_n);
    for (size_t i = 0; i < f->p->leaves_n; i++) {
        const struct present_leaf *l = &f->p->leaves[i];
        if (l->how == PRESENT_COPY) {
            buf_add_slice(f->t.to, f->meta->orders[l->source]);
            continue;
        }
        thrift_put_item(&f->t);
        thrift_put_struct(&f->t, 1);
        thrift_put_end(&f->t);
        thrift_put_end(&f->t);
    }
}

static void put_file(struct footer *f, const struct present_group *groups, size_t n)
{
    uint64_t rows = 0;
    for (size_t g = 0; g < n; g++)
        rows += groups[g].rows;
    thrift_put_int(&f->t, 1, THRIFT_I32, f->meta->version);
    thrift_put_list(&f->t, 2, THRIFT_STRUCT_TYPE, f->p->nodes_n);
    for (size_t i = 0; i < f->p->nodes_n; i++)
        put_element(f, i);
    thrift_put_int(&f->t, 3, THRIFT_I64, (int64_t)rows);
    thrift_put_list(&f->t, 4, THRIFT_STRUCT_TYPE, n);
    for (size_t g = 0; g < n; g++)
        put_group(f, &groups[g]);
    put_pairs(f);
    if (writer(f).n)
        thrift_put_binary(&f->t, 6, writer(f));
    put_orders(f);
    thrift_put_end(&f->t);
}

int present_footer_put(const struct present_plan *p, const struct present_group *groups, size_t n,
                       bool in_place, struct buf *out, struct err *err)
{
    const struct parquet_meta *meta = &p->detail->meta;
    size_t start = out->len, leaves = meta->footer.leaves_n;
    AUTO_FREE uint32_t *leaf_of = malloc((leaves + 1) * sizeof *leaf_of);
    if (!leaf_of)
        return err_set(err, ENOMEM, "a presented footer: out of memory");
    for (size_t i = 0; i < leaves; i++)
        leaf_of[i] = PARQUET_NO_LEAF;
    for (size_t i = 0; i < p->leaves_n; i++)
        if (p->leaves[i].how != PRESENT_NULLS && p->leaves[i].how != PRESENT_CONSTANT &&
            p->leaves[i].mask.how == SHAPE_MASK_NONE)
            leaf_of[p->leaves[i].source] = (uint32_t)i;
    struct footer f = {
        .p = p, .meta = meta, .t = thrift_out_make(out), .leaf_of = leaf_of, .in_place = in_place};
    put_file(&f, groups, n);
    uint64_t bytes = out->len - start;
    if (bytes > FOOTER_BYTES_MAX)
        return err_set(err, EOVERFLOW, "the footer would have %ju bytes, permitted are %zu",
                       (uintmax_t)bytes, FOOTER_BYTES_MAX);
    uint32_t length = (uint32_t)bytes;
    buf_add(out, &length, sizeof length);
    buf_add_str(out, PRESENT_MAGIC);
    return buf_check(out, err);
}

int present_footer(const struct present_plan *p, const struct present_group *groups, size_t n,
                   struct buf *out, struct err *err)
{
    return present_footer_put(p, groups, n, false, out, err);
}
