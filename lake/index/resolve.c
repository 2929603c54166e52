/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of one path stand together in the sorted stream. One is held back until the next distinct
 * one tells whether it is alone. A renamed file belongs further behind in its directory (`~` comes
 * after what its path has there), so from the first one on everything is sorted once more.
 */
#include "lake/index/resolve.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/vec.h"
#include "lake/index/file_record.h"

/* Keys of one and the same file: a table that names an object more often is damaged. */
#define ALIASES_MAX 4096
#define HASH_BYTES 4

struct alias {
    uint64_t hash;
    uint32_t check;
};

struct resolver {
    struct run_writer *writer;
    struct patch *patch; /* NULL: a base */
    int dirfd;
    struct sorter *again;      /* NULL: nothing was renamed yet */
    struct buf pending;        /* the record that is held back; empty: none */
    VEC(struct alias) aliases; /* its further keys */
    bool shared;               /* its path has other files too */
    bool path_key;             /* and that was noted */
    struct buf path, order, record;
    struct buf last; /* order key of the file written last */
};

static void resolver_done(struct resolver *r)
{
    sorter_free(r->again);
    vec_done(&r->aliases);
    buf_done(&r->pending);
    buf_done(&r->path);
    buf_done(&r->order);
    buf_done(&r->record);
    buf_done(&r->last);
}
DEFINE_AUTO_DONE(resolver, struct resolver, resolver_done)

static void resolver_init(struct resolver *r)
{
    *r = (struct resolver){.aliases = VEC_MAX(ALIASES_MAX)};
    buf_init(&r->pending, 3 * RUN_TEXT_BYTES_MAX);
    buf_init(&r->path, 2 * RUN_PATH_BYTES_MAX);
    buf_init(&r->order, 2 * RUN_PATH_BYTES_MAX);
    buf_init(&r->record, 3 * RUN_TEXT_BYTES_MAX);
    buf_init(&r->last, 2 * RUN_PATH_BYTES_MAX);
}

/* In a patch it is a base's business to tell of it. */
static int refused(const struct resolver *r, const char *why, struct err *err)
{
    return err_set(err, r->patch ? EAGAIN : EIO, "%s: %.*s", why, SLICE_FMT(buf_slice(&r->path)));
}

static int write_file(struct resolver *r, const struct file_record *f, struct err *err)
{
    uint32_t flags = f->head.flags;
    struct run_key key = {.hash = f->head.hash,
                          .check = f->head.check,
                          .ordinal = (flags & FILE_COLLIDED ? RUN_KEY_COLLIDED : 0) |
                                     (flags & FILE_PATH_KEY ? RUN_KEY_PATH : 0)};
    if (flags & FILE_ALIAS)
        return run_writer_add_key(r->writer, &key, err);
    file_path_of_order(&r->path, f->order);
    if (slice_eq(f->order, buf_slice(&r->last)))
        return refused(r, "a renamed file and another one have the same name", err);
    buf_reset(&r->last);
    buf_add_slice(&r->last, f->order);
    struct entry e = {.path = buf_slice(&r->path),
                      .raw = flags & FILE_RAW_IS_PATH ? buf_slice(&r->path) : f->raw,
                      .extra = f->extra,
                      .size = f->head.size,
                      .mtime_ms = f->head.mtime_ms,
                      .version = f->head.version,
                      .flags = flags & ENTRY_ALL};
    int rc = buf_check(&r->last, err);
    if (rc == 0)
        rc = buf_check(&r->path, err);
    if (rc == 0)
        rc = run_writer_add(r->writer, &e, err);
    return rc < 0 ? rc : run_writer_add_key(r->writer, &key, err);
}

static int emit(struct resolver *r, const struct file_record *f, struct err *err)
{
    if (!r->again && f->head.flags & ENTRY_RENAMED) {
        r->again = sorter_new(r->dirfd, SORT_BYTES_MAX, file_record_compare, err);
        if (!r->again)
            return -ENOMEM;
        sorter_by_bytes(r->again, file_record_bytes);
    }
    if (!r->again)
        return write_file(r, f, err);
    file_record_format(&r->record, f);
    int rc = buf_check(&r->record, err);
    return rc < 0 ? rc : sorter_add(r->again, buf_slice(&r->record), err);
}

/* r->order becomes that of the path in r->path with `~` and the raw name's hash in it. */
static int rename_built(struct resolver *r, struct slice raw, struct err *err)
{
    uint8_t sum[SHA256_BYTES];
    sha256(raw, sum);
    struct slice path = buf_slice(&r->path);
    struct slice name = text_basename(path);
    ptrdiff_t dot = slice_rfind(name, '.');
    size_t stem = dot > 0 ? (size_t)dot : name.n;
    if (name.n + 1 + 2 * HASH_BYTES > NAME_BYTES_MAX)
        return refused(r, "the name is too long to be told apart from that of another file", err);
    buf_reset(&r->order); /* for once a path */
    buf_add(&r->order, path.p, path.n - name.n + stem);
    buf_add_char(&r->order, '~');
    text_hex(&r->order, sum, HASH_BYTES);
    buf_add_slice(&r->order, slice_from(name, stem));
    buf_reset(&r->path);
    buf_add_slice(&r->path, buf_slice(&r->order));
    file_order_of_path(&r->order, buf_slice(&r->path));
    return buf_check(&r->order, err);
}

static int emit_aliases(struct resolver *r, struct file_record *f, const struct alias *path_key,
                        struct err *err)
{
    uint32_t flags = FILE_ALIAS | FILE_COLLIDED;
    f->raw = f->extra = SLICE_NONE;
    f->head = (struct file_head){.flags = flags};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < r->aliases.n; i++) {
        f->head.hash = r->aliases.at[i].hash;
        f->head.check = r->aliases.at[i].check;
        rc = emit(r, f, err);
    }
    r->aliases.n = 0;
    if (rc == 0 && path_key) {
        f->head = (struct file_head){
            .flags = flags | FILE_PATH_KEY, .hash = path_key->hash, .check = path_key->check};
        rc = emit(r, f, err);
    }
    return rc;
}

/* The file that was held back goes on its way, with its keys. */
static int release(struct resolver *r, struct err *err)
{
    if (r->pending.len == 0)
        return 0;
    struct file_record f = file_record_parse(buf_slice(&r->pending));
    file_path_of_order(&r->path, f.order);
    struct slice path = buf_slice(&r->path);
    bool collided = r->shared || r->aliases.n;
    struct alias path_key = {0, 0};
    if (collided)
        path_key = (struct alias){hash64(RUN_PATH_SEED, path),
                                  (uint32_t)hash64(RUN_PATH_CHECK_SEED, path)};
    AUTO(buf) struct buf raw = {0}; /* where it was the path that now changes */
    buf_init(&raw, RUN_PATH_BYTES_MAX);
    int rc = r->patch ? patch_check_path(r->patch, path, err) : 0;
    if (rc == 0 && r->shared && f.head.flags & ENTRY_BUILT) {
        if (f.head.flags & FILE_RAW_IS_PATH) {
            buf_add_slice(&raw, path);
            f.raw = buf_slice(&raw);
        }
        f.head.flags = (f.head.flags | ENTRY_RENAMED) & ~FILE_RAW_IS_PATH;
        rc = rename_built(r, f.raw, err);
        f.order = buf_slice(&r->order);
        if (rc == 0 && r->patch)
            rc = patch_check_path(r->patch, buf_slice(&r->path), err);
    }
    if (collided)
        f.head.flags |= FILE_COLLIDED;
    if (rc == 0)
        rc = emit(r, &f, err);
    if (rc == 0 && collided)
        rc = emit_aliases(r, &f, r->path_key ? NULL : &path_key, err);
    r->path_key = collided;
    buf_reset(&r->pending);
    return rc;
}

/* Whether two files of one path are one file. */
static bool is_one(const struct file_record *a, const struct file_record *b)
{
    uint32_t differ = a->head.flags ^ b->head.flags;
    if (differ & ENTRY_BUILT)
        return false;
    return !(a->head.flags & ENTRY_BUILT) ||
           (!(differ & FILE_RAW_IS_PATH) && slice_eq(a->raw, b->raw));
}

static int add_alias(struct resolver *r, const struct file_record *f, struct err *err)
{
    int rc = vec_push(&r->aliases, ((struct alias){f->head.hash, f->head.check}));
    if (rc == -EOVERFLOW)
        return refused(r, "more keys than are credible for one file", err);
    return rc < 0 ? err_set(err, -rc, "out of memory") : 0;
}

static int take(struct resolver *r, const struct file_record *f, struct err *err)
{
    bool same_path = false;
    if (r->pending.len) {
        struct file_record p = file_record_parse(buf_slice(&r->pending));
        same_path = slice_eq(p.order, f->order);
        if (same_path && is_one(&p, f)) {
            file_path_of_order(&r->path, f->order);
            if (p.head.size != f->head.size)
                return err_set(err, r->patch ? EAGAIN : EIO,
                               "two files of one path, with %llu and %llu bytes: %.*s",
                               (unsigned long long)p.head.size, (unsigned long long)f->head.size,
                               SLICE_FMT(buf_slice(&r->path)));
            if (!slice_eq(p.extra, f->extra))
                return refused(r, "two files of one path that differ in what is deleted", err);
            return add_alias(r, f, err);
        }
    }
    r->shared = r->shared || same_path;
    int rc = release(r, err);
    if (!same_path)
        r->shared = r->path_key = false;
    r->shared = same_path;
    file_record_format(&r->pending, f);
    return rc < 0 ? rc : buf_check(&r->pending, err);
}

int resolve_files(const struct resolve_source *files, struct patch *patch, int dirfd,
                  struct run_writer *w, struct err *err)
{
    AUTO(resolver) struct resolver r;
    resolver_init(&r);
    r.writer = w;
    r.patch = patch;
    r.dirfd = dirfd;
    struct slice record;
    struct file_record f;
    int rc;
    while ((rc = files->next(files->arg, &f, err)) == 1)
        if ((rc = take(&r, &f, err)) < 0)
            return rc;
    if (rc == 0)
        rc = release(&r, err);
    if (rc < 0 || !r.again)
        return rc;
    rc = sorter_finish(r.again, err);
    while (rc == 0 && (rc = sorter_next(r.again, &record, err)) == 1) {
        f = file_record_parse(record);
        rc = write_file(&r, &f, err);
    }
    return rc;
}

/* Walks a directory's files and its subdirectories side by side. */
static int check_dir(const struct run *run, const struct run_dir *d, bool is_patch, struct err *err)
{
    AUTO(run_cursor) struct run_cursor c = {0};
    int rc = run_cursor_init(&c, run, d->first_file, err);
    uint32_t sub = d->first_dir, subs_end = d->first_dir + d->dirs;
    struct run_dir s;
    if (rc == 0)
        rc = run_dir(run, sub, &s, err);
    for (uint32_t i = 0; rc == 0 && i < d->files && sub < subs_end; i++) {
        struct entry e;
        rc = run_cursor_next(&c, &e, err);
        if (rc <= 0)
            break;
        rc = 0;
        struct slice name = text_basename(e.path);
        int order;
        while ((order = slice_cmp(s.name, name)) < 0 && rc == 0 && ++sub < subs_end)
            rc = run_dir(run, sub, &s, err);
        if (rc == 0 && order == 0)
            return err_set(err, is_patch ? EAGAIN : EIO, "%.*s is both a file and a directory",
                           SLICE_FMT(e.path));
    }
    return rc;
}

int resolve_check_names(const struct run *r, bool is_patch, struct err *err)
{
    int rc = 0;
    for (uint32_t dir = 0; rc == 0 && dir < run_dirs(r); dir++) {
        struct run_dir d;
        rc = run_dir(r, dir, &d, err);
        if (rc == 0 && d.dirs && d.files)
            rc = check_dir(r, &d, is_patch, err);
    }
    return rc;
}
