/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/metadata_parse.h"

#include "base/hash.h"
#include "base/limits.h"

#define VERSION_MAX 3
/* Of specs that tell no ids of their fields: version 1, "Partition Evolution". */
#define FIRST_FIELD_ID 1000
/* Fields of one partition spec. */
#define SPEC_FIELDS_MAX ((size_t)1024)

/* schemas */

static bool add_schema(struct parsing *p, struct slice text)
{
    struct iceberg_schema_text schema = {.json = text, .hash = hash64(0, text)};
    struct json j;
    struct slice key;
    int64_t id = 0; /* of version 1, where it tells none */
    json_init(&j, text);
    if (json_enter_object(&j))
        while (json_next_key(&j, &key)) {
            if (slice_is(key, "schema-id"))
                (void)json_int64(&j, &id);
            else
                (void)json_skip(&j, NULL);
        }
    if (json_failed(&j) || id < 0 || id > INT32_MAX)
        return parsing_damaged(p, "a schema is no object, or has no id");
    schema.id = (int32_t)id;
    return parsing_pushed(p, vec_push(&p->schemas, schema), "schemas");
}

static void read_schemas(struct parsing *p)
{
    p->schemas.n = 0;
    if (parsing_array(p))
        while (parsing_next(p)) {
            struct slice text;
            if (json_skip(&p->j, &text))
                (void)add_schema(p, text);
        }
}

/* Of version 1: it counts where `schemas` is not there. */
static void read_single_schema(struct parsing *p)
{
    if (parsing_present(p))
        (void)json_skip(&p->j, &p->single_schema);
}

/* partition specs */

/* Several ids are those of a transform that is not known here. */
static bool read_sources(struct parsing *p, struct iceberg_partition_field *f, size_t *sources)
{
    if (parsing_array(p))
        while (parsing_next(p))
            if (parsing_int(p, &f->source_id))
                ++*sources;
    if (*sources > 1)
        f->source_id = SHAPE_NO_ID;
    return !parsing_failed(p);
}

static bool read_partition_field(struct parsing *p, size_t place, struct iceberg_partition_field *f)
{
    struct slice key;
    size_t sources = 0;
    *f = (struct iceberg_partition_field){.field_id = FIRST_FIELD_ID + (int32_t)place};
    if (!json_enter_object(&p->j))
        return false;
    while (parsing_key(p, &key)) {
        if (slice_is(key, "source-id") && sources <= 1)
            sources = parsing_int(p, &f->source_id);
        else if (slice_is(key, "source-ids"))
            (void)read_sources(p, f, &sources);
        else if (slice_is(key, "field-id"))
            (void)parsing_int(p, &f->field_id);
        else if (slice_is(key, "name"))
            (void)parsing_text(p, &f->name);
        else if (slice_is(key, "transform"))
            (void)parsing_text(p, &f->transform);
        else
            (void)json_skip(&p->j, NULL);
    }
    if (!sources || !f->name.n || !f->transform.n)
        return parsing_damaged(p, "a partition field without source, name or transform");
    return !parsing_failed(p);
}

static bool read_partition_fields(struct parsing *p, struct iceberg_spec *spec)
{
    VEC(struct iceberg_partition_field) fields = VEC_MAX(SPEC_FIELDS_MAX);
    struct iceberg_partition_field f;
    if (parsing_array(p))
        while (parsing_next(p))
            if (read_partition_field(p, fields.n, &f))
                (void)parsing_pushed(p, vec_push(&fields, f), "fields of a partition spec");
    spec->fields = parsing_keep(p, fields.at, fields.n, sizeof *fields.at);
    spec->n = fields.n;
    vec_done(&fields);
    return !parsing_failed(p);
}

static bool read_spec(struct parsing *p)
{
    struct iceberg_spec spec = {0};
    struct slice key;
    if (!json_enter_object(&p->j))
        return false;
    while (parsing_key(p, &key)) {
        if (slice_is(key, "spec-id"))
            (void)parsing_int(p, &spec.id);
        else if (slice_is(key, "fields"))
            (void)read_partition_fields(p, &spec);
        else
            (void)json_skip(&p->j, NULL);
    }
    return !parsing_failed(p) && parsing_pushed(p, vec_push(&p->specs, spec), "partition specs");
}

static void read_specs(struct parsing *p)
{
    p->specs.n = 0;
    if (parsing_array(p))
        while (parsing_next(p))
            (void)read_spec(p);
}

/* Of version 1, likewise: the fields alone. */
static void read_single_spec(struct parsing *p)
{
    p->has_single_spec = read_partition_fields(p, &p->single_spec);
}

/* snapshots */

static bool read_manifests(struct parsing *p, struct iceberg_snapshot *s)
{
    VEC(struct slice) paths = VEC_MAX(ICEBERG_LIST_MAX);
    if (parsing_array(p))
        while (parsing_next(p)) {
            struct slice path;
            if (parsing_text(p, &path))
                (void)parsing_pushed(p, vec_push(&paths, path), "manifests");
            else
                (void)parsing_damaged(p, "the path of a manifest is missing");
        }
    s->manifests = parsing_keep(p, paths.at, paths.n, sizeof *paths.at);
    s->manifests_n = paths.n;
    vec_done(&paths);
    return !parsing_failed(p);
}

static bool read_summary(struct parsing *p, struct iceberg_snapshot *s)
{
    struct json at = p->j;
    struct slice key;
    if (!parsing_present(p) || !json_enter_object(&p->j))
        return false;
    while (parsing_key(p, &key)) {
        if (slice_is(key, "operation") && json_peek(&p->j) == JSON_STRING)
            (void)parsing_text(p, &s->operation);
        else
            (void)json_skip(&p->j, NULL);
    }
    return !parsing_failed(p) && json_skip(&at, &s->summary);
}

static void read_snapshot_member(struct parsing *p, struct slice key, struct iceberg_snapshot *s)
{
    if (slice_is(key, "snapshot-id"))
        (void)parsing_long(p, &s->id);
    else if (slice_is(key, "parent-snapshot-id"))
        (void)parsing_long(p, &s->parent);
    else if (slice_is(key, "sequence-number"))
        (void)parsing_long(p, &s->sequence);
    else if (slice_is(key, "timestamp-ms"))
        (void)parsing_long(p, &s->timestamp_ms);
    else if (slice_is(key, "first-row-id"))
        (void)parsing_long(p, &s->first_row_id);
    else if (slice_is(key, "schema-id"))
        (void)parsing_int(p, &s->schema_id);
    else if (slice_is(key, "manifest-list"))
        (void)parsing_text(p, &s->manifest_list);
    else if (slice_is(key, "manifests"))
        (void)read_manifests(p, s);
    else if (slice_is(key, "summary"))
        (void)read_summary(p, s);
    else if (slice_is(key, "key-id"))
        (void)parsing_text(p, &s->key_id);
    else
        (void)json_skip(&p->j, NULL);
}

static bool read_snapshot(struct parsing *p)
{
    struct iceberg_snapshot s = {.id = ICEBERG_NONE,
                                 .parent = ICEBERG_NONE,
                                 .timestamp_ms = INT64_MIN,
                                 .first_row_id = ICEBERG_NONE,
                                 .schema_id = ICEBERG_NONE};
    struct slice key;
    if (!json_enter_object(&p->j))
        return false;
    while (parsing_key(p, &key))
        read_snapshot_member(p, key, &s);
    if (parsing_failed(p))
        return false;
    if (s.id < 0 || s.timestamp_ms == INT64_MIN)
        return parsing_damaged(p, "a snapshot without id or time");
    if (!s.manifest_list.n && !s.manifests)
        return parsing_damaged(p, "snapshot %lld has no manifests", (long long)s.id);
    return parsing_pushed(p, vec_push(&p->snapshots, s), "snapshots");
}

static void read_snapshots(struct parsing *p)
{
    p->snapshots.n = 0;
    if (parsing_array(p))
        while (parsing_next(p))
            (void)read_snapshot(p);
}

/* refs, logs, properties */

static bool read_ref(struct parsing *p, struct slice name)
{
    struct iceberg_ref ref = {.snapshot = ICEBERG_NONE,
                              .max_age_ms = ICEBERG_NONE,
                              .max_snapshot_age_ms = ICEBERG_NONE,
                              .min_snapshots = ICEBERG_NONE};
    struct slice key, type = SLICE_NONE;
    ref.name = arena_slice(&p->m->arena, name);
    if (!ref.name.p) {
        p->rc = arena_failed(&p->m->arena, "a table's metadata", p->err);
        return false;
    }
    if (!json_enter_object(&p->j))
        return false;
    while (parsing_key(p, &key)) {
        if (slice_is(key, "snapshot-id"))
            (void)parsing_long(p, &ref.snapshot);
        else if (slice_is(key, "type"))
            (void)parsing_text(p, &type);
        else if (slice_is(key, "max-ref-age-ms"))
            (void)parsing_long(p, &ref.max_age_ms);
        else if (slice_is(key, "max-snapshot-age-ms"))
            (void)parsing_long(p, &ref.max_snapshot_age_ms);
        else if (slice_is(key, "min-snapshots-to-keep"))
            (void)parsing_long(p, &ref.min_snapshots);
        else
            (void)json_skip(&p->j, NULL);
    }
    if (parsing_failed(p))
        return false;
    ref.branch = slice_is(type, "branch");
    if (ref.snapshot < 0 || (!ref.branch && !slice_is(type, "tag")))
        return parsing_damaged(p, "'%.*s' is neither a branch nor a tag of a snapshot",
                               SLICE_FMT(name));
    return parsing_pushed(p, vec_push(&p->refs, ref), "branches and tags");
}

static void read_refs(struct parsing *p)
{
    struct slice name;
    p->refs.n = 0;
    if (parsing_present(p) && json_enter_object(&p->j))
        while (parsing_key(p, &name))
            (void)read_ref(p, name);
}

static bool read_moment(struct parsing *p)
{
    struct iceberg_moment moment = {INT64_MIN, ICEBERG_NONE};
    struct slice key;
    if (!json_enter_object(&p->j))
        return false;
    while (parsing_key(p, &key)) {
        if (slice_is(key, "timestamp-ms"))
            (void)parsing_long(p, &moment.timestamp_ms);
        else if (slice_is(key, "snapshot-id"))
            (void)parsing_long(p, &moment.snapshot);
        else
            (void)json_skip(&p->j, NULL);
    }
    if (moment.timestamp_ms == INT64_MIN || moment.snapshot < 0)
        return parsing_damaged(p, "a line of the snapshot log without time or snapshot");
    return parsing_pushed(p, vec_push(&p->moments, moment), "lines in the snapshot log");
}

static void read_moments(struct parsing *p)
{
    p->moments.n = 0;
    if (parsing_array(p))
        while (parsing_next(p))
            (void)read_moment(p);
}

static bool read_older(struct parsing *p)
{
    struct iceberg_older older = {0};
    struct slice key;
    if (!json_enter_object(&p->j))
        return false;
    while (parsing_key(p, &key)) {
        if (slice_is(key, "timestamp-ms"))
            (void)parsing_long(p, &older.timestamp_ms);
        else if (slice_is(key, "metadata-file"))
            (void)parsing_text(p, &older.path);
        else
            (void)json_skip(&p->j, NULL);
    }
    return !parsing_failed(p) &&
           parsing_pushed(p, vec_push(&p->older, older), "lines in the metadata log");
}

static void read_older_files(struct parsing *p)
{
    p->older.n = 0;
    if (parsing_array(p))
        while (parsing_next(p))
            (void)read_older(p);
}

static bool read_property(struct parsing *p, struct slice name)
{
    struct iceberg_property property = {.name = arena_slice(&p->m->arena, name)};
    if (!property.name.p) {
        p->rc = arena_failed(&p->m->arena, "a table's metadata", p->err);
        return false;
    }
    if (json_peek(&p->j) != JSON_STRING) /* no writer should: properties are texts */
        return json_skip(&p->j, NULL);
    return parsing_text(p, &property.value) &&
           parsing_pushed(p, vec_push(&p->properties, property), "properties");
}

static void read_properties(struct parsing *p)
{
    struct slice name;
    p->properties.n = 0;
    if (parsing_present(p) && json_enter_object(&p->j))
        while (parsing_key(p, &name))
            (void)read_property(p, name);
}

/* the whole */

static void read_uuid(struct parsing *p)
{
    (void)parsing_text(p, &p->m->uuid);
}

static void read_location(struct parsing *p)
{
    (void)parsing_text(p, &p->m->location);
}

static void read_last_updated(struct parsing *p)
{
    (void)parsing_long(p, &p->m->last_updated_ms);
}

static void read_last_sequence(struct parsing *p)
{
    (void)parsing_long(p, &p->m->last_sequence);
}

static void read_current_schema(struct parsing *p)
{
    p->has_current_schema = parsing_int(p, &p->m->current_schema_id);
}

static void read_default_spec(struct parsing *p)
{
    (void)parsing_int(p, &p->m->default_spec_id);
}

static void read_current_snapshot(struct parsing *p)
{
    (void)parsing_long(p, &p->m->current_snapshot);
}

static const struct member {
    const char *name;
    void (*read)(struct parsing *p);
} members[] = {
    {"table-uuid", read_uuid},
    {"location", read_location},
    {"last-updated-ms", read_last_updated},
    {"last-sequence-number", read_last_sequence},
    {"schema", read_single_schema},
    {"schemas", read_schemas},
    {"current-schema-id", read_current_schema},
    {"partition-spec", read_single_spec},
    {"partition-specs", read_specs},
    {"default-spec-id", read_default_spec},
    {"properties", read_properties},
    {"current-snapshot-id", read_current_snapshot},
    {"snapshots", read_snapshots},
    {"snapshot-log", read_moments},
    {"metadata-log", read_older_files},
    {"refs", read_refs},
};

static void read_member(struct parsing *p, struct slice key)
{
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        if (slice_is(key, members[i].name)) {
            members[i].read(p);
            return;
        }
    (void)json_skip(&p->j, NULL);
}

/* Before all else: of what a version that is not known has, nothing is known to be damage. */
static int read_version(struct parsing *p)
{
    struct json j = p->j;
    struct slice key;
    int64_t version = 0;
    if (json_enter_object(&j))
        while (version == 0 && json_next_key(&j, &key)) {
            if (!slice_is(key, "format-version"))
                (void)json_skip(&j, NULL);
            else if (!json_int64(&j, &version) || version == 0)
                break;
        }
    if (json_failed(&j))
        return json_error(&j, p->err);
    if (version < 1)
        return err_set(p->err, EIO, "it tells no format version");
    if (version > VERSION_MAX)
        return err_set(p->err, EOPNOTSUPP, "Iceberg format version %lld is not read (up to %d are)",
                       (long long)version, VERSION_MAX);
    p->m->format_version = (int)version;
    return 0;
}

int iceberg_metadata_read(struct parsing *p)
{
    struct slice key;
    int rc = read_version(p);
    if (rc < 0)
        return rc;
    if (json_enter_object(&p->j))
        while (parsing_key(p, &key))
            read_member(p, key);
    if (!parsing_failed(p) && p->schemas.n == 0 && p->single_schema.n &&
        add_schema(p, p->single_schema) && !p->has_current_schema)
        p->m->current_schema_id = p->schemas.at[0].id;
    if (!parsing_failed(p) && p->specs.n == 0 && p->has_single_spec)
        (void)parsing_pushed(p, vec_push(&p->specs, p->single_spec), "partition specs");
    if (p->rc < 0)
        return p->rc;
    return json_failed(&p->j) || !json_at_end(&p->j) ? json_error(&p->j, p->err) : 0;
}
