/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run on the disk. Little-endian, in pages of 4 KiB; every section starts on a page.
 *
 *   page 0   header, zeros; CRC32C of the page with the CRC's own field as 0
 *   blocks   the files in order
 *   index    le32 a block: its place within blocks in units of RUN_BLOCK_ALIGN, and a last one
 *   levels   le32 a depth: the first directory of that depth, and a last one: (directories)
 *   dirs     struct run_dir_record a directory, breadth first
 *   names    the directories' names in that order, without anything between them
 *   keys     struct run_key, sorted
 *   removed  le32 ordinals of the base's files that are gone, ascending         (patches)
 *   counts   struct run_pair (directory of the base, removed in it and below)   (patches)
 *   twins    struct run_pair (directory of the base, the same one in the patch) (patches)
 *   meta     the driver's
 *   sums     le32 CRC32C a page, for pages 0 (left 0) to the one before sums; its own CRC is in
 *            the header
 *
 * A page's sum is checked when it is first touched (what callers read without a way to fail: on
 * open). So opening a run costs the same whatever its size, but for
 * the sums, a thousandth of it.
 *
 * A block has RUN_BLOCK_FILES entries, the last one what is left, and is filled up with zeros to
 * RUN_BLOCK_ALIGN: block and place of an ordinal are known, and few entries are read to find it.
 *
 *   entry   := tag:u8 path [index] [raw] size mtime version [extra]      all numbers are varints
 *   path    := shared tail n bytes[n]     previous path's first `shared` bytes, bytes, its last
 * `tail` index   := (RUN_TAG_DIR) directory: levels[slashes in path] + index raw     :=
 * (RUN_TAG_RAW) shared tail n bytes[n]     likewise of the previous raw, but the last `tail` bytes
 * are those of this entry's path; without the tag raw is path mtime, version := zigzag of the
 * difference to the previous entry's extra   := (RUN_TAG_EXTRA) n bytes[n]
 *
 * A block's first entry follows upon empty texts and zeros and has RUN_TAG_DIR.
 */
#ifndef LAKE_INDEX_RUN_FORMAT_H
#define LAKE_INDEX_RUN_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define RUN_MAGIC "tarn run"
/* Another one, too, where other entries are taken to be as stored. */
#define RUN_FORMAT 4U
#define RUN_PAGE_BYTES ((size_t)4096)
/* Fewer are found quicker, and each block has one path in full. */
#define RUN_BLOCK_FILES 32U
/* le32 times this: what a run of FILES_MAX files of 250 bytes takes. */
#define RUN_BLOCK_ALIGN 16U

static inline uint32_t run_blocks(uint32_t files)
{
    return files / RUN_BLOCK_FILES + (files % RUN_BLOCK_FILES != 0);
}

/* Texts of an entry. What a key's raw name or extra bytes may be is bounded by one log action. */
#define RUN_PATH_BYTES_MAX KEY_BYTES_MAX
#define RUN_TEXT_BYTES_MAX ACTION_BYTES_MAX
/* A path has at most one `/` every second byte; the root and a last mark come on top. */
#define RUN_LEVELS_MAX (RUN_PATH_BYTES_MAX / 2 + 2)
#define RUN_META_BYTES_MAX (64 * MIB)

enum run_section_id {
    RUN_BLOCKS,
    RUN_INDEX,
    RUN_LEVELS,
    RUN_DIRS,
    RUN_NAMES,
    RUN_KEYS,
    RUN_REMOVED,
    RUN_COUNTS,
    RUN_TWINS,
    RUN_META,
    RUN_SUMS,
    RUN_SECTIONS,
};

struct run_section {
    uint64_t page;
    uint64_t bytes;
};

struct run_header {
    char magic[8];
    uint32_t crc; /* of page 0 */
    uint32_t format;
    uint64_t file_bytes;
    uint64_t identity; /* of the files and their order: equal entries, equal identity */
    uint64_t base_identity;
    uint64_t bytes; /* sum of the files' sizes */
    uint64_t removed_bytes;
    uint32_t files;
    uint32_t dirs;
    uint32_t sums_crc;
    uint32_t zero;
    struct run_section sections[RUN_SECTIONS];
};
_Static_assert(sizeof(struct run_header) == 72 + 16 * RUN_SECTIONS, "run_header has no holes");
_Static_assert(sizeof(struct run_header) <= RUN_PAGE_BYTES, "run_header fits in a page");

struct run_dir_record {
    uint64_t name; /* offset << 8 | length */
    uint32_t parent, first_dir, dirs, first_file, files, subtree_files;
};
_Static_assert(sizeof(struct run_dir_record) == 32, "run_dir_record has no holes");

/*
 * One key, sorted by (hash, check, ordinal). Two keys are taken for the same where both hashes, 96
 * bits, agree. By chance that is one in 2^56 for a table of 2^20 files; somebody who can choose
 * keys may bring it about, in a table that he may write, and gains there what a removal gives him.
 */
struct run_key {
    uint64_t hash;    /* hash64(0, key) */
    uint32_t check;   /* of hash64(RUN_CHECK_SEED, key) */
    uint32_t ordinal; /* and RUN_KEY_* */
};
_Static_assert(sizeof(struct run_key) == 16, "run_key has no holes");

/* The path of the key's file is, or was, that of another one: only a new base can remove it. */
#define RUN_KEY_COLLIDED (1U << 31)
/* Not a key but a path (hash64(RUN_PATH_SEED, ...)) that files were renamed for. */
#define RUN_KEY_PATH (1U << 30)
#define RUN_KEY_ORDINAL ((1U << 28) - 1)
#define RUN_CHECK_SEED 1U
#define RUN_PATH_SEED 2U
#define RUN_PATH_CHECK_SEED 3U

struct run_pair {
    uint32_t base_dir, value;
};
_Static_assert(sizeof(struct run_pair) == 8, "run_pair has no holes");

#define RUN_TAG_DIR 1U
#define RUN_TAG_RAW 2U
#define RUN_TAG_EXTRA 4U
#define RUN_TAG_BUILT 8U
#define RUN_TAG_RENAMED 16U
#define RUN_TAG_AS_STORED 32U
#define RUN_TAG_DELETES 64U
#define RUN_TAG_ALL 127U

#endif
