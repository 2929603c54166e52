/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/describe.h"

#include <stdio.h>

#include "base/instant.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "lake/iceberg/describe_schema.h"
#include "lake/iceberg/state.h"

/* history.json */

/* Of the program that wrote a snapshot; cut where it is longer. */
#define ENGINE_BYTES 100

/* Members of a summary that the history tells under the names that all formats have ("Optional
 * Snapshot Summary Fields"). */
struct counts {
    int64_t added_files, removed_files, added_bytes, removed_bytes; /* -1: not told */
    int64_t added_deletes, removed_deletes;                         /* delete files */
    int64_t total_files;
    char engine[ENGINE_BYTES], engine_version[ENGINE_BYTES];
};

static void read_number(struct json *j, struct buf *scratch, int64_t *out)
{
    struct slice text;
    if (json_string(j, scratch, &text))
        (void)text_parse_i64(text, out);
}

static void read_engine(struct json *j, struct buf *scratch, char out[ENGINE_BYTES])
{
    struct slice text;
    if (json_string(j, scratch, &text))
        (void)snprintf(out, ENGINE_BYTES, "%.*s", SLICE_FMT(text));
}

static void read_counts(struct slice summary, struct counts *c)
{
    AUTO(buf) struct buf scratch = {0};
    struct json j;
    struct slice key;
    const struct {
        const char *name;
        int64_t *to;
    } numbers[] = {
        {"added-data-files", &c->added_files},     {"deleted-data-files", &c->removed_files},
        {"added-files-size", &c->added_bytes},     {"removed-files-size", &c->removed_bytes},
        {"added-delete-files", &c->added_deletes}, {"removed-delete-files", &c->removed_deletes},
        {"total-data-files", &c->total_files},
    };
    *c = (struct counts){-1, -1, -1, -1, -1, -1, -1, "", ""};
    buf_init(&scratch, SCHEMA_BYTES_MAX);
    json_init(&j, summary);
    if (!summary.n || !json_enter_object(&j))
        return;
    while (json_next_key(&j, &key)) {
        size_t i = 0;
        while (i < ARRAY_SIZE(numbers) && !slice_is(key, numbers[i].name))
            i++;
        bool text = json_peek(&j) == JSON_STRING;
        if (text && i < ARRAY_SIZE(numbers))
            read_number(&j, &scratch, numbers[i].to);
        else if (text && slice_is(key, "engine-name"))
            read_engine(&j, &scratch, c->engine);
        else if (text && slice_is(key, "engine-version"))
            read_engine(&j, &scratch, c->engine_version);
        else
            (void)json_skip(&j, NULL);
    }
}

/* The summary in one line, as writers indent it. */
static void add_summary(struct buf *out, struct slice summary)
{
    AUTO(buf) struct buf scratch = {0};
    struct json j;
    struct slice key, text;
    bool any = false;
    buf_init(&scratch, SCHEMA_BYTES_MAX);
    json_init(&j, summary);
    buf_add_str(out, ",\"summary\":");
    if (!summary.n || !json_enter_object(&j)) {
        buf_add_str(out, "null");
        return;
    }
    buf_add_char(out, '{');
    while (json_next_key(&j, &key)) {
        if (json_peek(&j) != JSON_STRING) { /* no writer should */
            (void)json_skip(&j, NULL);
            continue;
        }
        buf_add_str(out, any ? "," : "");
        buf_add_json(out, key);
        buf_add_char(out, ':');
        buf_add_json(out, json_string(&j, &scratch, &text) ? text : SLICE_NONE);
        any = true;
    }
    buf_add_char(out, '}');
}

/* What is added and not told is nothing, where the summary counts at all. */
static void add_count(struct buf *out, const char *name, bool counted, int64_t value)
{
    if (counted)
        buf_addf(out, ",\"%s\":%lld", name, (long long)(value < 0 ? 0 : value));
    else
        buf_addf(out, ",\"%s\":null", name);
}

static void add_id(struct buf *out, const char *name, int64_t id)
{
    if (id < 0)
        buf_addf(out, ",\"%s\":null", name);
    else
        buf_addf(out, ",\"%s\":%lld", name, (long long)id);
}

/* What may tell of more than somebody is shown. */
static void add_details(struct buf *out, const struct iceberg_snapshot *s)
{
    struct counts c;
    read_counts(s->summary, &c);
    bool counted = c.total_files >= 0 || c.added_files >= 0 || c.removed_files >= 0 ||
                   c.added_deletes >= 0 || c.removed_deletes >= 0;
    buf_add_str(out, ",\"engineInfo\":");
    if (c.engine[0]) {
        AUTO(buf) struct buf engine = {0};
        buf_init(&engine, KIB);
        buf_addf(&engine, "%s%s%s", c.engine, c.engine_version[0] ? " " : "", c.engine_version);
        buf_add_json(out, buf_slice(&engine));
    } else {
        buf_add_str(out, "null");
    }
    add_id(out, "readVersion", s->parent);
    add_count(out, "numAddedFiles", counted, c.added_files);
    add_count(out, "numRemovedFiles", counted, c.removed_files);
    add_count(out, "addedBytes", counted, c.added_bytes);
    add_count(out, "removedBytes", counted, c.removed_bytes);
    add_count(out, "numAddedDeleteFiles", counted, c.added_deletes);
    add_count(out, "numRemovedDeleteFiles", counted, c.removed_deletes);
    add_id(out, "sequenceNumber", s->sequence);
    add_id(out, "schemaId", s->schema_id);
    add_summary(out, s->summary);
}

/* A snapshot that its parent's columns do not have; of one without a parent: it brings the first.
 */
static bool changes_columns(const struct iceberg_metadata *m, const struct iceberg_snapshot *s)
{
    const struct iceberg_snapshot *parent = iceberg_metadata_snapshot(m, s->parent);
    return !parent || iceberg_metadata_schema_of(m, parent) != iceberg_metadata_schema_of(m, s);
}

static void add_version(struct buf *out, const struct iceberg_metadata *m, const struct version *v,
                        bool part)
{
    const struct iceberg_snapshot *s = iceberg_metadata_snapshot(m, v->number);
    buf_addf(out, "{\"version\":%lld,\"timestamp\":\"", (long long)v->number);
    instant_format(out, v->timestamp_ms);
    buf_addf(out, "\",\"timestampMs\":%lld", (long long)v->timestamp_ms);
    if (s && s->operation.n) {
        buf_add_str(out, ",\"operation\":");
        buf_add_json(out, s->operation);
    } else {
        buf_add_str(out, ",\"operation\":null");
    }
    if (s && !part)
        add_details(out, s);
    if (s)
        buf_addf(out, ",\"dataChange\":%s,\"metadataChange\":%s,\"protocolChange\":null}",
                 slice_is(s->operation, "replace") ? "false" : "true",
                 changes_columns(m, s) ? "true" : "false");
    else
        buf_add_str(out, ",\"dataChange\":null,\"metadataChange\":null,\"protocolChange\":null}");
}

int iceberg_describe_history(const struct iceberg_metadata *m, const struct history *h,
                             size_t first, bool part, struct buf *out, struct err *err)
{
    buf_add_str(out, "[");
    for (size_t i = first; i < h->n; i++) {
        if (i > first)
            buf_add_str(out, ",\n");
        add_version(out, m, &h->at[i], part);
    }
    buf_add_str(out, "]\n");
    return buf_check(out, err);
}

/* refs.json */

static const struct iceberg_ref *find_ref(const struct iceberg_metadata *m, struct slice name)
{
    for (size_t i = 0; i < m->refs_n; i++)
        if (slice_eq(m->refs[i].name, name))
            return &m->refs[i];
    return NULL;
}

int iceberg_describe_refs(const struct iceberg_metadata *m, const struct history *h,
                          struct buf *out, struct err *err)
{
    buf_add_str(out, "[");
    for (size_t i = 0; i < h->names_n; i++) {
        const struct history_name *name = &h->names[i];
        const struct version *v = &h->at[name->position];
        const struct iceberg_ref *ref = find_ref(m, name->name);
        buf_addf(out, "%s{\"name\":", i ? ",\n" : "");
        buf_add_json(out, name->name);
        buf_addf(out, ",\"type\":\"%s\",\"version\":%lld,\"timestamp\":\"",
                 name->branch ? "branch" : "tag", (long long)v->number);
        instant_format(out, v->timestamp_ms);
        buf_addf(out, "\",\"timestampMs\":%lld", (long long)v->timestamp_ms);
        add_id(out, "maxRefAgeMs", ref ? ref->max_age_ms : ICEBERG_NONE);
        add_id(out, "maxSnapshotAgeMs", ref ? ref->max_snapshot_age_ms : ICEBERG_NONE);
        add_id(out, "minSnapshotsToKeep", ref ? ref->min_snapshots : ICEBERG_NONE);
        buf_add_char(out, '}');
    }
    buf_add_str(out, "]\n");
    return buf_check(out, err);
}

/* schema.json, properties.json */

/* The partition fields of the default spec; of those whose columns are shown. */
static void add_partition_names(struct buf *out, const struct iceberg_metadata *m,
                                const struct shape *shown)
{
    const struct iceberg_spec *spec = iceberg_metadata_spec(m, m->default_spec_id);
    bool any = false;
    for (size_t i = 0; spec && i < spec->n; i++) {
        const struct iceberg_partition_field *f = &spec->fields[i];
        if (slice_is(f->transform, "void") || (shown && !iceberg_schema_shows(shown, f->source_id)))
            continue;
        if (any)
            buf_add_char(out, ',');
        buf_add_json(out, f->name);
        any = true;
    }
}

int iceberg_describe_schema(struct slice meta, const struct shape *shown, struct buf *out,
                            struct err *err)
{
    AUTO(iceberg_metadata) struct iceberg_metadata *m = NULL;
    int rc = iceberg_state_parse(meta, &m, NULL, err);
    if (rc < 0)
        return rc;
    const struct iceberg_schema_text *schema = iceberg_metadata_schema(m, m->current_schema_id);
    if (!schema || !utf8_valid(schema->json))
        return err_set(err, ENOENT, "the table tells no schema");
    buf_add_str(out, "{\"partitionColumns\":[");
    add_partition_names(out, m, shown);
    buf_add_str(out, "],\"schema\":");
    if (shown)
        rc = iceberg_schema_shown(schema, shown, out, err);
    else
        buf_add_slice(out, schema->json);
    buf_add_str(out, "}\n");
    return rc < 0 ? rc : buf_check(out, err);
}

/* Properties whose values are numbers, durations, modes and flags, whatever the table holds. Others
 * may name columns, values and places. */
static const char *const plain_properties[] = {
    "commit.retry.num-retries",
    "format-version",
    "gc.enabled",
    "history.expire.max-snapshot-age-ms",
    "history.expire.min-snapshots-to-keep",
    "read.split.target-size",
    "write.delete.mode",
    "write.distribution-mode",
    "write.format.default",
    "write.merge.mode",
    "write.metadata.compression-codec",
    "write.metadata.delete-after-commit.enabled",
    "write.metadata.previous-versions-max",
    "write.object-storage.enabled",
    "write.parquet.compression-codec",
    "write.parquet.compression-level",
    "write.parquet.row-group-size-bytes",
    "write.target-file-size-bytes",
    "write.update.mode",
};

static bool is_plain(struct slice name)
{
    for (size_t i = 0; i < ARRAY_SIZE(plain_properties); i++)
        if (slice_is(name, plain_properties[i]))
            return true;
    return false;
}

int iceberg_describe_properties(struct slice meta, bool part, struct buf *out, struct err *err)
{
    AUTO(iceberg_metadata) struct iceberg_metadata *m = NULL;
    bool any = false;
    int rc = iceberg_state_parse(meta, &m, NULL, err);
    if (rc < 0)
        return rc;
    buf_add_str(out, "{\"id\":");
    buf_add_json(out, m->uuid);
    buf_addf(out, ",\"protocol\":{\"formatVersion\":%d}", m->format_version);
    if (!part) {
        buf_add_str(out, ",\"location\":");
        buf_add_json(out, m->location);
    }
    buf_add_str(out, ",\"configuration\":{");
    for (size_t i = 0; i < m->properties_n; i++) {
        if (part && !is_plain(m->properties[i].name))
            continue;
        if (any)
            buf_add_char(out, ',');
        buf_add_json(out, m->properties[i].name);
        buf_add_char(out, ':');
        buf_add_json(out, m->properties[i].value);
        any = true;
    }
    buf_add_str(out, "}}\n");
    return buf_check(out, err);
}
