/* SPDX-License-Identifier: Apache-2.0 */
/* How a session comes to its /dev/fuse: options, mount, INIT, readahead, and the way out. */
#ifndef FS_CONNECTION_H
#define FS_CONNECTION_H

#include "fs/request.h"

/* Makes s->fuse with these ops. */
int connection_new(struct session *s, const struct fuse_lowlevel_ops *ops, size_t ops_bytes,
                   struct err *err);

/*
 * Mounts it, or takes the descriptor that is mounted: *passed, which is -1 from then on. Requests
 * may be taken then.
 */
int connection_mount(struct session *s, int *passed, struct err *err);

/* The op of INIT: what is asked of the kernel. */
void connection_init(void *userdata, struct fuse_conn_info *conn);

/*
 * INIT cannot ask for more than the 128 KiB of readahead that a mount begins with; the device's
 * setting can, once INIT is over. Root's to write: others read on with less.
 */
void connection_raise_readahead(const struct session *s);

/* As `umount -l`: who has something open goes on; the session ends when they close it. */
void connection_detach(const char *mountpoint);

#endif
