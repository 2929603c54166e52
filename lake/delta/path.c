/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/path.h"

#include <strings.h>

#include "base/limits.h"
#include "base/text.h"
#include "cache/store/store.h"
#include "lake/delta/deletion_vector.h"
#include "lake/partition_path.h"

/* The next component and what follows it; false at the end. Empty ones are passed over. */
static bool next_component(struct slice *rest, struct slice *component)
{
    while (rest->n && rest->p[0] == '/')
        *rest = slice_from(*rest, 1);
    if (rest->n == 0)
        return false;
    ptrdiff_t slash = slice_find(*rest, '/');
    component->p = rest->p;
    component->n = slash < 0 ? rest->n : (size_t)slash;
    *rest = slice_from(*rest, component->n);
    return true;
}

/*
 * Appends the path without empty, `.` and `..` components. False where `..` would leave the place
 * at which `out` began.
 */
static bool add_normal(struct buf *out, struct slice path)
{
    size_t begin = out->len;
    struct slice component;
    while (next_component(&path, &component)) {
        if (slice_is(component, "."))
            continue;
        if (slice_is(component, "..")) {
            if (out->len == begin)
                return false;
            ptrdiff_t slash = slice_rfind(slice_make(out->data + begin, out->len - begin), '/');
            out->len = begin + (slash < 0 ? 0 : (size_t)slash);
            out->data[out->len] = '\0';
            continue;
        }
        if (out->len > begin)
            buf_add_char(out, '/');
        buf_add_slice(out, component);
    }
    return true;
}

/* Length of a scheme with its colon where a `/` follows it; 0: no URI but a path. */
static size_t scheme_length(struct slice raw)
{
    size_t i = 0;
    while (i < raw.n &&
           ((raw.p[i] >= 'a' && raw.p[i] <= 'z') || (raw.p[i] >= 'A' && raw.p[i] <= 'Z') ||
            (i && raw.p[i] >= '0' && raw.p[i] <= '9') ||
            (i && (raw.p[i] == '+' || raw.p[i] == '.' || raw.p[i] == '-'))))
        i++;
    return i && i + 1 < raw.n && raw.p[i] == ':' && raw.p[i + 1] == '/' ? i + 1 : 0;
}

/* A URI reference in its parts; a path has no scheme and no authority. */
struct parts {
    struct slice scheme, authority, path;
};

static struct parts split(struct slice raw)
{
    size_t n = scheme_length(raw);
    struct parts p = {n ? slice_make(raw.p, n - 1) : SLICE_NONE, SLICE_NONE, slice_from(raw, n)};
    if (n && slice_starts(p.path, SLICE_LIT("//"))) {
        p.path = slice_from(p.path, 2);
        ptrdiff_t slash = slice_find(p.path, '/');
        p.authority = slice_make(p.path.p, slash < 0 ? p.path.n : (size_t)slash);
        p.path = slice_from(p.path, p.authority.n);
    }
    return p;
}

static bool is_absolute(struct slice raw)
{
    return (raw.n && raw.p[0] == '/') || scheme_length(raw);
}

static void add_scheme(struct buf *out, struct slice scheme)
{
    static const struct {
        const char *name, *means;
    } others[] = {
        {"s3a", "s3"}, {"s3n", "s3"}, {"abfs", "abfss"}, {"wasb", "abfss"}, {"wasbs", "abfss"}};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        if (scheme.n == strlen(others[i].name) &&
            strncasecmp(scheme.p, others[i].name, scheme.n) == 0) {
            buf_add_str(out, others[i].means);
            return;
        }
    }
    for (size_t i = 0; i < scheme.n; i++)
        buf_add_char(out,
                     (char)(scheme.p[i] | (scheme.p[i] >= 'A' && scheme.p[i] <= 'Z' ? 32 : 0)));
}

/* A container of Azure's has one name for each of two services. */
static void add_authority(struct buf *out, const struct parts *parts)
{
    static const char blob[] = ".blob.";
    struct slice a = parts->authority;
    bool wasb = parts->scheme.n >= 4 && strncasecmp(parts->scheme.p, "wasb", 4) == 0;
    const char *at = wasb && a.n ? memmem(a.p, a.n, blob, sizeof blob - 1) : NULL;
    if (!at) {
        buf_add_slice(out, a);
        return;
    }
    size_t before = (size_t)(at - a.p);
    buf_add(out, a.p, before);
    buf_add_str(out, ".dfs.");
    buf_add_slice(out, slice_from(a, before + sizeof blob - 1));
}

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
    struct parts parts = split(raw);
    if (parts.scheme.n)
        add_scheme(out, parts.scheme);
    else
        buf_add_str(out, "file");
    buf_add_str(out, "://");
    add_authority(out, &parts);
    buf_add_char(out, '/');
    return decode(&decoded, parts.path) && add_normal(out, buf_slice(&decoded));
}

/*
 * Nearly all paths are relative and spelled as they are shown: nothing to decode, no component to
 * leave out. False says no more than that the long way has to look.
 */
static bool is_plain(struct slice raw)
{
    if (raw.n == 0 || memchr(raw.p, '%', raw.n) || memchr(raw.p, 0, raw.n) || scheme_length(raw))
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
    } else if (is_absolute(file->path)) {
        if (!add_absolute(out, file->path))
            return bad_path(err, file->path);
    } else {
        if (!decode(&decoded, file->path))
            return bad_path(err, file->path);
        /* A path that leaves the table has no shorter spelling without knowing where that lies. */
        if (!add_normal(out, buf_slice(&decoded))) {
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
    if (!is_absolute(raw))
        return decode(&full, raw) && add_normal(out, buf_slice(&full)) && out->len;
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
    while (next_component(&path, &component)) {
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
    if (!decode(decoded, split(raw).path))
        return false;
    rest = buf_slice(decoded);
    while (next_component(&rest, &component)) {
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

/* A home without its final slashes. */
static struct slice trimmed(struct slice home)
{
    while (home.n && home.p[home.n - 1] == '/')
        home.n--;
    return home;
}

/* The key below a home of an absolute path in its one spelling, into out; false where it is not. */
static bool below(struct slice home, struct slice full, struct buf *out)
{
    home = trimmed(home);
    if (!home.n || !slice_starts(full, home) || full.n < home.n + 2 || full.p[home.n] != '/')
        return false;
    buf_reset(out);
    buf_add_slice(out, slice_from(full, home.n + 1));
    return true;
}

/* A relative path that leaves the store's root by `..`, as an absolute one, decoded. */
static bool add_above(struct buf *out, const struct delta_root *root, struct slice decoded)
{
    AUTO(buf) struct buf path = {0};
    buf_init(&path, ACTION_BYTES_MAX);
    struct parts home = split(trimmed(root->home));
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
    return !path.failed && add_normal(out, buf_slice(&path));
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
    if (is_absolute(raw)) {
        known = add_absolute(&full, raw);
    } else {
        buf_add_slice(&full, root->prefix);
        if (!decode(&decoded, raw))
            return bad_path(err, raw);
        buf_add_slice(&full, buf_slice(&decoded));
        int rc = buf_check(&full, err);
        if (rc < 0)
            return rc;
        if (add_normal(out, buf_slice(&full)) && out->len)
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
    bool known = is_absolute(raw)
                     ? add_absolute(out, raw)
                     : decode(&decoded, raw) && add_above(out, root, buf_slice(&decoded));
    return known ? buf_check(out, err) : bad_path(err, raw);
}
