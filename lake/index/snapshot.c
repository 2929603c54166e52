/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/index/snapshot.h"

#include <stdatomic.h>

#include "base/limits.h"
#include "base/text.h"

/*
 * A cookie is the place behind an entry in the merge of base and patch, in both of them:
 *
 *   bit 58: 0 among the directories, 1 among the files
 *   bits 29..57: place in the base's directory; bits 0..28: in the patch's
 */
#define PLACE_BITS 29
#define PLACE_MASK (((uint64_t)1 << PLACE_BITS) - 1)
#define COOKIE_FILES ((uint64_t)1 << 2 * PLACE_BITS)
_Static_assert(FILES_MAX <= PLACE_MASK, "a place in a directory fits in a cookie");

/* Immutable but for refs. */
struct snapshot {
    _Atomic unsigned refs;
    struct run *base, *patch;
};

/* A directory in both runs; RUN_NONE where one has none, and then its run_dir is empty. */
struct both {
    uint32_t base, patch;
    struct run_dir in_base, in_patch;
};

struct snapshot *snapshot_new(struct run *base, struct run *patch, struct err *err)
{
    struct snapshot *s = NULL;
    if (patch && (!run_stands_on(patch, base) || run_removed_files(patch) > run_files(base) ||
                  run_removed_bytes(patch) > run_bytes(base)))
        (void)err_set(err, EUCLEAN, "the patch is not one of this base");
    else if (!(s = calloc(1, sizeof *s)))
        (void)err_set(err, ENOMEM, "out of memory");
    if (!s) {
        run_unref(base);
        run_unref(patch);
        return NULL;
    }
    *s = (struct snapshot){.base = base, .patch = patch};
    atomic_init(&s->refs, 1);
    return s;
}

int snapshot_take(struct run **base, struct run **patch, struct snapshot **out, struct err *err)
{
    struct snapshot *s = snapshot_new(STEAL(*base), patch ? STEAL(*patch) : NULL, err);
    if (!s)
        return -err->code;
    *out = s;
    return 0;
}

void snapshot_unref(struct snapshot *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    run_unref(s->base);
    run_unref(s->patch);
    free(s);
}

struct run *snapshot_base(const struct snapshot *s)
{
    return s->base;
}

struct run *snapshot_patch(const struct snapshot *s)
{
    return s->patch;
}

struct slice snapshot_meta(const struct snapshot *s)
{
    return run_meta(s->patch ? s->patch : s->base);
}

uint64_t snapshot_files(const struct snapshot *s)
{
    uint64_t n = run_files(s->base);
    return s->patch ? n - run_removed_files(s->patch) + run_files(s->patch) : n;
}

uint64_t snapshot_bytes(const struct snapshot *s)
{
    uint64_t n = run_bytes(s->base);
    return s->patch ? n - run_removed_bytes(s->patch) + run_bytes(s->patch) : n;
}

static int load_both(const struct snapshot *s, uint32_t dir, struct both *out, struct err *err)
{
    struct both b = {.base = RUN_NONE, .patch = RUN_NONE};
    uint32_t base_dirs = run_dirs(s->base);
    int rc = 0;
    if (dir < base_dirs) {
        b.base = dir;
        b.patch = s->patch ? run_twin_in_patch(s->patch, dir) : RUN_NONE;
        rc = run_dir(s->base, dir, &b.in_base, err);
    } else if (s->patch) {
        b.patch = dir - base_dirs;
    } else {
        return err_set(err, ENOENT, "no directory %u", dir);
    }
    if (rc == 0 && b.patch != RUN_NONE)
        rc = run_dir(s->patch, b.patch, &b.in_patch, err);
    if (rc < 0)
        return rc;
    *out = b;
    return 0;
}

/* Files below a directory of the base that the patch left. */
static uint32_t left_below(const struct snapshot *s, uint32_t base_dir, uint32_t subtree_files)
{
    uint32_t gone = s->patch ? run_removed_below(s->patch, base_dir) : 0;
    return subtree_files > gone ? subtree_files - gone : 0;
}

static int find_file(const struct snapshot *s, const struct both *b, struct slice name,
                     struct snapshot_node *out, struct err *err)
{
    uint32_t ordinal = 0;
    int rc = -ENOENT;
    bool in_patch = b->patch != RUN_NONE;
    if (in_patch)
        rc = run_find_file(s->patch, b->patch, name, &ordinal, err);
    if (rc == -ENOENT && b->base != RUN_NONE) {
        in_patch = false;
        rc = run_find_file(s->base, b->base, name, &ordinal, err);
        if (rc == 0 && s->patch && run_removed(s->patch, ordinal))
            rc = -ENOENT;
    }
    if (rc == 0)
        *out = (struct snapshot_node){.in_patch = in_patch, .ordinal = ordinal};
    return rc;
}

static int find_dir(const struct snapshot *s, const struct both *b, struct slice name,
                    struct snapshot_node *out, struct err *err)
{
    uint32_t dir = 0;
    int rc = -ENOENT;
    if (b->base != RUN_NONE)
        rc = run_find_dir(s->base, b->base, name, &dir, err);
    if (rc == 0) {
        struct both sub;
        rc = load_both(s, dir, &sub, err);
        if (rc == 0 && left_below(s, dir, sub.in_base.subtree_files) == 0 &&
            sub.in_patch.subtree_files == 0)
            return -ENOENT;
    } else if (rc == -ENOENT && b->patch != RUN_NONE) {
        rc = run_find_dir(s->patch, b->patch, name, &dir, err);
        dir += run_dirs(s->base);
    }
    if (rc == 0)
        *out = (struct snapshot_node){.is_dir = true, .ordinal = dir};
    return rc;
}

int snapshot_find(const struct snapshot *s, uint32_t dir, struct slice name,
                  struct snapshot_node *out, struct err *err)
{
    struct both b;
    int rc = load_both(s, dir, &b, err);
    if (rc < 0)
        return rc;
    rc = find_dir(s, &b, name, out, err);
    if (rc == -ENOENT)
        rc = find_file(s, &b, name, out, err);
    return rc == -ENOENT ? err_set(err, ENOENT, "no file %.*s", SLICE_FMT(name)) : rc;
}

int snapshot_walk(const struct snapshot *s, struct slice path, struct snapshot_node *out,
                  struct err *err)
{
    struct snapshot_node node = {.is_dir = true, .ordinal = SNAPSHOT_ROOT};
    for (struct slice rest = path; rest.n;) {
        ptrdiff_t slash = slice_find(rest, '/');
        struct slice name = {rest.p, slash < 0 ? rest.n : (size_t)slash};
        rest = slice_from(rest, slash < 0 ? rest.n : name.n + 1);
        if (!node.is_dir)
            return err_set(err, ENOENT, "no file %.*s", SLICE_FMT(path));
        int rc = snapshot_find(s, node.ordinal, name, &node, err);
        if (rc < 0)
            return rc;
    }
    *out = node;
    return 0;
}

/* A directory's own name, too. */
static int parent_and_name(const struct snapshot *s, uint32_t dir, uint32_t *parent,
                           struct slice *name, struct err *err)
{
    struct both b;
    int rc = load_both(s, dir, &b, err);
    if (rc < 0)
        return rc;
    *name = b.base != RUN_NONE ? b.in_base.name : b.in_patch.name;
    *parent = b.in_base.parent;
    if (b.base != RUN_NONE)
        return 0;
    uint32_t twin = run_twin_in_base(s->patch, b.in_patch.parent);
    if (twin != RUN_NONE && twin >= run_dirs(s->base))
        return err_set(err, EUCLEAN, "the index is damaged: twin of directory %u", dir);
    *parent = twin != RUN_NONE ? twin : run_dirs(s->base) + b.in_patch.parent;
    return 0;
}

int snapshot_dir_path(const struct snapshot *s, uint32_t dir, struct buf *out, struct err *err)
{
    size_t total = 0;
    struct slice name;
    int rc;
    for (uint32_t d = dir, up; d != SNAPSHOT_ROOT; d = up) {
        rc = parent_and_name(s, d, &up, &name, err);
        if (rc < 0)
            return rc;
        total += name.n + (total ? 1 : 0);
        if (total > KEY_BYTES_MAX || up >= d)
            return err_set(err, EUCLEAN, "the index is damaged: path of directory %u", dir);
    }
    char *start = buf_reserve(out, total);
    if (!start)
        return buf_check(out, err);
    char *at = start + total;
    for (uint32_t d = dir, up; d != SNAPSHOT_ROOT; d = up) {
        rc = parent_and_name(s, d, &up, &name, err);
        if (rc < 0)
            return rc;
        if (at < start + total)
            *--at = '/';
        at -= name.n;
        memcpy(at, name.p, name.n);
    }
    out->len += total;
    start[total] = '\0';
    return 0;
}

int snapshot_file(const struct snapshot *s, const struct snapshot_node *file, struct buf *scratch,
                  struct entry *out, struct err *err)
{
    if (file->in_patch && !s->patch)
        return err_set(err, ENOENT, "no file %u in a patch", file->ordinal);
    return run_file(file->in_patch ? s->patch : s->base, file->ordinal, scratch, out, NULL, err);
}

/* Listing ------------------------------------------------------------------------------------- */

struct listing {
    const struct snapshot *s;
    struct both dir;
    uint32_t base_place, patch_place; /* of what comes next */
    snapshot_emit *emit;
    void *arg;
};

static uint64_t cookie_here(const struct listing *l, bool files)
{
    return (files ? COOKIE_FILES : 0) | (uint64_t)l->base_place << PLACE_BITS | l->patch_place;
}

/* One directory that comes next; *order tells which of the runs have it. */
static int next_dirs(const struct listing *l, struct run_dir *b, struct run_dir *p, int *order,
                     struct err *err)
{
    bool in_base = l->base_place < l->dir.in_base.dirs;
    bool in_patch = l->patch_place < l->dir.in_patch.dirs;
    int rc = 0;
    if (in_base)
        rc = run_dir(l->s->base, l->dir.in_base.first_dir + l->base_place, b, err);
    if (rc < 0)
        return rc;
    if (in_patch)
        rc = run_dir(l->s->patch, l->dir.in_patch.first_dir + l->patch_place, p, err);
    if (rc < 0)
        return rc;
    *order = !in_patch ? -1 : !in_base ? 1 : slice_cmp(b->name, p->name);
    return in_base || in_patch;
}

/* As snapshot_list; *end tells that there are no more directories. */
static int list_dirs(struct listing *l, bool *end, struct err *err)
{
    for (;;) {
        struct run_dir b, p;
        int order, rc = next_dirs(l, &b, &p, &order, err);
        *end = rc == 0;
        if (rc <= 0)
            return rc;
        struct snapshot_node node = {.is_dir = true};
        uint32_t files = 0;
        if (order <= 0) {
            node.ordinal = l->dir.in_base.first_dir + l->base_place++;
            files = left_below(l->s, node.ordinal, b.subtree_files);
        } else {
            node.ordinal = run_dirs(l->s->base) + l->dir.in_patch.first_dir + l->patch_place;
        }
        if (order >= 0) {
            l->patch_place++;
            files = files ? files : p.subtree_files;
        }
        if (files == 0)
            continue;
        rc = l->emit(l->arg, order <= 0 ? b.name : p.name, &node, NULL, cookie_here(l, false));
        if (rc)
            return rc;
    }
}

/* The files of one run in a directory, one ahead. */
struct ahead {
    struct run_cursor cursor;
    const struct run *patch; /* whose removals count, or NULL */
    uint32_t gone;           /* the next removed ordinal */
    uint32_t end;            /* the ordinal behind the directory's last file */
    uint32_t ordinal;        /* of the entry */
    bool has;
    struct entry entry;
};

static void ahead_done(struct ahead *a)
{
    run_cursor_done(&a->cursor);
}
DEFINE_AUTO_DONE(ahead, struct ahead, ahead_done)

static int ahead_next(struct ahead *a, struct err *err)
{
    a->has = false;
    while (!a->has && a->cursor.ordinal < a->end) {
        a->ordinal = a->cursor.ordinal;
        int rc = run_cursor_next(&a->cursor, &a->entry, err);
        if (rc < 0)
            return rc;
        a->has = a->ordinal != a->gone;
        if (!a->has)
            a->gone = run_removed_next(a->patch, a->ordinal + 1);
    }
    return 0;
}

static int ahead_init(struct ahead *a, const struct run *r, const struct run *patch, uint32_t first,
                      uint32_t end, struct err *err)
{
    *a = (struct ahead){.patch = patch, .gone = RUN_NONE, .end = end};
    if (patch)
        a->gone = run_removed_next(patch, first);
    if (first >= end) /* also where there is no such run */
        return 0;
    int rc = run_cursor_init(&a->cursor, r, first, err);
    return rc < 0 ? rc : ahead_next(a, err);
}

static int list_files(struct listing *l, struct err *err)
{
    const struct snapshot *s = l->s;
    const struct run_dir *in_base = &l->dir.in_base, *in_patch = &l->dir.in_patch;
    AUTO(ahead) struct ahead b = {.has = false};
    AUTO(ahead) struct ahead p = {.has = false};
    int rc = ahead_init(&b, s->base, s->patch, in_base->first_file + l->base_place,
                        in_base->first_file + in_base->files, err);
    if (rc == 0)
        rc = ahead_init(&p, s->patch, NULL, in_patch->first_file + l->patch_place,
                        in_patch->first_file + in_patch->files, err);
    while (rc == 0 && (b.has || p.has)) {
        struct slice base_name = b.has ? text_basename(b.entry.path) : SLICE_NONE;
        struct slice patch_name = p.has ? text_basename(p.entry.path) : SLICE_NONE;
        bool from_patch = !b.has || (p.has && slice_cmp(patch_name, base_name) < 0);
        struct ahead *a = from_patch ? &p : &b;
        if (from_patch)
            l->patch_place = a->ordinal - in_patch->first_file + 1;
        else
            l->base_place = a->ordinal - in_base->first_file + 1;
        struct snapshot_node node = {.in_patch = from_patch, .ordinal = a->ordinal};
        rc = l->emit(l->arg, from_patch ? patch_name : base_name, &node, &a->entry,
                     cookie_here(l, true));
        if (rc == 0)
            rc = ahead_next(a, err);
    }
    return rc;
}

int snapshot_list(const struct snapshot *s, uint32_t dir, uint64_t cookie, snapshot_emit *emit,
                  void *arg, struct err *err)
{
    struct listing l = {.s = s,
                        .base_place = (uint32_t)(cookie >> PLACE_BITS & PLACE_MASK),
                        .patch_place = (uint32_t)(cookie & PLACE_MASK),
                        .emit = emit,
                        .arg = arg};
    int rc = load_both(s, dir, &l.dir, err);
    if (rc < 0)
        return rc;
    if (!(cookie & COOKIE_FILES)) {
        bool end = false;
        rc = list_dirs(&l, &end, err);
        if (!end)
            return rc;
        l.base_place = l.patch_place = 0;
    }
    return list_files(&l, err);
}

int snapshot_each_file(const struct snapshot *s, int (*emit)(void *arg, const struct entry *entry),
                       void *arg, struct err *err)
{
    for (int i = 0; i < 2; i++) {
        const struct run *r = i ? s->patch : s->base;
        if (!r)
            continue;
        AUTO(ahead) struct ahead a = {.has = false};
        int rc = ahead_init(&a, r, i ? NULL : s->patch, 0, run_files(r), err);
        while (rc == 0 && a.has) {
            rc = emit(arg, &a.entry);
            if (rc == 0)
                rc = ahead_next(&a, err);
        }
        if (rc)
            return rc;
    }
    return 0;
}
