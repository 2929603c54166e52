/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log: who opened what for the first time, what was denied, which policy was in force.
 * tarn(1) names the fields of its lines, docs/SECURITY.md what they are worth.
 *
 *   audit of a mount: what it told already ─┐
 *   audit of a mount ───────────────────────┴─► one log a target: queue ─► its thread: lines,
 *                                                chain, write, fdatasync once a batch
 *
 * Targets: a file (0600, made where it is not there), syslog (/dev/log), journald (its own
 * socket). Mounts of one daemon that name the same target share its log. Two daemons cannot: FILE
 * has a lock.
 *
 * Lines are numbered, and each has the SHA-256 of the line before: {"line":7,"prev":"...",
 * ...,"sha256":"..."}, where sha256 is that of all before it, and the next line's prev. The number
 * and the hash of the last line are also in FILE.chain, or for syslog and journald in
 * `audit-syslog.chain` and `audit-journald.chain` of the state directory: so the chain goes on
 * where FILE was rotated, and an end that was cut off is noticed. What a crash left of a line is
 * cut off when the file is opened, and the next line tells so ("torn":bytes).
 *
 * Rotation: a file that was renamed is ended with a line `end`, and FILE made again, when the next
 * line is written or audit_reopen asks for it.
 *
 * Strict: an open waits until its line is on disk, and fails where it cannot be; with a file only.
 * Else lines that the queue (AUDIT_QUEUE_BYTES) or the target does not take are lost, and the next
 * one that is written says how many ("lost").
 */
#ifndef LAKE_VIEW_AUDIT_H
#define LAKE_VIEW_AUDIT_H

#include "base/workers.h"
#include "lake/view/principal.h"

enum audit_kind {
    AUDIT_OPEN,   /* an open; told once for each (principal, table, version, view), of objects
                   * outside of tables once for each, and of documents apart from data */
    AUDIT_DENIED, /* told each time */
    AUDIT_POLICY, /* a policy was read */
};

enum audit_what {
    AUDIT_DATA,     /* a file of a version */
    AUDIT_DOCUMENT, /* one that tells of a version */
    AUDIT_OBJECT,   /* an object outside of tables */
};

/* Borrowed for the call. What is empty or 0 is not in the line. */
struct audit_event {
    enum audit_kind kind;
    enum audit_what what;              /* is opened, of AUDIT_OPEN; not in the line: its path is */
    const struct principal *principal; /* who was decided about; NULL: nobody (AUDIT_POLICY) */
    bool has_caller;                   /* uid and pid are those of a request (in the daemon's */
    uid_t uid;                         /* namespaces; pid 0: a process that is not in them) */
    pid_t pid;
    struct slice table;   /* its path in the mount */
    struct slice version; /* as in `user.tarn.version`; of a policy the file's SHA-256 */
    struct slice path;    /* in the mount; of a policy its file */
    uint64_t view;        /* its hash, 0: whole. Of AUDIT_OPEN */
    unsigned line;        /* of the policy, that decided */
    struct slice reason;  /* why it is denied, or the policy not in force; not for who was denied */
};

/* The logs of one daemon. */
struct audits;

struct audits_config {
    int state_dirfd;         /* DIR: for the chains of syslog and journald; borrowed */
    struct workers *workers; /* where parked tasks go on */
    /* For the daemon's log: what somebody should see to. On a log's thread or in audit_open. */
    void (*tell)(const char *message);
    const char *syslog, *journald; /* sockets, for tests; NULL: the machine's */
};

struct audits *audits_new(const struct audits_config *config, struct err *err);
/* Every audit is closed. */
void audits_free(struct audits *a);
DEFINE_AUTO(audits, struct audits *, audits_free)

struct audit_config {
    const char *target; /* an absolute path, `syslog` or `journald` */
    const char *mount;  /* where it is mounted, for the lines */
    bool strict;
};

/*
 * Opens or shares the target's log. Blocks. -EINVAL where the target is none, strict without a
 * file, or the file is no audit log (which is left as it is); -EBUSY where another daemon writes
 * it; others as open(2).
 */
struct audit;
int audit_open(struct audits *all, const struct audit_config *config, struct audit **out,
               struct err *err);
/* Blocks until its lines are written. No task is parked here. */
void audit_close(struct audit *a);
DEFINE_AUTO(audit, struct audit *, audit_close)

/*
 * Tells. Asks no disk and no network in the caller's thread. Not strict: always 0.
 *
 * Strict: an AUDIT_OPEN parks the task until the line is on disk; called again from the task's
 * start with the same event, it answers 0. Of the other kinds none is waited for but room in the
 * queue, so that a task must answer right after its AUDIT_DENIED: one that runs again would tell
 * again. task NULL (AUDIT_POLICY): never waits. -EIO where lines cannot be written: what is asked
 * for must not be given.
 */
int audit_add(struct audit *a, const struct audit_event *e, struct task *task, struct err *err);

/* The target's file is looked at: for SIGHUP, after a rotation. Any thread, does not wait. */
void audit_reopen(struct audit *a);

#endif
