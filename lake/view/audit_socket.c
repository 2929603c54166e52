/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syslog and journald as targets of the audit log: a datagram a line.
 *
 *   syslog    `<86>tarn-audit: {"line":...}` to /dev/log (RFC 3164 section 4.1 without time and
 *             host, as the local socket is spoken to); facility authpriv, severity info
 *   journald  `NAME=value` lines to /run/systemd/journal/socket (systemd's "Native Journal
 *             Protocol"); a line is short enough to need no memfd
 */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lake/view/audit_private.h"

#define SYSLOG_SOCKET "/dev/log"
#define JOURNALD_SOCKET "/run/systemd/journal/socket"
#define SYSLOG_HEAD "<86>tarn-audit: "
#define JOURNALD_HEAD "PRIORITY=6\nSYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER=tarn-audit\nMESSAGE="
/* A receiver that takes nothing for so long is away. */
#define SEND_TIMEOUT_S 1

struct audit_socket {
    struct audit_target target;
    bool journald;
    struct sockaddr_un to;
    int fd, state_fd;
};

static int prepare(struct audit_target *t, struct err *warning, struct err *err)
{
    (void)t;
    (void)warning;
    (void)err;
    return 0;
}

static int send_line(struct audit_socket *s, struct slice line, struct err *err)
{
    const char *head = s->journald ? JOURNALD_HEAD : SYSLOG_HEAD;
    struct iovec parts[] = {
        {.iov_base = (void *)(uintptr_t)head, .iov_len = strlen(head)},
        {.iov_base = (void *)(uintptr_t)line.p, .iov_len = line.n + s->journald}, /* its \n */
    };
    struct msghdr m = {.msg_name = &s->to,
                       .msg_namelen = sizeof s->to,
                       .msg_iov = parts,
                       .msg_iovlen = ARRAY_SIZE(parts)};
    ssize_t n;
    do
        n = sendmsg(s->fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return 0;
    return err_set(err, errno, "%s: %s", s->to.sun_path, strerror(errno));
}

static int write_lines(struct audit_target *t, struct slice lines, const struct audit_chain *after,
                       struct err *err)
{
    struct audit_socket *s = CONTAINER_OF(t, struct audit_socket, target);
    struct audit_line l;
    ptrdiff_t end;
    int rc = 0;
    while (rc == 0 && (end = slice_find(lines, '\n')) >= 0) {
        struct slice line = slice_make(lines.p, (size_t)end);
        rc = send_line(s, line, err);
        if (rc == 0)
            rc = audit_line_parse(line, &l, err); /* of our own: good */
        if (rc == 0)
            t->chain = l.at;
        lines = slice_from(lines, (size_t)end + 1);
    }
    if (rc == 0)
        t->chain = *after;
    (void)audit_state_save(s->state_fd, &t->chain, NULL); /* else a restart breaks the chain */
    return rc;
}

static void rest(struct audit_target *t)
{
    (void)t;
}

static void close_socket(struct audit_target *t)
{
    struct audit_socket *s = CONTAINER_OF(t, struct audit_socket, target);
    if (s->fd >= 0)
        (void)close(s->fd); /* nothing is kept in it */
    if (s->state_fd >= 0)
        (void)close(s->state_fd); /* only numbers */
    free(s);
}

static const struct audit_target_ops socket_ops = {
    .prepare = prepare, .write = write_lines, .rest = rest, .close = close_socket};

static int open_parts(struct audit_socket *s, const struct audits_config *config,
                      struct err *warning, struct err *err)
{
    const struct timeval timeout = {.tv_sec = SEND_TIMEOUT_S};
    const int room = 2 * AUDIT_LINE_BYTES_MAX; /* as it is by default, where nobody lowered that */
    const char *path = s->journald      ? config->journald ? config->journald : JOURNALD_SOCKET
                       : config->syslog ? config->syslog
                                        : SYSLOG_SOCKET;
    s->to.sun_family = AF_UNIX;
    if ((size_t)snprintf(s->to.sun_path, sizeof s->to.sun_path, "%s", path) >=
        sizeof s->to.sun_path)
        return err_set(err, ENAMETOOLONG, "%s: the name of a socket is too long", path);
    s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) < 0 ||
        setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room) < 0)
        return err_set(err, errno, "socket: %s", strerror(errno));
    if (access(path, F_OK) < 0)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    return audit_state_open(config->state_dirfd, s->journald ? "audit-journald" : "audit-syslog",
                            &s->state_fd, &s->target.chain, warning, err);
}

int audit_socket_open(bool journald, const struct audits_config *config, struct audit_target **out,
                      struct err *warning, struct err *err)
{
    struct audit_socket *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ENOMEM, "out of memory");
    s->target.ops = &socket_ops;
    s->journald = journald;
    s->fd = s->state_fd = -1;
    audit_chain_init(&s->target.chain);
    int rc = open_parts(s, config, warning, err);
    if (rc < 0)
        close_socket(&s->target);
    else
        *out = &s->target;
    return rc;
}
