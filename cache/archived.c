/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which objects were archived when they were last asked for. Kept beyond the handles, in a table
 * that forgets: of two objects with one place the later stays. Who is forgotten is asked for once
 * more.
 */
#include "cache/private.h"

static _Atomic uint64_t *mark_of(struct object *o, uint64_t *mark)
{
    uint64_t hash[2];
    memcpy(hash, o->id.bytes + 8, sizeof hash); /* a SHA-256, but for its first bit */
    *mark = hash[0] | 1;
    return &o->cache->archived[hash[1] % ARCHIVED_MARKS];
}

enum object_access object_access(struct object *o)
{
    uint64_t mark;
    if (o->in_place)
        return OBJECT_CAME;
    const _Atomic uint64_t *at = mark_of(o, &mark);
    if (*at == mark)
        return OBJECT_ARCHIVED;
    return o->came ? OBJECT_CAME : OBJECT_UNASKED;
}

void object_told_readable(struct object *o)
{
    uint64_t mark;
    _Atomic uint64_t *at = mark_of(o, &mark);
    (void)atomic_compare_exchange_strong(at, &mark, 0); /* else it is another's */
}

void archived_note(struct object *o, int rc)
{
    uint64_t mark;
    _Atomic uint64_t *at = mark_of(o, &mark);
    if (rc == -EREMOTE)
        *at = mark;
    else if (rc == 0)
        object_told_readable(o);
    if (rc == 0)
        o->came = true;
}
