/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/puffin.h"

#include <lz4frame.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/vec.h"

#define MAGIC "PFA1"
#define MAGIC_BYTES 4U
#define FLAG_COMPRESSED 1U

struct puffin {
    struct arena arena;
    VEC(struct puffin_blob) blobs;
};

struct parser {
    struct puffin *puffin;
    struct json json;
    struct buf *scratch;
    uint64_t blobs_end; /* where the footer begins */
    struct err *err;
};

int puffin_footer_bytes(struct slice tail, uint64_t file_bytes, uint64_t *out, struct err *err)
{
    struct bytes in = bytes_make(tail.p, tail.n);
    uint32_t payload = bytes_le32(&in), flags = bytes_le32(&in);
    const uint8_t *magic = bytes_take(&in, MAGIC_BYTES);
    uint64_t around = MAGIC_BYTES + PUFFIN_TAIL_BYTES;
    if (tail.n != PUFFIN_TAIL_BYTES || !magic || memcmp(magic, MAGIC, MAGIC_BYTES) != 0)
        return err_set(err, EIO, "no Puffin file: its end has no magic bytes");
    if (file_bytes < MAGIC_BYTES + around || payload > file_bytes - MAGIC_BYTES - around)
        return err_set(err, EIO, "a Puffin footer of %u bytes in a file of %llu", payload,
                       (unsigned long long)file_bytes);
    if (flags & ~FLAG_COMPRESSED)
        return err_set(err, EOPNOTSUPP, "a Puffin file with flags %#x", flags);
    if (payload > PUFFIN_FOOTER_BYTES_MAX)
        return err_set(err, EOVERFLOW, "a Puffin footer of %u bytes, over %zu", payload,
                       PUFFIN_FOOTER_BYTES_MAX);
    *out = payload + around;
    return 0;
}

/* The one frame in `from`, whose size afterwards it tells ("Footer Payload"). */
static int unpack(struct slice from, struct buf *out, struct err *err)
{
    LZ4F_dctx *context = NULL;
    LZ4F_frameInfo_t info;
    size_t head = from.n, got = 0;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return err_set(err, ENOMEM, "out of memory");
    size_t more = LZ4F_getFrameInfo(context, &info, from.p, &head);
    char *to = NULL;
    if (!LZ4F_isError(more) && info.contentSize <= PUFFIN_FOOTER_BYTES_MAX) {
        to = buf_reserve(out, (size_t)info.contentSize + 1);
        got = (size_t)info.contentSize + 1; /* room for what must not come */
    }
    size_t left = from.n - (to ? head : 0);
    if (to)
        more = LZ4F_decompress(context, to, &got, from.p + head, &left, NULL);
    (void)LZ4F_freeDecompressionContext(context); /* it is not used any more */
    if (!LZ4F_isError(more) && info.contentSize > PUFFIN_FOOTER_BYTES_MAX)
        return err_set(err, EOVERFLOW, "a Puffin footer of %llu bytes, over %zu",
                       (unsigned long long)info.contentSize, PUFFIN_FOOTER_BYTES_MAX);
    if (out->failed)
        return buf_check(out, err);
    if (LZ4F_isError(more) || more != 0 || head + left != from.n || got != info.contentSize)
        return err_set(err, EIO, "a Puffin footer that does not decompress");
    out->len += got;
    return 0;
}

static int no_memory(const struct parser *p)
{
    return arena_failed(&p->puffin->arena, "a Puffin footer", p->err);
}

static int wrong(const struct parser *p)
{
    (void)json_error(&p->json, p->err); /* its result is the next line's */
    return err_wrap(p->err, "Puffin footer");
}

/* A string that stays. False: an error of JSON, or out of memory. */
static bool take_text(struct parser *p, struct slice *out)
{
    struct slice s;
    if (!json_string(&p->json, p->scratch, &s))
        return false;
    *out = arena_slice(&p->puffin->arena, s.p ? s : SLICE_LIT(""));
    return out->p != NULL;
}

/* Elements of the array or object that comes next, to be read twice: once to count. */
static size_t count(struct json j)
{
    size_t n = 0;
    struct slice key;
    if (json_peek(&j) == JSON_OBJECT && json_enter_object(&j))
        while (json_next_key(&j, &key) && json_skip(&j, NULL))
            n++;
    else if (json_peek(&j) == JSON_ARRAY && json_enter_array(&j))
        while (json_next_element(&j) && json_skip(&j, NULL))
            n++;
    return n;
}

static bool take_fields(struct parser *p, struct puffin_blob *blob)
{
    size_t room = count(p->json), n = 0;
    int32_t *fields = arena_calloc(&p->puffin->arena, room + 1, sizeof *fields);
    int64_t id;
    if (!fields || !json_enter_array(&p->json))
        return false;
    while (n < room && json_next_element(&p->json) && json_int64(&p->json, &id))
        fields[n++] = id < 0 || id > INT32_MAX ? -1 : (int32_t)id;
    blob->fields = fields;
    blob->fields_n = n;
    return !json_failed(&p->json) && !json_next_element(&p->json) && !json_failed(&p->json);
}

static bool take_properties(struct parser *p, struct puffin_blob *blob)
{
    size_t room = count(p->json), n = 0;
    struct puffin_property *properties =
        arena_calloc(&p->puffin->arena, room + 1, sizeof *properties);
    struct slice key;
    if (!properties || !json_enter_object(&p->json))
        return false;
    while (json_next_key(&p->json, &key)) {
        struct slice name = arena_slice(&p->puffin->arena, key);
        if (n == room || !name.p || !take_text(p, &properties[n].value))
            return false;
        properties[n++].key = name;
    }
    blob->properties = properties;
    blob->properties_n = n;
    return !json_failed(&p->json);
}

static bool take_number(struct parser *p, uint64_t *out)
{
    int64_t n;
    if (!json_int64(&p->json, &n))
        return false;
    *out = n < 0 ? UINT64_MAX : (uint64_t)n;
    return true;
}

static bool take_attribute(struct parser *p, struct slice key, struct puffin_blob *blob)
{
    if (slice_is(key, "type"))
        return take_text(p, &blob->type);
    if (slice_is(key, "fields"))
        return take_fields(p, blob);
    if (slice_is(key, "snapshot-id"))
        return json_int64(&p->json, &blob->snapshot);
    if (slice_is(key, "sequence-number"))
        return json_int64(&p->json, &blob->sequence);
    if (slice_is(key, "offset"))
        return take_number(p, &blob->offset);
    if (slice_is(key, "length"))
        return take_number(p, &blob->length);
    if (slice_is(key, "compression-codec"))
        return json_null(&p->json) || (!json_failed(&p->json) && take_text(p, &blob->codec));
    if (slice_is(key, "properties"))
        return json_null(&p->json) || (!json_failed(&p->json) && take_properties(p, blob));
    return json_skip(&p->json, NULL);
}

static int parse_blob(struct parser *p)
{
    struct slice key;
    struct puffin_blob blob = {
        .snapshot = -1, .sequence = -1, .offset = UINT64_MAX, .length = UINT64_MAX};
    bool good = json_enter_object(&p->json);
    while (good && json_next_key(&p->json, &key))
        good = take_attribute(p, key, &blob);
    if (json_failed(&p->json))
        return wrong(p);
    if (!good)
        return no_memory(p);
    if (!blob.type.p)
        return err_set(p->err, EIO, "Puffin footer: a blob without a type");
    if (blob.offset < MAGIC_BYTES || blob.offset > p->blobs_end ||
        blob.length > p->blobs_end - blob.offset)
        return err_set(p->err, EIO, "Puffin footer: a blob outside of the file's blobs");
    int rc = vec_push(&p->puffin->blobs, blob);
    return rc < 0 ? err_set(p->err, -rc, "a Puffin file of too many blobs") : 0;
}

static int parse_blobs(struct parser *p)
{
    if (!json_enter_array(&p->json))
        return wrong(p);
    while (json_next_element(&p->json)) {
        int rc = parse_blob(p);
        if (rc < 0)
            return rc;
    }
    return json_failed(&p->json) ? wrong(p) : 0;
}

static int parse_payload(struct parser *p, struct slice payload)
{
    struct slice key;
    bool blobs = false;
    json_init(&p->json, payload);
    if (!json_enter_object(&p->json))
        return wrong(p);
    while (json_next_key(&p->json, &key))
        if (slice_is(key, "blobs")) {
            int rc = parse_blobs(p);
            if (rc < 0)
                return rc;
            blobs = true;
        } else
            (void)json_skip(&p->json, NULL); /* an error sticks */
    if (json_failed(&p->json) || !json_at_end(&p->json))
        return json_failed(&p->json) ? wrong(p)
                                     : err_set(p->err, EIO, "Puffin footer: text behind its end");
    return blobs ? 0 : err_set(p->err, EIO, "Puffin footer: no blobs");
}

static int parse(struct puffin *puffin, struct slice footer, uint64_t file_bytes, struct err *err)
{
    uint64_t n;
    AUTO(buf) struct buf plain = {0};
    AUTO(buf) struct buf scratch = {0};
    if (footer.n < PUFFIN_TAIL_BYTES)
        return err_set(err, EIO, "a Puffin footer of %zu bytes", footer.n);
    struct slice tail = slice_from(footer, footer.n - PUFFIN_TAIL_BYTES);
    int rc = puffin_footer_bytes(tail, file_bytes, &n, err);
    if (rc < 0)
        return rc;
    if (n != footer.n || memcmp(footer.p, MAGIC, MAGIC_BYTES) != 0)
        return err_set(err, EIO, "a Puffin footer that does not begin with magic bytes");
    struct slice payload =
        slice_make(footer.p + MAGIC_BYTES, footer.n - MAGIC_BYTES - PUFFIN_TAIL_BYTES);
    buf_init(&plain, PUFFIN_FOOTER_BYTES_MAX + 1);
    buf_init(&scratch, PUFFIN_FOOTER_BYTES_MAX);
    if ((unsigned char)tail.p[4] & FLAG_COMPRESSED) {
        rc = unpack(payload, &plain, err);
        payload = buf_slice(&plain);
    }
    struct parser p = {
        .puffin = puffin, .scratch = &scratch, .blobs_end = file_bytes - footer.n, .err = err};
    return rc < 0 ? rc : parse_payload(&p, payload);
}

int puffin_parse(struct slice footer, uint64_t file_bytes, struct puffin **out, struct err *err)
{
    AUTO(puffin) struct puffin *p = calloc(1, sizeof *p);
    struct err own = ERR_INIT;
    if (!p)
        return err_set(err, ENOMEM, "out of memory");
    arena_init(&p->arena, PUFFIN_MEMORY_MAX);
    p->blobs.max = PUFFIN_FOOTER_BYTES_MAX / 16; /* a blob's text is longer */
    int rc = parse(p, footer, file_bytes, &own);
    if (rc < 0)
        return err_copy(err, &own);
    *out = STEAL(p);
    return 0;
}

void puffin_free(struct puffin *p)
{
    if (!p)
        return;
    arena_done(&p->arena);
    vec_done(&p->blobs);
    free(p);
}

size_t puffin_blobs(const struct puffin *p)
{
    return p->blobs.n;
}

const struct puffin_blob *puffin_blob(const struct puffin *p, size_t i)
{
    return &p->blobs.at[i];
}

const struct puffin_blob *puffin_find(const struct puffin *p, uint64_t offset)
{
    for (size_t i = 0; i < p->blobs.n; i++)
        if (p->blobs.at[i].offset == offset)
            return &p->blobs.at[i];
    return NULL;
}

struct slice puffin_property(const struct puffin_blob *blob, const char *key)
{
    for (size_t i = 0; i < blob->properties_n; i++)
        if (slice_is(blob->properties[i].key, key))
            return blob->properties[i].value;
    return SLICE_NONE;
}
