/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents: the files of `.tarn/`, written when somebody asks for them into a temporary file
 * without a name, and kept for the next one who asks. tarn(1) names their fields.
 *
 *   version          the version's number and a line feed; of a range both ends
 *   history.json     an array with one object a version, up to this one; of a range those in it
 *   schema.json      partition columns and schema of the version
 *   properties.json  protocol and properties of the version
 *   files.jsonl      one line a file of the version
 *   retention.json   of which versions, as the table is now, files may be removed by its clean-up
 *   refs.json        the format's own tags and branches as they are now
 *
 * Who sees a part of the table is given documents of that part: of schema.json the columns that are
 * shown, of files.jsonl the files, without their objects; history.json without parameters, counts,
 * who and with what; of properties.json what can name no column.
 */
#ifndef LAKE_DOCUMENT_H
#define LAKE_DOCUMENT_H

#include "lake/table.h"

struct document;
struct document_cache;

/* dirfd: where the temporary files go; borrowed while the cache lives. */
struct document_cache *document_cache_new(int dirfd, struct err *err);
void document_cache_free(struct document_cache *c);
DEFINE_AUTO(document_cache, struct document_cache *, document_cache_free)

/* Which documents there are depends on the format: not each has a schema. */
bool document_exists(const struct driver_ops *ops, struct slice name);
/* The i-th document's name, or NULL behind the last. */
const char *document_name(const struct driver_ops *ops, size_t i);

/* What of a version is shown. Borrowed for the call, but for the shape. */
struct document_shown {
    uint64_t hash;             /* of all of it: the same hash, the same document */
    const struct shape *shape; /* columns that are shown; partition columns always are */
    /* False: the file is not shown. On a worker; NULL: all are. */
    bool (*file)(void *arg, const struct entry *entry);
    void *arg;
};

/* A document by its name, for a version of a table. */
struct document_of {
    struct table *table;
    struct table_version *version;
    struct slice name;
    const struct document_shown *shown; /* NULL: all of it */
};

/* A new reference. Parks. -ENOENT where the table's format has none of that name. */
int document_open(struct document_cache *c, const struct document_of *of, struct task *task,
                  struct document **out, struct err *err);
void document_unref(struct document *d);
DEFINE_AUTO(document, struct document *, document_unref)

uint64_t document_size(const struct document *d);
int document_fd(const struct document *d); /* borrowed, for pread */

#endif
