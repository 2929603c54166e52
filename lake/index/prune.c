/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/index/prune.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/vec.h"

struct made {
    int64_t ns; /* of its modification */
    size_t kind;
    char name[RUN_NAME_BYTES];
};

/* Grown by vec_push. */
struct made_list {
    struct made *at;
    size_t n, capacity, max;
};

static int newest_first(const void *a, const void *b)
{
    int64_t x = ((const struct made *)a)->ns, y = ((const struct made *)b)->ns;
    return (x < y) - (x > y);
}

static size_t kind_of(const struct prune_kind *kinds, size_t n, struct slice name)
{
    size_t i = 0;
    while (i < n && !kinds[i].is(name))
        i++;
    return i;
}

/* What is there of the kinds. Of more than the list holds, the rest waits for the next time. */
static void collect(DIR *dir, const struct prune_kind *kinds, size_t n, struct made_list *list)
{
    for (struct dirent *d; (d = readdir(dir));) {
        struct slice name = slice_of(d->d_name);
        struct made made = {.kind = kind_of(kinds, n, name)};
        struct stat st;
        if (made.kind == n || name.n >= sizeof made.name ||
            fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        made.ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
        memcpy(made.name, name.p, name.n + 1); /* with its final zero */
        if (vec_push(list, made) < 0)
            return;
    }
}

static void remove_old(int fd, const struct prune_kind *kind, size_t which,
                       const struct made_list *list)
{
    size_t seen = 0;
    int64_t leftover_ms = kind->leftover_ms ? clock_real_ms() - kind->leftover_ms : INT64_MIN;
    for (size_t i = 0; i < list->n; i++) {
        const struct made *m = &list->at[i];
        if (m->kind == which && (seen++ >= kind->keep || m->ns / 1000000 < leftover_ms))
            (void)unlinkat(fd, m->name, 0); /* tried again the next time */
    }
}

void prune_runs(int dirfd_, const struct prune_kind *kinds, size_t n)
{
    struct made_list list = VEC_MAX(VERSIONS_MAX);
    DIR *dir = run_dir_open(dirfd_, NULL);
    if (!dir)
        return;
    collect(dir, kinds, n, &list);
    if (list.n)
        qsort(list.at, list.n, sizeof list.at[0], newest_first);
    for (size_t i = 0; i < n; i++)
        remove_old(dirfd_, &kinds[i], i, &list);
    (void)closedir(dir); /* only read */
    vec_done(&list);
}
