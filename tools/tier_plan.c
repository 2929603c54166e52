/* SPDX-License-Identifier: Apache-2.0 */
/* tarn tier plan LAKE.yaml [TABLE-GLOB]...: what the rules would move, and what that saves. */
#include "base/instant.h"
#include "lake/lakefile.h"
#include "lake/tier/plan.h"
#include "lake/tier/prices.h"
#include "tools/columns.h"
#include "tools/human.h"
#include "tools/tier.h"
#include "tools/tools.h"

struct plan_command {
    struct tier_arguments arguments;
    bool files;
    const struct lakefile *file;
    uint64_t moves; /* printed so far */
    struct buf line;
};

static void help(void)
{
    printf("usage: tarn tier plan LAKE.yaml [TABLE-GLOB]... [OPTION]...\n\n"
           "Shows by table and rule of the lake file how many files would move to which storage\n"
           "class, and what they cost a month before and after. Nothing is changed.\n\n"
           "  --files            each file, with its class and why\n" TIER_HELP);
}

static const char *why_text(enum tier_why why)
{
    switch (why) {
    case TIER_AGE:
        return "age";
    case TIER_OLD:
        return "old-versions";
    case TIER_COMPACTED:
        return "compacted";
    }
    return "";
}

static unsigned line_of(const struct plan_command *c, size_t rule)
{
    return c->file->rules[rule].place.line;
}

/* files */

static void format_move_json(struct plan_command *c, const struct tier_move *m)
{
    struct buf *b = &c->line;
    buf_add_str(b, c->moves ? ",\n{\"table\":" : "\n{\"table\":");
    buf_add_json(b, m->table);
    buf_addf(b, ",\"store\":");
    buf_add_json(b, slice_of(m->store->url));
    buf_add_str(b, ",\"key\":");
    buf_add_json(b, slice_of(m->key));
    buf_addf(b, ",\"bytes\":%llu,\"from\":", (unsigned long long)m->size);
    buf_add_json(b, m->from);
    buf_add_str(b, ",\"to\":");
    buf_add_json(b, slice_of(m->to));
    buf_addf(b, ",\"rule\":%zu,\"line\":%u,\"why\":\"%s\",\"since\":\"", m->rule + 1,
             line_of(c, m->rule), why_text(m->why));
    instant_format(b, m->since_ms);
    buf_addf(b, "\",\"month_before\":%.9g,\"month_after\":%.9g,\"once\":%.9g}", m->month_before,
             m->month_after, m->once);
}

static void format_move_csv(struct plan_command *c, const struct tier_move *m)
{
    struct buf *b = &c->line;
    tier_csv(b, m->table);
    buf_add_char(b, ',');
    tier_csv(b, slice_of(m->key));
    buf_addf(b, ",%llu,%.*s,%s,%zu,%u,%s,", (unsigned long long)m->size, SLICE_FMT(m->from), m->to,
             m->rule + 1, line_of(c, m->rule), why_text(m->why));
    instant_format(b, m->since_ms);
    buf_addf(b, ",%.9g,%.9g,%.9g\n", m->month_before, m->month_after, m->once);
}

static int print_move(void *arg, const struct tier_move *m, struct err *err)
{
    struct plan_command *c = arg;
    char bytes[HUMAN_BYTES];
    buf_reset(&c->line);
    if (c->arguments.format == TIER_JSON) {
        format_move_json(c, m);
    } else if (c->arguments.format == TIER_CSV) {
        format_move_csv(c, m);
    } else {
        buf_addf(&c->line, "%.*s -> %s  %s  %s since ", SLICE_FMT(m->from), m->to,
                 human_bytes(m->size, bytes), why_text(m->why));
        instant_format(&c->line, m->since_ms);
        buf_addf(&c->line, "  %s\n", m->key);
    }
    c->moves++;
    if (buf_check(&c->line, err) < 0)
        return -err->code;
    (void)fwrite(c->line.data, 1, c->line.len, stdout);
    return ferror(stdout) ? err_set(err, EIO, "standard output: %s", strerror(errno)) : 0;
}

/* sums */

static void add_to(struct tier_sum *total, const struct tier_sum *s)
{
    total->files += s->files;
    total->bytes += s->bytes;
    total->month_before += s->month_before;
    total->month_after += s->month_after;
    total->once += s->once;
    total->read_all += s->read_all;
    total->dear_files += s->dear_files;
    total->dear_bytes += s->dear_bytes;
    total->early_files += s->early_files;
    total->passing_files += s->passing_files;
}

static void format_sum_json(struct buf *b, const struct tier_sum *s)
{
    buf_addf(b,
             "\"files\":%llu,\"bytes\":%llu,\"month_before\":%.9g,\"month_after\":%.9g,"
             "\"once\":%.9g,\"read_all\":%.9g,\"dear_files\":%llu,\"dear_bytes\":%llu,"
             "\"early_files\":%llu,\"passing_files\":%llu}",
             (unsigned long long)s->files, (unsigned long long)s->bytes, s->month_before,
             s->month_after, s->once, s->read_all, (unsigned long long)s->dear_files,
             (unsigned long long)s->dear_bytes, (unsigned long long)s->early_files,
             (unsigned long long)s->passing_files);
}

static void print_json(struct plan_command *c, const struct tier_plan *p)
{
    const struct tier_sum *sums;
    size_t n = tier_plan_sums(p, &sums);
    struct tier_sum total = {0};
    struct buf *b = &c->line;
    buf_reset(b);
    buf_add_str(b, c->files ? "\n],\n\"plan\":[" : "{\"plan\":[");
    for (size_t i = 0; i < n; i++) {
        const struct tier_sum *s = &sums[i];
        buf_add_str(b, i ? ",\n{\"table\":" : "\n{\"table\":");
        buf_add_json(b, tier_plan_table(p, s->table));
        buf_addf(b, ",\"rule\":%zu,\"line\":%u,\"to\":", s->rule + 1, line_of(c, s->rule));
        buf_add_json(b, slice_of(s->to));
        buf_add_char(b, ',');
        format_sum_json(b, s);
        add_to(&total, s);
    }
    buf_add_str(b, "\n],\n\"total\":{");
    format_sum_json(b, &total);
    buf_add_str(b, ",\n\"notes\":[");
    for (size_t i = 0; i < tier_plan_notes(p); i++) {
        buf_add_str(b, i ? ",\n" : "\n");
        buf_add_json(b, slice_of(tier_plan_note(p, i)));
    }
    buf_add_str(b, "]}\n");
}

static void print_csv(struct plan_command *c, const struct tier_plan *p)
{
    const struct tier_sum *sums;
    size_t n = tier_plan_sums(p, &sums);
    struct buf *b = &c->line;
    buf_reset(b);
    if (c->files)
        return;
    buf_add_str(b, "table,rule,line,to,files,bytes,month_before,month_after,once,read_all,"
                   "dear_files,dear_bytes,early_files,passing_files\n");
    for (size_t i = 0; i < n; i++) {
        const struct tier_sum *s = &sums[i];
        tier_csv(b, tier_plan_table(p, s->table));
        buf_addf(b, ",%zu,%u,", s->rule + 1, line_of(c, s->rule));
        tier_csv(b, slice_of(s->to));
        buf_addf(b, ",%llu,%llu,%.9g,%.9g,%.9g,%.9g,%llu,%llu,%llu,%llu\n",
                 (unsigned long long)s->files, (unsigned long long)s->bytes, s->month_before,
                 s->month_after, s->once, s->read_all, (unsigned long long)s->dear_files,
                 (unsigned long long)s->dear_bytes, (unsigned long long)s->early_files,
                 (unsigned long long)s->passing_files);
    }
}

/* What is to be known of a sum beside its money. */
static void add_remarks(struct columns *t, const struct tier_sum *s)
{
    char count[HUMAN_BYTES], bytes[HUMAN_BYTES], money[TIER_MONEY_BYTES];
    if (s->dear_files)
        columns_remark(t, "%s files (%s) stay: so small, they would cost more in %s",
                       human_count(s->dear_files, count), human_bytes(s->dear_bytes, bytes), s->to);
    if (s->early_files)
        columns_remark(t,
                       "%s files leave a class before its minimum duration, the rest of which is "
                       "in ONCE",
                       human_count(s->early_files, count));
    if (s->passing_files)
        columns_remark(t, "%s files may be removed by VACUUM within the %u days that %s bills",
                       human_count(s->passing_files, count), s->minimum_days, s->to);
    double saved = s->month_before - s->month_after;
    if (s->files && saved > 0 && s->once > saved)
        columns_remark(t, "the move pays after %.0f months", s->once / saved + 0.5);
    if (s->read_all > 0)
        columns_remark(t, "reading all of it once costs %s", tier_money(s->read_all, money));
}

static void add_row(struct columns *t, const struct tier_sum *s)
{
    char count[HUMAN_BYTES], bytes[HUMAN_BYTES], before[TIER_MONEY_BYTES], after[TIER_MONEY_BYTES],
        saved[TIER_MONEY_BYTES], once[TIER_MONEY_BYTES];
    columns_add(t, "%s", s->to ? s->to : "");
    columns_add(t, "%s", human_count(s->files, count));
    columns_add(t, "%s", human_bytes(s->bytes, bytes));
    columns_add(t, "%s", tier_money(s->month_before, before));
    columns_add(t, "%s", tier_money(s->month_after, after));
    columns_add(t, "%s", tier_money(s->month_before - s->month_after, saved));
    columns_add(t, "%s", tier_money(s->once, once));
}

static int print_text(const struct plan_command *c, const struct tier_plan *p, struct err *err)
{
    const struct tier_sum *sums;
    size_t n = tier_plan_sums(p, &sums);
    struct tier_sum total = {0};
    AUTO(columns) struct columns t;
    columns_init(&t, "<TABLE|<RULE|<TO|>FILES|>BYTES|>MONTH NOW|>THEN|>SAVED|>ONCE");
    for (size_t i = 0; i < n; i++) {
        columns_add(&t, "%.*s", SLICE_FMT(tier_plan_table(p, sums[i].table)));
        columns_add(&t, "%zu (line %u)", sums[i].rule + 1, line_of(c, sums[i].rule));
        add_row(&t, &sums[i]);
        add_remarks(&t, &sums[i]);
        add_to(&total, &sums[i]);
    }
    columns_add(&t, "total");
    columns_add(&t, " ");
    add_row(&t, &total);
    if (c->files && c->moves)
        printf("\n");
    int rc = columns_print(&t, stdout);
    for (size_t i = 0; rc == 0 && i < tier_plan_notes(p); i++)
        printf("%s%s\n", i ? "" : "\n", tier_plan_note(p, i));
    return rc < 0 ? err_set(err, -rc, "too many rows for a terminal: --json or --csv") : 0;
}

static int print_plan(struct plan_command *c, const struct tier_plan *p, struct err *err)
{
    if (c->arguments.format == TIER_TEXT)
        return print_text(c, p, err);
    if (c->arguments.format == TIER_JSON)
        print_json(c, p);
    else
        print_csv(c, p);
    if (buf_check(&c->line, err) < 0)
        return -err->code;
    (void)fwrite(c->line.data ? c->line.data : "", 1, c->line.len, stdout);
    for (size_t i = 0; c->arguments.format == TIER_CSV && i < tier_plan_notes(p); i++)
        (void)fprintf(stderr, "tarn tier plan: %s\n", tier_plan_note(p, i));
    return 0;
}

static int make_plan(struct plan_command *c, struct err *err)
{
    const struct tier_arguments *a = &c->arguments;
    AUTO(own_lake) struct own_lake *own = NULL;
    AUTO(tier_plan) struct tier_plan *plan = NULL;
    int rc = own_lake_open(a->source, &c->arguments.options, &own, err);
    if (rc < 0)
        return rc;
    c->file = own_lake_file(own);
    const struct tier_plan_config config = {.lake = own_lake_get(own),
                                            .file = c->file,
                                            .now_ms = a->now_ms,
                                            .tables = a->tables,
                                            .tables_n = a->tables_n,
                                            .scratch_dirfd = own_lake_scratch(own)};
    if (c->files && a->format == TIER_JSON)
        printf("{\"moves\":[");
    if (c->files && a->format == TIER_CSV)
        printf("table,key,bytes,from,to,rule,line,why,since,month_before,month_after,once\n");
    rc = tier_plan(&config, c->files ? print_move : NULL, c, &plan, err);
    if (rc == 0)
        rc = print_plan(c, plan, err);
    if (rc == 0 && (fflush(stdout) == EOF || ferror(stdout)))
        rc = err_set(err, EIO, "standard output: %s", strerror(errno));
    return rc;
}

int tier_plan_command(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct plan_command c = {0};
    const struct tier_option own[] = {{"--files", &c.files, NULL}, {0}};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        help();
        return EXIT_OK;
    }
    buf_init(&c.line, 256 * MIB);
    int status = EXIT_OK;
    int rc = tier_arguments_parse(&c.arguments, argc, argv, own, &err);
    if (rc == 0 && !lakefile_is_named(c.arguments.source))
        rc = err_set(&err, EINVAL, "%s is no lake file (.yaml): rules stand in one",
                     c.arguments.source);
    if (rc < 0) {
        status = usage_error("tier plan", "%s", err.msg);
    } else if (make_plan(&c, &err) < 0) {
        (void)fprintf(stderr, "tarn tier plan: %s\n", err.msg);
        status = EXIT_FAILED;
    }
    buf_done(&c.line);
    tier_arguments_done(&c.arguments);
    return status;
}
