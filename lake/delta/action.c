/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/action.h"

#include "base/json.h"
#include "base/limits.h"

/* Items of one list or map: columns, features, configuration. */
#define ITEMS_MAX 100000

/* A line on the way through the reader. */
struct parse {
    struct json j;
    struct arena *arena;
    struct buf scratch;
    const char *why; /* well-formed JSON that is no action; NULL: none */
    bool no_memory;
};

static bool wrong(struct parse *p, const char *why)
{
    if (!p->why)
        p->why = why;
    return false;
}

static bool out_of_memory(struct parse *p)
{
    p->no_memory = true;
    return false;
}

/* A string; decoded ones are copied into the arena. */
static bool text(struct parse *p, struct slice *out)
{
    struct slice s;
    if (!json_string(&p->j, &p->scratch, &s))
        return p->scratch.failed == ENOMEM ? out_of_memory(p) : false;
    if (p->scratch.data && s.p == p->scratch.data) {
        s = arena_slice(p->arena, s);
        if (!s.p)
            return out_of_memory(p);
    }
    *out = s;
    return true;
}

static bool text_or_null(struct parse *p, struct slice *out, bool *null)
{
    *null = json_null(&p->j);
    return *null || text(p, out);
}

/* Room for one item more, doubled as it fills; what is outgrown stays in the arena. */
static void *grow(struct parse *p, void *at, size_t n, size_t size)
{
    if (n > ITEMS_MAX) {
        (void)wrong(p, "too many items");
        return NULL;
    }
    if (n != 0 && (n < 8 || (n & (n - 1)) != 0))
        return at;
    void *more = arena_calloc(p->arena, n ? n * 2 : 8, size);
    if (!more)
        (void)out_of_memory(p);
    else if (n)
        memcpy(more, at, n * size);
    return more;
}

static bool read_list(struct parse *p, struct delta_list *out)
{
    struct delta_list list = {0};
    if (!json_enter_array(&p->j))
        return false;
    while (json_next_element(&p->j)) {
        void *more = grow(p, list.at, list.n, sizeof list.at[0]);
        if (!more)
            return false;
        list.at = more;
        if (!text(p, &list.at[list.n++]))
            return false;
    }
    *out = list;
    return !json_failed(&p->j);
}

/* Keys with escapes lie in the reader, so they are copied. */
static bool keep_key(struct parse *p, struct slice *key)
{
    if (key->p < p->j.begin || key->p >= p->j.end)
        *key = arena_slice(p->arena, *key);
    return key->p ? true : out_of_memory(p);
}

static bool read_map(struct parse *p, struct delta_map *out)
{
    struct delta_map map = {0};
    struct slice key;
    if (!json_enter_object(&p->j))
        return false;
    while (json_next_key(&p->j, &key)) {
        void *more = grow(p, map.at, map.n, sizeof map.at[0]);
        if (!more || !keep_key(p, &key))
            return false;
        map.at = more;
        struct delta_pair *pair = &map.at[map.n++];
        pair->key = key;
        if (!text_or_null(p, &pair->value, &pair->null))
            return false;
    }
    *out = map;
    return !json_failed(&p->j);
}

static bool read_dv(struct parse *p, struct delta_dv *out)
{
    struct slice key;
    if (!json_enter_object(&p->j))
        return false;
    while (json_next_key(&p->j, &key)) {
        if (json_null(&p->j))
            continue;
        if (slice_is(key, "storageType")) {
            (void)text(p, &out->storage);
        } else if (slice_is(key, "pathOrInlineDv")) {
            (void)text(p, &out->path);
        } else if (slice_is(key, "offset")) {
            out->has_offset = json_int64(&p->j, &out->offset);
        } else if (slice_is(key, "sizeInBytes")) {
            out->has_size = json_int64(&p->j, &out->size);
        } else if (slice_is(key, "cardinality")) {
            out->has_cardinality = json_int64(&p->j, &out->cardinality);
        } else {
            (void)json_skip(&p->j, NULL);
        }
    }
    if (json_failed(&p->j))
        return false;
    if (out->storage.n == 0)
        return wrong(p, "deletionVector.storageType is missing");
    return out->path.n ? true : wrong(p, "deletionVector.pathOrInlineDv is missing");
}

/* What the protocol requires of an add is never taken as some default. */
static bool check_add(struct parse *p, const struct delta_file *file, bool has_time,
                      bool has_values)
{
    if (!file->has_size)
        return wrong(p, "add.size is missing");
    if (file->size < 0)
        return wrong(p, "add.size is negative");
    if (!has_time)
        return wrong(p, "add.modificationTime is missing");
    return has_values ? true : wrong(p, "add.partitionValues is missing");
}

static bool read_file(struct parse *p, struct delta_file *out, enum delta_kind kind)
{
    struct slice key;
    bool has_time = false, has_values = false, add = kind == DELTA_ADD;
    *out = (struct delta_file){0};
    if (!json_enter_object(&p->j))
        return false;
    while (json_next_key(&p->j, &key)) {
        bool ok = true;
        if (json_null(&p->j))
            continue;
        if (slice_is(key, "path"))
            ok = text(p, &out->path);
        else if (slice_is(key, "deletionVector"))
            ok = read_dv(p, &out->dv);
        else if (slice_is(key, "size") && (add || json_peek(&p->j) == JSON_NUMBER))
            out->has_size = ok = json_int64(&p->j, &out->size);
        else if (slice_is(key, "dataChange") && json_peek(&p->j) == JSON_BOOL)
            ok = json_bool(&p->j, &out->data_change);
        else if (slice_is(key, "deletionTimestamp") && json_peek(&p->j) == JSON_NUMBER)
            ok = json_int64(&p->j, &out->deletion_time);
        else if (add && slice_is(key, "modificationTime"))
            has_time = ok = json_int64(&p->j, &out->modification_time);
        else if (kind != DELTA_REMOVE && slice_is(key, "partitionValues"))
            has_values = ok = read_map(p, &out->partition_values);
        else if (add && slice_is(key, "stats"))
            ok = json_skip(&p->j, &out->stats);
        else
            ok = json_skip(&p->j, NULL);
        if (!ok)
            return false;
    }
    if (json_failed(&p->j))
        return false;
    if (kind == DELTA_CDC) /* no part of the table's state: whoever wants it looks closer */
        return true;
    if (out->path.n == 0)
        return wrong(p, add ? "add.path is missing" : "remove.path is missing");
    return !add || check_add(p, out, has_time, has_values);
}

static bool read_format(struct parse *p, struct delta_metadata *out)
{
    struct slice key;
    if (!json_enter_object(&p->j))
        return false;
    while (json_next_key(&p->j, &key)) {
        bool null = json_null(&p->j);
        if (!null && slice_is(key, "provider"))
            (void)text(p, &out->provider);
        else if (!null)
            (void)json_skip(&p->j, NULL);
    }
    return !json_failed(&p->j);
}

static bool read_metadata(struct parse *p, struct delta_metadata *out)
{
    struct slice key;
    bool has_columns = false;
    *out = (struct delta_metadata){0};
    if (!json_enter_object(&p->j))
        return false;
    while (json_next_key(&p->j, &key)) {
        bool ok = true;
        if (json_null(&p->j))
            continue;
        if (slice_is(key, "id"))
            ok = text(p, &out->id);
        else if (slice_is(key, "format"))
            ok = read_format(p, out);
        else if (slice_is(key, "schemaString"))
            ok = text(p, &out->schema);
        else if (slice_is(key, "partitionColumns"))
            has_columns = ok = read_list(p, &out->partition_columns);
        else if (slice_is(key, "configuration"))
            ok = read_map(p, &out->configuration);
        else
            ok = json_skip(&p->j, NULL);
        if (!ok)
            return false;
    }
    if (json_failed(&p->j))
        return false;
    if (!out->id.p)
        return wrong(p, "metaData.id is missing");
    /* Spark leaves schemaString out where a table has no schema yet. */
    return has_columns ? true : wrong(p, "metaData.partitionColumns is missing");
}

static bool read_protocol(struct parse *p, struct delta_protocol *out)
{
    struct slice key;
    bool has_reader = false, has_writer = false;
    *out = (struct delta_protocol){0};
    if (!json_enter_object(&p->j))
        return false;
    while (json_next_key(&p->j, &key)) {
        bool ok = true;
        if (json_null(&p->j))
            continue;
        if (slice_is(key, "minReaderVersion"))
            has_reader = ok = json_int64(&p->j, &out->reader);
        else if (slice_is(key, "minWriterVersion"))
            has_writer = ok = json_int64(&p->j, &out->writer);
        else if (slice_is(key, "readerFeatures"))
            ok = out->has_reader_features = read_list(p, &out->reader_features);
        else if (slice_is(key, "writerFeatures"))
            ok = out->has_writer_features = read_list(p, &out->writer_features);
        else
            ok = json_skip(&p->j, NULL);
        if (!ok)
            return false;
    }
    if (json_failed(&p->j))
        return false;
    if (!has_reader)
        return wrong(p, "protocol.minReaderVersion is missing");
    return has_writer ? true : wrong(p, "protocol.minWriterVersion is missing");
}

/* What engines write here is loosely specified, so a value of an unexpected type is passed over. */
static bool read_info(struct parse *p, struct delta_commit_info *out)
{
    struct slice key;
    *out = (struct delta_commit_info){0};
    if (!json_enter_object(&p->j))
        return false;
    while (json_next_key(&p->j, &key)) {
        struct slice *raw = slice_is(key, "operation")             ? &out->operation
                            : slice_is(key, "operationParameters") ? &out->parameters
                            : slice_is(key, "userName")            ? &out->user_name
                            : slice_is(key, "engineInfo")          ? &out->engine_info
                            : slice_is(key, "readVersion")         ? &out->read_version
                            : slice_is(key, "isBlindAppend")       ? &out->blind_append
                                                                   : NULL;
        if (slice_is(key, "inCommitTimestamp") && json_peek(&p->j) == JSON_NUMBER)
            out->has_in_commit_timestamp = json_int64(&p->j, &out->in_commit_timestamp);
        else
            (void)json_skip(&p->j, raw);
    }
    return !json_failed(&p->j);
}

static bool read_sidecar(struct parse *p, struct delta_sidecar *out)
{
    struct slice key;
    bool has_size = false;
    *out = (struct delta_sidecar){0};
    if (!json_enter_object(&p->j))
        return false;
    while (json_next_key(&p->j, &key)) {
        bool ok = true;
        if (json_null(&p->j))
            continue;
        if (slice_is(key, "path"))
            ok = text(p, &out->path);
        else if (slice_is(key, "sizeInBytes"))
            has_size = ok = json_int64(&p->j, &out->size);
        else
            ok = json_skip(&p->j, NULL);
        if (!ok)
            return false;
    }
    if (json_failed(&p->j))
        return false;
    if (out->path.n == 0)
        return wrong(p, "sidecar.path is missing");
    return has_size && out->size >= 0 ? true : wrong(p, "sidecar.sizeInBytes is missing");
}

static bool read_value(struct parse *p, struct slice key, struct delta_action *out)
{
    static const struct {
        const char *name;
        enum delta_kind kind;
    } names[] = {{"add", DELTA_ADD},           {"remove", DELTA_REMOVE},
                 {"cdc", DELTA_CDC},           {"metaData", DELTA_METADATA},
                 {"protocol", DELTA_PROTOCOL}, {"commitInfo", DELTA_COMMIT_INFO},
                 {"sidecar", DELTA_SIDECAR}};
    enum delta_kind kind = DELTA_OTHER;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (slice_is(key, names[i].name))
            kind = names[i].kind;
    if (json_null(&p->j))
        return true;
    if (kind == DELTA_CDC && out->kind != DELTA_OTHER)
        kind = DELTA_OTHER;
    if (kind != DELTA_OTHER && out->kind != DELTA_OTHER && out->kind != DELTA_CDC)
        return wrong(p, "two actions in one line");
    if (kind != DELTA_OTHER)
        out->kind = kind;
    switch (kind) {
    case DELTA_ADD:
    case DELTA_REMOVE:
    case DELTA_CDC:
        return read_file(p, &out->file, kind);
    case DELTA_METADATA:
        return read_metadata(p, &out->metadata);
    case DELTA_PROTOCOL:
        return read_protocol(p, &out->protocol);
    case DELTA_COMMIT_INFO:
        return read_info(p, &out->info);
    case DELTA_SIDECAR:
        return read_sidecar(p, &out->sidecar);
    case DELTA_OTHER:
        break;
    }
    return json_skip(&p->j, NULL);
}

static void parse_init(struct parse *p, struct slice line, struct arena *arena)
{
    *p = (struct parse){.arena = arena};
    json_init(&p->j, line);
    buf_init(&p->scratch, JSON_LINE_BYTES_MAX);
}

/* Ends the reading: 0 where `ok`, or why not. */
static int parse_done(struct parse *p, bool ok, struct err *err)
{
    buf_done(&p->scratch);
    if (p->no_memory)
        return arena_failed(p->arena, "an action", err);
    if (p->why)
        return err_set(err, EIO, "%s", p->why);
    return ok && !json_failed(&p->j) ? 0 : json_error(&p->j, err);
}

int delta_action_parse(struct slice line, struct arena *arena, struct delta_action *out,
                       struct err *err)
{
    struct parse p;
    struct delta_action action = {.kind = DELTA_OTHER};
    struct slice key;
    parse_init(&p, line, arena);
    bool ok = json_enter_object(&p.j);
    while (ok && json_next_key(&p.j, &key))
        ok = read_value(&p, key, &action);
    int rc = parse_done(&p, ok, err);
    if (rc < 0)
        return rc;
    *out = action;
    return 0;
}

int delta_metadata_parse(struct slice value, struct arena *arena, struct delta_metadata *out,
                         struct err *err)
{
    struct parse p;
    struct delta_metadata metadata;
    parse_init(&p, value, arena);
    bool ok = read_metadata(&p, &metadata);
    int rc = parse_done(&p, ok, err);
    if (rc < 0)
        return rc;
    *out = metadata;
    return 0;
}

int delta_protocol_parse(struct slice value, struct arena *arena, struct delta_protocol *out,
                         struct err *err)
{
    struct parse p;
    struct delta_protocol protocol;
    parse_init(&p, value, arena);
    bool ok = read_protocol(&p, &protocol);
    int rc = parse_done(&p, ok, err);
    if (rc < 0)
        return rc;
    *out = protocol;
    return 0;
}

/* Empty ones stay empty without taking room. */
static bool copy_slice(struct arena *arena, struct slice *s)
{
    if (s->n == 0) {
        *s = SLICE_NONE;
        return true;
    }
    *s = arena_slice(arena, *s);
    return s->p != NULL;
}

static bool copy_list(struct arena *arena, struct delta_list *list)
{
    if (list->n == 0)
        return true;
    struct slice *at = arena_calloc(arena, list->n, sizeof *at);
    if (!at)
        return false;
    memcpy(at, list->at, list->n * sizeof *at);
    list->at = at;
    for (size_t i = 0; i < list->n; i++)
        if (!copy_slice(arena, &at[i]))
            return false;
    return true;
}

static bool copy_map(struct arena *arena, struct delta_map *map)
{
    if (map->n == 0)
        return true;
    struct delta_pair *at = arena_calloc(arena, map->n, sizeof *at);
    if (!at)
        return false;
    memcpy(at, map->at, map->n * sizeof *at);
    map->at = at;
    for (size_t i = 0; i < map->n; i++)
        if (!copy_slice(arena, &at[i].key) || !copy_slice(arena, &at[i].value))
            return false;
    return true;
}

int delta_metadata_copy(struct arena *arena, const struct delta_metadata *from,
                        struct delta_metadata *out, struct err *err)
{
    struct delta_metadata copy = *from;
    if (!copy_slice(arena, &copy.id) || !copy_slice(arena, &copy.schema) ||
        !copy_slice(arena, &copy.provider) || !copy_list(arena, &copy.partition_columns) ||
        !copy_map(arena, &copy.configuration))
        return arena_failed(arena, "metaData", err);
    *out = copy;
    return 0;
}

int delta_protocol_copy(struct arena *arena, const struct delta_protocol *from,
                        struct delta_protocol *out, struct err *err)
{
    struct delta_protocol copy = *from;
    if (!copy_list(arena, &copy.reader_features) || !copy_list(arena, &copy.writer_features))
        return arena_failed(arena, "protocol", err);
    *out = copy;
    return 0;
}

bool delta_map_find(const struct delta_map *map, struct slice key, struct slice *value)
{
    for (size_t i = 0; i < map->n; i++) {
        if (!slice_eq(map->at[i].key, key))
            continue;
        *value = map->at[i].value;
        return !map->at[i].null;
    }
    return false;
}
