/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags, as the daemon serves them: they are kept in its cache directory, or written with the
 * credentials of a mount.
 *
 *   {"op":"tag","tag":{"mount":"3","table":"silver/orders","action":"set","name":..,"version":12,
 *                      "timeMs":..,"shared":false,"replace":false,"by":..}}
 *   ... "action":"delete" with name and shared;   {"ok":true}
 *   ... "action":"list"     {"name":..,"version":..,"shared":..,"hidden":..} a line each,
 * {"ok":true}
 */
#ifndef TOOLS_DAEMON_TAG_H
#define TOOLS_DAEMON_TAG_H

#include "tools/daemon_client.h"

/* Does what the value of "tag" asks for; the lines of a list are sent to fd. On the client's
 * thread. */
int daemon_tag(struct daemon *d, struct slice request, int fd, struct err *err);

#endif
