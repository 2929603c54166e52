/* SPDX-License-Identifier: Apache-2.0 */
/* The report as one HTML page: no scripts, nothing from elsewhere; plots are SVG. */
#include "base/instant.h"
#include "tools/human.h"
#include "tools/tier.h"
#include "tools/tier_sums.h"

#define BAR_WIDTH 620
#define BAR_HEIGHT 22
#define BAR_STEP 30
#define NAME_WIDTH 230
#define VALUE_WIDTH 190
#define TABLES_SHOWN 40
#define PLOTS_SHOWN 24 /* of versions, one a table */
#define PLOT_WIDTH 620
#define PLOT_HEIGHT 130
#define NAME_CHARS 34

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1d2733;--dim:#66727f;--line:#d8dee4;--page:#fff}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e3e8ee;--dim:#9aa6b2;--line:#3a444f;"
    "--page:#14191f}}"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);"
    "max-width:1080px;margin:2em auto;padding:0 1em}"
    "h1{font-size:1.5em;margin-bottom:.2em}h2{font-size:1.15em;margin-top:2em}"
    "p.dim,caption{color:var(--dim)}table{border-collapse:collapse;margin:.5em 0}"
    "th,td{padding:.2em .8em;border-bottom:1px solid var(--line);text-align:right}"
    "th:first-child,td:first-child,td.text,th.text{text-align:left}"
    "svg{max-width:100%;height:auto}svg text{font:13px system-ui,sans-serif;fill:var(--ink)}"
    "svg text.dim{fill:var(--dim)}.figures{display:flex;gap:2.5em;flex-wrap:wrap;margin:1em 0}"
    ".figures b{display:block;font-size:1.6em}.key{display:inline-block;width:.8em;height:.8em;"
    "margin-right:.4em}.legend span{margin-right:1.2em;white-space:nowrap}"
    "line{stroke:var(--line)}";

static const char *const kind_colours[TIER_KINDS] = {
    [TIER_LIVE] = "#3b78b8",    [TIER_OLDER] = "#e0a030",   [TIER_LEFTOVER] = "#c8553d",
    [TIER_CHANGES] = "#7b5ea7", [TIER_DELETES] = "#8a8f98", [TIER_LOG] = "#4f9d69",
    [TIER_UNNAMED] = "#b23a6b", [TIER_UNREAD] = "#5c6670",  [TIER_PLAIN] = "#7fb3d5"};
static const char *const class_colours[] = {"#c8553d", "#e0a030", "#4f9d69", "#3b78b8",
                                            "#274b7a", "#7b5ea7", "#8a8f98", "#5c4742"};

static void add_text(struct buf *out, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '<')
            buf_add_str(out, "&lt;");
        else if (c == '>')
            buf_add_str(out, "&gt;");
        else if (c == '&')
            buf_add_str(out, "&amp;");
        else if (c == '"')
            buf_add_str(out, "&quot;");
        else
            buf_add_char(out, (unsigned char)c < 0x20 ? '?' : c);
    }
}

/* A name that fits beside a bar: its end, which tells most. */
static void add_short(struct buf *out, struct slice s)
{
    size_t chars = 0, at = s.n;
    while (at && chars < NAME_CHARS) {
        at--;
        chars += ((unsigned char)s.p[at] & 0xc0) != 0x80;
    }
    while (at && ((unsigned char)s.p[at] & 0xc0) == 0x80)
        at--;
    if (at)
        buf_add_str(out, "…");
    add_text(out, slice_from(s, at));
}

/* bars */

struct part {
    uint64_t bytes;
    const char *colour;
    struct slice name;
};

struct bar {
    size_t row;
    struct slice name;
    const struct part *parts;
    size_t n;
    uint64_t largest; /* of all bars */
    double month;
};

static void add_bar(struct buf *out, const struct bar *bar)
{
    const struct part *parts = bar->parts;
    char bytes[HUMAN_BYTES], money[TIER_MONEY_BYTES];
    double x = NAME_WIDTH, y = (double)bar->row * BAR_STEP;
    uint64_t sum = 0;
    buf_addf(out, "<text x=\"%d\" y=\"%.0f\" text-anchor=\"end\">", NAME_WIDTH - 10, y + 16);
    add_short(out, bar->name);
    buf_add_str(out, "</text>");
    for (size_t i = 0; i < bar->n; i++) {
        double width = bar->largest ? (double)parts[i].bytes * BAR_WIDTH / (double)bar->largest : 0;
        if (!parts[i].bytes)
            continue;
        buf_addf(out,
                 "<rect x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"%d\" fill=\"%s\"><title>", x,
                 y, width, BAR_HEIGHT, parts[i].colour);
        add_text(out, bar->name);
        buf_add_str(out, ": ");
        add_text(out, parts[i].name);
        buf_addf(out, ", %s</title></rect>", human_bytes(parts[i].bytes, bytes));
        x += width;
        sum += parts[i].bytes;
    }
    buf_addf(out, "<text class=\"dim\" x=\"%.2f\" y=\"%.0f\">%s · %s</text>\n", x + 8, y + 16,
             human_bytes(sum, bytes), tier_money(bar->month, money));
}

static void begin_bars(struct buf *out, size_t rows)
{
    buf_addf(out, "<svg viewBox=\"0 0 %d %zu\" width=\"%d\" role=\"img\">\n",
             NAME_WIDTH + BAR_WIDTH + VALUE_WIDTH, rows * BAR_STEP + 4,
             NAME_WIDTH + BAR_WIDTH + VALUE_WIDTH);
}

static uint64_t largest_of(const struct tier_group *groups, size_t n)
{
    uint64_t most = 0;
    for (size_t i = 0; i < n; i++)
        most = groups[i].bytes > most ? groups[i].bytes : most;
    return most;
}

static void add_legend(struct buf *out, const char *colour, struct slice name)
{
    buf_addf(out, "<span><i class=\"key\" style=\"background:%s\"></i>", colour);
    add_text(out, name);
    buf_add_str(out, "</span>");
}

/* Tables (or layers), each bar by what its bytes are there for. */
static void add_by_kind(struct buf *out, const struct tier_report *r, enum tier_by by)
{
    size_t n;
    AUTO_FREE struct tier_group *groups = tier_groups(r, by, &n);
    struct tier_group total = tier_total(r);
    size_t shown = groups && n > TABLES_SHOWN ? TABLES_SHOWN : n;
    buf_add_str(out, "<p class=\"legend\">");
    for (size_t k = 0; k < TIER_KINDS; k++)
        if (total.kind_bytes[k])
            add_legend(out, kind_colours[k], slice_of(tier_kind_text((enum tier_kind)k)));
    buf_add_str(out, "</p>\n");
    begin_bars(out, groups ? shown : 0);
    for (size_t i = 0; groups && i < shown; i++) {
        struct part parts[TIER_KINDS];
        for (size_t k = 0; k < TIER_KINDS; k++)
            parts[k] = (struct part){groups[i].kind_bytes[k], kind_colours[k],
                                     slice_of(tier_kind_text((enum tier_kind)k))};
        add_bar(out, &(struct bar){i, groups[i].name, parts, TIER_KINDS, largest_of(groups, n),
                                   groups[i].month});
    }
    buf_add_str(out, "</svg>\n");
    if (groups && shown < n)
        buf_addf(out, "<p class=\"dim\">and %zu smaller ones</p>\n", n - shown);
}

static uint64_t bytes_in(const struct tier_report *r, size_t layer, struct slice class)
{
    const struct tier_row *rows;
    size_t n = tier_report_rows(r, &rows);
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        if (rows[i].layer == layer && slice_eq(rows[i].class, class))
            bytes += rows[i].bytes;
    return bytes;
}

/* Layers, each bar by storage class. */
static void add_by_class(struct buf *out, const struct tier_report *r)
{
    struct part parts[ARRAY_SIZE(class_colours)];
    size_t n, classes_n;
    AUTO_FREE struct tier_group *layers = tier_groups(r, TIER_BY_LAYER, &n);
    AUTO_FREE struct tier_group *classes = tier_groups(r, TIER_BY_CLASS, &classes_n);
    size_t colours = layers && classes ? classes_n : 0;
    colours = colours < ARRAY_SIZE(class_colours) ? colours : ARRAY_SIZE(class_colours);
    buf_add_str(out, "<p class=\"legend\">");
    for (size_t i = 0; i < colours; i++)
        add_legend(out, class_colours[i], classes[i].name);
    buf_add_str(out, "</p>\n");
    begin_bars(out, colours ? n : 0);
    for (size_t i = 0; colours && i < n; i++) {
        for (size_t k = 0; k < colours; k++)
            parts[k] = (struct part){bytes_in(r, layers[i].layer, classes[k].name),
                                     class_colours[k], classes[k].name};
        struct slice name = layers[i].name.n ? layers[i].name : SLICE_LIT("(all)");
        add_bar(out,
                &(struct bar){i, name, parts, colours, largest_of(layers, n), layers[i].month});
    }
    buf_add_str(out, "</svg>\n");
}

/* tables of figures */

static void add_figures(struct buf *out, const struct tier_report *r, enum tier_by by,
                        const char *head)
{
    char count[HUMAN_BYTES], bytes[HUMAN_BYTES], money[TIER_MONEY_BYTES];
    size_t n;
    AUTO_FREE struct tier_group *groups = tier_groups(r, by, &n);
    struct tier_group total = tier_total(r);
    buf_addf(out,
             "<table><tr><th>%s</th><th>files</th><th>bytes</th><th>share</th>"
             "<th>a month</th></tr>\n",
             head);
    for (size_t i = 0; groups && i < n; i++) {
        double share = total.bytes ? (double)groups[i].bytes * 100 / (double)total.bytes : 0;
        buf_add_str(out, "<tr><td>");
        add_text(out,
                 by == TIER_BY_KIND ? slice_of(tier_kind_text(groups[i].kind)) : groups[i].name);
        buf_addf(out, "</td><td>%s</td><td title=\"%llu\">%s</td><td>%.1f%%</td><td>%s</td></tr>\n",
                 human_count(groups[i].files, count), (unsigned long long)groups[i].bytes,
                 human_bytes(groups[i].bytes, bytes), share, tier_money(groups[i].month, money));
    }
    buf_add_str(out, "</table>\n");
}

static void add_figure(struct buf *out, const char *value, const char *what)
{
    buf_addf(out, "<div><b>%s</b>%s</div>\n", value, what);
}

static void add_head(struct buf *out, const struct tier_report *r, int64_t now_ms)
{
    char text[HUMAN_BYTES], money[TIER_MONEY_BYTES];
    struct tier_group t = tier_total(r);
    double old = t.kind_month[TIER_OLDER] + t.kind_month[TIER_LEFTOVER];
    buf_add_str(out, "<h1>What the lake holds, and what it costs</h1>\n<p class=\"dim\">");
    instant_format(out, now_ms - now_ms % 1000);
    buf_add_str(out, " · a month in the money of the prices (list prices: USD)</p>\n"
                     "<div class=\"figures\">\n");
    add_figure(out, human_bytes(t.bytes, text), "in all");
    add_figure(out, human_count(t.files, text), "files");
    add_figure(out, tier_money(t.month, money), "a month");
    add_figure(out, tier_money(old, money), "of it for old versions");
    add_figure(out, tier_money(t.kind_month[TIER_LEFTOVER], money),
               "of that left behind by compaction");
    add_figure(out, tier_money(t.kind_month[TIER_UNNAMED], money), "for what no version names");
    buf_add_str(out, "</div>\n");
}

/* versions */

static void add_area(struct buf *out, const struct tier_version *v, size_t n, uint64_t most,
                     const char *colour, bool only)
{
    double step = (double)PLOT_WIDTH / (double)n;
    buf_addf(out, "<path fill=\"%s\" d=\"M%d %d", colour, NAME_WIDTH, PLOT_HEIGHT);
    for (size_t i = 0; i < n; i++) {
        uint64_t bytes = only ? v[i].only_bytes : v[i].bytes;
        double y = PLOT_HEIGHT - (most ? (double)bytes * (PLOT_HEIGHT - 10) / (double)most : 0);
        buf_addf(out, "V%.2fh%.3f", y, step);
    }
    buf_addf(out, "V%dZ\"/>\n", PLOT_HEIGHT);
}

/* What each version of one table holds: a step a version. */
static void add_plot(struct buf *out, const struct tier_report *r, const struct tier_version *v,
                     size_t n)
{
    char bytes[HUMAN_BYTES];
    uint64_t most = 0;
    for (size_t i = 0; i < n; i++)
        most = v[i].bytes > most ? v[i].bytes : most;
    buf_addf(out, "<svg viewBox=\"0 0 %d %d\" width=\"%d\" role=\"img\"><title>",
             NAME_WIDTH + PLOT_WIDTH + VALUE_WIDTH, PLOT_HEIGHT + 22,
             NAME_WIDTH + PLOT_WIDTH + VALUE_WIDTH);
    add_text(out, tier_report_table(r, v->table));
    buf_addf(out, "</title><text x=\"%d\" y=\"70\" text-anchor=\"end\">", NAME_WIDTH - 10);
    add_short(out, tier_report_table(r, v->table));
    buf_add_str(out, "</text>\n");
    add_area(out, v, n, most, kind_colours[TIER_LIVE], false);
    add_area(out, v, n, most, kind_colours[TIER_OLDER], true);
    buf_addf(out, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>", NAME_WIDTH, PLOT_HEIGHT,
             NAME_WIDTH + PLOT_WIDTH, PLOT_HEIGHT);
    buf_addf(out,
             "<text class=\"dim\" x=\"%d\" y=\"%d\">%lld</text><text class=\"dim\" x=\"%d\" "
             "y=\"%d\" text-anchor=\"end\">%lld</text><text class=\"dim\" x=\"%d\" y=\"20\">%s"
             "</text></svg>\n",
             NAME_WIDTH, PLOT_HEIGHT + 16, (long long)v->number, NAME_WIDTH + PLOT_WIDTH,
             PLOT_HEIGHT + 16, (long long)v[n - 1].number, NAME_WIDTH + PLOT_WIDTH + 8,
             human_bytes(most, bytes));
}

static void add_versions(struct buf *out, const struct tier_report *r)
{
    const struct tier_version *v;
    size_t n = tier_report_versions(r, &v), plots = 0;
    if (n == 0)
        return;
    buf_add_str(out, "<h2>Versions</h2>\n<p class=\"legend\">");
    add_legend(out, kind_colours[TIER_LIVE], SLICE_LIT("what a version holds"));
    add_legend(out, kind_colours[TIER_OLDER], SLICE_LIT("what no other version holds"));
    buf_add_str(out, "</p>\n");
    for (size_t from = 0, to; from < n && plots < PLOTS_SHOWN; from = to, plots++) {
        for (to = from; to < n && v[to].table == v[from].table;)
            to++;
        add_plot(out, r, v + from, to - from);
    }
}

void tier_html(const struct tier_report *r, int64_t now_ms, struct buf *out)
{
    buf_addf(out,
             "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
             "<meta name=\"viewport\" content=\"width=device-width\">"
             "<title>tarn tier report</title><style>%s</style></head><body>\n",
             style);
    add_head(out, r, now_ms);
    buf_add_str(out, "<h2>Layers by storage class</h2>\n");
    add_by_class(out, r);
    add_figures(out, r, TIER_BY_CLASS, "class");
    buf_add_str(out, "<h2>Tables by use</h2>\n");
    add_by_kind(out, r, TIER_BY_TABLE);
    buf_add_str(out, "<h2>Uses</h2>\n");
    add_figures(out, r, TIER_BY_KIND, "use");
    add_versions(out, r);
    if (tier_report_notes(r))
        buf_add_str(out, "<h2>Notes</h2>\n<ul>\n");
    for (size_t i = 0; i < tier_report_notes(r); i++) {
        buf_add_str(out, "<li>");
        add_text(out, slice_of(tier_report_note(r, i)));
        buf_add_str(out, "</li>\n");
    }
    buf_add_str(out, tier_report_notes(r) ? "</ul>\n</body></html>\n" : "</body></html>\n");
}
