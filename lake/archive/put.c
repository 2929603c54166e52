/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/archive/put.h"

#include "base/file.h"
#include "base/text.h"
#include "cache/frozen.h"
#include "cache/store/write.h"
#include "lake/archive/digest.h"
#include "lake/archive/frames.h"

#define READ_BYTES (4 * MIB)
/* Readings of one object until two are the same; attempts to store it. */
#define READINGS_MAX 4
#define PUTS_MAX 3

/* Reading at home */

/* One reading: what it says. */
struct reading {
    uint64_t size;
    int64_t mtime_ms;
    char etag[ETAG_BYTES_MAX];
    uint8_t sha256[SHA256_BYTES], md5[MD5_BYTES];
};

static int take(const struct put_source *from, struct reading *r, struct store_get *get,
                struct err *err)
{
    int rc = store_get_wait(from->store, get, err);
    if (rc < 0)
        return rc;
    if (get->offset == 0) {
        r->size = get->info.size;
        r->mtime_ms = get->info.mtime_ms;
        memcpy(r->etag, get->info.etag, sizeof r->etag);
    }
    if (get->info.size != r->size || (from->size != UINT64_MAX && r->size != from->size))
        return err_set(err, ESTALE, "%s: %llu bytes, expected %llu", from->key,
                       (unsigned long long)get->info.size,
                       (unsigned long long)(from->size != UINT64_MAX ? from->size : r->size));
    uint64_t left = r->size - get->offset;
    if (get->got != (left < get->length ? left : get->length))
        return err_set(err, EIO, "%s: %zu bytes at %llu of %llu", from->key, get->got,
                       (unsigned long long)get->offset, (unsigned long long)r->size);
    return 0;
}

/* The whole object into the file, from its start. */
static int read_once(const struct put_source *from, int fd, struct reading *r, struct err *err)
{
    AUTO(digest) struct digest *d = digest_new(true, err);
    AUTO_FREE char *room = malloc(READ_BYTES);
    int rc = d && room ? 0 : err_set(err, ENOMEM, "out of memory");
    *r = (struct reading){.size = 1};
    for (uint64_t at = 0; rc == 0 && at < r->size; at += READ_BYTES) {
        const char *etag = r->etag[0] ? r->etag : from->etag;
        struct store_get get = {.key = from->key,
                                .offset = at,
                                .length = READ_BYTES,
                                .if_match = etag,
                                .version = from->version,
                                .to = room};
        rc = take(from, r, &get, err);
        if (rc < 0)
            return rc;
        digest_add(d, slice_make(room, get.got));
        if (get.got)
            rc = file_pwrite_full(fd, room, get.got, (off_t)at, err);
    }
    if (rc == 0)
        digest_end(d, r->sha256, r->md5);
    return rc;
}

/* The ETag is the MD5 of what was read, as that of objects that were put in one piece mostly is. */
static bool proven(const struct reading *r)
{
    AUTO(buf) struct buf hex = {0};
    buf_init(&hex, 64);
    text_hex(&hex, r->md5, sizeof r->md5);
    struct slice etag = slice_of(r->etag);
    if (etag.n == 2 * MD5_BYTES + 2)
        etag = slice_make(etag.p + 1, etag.n - 2);
    return slice_eq(etag, buf_slice(&hex));
}

/* It looks like an MD5, and is not that of what was read: of an object that is encrypted by keys,
 * or something was wrong on the way. */
static bool doubtful(const struct reading *r)
{
    size_t n = strlen(r->etag);
    bool hex = n == 2 * MD5_BYTES + 2 && r->etag[0] == '"';
    for (size_t i = 1; hex && i + 1 < n; i++)
        hex = text_hex_digit(r->etag[i]) >= 0;
    return hex && !proven(r);
}

static bool is_same(const struct reading *a, const struct reading *b)
{
    return a->size == b->size && memcmp(a->sha256, b->sha256, SHA256_BYTES) == 0;
}

/* Reads until a sum proves it, or two readings are the same. */
static int read_surely(const struct put_source *from, int fd, struct reading *out, struct err *err)
{
    struct reading before = {0};
    for (int i = 0; i < READINGS_MAX; i++) {
        struct reading r;
        int rc = read_once(from, fd, &r, err);
        if (rc < 0)
            return rc;
        bool sure = proven(&r) || (!from->twice && !doubtful(&r));
        if (sure || (i && is_same(&r, &before))) {
            *out = r;
            return 0;
        }
        before = r;
    }
    return err_set(err, EIO, "%s: its bytes are others each time that it is read", from->key);
}

int put_read(const struct put_source *from, int scratch_dirfd, int *fd, struct archive_object *out,
             char etag[ETAG_BYTES_MAX], struct err *err)
{
    AUTO_FD int file = -1;
    struct reading r = {0};
    int rc = file_temporary(scratch_dirfd, &file, err);
    if (rc == 0)
        rc = read_surely(from, file, &r, err);
    if (rc < 0)
        return rc;
    out->content.size = r.size;
    memcpy(out->content.sha256, r.sha256, SHA256_BYTES);
    out->mtime_ms = r.mtime_ms;
    memcpy(etag, r.etag, sizeof r.etag);
    out->etag = slice_of(etag);
    *fd = STEAL_FD(file);
    return 0;
}

/* Storing */

/* The stored form of a file into another one. */
static int make_frames(int fd, uint64_t size, int out, uint64_t *stored, struct err *err)
{
    struct frozen_source source = {.fd = fd, .size = size};
    struct slice frame = {0};
    bool dense = false;
    AUTO_FREE char *plain = malloc(FRAME_PLAIN_BYTES);
    int rc = plain ? 0 : err_set(err, ENOMEM, "out of memory");
    if (rc == 0 && size && size <= FROZEN_PLAIN_BYTES_MAX)
        rc = frozen_worth(&source, &dense, err);
    if (rc < 0)
        return rc;
    AUTO(frames_writer) struct frames_writer *w = frames_writer_new(size, dense, err);
    if (!w)
        return -err->code;
    off_t at = 0;
    for (uint64_t i = 0; rc == 0 && i < frames_count(size); i++) {
        size_t n = frames_length(size, i);
        rc = file_pread_full(fd, plain, n, (off_t)(i * FRAME_PLAIN_BYTES), err);
        if (rc == 0)
            rc = frames_writer_add(w, slice_make(plain, n), &frame, err);
        if (rc == 0)
            rc = file_pwrite_full(out, frame.p, frame.n, at, err);
        at += (off_t)frame.n;
    }
    if (rc == 0)
        rc = frames_writer_end(w, &frame, err);
    if (rc == 0)
        rc = file_pwrite_full(out, frame.p, frame.n, at, err);
    *stored = (uint64_t)at + frame.n;
    return rc;
}

static int send(struct store *s, const char *key, int fd, uint64_t size, bool replace,
                struct err *err)
{
    struct store_put how = {.size = size, .if_absent = !replace};
    AUTO(store_writer) struct store_writer *w = NULL;
    AUTO_FREE char *room = malloc(READ_BYTES);
    if (!room)
        return err_set(err, ENOMEM, "out of memory");
    int rc = store_put_begin(s, key, &how, &w, err);
    for (uint64_t at = 0; rc == 0 && at < size; at += READ_BYTES) {
        size_t n = size - at < READ_BYTES ? (size_t)(size - at) : READ_BYTES;
        rc = file_pread_full(fd, room, n, (off_t)at, err);
        if (rc == 0)
            rc = store_writer_add(w, slice_make(room, n), err);
    }
    return rc < 0 ? rc : store_writer_end(w, NULL, err);
}

/* What is stored under the name reads as the content: 1; 0 it is not there; -EBADMSG it is another,
 * also when it is read again, as it may have been damaged on its way back; or -errno. */
static int look(struct archive *a, const char *key, struct archive_content *c, struct err *err)
{
    struct store_info info;
    struct store *s = archive_store(a);
    int rc = s->ops->head(s, key, &info, err);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0)
        return rc;
    c->stored = info.size;
    rc = archive_verify(a, c, NULL, NULL, err);
    if (rc == -EBADMSG)
        rc = archive_verify(a, c, NULL, NULL, err);
    return rc < 0 ? rc : 1;
}

int put_content(struct archive *a, int scratch_dirfd, int fd, struct archive_content *c,
                uint64_t *written, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    AUTO_FD int frames = -1;
    uint64_t stored = 0;
    struct store *s = archive_store(a);
    buf_init(&key, KIB);
    archive_content_key(c->sha256, &key);
    int rc = buf_check(&key, err);
    *written = 0;
    for (int i = 0; rc == 0 && i < PUTS_MAX; i++) {
        rc = look(a, key.data, c, err);
        if (rc == 1)
            return 0;
        bool damaged = rc == -EBADMSG; /* whoever put it: it is replaced, and never not there */
        rc = damaged ? 0 : rc;
        if (rc == 0 && frames < 0) {
            rc = file_temporary(scratch_dirfd, &frames, err);
            if (rc == 0)
                rc = make_frames(fd, c->size, frames, &stored, err);
        }
        if (rc == 0)
            rc = send(s, key.data, frames, stored, damaged, err);
        if (rc == 0)
            *written += stored;
        if (rc == -EEXIST) /* somebody was quicker */
            rc = 0;
    }
    if (rc == 0)
        rc = look(a, key.data, c, err);
    if (rc == 0)
        rc = err_set(err, EIO, "%s/%s: it is not there though it was written", s->url, key.data);
    if (rc == -EBADMSG) {
        rc = err_wrap(err, "what was written reads as something else");
        if (err)
            err->code = EIO;
    }
    return rc < 0 ? rc : 0;
}
