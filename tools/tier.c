/* SPDX-License-Identifier: Apache-2.0 */
/* tarn tier plan|apply|export|report ...: storage classes of a lake's objects. */
#include "tools/tier.h"

#include <math.h>

#include "base/clock.h"
#include "base/instant.h"
#include "tools/arguments.h"
#include "tools/tools.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"plan", tier_plan_command, "LAKE.yaml [TABLE]...   what its rules would move, and save"},
    {"apply", tier_apply_command, "LAKE.yaml [TABLE]...   do it"},
    {"export", tier_export_command, "LAKE.yaml   the stores' own lifecycle, for what was tagged"},
    {"report", tier_report_command, "LAKE [TABLE]...   what is where, and what it costs"},
};

static void help(FILE *to)
{
    (void)fprintf(to, "usage: tarn tier COMMAND ...\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        (void)fprintf(to, "  %s %s\n", commands[i].name, commands[i].help);
    (void)fprintf(to, "\n`tarn tier COMMAND --help` tells more.\n");
}

int cmd_tier(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        help(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_OK;
    }
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return usage_error("tier", "unknown command %s", argv[1]);
}

/* arguments */

void tier_arguments_done(struct tier_arguments *a)
{
    options_done(&a->options);
    free(a->tables);
}

/* 1: it was one of the command's own; 0: it was none; or -EINVAL. */
static int take_own(const struct tier_option *own, int argc, char **argv, int *i, struct err *err)
{
    for (; own->name; own++) {
        size_t n = strlen(own->name);
        bool equals = own->value && strncmp(argv[*i], own->name, n) == 0 && argv[*i][n] == '=';
        if (strcmp(argv[*i], own->name) != 0 && !equals)
            continue;
        if (own->flag)
            *own->flag = true;
        else if (equals)
            *own->value = argv[*i] + n + 1;
        else if (*i + 1 < argc)
            *own->value = argv[++*i];
        else
            return err_set(err, EINVAL, "option %s needs a value", own->name);
        return 1;
    }
    return 0;
}

static int take_option(struct tier_arguments *a, int argc, char **argv,
                       const struct tier_option *own, int *i, struct err *err)
{
    bool json = false, csv = false;
    const char *at = NULL;
    const struct tier_option common[] = {
        {"--json", &json, NULL}, {"--csv", &csv, NULL}, {"--at", NULL, &at}, {0}};
    int rc = take_own(own, argc, argv, i, err);
    if (rc == 0)
        rc = take_own(common, argc, argv, i, err);
    if (rc < 0)
        return rc;
    if (json || csv)
        a->format = json ? TIER_JSON : TIER_CSV;
    if (at && !instant_parse(slice_of(at), &a->now_ms))
        return err_set(err, EINVAL, "option --at: %s is no time (such as 2026-03-01)", at);
    return rc == 1 ? 0 : options_argument(&a->options, argc, argv, i, err);
}

int tier_arguments_parse(struct tier_arguments *a, int argc, char **argv,
                         const struct tier_option *own, struct err *err)
{
    struct arguments words = {.argc = argc, .argv = argv};
    bool option;
    a->now_ms = clock_real_ms();
    a->tables = calloc((size_t)argc + 1, sizeof *a->tables);
    if (!a->tables)
        return err_set(err, ENOMEM, "out of memory");
    for (const char *arg; (arg = arguments_next(&words, &option));) {
        if (option && arg[1]) {
            int rc = take_option(a, argc, argv, own, &words.taken, err);
            if (rc < 0)
                return rc;
        } else if (!a->source) {
            a->source = arg;
        } else {
            a->tables[a->tables_n++] = arg;
        }
    }
    return a->source ? 0 : err_set(err, EINVAL, "a lake is needed");
}

/* formats */

char *tier_money(double money, char out[TIER_MONEY_BYTES])
{
    double size = fabs(money);
    int decimals = size == 0 || size >= 0.1 ? 2 : size >= 0.001 ? 4 : 6;
    char digits[TIER_MONEY_BYTES];
    (void)snprintf(digits, sizeof digits, "%.*f", decimals, size);
    size_t whole = strcspn(digits, "."), at = 0;
    if (money < 0)
        out[at++] = '-';
    for (size_t i = 0; digits[i] && at + 2 < TIER_MONEY_BYTES; i++) {
        if (i && i < whole && (whole - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

void tier_csv(struct buf *out, struct slice text)
{
    bool plain = true;
    for (size_t i = 0; i < text.n; i++)
        plain = plain && !strchr(",\"\r\n", text.p[i]);
    if (plain) {
        buf_add_slice(out, text);
        return;
    }
    buf_add_char(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"')
            buf_add_char(out, '"');
        buf_add_char(out, text.p[i]);
    }
    buf_add_char(out, '"');
}
