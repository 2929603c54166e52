/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/state.h"

#include <strings.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

/* Metadata with its lists; text decoded from JSON is no longer than the line it came in. */
#define STATE_BYTES_MAX (2 * JSON_LINE_BYTES_MAX)

void delta_state_init(struct delta_state *s)
{
    *s = (struct delta_state){0};
    arena_init(&s->metadata_arena, STATE_BYTES_MAX);
    arena_init(&s->protocol_arena, STATE_BYTES_MAX);
    arena_init(&s->columns_arena, STATE_BYTES_MAX);
}

void delta_state_done(struct delta_state *s)
{
    former_unref(s->former);
    arena_done(&s->metadata_arena);
    arena_done(&s->protocol_arena);
    arena_done(&s->columns_arena);
}

static bool is_enabled(const struct delta_metadata *metadata, struct slice property)
{
    struct slice value;
    return delta_map_find(&metadata->configuration, property, &value) && value.n == 4 &&
           strncasecmp(value.p, "true", 4) == 0;
}

/* What follows from metadata and protocol together. */
static int settle(struct delta_state *s, struct err *err)
{
    const struct delta_protocol *protocol = s->has_protocol ? &s->protocol : NULL;
    if (!s->has_metadata)
        return 0;
    arena_reset(&s->columns_arena);
    (void)delta_schema_mapping(&s->metadata, protocol, &s->mapping, NULL); /* told by the gate */
    int rc = delta_schema_columns(&s->columns_arena, &s->metadata, s->mapping, &s->columns, err);
    s->columns_hash = delta_schema_hash(&s->metadata, s->mapping);
    delta_schema_counted(&s->columns_arena, &s->metadata, false, &s->counted);
    delta_schema_counted(&s->columns_arena, &s->metadata, true, &s->counted_by_spark);
    s->hides_gaps = delta_schema_hides_gaps(&s->metadata);
    s->own_columns = is_enabled(&s->metadata, SLICE_LIT("delta.enableChangeDataFeed")) ||
                     is_enabled(&s->metadata, SLICE_LIT("delta.enableRowTracking"));
    return rc;
}

int delta_state_metadata(struct delta_state *s, const struct delta_metadata *metadata,
                         struct err *err)
{
    s->has_metadata = false;
    arena_reset(&s->metadata_arena);
    int rc = delta_metadata_copy(&s->metadata_arena, metadata, &s->metadata, err);
    s->has_metadata = rc == 0;
    if (rc == 0)
        rc = settle(s, err);
    s->has_metadata = rc == 0;
    return rc;
}

int delta_state_protocol(struct delta_state *s, const struct delta_protocol *protocol,
                         struct err *err)
{
    s->has_protocol = false;
    arena_reset(&s->protocol_arena);
    int rc = delta_protocol_copy(&s->protocol_arena, protocol, &s->protocol, err);
    s->has_protocol = rc == 0;
    return rc < 0 ? rc : settle(s, err);
}

int delta_state_note_names(struct delta_state *s, const struct delta_state *of, struct err *err)
{
    AUTO(shape) struct shape *shape = NULL;
    struct delta_metadata all = of->metadata;
    all.partition_columns = (struct delta_list){0};
    if (of->mapping == DELTA_MAPPING_NONE ||
        delta_schema_shape(&all, of->mapping, &shape, NULL) < 0 || !shape)
        return 0;
    if (!s->former && !(s->former = former_new(err)))
        return -err->code;
    return former_add_shape(s->former, shape, err);
}

bool delta_state_same_columns(const struct delta_state *a, const struct delta_state *b)
{
    return a->mapping == b->mapping && a->columns_hash == b->columns_hash &&
           delta_columns_equal(&a->columns, &b->columns);
}

static void format_list(struct buf *out, const char *name, const struct delta_list *list)
{
    buf_addf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < list->n; i++) {
        if (i)
            buf_add_char(out, ',');
        buf_add_json(out, list->at[i]);
    }
    buf_add_char(out, ']');
}

static void format_map(struct buf *out, const char *name, const struct delta_map *map)
{
    buf_addf(out, ",\"%s\":{", name);
    for (size_t i = 0; i < map->n; i++) {
        if (i)
            buf_add_char(out, ',');
        buf_add_json(out, map->at[i].key);
        buf_add_char(out, ':');
        if (map->at[i].null)
            buf_add_str(out, "null");
        else
            buf_add_json(out, map->at[i].value);
    }
    buf_add_char(out, '}');
}

static void format_former(const struct former *former, struct buf *out)
{
    if (!former || !former->first)
        return;
    buf_add_str(out, ",\"formerNames\":");
    former_format(former, out);
}

void delta_state_format(const struct delta_state *s, int64_t version, uint64_t fingerprint,
                        struct buf *out)
{
    const struct delta_protocol *p = &s->protocol;
    buf_addf(out, "{\"version\":%lld,\"fingerprint\":\"%016llx\",\"id\":", (long long)version,
             (unsigned long long)fingerprint);
    buf_add_json(out, s->metadata.id);
    buf_add_str(out, ",\"format\":{\"provider\":");
    buf_add_json(out, s->metadata.provider);
    buf_add_char(out, '}');
    format_list(out, "partitionColumns", &s->metadata.partition_columns);
    buf_add_str(out, ",\"schemaString\":");
    buf_add_json(out, s->metadata.schema);
    format_map(out, "configuration", &s->metadata.configuration);
    buf_addf(out, ",\"protocol\":{\"minReaderVersion\":%lld,\"minWriterVersion\":%lld",
             (long long)p->reader, (long long)p->writer);
    if (p->has_reader_features)
        format_list(out, "readerFeatures", &p->reader_features);
    if (p->has_writer_features)
        format_list(out, "writerFeatures", &p->writer_features);
    buf_addf(out, "},\"columnsSince\":%lld", (long long)s->columns_since);
    format_former(s->former, out);
    buf_add_str(out, s->changes ? ",\"changes\":true}" : "}");
}

/* What a meta holds that is not metaData's own. */
struct identity {
    int64_t version, columns_since;
    uint64_t fingerprint;
    struct slice protocol, former; /* JSON; former empty: there is none */
    bool changes;
};

static bool read_meta(struct slice meta, struct identity *out)
{
    AUTO(buf) struct buf scratch = {0};
    struct json j;
    struct slice key, hex = SLICE_NONE;
    bool has_version = false, has_since = false;
    *out = (struct identity){.protocol = SLICE_NONE};
    buf_init(&scratch, KIB);
    json_init(&j, meta);
    if (json_enter_object(&j))
        while (json_next_key(&j, &key)) {
            if (slice_is(key, "version"))
                has_version = json_int64(&j, &out->version);
            else if (slice_is(key, "columnsSince"))
                has_since = json_int64(&j, &out->columns_since);
            else if (slice_is(key, "changes"))
                (void)json_bool(&j, &out->changes);
            else if (slice_is(key, "fingerprint"))
                (void)json_string(&j, &scratch, &hex);
            else
                (void)json_skip(&j, slice_is(key, "protocol")      ? &out->protocol
                                    : slice_is(key, "formerNames") ? &out->former
                                                                   : NULL);
        }
    return !json_failed(&j) && has_version && has_since && hex.n == 16 &&
           text_parse_hex(hex, &out->fingerprint) && out->protocol.n;
}

int delta_state_identity(struct slice meta, int64_t *version, uint64_t *fingerprint,
                         struct err *err)
{
    struct identity id;
    if (!read_meta(meta, &id))
        return err_set(err, EUCLEAN, "the meta of a run cannot be read");
    *version = id.version;
    *fingerprint = id.fingerprint;
    return 0;
}

int delta_state_parse(struct slice meta, struct delta_state *out, struct err *err)
{
    struct identity id;
    struct delta_metadata metadata;
    struct delta_protocol protocol;
    AUTO(arena) struct arena arena = {0};
    arena_init(&arena, STATE_BYTES_MAX);
    if (!read_meta(meta, &id))
        return err_set(err, EUCLEAN, "the meta of a run cannot be read");
    int rc = delta_metadata_parse(meta, &arena, &metadata, err);
    if (rc == 0)
        rc = delta_protocol_parse(id.protocol, &arena, &protocol, err);
    if (rc == 0)
        rc = delta_state_protocol(out, &protocol, err);
    if (rc == 0)
        rc = delta_state_metadata(out, &metadata, err);
    if (rc == 0 && id.former.n && !(out->former = former_new(err)))
        rc = -err->code;
    if (rc == 0 && id.former.n)
        rc = former_parse(out->former, id.former, err);
    out->columns_since = id.columns_since;
    out->changes = id.changes;
    return rc == -EIO ? err_set(err, EUCLEAN, "the meta of a run cannot be read") : rc;
}
