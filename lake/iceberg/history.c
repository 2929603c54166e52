/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/history.h"

#include "base/hash.h"
#include "base/vec.h"

static uint64_t mix(uint64_t seed, struct slice s)
{
    uint64_t length = hash64(seed, slice_make(&s.n, sizeof s.n));
    return hash64(length, s);
}

uint64_t iceberg_history_fingerprint(const struct iceberg_metadata *m,
                                     const struct iceberg_snapshot *s, int32_t schema)
{
    const struct iceberg_schema_text *columns = iceberg_metadata_schema(m, schema);
    int64_t told[] = {s->id, s->timestamp_ms, s->sequence, schema,
                      columns ? (int64_t)columns->hash : 0};
    uint64_t hash = hash64(5, slice_make(told, sizeof told));
    hash = mix(hash, m->uuid);
    hash = mix(hash, m->location);
    hash = mix(hash, iceberg_metadata_property(m, "schema.name-mapping.default"));
    hash = mix(hash, s->manifest_list);
    for (size_t i = 0; i < s->manifests_n; i++)
        hash = mix(hash, s->manifests[i]);
    return hash;
}

/* A history on its way. */
struct telling {
    const struct iceberg_metadata *m;
    struct history *h;
    size_t heads; /* so far */
    VEC(int64_t) expired;
    struct err *err;
};

static int no_memory(struct telling *t)
{
    return arena_failed(&t->h->arena, "a table's history", t->err);
}

static struct version version_of(const struct iceberg_metadata *m, const struct iceberg_snapshot *s,
                                 int32_t schema)
{
    return (struct version){.number = s->id,
                            .timestamp_ms = s->timestamp_ms,
                            .fingerprint = iceberg_history_fingerprint(m, s, schema),
                            .schema = schema};
}

/* Positions are those of the metadata's own list. */
static ptrdiff_t position_of(const struct telling *t, int64_t id)
{
    const struct iceberg_snapshot *s = iceberg_metadata_snapshot(t->m, id);
    return s ? s - t->m->snapshots : -1;
}

static int note_expired(struct telling *t, int64_t id)
{
    int rc = vec_push(&t->expired, id);
    return rc < 0 ? err_set(t->err, -rc, "too many snapshots that have expired") : 0;
}

/* Where a branch is: at a head, which may have to be made, or at the version itself. */
static ptrdiff_t branch_position(struct telling *t, ptrdiff_t version)
{
    struct history *h = t->h;
    const struct iceberg_snapshot *s = &t->m->snapshots[version];
    if (h->at[version].schema == t->m->current_schema_id)
        return version;
    for (size_t i = h->n; i < h->n + t->heads; i++)
        if (h->at[i].number == s->id)
            return (ptrdiff_t)i;
    h->at[h->n + t->heads] = version_of(t->m, s, t->m->current_schema_id);
    return (ptrdiff_t)(h->n + t->heads++);
}

static int tell_names(struct telling *t)
{
    const struct iceberg_metadata *m = t->m;
    struct history_name *names = arena_calloc(&t->h->arena, m->refs_n + 1, sizeof *names);
    if (!names)
        return no_memory(t);
    for (size_t i = 0; i < m->refs_n; i++) {
        const struct iceberg_ref *ref = &m->refs[i];
        ptrdiff_t position = position_of(t, ref->snapshot);
        if (position < 0) {
            int rc = note_expired(t, ref->snapshot);
            if (rc < 0)
                return rc;
            continue;
        }
        struct history_name name = {.name = arena_slice(&t->h->arena, ref->name),
                                    .branch = ref->branch};
        if (!name.name.p)
            return no_memory(t);
        name.position = ref->branch ? branch_position(t, position) : position;
        if (ref->branch && slice_is(ref->name, "main"))
            t->h->live = name.position;
        names[t->h->names_n++] = name;
    }
    t->h->names = names;
    return 0;
}

static int tell_log(struct telling *t)
{
    const struct iceberg_metadata *m = t->m;
    struct history_moment *clock = arena_calloc(&t->h->arena, m->moments_n + 1, sizeof *clock);
    if (!clock)
        return no_memory(t);
    for (size_t i = 0; i < m->moments_n; i++) {
        clock[i].time_ms = m->moments[i].timestamp_ms;
        clock[i].position = position_of(t, m->moments[i].snapshot);
        int rc = clock[i].position < 0 ? note_expired(t, m->moments[i].snapshot) : 0;
        if (rc < 0)
            return rc;
    }
    t->h->clock = clock;
    t->h->clock_n = m->moments_n;
    return 0;
}

/* Without a log: the current snapshot and what it descends from, the oldest first. A parent that is
 * not older ends it. */
static int tell_descent(struct telling *t)
{
    const struct iceberg_metadata *m = t->m;
    struct history_moment *clock = arena_calloc(&t->h->arena, m->snapshots_n + 1, sizeof *clock);
    size_t n = 0;
    if (!clock)
        return no_memory(t);
    const struct iceberg_snapshot *s = iceberg_metadata_snapshot(m, m->current_snapshot);
    for (; s && n < m->snapshots_n; n++) {
        clock[m->snapshots_n - 1 - n] = (struct history_moment){s->timestamp_ms, s - m->snapshots};
        const struct iceberg_snapshot *parent = iceberg_metadata_snapshot(m, s->parent);
        s = parent && parent->timestamp_ms < s->timestamp_ms ? parent : NULL;
    }
    t->h->clock = clock + (m->snapshots_n - n);
    t->h->clock_n = n;
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int tell_expired(struct telling *t)
{
    for (size_t i = 0; i < t->m->snapshots_n; i++) {
        int64_t parent = t->m->snapshots[i].parent;
        int rc = parent >= 0 && position_of(t, parent) < 0 ? note_expired(t, parent) : 0;
        if (rc < 0)
            return rc;
    }
    int64_t *kept = arena_calloc(&t->h->arena, t->expired.n + 1, sizeof *kept);
    if (!kept)
        return no_memory(t);
    if (t->expired.n)
        qsort(t->expired.at, t->expired.n, sizeof *t->expired.at, compare_ids);
    for (size_t i = 0; i < t->expired.n; i++)
        if (i == 0 || t->expired.at[i] != t->expired.at[i - 1])
            kept[t->h->expired_n++] = t->expired.at[i];
    t->h->expired = kept;
    return 0;
}

static int tell(struct telling *t)
{
    const struct iceberg_metadata *m = t->m;
    struct history *h = t->h;
    h->numbered = h->unordered = true;
    h->live = -1;
    for (size_t i = 0; i < m->snapshots_n; i++)
        h->at[i] = version_of(m, &m->snapshots[i], iceberg_metadata_schema_of(m, &m->snapshots[i]));
    int rc = tell_names(t);
    if (rc == 0)
        rc = m->moments_n ? tell_log(t) : tell_descent(t);
    return rc < 0 ? rc : tell_expired(t);
}

/* How many heads there are at most: one a branch that another schema than its snapshot's shows. */
static size_t count_branches(const struct iceberg_metadata *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->refs_n; i++)
        n += m->refs[i].branch;
    return n;
}

int iceberg_history_of(const struct iceberg_metadata *m, struct history **out, struct err *err)
{
    AUTO(history) struct history *h = history_new(m->snapshots_n, count_branches(m), err);
    if (!h)
        return -err->code;
    struct telling t = {.m = m, .h = h, .expired = VEC_MAX(SIZE_MAX / 64), .err = err};
    int rc = tell(&t);
    vec_done(&t.expired);
    if (rc < 0)
        return rc;
    h->heads_n = t.heads;
    *out = STEAL(h);
    return 0;
}

/* One look at a table; all references. */
struct asking {
    struct iceberg_metadata *newest, *metadata; /* as the table has them */
    struct iceberg_metadata *read;              /* what takes their place */
    struct history *history;
    struct iceberg_heard heard;
    struct iceberg_kept kept;
};

static void asking_done(struct asking *a)
{
    iceberg_metadata_unref(a->newest);
    iceberg_metadata_unref(a->metadata);
    iceberg_metadata_unref(a->read);
    history_unref(a->history);
}
DEFINE_AUTO_DONE(asking, struct asking, asking_done)

static void ask(struct asking *a, struct iceberg_table *t)
{
    WITH_LOCK (&t->lock) {
        a->newest = t->newest ? iceberg_metadata_ref(t->newest) : NULL;
        a->metadata = t->metadata ? iceberg_metadata_ref(t->metadata) : NULL;
        a->history = t->history ? history_ref(t->history) : NULL;
        a->heard = t->heard;
        a->kept = t->kept;
    }
}

/* What was heard is the table's now. */
static void take_over(struct asking *a, struct iceberg_table *t)
{
    struct iceberg_metadata *newest = iceberg_metadata_ref(a->newest);
    struct history *told = history_ref(a->history), *old;
    struct iceberg_metadata *was_newest, *was;
    WITH_LOCK (&t->lock) { /* nothing is freed under it: opens ask for the metadata */
        was_newest = t->newest;
        was = t->metadata;
        old = t->history;
        t->newest = newest;
        t->metadata = STEAL(a->read);
        t->history = told;
        t->heard = a->heard;
        t->kept = a->kept;
    }
    iceberg_metadata_unref(was_newest);
    iceberg_metadata_unref(was);
    history_unref(old);
}

int iceberg_history(struct iceberg_table *t, struct history **out, struct err *err)
{
    AUTO(asking) struct asking a = {.newest = NULL};
    struct iceberg_asked asked = {t->store, t->prefix, &t->root, t->source};
    ask(&a, t);
    int rc = iceberg_newest(&asked, &a.heard, &a.read, err);
    if (rc < 0)
        return rc;
    bool changed = a.read != NULL;
    if (changed) {
        iceberg_metadata_unref(a.newest);
        a.newest = STEAL(a.read);
    }
    if (t->source) /* archives do not reach tables of catalogs */
        a.read = changed ? iceberg_metadata_ref(a.newest) : NULL;
    else
        rc = iceberg_kept_join(t->store, t->prefix, a.newest, a.metadata, changed, &a.kept, &a.read,
                               err);
    if (rc == 0 && a.read) {
        history_unref(STEAL(a.history));
        rc = iceberg_history_of(a.read, &a.history, err);
        if (rc == 0)
            take_over(&a, t);
    }
    if (rc < 0)
        return rc;
    *out = STEAL(a.history);
    return 0;
}
