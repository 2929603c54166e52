/* SPDX-License-Identifier: Apache-2.0 */
/* tarn umount MOUNTPOINT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tools/arguments.h"
#include "tools/tools.h"

/* What users who are not root have: the setuid helper of FUSE. */
static int run_fusermount(const char *mountpoint)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        execlp("fusermount3", "fusermount3", "-u", "--", mountpoint, (char *)NULL);
        (void)fprintf(stderr, "tarn umount: fusermount3: %s\n", strerror(errno));
        _exit(1);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return EXIT_FAILED;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? EXIT_OK : EXIT_FAILED;
}

/* The mount's type, as the kernel lists it, is ours. The path there is escaped in octal. */
static int is_tarn_mount(const char *mountpoint)
{
    AUTO_FILE FILE *f = fopen("/proc/self/mounts", "re");
    AUTO_FREE char *line = NULL;
    size_t room = 0;
    int found = 0;
    while (f && getline(&line, &room, f) > 0) {
        char *save = NULL;
        (void)strtok_r(line, " ", &save); /* the source */
        char *path = strtok_r(NULL, " ", &save), *type = strtok_r(NULL, " ", &save);
        if (!path || !type)
            continue;
        char *to = path;
        for (const char *from = path; *from; from++)
            if (from[0] == '\\' && from[1] && from[2] && from[3]) {
                *to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
                from += 3;
            } else {
                *to++ = *from;
            }
        *to = '\0';
        if (strcmp(path, mountpoint) == 0)
            found = strcmp(type, "fuse.tarn") == 0; /* the last one is on top */
    }
    return found;
}

int cmd_umount(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        printf("usage: tarn umount MOUNTPOINT\n");
        return EXIT_OK;
    }
    struct arguments a = {.argc = argc, .argv = argv};
    bool option;
    const char *path = arguments_next(&a, &option);
    if (!path || option || arguments_value(&a))
        return usage_error("umount", "one MOUNTPOINT is needed");
    AUTO_FREE char *real = realpath(path, NULL);
    const char *mountpoint = real ? real : path; /* a dead mount cannot be resolved */
    if (!is_tarn_mount(mountpoint)) {
        (void)fprintf(stderr, "tarn umount: %s is no mount of tarn\n", path);
        return EXIT_FAILED;
    }
    if (geteuid() != 0)
        return run_fusermount(mountpoint);
    if (umount2(mountpoint, 0) < 0) {
        (void)fprintf(stderr, "tarn umount: %s: %s\n", path, strerror(errno));
        return EXIT_FAILED;
    }
    return EXIT_OK;
}
