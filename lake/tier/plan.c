/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/tier/plan.h"

#include "base/clock.h"
#include "lake/tier/plan_sums.h"
#include "lake/tier/rule.h"

/* What a rule would move if it had `live: true`. */
struct held_back {
    uint64_t files, bytes;
};

struct planning {
    const struct tier_plan_config *config;
    tier_emit *emit;
    void *arg;
    struct tier_plan *plan;
    struct need *need;
    const struct tier_table *owner; /* whose rules `matches` tells of */
    bool *matches;                  /* one a rule */
    struct held_back *held_back;    /* likewise */
    uint64_t archived_live;         /* files of newest versions that go to an archive */
    bool *unknown_class;            /* one a rule: said already */
    struct buf key, scratch;
};

static const struct tier_layer *layer_of(const struct planning *p, const struct tier_table *t)
{
    return &p->plan->tables.layers.at[t->layer];
}

static bool rule_matches(const struct lakefile_rule *rule, struct slice path)
{
    for (size_t i = 0; i < rule->tables_n; i++)
        if (glob_matches(&rule->tables[i], path, '/', false))
            return true;
    return false;
}

/* Objects of one table mostly come one behind the other. */
static void set_owner(struct planning *p, const struct tier_table *owner)
{
    const struct lakefile *file = p->config->file;
    if (p->owner == owner)
        return;
    p->owner = owner;
    for (size_t i = 0; i < file->rules_n; i++)
        p->matches[i] = rule_matches(&file->rules[i], owner->path);
}

/* Some rule may move objects of the table. */
static bool is_planned(const struct planning *p, const struct tier_table *t)
{
    const struct lakefile *file = p->config->file;
    const struct driver_ops *ops = table_ops(t->table);
    if (!t->selected || !(ops->objects || ops->holds_all) ||
        layer_of(p, t)->store->ops->open_in_place)
        return false;
    for (size_t i = 0; i < file->rules_n; i++)
        if (rule_matches(&file->rules[i], t->path))
            return true;
    return false;
}

/* one object */

struct candidate {
    const struct need_object *object;
    const struct tier_table *owner;
    const struct need_use *use; /* of the owner; NULL: it holds everything */
    struct slice inner;         /* the key below the owner's root */
    struct tier_subject subject;
};

/* Takes together what all tables need it for. False: nothing is known that could be planned by. */
static bool judge(const struct planning *p, struct candidate *c)
{
    const struct need_object *o = c->object;
    size_t number = (size_t)(c->owner - p->plan->tables.at.at);
    c->subject = (struct tier_subject){.live = c->owner->holds_all,
                                       .added_ms = o->mtime_ms,
                                       .ceased_ms = INT64_MIN,
                                       .compacted = true};
    for (size_t i = 0; i < o->uses_n; i++) {
        const struct need_use *u = &o->uses[i];
        struct tier_subject *s = &c->subject;
        if (u->table == number) {
            c->use = u;
            s->added_ms = u->added_ms;
        }
        s->live = s->live || u->until == NEED_LIVE;
        s->compacted = s->compacted && u->moved_rows;
        if (u->kind == OBJECT_DELETES || u->kind == OBJECT_LOG)
            return false;
        if (u->until != NEED_LIVE && u->removed_ms > s->ceased_ms)
            s->ceased_ms = u->removed_ms;
    }
    return c->use || c->owner->holds_all;
}

/* The value of the rule's partition column; p NULL: it has none. */
static struct slice partition_of(struct planning *p, const struct candidate *c,
                                 const struct lakefile_rule *rule)
{
    struct slice value = SLICE_NONE;
    if (!rule->partition_column)
        return value;
    struct slice column = slice_of(rule->partition_column);
    bool some = c->use ? need_partition(p->need, c->use, column, &value)
                       : tier_partition_in_path(c->inner, column, &p->scratch, &value);
    return some ? value : SLICE_NONE;
}

/* The first rule that takes it, and what it is counted from; NULL: none does. */
static const struct lakefile_rule *find_rule(struct planning *p, const struct candidate *c,
                                             int64_t *from_ms)
{
    const struct lakefile *file = p->config->file;
    int64_t now_ms = p->config->now_ms;
    for (size_t i = 0; i < file->rules_n; i++) {
        const struct lakefile_rule *rule = &file->rules[i];
        if (!p->matches[i])
            continue;
        struct slice value = partition_of(p, c, rule);
        if (tier_rule_takes(rule, &c->subject, value, now_ms, from_ms))
            return rule;
        if (!c->subject.live || rule->live || rule->need != LAKEFILE_NEED_ANY)
            continue;
        struct lakefile_rule all = *rule;
        all.live = true;
        if (tier_rule_takes(&all, &c->subject, value, now_ms, from_ms) &&
            tier_rule_due(rule, *from_ms, now_ms)) {
            p->held_back[i].files++;
            p->held_back[i].bytes += c->object->size;
        }
    }
    return NULL;
}

/* Is the class a colder one? Of classes that nobody knows the price tells. */
static bool is_colder(struct planning *p, size_t rule, const struct tier_price *from,
                      const struct tier_price *to, const char *name)
{
    if (from->class && to->class)
        return to->class->coldness > from->class->coldness;
    if (from->known && to->known)
        return to->gb_month < from->gb_month;
    if (!p->unknown_class[rule])
        (void)tier_plan_add_note(p->plan,
                                 "rule %zu (line %u): %s is no class that is known, nothing is "
                                 "moved there; `prices` may say what it costs",
                                 rule + 1, p->config->file->rules[rule].place.line, name);
    p->unknown_class[rule] = true;
    return false;
}

/* When the owner's clean-up may take it. */
static int64_t stays_until(const struct planning *p, const struct candidate *c)
{
    int64_t period = c->use ? need_retention_ms(p->need, c->use->table) : -1;
    return c->subject.live || period < 0 ? INT64_MAX : c->subject.ceased_ms + period;
}

static int add_move(struct planning *p, const struct candidate *c, const struct tier_cost *cost,
                    struct tier_move *move, struct err *err)
{
    struct tier_sum *sum = tier_plan_sum(p->plan, move->table_number, move->rule, move->to);
    if (!sum)
        return err_set(err, ENOMEM, "out of memory for a plan");
    if (cost->dear) {
        sum->dear_files++;
        sum->dear_bytes += move->size;
        return 0;
    }
    sum->files++;
    sum->bytes += move->size;
    sum->month_before += cost->before;
    sum->month_after += cost->after;
    sum->once += cost->once;
    sum->read_all += cost->read_all;
    sum->early_files += cost->early;
    sum->passing_files += cost->passing;
    const struct tier_class *to = tier_class_find(move->store->ops->scheme, slice_of(move->to));
    sum->minimum_days = to ? to->minimum_days : 0;
    p->archived_live += c->subject.live && to && to->archived;
    return p->emit ? p->emit(p->arg, move, err) : 0;
}

static int move_object(struct planning *p, const struct candidate *c,
                       const struct lakefile_rule *rule, const struct lakefile_move *due,
                       int64_t from_ms, struct err *err)
{
    static const enum tier_why whys[] = {[LAKEFILE_NEED_ANY] = TIER_AGE,
                                         [LAKEFILE_NEED_OLDER_THAN] = TIER_OLD,
                                         [LAKEFILE_NEED_COMPACTED] = TIER_COMPACTED};
    const struct need_object *o = c->object;
    const struct tier_layer *layer = &p->plan->tables.layers.at[o->place];
    const char *scheme = layer->store->ops->scheme;
    size_t number = (size_t)(rule - p->config->file->rules);
    struct slice class = o->class.n ? o->class : slice_of(tier_class_default(scheme));
    if (slice_is(class, due->to))
        return 0;
    const struct lakefile *file = p->config->file;
    struct tier_price from = tier_price_find(file, layer->file, scheme, class);
    struct tier_price to = tier_price_find(file, layer->file, scheme, slice_of(due->to));
    if (!is_colder(p, number, &from, &to, due->to))
        return 0;
    struct tier_cost cost =
        tier_cost_of(&from, &to, o->size, o->mtime_ms, stays_until(p, c), p->config->now_ms);
    buf_reset(&p->key);
    buf_add_slice(&p->key, o->key);
    if (buf_check(&p->key, err) < 0)
        return -err->code;
    struct tier_move move = {.store = layer->store,
                             .key = p->key.data,
                             .layer = layer->name,
                             .table = c->owner->path,
                             .size = o->size,
                             .mtime_ms = o->mtime_ms,
                             .etag = o->etag,
                             .from = class,
                             .to = due->to,
                             .rule = number,
                             .table_number = (size_t)(c->owner - p->plan->tables.at.at),
                             .why = whys[rule->need],
                             .since_ms = from_ms + due->after_ms,
                             .month_before = cost.before,
                             .month_after = cost.after,
                             .once = cost.once};
    return add_move(p, c, &cost, &move, err);
}

static int consider(struct planning *p, const struct need_object *o, struct err *err)
{
    struct candidate c = {.object = o};
    int64_t from_ms;
    if (!o->listed || o->place == NEED_NOWHERE || memchr(o->key.p, 0, o->key.n))
        return 0;
    c.owner = tier_tables_owner(&p->plan->tables, o->place, o->key);
    if (!c.owner || !c.owner->selected || c.owner->unread || !judge(p, &c))
        return 0;
    c.inner = slice_from(o->key, c.owner->place == o->place ? c.owner->place_key.n : 0);
    /* Whatever a log names: logs are never moved. */
    if (driver_marks(p->config->lake->config.drivers, c.inner))
        return 0;
    set_owner(p, c.owner);
    const struct lakefile_rule *rule = find_rule(p, &c, &from_ms);
    const struct lakefile_move *due = rule ? tier_rule_due(rule, from_ms, p->config->now_ms) : NULL;
    return due ? move_object(p, &c, rule, due, from_ms, err) : 0;
}

/* all objects */

static bool wants(void *arg, const struct tier_table *table)
{
    return is_planned(arg, table);
}

/* Logs and listings, side by side. */
static int gather(struct planning *p, struct err *err)
{
    struct tier_tables *t = &p->plan->tables;
    struct tier_listing listing;
    int rc = tier_tables_place(t, p->need, err);
    if (rc < 0)
        return rc;
    tier_listing_begin(&listing, t, p->need, wants, p);
    rc = tier_tables_read(t, p->need, false, err);
    int listed = tier_listing_end(&listing, rc < 0, rc < 0 ? NULL : err);
    rc = rc < 0 ? rc : listed;
    return rc < 0 ? rc : need_finish(p->need, err);
}

static int add_notes(struct planning *p, struct err *err)
{
    const struct lakefile *file = p->config->file;
    const struct tier_tables *t = &p->plan->tables;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < t->at.n; i++)
        if (t->at.at[i].unread)
            rc = tier_plan_add_note(p->plan,
                                    "%.*s is not read, nothing of it is moved, and what it needs "
                                    "of other tables' objects is not known: %s",
                                    SLICE_FMT(t->at.at[i].path), t->at.at[i].unread);
    for (size_t i = 0; rc == 0 && i < file->rules_n; i++)
        if (p->held_back[i].files)
            rc = tier_plan_add_note(p->plan,
                                    "rule %zu (line %u): %llu files of %llu bytes are old enough, "
                                    "but the newest version holds them; `live: true` would move "
                                    "them",
                                    i + 1, file->rules[i].place.line,
                                    (unsigned long long)p->held_back[i].files,
                                    (unsigned long long)p->held_back[i].bytes);
    if (rc == 0 && p->archived_live)
        rc = tier_plan_add_note(p->plan,
                                "%llu files of newest versions go to an archive: who reads them "
                                "has to restore them first (`tarn recall`)",
                                (unsigned long long)p->archived_live);
    return rc < 0 ? err_set(err, ENOMEM, "out of memory for a plan") : 0;
}

static int plan_all(struct planning *p, struct err *err)
{
    const struct tier_plan_config *c = p->config;
    struct need_object o;
    int rc = tier_tables_find(&p->plan->tables, c->lake, c->file, err);
    if (rc == 0)
        rc = tier_tables_select(&p->plan->tables, c->tables, c->tables_n, err);
    if (rc == 0)
        rc = gather(p, err);
    while (rc == 0 && (rc = need_next(p->need, &o, err)) > 0)
        rc = consider(p, &o, err);
    if (rc == 0)
        rc = add_notes(p, err);
    tier_plan_settle(p->plan);
    return rc;
}

int tier_plan(const struct tier_plan_config *config, tier_emit *emit, void *arg,
              struct tier_plan **out, struct err *err)
{
    size_t rules = config->file->rules_n;
    AUTO(tier_plan) struct tier_plan *plan = calloc(1, sizeof *plan);
    AUTO(need) struct need *need = plan ? need_new(config->scratch_dirfd, err) : NULL;
    AUTO_FREE bool *matches = calloc(rules + 1, sizeof *matches);
    AUTO_FREE bool *unknown = calloc(rules + 1, sizeof *unknown);
    AUTO_FREE struct held_back *held_back = calloc(rules + 1, sizeof *held_back);
    if (plan && !need)
        return -err->code;
    if (!plan || !matches || !unknown || !held_back)
        return err_set(err, ENOMEM, "out of memory for a plan");
    struct planning p = {.config = config,
                         .emit = emit,
                         .arg = arg,
                         .plan = plan,
                         .need = need,
                         .matches = matches,
                         .held_back = held_back,
                         .unknown_class = unknown};
    buf_init(&p.key, ACTION_BYTES_MAX);
    buf_init(&p.scratch, ACTION_BYTES_MAX);
    int rc = plan_all(&p, err);
    buf_done(&p.key);
    buf_done(&p.scratch);
    if (rc == 0)
        *out = STEAL(plan);
    return rc;
}
