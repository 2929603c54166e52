/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In which mode the files of a node are open.
 *
 * An open reads through the kernel's pages (CACHED), from the file behind the node without the
 * daemon (PASS: fs/passthrough.h), or asks the daemon at each read (DIRECT). The kernel answers EIO
 * to an open of an inode in another mode than those that are open, so a node has one mode while
 * anything of it is open, which later opens join:
 *
 *   mode    backing  kernel's inode holds              refused by the kernel then
 *   none    -        nothing                           nothing
 *   PASS    id >= 1  one backing file                  CACHED, DIRECT, another backing file
 *   CACHED  0        pages                             PASS
 *   DIRECT  0        nothing; pages once it is mapped  PASS once it is mapped (we know not when)
 *
 *   none --enter(mode)--> mode, 1 open --enter--> same mode, n opens --leave--> ... --leave--> none
 *
 * The last leave gives the backing id and the object's reference back. RELEASE comes after the
 * kernel has let go, and an open enters before it is answered: so what is open here contains what
 * is open there.
 *
 * A file has two nodes (fs/node.h): opens of the filling node are DIRECT only. An open that belongs
 * to the other node is told ESTALE, upon which the kernel looks the name up again and asks once
 * more. So that nobody ever sees it, who was told gets a ticket, by which his second attempt is
 * known and served where it comes.
 *
 * Any thread; one lock, under which nothing is called.
 */
#ifndef FS_OPEN_MODE_H
#define FS_OPEN_MODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/map.h"

/* Nodes open at once: the objects that may be (cache/private.h). */
#define OPEN_NODES_MAX ((size_t)1 << 22)
/* Opens that were told ESTALE and have not come back; more are served where they are. */
#define OPEN_TICKETS_MAX 1024
/* They come back after some lookups; or never, where the name leads nowhere any more. */
#define ESTALE_MS ((int64_t)2 * REQUEST_DEADLINE_MS)
/* Threads of a pid namespace that the mount does not see cannot be told apart. */
#define ESTALE_UNKNOWN_MS 10000

enum open_mode { OPEN_NONE, OPEN_PASS, OPEN_CACHED, OPEN_DIRECT };

struct object;

/* How a node is open. */
struct open_way {
    enum open_mode mode;
    int32_t backing;       /* PASS: its id */
    struct object *object; /* PASS: whose file it is; a reference */
    uint64_t identity;     /* of the object, where one node may have several in time; else 0 */
};

struct open_ticket {
    uint64_t file;  /* its pass node; 0: none */
    int32_t thread; /* that opens; 0: unknown */
    int64_t at_ms;
};

struct open_modes {
    struct lock lock;
    struct map nodes;                             /* lock; of struct open_node */
    struct open_ticket tickets[OPEN_TICKETS_MAX]; /* lock */
    size_t tickets_end;                           /* lock; behind the last that counts */
};

void open_modes_init(struct open_modes *m);
/* Nothing is open any more. */
void open_modes_done(struct open_modes *m);

/* Ends one open. What its last one leaves for the caller to close is in *left (else OPEN_NONE). */
void open_mode_leave(struct open_modes *m, uint64_t node, struct open_way *left) EXCLUDES(m->lock);

/* The node is open as another object than that of `identity`. */
bool open_mode_other(struct open_modes *m, uint64_t node, uint64_t identity) EXCLUDES(m->lock);

/* What an open of a node that is not open finds. */
struct open_found {
    bool filling; /* the node's kind */
    bool passes;  /* files of this session and cache may pass */
    bool direct;  /* else the kernel keeps no pages of them for reads: each asks the daemon */
    bool other;   /* the pass node is open as an object that was replaced */
    bool sealed;  /* all of the object is there; it may be read in place */
    bool small;   /* worth to be completed while the open waits */
    bool kept;    /* false: the cache does not keep it now */
};

/* One open. The functions are its owner's; they run under no lock. */
struct open_ask {
    uint64_t node, pass_node; /* the same, but for a filling node */
    uint64_t identity;
    int32_t thread; /* that opens, as the kernel says: 0 where it does not */
    bool came_back; /* from ESTALE: known once `remember` says so */
    bool *remember; /* where that is kept for the next run of an open that parks, or NULL */
    int64_t now_ms; /* clock_mono_ms() */
    struct open_found found; /* but for `other` */
    /*
     * STEP_PASS: makes the object's file known to the kernel; way's backing and object are the
     * caller's then. 0 also where that cannot be, and found tells why. May park.
     */
    int (*back)(struct open_ask *ask, struct open_way *way, struct err *err);
    /* STEP_FILL: sets found.sealed or clears found.kept, or fails. May park. */
    int (*fill)(struct open_ask *ask, struct err *err);
    /* Gives back what `back` brought and nobody needs. */
    void (*drop)(struct open_ask *ask, const struct open_way *way);
};

/*
 * Opens a node: in the mode that it has, or as suits what was found; *out is how. -ESTALE without
 * words: the kernel shall look again. -ESTALE with words, -ENFILE, -ENOMEM, or of back and fill.
 */
int open_mode_open(struct open_modes *m, struct open_ask *ask, struct open_way *out,
                   struct err *err) EXCLUDES(m->lock);

#endif
