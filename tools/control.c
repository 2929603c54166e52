/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/control.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/json.h"

static int address_of(const char *dir, struct sockaddr_un *out, struct err *err)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(out->sun_path, sizeof out->sun_path, "%s/" CONTROL_SOCKET, dir);
    if (n < 0 || (size_t)n >= sizeof out->sun_path)
        return err_set(err, ENAMETOOLONG, "the cache directory's path is too long for a socket: %s",
                       dir);
    return 0;
}

int control_check_directory(const char *dir, struct err *err)
{
    struct sockaddr_un address;
    return address_of(dir, &address, err);
}

/* Of the socket without a file; 0: the directory can be written, and has one with a file. */
static socklen_t address_without_file(const char *dir, struct sockaddr_un *out)
{
    struct stat st;
    if (access(dir, W_OK) == 0 || errno != EROFS || stat(dir, &st) < 0)
        return 0;
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(out->sun_path + 1, sizeof out->sun_path - 1, "tarn:%llx:%llx",
                     (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static int listen_without_file(const char *dir, int *out, struct err *err)
{
    struct sockaddr_un address;
    socklen_t length = address_without_file(dir, &address);
    AUTO_FD int fd = length ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 16) < 0)
        return err_set(err, errno, "control socket of %s: %s", dir, strerror(errno));
    *out = STEAL_FD(fd);
    return 0;
}

/* Anybody may take such a name: only our own daemon is one. */
static bool connect_without_file(const char *dir, int *out)
{
    struct sockaddr_un address;
    socklen_t length = address_without_file(dir, &address);
    AUTO_FD int fd = length ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, length) < 0 ||
        control_check_peer(fd, NULL) < 0)
        return false;
    *out = STEAL_FD(fd);
    return true;
}

int control_listen(const char *dir, int *out, struct err *err)
{
    struct sockaddr_un address;
    int rc = address_of(dir, &address, err);
    if (rc < 0)
        return rc;
    if (address_without_file(dir, &address))
        return listen_without_file(dir, out, err);
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)unlink(address.sun_path); /* whoever owned it is gone: we hold the directory's lock */
    mode_t before = umask(0177);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    (void)umask(before);
    if (!bound || listen(fd, 16) < 0)
        return err_set(err, errno, "%s: %s", address.sun_path, strerror(errno));
    *out = STEAL_FD(fd);
    return 0;
}

int control_connect(const char *dir, int *out, struct err *err)
{
    struct sockaddr_un address;
    int rc = address_of(dir, &address, err);
    if (rc < 0)
        return rc;
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int code = errno;
        if (connect_without_file(dir, out))
            return 0;
        return err_set(err, code, "%s: %s", address.sun_path, strerror(code));
    }
    *out = STEAL_FD(fd);
    return 0;
}

int control_check_peer(int fd, struct err *err)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
        return err_set(err, errno, "peer credentials: %s", strerror(errno));
    if (peer.uid != 0 && peer.uid != geteuid())
        return err_set(err, EPERM, "user %u is at the other side of the control socket",
                       (unsigned)peer.uid);
    return 0;
}

int control_send(int fd, struct slice line, int passed_fd, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, CONTROL_MESSAGE_MAX);
    buf_add_slice(&text, line);
    buf_add_char(&text, '\n');
    int rc = buf_check(&text, err);
    if (rc < 0)
        return rc;
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = {0}};
    for (size_t sent = 0; sent < text.len;) {
        struct iovec iov = {text.data + sent, text.len - sent};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
        if (passed_fd >= 0 && sent == 0) {
            message.msg_control = control.room;
            message.msg_controllen = sizeof control.room;
            struct cmsghdr *c = CMSG_FIRSTHDR(&message);
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(sizeof passed_fd);
            memcpy(CMSG_DATA(c), &passed_fd, sizeof passed_fd);
        }
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, errno, "control socket: %s", strerror(errno));
        sent += (size_t)n;
    }
    return 0;
}

/* The descriptor that came along, in place of one that came before. */
static void take_descriptor(struct msghdr *message, int *passed_fd)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        if (*passed_fd >= 0)
            (void)close(*passed_fd); /* one is all that a message has */
        memcpy(passed_fd, CMSG_DATA(c), sizeof *passed_fd);
    }
}

int control_receive(int fd, struct buf *line, int *passed_fd, struct err *err)
{
    AUTO_FD int passed = -1;
    buf_reset(line);
    for (;;) {
        char byte;
        union {
            struct cmsghdr align;
            char room[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = {&byte,
                            1}; /* messages are few and short, and none may be read into the next */
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = control.room,
                                 .msg_controllen = CMSG_LEN(sizeof passed)};
        ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, errno, "control socket: %s", strerror(errno));
        if (n == 0)
            return err_set(err, EPIPE, "the other side of the control socket has gone");
        take_descriptor(&message, &passed);
        if (byte == '\n')
            break;
        buf_add_char(line, byte);
        if (line->failed)
            return buf_check(line, err);
    }
    *passed_fd = STEAL_FD(passed);
    return 0;
}

void control_add_warning(struct slice line, struct buf *out)
{
    struct json j;
    struct slice key, text;
    AUTO(buf) struct buf scratch = {0};
    buf_init(&scratch, CONTROL_MESSAGE_MAX);
    json_init(&j, line);
    if (!json_enter_object(&j))
        return;
    while (json_next_key(&j, &key)) {
        if (!slice_is(key, "warning"))
            (void)json_skip(&j, NULL);
        else if (json_string(&j, &scratch, &text))
            buf_add_slice(out, text);
    }
}

int control_check_answer(struct slice line, struct err *err)
{
    struct json j;
    struct slice key;
    bool ok = false;
    int64_t code = EIO;
    AUTO(buf) struct buf scratch = {0};
    struct slice text = SLICE_LIT("the daemon did not say why");
    buf_init(&scratch, CONTROL_MESSAGE_MAX);
    json_init(&j, line);
    if (json_enter_object(&j))
        while (json_next_key(&j, &key)) {
            if (slice_is(key, "ok"))
                (void)json_bool(&j, &ok);
            else if (slice_is(key, "code"))
                (void)json_int64(&j, &code);
            else if (slice_is(key, "error"))
                (void)json_string(&j, &scratch, &text);
            else
                (void)json_skip(&j, NULL);
        }
    if (json_failed(&j))
        return json_error(&j, err);
    return ok ? 0 : err_set(err, (int)code, "%.*s", SLICE_FMT(text));
}
