/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/daemon_recall.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/log.h"
#include "base/vec.h"
#include "lake/table.h"
#include "tools/recall_speed.h"

struct recall_request {
    struct arena arena; /* of the texts */
    struct slice mount, table;
    VEC(struct slice) objects;
    struct store_restore how;
};

static void recall_request_done(struct recall_request *q)
{
    vec_done(&q->objects);
    arena_done(&q->arena);
}
DEFINE_AUTO_DONE(recall_request, struct recall_request, recall_request_done)

/* ---- the request ---- */

static bool take_text(struct recall_request *q, struct json *j, struct slice *out)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice text;
    buf_init(&scratch, CONTROL_MESSAGE_MAX);
    if (!json_string(j, &scratch, &text))
        return false;
    *out = arena_slice(&q->arena, text); /* ends in a zero */
    return out->p != NULL;
}

static bool take_objects(struct recall_request *q, struct json *j)
{
    struct slice text;
    if (!json_enter_array(j))
        return false;
    while (json_next_element(j))
        if (!take_text(q, j, &text) || vec_push(&q->objects, text) < 0)
            return false;
    return true;
}

static bool take_days(struct json *j, unsigned *days)
{
    int64_t n;
    if (!json_int64(j, &n) || n < 1 || n > RECALL_DAYS_MAX)
        return false;
    *days = (unsigned)n;
    return true;
}

static bool take_speed(struct recall_request *q, struct json *j)
{
    struct slice text;
    return take_text(q, j, &text) && recall_speed_parse(text, &q->how.speed);
}

static int parse(struct slice text, struct recall_request *q, struct err *err)
{
    struct json j;
    struct slice key;
    json_init(&j, text);
    bool ok = json_enter_object(&j);
    while (ok && json_next_key(&j, &key))
        ok = slice_is(key, "mount")     ? take_text(q, &j, &q->mount)
             : slice_is(key, "table")   ? take_text(q, &j, &q->table)
             : slice_is(key, "objects") ? take_objects(q, &j)
             : slice_is(key, "days")    ? take_days(&j, &q->how.days)
             : slice_is(key, "speed")   ? take_speed(q, &j)
                                        : json_skip(&j, NULL);
    return json_failed(&j) ? json_error(&j, err)
                           : (ok ? 0 : err_set(err, EINVAL, "a request to recall that is not one"));
}

/* ---- restoring ---- */

/* The store in which an object lies, by its name as user.tarn.object tells it. */
static struct store *find_store(const struct lake *lake, struct slice url, struct slice *key)
{
    struct store *found = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < lake->layers.at.n + lake->layers.outside.n; i++) {
        struct store *s = i < lake->layers.at.n ? lake->layers.at.at[i].store
                                                : lake->layers.outside.at[i - lake->layers.at.n];
        struct slice home = slice_of(s ? s->home : NULL); /* a catalog's layer has no store */
        bool below = home.n > longest && slice_starts(url, home) && url.n > home.n + 1 &&
                     url.p[home.n] == '/';
        if (!below)
            continue;
        found = s;
        longest = home.n;
        *key = slice_from(url, home.n + 1);
    }
    return found;
}

static int answer(int fd, int rc, const struct err *why, struct err *err)
{
    AUTO(buf) struct buf line = {0};
    buf_init(&line, CONTROL_MESSAGE_MAX);
    buf_addf(&line, "{\"code\":%d", -rc);
    if (rc < 0 && rc != -EALREADY) {
        buf_add_str(&line, ",\"error\":");
        buf_add_json(&line, slice_of(why->msg));
    }
    buf_add_char(&line, '}');
    return control_send(fd, buf_slice(&line), -1, err);
}

/* `key` ends in a zero. */
static int restore(struct store *s, struct slice key, const struct store_restore *how, int fd,
                   struct err *err)
{
    struct err why = ERR_INIT;
    int rc = s->ops->restore ? s->ops->restore(s, key.p, how, &why) : 0;
    return answer(fd, rc, &why, err);
}

static int restore_objects(const struct lake *lake, const struct recall_request *q, int fd,
                           struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < q->objects.n; i++) {
        struct slice key = SLICE_NONE;
        struct store *s = find_store(lake, q->objects.at[i], &key);
        struct err why = ERR_INIT;
        rc = s ? restore(s, key, &q->how, fd, err)
               : answer(fd, err_set(&why, ENOENT, "it is in no store of the mount"), &why, err);
    }
    return rc;
}

struct log_walk {
    struct recall_request *request;
    struct err *err;
};

static int add_archived(void *arg, const struct store_entry *e)
{
    struct log_walk *w = arg;
    if (e->readable)
        return 0;
    struct slice key = arena_slice(&w->request->arena, e->key);
    int rc = key.p ? vec_push(&w->request->objects, key) : -ENOMEM;
    return rc < 0 ? err_set(w->err, -rc, "the log has too many objects") : 0;
}

/* Where its store says so only of a HEAD, it is asked for by each. */
static int restore_log_object(struct store *s, struct slice key, const struct recall_request *q,
                              int fd, struct err *err)
{
    struct store_info info = {0};
    struct err why = ERR_INIT;
    int rc = s->ops->head(s, key.p, &info, &why);
    if (rc < 0)
        return answer(fd, rc, &why, err);
    if (info.access == STORE_READABLE)
        return 0;
    if (info.access == STORE_RESTORING)
        return answer(fd, -EALREADY, &why, err);
    return restore(s, key, &q->how, fd, err);
}

static int restore_log(struct lake *lake, struct recall_request *q, int fd, struct err *err)
{
    const struct table *t = lake_known_table(lake, q->table);
    AUTO(buf) struct buf prefix = {0};
    if (!t || !table_ops(t)->marker)
        return err_set(err, ENOENT, "no table %.*s with a log", SLICE_FMT(q->table));
    struct store *s = table_store(t);
    buf_init(&prefix, 2 * KEY_BYTES_MAX);
    buf_addf(&prefix, "%.*s%s/", SLICE_FMT(table_prefix(t)), table_ops(t)->marker);
    struct log_walk w = {q, err};
    struct store_list list = {
        .prefix = prefix.data, .recursive = true, .emit = add_archived, .arg = &w};
    int rc = buf_check(&prefix, err);
    if (rc == 0)
        rc = s->ops->list(s, &list, err);
    for (size_t i = 0; rc == 0 && i < q->objects.n; i++)
        rc = restore_log_object(s, q->objects.at[i], q, fd, err);
    return rc;
}

int daemon_recall(struct daemon *d, struct slice request, int fd, struct err *err)
{
    AUTO(recall_request)
    struct recall_request q = {.objects = VEC_MAX(FILES_MAX), .how = {.days = 1}};
    arena_init(&q.arena, 64 * CONTROL_MESSAGE_MAX);
    int rc = parse(request, &q, err);
    if (rc < 0)
        return rc;
    struct daemon_session *s = daemon_hold_session(d, q.mount);
    if (!s)
        return err_set(err, ENOENT, "the mount is gone");
    struct lake *lake = session_lake(s->session);
    rc = q.table.n ? restore_log(lake, &q, fd, err) : restore_objects(lake, &q, fd, err);
    log_info("%s: recall of %zu objects%s%.*s", session_mountpoint(s->session), q.objects.n,
             q.table.n ? " of the log of " : "", SLICE_FMT(q.table));
    daemon_let_go(d, s);
    return rc;
}
