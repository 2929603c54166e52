/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/metadata_warning.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

#define NOBODY 65534
#define PATIENCE_MS 1000
#define SERVICE "169.254.169.254"
#define SERVICE_PORT 80

struct probe {
    struct job job;
    struct sockaddr_in service;
};

/* A socket whose owner, for packet filters, is no privileged user: the thread's own, for a moment.
 */
static int ordinary_socket(void)
{
    int before = setfsuid(geteuid() == 0 ? NOBODY : geteuid());
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)setfsuid((uid_t)before); /* it was ours before */
    return fd;
}

static bool can_connect(const struct sockaddr_in *to)
{
    AUTO_FD int fd = ordinary_socket();
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int problem = 0;
    socklen_t n = sizeof problem;
    if (fd < 0)
        return false;
    if (connect(fd, (const struct sockaddr *)to, sizeof *to) == 0)
        return true;
    return errno == EINPROGRESS && poll(&wait, 1, PATIENCE_MS) == 1 &&
           getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &n) == 0 && problem == 0;
}

static void run_probe(struct job *job)
{
    struct probe *p = CONTAINER_OF(job, struct probe, job);
    char text[INET_ADDRSTRLEN] = "";
    if (can_connect(&p->service)) {
        (void)inet_ntop(AF_INET, &p->service.sin_addr, text, sizeof text); /* there is room */
        log_warn("ordinary users of this machine can reach the instance's metadata service (%s) "
                 "and take its credentials from there: let only root connect to it",
                 text);
    }
    free(p);
}

/* `http://1.2.3.4:80`, as the environment may name another one. */
static void take_address(const char *url, struct sockaddr_in *out)
{
    struct slice s = slice_of(url);
    char host[INET_ADDRSTRLEN] = "";
    uint64_t port = SERVICE_PORT;
    if (!slice_starts(s, SLICE_LIT("http://")))
        return;
    s = slice_from(s, sizeof "http://" - 1);
    while (slice_ends(s, SLICE_LIT("/")))
        s.n--;
    ptrdiff_t colon = slice_find(s, ':');
    size_t n = colon < 0 ? s.n : (size_t)colon;
    if (n >= sizeof host ||
        (colon >= 0 && !text_parse_u64(slice_from(s, n + 1), UINT16_MAX, &port)))
        return;
    memcpy(host, s.p, n);
    struct in_addr address;
    if (inet_pton(AF_INET, host, &address) == 1) {
        out->sin_addr = address;
        out->sin_port = htons((uint16_t)port);
    }
}

void metadata_warning_start(struct workers *w, const struct store_options *o)
{
    if (o->aws_metadata_disabled && strcasecmp(o->aws_metadata_disabled, "true") == 0)
        return;
    struct probe *p = calloc(1, sizeof *p);
    if (!p)
        return; /* only a warning */
    p->job.run = run_probe;
    p->service = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(SERVICE_PORT)};
    (void)inet_pton(AF_INET, SERVICE, &p->service.sin_addr); /* is one */
    if (o->aws_metadata_url)
        take_address(o->aws_metadata_url, &p->service);
    workers_submit(w, &p->job);
}
