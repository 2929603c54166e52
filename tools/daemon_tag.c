/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/daemon_tag.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "lake/table.h"

struct tag_request {
    struct buf mount, table, action, name, by;
    int64_t version, time_ms;
    bool shared, replace;
};

static void request_done(struct tag_request *q)
{
    buf_done(&q->mount);
    buf_done(&q->table);
    buf_done(&q->action);
    buf_done(&q->name);
    buf_done(&q->by);
}
DEFINE_AUTO_DONE(request, struct tag_request, request_done)

static bool take_text(struct json *j, struct buf *out)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice text;
    buf_init(&scratch, CONTROL_MESSAGE_MAX);
    if (!json_string(j, &scratch, &text))
        return false;
    buf_reset(out);
    buf_add_slice(out, text);
    return !out->failed;
}

static int parse(struct slice text, struct tag_request *q, struct err *err)
{
    struct json j;
    struct slice key;
    struct {
        const char *name;
        struct buf *to;
    } texts[] = {{"mount", &q->mount},
                 {"table", &q->table},
                 {"action", &q->action},
                 {"name", &q->name},
                 {"by", &q->by}};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        buf_init(texts[i].to, KEY_BYTES_MAX);
    json_init(&j, text);
    bool ok = json_enter_object(&j);
    while (ok && json_next_key(&j, &key)) {
        size_t i = 0;
        while (i < ARRAY_SIZE(texts) && !slice_is(key, texts[i].name))
            i++;
        ok = i < ARRAY_SIZE(texts)      ? take_text(&j, texts[i].to)
             : slice_is(key, "version") ? json_int64(&j, &q->version)
             : slice_is(key, "timeMs")  ? json_int64(&j, &q->time_ms)
             : slice_is(key, "shared")  ? json_bool(&j, &q->shared)
             : slice_is(key, "replace") ? json_bool(&j, &q->replace)
                                        : json_skip(&j, NULL);
    }
    return json_failed(&j) ? json_error(&j, err)
                           : (ok ? 0 : err_set(err, EINVAL, "a request that is too long"));
}

/* The format's own. */
static int list_own(struct table *t, int fd, struct err *err)
{
    AUTO(history) struct history *h = table_heard(t);
    AUTO(buf) struct buf line = {0};
    int rc = 0;
    buf_init(&line, CONTROL_MESSAGE_MAX);
    for (size_t i = 0; h && rc == 0 && i < h->names_n; i++) {
        const struct history_name *name = &h->names[i];
        buf_reset(&line);
        buf_add_str(&line, "{\"name\":");
        buf_add_json(&line, name->name);
        buf_addf(&line, ",\"version\":%lld,\"format\":\"%s\"}",
                 (long long)h->at[name->position].number, name->branch ? "branch" : "tag");
        rc = control_send(fd, buf_slice(&line), -1, err);
    }
    return rc;
}

static int list(struct table *t, int fd, struct err *err)
{
    struct tags_place place = table_tags_place(t);
    AUTO(tags) struct tags *tags = NULL;
    AUTO(buf) struct buf line = {0};
    buf_init(&line, CONTROL_MESSAGE_MAX);
    int rc = list_own(t, fd, err);
    if (rc == 0)
        rc = tags_load(&place, NULL, &tags, err);
    for (size_t i = 0; rc == 0 && i < tags->n; i++) {
        const struct tag *tag = &tags->at[i];
        buf_reset(&line);
        buf_add_str(&line, "{\"name\":");
        buf_add_json(&line, tag->name);
        buf_addf(&line, ",\"version\":%lld,\"shared\":%s,\"hidden\":%s}", (long long)tag->version,
                 tag->shared ? "true" : "false", tag->hidden ? "true" : "false");
        rc = control_send(fd, buf_slice(&line), -1, err);
    }
    return rc;
}

static int change(struct table *t, const struct tag_request *q, bool set, struct err *err)
{
    struct tag_change c = {.name = buf_slice(&q->name),
                           .by = buf_slice(&q->by),
                           .version = set ? q->version : -1,
                           .time_ms = q->time_ms,
                           .now_ms = clock_real_ms(),
                           .shared = q->shared,
                           .replace = q->replace};
    int rc = set && q->version < 0 ? err_set(err, EINVAL, "a tag needs a version")
                                   : table_change_tag(t, &c, err);
    if (rc == 0)
        log_info("table %.*s: tag %.*s %s%s", SLICE_FMT(table_path(t)), SLICE_FMT(c.name),
                 c.shared ? "(shared) " : "", set ? "set" : "removed");
    return rc;
}

static int serve(struct table *t, const struct tag_request *q, int fd, struct err *err)
{
    struct slice action = buf_slice(&q->action);
    if (!table_ops(t)->range)
        return err_set(err, EOPNOTSUPP, "a table of the format %s has no versions to be named",
                       table_ops(t)->format);
    if (slice_is(action, "list"))
        return list(t, fd, err);
    if (slice_is(action, "set") || slice_is(action, "delete"))
        return change(t, q, slice_is(action, "set"), err);
    return err_set(err, EINVAL, "unknown action %.*s", SLICE_FMT(action));
}

int daemon_tag(struct daemon *d, struct slice request, int fd, struct err *err)
{
    AUTO(request) struct tag_request q = {.version = -1};
    int rc = parse(request, &q, err);
    if (rc < 0)
        return rc;
    struct daemon_session *s = daemon_hold_session(d, buf_slice(&q.mount));
    if (!s)
        return err_set(err, ENOENT, "the mount is gone");
    struct table *t = lake_known_table(session_lake(s->session), buf_slice(&q.table));
    rc = t ? serve(t, &q, fd, err) : err_set(err, ENOENT, "no table %s", q.table.data);
    daemon_let_go(d, s);
    return rc;
}
