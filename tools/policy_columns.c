/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/policy_columns.h"

#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "lake/delta/delta.h"
#include "tools/reason.h"
#include "tools/table_log.h"

#define META_BYTES_MAX (4 * SCHEMA_BYTES_MAX)

void policy_columns_done(struct policy_columns *c)
{
    shape_unref(STEAL(c->shape));
    shape_unref(STEAL(c->partitions));
}

static int attribute(const char *path, const char *name, struct buf *out, struct err *err)
{
    ssize_t n = -1;
    buf_init(out, KEY_BYTES_MAX + 1);
    void *room = buf_reserve(out, KEY_BYTES_MAX);
    if (room)
        n = getxattr(path, name, room, KEY_BYTES_MAX);
    if (!room || n < 0)
        return err_set(err, ENOENT, "%s is in no table of a mount of tarn", path);
    out->len += (size_t)n;
    out->data[out->len] = '\0';
    return 0;
}

static bool has_attribute(const char *path, const char *name)
{
    return getxattr(path, name, NULL, 0) >= 0;
}

/* It is in a mount; of one that is not there, what it would be in. */
static bool is_in_mount(const char *path)
{
    char at[PATH_MAX];
    size_t n = strlen(path);
    struct stat st;
    if (n == 0 || n >= sizeof at)
        return false;
    memcpy(at, path, n + 1);
    while (stat(at, &st) < 0) {
        struct slice above = text_dirname(slice_of(at));
        if (above.n == 0) {
            (void)memcpy(at, at[0] == '/' ? "/" : ".", 2);
            break;
        }
        at[above.n] = '\0';
    }
    return has_attribute(at, "user.tarn.mount");
}

/* A decision about columns that a policy has narrowed already would tell nothing. */
static int check_whole(const char *path, struct err *err)
{
    AUTO(buf) struct buf view = {0};
    if (has_attribute(path, "user.tarn.error"))
        return reason_set(err, EIO, path);
    int rc = attribute(path, "user.tarn.view", &view, err);
    if (rc < 0)
        return rc;
    if (slice_is(buf_slice(&view), "all"))
        return 0;
    return err_set(err, EPERM,
                   "%s: this mount shows a part of the table (by its policy's %s): take a mount "
                   "without a policy, or of a principal that has a whole grant",
                   path, view.data);
}

/* A member of a document that is an object, as JSON. */
static int member(struct slice document, const char *name, struct slice *out, struct err *err)
{
    struct json j;
    struct slice key, value = SLICE_NONE;
    json_init(&j, document);
    if (json_enter_object(&j))
        while (json_next_key(&j, &key))
            (void)json_skip(&j, slice_is(key, name) ? &value : NULL);
    if (json_failed(&j) || !value.n)
        return err_set(err, EIO, "a document of the table lacks \"%s\"", name);
    *out = value;
    return 0;
}

/* What a run of the version would have as its meta (lake/delta/state.h), of which only the columns
 * are asked for. */
static int make_meta(struct slice schema, struct slice properties, struct buf *out, struct err *err)
{
    struct slice partitions = SLICE_NONE, fields = SLICE_NONE, id = SLICE_NONE,
                 protocol = SLICE_NONE, configuration = SLICE_NONE;
    int rc = member(schema, "partitionColumns", &partitions, err);
    if (rc == 0)
        rc = member(schema, "schema", &fields, err);
    if (rc == 0)
        rc = member(properties, "id", &id, err);
    if (rc == 0)
        rc = member(properties, "protocol", &protocol, err);
    if (rc == 0)
        rc = member(properties, "configuration", &configuration, err);
    if (rc < 0)
        return rc;
    buf_addf(out,
             "{\"version\":0,\"columnsSince\":0,\"fingerprint\":\"0000000000000000\",\"id\":%.*s,"
             "\"format\":{\"provider\":\"parquet\"},\"partitionColumns\":%.*s,\"protocol\":%.*s,"
             "\"configuration\":%.*s,\"schemaString\":",
             SLICE_FMT(id), SLICE_FMT(partitions), SLICE_FMT(protocol), SLICE_FMT(configuration));
    buf_add_json(out, fields);
    buf_add_char(out, '}');
    return buf_check(out, err);
}

int policy_columns_at(const char *path, struct policy_columns *out, struct err *err)
{
    AUTO(buf) struct buf schema = {0}, properties = {0}, meta = {0}, format = {0};
    int rc = attribute(path, "user.tarn.format", &format, err);
    buf_init(&schema, SCHEMA_BYTES_MAX);
    buf_init(&properties, SCHEMA_BYTES_MAX);
    buf_init(&meta, META_BYTES_MAX);
    if (rc < 0 || !slice_is(buf_slice(&format), delta_ops.format))
        return rc; /* of no other format are columns known */
    rc = table_log_document(path, "schema.json", &schema, err);
    if (rc == 0)
        rc = table_log_document(path, "properties.json", &properties, err);
    if (rc == 0)
        rc = make_meta(buf_slice(&schema), buf_slice(&properties), &meta, err);
    if (rc == 0)
        rc = delta_ops.shape(buf_slice(&meta), &out->shape, err);
    return rc < 0 ? rc : delta_ops.partitions(buf_slice(&meta), &out->partitions, err);
}

/* The mount's root: the uppermost directory that is on the path's device. */
static int mount_root(const char *path, struct buf *out, struct err *err)
{
    AUTO_FREE char *real = realpath(path, NULL);
    struct stat here, above;
    if (!real || stat(real, &here) < 0)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    for (struct slice dir = text_dirname(slice_of(real)); dir.n; dir = text_dirname(dir)) {
        buf_reset(out);
        buf_add_slice(out, dir);
        if (buf_check(out, err) < 0)
            return -EOVERFLOW;
        if (stat(out->data, &above) < 0 || above.st_dev != here.st_dev)
            break;
        real[dir.n] = '\0';
    }
    buf_reset(out);
    buf_add_str(out, real);
    return buf_check(out, err);
}

/* The path of what is there from the mount's root. */
static int path_in_mount(const char *path, struct buf *out, struct err *err)
{
    AUTO(buf) struct buf root = {0};
    AUTO_FREE char *real = realpath(path, NULL);
    buf_init(&root, 2 * KEY_BYTES_MAX);
    buf_init(out, KEY_BYTES_MAX);
    int rc =
        real ? mount_root(real, &root, err) : err_set(err, errno, "%s: %s", path, strerror(errno));
    if (rc < 0)
        return rc;
    struct slice below = slice_from(slice_of(real), root.len);
    buf_add_slice(out, slice_starts(below, SLICE_LIT("/")) ? slice_from(below, 1) : below);
    return buf_check(out, err);
}

int policy_find(const char *path, enum policy_place *place, struct buf *name, struct err *err)
{
    struct stat st;
    *place = PLACE_OUTSIDE;
    if (!is_in_mount(path))
        return 0;
    if (stat(path, &st) < 0)
        return errno == ENOENT
                   ? err_set(err, ENOENT, "%s: the mount has no such table or version", path)
                   : reason_set(err, errno, path);
    if (has_attribute(path, "user.tarn.table")) {
        *place = PLACE_TABLE;
        int rc = attribute(path, "user.tarn.table", name, err);
        return rc < 0 ? rc : check_whole(path, err);
    }
    if (!has_attribute(path, "user.tarn.object"))
        return err_set(err, ENOENT, "%s is in the mount, but is no table", path);
    *place = PLACE_OBJECT;
    return path_in_mount(path, name, err);
}

int policy_columns_today(const char *path, struct slice table, struct policy_columns *out,
                         struct err *err)
{
    AUTO(buf) struct buf live = {0};
    buf_init(&live, 2 * KEY_BYTES_MAX);
    int rc = mount_root(path, &live, err);
    buf_add_str(&live, "/");
    buf_add_slice(&live, table);
    if (rc == 0)
        rc = buf_check(&live, err);
    return rc < 0 ? rc : policy_columns_at(live.data, out, err);
}
