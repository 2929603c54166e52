/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ask.h"

#include <sys/xattr.h>

#include "tools/control.h"

#define TRIES 5 /* a daemon that is just ending closes the socket before it answers */
#define CACHE_ATTRIBUTE "user.tarn.cache"

/* One connection. -EPIPE before the first line: it was ending. */
static int ask_once(const char *dir, enum maintenance what,
                    bool (*line)(void *arg, struct slice text), void *arg, struct err *err)
{
    AUTO_FD int fd = -1;
    AUTO(buf) struct buf text = {0};
    buf_init(&text, CONTROL_MESSAGE_MAX);
    buf_addf(&text, "{\"op\":\"cache\",\"action\":\"%s\"}", maintenance_name(what));
    int rc = control_connect(dir, &fd, err);
    if (rc == 0)
        rc = control_check_peer(fd, err);
    if (rc == 0)
        rc = control_send(fd, buf_slice(&text), -1, err);
    for (bool first = true; rc == 0; first = false) {
        struct maintenance_line parsed = {0};
        int passed = -1;
        rc = control_receive(fd, &text, &passed, err);
        if (passed >= 0)
            (void)close(passed); /* none was asked for */
        if (rc == -EPIPE && !first)
            return err_set(err, EIO, "the daemon of %s ended before it had answered", dir);
        if (rc == 0)
            rc = maintain_parse(buf_slice(&text), &parsed, err);
        if (rc == 0 && !parsed.has_report && !parsed.last)
            rc = control_check_answer(buf_slice(&text), err);
        if (rc == 0 && (!line(arg, buf_slice(&text)) || parsed.last))
            return 0;
    }
    return rc;
}

int ask_daemon(const char *dir, enum maintenance what, bool (*line)(void *arg, struct slice text),
               void *arg, struct err *err)
{
    int rc = -EPIPE;
    for (int i = 0; i < TRIES && (rc == -EPIPE || rc == -ECONNRESET); i++)
        rc = ask_once(dir, what, line, arg, err);
    return rc;
}

int ask_directory(const char *path, char dir[PATH_MAX], struct err *err)
{
    ssize_t n = getxattr(path, CACHE_ATTRIBUTE, dir, PATH_MAX - 1);
    if (n < 0 && (errno == ENODATA || errno == EOPNOTSUPP))
        return err_set(err, EXDEV, "%s is not in a mount of tarn", path);
    if (n < 0)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    dir[n] = '\0';
    return 0;
}

static bool take_line(void *arg, struct slice text)
{
    return maintain_parse(text, arg, NULL) == 0;
}

bool ask_limit(const char *path, uint64_t *limit_bytes)
{
    char dir[PATH_MAX];
    struct maintenance_line line = {0};
    if (ask_directory(path, dir, NULL) < 0 ||
        ask_daemon(dir, MAINTENANCE_STAT, take_line, &line, NULL) < 0 || !line.last)
        return false;
    *limit_bytes = line.stat.limit_bytes;
    return true;
}
