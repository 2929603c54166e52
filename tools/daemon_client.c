/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/daemon_client.h"

#include <sys/socket.h>

#include "base/json.h"
#include "base/log.h"
#include "cache/store/settings.h"
#include "cache/store/url.h"
#include "fs/govern.h"
#include "lake/delta/delta.h"
#include "lake/files/files.h"
#include "lake/iceberg/iceberg.h"
#include "lake/lakefile.h"
#include "lake/unread/unread.h"
#include "tools/daemon_recall.h"
#include "tools/daemon_tag.h"
#include "tools/dress.h"
#include "tools/maintain.h"
#include "tools/metadata_warning.h"
#include "tools/options.h"

#define PATIENCE_S 30 /* with a client that does not go on */

/* Formats in order of precedence: a table with both logs is Delta's (UniForm). */
static const struct driver_ops *const drivers[] = {
    &delta_ops,
    &iceberg_ops,
    &unread_hudi_ops,
    NULL,
};

struct client {
    struct daemon *daemon;
    int fd;
};

/* What a mount request says. Strings are owned. */
struct mount_request {
    char *source, *mountpoint;
    char *lake;      /* the content of the lake file that the source is; NULL: it is none */
    char *action;    /* of "cache" */
    char *tag;       /* of "tag": JSON */
    char *recall;    /* of "recall": JSON */
    char *cache_key; /* fingerprint of the key that the cache is to have; NULL: none is asked for */
    struct store_options credentials; /* of its environment */
    int64_t uid, gid;
    struct options options;
};

static void mount_request_done(struct mount_request *m)
{
    free(m->source);
    free(m->lake);
    free(m->mountpoint);
    free(m->cache_key);
    free(m->action);
    free(m->tag);
    free(m->recall);
    settings_done(&m->credentials);
    options_done(&m->options);
}
DEFINE_AUTO_DONE(mount_request, struct mount_request, mount_request_done)

/* parsing */

static bool take_string(struct json *j, char **out)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice text;
    buf_init(&scratch, CONTROL_MESSAGE_MAX);
    if (!json_string(j, &scratch, &text))
        return false;
    free(*out);
    *out = strndup(text.p ? text.p : "", text.n);
    return *out != NULL;
}

static bool take_json(struct json *j, char **out)
{
    struct slice raw;
    if (!json_skip(j, &raw))
        return false;
    free(*out);
    *out = strndup(raw.p, raw.n);
    return *out != NULL;
}

static bool take_credentials(struct json *j, struct mount_request *m)
{
    struct slice key;
    if (!json_enter_object(j))
        return false;
    AUTO(buf) struct buf scratch = {0};
    buf_init(&scratch, CONTROL_MESSAGE_MAX);
    bool ok = true;
    while (ok && json_next_key(j, &key)) {
        struct slice value;
        ok = json_string(j, &scratch, &value) &&
             settings_set(&m->credentials, key, value, NULL) == 0;
    }
    if (scratch.data)
        explicit_bzero(scratch.data, scratch.cap);
    return ok && !json_failed(j);
}

/* One request; *op is "mount", "cache", "tag", "recall" or "ping". */
static int parse_request(struct slice line, char **op, struct mount_request *m, struct err *err)
{
    struct json j;
    struct slice key;
    json_init(&j, line);
    if (!json_enter_object(&j))
        return json_error(&j, err);
    while (json_next_key(&j, &key)) {
        bool ok;
        if (slice_is(key, "op"))
            ok = take_string(&j, op);
        else if (slice_is(key, "source"))
            ok = take_string(&j, &m->source);
        else if (slice_is(key, "lake"))
            ok = take_string(&j, &m->lake);
        else if (slice_is(key, "mountpoint"))
            ok = take_string(&j, &m->mountpoint);
        else if (slice_is(key, "credentials"))
            ok = take_credentials(&j, m);
        else if (slice_is(key, "action"))
            ok = take_string(&j, &m->action);
        else if (slice_is(key, "cache_key"))
            ok = take_string(&j, &m->cache_key);
        else if (slice_is(key, "tag"))
            ok = take_json(&j, &m->tag);
        else if (slice_is(key, "recall"))
            ok = take_json(&j, &m->recall);
        else if (slice_is(key, "uid"))
            ok = json_int64(&j, &m->uid);
        else if (slice_is(key, "gid"))
            ok = json_int64(&j, &m->gid);
        else if (slice_is(key, "options")) {
            struct slice options;
            ok = json_skip(&j, &options);
            int rc = ok ? options_parse(&m->options, options, err) : 0;
            if (rc < 0)
                return rc;
        } else {
            ok = json_skip(&j, NULL);
        }
        if (!ok)
            break;
    }
    if (json_failed(&j))
        return json_error(&j, err);
    return *op ? 0 : err_set(err, EINVAL, "a request without op");
}

/* mounting */

static void on_ended(void *arg)
{
    struct daemon_session *s = arg;
    struct daemon *d = s->daemon;
    WITH_LOCK (&d->lock) {
        s->ended = true;
        cond_broadcast(&d->changed);
    }
}

/* The mount is gone: everything of it goes too. */
static void end_session(struct daemon *d, struct daemon_session *s)
{
    struct daemon_session **at = &d->sessions;
    log_info("%s: unmounted", session_mountpoint(s->session));
    WITH_LOCK (&d->lock)
        while (s->uses) /* nobody finds it any more, as it has ended */
            cond_wait(&d->changed, &d->lock);
    session_free(s->session);
    WITH_LOCK (&d->lock) {
        while (*at != s)
            at = &(*at)->next;
        *at = s->next;
    }
    free(s);
}

/* What the mount's stores are opened with; borrowed from the request. */
static struct store_options store_options_of(const struct mount_request *m)
{
    const struct options *o = &m->options;
    struct store_options store = m->credentials;
    store.endpoint_url = o->endpoint_url;
    store.region = o->region;
    store.no_sign_request = o->no_sign_request;
    store.ca_bundle = o->ca_bundle;
    store.addressing = o->addressing;
    store.proxy_url = o->proxy;
    store.deadline_ms = o->deadline_ms;
    store.requester_pays = o->requester_pays;
    store.sse = o->sse;
    store.sse_kms_key_id = o->sse_kms_key_id;
    store.aws_profile_chosen = o->profile != NULL;
    if (o->profile)
        store.aws_profile = o->profile;
    store.uid = (uint32_t)m->uid;
    store.gid = (uint32_t)m->gid;
    return store;
}

/* The stores of a mount, until they are open. */
struct stores {
    struct lakefile *file;
    struct store_options options;
    struct store_runtime runtime, dressed;
    struct dress dress;
};

static void stores_done(struct stores *s)
{
    lakefile_free(s->file);
}
DEFINE_AUTO_DONE(stores, struct stores, stores_done)

/* What is encrypted at home with a key of one's own would lie near in the clear. */
static int check_keys(const struct stores *s, struct err *err)
{
    for (size_t i = 0; s->file && s->options.sse_c_key && i < s->file->layers_n; i++)
        if (s->file->layers[i].near.url)
            return err_set(err, EINVAL,
                           "%s: layer %s: near and --sse-c-key-file do not go together",
                           s->file->name, s->file->layers[i].name);
    return 0;
}

static int prepare_stores(struct daemon *d, const struct mount_request *m, struct stores *s,
                          struct err *err)
{
    const struct options *o = &m->options;
    int rc = m->lake ? lakefile_parse(slice_of(m->lake), m->source, &s->file, err) : 0;
    if (rc < 0)
        return rc;
    s->options = store_options_of(m);
    rc = check_keys(s, err);
    if (rc < 0)
        return rc;
    bool bucket = s->file || (strstr(m->source, "://") && strncmp(m->source, "file:", 5) != 0);
    if (bucket && !atomic_exchange(&d->metadata_tried, true))
        metadata_warning_start(d->secrets, &s->options);
    s->runtime = s->dressed = (struct store_runtime){
        .http = d->http, .workers = d->disk, .shares = d->shares, .secrets = d->secrets};
    dress_init(&s->dress, &(struct dress_config){.file = s->file,
                                                 .archive_url = o->archive_store,
                                                 .near_url = o->near,
                                                 .near_bytes = o->near_size_bytes,
                                                 .options = &s->options,
                                                 .runtime = &s->runtime,
                                                 .cache = d->cache,
                                                 .scratch_dirfd = d->directory.dirfd});
    dress_layer(&s->dress, NULL, &s->dressed);
    return 0;
}

/* A catalog of it may require that parts of tables are kept back. */
static bool may_restrict(const struct lakefile *file)
{
    bool may = false;
    for (size_t i = 0; file && i < file->layers_n; i++) {
        enum lakefile_catalog_kind kind = file->layers[i].catalog.kind;
        may = may || kind == LAKEFILE_CATALOG_REST || kind == LAKEFILE_CATALOG_GLUE ||
              kind == LAKEFILE_CATALOG_UNITY;
    }
    return may;
}

/* Takes *fuse_fd where it is one. */
static int start_session(struct daemon *d, struct mount_request *m, int *fuse_fd,
                         struct daemon_session **out, struct err *err)
{
    struct options *o = &m->options;
    AUTO(stores) struct stores stores = {.file = NULL};
    if (options_check(o, err) < 0 || prepare_stores(d, m, &stores, err) < 0)
        return -err->code;
    struct daemon_session *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ENOMEM, "out of memory");
    s->daemon = d;
    WITH_LOCK (&d->lock)
        s->id = ++d->mounts;
    const struct governor_config policy = {.policy = o->policy,
                                           .role = o->role,
                                           .per_uid = o->per_uid,
                                           .uid = (uid_t)m->uid,
                                           .revocable = o->revocable,
                                           .audit = o->audit,
                                           .audit_strict = o->audit_strict,
                                           .audits = d->audits,
                                           .mountpoint = m->mountpoint ? m->mountpoint : "/dev/fd",
                                           .workers = d->metadata};
    struct session_config config = {
        .lake = {.url = m->source,
                 .outside = o->outside,
                 .file = stores.file,
                 .store_options = &stores.options,
                 .runtime = &stores.dressed,
                 .dress = dress_layer,
                 .check = dress_check,
                 .dress_arg = &stores.dress,
                 .refresh_ms = o->refresh_ms,
                 .hold_ms = o->hold_ms,
                 .keep_ms = o->keep_ms,
                 .as_of_ms = o->as_of_ms,
                 .drivers = drivers,
                 .files = &files_ops,
                 .cache = d->cache,
                 .registry = d->registry,
                 .workers = d->metadata,
                 .tags = d->tags,
                 .indexes_dirfd = d->indexes_dirfd},
        .mountpoint = m->mountpoint,
        .fuse_fd = STEAL_FD(*fuse_fd),
        .threads = o->threads_count,
        .allow_other = o->allow_other,
        .debug = o->debug,
        .slack = o->slack_rule,
        .recalls = o->recalls,
        .recall = o->recall,
        .passthrough = !o->passthrough || strcmp(o->passthrough, "auto") == 0,
        .uid = (uid_t)(o->owner_uid >= 0 ? o->owner_uid : m->uid),
        .gid = (gid_t)(o->owner_gid >= 0 ? o->owner_gid : m->gid),
        .temporary_dirfd = d->directory.dirfd,
        .id = s->id,
        .policy = o->policy || may_restrict(stores.file) ? &policy : NULL,
        .ended = on_ended,
        .arg = s,
    };
    s->session = session_start(&config, err);
    if (!s->session) {
        free(s);
        return -err->code;
    }
    WITH_LOCK (&d->lock) {
        s->next = d->sessions;
        d->sessions = s;
    }
    log_info("%s: mounted %s", session_mountpoint(s->session), session_source(s->session));
    *out = s;
    return 0;
}

/* answers; a client that has gone is no error of ours */

static void answer_error(int fd, const struct err *err)
{
    AUTO(buf) struct buf line = {0};
    buf_init(&line, CONTROL_MESSAGE_MAX);
    buf_addf(&line, "{\"ok\":false,\"code\":%d,\"error\":", err->code);
    buf_add_json(&line, slice_of(err->msg));
    buf_add_char(&line, '}');
    (void)control_send(fd, buf_slice(&line), -1, NULL);
}

/* `warning` may be empty. */
static void answer_ok(int fd, const char *warning)
{
    AUTO(buf) struct buf line = {0};
    buf_init(&line, CONTROL_MESSAGE_MAX);
    buf_addf(&line, "{\"ok\":true,\"pid\":%d", (int)getpid());
    if (*warning) {
        buf_add_str(&line, ",\"warning\":");
        buf_add_json(&line, slice_of(warning));
    }
    buf_add_char(&line, '}');
    (void)control_send(fd, buf_slice(&line), -1, NULL);
}

/* Who asks for encryption gets it or nothing. Who does not ask may have it. */
static int check_key(const struct daemon *d, const struct mount_request *m, struct err *err)
{
    if (!m->cache_key || strcmp(m->cache_key, d->cache_key) == 0)
        return 0;
    return err_set(err, EBUSY, "the daemon of this cache directory %s: unmount its mounts first",
                   *d->cache_key ? "has another key" : "does not encrypt");
}

static void serve_mount(struct client *c, struct mount_request *m, int passed)
{
    AUTO_FD int fuse_fd = passed;
    struct err err = ERR_INIT;
    struct daemon_session *s = NULL;
    struct daemon *d = c->daemon;
    if (!m->source || !(m->mountpoint || fuse_fd >= 0)) {
        (void)err_set(&err, EINVAL, "a mount needs a source and a mount point");
        answer_error(c->fd, &err);
        return;
    }
    if (check_key(d, m, &err) < 0 || start_session(d, m, &fuse_fd, &s, &err) < 0) {
        struct slice shown = url_shown(slice_of(m->source));
        log_error("mount of %.*s: %s", SLICE_FMT(shown), err.msg);
        answer_error(c->fd, &err);
        return;
    }
    if (session_denies(s->session, &err))
        (void)err_wrap(&err, "everything is denied");
    answer_ok(c->fd, err.msg);
    WITH_LOCK (&d->lock)
        while (!s->ended)
            cond_wait(&d->changed, &d->lock);
    end_session(d, s);
    (void)control_send(c->fd, SLICE_LIT("{\"ended\":true}"), -1, NULL); /* if it still listens */
}

/* looking after the cache */

/* One line of the answer. False where nobody listens, or the daemon is to end. */
static bool send_line(void *arg, struct slice text)
{
    const struct client *c = arg;
    return !atomic_load(&c->daemon->ending) && control_send(c->fd, text, -1, NULL) == 0;
}

static int do_maintenance(struct client *c, enum maintenance what, struct err *err)
{
    struct daemon *d = c->daemon;
    bool busy;
    if (what == MAINTENANCE_STAT)
        return maintain(d->cache, d->http, what, send_line, c, err);
    WITH_LOCK (&d->lock) {
        busy = d->maintaining;
        d->maintaining = true;
    }
    if (busy)
        return err_set(err, EBUSY, "another `tarn cache` command is at work");
    log_info("cache %s: begun", maintenance_name(what));
    int rc = maintain(d->cache, d->http, what, send_line, c, err);
    log_info("cache %s: %s", maintenance_name(what), rc < 0 ? err->msg : "ended");
    WITH_LOCK (&d->lock)
        d->maintaining = false;
    return rc;
}

static void serve_cache(struct client *c, const char *action)
{
    struct err err = ERR_INIT;
    enum maintenance what;
    int rc = maintenance_find(slice_of(action), &what)
                 ? do_maintenance(c, what, &err)
                 : err_set(&err, EINVAL, "unknown action %s", action ? action : "");
    if (rc < 0)
        answer_error(c->fd, &err);
}

static void serve_tag(struct client *c, const char *request)
{
    struct err err = ERR_INIT;
    if (daemon_tag(c->daemon, slice_of(request), c->fd, &err) < 0)
        answer_error(c->fd, &err);
    else
        answer_ok(c->fd, "");
}

static void serve_recall(struct client *c, const char *request)
{
    struct err err = ERR_INIT;
    if (daemon_recall(c->daemon, slice_of(request), c->fd, &err) < 0)
        answer_error(c->fd, &err);
    else
        answer_ok(c->fd, "");
}

/* A client that is silent, or listens no more, and does not go, must not keep the daemon. */
static void set_patience(int fd)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

static void *serve_client(void *arg)
{
    struct client *c = arg;
    struct daemon *d = c->daemon;
    struct err err = ERR_INIT;
    AUTO(buf) struct buf line = {0};
    AUTO(mount_request)
    struct mount_request m = {.uid = (int64_t)geteuid(), .gid = (int64_t)getegid()};
    AUTO_FREE char *op = NULL;
    AUTO_FD int passed = -1;
    buf_init(&line, CONTROL_MESSAGE_MAX);
    set_patience(c->fd);
    int rc = control_receive(c->fd, &line, &passed, &err);
    if (rc == 0)
        rc = parse_request(buf_slice(&line), &op, &m, &err);
    if (line.data)
        explicit_bzero(line.data, line.len);
    if (rc == 0)
        WITH_LOCK (&d->lock)
            d->served = true;
    if (rc < 0 && rc != -EPIPE)
        answer_error(c->fd, &err);
    else if (rc == 0 && strcmp(op, "mount") == 0)
        serve_mount(c, &m, STEAL_FD(passed));
    else if (rc == 0 && strcmp(op, "cache") == 0)
        serve_cache(c, m.action);
    else if (rc == 0 && strcmp(op, "tag") == 0)
        serve_tag(c, m.tag);
    else if (rc == 0 && strcmp(op, "recall") == 0)
        serve_recall(c, m.recall);
    else if (rc == 0 && strcmp(op, "ping") == 0)
        answer_ok(c->fd, "");
    else if (rc == 0) {
        (void)err_set(&err, EINVAL, "unknown request %s", op);
        answer_error(c->fd, &err);
    }
    (void)close(c->fd); /* all was sent */
    free(c);
    WITH_LOCK (&d->lock) {
        d->clients--;
        daemon_wake(d);
    }
    return NULL;
}

int daemon_client_start(struct daemon *d, int fd, struct err *err)
{
    pthread_t thread;
    struct client *c = malloc(sizeof *c);
    int rc = c ? 0 : ENOMEM;
    WITH_LOCK (&d->lock)
        d->clients++;
    if (c) {
        *c = (struct client){d, fd};
        rc = pthread_create(&thread, NULL, serve_client, c);
    }
    if (rc) {
        (void)close(fd); /* the client sees that it closes */
        free(c);
        WITH_LOCK (&d->lock)
            d->clients--;
        return err_set(err, rc, "client thread: %s", strerror(rc));
    }
    (void)pthread_setname_np(thread, "tarn-client"); /* a help to debuggers */
    (void)pthread_detach(thread);
    return 0;
}
