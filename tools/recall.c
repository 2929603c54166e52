/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tarn recall PATH...: has archived files of a mount restored, and waits for them.
 *
 *   walk ─► ask each file's tier ─► ask the daemon, in batches, to restore what is archived
 *     ^                                             │ --wait: ask those again, until they are there
 *     └── a table whose log is archived: that first ┘
 *
 * The stores remember what they were asked for, so the same command goes on after an interruption.
 */
#include "tools/recall.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "base/text.h"
#include "tools/arguments.h"
#include "tools/human.h"
#include "tools/tools.h"

#define JOBS 16
/* Between two looks at what is under way. */
#define LOOK_MS_MIN 1000
#define LOOK_MS_MAX 60000

static void help(void)
{
    printf("usage: tarn recall [OPTION]... PATH...\n\n"
           "Has the archived files at and below each PATH of a mount (a table, a version, a\n"
           "partition, a file) restored by their store. Run again, it tells how far that is.\n\n"
           "  --check        only tell what is archived; exit status 1 where something is\n"
           "  --days N       restored copies stay readable for so many days (%d)\n"
           "  --speed HOW    standard, bulk (slower, cheaper) or expedited (standard)\n"
           "  --wait         wait until all of it can be read\n"
           "  --json         with --check: one JSON object a PATH\n"
           "  --quiet        show no progress\n",
           RECALL_DAYS_DEFAULT);
}

/* ---- tables whose logs are archived ---- */

static void note_log(struct recall *c, const char *path)
{
    char *copy = strdup(path);
    WITH_LOCK (&c->lock)
        if (!copy || vec_push(&c->refused, copy) < 0) {
            free(copy);
            c->failures++;
        }
}

static void tell_failure(void *arg, const char *path, const char *why)
{
    struct recall *c = arg;
    DIR *dir = opendir(path);
    bool archived = !dir && errno == EREMOTE;
    if (dir)
        (void)closedir(dir); /* only looked at */
    if (archived) {
        note_log(c, path);
        return;
    }
    progress_say(&c->progress, "%s: %s", path, why);
    WITH_LOCK (&c->lock)
        c->failures++;
}

/* ---- what is archived ---- */

static void show_looking(void *arg)
{
    struct recall *c = arg;
    struct progress_state s = {.word = "looking", .files = warm_list_count(&c->list)};
    progress_show(&c->progress, &s);
}

static void walk(void *arg)
{
    struct recall *c = arg;
    warm_list_walk(&c->list);
}

/* "GLACIER,archived" */
static void take_tier(struct recall_state *s, struct slice tier)
{
    ptrdiff_t comma = slice_find(tier, ',');
    struct slice class = slice_make(tier.p, comma < 0 ? tier.n : (size_t)comma);
    size_t n = class.n < sizeof s->class ? class.n : sizeof s->class - 1;
    memcpy(s->class, class.p, n);
    s->class[n] = '\0';
    s->access = slice_ends(tier, SLICE_LIT(",archived"))    ? STORE_ARCHIVED
                : slice_ends(tier, SLICE_LIT(",restoring")) ? STORE_RESTORING
                                                            : STORE_READABLE;
}

static void look_at_file(struct recall *c, const struct warm_file *f, struct recall_state *s)
{
    char path[PATH_MAX], tier[STORE_CLASS_BYTES_MAX + 16];
    if (warm_file_path(f, path) < 0)
        return;
    ssize_t n = getxattr(path, "user.tarn.tier", tier, sizeof tier);
    int code = errno;
    s->asked = true;
    if (n >= 0) {
        take_tier(s, slice_make(tier, (size_t)n));
    } else if (code != ENODATA) { /* which has no object, or none that is told */
        progress_say(&c->progress, "%s: %s", path, strerror(code));
        s->failed = true;
    }
}

static void look_at_files(void *arg)
{
    struct recall *c = arg;
    for (;;) {
        size_t i = atomic_fetch_add(&c->next, 1);
        if (i >= c->list.files.n)
            return;
        struct recall_state *s = &c->states[i];
        bool known = s->asked && s->access == STORE_READABLE;
        if (!c->list.files.at[i].again && !known && !s->failed)
            look_at_file(c, &c->list.files.at[i], s);
    }
}

struct recall_tally recall_count(const struct recall *c, ptrdiff_t path)
{
    struct recall_tally t = {.failed = 0};
    for (size_t i = 0; i < c->list.files.n; i++) {
        const struct warm_file *f = &c->list.files.at[i];
        if (f->again || (path >= 0 && f->path != (unsigned)path))
            continue;
        t.files[c->states[i].access]++;
        t.bytes[c->states[i].access] += f->size;
        t.failed += c->states[i].failed;
    }
    return t;
}

/* Lists everything; what cannot be listed has been told. */
static int look(struct recall *c, struct err *err)
{
    for (unsigned i = 0; i < c->path_count; i++) {
        struct err why = ERR_INIT;
        int rc = warm_list_add(&c->list, c->paths[i], i, &why);
        if (rc == -EREMOTE) {
            note_log(c, c->paths[i]);
        } else if (rc < 0) {
            progress_say(&c->progress, "%s", why.msg);
            c->failures++; /* nobody else is here yet */
        }
    }
    int rc = crew_run(&c->crew, walk, show_looking, c, err);
    if (rc == 0)
        rc = warm_list_check(&c->list, err);
    if (rc < 0)
        return rc;
    warm_list_sort(&c->list);
    c->states = calloc(c->list.files.n + 1, sizeof *c->states);
    if (!c->states)
        return err_set(err, ENOMEM, "out of memory");
    return crew_run(&c->crew, look_at_files, show_looking, c, err);
}

static void forget(struct recall *c)
{
    for (size_t i = 0; i < c->refused.n; i++)
        free(c->refused.at[i]);
    vec_done(&c->refused);
    c->refused.n = 0;
    warm_list_done(&c->list);
    free(c->states);
    c->states = NULL;
    c->next = 0;
}

/* ---- waiting ---- */

static void show_waiting(void *arg)
{
    struct recall *c = arg;
    progress_show(&c->progress, &c->waited);
}

static int wait_ms(struct recall *c, int ms, struct err *err)
{
    int rc = 0;
    for (int left = ms; rc == 0 && left > 0; left -= 100) {
        show_waiting(c);
        rc = crew_wait(&c->crew, left < 100 ? left : 100, err);
    }
    return rc;
}

/* Until nothing is archived that can be had. */
static int wait_for_files(struct recall *c, struct err *err)
{
    struct recall_tally t = recall_count(c, -1);
    struct recall_tally begin = t;
    int rc = 0;
    for (int ms = LOOK_MS_MIN; rc == 0; ms = 2 * ms < LOOK_MS_MAX ? 2 * ms : LOOK_MS_MAX) {
        uint64_t back = t.files[STORE_READABLE] - begin.files[STORE_READABLE];
        c->waited = (struct progress_state){
            .files = back,
            .files_all = back + t.files[STORE_RESTORING],
            .bytes = t.bytes[STORE_READABLE] - begin.bytes[STORE_READABLE],
            .bytes_all =
                t.bytes[STORE_READABLE] - begin.bytes[STORE_READABLE] + t.bytes[STORE_RESTORING]};
        if (t.files[STORE_RESTORING] == 0)
            return 0;
        rc = wait_ms(c, ms, err);
        c->next = 0;
        if (rc == 0)
            rc = crew_run(&c->crew, look_at_files, show_waiting, c, err);
        t = recall_count(c, -1);
    }
    return rc;
}

/* ---- the command ---- */

/* Everything is listed and asked for; again while a log comes back. */
static int look_until_listed(struct recall *c, struct err *err)
{
    for (int ms = LOOK_MS_MIN;; ms = 2 * ms < LOOK_MS_MAX ? 2 * ms : LOOK_MS_MAX) {
        warm_list_init(&c->list, tell_failure, c);
        int rc = look(c, err);
        if (rc == 0 && c->refused.n)
            rc = recall_ask_logs(c, err);
        if (rc < 0 || !c->refused.n || !c->wait || c->failures)
            return rc;
        forget(c);
        c->waited = (struct progress_state){
            .word = "waiting for a log", .unit = "objects", .files = c->log_objects};
        rc = wait_ms(c, ms, err);
        if (rc < 0) {
            warm_list_init(&c->list, tell_failure, c); /* for who frees it */
            return rc;
        }
    }
}

static int run(struct recall *c, int *status, struct err *err)
{
    int rc = look_until_listed(c, err);
    if (rc < 0)
        return rc;
    if (c->check) {
        progress_clear(&c->progress);
        *status = recall_tell_check(c);
        return 0;
    }
    for (unsigned i = 0; rc == 0 && i < c->path_count; i++)
        if (recall_mount_of(c->paths[i], &c->mounts[i], NULL) < 0)
            c->mounts[i] =
                (struct recall_mount){.dir = ""}; /* it has no files here, and was told */
    rc = crew_run(&c->crew, recall_restore, show_looking, c, err);
    if (rc < 0)
        return rc;
    progress_clear(&c->progress);
    recall_tell_begun(c);
    if (c->wait)
        rc = wait_for_files(c, err);
    if (rc < 0)
        return rc;
    progress_clear(&c->progress);
    if (c->wait)
        recall_tell_end(c);
    bool failed = c->failures || c->refused.n || recall_count(c, -1).failed;
    *status = failed ? EXIT_FAILED : EXIT_OK;
    return 0;
}

static int take_value(struct recall *c, const char *name, const char *value, struct err *err)
{
    uint64_t days;
    if (strcmp(name, "days") == 0) {
        if (!value || !text_parse_u64(slice_of(value), RECALL_DAYS_MAX, &days) || days == 0)
            return err_set(err, EINVAL, "--days takes a number from 1 to %d", RECALL_DAYS_MAX);
        c->how.days = (unsigned)days;
        return 0;
    }
    if (!value || !recall_speed_parse(slice_of(value), &c->how.speed))
        return err_set(err, EINVAL, "--speed takes standard, bulk or expedited");
    return 0;
}

static bool take_flag(struct recall *c, const char *arg)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"--check", &c->check},
                 {"--json", &c->json},
                 {"--wait", &c->wait},
                 {"--quiet", &c->quiet},
                 {"-q", &c->quiet}};
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        if (strcmp(arg, flags[i].name) == 0)
            return *flags[i].flag = true;
    return false;
}

/* Moves the paths to the front of argv. */
static int parse(struct recall *c, int argc, char **argv, struct err *err)
{
    struct arguments words = {.argc = argc, .argv = argv};
    bool option;
    c->paths = argv;
    for (const char *arg; (arg = arguments_next(&words, &option));) {
        int rc = 0;
        if (option && take_flag(c, arg))
            continue;
        if (!option || !arg[1])
            c->paths[c->path_count++] = argv[words.taken];
        else if (strcmp(arg, "--days") == 0 || strcmp(arg, "--speed") == 0)
            rc = take_value(c, arg + 2, arguments_value(&words), err);
        else if (strncmp(arg, "--days=", 7) == 0)
            rc = take_value(c, "days", arg + 7, err);
        else if (strncmp(arg, "--speed=", 8) == 0)
            rc = take_value(c, "speed", arg + 8, err);
        else
            rc = err_set(err, EINVAL, "unknown option %s", arg);
        if (rc < 0)
            return rc;
    }
    if (!c->path_count)
        return err_set(err, EINVAL, "a PATH of a mount is needed");
    if (c->check && c->wait)
        return err_set(err, EINVAL, "--check does not go with --wait");
    return c->json && !c->check ? err_set(err, EINVAL, "--json goes with --check") : 0;
}

int cmd_recall(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct recall c = {.how = {.days = RECALL_DAYS_DEFAULT}, .refused = VEC_MAX(FILES_MAX)};
    int status = EXIT_FAILED;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        help();
        return EXIT_OK;
    }
    if (parse(&c, argc, argv, &err) < 0)
        return usage_error("recall", "%s", err.msg);
    AUTO_FREE struct recall_mount *mounts = calloc(c.path_count, sizeof *mounts);
    c.mounts = mounts;
    if (!mounts || crew_open(&c.crew, JOBS, &err) < 0) {
        (void)fprintf(stderr, "tarn recall: %s\n", mounts ? err.msg : "out of memory");
        return EXIT_FAILED;
    }
    lock_init(&c.lock);
    progress_init(&c.progress, "recall", c.quiet);
    int rc = run(&c, &status, &err);
    progress_clear(&c.progress);
    if (rc == -EINTR) { /* the threads may still be at it: nothing is freed */
        (void)fflush(stdout);
        crew_die(&c.crew);
    }
    if (rc < 0)
        progress_say(&c.progress, "%s", err.msg);
    forget(&c);
    progress_done(&c.progress);
    lock_done(&c.lock);
    crew_close(&c.crew);
    return rc < 0 ? EXIT_FAILED : status;
}
