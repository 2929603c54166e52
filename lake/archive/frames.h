/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form of objects in an archive store: a seekable zstd file, as zstd's contrib/seekable_format
 * describes it, so that `zstd -d` gives the bytes back without tarn.
 *
 *   frame of bytes 0 to 1 MiB | frame of the next 1 MiB | ...     each with its content checksum
 *   skippable frame: 0x184D2A5E u32 | length u32                  the seek table
 *     | (compressed u32, plain u32) of each frame
 *     | frames u32 | descriptor u8: 0 | 0x8F92EAB1 u32
 *
 * So any range is read without the rest, and each frame is checked when it is read (RFC 8878,
 * "Content_Checksum"); whoever reads all of it compares the SHA-256 besides. Bytes that do not
 * compress are in frames too, stored as they are.
 *
 * The reader takes what the writer makes and nothing else of that format, and allocates no more
 * than the sizes, which the caller knows, allow. Pure; a writer is one thread's.
 */
#ifndef LAKE_ARCHIVE_FRAMES_H
#define LAKE_ARCHIVE_FRAMES_H

#include "base/buf.h"
#include "base/limits.h"

#define FRAME_PLAIN_BYTES MIB
/* Larger objects are not archived: the table of one takes 8 MiB of memory. */
#define FRAMES_PLAIN_BYTES_MAX ((uint64_t)1 << 40)

/* How many frames hold an object of that size, and what the table of so many takes. */
uint64_t frames_count(uint64_t size);
uint64_t frames_table_bytes(uint64_t count);
/* Plain bytes of frame i of an object of that size. */
size_t frames_length(uint64_t size, uint64_t i);

struct frames_writer;

/* dense: the bytes are worth compressing. Sizes over the maximum are -EFBIG. NULL and err. */
struct frames_writer *frames_writer_new(uint64_t size, bool dense, struct err *err);
/* The next FRAME_PLAIN_BYTES, or what is left: *frame is borrowed until the next call. */
int frames_writer_add(struct frames_writer *w, struct slice plain, struct slice *frame,
                      struct err *err);
/* The table, after the last frame; borrowed likewise. -EINVAL where not all was added. */
int frames_writer_end(struct frames_writer *w, struct slice *table, struct err *err);
void frames_writer_free(struct frames_writer *w);
DEFINE_AUTO(frames_writer, struct frames_writer *, frames_writer_free)

/* Where the frames of an object stand in its stored form. Immutable. */
struct frames {
    uint64_t size, count;
    uint64_t at[]; /* count + 1 of them: the last one is where the table begins */
};

/*
 * From the table, the last frames_table_bytes of a stored form of `stored` bytes, of an object of
 * `size`. For free(); NULL and err: -EBADMSG where it is none of this object's.
 */
struct frames *frames_parse(struct slice table, uint64_t size, uint64_t stored, struct err *err);

/* One frame into `to`, of exactly `length` plain bytes. -EBADMSG where it is damaged, or carries no
 * checksum; what stands at `to` then is unspecified. */
int frames_decode(struct slice frame, void *to, size_t length, struct err *err);

#endif
