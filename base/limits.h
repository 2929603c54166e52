/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that grows has a maximum, and it stands here with its reason.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

/* S3 and every other store stop at 1,024 bytes a key; the local store may be deeper. */
#define KEY_BYTES_MAX 4096
/* Linux: NAME_MAX. */
#define NAME_BYTES_MAX 255
/* A URL of a store with its prefix. */
#define URL_BYTES_MAX 2048
/* An ETag with its quotes; S3's have 34 to 40 bytes. */
#define ETAG_BYTES_MAX 128
/* A store's id of an object's version; S3's have 32 bytes, others' up to 36. */
#define VERSION_ID_BYTES_MAX 128
/* A storage class as its store names it; S3's longest, INTELLIGENT_TIERING, has 19. */
#define STORE_CLASS_BYTES_MAX 32

/* More than any store holds (S3: 50 TiB). */
#define OBJECT_BYTES_MAX ((uint64_t)64 << 40)
/* A transfer buffer. */
#define BLOCK_BYTES MIB
/* The most that one request fetches of neighbouring blocks, each into its own buffer
 * (docs/FETCH.md). */
#ifndef TRAIN_BYTES
#define TRAIN_BYTES (4 * MIB)
#endif
/* The unit of presence and of checksums in the cache: a reader at random waits for no more. */
#define GRANULE_BYTES (64 * KIB)
/* A miss that is no part of a sequence fetches so much at least. */
#ifndef FETCH_RANDOM_BYTES
#define FETCH_RANDOM_BYTES (256 * KIB)
#endif
/* Objects from this size on are few and take much of the cache: eviction looks at them apart. */
#define LARGE_BYTES (4 * MIB)
/* What one record of the cache's index tells of, and what leaves at once of a huge object. */
#define SEGMENT_BYTES (64 * MIB)
/* Blocks on the way at once: the pool of transfer buffers (design.md section 3). */
#define TRANSFER_BLOCKS_MAX 96
/* Connections to one host: what the pool can fill. */
#define CONNECTIONS_MAX 96

/*
 * What is remembered of uses (cache/uses.h), 16 bytes each: one for so many bytes of the cache's
 * budget, which is several times what it holds where files have 100 KB, and in all 16 MiB of the
 * memory that is not the page cache's.
 */
#define USES_BUDGET_BYTES_EACH (16 * KIB)
#define USES_SLOTS_MAX ((size_t)1 << 20)

/* One JSON line of a commit: actions with large statistics or schemas. */
#define JSON_LINE_BYTES_MAX (64 * MIB)
/* Nesting in JSON from outside: schemas nest, by three levels a column. */
#define JSON_DEPTH_MAX 512
/* A table's schema and configuration as text. */
#define SCHEMA_BYTES_MAX (32 * MIB)
/* An Iceberg table's metadata file, decompressed: 200,000 snapshots, of about a kilobyte each. */
#define ICEBERG_METADATA_BYTES_MAX (256 * MIB)
/* Members of one of its lists: snapshots, and what changed when. */
#define ICEBERG_LIST_MAX ((size_t)1 << 20)
/* A manifest list as it is stored: 100,000 manifests of 300 bytes and more. Its lines, and what is
 * kept of them. */
#define ICEBERG_MANIFEST_LIST_BYTES_MAX (128 * MIB)
#define ICEBERG_MANIFESTS_MAX ((size_t)1 << 20)
#define ICEBERG_MANIFEST_LIST_MEMORY_MAX (256 * MIB)
/* What is kept of one manifest while it is read: its distinct partitions and sets of columns. */
#define ICEBERG_MANIFEST_MEMORY_MAX (256 * MIB)
#define ICEBERG_TUPLES_MAX ((size_t)1 << 21)
/* Delete files of one snapshot: a deletion vector for each of millions of data files. */
#define ICEBERG_DELETES_MAX ((size_t)1 << 22)
#define ICEBERG_DELETES_MEMORY_MAX (512 * MIB)
/* What an index keeps of one file's deletes: 10,000 delete files. */
#define ICEBERG_EXTRA_BYTES_MAX (512 * KIB)
/* One action that a log or checkpoint names (path, partition values, tags). */
#define ACTION_BYTES_MAX (1 * MIB)

/* Objects that are tagged and wait for a store's lifecycle, 300 bytes each (lake/tier/journal.h).
 */
#define TIER_JOURNAL_MAX ((size_t)1 << 20)

/* A policy's file: 10,000 grants of 400 bytes; and what is kept of it. */
#define POLICY_BYTES_MAX (4 * MIB)
#define POLICY_MEMORY_MAX (64 * MIB)

/* A lake file: 1,000 rules of 250 bytes, and escaped it fits a request to the daemon; and what is
 * kept of it. */
#define LAKEFILE_BYTES_MAX (256 * KIB)
#define LAKEFILE_MEMORY_MAX (16 * MIB)
/* Stores of one lake, each with its connections; and prefixes outside of each. */
#define LAKE_LAYERS_MAX 64
#define LAKE_OUTSIDE_MAX 16

/* What a catalog answers: a page of names, and one table: its metadata with 100,000 snapshots has
 * 100 MiB. What is kept of a table besides its text. */
#define CATALOG_PAGE_BYTES_MAX (16 * MIB)
#define CATALOG_ANSWER_BYTES_MAX (256 * MIB)
#define CATALOG_TABLE_MEMORY_MAX (4 * MIB)
/* Names of one namespace, and pages that bring them: of ten names where a server is stingy. */
#define CATALOG_NAMES_MAX ((size_t)1 << 20)
#define CATALOG_PAGES_MAX ((size_t)1 << 17)

/* One page of a Parquet file, as stored and decompressed. Writers aim at 1 MiB. */
#define PAGE_BYTES_MAX (256 * MIB)
/* A Parquet footer as stored, and what is kept of it. Tens of thousands of columns take 30 MiB. */
#define FOOTER_BYTES_MAX (64 * MIB)
#define FOOTER_MEMORY_MAX (128 * MIB)
/* Groups and leaves of one Parquet schema: training tables have 100,000 columns. */
#define PARQUET_NODES_MAX ((size_t)1 << 19)
/* Nesting of a Parquet schema: levels fit a byte. */
#define PARQUET_DEPTH_MAX 255
/* The columns of one version of a table in memory: about 128 bytes each, with their names. */
#define SHAPE_MEMORY_MAX (128 * MIB)
/* Names that they once had, of all columns. */
#define FORMER_BYTES_MAX (64 * MIB)
/* What must be done to one file: its footer, what was read of it, the new schema and footer. */
#define PRESENT_MEMORY_MAX (512 * MIB)
/* Rows of a row group of which some are taken out: a bit each, and the counts of pages have 31. */
#define PARQUET_GROUP_ROWS_MAX ((uint64_t)1 << 31)
/* Values of one dictionary page; writers stop at 1 MiB, half a million values at most. */
#define PARQUET_DICTIONARY_MAX ((size_t)4 << 20)
/* Cells and bytes of one leaf in one row, where a row is longer than a page. */
#define PARQUET_ROW_CELLS_MAX ((size_t)1 << 20)
#define PARQUET_ROW_BYTES_MAX (64 * MIB)

/* One block of an Avro file, as stored and decompressed. Java's writers end one after 64 KB, others
 * write a whole manifest as one. */
#define AVRO_BLOCK_BYTES_MAX (256 * MIB)
/* What an Avro file has before its first block: its schema, and the table's. */
#define AVRO_HEADER_BYTES_MAX (64 * MIB)
/* A schema in memory, with a program of it; its types where each name stands for all that it means;
 * and their nesting. Iceberg's manifests need 70 types in 6 levels. */
#define AVRO_MEMORY_MAX (128 * MIB)
#define AVRO_NODES_MAX ((size_t)1 << 18)
#define AVRO_DEPTH_MAX 64

/* A Puffin footer as stored and decompressed: deletion vectors of 100,000 files take 40 MiB. */
#define PUFFIN_FOOTER_BYTES_MAX (64 * MIB)
#define PUFFIN_MEMORY_MAX (128 * MIB)

/* A serialized bitmap of deleted rows: half of half a billion rows at random. */
#define ROARING_BYTES_MAX (64 * MIB)
/* Its containers, of 2^16 rows and 40 bytes each: more rows than any file has. */
#define ROARING_CONTAINERS_MAX ((size_t)1 << 20)

/* A row filter's text: a list of 50,000 values. What is kept of it, and of its values by type. */
#define FILTER_BYTES_MAX MIB
#define FILTER_MEMORY_MAX (32 * MIB)
#define FILTER_VALUES_MAX ((size_t)1 << 17)
/* Its parentheses in one another, parts, comparisons and columns: each column that is read takes a
 * window and a page, each comparison a byte for each word of a dictionary. */
#define FILTER_DEPTH_MAX 64
#define FILTER_NODES_MAX ((size_t)4096)
#define FILTER_TERMS_MAX ((size_t)1024)
#define FILTER_COLUMNS_MAX ((size_t)64)

/* What one file of position deletes says, by data file: 30 million rows of a few files. Above, each
 * data file's are read for themselves. */
#define ICEBERG_POSITIONS_BYTES_MAX (64 * MIB)
/* Delete files that are kept as read, of one table: most data files that are opened together have
 * the same ones. */
#define ICEBERG_DELETES_KEPT_BYTES (64 * MIB)
/* Tuples of the equality deletes that count for one data file: ten million of an integer. Their
 * columns: each that is read takes a window and a page. Column sets: Flink's upserts have one. */
#define EQUALITY_BYTES_MAX (256 * MIB)
#define EQUALITY_COLUMNS_MAX ((size_t)64)
#define EQUALITY_PARTS_MAX ((size_t)64)

/* Commits that a log may hold: 17 years, one a minute. */
#define VERSIONS_MAX ((size_t)10 << 20)
/* Commits before a checkpoint that are read to learn since when its files are there, and their
 * bytes: seconds over a far network. */
#define EVIDENCE_COMMITS_MAX 256
#define EVIDENCE_BYTES_MAX (16 * MIB)
/* Files of one version. Ordinals have 28 bits in a node id (fs/node.h). */
#define FILES_MAX ((size_t)1 << 28)

/* Memory of one sort; beyond it, sorted parts go to a file, and as much again is in use. */
#define SORT_BYTES_MAX (24 * MIB)

/* Nodes of which the ETag of the kernel's pages is remembered: 1 MiB a mount (fs/pages.h). */
#define PAGE_NOTES_MAX ((size_t)1 << 17)

/* Users that are known at once, 100 bytes and their groups each: more than log in to a shell host.
 */
#define PRINCIPALS_MAX 4096
/* Linux: NGROUPS_MAX. */
#define PRINCIPAL_GROUPS_MAX 65536
/* One entry of passwd or group as NSS writes it: groups have a name for each member. */
#define NSS_ENTRY_BYTES_MAX (16 * MIB)
/* Threads that ask NSS at once: a directory server that hangs holds them all, and no more. */
#define PRINCIPAL_RESOLVERS_MAX 8
/* A user's groups count so long; a revocation has 5 s. */
#define PRINCIPAL_GOOD_MS 4000
/* Who waits for NSS is told after this that it did not answer. */
#define PRINCIPAL_DEADLINE_MS 10000

/* Lines of the audit log that are not written yet: some ten thousand. */
#define AUDIT_QUEUE_BYTES (8 * MIB)
/* One line: a path of KEY_BYTES_MAX with all its bytes escaped, twice, and 16 KiB of groups. */
#define AUDIT_LINE_BYTES_MAX (128 * KIB)
#define AUDIT_GROUPS_BYTES_MAX (16 * KIB)
/* Opens that a mount remembers to have told; what is forgotten is told again. */
#define AUDIT_TOLD_MAX ((size_t)1 << 16)

/* A request of the kernel's that was parked is answered with EIO after this. */
#define REQUEST_DEADLINE_MS 120000
/* One HTTP request, with its retries. */
#define STORE_DEADLINE_MS 60000

#endif
