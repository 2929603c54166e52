/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files below some paths of a mount, and how much of each is cached: what `tarn warm` works on.
 *
 *   warm_list_add      a PATH of the command line
 *   warm_list_walk     lists directories           each by all threads of the crew at once,
 *   warm_list_ask      asks what is cached         one after the other
 *   warm_list_sort     small files first, one file once
 *
 * Nothing outside of the paths' own mounts is followed: no symbolic link, no other file system.
 */
#ifndef TOOLS_WARM_LIST_H
#define TOOLS_WARM_LIST_H

#include <limits.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/lock.h"
#include "base/vec.h"

struct warm_file {
    const char *dir, *name; /* in the list's arena; name "": dir is the file */
    uint64_t size, cached;  /* bytes; cached as last asked, never above size */
    uint64_t inode;
    dev_t device;
    unsigned path;  /* of the command line */
    bool untold;    /* nobody tells how much of it is cached: it has no such attribute */
    bool again;     /* the same file as the one before it in the sorted list */
    bool failed;    /* told already; the reader's lock (tools/warm.c) */
    unsigned parts; /* that were not read yet; likewise */
};

struct warm_dir {
    const char *path;
    dev_t device;
    unsigned root;
};

struct warm_list {
    VEC(struct warm_file) files;
    VEC(struct warm_dir) dirs; /* still to be listed: a stack */
    struct arena names;
    unsigned busy; /* threads that list one */
    struct lock lock;
    struct cond changed;
    atomic_size_t asked; /* files */
    int rc;              /* out of memory; lock */
    /* Told of what cannot be listed: a path and the reason. Any thread of the crew. */
    void (*failed)(void *arg, const char *path, const char *why);
    void *arg;
};

void warm_list_init(struct warm_list *l,
                    void (*failed)(void *arg, const char *path, const char *why), void *arg);
void warm_list_done(struct warm_list *l);

/* -ENOENT and others as stat(2), -EXDEV where it is in no mount of tarn, -EINVAL where it is
 * neither a file nor a directory. `number` is told in the files' `path`. */
int warm_list_add(struct warm_list *l, const char *path, unsigned number, struct err *err)
    EXCLUDES(l->lock);

/* For crew_run: the list is the argument. */
void warm_list_walk(struct warm_list *l) EXCLUDES(l->lock);
void warm_list_ask(struct warm_list *l);

/* How many files there are by now. Any thread. */
size_t warm_list_count(struct warm_list *l) EXCLUDES(l->lock);

/* -ENOMEM and -EOVERFLOW of the walk. */
int warm_list_check(struct warm_list *l, struct err *err) EXCLUDES(l->lock);

/* By size, then by name; two names of one file stand beside each other. */
void warm_list_sort(struct warm_list *l);

/* The file's path into out, or -ENAMETOOLONG. */
int warm_file_path(const struct warm_file *f, char out[PATH_MAX]);

/* Asks for one file again: fills in cached and untold. */
void warm_file_ask(struct warm_file *f);

#endif
