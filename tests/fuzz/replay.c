/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target once over each file (or each file of each directory) named on the command
 * line. */
#include <dirent.h>
#include <fcntl.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long replayed;

static int replay_file(int dirfd, const char *name)
{
    struct err err = ERR_INIT;
    AUTO(buf) struct buf data = {0};
    buf_init(&data, (size_t)256 << 20);
    if (file_read(dirfd, name, &data, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return -1;
    }
    /* A copy of exactly that size, so that a sanitizer sees a read past its end. */
    AUTO_FREE uint8_t *copy = malloc(data.len ? data.len : 1);
    if (!copy)
        return -1;
    if (data.len)
        memcpy(copy, data.data, data.len);
    replayed++;
    return LLVMFuzzerTestOneInput(copy, data.len);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (!dir) {
            if (replay_file(AT_FDCWD, argv[i]) < 0)
                return 1;
            continue;
        }
        for (struct dirent *d; (d = readdir(dir));)
            if (d->d_type == DT_REG && replay_file(dirfd(dir), d->d_name) < 0)
                return 1;
        (void)closedir(dir); /* only read */
    }
    printf("%lu inputs replayed\n", replayed);
    return replayed ? 0 : 1;
}
