/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/handle.h"

#include <stdatomic.h>

#include "fs/request.h"

void handle_open(struct handle *h, struct session *s, void (*free)(struct handle *h))
{
    h->session = s;
    h->free = free;
    h->refs = 1;
    WITH_LOCK (&s->lock) {
        h->next = s->handles;
        h->back = &s->handles;
        if (h->next)
            h->next->back = &h->next;
        s->handles = h;
    }
}

void handle_close(struct handle *h)
{
    WITH_LOCK (&h->session->lock) {
        *h->back = h->next;
        if (h->next)
            h->next->back = h->back;
    }
    handle_unref(h);
}

struct handle *handle_ref(struct handle *h)
{
    atomic_fetch_add(&h->refs, 1);
    return h;
}

void handle_unref(struct handle *h)
{
    if (h && atomic_fetch_sub(&h->refs, 1) == 1)
        h->free(h);
}

void handle_close_all(struct session *s)
{
    for (;;) {
        struct handle *h;
        WITH_LOCK (&s->lock)
            h = s->handles;
        if (!h)
            return;
        handle_close(h);
    }
}
