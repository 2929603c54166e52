/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/find.h"

#include <ctype.h>
#include <stdio.h>

#include "base/text.h"

#define HINT "version-hint.text"
/* More than any hint says; what is longer is none. */
#define HINT_BYTES_MAX KIB
/* Writers may never clean up: of each kind so many of the newest are kept in memory. */
#define FILES_KEPT ((size_t)1024)
#define FILES_LISTED_MAX (4 * FILES_KEPT)

/* names */

static bool cut_ending(struct slice *name, const char *ending)
{
    if (!slice_ends(*name, slice_of(ending)))
        return false;
    name->n -= strlen(ending);
    return true;
}

/* `7a5fe997-d8a4-4446-98e1-f6c8128d5c53` */
static bool is_uuid(struct slice s)
{
    if (s.n != 36)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.p[i] != '-' : text_hex_digit(s.p[i]) < 0)
            return false;
    }
    return true;
}

enum iceberg_name_kind iceberg_name_parse(struct slice name, uint64_t *number, struct slice *stem)
{
    /* How it is compressed, its first bytes tell. */
    (void)(cut_ending(&name, ".gz") || cut_ending(&name, ".zst") || cut_ending(&name, ".zstd"));
    if (!cut_ending(&name, ICEBERG_METADATA_ENDING))
        return ICEBERG_NAME_OTHER;
    (void)(cut_ending(&name, ".gz") || cut_ending(&name, ".zst") || cut_ending(&name, ".zstd"));
    if (!name.n || name.p[0] == '.' || name.p[0] == '_')
        return ICEBERG_NAME_OTHER;
    *stem = name;
    *number = 0;
    if (is_uuid(name))
        return ICEBERG_NAME_PLAIN;
    if (name.p[0] == 'v' && text_parse_u64(slice_from(name, 1), INT64_MAX, number))
        return ICEBERG_NAME_FILES;
    ptrdiff_t dash = slice_find(name, '-');
    if (dash > 0 && text_parse_u64(slice_make(name.p, (size_t)dash), INT64_MAX, number))
        return ICEBERG_NAME_CATALOG;
    return ICEBERG_NAME_PLAIN;
}

/* lists */

void iceberg_files_init(struct iceberg_files *f)
{
    *f = (struct iceberg_files){.at = VEC_MAX(FILES_LISTED_MAX)};
}

void iceberg_files_done(struct iceberg_files *f)
{
    vec_done(&f->at);
}

/* By kind, number and name; a listing may tell an entry twice. */
static int compare_files(const void *a, const void *b)
{
    const struct iceberg_file *x = a, *y = b;
    int c = (x->kind > y->kind) - (x->kind < y->kind);
    if (c == 0)
        c = (x->number > y->number) - (x->number < y->number);
    return c ? c : strcmp(x->name, y->name);
}

static void sort_files(struct iceberg_files *f)
{
    size_t kept = 0;
    if (!f->at.n)
        return;
    qsort(f->at.at, f->at.n, sizeof *f->at.at, compare_files);
    for (size_t i = 0; i < f->at.n; i++)
        if (kept == 0 || compare_files(&f->at.at[kept - 1], &f->at.at[i]) != 0)
            f->at.at[kept++] = f->at.at[i];
    f->at.n = kept;
}

/* Leaves the newest ones of each kind. */
static void leave_out_old(struct iceberg_files *f)
{
    size_t kept = 0;
    sort_files(f);
    for (size_t i = 0; i < f->at.n; i++)
        if (i + FILES_KEPT >= f->at.n || f->at.at[i + FILES_KEPT].kind != f->at.at[i].kind)
            f->at.at[kept++] = f->at.at[i];
    f->at.n = kept;
}

int iceberg_files_add(struct iceberg_files *f, struct slice name, const struct store_entry *entry,
                      struct err *err)
{
    struct iceberg_file file = {.size = entry->size, .mtime_ms = entry->mtime_ms};
    struct slice stem;
    file.kind = iceberg_name_parse(name, &file.number, &stem);
    f->hinted |= slice_is(name, HINT);
    if (file.kind == ICEBERG_NAME_OTHER || name.n > NAME_BYTES_MAX || memchr(name.p, 0, name.n))
        return 0;
    memcpy(file.name, name.p, name.n);
    if (entry->etag.n < sizeof file.etag && entry->etag.n)
        memcpy(file.etag, entry->etag.p, entry->etag.n);
    if (f->at.n == f->at.max)
        leave_out_old(f);
    int rc = vec_push(&f->at, file);
    return rc < 0 ? err_set(err, -rc, "more than %zu metadata files", FILES_LISTED_MAX) : 0;
}

/* choice */

static struct slice trimmed(struct slice s)
{
    while (s.n && isspace((unsigned char)s.p[0]))
        s = slice_from(s, 1);
    while (s.n && isspace((unsigned char)s.p[s.n - 1]))
        s.n--;
    return s;
}

/* Does the hint mean that file? As its name, without endings, or by its number. */
static bool means(struct slice hint, const struct iceberg_file *file)
{
    uint64_t number;
    struct slice stem = SLICE_NONE;
    if (slice_is(hint, file->name))
        return true;
    (void)iceberg_name_parse(slice_of(file->name), &number, &stem);
    return slice_eq(hint, stem) ||
           (file->kind != ICEBERG_NAME_PLAIN && text_parse_u64(hint, INT64_MAX, &number) &&
            number == file->number);
}

/* The files of one kind, and of those that which is hinted at; -1: none is. */
struct group {
    struct iceberg_file *at;
    size_t n;
    ptrdiff_t hinted;
};

static struct group find_group(const struct iceberg_files *f, enum iceberg_name_kind kind,
                               struct slice hint)
{
    struct group g = {f->at.at, 0, -1};
    size_t begin = 0;
    while (begin < f->at.n && f->at.at[begin].kind < kind)
        begin++;
    g.at = f->at.at + begin;
    for (size_t i = begin; i < f->at.n && f->at.at[i].kind == kind; i++, g.n++)
        if (hint.n && means(hint, &f->at.at[i]))
            g.hinted = (ptrdiff_t)g.n;
    return g;
}

/* The number up to which those of a file system follow on the hinted one. */
static uint64_t newest_of_files(const struct group *g)
{
    if (g->hinted < 0)
        return g->at[g->n - 1].number;
    uint64_t newest = g->at[g->hinted].number;
    for (size_t i = (size_t)g->hinted + 1; i < g->n && g->at[i].number <= newest + 1; i++)
        newest = g->at[i].number;
    return newest;
}

/* Puts all of that number behind what was chosen already, the hinted one alone if it is one. */
static void take(struct iceberg_files *f, size_t *kept, const struct group *g, uint64_t number)
{
    bool one = g->hinted >= 0 && g->at[g->hinted].number == number;
    for (size_t i = 0; i < g->n; i++) {
        struct iceberg_file file = g->at[i];
        if (one ? (ptrdiff_t)i == g->hinted : file.number == number)
            f->at.at[(*kept)++] = file;
    }
}

void iceberg_files_choose(struct iceberg_files *f, struct slice hint)
{
    size_t kept = 0;
    hint = trimmed(hint);
    ptrdiff_t slash = slice_rfind(hint, '/');
    hint = slice_from(hint, (size_t)(slash + 1));
    sort_files(f);
    struct group files = find_group(f, ICEBERG_NAME_FILES, hint);
    struct group catalog = find_group(f, ICEBERG_NAME_CATALOG, hint);
    struct group plain = find_group(f, ICEBERG_NAME_PLAIN, hint);
    /* Groups lie one behind the other, and less is taken of each than it has. */
    if (files.n)
        take(f, &kept, &files, newest_of_files(&files));
    if (catalog.n)
        take(f, &kept, &catalog, catalog.at[catalog.n - 1].number);
    if (plain.n && (plain.hinted >= 0 || kept == 0))
        take(f, &kept, &plain, 0);
    f->at.n = kept;
}

/* the store */

struct listing {
    struct iceberg_files *files;
    size_t prefix_length;
    struct err *err;
};

static int add_listed(void *arg, const struct store_entry *entry)
{
    struct listing *l = arg;
    if (entry->is_prefix || entry->key.n <= l->prefix_length)
        return 0;
    return iceberg_files_add(l->files, slice_from(entry->key, l->prefix_length), entry, l->err);
}

/* Most of what is there are manifests. */
static bool is_wanted(struct slice key)
{
    uint64_t number;
    struct slice stem, name = text_basename(key);
    return slice_is(name, HINT) || iceberg_name_parse(name, &number, &stem) != ICEBERG_NAME_OTHER;
}

/* What the hint says; nothing where it cannot be read, as it does not have to be there. */
static int read_hint(struct store *store, const char *dir, struct buf *out, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    struct err e = ERR_INIT;
    buf_init(&key, KEY_BYTES_MAX);
    buf_addf(&key, "%s" HINT, dir);
    int rc = buf_check(&key, err);
    if (rc < 0)
        return rc;
    rc = store_read(store, key.data, out, NULL, &e);
    if (rc == 0)
        return 0;
    buf_reset(out);
    return rc == -ENOENT || rc == -EOVERFLOW ? 0 : err_copy(err, &e);
}

int iceberg_files_find(struct iceberg_files *f, struct store *store, const char *prefix,
                       struct err *err)
{
    AUTO(buf) struct buf dir = {0};
    AUTO(buf) struct buf hint = {0};
    buf_init(&dir, KEY_BYTES_MAX);
    buf_init(&hint, HINT_BYTES_MAX);
    buf_addf(&dir, "%s" ICEBERG_METADATA_DIR, prefix);
    int rc = buf_check(&dir, err);
    if (rc < 0)
        return rc;
    struct listing listing = {f, dir.len, err};
    struct store_list list = {
        .prefix = dir.data, .wanted = is_wanted, .emit = add_listed, .arg = &listing};
    rc = store->ops->list(store, &list, err);
    if (rc == 0 && f->hinted)
        rc = read_hint(store, dir.data, &hint, err);
    if (rc < 0)
        return rc;
    iceberg_files_choose(f, buf_slice(&hint));
    if (f->at.n == 0)
        return err_set(err, EBADMSG, "%s has no metadata file of an Iceberg table", dir.data);
    if (f->at.n > ICEBERG_CANDIDATES_MAX)
        return err_set(err, EBADMSG, "%s has %zu metadata files of which none is the newest (%s)",
                       dir.data, f->at.n, f->at.at[0].name);
    return 0;
}
