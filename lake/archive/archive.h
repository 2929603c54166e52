/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive store that is open: which versions it has, what is in them, and their bytes. The
 * format is lake/archive/manifest.h's and lake/archive/frames.h's (docs/ARCHIVE.md).
 *
 *   archive_listing ─► versions of tables      one listing of `tables/`, kept for a while
 *   archive_version ─► a manifest              small, read once
 *   archive_list    ─► the objects of one      fetched whole into a file without a name
 *   archive_read, archive_file ─► content      frame by frame; or whole, into such a file
 *
 * What is read is checked: a frame by its checksum, what is read whole by its SHA-256 (-EIO where
 * it is damaged). Memory and open files are bounded. Any thread; everything blocks.
 */
#ifndef LAKE_ARCHIVE_ARCHIVE_H
#define LAKE_ARCHIVE_ARCHIVE_H

#include "cache/store/store.h"
#include "lake/archive/manifest.h"

struct archive;

/* Takes the store, also where it fails. scratch_dirfd: for files without names; borrowed while the
 * archive lives. NULL and err. */
struct archive *archive_new(struct store *store, int scratch_dirfd, struct err *err);
void archive_free(struct archive *a);
DEFINE_AUTO(archive, struct archive *, archive_free)

struct store *archive_store(const struct archive *a); /* borrowed */

/* A version by its table's directory in the store; of one directory in order. Version -1: some
 * version of it names objects outside of the table's own directory. */
struct archive_place {
    char *table; /* `tables/orders-0123../` */
    int64_t version;
};

/* The versions of a store. Immutable, shared by reference. */
struct archive_listing {
    _Atomic unsigned refs;
    int64_t heard_ms;
    struct archive_place *at;
    size_t n, capacity, max;
};
void archive_listing_unref(struct archive_listing *l);
DEFINE_AUTO(archive_listing, struct archive_listing *, archive_listing_unref)

/* As it was heard at most so long ago; a new reference. */
int archive_listing_get(struct archive *a, int64_t max_age_ms, struct archive_listing **out,
                        struct err *err);
/* As it was heard last, whenever, asking nobody: a new reference; false where it never was. */
bool archive_listing_known(struct archive *a, struct archive_listing **out);
/* The versions of a table's directory: [*first, *end). False where there are none. */
bool archive_listing_find(const struct archive_listing *l, struct slice table, size_t *first,
                          size_t *end);

/* A manifest as it was read. Immutable, shared by reference. */
struct archive_version {
    _Atomic unsigned refs;
    struct manifest manifest;
};
void archive_version_unref(struct archive_version *v);
DEFINE_AUTO(archive_version, struct archive_version *, archive_version_unref)

/* A new reference. -ENOENT where the version is not there. */
int archive_version_get(struct archive *a, const struct archive_place *place,
                        struct archive_version **out, struct err *err);

/* Forgets listing and manifests: what others have changed is heard. */
void archive_forget(struct archive *a);

/* The list of a version's objects. One thread's. */
struct archive_list {
    int fd;
    uint64_t size, at; /* at: of what archive_list_next comes to next */
    struct buf line, scratch;
};
int archive_list_open(struct archive *a, const struct archive_content *content,
                      struct archive_list *out, struct err *err);
void archive_list_done(struct archive_list *l);
DEFINE_AUTO_DONE(archive_list, struct archive_list, archive_list_done)
/* The next object, borrowed until the next call: 1, 0 at the end, or -errno. */
int archive_list_next(struct archive_list *l, struct archive_object *out, struct err *err);
/* archive_list_next comes to the first name that is not before this one. */
int archive_list_seek(struct archive_list *l, struct slice name, struct err *err);
/* The object of that name, likewise: 1, 0 there is none, or -errno. */
int archive_list_find(struct archive_list *l, struct slice name, struct archive_object *out,
                      struct err *err);

/* Exactly `length` bytes of content from `offset` on, which must be in it. */
int archive_read(struct archive *a, const struct archive_content *c, uint64_t offset, size_t length,
                 char *to, struct err *err);

/* All of it, checked, in a file without a name: *fd is the caller's. Files that were made lately
 * are used again. */
int archive_file(struct archive *a, const struct archive_content *c, int *fd, struct err *err);

/*
 * Reads all of it and compares: 0, -EBADMSG where it is damaged, -ENOENT where it is not there.
 * emit (may be NULL) is given the bytes in order. Nothing is kept.
 */
int archive_verify(struct archive *a, const struct archive_content *c,
                   int (*emit)(void *arg, struct slice bytes, struct err *err), void *arg,
                   struct err *err);

/* The storage class of what was read last, as its store names it; empty: not told. */
void archive_class(struct archive *a, char out[STORE_CLASS_BYTES_MAX]);

#endif
