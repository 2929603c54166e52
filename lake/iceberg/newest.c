/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/newest.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "lake/format/unpack.h"
#include "lake/iceberg/find.h"
#include "lake/location.h"

/* A listing is out of date where a file that it tells of is gone: it is asked again so often. */
#define TRIES 3
/* A file that is younger may still be on its way, where writers do not put it there at once: they
 * should, and on a local disk not all do. */
#define SETTLING_MS 5000

/* What the file says, unpacked; what is wrong with its contents is no fault of the store's. */
static int parse(struct slice bytes, struct slice name, struct iceberg_metadata **out,
                 struct err *err)
{
    AUTO(buf) struct buf text = {0};
    struct err e = ERR_INIT;
    int rc = 0;
    buf_init(&text, ICEBERG_METADATA_BYTES_MAX);
    if (unpack_is_packed(bytes)) {
        rc = unpack(bytes, &text, &e);
        if (rc < 0)
            (void)err_wrap(&e, "%.*s", SLICE_FMT(name));
        bytes = buf_slice(&text);
    }
    if (rc == 0)
        rc = iceberg_metadata_parse(bytes, name, out, &e);
    if (rc == 0)
        return 0;
    if (e.code == EIO || e.code == EOVERFLOW)
        e.code = EBADMSG;
    return err_copy(err, &e);
}

int iceberg_newest_read(struct store *store, const char *key, struct iceberg_metadata **out,
                        struct err *err)
{
    AUTO(buf) struct buf bytes = {0};
    buf_init(&bytes, ICEBERG_METADATA_BYTES_MAX);
    int rc = store_read(store, key, &bytes, NULL, err);
    return rc < 0 ? rc : parse(buf_slice(&bytes), text_basename(slice_of(key)), out, err);
}

/* the directory */

static uint64_t mark_of(const struct iceberg_files *files)
{
    uint64_t mark = 1;
    for (size_t i = 0; i < files->at.n; i++) {
        const struct iceberg_file *f = &files->at.at[i];
        uint64_t told[] = {mark, f->size, (uint64_t)f->mtime_ms};
        mark = hash64(1, slice_make(told, sizeof told));
        mark = hash64(mark, slice_of(f->name));
        mark = hash64(mark, slice_of(f->etag));
    }
    return mark ? mark : 1;
}

static int read_file(const struct iceberg_asked *asked, const struct iceberg_file *file,
                     struct iceberg_metadata **out, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    buf_init(&key, KEY_BYTES_MAX);
    buf_addf(&key, "%s" ICEBERG_METADATA_DIR "%s", asked->prefix, file->name);
    int rc = buf_check(&key, err);
    return rc < 0 ? rc : iceberg_newest_read(asked->store, key.data, out, err);
}

static bool same_number(const struct iceberg_file *a, const struct iceberg_file *b)
{
    return a->kind == b->kind && a->kind != ICEBERG_NAME_PLAIN && a->number == b->number;
}

/*
 * One that is damaged was left behind by a commit that failed where another one has its number: a
 * file is whole before anything names it. Else the table is damaged: no older one stands in.
 */
static int read_newest(const struct iceberg_asked *asked, const struct iceberg_files *files,
                       struct iceberg_metadata **out, struct err *err)
{
    AUTO(iceberg_metadata) struct iceberg_metadata *newest = NULL;
    const struct iceberg_file *damaged[ICEBERG_CANDIDATES_MAX], *good = NULL;
    size_t damaged_n = 0;
    struct err why = ERR_INIT;
    for (size_t i = 0; i < files->at.n; i++) {
        AUTO(iceberg_metadata) struct iceberg_metadata *m = NULL;
        const struct iceberg_file *file = &files->at.at[i];
        struct err e = ERR_INIT;
        int rc = read_file(asked, file, &m, &e);
        if (rc < 0 && rc != -EBADMSG)
            return err_copy(err, &e);
        if (rc < 0) {
            damaged[damaged_n++] = file;
            why = e;
        } else if (!newest || m->last_updated_ms >= newest->last_updated_ms) {
            iceberg_metadata_unref(newest);
            newest = STEAL(m);
            good = file;
        }
    }
    bool settling = false, alone = !newest;
    for (size_t i = 0; i < damaged_n; i++) {
        settling |= clock_real_ms() - damaged[i]->mtime_ms < SETTLING_MS;
        alone |= newest && !same_number(good, damaged[i]);
    }
    if (alone || settling) {
        if (settling)
            why.code = EIO; /* what may pass */
        return err_copy(err, &why);
    }
    *out = STEAL(newest);
    return 0;
}

static int find_in_directory(const struct iceberg_asked *asked, struct iceberg_heard *heard,
                             struct iceberg_metadata **out, struct err *err)
{
    AUTO(iceberg_files) struct iceberg_files files;
    iceberg_files_init(&files);
    int rc = iceberg_files_find(&files, asked->store, asked->prefix, err);
    if (rc < 0)
        return rc;
    uint64_t mark = mark_of(&files);
    if (mark == heard->mark) {
        *out = NULL;
        return 0;
    }
    rc = read_newest(asked, &files, out, err);
    if (rc == 0)
        heard->mark = mark;
    return rc;
}

/* the catalog */

static int read_named(const struct iceberg_asked *asked, struct slice url,
                      struct iceberg_metadata **out, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    struct store *store = NULL;
    int rc;
    buf_init(&key, KEY_BYTES_MAX);
    if (location_is_absolute(url)) {
        rc = iceberg_path_locate(asked->root, url, &store, &key, err);
    } else {
        buf_addf(&key, "%s%.*s", asked->prefix, SLICE_FMT(url));
        rc = buf_check(&key, err);
    }
    return rc < 0 ? rc : iceberg_newest_read(store ? store : asked->store, key.data, out, err);
}

static void table_metadata_done(struct table_metadata *t)
{
    buf_done(&t->url);
    buf_done(&t->text);
    buf_done(&t->etag);
}
DEFINE_AUTO_DONE(table_metadata, struct table_metadata, table_metadata_done)

static int ask_catalog(const struct iceberg_asked *asked, struct iceberg_heard *heard,
                       struct iceberg_metadata **out, struct err *err)
{
    AUTO(table_metadata) struct table_metadata told = {0};
    buf_init(&told.url, URL_BYTES_MAX + KEY_BYTES_MAX);
    buf_init(&told.text, ICEBERG_METADATA_BYTES_MAX);
    buf_init(&told.etag, ETAG_BYTES_MAX - 1);
    if (heard->mark)
        buf_add_str(&told.etag, heard->etag);
    int rc = asked->source->metadata(asked->source->arg, &told, err);
    if (rc < 0)
        return rc;
    /* A file is never written again: its name, where there is one, tells which metadata it is. */
    struct slice url = buf_slice(&told.url), text = buf_slice(&told.text);
    uint64_t mark = url.n ? hash64(2, url) : hash64(3, text);
    *out = NULL;
    if (!told.same && (!mark || mark != heard->mark))
        rc = text.n ? parse(text, url.n ? text_basename(url) : SLICE_LIT("the catalog's metadata"),
                            out, err)
                    : read_named(asked, url, out, err);
    if (rc < 0)
        return rc;
    if (!told.same) {
        heard->mark = mark ? mark : 1;
        memset(heard->etag, 0, sizeof heard->etag);
        if (told.etag.len && !told.etag.failed)
            memcpy(heard->etag, told.etag.data, told.etag.len);
    }
    return 0;
}

int iceberg_newest(const struct iceberg_asked *asked, struct iceberg_heard *heard,
                   struct iceberg_metadata **out, struct err *err)
{
    struct err e = ERR_INIT;
    int rc = -ENOENT;
    if (asked->source)
        return ask_catalog(asked, heard, out, err);
    for (unsigned i = 0; rc == -ENOENT && i < TRIES; i++)
        rc = find_in_directory(asked, heard, out, &e);
    return rc < 0 ? err_copy(err, &e) : 0;
}
