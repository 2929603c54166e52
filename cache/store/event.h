/* SPDX-License-Identifier: Apache-2.0 */
/* Something that happens once, and one thread that waits for it. */
#ifndef CACHE_STORE_EVENT_H
#define CACHE_STORE_EVENT_H

#include <stdbool.h>

#include "base/lock.h"

struct event {
    struct lock lock;
    struct cond changed;
    bool happened; /* lock */
};

void event_init(struct event *e);
void event_done(struct event *e);

/* Any thread, once. The waiter may end the event as soon as it is woken. */
void event_set(struct event *e) EXCLUDES(e->lock);
void event_wait(struct event *e) EXCLUDES(e->lock);

#endif
