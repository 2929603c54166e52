/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/path.h"

#include "base/limits.h"
#include "base/text.h"
#include "cache/store/store.h"
#include "lake/delta/deletion_vector.h"
#include "lake/location.h"
#include "lake/partition_path.h"

/* Decoded once. False where there is a zero in it, or it is too long. */
static bool decode(struct buf *out, struct slice raw)
{
    text_percent_decode(out, raw);
    return !out->failed && memchr(out->data ? out->data : "", 0, out->len) == NULL;
}

/*
 * An absolute path or URI in one spelling, decoded: `scheme://authority/path`. False where it is
 * none, or `..` leads above its root.
 */
static bool add_absolute(struct buf *out, struct slice raw)
{
    AUTO(buf) struct buf decoded = {0};
    buf_init(&decoded, ACTION_BYTES_MAX);
    struct location l = location_split(raw);
    location_add_root(out, &l);
    buf_add_char(out, '/');
    return decode(&decoded, l.path) && location_add_normal(out, buf_slice(&decoded));
}

/*
 * Nearly all paths are relative and spelled as they are shown: nothing to decode, no component to
 * leave out. False says no more than that the long way has to look.
 */
static bool is_plain(struct slice raw)
{
    if (raw.n == 0 || memchr(raw.p, '%', raw.n) || memchr(raw.p, 0, raw.n) ||
        location_split(raw).scheme.n)
        return false;
    for (struct slice rest = raw;;) {
        ptrdiff_t slash = slice_find(rest, '/');
        struct slice name = {rest.p, slash < 0 ? rest.n : (size_t)slash};
        if (name.n == 0 || slice_is(name, ".") || slice_is(name, ".."))
            return false;
        if (slash < 0)
            return true;
        rest = slice_from(rest, name.n + 1);
    }
}

static int bad_path(struct err *err, struct slice raw)
{
    return err_set(err, EIO, "a path that names no file: '%.*s'", (int)(raw.n < 200 ? raw.n : 200),
                   raw.p);
}

int delta_path_key(const struct delta_file *file, struct buf *out, struct err *err)
{
    AUTO(buf) struct buf decoded = {0};
    buf_init(&decoded, ACTION_BYTES_MAX);
    buf_reset(out);
    if (is_plain(file->path)) {
        buf_add_slice(out, file->path);
    } else if (location_is_absolute(file->path)) {
        if (!add_absolute(out, file->path))
            return bad_path(err, file->path);
    } else {
        if (!decode(&decoded, file->path))
            return bad_path(err, file->path);
        /* A path that leaves the table has no shorter spelling without knowing where that lies. */
        if (!location_add_normal(out, buf_slice(&decoded))) {
            buf_reset(out);
            buf_add_slice(out, buf_slice(&decoded));
        }
    }
    if (out->len == 0)
        return bad_path(err, file->path);
    buf_add_char(out, '\0');
    delta_dv_format_id(&file->dv, out);
    return buf_check(out, err);
}

/* Path of an object relative to the table's root, into out; false where it lies elsewhere. */
static bool inside(const struct delta_root *root, struct slice raw, struct buf *out)
{
    AUTO(buf) struct buf full = {0};
    AUTO(buf) struct buf table = {0};
    buf_init(&full, ACTION_BYTES_MAX);
    buf_init(&table, ACTION_BYTES_MAX);
    if (is_plain(raw)) {
        buf_add_slice(out, raw);
        return !out->failed;
    }
    if (!location_is_absolute(raw))
        return decode(&full, raw) && location_add_normal(out, buf_slice(&full)) && out->len;
    if (root->home.n == 0 || !add_absolute(&full, raw))
        return false;
    buf_add_slice(&table, root->home);
    if (table.len && table.data[table.len - 1] != '/')
        buf_add_char(&table, '/');
    buf_add_slice(&table, root->prefix);
    if (table.failed || !slice_starts(buf_slice(&full), buf_slice(&table)) || full.len == table.len)
        return false;
    buf_add_slice(out, slice_from(buf_slice(&full), table.len));
    return !out->failed;
}

/* The value of a partition column, without a pointer for null: Delta does not tell the empty string
 * from it. */
static struct slice value_of(const struct delta_file *file, const struct delta_column *column)
{
    struct slice value = SLICE_NONE;
    struct slice name = column->physical.n ? column->physical : column->name;
    bool has = delta_map_find(&file->partition_values, name, &value) && value.n;
    return has ? value : SLICE_NONE;
}

/* May the file keep its path? (1) is done: the path is inside the table. */
static bool keeps(const struct delta_columns *columns, const struct delta_file *file,
                  struct slice path)
{
    size_t column = 0;
    struct slice component;
    while (location_component(&path, &component)) {
        if (component.p[0] == '_' || component.p[0] == '.')
            return false;
        if (path.n && column < columns->n &&
            partition_path_says(component, columns->at[column].name,
                                value_of(file, &columns->at[column]), columns->at[column].loose))
            column++;
    }
    return column == columns->n;
}

/* The last component that names something. */
static bool base_name(struct slice raw, struct buf *decoded, struct slice *out)
{
    struct slice rest, component;
    bool found = false;
    if (!decode(decoded, location_split(raw).path))
        return false;
    rest = buf_slice(decoded);
    while (location_component(&rest, &component)) {
        *out = component;
        found = !slice_is(component, ".") && !slice_is(component, "..");
    }
    return found;
}

int delta_path_present(const struct delta_root *root, const struct delta_columns *columns,
                       const struct delta_file *file, struct buf *out, bool *built, struct err *err)
{
    AUTO(buf) struct buf decoded = {0};
    struct slice name;
    buf_init(&decoded, ACTION_BYTES_MAX);
    buf_reset(out);
    if (inside(root, file->path, out) && keeps(columns, file, buf_slice(out))) {
        *built = false;
        return buf_check(out, err);
    }
    buf_reset(out);
    if (!base_name(file->path, &decoded, &name))
        return bad_path(err, file->path);
    for (size_t i = 0; i < columns->n; i++)
        partition_path_add(out, columns->at[i].name, value_of(file, &columns->at[i]));
    if (name.p[0] == '_' || name.p[0] == '.')
        buf_add_char(out, 'x');
    buf_add_slice(out, name);
    *built = true;
    return buf_check(out, err);
}

/* The key below a home of an absolute path in its one spelling, into out; false where it is not. */
static bool below(struct slice home, struct slice full, struct buf *out)
{
    struct slice key;
    if (!location_below(home, full, &key))
        return false;
    buf_reset(out);
    buf_add_slice(out, key);
    return true;
}

/* A relative path that leaves the store's root by `..`, as an absolute one, decoded. */
static bool add_above(struct buf *out, const struct delta_root *root, struct slice decoded)
{
    AUTO(buf) struct buf path = {0};
    buf_init(&path, ACTION_BYTES_MAX);
    struct location home = location_split(root->home);
    if (!home.scheme.n)
        return false;
    buf_add_slice(out, home.scheme);
    buf_add_str(out, "://");
    buf_add_slice(out, home.authority);
    buf_add_char(out, '/');
    buf_add_slice(&path, home.path);
    buf_add_char(&path, '/');
    buf_add_slice(&path, root->prefix);
    buf_add_slice(&path, decoded);
    return !path.failed && location_add_normal(out, buf_slice(&path));
}

int delta_path_locate(const struct delta_root *root, struct slice raw, struct store **store,
                      struct buf *out, struct err *err)
{
    AUTO(buf) struct buf decoded = {0};
    AUTO(buf) struct buf full = {0};
    bool known;
    buf_init(&decoded, ACTION_BYTES_MAX);
    buf_init(&full, ACTION_BYTES_MAX);
    buf_reset(out);
    *store = NULL;
    if (location_is_absolute(raw)) {
        known = add_absolute(&full, raw);
    } else {
        buf_add_slice(&full, root->prefix);
        if (!decode(&decoded, raw))
            return bad_path(err, raw);
        buf_add_slice(&full, buf_slice(&decoded));
        int rc = buf_check(&full, err);
        if (rc < 0)
            return rc;
        if (location_add_normal(out, buf_slice(&full)) && out->len)
            return buf_check(out, err);
        buf_reset(&full);
        known = add_above(&full, root, buf_slice(&decoded));
    }
    if (known && below(root->home, buf_slice(&full), out))
        return buf_check(out, err);
    for (size_t i = 0; known && i < root->outside_n; i++) {
        struct store *other = root->outside[i];
        if (other->home && below(slice_of(other->home), buf_slice(&full), out)) {
            *store = other;
            return buf_check(out, err);
        }
    }
    return err_set(err, EACCES,
                   "'%.*s' lies outside of what is mounted (-o outside=PREFIX allows it)",
                   (int)(raw.n < 300 ? raw.n : 300), raw.p);
}

int delta_path_name(const struct delta_root *root, struct slice raw, struct buf *out,
                    struct err *err)
{
    AUTO(buf) struct buf decoded = {0};
    buf_init(&decoded, ACTION_BYTES_MAX);
    buf_reset(out);
    bool known = location_is_absolute(raw)
                     ? add_absolute(out, raw)
                     : decode(&decoded, raw) && add_above(out, root, buf_slice(&decoded));
    return known ? buf_check(out, err) : bad_path(err, raw);
}
