/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/present.h"

#include "base/limits.h"
#include "lake/format/present_private.h"

static int no_room(struct err *err)
{
    return err_set(err, ENOMEM, "a presented file: out of memory");
}

void present_plan_free(struct present_plan *p)
{
    if (!p)
        return;
    if (p->detail)
        parquet_meta_done(&p->detail->meta);
    free(p->detail);
    arena_done(&p->arena);
    free(p);
}

static struct present_plan *new_plan(const struct present_request *r)
{
    struct present_plan *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->object_bytes = r->object_bytes;
    p->presented_bytes = r->presented_bytes;
    p->deletes = r->deletes;
    if (r->shape) {
        p->confined = r->shape->confined;
        memcpy(p->salt, r->shape->salt, sizeof p->salt);
    }
    arena_init(&p->arena, PRESENT_MEMORY_MAX);
    return p;
}

/* What has to be done */

static struct present_changes count_changes(const struct present_plan *p)
{
    const struct parquet_footer *stored = &p->detail->meta.footer;
    struct present_changes c = {0};
    size_t kept = p->detail->masked;
    for (size_t i = 0; i < p->leaves_n; i++) {
        enum present_conversion how = p->leaves[i].how;
        bool made = how == PRESENT_NULLS || how == PRESENT_CONSTANT;
        if (p->leaves[i].mask.how != SHAPE_MASK_NONE) {
            c.masked++;
            kept += !made;
            continue;
        }
        c.filled += made;
        c.converted += !made && how != PRESENT_COPY;
        kept += !made;
    }
    c.dropped = (uint32_t)(stored->leaves_n - kept);
    uint32_t last = 0;
    for (size_t i = 0; i < p->nodes_n; i++) {
        const struct present_origin *o = &p->detail->origins[i];
        if (o->stored == PRESENT_NO_NODE)
            continue;
        c.renamed += !slice_eq(p->nodes[i].name, stored->nodes[o->stored].name);
        c.relabelled += o->relabelled;
        c.moved |= o->stored < last;
        last = o->stored;
    }
    return c;
}

static enum present_kind decide(const struct present_plan *p)
{
    const struct present_changes *c = &p->changes;
    if (p->deletes || c->converted)
        return PRESENT_REWRITE;
    for (size_t i = 0; i < p->leaves_n; i++)
        if (p->leaves[i].how != PRESENT_COPY && p->leaves[i].source != PARQUET_NO_LEAF)
            return PRESENT_REWRITE;
    /* Where a chunk ends is only guessed: behind it may stand what is hidden. */
    if (p->confined && present_forgets_headers(p->detail->meta.created_by))
        return PRESENT_REWRITE;
    bool changes = c->filled || c->dropped || c->renamed || c->relabelled || c->moved || c->masked;
    return changes || p->confined || p->nodes_n != p->detail->meta.footer.nodes_n ? PRESENT_FOOTER
                                                                                  : PRESENT_SAME;
}

static int read_stored(struct present_plan *p, const struct present_request *r, struct err *err)
{
    struct slice footer = arena_slice(&p->arena, r->footer);
    struct parquet_meta *m = &p->detail->meta;
    if (!footer.p)
        return arena_failed(&p->arena, "a Parquet footer", err);
    p->detail->footer_bytes = footer.n;
    uint64_t least = PRESENT_MAGIC_BYTES + footer.n + PRESENT_TAIL_BYTES;
    if (p->object_bytes < least)
        return err_set(err, EIO, "damaged Parquet file: %ju bytes, with its footer it has %ju",
                       (uintmax_t)p->object_bytes, (uintmax_t)least);
    if (p->presented_bytes < p->object_bytes)
        return err_set(err, EOPNOTSUPP, "%ju bytes do not fit into %ju", (uintmax_t)p->object_bytes,
                       (uintmax_t)p->presented_bytes);
    int rc = parquet_meta_parse(m, footer, err);
    if (rc < 0)
        return rc;
    if (m->encrypted)
        return err_set(err, EOPNOTSUPP, "it is encrypted");
    if (m->external)
        return err_set(err, EOPNOTSUPP, "some of its columns lie in other files");
    p->stored = &m->footer;
    return 0;
}

/* Results */

void present_add_extent(struct present_plan *p, uint64_t length, enum present_from from,
                        uint64_t at)
{
    uint64_t offset = 0;
    if (p->extents_n) {
        const struct present_extent *last = &p->extents[p->extents_n - 1];
        offset = last->offset + last->length;
    }
    if (length)
        p->extents[p->extents_n++] =
            (struct present_extent){.offset = offset, .length = length, .at = at, .from = from};
}

/* The object, zeros, its footer again; where there is no room for that, zeros before its footer. */
static int lay_out_same(struct present_plan *p, struct err *err)
{
    uint64_t tail = p->detail->footer_bytes + PRESENT_TAIL_BYTES;
    uint64_t slack = p->presented_bytes - p->object_bytes;
    uint64_t data = p->object_bytes - tail;
    bool whole = slack == 0 || slack >= tail;
    p->extents = arena_calloc(&p->arena, 3, sizeof *p->extents);
    if (!p->extents)
        return arena_failed(&p->arena, "a presented file", err);
    present_add_extent(p, whole ? p->object_bytes : data, PRESENT_OBJECT, 0);
    if (slack > 0) {
        present_add_extent(p, whole ? slack - tail : slack, PRESENT_ZEROS, 0);
        present_add_extent(p, tail, PRESENT_OBJECT, data);
    }
    return 0;
}

/* Extents and own bytes are all that is needed of a plan that has them. */
static int keep_extents(struct present_plan **plan, const struct present_request *r,
                        struct err *err)
{
    struct present_plan *p = *plan;
    AUTO(present_plan) struct present_plan *small = new_plan(r);
    if (!small)
        return no_room(err);
    small->kind = p->kind;
    small->changes = p->changes;
    small->extents_n = p->extents_n;
    small->extents = arena_calloc(&small->arena, p->extents_n, sizeof *small->extents);
    small->own = p->own.n ? arena_slice(&small->arena, p->own) : SLICE_LIT("");
    if (!small->extents || !small->own.p)
        return arena_failed(&small->arena, "a presented file", err);
    memcpy(small->extents, p->extents, p->extents_n * sizeof *p->extents);
    present_plan_free(p);
    *plan = STEAL(small);
    return 0;
}

int present_plan(const struct present_request *r, struct present_plan **out, struct err *err)
{
    AUTO(present_plan) struct present_plan *p = new_plan(r);
    if (!p || !(p->detail = calloc(1, sizeof *p->detail)))
        return no_room(err);
    int rc = read_stored(p, r, err);
    if (rc == 0)
        rc = present_match(p, r->shape, err);
    if (rc < 0)
        return rc;
    p->changes = count_changes(p);
    p->kind = decide(p);
    if (p->kind == PRESENT_SAME)
        rc = lay_out_same(p, err);
    else if (p->kind == PRESENT_FOOTER)
        rc = present_layout(p, err);
    if (rc == 0 && p->kind != PRESENT_REWRITE)
        rc = keep_extents(&p, r, err);
    if (rc == 0)
        *out = STEAL(p);
    return rc;
}

const struct parquet_logical *present_logical(const struct present_plan *p, uint32_t node)
{
    return &p->detail->origins[node].element.logical;
}
