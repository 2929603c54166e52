/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The footer of an object, and what has to be done to it.
 *
 *   plan_begin ─► get of the object's end ─(store's thread)─► worker: all of the footer there?
 *                     ^                                          │ no: get of it (of Avro: the
 * beginning) └──────────────────────────────────────────┤ present_plan ◄─────────┘ yes SAME,
 * FOOTER: the recipe is ready ─┴─ REWRITE: presented_rewrite.c
 */
#include "base/hash.h"
#include "lake/format/avro_present.h"
#include "lake/format/orc.h"
#include "lake/view/presented_private.h"

/* Of the object's end at first: most footers are shorter. */
#define TAIL_BYTES (64 * KIB)
/* A footer's length and the magic. */
#define TRAILER_BYTES 8
/* Two magics and a length. */
#define PARQUET_BYTES_MIN 12

struct planning {
    struct job job;
    struct recipe *recipe; /* with the reference of plan_begin */
    struct store_get get;
    char if_match[ETAG_BYTES_MAX];
    char *bytes;
};

static void planning_free(struct planning *p)
{
    free(p->bytes);
    free(p);
}
DEFINE_AUTO(planning, struct planning *, planning_free)

static void fetched(struct store_get *get)
{
    struct planning *p = CONTAINER_OF(get, struct planning, get);
    workers_submit(p->recipe->store->config.workers, &p->job);
}

/* Asks for a part, and takes *at: it runs again then, and may have done so. */
static int fetch_part(struct planning **at, uint64_t offset, size_t length, struct err *err)
{
    struct planning *p = *at;
    const struct recipe *r = p->recipe;
    struct store *home = r->store->config.home;
    char *bytes = realloc(p->bytes, length);
    if (!bytes)
        return err_set(err, ENOMEM, "out of memory");
    p->bytes = bytes;
    p->get = (struct store_get){.key = r->object_key,
                                .offset = offset,
                                .length = length,
                                .if_match = p->if_match[0] ? p->if_match : NULL,
                                .version = r->version,
                                .to = bytes,
                                .done = fetched};
    *at = NULL;
    home->ops->get(home, &p->get);
    return 0;
}

/* The last `length` bytes. */
static int fetch(struct planning **at, size_t length, struct err *err)
{
    return fetch_part(at, (*at)->recipe->object_bytes - length, length, err);
}

static int check_answer(struct planning *p, struct err *err)
{
    const struct recipe *r = p->recipe;
    if (p->get.rc < 0)
        return err_copy(err, &p->get.err);
    if (p->get.info.size != r->object_bytes)
        return err_set(err, ESTALE, "%s: size %llu expected, the store has %llu", r->object_key,
                       (unsigned long long)r->object_bytes, (unsigned long long)p->get.info.size);
    if (p->get.got != p->get.length)
        return err_set(err, EIO, "%s: %zu bytes expected, %zu came", r->object_key, p->get.length,
                       p->get.got);
    if (!p->if_match[0])
        memcpy(p->if_match, p->get.info.etag, sizeof p->if_match);
    return 0;
}

/* The footer's length as the object's last bytes tell it. */
static int footer_length(const struct planning *p, uint64_t *out, struct err *err)
{
    const char *key = p->recipe->object_key;
    const char *trailer = p->bytes + p->get.length - TRAILER_BYTES;
    uint32_t n = 0;
    for (unsigned i = 0; i < 4; i++)
        n |= (uint32_t)(unsigned char)trailer[i] << (8 * i);
    if (memcmp(trailer + 4, "PARE", 4) == 0)
        return err_set(err, EOPNOTSUPP, "%s: its footer is encrypted", key);
    bool whole = p->get.length == p->recipe->object_bytes;
    if (orc_is(slice_make(p->bytes, p->get.length)) ||
        (whole && slice_starts(slice_make(p->bytes, p->get.length), SLICE_LIT("Obj\1"))))
        return err_set(err, EOPNOTSUPP, "%s: only Parquet files are written anew", key);
    if (memcmp(trailer + 4, "PAR1", 4) != 0)
        return err_set(err, EIO, "%s: it does not end as Parquet files do", key);
    if (n == 0 || n > p->recipe->object_bytes - PARQUET_BYTES_MIN)
        return err_set(err, EIO, "%s: a footer of %u bytes in a file of %llu", key, n,
                       (unsigned long long)p->recipe->object_bytes);
    if (n > FOOTER_BYTES_MAX)
        return err_set(err, EOPNOTSUPP, "%s: a footer of %u bytes, at most %zu are read", key, n,
                       FOOTER_BYTES_MAX);
    *out = n;
    return 0;
}

/* Whether rows are deleted by their places: delete files may have nothing of a file. What is
 * deleted by values is not known before these are read. */
static bool take_deletes(struct recipe *r, struct equality **equal)
{
    bool some = false;
    WITH_LOCK (&r->store->lock) {
        *equal = r->equal ? equality_ref(r->equal) : NULL;
        some = r->rows && roaring_count(r->rows) > 0;
    }
    return some;
}

/* Of the file, and of its row filter and equality deletes where there are any. */
static int make_plans(struct recipe *r, struct slice footer, struct rewrite_parts *out,
                      struct err *err)
{
    AUTO(equality) struct equality *equal = NULL;
    bool some = take_deletes(r, &equal);
    struct present_request q = {.footer = footer,
                                .object_bytes = r->object_bytes,
                                .presented_bytes = r->size,
                                .shape = r->shape,
                                .deletes = some || equal || r->filter};
    struct err e = ERR_INIT;
    int rc = present_plan(&q, &out->plan, &e);
    if (rc == 0 && r->filter)
        rc = row_filter_plan(r->filter, footer, r->object_bytes, &out->filter, &e);
    if (rc == 0 && equal)
        rc = equality_plan(equal, footer, r->object_bytes, &out->equal, &e);
    if (rc == 0 && equal && !some && !r->filter) {
        q.deletes = false;
        rc = present_plan(&q, &out->untouched, &e);
    }
    if (rc == 0)
        return 0;
    if (e.code == EOVERFLOW) /* sound, but more than is worked on */
        e.code = EOPNOTSUPP;
    (void)err_wrap(&e, "%s", r->object_key);
    return err_copy(err, &e);
}

/* What it is made of, and which object it is made from: the ETag. */
static void set_etag(struct work *w)
{
    uint64_t hash = hash64(0, slice_of(w->if_match));
    for (size_t i = 0; i < w->extents_n; i++) {
        const struct present_extent *e = &w->extents[i];
        uint64_t numbers[] = {e->offset, e->length, e->at, e->from};
        hash = hash64(hash, slice_make(numbers, sizeof numbers));
        if (e->from == PRESENT_OWN)
            hash = hash64(hash, slice_make(w->own + e->at, (size_t)e->length));
    }
    (void)snprintf(w->etag, sizeof w->etag, "\"%016llx\"", (unsigned long long)hash); /* fits */
}

/* What is of the object's end is not asked for again. */
int plan_take_extents(struct work *w, const struct present_plan *plan, struct slice end,
                      struct err *err)
{
    size_t bytes = plan->extents_n * sizeof *plan->extents;
    w->extents = calloc(plan->extents_n + 1, sizeof *w->extents);
    w->own = malloc(plan->own.n + end.n);
    if (!w->extents || !w->own)
        return err_set(err, ENOMEM, "out of memory");
    memcpy(w->extents, plan->extents, bytes);
    if (plan->own.n)
        memcpy(w->own, plan->own.p, plan->own.n);
    if (end.n)
        memcpy(w->own + plan->own.n, end.p, end.n);
    w->extents_n = plan->extents_n;
    w->memory += bytes + plan->own.n + end.n;
    for (size_t i = 0; i < w->extents_n; i++) {
        struct present_extent *e = &w->extents[i];
        uint64_t from_end = plan->object_bytes - e->at;
        if (e->from == PRESENT_OBJECT && from_end <= end.n) {
            e->from = PRESENT_OWN;
            e->at = plan->own.n + end.n - from_end;
        }
    }
    set_etag(w);
    return 0;
}

/* 0: rewriting goes on with it, or nobody wants that; 1: *out is ready. */
static int plan(struct planning *p, struct slice footer, struct work **out, struct err *err)
{
    struct recipe *r = p->recipe;
    AUTO(rewrite_parts) struct rewrite_parts parts = {.work = work_new(r->store, err)};
    if (!parts.work)
        return -ENOMEM;
    int rc = make_plans(r, footer, &parts, err);
    if (rc < 0)
        return rc;
    enum present_kind kind = parts.plan->kind;
    memcpy(parts.work->if_match, p->if_match, sizeof parts.work->if_match);
    /* Small objects have come whole; of others more than the footer is not worth the memory. */
    bool whole = p->get.length == r->object_bytes;
    struct slice end = whole ? slice_make(p->bytes, p->get.length)
                             : slice_make(footer.p, footer.n + TRAILER_BYTES);
    if (parts.equal) {
        parts.bytes = whole ? STEAL(p->bytes) : NULL;
        rewrite_begin(r, &parts);
        parts = (struct rewrite_parts){0};
        return 0;
    }
    if (kind != PRESENT_REWRITE && (rc = plan_take_extents(parts.work, parts.plan, end, err)) < 0)
        return rc;
    if (!recipe_planned(r, kind, !parts.plan->deletes))
        return 0;
    if (kind == PRESENT_REWRITE) {
        parts.bytes = whole ? STEAL(p->bytes) : NULL;
        rewrite_begin(r, &parts);
        parts = (struct rewrite_parts){0};
        return 0;
    }
    *out = STEAL(parts.work);
    return 1;
}

/* By what an ORC file has at its end: 1 it has the table's columns, 0 more is fetched of it. */
static int check_orc(struct planning **at, struct err *err)
{
    struct planning *p = *at;
    struct slice end = slice_make(p->bytes, p->get.length);
    uint64_t n = 0;
    int rc = orc_tail_bytes(end, p->recipe->object_bytes, &n, err);
    if (rc == 0 && n > end.n)
        return fetch(at, (size_t)n, err);
    if (rc == 0)
        rc = orc_presents(end, p->recipe->shape, err);
    return rc < 0 ? rc : 1;
}

/* Likewise by what an Avro file has at its beginning. */
static int check_avro(struct planning **at, struct err *err)
{
    struct planning *p = *at;
    const struct recipe *r = p->recipe;
    struct slice head = slice_make(p->bytes, p->get.length);
    uint64_t most = r->object_bytes < FOOTER_BYTES_MAX ? r->object_bytes : FOOTER_BYTES_MAX;
    struct err e = ERR_INIT;
    if (p->get.offset)
        return fetch_part(at, 0, head.n, err);
    if (!avro_is(head))
        return err_set(err, EOPNOTSUPP,
                       "it is no Parquet file, and nothing tells that it has the table's columns");
    int rc = avro_presents(head, r->shape, &e);
    if (rc == -EIO && head.n < most) /* the header may be longer */
        return fetch_part(at, 0, (size_t)most, err);
    return rc < 0 ? err_copy(err, &e) : 1;
}

/*
 * A file of another format is shown where it has the table's columns, and nothing else is asked of
 * it. As plan_step.
 */
static int other_step(struct planning **at, struct work **out, struct err *err)
{
    struct planning *p = *at;
    struct recipe *r = p->recipe;
    AUTO(work) struct work *w = work_new(r->store, err);
    bool at_end = p->get.offset + p->get.length == r->object_bytes;
    if (!w)
        return -ENOMEM;
    if (r->deletes || r->filter || !r->shape || r->shape->confined)
        return err_set(err, EOPNOTSUPP,
                       "%s: only Parquet files are written anew, without rows or columns",
                       r->object_key);
    int rc = at_end && orc_is(slice_make(p->bytes, p->get.length)) ? check_orc(at, err)
                                                                   : check_avro(at, err);
    if (rc == 0)
        return 0;         /* it may have ended already */
    if (rc == -EOVERFLOW) /* sound, but more than is worked on */
        rc = err_set(err, EOPNOTSUPP, "%s", err->msg);
    if (rc < 0)
        return err_wrap(err, "%s", r->object_key);
    w->extents = calloc(1, sizeof *w->extents);
    if (!w->extents)
        return err_set(err, ENOMEM, "out of memory");
    w->extents[w->extents_n++] =
        (struct present_extent){.length = r->object_bytes, .from = PRESENT_OBJECT};
    memcpy(w->if_match, p->if_match, sizeof w->if_match);
    set_etag(w);
    (void)recipe_planned(r, PRESENT_SAME, true); /* it goes on */
    *out = STEAL(w);
    return 1;
}

/* On a worker. 0: something else goes on; 1: *out is ready. */
static int plan_step(struct planning **at, struct work **out, struct err *err)
{
    struct planning *p = *at;
    uint64_t n = 0;
    int rc = check_answer(p, err);
    if (rc == 0 && p->recipe->other_format)
        return other_step(at, out, err);
    if (rc == 0)
        rc = footer_length(p, &n, err);
    if (rc < 0)
        return rc;
    if (n + TRAILER_BYTES > p->get.length)
        return fetch(at, (size_t)n + TRAILER_BYTES, err);
    const char *end = p->bytes + p->get.length - TRAILER_BYTES;
    return plan(p, slice_make(end - n, (size_t)n), out, err);
}

static void plan_run(struct job *job)
{
    AUTO(planning) struct planning *p = CONTAINER_OF(job, struct planning, job);
    struct recipe *r = p->recipe;
    struct err err = ERR_INIT;
    struct work *work = NULL;
    int rc = plan_step(&p, &work, &err);
    if (rc)
        recipe_finish(r, work, &err);
}

void plan_begin(struct recipe *r)
{
    struct err err = ERR_INIT;
    AUTO(planning) struct planning *p = calloc(1, sizeof *p);
    int rc = 0;
    if (!p)
        rc = err_set(&err, ENOMEM, "out of memory");
    else if (r->object_bytes < PARQUET_BYTES_MIN && !r->other_format)
        rc = err_set(&err, EIO, "%s: %llu bytes are no Parquet file", r->object_key,
                     (unsigned long long)r->object_bytes);
    if (rc == 0) {
        *p = (struct planning){.job = {.run = plan_run}, .recipe = r};
        (void)snprintf(p->if_match, sizeof p->if_match, "%s", r->etag);
        uint64_t tail = r->object_bytes < TAIL_BYTES ? r->object_bytes : TAIL_BYTES;
        rc = fetch(&p, (size_t)tail, &err);
    }
    if (rc < 0)
        recipe_finish(r, NULL, &err);
}
