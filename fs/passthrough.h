/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FUSE passthrough: files that the kernel reads itself, from a file of ours behind the node.
 *
 * libfuse 3.14 does not know it, so the protocol's bits are set here, between libfuse and the
 * device (fuse_session_custom_io):
 *
 *   INIT request  -> what the kernel offers is noted
 *   INIT reply    <- max_stack_depth and the bits of what is offered are added
 *   OPEN reply    <- FOPEN_PASSTHROUGH and a backing id, which an ioctl on the device gives
 *
 * Whether it works is tried once, right after INIT, with a file in memory: the kernel must offer
 * it (Linux 6.9) and the process must have CAP_SYS_ADMIN. Files of some filesystems are refused one
 * by one.
 *
 * Not here: which opens may pass (fs/open_mode.h).
 */
#ifndef FS_PASSTHROUGH_H
#define FS_PASSTHROUGH_H

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/lock.h"

struct passthrough {
    bool wanted;            /* immutable */
    _Atomic uint64_t asked; /* the INIT request that has no answer yet */
    _Atomic uint32_t offers;
    struct lock settling; /* held from the answer to INIT until it is known whether it is on */
    _Atomic bool settled, on;
    struct err why; /* where it is not on; immutable after INIT */
};

/* `wanted` false: nothing passes, and the kernel is not asked for it. */
void passthrough_init(struct passthrough *p, bool wanted);
void passthrough_done(struct passthrough *p);

/* Looks at a request that was read from the device: INIT says what the kernel can. Any thread. */
void passthrough_asked(struct passthrough *p, const void *request, size_t n);
/* writev() of the device, in libfuse's stead. Any thread. True in *first where this was the answer
 * to INIT: from then on it is known whether files pass. */
ssize_t passthrough_writev(struct passthrough *p, int device, const struct iovec *iov, int count,
                           bool *first) EXCLUDES(p->settling);

/* Files may pass. The first requests may come before that was tried, which takes two system calls:
 * they wait for it. */
bool passthrough_on(struct passthrough *p) EXCLUDES(p->settling);

/*
 * Makes the file known to the kernel, which keeps it open: the id is at least 1. -EPERM without
 * privilege; -ELOOP, -EOPNOTSUPP and others where this file's filesystem cannot be passed through.
 */
int passthrough_open(int device, int fd, int32_t *id);
/* No open may use the id any more; the kernel keeps what earlier ones use. */
void passthrough_close(int device, int32_t id);

/* fuse_reply_open() of a file that passes: takes fh from fi and nothing else. */
int passthrough_reply_open(fuse_req_t req, const struct fuse_file_info *fi, int32_t id);

#endif
