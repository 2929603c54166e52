/* SPDX-License-Identifier: Apache-2.0 */
/* tarn archive list|verify|drop: what an archive store has. */
#include <stdio.h>

#include "base/instant.h"
#include "base/vec.h"
#include "lake/archive/drop.h"
#include "lake/layers.h"
#include "lake/ref.h"
#include "tools/archive.h"
#include "tools/human.h"
#include "tools/progress.h"
#include "tools/tools.h"

#define VERSIONS_SHOWN_MAX ((size_t)1 << 20)

/* A command on its way. */
struct look {
    struct archive_arguments arguments;
    struct own_lake *own;
    struct archive *archive;
    struct progress progress;
    struct { /* those that were asked for */
        struct archive_version **at;
        size_t n, capacity, max;
    } versions;
};

static void look_done(struct look *l)
{
    for (size_t i = 0; i < l->versions.n; i++)
        archive_version_unref(l->versions.at[i]);
    free(l->versions.at);
    archive_free(l->archive);
    own_lake_close(l->own);
    archive_arguments_done(&l->arguments);
}
DEFINE_AUTO_DONE(look, struct look, look_done)

static void help(const char *command)
{
    printf("usage: tarn archive list STORE [TABLE[@VERSION]]\n"
           "       tarn archive verify STORE [TABLE[@VERSION]]\n"
           "       tarn archive drop STORE TABLE@VERSION\n"
           "       tarn archive drop STORE\n\n");
    if (strcmp(command, "list") == 0)
        printf("Lists the versions of an archive store. STORE is its URL or directory, or a lake\n"
               "file with `archive:`. TABLE is a table's URL as the list shows it, or its end.\n\n"
               "  --json             one line of JSON a version\n");
    else if (strcmp(command, "verify") == 0)
        printf("Reads back every object of the versions and compares it with what was archived.\n"
               "Exits with 1 where something is damaged or missing, and tells what.\n\n");
    else
        printf("Removes a version, and what no other version needs. Without a version, only what\n"
               "archivers that were killed have left.\n\n");
    printf(ARCHIVE_HELP);
}

/* The store is opened as a lake of its own: its options are those of the command line. */
static int open_store(struct look *l, struct err *err)
{
    struct archive_arguments *a = &l->arguments;
    if (a->operands_n < 1)
        return err_set(err, EINVAL, "an archive STORE is needed");
    int rc = own_lake_open(a->operands[0], &a->options, &l->own, err);
    if (rc < 0)
        return rc;
    if (!own_lake_file(l->own))
        a->to = a->operands[0];
    return archive_open_to(a, l->own, &l->archive, err);
}

/* What is asked for: `TABLE`, `TABLE@VERSION`; a table's name may have an `@` in it. */
struct wanted {
    struct slice table, ref; /* empty: any */
};

static struct wanted wanted_of(const struct archive_arguments *a)
{
    struct wanted w = {SLICE_NONE, SLICE_NONE};
    if (a->operands_n < 2)
        return w;
    struct slice text = slice_of(a->operands[1]);
    ptrdiff_t at = slice_rfind(text, '@');
    w.table = at < 0 ? text : slice_make(text.p, (size_t)at);
    w.ref = at < 0 ? SLICE_NONE : slice_from(text, (size_t)at + 1);
    return w;
}

static bool is_wanted(const struct wanted *w, const struct manifest *m)
{
    struct slice url = slice_of(m->table);
    struct ref ref;
    bool table = !w->table.n || slice_eq(url, w->table) ||
                 (slice_ends(url, w->table) && url.p[url.n - w->table.n - 1] == '/');
    if (!table || !w->ref.n)
        return table;
    if (!ref_parse(w->ref, false, &ref))
        return false;
    return ref.kind == REF_VERSION ? ref.version == m->version
                                   : ref.kind == REF_TIME && ref.time_ms == m->timestamp_ms;
}

/* Reads the versions that are asked for. One that is damaged is told, and counted. */
static int read_versions(struct look *l, size_t *damaged, struct err *err)
{
    AUTO(archive_listing) struct archive_listing *listing = NULL;
    struct wanted wanted = wanted_of(&l->arguments);
    l->versions.max = VERSIONS_SHOWN_MAX;
    int rc = archive_listing_get(l->archive, 0, &listing, err);
    for (size_t i = 0; rc == 0 && i < listing->n; i++) {
        AUTO(archive_version) struct archive_version *v = NULL;
        struct err e = ERR_INIT;
        if (listing->at[i].version < 0)
            continue;
        int got = archive_version_get(l->archive, &listing->at[i], &v, &e);
        if (got < 0) {
            (void)fprintf(stderr, "tarn archive: %s\n", e.msg);
            ++*damaged;
        } else if (is_wanted(&wanted, &v->manifest)) {
            rc = vec_push(&l->versions, v);
            if (rc == 0)
                v = NULL;
            else
                (void)err_set(err, -rc, "too many versions");
        }
    }
    if (rc == 0 && wanted.table.n && !l->versions.n)
        rc = err_set(err, ENOENT, "%s has no version %s", l->arguments.operands[0],
                     l->arguments.operands[1]);
    return rc;
}

static int begin(struct look *l, int argc, char **argv, struct err *err)
{
    int rc = archive_arguments_parse(&l->arguments, argc, argv, err);
    if (rc == 0)
        rc = open_store(l, err);
    return rc;
}

static bool wants_help(int argc, char **argv)
{
    bool wants = argc == 2 && strcmp(argv[1], "--help") == 0;
    if (wants)
        help(argv[0]);
    return wants;
}

static int end(const struct err *err)
{
    if (err->code == EINVAL)
        return usage_error("archive", "%s", err->msg);
    (void)fprintf(stderr, "tarn archive: %s\n", err->msg);
    return EXIT_FAILED;
}

/* list */

static void add_ref(struct buf *out, const struct manifest *m)
{
    if (strcmp(m->format, "files") == 0)
        instant_format(out, m->version);
    else
        buf_addf(out, "%lld", (long long)m->version);
}

static void print_version(const struct manifest *m, bool json)
{
    AUTO(buf) struct buf line = {0};
    char bytes[HUMAN_BYTES], files[HUMAN_BYTES];
    buf_init(&line, 8 * sizeof m->table);
    if (json) {
        buf_add_str(&line, "{\"table\":");
        buf_add_json(&line, slice_of(m->table));
        buf_addf(&line, ",\"format\":\"%s\",\"version\":%lld,\"ref\":\"", m->format,
                 (long long)m->version);
        add_ref(&line, m);
        buf_add_str(&line, "\",\"timestamp\":\"");
        instant_format(&line, m->timestamp_ms);
        buf_add_str(&line, "\",\"archived\":\"");
        instant_format(&line, m->archived_ms);
        buf_addf(&line, "\",\"files\":%llu,\"bytes\":%llu,\"objects\":%llu,\"plainBytes\":%llu}\n",
                 (unsigned long long)m->files, (unsigned long long)m->bytes,
                 (unsigned long long)m->objects, (unsigned long long)m->plain);
    } else {
        buf_add_str(&line, m->table);
        buf_add_char(&line, '@');
        add_ref(&line, m);
        buf_addf(&line, "  %s files  %s  of ", human_count(m->files, files),
                 human_bytes(m->bytes, bytes));
        instant_format(&line, m->timestamp_ms);
        buf_add_str(&line, "  archived ");
        instant_format(&line, m->archived_ms);
        buf_add_char(&line, '\n');
    }
    printf("%s", line.data ? line.data : "");
}

int archive_list_command(int argc, char **argv)
{
    struct err err = ERR_INIT;
    size_t damaged = 0;
    AUTO(look) struct look l = {.own = NULL};
    if (wants_help(argc, argv))
        return EXIT_OK;
    int rc = begin(&l, argc, argv, &err);
    if (rc == 0)
        rc = read_versions(&l, &damaged, &err);
    if (rc < 0)
        return end(&err);
    for (size_t i = 0; i < l.versions.n; i++)
        print_version(&l.versions.at[i]->manifest, l.arguments.json);
    return damaged ? EXIT_FAILED : EXIT_OK;
}

/* verify */

static void say_wrong(void *arg, const char *what)
{
    struct look *l = arg;
    progress_say(&l->progress, "%s", what);
}

static int show(void *arg, const struct archive_report *r, struct err *err)
{
    struct look *l = arg;
    struct progress_state s = {
        .files = r->objects, .bytes = r->bytes, .unit = "objects", .word = "reading"};
    (void)err;
    progress_show(&l->progress, &s);
    return 0;
}

int archive_verify_command(int argc, char **argv)
{
    struct err err = ERR_INIT;
    size_t damaged = 0;
    struct archive_report report = {0};
    char objects[HUMAN_BYTES], bytes[HUMAN_BYTES];
    AUTO(look) struct look l = {.own = NULL};
    if (wants_help(argc, argv))
        return EXIT_OK;
    int rc = begin(&l, argc, argv, &err);
    if (rc == 0)
        rc = read_versions(&l, &damaged, &err);
    if (rc < 0)
        return end(&err);
    const struct archive_listener listener = {
        .wrong = say_wrong, .tick = show, .arg = &l, .threads = l.arguments.threads};
    progress_init(&l.progress, "archive", l.arguments.quiet);
    rc = archive_verify_versions(l.archive, l.versions.at, l.versions.n, &listener, &report, &err);
    progress_done(&l.progress);
    if (rc < 0)
        return end(&err);
    printf("%zu versions, %s contents, %s: all as they were archived\n", l.versions.n,
           human_count(report.objects, objects), human_bytes(report.bytes, bytes));
    return damaged ? EXIT_FAILED : EXIT_OK;
}

/* drop */

static int drop_version(struct look *l, struct err *err)
{
    AUTO(buf) struct buf table = {0};
    size_t damaged = 0;
    if (!wanted_of(&l->arguments).ref.n)
        return err_set(err, EINVAL, "TABLE@VERSION is needed: which one is dropped?");
    int rc = read_versions(l, &damaged, err);
    if (rc < 0)
        return rc;
    if (l->versions.n > 1)
        return err_set(err, EINVAL, "%s stands for %zu versions: name the table's whole URL",
                       l->arguments.operands[1], l->versions.n);
    const struct manifest *m = &l->versions.at[0]->manifest;
    buf_init(&table, KIB);
    archive_table_key(slice_of(m->table), &table);
    rc = buf_check(&table, err);
    if (rc < 0)
        return rc;
    struct archive_place place = {table.data, m->version};
    rc = archive_drop_version(l->archive, &place, err);
    if (rc == 0)
        printf("%s is dropped\n", l->arguments.operands[1]);
    return rc;
}

int archive_drop_command(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct archive_report report = {0};
    char objects[HUMAN_BYTES], bytes[HUMAN_BYTES];
    AUTO(look) struct look l = {.own = NULL};
    if (wants_help(argc, argv))
        return EXIT_OK;
    int rc = begin(&l, argc, argv, &err);
    if (rc == 0 && l.arguments.operands_n > 1)
        rc = drop_version(&l, &err);
    if (rc < 0)
        return end(&err);
    const struct archive_listener listener = {.wrong = say_wrong, .tick = show, .arg = &l};
    progress_init(&l.progress, "archive", l.arguments.quiet);
    rc = archive_sweep(l.archive, &listener, &report, &err);
    progress_done(&l.progress);
    if (rc == -EBUSY) {
        printf("what nobody needs is left for later (tarn archive drop %s): %s\n",
               l.arguments.operands[0], err.msg);
        return EXIT_OK;
    }
    if (rc < 0)
        return end(&err);
    printf("%s contents removed, %s\n", human_count(report.removed, objects),
           human_bytes(report.removed_bytes, bytes));
    return EXIT_OK;
}
