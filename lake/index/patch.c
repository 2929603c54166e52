/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/index/patch.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/text.h"
#include "lake/index/run_private.h"

int patch_init(struct patch *p, struct run *base, struct err *err)
{
    *p = (struct patch){.removals.base = base};
    buf_init(&p->dir_path, KEY_BYTES_MAX);
    /* Zeroed pages that nothing touches cost nothing. */
    p->removals.files = calloc(run_files(base) / 64 + 1, sizeof *p->removals.files);
    p->removals.below = calloc(run_dirs(base), sizeof *p->removals.below);
    if (!p->removals.files || !p->removals.below)
        return err_set(err, ENOMEM, "patch: out of memory");
    return run_check_keys(base, err);
}

void patch_done(struct patch *p)
{
    free(p->removals.files);
    free(p->removals.below);
    buf_done(&p->dir_path);
}

static int cannot_say(struct slice path, struct err *err)
{
    return err_set(err, EAGAIN, "a patch cannot change the names at %.*s", SLICE_FMT(path));
}

static bool is_gone(const struct patch *p, uint32_t ordinal)
{
    return p->removals.files[ordinal / 64] >> ordinal % 64 & 1;
}

int patch_take_out(struct patch *p, uint64_t hash, uint32_t check, struct err *err)
{
    struct run *base = p->removals.base;
    uint32_t first, count;
    run_find_key(base, hash, &first, &count);
    for (uint32_t i = first; i < first + count; i++) {
        struct run_key k = run_key_at(base, i);
        if (k.check != check || k.ordinal & RUN_KEY_PATH)
            continue;
        if (k.ordinal & RUN_KEY_COLLIDED)
            return cannot_say(SLICE_LIT("a file that shares its name"), err);
        uint32_t ordinal = k.ordinal & RUN_KEY_ORDINAL;
        if (ordinal >= run_files(base))
            return run_damaged("key table at", i, err);
        p->removals.files[ordinal / 64] |= (uint64_t)1 << ordinal % 64;
    }
    return 0;
}

static int count_file(struct patch *p, uint32_t ordinal, struct buf *scratch, struct err *err)
{
    struct entry e;
    uint32_t dir;
    int rc = run_file(p->removals.base, ordinal, scratch, &e, &dir, err);
    if (rc < 0)
        return rc;
    p->removals.below[dir]++;
    p->removals.count++;
    p->removals.bytes += e.size;
    return 0;
}

int patch_count(struct patch *p, struct err *err)
{
    struct run *base = p->removals.base;
    AUTO(buf) struct buf scratch = {0};
    buf_init(&scratch, 3 * RUN_TEXT_BYTES_MAX);
    int rc = 0;
    for (uint32_t word = 0; word <= run_files(base) / 64; word++)
        for (uint64_t bits = p->removals.files[word]; rc == 0 && bits; bits &= bits - 1)
            rc = count_file(p, word * 64 + (uint32_t)__builtin_ctzll(bits), &scratch, err);
    /* Children have greater numbers than their parents. */
    for (uint32_t dir = run_dirs(base); rc == 0 && --dir > 0;) {
        struct run_dir d;
        if (p->removals.below[dir] == 0)
            continue;
        rc = run_dir(base, dir, &d, err);
        if (rc == 0)
            p->removals.below[d.parent] += p->removals.below[dir];
    }
    return rc;
}

/* -EAGAIN where the base has a file of that name in the directory that stays. */
static int check_no_file(struct patch *p, uint32_t dir, struct slice name, struct slice path,
                         struct err *err)
{
    uint32_t ordinal;
    int rc = run_find_file(p->removals.base, dir, name, &ordinal, err);
    if (rc == -ENOENT)
        return 0;
    return rc < 0 || is_gone(p, ordinal) ? rc : cannot_say(path, err);
}

static int check_no_dir(struct patch *p, uint32_t dir, struct slice name, struct slice path,
                        struct err *err)
{
    uint32_t sub;
    struct run_dir d;
    int rc = run_find_dir(p->removals.base, dir, name, &sub, err);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    rc = run_dir(p->removals.base, sub, &d, err);
    if (rc < 0)
        return rc;
    return d.subtree_files <= p->removals.below[sub] ? 0 : cannot_say(path, err);
}

/* Finds the base's directory of that path; no component may be a file of the base. */
static int walk(struct patch *p, struct slice dir_path, struct err *err)
{
    uint32_t dir = 0;
    p->known = false;
    for (struct slice rest = dir_path; rest.n && dir != RUN_NONE;) {
        ptrdiff_t slash = slice_find(rest, '/');
        struct slice name = {rest.p, slash < 0 ? rest.n : (size_t)slash};
        rest = slice_from(rest, slash < 0 ? rest.n : name.n + 1);
        int rc = check_no_file(p, dir, name, dir_path, err);
        if (rc < 0)
            return rc;
        rc = run_find_dir(p->removals.base, dir, name, &dir, err);
        if (rc == -ENOENT)
            dir = RUN_NONE;
        else if (rc < 0)
            return rc;
    }
    buf_reset(&p->dir_path);
    buf_add_slice(&p->dir_path, dir_path);
    p->dir = dir;
    p->known = true;
    return buf_check(&p->dir_path, err);
}

/* -EAGAIN where files of the base were renamed for that path. */
static int check_no_path_key(struct patch *p, struct slice path, struct err *err)
{
    uint32_t first, count, check = (uint32_t)hash64(RUN_PATH_CHECK_SEED, path);
    run_find_key(p->removals.base, hash64(RUN_PATH_SEED, path), &first, &count);
    for (uint32_t i = first; i < first + count; i++) {
        struct run_key k = run_key_at(p->removals.base, i);
        if (k.check == check && k.ordinal & RUN_KEY_PATH)
            return cannot_say(path, err);
    }
    return 0;
}

int patch_check_path(struct patch *p, struct slice path, struct err *err)
{
    struct slice dir_path = text_dirname(path);
    int rc = check_no_path_key(p, path, err);
    if (rc == 0 && (!p->known || !slice_eq(dir_path, buf_slice(&p->dir_path))))
        rc = walk(p, dir_path, err);
    if (rc < 0 || p->dir == RUN_NONE)
        return rc;
    struct slice name = text_basename(path);
    rc = check_no_file(p, p->dir, name, path, err);
    if (rc == 0)
        rc = check_no_dir(p, p->dir, name, path, err);
    return rc == 0 && run_lost(p->removals.base) ? run_damaged("its disk failed", 0, err) : rc;
}
