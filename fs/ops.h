/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each request of the kernel's does. An op is run from its start until nothing parks it (see
 * fs/request.h); the table at the end of fs/session.c is their index.
 */
#ifndef FS_OPS_H
#define FS_OPS_H

#include "fs/node.h"
#include "fs/request.h"

int op_lookup(struct request *r, struct err *err);
int op_getattr(struct request *r, struct err *err);
int op_readlink(struct request *r, struct err *err);
int op_statfs(struct request *r, struct err *err);
int op_opendir(struct request *r, struct err *err);
int op_readdir(struct request *r, struct err *err);
int op_readdirplus(struct request *r, struct err *err);
int op_open(struct request *r, struct err *err);
int op_read(struct request *r, struct err *err);
int op_access(struct request *r, struct err *err); /* the mask is in r->size */
int op_getxattr(struct request *r, struct err *err);
int op_listxattr(struct request *r, struct err *err);

/* The document of WHERE_DOCUMENT, named by the last component of its path, as it is shown. Parks.
 */
int op_document(struct request *r, const struct where *w, const struct shown *shown,
                struct document **out, struct err *err);

enum op_file_for {
    OP_FILE_READER,
    OP_FILE_AHEAD,       /* nobody waits for it, but it will be read */
    OP_FILE_AHEAD_SMALL, /* only small ones will */
};

/* The object that a file of a snapshot shows. */
struct op_file {
    enum op_file_for whom;     /* the caller's, as the next line */
    const struct shown *shown; /* to whom it is opened for; not looked at by op_file_open_ahead */
    struct table *table;       /* borrowed from the lake */
    struct object *object;     /* these are for the caller to give back */
    struct store *store;       /* in which the object is; borrowed from the lake */
    bool readable;             /* by its class, as a listing told it, it is not archived */
    struct recipe *recipe;     /* NULL: it is presented as it is stored; or nobody waits for it */
};

/* As it is shown. Parks. */
int op_file_open(struct session *s, const struct node *node, struct task *task, struct op_file *out,
                 struct err *err);
/* As the node's view bits say, for what is fetched ahead. */
int op_file_open_ahead(struct session *s, const struct node *node, struct task *task,
                       struct op_file *out, struct err *err);

#endif
