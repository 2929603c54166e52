/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "tests/unit/index_fixture.h"

#include "base/file.h"
#include "base/hash.h"

static unsigned long long seed;

static unsigned random_below(unsigned n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33) % n;
}

static struct index_build *build_new(int fd)
{
    struct err err = ERR_INIT;
    struct index_build *b = index_build_new(fd, &err);
    assert_non_null(b);
    return b;
}

static int build_base(struct index_build *b, struct err *err)
{
    int rc = index_build_base(b, "base", SLICE_LIT("{}"), err);
    index_build_free(b);
    return rc;
}

static int add_line(void *arg, const struct entry *e)
{
    buf_addf(arg, "%.*s <- %.*s %llu %x\n", SLICE_FMT(e->path), SLICE_FMT(e->raw),
             (unsigned long long)e->size, e->flags);
    return 0;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The files of a snapshot as sorted lines of text; takes the references. */
static void lines_of(struct run *base, struct run *patch, struct buf *out)
{
    struct err err = ERR_INIT;
    AUTO(buf) struct buf text;
    buf_init(&text, 1 << 20);
    AUTO(snapshot) struct snapshot *s = snapshot_new(base, patch, &err);
    assert_non_null(s);
    assert_int_equal(snapshot_each_file(s, add_line, &text, &err), 0);
    char *lines[1000];
    size_t n = 0;
    for (char *save = NULL, *line = text.len ? strtok_r(text.data, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save))
        lines[n++] = line;
    qsort(lines, n, sizeof lines[0], compare_lines);
    buf_reset(out);
    for (size_t i = 0; i < n; i++)
        buf_addf(out, "%s\n", lines[i]);
}

static struct run *open_run(int fd, const char *name)
{
    struct err err = ERR_INIT;
    struct run *r = NULL;
    assert_int_equal(run_open(fd, name, &r, &err), 0);
    return r;
}

static void expect_base(int fd, const char *expected)
{
    AUTO(buf) struct buf text;
    buf_init(&text, 1 << 20);
    lines_of(open_run(fd, "base"), NULL, &text);
    assert_string_equal(text.len ? text.data : "", expected);
}

/* Built files of one path get the hash of their raw name before the extension; kept ones do not. */
static void test_collisions(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char dir[32], h1[65], h2[65], expected[1024];
    int fd = fixture_dir(dir);
    sha256_hex(SLICE_LIT("s3://one"), h1);
    sha256_hex(SLICE_LIT("s3://two"), h2);
    struct index_build *b = build_new(fd);
    fixture_add(b, "d/x.a.parquet", "s3://one", "1", 1, ENTRY_BUILT);
    fixture_add(b, "d/x.a.parquet", "s3://two", "2", 2, ENTRY_BUILT);
    fixture_add(b, "e/y.parquet", "s3://one", "3", 3, ENTRY_BUILT);
    fixture_add(b, "e/y.parquet", "e/y.parquet", "4", 4, 0);
    fixture_add(b, ".hidden", "s3://one", "5", 5, ENTRY_BUILT);
    fixture_add(b, ".hidden", "s3://two", "6", 6, ENTRY_BUILT);
    fixture_add(b, "lone.parquet", "s3://one", "7", 7, ENTRY_BUILT);
    fixture_add(b, "one b", "one%20b", "8", 8, 0);
    fixture_add(b, "one b", "one b", "9", 8, 0);
    fixture_add(b, "d/x.a.parquet~", "d/x.a.parquet~", "10", 10, 0);
    assert_int_equal(build_base(b, &err), 0);
    (void)snprintf(expected, sizeof expected,
                   ".hidden~%.8s <- s3://one 5 3\n"
                   ".hidden~%.8s <- s3://two 6 3\n"
                   "d/x.a.parquet~ <- d/x.a.parquet~ 10 0\n"
                   "d/x.a~%.8s.parquet <- s3://one 1 3\n"
                   "d/x.a~%.8s.parquet <- s3://two 2 3\n"
                   "e/y.parquet <- e/y.parquet 4 0\n"
                   "e/y~%.8s.parquet <- s3://one 3 3\n"
                   "lone.parquet <- s3://one 7 1\n"
                   "one b <- one%%20b 8 0\n",
                   h1, h2, h1, h2, h1);
    if (strcmp(h1, h2) > 0) { /* lines are sorted */
        struct buf text;
        buf_init(&text, 1 << 20);
        lines_of(open_run(fd, "base"), NULL, &text);
        assert_int_equal(text.len, strlen(expected));
        buf_done(&text);
    } else {
        expect_base(fd, expected);
    }
    fixture_dir_done(fd, dir);
}

/* What no tree can show is refused with its path, and leaves no file behind. */
static void test_refused(void **state)
{
    (void)state;
    char dir[32], name[300], taken[300], h[65];
    int fd = fixture_dir(dir);
    memset(name, 'n', 256);
    name[256] = '\0';
    sha256_hex(SLICE_LIT("s3://one"), h);
    (void)snprintf(taken, sizeof taken, "x~%.8s", h);
    const char *const paths[][2] = {{"", NULL},       {"/a", NULL},       {"a/", NULL},
                                    {"a//b", NULL},   {"a/./b", NULL},    {"a/..", NULL},
                                    {name, NULL},     {"a/b", "a"},       {"x/a/b", "x/a"},
                                    {"a/m/x", "a/m"}, {"a-/b/c/d", "a-"}, {"same", "same"}};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct err err = ERR_INIT;
        struct index_build *b = build_new(fd);
        fixture_add(b, "before", "before", "k", 1, 0);
        fixture_add(b, "x/y/z", "x/y/z", "kk", 1, 0);
        fixture_add(b, paths[i][0], "raw", "1", 1, 0);
        if (paths[i][1])
            fixture_add(b, paths[i][1], "raw", "2", 2, 0);
        /* a name that a file system cannot have is no damage */
        bool too_long = paths[i][0] == name;
        assert_int_equal(build_base(b, &err), too_long ? -EOPNOTSUPP : -EIO);
        assert_non_null(strstr(err.msg, too_long      ? "256 bytes"
                                        : paths[i][1] ? paths[i][1]
                                                      : paths[i][0]));
    }
    struct err err = ERR_INIT;
    struct index_build *b = build_new(fd);
    fixture_add(b, "x", "s3://one", "1", 1, ENTRY_BUILT);
    fixture_add(b, "x", "s3://two", "2", 1, ENTRY_BUILT);
    fixture_add(b, taken, taken, "3", 1, 0);
    assert_int_equal(build_base(b, &err), -EIO);
    fixture_dir_done(fd, dir);
}

/* The same entries give the same bytes, in whatever order they come. */
static void test_deterministic(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char dir[32], path[64];
    int fd = fixture_dir(dir);
    struct buf bytes[2];
    for (unsigned round = 0; round < 2; round++) {
        buf_init(&bytes[round], 1 << 20);
        struct index_build *c = build_new(fd);
        for (unsigned i = 0; i < 300; i++) {
            unsigned k = round ? 299 - i : i;
            (void)snprintf(path, sizeof path, "d%u/f%u", k % 7, k);
            fixture_add(c, path, path, path, k, 0);
        }
        assert_int_equal(build_base(c, &err), 0);
        assert_int_equal(file_read(fd, "base", &bytes[round], &err), 0);
    }
    assert_true(slice_eq(buf_slice(&bytes[0]), buf_slice(&bytes[1])));
    buf_done(&bytes[0]);
    buf_done(&bytes[1]);
    fixture_dir_done(fd, dir);
}

/* A patch says -EAGAIN exactly where names of the base would have to change. */
static void test_patch_cases(void **state)
{
    (void)state;
    static const struct {
        const char *path, *raw, *key, *remove;
        uint32_t flags;
        int expected;
    } cases[] = {
        {"new", "new", "new", NULL, 0, 0},
        {NULL, NULL, NULL, "not there", 0, 0},
        {"plain", "plain", "plain", NULL, 0, 0},                 /* replaced */
        {"plain", "other", "other", "plain", 0, 0},              /* another key in its place */
        {"plain", "other", "other", NULL, 0, -EAGAIN},           /* two kept ones */
        {"plain", "other", "other", NULL, ENTRY_BUILT, -EAGAIN}, /* kept and built */
        {"lone", "other", "other", NULL, ENTRY_BUILT, -EAGAIN},  /* two built ones */
        {"d/x", "other", "other", NULL, ENTRY_BUILT, -EAGAIN},   /* others were renamed for it */
        {"d/x", "d/x", "other", NULL, 0, -EAGAIN},
        {NULL, NULL, NULL, "x1", 0, -EAGAIN}, /* the other one would get its name back */
        {"plain/below", "r", "k", NULL, 0, -EAGAIN},
        {"plain/below", "r", "k", "plain", 0, 0}, /* a file becomes a directory */
        {"d", "r", "k", NULL, 0, -EAGAIN},
        {"solo", "r", "k", NULL, 0, -EAGAIN},
        {"solo", "r", "k", "solo/f", 0, 0}, /* and a directory a file */
    };
    char dir[32];
    int fd = fixture_dir(dir);
    struct err err = ERR_INIT;
    struct index_build *b = build_new(fd);
    fixture_add(b, "plain", "plain", "plain", 1, 0);
    fixture_add(b, "lone", "s3://lone", "lone", 1, ENTRY_BUILT);
    fixture_add(b, "d/x", "s3://1", "x1", 1, ENTRY_BUILT);
    fixture_add(b, "d/x", "s3://2", "x2", 1, ENTRY_BUILT);
    fixture_add(b, "solo/f", "solo/f", "solo/f", 1, 0);
    assert_int_equal(build_base(b, &err), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct run *base = open_run(fd, "base");
        b = build_new(fd);
        if (cases[i].remove)
            fixture_remove(b, cases[i].remove);
        if (cases[i].path)
            fixture_add(b, cases[i].path, cases[i].raw, cases[i].key, 9, cases[i].flags);
        int rc = index_build_patch(b, base, "patch", SLICE_NONE, &err);
        if (rc != cases[i].expected)
            fail_msg("case %zu: %d", i, rc);
        index_build_free(b);
        run_unref(base);
    }
    fixture_dir_done(fd, dir);
}

/* Random files, of which many collide, live or not, at two versions. */
#define KEYS 24

struct state {
    char path[24], raw[24];
    uint32_t flags;
    uint64_t size;
    bool live;
};

static void change(struct state *keys, unsigned n)
{
    static const char *const names[] = {"a", "b.x", "d/a", "d/b.x", "d/e", "d/e/f", "c", "c/.g"};
    for (unsigned i = 0; i < n; i++) {
        struct state *k = &keys[random_below(KEYS)];
        k->live = random_below(3) > 0;
        k->flags = random_below(3) ? ENTRY_BUILT : 0;
        k->size = random_below(2);
        unsigned mostly = random_below(10) ? 4 : 8; /* files that are directories are rarer */
        (void)snprintf(k->path, sizeof k->path, "%s%s", names[random_below(mostly)],
                       random_below(4) ? "" : "2");
        (void)snprintf(k->raw, sizeof k->raw, "raw%u", random_below(30));
    }
}

static struct index_build *build_of(int fd, const struct state *keys, const struct state *old)
{
    struct index_build *b = build_new(fd);
    for (unsigned i = 0; i < KEYS; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "key%u", i);
        if (old && memcmp(&keys[i], &old[i], sizeof *old) == 0)
            continue;
        if (keys[i].live)
            fixture_add(b, keys[i].path, keys[i].raw, key, keys[i].size, keys[i].flags);
        else if (old)
            fixture_remove(b, key);
    }
    return b;
}

/* Whatever a patch can say is what a base of the same version says; what a base refuses, it cannot.
 */
static void test_patch_against_base(void **state)
{
    (void)state;
    const char *from = getenv("SEED");
    seed = from ? strtoull(from, NULL, 10) : (unsigned long long)time(NULL);
    printf("SEED=%llu\n", seed);
    char dir[32];
    int fd = fixture_dir(dir);
    unsigned said = 0;
    AUTO(buf) struct buf a;
    AUTO(buf) struct buf b;
    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    for (unsigned round = 0; round < 400; round++) {
        struct state old[KEYS] = {0}, now[KEYS];
        struct err err = ERR_INIT;
        change(old, random_below(16));
        if (build_base(build_of(fd, old, NULL), &err) < 0)
            continue;
        struct run *base = open_run(fd, "base");
        memcpy(now, old, sizeof now);
        change(now, 1 + random_below(4));
        struct index_build *patch = build_of(fd, now, old);
        int rc = index_build_patch(patch, base, "patch", SLICE_NONE, &err);
        index_build_free(patch);
        assert_true(rc == 0 || rc == -EAGAIN);
        int expected = build_base(build_of(fd, now, NULL), &err);
        assert_true(expected == 0 || (expected == -EIO && rc == -EAGAIN));
        if (rc < 0) {
            run_unref(base);
            continue;
        }
        said++;
        lines_of(base, open_run(fd, "patch"), &a);
        lines_of(open_run(fd, "base"), NULL, &b);
        assert_string_equal(a.len ? a.data : "", b.len ? b.data : "");
    }
    printf("%u patches said it\n", said);
    assert_true(said > 20);
    fixture_dir_done(fd, dir);
}

static void add_evidence(struct index_build *b, const char *key, uint64_t seq, bool removed)
{
    struct err err = ERR_INIT;
    struct index_action a = {.entry = {.version = (int64_t)seq, .flags = ENTRY_AS_STORED},
                             .key = slice_of(key),
                             .seq = seq,
                             .removed = removed,
                             .evidence = true};
    assert_int_equal(index_build_add(b, &a, &err), 0);
}

/* Shows twice the version, and takes the flag from what came with version 4. */
static void judge(void *arg, struct entry *e)
{
    unsigned *calls = arg;
    (*calls)++;
    e->mtime_ms = e->version * 2;
    if (e->version == 4)
        e->flags &= ~ENTRY_AS_STORED;
}

/* Aim: evidence tells since when files are there that other actions put there, the newest of a key;
 * the judge has the last word on each file that is left. */
static void test_evidence(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int64_t version;
        uint32_t flags;
    } want[] = {{"a", 7, ENTRY_AS_STORED},
                {"b", 1, 0},
                {"c", 4, 0},
                {"d", 1, ENTRY_BUILT},
                {"e", 9, ENTRY_AS_STORED | ENTRY_DELETES}};
    struct err err = ERR_INIT;
    unsigned calls = 0;
    char dir[32];
    int fd = fixture_dir(dir);
    struct index_build *b = build_new(fd);
    index_build_judge(b, judge, &calls);
    add_evidence(b, "key a", 3, false); /* an older one */
    add_evidence(b, "key a", 7, false);
    add_evidence(b, "key b", 5, false);
    add_evidence(b, "key b", 6, true); /* went, and is said to be there */
    add_evidence(b, "key c", 4, false);
    add_evidence(b, "nobody", 5, false);
    add_evidence(b, "key e", 9, false);
    fixture_add(b, "a", "a", "key a", 1, 0);
    fixture_add(b, "b", "b", "key b", 1, 0);
    fixture_add(b, "c", "c", "key c", 1, 0);
    fixture_add(b, "d", "s3://d", "key d", 1, ENTRY_BUILT);
    fixture_add(b, "e", "e", "key e", 1, ENTRY_DELETES);
    assert_int_equal(index_build_base(b, "base", SLICE_NONE, &err), 0);
    index_build_free(b);
    AUTO(run) struct run *run = open_run(fd, "base");
    assert_int_equal(run_files(run), ARRAY_SIZE(want));
    assert_int_equal(calls, ARRAY_SIZE(want));
    for (uint32_t i = 0; i < ARRAY_SIZE(want); i++) {
        AUTO(buf) struct buf scratch;
        struct entry e;
        buf_init(&scratch, 1 << 20);
        assert_int_equal(run_file(run, i, &scratch, &e, NULL, &err), 0);
        assert_true(slice_is(e.path, want[i].path));
        assert_int_equal(e.version, want[i].version);
        assert_int_equal(e.flags, want[i].flags);
        assert_int_equal(e.mtime_ms, 2 * want[i].version);
    }
    fixture_dir_done(fd, dir);
}

/* Aim: one path is not shown twice, nor with the rows of one of two: what differs is damage. */
static void test_two_of_one_path(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char dir[32];
    int fd = fixture_dir(dir);
    for (int same = 0; same < 2; same++) {
        struct index_build *b = build_new(fd);
        for (int i = 0; i < 2; i++) {
            struct index_action a = {.entry = {.path = SLICE_LIT("x"),
                                               .raw = SLICE_LIT("x"),
                                               .extra = slice_of(same || i ? "one" : "other"),
                                               .size = 1},
                                     .key = slice_of(i ? "1" : "2"),
                                     .seq = 1};
            assert_int_equal(index_build_add(b, &a, &err), 0);
        }
        assert_int_equal(index_build_base(b, "base", SLICE_NONE, &err), same ? 0 : -EIO);
        index_build_free(b);
    }
    fixture_dir_done(fd, dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evidence),          cmocka_unit_test(test_two_of_one_path),
        cmocka_unit_test(test_collisions),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_deterministic),     cmocka_unit_test(test_patch_cases),
        cmocka_unit_test(test_patch_against_base)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
