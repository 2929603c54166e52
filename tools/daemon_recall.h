/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restores of archived objects, as the daemon serves them: with the credentials of a mount.
 *
 *   {"op":"recall","recall":{"mount":"3","days":7,"speed":"standard",
 *                            "objects":["s3://bucket/key", ..]}}
 *   an object a line, in their order:   {"code":0}             begun, or there was nothing to do
 *                                       {"code":114}           under way (EALREADY)
 *                                       {"code":13,"error":..}
 *   {"ok":true}
 *
 *   ... "table":"silver/orders" instead of objects: what is archived of the table's log
 *   an archived object a line, likewise;   {"ok":true}
 */
#ifndef TOOLS_DAEMON_RECALL_H
#define TOOLS_DAEMON_RECALL_H

#include "tools/daemon_client.h"

/* Objects of one request. */
#define RECALL_OBJECTS_MAX 64

/* Does what the value of "recall" asks for; lines are sent to fd. On the client's thread. */
int daemon_recall(struct daemon *d, struct slice request, int fd, struct err *err);

#endif
