/* SPDX-License-Identifier: Apache-2.0 */
/* tarn tier apply: does what `tarn tier plan` tells. */
#include "lake/tier/apply.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "lake/lakefile.h"
#include "tools/human.h"
#include "tools/progress.h"
#include "tools/tier.h"
#include "tools/tools.h"

struct apply {
    struct tier_arguments arguments;
    struct tier_apply_config config;
    struct own_lake *own;
    bool quiet;

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
        "  --plan-age TIME    a plan that is so old is made again before it goes on (2m)\n"
        "  -q, --quiet        no progress\n" TIER_HELP "\n"
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
    printf("\"untagged\":%llu,\"plans\":%u,\"month_before\":%.4f,\"month_after\":%.4f}\n",
           (unsigned long long)t->untagged, t->plans, t->month_before, t->month_after);
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

static int parse_jobs(const char *text, unsigned *out, struct err *err)
{
    uint64_t n;
    if (!text_parse_u64(slice_of(text), TIER_AT_ONCE_MAX, &n) || n == 0)
        return err_set(err, EINVAL, "--jobs takes a number from 1 to %d", TIER_AT_ONCE_MAX);
    *out = (unsigned)n;
    return 0;
}

static int parse(struct apply *a, int argc, char **argv, struct err *err)
{
    const char *jobs = NULL, *age = NULL;
    const struct tier_option own[] = {{"--dry-run", &a->config.dry_run, NULL},
                                      {"--tags", &a->config.tags, NULL},
                                      {"--quiet", &a->quiet, NULL},
                                      {"-q", &a->quiet, NULL},
                                      {"--journal", NULL, &a->config.journal},
                                      {"--jobs", NULL, &jobs},
                                      {"--plan-age", NULL, &age},
                                      {0}};
    int rc = tier_arguments_parse(&a->arguments, argc, argv, own, err);
    if (rc == 0 && a->arguments.format == TIER_CSV)
        rc = err_set(err, EINVAL, "the sums are text or JSON");
    if (rc == 0 && a->arguments.now_ms > clock_real_ms() && !a->config.dry_run)
        rc = err_set(err, EINVAL, "--at: what is not due yet is not changed; see --dry-run");
    if (rc == 0 && age &&
        (!text_parse_duration_ms(slice_of(age), &a->config.plan_age_ms) || !a->config.plan_age_ms))
        rc = err_set(err, EINVAL, "--plan-age: %s is no time (such as 30s)", age);
    return rc == 0 && jobs ? parse_jobs(jobs, &a->config.at_once, err) : rc;
}

static int run(struct apply *a, struct tier_applied *out, struct err *err)
{
    struct tier_arguments *given = &a->arguments;
    int rc = own_lake_open(given->source, &given->options, &a->own, err);
    if (rc < 0)
        return rc;
    const struct lakefile *file = own_lake_file(a->own);
    if (!file)
        return err_set(err, EINVAL, "%s is no lake file: rules stand in one", given->source);
    a->config.plan = (struct tier_plan_config){.lake = own_lake_get(a->own),
                                               .file = file,
                                               .now_ms = given->now_ms,
                                               .tables = given->tables,
                                               .tables_n = given->tables_n,
                                               .scratch_dirfd = own_lake_scratch(a->own)};
    a->config.told = told;
    a->config.arg = a;
    return tier_apply(&a->config, out, err);
}

static void tell(struct apply *a, const struct tier_applied *done, int rc, const struct err *err)
{
    for (size_t i = 0; done->plan && i < tier_plan_notes(done->plan); i++)
        progress_say(&a->progress, "%s", tier_plan_note(done->plan, i));
    if (rc < 0)
        progress_say(&a->progress, "%s", err->msg);
    if (a->arguments.format == TIER_JSON)
        tell_json(done);
    else if (done->plans)
        tell_text(a, done);
}

int tier_apply_command(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct tier_applied done = {.plans = 0};
    struct apply a = {.own = NULL};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        help();
        return EXIT_OK;
    }
    if (parse(&a, argc, argv, &err) < 0) {
        tier_arguments_done(&a.arguments);
        return usage_error("tier apply", "%s", err.msg);
    }
    progress_init(&a.progress, "tier apply", a.quiet);
    int rc = run(&a, &done, &err);
    progress_clear(&a.progress);
    tell(&a, &done, rc, &err);
    tier_plan_free(done.plan);
    own_lake_close(a.own);
    progress_done(&a.progress);
    tier_arguments_done(&a.arguments);
    return rc < 0 || done.files[TIER_REFUSED] || done.files[TIER_FAILED] ? EXIT_FAILED : EXIT_OK;
}
