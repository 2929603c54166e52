/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds and reads an index: bench_index [files] [directories] [folder]. Prints what it took.
 * A patch of a hundredth of the files is made on top.
 */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/hash.h"
#include "lake/index/build.h"
#include "lake/index/snapshot.h"

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void die(const char *what, const struct err *err)
{
    (void)fprintf(stderr, "%s: %s\n", what, err->msg);
    exit(1);
}

static int path_of(char *to, size_t n, unsigned long i, unsigned long dirs)
{
    uint64_t a = hash64(7, slice_make(&i, sizeof i));
    uint64_t b = hash64(8, slice_make(&i, sizeof i));
    return snprintf(
        to, n, "region=%05lu/part-%05lu-%08x-%04x-%04x-%04x-%012llx-c000.snappy.parquet", i % dirs,
        i % 100000, (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xffff),
        (unsigned)(b >> 48), (unsigned long long)(b & 0xffffffffffff));
}

static void add(struct index_build *b, unsigned long i, unsigned long dirs, uint64_t seq,
                bool removed)
{
    struct err err = ERR_INIT;
    char path[256];
    struct slice s = {path, (size_t)path_of(path, sizeof path, i, dirs)};
    struct index_action a = {.entry = {.path = s,
                                       .raw = s,
                                       .size = 1000000 + hash64(9, s) % 100000000,
                                       .mtime_ms = 1700000000000 + (int64_t)(i * 977),
                                       .version = (int64_t)(i / 1000)},
                             .key = s,
                             .seq = seq,
                             .removed = removed};
    if (index_build_add(b, &a, &err) < 0)
        die("add", &err);
}

/* Anonymous memory at its peak is not told by the kernel; what is now is. */
static long anonymous_kib(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long kib = -1;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "RssAnon: %ld", &kib) == 1)
            break;
    if (f)
        (void)fclose(f);
    return kib;
}

static int count_entry(void *arg, struct slice name, const struct snapshot_node *node,
                       const struct entry *entry, uint64_t next)
{
    (void)name, (void)node, (void)entry, (void)next;
    ++*(unsigned long *)arg;
    return 0;
}

static void read_run(struct run *r, unsigned long files, unsigned long dirs)
{
    struct err err = ERR_INIT;
    struct run_cursor c;
    struct entry e;
    unsigned long n = 0;
    double t = now_ms();
    int rc = run_cursor_init(&c, r, 0, &err);
    while (rc >= 0 && (rc = run_cursor_next(&c, &e, &err)) == 1)
        n++;
    run_cursor_done(&c);
    if (rc < 0)
        die("cursor", &err);
    printf("walk of %lu files: %.0f ms\n", n, now_ms() - t);
    struct snapshot *s = snapshot_new(run_ref(r), NULL, &err);
    for (int round = 0; round < 2; round++) {
        t = now_ms();
        for (unsigned long i = 0; i < 100000; i++) {
            char path[256];
            unsigned long which = i * 7919 % files;
            struct slice p = {path, (size_t)path_of(path, sizeof path, which, dirs)};
            struct snapshot_node node;
            if (snapshot_walk(s, p, &node, &err) < 0)
                die("walk", &err);
        }
        printf("find by path: %.2f us each\n", (now_ms() - t) / 100);
    }
    struct buf scratch;
    buf_init(&scratch, 100000);
    t = now_ms();
    for (uint32_t i = 0; i < 100000; i++)
        if (run_file(r, (uint32_t)(i * 7919UL % files), &scratch, &e, NULL, &err) < 0)
            die("file", &err);
    printf("file by ordinal: %.2f us each\n", (now_ms() - t) / 100);
    buf_done(&scratch);
    t = now_ms();
    n = 0;
    for (uint32_t d = 0; d < run_dirs(r); d++)
        if (snapshot_list(s, d, 0, count_entry, &n, &err) < 0)
            die("list", &err);
    printf("listing of all directories, %lu entries: %.0f ms\n", n, now_ms() - t);
    snapshot_unref(s);
}

static struct run *timed_open(int dirfd, const char *name)
{
    struct err err = ERR_INIT;
    struct run *r = NULL;
    double t = now_ms();
    if (run_open(dirfd, name, &r, &err) < 0)
        die("open", &err);
    printf("open of %s: %.2f ms\n", name, now_ms() - t);
    return r;
}

int main(int argc, char **argv)
{
    unsigned long files = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    unsigned long dirs = argc > 2 ? strtoul(argv[2], NULL, 10) : 100;
    struct err err = ERR_INIT;
    int dirfd = open(argc > 3 ? argv[3] : ".", O_RDONLY | O_DIRECTORY);
    double t = now_ms();
    struct index_build *b = index_build_new(dirfd, &err);
    for (unsigned long i = 0; i < files; i++)
        add(b, i, dirs, i, false);
    printf("add: %.0f ms\n", now_ms() - t);
    if (index_build_base(b, "bench.base", SLICE_LIT("{}"), &err) < 0)
        die("build", &err);
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    struct stat st;
    (void)fstatat(dirfd, "bench.base", &st, 0);
    printf("base of %lu files: %.0f ms in all; %.1f bytes a file; anonymous %ld KiB now, resident "
           "%ld KiB at most\n",
           files, now_ms() - t, (double)st.st_size / (double)files, anonymous_kib(),
           usage.ru_maxrss);
    index_build_free(b);
    struct run *base = timed_open(dirfd, "bench.base");
    read_run(base, files, dirs);

    t = now_ms();
    b = index_build_new(dirfd, &err);
    for (unsigned long i = 0; i < files / 100; i++) {
        add(b, i * 7 % files, dirs, i, true);
        add(b, files + i, dirs, i, false);
    }
    if (index_build_patch(b, base, "bench.patch", SLICE_LIT("{}"), &err) < 0)
        die("patch", &err);
    printf("patch of %lu files: %.0f ms\n", files / 100, now_ms() - t);
    index_build_free(b);
    struct snapshot *s = snapshot_new(base, timed_open(dirfd, "bench.patch"), &err);
    t = now_ms();
    unsigned long n = 0;
    for (uint32_t d = 0; s && d < run_dirs(base); d++)
        if (snapshot_list(s, d, 0, count_entry, &n, &err) < 0)
            die("list", &err);
    printf("listing with the patch, %lu entries: %.0f ms\n", n, now_ms() - t);
    snapshot_unref(s);
    (void)unlinkat(dirfd, "bench.base", 0);
    (void)unlinkat(dirfd, "bench.patch", 0);
    return 0;
}
