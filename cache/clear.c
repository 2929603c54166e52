/* SPDX-License-Identifier: Apache-2.0 */
/* Removing what stands where a file of the cache is to be, whatever it is. */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/private.h"

#define STRAYS "strays"
#define STRAYS_MAX 1000 /* of one name */

/* Whoever put something there wants it back, maybe: it leaves objects/, and stays. */
static bool move_aside(struct cache *c, const char *path)
{
    char from[NAME_MAX + 16], to[NAME_MAX + 16];
    const char *name = strrchr(path, '/');
    (void)snprintf(from, sizeof from, "objects/%s", path);
    (void)mkdirat(c->dirfd, STRAYS, 0700); /* or it is there */
    AUTO_FD int strays = openat(c->dirfd, STRAYS, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    for (unsigned i = 0; strays >= 0 && i < STRAYS_MAX; i++) {
        (void)snprintf(to, sizeof to, "%.*s.%u", NAME_MAX - 8, name ? name + 1 : path, i);
        /* Not through objects_fd, which may be of another mount. */
        if (renameat2(c->dirfd, from, strays, to, RENAME_NOREPLACE) == 0)
            return true;
        if (errno != EEXIST)
            return false;
    }
    return false;
}

bool cache_clear(struct cache *c, const char *path)
{
    char text[NAME_MAX + 160];
    if (unlinkat(c->objects_fd, path, 0) == 0)
        return true;
    if (errno != EISDIR)
        return false;
    bool empty = unlinkat(c->objects_fd, path, AT_REMOVEDIR) == 0, gone = empty;
    if (!empty)
        gone = move_aside(c, path);
    c->damaged += gone;
    (void)snprintf(text, sizeof text, "objects/%s: a directory in place of a file; %s", path,
                   empty  ? "it was empty and is removed"
                   : gone ? "it is in " STRAYS "/ now, with what is in it"
                          : "it cannot be moved away");
    if (gone)
        cache_tell(c, text);
    return gone;
}
