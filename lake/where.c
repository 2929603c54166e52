/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/where_private.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "lake/document.h"
#include "lake/format/shape.h"
#include "lake/key_name.h"
#include "lake/raw.h"

#define PREFETCH_NAME "prefetch"
/* Between a ref and the fingerprint of its commit; no ref that is one has it. */
#define FINGERPRINT_MARK '\n'
/* A directory that was there so lately is taken to be there still. */
#define DIR_LASTS_MS 30000

struct store *where_store(const struct where *w)
{
    return w->home ? w->home : table_store(w->table);
}

void where_init(struct where *w)
{
    *w = (struct where){.kind = WHERE_DIR};
    buf_init(&w->path, KEY_BYTES_MAX);
    buf_init(&w->key, KEY_BYTES_MAX);
    buf_init(&w->etag, ETAG_BYTES_MAX);
    buf_init(&w->extra, ACTION_BYTES_MAX);
    buf_init(&w->shown_path, KEY_BYTES_MAX);
}

void where_done(struct where *w)
{
    buf_done(&w->path);
    buf_done(&w->key);
    buf_done(&w->etag);
    buf_done(&w->extra);
    buf_done(&w->shown_path);
    shape_unref(w->shape);
    w->shape = NULL;
    table_version_unref(w->version);
    listing_unref(w->listing);
    w->version = NULL;
    w->listing = NULL;
}

/* path = parent/name */
static int join(struct where *out, struct slice parent, struct slice name, struct err *err)
{
    buf_reset(&out->path);
    buf_add_slice(&out->path, parent);
    if (parent.n)
        buf_add_char(&out->path, '/');
    buf_add_slice(&out->path, name);
    return out->path.failed ? err_set(err, ENAMETOOLONG, "path too long") : 0;
}

int where_table_path(const struct where *w, struct buf *out, struct err *err)
{
    if (!w->version->snapshot)
        return 0;
    return lake_heal_version(table_lake(w->table), w->table, w->version,
                             snapshot_dir_path(w->version->snapshot, w->dir, out, err), err);
}

/* entering: what a directory's path turns out to be */

/* The table's live path at its root. */
static int enter_table(struct table *table, struct task *task, struct where *out, struct err *err)
{
    out->kind = WHERE_LIVE;
    out->table = table;
    out->moving = true;
    out->dir = SNAPSHOT_ROOT;
    return table_live(table, task, &out->version, err);
}

/* The root of table@ref; out->path is set. */
static int enter_ref(struct table *table, struct slice ref, struct task *task, struct where *out,
                     struct err *err)
{
    if (ref.n == 0) {
        out->kind = WHERE_VERSIONS;
        out->table = table;
        return 0;
    }
    bool moving;
    int rc = table_at(table, ref, task, &out->version, &moving, err);
    if (rc < 0)
        return rc;
    out->kind = moving ? WHERE_LIVE : WHERE_PINNED;
    out->table = table;
    out->moving = moving;
    out->dir = SNAPSHOT_ROOT;
    return 0;
}

static void format_fingerprint(const struct table_version *v, char out[17])
{
    (void)snprintf(out, 17, "%016llx", (unsigned long long)v->version.fingerprint); /* 16 digits */
}

/*
 * The root of table@ref, as a name is looked up. `inside`: spelled as a name in the table's
 * directory. The place of a snapshot names its commit too: a table that was dropped and made again
 * has other places.
 */
static int ref_place(struct table *table, bool inside, struct slice ref, struct task *task,
                     struct where *out, struct err *err)
{
    if (slice_find(ref, FINGERPRINT_MARK) >= 0)
        return where_no_entry(err, ref);
    int rc = enter_ref(table, ref, task, out, err);
    if (rc < 0)
        return rc;
    buf_reset(&out->path);
    buf_add_slice(&out->path, table_path(table));
    buf_add_str(&out->path, inside ? REF_MARK "@" : REF_MARK);
    buf_add_slice(&out->path, ref);
    if (out->kind == WHERE_PINNED) {
        char fingerprint[17];
        format_fingerprint(out->version, fingerprint);
        buf_addf(&out->path, "%c%s", FINGERPRINT_MARK, fingerprint);
    }
    return out->path.failed ? err_set(err, ENAMETOOLONG, "path too long") : 0;
}

/* What stands there: a table, or a plain directory with its listing. Of a moment the path without
 * it. */
static int open_real(struct lake *lake, struct slice path, struct task *task, struct table **table,
                     struct listing **listing, struct err *err)
{
    AUTO(buf) struct buf real = {0};
    buf_init(&real, KEY_BYTES_MAX);
    where_real_path(path, &real);
    int rc = buf_check(&real, err);
    return rc < 0 ? rc : dir_open(lake, buf_slice(&real), task, table, listing, err);
}

/* A directory that its parent's listing has: plain, or a table. out->path is set. */
static int enter_dir(struct lake *lake, struct task *task, struct where *out, struct err *err)
{
    struct table *table;
    struct slice moment, path = buf_slice(&out->path);
    bool then = where_moment(path, &moment);
    int rc = open_real(lake, path, task, &table, &out->listing, err);
    if (rc < 0)
        return rc;
    out->kind = WHERE_DIR;
    if (table)
        rc = then ? enter_ref(table, moment, task, out, err) : enter_table(table, task, out, err);
    if (rc != -EMEDIUMTYPE)
        return rc;
    lake_retire(lake, table);
    rc = open_real(lake, path, task, &table, &out->listing, err);
    return rc == 0 ? err_set(err, ESTALE, "the directory has just become a table") : rc;
}

/* one step down */

static int object_child(struct lake *lake, const struct listing_entry *e, struct where *out,
                        struct err *err)
{
    AUTO(buf) struct buf url = {0};
    struct slice rest;
    const struct layer *layer = layers_place(&lake->layers, buf_slice(&out->path), &rest);
    buf_init(&url, URL_BYTES_MAX + KEY_BYTES_MAX);
    key_name_add_key(&out->key, rest);
    store_object_url(layer->store, buf_slice(&out->key), &url);
    out->kind = WHERE_OBJECT;
    out->home = layer->store;
    out->size = e->size;
    out->mtime_ms = e->mtime_ms;
    out->identity = hash64(hash64(e->size, buf_slice(&url)), e->etag);
    buf_add_slice(&out->etag, e->etag);
    out->readable = e->readable;
    struct object_name name = {.store = layer->store,
                               .key = buf_slice(&out->key),
                               .size = e->size,
                               .etag = buf_slice(&out->etag)};
    out->whole = where_object_is_whole(lake, &name);
    return buf_check(&url, err);
}

/* `silver@2026-03-01`: a plain directory, every table in it as of then. Takes the listing. */
static int moment_child(struct lake *lake, struct slice dir, struct slice text,
                        struct listing **listing, struct where *out, struct err *err)
{
    struct ref ref;
    int64_t as_of_ms = lake->config.as_of_ms;
    if (!ref_parse(text, true, &ref) || ref.kind != REF_TIME ||
        ref.time_ms > (as_of_ms ? as_of_ms : clock_real_ms()))
        return where_no_entry(err, text);
    buf_reset(&out->path);
    buf_addf(&out->path, "%.*s" REF_MARK "%.*s", SLICE_FMT(dir), SLICE_FMT(text));
    out->kind = WHERE_DIR;
    out->listing = STEAL(*listing);
    return out->path.failed ? err_set(err, ENAMETOOLONG, "path too long") : 0;
}

/* `orders@12` in a plain directory: the part before the last `@` must be a table there, or a plain
 * directory. */
static int ref_child(struct lake *lake, const struct where *parent, struct slice name,
                     struct task *task, struct where *out, struct err *err)
{
    ptrdiff_t at = slice_rfind(name, '@');
    if (at <= 0 || where_moment(buf_slice(&parent->path), NULL))
        return where_no_entry(err, name);
    struct slice base = slice_make(name.p, (size_t)at);
    const struct listing_entry *e = listing_find(parent->listing, base);
    if (!e || !e->is_dir)
        return where_no_entry(err, name);
    struct table *table = NULL;
    AUTO(listing) struct listing *listing = NULL;
    AUTO(buf) struct buf path = {0};
    buf_init(&path, KEY_BYTES_MAX);
    buf_addf(&path, "%.*s%s%.*s", SLICE_FMT(buf_slice(&parent->path)), parent->path.len ? "/" : "",
             SLICE_FMT(base));
    int rc = path.failed ? err_set(err, ENAMETOOLONG, "path too long")
                         : dir_open(lake, buf_slice(&path), task, &table, &listing, err);
    if (rc < 0)
        return rc;
    struct slice ref = slice_from(name, (size_t)at + 1);
    return table ? ref_place(table, false, ref, task, out, err)
                 : moment_child(lake, buf_slice(&path), ref, &listing, out, err);
}

int where_known_child(struct lake *lake, struct slice dir_path, struct slice name,
                      struct task *task, struct where *out, struct err *err)
{
    AUTO(listing) struct listing *l = dir_known(lake, dir_path, DIR_LASTS_MS);
    const struct listing_entry *e = l ? listing_find(l, name) : NULL;
    if (!l || (e && !e->is_dir))
        return -ENOENT;
    int rc = join(out, dir_path, name, err);
    if (rc < 0)
        return rc;
    out->kind = WHERE_DIR;
    if (e)
        return 0;
    struct table *table = NULL;
    ptrdiff_t at = slice_rfind(name, '@');
    if (at > 0) {
        size_t behind = name.n - (size_t)at;
        struct slice path = slice_make(out->path.data, out->path.len - behind);
        WITH_LOCK (&lake->lock)
            table = map_find(&lake->tables, path);
    }
    if (!table)
        return -ENOENT;
    struct slice ref = slice_from(name, (size_t)at + 1);
    return ref_place(table, false, ref, task, out, err);
}

static int dir_child(struct lake *lake, const struct where *parent, struct slice name,
                     struct task *task, struct where *out, struct err *err)
{
    const struct listing_entry *e = listing_find(parent->listing, name);
    if (!e && parent->path.len == 0 && slice_is(name, KEY_NAME_META)) {
        out->kind = WHERE_META;
        out->moving = true;
        return 0;
    }
    if (!e)
        return ref_child(lake, parent, name, task, out, err);
    if (!e->is_dir && where_moment(buf_slice(&parent->path), NULL))
        return where_no_entry(err, name); /* what an object was then is not known */
    if (!e->is_dir)
        return object_child(lake, e, out, err);
    out->kind = WHERE_DIR; /* whether it is a table is asked when somebody looks into it */
    return 0;
}

static int file_of(const struct where *parent, const struct snapshot_node *node, struct where *out,
                   struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    struct entry entry;
    const struct table_version *v = parent->version;
    buf_init(&scratch, ACTION_BYTES_MAX);
    int rc = snapshot_file(v->snapshot, node, &scratch, &entry, err);
    rc = lake_heal_version(table_lake(parent->table), parent->table, v, rc, err);
    if (rc < 0)
        return rc;
    struct where_file file = where_file_of(parent->table, v, node, &entry);
    return where_set_file(out, &file, err);
}

/* A file that the live path has shown before and that somebody still asks for. */
static int kept_child(struct lake *lake, const struct where *parent, struct slice name,
                      struct task *task, struct where *out, struct err *err)
{
    AUTO(buf) struct buf path = {0}, scratch = {0};
    AUTO(run) struct run *run = NULL;
    struct table *table;
    struct entry entry;
    uint32_t number, ordinal;
    buf_init(&path, KEY_BYTES_MAX);
    buf_init(&scratch, ACTION_BYTES_MAX);
    int rc = where_table_path(parent, &path, err);
    if (rc < 0)
        return rc;
    if (path.len)
        buf_add_char(&path, '/');
    buf_add_slice(&path, name);
    if (!table_kept(parent->table, buf_slice(&path), &number, &ordinal))
        return where_no_entry(err, name);
    rc = lake_run_find(lake, number, task, &table, &run, err);
    if (rc == 0)
        rc = lake_heal_run(lake, table, run, run_file(run, ordinal, &scratch, &entry, NULL, err),
                           err);
    struct where_file file = {table, run, number, ordinal, &entry};
    return rc < 0 ? rc : where_set_file(out, &file, err);
}

/* What a table's root has besides its files: found by name, never listed. */
static int root_child(const struct where *parent, struct slice name, struct task *task,
                      struct where *out, struct err *err)
{
    bool own = where_is_raw(parent->version) || parent->version->kind == TABLE_CHANGES;
    if (slice_is(name, KEY_NAME_META) && !own) {
        out->kind = WHERE_META;
        out->table = parent->table;
        out->version = table_version_ref(parent->version);
        out->moving = parent->moving;
        return 0;
    }
    bool ref = parent->kind == WHERE_LIVE && name.n && name.p[0] == '@' &&
               slice_eq(buf_slice(&parent->path), table_path(parent->table));
    if (!ref)
        return where_no_entry(err, name);
    name = slice_from(name, 1);
    return ref_place(parent->table, true, name, task, out, err);
}

static int snapshot_child(struct lake *lake, const struct where *parent, struct slice name,
                          struct task *task, struct where *out, struct err *err)
{
    struct snapshot_node node;
    struct snapshot *snapshot = parent->version->snapshot;
    int rc = snapshot ? snapshot_find(snapshot, parent->dir, name, &node, err)
                      : where_no_entry(err, name);
    if (snapshot)
        rc = lake_heal_version(lake, parent->table, parent->version, rc, err);
    if (rc == -ENOENT && parent->dir == SNAPSHOT_ROOT)
        rc = root_child(parent, name, task, out, err);
    else if (rc == 0 && !node.is_dir)
        return file_of(parent, &node, out, err);
    else if (rc == 0) {
        out->kind = parent->kind;
        out->table = parent->table;
        out->version = table_version_ref(parent->version);
        out->moving = parent->moving;
        out->dir = node.ordinal;
        if (out->kind == WHERE_PINNED) { /* its place is the root's */
            buf_reset(&out->path);
            buf_add_slice(&out->path, buf_slice(&parent->path));
        }
    }
    if (rc == -ENOENT && snapshot && where_keeps_names(parent))
        rc = kept_child(lake, parent, name, task, out, err);
    return rc;
}

/* `.tarn/raw` and `.tarn/changes`: snapshots of their own. */
static int enter_own(const struct where *parent, struct slice name, struct task *task,
                     struct where *out, struct err *err)
{
    int rc = slice_is(name, RAW_NAME)
                 ? raw_version(parent->table, parent->version, task, &out->version, err)
                 : table_changes(parent->table, parent->version, task, &out->version, err);
    if (rc < 0)
        return rc;
    out->kind = parent->moving ? WHERE_LIVE : WHERE_PINNED;
    out->table = parent->table;
    out->moving = parent->moving;
    out->dir = SNAPSHOT_ROOT;
    return 0;
}

static int meta_child(const struct where *parent, struct slice name, struct task *task,
                      struct where *out, struct err *err)
{
    if (parent->table && (slice_is(name, RAW_NAME) || slice_is(name, TABLE_CHANGES_NAME)))
        return enter_own(parent, name, task, out, err);
    if (slice_is(name, PREFETCH_NAME)) {
        out->kind = WHERE_PREFETCH;
        out->table = parent->table;
        out->moving = true;
        return 0;
    }
    if (!parent->table || !document_exists(table_ops(parent->table), name))
        return where_no_entry(err, name);
    out->kind = WHERE_DOCUMENT;
    out->table = parent->table;
    out->version = table_version_ref(parent->version);
    out->moving = parent->moving;
    return 0;
}

int where_child(struct lake *lake, const struct where *parent, struct slice name, struct task *task,
                struct where *out, struct err *err)
{
    int rc = join(out, buf_slice(&parent->path), name, err);
    if (rc < 0)
        return rc;
    switch (parent->kind) {
    case WHERE_DIR:
        return dir_child(lake, parent, name, task, out, err);
    case WHERE_LIVE:
    case WHERE_PINNED:
        return snapshot_child(lake, parent, name, task, out, err);
    case WHERE_VERSIONS:
        return where_version_child(parent, name, task, out, err);
    case WHERE_META:
        return meta_child(parent, name, task, out, err);
    case WHERE_LINK:
    case WHERE_DOCUMENT:
    case WHERE_PREFETCH:
    case WHERE_FILE:
    case WHERE_OBJECT:
        break;
    }
    return err_set(err, ENOTDIR, "%.*s is no directory", SLICE_FMT(buf_slice(&parent->path)));
}

/* whole paths */

/* The longest start of the path that is a table that is known already; its length in *used. */
static struct table *known_table(struct lake *lake, struct slice path, size_t *used)
{
    struct table *found = NULL;
    WITH_LOCK (&lake->lock) {
        for (size_t end = 0; !found; end++) {
            struct slice start = slice_make(path.p, end);
            if (end == 0 || end == path.n || path.p[end] == '/')
                found = map_find(&lake->tables, start);
            *used = end;
            if (end == path.n)
                break;
        }
    }
    return found;
}

/* What a directory's path is found to be, once somebody looks into it. */
static int enter(struct lake *lake, struct table *known, struct task *task, struct where *w,
                 struct err *err)
{
    if (known) {
        int rc = enter_table(known, task, w, err);
        if (rc != -EMEDIUMTYPE)
            return rc;
        lake_retire(lake, known);
        w->kind = WHERE_DIR;
    }
    return w->kind == WHERE_DIR && !w->listing ? enter_dir(lake, task, w, err) : 0;
}

static void where_move(struct where *to, struct where *from)
{
    where_done(to);
    *to = *from;
    where_init(from);
}

/* `//REF` behind a table's path: REF without asking what the live path shows. Behind a plain
 * directory's: a moment. */
static int follow_ref(struct lake *lake, struct table *known, struct slice *rest, struct task *task,
                      struct where *w, struct err *err)
{
    AUTO(listing) struct listing *listing = NULL;
    int rc = known ? 0 : dir_open(lake, buf_slice(&w->path), task, &known, &listing, err);
    if (rc < 0)
        return rc;
    struct slice text = slice_from(*rest, 2);
    ptrdiff_t slash = slice_find(text, '/');
    struct slice ref = slice_make(text.p, slash < 0 ? text.n : (size_t)slash);
    *rest = slice_from(text, ref.n);
    if (!known) {
        AUTO(where) struct where dir = {0};
        where_init(&dir);
        rc = moment_child(lake, buf_slice(&w->path), ref, &listing, &dir, err);
        if (rc == 0)
            where_move(w, &dir);
        return rc == -ENOENT ? err_set(err, ESTALE, "%.*s is no table any more",
                                       SLICE_FMT(buf_slice(&w->path)))
                             : rc;
    }
    buf_add_str(&w->path, REF_MARK);
    buf_add_slice(&w->path, ref);
    ptrdiff_t mark = slice_find(ref, FINGERPRINT_MARK);
    struct slice fingerprint = mark < 0 ? SLICE_NONE : slice_from(ref, (size_t)mark + 1);
    ref.n = mark < 0 ? ref.n : (size_t)mark;
    if (ref.n && ref.p[0] == '@')
        ref = slice_from(ref, 1);
    rc = enter_ref(known, ref, task, w, err);
    if (rc < 0 || !fingerprint.n)
        return rc;
    char now[17];
    format_fingerprint(w->version, now);
    return slice_is(fingerprint, now)
               ? 0
               : err_set(err, ESTALE, "%.*s is another table now", SLICE_FMT(table_path(known)));
}

int where_find(struct lake *lake, struct slice path, struct task *task, struct where *out,
               struct err *err)
{
    AUTO(where) struct where here = {0};
    where_init(&here);
    size_t used;
    struct table *known = known_table(lake, path, &used);
    struct slice rest = slice_from(path, known ? used : 0);
    if (known)
        buf_add_slice(&here.path, table_path(known));
    for (;;) {
        int rc = slice_starts(rest, SLICE_LIT(REF_MARK))
                     ? follow_ref(lake, known, &rest, task, &here, err)
                     : enter(lake, known, task, &here, err);
        if (rc < 0)
            return rc;
        if (rest.n == 0)
            break;
        AUTO(where) struct where next = {0};
        where_init(&next);
        if (rest.p[0] == '/')
            rest = slice_from(rest, 1);
        ptrdiff_t slash = slice_find(rest, '/');
        struct slice name = slice_make(rest.p, slash < 0 ? rest.n : (size_t)slash);
        rest = slice_from(rest, name.n);
        rc = where_child(lake, &here, name, task, &next, err);
        if (rc < 0)
            return rc;
        where_move(&here, &next);
        known = NULL;
    }
    where_move(out, &here);
    return 0;
}

int where_pinned(struct lake *lake, struct slice root_path, uint32_t dir, struct task *task,
                 struct where *out, struct err *err)
{
    int rc = where_find(lake, root_path, task, out, err);
    if (rc < 0)
        return rc;
    if (!out->version)
        return err_set(err, ESTALE, "%.*s is no snapshot any more", SLICE_FMT(root_path));
    out->dir = dir;
    return 0;
}
