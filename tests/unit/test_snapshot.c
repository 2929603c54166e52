/* SPDX-License-Identifier: Apache-2.0 */
/* Random tables against a model: an array of files. SEED chooses the tables. */
#include <time.h>

#include "tests/unit/index_fixture.h"

#include "base/text.h"
#include "base/vec.h"

#define FILES 400

struct file {
    char path[128], raw[160];
    uint64_t size;
    int64_t version; /* -1: not live */
    char extra[8];
};

static unsigned long long seed;

static unsigned random_below(unsigned n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33) % n;
}

/* Names that differ little, and whose bytes lie on both sides of `/`. */
static void make_paths(struct file *files)
{
    static const char *const dirs[] = {"",     "a/",      "a-/",    "a/b/",           "a/b-/c/",
                                       "a.b/", "ab/",     "b/a/",   "b/a/a/a/a/a/a/", "b!/",
                                       "z/",   "p=1%2F/", "p=1/q/", "\xc3\xa9/"};
    for (unsigned i = 0; i < FILES; i++) {
        struct file *f = &files[i];
        (void)snprintf(f->path, sizeof f->path, "%s%s%u-%03u%s", dirs[random_below(14)],
                       random_below(2) ? "part-" : "x!", random_below(4), i,
                       random_below(2) ? ".parquet" : "");
        (void)snprintf(f->raw, sizeof f->raw, "%s%s", random_below(3) ? "" : "s3://b/x%20/",
                       f->path);
        (void)snprintf(f->extra, sizeof f->extra, "%s", random_below(4) ? "" : "extra");
        f->version = -1;
    }
}

static void change(struct file *files, unsigned changes, int64_t version)
{
    for (unsigned i = 0; i < changes; i++) {
        struct file *f = &files[random_below(FILES)];
        f->version = f->version < 0 || random_below(3) == 0 ? version : -1;
        f->size = random_below(1000000);
    }
}

static struct index_action action_of(const struct file *f, uint64_t seq)
{
    return (struct index_action){.entry = {.path = slice_of(f->path),
                                           .raw = slice_of(f->raw),
                                           .extra = slice_of(f->extra),
                                           .size = f->size,
                                           .mtime_ms = (int64_t)f->size * 7 - 1000,
                                           .version = f->version},
                                 .key = slice_of(f->raw),
                                 .seq = seq,
                                 .removed = f->version < 0};
}

/* What changed from `old` on (all of it where old is NULL), with stale actions between. */
static struct index_build *build_of(int dirfd, const struct file *files, const struct file *old)
{
    struct err err = ERR_INIT;
    struct index_build *b = index_build_new(dirfd, &err);
    assert_non_null(b);
    for (unsigned n = 0; n < FILES; n++) {
        unsigned i = n * 7 % FILES;
        if (old && old[i].version == files[i].version && old[i].size == files[i].size)
            continue;
        struct file stale = files[i];
        stale.version = random_below(2) ? 3 : -1;
        stale.size = 5;
        struct index_action was = action_of(&stale, 1), is = action_of(&files[i], 2);
        assert_int_equal(index_build_add(b, &was, &err), 0);
        assert_int_equal(index_build_add(b, &is, &err), 0);
    }
    return b;
}

struct seen {
    struct slice name;
    struct snapshot_node node;
    uint64_t next;
};

struct listing {
    VEC(struct seen) seen;
    char names[FILES * 2][64];
    size_t stop_after;
};

static int collect(void *arg, struct slice name, const struct snapshot_node *node,
                   const struct entry *entry, uint64_t next)
{
    struct listing *l = arg;
    assert_int_equal(entry == NULL, node->is_dir);
    assert_true(next != 0 && next < (uint64_t)INT64_MAX && name.n < 64);
    if (entry)
        assert_true(slice_eq(text_basename(entry->path), name));
    memcpy(l->names[l->seen.n], name.p, name.n);
    struct seen s = {{l->names[l->seen.n], name.n}, *node, next};
    assert_int_equal(vec_push(&l->seen, s), 0);
    return l->seen.n == l->stop_after ? 77 : 0;
}

static void check_entry(const struct file *f, const struct entry *e)
{
    assert_true(slice_is(e->path, f->path));
    assert_true(slice_is(e->raw, f->raw));
    assert_true(slice_is(e->extra, f->extra));
    assert_true(e->size == f->size && e->mtime_ms == (int64_t)f->size * 7 - 1000);
    assert_true(e->version == f->version && e->flags == 0);
}

/* Every listing that stops and goes on behind each entry gives the rest of the whole one. */
static void check_resumed(const struct snapshot *s, uint32_t dir, const struct listing *whole)
{
    struct err err = ERR_INIT;
    for (size_t i = 0; i < whole->seen.n; i++) {
        struct listing rest = {.seen = VEC_MAX(FILES * 2), .stop_after = 3};
        int rc = snapshot_list(s, dir, whole->seen.at[i].next, collect, &rest, &err);
        size_t left = whole->seen.n - i - 1;
        assert_int_equal(rc, left >= 3 ? 77 : 0);
        assert_int_equal(rest.seen.n, left < 3 ? left : 3);
        for (size_t k = 0; k < rest.seen.n; k++) {
            assert_true(slice_eq(rest.seen.at[k].name, whole->seen.at[i + 1 + k].name));
            assert_true(rest.seen.at[k].next == whole->seen.at[i + 1 + k].next);
        }
        vec_done(&rest.seen);
    }
}

/* Names that the model has directly in a directory (prefix with its `/`). */
static size_t model_names(const struct file *files, struct slice prefix)
{
    size_t n = 0;
    for (unsigned i = 0; i < FILES; i++) {
        struct slice p = slice_of(files[i].path);
        if (files[i].version < 0 || !slice_starts(p, prefix))
            continue;
        struct slice rest = slice_from(p, prefix.n);
        ptrdiff_t slash = slice_find(rest, '/');
        struct slice head = {p.p, prefix.n + (slash < 0 ? rest.n : (size_t)slash + 1)};
        unsigned k = 0; /* the first live file that starts like that counts it */
        while (files[k].version < 0 || !slice_starts(slice_of(files[k].path), head))
            k++;
        n += k == i;
    }
    return n;
}

static unsigned check_dir(const struct snapshot *s, const struct file *files, uint32_t dir)
{
    struct err err = ERR_INIT;
    AUTO(buf) struct buf path;
    buf_init(&path, 4096);
    assert_int_equal(snapshot_dir_path(s, dir, &path, &err), 0);
    struct snapshot_node node;
    assert_int_equal(snapshot_walk(s, buf_slice(&path), &node, &err), 0);
    assert_true(node.is_dir && node.ordinal == dir);
    if (path.len)
        buf_add_char(&path, '/');
    struct listing l = {.seen = VEC_MAX(FILES * 2)};
    assert_int_equal(snapshot_list(s, dir, 0, collect, &l, &err), 0);
    assert_int_equal(l.seen.n, model_names(files, buf_slice(&path)));
    check_resumed(s, dir, &l);
    unsigned below = 0;
    for (size_t i = 0; i < l.seen.n; i++) {
        const struct seen *e = &l.seen.at[i];
        assert_true(i == 0 || l.seen.at[i - 1].node.is_dir != e->node.is_dir ||
                    slice_cmp(l.seen.at[i - 1].name, e->name) < 0);
        assert_int_equal(snapshot_find(s, dir, e->name, &node, &err), 0);
        assert_true(node.is_dir == e->node.is_dir && node.ordinal == e->node.ordinal &&
                    node.in_patch == e->node.in_patch);
        below += e->node.is_dir ? check_dir(s, files, e->node.ordinal) : 1;
    }
    assert_int_equal(snapshot_find(s, dir, SLICE_LIT("no such name"), &node, &err), -ENOENT);
    vec_done(&l.seen);
    return below;
}

static int count_file(void *arg, const struct entry *entry)
{
    struct file *files = arg;
    for (unsigned i = 0; i < FILES; i++)
        if (files[i].version >= 0 && slice_is(entry->path, files[i].path)) {
            check_entry(&files[i], entry);
            files[i].version = -2 - files[i].version; /* each once */
            return 0;
        }
    fail_msg("%.*s is not in the model", SLICE_FMT(entry->path));
    return -EIO;
}

static void check_snapshot(const struct snapshot *s, const struct file *files)
{
    struct err err = ERR_INIT;
    uint64_t n = 0, bytes = 0;
    AUTO(buf) struct buf scratch;
    buf_init(&scratch, 4096);
    for (unsigned i = 0; i < FILES; i++) {
        struct snapshot_node node;
        struct entry e;
        int rc = snapshot_walk(s, slice_of(files[i].path), &node, &err);
        assert_int_equal(rc, files[i].version < 0 ? -ENOENT : 0);
        if (rc < 0)
            continue;
        assert_false(node.is_dir);
        assert_int_equal(snapshot_file(s, &node, &scratch, &e, &err), 0);
        check_entry(&files[i], &e);
        n++;
        bytes += files[i].size;
    }
    assert_true(snapshot_files(s) == n && snapshot_bytes(s) == bytes);
    assert_int_equal(check_dir(s, files, SNAPSHOT_ROOT), n);
    static struct file copy[FILES];
    memcpy(copy, files, sizeof copy);
    assert_int_equal(snapshot_each_file(s, count_file, copy, &err), 0);
    for (unsigned i = 0; i < FILES; i++)
        assert_true(copy[i].version < 0);
}

static void check_table(int dirfd)
{
    static struct file at_base[FILES], now[FILES];
    struct err err = ERR_INIT;
    make_paths(at_base);
    change(at_base, random_below(FILES * 2), 10);
    struct index_build *b = build_of(dirfd, at_base, NULL);
    assert_int_equal(index_build_base(b, "base", SLICE_LIT("{\"v\":10}"), &err), 0);
    index_build_free(b);
    memcpy(now, at_base, sizeof now);
    static const unsigned changes[] = {0, 1, 20, 300, 3000};
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        change(now, changes[i], 11 + (int64_t)i);
        struct run *base = NULL, *patch = NULL;
        assert_int_equal(run_open(dirfd, "base", &base, &err), 0);
        b = build_of(dirfd, now, at_base);
        assert_int_equal(index_build_patch(b, base, "patch", SLICE_LIT("{}"), &err), 0);
        index_build_free(b);
        assert_int_equal(run_open(dirfd, "patch", &patch, &err), 0);
        struct snapshot *s = snapshot_new(run_ref(base), NULL, &err);
        check_snapshot(s, at_base);
        assert_true(slice_is(snapshot_meta(s), "{\"v\":10}"));
        snapshot_unref(s);
        s = snapshot_new(base, patch, &err);
        assert_non_null(s);
        check_snapshot(s, now);
        assert_true(slice_is(snapshot_meta(s), "{}"));
        snapshot_unref(s);
    }
}

/* A base and a patch on it together show exactly the model's files, whatever was asked. */
static void test_against_model(void **state)
{
    (void)state;
    const char *from = getenv("SEED");
    unsigned long long first = from ? strtoull(from, NULL, 10) : (unsigned long long)time(NULL);
    printf("SEED=%llu\n", first);
    char dir[32];
    int fd = fixture_dir(dir);
    for (unsigned i = 0; i < 8; i++) {
        seed = first + i;
        check_table(fd);
    }
    fixture_dir_done(fd, dir);
}

/* A patch of one base is refused on another. */
static void test_wrong_base(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char dir[32];
    int fd = fixture_dir(dir);
    static const char *const names[] = {"base", "other"};
    struct run *runs[2] = {NULL}, *patch = NULL;
    for (size_t i = 0; i < 2; i++) {
        struct index_build *b = index_build_new(fd, &err);
        fixture_add(b, names[i], names[i], names[i], 1, 0);
        assert_int_equal(index_build_base(b, names[i], SLICE_NONE, &err), 0);
        index_build_free(b);
        assert_int_equal(run_open(fd, names[i], &runs[i], &err), 0);
    }
    struct index_build *b = index_build_new(fd, &err);
    assert_int_equal(index_build_patch(b, runs[0], "patch", SLICE_NONE, &err), 0);
    index_build_free(b);
    assert_int_equal(run_open(fd, "patch", &patch, &err), 0);
    assert_null(snapshot_new(runs[1], patch, &err));
    assert_int_equal(err.code, EUCLEAN);
    run_unref(runs[0]);
    fixture_dir_done(fd, dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_model),
                                       cmocka_unit_test(test_wrong_base)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
