/* SPDX-License-Identifier: Apache-2.0 */
/* Objects as files that others may read: those in place so far. */
#include "cache/private.h"

bool cache_can_pass(const struct cache *c)
{
    (void)c;
    return false;
}

bool object_is_sealed(struct object *o)
{
    return o->in_place;
}

bool cache_has_sealed(struct cache *c, const struct object_name *name)
{
    (void)c;
    return object_open_blocks(name->store);
}

int object_fill(struct object *o, struct object_fill *f, struct err *err)
{
    (void)f;
    return o->in_place ? 0 : err_set(err, ENOSPC, "%s: it is not kept as a whole", o->key);
}

void object_want(struct object *o, uint64_t offset, uint64_t length)
{
    (void)o;
    (void)offset;
    (void)length;
}

int object_backing(struct object *o, struct task *t, int *fd, struct err *err)
{
    (void)t;
    if (!o->in_place)
        return err_set(err, ENODATA, "%s: it is not sealed", o->key);
    *fd = o->fd;
    return 0;
}
