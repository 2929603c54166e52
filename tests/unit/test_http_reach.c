/* SPDX-License-Identifier: Apache-2.0 */
/* The engine and hosts that are not there, say nothing, or stand behind a proxy that says no. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "cache/store/http.h"

/* Takes connections, reads a little of each, says one thing and closes. */
struct server {
    int fd, ending;
    pthread_t thread;
    const char *says;
    atomic_uint taken;
    char url[64];
};

static void *serve(void *arg)
{
    struct server *s = arg;
    for (;;) {
        char request[4096];
        struct pollfd wait[2] = {{s->fd, POLLIN, 0}, {s->ending, POLLIN, 0}};
        (void)poll(wait, 2, -1); /* until one of both is ready */
        if (wait[1].revents)
            return NULL;
        AUTO_FD int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || recv(fd, request, sizeof request, 0) <= 0)
            continue;
        atomic_fetch_add(&s->taken, 1);
        (void)send(fd, s->says, strlen(s->says), MSG_NOSIGNAL); /* it may have gone */
    }
}

static void server_begin(struct server *s, const char *says)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    *s = (struct server){.says = says,
                         .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                         .ending = eventfd(0, EFD_CLOEXEC)};
    assert_int_equal(bind(s->fd, (struct sockaddr *)&address, n), 0);
    assert_int_equal(listen(s->fd, 16), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&address, &n), 0);
    (void)snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_end(struct server *s)
{
    assert_int_equal(eventfd_write(s->ending, 1), 0);
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    (void)close(s->fd);
    (void)close(s->ending);
}

static void ask(struct http *h, struct http_request *r, const char *url, int64_t deadline_ms)
{
    *r = (struct http_request){.method = "GET", .url = url, .deadline_ms = deadline_ms};
    buf_init(&r->text, KIB);
    http_run(h, r);
}

/* A name that nobody can look up is tried again and told as such, and what is asked for afterwards
 * of others comes. */
static void test_unknown_name(void **state)
{
    struct server s;
    struct http_request r;
    struct http *h = http_new(NULL);
    (void)state;
    server_begin(&s, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    ask(h, &r, "http://nobody.invalid/", 3000);
    assert_int_equal(r.rc, -EIO);
    assert_non_null(strstr(r.err.msg, "resol"));
    buf_done(&r.text);
    ask(h, &r, s.url, 10000);
    assert_int_equal(r.rc, 0);
    assert_string_equal(r.text.data, "ok");
    buf_done(&r.text);
    http_free(h);
    server_end(&s);
}

/* Who closes every connection without a word is given up long before the deadline, and named. */
static void test_never_answered(void **state)
{
    struct server s;
    struct http_request r;
    struct http *h = http_new(NULL);
    int64_t begun_ms = clock_mono_ms();
    (void)state;
    server_begin(&s, "");
    ask(h, &r, s.url, 20000);
    assert_int_equal(r.rc, -EIO);
    assert_true(clock_mono_ms() - begun_ms < 18000);
    assert_true(atomic_load(&s.taken) > 1);
    assert_non_null(strstr(r.err.msg, "nothing ever came from http://127.0.0.1:"));
    buf_done(&r.text);
    http_free(h);
    server_end(&s);
}

/* A proxy that refuses who asks is asked once: passwords that are wrong lock accounts. */
static void test_proxy_refuses(void **state)
{
    struct server s;
    struct http *h = http_new(NULL);
    (void)state;
    server_begin(&s, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n"
                     "Connection: close\r\nContent-Length: 0\r\n\r\n");
    struct http_request r = {
        .method = "GET", .url = "https://store.invalid/", .proxy_url = s.url, .deadline_ms = 20000};
    buf_init(&r.text, KIB);
    http_run(h, &r);
    assert_int_equal(r.rc, -EIO);
    assert_int_equal(atomic_load(&s.taken), 1);
    assert_non_null(strstr(r.err.msg, "407"));
    buf_done(&r.text);
    http_free(h);
    server_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_name),
        cmocka_unit_test(test_never_answered),
        cmocka_unit_test(test_proxy_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
