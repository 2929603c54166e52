/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/avro.h"

#include <assert.h>

#include "base/limits.h"
#include "lake/format/avro_block.h"
#include "lake/format/avro_program.h"

#define MAGIC "Obj\1"
#define MAGIC_BYTES 4U
/* What a header is looked for in at first; most have 4 to 16 KiB. */
#define HEADER_BYTES (16 * KIB)

struct metadata {
    struct slice key, value;
    struct metadata *before;
};

/* What was chosen; the node of a field that the schema lacks is NO_NODE. */
struct slot {
    uint32_t node, value;
};
#define NO_NODE UINT32_MAX

struct avro {
    struct avro_blocks blocks;
    struct arena arena;
    struct metadata *metadata; /* the last one first */
    struct avro_schema schema;
    VEC(struct slot) slots;
    struct avro_program program;
    struct avro_value *values; /* of the record; the last one is of what the schema lacks */
    size_t values_n;
    bool started;
    struct bytes block;
    uint64_t records; /* of the block that are left */
    struct err failed;
};

static bool take_text(struct bytes *in, struct slice *out)
{
    int64_t n = bytes_zigzag(in);
    in->bad |= n < 0;
    *out = bytes_slice(in, in->bad ? 0 : (size_t)n);
    return !in->bad;
}

/* One more pair of the metadata. False: out of memory. */
static bool keep(struct avro *a, struct slice key, struct slice value)
{
    struct metadata *m = arena_alloc(&a->arena, sizeof *m);
    if (!m)
        return false;
    *m = (struct metadata){.key = arena_slice(&a->arena, key),
                           .value = arena_slice(&a->arena, value.p ? value : SLICE_LIT("")),
                           .before = a->metadata};
    a->metadata = m;
    return m->key.p && m->value.p;
}

/* Magic, metadata and sync marker. 1: all there; 0: the bytes end in it, or are damaged. */
static int parse_header(struct avro *a, struct bytes *in, struct err *err)
{
    const uint8_t *magic = bytes_take(in, MAGIC_BYTES);
    if (magic && memcmp(magic, MAGIC, MAGIC_BYTES) != 0)
        return err_set(err, EIO, "no Avro file");
    for (int64_t n; (n = bytes_zigzag(in)) != 0 && !in->bad;) {
        if (n < 0)
            (void)bytes_zigzag(in); /* the bytes of the pairs that follow */
        for (uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n; left; left--) {
            struct slice key, value;
            if (!take_text(in, &key) || !take_text(in, &value))
                return 0;
            if (!keep(a, key, value))
                return arena_failed(&a->arena, "an Avro header", err);
        }
    }
    const uint8_t *sync = bytes_take(in, AVRO_SYNC_BYTES);
    if (sync)
        memcpy(a->blocks.sync, sync, AVRO_SYNC_BYTES);
    return sync != NULL;
}

/* The header is as long as it is: more and more of the file is looked at, until it is there. */
static int read_header(struct avro *a, struct err *err)
{
    for (size_t n = HEADER_BYTES;; n *= 2) {
        struct bytes in;
        int rc = avro_blocks_peek(&a->blocks, n, &in, err);
        if (rc < 0)
            return rc;
        const uint8_t *begin = in.p;
        size_t have = bytes_left(&in);
        arena_reset(&a->arena);
        a->metadata = NULL;
        rc = parse_header(a, &in, err);
        if (rc < 0)
            return rc;
        if (rc) {
            avro_blocks_use(&a->blocks, (size_t)(in.p - begin));
            return 0;
        }
        if (have < n)
            return err_set(err, EIO, "an Avro file whose header is damaged");
        if (n >= AVRO_HEADER_BYTES_MAX)
            return err_set(err, EOVERFLOW, "an Avro header of more than %zu bytes",
                           AVRO_HEADER_BYTES_MAX);
    }
}

static int open_file(struct avro *a, struct err *err)
{
    int rc = read_header(a, err);
    if (rc < 0)
        return rc;
    struct slice text = avro_metadata(a, "avro.schema");
    if (!text.p)
        return err_set(err, EIO, "an Avro file without a schema");
    rc = avro_codec_find(avro_metadata(a, "avro.codec"), &a->blocks.codec, err);
    return rc < 0 ? rc : avro_schema_parse(&a->schema, &a->arena, text, err);
}

static struct avro *open_any(const struct source *source, struct slice file, struct err *err)
{
    AUTO(avro) struct avro *a = calloc(1, sizeof *a);
    if (!a) {
        (void)err_set(err, ENOMEM, "out of memory"); /* NULL tells */
        return NULL;
    }
    arena_init(&a->arena, AVRO_MEMORY_MAX);
    avro_blocks_init(&a->blocks, source, file);
    a->slots.max = AVRO_NODES_MAX;
    return open_file(a, err) < 0 ? NULL : STEAL(a);
}

struct avro *avro_open(const struct source *source, struct err *err)
{
    return open_any(source, SLICE_NONE, err);
}

struct avro *avro_open_bytes(struct slice file, struct err *err)
{
    return open_any(NULL, file, err);
}

void avro_close(struct avro *a)
{
    if (!a)
        return;
    avro_program_done(&a->program);
    avro_schema_done(&a->schema);
    avro_blocks_done(&a->blocks);
    vec_done(&a->slots);
    free(a->values);
    arena_done(&a->arena);
    free(a);
}

struct slice avro_metadata(const struct avro *a, const char *key)
{
    for (const struct metadata *m = a->metadata; m; m = m->before)
        if (slice_is(m->key, key))
            return m->value;
    return SLICE_NONE;
}

bool avro_has_ids(const struct avro *a)
{
    return a->schema.has_ids;
}

/* Choosing. */

static uint32_t find_id(const struct avro_schema *s, int32_t id)
{
    for (uint32_t i = 1; i < s->nodes.n; i++)
        if (s->nodes.at[i].id == id && !s->nodes.at[i].repeated)
            return i;
    return NO_NODE;
}

static uint32_t find_path(const struct avro_schema *s, const char *path)
{
    uint32_t at = 0;
    for (struct slice left = slice_of(path); left.n;) {
        ptrdiff_t dot = slice_find(left, '.');
        struct slice name = slice_make(left.p, dot < 0 ? left.n : (size_t)dot);
        uint32_t child = s->nodes.at[at].first;
        while (child && (s->nodes.at[child].repeated || !slice_eq(s->nodes.at[child].name, name)))
            child = s->nodes.at[child].next;
        if (!child)
            return NO_NODE;
        at = child;
        left = slice_from(left, dot < 0 ? left.n : name.n + 1);
    }
    return at ? at : NO_NODE;
}

static bool is_bytes(enum avro_type type)
{
    return type == AVRO_BYTES || type == AVRO_STRING || type == AVRO_FIXED;
}

static bool fits(enum avro_type type, enum avro_type want)
{
    return want == AVRO_NULL || type == want || (want == AVRO_LONG && type == AVRO_INT) ||
           (is_bytes(want) && is_bytes(type));
}

/* The slot of a node, which may be NO_NODE. */
static int add_slot(struct avro *a, uint32_t at, struct err *err)
{
    struct slot slot = {.node = at, .value = UINT32_MAX};
    assert(!a->started);
    if (at != NO_NODE) {
        struct avro_node *node = &a->schema.nodes.at[at];
        if (node->type == AVRO_UNION)
            return err_set(err, EOPNOTSUPP, "field %.*s may have one of several types",
                           SLICE_FMT(node->name));
        if (!node->value)
            node->value = (uint32_t)++a->values_n;
        slot.value = node->value - 1;
    }
    int rc = vec_push(&a->slots, slot);
    if (rc < 0)
        return err_set(err, -rc, "too many fields of an Avro file are asked for");
    return (int)a->slots.n - 1;
}

int avro_choose(struct avro *a, const struct avro_want *want, struct err *err)
{
    uint32_t at = a->schema.has_ids ? find_id(&a->schema, want->id)
                                    : find_path(&a->schema, want->path ? want->path : "");
    if (at == NO_NODE && want->required)
        return err_set(err, EIO, "no field %d (%s)", want->id, want->path ? want->path : "");
    if (at != NO_NODE && !fits(a->schema.nodes.at[at].type, want->type))
        return err_set(err, EIO, "field %d (%.*s) has another type", want->id,
                       SLICE_FMT(a->schema.nodes.at[at].name));
    return add_slot(a, at, err);
}

/* The record of a slot; NULL: it is none. */
static const struct avro_node *record_of(const struct avro *a, int slot)
{
    uint32_t at = slot < 0 ? 0 : a->slots.at[slot].node;
    const struct avro_node *node = at == NO_NODE ? NULL : &a->schema.nodes.at[at];
    return node && node->type == AVRO_RECORD && !node->repeated ? node : NULL;
}

size_t avro_fields(const struct avro *a, int slot)
{
    const struct avro_node *record = record_of(a, slot);
    return record ? record->children : 0;
}

static uint32_t field_at(const struct avro *a, int slot, size_t i)
{
    uint32_t at = record_of(a, slot)->first;
    while (i--)
        at = a->schema.nodes.at[at].next;
    return at;
}

void avro_field(const struct avro *a, int slot, size_t i, struct avro_field *out)
{
    const struct avro_node *node = &a->schema.nodes.at[field_at(a, slot, i)];
    *out = (struct avro_field){.id = node->id,
                               .name = node->name,
                               .type = node->type,
                               .optional = node->optional,
                               .logical = node->logical,
                               .size = node->size,
                               .precision = node->precision,
                               .scale = node->scale,
                               .adjust_to_utc = node->adjust_to_utc};
}

int avro_choose_field(struct avro *a, int slot, size_t i, struct err *err)
{
    return add_slot(a, field_at(a, slot, i), err);
}

/* Reading. */

static int start(struct avro *a, struct err *err)
{
    int rc = avro_program_make(&a->program, &a->schema, a->values_n, err);
    a->values = calloc(a->values_n + 1, sizeof *a->values);
    if (rc == 0 && !a->values)
        rc = err_set(err, ENOMEM, "out of memory");
    a->started = true;
    return rc;
}

static int damaged(const struct avro *a, const char *what, struct err *err)
{
    return err_set(err, EIO, "Avro block at byte %llu: %s", (unsigned long long)a->blocks.block_at,
                   what);
}

/* The next block with records. */
static int next_block(struct avro *a, struct err *err)
{
    while (a->records == 0) {
        if (bytes_left(&a->block))
            return damaged(a, "bytes behind its last record", err);
        int rc = avro_blocks_next(&a->blocks, &a->records, &a->block, err);
        if (rc <= 0)
            return rc;
        /* Whoever walks the records must end in a time that the bytes tell. */
        if (a->records && a->program.least_bytes == 0)
            return err_set(err, EOPNOTSUPP, "an Avro file of records without a byte");
        if (a->records && a->records > bytes_left(&a->block) / a->program.least_bytes)
            return damaged(a, "more records than bytes", err);
    }
    return 1;
}

static int next(struct avro *a, struct err *err)
{
    int rc = a->started ? 0 : start(a, err);
    if (rc < 0)
        return rc;
    memset(a->values, 0, a->values_n * sizeof *a->values);
    rc = next_block(a, err);
    if (rc <= 0)
        return rc;
    if (!avro_program_run(&a->program, 0, a->program.record_end, &a->block, a->values))
        return damaged(a, "a record that cannot be read", err);
    a->records--;
    return 1;
}

int avro_next(struct avro *a, struct err *err)
{
    if (a->failed.code)
        return err_copy(err, &a->failed);
    int rc = next(a, &a->failed);
    return rc < 0 ? err_copy(err, &a->failed) : rc;
}

const struct avro_value *avro_value(const struct avro *a, int slot)
{
    assert(slot >= 0 && (size_t)slot < a->slots.n && a->started);
    const struct slot *s = &a->slots.at[slot];
    return &a->values[s->node == NO_NODE ? a->values_n : s->value];
}

void avro_items(const struct avro *a, int slot, struct avro_items *out)
{
    const struct avro_value *v = avro_value(a, slot);
    const struct slot *s = &a->slots.at[slot];
    *out = (struct avro_items){.avro = a};
    if (!v->present || a->program.items[s->value].to == 0)
        return;
    out->program = &a->program.items[s->value];
    out->in = bytes_make(v->bytes.p, v->bytes.n);
}

int avro_items_next(struct avro_items *items, struct err *err)
{
    const struct avro_item_program *p = items->program;
    if (!p)
        return 0;
    while (items->left == 0) {
        int64_t n = bytes_zigzag(&items->in);
        if (n < 0)
            (void)bytes_zigzag(&items->in); /* the items' bytes */
        items->left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
        if (items->in.bad)
            return damaged(items->avro, "a list that cannot be read", err);
        if (n == 0) {
            items->program = NULL;
            return 0;
        }
        if (p->least_bytes == 0)
            return err_set(err, EOPNOTSUPP, "a list of items without a byte");
        if (items->left > bytes_left(&items->in) / p->least_bytes)
            return damaged(items->avro, "a list that cannot be read", err);
    }
    memset(items->value, 0, sizeof items->value);
    if (!avro_program_run(&items->avro->program, p->from, p->to, &items->in, items->value))
        return damaged(items->avro, "a list that cannot be read", err);
    items->left--;
    return 1;
}
