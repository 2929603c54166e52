/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/deletion_vector.h"

#include "base/text.h"
#include "cache/store/store.h"
#include "lake/delta/path.h"
#include "lake/format/roaring.h"

#define FILE_VERSION 1
/* Behind the version; what writers mean that tell no offset. */
#define FIRST_OFFSET 1
#define SIZE_BYTES 4U
#define CRC_BYTES 4U
/* A bitmap that stands no further behind is read with the file's first byte. */
#define NEAR_BYTES (64 * KIB)
#define UUID_CHARS 20U

void delta_dv_format_id(const struct delta_dv *dv, struct buf *out)
{
    if (dv->storage.n == 0)
        return;
    buf_add_slice(out, dv->storage);
    buf_add_slice(out, dv->path);
    if (dv->has_offset)
        buf_addf(out, "@%lld", (long long)dv->offset);
}

int delta_dv_format(const struct delta_dv *dv, struct buf *out, struct err *err)
{
    if (dv->storage.n == 0)
        return 0;
    if (dv->storage.n != 1)
        return err_set(err, EIO, "deletionVector.storageType has %zu letters", dv->storage.n);
    for (size_t i = 0; i < dv->path.n; i++)
        if ((unsigned char)dv->path.p[i] < 0x20)
            return err_set(err, EIO, "deletionVector.pathOrInlineDv has a control character");
    if (!dv->has_size || !dv->has_cardinality)
        return err_set(err, EIO, "deletionVector.%s is missing",
                       dv->has_size ? "cardinality" : "sizeInBytes");
    if (dv->offset < 0 || dv->size < 0 || dv->cardinality < 0)
        return err_set(err, EIO, "deletionVector has a negative number");
    delta_dv_format_id(dv, out);
    buf_addf(out, "\n%zu %lld %lld ", dv->path.n, (long long)dv->size, (long long)dv->cardinality);
    if (dv->has_offset)
        buf_addf(out, "%lld", (long long)dv->offset);
    return buf_check(out, err);
}

/* The number in front of a space. */
static bool take_number(struct slice *s, int64_t *out)
{
    ptrdiff_t space = slice_find(*s, ' ');
    uint64_t v;
    if (space < 0 || !text_parse_u64(slice_make(s->p, (size_t)space), INT64_MAX, &v))
        return false;
    *out = (int64_t)v;
    *s = slice_from(*s, (size_t)space + 1);
    return true;
}

int delta_dv_parse(struct slice extra, struct delta_dv *out, struct err *err)
{
    ptrdiff_t end = slice_find(extra, '\n');
    struct slice rest = end < 0 ? SLICE_NONE : slice_from(extra, (size_t)end + 1);
    struct delta_dv dv = {.has_size = true, .has_cardinality = true};
    int64_t path_bytes;
    uint64_t offset = 0;
    if (!take_number(&rest, &path_bytes) || !take_number(&rest, &dv.size) ||
        !take_number(&rest, &dv.cardinality) || path_bytes >= end ||
        (rest.n && !text_parse_u64(rest, INT64_MAX, &offset)))
        return err_set(err, EUCLEAN, "the description of deleted rows cannot be read");
    dv.storage = slice_make(extra.p, 1);
    dv.path = slice_make(extra.p + 1, (size_t)path_bytes);
    dv.has_offset = rest.n != 0;
    dv.offset = (int64_t)offset;
    *out = dv;
    return 0;
}

/* The value of a block's digits; false where one is none, or more than 32 bits come out. */
static bool z85_value(struct slice block, uint32_t *out)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 ".-:+=^!/*?&<>()[]{}@%$#";
    uint64_t value = 0;
    for (size_t i = 0; i < block.n; i++) {
        const char *digit = block.p[i] ? strchr(digits, block.p[i]) : NULL;
        if (!digit)
            return false;
        value = value * 85 + (uint64_t)(digit - digits);
    }
    *out = (uint32_t)value;
    return value <= UINT32_MAX;
}

bool delta_z85_decode(struct slice text, struct buf *out)
{
    for (; text.n; text = slice_from(text, 5)) {
        size_t bytes = 4;
        uint32_t value;
        if (text.n < 5)
            return false;
        struct slice block = slice_make(text.p, 5);
        /* No block begins with the last digit; one writer begins so the block that it fills up. */
        while (text.n == 5 && bytes > 1 && block.p[0] == '#') {
            block = slice_from(block, 1);
            bytes--;
        }
        if (!z85_value(block, &value) || value >> 8 * (bytes - 1) > 255)
            return false;
        while (bytes--)
            buf_add_char(out, (char)(value >> 8 * bytes & 255));
    }
    return true;
}

/* A directory that nobody can mean anything else by. */
static bool is_plain_dir(struct slice dir)
{
    while (dir.n) {
        ptrdiff_t slash = slice_find(dir, '/');
        struct slice component = slice_make(dir.p, slash < 0 ? dir.n : (size_t)slash);
        if (component.n == 0 || slice_is(component, ".") || slice_is(component, ".."))
            return false;
        dir = slice_from(dir, slash < 0 ? dir.n : component.n + 1);
    }
    return true;
}

/* The key of a file that is named by a UUID, in the table's directory. */
static int uuid_key(const struct delta_root *root, struct slice path, struct buf *out,
                    struct err *err)
{
    AUTO(buf) struct buf id = {0};
    buf_init(&id, UUID_CHARS);
    struct slice dir = slice_make(path.p, path.n < UUID_CHARS ? 0 : path.n - UUID_CHARS);
    if (path.n < UUID_CHARS || !is_plain_dir(dir) ||
        !delta_z85_decode(slice_from(path, dir.n), &id))
        return err_set(err, EIO, "deletionVector.pathOrInlineDv names no file");
    buf_add_slice(out, root->prefix);
    buf_add_slice(out, dir);
    buf_add_str(out, dir.n ? "/deletion_vector_" : "deletion_vector_");
    static const size_t groups[] = {4, 2, 2, 2, 6};
    const char *at = id.data;
    for (size_t i = 0; i < ARRAY_SIZE(groups); at += groups[i++]) {
        if (i)
            buf_add_char(out, '-');
        text_hex(out, at, groups[i]);
    }
    buf_add_str(out, ".bin");
    return buf_check(out, err);
}

/* A file that deletion vectors are in. */
struct dv_file {
    struct store *store;
    const char *key;
    char etag[ETAG_BYTES_MAX]; /* asked for where it is known, learned else */
};

/* One request of exactly n bytes. */
static int fetch(struct dv_file *f, uint64_t offset,
                 char *to, /* NOLINT(readability-non-const-parameter): the store writes there */
                 size_t n, struct err *err)
{
    struct store_get get = {.key = f->key,
                            .offset = offset,
                            .length = n,
                            .if_match = f->etag[0] ? f->etag : NULL,
                            .to = to};
    int rc = store_get_wait(f->store, &get, err);
    if (rc < 0)
        return rc;
    if (get.got != n)
        return err_set(err, EIO, "%s: it ends before the deletion vector does", f->key);
    memcpy(f->etag, get.info.etag, sizeof f->etag);
    return 0;
}

static int read_file(struct store *store, const char *key, const struct delta_dv *dv,
                     struct buf *bytes, struct roaring **out, struct err *err)
{
    uint64_t offset = dv->has_offset ? (uint64_t)dv->offset : FIRST_OFFSET;
    size_t n = SIZE_BYTES + (size_t)dv->size + CRC_BYTES;
    struct dv_file file = {.store = store, .key = key};
    char version = FILE_VERSION;
    bool near = offset <= NEAR_BYTES;
    size_t before = near ? (size_t)offset : 0;
    char *to = buf_reserve(bytes, before + n);
    if (offset < FIRST_OFFSET || offset > OBJECT_BYTES_MAX)
        return err_set(err, EIO, "%s: a deletion vector at byte %llu", key,
                       (unsigned long long)offset);
    if (!to)
        return buf_check(bytes, err);
    int rc = near ? 0 : fetch(&file, 0, &version, 1, err);
    if (rc == 0)
        rc = fetch(&file, near ? 0 : offset, to, before + n, err);
    if (rc < 0)
        return rc;
    version = near ? to[0] : version;
    if (version != FILE_VERSION)
        return err_set(err, EOPNOTSUPP, "%s: deletion vectors of version %d", key, version);
    rc = roaring_parse_framed(slice_make(to + before, n), out, err);
    return rc < 0 ? err_wrap(err, "%s", key) : 0;
}

int delta_dv_locate(const struct delta_root *root, const struct delta_dv *dv, struct store **store,
                    struct buf *out, struct err *err)
{
    buf_reset(out);
    *store = NULL;
    if (slice_is(dv->storage, "i") || dv->storage.n == 0)
        return 0;
    if (slice_is(dv->storage, "u"))
        return uuid_key(root, dv->path, out, err);
    if (slice_is(dv->storage, "p"))
        return delta_path_locate(root, dv->path, store, out, err);
    return err_set(err, EOPNOTSUPP, "deletion vectors of the storage type %.*s",
                   SLICE_FMT(dv->storage));
}

/* The bitmap; `bytes` is for what is read of it. */
static int read_bitmap(struct store *store, const struct delta_root *root,
                       const struct delta_dv *dv, struct buf *bytes, struct roaring **out,
                       struct err *err)
{
    AUTO(buf) struct buf key = {0};
    struct store *elsewhere = NULL;
    buf_init(&key, KEY_BYTES_MAX);
    if (slice_is(dv->storage, "i")) {
        bool whole = delta_z85_decode(dv->path, bytes);
        if (buf_check(bytes, err) < 0)
            return -err->code;
        /* It was filled up to words of 4 bytes. */
        if (!whole || bytes->len < (size_t)dv->size || bytes->len - (size_t)dv->size > 3)
            return err_set(err, EIO, "an inline deletion vector that is not %lld bytes of z85",
                           (long long)dv->size);
        return roaring_parse_array(slice_make(bytes->data, (size_t)dv->size), out, err);
    }
    int rc = delta_dv_locate(root, dv, &elsewhere, &key, err);
    if (rc == 0 && key.len == 0)
        rc = err_set(err, EOPNOTSUPP, "deletion vectors without a storage type");
    return rc < 0 ? rc : read_file(elsewhere ? elsewhere : store, key.data, dv, bytes, out, err);
}

int delta_dv_read(struct store *store, const struct delta_root *root, const struct delta_dv *dv,
                  struct roaring **out, struct err *err)
{
    AUTO(buf) struct buf bytes = {0};
    AUTO(roaring) struct roaring *r = NULL;
    struct err e = ERR_INIT;
    if ((uint64_t)dv->size > ROARING_BYTES_MAX)
        return err_set(err, EOVERFLOW, "a deletion vector of %lld bytes, over %zu",
                       (long long)dv->size, ROARING_BYTES_MAX);
    buf_init(&bytes, ROARING_BYTES_MAX + 2 * NEAR_BYTES);
    int rc = read_bitmap(store, root, dv, &bytes, &r, &e);
    if (rc < 0)
        return err_copy(err, &e);
    if (roaring_count(r) != (uint64_t)dv->cardinality)
        return err_set(err, EIO, "a deletion vector of %llu rows, %lld in the log",
                       (unsigned long long)roaring_count(r), (long long)dv->cardinality);
    *out = STEAL(r);
    return 0;
}
