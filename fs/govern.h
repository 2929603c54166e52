/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access control of a mount: who asks, what the policy in force shows him of it, and what happens
 * when that changes (design.md section 7). Without `--policy` there is no governor, and all of this
 * is one look at a NULL.
 *
 *   request ─► govern_ask: the asker: his principal, the ruling (one for a run of the request)
 *           ─► place: table, loose object, directory ─► ruling ─► shown: all, a view, or -ENOENT
 *           ─► node id with the view's slot (fs/slots.h)
 *
 * Every door of the mount, and who asks there:
 *
 *   LOOKUP         the caller, whoever looked the directory up or opened it. The kernel keeps no
 *                  name under `-o per-uid` (each use comes here as a LOOKUP of its user), else
 *                  for a second. What is not there is not told apart from what is denied.
 *   OPEN           the caller again: the node's view must be his own at this moment, else ESTALE,
 *                  upon which the kernel looks the name up. So a node that came by /proc, O_PATH,
 *                  a file handle or another user's lookup opens for whom it is, and nobody else.
 *   READ           nobody: a descriptor is a capability wherever it is passed, until revoked
 *   GETATTR        nobody: who has the node was given it; it tells what the node's view shows
 *   OPENDIR        the caller; READDIR, READDIRPLUS: nobody, but only what the opener sees
 *   READLINK       the caller; so GETXATTR, LISTXATTR: of a narrowed table neither the object,
 *                  nor its ETag, nor reasons, which may name what is hidden
 *   ACCESS, STATFS tell nothing
 *   .tarn/         LOOKUP, OPEN as above; documents are written for the view (another node each);
 *                  raw/ and changes/ are there for the whole table only
 *   prefetch       its writer: files that he is not shown are lines that name nothing
 *   refs           a version, range, tag, moment of a table is that table
 *   fetching ahead for the view of the node that was opened
 *   ctl.sock       the daemon's user and root
 *
 * A narrowed file is another node with another inode number for each view, so that no page of the
 * kernel, no backing file and no attribute is shared by two views.
 *
 * A change of the policy is another ruling, which takes effect at once for all that is asked from
 * then on. What is open is looked at again: a handle whose principal is not shown the same any more
 * is revoked. It answers ESTALE, and what the kernel has of its node is dropped. Not where the
 * kernel reads the file itself (passthrough), unless the mount is `-o revocable`.
 *
 * Any thread, but for what says otherwise.
 */
#ifndef FS_GOVERN_H
#define FS_GOVERN_H

#include <stdatomic.h>

#include "base/vec.h"
#include "base/workers.h"
#include "fs/ruling.h"
#include "lake/view/audit.h"
#include "lake/view/principal.h"
#include "lake/where.h"

struct governor;
struct listing;
struct partition_values;
struct request;
struct session;

/* Names that are kept by the kernel where all callers are one principal. */
#define GOVERN_NAMES_S 1.0

/* Borrowed for the call, but for `audits` and `workers`. */
struct governor_config {
    const char *policy; /* its file: absolute; NULL: only what catalogs require is kept back */
    const char *role;   /* NULL: users */
    bool per_uid;       /* the caller decides, else who has mounted: */
    uid_t uid;
    bool revocable;
    const char *audit; /* NULL: none */
    bool audit_strict;
    struct audits *audits;
    const char *mountpoint; /* for the audit's lines and the log */
    struct workers *workers;
    struct session *session; /* whose handles are revoked */
};

/* Reads the policy; one that does not hold denies all. NULL and err where the audit cannot be
 * opened, or memory is short. Blocks. */
struct governor *governor_new(const struct governor_config *config, struct err *err);
/* Nothing is asked any more, all handles are closed. Blocks. */
void governor_free(struct governor *g);
DEFINE_AUTO(governor, struct governor *, governor_free)

/* Begins to watch the file. */
int governor_start(struct governor *g, struct err *err);
/* Ends that, where it was begun. Blocks. */
void governor_end(struct governor *g);

/* The policy is read again, and the audit's file looked at: SIGHUP. Does not wait. */
void governor_reload(struct governor *g);

/* True where no policy holds: all is denied, *why tells. */
bool governor_denies(struct governor *g, struct err *why);

/* Files may pass through: false of revocable mounts. g may be NULL, as below. */
bool governor_passes(const struct governor *g);
/* How long the kernel may keep a name that it may keep for so long by itself. */
double governor_name_timeout(const struct governor *g, double timeout_s);
/* Who has mounted, or root: what concerns the machine is told to nobody else. */
bool governor_is_owner(const struct governor *g, uid_t uid);

/* Who asks. */
struct asker {
    struct governor *governor; /* NULL: nothing is governed; all below then, too */
    struct ruling *ruling;
    struct principal *principal;
    bool has_caller; /* of the audit's lines: */
    uid_t uid;
    pid_t pid;
};
void asker_done(struct asker *a);
DEFINE_AUTO_DONE(asker, struct asker, asker_done)

/* Parks. -EIO where it cannot be found out who that is. */
int govern_ask(struct request *r, struct asker *out, struct err *err);
int govern_ask_as(struct session *s, uid_t uid, pid_t pid, struct task *task, struct asker *out,
                  struct err *err);

/* What is shown of a table, or of a file of it. */
struct shown {
    struct view *view;   /* a reference; NULL: all of it */
    struct basis *basis; /* likewise */
    unsigned slot;       /* of node ids; 0: all of it */
    uint64_t generation; /* of the slot */
    unsigned line;       /* of the policy, that decided; 0: none did */
};
void shown_done(struct shown *s);
DEFINE_AUTO_DONE(shown, struct shown, shown_done)
/* `to` has nothing. */
void shown_copy(struct shown *to, const struct shown *from);
static inline uint64_t shown_hash(const struct shown *s)
{
    return s->view ? s->view->hash : 0;
}

/* Quick and by a place's path only: something on the way to it, it, or below it is granted. Else
 * -ENOENT, and neither store nor disk is asked on behalf of who may not know of it. */
int govern_path(const struct asker *a, struct slice place, struct err *err);

/* A name that nobody has looked into. -ENOENT: denied (told to the audit). Parks. */
int govern_name(const struct asker *a, const struct where *w, struct task *task, struct err *err);

/*
 * What a path was found to be, with the view of it; a narrowed file is filled in as the view shows
 * it (shown_narrow). -ENOENT: denied. Parks.
 */
int govern_where(const struct asker *a, struct where *w, struct task *task, struct shown *out,
                 struct err *err);

/* The whole table is granted, and its catalog keeps nothing back. Asks nobody. */
bool govern_sees_all(const struct asker *a, const struct table *table);

/* An object by its path in the mount; so much of that is the path of the table it lies in, or all
 * of it where it lies in none. */
struct object_place {
    char *path;
    size_t table_n;
};
struct object_places {
    VEC(struct object_place) at;
};
void object_places_done(struct object_places *p);
DEFINE_AUTO_DONE(object_places, struct object_places, object_places_done)

/*
 * The object of a file, and those that tell which of its rows are deleted, lie below its table's
 * own root, outside of the lake where the mount allows it, or in what is granted as a whole: these
 * are added to *elsewhere (may be NULL). Else -EACCES. The log of a table may name any object of
 * the lake. Parks.
 */
int govern_object(const struct asker *a, const struct where *w, struct task *task,
                  struct object_places *elsewhere, struct err *err);

/* An object lies below its table's own root, or outside of the lake: who is shown the table's file
 * may have it fetched. */
bool govern_is_own(const struct table *table, const struct store *store, struct slice key);

/* The same of what tells which files the version has (driver_ops.log_elsewhere), which names them.
 */
int govern_log(const struct asker *a, const struct where *w, struct task *task,
               struct object_places *elsewhere, struct err *err);

/*
 * Which entries of a plain directory's listing are shown, at `place` in the mount: a bit for each
 * in *hidden, for free; NULL where all are. A table of which a grant keeps a part back is looked
 * into: it may leave nothing. Parks.
 */
int govern_list(const struct asker *a, struct slice place, const struct listing *l,
                struct task *task, uint8_t **hidden, struct err *err);

/* The file becomes what the view shows of it. */
void shown_narrow(const struct shown *s, struct where *file);
uint64_t shown_identity(const struct shown *s, uint64_t identity);
/* Of a table of which no columns are known: some of what is in it may not be shown, though it is
 * granted (policy_parts_below). Of the others it is not asked. */
bool govern_keeps_parts_below(const struct asker *a, const struct table *table);
/* What such a table has at that path is shown. */
bool govern_has_path(const struct asker *a, const struct table *table, struct slice path);
/* Partition values leave something of a file or directory: of the former its entry, of the latter
 * its path with a final slash. */
bool shown_has_file(const struct shown *s, struct slice path, bool built);
bool shown_has_dir(const struct shown *s, struct slice path);
/* The partition values of a file, for its rows. */
int shown_partitions(const struct shown *s, struct slice path, bool built,
                     struct partition_values *out, struct err *err);

/* Into *out what a node's view bits stand for now: -ESTALE where they are of nobody any more. */
int govern_node(struct governor *g, const struct table *table, unsigned slot, struct shown *out,
                struct err *err);

/* What somebody has open: kept with its handle, looked at again when the policy changes. */
struct held {
    struct governor *governor;
    struct principal *principal;
    struct table *table; /* NULL: a loose object, or a plain directory by its path: */
    char *path;
    struct object_places objects; /* that are granted as wholes, besides */
    bool is_dir;
    struct shown shown;
    unsigned slot;               /* that it holds; 0: none */
    uint64_t node;               /* of a file: whose pages are dropped */
    _Atomic uint64_t generation; /* of the ruling that it was held up against last */
    atomic_bool revoked;
    atomic_bool dropped; /* the kernel's pages, since then */
};

/*
 * NULL in *out where nothing is governed. `node_slot`: the node's view bits; -ESTALE where that is
 * not what is shown to the asker now.
 */
int govern_hold(const struct asker *a, const struct where *w, const struct shown *shown,
                uint64_t node, struct held **out, struct err *err);
/* After it, of a file: -EACCES where its object is not his to read (told to the audit). Parks. */
int govern_hold_object(const struct asker *a, const struct where *w, struct task *task,
                       struct held *held, struct err *err);
void held_free(struct held *h);
DEFINE_AUTO(held, struct held *, held_free)

/* An open file or directory may still be used; h may be NULL. -ESTALE. */
int govern_held(struct held *h);

/* Tells the audit of an open. Parks where it is strict. */
int govern_opened(const struct asker *a, const struct where *w, const struct shown *shown,
                  struct slice version, struct task *task, struct err *err);

#endif
