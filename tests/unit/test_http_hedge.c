/* SPDX-License-Identifier: Apache-2.0 */
/* The engine against a server that keeps connections, some of whose answers come late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "cache/store/event.h"
#include "cache/store/http.h"

#define LATE_MS 1000      /* longer than an answer takes on a busy machine */
#define DEADLINE_MS 24000 /* of which a twelfth in the middle of an answer is silence */
#define BODY_BYTES 1000
#define CLIENTS_MAX 64

/*
 * What the server does with a request for /asked, by its number; the body is that number's last
 * digit. Others, by which the engine learns what is usual here, are answered at once.
 */
enum manner { PROMPT, LATE, REFUSED, LATE_REFUSED, MISSING, HALF_THEN_SILENT };

struct server {
    int fd;
    pthread_t thread, clients[CLIENTS_MAX];
    unsigned clients_n; /* the accepting thread's */
    enum manner (*manner)(unsigned number);
    struct lock lock;
    unsigned served; /* lock */
    bool ending;     /* lock */
};

struct client {
    struct server *server;
    int fd;
};

static bool is_ending(struct server *s)
{
    bool ending;
    WITH_LOCK (&s->lock)
        ending = s->ending;
    return ending;
}

static void send_text(int fd, const char *text)
{
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL); /* it may have gone */
}

static void answer(struct client *c, enum manner manner, unsigned number)
{
    char body[BODY_BYTES], head[128];
    if (manner == LATE || manner == LATE_REFUSED)
        (void)poll(NULL, 0, LATE_MS);
    if (manner == REFUSED || manner == LATE_REFUSED) {
        send_text(c->fd, "HTTP/1.1 503 Slow Down\r\nContent-Length: 8\r\n\r\nslowdown");
        return;
    }
    if (manner == MISSING) {
        send_text(c->fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        return;
    }
    memset(body, '0' + (int)(number % 10), sizeof body);
    (void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY_BYTES);
    send_text(c->fd, head);
    (void)send(c->fd, body, manner == HALF_THEN_SILENT ? sizeof body / 2 : sizeof body,
               MSG_NOSIGNAL); /* likewise */
    while (manner == HALF_THEN_SILENT && !is_ending(c->server)) {
        struct pollfd gone = {c->fd, POLLRDHUP, 0};
        if (poll(&gone, 1, 20) > 0)
            break;
    }
}

static void *serve(void *arg)
{
    struct client *c = arg;
    char request[4096];
    while (!is_ending(c->server)) {
        struct pollfd wait = {c->fd, POLLIN, 0};
        if (poll(&wait, 1, 20) == 0)
            continue;
        ssize_t got = recv(c->fd, request, sizeof request - 1, 0); /* comes at once: it is short */
        if (got <= 0)
            break;
        request[got] = '\0';
        bool asked = strstr(request, "/asked") != NULL;
        unsigned number;
        WITH_LOCK (&c->server->lock) {
            number = c->server->served;
            c->server->served += asked;
        }
        answer(c, asked ? c->server->manner(number) : PROMPT, number);
    }
    (void)close(c->fd);
    free(c);
    return NULL;
}

static void *take_clients(void *arg)
{
    struct server *s = arg;
    while (!is_ending(s)) {
        struct pollfd wait = {s->fd, POLLIN, 0};
        if (poll(&wait, 1, 20) == 0)
            continue;
        struct client *c = calloc(1, sizeof *c);
        assert_non_null(c);
        c->server = s;
        c->fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        assert_int_equal(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
        assert_true(s->clients_n < CLIENTS_MAX);
        assert_int_equal(pthread_create(&s->clients[s->clients_n++], NULL, serve, c), 0);
    }
    return NULL;
}

struct fixture {
    struct server server;
    struct http *http;
    char url[64];
};

static void begin(struct fixture *f, enum manner (*manner)(unsigned))
{
    struct err err = ERR_INIT;
    *f = (struct fixture){.server.manner = manner};
    lock_init(&f->server.lock);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    f->server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->server.fd, (struct sockaddr *)&address, n), 0);
    assert_int_equal(listen(f->server.fd, 64), 0);
    assert_int_equal(getsockname(f->server.fd, (struct sockaddr *)&address, &n), 0);
    assert_int_equal(pthread_create(&f->server.thread, NULL, take_clients, &f->server), 0);
    (void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    f->http = http_new(&err);
    assert_non_null(f->http);
}

static void end(struct fixture *f)
{
    http_free(f->http);
    WITH_LOCK (&f->server.lock)
        f->server.ending = true;
    assert_int_equal(pthread_join(f->server.thread, NULL), 0);
    for (unsigned i = 0; i < f->server.clients_n; i++)
        assert_int_equal(pthread_join(f->server.clients[i], NULL), 0);
    (void)close(f->server.fd);
    lock_done(&f->server.lock);
}

static bool accept_success(struct http_request *r)
{
    return r->answer.status == 200;
}

static bool again(struct http_request *r)
{
    return r->answer.status == 503;
}

/* One GET into a buffer; returns the status, 0 where none came. */
static unsigned get(struct fixture *f, const char *path, int64_t deadline_ms, char to[BODY_BYTES])
{
    char url[96];
    (void)snprintf(url, sizeof url, "%s%s", f->url, path);
    struct http_request r = {.method = "GET",
                             .url = url,
                             .deadline_ms = deadline_ms,
                             .to = to,
                             .room = BODY_BYTES,
                             .accept = accept_success,
                             .again = again};
    buf_init(&r.text, 1000);
    http_run(f->http, &r);
    if (r.rc == 0 && r.answer.status == 200)
        assert_int_equal(r.got, BODY_BYTES);
    buf_done(&r.text);
    return r.rc == 0 ? r.answer.status : 0;
}

/* So many that the engine knows what is usual here, and may send some twice. */
#define LEARNED 100

static void learn(struct fixture *f)
{
    char to[BODY_BYTES];
    for (unsigned i = 0; i < LEARNED; i++)
        assert_int_equal(get(f, "/usual", DEADLINE_MS, to), 200);
}

static void assert_all(const char *to, char c)
{
    for (size_t i = 0; i < BODY_BYTES; i++)
        assert_int_equal(to[i], c);
}

static struct http_stat stat_of(struct fixture *f)
{
    struct http_stat stat;
    http_stat(f->http, &stat);
    return stat;
}

static enum manner late_once(unsigned number)
{
    return number == 0 ? LATE : PROMPT;
}

/* What is late is asked for again; the first answer is taken and no byte of the other one. */
static void test_late(void **state)
{
    (void)state;
    struct fixture f;
    char to[BODY_BYTES];
    begin(&f, late_once);
    learn(&f);
    int64_t begun_ms = clock_mono_ms();
    assert_int_equal(get(&f, "/asked", DEADLINE_MS, to), 200);
    assert_true(clock_mono_ms() - begun_ms < LATE_MS);
    assert_all(to, '1');
    assert_true(stat_of(&f).hedges >= 1);
    assert_true(stat_of(&f).hedges_won >= 1);
    (void)poll(NULL, 0, LATE_MS + 50); /* the loser's answer goes out, to nobody */
    assert_all(to, '1');
    end(&f);
}

static enum manner late_hedge_refused(unsigned number)
{
    return number == 0 ? LATE : number == 1 ? REFUSED : PROMPT;
}

/* A refusal of the second one is not the answer while the first is on its way. */
static void test_refused_hedge(void **state)
{
    (void)state;
    struct fixture f;
    char to[BODY_BYTES];
    begin(&f, late_hedge_refused);
    learn(&f);
    assert_int_equal(get(&f, "/asked", DEADLINE_MS, to), 200);
    assert_all(to, '0');
    assert_int_equal(stat_of(&f).refused, 1);
    end(&f);
}

static enum manner both_refused(unsigned number)
{
    return number == 0 ? LATE_REFUSED : number == 1 ? REFUSED : PROMPT;
}

/* Where both are refused the request is tried anew. */
static void test_both_refused(void **state)
{
    (void)state;
    struct fixture f;
    char to[BODY_BYTES];
    begin(&f, both_refused);
    learn(&f);
    assert_int_equal(get(&f, "/asked", DEADLINE_MS, to), 200);
    assert_all(to, '2');
    end(&f);
}

static enum manner late_hedge_missing(unsigned number)
{
    return number == 0 ? LATE : number == 1 ? MISSING : PROMPT;
}

/* What is no refusal for load is the answer, whoever got it. */
static void test_missing(void **state)
{
    (void)state;
    struct fixture f;
    char to[BODY_BYTES] = {0};
    begin(&f, late_hedge_missing);
    learn(&f);
    assert_int_equal(get(&f, "/asked", DEADLINE_MS, to), 404);
    assert_all(to, 0);
    end(&f);
}

static enum manner silent_once(unsigned number)
{
    return number == 0 ? HALF_THEN_SILENT : PROMPT;
}

/* An answer that stops in its middle is left long before the deadline, and asked for again. */
static void test_silent(void **state)
{
    (void)state;
    struct fixture f;
    char to[BODY_BYTES];
    begin(&f, silent_once);
    int64_t begun_ms = clock_mono_ms();
    assert_int_equal(get(&f, "/asked", DEADLINE_MS, to), 200);
    assert_true(clock_mono_ms() - begun_ms < DEADLINE_MS / 2);
    assert_all(to, '1');
    end(&f);
}

/* A body goes into the rooms that it is given, one after the other. */
static void test_rooms(void **state)
{
    (void)state;
    struct fixture f;
    char to[BODY_BYTES + 1], url[96];
    const struct iovec rooms[] = {{to + 500, 500}, {to + 200, 300}, {to, 200}};
    begin(&f, silent_once);
    memset(to, 'x', sizeof to);
    (void)snprintf(url, sizeof url, "%s/asked", f.url);
    struct http_request r = {.method = "GET",
                             .url = url,
                             .deadline_ms = 12000,
                             .to = to + 500,
                             .rooms = rooms,
                             .room = BODY_BYTES,
                             .accept = accept_success};
    buf_init(&r.text, 1000);
    http_run(f.http, &r); /* the first attempt brings half, and the second one all of it anew */
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.got, BODY_BYTES);
    assert_all(to, '1');
    assert_int_equal(to[BODY_BYTES], 'x');
    buf_done(&r.text);
    end(&f);
}

static unsigned descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n;
}

/* After all that nobody waits, nothing is counted, and no descriptor but kept connections is open;
 * those go with the engine. */
static void test_gauge(void **state)
{
    (void)state;
    struct fixture f;
    struct http_gauge gauge;
    char to[BODY_BYTES];
    unsigned before = descriptors();
    begin(&f, late_hedge_refused);
    learn(&f);
    assert_int_equal(get(&f, "/asked", DEADLINE_MS, to), 200);
    for (int i = 0; i < 3000; i++) { /* the engine counts after it has told */
        http_gauge(f.http, &gauge);
        if (gauge.under_way == 0)
            break;
        (void)poll(NULL, 0, 20);
    }
    assert_int_equal(gauge.requests, 0);
    assert_int_equal(gauge.under_way, 0);
    assert_int_equal(gauge.delayed, 0);
    assert_int_equal(gauge.bytes_wanted, 0);
    assert_in_range(gauge.connections, 1, 3);
    end(&f);
    assert_int_equal(descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_late),         cmocka_unit_test(test_refused_hedge),
        cmocka_unit_test(test_both_refused), cmocka_unit_test(test_missing),
        cmocka_unit_test(test_silent),       cmocka_unit_test(test_rooms),
        cmocka_unit_test(test_gauge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
