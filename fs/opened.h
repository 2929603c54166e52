/* SPDX-License-Identifier: Apache-2.0 */
/* An open file: what stands behind `fh`. Made by OPEN (fs/open.c), read from by READ (fs/file.c).
 */
#ifndef FS_OPENED_H
#define FS_OPENED_H

#include "fs/govern.h"
#include "fs/reader.h"
#include "fs/request.h"

/* An object, which may be a presented file, or a document. Immutable once it is answered, but for
 * the reader. */
struct opened {
    struct handle handle;
    uint64_t node;
    uint64_t identity;   /* of the object, where the node may have several in time; else 0 */
    enum open_mode mode; /* OPEN_NONE: it counts for none (documents; before it is answered) */
    struct object *object;
    struct recipe *recipe; /* NULL: the object is presented as it is stored */
    struct store *store;   /* in which its object is; borrowed from the lake */
    bool readable;         /* by its class, as a listing told it, it is not archived */
    struct document *document;
    struct asker asker;   /* who opens it, until it is open; as the next line */
    struct shown shown;   /* of it to him */
    struct table *table;  /* NULL outside tables; borrowed from the lake */
    struct reader reader; /* of an object: what is fetched ahead */
};

#endif
