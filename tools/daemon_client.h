/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon does for one client of its control socket, and the state that its threads share.
 * Private to the daemon.
 */
#ifndef TOOLS_DAEMON_CLIENT_H
#define TOOLS_DAEMON_CLIENT_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "cache/store/http.h"
#include "fs/session.h"
#include "lake/view/audit.h"
#include "tools/control.h"
#include "tools/directory.h"
#include "tools/key_file.h"

struct daemon_session {
    struct daemon_session *next; /* daemon's lock, as all below */
    struct daemon *daemon;       /* immutable */
    struct session *session;     /* immutable once it is in the list, as the next line */
    uint64_t id;                 /* of the mount, as its attribute tells it */
    unsigned uses;               /* clients that work on it: it is not freed before they end */
    bool ended;                  /* the mount is gone; its client's thread frees it */
};

struct daemon {
    struct directory directory; /* immutable, as the next line */
    int indexes_dirfd, listen_fd, event_fd, signal_fd, log_fd;
    char
        cache_key[KEY_FINGERPRINT_BYTES]; /* of the key that objects are encrypted with; "": none */
    struct workers *disk, *metadata, *secrets;
    struct http *http;
    struct cache *cache;
    struct registry *registry;
    struct local_tags *tags; /* NULL: the disk takes none */
    struct store_shares *shares;
    struct audits *audits;

    struct lock lock; /* guards below and the sessions in the list */
    struct cond changed;
    struct daemon_session *sessions;
    uint64_t mounts;            /* made so far */
    unsigned clients;           /* threads */
    bool served;                /* a request has come */
    bool maintaining;           /* a client verifies, drops or collects */
    bool foreground;            /* immutable: a hangup of its terminal ends it */
    atomic_bool ending;         /* a signal came: what takes long is given up */
    atomic_bool metadata_tried; /* whether users can reach the instance's metadata service */
};

/* A thread of its own for the connection, which it takes. */
int daemon_client_start(struct daemon *d, int fd, struct err *err);

/* The session of a mount's number (its attribute), held until daemon_let_go. NULL: it is gone. */
struct daemon_session *daemon_hold_session(struct daemon *d, struct slice mount);
void daemon_let_go(struct daemon *d, struct daemon_session *s);

/* Makes the main thread look whether anybody is left. Any thread. */
void daemon_wake(struct daemon *d);

#endif
