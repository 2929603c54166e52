/* SPDX-License-Identifier: Apache-2.0 */
/* GETXATTR, LISTXATTR: what tarn knows of a path, as `user.tarn.*`. */
#include <limits.h>

#include "base/instant.h"
#include "fs/archived.h"
#include "fs/attr.h"
#include "fs/ops.h"
#include "fs/subject.h"
#include "lake/format/shape.h"
#include "lake/key_name.h"
#include "lake/partition_path.h"
#include "lake/raw.h"

#define PREFIX "user.tarn."
#define VALUE_BYTES_MAX (64 * KIB) /* what the kernel takes */

/* values: each appends to out, or answers -ENODATA where it does not apply */

static int value_version(struct subject *s, struct buf *out)
{
    if (!table_ops(s->table)->marker) /* no versions with numbers */
        return -ENODATA;
    if (s->where.kind == WHERE_FILE)
        buf_addf(out, "%lld", (long long)s->entry.version);
    else if (s->shown)
        table_version_name(s->where.version, out);
    else
        return -ENODATA;
    return 0;
}

static int value_timestamp(struct subject *s, struct buf *out)
{
    if (!s->shown)
        return -ENODATA;
    instant_format(out, s->shown->timestamp_ms);
    return 0;
}

/* The pinned path: table@version/rest, below the mount. */
static int value_path(struct subject *s, struct buf *out)
{
    int64_t version = s->where.kind == WHERE_FILE ? s->entry.version
                      : s->shown                  ? s->shown->number
                                                  : -1;
    if (version < 0 || !table_ops(s->table)->marker)
        return -ENODATA;
    buf_add_slice(out, table_path(s->table));
    buf_add_char(out, '@');
    if (s->shown)
        table_version_name(s->where.version, out);
    else
        buf_addf(out, "%lld", (long long)version);
    const struct run *run = s->run     ? s->run
                            : s->shown ? snapshot_base(s->where.version->snapshot)
                                       : NULL;
    if (run && raw_is(run))
        buf_add_str(out, "/" KEY_NAME_META "/" RAW_NAME);
    else if (run && table_is_changes(run))
        buf_add_str(out, "/" KEY_NAME_META "/" TABLE_CHANGES_NAME);
    if (s->where.kind == WHERE_FILE) {
        buf_add_char(out, '/');
        buf_add_slice(out, s->entry.path);
        return 0;
    }
    if (s->where.kind != WHERE_LIVE && s->where.kind != WHERE_PINNED)
        return 0;
    buf_add_char(out, '/');
    int rc = where_table_path(&s->where, out, NULL);
    if (out->len && out->data[out->len - 1] == '/')
        out->data[--out->len] = '\0';
    return rc;
}

static int value_table(struct subject *s, struct buf *out)
{
    buf_add_slice(out, table_path(s->table));
    return 0;
}

static int value_format(struct subject *s, struct buf *out)
{
    buf_add_str(out, table_ops(s->table)->format);
    return 0;
}

/* By name only: it takes requests. */
static int ask_store(struct subject *s, struct buf *out,
                     int (*ask)(const struct archived_file *f, struct buf *out, struct err *err))
{
    const struct archived_file file = {s->run ? s->table : NULL, s->run, &s->entry, &s->object};
    bool told = s->is_object && !s->names_only && s->object.key.len;
    int rc = told ? task_to_worker(&s->r->task, s->r->session->config.lake.workers) : -ENODATA;
    if (rc < 0)
        return rc;
    s->object.store = subject_store(s);
    rc = ask(&file, out, s->err);
    return rc == -ENOENT ? -ENODATA : rc; /* gone */
}

static int value_tier(struct subject *s, struct buf *out)
{
    const struct store_ops *ops = s->is_object ? subject_store(s)->ops : NULL;
    if (!ops || !ops->open_in_place || ops->has_elsewhere)
        return ask_store(s, out, archived_tier);
    buf_add_str(out, "local");
    return 0;
}

static int value_archived(struct subject *s, struct buf *out)
{
    return s->part.view ? -ENODATA : ask_store(s, out, archived_objects);
}

static int value_object(struct subject *s, struct buf *out)
{
    if (!s->is_object || !s->object.key.len || s->part.view)
        return -ENODATA;
    buf_addf(out, "%s/", subject_store(s)->home);
    buf_add_slice(out, buf_slice(&s->object.key));
    return 0;
}

/* The same of what is made of an object. */
static int presented_value(struct subject *s, struct buf *out, bool etag)
{
    AUTO(buf) struct buf key = {0};
    AUTO(object) struct object *o = NULL;
    struct session *session = s->r->session;
    struct presented_file f;
    AUTO(partition_values) struct partition_values values;
    partition_values_init(&values);
    if (session_presented(session, &s->where, &s->part, &values, &f, NULL) < 0)
        return -ENODATA;
    struct store *presented = session_presents(session, where_store(&s->where), NULL);
    if (!presented)
        return -ENODATA;
    char text[ETAG_BYTES_MAX];
    buf_init(&key, KEY_BYTES_MAX);
    if (etag) {
        presented_object_etag(presented, &f, text);
        buf_add_str(out, text);
        return *text ? 0 : -ENODATA;
    }
    presented_key(&f, &key);
    struct object_name name = {.store = presented, .key = buf_slice(&key), .size = f.size};
    if (key.failed || object_open(session->config.lake.cache, &name, &o, NULL) < 0)
        return -ENODATA;
    buf_addf(out, "%llu", (unsigned long long)object_cached_bytes(o));
    return 0;
}

static int object_value(struct subject *s, struct buf *out, bool etag)
{
    AUTO(object) struct object *o = NULL;
    struct session *session = s->r->session;
    if (!s->is_object || !s->object.key.len || (etag && s->part.view)) /* a hash of all of it */
        return -ENODATA;
    if (s->where.presented)
        return presented_value(s, out, etag);
    struct object_name name = {.store = subject_store(s),
                               .key = buf_slice(&s->object.key),
                               .size = s->size,
                               .etag = buf_slice(&s->object.etag),
                               .version = buf_slice(&s->object.version)};
    if (object_open_blocks(name.store)) {
        int rc = task_to_worker(&s->r->task, session->config.lake.workers);
        if (rc < 0)
            return rc;
    }
    if (object_open(session->config.lake.cache, &name, &o, NULL) < 0)
        return -ENODATA; /* gone: reading it tells the reason */
    char text[ETAG_BYTES_MAX];
    if (!etag)
        buf_addf(out, "%llu", (unsigned long long)object_cached_bytes(o));
    else if (*object_etag(o, text))
        buf_add_str(out, text);
    else
        return -ENODATA;
    return 0;
}

static int value_etag(struct subject *s, struct buf *out)
{
    return object_value(s, out, true);
}

static int value_cached(struct subject *s, struct buf *out)
{
    return object_value(s, out, false);
}

/* Of a file that is not presented as it is stored: all that its store has to know. */
static int make_presented(struct subject *s, struct partition_values *values,
                          struct presented_file *f, struct store **presented)
{
    int rc = session_presented(s->r->session, &s->where, &s->part, values, f, s->err);
    if (rc < 0)
        return rc;
    f->version = buf_slice(&s->object.version);
    f->driver = table_driver(s->table);
    f->entry = &s->entry;
    *presented = session_presents(s->r->session, where_store(&s->where), s->err);
    return *presented && s->object.key.len ? 0 : -EACCES;
}

static int value_transform(struct subject *s, struct buf *out)
{
    if (!s->run)
        return -ENODATA;
    if (s->part.view) {
        buf_add_str(out, "narrowed"); /* of what is not shown it must not tell */
        return 0;
    }
    if (!s->where.presented || s->names_only) {
        buf_add_str(out, "none");
        return 0;
    }
    struct presented_file f = {.deletes = false};
    struct store *presented = NULL;
    AUTO(partition_values) struct partition_values values; /* of a filter: there is none here */
    partition_values_init(&values);
    int rc = make_presented(s, &values, &f, &presented);
    if (rc == 0)
        rc = presented_describe(presented, &f, &s->r->task, out, s->err);
    if (rc == 0 || rc == -EINPROGRESS || rc == -EOPNOTSUPP)
        return rc;
    /* All that is known of it; where another object has taken the place of its own, nothing. */
    buf_add_str(out, f.deletes ? "rows" : rc == -ESTALE ? "unknown" : "padded");
    return 0;
}

/* `all`, or the line of the policy that decides. */
static int value_view(struct subject *s, struct buf *out)
{
    if (!s->run && !s->shown)
        return -ENODATA;
    if (s->part.view)
        buf_addf(out, "line %u", s->part.line);
    else
        buf_add_str(out, "all");
    return 0;
}

/* What the store says of the file's object; err: as it is not there, or is another one. */
static int look_at_object(struct subject *s, struct err *err)
{
    struct store *store = subject_store(s);
    struct store_info info;
    int rc = task_to_worker(&s->r->task, s->r->session->config.lake.workers);
    if (rc == 0)
        rc = store->ops->head(store, s->object.key.data, &info, err);
    if (rc == 0 && info.size != s->size)
        rc = err_set(err, ESTALE, "%s: size %llu expected, the store has %llu", s->object.key.data,
                     (unsigned long long)s->size, (unsigned long long)info.size);
    return rc;
}

/* Whether it can be presented, and the rows that are taken out of it can be told. */
static int look_at_presented(struct subject *s, struct err *err)
{
    struct presented_file f;
    struct store *presented = NULL;
    AUTO(shape) struct shape *shape = NULL;
    AUTO(partition_values) struct partition_values values;
    partition_values_init(&values);
    s->err = err;
    int rc = lake_run_shape(s->r->session->lake, s->table, s->run, node_of(s->r->ino).number,
                            &shape, err);
    if (rc == 0)
        rc = make_presented(s, &values, &f, &presented);
    return rc < 0 ? rc : presented_check(presented, &f, &s->r->task, err);
}

/* Why opening a file is refused. Asked for by name only: it takes requests. */
static int refused_error(struct subject *s, struct buf *out)
{
    struct err err = s->outside;
    int rc = -err.code;
    if (s->r->op == op_listxattr || s->part.view || (!s->object.key.len && rc == 0))
        return -ENODATA;
    if (rc == 0 && !s->object.version.len)
        rc = look_at_object(s, &err);
    if (rc == 0 && s->where.presented)
        rc = look_at_presented(s, &err);
    if (rc == -EINPROGRESS || rc == 0)
        return rc < 0 ? rc : -ENODATA;
    if (rc == -ENOENT)
        (void)table_tell_gone(s->table, s->entry.version, &err); /* only words */
    buf_add_str(out, err.code ? err.msg : strerror(-rc));
    return 0;
}

static int value_error(struct subject *s, struct buf *out)
{
    if (s->run && s->is_object)
        return refused_error(s, out);
    if (!s->refusal.code)
        return -ENODATA;
    buf_add_str(out, s->refusal.msg);
    return 0;
}

/* Of a plain directory, and of a table's root: what it does not show. */
static int value_left_out(struct subject *s, struct buf *out)
{
    const struct where *w = &s->where;
    int rc = 0;
    if (s->asker.governor && (w->listing || s->part.view))
        return -ENODATA; /* names that are not shown */
    if (w->listing)
        left_out_format(listing_left_out(w->listing), out);
    else if (s->shown && w->dir == SNAPSHOT_ROOT)
        rc = driver_left_out(table_ops(s->table), snapshot_meta(w->version->snapshot), out, NULL);
    return rc == 0 && !out->len ? -ENODATA : rc;
}

static const struct {
    const char *name;
    int (*value)(struct subject *s, struct buf *out);
    bool when_refused; /* of tables that are refused */
    bool outside;      /* of tables: of files there */
    bool plain;        /* of directories there */
} attributes[] = {
    {"version", value_version, false, false, false},
    {"timestamp", value_timestamp, false, false, false},
    {"path", value_path, false, false, false},
    {"table", value_table, true, false, false},
    {"format", value_format, true, false, false},
    {"tier", value_tier, false, true, false},
    {"archived", value_archived, false, true, false},
    {"object", value_object, false, true, false},
    {"etag", value_etag, false, true, false},
    {"cached", value_cached, false, true, false},
    {"transform", value_transform, false, false, false},
    {"view", value_view, false, false, false},
    {"error", value_error, true, false, false},
    {"left_out", value_left_out, false, false, true},
};

/* -ENODATA where the subject has no such attribute. */
static int evaluate(struct subject *s, size_t i, struct buf *out, struct err *err)
{
    bool outside = !s->table && s->is_object;
    bool plain = !s->table && s->where.listing;
    if ((!s->table && !outside && !plain) || (outside && !attributes[i].outside) ||
        (plain && !attributes[i].plain) || (s->refusal.code && !attributes[i].when_refused))
        return -ENODATA;
    s->err = err;
    int rc = attributes[i].value(s, out);
    return rc < 0 ? rc : buf_check(out, err);
}

/* `cache`, of everything in a mount, not listed: the daemon's cache directory, for commands. */
static int reply_cache_dir(struct request *r, struct err *err)
{
    if (!governor_is_owner(r->session->governor, fuse_req_ctx(r->req)->uid))
        return -ENODATA;
    char link[32], path[PATH_MAX];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", r->session->config.temporary_dirfd);
    ssize_t n = readlink(link, path, sizeof path);
    if (n < 0)
        return err_set(err, errno, "cache directory: %s", strerror(errno));
    return request_reply_xattr(r, slice_make(path, (size_t)n));
}

/* `mount`, likewise: its number in the daemon. */
static int reply_mount(struct request *r)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)r->session->config.id);
    return request_reply_xattr(r, slice_make(text, (size_t)n));
}

int op_getxattr(struct request *r, struct err *err)
{
    AUTO(subject) struct subject s = {.r = r};
    AUTO(buf) struct buf value = {0};
    size_t i = 0;
    struct slice name = slice_of(r->name);
    buf_init(&value, VALUE_BYTES_MAX);
    /* No ACLs, no labels: said so, `ls -l` asks once and not for every file. */
    if (!slice_starts(name, SLICE_LIT("user.")))
        return -EOPNOTSUPP;
    if (!slice_starts(name, SLICE_LIT(PREFIX)))
        return -ENODATA;
    name = slice_from(name, sizeof PREFIX - 1);
    if (slice_is(name, "cache"))
        return reply_cache_dir(r, err);
    if (slice_is(name, "mount"))
        return reply_mount(r);
    while (i < ARRAY_SIZE(attributes) && !slice_is(name, attributes[i].name))
        i++;
    if (i == ARRAY_SIZE(attributes))
        return -ENODATA;
    int rc = subject_load(&s, err);
    if (rc == 0)
        rc = evaluate(&s, i, &value, err);
    return rc < 0 ? rc : request_reply_xattr(r, buf_slice(&value));
}

int op_listxattr(struct request *r, struct err *err)
{
    AUTO(subject) struct subject s = {.r = r, .names_only = true};
    AUTO(buf) struct buf names = {0}, value = {0};
    buf_init(&names, VALUE_BYTES_MAX);
    buf_init(&value, VALUE_BYTES_MAX);
    int rc = subject_load(&s, err);
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(attributes); i++) {
        buf_reset(&value);
        rc = evaluate(&s, i, &value, err);
        if (rc == 0) {
            buf_addf(&names, PREFIX "%s", attributes[i].name);
            buf_add_char(&names, '\0');
        }
        rc = rc == -ENODATA ? 0 : rc;
    }
    return rc < 0 ? rc : request_reply_xattr(r, buf_slice(&names));
}
