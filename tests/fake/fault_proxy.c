/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A proxy before an HTTP/1.1 server that plays a network and its faults, quick enough to stand
 * before benchmarks: one thread, epoll, bodies are spliced.
 *
 *     fault_proxy --to HOST:PORT [--listen PORT] [--control PORT] [--profile NAME]
 *
 * Prints one line of JSON with the ports that it listens on (0, the default: any), and ends with
 * its standard input. Requests go on unchanged, because signatures cover the Host field: the
 * server takes the client's signature as if nobody stood between. fault_rules.h says what can be
 * done to requests; tests/fake/faults.py drives it over the control port, which takes lines of
 * JSON and answers each with one.
 */
#include "tests/fake/fault_conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 128
#define LINE_BYTES_MAX ((size_t)64 << 10)
#define ANSWER_BYTES_MAX ((size_t)1 << 30)

/* A control connection. */
struct control {
    struct source source;
    struct buf line;
};

static struct faults faults;
static struct sockaddr_in upstream;
static struct conn *conns;
static int poller;

static void die(const char *what)
{
    (void)fprintf(stderr, "fault_proxy: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(struct source *s, uint32_t events)
{
    if (s->fd < 0 || s->events == events)
        return;
    struct epoll_event e = {.events = events, .data.ptr = s};
    int how = !events ? EPOLL_CTL_DEL : s->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(poller, how, s->fd, &e) < 0 && errno != EPERM)
        die("epoll_ctl");
    s->events = events;
}

/* what goes through */

static void run(struct conn *c)
{
    uint32_t client, server;
    conn_run(c);
    conn_wants(c, &client, &server);
    watch(&c->client, client);
    watch(&c->server, server);
}

static void client_ready(struct source *s, uint32_t events)
{
    struct conn *c = s->conn;
    if (c->ended)
        return;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        conn_lost_client(c);
    else
        run(c);
}

static void server_ready(struct source *s, uint32_t events)
{
    struct conn *c = s->conn;
    (void)events;
    if (c->ended || s->fd < 0)
        return;
    if (c->state == REQUEST_HEAD)
        conn_lost_server(c); /* an idle connection has nothing to say but its end */
    else
        run(c);
}

static void accept_client(struct source *s, uint32_t events)
{
    int one = 1, fd;
    (void)events;
    while ((fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct conn *c = conn_new(fd, &faults, &upstream);
        c->client.ready = client_ready;
        c->server.ready = server_ready;
        c->next = conns;
        conns = c;
        run(c);
    }
}

/* Those whose time has come go on; the time of the next one is returned. */
static int64_t run_due(void)
{
    int64_t next = NEVER, now = now_us();
    for (struct conn **at = &conns; *at;) {
        struct conn *c = *at;
        if (!c->ended && c->due_us <= now && (c->state == HELD || c->state == ANSWER))
            run(c);
        if (c->ended) {
            *at = c->next;
            conn_free(c);
            continue;
        }
        if ((c->state == HELD || c->state == ANSWER) && c->due_us < next)
            next = c->due_us;
        at = &c->next;
    }
    return next;
}

/* what is told */

static void end_control(struct control *c)
{
    (void)close(c->source.fd);
    buf_done(&c->line);
    free(c);
}

static void send_all(int fd, const char *data, size_t n)
{
    while (n) {
        ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        if (sent < 0)
            return;
        data += sent;
        n -= (size_t)sent;
    }
}

static void control_ready(struct source *s, uint32_t events)
{
    struct control *c = (struct control *)s;
    (void)events;
    char *room = buf_reserve(&c->line, 4096);
    ssize_t n = room ? recv(s->fd, room, 4096, 0) : 0;
    if (n <= 0) {
        end_control(c);
        return;
    }
    c->line.len += (size_t)n;
    for (char *end; (end = memchr(c->line.data, '\n', c->line.len));) {
        AUTO(buf) struct buf out;
        size_t used = (size_t)(end - c->line.data) + 1;
        buf_init(&out, ANSWER_BYTES_MAX);
        faults_control(&faults, slice_make(c->line.data, used - 1), &out);
        send_all(s->fd, out.data, out.len);
        memmove(c->line.data, c->line.data + used, c->line.len - used);
        c->line.len -= used;
    }
}

static void accept_control(struct source *s, uint32_t events)
{
    (void)events;
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
    struct control *c = fd < 0 ? NULL : calloc(1, sizeof *c);
    if (!c)
        return;
    buf_init(&c->line, LINE_BYTES_MAX);
    c->source = (struct source){.ready = control_ready, .fd = fd};
    watch(&c->source, EPOLLIN);
}

/* start and end */

static void stdin_ready(struct source *s, uint32_t events)
{
    char some[64];
    (void)events;
    if (read(s->fd, some, sizeof some) <= 0)
        exit(0);
}

static int listen_on(long port, int *got)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, n) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &n) < 0)
        die("listen");
    *got = ntohs(at.sin_port);
    return fd;
}

static void find_upstream(char *to)
{
    char *colon = strrchr(to, ':');
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    if (!colon)
        die("--to HOST:PORT");
    *colon = '\0';
    if (getaddrinfo(to, colon + 1, &hints, &found) != 0)
        die(to);
    memcpy(&upstream, found->ai_addr, sizeof upstream);
    freeaddrinfo(found);
}

static void serve(void)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int64_t next = run_due(), now = now_us(), wait = next < now ? 0 : next - now;
        struct timespec t = {.tv_sec = wait / 1000000, .tv_nsec = wait % 1000000 * 1000};
        int n = epoll_pwait2(poller, events, EVENTS, next == NEVER ? NULL : &t, NULL);
        for (int i = 0; i < n; i++) {
            struct source *s = events[i].data.ptr;
            s->ready(s, events[i].events);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"to", required_argument, NULL, 't'},
                                            {"listen", required_argument, NULL, 'l'},
                                            {"control", required_argument, NULL, 'c'},
                                            {"profile", required_argument, NULL, 'p'},
                                            {NULL, 0, NULL, 0}};
    static struct source data = {.ready = accept_client}, control = {.ready = accept_control},
                         in = {.ready = stdin_ready, .fd = STDIN_FILENO};
    long ports[2] = {0};
    int got[2];
    bool fit = true;
    faults_init(&faults);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 't')
            find_upstream(optarg);
        else if (c == 'l' || c == 'c')
            ports[c == 'c'] = strtol(optarg, NULL, 10);
        else
            fit = c == 'p' && faults_profile(&faults, optarg);
    }
    if (!fit || !upstream.sin_port) {
        (void)fprintf(stderr, "usage: fault_proxy --to HOST:PORT [--listen PORT] [--control PORT] "
                              "[--profile s3p|none]\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* splice has no MSG_NOSIGNAL */
    poller = epoll_create1(EPOLL_CLOEXEC);
    data.fd = listen_on(ports[0], &got[0]);
    control.fd = listen_on(ports[1], &got[1]);
    watch(&data, EPOLLIN);
    watch(&control, EPOLLIN);
    watch(&in, EPOLLIN);
    printf("{\"port\": %d, \"control\": %d}\n", got[0], got[1]);
    (void)fflush(stdout);
    serve();
}
