/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files and directories of a session: what stands behind `fh`. The session knows them all,
 * because a connection that is aborted sends no RELEASE for what is open then.
 */
#ifndef FS_HANDLE_H
#define FS_HANDLE_H

#include <stdint.h>

struct session;

/* Embedded in what is open. */
struct handle {
    struct session *session;
    struct handle *next, **back;    /* session's lock */
    void (*free)(struct handle *h); /* of what it is embedded in */
};

/* Puts the handle among the session's; it lives until handle_close. Any thread. */
void handle_open(struct handle *h, struct session *s, void (*free)(struct handle *h));

void handle_close(struct handle *h);

/* What is left when the mount is gone and no request is under way. */
void handle_close_all(struct session *s);

#endif
