/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/open_mode.h"

#include <assert.h>
#include <stdlib.h>

#include "base/cleanup.h"

struct open_node {
    uint64_t id; /* its key in the map */
    uint64_t opens;
    struct open_way way;
};

static struct slice key_of(const uint64_t *id)
{
    return slice_make((const char *)id, sizeof *id);
}

/* What the kernel would refuse, or what would leak, is our bug. */
static void check(const struct open_node *n)
{
    assert(n->opens > 0);
    switch (n->way.mode) {
    case OPEN_NONE:
        break;
    case OPEN_PASS:
        assert(n->way.backing > 0 && n->way.object);
        return;
    case OPEN_CACHED:
    case OPEN_DIRECT:
        assert(n->way.backing == 0 && !n->way.object);
        return;
    }
    assert(!"an open node has a mode");
}

void open_modes_init(struct open_modes *m)
{
    lock_init(&m->lock);
    map_init(&m->nodes, OPEN_NODES_MAX);
    m->tickets_end = 0;
}

void open_modes_done(struct open_modes *m)
{
    assert(m->nodes.count == 0);
    map_done(&m->nodes);
    lock_done(&m->lock);
}

static bool is_other(const struct open_node *n, uint64_t identity)
{
    return n->way.mode != OPEN_DIRECT && n->way.identity != identity;
}

/* True: it is open, and once more now. */
static bool join_locked(struct open_modes *m, uint64_t node, uint64_t identity,
                        struct open_way *out, bool *other) REQUIRES(m->lock)
{
    struct open_node *n = map_find(&m->nodes, key_of(&node));
    *other = n && is_other(n, identity);
    if (!n || *other)
        return false;
    check(n);
    n->opens++;
    *out = n->way;
    return true;
}

/* False where it is not open, or open as another object, which this open must not see. */
static bool join(struct open_modes *m, const struct open_ask *ask, struct open_way *out,
                 bool *other) EXCLUDES(m->lock)
{
    bool joined;
    WITH_LOCK (&m->lock)
        joined = join_locked(m, ask->node, ask->identity, out, other);
    return joined;
}

/* Opens it so; or, where somebody has opened it meanwhile, in the mode that it has now. */
static int enter(struct open_modes *m, const struct open_ask *ask, const struct open_way *way,
                 struct open_way *now, struct err *err) EXCLUDES(m->lock)
{
    bool joined, other;
    int rc = 0;
    AUTO_FREE struct open_node *fresh = malloc(sizeof *fresh);
    if (!fresh)
        return err_set(err, ENOMEM, "out of memory");
    *fresh = (struct open_node){.id = ask->node, .opens = 1, .way = *way};
    check(fresh);
    WITH_LOCK (&m->lock) {
        joined = join_locked(m, ask->node, ask->identity, now, &other);
        if (!joined && !other)
            rc = map_put(&m->nodes, key_of(&fresh->id), fresh);
        if (!joined && !other && rc == 0) {
            *now = *way;
            fresh = NULL; /* the map's now */
        }
    }
    if (other)
        return err_set(err, ESTALE, "the file was replaced while it was opened");
    return rc < 0 ? err_set(err, rc == -ENOMEM ? ENOMEM : ENFILE, "too many files are open") : 0;
}

void open_mode_leave(struct open_modes *m, uint64_t node, struct open_way *left)
{
    struct open_node *n;
    *left = (struct open_way){.mode = OPEN_NONE};
    WITH_LOCK (&m->lock) {
        n = map_find(&m->nodes, key_of(&node));
        assert(n);
        check(n);
        if (--n->opens == 0) {
            (void)map_remove(&m->nodes, key_of(&node)); /* it is n */
            *left = n->way;
        } else {
            n = NULL;
        }
    }
    free(n);
}

bool open_mode_other(struct open_modes *m, uint64_t node, uint64_t identity)
{
    bool other;
    WITH_LOCK (&m->lock) {
        const struct open_node *n = map_find(&m->nodes, key_of(&node));
        other = n && is_other(n, identity);
    }
    return other;
}

enum open_step {
    STEP_PASS,
    STEP_CACHED,
    STEP_DIRECT,
    STEP_FILL,  /* complete the object and look again */
    STEP_AGAIN, /* ESTALE: the kernel looks the name up again, and finds the other node */
};

/*
 * node     found                      step
 * filling  cannot pass, or other      DIRECT
 *          sealed                     AGAIN    (once; then DIRECT)
 *          else                       DIRECT
 * pass     open as another object     AGAIN    (once; then ESTALE is the user's: what he has
 *                                               names a file that was replaced)
 *          cannot pass                CACHED   (DIRECT where that is asked for)
 *          sealed                     PASS
 *          small and kept             FILL
 *          small                      DIRECT
 *          else                       AGAIN    (once; then DIRECT: no PASS is open, or it would
 *                                               have been joined, and later opens join this one)
 */
static enum open_step next_step(const struct open_found *found)
{
    if (found->filling)
        return found->passes && found->sealed && !found->other ? STEP_AGAIN : STEP_DIRECT;
    if (found->other)
        return STEP_AGAIN;
    if (!found->passes)
        return found->direct ? STEP_DIRECT : STEP_CACHED;
    if (found->sealed)
        return STEP_PASS;
    if (found->small)
        return found->kept ? STEP_FILL : STEP_DIRECT;
    return STEP_AGAIN;
}

/* A ticket that is still good. */
static bool is_live(const struct open_ticket *t, int64_t now_ms)
{
    return t->file && now_ms - t->at_ms < (t->thread ? ESTALE_MS : ESTALE_UNKNOWN_MS);
}

/* True: this open is the second attempt of one that was told ESTALE, or may be. */
static bool take_ticket_locked(struct open_modes *m, const struct open_ask *ask) REQUIRES(m->lock)
{
    bool found = false;
    size_t end = 0;
    for (size_t i = 0; i < m->tickets_end; i++) {
        struct open_ticket *t = &m->tickets[i];
        if (!is_live(t, ask->now_ms))
            continue;
        if (t->file == ask->pass_node && t->thread == ask->thread) {
            found = true;
            if (t->thread) {
                t->file = 0;
                continue;
            }
        }
        end = i + 1;
    }
    m->tickets_end = end;
    return found;
}

/* False where too many have been told lately: none of them may be forgotten. */
static bool give_ticket_locked(struct open_modes *m, const struct open_ask *ask) REQUIRES(m->lock)
{
    size_t i = 0;
    while (i < m->tickets_end && is_live(&m->tickets[i], ask->now_ms))
        i++;
    if (i == OPEN_TICKETS_MAX)
        return false;
    m->tickets[i] =
        (struct open_ticket){.file = ask->pass_node, .thread = ask->thread, .at_ms = ask->now_ms};
    if (i == m->tickets_end)
        m->tickets_end++;
    return true;
}

static bool take_ticket(struct open_modes *m, const struct open_ask *ask) EXCLUDES(m->lock)
{
    bool taken;
    WITH_LOCK (&m->lock)
        taken = take_ticket_locked(m, ask);
    return taken;
}

/*
 * ESTALE; or, to one who comes back from it or who may not be told, direct mode here: the kernel
 * asks twice and no more. Where direct mode is not to be had, ESTALE it is.
 */
static int look_again(struct open_modes *m, const struct open_ask *ask, struct open_way *way,
                      struct err *err) EXCLUDES(m->lock)
{
    bool told = false, must = ask->found.other;
    if (!ask->came_back || must)
        WITH_LOCK (&m->lock)
            told = give_ticket_locked(m, ask);
    if (ask->came_back && must)
        return err_set(err, ESTALE, "the file was replaced while it was open");
    if (told || must)
        return -ESTALE;
    way->mode = OPEN_DIRECT;
    return 0;
}

/* Sets way->mode, or leaves it OPEN_NONE where something else is found now. */
static int take_step(struct open_modes *m, struct open_ask *ask, struct open_way *way,
                     struct err *err) EXCLUDES(m->lock)
{
    int rc = 0;
    switch (next_step(&ask->found)) {
    case STEP_PASS:
        rc = ask->back(ask, way, err);
        way->mode = rc == 0 && way->backing ? OPEN_PASS : OPEN_NONE;
        break;
    case STEP_CACHED:
        way->mode = OPEN_CACHED;
        break;
    case STEP_DIRECT:
        way->mode = OPEN_DIRECT;
        break;
    case STEP_FILL:
        rc = ask->fill(ask, err);
        break;
    case STEP_AGAIN:
        rc = look_again(m, ask, way, err);
        break;
    }
    return rc;
}

/* Passes already, but something of its file turned out to be wrong and has been forgotten. */
static bool passes_damaged(struct open_modes *m, const struct open_ask *ask) EXCLUDES(m->lock)
{
    bool passes;
    if (ask->found.sealed || ask->found.filling)
        return false;
    WITH_LOCK (&m->lock) {
        const struct open_node *n = map_find(&m->nodes, key_of(&ask->node));
        passes = n && n->way.mode == OPEN_PASS && !is_other(n, ask->identity);
    }
    return passes;
}

/* The kernel will have it read from that file, so the file is mended before. */
static int mend(struct open_ask *ask, struct err *err)
{
    int rc = ask->fill(ask, err);
    return rc < 0 || ask->found.sealed
               ? rc
               : err_set(err, EIO, "damaged in the cache, and it cannot be mended now");
}

int open_mode_open(struct open_modes *m, struct open_ask *ask, struct open_way *out,
                   struct err *err)
{
    struct open_way way = {.mode = OPEN_NONE, .identity = ask->identity};
    struct open_way now = {.mode = OPEN_NONE};
    if (!ask->came_back)
        ask->came_back = take_ticket(m, ask);
    if (ask->remember)
        *ask->remember = ask->came_back; /* before anything parks: who asks may be gone then */
    int rc = passes_damaged(m, ask) ? mend(ask, err) : 0;
    if (rc < 0)
        return rc;
    /* Who opens a filling node may find that the file passes by now, whoever else has it open. */
    if (ask->found.filling)
        ask->found.other = open_mode_other(m, ask->pass_node, ask->identity);
    else if (join(m, ask, out, &ask->found.other))
        return 0;
    while (rc == 0 && way.mode == OPEN_NONE)
        rc = take_step(m, ask, &way, err);
    if (rc < 0)
        return rc;
    rc = enter(m, ask, &way, &now, err);
    if (way.backing && (rc < 0 || now.backing != way.backing))
        ask->drop(ask, &way);
    if (rc == 0)
        *out = now;
    return rc;
}
