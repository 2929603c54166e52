/* SPDX-License-Identifier: Apache-2.0 */
/* tarn tier report LAKE [TABLE-GLOB]...: what is where, what it is there for, what it costs. */
#include "base/instant.h"
#include "tools/columns.h"
#include "tools/human.h"
#include "tools/tier.h"
#include "tools/tier_sums.h"
#include "tools/tools.h"

#define OUTPUT_BYTES_MAX ((size_t)1 << 30)
#define TABLES_SHOWN 50 /* in text; the others are one line */

struct report_command {
    struct tier_arguments arguments;
    bool versions;
    const char *html;
};

static void help(void)
{
    printf("usage: tarn tier report LAKE [TABLE-GLOB]... [OPTION]...\n\n"
           "Tells of a lake file or URL what its stores hold, by layer, table, use and storage\n"
           "class, and what that costs a month.\n\n"
           "  --versions         also each version: what it holds, what nothing but it holds\n"
           "  --html FILE        a page with plots, whole in itself\n" TIER_HELP);
}

/* text */

static unsigned share(uint64_t part, uint64_t whole)
{
    return whole ? (unsigned)((double)part * 1000 / (double)whole + 0.5) : 0;
}

static void add_group(struct columns *t, const struct tier_group *g, const struct tier_group *total)
{
    char count[HUMAN_BYTES], bytes[HUMAN_BYTES], month[TIER_MONEY_BYTES];
    unsigned promille = share(g->bytes, total->bytes);
    columns_add(t, "%s", human_count(g->files, count));
    columns_add(t, "%s", human_bytes(g->bytes, bytes));
    columns_add(t, "%u.%u%%", promille / 10, promille % 10);
    columns_add(t, "%s", tier_money(g->month, month));
}

static struct tier_group rest_of(const struct tier_group *groups, size_t from, size_t n)
{
    struct tier_group rest = {.name = SLICE_LIT("(others)")};
    for (size_t i = from; i < n; i++) {
        rest.files += groups[i].files;
        rest.bytes += groups[i].bytes;
        rest.month += groups[i].month;
        for (size_t k = 0; k < TIER_KINDS; k++)
            rest.kind_bytes[k] += groups[i].kind_bytes[k];
    }
    return rest;
}

static void add_table(struct columns *t, const struct tier_group *g, const struct tier_group *total)
{
    static const enum tier_kind kinds[] = {TIER_OLDER, TIER_LEFTOVER, TIER_UNNAMED};
    char bytes[HUMAN_BYTES];
    columns_add(t, "%.*s", SLICE_FMT(g->name));
    add_group(t, g, total);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        columns_add(t, "%s", human_bytes(g->kind_bytes[kinds[i]], bytes));
}

static int print_by(const struct tier_report *r, enum tier_by by, const char *heads,
                    const struct tier_group *total, struct err *err)
{
    size_t n;
    AUTO(columns) struct columns t;
    AUTO_FREE struct tier_group *groups = tier_groups(r, by, &n);
    columns_init(&t, heads);
    for (size_t i = 0; groups && i < n; i++) {
        if (by == TIER_BY_TABLE && i == TABLES_SHOWN && n > TABLES_SHOWN + 1) {
            struct tier_group rest = rest_of(groups, i, n);
            add_table(&t, &rest, total);
            break;
        }
        if (by == TIER_BY_TABLE) {
            add_table(&t, &groups[i], total);
            continue;
        }
        columns_add(&t, "%.*s", SLICE_FMT(groups[i].name));
        add_group(&t, &groups[i], total);
        if (by == TIER_BY_LAYER)
            columns_add(&t, "%s", tier_report_layer_url(r, groups[i].layer));
        if (by == TIER_BY_KIND)
            columns_add(&t, "%s", tier_kind_text(groups[i].kind));
    }
    int rc = groups ? columns_print(&t, stdout) : -ENOMEM;
    printf("\n");
    return rc < 0 ? err_set(err, -rc, "out of memory for a report") : 0;
}

static int print_versions(const struct tier_report *r, struct err *err)
{
    const struct tier_version *v;
    size_t n = tier_report_versions(r, &v);
    AUTO(columns) struct columns t;
    AUTO(buf) struct buf time = {0};
    char text[HUMAN_BYTES], money[TIER_MONEY_BYTES];
    buf_init(&time, 64);
    columns_init(&t, "<TABLE|>VERSION|<TIME|>FILES|>BYTES|>MONTH|>ONLY IT: FILES|>BYTES|>MONTH");
    for (size_t i = 0; i < n; i++) {
        buf_reset(&time);
        instant_format(&time, v[i].time_ms);
        columns_add(&t, "%.*s", SLICE_FMT(tier_report_table(r, v[i].table)));
        columns_add(&t, "%lld", (long long)v[i].number);
        columns_add(&t, "%s", time.data ? time.data : "");
        columns_add(&t, "%s", human_count(v[i].files, text));
        columns_add(&t, "%s", human_bytes(v[i].bytes, text));
        columns_add(&t, "%s", tier_money(v[i].month, money));
        columns_add(&t, "%s", human_count(v[i].only_files, text));
        columns_add(&t, "%s", human_bytes(v[i].only_bytes, text));
        columns_add(&t, "%s", tier_money(v[i].only_month, money));
    }
    int rc = n ? columns_print(&t, stdout) : 0;
    if (n)
        printf("\n");
    return rc < 0 ? err_set(err, -rc, "too many versions for a terminal: --json or --csv") : 0;
}

static int print_text(const struct tier_report *r, struct err *err)
{
    struct tier_group total = tier_total(r);
    char count[HUMAN_BYTES], bytes[HUMAN_BYTES], month[TIER_MONEY_BYTES];
    printf("%s files, %s, %s a month\n\n", human_count(total.files, count),
           human_bytes(total.bytes, bytes), tier_money(total.month, month));
    int rc = 0;
    if (tier_report_layers(r) > 1)
        rc = print_by(r, TIER_BY_LAYER, "<LAYER|>FILES|>BYTES|>SHARE|>MONTH|<STORE", &total, err);
    if (rc == 0)
        rc = print_by(r, TIER_BY_TABLE,
                      "<TABLE|>FILES|>BYTES|>SHARE|>MONTH|>OLDER|>LEFTOVER|>UNNAMED", &total, err);
    if (rc == 0)
        rc = print_by(r, TIER_BY_KIND, "<USE|>FILES|>BYTES|>SHARE|>MONTH|<WHAT", &total, err);
    if (rc == 0)
        rc = print_by(r, TIER_BY_CLASS, "<CLASS|>FILES|>BYTES|>SHARE|>MONTH", &total, err);
    if (rc == 0)
        rc = print_versions(r, err);
    for (size_t i = 0; rc == 0 && i < tier_report_notes(r); i++)
        printf("%s\n", tier_report_note(r, i));
    return rc;
}

/* JSON and CSV */

static struct slice table_of(const struct tier_report *r, size_t table)
{
    return table == TIER_NO_TABLE ? SLICE_LIT("") : tier_report_table(r, table);
}

static void format_json(const struct tier_report *r, struct buf *b)
{
    const struct tier_row *rows;
    const struct tier_version *v;
    size_t n = tier_report_rows(r, &rows);
    struct tier_group total = tier_total(r);
    buf_addf(b, "{\"total\":{\"files\":%llu,\"bytes\":%llu,\"month\":%.9g},\n\"rows\":[",
             (unsigned long long)total.files, (unsigned long long)total.bytes, total.month);
    for (size_t i = 0; i < n; i++) {
        buf_add_str(b, i ? ",\n{\"layer\":" : "\n{\"layer\":");
        buf_add_json(b, tier_report_layer(r, rows[i].layer));
        buf_add_str(b, ",\"table\":");
        if (rows[i].table == TIER_NO_TABLE)
            buf_add_str(b, "null");
        else
            buf_add_json(b, table_of(r, rows[i].table));
        buf_addf(b, ",\"use\":\"%s\",\"class\":", tier_kind_name(rows[i].kind));
        buf_add_json(b, rows[i].class);
        buf_addf(b, ",\"files\":%llu,\"bytes\":%llu,\"month\":%.9g}",
                 (unsigned long long)rows[i].files, (unsigned long long)rows[i].bytes,
                 rows[i].month);
    }
    buf_add_str(b, "\n],\n\"versions\":[");
    n = tier_report_versions(r, &v);
    for (size_t i = 0; i < n; i++) {
        buf_add_str(b, i ? ",\n{\"table\":" : "\n{\"table\":");
        buf_add_json(b, tier_report_table(r, v[i].table));
        buf_addf(b, ",\"version\":%lld,\"time\":\"", (long long)v[i].number);
        instant_format(b, v[i].time_ms);
        buf_addf(b,
                 "\",\"files\":%llu,\"bytes\":%llu,\"month\":%.9g,\"only_files\":%llu,"
                 "\"only_bytes\":%llu,\"only_month\":%.9g}",
                 (unsigned long long)v[i].files, (unsigned long long)v[i].bytes, v[i].month,
                 (unsigned long long)v[i].only_files, (unsigned long long)v[i].only_bytes,
                 v[i].only_month);
    }
    buf_add_str(b, "\n],\n\"notes\":[");
    for (size_t i = 0; i < tier_report_notes(r); i++) {
        buf_add_str(b, i ? ",\n" : "\n");
        buf_add_json(b, slice_of(tier_report_note(r, i)));
    }
    buf_add_str(b, "]}\n");
}

static void format_csv(const struct tier_report *r, bool versions, struct buf *b)
{
    const struct tier_row *rows;
    const struct tier_version *v;
    size_t n = tier_report_rows(r, &rows);
    if (!versions)
        buf_add_str(b, "layer,table,use,class,files,bytes,month\n");
    for (size_t i = 0; !versions && i < n; i++) {
        tier_csv(b, tier_report_layer(r, rows[i].layer));
        buf_add_char(b, ',');
        tier_csv(b, table_of(r, rows[i].table));
        buf_addf(b, ",%s,", tier_kind_name(rows[i].kind));
        tier_csv(b, rows[i].class);
        buf_addf(b, ",%llu,%llu,%.9g\n", (unsigned long long)rows[i].files,
                 (unsigned long long)rows[i].bytes, rows[i].month);
    }
    n = tier_report_versions(r, &v);
    if (versions)
        buf_add_str(b, "table,version,time,files,bytes,month,only_files,only_bytes,only_month\n");
    for (size_t i = 0; versions && i < n; i++) {
        tier_csv(b, tier_report_table(r, v[i].table));
        buf_addf(b, ",%lld,", (long long)v[i].number);
        instant_format(b, v[i].time_ms);
        buf_addf(b, ",%llu,%llu,%.9g,%llu,%llu,%.9g\n", (unsigned long long)v[i].files,
                 (unsigned long long)v[i].bytes, v[i].month, (unsigned long long)v[i].only_files,
                 (unsigned long long)v[i].only_bytes, v[i].only_month);
    }
}

static int print_formatted(const struct report_command *c, const struct tier_report *r,
                           struct err *err)
{
    AUTO(buf) struct buf out = {0};
    buf_init(&out, OUTPUT_BYTES_MAX);
    if (c->arguments.format == TIER_JSON)
        format_json(r, &out);
    else
        format_csv(r, c->versions, &out);
    if (buf_check(&out, err) < 0)
        return -err->code;
    (void)fwrite(out.data, 1, out.len, stdout);
    for (size_t i = 0; c->arguments.format == TIER_CSV && i < tier_report_notes(r); i++)
        (void)fprintf(stderr, "tarn tier report: %s\n", tier_report_note(r, i));
    return 0;
}

/* all */

static int write_html(const struct report_command *c, const struct tier_report *r, struct err *err)
{
    AUTO(buf) struct buf page = {0};
    buf_init(&page, OUTPUT_BYTES_MAX);
    tier_html(r, c->arguments.now_ms, &page);
    if (buf_check(&page, err) < 0)
        return err_wrap(err, "%s", c->html);
    FILE *to = fopen(c->html, "we");
    bool whole = to && fwrite(page.data, 1, page.len, to) == page.len;
    if (to && fclose(to) == EOF)
        whole = false;
    return whole ? 0 : err_set(err, errno, "%s: %s", c->html, strerror(errno));
}

static int make_report(struct report_command *c, struct err *err)
{
    struct tier_arguments *a = &c->arguments;
    AUTO(own_lake) struct own_lake *own = NULL;
    AUTO(tier_report) struct tier_report *report = NULL;
    int rc = own_lake_open(a->source, &a->options, &own, err);
    if (rc < 0)
        return rc;
    const struct tier_report_config config = {.lake = own_lake_get(own),
                                              .file = own_lake_file(own),
                                              .tables = a->tables,
                                              .tables_n = a->tables_n,
                                              .versions = c->versions,
                                              .scratch_dirfd = own_lake_scratch(own)};
    rc = tier_report(&config, &report, err);
    if (rc == 0 && c->html)
        rc = write_html(c, report, err);
    if (rc == 0 && a->format != TIER_TEXT)
        rc = print_formatted(c, report, err);
    else if (rc == 0 && !c->html)
        rc = print_text(report, err);
    if (rc == 0 && (fflush(stdout) == EOF || ferror(stdout)))
        rc = err_set(err, EIO, "standard output: %s", strerror(errno));
    return rc;
}

int tier_report_command(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct report_command c = {0};
    const struct tier_option own[] = {
        {"--versions", &c.versions, NULL}, {"--html", NULL, &c.html}, {0}};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        help();
        return EXIT_OK;
    }
    int status = EXIT_OK;
    if (tier_arguments_parse(&c.arguments, argc, argv, own, &err) < 0) {
        status = usage_error("tier report", "%s", err.msg);
    } else if (make_report(&c, &err) < 0) {
        (void)fprintf(stderr, "tarn tier report: %s\n", err.msg);
        status = EXIT_FAILED;
    }
    tier_arguments_done(&c.arguments);
    return status;
}
