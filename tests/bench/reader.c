/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads files in one way, several paths in turn, and says how long each took:
 *
 *     reader MODE [options] PATH...
 *       seq    reads each file from its start, --block bytes at a time (1 MiB)
 *       rand   --count reads of --block bytes (4096) at random places, aligned to them
 *       mmap   maps each file and adds up all of its words in order
 *       touch  maps each file and loads a byte of --count random pages
 *       open   each PATH is a directory with the same files: opens and closes all, in random order,
 *              and reads the first --read bytes of each
 *     --rounds N   every round does each path once, beginning with another one: what disturbs the
 *                  machine meets all paths alike (1)
 *     --threads N  of `open` (1)          --seed N   of what is random (1)
 *     --list FILE  of `open`: the files, a line each, in this order; threads take the next one
 *     --forget     before each turn drops the file's pages where the path is a mount's
 *
 * Prints one line of JSON: bytes and operations of one turn, and for each path the seconds of its
 * rounds.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define PATHS_MAX 8
#define ROUNDS_MAX 100
#define THREADS_MAX 64
#define PAGE 4096UL
#define FUSE_MAGIC 0x65735546

struct work {
    size_t block, count, read, threads;
    uint64_t seed;
    uint64_t bytes; /* of the last turn */
    uint64_t ops;
};

struct mode {
    const char *name;
    void (*run)(const char *path, struct work *w);
    size_t block; /* by default */
};

static char **names; /* of `open`, in the order of opening */
static size_t names_n;
static bool listed;            /* in the order of --list */
static volatile uint64_t sink; /* so that no read is optimised away */

static void die(const char *what)
{
    (void)fprintf(stderr, "reader: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* xorshift64*: quick beside a read of 4 KiB from memory. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1DULL;
}

static int open_sized(const char *path, uint64_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        die(path);
    *size = (uint64_t)st.st_size;
    return fd;
}

static void *room_of(size_t bytes)
{
    void *room = NULL;
    errno = posix_memalign(&room, PAGE, bytes);
    if (errno)
        die("memory");
    memset(room, 0, bytes); /* faults are no part of reading */
    return room;
}

static void run_seq(const char *path, struct work *w)
{
    static void *room;
    uint64_t size;
    int fd = open_sized(path, &size);
    if (!room)
        room = room_of(w->block);
    for (uint64_t at = 0; at < size; w->ops++) {
        ssize_t n = pread(fd, room, w->block, (off_t)at);
        if (n <= 0)
            die(path);
        at += (uint64_t)n;
        w->bytes += (uint64_t)n;
    }
    (void)close(fd);
}

static void run_rand(const char *path, struct work *w)
{
    static void *room;
    uint64_t size, state = w->seed | 1;
    int fd = open_sized(path, &size);
    if (!room)
        room = room_of(w->block);
    for (; w->ops < w->count; w->ops++) {
        uint64_t at = next_random(&state) % (size / w->block) * w->block;
        if (pread(fd, room, w->block, (off_t)at) != (ssize_t)w->block)
            die(path);
    }
    w->bytes = w->ops * w->block;
    (void)close(fd);
}

static const char *map(const char *path, uint64_t *size)
{
    int fd = open_sized(path, size);
    const char *p = mmap(NULL, *size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        die(path);
    (void)close(fd);
    return p;
}

static void run_mmap(const char *path, struct work *w)
{
    uint64_t size, sum = 0;
    const char *p = map(path, &size);
    const uint64_t *words = (const uint64_t *)(const void *)p;
    for (uint64_t i = 0; i < size / sizeof *words; i++)
        sum += words[i];
    sink += sum;
    w->bytes = size;
    w->ops = size / PAGE;
    (void)munmap((void *)p, size);
}

static void run_touch(const char *path, struct work *w)
{
    uint64_t size, sum = 0, state = w->seed | 1;
    const char *p = map(path, &size);
    for (; w->ops < w->count; w->ops++)
        sum += (unsigned char)p[next_random(&state) % size];
    sink += sum;
    w->bytes = w->ops;
    (void)munmap((void *)p, size);
}

struct opener {
    pthread_t thread;
    const struct work *w;
    int dir;
    size_t first, end;    /* a thread's own part */
    _Atomic size_t *next; /* or what all take from */
    uint64_t bytes;
};

/* The place of the next name; `end` where there is none. */
static size_t next_name(struct opener *o)
{
    size_t at = o->next ? (*o->next)++ : o->first++;
    return at < o->end ? at : o->end;
}

static void *open_some(void *arg)
{
    struct opener *o = arg;
    size_t want = o->w->read, chunk = want < 1UL << 20 ? want : 1UL << 20;
    void *room = chunk ? room_of(chunk) : NULL;
    for (size_t i; (i = next_name(o)) < o->end;) {
        int fd = openat(o->dir, names[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            die(names[i]);
        for (size_t got = 0; got < want;) {
            ssize_t n = pread(fd, room, want - got < chunk ? want - got : chunk, (off_t)got);
            if (n < 0)
                die(names[i]);
            if (n == 0)
                break;
            got += (size_t)n;
            o->bytes += (uint64_t)n;
        }
        (void)close(fd);
    }
    free(room);
    return NULL;
}

static void run_open(const char *path, struct work *w)
{
    struct opener openers[THREADS_MAX] = {0};
    _Atomic size_t next = 0;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        die(path);
    for (size_t t = 0; t < w->threads; t++) {
        size_t end = listed ? names_n : names_n * (t + 1) / w->threads;
        openers[t] = (struct opener){.w = w,
                                     .dir = dir,
                                     .first = names_n * t / w->threads,
                                     .end = end,
                                     .next = listed ? &next : NULL};
        if (pthread_create(&openers[t].thread, NULL, open_some, &openers[t]))
            die("thread");
    }
    for (size_t t = 0; t < w->threads; t++) {
        (void)pthread_join(openers[t].thread, NULL);
        w->bytes += openers[t].bytes;
    }
    w->ops = names_n;
    (void)close(dir);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_name(const char *name)
{
    static size_t room;
    if (names_n == room)
        names = reallocarray(names, room = room ? room * 2 : 1024, sizeof *names);
    if (!names || !(names[names_n++] = strdup(name)))
        die("memory");
}

static void read_list(const char *file)
{
    char *line = NULL;
    size_t room = 0;
    FILE *f = fopen(file, "re");
    if (!f)
        die(file);
    while (getline(&line, &room, f) > 0) {
        line[strcspn(line, "\n")] = '\0';
        add_name(line);
    }
    free(line);
    (void)fclose(f);
}

/* All names of a directory, in an order that the seed alone decides. */
static void read_names(const char *path, uint64_t seed)
{
    uint64_t state = seed | 1;
    DIR *d = opendir(path);
    if (!d)
        die(path);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (e->d_name[0] == '.')
            continue;
        add_name(e->d_name);
    }
    (void)closedir(d);
    qsort(names, names_n, sizeof *names, by_name);
    for (size_t i = names_n; i > 1; i--) {
        size_t j = next_random(&state) % i;
        char *other = names[i - 1];
        names[i - 1] = names[j];
        names[j] = other;
    }
}

static void forget_pages(const char *path)
{
    struct statfs st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstatfs(fd, &st) < 0)
        die(path);
    if (st.f_type == FUSE_MAGIC)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    (void)close(fd);
}

static const struct mode modes[] = {
    {"seq", run_seq, 1UL << 20}, {"rand", run_rand, PAGE}, {"mmap", run_mmap, PAGE},
    {"touch", run_touch, PAGE},  {"open", run_open, PAGE},
};

static void print(const struct work *w, size_t paths, size_t rounds, double took[][ROUNDS_MAX])
{
    printf("{\"bytes\": %llu, \"ops\": %llu, \"seconds\": [", (unsigned long long)w->bytes,
           (unsigned long long)w->ops);
    for (size_t p = 0; p < paths; p++)
        for (size_t r = 0; r < rounds; r++)
            printf("%s%.9f%s", r ? ", " : p ? ", [" : "[", took[p][r], r + 1 == rounds ? "]" : "");
    printf("]}\n");
}

/* Options in the order of this table are the indexes of what parse() fills. */
enum { ROUNDS, THREADS, SEED, COUNT, BLOCK, READ, FORGET, LIST, SETTINGS };
static const struct option options[] = {
    {"rounds", required_argument, NULL, ROUNDS},
    {"threads", required_argument, NULL, THREADS},
    {"seed", required_argument, NULL, SEED},
    {"count", required_argument, NULL, COUNT},
    {"block", required_argument, NULL, BLOCK},
    {"read", required_argument, NULL, READ},
    {"forget", no_argument, NULL, FORGET},
    {"list", required_argument, NULL, LIST},
    {NULL, 0, NULL, 0},
};

/* Fills `set`; the index of the first path in argv, or 0 when the words are wrong. */
static int parse(int argc, char **argv, const struct mode **mode, size_t set[SETTINGS])
{
    for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(argv[1], modes[i].name) == 0)
            *mode = &modes[i];
    for (int c; *mode && (c = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1;) {
        if (c < 0 || c >= SETTINGS)
            return 0;
        if (c == LIST)
            read_list(optarg);
        set[c] = c != LIST && optarg ? strtoull(optarg, NULL, 10) : 1;
    }
    int paths = argc - 1 - optind;
    bool fit = *mode && paths >= 1 && paths <= PATHS_MAX && set[ROUNDS] >= 1 &&
               set[ROUNDS] <= ROUNDS_MAX && set[THREADS] >= 1 && set[THREADS] <= THREADS_MAX;
    return fit ? optind + 1 : 0;
}

int main(int argc, char **argv)
{
    static double took[PATHS_MAX][ROUNDS_MAX];
    const struct mode *mode = NULL;
    size_t set[SETTINGS] = {[ROUNDS] = 1, [THREADS] = 1, [SEED] = 1, [COUNT] = 100000};
    int first = parse(argc, argv, &mode, set);
    if (!first) {
        (void)fprintf(stderr, "usage: reader seq|rand|mmap|touch|open [options] PATH...\n");
        return 2;
    }
    char **paths = argv + first;
    size_t n = (size_t)(argc - first);
    struct work w = {.block = set[BLOCK] ? set[BLOCK] : mode->block,
                     .count = set[COUNT],
                     .read = set[READ],
                     .threads = set[THREADS],
                     .seed = set[SEED]};
    listed = set[LIST];
    if (mode->run == run_open && !listed)
        read_names(paths[0], w.seed);
    for (size_t r = 0; r < set[ROUNDS]; r++)
        for (size_t i = 0; i < n; i++) {
            size_t p = (r + i) % n;
            w.bytes = w.ops = 0;
            if (set[FORGET])
                forget_pages(paths[p]);
            double started = now_s();
            mode->run(paths[p], &w);
            took[p][r] = now_s() - started;
        }
    print(&w, n, set[ROUNDS], took);
    return 0;
}
