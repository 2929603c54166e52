/* SPDX-License-Identifier: Apache-2.0 */
/* tarn doctor PATH: which tables at and below a path of a mount are refused, which objects are not
 * shown, and why; or why one file is refused. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "base/buf.h"
#include "base/limits.h"
#include "tools/arguments.h"
#include "tools/reason.h"
#include "tools/tools.h"

#define FUSE_MAGIC 0x65735546 /* linux/magic.h: FUSE_SUPER_MAGIC */
#define DEPTH_MAX 64          /* of directories above tables */

struct examination {
    unsigned good, refused, failed;
    unsigned incomplete; /* directories and tables that leave something out */
};

/* The attribute's text, or NULL. The caller frees it. */
static char *attribute(const char *path, const char *name)
{
    const size_t room = 64 * KIB;
    char *text = malloc(room + 1);
    ssize_t n = text ? getxattr(path, name, text, room) : -1;
    if (n < 0) {
        free(text);
        return NULL;
    }
    text[n] = '\0';
    return text;
}

/* Objects that have no name here: not silently. */
static void tell_left_out(struct examination *e, const char *path)
{
    AUTO_FREE char *text = attribute(path, "user.tarn.left_out");
    if (!text)
        return;
    for (char *line = text; *line;) {
        char *end = strchrnul(line, '\n');
        printf("%s: %.*s\n", path, (int)(end - line), line);
        line = *end ? end + 1 : end;
    }
    e->incomplete++;
}

/* One table: its latest version is read, or refused with a reason. */
static void examine_table(struct examination *e, const char *path, const char *format)
{
    AUTO_FREE char *error = attribute(path, "user.tarn.error");
    AUTO_FREE char *version = attribute(path, "user.tarn.version");
    if (error) {
        printf("%s: %s, refused: %s\n", path, format, error);
        e->refused++;
        return;
    }
    if (version)
        printf("%s: %s, version %s, good\n", path, format, version);
    else
        printf("%s: %s, good\n", path, format);
    e->good++;
}

/* One file of a table: it can be opened, as far as that is known without reading all of it. */
static void examine_file(struct examination *e, const char *path)
{
    AUTO_FREE char *error = attribute(path, "user.tarn.error");
    AUTO_FREE char *format = attribute(path, "user.tarn.format");
    AUTO_FREE char *transform = attribute(path, "user.tarn.transform");
    if (error) {
        printf("%s: refused: %s\n", path, error);
        e->refused++;
    } else if (format) {
        printf("%s: %s, transform %s, good\n", path, format, transform ? transform : "unknown");
        e->good++;
    }
}

static void examine(struct examination *e, const char *path, unsigned depth);

static void examine_children(struct examination *e, const char *path, unsigned depth)
{
    struct dirent **names = NULL;
    int n = scandir(path, &names, NULL, alphasort);
    if (n < 0) {
        printf("%s: cannot be listed: %s\n", path, strerror(errno));
        e->failed++;
        return;
    }
    for (int i = 0; i < n; i++) {
        AUTO_FREE char *child = NULL;
        const char *name = names[i]->d_name;
        bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
        if (!dots && names[i]->d_type == DT_DIR && asprintf(&child, "%s/%s", path, name) >= 0)
            examine(e, child, depth + 1);
        free(names[i]);
    }
    free(names);
}

static void examine(struct examination *e, const char *path, unsigned depth)
{
    AUTO_FREE char *format = attribute(path, "user.tarn.format");
    tell_left_out(e, path);
    if (format)
        examine_table(e, path, format);
    else if (depth < DEPTH_MAX)
        examine_children(e, path, depth);
}

int cmd_doctor(int argc, char **argv)
{
    struct examination e = {0};
    struct stat st;
    struct statfs fs;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        printf("usage: tarn doctor PATH\n\nPATH is a table in a mount, a directory above some, or "
               "a file of "
               "one.\nExit status 1 where one of them is refused.\n");
        return EXIT_OK;
    }
    struct arguments a = {.argc = argc, .argv = argv};
    bool option;
    const char *path = arguments_next(&a, &option);
    if (!path || option || arguments_value(&a))
        return usage_error("doctor", "one PATH in a mount is needed");
    if (stat(path, &st) < 0 && (errno == EIO || errno == EOPNOTSUPP)) {
        struct err err = ERR_INIT;
        (void)reason_set(&err, errno, path);
        printf("%s\n", err.msg);
        return EXIT_FAILED;
    }
    if (stat(path, &st) < 0 || !(S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))) {
        (void)fprintf(stderr, "tarn doctor: %s is no directory and no file\n", path);
        return EXIT_FAILED;
    }
    if (statfs(path, &fs) < 0 || fs.f_type != FUSE_MAGIC) {
        (void)fprintf(stderr, "tarn doctor: %s is not in a mount of tarn\n", path);
        return EXIT_FAILED;
    }
    if (S_ISREG(st.st_mode))
        examine_file(&e, path);
    else
        examine(&e, path, 0);
    if (e.good + e.refused + e.failed > 1)
        printf("%u good, %u refused, %u not readable\n", e.good, e.refused, e.failed);
    else if (e.good + e.refused + e.failed == 0)
        printf("%s: no table here\n", argv[1]);
    if (e.incomplete)
        printf("%u %s not everything: see above\n", e.incomplete,
               e.incomplete == 1 ? "directory shows" : "directories show");
    return e.refused || e.failed ? EXIT_FAILED : EXIT_OK;
}
