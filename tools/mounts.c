/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/mounts.h"

#include <limits.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* The path is the mount point, or below it. */
static bool is_below(const char *path, const char *mountpoint)
{
    size_t n = strlen(mountpoint);
    return strcmp(mountpoint, "/") == 0 ||
           (strncmp(path, mountpoint, n) == 0 && (!path[n] || path[n] == '/'));
}

int mounts_source(const char *path, char **out, struct err *err)
{
    char room[4 * PATH_MAX];
    struct mntent entry;
    AUTO_FREE char *real = realpath(path, NULL);
    AUTO_FREE char *source = NULL;
    size_t longest = 0;
    if (!real)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    FILE *f = setmntent("/proc/self/mounts", "re");
    if (!f)
        return err_set(err, errno, "/proc/self/mounts: %s", strerror(errno));
    while (getmntent_r(f, &entry, room, sizeof room)) {
        size_t n = strlen(entry.mnt_dir);
        if (n < longest || !is_below(real, entry.mnt_dir))
            continue;
        longest = n; /* of one point the last one is on top */
        free(source);
        source = strcmp(entry.mnt_type, "fuse.tarn") == 0 ? strdup(entry.mnt_fsname) : NULL;
    }
    (void)endmntent(f);
    if (!source)
        return err_set(err, EXDEV, "%s is in no mount of tarn", path);
    *out = STEAL(source);
    return 0;
}
