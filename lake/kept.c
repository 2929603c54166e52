/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/kept.h"

struct kept_name {
    struct kept_name *prev, *next; /* expire earlier, later */
    struct kept_file file;
    int64_t until_ms;
    size_t length;
    char path[];
};

void kept_init(struct kept *k)
{
    *k = (struct kept){0};
    map_init(&k->by_path, KEPT_MAX);
}

static void drop(struct kept *k, struct kept_name *n)
{
    *(n->prev ? &n->prev->next : &k->oldest) = n->next;
    *(n->next ? &n->next->prev : &k->newest) = n->prev;
    (void)map_remove(&k->by_path, slice_make(n->path, n->length)); /* it is there */
    free(n);
}

void kept_done(struct kept *k)
{
    while (k->oldest)
        drop(k, k->oldest);
    map_done(&k->by_path);
}

void kept_expire(struct kept *k, int64_t now_ms)
{
    while (k->oldest && k->oldest->until_ms <= now_ms)
        drop(k, k->oldest);
}

int kept_add(struct kept *k, struct slice path, struct kept_file file, int64_t until_ms)
{
    struct kept_name *n = malloc(sizeof *n + path.n);
    if (!n)
        return -ENOMEM;
    *n = (struct kept_name){.file = file, .until_ms = until_ms, .length = path.n};
    memcpy(n->path, path.p, path.n);
    struct kept_name *replaced = map_find(&k->by_path, path);
    if (replaced || k->by_path.count == KEPT_MAX)
        drop(k, replaced ? replaced : k->oldest);
    int rc = map_put(&k->by_path, slice_make(n->path, n->length), n);
    if (rc < 0) {
        free(n);
        return rc;
    }
    n->prev = k->newest;
    *(n->prev ? &n->prev->next : &k->oldest) = n;
    k->newest = n;
    return 0;
}

bool kept_find(const struct kept *k, struct slice path, struct kept_file *out)
{
    const struct kept_name *n = map_find(&k->by_path, path);
    if (!n)
        return false;
    *out = n->file;
    return true;
}
