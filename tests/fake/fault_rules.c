/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fake/fault_rules.h"

#include "base/json.h"
#include "base/text.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <time.h>

#define US_PER_S 1000000

static const char *const kinds[KINDS] = {"data", "log", "list", "head", "write"};

static const char *const actions[] = {
    [ACTION_NONE] = "none",       [ACTION_STATUS] = "status",     [ACTION_RESET] = "reset",
    [ACTION_CLOSE] = "close",     [ACTION_TRUNCATE] = "truncate", [ACTION_STALL] = "stall",
    [ACTION_CORRUPT] = "corrupt", [ACTION_DELAY] = "delay",       [ACTION_HEADER] = "header",
};

static const struct profile {
    const char *name;
    struct network network;
} profiles[] = {
    {"none", {.slow_factor = 1}},
    {"s3p", {.latency_us = 15000, .rate = 90000000, .slow_per_mill = 10, .slow_factor = 5}},
};

int64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

bool faults_profile(struct faults *f, const char *name)
{
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++)
        if (strcmp(profiles[i].name, name) == 0) {
            f->network = profiles[i].network;
            return true;
        }
    return false;
}

void faults_init(struct faults *f)
{
    *f = (struct faults){.rules = VEC_MAX(RULES_MAX), .seen = VEC_MAX(REQUESTS_MAX), .chance = 7};
    (void)faults_profile(f, "none");
}

static void forget_requests(struct faults *f)
{
    for (size_t i = 0; i < f->seen.n; i++)
        free(f->seen.at[i].asked);
    f->first += f->seen.n;
    f->seen.n = 0;
}

void faults_done(struct faults *f)
{
    forget_requests(f);
    vec_done(&f->seen);
    vec_done(&f->rules);
}

static bool has(struct slice text, const char *part)
{
    return text.n && memmem(text.p, text.n, part, strlen(part));
}

/* list, head, log or data for reads; write for the rest. */
static enum kind kind_of(struct slice method, struct slice path, struct slice query)
{
    if (slice_is(method, "HEAD"))
        return KIND_HEAD;
    if (!slice_is(method, "GET"))
        return KIND_WRITE;
    const char *slash = path.n > 1 ? memchr(path.p + 1, '/', path.n - 1) : NULL;
    bool root = !slash || slash + 1 == path.p + path.n;
    if (root || has(query, "list-type") || has(query, "comp=list"))
        return KIND_LIST;
    return has(path, "/_delta_log/") ? KIND_LOG : KIND_DATA;
}

static void add_field(struct buf *to, const char *name, struct slice value)
{
    buf_addf(to, "\"%s\":", name);
    buf_add_json(to, value);
    buf_add_char(to, ',');
}

static bool matches(const char *pattern, const char *text)
{
    return fnmatch(pattern, text, 0) == 0;
}

/* More requests in this second than the network takes. */
static bool over_the_limit(struct faults *f, int64_t now)
{
    if (f->network.requests_per_s == 0)
        return false;
    if (now - f->window_us >= US_PER_S) {
        f->window_us = now;
        f->window_count = 0;
    }
    return ++f->window_count > f->network.requests_per_s;
}

/* What of a request patterns match. */
struct words {
    const char *kind, *method, *key, *query;
};

static void choose_rule(struct faults *f, struct seen *s, const struct words *w, struct rule *rule)
{
    for (size_t i = 0; i < f->rules.n; i++) {
        struct rule *r = &f->rules.at[i];
        if ((r->number && r->number != (int64_t)(f->first + f->seen.n)) ||
            !matches(r->kind, w->kind) || !matches(r->method, w->method) ||
            !matches(r->key, w->key) || !matches(r->query, w->query) || r->seen++ < r->skip ||
            (r->times >= 0 && r->hits >= r->times))
            continue;
        r->hits++;
        s->rule = (int)i + 1;
        *rule = *r;
        return;
    }
}

size_t faults_note(struct faults *f, const struct head *h, struct rule *rule)
{
    const char *mark = memchr(h->target.p, '?', h->target.n);
    size_t n = mark ? (size_t)(mark - h->target.p) : h->target.n;
    struct slice path = slice_make(h->target.p, n);
    struct slice query = mark ? slice_make(mark + 1, h->target.n - n - 1) : SLICE_NONE;
    enum kind kind = kind_of(h->method, path, query);
    AUTO(buf) struct buf key, asked;
    AUTO_FREE char *method = strndup(h->method.p, h->method.n);
    AUTO_FREE char *query_text = strndup(query.n ? query.p : "", query.n);
    buf_init(&key, 1 << 16);
    buf_init(&asked, 1 << 20);
    text_percent_decode(&key, n && path.p[0] == '/' ? slice_make(path.p + 1, n - 1) : path);
    add_field(&asked, "method", h->method);
    add_field(&asked, "key", buf_slice(&key));
    add_field(&asked, "kind", slice_of(kinds[kind]));
    add_field(&asked, "query", query);
    add_field(&asked, "range", h->range);
    add_field(&asked, "if_match", h->if_match);
    struct seen s = {.started_us = now_us(), .kind = kind, .asked = buf_steal_str(&asked)};
    *rule = (struct rule){.action = ACTION_NONE, .keep = -1};
    if (!s.asked || !method || !query_text || vec_push(&f->seen, s) < 0)
        abort(); /* a test that asks millions of times */
    struct words words = {kinds[kind], method, key.data ? key.data : "", query_text};
    choose_rule(f, &f->seen.at[f->seen.n - 1], &words, rule);
    if (rule->action == ACTION_NONE && over_the_limit(f, s.started_us)) {
        rule->action = ACTION_STATUS;
        rule->status = 503;
        (void)snprintf(rule->code, sizeof rule->code, "SlowDown");
    }
    return f->first + f->seen.n - 1;
}

int64_t faults_draw(struct faults *f)
{
    f->chance ^= f->chance >> 12;
    f->chance ^= f->chance << 25;
    f->chance ^= f->chance >> 27;
    uint64_t drawn = (f->chance * 0x2545F4914F6CDD1DULL) >> 32;
    return (int64_t)(drawn % 1000) < f->network.slow_per_mill ? f->network.slow_factor : 1;
}

/* The control connection: JSON objects whose members are flat. */

struct order {
    char what[NAME_MAX_BYTES], action[NAME_MAX_BYTES], name[NAME_MAX_BYTES];
    struct rule rule;
    struct network network;
    int64_t seed;
};

static bool read_member(struct json *j, struct slice key, struct order *o, struct buf *scratch)
{
    const struct {
        const char *key;
        char *text;
        int64_t *number;
    } members[] = {
        {"do", o->what, NULL},
        {"action", o->action, NULL},
        {"name", o->name, NULL},
        {"kind", o->rule.kind, NULL},
        {"method", o->rule.method, NULL},
        {"key", o->rule.key, NULL},
        {"query", o->rule.query, NULL},
        {"code", o->rule.code, NULL},
        {"field", o->rule.field, NULL},
        {"value", o->rule.value, NULL},
        {"number", NULL, &o->rule.number},
        {"skip", NULL, &o->rule.skip},
        {"times", NULL, &o->rule.times},
        {"status", NULL, &o->rule.status},
        {"keep", NULL, &o->rule.keep},
        {"ms", NULL, &o->rule.ms},
        {"rule_rate", NULL, &o->rule.rate},
        {"latency_us", NULL, &o->network.latency_us},
        {"rate", NULL, &o->network.rate},
        {"slow_per_mill", NULL, &o->network.slow_per_mill},
        {"slow_factor", NULL, &o->network.slow_factor},
        {"requests_per_s", NULL, &o->network.requests_per_s},
        {"seed", NULL, &o->seed},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (!slice_is(key, members[i].key))
            continue;
        struct slice text;
        if (members[i].number)
            return json_int64(j, members[i].number);
        if (!json_string(j, scratch, &text) || text.n >= NAME_MAX_BYTES)
            return false;
        (void)snprintf(members[i].text, NAME_MAX_BYTES, "%.*s", SLICE_FMT(text));
        return true;
    }
    return false;
}

static const char *add_rule(struct faults *f, struct order *o, struct buf *out)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(actions[i], o->action) == 0)
            o->rule.action = (enum action)i;
    if (o->rule.action == ACTION_NONE)
        return "no such action";
    if (vec_push(&f->rules, o->rule) < 0)
        return "too many rules";
    buf_addf(out, "\"rule\":%zu,", f->rules.n);
    return NULL;
}

static const char *end_rule(struct faults *f, int64_t number)
{
    if (number < 1 || number > (int64_t)f->rules.n)
        return "no such rule";
    f->rules.at[number - 1].times = 0;
    return NULL;
}

static void list_requests(const struct faults *f, struct buf *out)
{
    buf_add_str(out, "\"requests\":[");
    for (size_t i = 0; i < f->seen.n; i++) {
        const struct seen *s = &f->seen.at[i];
        buf_addf(out,
                 "%s{%s\"number\":%zu,\"started_us\":%lld,\"first_byte_us\":%lld,\"ended_us\":%lld,"
                 "\"sent\":%llu,\"status\":%d,\"rule\":%d,\"ended\":%s,\"aborted\":%s}",
                 i ? "," : "", s->asked, f->first + i + 1, (long long)s->started_us,
                 (long long)s->first_byte_us, (long long)s->ended_us, (unsigned long long)s->sent,
                 s->status, s->rule, s->ended ? "true" : "false", s->aborted ? "true" : "false");
    }
    buf_add_str(out, "],");
}

/* Sums by kind, for those who do not want each request. */
static void add_counts(const struct faults *f, struct buf *out)
{
    buf_add_str(out, "\"counts\":{");
    for (size_t k = 0; k < KINDS; k++) {
        uint64_t requests = 0, sent = 0, flying = 0;
        for (size_t i = 0; i < f->seen.n; i++)
            if (f->seen.at[i].kind == k) {
                requests++;
                sent += f->seen.at[i].sent;
                flying += !f->seen.at[i].ended;
            }
        buf_addf(out, "\"%s\":[%llu,%llu,%llu],", kinds[k], (unsigned long long)requests,
                 (unsigned long long)sent, (unsigned long long)flying);
    }
    buf_addf(out, "\"connections\":%llu},", (unsigned long long)f->connections);
}

static void list_hits(const struct faults *f, struct buf *out)
{
    buf_add_str(out, "\"hits\":[");
    for (size_t i = 0; i < f->rules.n; i++)
        buf_addf(out, "%s%lld", i ? "," : "", (long long)f->rules.at[i].hits);
    buf_add_str(out, "],");
}

static const char *obey(struct faults *f, struct order *o, struct buf *out)
{
    if (strcmp(o->what, "rule") == 0)
        return add_rule(f, o, out);
    if (strcmp(o->what, "profile") == 0)
        return faults_profile(f, o->name) ? NULL : "no such profile";
    if (strcmp(o->what, "set") == 0)
        f->network = o->network;
    else if (strcmp(o->what, "seed") == 0)
        f->chance = (uint64_t)o->seed | 1;
    else if (strcmp(o->what, "heal") == 0)
        f->rules.n = 0;
    else if (strcmp(o->what, "off") == 0)
        return end_rule(f, o->rule.number);
    else if (strcmp(o->what, "forget") == 0)
        forget_requests(f);
    else if (strcmp(o->what, "requests") == 0)
        list_requests(f, out);
    else if (strcmp(o->what, "counts") == 0)
        add_counts(f, out);
    else if (strcmp(o->what, "hits") == 0)
        list_hits(f, out);
    else
        return "what?";
    return NULL;
}

void faults_control(struct faults *f, struct slice line, struct buf *out)
{
    struct order o = {.rule = {.kind = "*",
                               .method = "*",
                               .key = "*",
                               .query = "*",
                               .times = -1,
                               .keep = -1,
                               .status = 503},
                      .network = f->network};
    AUTO(buf) struct buf scratch;
    buf_init(&scratch, 1 << 16);
    struct json j;
    struct slice key;
    const char *wrong = NULL;
    json_init(&j, line);
    if (json_enter_object(&j))
        while (!wrong && json_next_key(&j, &key))
            if (!read_member(&j, key, &o, &scratch))
                wrong = "a member that is unknown, of another type or too long";
    buf_add_char(out, '{');
    if (!wrong)
        wrong = json_failed(&j) ? j.why : obey(f, &o, out);
    buf_addf(out, "\"error\":\"%s\"}\n", wrong ? wrong : "");
}
