/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/maintain.h"

#include <stddef.h>

#include "base/clock.h"
#include "base/json.h"

#define LINE_BYTES_MAX (64 * KIB)
#define PROGRESS_MS 200

static const char *const names[] = {[MAINTENANCE_STAT] = "stat",
                                    [MAINTENANCE_VERIFY] = "verify",
                                    [MAINTENANCE_DROP] = "drop",
                                    [MAINTENANCE_GC] = "gc"};

/* Numbers of a struct by their names in JSON. */
struct field {
    const char *name;
    size_t offset;
};

static const struct field stat_fields[] = {
#define FIELD(name, field)                                                                         \
    {                                                                                              \
        name, offsetof(struct cache_stat, field)                                                   \
    }
    FIELD("objects", objects),
    FIELD("sealed", sealed),
    FIELD("bytes", bytes),
    FIELD("limitBytes", limit_bytes),
    FIELD("frozen", frozen),
    FIELD("frozenBytes", frozen_bytes),
    FIELD("hitBytes", hit_bytes),
    FIELD("fetchedBytes", fetched_bytes),
    FIELD("requests", requests),
    FIELD("flights", flights),
    FIELD("prefetchBytes", prefetch_bytes),
    FIELD("prefetchWaiting", prefetch_waiting),
    FIELD("buffers", buffers),
    FIELD("evictedBytes", evicted_bytes),
    FIELD("scrubbedBytes", scrubbed_bytes),
    FIELD("damaged", damaged),
    FIELD("writeErrors", write_errors),
    FIELD("nearHits", near_hits),
    FIELD("nearHitBytes", near_hit_bytes),
    FIELD("nearFilled", near_filled),
    FIELD("nearFilledBytes", near_filled_bytes),
    FIELD("nearRemovedBytes", near_removed_bytes),
    FIELD("nearDamaged", near_damaged),
    FIELD("nearFailed", near_failed),
#undef FIELD
};

static const struct field report_fields[] = {
#define FIELD(name, field)                                                                         \
    {                                                                                              \
        name, offsetof(struct cache_report, field)                                                 \
    }
    FIELD("objects", objects),
    FIELD("bytes", bytes),
    FIELD("damaged", damaged),
    FIELD("removed", removed),
    FIELD("removedBytes", removed_bytes),
#undef FIELD
};

bool maintenance_find(struct slice name, enum maintenance *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (slice_is(name, names[i])) {
            *out = (enum maintenance)i;
            return true;
        }
    return false;
}

const char *maintenance_name(enum maintenance what)
{
    return names[what];
}

static void format_fields(struct buf *out, const void *from, const struct field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t value;
        memcpy(&value, (const char *)from + fields[i].offset, sizeof value);
        buf_addf(out, "%s\"%s\":%llu", i ? "," : "{", fields[i].name, (unsigned long long)value);
    }
}

static void format_report(const struct cache_report *r, struct buf *out)
{
    format_fields(out, r, report_fields, ARRAY_SIZE(report_fields));
    buf_add_char(out, '}');
}

void maintain_format_report(const struct cache_report *r, struct buf *out)
{
    buf_add_str(out, "{\"ok\":true,\"report\":");
    format_report(r, out);
    buf_add_char(out, '}');
}

/* What the engine of requests has now, and has done. */
static void format_engine(struct http *http, struct buf *out)
{
    struct http_gauge g;
    struct http_stat s;
    http_gauge(http, &g);
    http_stat(http, &s);
    buf_addf(out,
             ",\"http\":{\"connections\":%u,\"requests\":%u,\"underWay\":%u,\"delayed\":%u,"
             "\"bytesWanted\":%llu,\"attempts\":%llu,\"hedges\":%llu,\"hedgesWon\":%llu,"
             "\"refused\":%llu}",
             g.connections, g.requests, g.under_way, g.delayed, (unsigned long long)g.bytes_wanted,
             (unsigned long long)s.attempts, (unsigned long long)s.hedges,
             (unsigned long long)s.hedges_won, (unsigned long long)s.refused);
}

/* doing */

struct work {
    bool (*line)(void *arg, struct slice text);
    void *arg;
    const struct cache_stat *stat; /* as it was at the beginning */
    int64_t told_ms;
};

static bool tick(void *arg, const struct cache_report *r)
{
    struct work *w = arg;
    AUTO(buf) struct buf text = {0};
    int64_t now_ms = clock_mono_ms();
    if (now_ms - w->told_ms < PROGRESS_MS)
        return true;
    w->told_ms = now_ms;
    buf_init(&text, LINE_BYTES_MAX);
    buf_add_str(&text, "{\"progress\":");
    format_report(r, &text);
    buf_addf(&text, ",\"allObjects\":%llu,\"allBytes\":%llu}", (unsigned long long)w->stat->objects,
             (unsigned long long)w->stat->bytes);
    return w->line(w->arg, buf_slice(&text));
}

int maintain(struct cache *c, struct http *http, enum maintenance what,
             bool (*line)(void *arg, struct slice text), void *arg, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    struct cache_stat stat;
    struct cache_report report = {0};
    int rc = 0;
    cache_stat(c, &stat);
    struct work w = {.line = line, .arg = arg, .stat = &stat, .told_ms = clock_mono_ms()};
    switch (what) {
    case MAINTENANCE_STAT:
        break;
    case MAINTENANCE_VERIFY:
        rc = cache_verify(c, tick, &w, &report, err);
        break;
    case MAINTENANCE_DROP:
        rc = cache_drop(c, &report, err);
        break;
    case MAINTENANCE_GC:
        rc = cache_gc(c, &report, err);
        break;
    }
    if (rc < 0)
        return rc;
    buf_init(&text, LINE_BYTES_MAX);
    if (what == MAINTENANCE_STAT) {
        buf_add_str(&text, "{\"ok\":true,\"stat\":");
        format_fields(&text, &stat, stat_fields, ARRAY_SIZE(stat_fields));
        buf_addf(&text, ",\"off\":%s", stat.off ? "true" : "false");
        if (http)
            format_engine(http, &text);
        buf_add_str(&text, "}}");
    } else {
        maintain_format_report(&report, &text);
    }
    (void)line(arg, buf_slice(&text)); /* nothing is left to be given up */
    return 0;
}

/* reading */

static bool parse_fields(struct json *j, void *to, const struct field *fields, size_t n, bool *off)
{
    struct slice key;
    if (!json_enter_object(j))
        return false;
    while (json_next_key(j, &key)) {
        size_t i = 0;
        int64_t value;
        while (i < n && !slice_is(key, fields[i].name))
            i++;
        bool ok = i < n                         ? json_int64(j, &value)
                  : off && slice_is(key, "off") ? json_bool(j, off)
                                                : json_skip(j, NULL);
        if (!ok)
            return false;
        if (i < n) {
            uint64_t number = (uint64_t)value;
            memcpy((char *)to + fields[i].offset, &number, sizeof number);
        }
    }
    return !json_failed(j);
}

static bool parse_part(struct slice raw, struct slice key, struct maintenance_line *out)
{
    struct json j;
    json_init(&j, raw);
    if (slice_is(key, "stat"))
        return parse_fields(&j, &out->stat, stat_fields, ARRAY_SIZE(stat_fields), &out->stat.off);
    out->has_report = true;
    return parse_fields(&j, &out->report, report_fields, ARRAY_SIZE(report_fields), NULL);
}

int maintain_parse(struct slice text, struct maintenance_line *out, struct err *err)
{
    struct json j;
    struct slice key, raw;
    json_init(&j, text);
    bool ok = json_enter_object(&j);
    while (ok && json_next_key(&j, &key)) {
        int64_t all = 0;
        if (slice_is(key, "ok")) {
            ok = json_bool(&j, &out->last);
        } else if (slice_is(key, "allObjects") || slice_is(key, "allBytes")) {
            ok = json_int64(&j, &all);
            *(slice_is(key, "allBytes") ? &out->all_bytes : &out->all_objects) = (uint64_t)all;
        } else if (slice_is(key, "stat") || slice_is(key, "report") || slice_is(key, "progress")) {
            ok = json_skip(&j, &raw) && parse_part(raw, key, out);
            out->raw = raw;
        } else {
            ok = json_skip(&j, NULL);
        }
    }
    if (json_failed(&j))
        return json_error(&j, err);
    return ok ? 0 : err_set(err, EIO, "not understood: %.*s", SLICE_FMT(text));
}
