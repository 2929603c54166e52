/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tarn cache stat|verify|drop|gc: asks the daemon of the cache directory; where there is none it
 * takes the directory's lock and does the same itself.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/limits.h"
#include "tools/arguments.h"
#include "tools/ask.h"
#include "tools/directory.h"
#include "tools/human.h"
#include "tools/key_file.h"
#include "tools/progress.h"
#include "tools/tools.h"

#define DISK_WORKERS 4
#define TRIES 5 /* a daemon that starts or ends in between */

struct cache_command {
    enum maintenance what;
    bool json, served; /* a daemon was asked */
    struct options options;
    const char *mountpoint; /* NULL: options.cache_dir */

    struct progress progress;
    int64_t started_ms;
    struct maintenance_line line; /* what has been told so far */
    struct buf raw;               /* the last line's "stat" or "report" */
    struct err err;               /* of a line that is not understood */
};

static void help(void)
{
    printf(
        "usage: tarn cache stat|verify|drop|gc [OPTION]... [MOUNTPOINT]\n\n"
        "  stat     tell what is cached, what it may take, how often it helped\n"
        "  verify   read all that is cached; drop what is damaged; exit status 1 where some was\n"
        "  drop     remove all cached objects but those that are open\n"
        "  gc       remove what no record names, and what is over the budget\n\n"
        "Of the cache of MOUNTPOINT, or of --cache-dir. --json prints one JSON object.\n"
        "Where no daemon runs, the cache is opened as the last one was told to, or as the\n"
        "options of `tarn mount` that begin with --cache- say.\n");
}

/* A line of the answer; false where it is not understood. */
static bool take_line(void *arg, struct slice text)
{
    struct cache_command *c = arg;
    if (maintain_parse(text, &c->line, &c->err) < 0)
        return false;
    buf_reset(&c->raw);
    buf_add_slice(&c->raw, c->line.raw);
    if (c->line.last || c->what != MAINTENANCE_VERIFY)
        return true;
    struct progress_state s = {.files = c->line.report.objects,
                               .bytes = c->line.report.bytes,
                               .files_all = c->line.all_objects,
                               .bytes_all = c->line.all_bytes,
                               .unit = "objects"};
    progress_show(&c->progress, &s);
    return true;
}

/* without a daemon */

/* Removes what is in a directory and below; counts the files. */
static int remove_below(int parent, const char *name, struct cache_report *r, struct err *err)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    struct stat st;
    int rc = 0;
    if (!dir && fd >= 0)
        (void)close(fd); /* only read */
    if (!dir)
        return err_set(err, errno, "%s: %s", name, strerror(errno));
    while (rc == 0 && (e = readdir(dir))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue; /* gone by itself */
        bool is_dir = S_ISDIR(st.st_mode);
        rc = is_dir ? remove_below(fd, e->d_name, r, err) : 0;
        if (rc == 0 && unlinkat(fd, e->d_name, is_dir ? AT_REMOVEDIR : 0) < 0)
            rc = err_set(err, errno, "%s: %s", e->d_name, strerror(errno));
        r->removed += rc == 0 && !is_dir;
        r->removed_bytes += rc == 0 && !is_dir ? (uint64_t)st.st_blocks * 512 : 0;
    }
    (void)closedir(dir); /* only read */
    return rc;
}

/* All objects and what is known of them, whatever key they have. Nobody has them open. */
static int drop_all(struct cache_command *c, const struct directory *d, struct err *err)
{
    static const char *const files[] = {"cache.mdb", "cache.mdb-lock", "cache.key", "uses"};
    AUTO(buf) struct buf text = {0};
    struct cache_report r = {0};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) /* first: no record may name what has gone */
        if (unlinkat(d->dirfd, files[i], 0) < 0 && errno != ENOENT)
            return err_set(err, errno, "%s: %s", files[i], strerror(errno));
    int rc = faccessat(d->dirfd, "objects", F_OK, AT_SYMLINK_NOFOLLOW) < 0
                 ? 0
                 : remove_below(d->dirfd, "objects", &r, err);
    if (rc < 0)
        return rc;
    r.objects = r.removed;
    buf_init(&text, 4 * KIB);
    maintain_format_report(&r, &text);
    return take_line(c, buf_slice(&text)) ? 0 : err_copy(err, &c->err);
}

/* To check objects takes their key; to count and to remove them does not. */
static int open_and_do(struct cache_command *c, const struct directory *d, struct err *err)
{
    uint8_t bytes[KEY_BYTES];
    bool keyed = c->options.cache_key_file, any = c->what != MAINTENANCE_VERIFY;
    int rc = keyed ? key_file_read(c->options.cache_key_file, bytes, err) : 0;
    if (rc < 0 && !any)
        return rc;
    struct directory_key key = {.bytes = keyed && rc == 0 ? bytes : NULL, .any = any};
    AUTO(workers) struct workers *workers = workers_new("tarn-disk", DISK_WORKERS, err);
    struct cache *cache = workers ? directory_open_cache(d, &c->options, &key, workers, err) : NULL;
    explicit_bzero(bytes, sizeof bytes);
    if (!cache)
        return -err->code;
    rc = maintain(cache, NULL, c->what, take_line, c, err);
    cache_close(cache);
    return rc;
}

static int do_it_here(struct cache_command *c, struct err *err)
{
    AUTO(directory) struct directory d = DIRECTORY_NONE;
    int rc = directory_open(&d, c->options.cache_dir, false, err);
    if (rc == 0 && c->what == MAINTENANCE_DROP)
        return drop_all(c, &d, err);
    if (rc == 0)
        rc = directory_load_options(&d, &c->options, err);
    if (rc == 0)
        rc = options_check(&c->options, err);
    return rc < 0 ? rc : open_and_do(c, &d, err);
}

/* What was said of the cache is of no use to a daemon that has it open already. */
static void warn_of_options(const struct cache_command *c)
{
    const struct options *o = &c->options;
    if (o->cache_size || o->cache_free || o->cache_key_file || o->cache_compress_after)
        (void)fprintf(stderr, "tarn cache: a daemon serves %s, whose own options count\n",
                      o->cache_dir);
}

/* Whoever has the directory does it. */
static int run(struct cache_command *c, struct err *err)
{
    int rc = -EBUSY;
    for (int i = 0; i < TRIES && rc == -EBUSY && !c->served; i++) {
        rc = ask_daemon(c->options.cache_dir, c->what, take_line, c, err);
        c->served = rc != -ENOENT && rc != -ECONNREFUSED && rc != -EPIPE;
        if (c->served)
            warn_of_options(c);
        else
            rc = do_it_here(c, err);
    }
    if (rc == 0 && c->err.code)
        rc = err_copy(err, &c->err);
    return rc;
}

/* telling */

static void tell_disk(const struct cache_command *c)
{
    struct statvfs st;
    char a[HUMAN_BYTES], b[HUMAN_BYTES];
    if (statvfs(c->options.cache_dir, &st) < 0)
        return;
    printf("disk       %s free of %s\n", human_bytes((uint64_t)st.f_bavail * st.f_frsize, a),
           human_bytes((uint64_t)st.f_blocks * st.f_frsize, b));
}

/* Nothing where no near store was used. */
static void tell_near(const struct cache_stat *s)
{
    char a[HUMAN_BYTES], b[HUMAN_BYTES];
    if (!s->near_hits && !s->near_filled && !s->near_failed && !s->near_damaged)
        return;
    printf("  near     %s of that from near stores in %s requests\n",
           human_bytes(s->near_hit_bytes, a), human_count(s->near_hits, b));
    printf("           %s put there in %s objects\n", human_bytes(s->near_filled_bytes, a),
           human_count(s->near_filled, b));
    if (s->near_removed_bytes)
        printf("           %s removed for the budget\n", human_bytes(s->near_removed_bytes, a));
    if (s->near_damaged || s->near_failed)
        printf("           %s answers were wrong, %s late or refused: read at home\n",
               human_count(s->near_damaged, a), human_count(s->near_failed, b));
}

/* What a daemon has counted since it began. */
static void tell_use(const struct cache_stat *s)
{
    char a[HUMAN_BYTES], b[HUMAN_BYTES], c[HUMAN_BYTES];
    uint64_t read = s->hit_bytes + s->fetched_bytes;
    printf("since the daemon began:\n");
    printf("  hits     %s of %s (%u%%), beside what the kernel reads by itself\n",
           human_bytes(s->hit_bytes, a), human_bytes(read, b),
           read ? human_percent(s->hit_bytes, read) : 0);
    printf("  fetched  %s in %s requests, %s under way\n", human_bytes(s->fetched_bytes, a),
           human_count(s->requests, b), human_count(s->flights, c));
    tell_near(s);
    printf("  evicted  %s\n", human_bytes(s->evicted_bytes, a));
    printf("  checked  %s\n", human_bytes(s->scrubbed_bytes, a));
    printf("  damaged  %s%s\n", human_count(s->damaged, a),
           s->damaged ? ": dropped, and fetched again when read" : "");
    printf("  refused  %s writes by the disk\n", human_count(s->write_errors, a));
}

static void tell_stat(const struct cache_command *c)
{
    const struct cache_stat *s = &c->line.stat;
    char a[HUMAN_BYTES], b[HUMAN_BYTES];
    printf("directory  %s, %s\n", c->options.cache_dir,
           c->served ? "served by a daemon" : "no daemon");
    printf("objects    %s, %s of them whole\n", human_count(s->objects, a),
           human_count(s->sealed, b));
    printf("used       %s of %s (%u%%)\n", human_bytes(s->bytes, a), human_bytes(s->limit_bytes, b),
           s->limit_bytes ? human_percent(s->bytes, s->limit_bytes) : 100);
    if (s->frozen)
        printf("compressed %s parts of objects, in %s\n", human_count(s->frozen, a),
               human_bytes(s->frozen_bytes, b));
    tell_disk(c);
    if (c->served)
        printf("caching    %s\n", s->off ? "off at the moment: the disk refuses writes" : "on");
    if (c->served)
        tell_use(s);
}

static void tell_report(const struct cache_command *c)
{
    const struct cache_report *r = &c->line.report;
    char n[HUMAN_BYTES], b[HUMAN_BYTES], t[HUMAN_BYTES];
    uint64_t seconds = (uint64_t)(clock_mono_ms() - c->started_ms + 500) / 1000;
    switch (c->what) {
    case MAINTENANCE_STAT:
        break;
    case MAINTENANCE_VERIFY:
        printf("%s objects, %s checked in %s: ", human_count(r->objects, n),
               human_bytes(r->bytes, b), human_seconds(seconds, t));
        if (r->damaged)
            printf("%s damaged pieces were dropped; they are fetched again when they are read\n",
                   human_count(r->damaged, n));
        else
            printf("nothing is damaged\n");
        break;
    case MAINTENANCE_DROP:
        printf("%s objects, %s dropped%s\n", human_count(r->removed, n),
               human_bytes(r->removed_bytes, b), c->served ? "; what is open stays" : "");
        break;
    case MAINTENANCE_GC:
        printf("%s files, %s removed\n", human_count(r->removed, n),
               human_bytes(r->removed_bytes, b));
        break;
    }
}

static int tell(const struct cache_command *c)
{
    if (c->json)
        printf("%.*s\n", SLICE_FMT(buf_slice(&c->raw)));
    else if (c->what == MAINTENANCE_STAT)
        tell_stat(c);
    else
        tell_report(c);
    return c->what == MAINTENANCE_VERIFY && c->line.report.damaged ? EXIT_FAILED : EXIT_OK;
}

/* the command */

static int parse_option(struct cache_command *c, const char *arg, struct arguments *a,
                        struct err *err)
{
    if (strcmp(arg, "--json") == 0) {
        c->json = true;
        return 0;
    }
    if (strncmp(arg, "--cache-", 8) != 0)
        return err_set(err, EINVAL, "unknown option %s", arg);
    struct slice name = slice_of(arg + 2);
    ptrdiff_t equals = slice_find(name, '=');
    if (equals < 0)
        return options_set(&c->options, name, arguments_value(a), err);
    const char *value = name.p + equals + 1;
    name.n = (size_t)equals;
    return options_set(&c->options, name, value, err);
}

static int parse(struct cache_command *c, int argc, char **argv, struct err *err)
{
    struct arguments a = {.argc = argc, .argv = argv};
    bool found = false, option;
    for (const char *arg; (arg = arguments_next(&a, &option));) {
        int rc = 0;
        if (option)
            rc = parse_option(c, arg, &a, err);
        else if (!found && !maintenance_find(slice_of(arg), &c->what))
            rc = err_set(err, EINVAL, "unknown action %s", arg);
        else if (!found)
            found = true;
        else if (!c->mountpoint)
            c->mountpoint = arg;
        else
            rc = err_set(err, EINVAL, "unexpected argument %s", arg);
        if (rc < 0)
            return rc;
    }
    if (!found)
        return err_set(err, EINVAL, "stat, verify, drop or gc is needed");
    if (c->options.cache_dir && !*c->options.cache_dir)
        return err_set(err, EINVAL, "option cache-dir: a directory is needed");
    if (c->mountpoint && c->options.cache_dir)
        return err_set(err, EINVAL, "a mount point has its cache directory: not both");
    return 0;
}

/* The directory of the mount point, of --cache-dir, or the default one. */
static int find_directory(struct cache_command *c, struct err *err)
{
    char dir[PATH_MAX];
    struct options given = {0};
    int rc = c->mountpoint ? ask_directory(c->mountpoint, dir, err) : 0;
    if (rc == 0 && c->mountpoint)
        rc = options_set(&c->options, SLICE_LIT("cache-dir"), dir, err);
    if (rc == 0 && c->options.cache_dir)
        rc = options_set(&given, SLICE_LIT("cache-dir"), c->options.cache_dir, err);
    if (rc == 0)
        rc = options_check(&given, err); /* only it: what a daemon has saved counts as well */
    if (rc == 0)
        rc = options_set(&c->options, SLICE_LIT("cache-dir"), given.cache_dir, err);
    options_done(&given);
    return rc;
}

int cmd_cache(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct cache_command c = {.started_ms = clock_mono_ms()};
    int status = EXIT_FAILED;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        help();
        return EXIT_OK;
    }
    if (parse(&c, argc, argv, &err) < 0) {
        options_done(&c.options);
        return usage_error("cache", "%s", err.msg);
    }
    buf_init(&c.raw, 64 * KIB);
    progress_init(&c.progress, "cache verify", c.json);
    int rc = find_directory(&c, &err);
    if (rc == 0)
        rc = run(&c, &err);
    progress_clear(&c.progress);
    if (rc < 0)
        (void)fprintf(stderr, "tarn cache: %s\n", err.msg);
    else
        status = tell(&c);
    progress_done(&c.progress);
    buf_done(&c.raw);
    options_done(&c.options);
    return status;
}
