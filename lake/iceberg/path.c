/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/path.h"

#include "base/limits.h"
#include "base/text.h"
#include "cache/store/store.h"
#include "lake/iceberg/metadata.h"
#include "lake/location.h"

/* A path as it is compared: its whole name in one spelling; one that is relative stays so. */
struct name {
    struct buf buf;
    size_t path; /* where its path begins, behind scheme and authority */
    bool rooted; /* it has these, or one of them */
    bool bad;    /* `..` leads above its root */
};

static struct slice trimmed(struct slice path)
{
    while (slice_starts(path, SLICE_LIT("./")))
        path = slice_from(path, 2);
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

/* Names in buckets are made of any bytes; those of file systems have components. */
static bool has_components(const struct location *l)
{
    return !l->scheme.n || slice_is(l->scheme, "file") || slice_is(l->scheme, "hdfs") ||
           slice_is(l->scheme, "viewfs");
}

static void name_init(struct name *n, struct slice path)
{
    struct location l = location_split(path);
    buf_init(&n->buf, 2 * KEY_BYTES_MAX);
    n->rooted = l.scheme.n > 0;
    n->bad = memchr(path.n ? path.p : "", 0, path.n) != NULL || !path.n;
    if (location_is_absolute(path))
        location_add_root(&n->buf, &l);
    n->path = n->buf.len;
    if (!has_components(&l)) {
        buf_add_slice(&n->buf, l.path);
        return;
    }
    if (location_is_absolute(path))
        buf_add_char(&n->buf, '/');
    /* The beginning of what is normalized is where `..` stops. */
    n->bad |= !location_add_normal(&n->buf, l.path);
}

static void name_done(struct name *n)
{
    buf_done(&n->buf);
}
DEFINE_AUTO_DONE(name, struct name, name_done)

static bool is_usable(const struct name *n)
{
    return !n->bad && !n->buf.failed;
}

/*
 * What follows `above` and a slash. Where just one of the two has a scheme, the other is a path of
 * the same file system.
 */
static bool name_below(const struct name *above, const struct name *n, struct slice *out)
{
    struct slice a = buf_slice(&above->buf), b = buf_slice(&n->buf);
    if (!is_usable(above) || !is_usable(n))
        return false;
    if (above->rooted != n->rooted) {
        a = slice_from(a, above->path);
        b = slice_from(b, n->path);
    }
    return location_below(a, b, out);
}

static bool is_below(struct slice above, struct slice path, struct slice *out, struct buf *scratch)
{
    AUTO(name) struct name a = {0};
    AUTO(name) struct name b = {0};
    struct slice rest;
    /* Nearly all paths begin as the location is spelled. */
    if (slice_starts(path, above) && path.n > above.n + 1 && path.p[above.n] == '/') {
        *out = slice_from(path, above.n + 1);
        return above.n > 0;
    }
    name_init(&a, above);
    name_init(&b, path);
    if (!name_below(&a, &b, &rest))
        return false;
    buf_reset(scratch);
    buf_add_slice(scratch, rest);
    *out = buf_slice(scratch);
    return !scratch->failed;
}

/* Nothing in it that a path of a file system does not have. */
static bool is_plain(struct slice path)
{
    struct slice component, rest = path;
    size_t bytes = 0;
    while (location_component(&rest, &component)) {
        if (slice_is(component, ".") || slice_is(component, ".."))
            return false;
        bytes += component.n + 1;
    }
    return bytes == path.n + 1;
}

bool iceberg_path_inside(const struct iceberg_root *root, struct slice path, struct buf *scratch,
                         struct slice *out)
{
    AUTO(buf) struct buf normal = {0};
    buf_reset(scratch);
    if (!is_below(root->location, path, out, scratch))
        return false;
    if (is_plain(*out))
        return true;
    buf_init(&normal, KEY_BYTES_MAX);
    bool fits = location_add_normal(&normal, *out) && normal.len && !normal.failed;
    buf_reset(scratch);
    buf_add_slice(scratch, buf_slice(&normal));
    *out = buf_slice(scratch);
    return fits && !scratch->failed;
}

/* where the table says that it lies */

static struct slice directory_of(struct slice path)
{
    return trimmed(text_dirname(path));
}

/* The directory in which the newest metadata was written, as far as that is told. */
static struct slice find_beside(const struct iceberg_metadata *m)
{
    const struct iceberg_snapshot *s = m->current_snapshot >= 0
                                           ? iceberg_metadata_snapshot(m, m->current_snapshot)
                                       : m->snapshots_n ? &m->snapshots[m->snapshots_n - 1]
                                                        : NULL;
    if (s && s->manifest_list.n)
        return directory_of(s->manifest_list);
    if (s && s->manifests_n)
        return directory_of(s->manifests[0]);
    return m->older_n ? directory_of(m->older[m->older_n - 1].path) : SLICE_NONE;
}

/* Is that place, below the table's root where `sub` is not empty, the one that the path names? */
static bool lies_at(const struct iceberg_root *root, const char *sub, struct slice path)
{
    AUTO(name) struct name here = {0};
    AUTO(name) struct name named = {0};
    AUTO(buf) struct buf full = {0};
    if (!root->home.n || !path.n)
        return false;
    buf_init(&full, 2 * KEY_BYTES_MAX);
    buf_add_slice(&full, root->home);
    if (full.len && full.data[full.len - 1] != '/')
        buf_add_char(&full, '/');
    buf_add_slice(&full, root->prefix);
    buf_add_str(&full, sub);
    name_init(&here, trimmed(buf_slice(&full)));
    name_init(&named, path);
    return !full.failed && is_usable(&here) && is_usable(&named) &&
           slice_eq(buf_slice(&here.buf), buf_slice(&named.buf));
}

void iceberg_root_set(struct iceberg_root *root, const struct iceberg_metadata *m)
{
    root->location = trimmed(m->location);
    root->beside = find_beside(m);
    root->moved = !lies_at(root, "", root->location) && !lies_at(root, "metadata", root->beside);
}

/* where objects lie */

static bool is_local(struct slice home)
{
    return slice_starts(home, SLICE_LIT("file:"));
}

/* The key of what lies below the table's root, or below a directory of it. */
static bool add_key(const struct iceberg_root *root, const char *sub, struct slice rest,
                    struct buf *out)
{
    AUTO(buf) struct buf normal = {0};
    buf_init(&normal, KEY_BYTES_MAX);
    buf_reset(out);
    buf_add_slice(out, root->prefix);
    buf_add_str(out, sub);
    if (!is_local(root->home)) {
        buf_add_slice(out, rest);
        return true;
    }
    bool inside = location_add_normal(&normal, rest);
    buf_add_slice(out, buf_slice(&normal));
    return inside && normal.len && !normal.failed;
}

static bool locate_moved(const struct iceberg_root *root, struct slice path, struct buf *out)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice rest;
    buf_init(&scratch, KEY_BYTES_MAX);
    if (!root->moved)
        return false;
    if (is_below(root->location, path, &rest, &scratch))
        return add_key(root, "", rest, out);
    return root->beside.n && is_below(root->beside, path, &rest, &scratch) &&
           add_key(root, "metadata/", rest, out);
}

static int not_mounted(struct slice path, struct err *err)
{
    return err_set(err, EACCES,
                   "'%.*s' lies outside of what is mounted (-o outside=PREFIX allows it)",
                   (int)(path.n < 300 ? path.n : 300), path.p);
}

static int bad_path(struct slice path, struct err *err)
{
    return err_set(err, EIO, "a path that names no file: '%.*s'",
                   (int)(path.n < 200 ? path.n : 200), path.p);
}

int iceberg_path_locate(const struct iceberg_root *root, struct slice path, struct store **store,
                        struct buf *out, struct err *err)
{
    AUTO(name) struct name name = {0};
    struct slice key;
    buf_reset(out);
    *store = NULL;
    if (!path.n || memchr(path.p, 0, path.n))
        return bad_path(path, err);
    if (locate_moved(root, path, out))
        return buf_check(out, err);
    name_init(&name, path);
    if (name.bad || !location_is_absolute(path))
        return name.bad ? bad_path(path, err) : not_mounted(path, err);
    buf_reset(out);
    if (location_below(root->home, buf_slice(&name.buf), &key)) {
        buf_add_slice(out, key);
        return buf_check(out, err);
    }
    for (size_t i = 0; i < root->outside_n; i++) {
        struct store *other = root->outside[i];
        if (other->home && location_below(slice_of(other->home), buf_slice(&name.buf), &key)) {
            *store = other;
            buf_add_slice(out, key);
            return buf_check(out, err);
        }
    }
    return name.buf.failed ? buf_check(&name.buf, err) : not_mounted(path, err);
}

int iceberg_path_name(struct slice path, struct buf *out, struct err *err)
{
    AUTO(name) struct name name = {0};
    name_init(&name, path);
    if (!is_usable(&name) || !location_is_absolute(path))
        return bad_path(path, err);
    buf_reset(out);
    buf_add_slice(out, buf_slice(&name.buf));
    return buf_check(out, err);
}
