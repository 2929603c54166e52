/* SPDX-License-Identifier: Apache-2.0 */
/* What a request for attributes is about: a file or directory, its table, what is shown of it. */
#ifndef FS_SUBJECT_H
#define FS_SUBJECT_H

#include "fs/attr.h"
#include "fs/govern.h"
#include "fs/request.h"

/* Zeroed but for the request and what it wants, until subject_load. */
struct subject {
    struct request *r;
    struct asker asker;
    struct where where;
    struct shown part;           /* of it, that is shown to who asks */
    struct table *table;         /* NULL outside tables */
    const struct version *shown; /* of a directory; NULL where none */
    struct err refusal;          /* the table is refused: code, reason */
    /* files of snapshots */
    struct run *run;
    struct buf scratch;
    struct entry entry;
    /* these, and files outside of tables */
    bool is_object;
    uint64_t size;
    struct object_location object; /* its key is empty where it must not be read: */
    struct err outside;            /* as it lies outside of what is mounted; or code 0 */
    bool names_only;               /* values are not asked for */
    struct err *err;
};

void subject_done(struct subject *s);
DEFINE_AUTO_DONE(subject, struct subject, subject_done)

/* Finds all of it: 0, -EINPROGRESS (the request runs again), or -errno as a lookup of it would be
 * answered. A FUSE thread. */
int subject_load(struct subject *s, struct err *err);

/* In which the object is. Borrowed. */
struct store *subject_store(const struct subject *s);

#endif
