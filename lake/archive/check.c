/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/archive/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "lake/archive/overlay_private.h"

/* A directory for the indexes of a driver that shall find nothing that is there already. */
static int make_dir(int parent, char name[32], struct err *err)
{
    for (unsigned i = 0;; i++) {
        (void)snprintf(name, 32, "archive-check-%d-%u", (int)getpid(), i); /* fits */
        if (mkdirat(parent, name, 0700) == 0)
            break;
        if (errno != EEXIST)
            return err_set(err, errno, "%s: %s", name, strerror(errno));
    }
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_set(err, errno, "%s: %s", name, strerror(errno)) : fd;
}

static void remove_dir(int parent, const char *name, int dirfd)
{
    DIR *d = fdopendir(dirfd);
    const struct dirent *e;
    while (d && (e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            (void)unlinkat(dirfd, e->d_name, 0); /* what stays is of no use to anybody */
    (void)unlinkat(parent, name, AT_REMOVEDIR);
    if (d)
        (void)closedir(d);
    else
        (void)close(dirfd);
}

struct sum {
    uint64_t files, hash;
    uint64_t proven; /* shown as they are stored */
};

/* Of all files, in whatever order. */
static int add_file(void *arg, const struct entry *e)
{
    struct sum *s = arg;
    uint64_t about[] = {e->size, e->flags & (ENTRY_DELETES | ENTRY_BUILT)};
    uint64_t hash = hash64(hash64(1, e->path), slice_make(about, sizeof about));
    ptrdiff_t end = slice_find(e->extra, '\n'); /* as far as it is of the file's identity */
    hash = hash64(hash, slice_make(e->extra.p, end < 0 ? e->extra.n : (size_t)end));
    s->hash += hash64(hash, e->raw);
    s->files++;
    s->proven += (e->flags & ENTRY_AS_STORED) != 0;
    return 0;
}

static int compare(const struct snapshot *is, const struct snapshot *was, struct err *err)
{
    struct sum a = {0}, b = {0};
    int rc = snapshot_each_file(is, add_file, &a, err);
    if (rc == 0)
        rc = snapshot_each_file(was, add_file, &b, err);
    if (rc < 0)
        return rc;
    if (a.hash != b.hash || a.files != b.files)
        return err_set(err, EIO, "it reads as %llu files, %llu were archived, or others",
                       (unsigned long long)a.files, (unsigned long long)b.files);
    return 0;
}

static int load(struct driver *d, const struct archive_copy *c, struct snapshot **out,
                struct err *err)
{
    AUTO(history) struct history *h = NULL;
    if (!c->history)
        return d->ops->moment(d, c->version.number, out, err);
    int rc = d->ops->history(d, NULL, &h, err);
    if (rc < 0)
        return rc;
    ptrdiff_t position = history_find(h, c->version.number);
    if (position < 0)
        return err_set(err, EIO, "its log does not make it");
    return d->ops->load(d, h, (size_t)position, out, err);
}

static int check_in(const struct archive_copy *c, int dirfd, struct err *err)
{
    AUTO(snapshot) struct snapshot *s = NULL;
    struct driver_config config = *c->config;
    struct driver *d = NULL;
    AUTO(store) struct store *alone = archive_alone(c->archive, c->config->store, err);
    if (!alone)
        return -err->code;
    config.store = alone;
    config.index_dirfd = dirfd;
    int rc = c->driver->ops->open(&config, &d, err);
    if (rc == 0)
        rc = load(d, c, &s, err);
    if (rc == 0)
        rc = compare(s, c->snapshot, err);
    if (d)
        d->ops->close(d);
    return rc;
}

int archive_check(const struct archive_copy *c, const struct manifest *m, struct err *err)
{
    char name[32];
    if (!c->snapshot)
        return 0;
    int dirfd = make_dir(c->config->index_dirfd, name, err);
    if (dirfd < 0)
        return dirfd;
    int rc = check_in(c, dirfd, err);
    remove_dir(c->config->index_dirfd, name, dirfd);
    return rc < 0 ? err_wrap(err, "version %lld from the archive alone", (long long)m->version) : 0;
}
