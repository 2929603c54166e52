/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/event.h"

void event_init(struct event *e)
{
    lock_init(&e->lock);
    cond_init(&e->changed);
    e->happened = false;
}

void event_done(struct event *e)
{
    cond_done(&e->changed);
    lock_done(&e->lock);
}

void event_set(struct event *e)
{
    WITH_LOCK (&e->lock) {
        e->happened = true;
        cond_signal(&e->changed);
    }
}

void event_wait(struct event *e)
{
    WITH_LOCK (&e->lock)
        while (!e->happened)
            cond_wait(&e->changed, &e->lock);
}
