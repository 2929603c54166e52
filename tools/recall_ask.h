/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the daemon of a mount to have archived objects restored (tools/daemon_recall.h). Blocks.
 */
#ifndef TOOLS_RECALL_ASK_H
#define TOOLS_RECALL_ASK_H

#include <limits.h>

#include "base/buf.h"
#include "cache/store/store.h"

/* The daemon of a mount. */
struct recall_mount {
    char dir[PATH_MAX]; /* its cache directory */
    char number[24];    /* of the mount */
};

/* The mount that a path is in; -EXDEV where it is in none of tarn. */
int recall_mount_of(const char *path, struct recall_mount *out, struct err *err);

/* What became of one object: 0, -EALREADY, or an error with its reason. */
struct recall_listener {
    void (*told)(void *arg, size_t object, int rc, const char *why);
    void *arg;
};

/*
 * Has objects restored, of which each is named as `user.tarn.object` tells it; the listener is told
 * of each, in order.
 */
int recall_objects(const struct recall_mount *m, const char *const *objects, size_t n,
                   const struct store_restore *how, const struct recall_listener *listener,
                   struct err *err);

/* The same of what is archived of a table's log. */
int recall_log(const struct recall_mount *m, const char *table, const struct store_restore *how,
               const struct recall_listener *listener, struct err *err);

#endif
