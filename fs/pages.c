/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/pages.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/limits.h"

static _Atomic uint64_t *note_of(struct pages *p, uint64_t node)
{
    return &p->notes[hash64(0, slice_make(&node, sizeof node)) % PAGE_NOTES_MAX];
}

/* 0 where the ETag is not known. */
static uint64_t note_for(uint64_t node, struct slice etag)
{
    uint64_t note = hash64(hash64(1, slice_make(&node, sizeof node)), etag);
    return etag.n == 0 ? 0 : note ? note : 1;
}

int pages_init(struct pages *p, struct err *err)
{
    p->notes = calloc(PAGE_NOTES_MAX, sizeof *p->notes);
    return p->notes ? 0 : err_set(err, ENOMEM, "out of memory");
}

void pages_done(struct pages *p)
{
    free((void *)p->notes);
    p->notes = NULL;
}

bool pages_may_stay(struct pages *p, uint64_t node, struct slice etag)
{
    uint64_t note = note_for(node, etag);
    return atomic_exchange(note_of(p, node), note) == note && note;
}

void pages_note(struct pages *p, uint64_t node, struct slice etag)
{
    uint64_t note = note_for(node, etag);
    if (note)
        *note_of(p, node) = note;
}
