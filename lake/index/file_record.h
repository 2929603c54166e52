/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A live file on its way from reconciling to a run, as a record for the sorter: a fixed head, then
 * the order key, the raw name (where it is not the path) and the extra bytes. Internal.
 *
 * The order key makes memcmp give the order of runs: each component of the directory with a zero
 * behind it, one more zero, the name. (`a/b/n` is "a\0b\0\0n"; components have no zeros.) So a
 * directory's own files come first, then its subdirectories, each whole.
 */
#ifndef LAKE_INDEX_FILE_RECORD_H
#define LAKE_INDEX_FILE_RECORD_H

#include "base/buf.h"
#include "lake/index/entry.h"

/* Beside ENTRY_*. */
#define FILE_RAW_IS_PATH (1U << 8)
#define FILE_ALIAS (1U << 9)     /* only one more key of the file of that order key before it */
#define FILE_COLLIDED (1U << 10) /* RUN_KEY_COLLIDED */
#define FILE_PATH_KEY (1U << 11) /* RUN_KEY_PATH; an alias */
#define FILE_BAD (1U << 12)      /* its path, which stands as raw, is impossible; never written */

struct file_head {
    uint64_t hash; /* of the key, as struct run_key */
    uint64_t size;
    int64_t mtime_ms, version;
    uint32_t check;
    uint32_t flags;
    uint32_t order_bytes, raw_bytes, extra_bytes;
    uint32_t file; /* its number in the build */
};
_Static_assert(sizeof(struct file_head) == 56, "file_head has no holes");

struct file_record {
    struct file_head head;
    struct slice order, raw, extra; /* raw: empty with FILE_RAW_IS_PATH */
};

struct file_record file_record_parse(struct slice record);
/* Replaces `out`; the lengths in the head follow from the slices. */
void file_record_format(struct buf *out, const struct file_record *f);

/* By order key, then files before aliases, kept before built, raw, and the rest. */
int file_record_compare(struct slice a, struct slice b);

/* The bytes of the order key, for sorter_by_bytes. */
bool file_record_bytes(struct slice record, size_t at, uint64_t *out);

/* Both replace `out`. */
void file_order_of_path(struct buf *out, struct slice path);
void file_path_of_order(struct buf *out, struct slice order);

#endif
