/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/parquet_rewrite.h"

#include "base/limits.h"
#include "lake/format/parquet_rewrite_chunk.h"

#define ZEROS_BYTES (64 * KIB)
/* Chunks of a presented file: what is kept of them takes no more than twice what the stored
 * footer's may. */
#define CHUNKS_MAX (2 * FOOTER_MEMORY_MAX / sizeof(struct present_chunk))

struct rewrite {
    const struct present_plan *plan;
    const struct roaring *deleted;
    struct parquet_chunk_writer *chunks;
    uint64_t *gone; /* a bit for each row of a row group */
    struct present_group *groups;
    struct present_chunk *written; /* of all groups */
    size_t groups_n;
    int64_t hashed; /* by how much chunks of hashes took more than what is hashed */
    struct buf footer;
    bool no_room;
};

static void rewrite_done(struct rewrite *r)
{
    parquet_chunk_writer_free(r->chunks);
    free(r->gone);
    free(r->groups);
    free(r->written);
    buf_done(&r->footer);
}
DEFINE_AUTO_DONE(rewrite, struct rewrite, rewrite_done)

/* Room */

static uint64_t slack(const struct present_plan *plan)
{
    return plan->presented_bytes - plan->object_bytes;
}

static uint32_t value_bytes(const struct parquet_node *node)
{
    uint32_t n = parquet_type_bytes(node->type, node->type_length);
    return n ? n : 4; /* a string's length alone */
}

/* Whether values that become wider, written as they were, may take half of the room. */
static bool must_be_compact(const struct present_plan *plan)
{
    const struct parquet_footer *stored = plan->stored;
    double more = 0;
    for (size_t i = 0; i < plan->leaves_n; i++) {
        const struct present_leaf *leaf = &plan->leaves[i];
        if (leaf->how == PRESENT_COPY || leaf->source == PARQUET_NO_LEAF)
            continue;
        double from = value_bytes(&stored->nodes[stored->leaves[leaf->source]]);
        double to = value_bytes(&plan->nodes[leaf->node]);
        for (size_t g = 0; to > from && g < stored->groups_n; g++)
            more += (double)stored->chunks[g][leaf->source].size_bytes * (to - from) / from;
    }
    return more > (double)slack(plan) / 2;
}

/* By how much what was written is more than what it was made of. */
static int64_t growth(const struct rewrite *r)
{
    return (int64_t)r->chunks->out.at - (int64_t)r->chunks->consumed;
}

/* How hard to compress, as long as the footer still needs its room. Hashes have room of their own,
 * and no effort makes them smaller. */
static enum codec_effort effort(const struct rewrite *r)
{
    return r->chunks->tight || growth(r) - r->hashed > (int64_t)slack(r->plan) / 2 ? CODEC_SMALL
                                                                                   : CODEC_QUICK;
}

static int check_room(struct rewrite *r, uint64_t size, struct err *err)
{
    uint64_t presented = r->plan->presented_bytes;
    r->no_room = size > presented;
    return r->no_room ? err_set(err, EOPNOTSUPP,
                                "rewritten, it takes %ju bytes or more, and %ju were promised "
                                "(a larger slack is needed)",
                                (uintmax_t)size, (uintmax_t)presented)
                      : 0;
}

/* Rows */

/* The rows of a group that begins at row `first` of the file. */
static int load_rows(struct rewrite *r, uint64_t first, uint64_t n, struct parquet_rows *rows,
                     struct err *err)
{
    uint64_t gone = r->deleted ? roaring_count_between(r->deleted, first, first + n) : 0;
    *rows = (struct parquet_rows){.n = n, .kept = n - gone};
    if (gone == 0 || gone == n)
        return 0;
    if (n > PARQUET_GROUP_ROWS_MAX)
        return err_set(err, EOVERFLOW, "a row group of %ju rows, permitted are %ju", (uintmax_t)n,
                       (uintmax_t)PARQUET_GROUP_ROWS_MAX);
    free(r->gone);
    r->gone = calloc((size_t)(n + 63) / 64, sizeof *r->gone);
    if (!r->gone)
        return err_set(err, ENOMEM, "out of memory");
    uint64_t row = first;
    while (roaring_next(r->deleted, row, &row) && row < first + n) {
        r->gone[(row - first) / 64] |= 1ULL << ((row - first) % 64);
        row++;
    }
    rows->gone = r->gone;
    return 0;
}

/* Says where. */
static int in_chunk(const struct rewrite *r, size_t group, size_t leaf, struct err *err)
{
    const struct present_leaf *l = &r->plan->leaves[leaf];
    const struct parquet_node *node = &r->plan->nodes[l->node];
    return err_wrap(err, "row group %zu, column %.*s", group,
                    (int)(node->name.n < 100 ? node->name.n : 100), node->name.p);
}

static int write_group(struct rewrite *r, size_t group, const struct parquet_rows *rows,
                       struct err *err)
{
    size_t leaves = r->plan->leaves_n;
    struct present_group *out = &r->groups[r->groups_n];
    *out = (struct present_group){
        .rows = rows->kept, .stored = (uint32_t)group, .chunks = r->written + r->groups_n * leaves};
    for (size_t i = 0; i < leaves; i++) {
        int64_t before = growth(r);
        r->chunks->out.effort = effort(r);
        if (parquet_chunk_write(r->chunks, group, i, rows, &out->chunks[i], err) < 0)
            return in_chunk(r, group, i, err);
        if (mask_is_hash(r->plan->leaves[i].mask.how))
            r->hashed += growth(r) - before;
        int rc = check_room(r, r->chunks->out.at, err);
        if (rc < 0)
            return rc;
    }
    r->groups_n++;
    return 0;
}

static int write_groups(struct rewrite *r, struct err *err)
{
    const struct parquet_footer *stored = r->plan->stored;
    uint64_t first = 0;
    for (size_t g = 0; g < stored->groups_n; g++) {
        struct parquet_rows rows;
        int rc = load_rows(r, first, stored->group_rows[g], &rows, err);
        if (rc == 0 && rows.kept)
            rc = write_group(r, g, &rows, err);
        if (rc < 0)
            return rc;
        first += stored->group_rows[g];
    }
    return 0;
}

/* The end */

static int write_zeros(struct rewrite *r, uint64_t n, struct err *err)
{
    static const char zeros[ZEROS_BYTES];
    int rc = 0;
    while (rc == 0 && n) {
        size_t take = n < ZEROS_BYTES ? (size_t)n : ZEROS_BYTES;
        rc = parquet_page_write_raw(&r->chunks->out, slice_make(zeros, take), err);
        n -= take;
    }
    return rc;
}

static int write_end(struct rewrite *r, struct err *err)
{
    struct parquet_page_writer *out = &r->chunks->out;
    int rc = present_footer(r->plan, r->groups, r->groups_n, &r->footer, err);
    if (rc == 0)
        rc = check_room(r, out->at + r->footer.len, err);
    if (rc == 0)
        rc = write_zeros(r, r->plan->presented_bytes - out->at - r->footer.len, err);
    return rc < 0 ? rc : parquet_page_write_raw(out, buf_slice(&r->footer), err);
}

static int write_all(struct rewrite *r, struct err *err)
{
    int rc = parquet_page_write_raw(&r->chunks->out, SLICE_LIT("PAR1"), err);
    if (rc == 0)
        rc = write_groups(r, err);
    return rc < 0 ? rc : write_end(r, err);
}

/* Once more, smaller. */
static int write_tight(struct rewrite *r, const struct parquet_sink *sink, struct err *err)
{
    int rc = sink->rewind(sink->arg, err);
    if (rc < 0)
        return rc;
    r->chunks->tight = r->chunks->compact = true;
    r->chunks->out.at = r->chunks->consumed = 0;
    r->groups_n = 0;
    r->hashed = 0;
    buf_reset(&r->footer);
    return write_all(r, err);
}

int parquet_rewrite(const struct source *source, const struct present_plan *plan,
                    const struct roaring *deleted, const struct parquet_sink *sink, struct err *err)
{
    size_t groups = plan->stored->groups_n;
    if (groups > CHUNKS_MAX / (plan->leaves_n + 1))
        return err_set(err, EOVERFLOW, "%zu row groups of %zu columns", groups, plan->leaves_n);
    AUTO(rewrite) struct rewrite r = {.plan = plan, .deleted = deleted};
    buf_init(&r.footer, FOOTER_BYTES_MAX);
    r.chunks = parquet_chunk_writer_new(source, plan, sink);
    r.groups = calloc(groups + 1, sizeof *r.groups);
    r.written = reallocarray(NULL, groups * plan->leaves_n + 1, sizeof *r.written);
    if (!r.chunks || !r.groups || !r.written)
        return err_set(err, ENOMEM, "out of memory");
    r.chunks->compact = must_be_compact(plan);
    int rc = write_all(&r, err);
    return rc < 0 && r.no_room && sink->rewind ? write_tight(&r, sink, err) : rc;
}
