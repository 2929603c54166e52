/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/parquet_footer.h"

#include "base/limits.h"
#include "lake/format/thrift.h"

/* What is read of a SchemaElement. */
struct element {
    struct slice name;
    int32_t type, type_length, repetition, children;
};

#define ABSENT (-1)

static int no_room(struct err *err)
{
    return err_set(err, EOVERFLOW, "a Parquet footer takes more than %zu bytes of memory",
                   FOOTER_MEMORY_MAX);
}

static int damaged(const struct thrift *t, struct slice bytes, struct err *err)
{
    return err_set(err, EIO, "damaged Parquet footer at byte %td of %zu",
                   (const char *)t->in.p - bytes.p, bytes.n);
}

/* Schema */

static void read_element(struct thrift *t, struct element *e)
{
    *e = (struct element){.type = ABSENT, .repetition = ABSENT};
    struct thrift_field f = THRIFT_STRUCT;
    while (thrift_next(t, &f))
        switch (f.id) {
        case 1:
            e->type = thrift_i32(t, &f);
            break;
        case 2:
            e->type_length = thrift_i32(t, &f);
            break;
        case 3:
            e->repetition = thrift_i32(t, &f);
            break;
        case 4:
            e->name = thrift_binary(t, &f);
            break;
        case 5:
            e->children = thrift_i32(t, &f);
            break;
        default:
            thrift_skip(t, &f);
        }
}

/* The groups that are still open while the preorder list is read. */
struct open_groups {
    struct {
        uint32_t node, left; /* left: children still to come */
    } at[PARQUET_DEPTH_MAX + 1];
    size_t n;
};

static int check_element(const struct element *e, size_t index, size_t depth, struct err *err)
{
    if (depth > PARQUET_DEPTH_MAX)
        return err_set(err, EOVERFLOW, "a Parquet schema nests deeper than %d", PARQUET_DEPTH_MAX);
    bool root = index == 0;
    bool leaf = e->type != ABSENT && e->children == 0 && !root;
    if (e->children < 0 || e->type_length < 0 ||
        (!root && (e->repetition < PARQUET_REQUIRED || e->repetition > PARQUET_REPEATED)) ||
        (leaf && (e->type < 0 || e->type > PARQUET_FIXED_LEN_BYTE_ARRAY)) ||
        (leaf && e->type == PARQUET_FIXED_LEN_BYTE_ARRAY && e->type_length == 0))
        return err_set(err, EIO, "damaged Parquet schema: element %zu (\"%.*s\")", index,
                       (int)(e->name.n < 100 ? e->name.n : 100), e->name.p);
    return 0;
}

/* Element `index` becomes a node below the innermost open group. */
static int add_node(struct parquet_footer *f, const struct element *e, struct open_groups *open,
                    struct err *err)
{
    size_t index = f->nodes_n;
    if (index > 0 && open->n == 0)
        return err_set(err, EIO, "damaged Parquet schema: %zu elements are in the tree, then more",
                       index);
    int rc = check_element(e, index, open->n, err);
    if (rc < 0)
        return rc;
    struct parquet_node *node = &f->nodes[f->nodes_n++];
    *node = (struct parquet_node){.name = arena_slice(&f->arena, e->name),
                                  .end = (uint32_t)f->nodes_n,
                                  .leaf = PARQUET_NO_LEAF,
                                  .depth = (uint8_t)open->n};
    if (!node->name.p)
        return no_room(err);
    if (index > 0) {
        const struct parquet_node *parent = &f->nodes[open->at[open->n - 1].node];
        node->repetition = (uint8_t)e->repetition;
        node->max_definition =
            (uint8_t)(parent->max_definition + (e->repetition != PARQUET_REQUIRED));
        node->max_repetition =
            (uint8_t)(parent->max_repetition + (e->repetition == PARQUET_REPEATED));
        open->at[open->n - 1].left--;
        if (e->children == 0 && e->type != ABSENT) {
            node->type = (uint8_t)e->type;
            node->type_length = (uint32_t)e->type_length;
            node->leaf = (uint32_t)f->leaves_n;
            f->leaves[f->leaves_n++] = (uint32_t)index;
        }
    }
    if (e->children > 0) {
        open->at[open->n].node = (uint32_t)index;
        open->at[open->n++].left = (uint32_t)e->children;
    }
    while (open->n && open->at[open->n - 1].left == 0)
        f->nodes[open->at[--open->n].node].end = (uint32_t)f->nodes_n;
    return 0;
}

static int read_schema(struct parquet_footer *f, struct thrift *t, size_t n, struct err *err)
{
    if (n > PARQUET_NODES_MAX)
        return err_set(err, EOVERFLOW, "a Parquet schema of %zu elements, permitted are %zu", n,
                       PARQUET_NODES_MAX);
    if (n == 0 || f->nodes)
        return err_set(err, EIO, "damaged Parquet footer: %s", n ? "two schemas" : "no schema");
    f->nodes = arena_calloc(&f->arena, n, sizeof *f->nodes);
    f->leaves = arena_calloc(&f->arena, n, sizeof *f->leaves);
    if (!f->nodes || !f->leaves)
        return no_room(err);
    struct open_groups open = {.n = 0};
    for (size_t i = 0; i < n && !t->in.bad; i++) {
        struct element e;
        read_element(t, &e);
        int rc = t->in.bad ? 0 : add_node(f, &e, &open, err);
        if (rc < 0)
            return rc;
    }
    if (!t->in.bad && open.n)
        return err_set(err, EIO, "damaged Parquet schema: it ends inside a group");
    return 0;
}

/* Row groups */

/* Fields that must be there, as bits by their ids. */
#define BIT(id) (1U << (id))
#define COLUMN_FIELDS (BIT(1) | BIT(4) | BIT(5) | BIT(7) | BIT(9)) /* type ... data_page_offset */
#define GROUP_FIELDS (BIT(1) | BIT(3))                             /* columns, num_rows */

static uint32_t field_bit(const struct thrift_field *f)
{
    return f->id >= 0 && f->id < 32 ? BIT((unsigned)f->id) : 0;
}

/* Offsets and counts are signed in the format; below 0 is damage. */
static uint64_t read_count(struct thrift *t, const struct thrift_field *f)
{
    int64_t v = thrift_int(t, f);
    if (v < 0)
        t->in.bad = true;
    return v < 0 ? 0 : (uint64_t)v;
}

static void read_column(struct thrift *t, struct parquet_chunk *c, unsigned type)
{
    uint64_t data = 0, dictionary = 0;
    uint32_t seen = 0;
    struct thrift_field f = THRIFT_STRUCT;
    while (thrift_next(t, &f)) {
        seen |= field_bit(&f);
        switch (f.id) {
        case 1:
            t->in.bad |= thrift_i32(t, &f) != (int32_t)type;
            break;
        case 4:
            c->codec = (uint32_t)thrift_i32(t, &f);
            break;
        case 5:
            c->cells = read_count(t, &f);
            break;
        case 7:
            c->size_bytes = read_count(t, &f);
            break;
        case 9:
            data = read_count(t, &f);
            break;
        case 11:
            dictionary = read_count(t, &f);
            break;
        default:
            thrift_skip(t, &f);
        }
    }
    /* Some writers say 0 where there is no dictionary, or are no data pages. */
    c->offset = dictionary && (dictionary < data || data == 0) ? dictionary : data;
    t->in.bad |= (seen & COLUMN_FIELDS) != COLUMN_FIELDS;
}

static void read_chunk(struct thrift *t, struct parquet_chunk *c, unsigned type)
{
    bool has_data = false;
    struct thrift_field f = THRIFT_STRUCT;
    while (thrift_next(t, &f))
        switch (f.id) {
        case 1:
            c->external = thrift_binary(t, &f).n > 0;
            break;
        case 3:
            has_data = thrift_struct(t, &f);
            read_column(t, c, type);
            break;
        case 8:
            c->encrypted = true;
            thrift_skip(t, &f);
            break;
        default:
            thrift_skip(t, &f);
        }
    /* Where the column has a key of its own, even its metadata is encrypted. */
    t->in.bad |= !has_data && !c->encrypted;
}

static int read_group(struct parquet_footer *f, struct thrift *t, size_t g, struct err *err)
{
    struct thrift_field field = THRIFT_STRUCT;
    size_t n = 0;
    uint32_t seen = 0;
    while (thrift_next(t, &field)) {
        seen |= field_bit(&field);
        if (field.id == 1 && !f->chunks[g]) {
            n = thrift_structs(t, &field);
            if (t->in.bad || n != f->leaves_n)
                break;
            f->chunks[g] = arena_calloc(&f->arena, n, sizeof **f->chunks);
            if (!f->chunks[g])
                return no_room(err);
            for (size_t i = 0; i < n; i++)
                read_chunk(t, &f->chunks[g][i], f->nodes[f->leaves[i]].type);
        } else if (field.id == 3) {
            f->group_rows[g] = read_count(t, &field);
        } else {
            thrift_skip(t, &field);
        }
    }
    if (!t->in.bad && n != f->leaves_n)
        return err_set(err, EIO, "damaged Parquet footer: row group %zu has %zu columns of %zu", g,
                       n, f->leaves_n);
    t->in.bad |= (seen & GROUP_FIELDS) != GROUP_FIELDS;
    return 0;
}

static int read_groups(struct parquet_footer *f, struct thrift *t, size_t n, struct err *err)
{
    if (!f->nodes || f->chunks)
        return err_set(err, EIO, "damaged Parquet footer: %s",
                       f->nodes ? "two lists of row groups" : "no schema before the row groups");
    f->chunks = arena_calloc(&f->arena, n, sizeof *f->chunks);
    f->group_rows = arena_calloc(&f->arena, n, sizeof *f->group_rows);
    if (!f->chunks || !f->group_rows)
        return no_room(err);
    f->groups_n = n;
    for (size_t g = 0; g < n && !t->in.bad; g++) {
        int rc = read_group(f, t, g, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int check_rows(struct parquet_footer *f, struct err *err)
{
    uint64_t sum = 0;
    for (size_t g = 0; g < f->groups_n; g++)
        if (__builtin_add_overflow(sum, f->group_rows[g], &sum))
            return err_set(err, EIO, "damaged Parquet footer: too many rows");
    /* A few writers leave the file's own number at 0. */
    if (f->rows != 0 && sum != f->rows)
        return err_set(err, EIO, "damaged Parquet footer: %ju rows, its row groups have %ju",
                       (uintmax_t)f->rows, (uintmax_t)sum);
    f->rows = sum;
    return 0;
}

static int read_file(struct parquet_footer *f, struct thrift *t, struct err *err)
{
    struct thrift_field field = THRIFT_STRUCT;
    int rc = 0;
    while (rc == 0 && thrift_next(t, &field))
        switch (field.id) {
        case 2:
            rc = read_schema(f, t, thrift_structs(t, &field), err);
            break;
        case 3:
            f->rows = read_count(t, &field);
            break;
        case 4:
            rc = read_groups(f, t, thrift_structs(t, &field), err);
            break;
        default:
            thrift_skip(t, &field);
        }
    return rc;
}

int parquet_footer_parse(struct parquet_footer *f, struct slice bytes, struct err *err)
{
    AUTO(parquet_footer) struct parquet_footer new = {0};
    arena_init(&new.arena, FOOTER_MEMORY_MAX);
    struct thrift t = thrift_make(bytes);
    int rc = read_file(&new, &t, err);
    if (t.in.bad || (rc == 0 && (!new.nodes || !new.chunks)))
        return damaged(&t, bytes, err);
    if (rc == 0)
        rc = check_rows(&new, err);
    if (rc < 0)
        return rc;
    *f = new;
    arena_init(&new.arena, 0);
    return 0;
}

void parquet_footer_done(struct parquet_footer *f)
{
    arena_done(&f->arena);
    *f = (struct parquet_footer){0};
}

/* Paths */

/* The length of `name` (or of one component, for `*`) at the start of path, and its dot. -1: no. */
static ptrdiff_t match(struct slice path, struct slice name, bool last)
{
    size_t n = name.n;
    if (path.n && path.p[0] == '*' && (path.n == 1 || path.p[1] == '.'))
        n = 1;
    else if (!slice_starts(path, name))
        return -1;
    if (last)
        return path.n == n ? (ptrdiff_t)n : -1;
    return path.n > n && path.p[n] == '.' ? (ptrdiff_t)n + 1 : -1;
}

const struct parquet_node *parquet_footer_find(const struct parquet_footer *f, struct slice path,
                                               bool leaf)
{
    /* Names may contain dots, so that the path is matched along the tree instead of split: at[d]
     * is what the names above depth d took of it. Each node is looked at once. */
    size_t at[PARQUET_DEPTH_MAX + 2] = {0};
    for (size_t i = 1; i < f->nodes_n;) {
        const struct parquet_node *node = &f->nodes[i];
        struct slice rest = slice_from(path, at[node->depth]);
        bool is_leaf = node->leaf != PARQUET_NO_LEAF;
        if (is_leaf == leaf && match(rest, node->name, true) >= 0)
            return node;
        ptrdiff_t n = match(rest, node->name, false);
        if (n >= 0)
            at[node->depth + 1] = at[node->depth] + (size_t)n;
        i = n >= 0 ? i + 1 : node->end;
    }
    return NULL;
}

unsigned parquet_footer_item(const struct parquet_footer *f, const struct parquet_node *leaf)
{
    unsigned definition = 0;
    size_t target = (size_t)(leaf - f->nodes);
    for (size_t i = 1; i <= target;) {
        const struct parquet_node *node = &f->nodes[i];
        if (node->end <= target) {
            i = node->end;
            continue;
        }
        if (node->repetition == PARQUET_REPEATED)
            definition = node->max_definition;
        i++;
    }
    return definition;
}

void parquet_footer_path(const struct parquet_footer *f, size_t leaf, struct buf *out)
{
    uint32_t target = f->leaves[leaf];
    bool first = true;
    for (uint32_t i = 1; i <= target;) {
        const struct parquet_node *node = &f->nodes[i];
        if (node->end <= target) {
            i = node->end;
            continue;
        }
        if (!first)
            buf_add_char(out, '.');
        first = false;
        buf_add_slice(out, node->name);
        i++;
    }
}
