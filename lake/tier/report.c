/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/tier/report.h"

#include <stdarg.h>

#include "base/clock.h"
#include "lake/tier/prices.h"
#include "lake/tier/tables.h"

#define ROWS_MAX ((size_t)4 << 20)
#define VERSION_ROWS_MAX ((size_t)16 << 20)
#define NOTES_MAX ((size_t)10000)
/* Logs and stores are read side by side, and clocks differ. */
#define SETTLING_MS 600000

/* What of a table the stores do not list as its log has it. */
struct absent {
    uint64_t live;    /* the newest version holds them, and they are not there */
    uint64_t outside; /* in no layer of the lake */
    uint64_t outside_bytes;
};

struct tier_report {
    struct tier_tables tables;
    VEC(struct tier_row) rows;
    VEC(struct tier_version) versions;
    size_t *first_version; /* one a table, in `versions`; NULL: none are wanted */
    struct absent *absent; /* one a table */
    VEC(char *) notes;     /* owned */
};

/* What comes and goes from one version to the next, for sums of versions. */
struct step {
    int64_t files, bytes;
    double month;
};

struct reporting {
    const struct tier_report_config *config;
    struct tier_report *report;
    struct need *need;
    struct step *steps; /* one a version row, and one behind each table */
    int64_t settled_ms; /* what was added later may have come after it was listed */
};

const char *tier_kind_name(enum tier_kind kind)
{
    static const char *const names[TIER_KINDS] = {
        [TIER_LIVE] = "live",       [TIER_OLDER] = "older",     [TIER_LEFTOVER] = "leftover",
        [TIER_CHANGES] = "changes", [TIER_DELETES] = "deletes", [TIER_LOG] = "log",
        [TIER_UNNAMED] = "unnamed", [TIER_UNREAD] = "unread",   [TIER_PLAIN] = "plain"};
    return names[kind];
}

void tier_report_free(struct tier_report *r)
{
    if (!r)
        return;
    tier_tables_done(&r->tables);
    vec_done(&r->rows);
    vec_done(&r->versions);
    for (size_t i = 0; i < r->notes.n; i++)
        free(r->notes.at[i]);
    vec_done(&r->notes);
    free(r->first_version);
    free(r->absent);
    free(r);
}

size_t tier_report_rows(const struct tier_report *r, const struct tier_row **out)
{
    *out = r->rows.at;
    return r->rows.n;
}

size_t tier_report_versions(const struct tier_report *r, const struct tier_version **out)
{
    *out = r->versions.at;
    return r->versions.n;
}

size_t tier_report_layers(const struct tier_report *r)
{
    return r->tables.layers.n;
}

struct slice tier_report_layer(const struct tier_report *r, size_t layer)
{
    return r->tables.layers.at[layer].name;
}

const char *tier_report_layer_url(const struct tier_report *r, size_t layer)
{
    return r->tables.layers.at[layer].store->url;
}

struct slice tier_report_table(const struct tier_report *r, size_t table)
{
    return r->tables.at.at[table].path;
}

size_t tier_report_notes(const struct tier_report *r)
{
    return r->notes.n;
}

const char *tier_report_note(const struct tier_report *r, size_t i)
{
    return r->notes.at[i];
}

__attribute__((format(printf, 2, 3))) static int add_note(struct tier_report *r, const char *fmt,
                                                          ...)
{
    char *text;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return -ENOMEM;
    int rc = vec_push(&r->notes, text);
    if (rc < 0)
        free(text);
    return rc == -EOVERFLOW ? 0 : rc;
}

/* rows */

static enum tier_kind kind_of_uses(const struct need_object *o)
{
    enum object_kind kind = o->uses[0].kind;
    bool live = false, moved = true;
    for (size_t i = 0; i < o->uses_n; i++) {
        const struct need_use *u = &o->uses[i];
        live = live || u->until == NEED_LIVE;
        moved = moved && u->moved_rows;
        if (u->kind < kind)
            kind = u->kind;
    }
    switch (kind) {
    case OBJECT_DATA:
        return live ? TIER_LIVE : moved ? TIER_LEFTOVER : TIER_OLDER;
    case OBJECT_CHANGES:
        return TIER_CHANGES;
    case OBJECT_DELETES:
        return TIER_DELETES;
    case OBJECT_LOG:
        return TIER_LOG;
    }
    return TIER_UNNAMED;
}

static enum tier_kind kind_of(const struct reporting *r, const struct need_object *o,
                              const struct tier_table *owner)
{
    if (!owner)
        return o->uses_n ? kind_of_uses(o) : TIER_PLAIN;
    struct slice inner = slice_from(o->key, owner->place_key.n);
    if (driver_marks(r->config->lake->config.drivers, inner))
        return TIER_LOG;
    if (owner->unread) /* whatever its log has told before it was given up */
        return TIER_UNREAD;
    if (o->uses_n)
        return kind_of_uses(o);
    return owner->holds_all ? TIER_LIVE : TIER_UNNAMED;
}

static int compare_rows(const void *a, const void *b)
{
    const struct tier_row *x = a, *y = b;
    int c = (x->layer > y->layer) - (x->layer < y->layer);
    c = c ? c : (x->table > y->table) - (x->table < y->table);
    c = c ? c : (x->kind > y->kind) - (x->kind < y->kind);
    return c ? c : slice_cmp(x->class, y->class);
}

/* The row of that kind, made now where it is new; NULL: there is no room. */
static struct tier_row *find_row(struct reporting *r, const struct tier_row *like)
{
    struct tier_report *report = r->report;
    /* Objects come table by table: the row is among the last ones. Others are joined at the end. */
    for (size_t i = report->rows.n; i-- > 0 && report->rows.at[i].table == like->table &&
                                    report->rows.at[i].layer == like->layer;)
        if (compare_rows(&report->rows.at[i], like) == 0)
            return &report->rows.at[i];
    struct tier_row new = *like;
    new.class = arena_slice(&report->tables.arena, like->class);
    if (!new.class.p || vec_push(&report->rows, new) < 0)
        return NULL;
    return &report->rows.at[report->rows.n - 1];
}

static void join_rows(struct tier_report *r)
{
    size_t n = 0;
    if (r->rows.n)
        qsort(r->rows.at, r->rows.n, sizeof r->rows.at[0], compare_rows);
    for (size_t i = 0; i < r->rows.n; i++) {
        const struct tier_row *row = &r->rows.at[i];
        struct tier_row *last = n ? &r->rows.at[n - 1] : NULL;
        if (!last || compare_rows(last, row) != 0) {
            r->rows.at[n++] = *row;
            continue;
        }
        last->files += row->files;
        last->bytes += row->bytes;
        last->month += row->month;
    }
    r->rows.n = n;
}

/* versions */

static void add_versions(struct reporting *r, const struct need_use *use, uint64_t bytes,
                         double month)
{
    size_t first = r->report->first_version[use->table];
    struct tier_version *versions = r->report->versions.at;
    const struct step step = {1, (int64_t)bytes, month};
    size_t held = 0, at = 0;
    for (size_t i = 0; i < use->spans_n; i++) {
        size_t n = r->report->tables.at.at[use->table].history->n;
        size_t from = use->spans[i].from;
        size_t to = use->spans[i].to == NEED_LIVE ? n : use->spans[i].to;
        struct step *in = &r->steps[first + from], *out = &r->steps[first + to];
        in->files += step.files;
        in->bytes += step.bytes;
        in->month += step.month;
        out->files -= step.files;
        out->bytes -= step.bytes;
        out->month -= step.month;
        held += to - from;
        at = from;
    }
    if (held != 1)
        return;
    versions[first + at].only_files++;
    versions[first + at].only_bytes += bytes;
    versions[first + at].only_month += month;
}

/* Rows of the versions of each table, and one more, which is dropped at the end. */
static int begin_versions(struct reporting *r, struct err *err)
{
    struct tier_report *report = r->report;
    const struct tier_tables *t = &report->tables;
    report->first_version = calloc(t->at.n + 1, sizeof *report->first_version);
    if (!report->first_version)
        return err_set(err, ENOMEM, "out of memory for versions");
    for (size_t i = 0; i < t->at.n; i++) {
        const struct history *h = t->at.at[i].history;
        report->first_version[i] = report->versions.n;
        for (size_t v = 0; h && v <= h->n; v++) {
            struct tier_version row = {.table = i};
            if (v < h->n) {
                row.number = h->at[v].number;
                row.time_ms = h->at[v].timestamp_ms;
            }
            if (vec_push(&report->versions, row) < 0)
                return err_set(err, EOVERFLOW, "the lake has too many versions for a report");
        }
    }
    r->steps = calloc(report->versions.n + 1, sizeof *r->steps);
    return r->steps ? 0 : err_set(err, ENOMEM, "out of memory for versions");
}

static void end_versions(struct reporting *r)
{
    struct tier_report *report = r->report;
    const struct tier_tables *t = &report->tables;
    size_t n = 0;
    for (size_t i = 0; i < t->at.n; i++) {
        const struct history *h = t->at.at[i].history;
        struct step sum = {0};
        for (size_t v = 0; h && v < h->n; v++) {
            size_t at = report->first_version[i] + v;
            struct tier_version *row = &report->versions.at[at];
            sum.files += r->steps[at].files;
            sum.bytes += r->steps[at].bytes;
            sum.month += r->steps[at].month;
            row->files = (uint64_t)sum.files;
            row->bytes = (uint64_t)sum.bytes;
            row->month = sum.files ? sum.month : 0; /* of what is rounded nothing is left over */
            if (t->at.at[i].selected && !t->at.at[i].unread)
                report->versions.at[n++] = *row;
        }
    }
    report->versions.n = n;
}

/* one object */

static void note_absent(struct reporting *r, const struct need_object *o)
{
    const struct tier_table *owner = tier_tables_owner(&r->report->tables, o->place, o->key);
    bool was_listed = r->config->tables_n == 0 || (owner && owner->selected);
    for (size_t i = 0; i < o->uses_n; i++) {
        const struct need_use *u = &o->uses[i];
        struct absent *a = &r->report->absent[u->table];
        if (o->place == NEED_NOWHERE) {
            a->outside++;
            a->outside_bytes += o->size;
        } else {
            a->live += was_listed && u->until == NEED_LIVE && u->added_ms < r->settled_ms;
        }
    }
}

static int add_object(struct reporting *r, const struct need_object *o, struct err *err)
{
    struct tier_report *report = r->report;
    if (!o->listed || o->place == NEED_NOWHERE) {
        note_absent(r, o);
        return 0;
    }
    const struct tier_layer *layer = &report->tables.layers.at[o->place];
    const struct tier_table *owner = tier_tables_owner(&report->tables, o->place, o->key);
    const char *scheme = layer->store->ops->scheme;
    struct slice class = o->class.n ? o->class : slice_of(tier_class_default(scheme));
    struct tier_price price = tier_price_find(r->config->file, layer->file, scheme, class);
    double month = tier_price_month(&price, o->size);
    const struct tier_row like = {.layer = o->place,
                                  .table = owner ? (size_t)(owner - report->tables.at.at)
                                                 : TIER_NO_TABLE,
                                  .kind = kind_of(r, o, owner),
                                  .class = class,
                                  .priced = price.known};
    struct tier_row *row = find_row(r, &like);
    if (!row)
        return err_set(err, EOVERFLOW, "a report of more than %zu rows", ROWS_MAX);
    row->files++;
    row->bytes += o->size;
    row->month += month;
    for (size_t i = 0; r->steps && i < o->uses_n; i++)
        if (o->uses[i].kind == OBJECT_DATA || o->uses[i].kind == OBJECT_DELETES)
            add_versions(r, &o->uses[i], o->size, month);
    return 0;
}

/* all */

static bool is_selected(void *arg, const struct tier_table *table)
{
    (void)arg;
    return table->selected;
}

/* Logs and listings, side by side. */
static int gather(struct reporting *r, struct err *err)
{
    struct tier_tables *t = &r->report->tables;
    struct tier_listing listing;
    int rc = tier_tables_place(t, r->need, err);
    if (rc < 0)
        return rc;
    tier_listing_begin(&listing, t, r->need, r->config->tables_n ? is_selected : NULL, r);
    rc = tier_tables_read(t, r->need, true, err);
    int listed = tier_listing_end(&listing, rc < 0, rc < 0 ? NULL : err);
    rc = rc < 0 ? rc : listed;
    return rc < 0 ? rc : need_finish(r->need, err);
}

static int add_notes(struct reporting *r, struct err *err)
{
    struct tier_report *report = r->report;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < report->tables.at.n; i++) {
        const struct tier_table *t = &report->tables.at.at[i];
        const struct absent *a = &report->absent[i];
        if (!t->selected)
            continue;
        if (t->unread)
            rc = add_note(report, "%.*s is not read: %s", SLICE_FMT(t->path), t->unread);
        if (rc == 0 && a->live && !t->unread)
            rc = add_note(report,
                          "%.*s: %llu files that the newest version holds are not in the store",
                          SLICE_FMT(t->path), (unsigned long long)a->live);
        if (rc == 0 && a->outside)
            rc = add_note(report,
                          "%.*s: %llu files of %llu bytes lie outside of the lake and are not "
                          "counted",
                          SLICE_FMT(t->path), (unsigned long long)a->outside,
                          (unsigned long long)a->outside_bytes);
    }
    for (size_t i = 0; rc == 0 && i < report->rows.n; i++) {
        const struct tier_row *row = &report->rows.at[i];
        bool said = row->priced;
        for (size_t before = 0; !said && before < i; before++)
            said = slice_eq(report->rows.at[before].class, row->class);
        if (!said)
            rc = add_note(report, "nobody says what %.*s costs: it is counted as 0",
                          SLICE_FMT(row->class));
    }
    return rc < 0 ? err_set(err, ENOMEM, "out of memory for a report") : 0;
}

static int report_all(struct reporting *r, struct err *err)
{
    const struct tier_report_config *c = r->config;
    struct tier_report *report = r->report;
    struct need_object o;
    int rc = tier_tables_find(&report->tables, c->lake, c->file, err);
    if (rc == 0)
        rc = tier_tables_select(&report->tables, c->tables, c->tables_n, err);
    if (rc == 0)
        rc = gather(r, err);
    report->absent = calloc(report->tables.at.n + 1, sizeof *report->absent);
    if (rc == 0 && !report->absent)
        rc = err_set(err, ENOMEM, "out of memory for a report");
    if (rc == 0 && c->versions)
        rc = begin_versions(r, err);
    while (rc == 0 && (rc = need_next(r->need, &o, err)) > 0)
        rc = add_object(r, &o, err);
    if (rc < 0)
        return rc;
    join_rows(report);
    if (c->versions)
        end_versions(r);
    return add_notes(r, err);
}

int tier_report(const struct tier_report_config *config, struct tier_report **out, struct err *err)
{
    AUTO(tier_report) struct tier_report *report = calloc(1, sizeof *report);
    AUTO(need) struct need *need = report ? need_new(config->scratch_dirfd, err) : NULL;
    if (!report)
        return err_set(err, ENOMEM, "out of memory for a report");
    if (!need)
        return -err->code;
    report->rows.max = ROWS_MAX;
    report->versions.max = VERSION_ROWS_MAX;
    report->notes.max = NOTES_MAX;
    struct reporting r = {.config = config,
                          .report = report,
                          .need = need,
                          .settled_ms = clock_real_ms() - SETTLING_MS};
    int rc = report_all(&r, err);
    free(r.steps);
    if (rc == 0)
        *out = STEAL(report);
    return rc;
}
