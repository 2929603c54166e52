/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/kept.h"

struct kept_name {
    struct kept_name *next; /* expires later */
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

static void drop_oldest(struct kept *k)
{
    struct kept_name *n = k->oldest;
    struct slice path = slice_make(n->path, n->length);
    k->oldest = n->next;
    if (!k->oldest)
        k->newest = NULL;
    if (map_find(&k->by_path, path) == n) /* not replaced by a later one */
        (void)map_remove(&k->by_path, path);
    free(n);
}

void kept_done(struct kept *k)
{
    while (k->oldest)
        drop_oldest(k);
    map_done(&k->by_path);
}

void kept_expire(struct kept *k, int64_t now_ms)
{
    while (k->oldest && k->oldest->until_ms <= now_ms)
        drop_oldest(k);
}

int kept_add(struct kept *k, struct slice path, struct kept_file file, int64_t until_ms)
{
    struct kept_name *n = malloc(sizeof *n + path.n);
    if (!n)
        return -ENOMEM;
    *n = (struct kept_name){.file = file, .until_ms = until_ms, .length = path.n};
    memcpy(n->path, path.p, path.n);
    if (k->by_path.count == KEPT_MAX)
        drop_oldest(k);
    (void)map_remove(&k->by_path, path); /* its key lies in the name that is replaced */
    int rc = map_put(&k->by_path, slice_make(n->path, n->length), n);
    if (rc < 0) {
        free(n);
        return rc;
    }
    if (k->newest)
        k->newest->next = n;
    else
        k->oldest = n;
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
