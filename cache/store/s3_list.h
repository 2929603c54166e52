/* SPDX-License-Identifier: Apache-2.0 */
/* The XML that S3 answers with: pages of ListObjectsV2 and ListObjectVersions, and errors. Pure. */
#ifndef CACHE_STORE_S3_LIST_H
#define CACHE_STORE_S3_LIST_H

#include "base/arena.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/vec.h"

/* We ask for 1,000; some servers give more. */
#define S3_PAGE_ENTRIES_MAX 10000
/* As many entries with keys of 1,024 bytes, each thrice as long percent-encoded, and their frame.
 */
#define S3_PAGE_BYTES_MAX (8 * MIB)
/* What is kept of one; Azure's have 5,000 names of 1,024 characters. */
#define S3_PAGE_MEMORY_MAX (32 * MIB)

struct s3_line {
    struct slice key; /* decoded; whole, with the store's prefix */
    bool is_prefix;
    bool is_directory; /* Azure's: it stands for a directory and is nobody's object */
    uint64_t size;
    int64_t mtime_ms; /* 0: not told */
    struct slice etag;
    struct slice generation; /* Google's; empty: not told */
    struct slice class;      /* of storage, empty: not told */
    /* of versions */
    struct slice version; /* its id */
    bool is_deletion;     /* a delete marker */
    bool is_latest;
};

/* One page; everything lives in its arena. */
struct s3_page {
    struct arena arena;
    VEC(struct s3_line) lines;
    bool truncated;
    /* Of the next page; NULL where not told. A truncated page has a token, one of versions a
     * next_key. */
    char *token;
    char *next_key, *next_version;
};

void s3_page_init(struct s3_page *page);
void s3_page_done(struct s3_page *page);
DEFINE_AUTO_DONE(s3_page, struct s3_page, s3_page_done)

/* Fills a page that was just initialised. -EIO for what is no such page. */
int s3_page_parse(struct slice xml, bool versions, struct s3_page *page, struct err *err);

/* Whether a bucket keeps versions, from its VersioningConfiguration: also where it does so no more.
 */
int s3_versioning_parse(struct slice xml, bool *keeps, struct err *err);

/* What an answer that is not a success says. Empty texts where not told, cut where too long. */
struct s3_problem {
    char code[64];
    char message[256];
    char storage_class[STORE_CLASS_BYTES_MAX]; /* InvalidObjectState tells it */
    char region[48]; /* where the bucket is, or the signature should be for */
    bool has_size;   /* InvalidRange tells the object's size */
    uint64_t size;
};

/* Never fails: what is not such a document says nothing. */
void s3_problem_parse(struct slice xml, struct s3_problem *out);

#endif
