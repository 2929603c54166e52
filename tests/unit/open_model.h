/* SPDX-License-Identifier: Apache-2.0 */
/* A model of the kernel's inodes and of a cache, between which opens walk at random. */
#ifndef TESTS_UNIT_OPEN_MODEL_H
#define TESTS_UNIT_OPEN_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "fs/open_mode.h"

/* The model: files with an object that is sealed and evicted, each with two nodes of the kernel's.
 */

#define FILES 4
#define HANDLES 24
#define PENDING 6 /* opens that are under way side by side */

static unsigned long long seed;

static unsigned chance(unsigned n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33) % n;
}

/* An inode of the kernel's, as fs/fuse/iomode.c has it. */
struct inode {
    int cached; /* opens that use its pages */
    int passed; /* opens that pass */
    int32_t backing;
};

struct file {
    bool small, sealed, refused; /* refused: its filesystem does not pass */
    uint64_t identity;           /* of its object now */
    unsigned users;              /* references by the modes' table */
    struct inode inodes[2];      /* pass node, filling node */
};

struct handle {
    struct file *file; /* NULL: free */
    bool filling, mapped;
    enum open_mode mode;
    int32_t backing;
    uint64_t identity;
};

/* An open that is under way: looked up, told ESTALE, answered and not taken by the kernel yet. */
struct pending {
    struct file *file; /* NULL: free */
    int32_t thread;
    bool filling, told, answered;
    struct open_way way;
    uint64_t identity, looked_up;
};

struct world {
    struct open_modes modes;
    struct file files[FILES];
    struct handle handles[HANDLES];
    struct pending pending[PENDING];
    bool passes, full, rival;
    int64_t now_ms;
    int32_t next_backing;
    unsigned backings; /* open now */
    unsigned long opens[OPEN_DIRECT + 1], told;
};

static uint64_t node_of_file(const struct world *w, const struct file *f, bool filling)
{
    return (uint64_t)(f - w->files + 1) * 2 + filling;
}

struct model_ask {
    struct open_ask ask;
    struct world *world;
    struct file *file;
    uint64_t identity;
};

static int model_open(struct world *w, struct file *f, bool filling, int32_t thread,
                      struct open_way *way);

/* Another thread opens the pass node while the first one makes its file known to the kernel. */
static void open_as_rival(struct world *w, struct file *f)
{
    struct pending *p = &w->pending[chance(PENDING)];
    if (p->file || w->rival)
        return;
    w->rival = true;
    *p = (struct pending){.file = f, .thread = 1000, .identity = f->identity};
    if (model_open(w, f, false, p->thread, &p->way) == 0)
        p->answered = true;
    else
        p->file = NULL;
    w->rival = false;
}

static int model_back(struct open_ask *ask, struct open_way *way, struct err *err)
{
    struct model_ask *a = CONTAINER_OF(ask, struct model_ask, ask);
    (void)err;
    if (a->file->refused) {
        ask->found.passes = false;
        return 0;
    }
    if (chance(50) == 0 && a->file->users == 0)
        a->file->sealed = false; /* evicted at this very moment */
    if (!a->file->sealed) {
        ask->found.sealed = ask->found.kept = false;
        return 0;
    }
    a->file->users++; /* from here on it is not evicted, whoever else opens it */
    open_as_rival(a->world, a->file);
    way->backing = ++a->world->next_backing;
    way->object = (struct object *)(void *)a->file;
    a->world->backings++;
    return 0;
}

static int model_fill(struct open_ask *ask, struct err *err)
{
    struct model_ask *a = CONTAINER_OF(ask, struct model_ask, ask);
    (void)err;
    if (a->world->full)
        ask->found.kept = false;
    else
        ask->found.sealed = a->file->sealed = true;
    return 0;
}

static void give_back(struct world *w, const struct open_way *way)
{
    if (way->mode != OPEN_PASS)
        return;
    ((struct file *)(void *)way->object)->users--;
    w->backings--;
}

static void model_drop(struct open_ask *ask, const struct open_way *way)
{
    give_back(CONTAINER_OF(ask, struct model_ask, ask)->world, way);
}

static int model_open(struct world *w, struct file *f, bool filling, int32_t thread,
                      struct open_way *way)
{
    uint64_t pass_node = node_of_file(w, f, false);
    struct err err = ERR_INIT;
    struct model_ask a = {
        .ask = {.node = pass_node + filling,
                .pass_node = pass_node,
                .identity = f->identity,
                .thread = thread,
                .now_ms = w->now_ms,
                .found = {.filling = filling,
                          .passes = w->passes,
                          .sealed = f->sealed,
                          .small = f->small,
                          .kept = true},
                .back = model_back,
                .fill = model_fill,
                .drop = model_drop},
        .world = w,
        .file = f,
    };
    return open_mode_open(&w->modes, &a.ask, way, &err);
}

/* The node that a lookup gives. */
static bool looks_up_filling(struct world *w, const struct file *f)
{
    return (w->passes && !f->small && !f->sealed) ||
           open_mode_other(&w->modes, node_of_file(w, f, false), f->identity);
}

/* The kernel's part of an open: what it refuses fails the test. */
static void kernel_open(struct inode *inode, const struct handle *h)
{
    switch (h->mode) {
    case OPEN_PASS:
        assert_int_equal(inode->cached, 0);
        assert_true(inode->passed == 0 || inode->backing == h->backing);
        inode->backing = h->backing;
        inode->passed++;
        return;
    case OPEN_CACHED:
        assert_int_equal(inode->passed, 0);
        inode->cached++;
        return;
    case OPEN_DIRECT:
        assert_int_equal(inode->passed, 0);
        return;
    case OPEN_NONE:
        break;
    }
    fail();
}

/* A shared mapping makes a direct open one that uses the pages. */
static void kernel_map(struct world *w, struct handle *h)
{
    struct inode *inode = &h->file->inodes[h->filling];
    (void)w;
    if (h->mode != OPEN_DIRECT || h->mapped)
        return;
    assert_int_equal(inode->passed, 0);
    inode->cached++;
    h->mapped = true;
}

static void kernel_close(struct handle *h)
{
    struct inode *inode = &h->file->inodes[h->filling];
    inode->passed -= h->mode == OPEN_PASS;
    inode->cached -= h->mode == OPEN_CACHED || h->mapped;
}

static void release(struct world *w, struct handle *h)
{
    struct open_way left;
    kernel_close(h);
    open_mode_leave(&w->modes, node_of_file(w, h->file, h->filling), &left);
    give_back(w, &left);
    h->file = NULL;
}

static void go_on(struct world *w, struct pending *p, struct handle *h)
{
    struct file *f = p->file;
    if (!p->answered) {
        uint64_t identity = f->identity;
        int rc = model_open(w, f, p->filling, p->thread, &p->way);
        if (rc == -ESTALE && p->told) { /* the user sees it: the name's file was replaced again */
            assert_true(identity != p->looked_up);
            p->file = NULL;
            return;
        }
        if (rc == -ESTALE) {
            w->told++;
            p->told = true;
            p->filling = looks_up_filling(w, f);
            p->looked_up = identity;
            return;
        }
        assert_int_equal(rc, 0);
        assert_true(!p->filling || p->way.mode == OPEN_DIRECT);
        assert_true(w->passes || p->way.mode != OPEN_PASS || f->inodes[0].passed > 0);
        assert_true(p->way.mode == OPEN_DIRECT || p->way.identity == identity);
        w->opens[p->way.mode]++;
        p->answered = true;
        p->identity = identity;
        return;
    }
    *h = (struct handle){.file = f,
                         .filling = p->filling,
                         .mode = p->way.mode,
                         .backing = p->way.backing,
                         .identity = p->identity};
    kernel_open(&f->inodes[p->filling], h);
    p->file = NULL;
}

static struct handle *free_handle(struct world *w)
{
    for (size_t i = 0; i < HANDLES; i++)
        if (!w->handles[i].file)
            return &w->handles[i];
    return NULL;
}

static void change_something(struct world *w)
{
    struct file *f = &w->files[chance(FILES)];
    w->now_ms += chance(20);
    switch (chance(40)) {
    case 0:
        w->full = chance(2);
        break;
    case 1:
        f->refused = chance(4) == 0;
        break;
    case 2: /* replaced at the source: another object, not sealed */
        f->identity++;
        f->sealed = false;
        break;
    default:
        if (f->users == 0 || !f->sealed) /* what is open is not evicted */
            f->sealed = chance(2);
    }
}

/* Time passes, but not so much that a retry comes too late. */
static void rest(struct world *w)
{
    for (size_t i = 0; i < PENDING; i++)
        if (w->pending[i].file && w->pending[i].told)
            return;
    w->now_ms += chance(2 * (unsigned)(chance(2) ? ESTALE_MS : ESTALE_UNKNOWN_MS));
}

static void step_world(struct world *w)
{
    struct handle *h = &w->handles[chance(HANDLES)];
    struct pending *p = &w->pending[chance(PENDING)];
    switch (chance(5)) {
    case 0:
        if (h->file)
            release(w, h);
        break;
    case 1:
        if (h->file)
            kernel_map(w, h);
        break;
    case 2:
        change_something(w);
        rest(w);
        break;
    default:
        if (!p->file) { /* by a name that was looked up at some time */
            ptrdiff_t at = p - w->pending;
            *p = (struct pending){.file = &w->files[chance(FILES)],
                                  .thread = at < PENDING / 2 ? (int32_t)at + 1 : 0,
                                  .filling = chance(2)};
        } else if (free_handle(w)) {
            go_on(w, p, free_handle(w));
        }
    }
}

static void end_world(struct world *w)
{
    w->rival = true; /* nobody else comes */
    for (size_t i = 0; i < HANDLES; i++)
        if (w->handles[i].file)
            release(w, &w->handles[i]);
    for (size_t i = 0; i < PENDING; i++) {
        while (w->pending[i].file)
            go_on(w, &w->pending[i], &w->handles[0]);
        if (w->handles[0].file)
            release(w, &w->handles[0]);
    }
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    open_modes_init(&w->modes);
    w->now_ms = 77;
    return w;
}

static void world_free(struct world *w)
{
    open_modes_done(&w->modes);
    free(w);
}

#endif
