/* SPDX-License-Identifier: Apache-2.0 */
/* tarn archive: versions that outlive what the table's own clean-up takes. */
#include "tools/archive.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/clock.h"
#include "base/instant.h"
#include "base/text.h"
#include "lake/archive/copy.h"
#include "lake/archive/side.h"
#include "lake/cataloged.h"
#include "lake/layers.h"
#include "lake/wait.h"
#include "lake/where.h"
#include "tools/arguments.h"
#include "tools/human.h"
#include "tools/mounts.h"
#include "tools/progress.h"
#include "tools/tools.h"

#define THREADS 8
#define VALUE_BYTES 4096

static void help(void)
{
    printf(
        "usage: tarn archive TABLE@REF --to STORE [OPTION]...\n"
        "       tarn archive --lake SOURCE TABLE@REF [--to STORE] [OPTION]...\n"
        "       tarn archive list STORE [TABLE]\n"
        "       tarn archive verify STORE [TABLE[@VERSION]]\n"
        "       tarn archive drop STORE TABLE@VERSION\n\n"
        "Copies everything that a version of a table needs into a store of its own, so that the\n"
        "version can be read when the table has lost it. TABLE is a path in a mount; with --lake\n"
        "it is a table's path in the lake of a URL, a directory or a lake file, whose `archive:`\n"
        "counts where --to is not given. What such a store has is read by mounts that name it.\n\n"
        "  --to STORE         URL or directory of the archive store\n"
        "  --to-option K=V    an option of that store (endpoint-url, region, profile, ...)\n"
        "  --json             print the version as JSON\n" ARCHIVE_HELP);
}

/* arguments */

void archive_arguments_done(struct archive_arguments *a)
{
    for (size_t i = 0; i < a->to_options_n; i++)
        free((void *)(uintptr_t)a->to_options[i].name);
    options_done(&a->options);
}

static int take_to_option(struct archive_arguments *a, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    if (a->to_options_n == ARCHIVE_OPTIONS_MAX)
        return err_set(err, EINVAL, "more than %d times --to-option", ARCHIVE_OPTIONS_MAX);
    char *name = equals ? strndup(text, (size_t)(equals - text)) : strdup(text);
    if (!name)
        return err_set(err, ENOMEM, "out of memory");
    a->to_options[a->to_options_n++] =
        (struct lakefile_option){.name = name, .value = equals ? equals + 1 : NULL};
    return options_takes_value(slice_of(name)) < 0
               ? err_set(err, EINVAL, "--to-option %s: there is no such option", name)
               : 0;
}

static int take_threads(struct archive_arguments *a, const char *text, struct err *err)
{
    uint64_t n;
    if (!text_parse_u64(slice_of(text), SIDE_THREADS_MAX, &n) || n == 0)
        return err_set(err, EINVAL, "option --threads: %s is no number up to %d", text,
                       SIDE_THREADS_MAX);
    a->threads = (unsigned)n;
    return 0;
}

/* The value of an option that may stand behind `=` or as the next argument; NULL: it is another. */
static const char *value_of(const char *name, int argc, char **argv, int *i)
{
    size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) != 0)
        return NULL;
    if (argv[*i][n] == '=')
        return argv[*i] + n + 1;
    return !argv[*i][n] && *i + 1 < argc ? argv[++*i] : NULL;
}

static int take_option(struct archive_arguments *a, int argc, char **argv, int *i, struct err *err)
{
    const char *value;
    if (strcmp(argv[*i], "--json") == 0)
        a->json = true;
    else if (strcmp(argv[*i], "--quiet") == 0)
        a->quiet = true;
    else if ((value = value_of("--lake", argc, argv, i)))
        a->lake = value;
    else if ((value = value_of("--to-option", argc, argv, i)))
        return take_to_option(a, value, err);
    else if ((value = value_of("--to", argc, argv, i)))
        a->to = value;
    else if ((value = value_of("--threads", argc, argv, i)))
        return take_threads(a, value, err);
    else
        return options_argument(&a->options, argc, argv, i, err);
    return 0;
}

int archive_arguments_parse(struct archive_arguments *a, int argc, char **argv, struct err *err)
{
    struct arguments words = {.argc = argc, .argv = argv};
    bool option;
    a->threads = THREADS;
    for (const char *arg; (arg = arguments_next(&words, &option));) {
        if (option && arg[1]) {
            int rc = take_option(a, argc, argv, &words.taken, err);
            if (rc < 0)
                return rc;
        } else if (a->operands_n < ARCHIVE_OPERANDS_MAX) {
            a->operands[a->operands_n++] = arg;
        } else {
            return err_set(err, EINVAL, "unexpected argument %s", arg);
        }
    }
    return 0;
}

int archive_open_to(const struct archive_arguments *a, const struct own_lake *own,
                    struct archive **out, struct err *err)
{
    const struct lakefile *file = own_lake_file(own);
    const struct lakefile_store to = {
        .url = a->to, .options = a->to_options, .options_n = a->to_options_n};
    const struct lakefile_store *which = a->to || !file ? &to : &file->archive;
    struct store_options options;
    if (!which->url)
        return err_set(err, EINVAL, "--to STORE is needed: no archive store is named");
    lakefile_store_options(which, own_lake_store_options(own), &options);
    struct store *store = store_open(which->url, &options, own_lake_runtime(own), err);
    *out = store ? archive_new(store, own_lake_scratch(own), err) : NULL;
    return *out ? 0 : err_wrap(err, "archive store %s", which->url);
}

/* what is archived */

/* A table of a lake at a ref. */
struct target {
    char *source, *path; /* owned; the path as of the lake's root, with its ref */
};

static void target_done(struct target *t)
{
    free(t->source);
    free(t->path);
}
DEFINE_AUTO_DONE(target, struct target, target_done)

/* An attribute of the path as a text with its zero. */
static int attribute(const char *path, const char *name, char out[VALUE_BYTES], struct err *err)
{
    ssize_t n = getxattr(path, name, out, VALUE_BYTES - 1);
    if (n < 0)
        return err_set(err, errno == ENODATA ? ENOENT : errno,
                       "%s is no table of a mount of tarn (%s: %s)", path, name, strerror(errno));
    out[n] = '\0';
    return 0;
}

/* A path of a mount: the lake is that of the mount, the version the one that the path shows now. */
static int find_mounted(const char *path, struct target *out, struct err *err)
{
    char table[VALUE_BYTES], version[VALUE_BYTES], format[VALUE_BYTES];
    int rc = attribute(path, "user.tarn.table", table, err);
    if (rc == 0)
        rc = attribute(path, "user.tarn.format", format, err);
    if (rc == 0)
        rc = mounts_source(path, &out->source, err);
    if (rc < 0)
        return rc;
    bool moments = strcmp(format, "files") == 0; /* what is there now */
    if (!moments && (rc = attribute(path, "user.tarn.version", version, err)) < 0)
        return rc;
    if (asprintf(&out->path, "%s%s%s", table, moments ? "" : "@", moments ? "" : version) < 0)
        out->path = NULL;
    return out->path ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int find_target(const struct archive_arguments *a, struct target *out, struct err *err)
{
    if (!a->lake)
        return find_mounted(a->operands[0], out, err);
    out->source = strdup(a->lake);
    out->path = strdup(a->operands[0]);
    return out->source && out->path ? 0 : err_set(err, ENOMEM, "out of memory");
}

/* the version */

struct looking {
    struct lake *lake;
    const char *path;
    struct where where;
    struct history *history;
};

static int look(void *arg, struct task *task, struct err *err)
{
    struct looking *l = arg;
    AUTO(where) struct where w;
    AUTO(history) struct history *h = NULL;
    where_init(&w);
    int rc = where_find(l->lake, slice_of(l->path), task, &w, err);
    if (rc == 0 && ((w.kind != WHERE_LIVE && w.kind != WHERE_PINNED) || w.dir != SNAPSHOT_ROOT))
        rc = err_set(err, EINVAL, "%s is no table", l->path);
    if (rc == 0)
        rc = table_history(w.table, task, &h, err);
    if (rc == 0) {
        l->where = w;
        l->history = STEAL(h);
        where_init(&w);
    }
    return rc;
}

static void looking_done(struct looking *l)
{
    where_done(&l->where);
    history_unref(l->history);
}
DEFINE_AUTO_DONE(looking, struct looking, looking_done)

/* The version as a copy wants it. */
static int set_version(const struct looking *l, struct archive_copy *c, struct err *err)
{
    struct table_version *v = l->where.version;
    const struct table *t = l->where.table;
    c->driver = table_driver(t);
    c->snapshot = v->snapshot;
    c->version = v->version;
    if (v->kind != TABLE_VERSION || !v->snapshot)
        return err_set(err, EINVAL, "%s shows no one version", l->path);
    if (l->history->numbered) {
        ptrdiff_t position = history_find(l->history, v->version.number);
        if (position < 0)
            return err_set(err, ENOENT, "%s: its version is gone", l->path);
        c->history = l->history;
        c->position = (size_t)position;
        return 0;
    }
    if (l->where.kind == WHERE_LIVE) /* a moment that nobody has named is this one */
        c->version.number = c->version.timestamp_ms = clock_real_ms();
    return 0;
}

/* showing */

static int show_progress(void *arg, const struct archive_copy *c, struct err *err)
{
    struct progress_state s = {.files = c->objects,
                               .files_all = c->objects_all,
                               .bytes = c->bytes,
                               .bytes_all = c->bytes_all,
                               .unit = "objects"};
    (void)err;
    progress_show(arg, &s);
    return 0;
}

static void print_result(const struct archive_arguments *a, const struct archive_copy *c,
                         const struct manifest *m, bool was_there)
{
    char plain[HUMAN_BYTES], written[HUMAN_BYTES], objects[HUMAN_BYTES], known[HUMAN_BYTES];
    AUTO(buf) struct buf ref = {0}, url = {0};
    buf_init(&ref, KIB);
    buf_init(&url, sizeof m->table * 6);
    if (strcmp(m->format, "files") == 0)
        instant_format(&ref, m->version);
    else
        buf_addf(&ref, "%lld", (long long)m->version);
    buf_add_json(&url, slice_of(m->table));
    if (a->json)
        printf("{\"table\":%s,\"version\":%lld,\"ref\":\"%s\",\"files\":%llu,\"bytes\":%llu,"
               "\"objects\":%llu,\"plainBytes\":%llu,\"written\":%llu,\"known\":%llu,"
               "\"wasThere\":%s}\n",
               url.data, (long long)m->version, ref.data, (unsigned long long)m->files,
               (unsigned long long)m->bytes, (unsigned long long)m->objects,
               (unsigned long long)m->plain, (unsigned long long)c->written,
               (unsigned long long)c->known, was_there ? "true" : "false");
    else if (was_there)
        printf("%s@%s is archived already\n", m->table, ref.data);
    else
        printf("%s@%s is archived: %s objects, %s; %s were there already, %s written\n", m->table,
               ref.data, human_count(m->objects, objects), human_bytes(m->plain, plain),
               human_count(c->known, known), human_bytes(c->written, written));
}

static int copy(const struct archive_arguments *a, const struct own_lake *own,
                const struct looking *l, struct err *err)
{
    AUTO(archive) struct archive *archive = NULL;
    AUTO_FREE struct manifest *m = calloc(1, sizeof *m);
    struct progress progress;
    const struct table *t = l->where.table;
    struct cataloged *cataloged = table_cataloged(t);
    struct driver_config config = {.store = table_store(t),
                                   .prefix = table_prefix(t).p,
                                   .index_dirfd = table_index_dirfd(t),
                                   .drivers = own_lake_get(own)->config.drivers,
                                   .source = cataloged ? cataloged_source(cataloged) : NULL};
    config.outside = table_others(t, &config.outside_n);
    struct archive_copy c = {.config = &config,
                             .threads = a->threads,
                             .plain_http = strstr(table_store(t)->url, "http://") != NULL,
                             .tick = show_progress,
                             .arg = &progress};
    int rc = m ? set_version(l, &c, err) : err_set(err, ENOMEM, "out of memory");
    if (rc == 0)
        rc = archive_open_to(a, own, &archive, err);
    if (rc == 0)
        rc = layers_check_apart(&l->lake->layers, archive_store(archive), err);
    if (rc < 0)
        return rc;
    c.archive = archive;
    progress_init(&progress, "archive", a->quiet);
    rc = archive_copy(&c, m, err);
    progress_done(&progress);
    if (rc >= 0)
        print_result(a, &c, m, rc == 1);
    return rc < 0 ? rc : 0;
}

static int run(struct archive_arguments *a, struct err *err)
{
    AUTO(target) struct target target = {NULL, NULL};
    AUTO(own_lake) struct own_lake *own = NULL;
    int rc = find_target(a, &target, err);
    if (rc == 0)
        rc = own_lake_open(target.source, &a->options, &own, err);
    if (rc < 0)
        return rc;
    AUTO(looking) struct looking l = {.lake = own_lake_get(own), .path = target.path};
    where_init(&l.where);
    rc = lake_wait(l.lake, look, &l, err);
    return rc < 0 ? rc : copy(a, own, &l, err);
}

int cmd_archive(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {{"list", archive_list_command},
                    {"verify", archive_verify_command},
                    {"drop", archive_drop_command}};
    struct err err = ERR_INIT;
    AUTO(archive_arguments) struct archive_arguments a = {.operands_n = 0};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        help();
        return EXIT_OK;
    }
    for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (archive_arguments_parse(&a, argc, argv, &err) < 0)
        return usage_error("archive", "%s", err.msg);
    if (a.operands_n != 1)
        return usage_error("archive", "one TABLE@REF is needed");
    if (run(&a, &err) == 0)
        return EXIT_OK;
    (void)fprintf(stderr, "tarn archive: %s\n", err.msg);
    return EXIT_FAILED;
}
