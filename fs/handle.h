/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files and directories of a session: what stands behind `fh`. The session knows them all,
 * because a connection that is aborted sends no RELEASE for what is open then.
 */
#ifndef FS_HANDLE_H
#define FS_HANDLE_H

#include <stdint.h>

struct held;
struct session;

/* Embedded in what is open. */
struct handle {
    struct session *session;
    struct held *held;              /* under a policy (fs/govern.h), owned; else NULL */
    struct handle *next, **back;    /* session's lock */
    void (*free)(struct handle *h); /* of what it is embedded in */
    _Atomic unsigned refs;          /* the kernel's, and one for each request that uses it */
};

/* Puts the handle among the session's, with the kernel's reference. Any thread. */
void handle_open(struct handle *h, struct session *s, void (*free)(struct handle *h));

/* The kernel's reference ends. Requests that were interrupted may still use the handle. */
void handle_close(struct handle *h);

struct handle *handle_ref(struct handle *h);
void handle_unref(struct handle *h);

/* What is left when the mount is gone and no request is under way. */
void handle_close_all(struct session *s);

#endif
