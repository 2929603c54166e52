/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of an archive store: ranges of frames, whole contents, and what is kept of both. */
#include <fcntl.h>

#include "base/file.h"
#include "lake/archive/archive_private.h"
#include "lake/archive/digest.h"

/* Frames that one request brings. */
#define FETCH_BYTES (8 * MIB)

void archive_contents_done(struct archive *a)
{
    for (size_t i = 0; i < FILES_MAX_OPEN; i++)
        if (a->files[i].fd >= 0)
            (void)close(a->files[i].fd); /* a copy */
    for (size_t i = 0; i < TABLES_KEPT; i++)
        free(a->tables[i].frames);
}

static struct kept_content *find(struct archive *a, struct kept_content *kept, size_t n,
                                 const uint8_t *sha256) REQUIRES(&a->lock)
{
    for (size_t i = 0; i < n; i++)
        if (kept[i].used && memcmp(kept[i].sha256, sha256, SHA256_BYTES) == 0) {
            kept[i].used = ++a->clock;
            return &kept[i];
        }
    return NULL;
}

static struct kept_content *oldest(struct kept_content *kept, size_t n)
{
    struct kept_content *found = kept;
    for (size_t i = 1; i < n; i++)
        if (kept[i].used < found->used)
            found = &kept[i];
    return found;
}

/* requests */

/* What went wrong, with the object's name; what was kept of it may have been the reason. */
static int damaged(struct archive *a, const struct archive_content *c, struct err *err)
{
    WITH_LOCK (&a->lock) {
        struct kept_content *k = find(a, a->tables, TABLES_KEPT, c->sha256);
        if (k) {
            free(k->frames);
            *k = (struct kept_content){.fd = -1};
        }
    }
    AUTO(buf) struct buf key = {0};
    buf_init(&key, KIB);
    archive_content_key(c->sha256, &key);
    (void)err_wrap(err, "%s/%s", a->store->url, key.data ? key.data : "");
    if (err && err->code == EBADMSG)
        err->code = EIO;
    return err ? -err->code : -EIO;
}

/* A content on its way. */
struct reading {
    struct archive *archive;
    struct archive_content content; /* `stored`: as long as it is taken to be */
    uint64_t found;                 /* as long as the store has told last */
    bool emitted;                   /* some of it */
};

/* Exactly n bytes of the stored form. */
static int fetch(struct reading *r, uint64_t offset, size_t n,
                 char *to, /* NOLINT(readability-non-const-parameter): the store writes there */
                 struct err *err)
{
    struct archive *a = r->archive;
    const struct archive_content *c = &r->content;
    AUTO(buf) struct buf key = {0};
    buf_init(&key, KIB);
    archive_content_key(c->sha256, &key);
    int rc = buf_check(&key, err);
    if (rc < 0)
        return rc;
    struct store_get get = {.key = key.data, .offset = offset, .length = n, .to = to};
    rc = store_get_wait(a->store, &get, err);
    if (rc < 0)
        return rc;
    WITH_LOCK (&a->lock)
        memcpy(a->class, get.info.class, sizeof a->class);
    r->found = get.info.size;
    if (get.info.size != c->stored || get.got != n)
        return err_set(err, EBADMSG, "%llu bytes, expected %llu", (unsigned long long)get.info.size,
                       (unsigned long long)c->stored);
    return 0;
}

void archive_class(struct archive *a, char out[STORE_CLASS_BYTES_MAX])
{
    WITH_LOCK (&a->lock)
        memcpy(out, a->class, sizeof a->class);
}

/* A copy, for free(). */
static struct frames *copy_frames(const struct frames *f)
{
    size_t n = sizeof *f + (size_t)(f->count + 1) * sizeof f->at[0];
    struct frames *copy = malloc(n);
    if (copy)
        memcpy(copy, f, n);
    return copy;
}

static void keep_frames(struct archive *a, const struct archive_content *c, const struct frames *f)
{
    struct frames *copy = copy_frames(f);
    if (!copy)
        return;
    WITH_LOCK (&a->lock) {
        struct kept_content *k = oldest(a->tables, TABLES_KEPT);
        free(k->frames);
        *k = (struct kept_content){.used = ++a->clock, .fd = -1, .frames = copy};
        memcpy(k->sha256, c->sha256, SHA256_BYTES);
    }
}

/* The seek table, for free(). One that is kept tells how long the content is. */
static int get_frames(struct reading *r, struct frames **out, struct err *err)
{
    struct archive *a = r->archive;
    struct archive_content *c = &r->content;
    struct frames *f = NULL;
    WITH_LOCK (&a->lock) {
        const struct kept_content *k = find(a, a->tables, TABLES_KEPT, c->sha256);
        if (k && k->frames->size == c->size && !r->found)
            f = copy_frames(k->frames);
    }
    if (f)
        c->stored = f->at[f->count] + frames_table_bytes(f->count);
    if (!f) {
        size_t n = (size_t)frames_table_bytes(frames_count(c->size));
        AUTO_FREE char *table = malloc(n);
        if (!table)
            return err_set(err, ENOMEM, "out of memory");
        int rc = c->stored < n ? err_set(err, EBADMSG, "%llu bytes are too few",
                                         (unsigned long long)c->stored)
                               : fetch(r, c->stored - n, n, table, err);
        if (rc == 0 && !(f = frames_parse(slice_make(table, n), c->size, c->stored, err)))
            rc = -err->code;
        if (rc < 0)
            return rc;
        keep_frames(a, c, f);
    }
    *out = f;
    return 0;
}

/* Where the plain bytes go. */
struct target {
    int (*emit)(void *arg, struct slice bytes, struct err *err);
    void *arg;
};

/* What of an object is read: its plain bytes [from, to), and where they go. */
struct wanted {
    const struct frames *frames;
    uint64_t from, to;
    const struct target *target;
};

/* Decodes frames [first, end), whose stored bytes these are, and emits what of them is wanted. */
static int emit_frames(const struct wanted *w, uint64_t first, uint64_t end, const char *stored,
                       struct err *err)
{
    const struct frames *f = w->frames;
    AUTO_FREE char *plain = malloc(FRAME_PLAIN_BYTES);
    if (!plain)
        return err_set(err, ENOMEM, "out of memory");
    int rc = 0;
    for (uint64_t i = first; rc == 0 && i < end; i++) {
        struct slice frame =
            slice_make(stored + (f->at[i] - f->at[first]), (size_t)(f->at[i + 1] - f->at[i]));
        uint64_t begin = i * FRAME_PLAIN_BYTES;
        size_t n = frames_length(f->size, i);
        rc = frames_decode(frame, plain, n, err);
        size_t skip = w->from > begin ? (size_t)(w->from - begin) : 0;
        size_t stop = w->to < begin + n ? (size_t)(w->to - begin) : n;
        if (rc == 0)
            rc = w->target->emit(w->target->arg, slice_make(plain + skip, stop - skip), err);
    }
    return rc;
}

/* The plain bytes [from, to) to the target, a few frames a request. */
static int read_frames(struct reading *r, uint64_t from, uint64_t to, const struct target *t,
                       struct err *err)
{
    AUTO_FREE struct frames *f = NULL;
    AUTO_FREE char *stored = NULL;
    size_t room = 0;
    int rc = get_frames(r, &f, err);
    const struct wanted w = {f, from, to, t};
    uint64_t last = to > from ? (to - 1) / FRAME_PLAIN_BYTES + 1 : 0;
    for (uint64_t i = from / FRAME_PLAIN_BYTES, end; rc == 0 && i < last; i = end) {
        for (end = i + 1; end < last && f->at[end + 1] - f->at[i] <= FETCH_BYTES;)
            end++;
        size_t n = (size_t)(f->at[end] - f->at[i]);
        if (n > room) {
            free(stored);
            stored = malloc(n);
            room = stored ? n : 0;
        }
        rc = stored ? fetch(r, f->at[i], n, stored, err) : err_set(err, ENOMEM, "out of memory");
        r->emitted = r->emitted || rc == 0;
        if (rc == 0)
            rc = emit_frames(&w, i, end, stored, err);
    }
    return rc;
}

/* The same of a content whatever its stored form is: another zstd has made it longer or shorter
 * where it was damaged once and stored anew. */
static int read_range(struct archive *a, const struct archive_content *c, uint64_t from,
                      uint64_t to, const struct target *t, struct err *err)
{
    struct reading r = {.archive = a, .content = *c};
    int rc = read_frames(&r, from, to, t, err);
    if (rc != -EBADMSG || r.emitted || !r.found || r.found == r.content.stored)
        return rc;
    r.content.stored = r.found;
    return read_frames(&r, from, to, t, err);
}

static int copy_out(void *arg, struct slice bytes, struct err *err)
{
    char **to = arg;
    (void)err;
    memcpy(*to, bytes.p, bytes.n);
    *to += bytes.n;
    return 0;
}

int archive_read(struct archive *a, const struct archive_content *c, uint64_t offset, size_t length,
                 char *to, /* NOLINT(readability-non-const-parameter): written through a copy */
                 struct err *err)
{
    struct err e = ERR_INIT;
    struct target t = {copy_out, &to};
    if (offset > c->size || length > c->size - offset)
        return err_set(err, EINVAL, "%zu bytes at %llu of %llu", length, (unsigned long long)offset,
                       (unsigned long long)c->size);
    int rc = read_range(a, c, offset, offset + length, &t, &e);
    if (rc == 0)
        return 0;
    (void)damaged(a, c, &e);
    return err_copy(err, &e);
}

/* all of it */

struct whole {
    struct digest *digest;
    const struct target *next; /* NULL: nobody wants the bytes */
};

static int take_whole(void *arg, struct slice bytes, struct err *err)
{
    struct whole *w = arg;
    digest_add(w->digest, bytes);
    return w->next ? w->next->emit(w->next->arg, bytes, err) : 0;
}

static int read_whole(struct archive *a, const struct archive_content *c, const struct target *next,
                      struct err *err)
{
    uint8_t sum[SHA256_BYTES];
    AUTO(digest) struct digest *d = digest_new(false, err);
    if (!d)
        return -ENOMEM;
    struct whole w = {d, next};
    struct target t = {take_whole, &w};
    int rc = read_range(a, c, 0, c->size, &t, err);
    if (rc < 0)
        return rc;
    digest_end(d, sum, NULL);
    return memcmp(sum, c->sha256, sizeof sum) == 0
               ? 0
               : err_set(err, EBADMSG, "its bytes have another SHA-256");
}

int archive_verify(struct archive *a, const struct archive_content *c,
                   int (*emit)(void *arg, struct slice bytes, struct err *err), void *arg,
                   struct err *err)
{
    struct err e = ERR_INIT;
    struct target t = {emit, arg};
    int rc = read_whole(a, c, emit ? &t : NULL, &e);
    if (rc == 0)
        return 0;
    int code = e.code;
    (void)damaged(a, c, &e);
    e.code = code;
    return err_copy(err, &e);
}

struct filling {
    int fd;
    off_t at;
};

static int fill(void *arg, struct slice bytes, struct err *err)
{
    struct filling *f = arg;
    int rc = file_pwrite_full(f->fd, bytes.p, bytes.n, f->at, err);
    f->at += (off_t)bytes.n;
    return rc;
}

static void drop_file(struct kept_content *k, uint64_t *bytes)
{
    *bytes -= k->size;
    (void)close(k->fd); /* a copy */
    *k = (struct kept_content){.fd = -1};
}

/* The file that was not used for longest; NULL: there is none. */
static struct kept_content *oldest_file(struct archive *a) REQUIRES(&a->lock)
{
    struct kept_content *found = NULL;
    for (size_t i = 0; i < FILES_MAX_OPEN; i++)
        if (a->files[i].used && (!found || a->files[i].used < found->used))
            found = &a->files[i];
    return found;
}

/* Another descriptor of it is kept, for who comes next. */
static void keep_file(struct archive *a, const struct archive_content *c, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return;
    WITH_LOCK (&a->lock) {
        uint64_t bytes = c->size;
        struct kept_content *k;
        for (size_t i = 0; i < FILES_MAX_OPEN; i++)
            bytes += a->files[i].size;
        while (bytes > FILES_BYTES_MAX && (k = oldest_file(a)))
            drop_file(k, &bytes);
        k = oldest(a->files, FILES_MAX_OPEN); /* a free place, where there is one */
        if (k->used)
            drop_file(k, &bytes);
        *k = (struct kept_content){.used = ++a->clock, .size = c->size, .fd = copy};
        memcpy(k->sha256, c->sha256, SHA256_BYTES);
    }
}

int archive_file(struct archive *a, const struct archive_content *c, int *fd, struct err *err)
{
    struct err e = ERR_INIT;
    int found = -1;
    WITH_LOCK (&a->lock) {
        const struct kept_content *k = find(a, a->files, FILES_MAX_OPEN, c->sha256);
        if (k && k->size == c->size)
            found = fcntl(k->fd, F_DUPFD_CLOEXEC, 3);
    }
    if (found >= 0) {
        *fd = found;
        return 0;
    }
    AUTO_FD int file = -1;
    int rc = file_temporary(a->scratch_dirfd, &file, err);
    if (rc < 0)
        return err_wrap(err, "no room for what is read from the archive");
    struct filling f = {file, 0};
    struct target t = {fill, &f};
    rc = read_whole(a, c, &t, &e);
    if (rc < 0) {
        (void)damaged(a, c, &e);
        return err_copy(err, &e);
    }
    keep_file(a, c, file);
    *fd = STEAL_FD(file);
    return 0;
}
