/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/archive/manifest.h"

#include "base/json.h"
#include "base/text.h"
#include "lake/archive/frames.h"

#define MANIFEST_VERSION 1
#define TABLE_HASH_BYTES 16
#define TABLE_NAME_BYTES_MAX 64
#define VERSION_DIGITS 20
/* What stays as it is in names; `:` does not, so that `://` tells URLs. */
#define NAME_KEEPS "/=,+@"

static const char *const kinds[] = {"data", "log", "deletes"};

static void add_hex(struct buf *out, const uint8_t *bytes, size_t n)
{
    text_hex(out, bytes, n);
}

static void format_content(const struct archive_content *c, struct buf *out)
{
    buf_addf(out, "\"size\":%llu,\"sha256\":\"", (unsigned long long)c->size);
    add_hex(out, c->sha256, SHA256_BYTES);
    buf_addf(out, "\",\"stored\":%llu", (unsigned long long)c->stored);
}

void manifest_format(const struct manifest *m, struct buf *out)
{
    size_t begin = out->len;
    buf_addf(out, "{\"tarnArchive\":%d,\"table\":", MANIFEST_VERSION);
    buf_add_json(out, slice_of(m->table));
    buf_add_str(out, ",\"format\":");
    buf_add_json(out, slice_of(m->format));
    buf_addf(out,
             ",\"version\":%lld,\"timestampMs\":%lld,\"archivedMs\":%lld,\"files\":%llu,"
             "\"bytes\":%llu,\"objects\":%llu,\"plainBytes\":%llu,"
             "\"outside\":%s,\"list\":{",
             (long long)m->version, (long long)m->timestamp_ms, (long long)m->archived_ms,
             (unsigned long long)m->files, (unsigned long long)m->bytes,
             (unsigned long long)m->objects, (unsigned long long)m->plain,
             m->outside ? "true" : "false");
    format_content(&m->list, out);
    buf_add_str(out, "}}\n");
    if (out->failed)
        return;
    char sum[2 * SHA256_BYTES + 1];
    sha256_hex(slice_make(out->data + begin, out->len - begin), sum);
    buf_addf(out, "{\"sha256\":\"%s\"}\n", sum);
}

/* parsing */

static bool parse_hex(struct slice text, uint8_t *to, size_t n)
{
    return text.n == 2 * n && text_unhex(text, to);
}

static bool read_hex(struct json *j, struct buf *scratch, uint8_t *to, size_t n)
{
    struct slice text;
    return json_string(j, scratch, &text) && parse_hex(text, to, n);
}

static bool read_count(struct json *j, uint64_t *out)
{
    int64_t n;
    if (!json_int64(j, &n) || n < 0)
        return false;
    *out = (uint64_t)n;
    return true;
}

static bool read_text(struct json *j, struct buf *scratch, char *to, size_t room)
{
    struct slice text;
    if (!json_string(j, scratch, &text) || text.n == 0 || text.n >= room ||
        slice_find(text, '\0') >= 0)
        return false;
    memcpy(to, text.p, text.n);
    to[text.n] = '\0';
    return true;
}

/* What content has at least: a table, and of its bytes no more than the format holds. */
static bool content_holds(const struct archive_content *c)
{
    return c->size <= FRAMES_PLAIN_BYTES_MAX &&
           c->stored >= frames_table_bytes(frames_count(c->size)) &&
           c->stored <= 2 * FRAMES_PLAIN_BYTES_MAX;
}

#define CONTENT_ALL 7

/* A member of content: its bit, 0 it is none, -1 it is wrong. */
static int read_content(struct json *j, struct slice key, struct buf *scratch,
                        struct archive_content *c)
{
    if (slice_is(key, "size"))
        return read_count(j, &c->size) ? 1 : -1;
    if (slice_is(key, "stored"))
        return read_count(j, &c->stored) ? 2 : -1;
    if (slice_is(key, "sha256"))
        return read_hex(j, scratch, c->sha256, SHA256_BYTES) ? 4 : -1;
    return 0;
}

static bool read_list(struct json *j, struct buf *scratch, struct archive_content *list)
{
    struct slice key;
    int found = 0;
    if (!json_enter_object(j))
        return false;
    while (json_next_key(j, &key)) {
        int rc = read_content(j, key, scratch, list);
        if (rc < 0 || (rc == 0 && !json_skip(j, NULL)))
            return false;
        found |= rc;
    }
    return found == CONTENT_ALL && content_holds(list);
}

/* One member; false where it is wrong. */
static bool read_member(struct json *j, struct slice key, struct buf *scratch, struct manifest *m,
                        int64_t *made)
{
    if (slice_is(key, "tarnArchive"))
        return json_int64(j, made);
    if (slice_is(key, "table"))
        return read_text(j, scratch, m->table, sizeof m->table);
    if (slice_is(key, "format"))
        return read_text(j, scratch, m->format, sizeof m->format);
    if (slice_is(key, "version"))
        return json_int64(j, &m->version) && m->version >= 0;
    if (slice_is(key, "timestampMs"))
        return json_int64(j, &m->timestamp_ms);
    if (slice_is(key, "archivedMs"))
        return json_int64(j, &m->archived_ms);
    if (slice_is(key, "files"))
        return read_count(j, &m->files);
    if (slice_is(key, "bytes"))
        return read_count(j, &m->bytes);
    if (slice_is(key, "objects"))
        return read_count(j, &m->objects);
    if (slice_is(key, "plainBytes"))
        return read_count(j, &m->plain);
    if (slice_is(key, "outside"))
        return json_bool(j, &m->outside);
    if (slice_is(key, "list"))
        return read_list(j, scratch, &m->list);
    return json_skip(j, NULL); /* of a later tarn, which would count on if it had to be read */
}

static int damaged(const struct json *j, struct err *err)
{
    if (json_failed(j))
        return json_error(j, err);
    return err_set(err, EIO, "a value is missing, or is none that it can be");
}

/* The second line is the sum of the first one. */
static bool sum_holds(struct slice first, struct slice rest, struct buf *scratch)
{
    uint8_t said[SHA256_BYTES], is[SHA256_BYTES];
    struct json j;
    struct slice key;
    bool found = false;
    json_init(&j, rest);
    if (!json_enter_object(&j))
        return false;
    while (json_next_key(&j, &key))
        if (slice_is(key, "sha256"))
            found = read_hex(&j, scratch, said, sizeof said);
        else if (!json_skip(&j, NULL))
            return false;
    sha256(first, is);
    return found && !json_failed(&j) && json_at_end(&j) && memcmp(said, is, sizeof is) == 0;
}

int manifest_parse(struct slice text, struct manifest *out, struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    AUTO_FREE struct manifest *m = calloc(1, sizeof *m);
    struct json j;
    struct slice key;
    int64_t made = 0;
    if (!m)
        return err_set(err, ENOMEM, "out of memory");
    ptrdiff_t end = slice_find(text, '\n');
    buf_init(&scratch, MANIFEST_BYTES_MAX);
    if (end < 0 || text.n > MANIFEST_BYTES_MAX)
        return err_set(err, EIO, "%zu bytes that are no manifest", text.n);
    struct slice first = slice_make(text.p, (size_t)end + 1);
    if (!sum_holds(first, slice_from(text, first.n), &scratch))
        return err_set(err, EIO, "its checksum is wrong");
    m->version = -1;
    json_init(&j, first);
    if (!json_enter_object(&j))
        return damaged(&j, err);
    while (json_next_key(&j, &key))
        if (!read_member(&j, key, &scratch, m, &made))
            return damaged(&j, err);
    if (json_failed(&j) || made <= 0 || !m->table[0] || !m->format[0] || m->version < 0 ||
        !m->list.stored)
        return damaged(&j, err);
    if (made != MANIFEST_VERSION)
        return err_set(err, EOPNOTSUPP, "it was written by a later tarn (format %lld)",
                       (long long)made);
    *out = *m;
    return 0;
}

/* keys */

void archive_table_key(struct slice url, struct buf *out)
{
    uint8_t sum[SHA256_BYTES];
    struct slice name = text_basename(url);
    size_t n = name.n < TABLE_NAME_BYTES_MAX ? name.n : TABLE_NAME_BYTES_MAX;
    buf_reset(out);
    buf_add_str(out, "tables/");
    for (size_t i = 0; i < n; i++) {
        char c = name.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c == '.' && i) || c == '_';
        buf_add_char(out, plain ? c : '-');
    }
    sha256(url, sum);
    buf_add_char(out, '-');
    add_hex(out, sum, TABLE_HASH_BYTES);
    buf_add_char(out, '/');
}

void archive_version_key(struct slice url, int64_t version, struct buf *out)
{
    archive_table_key(url, out);
    buf_addf(out, "%0*lld.json", VERSION_DIGITS, (long long)version);
}

void archive_content_key(const uint8_t sum[SHA256_BYTES], struct buf *out)
{
    buf_reset(out);
    buf_add_str(out, "objects/");
    add_hex(out, sum, 1);
    buf_add_char(out, '/');
    add_hex(out, sum, SHA256_BYTES);
    buf_add_str(out, ".zst");
}

bool archive_version_parse(struct slice key, struct slice *table, int64_t *version)
{
    ptrdiff_t slash = slice_rfind(key, '/');
    uint64_t number;
    if (slash < 0 || !slice_starts(key, SLICE_LIT("tables/")))
        return false;
    struct slice name = slice_from(key, (size_t)slash + 1);
    if (name.n != VERSION_DIGITS + 5 || !slice_ends(name, SLICE_LIT(".json")) ||
        !text_parse_u64(slice_make(name.p, VERSION_DIGITS), INT64_MAX, &number))
        return false;
    *table = slice_make(key.p, (size_t)slash + 1);
    *version = (int64_t)number;
    return true;
}

bool archive_content_parse(struct slice key, uint8_t sum[SHA256_BYTES])
{
    AUTO(buf) struct buf again = {0};
    struct slice name = text_basename(key);
    buf_init(&again, KIB);
    if (name.n != 2 * SHA256_BYTES + 4 ||
        !parse_hex(slice_make(name.p, 2 * (size_t)SHA256_BYTES), sum, SHA256_BYTES))
        return false;
    archive_content_key(sum, &again);
    return slice_eq(buf_slice(&again), key);
}

/* lists */

void archive_object_format(const struct archive_object *o, struct buf *out)
{
    buf_add_str(out, "{\"name\":");
    buf_add_json(out, o->name);
    buf_addf(out, ",\"kind\":\"%s\",\"mtimeMs\":%lld,", kinds[o->kind], (long long)o->mtime_ms);
    if (o->etag.n) {
        buf_add_str(out, "\"etag\":");
        buf_add_json(out, o->etag);
        buf_add_char(out, ',');
    }
    format_content(&o->content, out);
    buf_add_str(out, "}\n");
}

static bool read_kind(struct json *j, struct buf *scratch, enum archive_kind *out)
{
    struct slice text;
    if (!json_string(j, scratch, &text))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (slice_is(text, kinds[i])) {
            *out = (enum archive_kind)i;
            return true;
        }
    return false;
}

/* Scratch has what was decoded so far: each text keeps its place there. */
static bool read_kept(struct json *j, struct buf *one, struct buf *scratch, size_t max,
                      struct slice *out)
{
    struct slice text;
    if (!json_string(j, one, &text) || text.n > max || slice_find(text, '\0') >= 0)
        return false;
    if (text.p != one->data) { /* it points into the line */
        *out = text;
        return true;
    }
    char *to = buf_reserve(scratch, text.n);
    if (!to)
        return false;
    memcpy(to, text.p, text.n);
    scratch->len += text.n;
    *out = slice_make(to, text.n);
    return true;
}

int archive_object_parse(struct slice line, struct buf *scratch, struct archive_object *out,
                         struct err *err)
{
    AUTO(buf) struct buf one = {0};
    struct archive_object o = {.mtime_ms = 0};
    struct json j;
    struct slice key;
    int found = 0;
    bool ok = true, kind = false;
    buf_init(&one, LIST_LINE_BYTES_MAX);
    buf_reset(scratch);
    (void)buf_reserve(scratch, line.n); /* so that it does not move */
    json_init(&j, line);
    if (!json_enter_object(&j))
        return damaged(&j, err);
    while (ok && json_next_key(&j, &key)) {
        if (slice_is(key, "name")) {
            ok = read_kept(&j, &one, scratch, LIST_LINE_BYTES_MAX, &o.name);
        } else if (slice_is(key, "etag")) {
            ok = read_kept(&j, &one, scratch, ETAG_BYTES_MAX - 1, &o.etag);
        } else if (slice_is(key, "kind")) {
            ok = kind = read_kind(&j, &one, &o.kind);
        } else if (slice_is(key, "mtimeMs")) {
            ok = json_int64(&j, &o.mtime_ms);
        } else {
            int rc = read_content(&j, key, &one, &o.content);
            found |= rc > 0 ? rc : 0;
            ok = rc > 0 || (rc == 0 && json_skip(&j, NULL));
        }
    }
    if (!ok || json_failed(&j) || !json_at_end(&j) || !o.name.n || !kind || found != CONTENT_ALL ||
        !content_holds(&o.content))
        return damaged(&j, err);
    *out = o;
    return 0;
}

/* An object below the table: its name there. */
static bool below(struct slice table, struct slice url, struct slice *rest)
{
    if (!slice_starts(url, table) || url.n < table.n + 2 || url.p[table.n] != '/')
        return false;
    *rest = slice_from(url, table.n + 1);
    return true;
}

/* Bytes of `scheme://`, 0: it has none. */
static size_t scheme_bytes(struct slice url)
{
    for (size_t i = 0; i + 2 < url.n; i++) {
        char c = url.p[i];
        if (c == ':')
            return url.p[i + 1] == '/' && url.p[i + 2] == '/' ? i + 3 : 0;
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9'))
            return 0;
    }
    return 0;
}

void archive_name(struct slice table_url, struct slice url, struct buf *out)
{
    struct slice rest;
    if (below(table_url, url, &rest)) {
        text_percent_encode(out, rest, NAME_KEEPS);
        return;
    }
    size_t scheme = scheme_bytes(url);
    buf_add(out, url.p, scheme);
    text_percent_encode(out, slice_from(url, scheme), NAME_KEEPS);
}

bool archive_name_url(struct slice table_url, struct slice name, struct buf *out)
{
    size_t scheme = scheme_bytes(name);
    if (scheme) {
        buf_add(out, name.p, scheme);
    } else {
        buf_add_slice(out, table_url);
        buf_add_char(out, '/');
    }
    text_percent_decode(out, slice_from(name, scheme));
    return name.n > scheme;
}
