/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/kept.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "base/vec.h"
#include "lake/iceberg/find.h"
#include "lake/iceberg/newest.h"
#include "lake/iceberg/schema.h"

#define KEPT_MAX ((size_t)4096)
/* What could not be read is looked for again after so long. */
#define AGAIN_MS 60000

struct ids {
    VEC(int64_t) at;
};

struct joining {
    struct store *store;
    const char *prefix;
    struct iceberg_metadata *newest, *before;
    struct iceberg_metadata *last; /* the file that was read last: often of several */
    struct arena arena;            /* what was taken of files that are closed again */
    VEC(struct iceberg_schema_text) schemas;
    VEC(struct iceberg_spec) specs;
    VEC(struct iceberg_snapshot) snapshots;
    bool failed; /* something could not be read */
    struct err *err;
};

static void joining_done(struct joining *j)
{
    iceberg_metadata_unref(j->last);
    arena_done(&j->arena);
    vec_done(&j->schemas);
    vec_done(&j->specs);
    vec_done(&j->snapshots);
}
DEFINE_AUTO_DONE(joining, struct joining, joining_done)

/* which */

static int take_id(void *arg, int64_t version)
{
    struct ids *ids = arg;
    return vec_push(&ids->at, version) == -ENOMEM ? -ENOMEM : 0; /* the rest stays expired */
}

static int compare_ids(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Archived, and not in the newest metadata; in order. */
static int find_ids(struct store *store, const char *prefix, const struct iceberg_metadata *newest,
                    struct ids *ids, struct err *err)
{
    size_t kept = 0;
    int rc = store->ops->kept(store, prefix, take_id, ids, err);
    for (size_t i = 0; i < ids->at.n; i++)
        if (!iceberg_metadata_snapshot(newest, ids->at.at[i]))
            ids->at.at[kept++] = ids->at.at[i];
    ids->at.n = kept;
    if (kept)
        qsort(ids->at.at, kept, sizeof ids->at.at[0], compare_ids);
    return rc;
}

/* Where the archive cannot be asked: what was found before. */
static int find_known(const struct iceberg_metadata *before, const struct iceberg_metadata *newest,
                      struct ids *ids)
{
    int rc = 0;
    ids->at.n = 0;
    for (size_t i = 0; before && rc == 0 && i < before->snapshots_n; i++) {
        const struct iceberg_snapshot *s = before->by_id[i];
        if (s->metadata.n && !iceberg_metadata_snapshot(newest, s->id))
            rc = vec_push(&ids->at, s->id);
    }
    return rc;
}

static uint64_t mark_of(const struct ids *ids)
{
    uint64_t mark =
        ids->at.n ? hash64(7, slice_make(ids->at.at, ids->at.n * sizeof ids->at.at[0])) : 0;
    return ids->at.n && !mark ? 1 : mark;
}

/* do they fit */

static bool same_schema(const struct iceberg_schema_text *a, const struct iceberg_schema_text *b)
{
    AUTO(shape) struct shape *x = NULL;
    AUTO(shape) struct shape *y = NULL;
    return slice_eq(a->json, b->json) ||
           (iceberg_schema_shape(a->json, SLICE_NONE, &x, NULL) == 0 &&
            iceberg_schema_shape(b->json, SLICE_NONE, &y, NULL) == 0 && iceberg_schema_same(x, y));
}

static bool same_spec(const struct iceberg_spec *a, const struct iceberg_spec *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++) {
        const struct iceberg_partition_field *x = &a->fields[i], *y = &b->fields[i];
        same = x->source_id == y->source_id && x->field_id == y->field_id &&
               slice_eq(x->name, y->name) && slice_eq(x->transform, y->transform);
    }
    return same;
}

/* Ids mean the same in both files. */
static bool agree(const struct iceberg_metadata *a, const struct iceberg_metadata *b)
{
    bool same = slice_eq(a->uuid, b->uuid) && (a->uuid.n || slice_eq(a->location, b->location));
    for (size_t i = 0; same && i < a->schemas_n; i++) {
        const struct iceberg_schema_text *other = iceberg_metadata_schema(b, a->schemas[i].id);
        same = !other || same_schema(&a->schemas[i], other);
    }
    for (size_t i = 0; same && i < a->specs_n; i++) {
        const struct iceberg_spec *other = iceberg_metadata_spec(b, a->specs[i].id);
        same = !other || same_spec(&a->specs[i], other);
    }
    return same;
}

/* taking */

static int no_room(struct joining *j)
{
    return err_set(j->err, ENOMEM, "no room for archived snapshots");
}

static bool copy(struct joining *j, struct slice *s)
{
    *s = s->n ? arena_slice(&j->arena, *s) : SLICE_LIT("");
    return s->p != NULL;
}

static bool has_schema(const struct joining *j, int32_t id)
{
    for (size_t i = 0; i < j->schemas.n; i++)
        if (j->schemas.at[i].id == id)
            return true;
    return iceberg_metadata_schema(j->newest, id) != NULL;
}

static bool has_spec(const struct joining *j, int32_t id)
{
    for (size_t i = 0; i < j->specs.n; i++)
        if (j->specs.at[i].id == id)
            return true;
    return iceberg_metadata_spec(j->newest, id) != NULL;
}

/* Deletes and former names may need any of them. */
static int take_schemas(struct joining *j, const struct iceberg_metadata *of)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < of->schemas_n; i++) {
        struct iceberg_schema_text schema = of->schemas[i];
        if (has_schema(j, schema.id))
            continue;
        rc = copy(j, &schema.json) ? vec_push(&j->schemas, schema) : -ENOMEM;
    }
    return rc;
}

static int take_spec(struct joining *j, struct iceberg_spec spec)
{
    struct iceberg_partition_field *fields = arena_calloc(&j->arena, spec.n + 1, sizeof *fields);
    bool good = fields != NULL;
    for (size_t i = 0; good && i < spec.n; i++) {
        fields[i] = spec.fields[i];
        good = copy(j, &fields[i].name) && copy(j, &fields[i].transform);
    }
    spec.fields = fields;
    return good ? vec_push(&j->specs, spec) : -ENOMEM;
}

static int take_specs(struct joining *j, const struct iceberg_metadata *of)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < of->specs_n; i++)
        if (!has_spec(j, of->specs[i].id))
            rc = take_spec(j, of->specs[i]);
    return rc;
}

static int take_snapshot(struct joining *j, const struct iceberg_metadata *of,
                         const struct iceberg_snapshot *from)
{
    struct iceberg_snapshot s = *from;
    struct slice *paths = arena_calloc(&j->arena, s.manifests_n + 1, sizeof *paths);
    bool good = paths != NULL;
    for (size_t i = 0; good && i < s.manifests_n; i++) {
        paths[i] = s.manifests[i];
        good = copy(j, &paths[i]);
    }
    s.manifests = s.manifests ? paths : NULL;
    s.schema_id = iceberg_metadata_schema_of(of, from); /* the newest's current one is another */
    s.metadata = s.metadata.n ? s.metadata : of->name;
    good = good && copy(j, &s.manifest_list) && copy(j, &s.operation) && copy(j, &s.summary) &&
           copy(j, &s.key_id) && copy(j, &s.metadata);
    return good ? vec_push(&j->snapshots, s) : -ENOMEM;
}

static int take(struct joining *j, const struct iceberg_metadata *of, int64_t id)
{
    const struct iceberg_snapshot *s = iceberg_metadata_snapshot(of, id);
    if (!s || !agree(of, j->newest))
        return 0;
    int rc = take_schemas(j, of);
    if (rc == 0)
        rc = take_specs(j, of);
    if (rc == 0)
        rc = take_snapshot(j, of, s);
    return rc < 0 ? no_room(j) : 0;
}

/* reading */

/* Of the log of one version the metadata file. */
static int find_file(void *arg, const struct store_entry *entry)
{
    struct buf *key = arg;
    uint64_t number;
    struct slice stem, name = text_basename(entry->key);
    if (iceberg_name_parse(name, &number, &stem) == ICEBERG_NAME_OTHER)
        return 0;
    buf_add_slice(key, entry->key);
    return 1;
}

/* The metadata that was archived with a version, in j->last: 1, 0 it has none. */
static int read_of(struct joining *j, int64_t id, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    AUTO(iceberg_metadata) struct iceberg_metadata *m = NULL;
    buf_init(&key, KEY_BYTES_MAX);
    int rc = j->store->ops->kept_log(j->store, j->prefix, id, find_file, &key, err);
    if (rc == 1 && buf_check(&key, err) < 0)
        rc = -err->code;
    bool same = rc == 1 && j->last && slice_eq(text_basename(buf_slice(&key)), j->last->name);
    if (rc == 1 && !same) {
        rc = iceberg_newest_read(j->store, key.data, &m, err);
        if (rc == 0) {
            iceberg_metadata_unref(j->last);
            j->last = STEAL(m);
            rc = 1;
        }
    }
    return rc;
}

static int join_one(struct joining *j, int64_t id)
{
    const struct iceberg_snapshot *known =
        j->before ? iceberg_metadata_snapshot(j->before, id) : NULL;
    struct err e = ERR_INIT;
    if (known && known->metadata.n)
        return take(j, j->before, id);
    int rc = read_of(j, id, &e);
    if (rc == 1)
        return take(j, j->last, id);
    if (rc < 0 && rc != -ENOENT && rc != -EBADMSG && rc != -EOPNOTSUPP) {
        log_debug("snapshot %lld is archived, but not to be had: %s", (long long)id, e.msg);
        j->failed = true;
    }
    return 0;
}

static int join(struct joining *j, const struct ids *ids, struct iceberg_metadata **out)
{
    int rc = 0;
    arena_init(&j->arena, 2 * ICEBERG_METADATA_BYTES_MAX);
    j->schemas.max = j->specs.max = j->snapshots.max = ICEBERG_LIST_MAX;
    for (size_t i = 0; rc == 0 && i < ids->at.n; i++)
        rc = join_one(j, ids->at.at[i]);
    if (rc < 0)
        return rc;
    struct iceberg_forgotten more = {.arena = j->arena,
                                     .schemas = j->schemas.at,
                                     .schemas_n = j->schemas.n,
                                     .specs = j->specs.at,
                                     .specs_n = j->specs.n,
                                     .snapshots = j->snapshots.at,
                                     .snapshots_n = j->snapshots.n};
    rc = iceberg_metadata_with(j->newest, &more, out, j->err);
    j->arena = more.arena;
    return rc;
}

int iceberg_kept_join(struct store *store, const char *prefix, struct iceberg_metadata *newest,
                      struct iceberg_metadata *before, bool changed, struct iceberg_kept *kept,
                      struct iceberg_metadata **out, struct err *err)
{
    AUTO(joining)
    struct joining j = {
        .store = store, .prefix = prefix, .newest = newest, .before = before, .err = err};
    struct ids ids = {.at.max = KEPT_MAX};
    struct err e = ERR_INIT;
    int rc = 0, heard = store->ops->kept ? find_ids(store, prefix, newest, &ids, &e) : 0;
    if (heard < 0 && find_known(before, newest, &ids) < 0)
        ids.at.n = 0;
    uint64_t mark = mark_of(&ids);
    bool again = kept->again_ms && clock_mono_ms() >= kept->again_ms;
    *out = NULL;
    if (changed || again || (heard == 0 && mark != kept->mark)) {
        rc = ids.at.n ? join(&j, &ids, out) : 0;
        if (rc == 0 && !ids.at.n)
            *out = iceberg_metadata_ref(newest);
        *kept = (struct iceberg_kept){
            .mark = mark, .again_ms = j.failed || heard < 0 ? clock_mono_ms() + AGAIN_MS : 0};
    }
    vec_done(&ids.at);
    return rc;
}
