/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an archive store says of its versions, as text (docs/ARCHIVE.md). Pure.
 *
 *   tables/<name>-<32 hex>/<20 digits>.json   a version: it exists when this does
 *     {"tarnArchive":1,"table":"s3://b/silver/orders","format":"delta","version":12,...,
 *      "list":{"sha256":"..","size":..,"stored":..}}
 *     {"sha256":"<of the line before>"}
 *
 *   tables/<name>-<32 hex>/outside            an empty mark (ARCHIVE_OUTSIDE)
 *   objects/ab/<sha256>.zst                   content, in the form of lake/archive/frames.h
 *
 * The list is such content too: a line of JSON an object, in byte order of the names, no name
 * twice:
 *     {"name":"d%3D1/a.parquet","kind":"data","size":..,"mtimeMs":..,"etag":"..","sha256":"..",
 *      "stored":..}
 * A name is the object's place: below the table's URL percent-encoded, elsewhere its whole URL,
 * encoded but for `scheme://`.
 */
#ifndef LAKE_ARCHIVE_MANIFEST_H
#define LAKE_ARCHIVE_MANIFEST_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/limits.h"

/* Beside the versions of a table: some of them name objects outside of the table's directory. */
#define ARCHIVE_OUTSIDE "outside"

#define MANIFEST_BYTES_MAX (64 * KIB)
/* A line of a list: a name of KEY_BYTES_MAX, each byte of which is encoded by three. */
#define LIST_LINE_BYTES_MAX (3 * (KEY_BYTES_MAX + URL_BYTES_MAX) + KIB)
#define ARCHIVE_FORMAT_BYTES 16

/* Content of the store: its SHA-256, its bytes, and those that it takes there. */
struct archive_content {
    uint8_t sha256[SHA256_BYTES];
    uint64_t size, stored;
};

struct manifest {
    char table[URL_BYTES_MAX + KEY_BYTES_MAX]; /* its URL as store_object_url tells it */
    char format[ARCHIVE_FORMAT_BYTES];         /* of the driver */
    int64_t version;                           /* of `files` the moment in ms */
    int64_t timestamp_ms, archived_ms;
    uint64_t files, bytes;   /* of the version */
    uint64_t objects, plain; /* that it needs, log and deletes included; their bytes */
    bool outside;            /* some object lies outside of the table's directory */
    struct archive_content list;
};

/* Both lines, appended. */
void manifest_format(const struct manifest *m, struct buf *out);
/* -EIO where it is damaged, -EOPNOTSUPP where a later tarn wrote it. `out` is untouched then. */
int manifest_parse(struct slice text, struct manifest *out, struct err *err);

/* Keys, into out (reset first). */
void archive_table_key(struct slice table_url, struct buf *out); /* `tables/orders-0123../` */
void archive_version_key(struct slice table_url, int64_t version, struct buf *out);
void archive_content_key(const uint8_t sha256[SHA256_BYTES], struct buf *out);
/* The other way: false where it is none. *table: the directory with its final `/`, borrowed. */
bool archive_version_parse(struct slice key, struct slice *table, int64_t *version);
bool archive_content_parse(struct slice key, uint8_t sha256[SHA256_BYTES]);

enum archive_kind { ARCHIVE_DATA, ARCHIVE_LOG, ARCHIVE_DELETES };

/* One object of a version. Slices are borrowed. */
struct archive_object {
    struct slice name; /* as above */
    enum archive_kind kind;
    int64_t mtime_ms;
    struct slice etag; /* at home when it was read; empty: not told */
    struct archive_content content;
};

void archive_object_format(const struct archive_object *o, struct buf *out);
/* One line without its end; slices point into it or into scratch. -EIO where it is damaged. */
int archive_object_parse(struct slice line, struct buf *scratch, struct archive_object *out,
                         struct err *err);

/* The name of an object, by its URL and that of the table; appended. */
void archive_name(struct slice table_url, struct slice object_url, struct buf *out);
/* The other way: the object's URL, appended. False where the name is none. */
bool archive_name_url(struct slice table_url, struct slice name, struct buf *out);

#endif
