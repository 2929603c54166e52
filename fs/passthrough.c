/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/passthrough.h"

#include <linux/fuse.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Of the protocol's versions 7.37 and 7.40; Debian 12's header has 7.38. */
#ifndef FUSE_DIRECT_IO_ALLOW_MMAP
#define FUSE_DIRECT_IO_ALLOW_MMAP (UINT64_C(1) << 36)
#endif
#ifndef FUSE_PASSTHROUGH
#define FUSE_PASSTHROUGH (UINT64_C(1) << 37)
#define FOPEN_PASSTHROUGH (1U << 7)
#endif
#define OFFER(flag) ((uint32_t)((flag) >> 32)) /* as they stand in flags2 */

/* fuse_init_out's last fields: 7.40 made one of the unused ones behind flags2. */
struct init_tail {
    uint32_t flags2, max_stack_depth;
};
_Static_assert(sizeof(struct fuse_init_out) == 64, "of 7.23 and later");
_Static_assert(offsetof(struct fuse_init_out, flags2) + sizeof(struct init_tail) <= 64, "it fits");

/* fuse_open_out with the field that 7.40 made of its padding. */
struct open_reply {
    uint64_t fh;
    uint32_t open_flags;
    int32_t backing_id;
};
_Static_assert(sizeof(struct open_reply) == sizeof(struct fuse_open_out), "one layout");

/* fuse_backing_map */
struct backing_map {
    int32_t fd;
    uint32_t flags;
    uint64_t padding;
};
#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

/*
 * How many filesystems may be stacked, this one included: 1 leaves room for an overlayfs above it,
 * and keeps files that lie on one from passing.
 */
#define STACK_DEPTH 1

static const uint32_t offers_wanted = OFFER(FUSE_PASSTHROUGH) | OFFER(FUSE_DIRECT_IO_ALLOW_MMAP);

void passthrough_init(struct passthrough *p, bool wanted)
{
    *p = (struct passthrough){.wanted = wanted, .why = ERR_INIT};
    lock_init(&p->settling);
}

void passthrough_done(struct passthrough *p)
{
    lock_done(&p->settling);
}

bool passthrough_on(struct passthrough *p)
{
    if (!atomic_load(&p->settled))
        WITH_LOCK (&p->settling)
            continue; /* who held it has tried */
    return atomic_load(&p->on);
}

void passthrough_asked(struct passthrough *p, const void *request, size_t n)
{
    struct fuse_in_header head;
    struct fuse_init_in init;
    if (n < sizeof head + sizeof init)
        return;
    memcpy(&head, request, sizeof head);
    if (head.opcode != FUSE_INIT)
        return;
    memcpy(&init, (const char *)request + sizeof head, sizeof init);
    p->offers = init.flags & FUSE_INIT_EXT ? init.flags2 & offers_wanted : 0;
    if (!p->wanted)
        p->offers &= ~OFFER(FUSE_PASSTHROUGH);
    p->asked = head.unique;
}

/* Tries it with a file in memory, so that a session knows before its first open. */
static int try_out(const struct passthrough *p, int device, struct err *err)
{
    int32_t id = 0;
    if (!(p->offers & OFFER(FUSE_PASSTHROUGH)))
        return err_set(err, ENOSYS, "the kernel does not offer it (Linux 6.9 does)");
    AUTO_FD int fd = memfd_create("passthrough", MFD_CLOEXEC);
    int rc = fd < 0 ? -errno : passthrough_open(device, fd, &id);
    if (rc == -EPERM)
        return err_set(err, EPERM, "it needs CAP_SYS_ADMIN");
    if (rc < 0)
        return err_set(err, -rc, "the kernel refuses a file in memory: %s", strerror(-rc));
    passthrough_close(device, id);
    return 0;
}

/* The answer to INIT as libfuse made it, with what it does not know. */
static ssize_t answer_init(const struct passthrough *p, int device, const struct iovec *iov)
{
    struct fuse_init_out out;
    memcpy(&out, iov[1].iov_base, sizeof out);
    struct init_tail *tail = (struct init_tail *)(void *)&out.flags2;
    out.flags |= p->offers ? FUSE_INIT_EXT : 0;
    tail->flags2 |= p->offers;
    if (p->offers & OFFER(FUSE_PASSTHROUGH))
        tail->max_stack_depth = STACK_DEPTH;
    struct iovec both[] = {iov[0], {&out, sizeof out}};
    return writev(device, both, 2);
}

static ssize_t settle_locked(struct passthrough *p, int device, const struct iovec *iov, int count)
    REQUIRES(p->settling)
{
    struct fuse_out_header head;
    memcpy(&head, iov[0].iov_base, sizeof head);
    if (count != 2 || head.error || iov[1].iov_len != sizeof(struct fuse_init_out)) {
        (void)err_set(&p->why, EPROTO, "the kernel and libfuse have not agreed on INIT");
        return writev(device, iov, count);
    }
    ssize_t n = answer_init(p, device, iov);
    if (n >= 0 && p->wanted)
        p->on = try_out(p, device, &p->why) == 0;
    return n;
}

ssize_t passthrough_writev(struct passthrough *p, int device, const struct iovec *iov, int count,
                           bool *first)
{
    struct fuse_out_header head;
    ssize_t n;
    uint64_t asked = atomic_load(&p->asked);
    *first = false;
    if (asked) {
        memcpy(&head, iov[0].iov_base, sizeof head);
        *first = head.unique == asked;
    }
    if (!*first)
        return writev(device, iov, count);
    p->asked = 0;
    WITH_LOCK (&p->settling) {
        n = settle_locked(p, device, iov, count);
        p->settled = true;
    }
    return n;
}

int passthrough_open(int device, int fd, int32_t *id)
{
    struct backing_map map = {.fd = fd};
    int rc = ioctl(device, BACKING_OPEN, &map);
    if (rc < 0)
        return -errno;
    *id = rc;
    return 0;
}

void passthrough_close(int device, int32_t id)
{
    uint32_t number = (uint32_t)id;
    (void)ioctl(device, BACKING_CLOSE, &number); /* fails where the mount is gone, and the id too */
}

int passthrough_reply_open(fuse_req_t req, const struct fuse_file_info *fi, int32_t id)
{
    struct open_reply out = {.fh = fi->fh, .open_flags = FOPEN_PASSTHROUGH, .backing_id = id};
    return fuse_reply_buf(req, (const char *)&out, sizeof out);
}
