/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files go to a sort by path as they come, each with a number. Which of them count is found beside
 * that, from a sort of their keys' hashes alone, which is small: of each key the action with the
 * greatest seq. Then the files are read in order, and those that do not count are left out.
 *
 *   index_build_add ─► keys:  hash, seq, check, number ─► verdicts: a bit a file ─┐
 *                 └──► files: order of the path, ...   ───────────────────────────┴─► resolve.c
 *
 * A key is its two hashes, of 96 bits together, as in the runs themselves.
 */
#include "lake/index/build.h"

#include <assert.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/vec.h"
#include "lake/index/file_record.h"
#include "lake/index/resolve.h"

/* What an action may say of its file; the rest is found here. */
#define ENTRY_GIVEN (ENTRY_BUILT | ENTRY_AS_STORED | ENTRY_DELETES)

/* In place of a file's number: actions that bring none. */
#define KEY_REMOVED UINT32_MAX
#define KEY_EVIDENCE (UINT32_MAX - 1) /* a struct since follows */
#define KEY_EVIDENCE_REMOVED (UINT32_MAX - 2)
#define FILE_NUMBERS KEY_EVIDENCE_REMOVED

/* One action, for the sort by keys. */
struct key_record {
    uint64_t hash, seq;
    uint32_t check;
    uint32_t file; /* its number, or KEY_* */
};
_Static_assert(sizeof(struct key_record) == 24, "key_record has no holes");

/* What evidence says of a file. */
struct since {
    int64_t version;
    uint32_t flags;
    uint32_t file; /* known after the sort */
};
_Static_assert(sizeof(struct since) == 16, "since has no holes");

struct index_build {
    int dirfd;
    struct sorter *keys, *files;
    uint32_t count;     /* of the files in `files` */
    index_judge *judge; /* NULL: nobody */
    void *judge_arg;
    struct buf record, order;

    /* Verdicts, by files' numbers. */
    uint64_t *live;
    VEC(struct since) sinces; /* in order */
};

static struct key_record key_of(struct slice record)
{
    struct key_record k;
    memcpy(&k, record.p, sizeof k);
    return k;
}

/* Of one key the newest action first. */
static int compare_keys(struct slice a, struct slice b)
{
    struct key_record x = key_of(a), y = key_of(b);
    if (x.hash != y.hash)
        return x.hash < y.hash ? -1 : 1;
    if (x.check != y.check)
        return x.check < y.check ? -1 : 1;
    if (x.seq != y.seq)
        return x.seq > y.seq ? -1 : 1;
    return slice_cmp(a, b);
}

/* For sorter_by_bytes: the hash decides but for one pair in millions. */
static bool key_bytes(struct slice record, size_t at, uint64_t *out)
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
    b->sinces.max = FILES_MAX;
    buf_init(&b->record, sizeof(struct file_head) + 4 * RUN_TEXT_BYTES_MAX);
    buf_init(&b->order, 2 * RUN_PATH_BYTES_MAX);
    b->keys = sorter_new(dirfd, SORT_BYTES_MAX, compare_keys, err);
    b->files = b->keys ? sorter_new(dirfd, SORT_BYTES_MAX, file_record_compare, err) : NULL;
    if (!b->files) {
        index_build_free(b);
        return NULL;
    }
    sorter_by_bytes(b->keys, key_bytes);
    sorter_by_bytes(b->files, file_record_bytes);
    return b;
}

void index_build_free(struct index_build *b)
{
    if (!b)
        return;
    sorter_free(b->keys);
    sorter_free(b->files);
    buf_done(&b->record);
    buf_done(&b->order);
    free(b->live);
    vec_done(&b->sinces);
    free(b);
}

void index_build_judge(struct index_build *b, index_judge *judge, void *arg)
{
    b->judge = judge;
    b->judge_arg = arg;
}

/* Adding -------------------------------------------------------------------------------------- */

static int check_path(struct slice path, struct err *err)
{
    if (path.n == 0 || path.n > RUN_PATH_BYTES_MAX || memchr(path.p, '\0', path.n))
        return err_set(err, EIO, "a file has a path of %zu bytes, or with a zero in it: %.*s",
                       path.n, SLICE_FMT(path));
    for (struct slice rest = path;;) {
        ptrdiff_t slash = slice_find(rest, '/');
        struct slice name = {rest.p, slash < 0 ? rest.n : (size_t)slash};
        if (name.n > NAME_BYTES_MAX)
            return err_set(
                err, EOPNOTSUPP,
                "a name of %zu bytes in a file's path, at most %d have a place: %.60s...", name.n,
                NAME_BYTES_MAX, name.p);
        if (name.n == 0 || slice_is(name, ".") || slice_is(name, ".."))
            return err_set(err, EIO, "a file's path has an impossible component: %.*s",
                           SLICE_FMT(path));
        if (slash < 0)
            return 0;
        rest = slice_from(rest, name.n + 1);
    }
}

/*
 * The file of an action that puts one there. One with an impossible path may be gone by the end, so
 * it is refused then: what stands in the place of its raw name is the path.
 */
static int add_file(struct index_build *b, const struct entry *e, const struct key_record *key,
                    struct err *err)
{
    bool bad = check_path(e->path, NULL) < 0, raw_is_path = !bad && slice_eq(e->raw, e->path);
    struct file_record f = {
        .head = {.hash = key->hash,
                 .size = e->size,
                 .mtime_ms = e->mtime_ms,
                 .version = e->version,
                 .check = key->check,
                 .file = key->file,
                 .flags = (e->flags & ENTRY_GIVEN) | (raw_is_path ? FILE_RAW_IS_PATH : 0) |
                          (bad ? FILE_BAD : 0)},
        .raw = bad           ? e->path
               : raw_is_path ? SLICE_NONE
                             : e->raw,
        .extra = e->extra,
    };
    file_order_of_path(&b->order, bad ? SLICE_NONE : e->path);
    int rc = buf_check(&b->order, err);
    if (rc < 0)
        return rc;
    f.order = buf_slice(&b->order);
    file_record_format(&b->record, &f);
    rc = buf_check(&b->record, err);
    return rc < 0 ? rc : sorter_add(b->files, buf_slice(&b->record), err);
}

int index_build_add(struct index_build *b, const struct index_action *action, struct err *err)
{
    const struct entry *e = &action->entry;
    struct slice key = action->key;
    bool file = !action->removed && !action->evidence;
    assert(key.n > 0);
    if (key.n > RUN_TEXT_BYTES_MAX ||
        (file && (e->path.n > RUN_TEXT_BYTES_MAX || e->raw.n > RUN_TEXT_BYTES_MAX ||
                  e->extra.n > RUN_TEXT_BYTES_MAX)))
        return err_set(err, EIO, "a file's action has texts of over %zu bytes: %.*s",
                       RUN_TEXT_BYTES_MAX, SLICE_FMT(key));
    if (file && b->count == FILE_NUMBERS)
        return err_set(err, EOVERFLOW, "index: more than %u files were added", FILE_NUMBERS);
    struct key_record k = {.hash = hash64(0, key),
                           .seq = action->seq,
                           .check = (uint32_t)hash64(RUN_CHECK_SEED, key),
                           .file = file                ? b->count
                                   : !action->evidence ? KEY_REMOVED
                                   : action->removed   ? KEY_EVIDENCE_REMOVED
                                                       : KEY_EVIDENCE};
    struct since since = {e->version, e->flags & ENTRY_GIVEN, 0};
    buf_reset(&b->record);
    buf_add(&b->record, &k, sizeof k);
    if (k.file == KEY_EVIDENCE)
        buf_add(&b->record, &since, sizeof since);
    int rc = buf_check(&b->record, err);
    if (rc == 0)
        rc = sorter_add(b->keys, buf_slice(&b->record), err);
    if (rc == 0 && file)
        rc = add_file(b, e, &k, err);
    b->count += file;
    return rc;
}

/* Reconciling --------------------------------------------------------------------------------- */

/* What was seen of one key so far. */
struct seen {
    struct key_record key;
    bool decided;  /* its newest action was met */
    bool evidence; /* likewise of evidence */
    bool known;    /* which says since when it is there */
    struct since since;
};

/* One action, the newest of its key first. */
static int take_action(struct index_build *b, struct slice record, struct seen *seen,
                       struct patch *patch, struct err *err)
{
    struct key_record k = key_of(record);
    if (k.file == KEY_EVIDENCE || k.file == KEY_EVIDENCE_REMOVED) {
        if (!seen->evidence && k.file == KEY_EVIDENCE)
            memcpy(&seen->since, record.p + sizeof k, sizeof seen->since);
        seen->known = seen->evidence ? seen->known : k.file == KEY_EVIDENCE;
        seen->evidence = true;
        return 0;
    }
    seen->decided = true;
    int rc = patch ? patch_take_out(patch, k.hash, k.check, err) : 0;
    if (rc < 0 || k.file == KEY_REMOVED)
        return rc;
    b->live[k.file / 64] |= (uint64_t)1 << k.file % 64;
    if (!seen->known)
        return 0;
    seen->since.file = k.file;
    rc = vec_push(&b->sinces, seen->since);
    return rc < 0 ? err_set(err, -rc, "index: no room for what is known of files") : 0;
}

static int by_file(const void *a, const void *b)
{
    const struct since *x = a, *y = b;
    return (x->file > y->file) - (x->file < y->file);
}

/* The newest action of each key decides: live files are marked, and what the base had is gone. */
static int reconcile(struct index_build *b, struct patch *patch, struct err *err)
{
    struct slice record;
    struct seen seen = {.decided = false};
    bool any = false;
    b->live = calloc(b->count / 64 + 1, sizeof *b->live);
    int rc = b->live ? 0 : err_set(err, ENOMEM, "index: out of memory");
    if (rc == 0) {
        sorter_end(b->files); /* beside the keys */
        rc = sorter_finish(b->keys, err);
    }
    while (rc == 0 && (rc = sorter_next(b->keys, &record, err)) == 1) {
        struct key_record k = key_of(record);
        rc = 0;
        if (!any || k.hash != seen.key.hash || k.check != seen.key.check)
            seen = (struct seen){.key = k};
        any = true;
        if (!seen.decided)
            rc = take_action(b, record, &seen, patch, err);
    }
    sorter_free(STEAL(b->keys)); /* its memory and its file */
    if (b->sinces.n)
        qsort(b->sinces.at, b->sinces.n, sizeof b->sinces.at[0], by_file);
    return rc < 0 ? rc : sorter_finish(b->files, err);
}

/* What evidence and the judge say of a file that is left. */
static void judge(const struct index_build *b, struct file_head *head, struct slice extra)
{
    struct since wanted = {.file = head->file};
    const struct since *since =
        b->sinces.n ? bsearch(&wanted, b->sinces.at, b->sinces.n, sizeof wanted, by_file) : NULL;
    if (since) {
        head->version = since->version;
        head->flags |= since->flags;
    }
    struct entry e = {.extra = extra,
                      .size = head->size,
                      .mtime_ms = head->mtime_ms,
                      .version = head->version,
                      .flags = head->flags & ENTRY_GIVEN};
    if (b->judge)
        b->judge(b->judge_arg, &e);
    head->mtime_ms = e.mtime_ms;
    head->flags = (head->flags & ~ENTRY_GIVEN) | (e.flags & ENTRY_GIVEN);
}

/* The next file that counts, in order: a struct resolve_source's. */
static int next_live(void *arg, struct file_record *out, struct err *err)
{
    struct index_build *b = arg;
    struct slice record;
    int rc;
    while ((rc = sorter_next(b->files, &record, err)) == 1) {
        struct file_record f = file_record_parse(record);
        if (!(b->live[f.head.file / 64] >> f.head.file % 64 & 1))
            continue;
        if (f.head.flags & FILE_BAD)
            return check_path(f.raw, err);
        judge(b, &f.head, f.extra);
        *out = f;
        return 1;
    }
    return rc;
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
    assert(b->keys); /* built once */
    struct resolve_source source = {next_live, b};
    int rc = reconcile(b, patch, err);
    if (rc == 0 && patch)
        rc = patch_count(patch, err);
    if (rc < 0)
        return rc;
    AUTO(run_writer) struct run_writer *w = run_writer_new(b->dirfd, name, err);
    if (!w)
        return err ? -err->code : -EIO;
    rc = resolve_files(&source, patch, b->dirfd, w, err);
    sorter_free(STEAL(b->files)); /* before the run is mapped */
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
