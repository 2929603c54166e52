/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "tools/daemon_client.h"

struct daemon_session *daemon_hold_session(struct daemon *d, struct slice mount)
{
    struct daemon_session *found = NULL;
    uint64_t id;
    if (!text_parse_u64(mount, UINT64_MAX, &id))
        return NULL;
    WITH_LOCK (&d->lock) {
        for (struct daemon_session *s = d->sessions; s; s = s->next)
            if (s->id == id && !s->ended)
                found = s;
        if (found)
            found->uses++;
    }
    return found;
}

void daemon_let_go(struct daemon *d, struct daemon_session *s)
{
    WITH_LOCK (&d->lock) {
        s->uses--;
        cond_broadcast(&d->changed);
    }
}
