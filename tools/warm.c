/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tarn warm PATH...: brings files of a mount into the cache, by reading them as anybody would.
 *
 *   walk ─► ask what is cached ─► sort, small first ─► read the rest in parts ─► ask again
 *
 * What is cached whole is not read, so what was interrupted goes on where it was.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "tools/arguments.h"
#include "tools/ask.h"
#include "tools/crew.h"
#include "tools/human.h"
#include "tools/progress.h"
#include "tools/tools.h"
#include "tools/warm_follow.h"
#include "tools/warm_list.h"

#define JOBS_DEFAULT 16
#define JOBS_MAX 256
#define READ_BYTES MIB
/* A file is handed out in parts of this size: at the end all threads share the largest. */
#define PART_BYTES (8 * MIB)
/* What was read is on its way to the disk: asked again until nothing has come for so long. */
#define SETTLE_MS 2000
#define SETTLE_LOOK_MS 100

struct warm {
    unsigned jobs;
    bool check, json, quiet;
    bool nothing;       /* none of the paths can be had */
    const char *follow; /* NULL, or the list that is handed over */
    char **paths;
    unsigned path_count;

    struct warm_list list;
    struct crew crew;
    struct progress progress;
    const char *looking; /* what the progress line says before the end is known; NULL: reading */
    int64_t started_ms;

    struct lock lock;     /* guards the rest, and `failed` and `parts` of the files */
    size_t next;          /* file of which the next part is handed out */
    uint64_t next_offset; /* in it */
    struct tally {
        uint64_t files, bytes;
    } todo, done, before;    /* to be read, read, cached when asked first */
    uint64_t bytes_given_up; /* of files that failed */
    unsigned failures;       /* lines told */
    atomic_size_t looked;    /* files of the last look */
};

/* A part of a file that one thread reads. */
struct part {
    struct warm_file *file;
    uint64_t offset, end;
};

static void help(void)
{
    printf(
        "usage: tarn warm [OPTION]... PATH...\n"
        "       tarn warm --follow LIST PATH\n\n"
        "Reads the files at and below each PATH of a mount into the cache. What is cached is\n"
        "not read again: after an interruption the same command goes on.\n\n"
        "  --jobs N   files and parts of files read side by side (%d)\n"
        "  --check    only tell what is cached; exit status 1 where something is missing\n"
        "  --json     with --check: one JSON object a PATH\n"
        "  --quiet    show no progress\n\n"
        "With --follow, files are fetched shortly before they are read, in the order of LIST: a\n"
        "path a line, relative to PATH (a table, or the mount's root); - is standard input.\n",
        JOBS_DEFAULT);
}

static void tell_failure(void *arg, const char *path, const char *why)
{
    struct warm *w = arg;
    progress_say(&w->progress, "%s: %s", path, why);
    WITH_LOCK (&w->lock)
        w->failures++;
}

static void tick(void *arg)
{
    struct warm *w = arg;
    struct progress_state s = {.word = w->looking};
    if (w->looking) {
        s.files = warm_list_count(&w->list);
    } else {
        WITH_LOCK (&w->lock) {
            s.files = w->done.files;
            s.files_all = w->todo.files;
            s.bytes = w->done.bytes;
            s.bytes_all = w->todo.bytes - w->bytes_given_up;
        }
    }
    progress_show(&w->progress, &s);
}

/* reading */

static bool wanted(const struct warm_file *f)
{
    return !f->again && f->cached < f->size;
}

/* What there is to read, small files first. */
static void plan(struct warm *w)
{
    warm_list_sort(&w->list);
    for (size_t i = 0; i < w->list.files.n; i++) {
        struct warm_file *f = &w->list.files.at[i];
        struct tally *t = wanted(f) ? &w->todo : &w->before;
        f->parts = (unsigned)((f->size + PART_BYTES - 1) / PART_BYTES);
        t->files += !f->again;
        t->bytes += f->again ? 0 : f->size;
    }
}

static bool take_part(struct warm *w, struct part *p)
{
    bool taken = false;
    WITH_LOCK (&w->lock) {
        while (w->next < w->list.files.n && !wanted(&w->list.files.at[w->next]))
            w->next++;
        if (w->next < w->list.files.n) {
            struct warm_file *f = &w->list.files.at[w->next];
            uint64_t left = f->size - w->next_offset;
            uint64_t length = left < PART_BYTES ? left : PART_BYTES;
            *p = (struct part){f, w->next_offset, w->next_offset + length};
            w->next_offset = length < left ? p->end : 0;
            w->next += length == left;
            taken = true;
        }
    }
    return taken;
}

static int set_failure(struct err *err)
{
    return errno == EREMOTE ? err_set(err, EREMOTE, "archived: `tarn recall` has it restored")
                            : err_set(err, errno, "%s", strerror(errno));
}

/*
 * O_DIRECT asks the daemon whatever the kernel has in its pages, and leaves them alone. Where it is
 * not to be had, the pages are given back.
 */
static int open_file(const char *path, bool direct, struct err *err)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (direct ? O_DIRECT : 0));
    if (fd < 0 && direct && errno == EINVAL)
        return open_file(path, false, err);
    return fd < 0 ? set_failure(err) : fd;
}

static void count_bytes(struct warm *w, uint64_t bytes)
{
    WITH_LOCK (&w->lock)
        w->done.bytes += bytes;
}

/* Opening a small file may have brought all of it. */
static bool is_whole(int fd, const struct warm_file *f)
{
    char text[HUMAN_BYTES];
    uint64_t cached;
    ssize_t n = fgetxattr(fd, "user.tarn.cached", text, sizeof text);
    return n > 0 && text_parse_u64(slice_make(text, (size_t)n), UINT64_MAX, &cached) &&
           cached >= f->size;
}

static int read_part(struct warm *w, struct part *p, char *to, struct err *err)
{
    char path[PATH_MAX];
    bool direct = true;
    if (warm_file_path(p->file, path) < 0)
        return err_set(err, ENAMETOOLONG, "%s", strerror(ENAMETOOLONG));
    AUTO_FD int fd = open_file(path, direct, err);
    if (fd < 0)
        return -err->code;
    if (p->file->size <= PART_BYTES && is_whole(fd, p->file)) {
        count_bytes(w, p->end - p->offset);
        p->offset = p->end;
    }
    while (p->offset < p->end) {
        ssize_t n = pread(fd, to, READ_BYTES, (off_t)p->offset);
        if (n < 0 && errno == EINVAL && direct) { /* opened, but not read that way */
            direct = false;
            (void)close(fd); /* only read */
            fd = open_file(path, direct, err);
            if (fd < 0)
                return -err->code;
            continue;
        }
        if (n < 0)
            return set_failure(err);
        if (n == 0)
            return err_set(err, EIO, "ends at %llu, of %llu bytes", (unsigned long long)p->offset,
                           (unsigned long long)p->file->size);
        uint64_t left = p->end - p->offset, got = (uint64_t)n < left ? (uint64_t)n : left;
        p->offset += got;
        count_bytes(w, got);
    }
    if (!direct)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* a favour to others */
    return 0;
}

static void end_part(struct warm *w, const struct part *p, int rc, const struct err *err)
{
    char path[PATH_MAX];
    bool tell = false;
    WITH_LOCK (&w->lock) {
        struct warm_file *f = p->file;
        tell = rc < 0 && !f->failed;
        f->failed = f->failed || rc < 0;
        w->bytes_given_up += p->end - p->offset;
        if (--f->parts == 0 && !f->failed)
            w->done.files++;
    }
    if (tell)
        tell_failure(w, warm_file_path(p->file, path) < 0 ? p->file->dir : path, err->msg);
}

static void read_files(void *arg)
{
    struct warm *w = arg;
    struct part p;
    char *to = aligned_alloc(4096, READ_BYTES);
    while (take_part(w, &p)) {
        struct err err = ERR_INIT;
        bool failed;
        WITH_LOCK (&w->lock)
            failed = p.file->failed; /* by another thread: the rest is of no use */
        int rc = failed ? -EIO
                 : to   ? read_part(w, &p, to, &err)
                        : err_set(&err, ENOMEM, "out of memory");
        end_part(w, &p, rc, &err);
    }
    free(to);
}

/* looking what has stayed */

static void look_again(void *arg)
{
    struct warm *w = arg;
    for (;;) {
        size_t i = atomic_fetch_add(&w->looked, 1);
        if (i >= w->list.files.n)
            return;
        struct warm_file *f = &w->list.files.at[i];
        if (!f->again && !f->untold && !f->failed)
            warm_file_ask(f);
    }
}

static struct tally missing(const struct warm *w)
{
    struct tally t = {0};
    for (size_t i = 0; i < w->list.files.n; i++) {
        const struct warm_file *f = &w->list.files.at[i];
        if (f->again || f->untold || f->failed || f->cached >= f->size)
            continue;
        t.files++;
        t.bytes += f->size - f->cached;
    }
    return t;
}

/* What was read and is not cached: the last of it is still being written for a moment. */
static int settle(struct warm *w, struct tally *out, struct err *err)
{
    int64_t better_ms = clock_mono_ms();
    uint64_t least = UINT64_MAX;
    for (;;) {
        atomic_store(&w->looked, 0);
        int rc = crew_run(&w->crew, look_again, tick, w, err);
        if (rc < 0)
            return rc;
        *out = missing(w);
        if (out->bytes < least) {
            least = out->bytes;
            better_ms = clock_mono_ms();
        }
        if (least == 0 || clock_mono_ms() - better_ms > SETTLE_MS)
            return 0;
        rc = crew_wait(&w->crew, SETTLE_LOOK_MS, err);
        if (rc < 0)
            return rc;
    }
}

/* telling */

static void tell_plan(struct warm *w)
{
    char a[HUMAN_BYTES], b[HUMAN_BYTES], c[HUMAN_BYTES], d[HUMAN_BYTES];
    if (w->quiet || w->progress.terminal)
        return;
    progress_say(&w->progress, "%s files, %s to read; %s files, %s are cached",
                 human_count(w->todo.files, a), human_bytes(w->todo.bytes, b),
                 human_count(w->before.files, c), human_bytes(w->before.bytes, d));
}

static void tell_read(struct warm *w, const char *how)
{
    struct tally done;
    char a[HUMAN_BYTES], b[HUMAN_BYTES], c[HUMAN_BYTES], d[HUMAN_BYTES];
    int64_t ms = clock_mono_ms() - w->started_ms;
    WITH_LOCK (&w->lock)
        done = w->done;
    printf("%s: read %s files, %s in %s", how, human_count(done.files, a),
           human_bytes(done.bytes, b), human_seconds((uint64_t)(ms + 500) / 1000, c));
    if (ms > 0 && done.bytes)
        printf(" (%s/s)", human_bytes(done.bytes * 1000 / (uint64_t)ms, d));
    printf("; %s files, %s were cached before\n", human_count(w->before.files, a),
           human_bytes(w->before.bytes, b));
}

/* What is asked for may be more than the cache holds; not everybody may ask it. */
static void warn_of_limit(struct warm *w)
{
    char a[HUMAN_BYTES], b[HUMAN_BYTES];
    uint64_t limit, wanted_bytes = w->todo.bytes + w->before.bytes;
    if (w->todo.files && ask_limit(w->paths[0], &limit) && wanted_bytes > limit)
        progress_say(&w->progress, "%s are asked for, and the cache keeps no more than %s",
                     human_bytes(wanted_bytes, a), human_bytes(limit, b));
}

static int tell_end(struct warm *w, struct tally lost)
{
    char a[HUMAN_BYTES], b[HUMAN_BYTES];
    bool whole = lost.files == 0 && w->failures == 0;
    if (lost.files)
        progress_say(&w->progress,
                     "%s files, %s were read and are not cached: more than the cache may keep "
                     "(see `tarn cache stat`), or its disk does not take them",
                     human_count(lost.files, a), human_bytes(lost.bytes, b));
    progress_clear(&w->progress);
    tell_read(w, whole ? "done" : "incomplete");
    return whole ? EXIT_OK : EXIT_FAILED;
}

/* --check: a line a path */
static void tell_share(const struct warm *w, const char *path, struct tally all,
                       struct tally cached)
{
    char a[HUMAN_BYTES], b[HUMAN_BYTES], c[HUMAN_BYTES], d[HUMAN_BYTES];
    AUTO(buf) struct buf name = {0};
    if (!w->json) {
        printf("%s: %s of %s files, %s of %s are cached (%u%%)\n", path,
               human_count(cached.files, a), human_count(all.files, b),
               human_bytes(cached.bytes, c), human_bytes(all.bytes, d),
               human_percent(cached.bytes, all.bytes));
        return;
    }
    buf_init(&name, 8 * PATH_MAX);
    buf_add_json(&name, slice_of(path));
    printf(
        "{\"path\":%.*s,\"files\":%llu,\"bytes\":%llu,\"cachedFiles\":%llu,\"cachedBytes\":%llu}\n",
        SLICE_FMT(buf_slice(&name)), (unsigned long long)all.files, (unsigned long long)all.bytes,
        (unsigned long long)cached.files, (unsigned long long)cached.bytes);
}

static int tell_check(struct warm *w)
{
    bool whole = w->failures == 0;
    struct tally *all = calloc(w->path_count, 2 * sizeof *all);
    if (!all)
        return EXIT_FAILED;
    struct tally *cached = all + w->path_count;
    for (size_t i = 0; i < w->list.files.n; i++) {
        const struct warm_file *f = &w->list.files.at[i];
        all[f->path].files++;
        all[f->path].bytes += f->size;
        cached[f->path].files += f->cached == f->size;
        cached[f->path].bytes += f->cached;
    }
    for (unsigned i = 0; i < w->path_count; i++) {
        tell_share(w, w->paths[i], all[i], cached[i]);
        whole = whole && cached[i].files == all[i].files;
    }
    free(all);
    return whole ? EXIT_OK : EXIT_FAILED;
}

/* the command */

static void walk(void *arg)
{
    struct warm *w = arg;
    warm_list_walk(&w->list);
}

static void ask(void *arg)
{
    struct warm *w = arg;
    warm_list_ask(&w->list);
}

/* Lists everything and asks how much of it is cached. */
static int look(struct warm *w, struct err *err)
{
    w->looking = "looking";
    for (unsigned i = 0; i < w->path_count; i++) {
        struct err why = ERR_INIT;
        if (warm_list_add(&w->list, w->paths[i], i, &why) < 0) {
            progress_say(&w->progress, "%s", why.msg);
            w->failures++; /* nobody else is here yet */
        }
    }
    w->nothing = w->failures == w->path_count;
    int rc = crew_run(&w->crew, walk, tick, w, err);
    if (rc == 0)
        rc = warm_list_check(&w->list, err);
    if (rc == 0)
        rc = crew_run(&w->crew, ask, tick, w, err);
    w->looking = NULL;
    return rc;
}

static int run(struct warm *w, int *status, struct err *err)
{
    struct tally lost = {0};
    int rc = look(w, err);
    if (rc == 0 && w->nothing && !w->json) {
        *status = EXIT_FAILED; /* each of them has been told */
        return 0;
    }
    if (rc == 0 && w->check) {
        progress_clear(&w->progress);
        *status = tell_check(w);
        return 0;
    }
    if (rc == 0) {
        plan(w);
        tell_plan(w);
        warn_of_limit(w);
        w->started_ms = clock_mono_ms();
        rc = crew_run(&w->crew, read_files, tick, w, err);
    }
    if (rc == 0)
        rc = settle(w, &lost, err);
    if (rc == 0)
        *status = tell_end(w, lost);
    return rc;
}

static int parse_jobs(struct warm *w, const char *text, struct err *err)
{
    uint64_t n;
    if (!text || !text_parse_u64(slice_of(text), JOBS_MAX, &n) || n == 0)
        return err_set(err, EINVAL, "--jobs takes a number from 1 to %d", JOBS_MAX);
    w->jobs = (unsigned)n;
    return 0;
}

/* Moves the paths to the front of argv. */
static int parse(struct warm *w, int argc, char **argv, struct err *err)
{
    struct arguments a = {.argc = argc, .argv = argv};
    bool option;
    w->paths = argv;
    for (const char *arg; (arg = arguments_next(&a, &option));) {
        int rc = 0;
        if (!option || !arg[1])
            w->paths[w->path_count++] = argv[a.taken];
        else if (strcmp(arg, "--check") == 0)
            w->check = true;
        else if (strcmp(arg, "--json") == 0)
            w->json = true;
        else if (strcmp(arg, "--quiet") == 0 || strcmp(arg, "-q") == 0)
            w->quiet = true;
        else if (strncmp(arg, "--follow=", 9) == 0)
            w->follow = arg + 9;
        else if (strcmp(arg, "--follow") == 0 && a.taken + 1 < argc)
            w->follow = arguments_value(&a);
        else if (strncmp(arg, "--jobs=", 7) == 0)
            rc = parse_jobs(w, arg + 7, err);
        else if (strcmp(arg, "--jobs") == 0 || strcmp(arg, "-j") == 0)
            rc = parse_jobs(w, arguments_value(&a), err);
        else
            rc = err_set(err, EINVAL, "unknown option %s", arg);
        if (rc < 0)
            return rc;
    }
    if (!w->path_count)
        return err_set(err, EINVAL, "a PATH of a mount is needed");
    if (w->follow && (w->path_count != 1 || w->check))
        return err_set(err, EINVAL, "--follow goes with one PATH, and not with --check");
    return w->json && !w->check ? err_set(err, EINVAL, "--json goes with --check") : 0;
}

int cmd_warm(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct warm w = {.jobs = JOBS_DEFAULT};
    int status = EXIT_FAILED;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        help();
        return EXIT_OK;
    }
    if (parse(&w, argc, argv, &err) < 0)
        return usage_error("warm", "%s", err.msg);
    if (w.follow) {
        if (warm_follow(w.follow, w.paths[0], &err) == 0)
            return EXIT_OK;
        (void)fprintf(stderr, "tarn warm: %s\n", err.msg);
        return EXIT_FAILED;
    }
    if (crew_open(&w.crew, w.jobs, &err) < 0) {
        (void)fprintf(stderr, "tarn warm: %s\n", err.msg);
        return EXIT_FAILED;
    }
    lock_init(&w.lock);
    progress_init(&w.progress, "warm", w.quiet);
    warm_list_init(&w.list, tell_failure, &w);
    int rc = run(&w, &status, &err);
    progress_clear(&w.progress);
    if (rc == -EINTR) { /* the threads are still at it: nothing is freed */
        if (w.started_ms)
            tell_read(&w, "stopped");
        (void)fflush(stdout);
        crew_die(&w.crew);
    }
    if (rc < 0)
        progress_say(&w.progress, "%s", err.msg);
    warm_list_done(&w.list);
    progress_done(&w.progress);
    lock_done(&w.lock);
    crew_close(&w.crew);
    return rc < 0 ? EXIT_FAILED : status;
}
