/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/metadata.h"

#include "base/limits.h"
#include "lake/iceberg/metadata_parse.h"

#define MAIN "main"

/* order */

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_schemas(const void *a, const void *b)
{
    const struct iceberg_schema_text *x = a, *y = b;
    return compare_numbers(x->id, y->id);
}

static int compare_specs(const void *a, const void *b)
{
    const struct iceberg_spec *x = a, *y = b;
    return compare_numbers(x->id, y->id);
}

static int compare_snapshots(const void *a, const void *b)
{
    const struct iceberg_snapshot *x = a, *y = b;
    int c = compare_numbers(x->timestamp_ms, y->timestamp_ms);
    if (c == 0)
        c = compare_numbers(x->sequence, y->sequence);
    return c ? c : compare_numbers(x->id, y->id);
}

static int compare_by_id(const void *a, const void *b)
{
    const struct iceberg_snapshot *const *x = a, *const *y = b;
    return compare_numbers((*x)->id, (*y)->id);
}

static int compare_refs(const void *a, const void *b)
{
    const struct iceberg_ref *x = a, *y = b;
    return slice_cmp(x->name, y->name);
}

static int compare_properties(const void *a, const void *b)
{
    const struct iceberg_property *x = a, *y = b;
    return slice_cmp(x->name, y->name);
}

typedef int compare(const void *a, const void *b);

/* n elements of a vector in the arena, sorted where there is an order; NULL sets p->rc. */
static void *keep(struct parsing *p, const void *at, size_t n, size_t size, compare *order)
{
    void *kept = arena_calloc(&p->m->arena, n + 1, size);
    if (!kept) {
        p->rc = arena_failed(&p->m->arena, "a table's metadata", p->err);
        return NULL;
    }
    if (n)
        memcpy(kept, at, n * size);
    if (n && order)
        qsort(kept, n, size, order);
    return kept;
}

/*
 * A snapshot is what was last at a moment: a line that a later one is not after never was. What is
 * left is in order of time.
 */
static void settle_moments(struct parsing *p)
{
    size_t kept = p->moments.n;
    int64_t before = INT64_MAX;
    for (size_t i = p->moments.n; i-- > 0;) {
        if (p->moments.at[i].timestamp_ms >= before)
            continue;
        before = p->moments.at[i].timestamp_ms;
        p->moments.at[--kept] = p->moments.at[i];
    }
    p->moments.n -= kept;
    if (p->moments.n)
        memmove(p->moments.at, p->moments.at + kept, p->moments.n * sizeof p->moments.at[0]);
}

static int settle_lists(struct parsing *p)
{
    struct iceberg_metadata *m = p->m;
    settle_moments(p);
    m->schemas =
        keep(p, p->schemas.at, m->schemas_n = p->schemas.n, sizeof *m->schemas, compare_schemas);
    m->specs = keep(p, p->specs.at, m->specs_n = p->specs.n, sizeof *m->specs, compare_specs);
    m->snapshots = keep(p, p->snapshots.at, m->snapshots_n = p->snapshots.n, sizeof *m->snapshots,
                        compare_snapshots);
    m->refs = keep(p, p->refs.at, m->refs_n = p->refs.n, sizeof *m->refs, compare_refs);
    m->properties = keep(p, p->properties.at, m->properties_n = p->properties.n,
                         sizeof *m->properties, compare_properties);
    m->moments = keep(p, p->moments.at, m->moments_n = p->moments.n, sizeof *m->moments, NULL);
    m->older = keep(p, p->older.at, m->older_n = p->older.n, sizeof *m->older, NULL);
    if (p->rc == 0)
        m->by_id = arena_calloc(&m->arena, m->snapshots_n + 1, sizeof *m->by_id);
    if (p->rc == 0 && !m->by_id)
        p->rc = arena_failed(&m->arena, "a table's metadata", p->err);
    if (p->rc < 0)
        return p->rc;
    for (size_t i = 0; i < m->snapshots_n; i++)
        m->by_id[i] = &m->snapshots[i];
    qsort(m->by_id, m->snapshots_n, sizeof *m->by_id, compare_by_id);
    return 0;
}

static const struct iceberg_ref *find_ref(const struct iceberg_metadata *m, const char *name)
{
    for (size_t i = 0; i < m->refs_n; i++)
        if (slice_is(m->refs[i].name, name))
            return &m->refs[i];
    return NULL;
}

/* What is current, `main` is: each tells the other where that is not told. */
static int settle_main(struct parsing *p)
{
    struct iceberg_metadata *m = p->m;
    const struct iceberg_ref *ref = find_ref(m, MAIN);
    if (ref && !ref->branch)
        return err_set(p->err, EIO, "'" MAIN "' is a tag");
    if (ref && m->current_snapshot < 0)
        m->current_snapshot = ref->snapshot;
    if (ref && ref->snapshot != m->current_snapshot)
        return err_set(p->err, EIO, "the current snapshot is %lld, '" MAIN "' is %lld",
                       (long long)m->current_snapshot, (long long)ref->snapshot);
    if (m->current_snapshot < 0)
        return 0;
    if (!iceberg_metadata_snapshot(m, m->current_snapshot))
        return err_set(p->err, EIO, "the current snapshot %lld is not among its snapshots",
                       (long long)m->current_snapshot);
    if (!ref) {
        struct iceberg_ref main_ref = {.name = SLICE_LIT(MAIN),
                                       .branch = true,
                                       .snapshot = m->current_snapshot,
                                       .max_age_ms = ICEBERG_NONE,
                                       .max_snapshot_age_ms = ICEBERG_NONE,
                                       .min_snapshots = ICEBERG_NONE};
        int rc = vec_push(&p->refs, main_ref);
        if (rc < 0)
            return err_set(p->err, -rc, "too many branches and tags");
        m->refs = keep(p, p->refs.at, m->refs_n = p->refs.n, sizeof *m->refs, compare_refs);
    }
    return p->rc;
}

static int check_ids(const struct iceberg_metadata *m, struct err *err)
{
    for (size_t i = 1; i < m->snapshots_n; i++)
        if (m->by_id[i]->id == m->by_id[i - 1]->id)
            return err_set(err, EIO, "two snapshots have the id %lld", (long long)m->by_id[i]->id);
    for (size_t i = 1; i < m->schemas_n; i++)
        if (m->schemas[i].id == m->schemas[i - 1].id)
            return err_set(err, EIO, "two schemas have the id %d", m->schemas[i].id);
    for (size_t i = 1; i < m->specs_n; i++)
        if (m->specs[i].id == m->specs[i - 1].id)
            return err_set(err, EIO, "two partition specs have the id %d", m->specs[i].id);
    for (size_t i = 1; i < m->refs_n; i++)
        if (slice_eq(m->refs[i].name, m->refs[i - 1].name))
            return err_set(err, EIO, "two branches or tags are called '%.*s'",
                           SLICE_FMT(m->refs[i].name));
    return 0;
}

static int settle(struct parsing *p)
{
    struct iceberg_metadata *m = p->m;
    if (m->last_updated_ms == INT64_MIN)
        return err_set(p->err, EIO, "it does not tell when it was written");
    if (!m->location.n)
        return err_set(p->err, EIO, "it tells no location");
    if (m->format_version > 1 && !m->uuid.n)
        return err_set(p->err, EIO, "it tells no UUID of the table");
    int rc = settle_lists(p);
    if (rc == 0)
        rc = check_ids(m, p->err);
    if (rc < 0)
        return rc;
    if (!iceberg_metadata_schema(m, m->current_schema_id))
        return err_set(p->err, EIO, "the current schema %d is not among its schemas",
                       m->current_schema_id);
    if (!iceberg_metadata_spec(m, m->default_spec_id))
        return err_set(p->err, EIO, "the default partition spec %d is not among its specs",
                       m->default_spec_id);
    return settle_main(p);
}

static void parsing_init(struct parsing *p, struct iceberg_metadata *m, struct err *err)
{
    *p = (struct parsing){.m = m, .err = err};
    p->schemas.max = p->specs.max = p->snapshots.max = p->refs.max = p->moments.max = p->older.max =
        p->properties.max = ICEBERG_LIST_MAX;
    buf_init(&p->scratch, SCHEMA_BYTES_MAX);
    json_init(&p->j, m->text);
}

static void parsing_done(struct parsing *p)
{
    vec_done(&p->schemas);
    vec_done(&p->specs);
    vec_done(&p->snapshots);
    vec_done(&p->refs);
    vec_done(&p->moments);
    vec_done(&p->older);
    vec_done(&p->properties);
    buf_done(&p->scratch);
}

static struct iceberg_metadata *metadata_new(struct slice text, struct slice name, struct err *err)
{
    struct iceberg_metadata *m = calloc(1, sizeof *m);
    if (!m) {
        (void)err_set(err, ENOMEM, "out of memory for a table's metadata");
        return NULL;
    }
    m->refs_count = 1;
    /* What is parsed is smaller than its text, but for lists of short lines. */
    arena_init(&m->arena, 2 * ICEBERG_METADATA_BYTES_MAX);
    m->current_snapshot = ICEBERG_NONE;
    m->last_updated_ms = INT64_MIN;
    m->text = arena_slice(&m->arena, text);
    m->name = arena_slice(&m->arena, name);
    if (!m->text.p || !m->name.p) {
        (void)arena_failed(&m->arena, "a table's metadata", err);
        iceberg_metadata_unref(m);
        return NULL;
    }
    return m;
}

int iceberg_metadata_parse(struct slice text, struct slice name, struct iceberg_metadata **out,
                           struct err *err)
{
    struct parsing p;
    struct err e = ERR_INIT;
    if (text.n > ICEBERG_METADATA_BYTES_MAX)
        return err_set(err, EOVERFLOW, "%.*s: %zu bytes of metadata, %zu are read", SLICE_FMT(name),
                       text.n, ICEBERG_METADATA_BYTES_MAX);
    AUTO(iceberg_metadata) struct iceberg_metadata *m = metadata_new(text, name, err);
    if (!m)
        return -ENOMEM;
    parsing_init(&p, m, &e);
    int rc = iceberg_metadata_read(&p);
    if (rc == 0)
        rc = settle(&p);
    parsing_done(&p);
    if (rc < 0) {
        (void)err_copy(err, &e);
        return err_wrap(err, "%.*s", SLICE_FMT(name));
    }
    *out = STEAL(m);
    return 0;
}

/* with more than it has */

#define PUSH_ALL(p, list, from)                                                                    \
    for (size_t i_ = 0; (p)->rc == 0 && i_ < (from)->list##_n; i_++)                               \
    (void)parsing_pushed(p, vec_push(&(p)->list, (from)->list[i_]), #list)

static struct iceberg_metadata *metadata_on(struct iceberg_metadata *base, struct err *err)
{
    struct iceberg_metadata *m = calloc(1, sizeof *m);
    if (!m) {
        (void)err_set(err, ENOMEM, "out of memory for a table's metadata");
        return NULL;
    }
    *m = (struct iceberg_metadata){.base = iceberg_metadata_ref(base),
                                   .text = base->text,
                                   .name = base->name,
                                   .format_version = base->format_version,
                                   .uuid = base->uuid,
                                   .location = base->location,
                                   .last_updated_ms = base->last_updated_ms,
                                   .last_sequence = base->last_sequence,
                                   .current_schema_id = base->current_schema_id,
                                   .default_spec_id = base->default_spec_id,
                                   .current_snapshot = base->current_snapshot};
    m->refs_count = 1;
    return m;
}

int iceberg_metadata_with(struct iceberg_metadata *base, struct iceberg_forgotten *more,
                          struct iceberg_metadata **out, struct err *err)
{
    AUTO(iceberg_metadata) struct iceberg_metadata *m = metadata_on(base, err);
    struct parsing p;
    if (!m)
        return -ENOMEM;
    m->arena = more->arena;
    arena_init(&more->arena, 0); /* the other one's now */
    parsing_init(&p, m, err);
    PUSH_ALL(&p, schemas, base);
    PUSH_ALL(&p, specs, base);
    PUSH_ALL(&p, snapshots, base);
    PUSH_ALL(&p, refs, base);
    PUSH_ALL(&p, moments, base);
    PUSH_ALL(&p, older, base);
    PUSH_ALL(&p, properties, base);
    PUSH_ALL(&p, schemas, more);
    PUSH_ALL(&p, specs, more);
    PUSH_ALL(&p, snapshots, more);
    int rc = p.rc == 0 ? settle(&p) : p.rc;
    parsing_done(&p);
    if (rc == 0)
        *out = STEAL(m);
    return rc;
}

struct iceberg_metadata *iceberg_metadata_ref(struct iceberg_metadata *m)
{
    m->refs_count++;
    return m;
}

void iceberg_metadata_unref(struct iceberg_metadata *m)
{
    if (!m || --m->refs_count)
        return;
    arena_done(&m->arena);
    iceberg_metadata_unref(m->base);
    free(m);
}

const struct iceberg_snapshot *iceberg_metadata_snapshot(const struct iceberg_metadata *m,
                                                         int64_t id)
{
    struct iceberg_snapshot wanted = {.id = id};
    const struct iceberg_snapshot *key = &wanted, **hit;
    if (!m->snapshots_n)
        return NULL;
    hit = bsearch(&key, m->by_id, m->snapshots_n, sizeof *m->by_id, compare_by_id);
    return hit ? *hit : NULL;
}

const struct iceberg_schema_text *iceberg_metadata_schema(const struct iceberg_metadata *m,
                                                          int32_t id)
{
    struct iceberg_schema_text wanted = {.id = id};
    return m->schemas_n ? bsearch(&wanted, m->schemas, m->schemas_n, sizeof wanted, compare_schemas)
                        : NULL;
}

const struct iceberg_spec *iceberg_metadata_spec(const struct iceberg_metadata *m, int32_t id)
{
    struct iceberg_spec wanted = {.id = id};
    return m->specs_n ? bsearch(&wanted, m->specs, m->specs_n, sizeof wanted, compare_specs) : NULL;
}

struct slice iceberg_metadata_property(const struct iceberg_metadata *m, const char *name)
{
    struct iceberg_property wanted = {.name = slice_of(name)};
    const struct iceberg_property *hit =
        m->properties_n
            ? bsearch(&wanted, m->properties, m->properties_n, sizeof wanted, compare_properties)
            : NULL;
    return hit ? hit->value : SLICE_NONE;
}

int32_t iceberg_metadata_schema_of(const struct iceberg_metadata *m,
                                   const struct iceberg_snapshot *s)
{
    return s->schema_id >= 0 && iceberg_metadata_schema(m, s->schema_id) ? s->schema_id
                                                                         : m->current_schema_id;
}
