/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/index/run_writer.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/vec.h"
#include "lake/index/entry_coder.h"
#include "lake/index/page_stream.h"
#include "lake/index/sort.h"

#define TABLE_SORT_BYTES (8 * MIB)

/* A directory on the way from the root to the file that came last. */
struct open_dir {
    size_t name_at, name_bytes; /* in dir_path */
    uint32_t index;             /* among the directories of its depth */
    uint32_t first_child;       /* likewise, of its first subdirectory */
    uint32_t dirs, first_file, files, subtree_files;
};

/* As the sorter of directories has them; a name follows. */
struct closed_dir {
    uint32_t depth, index, parent_index, first_child;
    uint32_t dirs, first_file, files, subtree_files;
};
_Static_assert(sizeof(struct closed_dir) == 32, "closed_dir has no holes");

struct run_writer {
    int dirfd;
    const char *name;
    char aside[NAME_MAX + 1];
    bool published;
    struct run_header head;
    uint64_t next_page;
    struct page_sums sums;
    struct page_stream *out, *names; /* names: beside the directories, at the same time */

    struct buf record;
    struct entry_coder coder; /* after the previous file in the block */
    VEC(uint32_t) index;      /* where blocks begin */

    struct buf dir_path;
    VEC(struct open_dir) stack; /* at[0]: the root */
    VEC(uint32_t) levels;       /* directories so far, by depth */
    VEC(uint32_t) level_starts; /* known at the end */
    VEC(uint32_t) base_dirs;    /* patches: of each directory, or RUN_NONE */
    VEC(struct run_pair) twins;
    struct sorter *dirs, *keys;
};

static int compare_dirs(struct slice a, struct slice b)
{
    struct closed_dir x, y;
    memcpy(&x, a.p, sizeof x);
    memcpy(&y, b.p, sizeof y);
    return x.depth != y.depth ? (x.depth > y.depth) - (x.depth < y.depth)
                              : (x.index > y.index) - (x.index < y.index);
}

static int compare_keys(struct slice a, struct slice b)
{
    struct run_key x, y;
    memcpy(&x, a.p, sizeof x);
    memcpy(&y, b.p, sizeof y);
    if (x.hash != y.hash)
        return x.hash < y.hash ? -1 : 1;
    if (x.check != y.check)
        return x.check < y.check ? -1 : 1;
    return (x.ordinal > y.ordinal) - (x.ordinal < y.ordinal);
}

/* For sorter_by_bytes: the depth with the index, and the hash. */
static bool dir_bytes(struct slice record, size_t at, uint64_t *out)
{
    struct closed_dir d;
    memcpy(&d, record.p, sizeof d);
    if (at == 0)
        *out = (uint64_t)d.depth << 32 | d.index;
    return at == 0;
}

static bool key_bytes(struct slice record, size_t at, uint64_t *out)
{
    if (at == 0)
        memcpy(out, record.p, sizeof *out);
    return at == 0;
}

static int out_of_memory(struct err *err)
{
    return err_set(err, ENOMEM, "index: out of memory");
}

static int push_failed(int rc, struct err *err)
{
    return rc == -ENOMEM ? out_of_memory(err) : err_set(err, -rc, "index: over a limit");
}

static int stream_end(struct run_writer *w, struct page_stream *s, enum run_section_id section,
                      struct err *err)
{
    int rc = page_stream_end(&w->sums, s, err);
    w->head.sections[section] = (struct run_section){s->first_page, s->bytes};
    w->next_page = s->page;
    return rc;
}

/* A section from memory. */
static int put_section(struct run_writer *w, enum run_section_id section, const void *data,
                       size_t n, struct err *err)
{
    page_stream_begin(w->out, w->next_page);
    int rc = page_stream_put(&w->sums, w->out, data, n, err);
    return rc < 0 ? rc : stream_end(w, w->out, section, err);
}

/* Making and freeing -------------------------------------------------------------------------- */

static int open_dir_push(struct run_writer *w, struct slice name, size_t name_at, struct err *err);

struct run_writer *run_writer_new(int dirfd, const char *name, struct err *err)
{
    AUTO(run_writer) struct run_writer *w = calloc(1, sizeof *w);
    if (w)
        *w = (struct run_writer){.dirfd = dirfd,
                                 .sums.fd = -1,
                                 .name = name,
                                 .next_page = 1,
                                 .out = malloc(sizeof *w->out),
                                 .names = malloc(sizeof *w->names),
                                 .index = VEC_MAX((size_t)run_blocks(FILES_MAX) + 1),
                                 .stack = VEC_MAX(RUN_LEVELS_MAX),
                                 .levels = VEC_MAX(RUN_LEVELS_MAX),
                                 .level_starts = VEC_MAX(RUN_LEVELS_MAX),
                                 .base_dirs = VEC_MAX(FILES_MAX),
                                 .twins = VEC_MAX(FILES_MAX)};
    if (!w || !w->out || !w->names) {
        (void)out_of_memory(err);
        return NULL;
    }
    buf_init(&w->record, 3 * RUN_TEXT_BYTES_MAX);
    entry_coder_init(&w->coder);
    buf_init(&w->dir_path, RUN_PATH_BYTES_MAX);
    page_stream_begin(w->out, w->next_page);
    w->dirs = sorter_new(dirfd, TABLE_SORT_BYTES, compare_dirs, err);
    w->keys = w->dirs ? sorter_new(dirfd, TABLE_SORT_BYTES, compare_keys, err) : NULL;
    if (!w->keys)
        return NULL;
    sorter_by_bytes(w->dirs, dir_bytes);
    sorter_by_bytes(w->keys, key_bytes);
    /* Two writers of one run (two mounts of one table) must not meet in one file. */
    static _Atomic unsigned count;
    int n = snprintf(w->aside, sizeof w->aside, "%s.%d-%u.tmp", name, (int)getpid(), count++);
    if ((size_t)n >= sizeof w->aside) {
        (void)err_set(err, ENAMETOOLONG, "%s: name too long", name);
        return NULL;
    }
    w->sums.fd = openat(dirfd, w->aside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (w->sums.fd < 0) {
        (void)err_set(err, errno, "%s: %s", w->aside, strerror(errno));
        return NULL;
    }
    if (open_dir_push(w, SLICE_NONE, 0, err) < 0)
        return NULL;
    return STEAL(w);
}

void run_writer_free(struct run_writer *w)
{
    if (!w)
        return;
    if (w->sums.fd >= 0) {
        (void)close(w->sums.fd); /* synced where it matters */
        if (!w->published)
            (void)unlinkat(w->dirfd, w->aside, 0); /* what is left is overwritten next time */
    }
    sorter_free(w->dirs);
    sorter_free(w->keys);
    vec_done(&w->index);
    vec_done(&w->stack);
    vec_done(&w->levels);
    vec_done(&w->level_starts);
    vec_done(&w->base_dirs);
    vec_done(&w->twins);
    buf_done(&w->record);
    entry_coder_done(&w->coder);
    buf_done(&w->dir_path);
    free(w->sums.at);
    free(w->out);
    free(w->names);
    free(w);
}

/* Directories --------------------------------------------------------------------------------- */

static int open_dir_push(struct run_writer *w, struct slice name, size_t name_at, struct err *err)
{
    size_t depth = w->stack.n;
    int rc = 0;
    while (rc == 0 && w->levels.n < depth + 2) /* its own depth and its children's */
        rc = vec_push(&w->levels, 0);
    if (rc < 0)
        return push_failed(rc, err);
    if (w->head.dirs >= FILES_MAX)
        return err_set(err, EOVERFLOW, "index: more than %zu directories", FILES_MAX);
    w->head.dirs++;
    if (depth)
        w->stack.at[depth - 1].dirs++;
    struct open_dir d = {.name_at = name_at,
                         .name_bytes = name.n,
                         .index = w->levels.at[depth]++,
                         .first_child = w->levels.at[depth + 1],
                         .first_file = w->head.files};
    rc = vec_push(&w->stack, d);
    return rc < 0 ? push_failed(rc, err) : 0;
}

static int close_dir(struct run_writer *w, struct err *err)
{
    size_t depth = --w->stack.n;
    const struct open_dir *d = &w->stack.at[depth];
    struct closed_dir closed = {.depth = (uint32_t)depth,
                                .index = d->index,
                                .parent_index = depth ? w->stack.at[depth - 1].index : 0,
                                .first_child = d->first_child,
                                .dirs = d->dirs,
                                .first_file = d->first_file,
                                .files = d->files,
                                .subtree_files = d->subtree_files};
    if (depth)
        w->stack.at[depth - 1].subtree_files += d->subtree_files;
    buf_reset(&w->record);
    buf_add(&w->record, &closed, sizeof closed);
    if (d->name_bytes)
        buf_add(&w->record, w->dir_path.data + d->name_at, d->name_bytes);
    int rc = buf_check(&w->record, err);
    return rc < 0 ? rc : sorter_add(w->dirs, buf_slice(&w->record), err);
}

/* Makes `dir` the directory on top of the stack. */
static int change_dir(struct run_writer *w, struct slice dir, struct err *err)
{
    size_t keep = 1, at = 0; /* directories that stay, and where the next name begins */
    while (keep < w->stack.n) {
        const struct open_dir *d = &w->stack.at[keep];
        size_t end = d->name_at + d->name_bytes;
        if (dir.n < end || (dir.n > end && dir.p[end] != '/') ||
            memcmp(dir.p + d->name_at, w->dir_path.data + d->name_at, d->name_bytes) != 0)
            break;
        at = end + 1;
        keep++;
    }
    int rc = 0;
    while (rc == 0 && w->stack.n > keep)
        rc = close_dir(w, err);
    buf_reset(&w->dir_path);
    buf_add_slice(&w->dir_path, dir);
    if (rc == 0)
        rc = buf_check(&w->dir_path, err);
    while (rc == 0 && at < dir.n) {
        struct slice rest = slice_from(dir, at);
        ptrdiff_t slash = slice_find(rest, '/');
        rest.n = slash < 0 ? rest.n : (size_t)slash;
        rc = open_dir_push(w, rest, at, err);
        at += rest.n + 1;
    }
    return rc;
}

/* Files --------------------------------------------------------------------------------------- */

/* Notes where the next block begins. */
static int begin_block(struct run_writer *w, struct err *err)
{
    static const uint8_t zeros[RUN_BLOCK_ALIGN];
    size_t over = w->out->bytes % RUN_BLOCK_ALIGN;
    int rc = over ? page_stream_put(&w->sums, w->out, zeros, RUN_BLOCK_ALIGN - over, err) : 0;
    if (rc < 0)
        return rc;
    uint64_t place = w->out->bytes / RUN_BLOCK_ALIGN;
    if (place > UINT32_MAX)
        return err_set(err, EOVERFLOW, "index: too large");
    entry_coder_reset(&w->coder);
    rc = vec_push(&w->index, (uint32_t)place);
    return rc < 0 ? push_failed(rc, err) : 0;
}

static int append_file(struct run_writer *w, const struct entry *e, bool new_dir, struct err *err)
{
    bool first = w->head.files % RUN_BLOCK_FILES == 0;
    uint32_t dir = w->stack.at[w->stack.n - 1].index;
    int rc = first ? begin_block(w, err) : 0;
    if (rc < 0)
        return rc;
    entry_coder_encode(&w->coder, e, first || new_dir ? &dir : NULL, &w->record);
    rc = buf_check(&w->record, err);
    if (rc == 0)
        rc = page_stream_put(&w->sums, w->out, w->record.data, w->record.len, err);
    return rc < 0 ? rc : entry_coder_advance(&w->coder, e, err);
}

int run_writer_add(struct run_writer *w, const struct entry *e, struct err *err)
{
    if (w->head.files >= FILES_MAX)
        return err_set(err, EOVERFLOW, "index: more than %zu files", FILES_MAX);
    if (w->head.bytes > UINT64_MAX - e->size)
        return err_set(err, EOVERFLOW, "index: sizes add up to more than 64 bits");
    ptrdiff_t slash = slice_rfind(e->path, '/');
    struct slice dir = {e->path.p, slash < 0 ? 0 : (size_t)slash};
    bool new_dir = !slice_eq(dir, buf_slice(&w->dir_path));
    int rc = new_dir ? change_dir(w, dir, err) : 0;
    if (rc == 0)
        rc = append_file(w, e, new_dir, err);
    if (rc < 0)
        return err_wrap(err, "%.*s", SLICE_FMT(e->path));
    struct open_dir *top = &w->stack.at[w->stack.n - 1];
    if (top->files++ == 0)
        top->first_file = w->head.files;
    top->subtree_files++;
    w->head.files++;
    w->head.bytes += e->size;
    return 0;
}

int run_writer_add_key(struct run_writer *w, const struct run_key *key, struct err *err)
{
    assert(w->head.files > 0);
    struct run_key k = *key;
    k.ordinal |= w->head.files - 1;
    return sorter_add(w->keys, slice_make(&k, sizeof k), err);
}

/* The end ------------------------------------------------------------------------------------- */

static int put_levels(struct run_writer *w, struct err *err)
{
    uint32_t start = 0;
    int rc = vec_push(&w->level_starts, start);
    for (size_t i = 0; rc == 0 && i < w->levels.n && w->levels.at[i]; i++) {
        start += w->levels.at[i];
        rc = vec_push(&w->level_starts, start);
    }
    if (rc < 0)
        return push_failed(rc, err);
    return put_section(w, RUN_LEVELS, w->level_starts.at,
                       w->level_starts.n * sizeof *w->level_starts.at, err);
}

/* Finds the base's directory of the same path and notes the pair. */
static int note_twin(struct run_writer *w, struct run *base, uint32_t parent, struct slice name,
                     struct err *err)
{
    uint32_t dir = (uint32_t)w->base_dirs.n;
    uint32_t twin = dir == 0 ? 0 : w->base_dirs.at[parent];
    if (dir && twin != RUN_NONE) {
        int rc = run_find_dir(base, twin, name, &twin, NULL);
        if (rc == -ENOENT)
            twin = RUN_NONE;
        else if (rc < 0)
            return err_set(err, -rc, "the base is damaged");
    }
    int rc = vec_push(&w->base_dirs, twin);
    if (rc == 0 && twin != RUN_NONE)
        rc = vec_push(&w->twins, ((struct run_pair){twin, dir}));
    return rc < 0 ? push_failed(rc, err) : 0;
}

static int put_dir(struct run_writer *w, struct slice record, struct run *base, struct err *err)
{
    struct closed_dir d;
    memcpy(&d, record.p, sizeof d);
    struct slice name = slice_from(record, sizeof d);
    const uint32_t *starts = w->level_starts.at;
    struct run_dir_record out = {
        .name = w->names->bytes << 8 | name.n,
        .parent = d.depth ? starts[d.depth - 1] + d.parent_index : 0,
        .first_dir = d.dirs ? starts[d.depth + 1] + d.first_child : 0,
        .dirs = d.dirs,
        .first_file = d.first_file,
        .files = d.files,
        .subtree_files = d.subtree_files,
    };
    int rc = page_stream_put(&w->sums, w->out, &out, sizeof out, err);
    if (rc == 0)
        rc = page_stream_put(&w->sums, w->names, name.p, name.n, err);
    if (rc == 0 && base)
        rc = note_twin(w, base, out.parent, name, err);
    return rc;
}

static int put_dirs(struct run_writer *w, struct run *base, struct err *err)
{
    uint64_t bytes = w->head.dirs * (uint64_t)sizeof(struct run_dir_record);
    page_stream_begin(w->out, w->next_page);
    page_stream_begin(w->names, w->next_page + (bytes + RUN_PAGE_BYTES - 1) / RUN_PAGE_BYTES);
    int rc = sorter_finish(w->dirs, err);
    struct slice record;
    while (rc == 0 && (rc = sorter_next(w->dirs, &record, err)) == 1)
        rc = put_dir(w, record, base, err);
    if (rc == 0)
        rc = stream_end(w, w->out, RUN_DIRS, err);
    return rc < 0 ? rc : stream_end(w, w->names, RUN_NAMES, err);
}

static int put_keys(struct run_writer *w, struct err *err)
{
    page_stream_begin(w->out, w->next_page);
    int rc = sorter_finish(w->keys, err);
    struct slice record;
    while (rc == 0 && (rc = sorter_next(w->keys, &record, err)) == 1)
        rc = page_stream_put(&w->sums, w->out, record.p, record.n, err);
    return rc < 0 ? rc : stream_end(w, w->out, RUN_KEYS, err);
}

static int put_removed(struct run_writer *w, const struct run_removals *removals, struct err *err)
{
    uint32_t files = removals ? run_files(removals->base) : 0;
    page_stream_begin(w->out, w->next_page);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < files; i++) {
        if (i % 64 == 0 && removals->files[i / 64] == 0)
            i += 63;
        else if (removals->files[i / 64] >> i % 64 & 1)
            rc = page_stream_put(&w->sums, w->out, &i, sizeof i, err);
    }
    if (rc == 0)
        rc = stream_end(w, w->out, RUN_REMOVED, err);
    page_stream_begin(w->out, w->next_page);
    uint32_t dirs = removals ? run_dirs(removals->base) : 0;
    for (uint32_t i = 0; rc == 0 && i < dirs; i++) {
        struct run_pair pair = {i, removals->below[i]};
        if (pair.value)
            rc = page_stream_put(&w->sums, w->out, &pair, sizeof pair, err);
    }
    if (rc == 0)
        rc = stream_end(w, w->out, RUN_COUNTS, err);
    return rc < 0 ? rc
                  : put_section(w, RUN_TWINS, w->twins.at, w->twins.n * sizeof *w->twins.at, err);
}

static int put_header(struct run_writer *w, struct err *err)
{
    struct run_header *h = &w->head;
    uint64_t pages = w->next_page;
    if (pages > w->sums.capacity) /* at least the levels were written */
        return err_set(err, EIO, "index: %llu pages were not written", (unsigned long long)pages);
    const struct run_section *blocks = &h->sections[RUN_BLOCKS];
    uint64_t block_pages = (blocks->bytes + RUN_PAGE_BYTES - 1) / RUN_PAGE_BYTES;
    h->identity =
        hash64(h->files, slice_make(w->sums.at + blocks->page, block_pages * sizeof *w->sums.at));
    w->sums.at[0] = 0;
    h->sums_crc = crc32c(0, w->sums.at, pages * sizeof *w->sums.at);
    h->sections[RUN_SUMS] = (struct run_section){pages, pages * sizeof *w->sums.at};
    h->file_bytes = pages * RUN_PAGE_BYTES + pages * sizeof *w->sums.at;
    memcpy(h->magic, RUN_MAGIC, sizeof h->magic);
    h->format = RUN_FORMAT;
    int rc = file_pwrite_full(w->sums.fd, w->sums.at, pages * sizeof *w->sums.at,
                              (off_t)(pages * RUN_PAGE_BYTES), err);
    uint8_t page[RUN_PAGE_BYTES] = {0};
    memcpy(page, h, sizeof *h);
    h->crc = crc32c(0, page, sizeof page);
    memcpy(page, h, sizeof *h);
    return rc < 0 ? rc : file_pwrite_full(w->sums.fd, page, sizeof page, 0, err);
}

int run_writer_finish(struct run_writer *w, struct slice meta, const struct run_removals *removals,
                      struct err *err)
{
    if (meta.n > RUN_META_BYTES_MAX)
        return err_set(err, EOVERFLOW, "index: %zu bytes of metadata", meta.n);
    int rc = 0;
    while (rc == 0 && w->stack.n)
        rc = close_dir(w, err);
    if (rc == 0)
        rc = begin_block(w, err); /* the last mark */
    if (rc == 0)
        rc = stream_end(w, w->out, RUN_BLOCKS, err);
    if (rc == 0)
        rc = put_section(w, RUN_INDEX, w->index.at, w->index.n * sizeof *w->index.at, err);
    if (rc == 0)
        rc = put_levels(w, err);
    if (rc == 0)
        rc = put_dirs(w, removals ? removals->base : NULL, err);
    if (rc == 0)
        rc = put_keys(w, err);
    if (rc == 0)
        rc = put_removed(w, removals, err);
    if (rc == 0)
        rc = put_section(w, RUN_META, meta.p, meta.n, err);
    w->head.base_identity = removals ? run_identity(removals->base) : 0;
    w->head.removed_bytes = removals ? removals->bytes : 0;
    if (rc == 0)
        rc = put_header(w, err);
    if (rc == 0 && fsync(w->sums.fd) < 0)
        rc = err_set(err, errno, "fsync: %s", strerror(errno));
    return rc < 0 ? err_wrap(err, "%s", w->name) : 0;
}

const char *run_writer_aside(const struct run_writer *w)
{
    return w->aside;
}

int run_writer_publish(struct run_writer *w, struct err *err)
{
    if (renameat(w->dirfd, w->aside, w->dirfd, w->name) < 0)
        return err_set(err, errno, "%s: rename: %s", w->name, strerror(errno));
    w->published = true; /* a name that a crash takes back costs making the run again */
    return 0;
}
