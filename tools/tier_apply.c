/* SPDX-License-Identifier: Apache-2.0 */
/* tarn tier apply: does what `tarn tier plan` tells. */
#include "lake/tier/apply.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "lake/lakefile.h"
#include "tools/human.h"
#include "tools/own_lake.h"
#include "tools/progress.h"
#include "tools/tier_apply.h"
#include "tools/tools.h"

struct apply {
    const char *file;
    char **tables;
    size_t tables_n;
    struct tier_apply_config config;
    struct options options;
    bool json, quiet;

    struct progress progress;
    uint64_t files, bytes; /* told so far; under tier_apply's lock */
};

static void help(void)
{
    printf(
        "usage: tarn tier apply [OPTIONS] LAKE.yaml [TABLES...]\n\n"
        "Puts objects into the storage classes that the lake file's rules give them, as\n"
        "`tarn tier plan` tells; TABLES are patterns as the rules have them. Objects that cannot\n"
        "change their class where they lie get the tag `tarn-tier` instead, on which the\n"
        "store's lifecycle acts (`tarn tier export`). May be stopped, begun again and run\n"
        "several times at once.\n\n"
        "  --dry-run          list the objects, change nothing\n"
        "  --tags             tags only, whatever the rules say\n"
        "  --journal FILE     append what is done; and take tags away from objects that a table\n"
        "                     needs again\n"
        "  --jobs N           objects at once (32)\n"
        "  --json             the sums as JSON\n"
        "  -q, --quiet        no progress\n" OWN_LAKE_HELP "\n"
        "Exit status: 0 all done, 1 some were not, 2 wrong use.\n");
}

/* ---- what is told ---- */

static void show(struct apply *a)
{
    struct progress_state s = {
        .files = a->files, .bytes = a->bytes, .unit = "objects", .word = "changing"};
    progress_show(&a->progress, &s);
}

static void told(void *arg, const struct tier_move *m, enum tier_done done, const struct err *why)
{
    struct apply *a = arg;
    a->files++;
    a->bytes += m->size;
    if (a->config.dry_run)
        printf("%.*s -> %s%s  %s %s\n", SLICE_FMT(m->from), m->to,
               done == TIER_TAGGED ? " (tag)" : "", m->store->url, m->key);
    else if (done == TIER_REFUSED || done == TIER_FAILED)
        progress_say(&a->progress, "%s", why->msg);
    if (!a->config.dry_run)
        show(a);
}

static const char *const words[TIER_DONE_KINDS] = {"moved",   "tagged",  "wait for the lifecycle",
                                                   "skipped", "refused", "failed"};
static const char *const names[TIER_DONE_KINDS] = {"moved",   "tagged",  "waiting",
                                                   "skipped", "refused", "failed"};

static void tell_json(const struct tier_applied *t)
{
    printf("{");
    for (size_t i = 0; i < TIER_DONE_KINDS; i++)
        printf("\"%s\":{\"objects\":%llu,\"bytes\":%llu},", names[i],
               (unsigned long long)t->files[i], (unsigned long long)t->bytes[i]);
    printf("\"untagged\":%llu,\"month_before\":%.4f,\"month_after\":%.4f}\n",
           (unsigned long long)t->untagged, t->month_before, t->month_after);
}

static void tell_text(const struct apply *a, const struct tier_applied *t)
{
    char bytes[HUMAN_BYTES], count[HUMAN_BYTES];
    bool any = false;
    for (size_t i = 0; i < TIER_DONE_KINDS; i++) {
        if (!t->files[i])
            continue;
        printf("%s%s objects (%s) %s", any ? ", " : "", human_count(t->files[i], count),
               human_bytes(t->bytes[i], bytes), words[i]);
        any = true;
    }
    if (t->untagged)
        printf("%s%s untagged: tables need them again", any ? ", " : "",
               human_count(t->untagged, count));
    if (!any && !t->untagged)
        printf("nothing to do");
    if (t->month_before > 0)
        printf("; %.2f a month instead of %.2f", t->month_after, t->month_before);
    printf("%s\n", a->config.dry_run ? "; nothing was changed" : "");
}

/* ---- the command ---- */

static int parse_jobs(struct apply *a, const char *text, struct err *err)
{
    uint64_t n;
    if (!text || !text_parse_u64(slice_of(text), TIER_AT_ONCE_MAX, &n) || n == 0)
        return err_set(err, EINVAL, "--jobs takes a number from 1 to %d", TIER_AT_ONCE_MAX);
    a->config.at_once = (unsigned)n;
    return 0;
}

static int parse_option(struct apply *a, int argc, char **argv, int *i, struct err *err)
{
    const char *arg = argv[*i], *next = *i + 1 < argc ? argv[*i + 1] : NULL;
    if (strcmp(arg, "--dry-run") == 0)
        a->config.dry_run = true;
    else if (strcmp(arg, "--tags") == 0)
        a->config.tags = true;
    else if (strcmp(arg, "--json") == 0)
        a->json = true;
    else if (strcmp(arg, "--quiet") == 0 || strcmp(arg, "-q") == 0)
        a->quiet = true;
    else if (strncmp(arg, "--journal=", strlen("--journal=")) == 0)
        a->config.journal = arg + strlen("--journal=");
    else if (strcmp(arg, "--journal") == 0 && next)
        a->config.journal = argv[++*i];
    else if (strncmp(arg, "--jobs=", strlen("--jobs=")) == 0)
        return parse_jobs(a, arg + strlen("--jobs="), err);
    else if (strcmp(arg, "--jobs") == 0 || strcmp(arg, "-j") == 0)
        return parse_jobs(a, next ? argv[++*i] : NULL, err);
    else
        return own_lake_option(&a->options, argc, argv, i, err);
    return 0;
}

/* Moves the patterns to the front of argv. */
static int parse(struct apply *a, int argc, char **argv, struct err *err)
{
    bool ended = false;
    a->tables = argv;
    for (int i = 1; i < argc; i++) {
        int rc = 0;
        if (options_end(argv[i], &ended))
            continue;
        if (!ended && argv[i][0] == '-' && argv[i][1])
            rc = parse_option(a, argc, argv, &i, err);
        else if (!a->file)
            a->file = argv[i];
        else
            a->tables[a->tables_n++] = argv[i];
        if (rc < 0)
            return rc;
    }
    if (!a->file)
        return err_set(err, EINVAL, "a LAKE.yaml is needed");
    return 0;
}

static int run(struct apply *a, struct tier_applied *out, struct err *err)
{
    AUTO(own_lake) struct own_lake *own = NULL;
    int rc = own_lake_open(a->file, &a->options, &own, err);
    if (rc < 0)
        return rc;
    const struct lakefile *file = own_lake_file(own);
    if (!file)
        return err_set(err, EINVAL, "%s is no lake file: rules stand in one", a->file);
    a->config.plan = (struct tier_plan_config){.lake = own_lake_get(own),
                                               .file = file,
                                               .now_ms = clock_real_ms(),
                                               .tables = (const char *const *)a->tables,
                                               .tables_n = a->tables_n,
                                               .scratch_dirfd = own_lake_scratch(own)};
    a->config.told = told;
    a->config.arg = a;
    return tier_apply(&a->config, out, err);
}

int tier_apply_run(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct tier_applied done = {.plans = 0};
    struct apply a = {.file = NULL};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        help();
        return EXIT_OK;
    }
    if (parse(&a, argc, argv, &err) < 0) {
        options_done(&a.options);
        return usage_error("tier apply", "%s", err.msg);
    }
    progress_init(&a.progress, "tier apply", a.quiet);
    int rc = run(&a, &done, &err);
    progress_clear(&a.progress);
    for (size_t i = 0; done.plan && i < tier_plan_notes(done.plan); i++)
        progress_say(&a.progress, "%s", tier_plan_note(done.plan, i));
    if (rc < 0)
        progress_say(&a.progress, "%s", err.msg);
    if (a.json)
        tell_json(&done);
    else if (rc == 0 || done.plans)
        tell_text(&a, &done);
    tier_plan_free(done.plan);
    progress_done(&a.progress);
    options_done(&a.options);
    return rc < 0 || done.files[TIER_REFUSED] || done.files[TIER_FAILED] ? EXIT_FAILED : EXIT_OK;
}
