/* SPDX-License-Identifier: Apache-2.0 */
/* Files of our own on the local disk. Blocking: workers and tools only. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/buf.h"

/* The whole file appended to out (whose maximum bounds it). -ENOENT and others as open(2). */
int file_read(int dirfd, const char *path, struct buf *out, struct err *err);

/*
 * Removes what has the name of a file of ours and is no regular file: a link, a FIFO, an empty
 * directory. 1: it did; 0: there was nothing of the kind; -errno where it stays.
 */
int file_remove_other(int dirfd, const char *name, struct err *err);

/*
 * Opens a regular file of our own, in a directory that only we write to; with O_CREAT in the flags
 * makes it with mode 0600. Follows no link, waits for nobody behind a FIFO: both are removed, as by
 * file_remove_other. -ENOENT and others as open(2).
 */
int file_open_own(int dirfd, const char *name, int flags, int *fd, struct err *err);

/* Exactly n bytes at the offset, or -EIO where the file ends before. */
int file_pread_full(int fd, void *to, size_t n, off_t offset, struct err *err);
int file_pwrite_full(int fd, const void *from, size_t n, off_t offset, struct err *err);
/* All of the pieces one behind the other; IOV_MAX at most, none of them empty. */
int file_pwritev_full(int fd, const struct iovec *from, unsigned count, off_t offset,
                      struct err *err);

/* Written aside, synced, renamed, the directory synced: the whole new file or the old one. */
int file_replace(int dirfd, const char *name, struct slice data, mode_t mode, struct err *err);

/* mkdir -p. */
int file_mkdirs(const char *path, mode_t mode, struct err *err);

/* A file without a name in the directory (O_TMPFILE, or made and unlinked): *fd is the caller's. */
int file_temporary(int dirfd, int *fd, struct err *err);

/*
 * A descriptor of the same directory through a mount of our own, which nobody else sees: reads of
 * what is opened below it note no access times, and it does not lead into what is mounted below
 * the directory. -1 where the kernel (5.12) or privilege (CAP_SYS_ADMIN) do not let us.
 */
int file_quiet_dir(int dirfd);

/* fsync of a directory, so that a rename in it lasts. */
int file_sync_dir(int dirfd, struct err *err);

#endif
