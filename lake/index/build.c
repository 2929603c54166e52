/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sorts: by (hash of the key, key, seq descending), of which the first of each key counts; then
 * the live ones by path, which resolve.c tells apart and writes. Sorting by the hash is as good as
 * by the key and compares eight bytes.
 */
#include "lake/index/build.h"

#include <assert.h>

#include "base/hash.h"
#include "base/limits.h"
#include "lake/index/file_record.h"
#include "lake/index/resolve.h"

/* What an action may say of its file; the rest is found here. */
#define ENTRY_GIVEN (ENTRY_BUILT | ENTRY_AS_STORED | ENTRY_DELETES)
/* Beside ENTRY_* in an action's flags. */
#define ACTION_RAW_IS_PATH (1U << 8)
#define ACTION_KEY_IS_PATH (1U << 9)
#define ACTION_KEY_IS_RAW (1U << 10)
#define ACTION_REMOVED (1U << 11)
#define ACTION_EVIDENCE (1U << 12)

/* An action as a record; key, path, raw (those that no flag spares) and extra follow. */
struct action_head {
    uint64_t hash, seq, size;
    int64_t mtime_ms, version;
    uint32_t flags;
    uint32_t key_bytes, path_bytes, raw_bytes, extra_bytes, zero;
};
_Static_assert(sizeof(struct action_head) == 64, "action_head has no holes");

struct action {
    struct action_head head;
    struct slice key, path, raw, extra;
};

struct index_build {
    int dirfd;
    struct sorter *actions;
    index_judge *judge; /* NULL: nobody */
    void *judge_arg;
    struct buf record, order, last_key;
};

static struct slice take(const char **at, uint32_t n)
{
    struct slice s = slice_make(*at, n);
    *at += n;
    return s;
}

static struct action parse(struct slice record)
{
    struct action a;
    memcpy(&a.head, record.p, sizeof a.head);
    const char *at = record.p + sizeof a.head;
    struct slice key = take(&at, a.head.key_bytes);
    a.path = take(&at, a.head.path_bytes);
    struct slice raw = take(&at, a.head.raw_bytes);
    a.extra = take(&at, a.head.extra_bytes);
    a.raw = a.head.flags & ACTION_RAW_IS_PATH ? a.path : raw;
    a.key = a.head.flags & ACTION_KEY_IS_PATH  ? a.path
            : a.head.flags & ACTION_KEY_IS_RAW ? a.raw
                                               : key;
    return a;
}

static int compare_actions(struct slice a, struct slice b)
{
    uint64_t x, y; /* the hash stands first */
    memcpy(&x, a.p, sizeof x);
    memcpy(&y, b.p, sizeof y);
    if (x != y)
        return x < y ? -1 : 1;
    struct action p = parse(a), q = parse(b);
    int c = slice_cmp(p.key, q.key);
    if (c)
        return c;
    if (p.head.seq != q.head.seq)
        return p.head.seq > q.head.seq ? -1 : 1;
    return slice_cmp(a, b);
}

/* The hash decides but for one pair in millions. */
static bool action_bytes(struct slice record, size_t at, uint64_t *out)
{
    if (at == 0)
        memcpy(out, record.p, sizeof *out);
    return at == 0;
}

struct index_build *index_build_new(int dirfd, struct err *err)
{
    struct index_build *b = calloc(1, sizeof *b);
    if (!b) {
        (void)err_set(err, ENOMEM, "index: out of memory");
        return NULL;
    }
    b->dirfd = dirfd;
    buf_init(&b->record, sizeof(struct action_head) + 4 * RUN_TEXT_BYTES_MAX);
    buf_init(&b->order, 2 * RUN_PATH_BYTES_MAX);
    buf_init(&b->last_key, RUN_TEXT_BYTES_MAX);
    b->actions = sorter_new(dirfd, SORT_BYTES_MAX, compare_actions, err);
    if (!b->actions) {
        index_build_free(b);
        return NULL;
    }
    sorter_by_bytes(b->actions, action_bytes);
    return b;
}

void index_build_free(struct index_build *b)
{
    if (!b)
        return;
    sorter_free(b->actions);
    buf_done(&b->record);
    buf_done(&b->order);
    buf_done(&b->last_key);
    free(b);
}

int index_build_add(struct index_build *b, const struct index_action *action, struct err *err)
{
    const struct entry none = {.size = 0}, *e = action->removed ? &none : &action->entry;
    struct slice key = action->key;
    assert(key.n > 0);
    if (key.n > RUN_TEXT_BYTES_MAX || e->path.n > RUN_TEXT_BYTES_MAX ||
        e->raw.n > RUN_TEXT_BYTES_MAX || e->extra.n > RUN_TEXT_BYTES_MAX)
        return err_set(err, EIO, "a file's action has texts of over %zu bytes: %.*s",
                       RUN_TEXT_BYTES_MAX, SLICE_FMT(key));
    bool live = !action->removed;
    bool raw_is_path = live && slice_eq(e->raw, e->path);
    bool key_is_path = live && slice_eq(key, e->path);
    bool key_is_raw = live && !key_is_path && slice_eq(key, e->raw);
    struct action_head head = {
        .hash = hash64(0, key),
        .seq = action->seq,
        .size = e->size,
        .mtime_ms = e->mtime_ms,
        .version = e->version,
        .flags = (e->flags & ENTRY_GIVEN) | (raw_is_path ? ACTION_RAW_IS_PATH : 0) |
                 (key_is_path ? ACTION_KEY_IS_PATH : 0) | (key_is_raw ? ACTION_KEY_IS_RAW : 0) |
                 (live ? 0 : ACTION_REMOVED) | (action->evidence ? ACTION_EVIDENCE : 0),
        .key_bytes = key_is_path || key_is_raw ? 0 : (uint32_t)key.n,
        .path_bytes = (uint32_t)e->path.n,
        .raw_bytes = raw_is_path ? 0 : (uint32_t)e->raw.n,
        .extra_bytes = (uint32_t)e->extra.n,
    };
    buf_reset(&b->record);
    buf_add(&b->record, &head, sizeof head);
    buf_add(&b->record, key.p, head.key_bytes);
    buf_add_slice(&b->record, e->path);
    buf_add(&b->record, e->raw.p, head.raw_bytes);
    buf_add_slice(&b->record, e->extra);
    int rc = buf_check(&b->record, err);
    return rc < 0 ? rc : sorter_add(b->actions, buf_slice(&b->record), err);
}

void index_build_judge(struct index_build *b, index_judge *judge, void *arg)
{
    b->judge = judge;
    b->judge_arg = arg;
}

static int check_path(struct slice path, struct err *err)
{
    if (path.n == 0 || path.n > RUN_PATH_BYTES_MAX || memchr(path.p, '\0', path.n))
        return err_set(err, EIO, "a file has a path of %zu bytes, or with a zero in it: %.*s",
                       path.n, SLICE_FMT(path));
    for (struct slice rest = path;;) {
        ptrdiff_t slash = slice_find(rest, '/');
        struct slice name = {rest.p, slash < 0 ? rest.n : (size_t)slash};
        if (name.n == 0 || name.n > NAME_BYTES_MAX || slice_is(name, ".") || slice_is(name, ".."))
            return err_set(err, EIO, "a file's path has an impossible component: %.*s",
                           SLICE_FMT(path));
        if (slash < 0)
            return 0;
        rest = slice_from(rest, name.n + 1);
    }
}

static int add_live(struct index_build *b, const struct action *a, struct sorter *files,
                    struct err *err)
{
    int rc = check_path(a->path, err);
    if (rc < 0)
        return rc;
    file_order_of_path(&b->order, a->path);
    bool raw_is_path = a->head.flags & ACTION_RAW_IS_PATH;
    struct file_record f = {
        .head = {.hash = a->head.hash,
                 .size = a->head.size,
                 .mtime_ms = a->head.mtime_ms,
                 .version = a->head.version,
                 .check = (uint32_t)hash64(RUN_CHECK_SEED, a->key),
                 .flags = (a->head.flags & ENTRY_GIVEN) | (raw_is_path ? FILE_RAW_IS_PATH : 0)},
        .order = buf_slice(&b->order),
        .raw = raw_is_path ? SLICE_NONE : a->raw,
        .extra = a->extra,
    };
    rc = buf_check(&b->order, err);
    if (rc < 0)
        return rc;
    file_record_format(&b->record, &f);
    rc = buf_check(&b->record, err);
    return rc < 0 ? rc : sorter_add(files, buf_slice(&b->record), err);
}

/* What was seen of one key so far. */
struct seen {
    bool decided;  /* its newest action was met */
    bool evidence; /* likewise of evidence */
    bool known;    /* which says since when it is there */
    int64_t version;
    uint32_t flags;
};

/* The judge has the last word on a file. */
static void judge(const struct index_build *b, struct action *a)
{
    struct entry e = {.path = a->path,
                      .raw = a->raw,
                      .extra = a->extra,
                      .size = a->head.size,
                      .mtime_ms = a->head.mtime_ms,
                      .version = a->head.version,
                      .flags = a->head.flags & ENTRY_GIVEN};
    if (b->judge)
        b->judge(b->judge_arg, &e);
    a->head.mtime_ms = e.mtime_ms;
    a->head.flags = (a->head.flags & ~ENTRY_GIVEN) | (e.flags & ENTRY_GIVEN);
}

/* One action, the newest of its key first. */
static int take_action(struct index_build *b, struct action *a, struct seen *seen,
                       struct sorter *files, struct patch *patch, struct err *err)
{
    bool removed = a->head.flags & ACTION_REMOVED;
    if (a->head.flags & ACTION_EVIDENCE) {
        if (!seen->evidence) {
            seen->known = !removed;
            seen->version = a->head.version;
            seen->flags = a->head.flags & ENTRY_GIVEN;
        }
        seen->evidence = true;
        return 0;
    }
    seen->decided = true;
    int rc = patch ? patch_take_out(patch, a->key, err) : 0;
    if (rc < 0 || removed)
        return rc;
    if (seen->known) {
        a->head.version = seen->version;
        a->head.flags |= seen->flags;
    }
    judge(b, a);
    return add_live(b, a, files, err);
}

/* The newest action of each key: live ones go to `files`, and what the base had of it is gone. */
static int reconcile(struct index_build *b, struct sorter *files, struct patch *patch,
                     struct err *err)
{
    struct slice record;
    struct seen seen = {.decided = false};
    bool any = false;
    int rc = sorter_finish(b->actions, err);
    while (rc == 0 && (rc = sorter_next(b->actions, &record, err)) == 1) {
        struct action a = parse(record);
        rc = 0;
        if (!any || !slice_eq(a.key, buf_slice(&b->last_key))) {
            any = true;
            seen = (struct seen){.decided = false};
            buf_reset(&b->last_key);
            buf_add_slice(&b->last_key, a.key);
            rc = buf_check(&b->last_key, err);
        }
        if (rc == 0 && !seen.decided)
            rc = take_action(b, &a, &seen, files, patch, err);
    }
    sorter_free(STEAL(b->actions)); /* its memory and its file */
    return rc < 0 ? rc : sorter_finish(files, err);
}

/* The run is read once before it gets its name: what it says must hold together. */
static int check_run(struct index_build *b, const struct run_writer *w, struct run *base,
                     struct err *err)
{
    AUTO(run) struct run *r = NULL;
    int rc = run_open(b->dirfd, run_writer_aside(w), &r, err);
    if (rc == 0)
        rc = resolve_check_names(r, base != NULL, err);
    if (rc == 0 && base && run_dirs(r) > FILES_MAX - run_dirs(base))
        rc = err_set(err, EAGAIN, "base and patch have more than %zu directories", FILES_MAX);
    return rc;
}

static int build(struct index_build *b, struct patch *patch, const char *name, struct slice meta,
                 struct err *err)
{
    assert(b->actions); /* built once */
    AUTO(sorter)
    struct sorter *files = sorter_new(b->dirfd, SORT_BYTES_MAX, file_record_compare, err);
    if (!files)
        return -ENOMEM;
    sorter_by_bytes(files, file_record_bytes);
    int rc = reconcile(b, files, patch, err);
    if (rc == 0 && patch)
        rc = patch_count(patch, err);
    if (rc < 0)
        return rc;
    AUTO(run_writer) struct run_writer *w = run_writer_new(b->dirfd, name, err);
    if (!w)
        return err ? -err->code : -EIO;
    rc = resolve_files(files, patch, b->dirfd, w, err);
    if (rc == 0)
        rc = run_writer_finish(w, meta, patch ? &patch->removals : NULL, err);
    if (rc == 0)
        rc = check_run(b, w, patch ? patch->removals.base : NULL, err);
    return rc < 0 ? rc : run_writer_publish(w, err);
}

int index_build_base(struct index_build *b, const char *name, struct slice meta, struct err *err)
{
    return build(b, NULL, name, meta, err);
}

int index_build_patch(struct index_build *b, struct run *base, const char *name, struct slice meta,
                      struct err *err)
{
    AUTO(patch) struct patch patch;
    int rc = patch_init(&patch, base, err);
    return rc < 0 ? rc : build(b, &patch, name, meta, err);
}
