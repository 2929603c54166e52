/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deletion vectors: which rows of a file are not there any more (PROTOCOL.md, "Deletion Vectors").
 *
 *   storage  path                        the bitmap is
 *   u        prefix, z85 of 16 bytes     in <table>/<prefix>/deletion_vector_<uuid>.bin, at an
 * offset p        a URI                       in that file, at an offset i        z85 the text
 * itself
 *
 *   file     version:u8 = 1, then bitmaps: size:be32 bytes[size] crc32:be32
 *
 * An index's entry keeps the descriptor in `extra`: the id by which Delta tells logical files
 * apart, a newline, and what else is needed to read it.
 */
#ifndef LAKE_DELTA_DELETION_VECTOR_H
#define LAKE_DELTA_DELETION_VECTOR_H

#include "base/buf.h"
#include "lake/delta/action.h"

struct delta_root;
struct roaring;
struct store;

/* Appends the unique id; nothing where there is no deletion vector. */
void delta_dv_format_id(const struct delta_dv *dv, struct buf *out);

/* Appends `extra`; nothing where there is none. -EIO for a descriptor that contradicts itself. */
int delta_dv_format(const struct delta_dv *dv, struct buf *out, struct err *err);

/* The descriptor that `extra` holds, borrowed. -EUCLEAN where it cannot be read. */
int delta_dv_parse(struct slice extra, struct delta_dv *out, struct err *err);

/*
 * Key of the file that it is in, into out (reset first), in the table's own store (*store NULL) or
 * one of those outside; an empty key where it is in no file. -EOPNOTSUPP a storage that is not
 * known; -EACCES as delta_path_locate.
 */
int delta_dv_locate(const struct delta_root *root, const struct delta_dv *dv, struct store **store,
                    struct buf *out, struct err *err);

/*
 * Reads and checks the bitmap: one request, or two where it stands far behind in its file. For
 * roaring_free. -EIO damaged (size, checksum, count), -EOPNOTSUPP a storage that is not known,
 * -EACCES where its file must not be read, -EOVERFLOW over ROARING_BYTES_MAX, -ENOMEM; the store's.
 * Blocks: workers only.
 */
int delta_dv_read(struct store *store, const struct delta_root *root, const struct delta_dv *dv,
                  struct roaring **out, struct err *err);

/* z85 (ZeroMQ RFC 32) appended, also with a last block of 1 to 3 bytes as delta-kernel-rs writes
 * it: after as many `#` as are missing. False for text that is none. */
bool delta_z85_decode(struct slice text, struct buf *out);

#endif
