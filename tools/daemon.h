/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon of a cache directory: the only process that has the directory open (flock on
 * DIR/lock). Each mount is a session in it; it ends with the last one.
 *
 *   main thread     signals, new clients, sessions that have ended
 *   client threads  one a connection to ctl.sock (tools/control.h)
 */
#ifndef TOOLS_DAEMON_H
#define TOOLS_DAEMON_H

#include "tools/options.h"

struct daemon_config {
    const struct options *options; /* of the mount that starts it; checked */
    uint8_t *cache_key;            /* KEY_BYTES, wiped as soon as it was taken; NULL: none */
    bool foreground;               /* log to the terminal, end on SIGINT too */
    /*
     * Called once, when clients can connect (err NULL) or when the daemon cannot start. On the main
     * thread.
     */
    void (*ready)(void *arg, const struct err *err);
    void *arg;
};

/*
 * Serves until the last mount has ended, or nobody has come for some seconds. -EBUSY where another
 * daemon has the directory. Blocks; needs a process of its own.
 */
int daemon_run(const struct daemon_config *config, struct err *err);

#endif
