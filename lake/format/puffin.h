/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puffin files: blobs that belong to an Iceberg table, and the footer that tells of them. Pure.
 *
 * Puffin specification (format/puffin-spec.md), version 1: "File structure", "Footer structure",
 * "Footer Payload", "Blob types".
 *
 *   "PFA1" blob blob ...  "PFA1" payload size:le32 flags:le32 "PFA1"
 *                         └──────────────── footer ────────────────┘
 *
 * The payload is JSON, or one LZ4 frame of it. A `deletion-vector-v1` blob is framed as Delta's
 * bitmaps are: roaring_parse_framed of its bytes.
 */
#ifndef LAKE_FORMAT_PUFFIN_H
#define LAKE_FORMAT_PUFFIN_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/slice.h"

/* What stands at a file's end, and tells how long its footer is. */
#define PUFFIN_TAIL_BYTES 12

struct puffin;

struct puffin_property {
    struct slice key, value;
};

struct puffin_blob {
    struct slice type; /* "deletion-vector-v1" */
    const int32_t *fields;
    size_t fields_n;
    int64_t snapshot, sequence; /* -1: not known when it was written */
    uint64_t offset, length;    /* within the file, before the footer */
    struct slice codec;         /* empty: not compressed */
    const struct puffin_property *properties;
    size_t properties_n;
};

/*
 * Bytes of the whole footer, by the last PUFFIN_TAIL_BYTES of a file of `file_bytes`. -EIO no
 * Puffin file, -EOPNOTSUPP flags that are not known, -EOVERFLOW over PUFFIN_FOOTER_BYTES_MAX.
 */
int puffin_footer_bytes(struct slice tail, uint64_t file_bytes, uint64_t *out, struct err *err);

/*
 * Parses a footer of just so many bytes, of a file of `file_bytes`; copies what it keeps. For
 * puffin_free. -EIO damaged, -EOPNOTSUPP, -EOVERFLOW over a limit, -ENOMEM.
 */
int puffin_parse(struct slice footer, uint64_t file_bytes, struct puffin **out, struct err *err);
void puffin_free(struct puffin *p);
DEFINE_AUTO(puffin, struct puffin *, puffin_free)

/* In the order of the footer. */
size_t puffin_blobs(const struct puffin *p);
const struct puffin_blob *puffin_blob(const struct puffin *p, size_t i);
/* The blob that starts at that offset; NULL: none does. */
const struct puffin_blob *puffin_find(const struct puffin *p, uint64_t offset);

/* A property of a blob; p is NULL where it has none of that name. */
struct slice puffin_property(const struct puffin_blob *blob, const char *key);

#endif
