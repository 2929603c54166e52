/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/handle.h"

#include "fs/request.h"

void handle_open(struct handle *h, struct session *s, void (*free)(struct handle *h))
{
    h->session = s;
    h->free = free;
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
