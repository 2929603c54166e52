/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/describe.h"

#include "base/instant.h"
#include "base/json.h"
#include "base/text.h"
#include "lake/delta/commit.h"
#include "lake/delta/schema_shown.h"

/* Commits that are read for one answer, and up to which size their files are counted. */
#define COMMITS_MAX 1000
#define COUNTED_BYTES_MAX (8 * MIB)

/* What one commit says of itself. */
struct summary {
    struct delta_commit_info info; /* in the arena */
    struct arena arena;
    bool counted;
    bool sized; /* every removal tells its size */
    bool data_change, metadata, protocol;
    uint64_t added, removed, added_bytes, removed_bytes, changes;
};

/* Text from the log that may go into a JSON document as it is. */
static bool is_clean(struct slice raw)
{
    for (size_t i = 0; i < raw.n; i++)
        if ((unsigned char)raw.p[i] < 0x20)
            return false;
    return raw.n && utf8_valid(raw);
}

static int keep_info(struct summary *s, const struct delta_commit_info *info, struct err *err)
{
    s->info = *info;
    struct slice *values[] = {&s->info.operation,   &s->info.parameters,   &s->info.user_name,
                              &s->info.engine_info, &s->info.read_version, &s->info.blind_append};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        if (!is_clean(*values[i])) {
            *values[i] = SLICE_NONE;
            continue;
        }
        *values[i] = arena_slice(&s->arena, *values[i]);
        if (!values[i]->p)
            return err_set(err, ENOMEM, "out of memory for a commit's description");
    }
    return 0;
}

static int take_action(void *arg, const struct delta_action *action, struct err *err)
{
    struct summary *s = arg;
    switch (action->kind) {
    case DELTA_ADD:
        s->added++;
        s->added_bytes += (uint64_t)action->file.size;
        s->data_change |= action->file.data_change;
        return 0;
    case DELTA_REMOVE:
        s->removed++;
        s->sized &= action->file.has_size && action->file.size >= 0;
        s->removed_bytes += s->sized ? (uint64_t)action->file.size : 0;
        s->data_change |= action->file.data_change;
        return 0;
    case DELTA_CDC:
        s->changes++;
        return 0;
    case DELTA_COMMIT_INFO:
        arena_reset(&s->arena);
        return keep_info(s, &action->info, err);
    case DELTA_METADATA:
        s->metadata = true;
        return 0;
    case DELTA_PROTOCOL:
        s->protocol = true;
        return 0;
    case DELTA_SIDECAR:
    case DELTA_OTHER:
        break;
    }
    return 0;
}

/* Reads a commit, the first line only where it is a large one. */
static int summarize(const struct delta_table *table, const struct delta_log_file *file,
                     struct summary *s, struct err *err)
{
    struct delta_sink sink = {take_action, s};
    s->counted = file->size <= COUNTED_BYTES_MAX;
    s->sized = true;
    return delta_commit_read(table, file, s->counted ? DELTA_COMMIT_ALL : 1, &sink, err);
}

static void add_value(struct buf *out, const char *name, struct slice raw)
{
    buf_addf(out, ",\"%s\":", name);
    buf_add_slice(out, raw.n ? raw : SLICE_LIT("null"));
}

static void add_count(struct buf *out, const char *name, bool known, uint64_t value)
{
    if (known)
        buf_addf(out, ",\"%s\":%llu", name, (unsigned long long)value);
    else
        buf_addf(out, ",\"%s\":null", name);
}

static void add_flag(struct buf *out, const char *name, bool known, bool value)
{
    buf_addf(out, ",\"%s\":%s", name, !known ? "null" : value ? "true" : "false");
}

/* What may tell of more than somebody is shown. */
static void format_details(struct buf *out, const struct summary *s)
{
    add_value(out, "operationParameters", s->info.parameters);
    add_value(out, "userName", s->info.user_name);
    add_value(out, "engineInfo", s->info.engine_info);
    add_value(out, "readVersion", s->info.read_version);
    add_value(out, "isBlindAppend", s->info.blind_append);
    add_count(out, "numAddedFiles", s->counted, s->added);
    add_count(out, "numRemovedFiles", s->counted, s->removed);
    add_count(out, "addedBytes", s->counted, s->added_bytes);
    add_count(out, "removedBytes", s->counted && s->sized, s->removed_bytes);
    add_count(out, "numChangeFiles", s->counted, s->changes);
}

static void format_version(struct buf *out, const struct version *v, const struct summary *s,
                           bool part)
{
    buf_addf(out, "{\"version\":%lld,\"timestamp\":\"", (long long)v->number);
    instant_format(out, v->timestamp_ms);
    buf_addf(out, "\",\"timestampMs\":%lld", (long long)v->timestamp_ms);
    bool word = slice_starts(s->info.operation, SLICE_LIT("\"")); /* as it should be */
    add_value(out, "operation", part && !word ? SLICE_NONE : s->info.operation);
    if (!part)
        format_details(out, s);
    add_flag(out, "dataChange", s->counted, s->data_change);
    add_flag(out, "metadataChange", s->counted, s->metadata);
    add_flag(out, "protocolChange", s->counted, s->protocol);
    buf_add_char(out, '}');
}

int delta_describe_history(const struct delta_table *table, const struct history *h, size_t from,
                           bool part, struct buf *out, struct err *err)
{
    AUTO(delta_log) struct delta_log log;
    delta_log_init(&log);
    size_t first = h->n - from > COMMITS_MAX ? h->n - COMMITS_MAX : from;
    int rc = first < h->n
                 ? delta_log_read(&log, table->store, table->prefix, &h->at[first].number, err)
                 : 0;
    if (rc < 0)
        return rc;
    buf_add_str(out, "[");
    for (size_t i = from; i < h->n; i++) {
        struct summary s = {0};
        const struct delta_log_file *file =
            i >= first ? delta_log_commit(&log, h->at[i].number) : NULL;
        arena_init(&s.arena, 2 * JSON_LINE_BYTES_MAX);
        struct err ignored = ERR_INIT; /* a commit that cannot be read tells nothing of itself */
        if (file && file->fingerprint == h->at[i].fingerprint &&
            summarize(table, file, &s, &ignored) < 0) {
            s.info = (struct delta_commit_info){0};
            s.counted = false;
        }
        if (i > from)
            buf_add_str(out, ",\n");
        format_version(out, &h->at[i], &s, part);
        arena_done(&s.arena);
    }
    buf_add_str(out, "]\n");
    return buf_check(out, err);
}

int delta_describe_schema(struct slice meta, const struct shape *shown, struct buf *out,
                          struct err *err)
{
    AUTO(delta_state) struct delta_state state;
    struct json j;
    struct slice schema;
    delta_state_init(&state);
    int rc = delta_state_parse(meta, &state, err);
    if (rc < 0)
        return rc;
    json_init(&j, state.metadata.schema);
    if (!json_skip(&j, &schema) || !json_at_end(&j) || !utf8_valid(schema))
        return err_set(err, ENOENT, "the table tells no schema");
    buf_add_str(out, "{\"partitionColumns\":[");
    for (size_t i = 0; i < state.columns.n; i++) {
        if (i)
            buf_add_char(out, ',');
        buf_add_json(out, state.columns.at[i].name);
    }
    buf_add_str(out, "],\"schema\":");
    if (shown)
        rc = delta_schema_shown(schema, &state.columns, shown, out, err);
    else
        buf_add_slice(out, schema);
    buf_add_str(out, "}\n");
    return rc < 0 ? rc : buf_check(out, err);
}

/* Properties whose values are numbers, durations, modes and flags, whatever the table holds. Others
 * may name columns and values: constraints, columns of statistics, a user's own. */
static const char *const plain_properties[] = {
    "delta.appendOnly",
    "delta.checkpointInterval",
    "delta.checkpointPolicy",
    "delta.columnMapping.mode",
    "delta.deletedFileRetentionDuration",
    "delta.enableChangeDataFeed",
    "delta.enableDeletionVectors",
    "delta.enableInCommitTimestamps",
    "delta.enableRowTracking",
    "delta.enableTypeWidening",
    "delta.isolationLevel",
    "delta.logRetentionDuration",
    "delta.minReaderVersion",
    "delta.minWriterVersion",
    "delta.targetFileSize",
};

static bool is_plain(struct slice name)
{
    for (size_t i = 0; i < ARRAY_SIZE(plain_properties); i++)
        if (slice_is(name, plain_properties[i]))
            return true;
    return false;
}

static int add_plain_properties(struct slice configuration, struct buf *out, struct err *err)
{
    struct json j;
    struct slice name, value;
    bool any = false;
    json_init(&j, configuration);
    buf_add_char(out, '{');
    if (json_enter_object(&j))
        while (json_next_key(&j, &name)) {
            if (!is_plain(name) || json_peek(&j) != JSON_STRING) {
                (void)json_skip(&j, NULL);
                continue;
            }
            if (any)
                buf_add_char(out, ',');
            buf_add_json(out, name);
            if (json_skip(&j, &value))
                buf_addf(out, ":%.*s", SLICE_FMT(value));
            any = true;
        }
    buf_add_char(out, '}');
    return json_failed(&j) ? err_set(err, EUCLEAN, "the meta of a run cannot be read") : 0;
}

int delta_describe_properties(struct slice meta, bool part, struct buf *out, struct err *err)
{
    int rc = 0;
    struct json j;
    struct slice key, id = SLICE_NONE, protocol = SLICE_NONE, configuration = SLICE_NONE;
    json_init(&j, meta);
    if (json_enter_object(&j))
        while (json_next_key(&j, &key))
            (void)json_skip(&j, slice_is(key, "id")              ? &id
                                : slice_is(key, "protocol")      ? &protocol
                                : slice_is(key, "configuration") ? &configuration
                                                                 : NULL);
    if (json_failed(&j) || !id.n || !protocol.n || !configuration.n)
        return err_set(err, EUCLEAN, "the meta of a run cannot be read");
    buf_addf(out, "{\"id\":%.*s,\"protocol\":%.*s,\"configuration\":", SLICE_FMT(id),
             SLICE_FMT(protocol));
    if (part)
        rc = add_plain_properties(configuration, out, err);
    else
        buf_add_slice(out, configuration);
    buf_add_str(out, "}\n");
    return rc < 0 ? rc : buf_check(out, err);
}
