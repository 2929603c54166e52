/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/files/listing.h"

#include "base/hash.h"
#include "base/json.h"
#include "lake/index/sort.h"
#include "lake/left_out.h"

/* Another one when names or bytes of runs are made in another way: what is on the disk is not met
 * then. */
#define FINGERPRINT_SEED 3
#define META_BYTES_MAX (256 * KIB)
#define SORTER_BYTES_MAX (SORT_BYTES_MAX / 2)

/* A record of the sorter: this, then key and extra bytes. */
struct record_head {
    uint64_t size;
    int64_t mtime_ms;
    uint32_t key_bytes, extra_bytes;
};
_Static_assert(sizeof(struct record_head) == 24, "record_head has no holes");

struct record {
    struct record_head head;
    struct slice key, extra;
};

struct files_listing {
    struct sorter *sorter;
    struct buf record;
};

static struct record record_parse(struct slice bytes)
{
    struct record r;
    memcpy(&r.head, bytes.p, sizeof r.head);
    r.key = slice_make(bytes.p + sizeof r.head, r.head.key_bytes);
    r.extra = slice_make(r.key.p + r.key.n, r.head.extra_bytes);
    return r;
}

/* Byte order with `/` before all: an object stands right before what is below its own name. */
static int compare_keys(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n, i = 0;
    while (i < n && a.p[i] == b.p[i])
        i++;
    if (i == n)
        return (a.n > b.n) - (a.n < b.n);
    int x = a.p[i] == '/' ? -1 : (unsigned char)a.p[i];
    int y = b.p[i] == '/' ? -1 : (unsigned char)b.p[i];
    return x - y;
}

/* Of one key the newest first; the rest makes the order total. */
static int compare(struct slice a, struct slice b)
{
    struct record x = record_parse(a), y = record_parse(b);
    int c = compare_keys(x.key, y.key);
    if (c == 0)
        c = (x.head.mtime_ms < y.head.mtime_ms) - (x.head.mtime_ms > y.head.mtime_ms);
    if (c == 0)
        c = (x.head.size < y.head.size) - (x.head.size > y.head.size);
    return c ? c : slice_cmp(x.extra, y.extra);
}

struct files_listing *files_listing_new(int dirfd, struct err *err)
{
    struct files_listing *l = calloc(1, sizeof *l);
    if (!l) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    buf_init(&l->record, sizeof(struct record_head) + 4 * KEY_BYTES_MAX);
    l->sorter = sorter_new(dirfd, SORTER_BYTES_MAX, compare, err);
    if (!l->sorter) {
        free(l);
        return NULL;
    }
    return l;
}

void files_listing_free(struct files_listing *l)
{
    if (!l)
        return;
    sorter_free(l->sorter);
    buf_done(&l->record);
    free(l);
}

/* Cuts the first line off. */
static struct slice take_line(struct slice *rest)
{
    ptrdiff_t end = slice_find(*rest, '\n');
    struct slice line = slice_make(rest->p, end < 0 ? rest->n : (size_t)end);
    *rest = end < 0 ? SLICE_NONE : slice_from(*rest, (size_t)end + 1);
    return line;
}

/*
 * Extra bytes: the ETag; behind a line feed the version's id; behind another one the class, where
 * objects of it may be archived, or none is told. So a class that changes makes another listing.
 */
struct files_object files_listing_object(struct slice extra)
{
    struct files_object o;
    o.etag = take_line(&extra);
    bool more = slice_find(extra, '\n') >= 0;
    o.version = take_line(&extra);
    o.readable = !more;
    return o;
}

static void add_extra(const struct store_entry *e, struct buf *out)
{
    buf_add_slice(out, e->etag);
    if (e->version.n || !e->readable) {
        buf_add_char(out, '\n');
        buf_add_slice(out, e->version);
    }
    if (!e->readable) {
        buf_add_char(out, '\n');
        buf_add_slice(out, e->class);
    }
}

int files_listing_add(struct files_listing *l, struct slice key, const struct store_entry *e,
                      struct err *err)
{
    struct record_head head = {
        .size = e->size, .mtime_ms = e->mtime_ms, .key_bytes = (uint32_t)key.n};
    if (slice_find(e->etag, '\n') >= 0 || slice_find(e->version, '\n') >= 0)
        return err_set(err, EIO, "the object \"%.*s\" has an ETag or version id of two lines",
                       SLICE_FMT(key));
    buf_reset(&l->record);
    buf_add(&l->record, &head, sizeof head);
    buf_add_slice(&l->record, key);
    add_extra(e, &l->record);
    int rc = buf_check(&l->record, err);
    if (rc == 0) {
        head.extra_bytes = (uint32_t)(l->record.len - sizeof head - key.n);
        memcpy(l->record.data, &head, sizeof head);
    }
    return rc < 0 ? rc : sorter_add(l->sorter, buf_slice(&l->record), err);
}

struct building {
    struct index_build *build;
    struct left_out left_out;
    struct buf path;
    struct files_listed listed;
    struct err *err;
};

static int add_file(struct building *b, const struct record *r, bool beside_dir)
{
    uint64_t about[] = {r->head.size, (uint64_t)r->head.mtime_ms, beside_dir};
    uint64_t hash = hash64(hash64(b->listed.fingerprint, r->key), slice_make(about, sizeof about));
    b->listed.fingerprint = hash64(hash, r->extra);
    if (r->head.mtime_ms > b->listed.newest_ms)
        b->listed.newest_ms = r->head.mtime_ms;
    buf_reset(&b->path);
    enum key_flaw flaw = key_name_add_path(&b->path, r->key, beside_dir);
    if (flaw != KEY_FLAW_NONE) {
        left_out_add(&b->left_out, r->key, flaw);
        return 0;
    }
    struct index_action action = {
        .entry = {.path = buf_slice(&b->path),
                  .raw = r->key,
                  .extra = r->extra,
                  .size = r->head.size,
                  .mtime_ms = r->head.mtime_ms,
                  .flags = ENTRY_AS_STORED},
        .key = buf_slice(&b->path), /* at least a byte, which the key may not have */
    };
    int rc = buf_check(&b->path, b->err);
    return rc < 0 ? rc : index_build_add(b->build, &action, b->err);
}

/* `next`: the key behind it in order, or none. */
static bool is_beside_dir(struct slice key, struct slice next)
{
    return next.n > key.n && next.p[key.n] == '/' && slice_starts(next, key);
}

static int build_files(struct sorter *sorter, struct building *b)
{
    AUTO(buf) struct buf held = {0};
    buf_init(&held, sizeof(struct record_head) + 4 * KEY_BYTES_MAX);
    for (;;) {
        struct slice bytes = SLICE_NONE;
        int rc = sorter_next(sorter, &bytes, b->err);
        if (rc < 0)
            return rc;
        struct record next = {0};
        if (rc == 1)
            next = record_parse(bytes);
        if (held.len) {
            struct record r = record_parse(buf_slice(&held));
            if (rc == 1 && slice_eq(r.key, next.key))
                continue; /* told twice */
            int added = add_file(b, &r, is_beside_dir(r.key, next.key));
            if (added < 0)
                return added;
        }
        if (rc == 0)
            return 0;
        buf_reset(&held);
        buf_add_slice(&held, bytes);
        if ((rc = buf_check(&held, b->err)) < 0)
            return rc;
    }
}

/* {"leftOut":"2 objects ..."}, or {} */
static int format_meta(const struct left_out *left_out, struct buf *meta, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, META_BYTES_MAX / 2);
    left_out_format(left_out, &text);
    buf_add_char(meta, '{');
    if (text.len) {
        buf_add_str(meta, "\"leftOut\":");
        buf_add_json(meta, buf_slice(&text));
    }
    buf_add_char(meta, '}');
    int rc = buf_check(&text, err);
    return rc < 0 ? rc : buf_check(meta, err);
}

int files_listing_build(struct files_listing *l, struct index_build *build, struct buf *meta,
                        struct files_listed *out, struct err *err)
{
    struct building b = {.build = build, .listed = {.fingerprint = FINGERPRINT_SEED}, .err = err};
    left_out_init(&b.left_out);
    buf_init(&b.path, 2 * KEY_BYTES_MAX);
    int rc = sorter_finish(l->sorter, err);
    if (rc == 0)
        rc = build_files(l->sorter, &b);
    if (rc == 0)
        rc = format_meta(&b.left_out, meta, err);
    if (rc == 0)
        *out = b.listed;
    left_out_done(&b.left_out);
    buf_done(&b.path);
    return rc;
}

int files_listing_left_out(struct slice meta, struct buf *out, struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    struct json j;
    struct slice key, text;
    buf_init(&scratch, META_BYTES_MAX);
    json_init(&j, meta);
    bool ok = json_enter_object(&j);
    while (ok && json_next_key(&j, &key)) {
        ok = slice_is(key, "leftOut") ? json_string(&j, &scratch, &text) : json_skip(&j, NULL);
        if (ok && slice_is(key, "leftOut"))
            buf_add_slice(out, text);
    }
    return json_failed(&j) ? json_error(&j, err) : buf_check(out, err);
}
