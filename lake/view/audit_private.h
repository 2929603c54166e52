/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the audit log share (lake/view/audit.h).
 *
 *   audit.c         mounts and what they told; logs of a daemon
 *   audit_log.c     one log: queue, thread
 *   audit_file.c    a file as target: rotation, what a crash left
 *   audit_socket.c  syslog and journald
 *   audit_line.c    the text of a line and its hash; audit_verify.c judges them
 */
#ifndef LAKE_VIEW_AUDIT_PRIVATE_H
#define LAKE_VIEW_AUDIT_PRIVATE_H

#include "base/limits.h"
#include "base/lock.h"
#include "base/thread.h"
#include "lake/view/audit_line.h"

/* After a failure of a target nothing is tried for so long, and strict opens fail at once. */
#define AUDIT_FAILED_MS 1000

/* Where lines go. Of its log's thread alone, once the log is open. */
struct audit_target;
struct audit_target_ops {
    /*
     * Before lines are made: the file may be another one now. *warning is set where that is so and
     * the new one cannot be written; the old one goes on then. -errno: nothing can be written.
     */
    int (*prepare)(struct audit_target *t, struct err *warning, struct err *err);
    /*
     * Writes lines, of which `after` is the last one, so that they last; chain and torn are what is
     * written then, also where it fails.
     */
    int (*write)(struct audit_target *t, struct slice lines, const struct audit_chain *after,
                 struct err *err);
    void (*rest)(struct audit_target *t); /* nobody waits */
    void (*close)(struct audit_target *t);
};
struct audit_target {
    const struct audit_target_ops *ops;
    struct audit_chain chain;
    uint64_t torn; /* for the next line */
};

/* warning: as of prepare, of what is wrong with the chain. Block. */
int audit_file_open(const char *path, struct audit_target **out, struct err *warning,
                    struct err *err);
int audit_socket_open(bool journald, const struct audits_config *config, struct audit_target **out,
                      struct err *warning, struct err *err);

/*
 * FILE.chain in a directory, with a lock on it while *fd is open; chain is left alone where it
 * holds none. -EBUSY where another has it.
 */
int audit_state_open(int dirfd, const char *path, int *fd, struct audit_chain *chain,
                     struct err *warning, struct err *err);
/* Does not sync. */
int audit_state_save(int fd, const struct audit_chain *chain, struct err *err);

/* An open that was told, or is being. */
struct audit_told {
    uint8_t key[16];
    uint64_t number; /* of its event in this log, counted from 1; 0: none */
};
#define AUDIT_TOLD_WAYS 4

struct audit {
    struct audits *all; /* immutable, as log, mount and strict */
    struct audit_log *log;
    char *mount;
    bool strict;
    struct audit *next;       /* lock of the log, as told */
    struct audit_told told[]; /* AUDIT_TOLD_MAX, in sets of AUDIT_TOLD_WAYS */
};

struct audit_log {
    struct audit_log *next; /* lock of the audits, as users */
    unsigned users;
    char *name; /* immutable, as config */
    const struct audits_config *config;
    struct audit_target *target; /* the thread's */
    pthread_t thread;

    struct lock lock;
    struct cond more;        /* lock, as all below */
    struct buf queue;        /* events: 4 bytes of length, text */
    uint64_t added;          /* number of the last event that was queued */
    uint64_t taken;          /* and of the last that the thread has taken */
    uint64_t done;           /* and of the last that is written, or failed */
    uint64_t lost;           /* lines, since the last one that was written */
    struct waitlist waiting; /* until done, or room, is another one */
    struct err failed;       /* why the last lines were not written; code 0: they were */
    int64_t failed_ms;
    struct audit *audits;
    bool reopen, ending;
};

/* Opens the target and starts the thread. Blocks. */
int audit_log_open(const struct audits_config *config, const char *target, struct audit_log **out,
                   struct err *err);
/* Blocks until what is queued is written. */
void audit_log_close(struct audit_log *l);

/* False: there is no room. */
bool audit_log_push_locked(struct audit_log *l, struct slice event) REQUIRES(l->lock);
/* Nothing can be written: -EIO, and why. */
int audit_log_failing_locked(struct audit_log *l, struct err *err) REQUIRES(l->lock);

#endif
