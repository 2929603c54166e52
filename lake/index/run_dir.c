/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/index/run_dir.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

DIR *run_dir_open(int dirfd_, struct err *err)
{
    int fd = openat(dirfd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        (void)err_set(err, errno, "the directory of runs: %s", strerror(errno));
        if (fd >= 0)
            (void)close(fd); /* nothing was done with it */
    }
    return dir;
}

void run_unchecked_name(char name[RUN_NAME_BYTES])
{
    static _Atomic unsigned count;
    (void)snprintf(name, RUN_NAME_BYTES, "unchecked-%d-%u", (int)getpid(), count++);
}

bool run_is_unchecked(struct slice name)
{
    return slice_starts(name, SLICE_LIT("unchecked-"));
}
