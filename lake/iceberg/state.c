/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/state.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "lake/format/shape.h"
#include "lake/iceberg/former.h"

static void format_spec(const struct iceberg_spec *spec, struct buf *out)
{
    buf_addf(out, "{\"spec-id\":%d,\"fields\":[", (int)spec->id);
    for (size_t i = 0; i < spec->n; i++) {
        const struct iceberg_partition_field *f = &spec->fields[i];
        buf_addf(out, "%s{\"field-id\":%d,", i ? "," : "", (int)f->field_id);
        if (f->source_id == SHAPE_NO_ID) /* which they are is of no use to a reader */
            buf_add_str(out, "\"source-ids\":[0,0]");
        else
            buf_addf(out, "\"source-id\":%d", (int)f->source_id);
        buf_add_str(out, ",\"name\":");
        buf_add_json(out, f->name);
        buf_add_str(out, ",\"transform\":");
        buf_add_json(out, f->transform);
        buf_add_char(out, '}');
    }
    buf_add_str(out, "]}");
}

static void format_metadata(const struct iceberg_metadata *m,
                            const struct iceberg_schema_text *schema, struct buf *out)
{
    buf_addf(out, "{\"format-version\":%d,\"location\":", m->format_version);
    buf_add_json(out, m->location);
    if (m->uuid.n) {
        buf_add_str(out, ",\"table-uuid\":");
        buf_add_json(out, m->uuid);
    }
    buf_addf(out,
             ",\"last-updated-ms\":%lld,\"last-sequence-number\":%lld,\"current-schema-id\":%d,"
             "\"schemas\":[",
             (long long)m->last_updated_ms, (long long)m->last_sequence, (int)schema->id);
    buf_add_slice(out, schema->json);
    buf_addf(out, "],\"default-spec-id\":%d,\"partition-specs\":[", (int)m->default_spec_id);
    for (size_t i = 0; i < m->specs_n; i++) {
        if (i)
            buf_add_char(out, ',');
        format_spec(&m->specs[i], out);
    }
    buf_add_str(out, "],\"properties\":{");
    for (size_t i = 0; i < m->properties_n; i++) {
        if (i)
            buf_add_char(out, ',');
        buf_add_json(out, m->properties[i].name);
        buf_add_char(out, ':');
        buf_add_json(out, m->properties[i].value);
    }
    buf_add_str(out, "}}");
}

int iceberg_state_format(const struct iceberg_metadata *m, const struct iceberg_identity *id,
                         const struct iceberg_state_manifests *manifests, struct buf *out,
                         struct err *err)
{
    const struct iceberg_schema_text *schema = iceberg_metadata_schema(m, id->schema);
    if (!schema)
        return err_set(err, EIO, "%.*s has no schema %d", SLICE_FMT(m->name), (int)id->schema);
    buf_addf(out, "{\"snapshot\":%lld,\"schema\":%d,\"fingerprint\":\"%016llx\",\"elsewhere\":[",
             (long long)id->snapshot, (int)id->schema, (unsigned long long)id->fingerprint);
    for (size_t i = 0; i < manifests->elsewhere_n; i++) {
        if (i)
            buf_add_char(out, ',');
        buf_add_json(out, manifests->elsewhere[i]);
    }
    buf_add_str(out, "],\"manifestList\":");
    buf_add_json(out, manifests->list);
    buf_add_str(out, ",\"formerNames\":");
    int rc = iceberg_former_format(m, out, err);
    if (rc < 0)
        return rc;
    buf_add_str(out, ",\"metadata\":");
    format_metadata(m, schema, out);
    buf_add_char(out, '}');
    return buf_check(out, err);
}

/* Reads as far as the metadata, which may be long, if nobody asks for it. */
static bool read_meta(struct slice meta, struct iceberg_identity *id, struct buf *manifest_list,
                      struct slice *metadata)
{
    AUTO(buf) struct buf scratch = {0};
    struct json j;
    struct slice key, text;
    int64_t schema = -1;
    bool has_snapshot = false, has_print = false, has_elsewhere = false;
    buf_init(&scratch, ACTION_BYTES_MAX);
    json_init(&j, meta);
    if (!json_enter_object(&j))
        return false;
    while (json_next_key(&j, &key)) {
        if (slice_is(key, "snapshot")) {
            has_snapshot = json_int64(&j, &id->snapshot);
        } else if (slice_is(key, "schema")) {
            (void)json_int64(&j, &schema);
        } else if (slice_is(key, "fingerprint") && json_string(&j, &scratch, &text)) {
            has_print = text.n == 16 && text_parse_hex(text, &id->fingerprint);
        } else if (slice_is(key, "elsewhere")) { /* what has none was made before there was one */
            has_elsewhere = json_skip(&j, NULL);
        } else if (slice_is(key, "manifestList") && json_string(&j, &scratch, &text)) {
            if (manifest_list)
                buf_add_slice(manifest_list, text);
        } else if (slice_is(key, "metadata")) {
            if (!metadata)
                break;
            (void)json_skip(&j, metadata);
        } else {
            (void)json_skip(&j, NULL);
        }
    }
    id->schema = (int32_t)schema;
    return !json_failed(&j) && has_snapshot && has_print && has_elsewhere && schema >= 0 &&
           schema <= INT32_MAX;
}

static int unreadable(struct err *err)
{
    return err_set(err, EUCLEAN, "the meta of a run cannot be read");
}

int iceberg_state_identity(struct slice meta, struct iceberg_identity *out, struct err *err)
{
    struct iceberg_identity id;
    if (!read_meta(meta, &id, NULL, NULL))
        return unreadable(err);
    *out = id;
    return 0;
}

int iceberg_state_parse(struct slice meta, struct iceberg_metadata **out, struct buf *manifest_list,
                        struct err *err)
{
    struct iceberg_identity id;
    struct slice metadata = SLICE_NONE;
    if (manifest_list)
        buf_reset(manifest_list);
    if (!read_meta(meta, &id, manifest_list, &metadata) || !metadata.n ||
        (manifest_list && manifest_list->failed))
        return unreadable(err);
    int rc = iceberg_metadata_parse(metadata, SLICE_LIT("a run's meta"), out, err);
    return rc == -EIO ? unreadable(err) : rc;
}

int iceberg_state_elsewhere(struct slice meta, int (*each)(void *arg, struct slice path), void *arg,
                            struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    struct json j;
    struct slice key, path;
    bool found = false;
    int rc = 0;
    buf_init(&scratch, ACTION_BYTES_MAX);
    json_init(&j, meta);
    if (json_enter_object(&j))
        while (!found && json_next_key(&j, &key)) {
            found = slice_is(key, "elsewhere");
            if (!found)
                (void)json_skip(&j, NULL);
        }
    if (!found || !json_enter_array(&j))
        return unreadable(err);
    while (rc == 0 && json_next_element(&j))
        rc = json_string(&j, &scratch, &path) ? each(arg, path) : unreadable(err);
    return rc == 0 && json_failed(&j) ? unreadable(err) : rc;
}

int iceberg_state_former(struct slice meta, struct former **out, struct err *err)
{
    struct json j;
    struct slice key, names = SLICE_NONE;
    json_init(&j, meta);
    if (json_enter_object(&j))
        while (!names.n && json_next_key(&j, &key))
            (void)json_skip(&j, slice_is(key, "formerNames") ? &names : NULL);
    if (!names.n)
        return unreadable(err);
    AUTO(former) struct former *former = former_new(err);
    if (!former)
        return -ENOMEM;
    int rc = former_parse(former, names, err);
    if (rc < 0)
        return rc == -EIO ? unreadable(err) : rc;
    *out = STEAL(former);
    return 0;
}
