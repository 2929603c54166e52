/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/manifests.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/workers.h"
#include "lake/iceberg/runs.h"
#include "lake/object_reader.h"

/* Manifests that are fetched and decoded at once: over a network the time is that of the way. */
#define SIDE_BY_SIDE 16
/* One request brings a manifest of so much whole. */
#define WHOLE_BYTES (2 * MIB)

int iceberg_view_init(struct iceberg_view *v, struct iceberg_table *table, struct err *err)
{
    *v = (struct iceberg_view){.table = table};
    int rc = iceberg_table_metadata(table, &v->metadata, err);
    if (rc == 0)
        v->root = iceberg_table_root(table, v->metadata);
    return rc;
}

void iceberg_view_done(struct iceberg_view *v)
{
    if (v->metadata)
        iceberg_metadata_unref(v->metadata);
    v->metadata = NULL;
}

/* Where a path of the metadata is; out->data is the key. */
static int locate(const struct iceberg_view *v, struct slice path, struct store **store,
                  struct buf *out, struct err *err)
{
    int rc = iceberg_path_locate(&v->root, path, store, out, err);
    if (rc == 0 && !*store)
        *store = v->table->store;
    return rc;
}

/* Of what the metadata names: that it is not there is damage of the table. */
static int missing(struct err *err, const struct err *e, const char *what, struct slice path)
{
    if (e->code != ENOENT) {
        struct err with = *e;
        (void)err_wrap(&with, "%s '%.*s'", what, (int)(path.n < 300 ? path.n : 300), path.p);
        return err_copy(err, &with);
    }
    return err_set(err, EIO,
                   "%s '%.*s' is gone, though the table's metadata names it: what it lists cannot "
                   "be known",
                   what, (int)(path.n < 300 ? path.n : 300), path.p);
}

/* Writes a file aside; its name is in `aside`. */
static int open_aside(const struct iceberg_view *v, char aside[RUN_NAME_BYTES], int *fd,
                      struct err *err)
{
    run_unchecked_name(aside);
    (void)unlinkat(v->table->dirfd, aside, 0); /* of one who had our number, and was killed */
    *fd =
        openat(v->table->dirfd, aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return *fd < 0 ? err_set(err, errno, "%s: %s", aside, strerror(errno)) : 0;
}

static int publish(const struct iceberg_view *v, const char *aside, const char *name, int rc,
                   struct err *err)
{
    int dirfd = v->table->dirfd;
    if (rc == 0 && renameat(dirfd, aside, dirfd, name) < 0)
        rc = err_set(err, errno, "%s: %s", name, strerror(errno));
    if (rc < 0)
        (void)unlinkat(dirfd, aside, 0); /* a leftover is never opened */
    return rc;
}

/* Lists --------------------------------------------------------------------------------------- */

/* Behind a list that is kept, whose own form may have no sums. */
#define LIST_TAIL_BYTES 16

static void add_list_tail(struct buf *tail, struct slice text)
{
    buf_add_le64(tail, text.n);
    buf_add_le64(tail, crc32c(0, text.p, text.n));
}

static bool take_list_tail(struct slice *kept)
{
    char bytes[LIST_TAIL_BYTES];
    AUTO(buf) struct buf tail = {0};
    if (kept->n < LIST_TAIL_BYTES)
        return false;
    struct slice text = slice_make(kept->p, kept->n - LIST_TAIL_BYTES);
    memcpy(bytes, kept->p + text.n, sizeof bytes);
    *kept = text;
    buf_init(&tail, LIST_TAIL_BYTES);
    add_list_tail(&tail, text);
    return tail.len == sizeof bytes && memcmp(tail.data, bytes, sizeof bytes) == 0;
}

int iceberg_manifests_kept_list(const struct iceberg_view *v, struct slice path,
                                struct iceberg_manifest_list *out, struct err *err)
{
    char name[RUN_NAME_BYTES];
    AUTO(buf) struct buf text = {0};
    buf_init(&text, ICEBERG_MANIFEST_LIST_BYTES_MAX + LIST_TAIL_BYTES);
    iceberg_list_name(name, path);
    int rc = file_read(v->table->dirfd, name, &text, err);
    if (rc < 0)
        return rc;
    struct slice list = buf_slice(&text);
    rc = take_list_tail(&list) ? iceberg_manifest_list_parse(out, list, err) : -EIO;
    if (rc == -EIO) { /* it was whole when it was kept */
        (void)unlinkat(v->table->dirfd, name, 0);
        rc = err_set(err, ENOENT, "a manifest list that was kept is damaged");
    }
    return rc;
}

/* So that a snapshot's list is there when the snapshot has expired. It is no loss if not. */
static void keep_list(const struct iceberg_view *v, struct slice path, struct slice text)
{
    char name[RUN_NAME_BYTES], aside[RUN_NAME_BYTES];
    AUTO(buf) struct buf tail = {0};
    AUTO_FD int fd = -1;
    buf_init(&tail, LIST_TAIL_BYTES);
    if (open_aside(v, aside, &fd, NULL) < 0)
        return;
    iceberg_list_name(name, path);
    add_list_tail(&tail, text);
    int rc = file_pwrite_full(fd, text.p, text.n, 0, NULL);
    if (rc == 0)
        rc = file_pwrite_full(fd, tail.data, tail.len, (off_t)text.n, NULL);
    (void)publish(v, aside, name, rc, NULL);
}

static int read_list(const struct iceberg_view *v, struct slice path,
                     struct iceberg_manifest_list *out, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    AUTO(buf) struct buf text = {0};
    struct store *store;
    struct err e = ERR_INIT;
    buf_init(&key, ACTION_BYTES_MAX);
    buf_init(&text, ICEBERG_MANIFEST_LIST_BYTES_MAX);
    int rc = locate(v, path, &store, &key, &e);
    if (rc == 0)
        rc = store_read(store, key.data, &text, NULL, &e);
    if (rc == 0)
        rc = iceberg_manifest_list_parse(out, buf_slice(&text), &e);
    if (rc < 0)
        return missing(err, &e, "manifest list", path);
    keep_list(v, path, buf_slice(&text));
    return 0;
}

static int check_list(const struct iceberg_manifest_list *l, struct err *err)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->at[i].encrypted)
            return err_set(err, EOPNOTSUPP, "manifests of this table are encrypted");
    return 0;
}

int iceberg_manifests_list(const struct iceberg_view *v, const struct iceberg_snapshot *s,
                           struct iceberg_manifest_list *out, struct err *err)
{
    int rc;
    if (s->key_id.n)
        return err_set(err, EOPNOTSUPP, "manifest lists of this table are encrypted");
    if (!s->manifest_list.n) {
        rc = iceberg_manifest_list_inline(out, s, err);
    } else {
        struct err unkept = ERR_INIT; /* the store tells */
        rc = iceberg_manifests_kept_list(v, s->manifest_list, out, &unkept);
        if (rc < 0) {
            iceberg_manifest_list_done(out);
            iceberg_manifest_list_init(out);
            rc = read_list(v, s->manifest_list, out, err);
        }
    }
    return rc < 0 ? rc : check_list(out, err);
}

/* Manifests ----------------------------------------------------------------------------------- */

static bool is_kept(const struct iceberg_view *v, const struct iceberg_manifest *m)
{
    char name[RUN_NAME_BYTES];
    iceberg_manifest_name(name, m->path, m->length);
    return utimensat(v->table->dirfd, name, NULL, AT_SYMLINK_NOFOLLOW) == 0; /* used now: stays */
}

/* Reads the object and writes the decoded form to fd. `size`: 0: it is asked for. */
static int decode_object(struct store *store, const char *key, uint64_t size,
                         const struct iceberg_manifest *m, int fd, struct err *err)
{
    AUTO(object_reader) struct object_reader reader;
    AUTO(iceberg_decoded_writer) struct iceberg_decoded_writer writer;
    struct store_info info;
    int rc = size ? 0 : store->ops->head(store, key, &info, err);
    if (rc == 0 && !size)
        size = info.size;
    object_reader_init(&reader, store, key, size);
    iceberg_decoded_writer_init(&writer, fd, m);
    struct source source = {.size_bytes = size,
                            .read = object_reader_read,
                            .arg = &reader,
                            .window_bytes = reader.window_bytes};
    if (!store->ops->open_in_place && size <= WHOLE_BYTES && size > source.window_bytes)
        source.window_bytes = (size_t)size;
    struct iceberg_manifest_sink sink = iceberg_decoded_sink(&writer);
    if (rc == 0)
        rc = iceberg_manifest_read(&source, &sink, &writer.head, err);
    return rc < 0 ? rc : iceberg_decoded_finish(&writer, err);
}

static int decode(const struct iceberg_view *v, const struct iceberg_manifest *m, struct err *err)
{
    char name[RUN_NAME_BYTES], aside[RUN_NAME_BYTES];
    AUTO(buf) struct buf key = {0};
    AUTO_FD int fd = -1;
    struct store *store;
    struct err e = ERR_INIT;
    buf_init(&key, ACTION_BYTES_MAX);
    int rc = locate(v, m->path, &store, &key, &e);
    if (rc < 0)
        return missing(err, &e, "manifest", m->path);
    rc = open_aside(v, aside, &fd, err);
    if (rc < 0)
        return rc;
    rc = decode_object(store, key.data, m->length, m, fd, &e);
    if (rc == -ESTALE && m->length) { /* the list tells another length: the object counts */
        e = (struct err)ERR_INIT;
        rc = ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0
                 ? err_set(&e, errno, "%s: %s", aside, strerror(errno))
                 : decode_object(store, key.data, 0, m, fd, &e);
    }
    if (rc < 0)
        rc = missing(err, &e, "manifest", m->path);
    iceberg_manifest_name(name, m->path, m->length);
    return publish(v, aside, name, rc, err);
}

/* Several threads take one manifest after the other. */
struct decoding {
    const struct iceberg_view *view;
    const struct iceberg_manifest *const *manifests;
    size_t n;
    _Atomic size_t next;
    _Atomic bool failed;
    struct lock lock;
    struct err err; /* lock: why the first one failed */
};

struct decoder {
    struct job job;
    struct decoding *all;
};

static void run_decoder(struct job *job)
{
    struct decoding *d = CONTAINER_OF(job, struct decoder, job)->all;
    for (;;) {
        struct err e = ERR_INIT;
        size_t i = d->next++;
        if (i >= d->n || d->failed)
            return;
        if (decode(d->view, d->manifests[i], &e) < 0)
            WITH_LOCK (&d->lock) {
                if (!d->failed)
                    d->err = e;
                d->failed = true;
            }
    }
}

static unsigned threads_for(const struct iceberg_view *v, size_t n)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t most = SIDE_BY_SIDE;
    if (v->table->store->ops->open_in_place && cores > 0 && (size_t)cores < most)
        most = (size_t)cores; /* nobody waits for a network */
    return (unsigned)(n < most ? n : most);
}

static int decode_all(struct decoding *d, struct err *err)
{
    struct decoder decoders[SIDE_BY_SIDE];
    unsigned n = threads_for(d->view, d->n);
    struct workers *workers = n > 1 ? workers_new("tarn-manifest", n, err) : NULL;
    if (n > 1 && !workers)
        return -err->code;
    for (unsigned i = 0; i < n; i++) {
        decoders[i] = (struct decoder){.job.run = run_decoder, .all = d};
        if (workers)
            workers_submit(workers, &decoders[i].job);
        else
            run_decoder(&decoders[i].job);
    }
    workers_free(workers);
    return d->failed ? err_copy(err, &d->err) : 0;
}

int iceberg_manifests_decode(const struct iceberg_view *v,
                             const struct iceberg_manifest *const *manifests, size_t n,
                             struct err *err)
{
    VEC(const struct iceberg_manifest *) missing_ones = VEC_MAX(ICEBERG_MANIFESTS_MAX);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (manifests[i]->live != 0 && !is_kept(v, manifests[i]))
            rc = vec_push(&missing_ones, manifests[i]);
    if (rc < 0)
        rc = err_set(err, -rc, "no room for %zu manifests", n);
    if (rc == 0 && missing_ones.n) {
        struct decoding d = {.view = v, .manifests = missing_ones.at, .n = missing_ones.n};
        lock_init(&d.lock);
        rc = decode_all(&d, err);
        lock_done(&d.lock);
    }
    vec_done(&missing_ones);
    return rc;
}

static int open_kept(const struct iceberg_view *v, const struct iceberg_manifest *m,
                     struct iceberg_decoded *out, struct err *err)
{
    char name[RUN_NAME_BYTES];
    int fd;
    iceberg_manifest_name(name, m->path, m->length);
    int rc = file_open_own(v->table->dirfd, name, O_RDONLY | O_CLOEXEC, &fd, err);
    return rc < 0 ? rc : iceberg_decoded_open(fd, m, out, err);
}

int iceberg_manifests_open(const struct iceberg_view *v, const struct iceberg_manifest *m,
                           struct iceberg_decoded *out, struct err *err)
{
    struct err e = ERR_INIT;
    int rc = open_kept(v, m, out, &e);
    if (rc != -ENOENT && rc != -EUCLEAN)
        return rc < 0 ? err_copy(err, &e) : 0;
    rc = decode(v, m, err);
    return rc < 0 ? rc : open_kept(v, m, out, err);
}

void iceberg_manifests_drop(const struct iceberg_view *v, const struct iceberg_manifest *m)
{
    char name[RUN_NAME_BYTES];
    iceberg_manifest_name(name, m->path, m->length);
    (void)unlinkat(v->table->dirfd, name, 0); /* of others who have it open it stays */
}
