/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of stores on the wire share: a server that follows a script, and a store on it. */
#ifndef TESTS_UNIT_WIRE_FIXTURE_H
#define TESTS_UNIT_WIRE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/lock.h"
#include "base/workers.h"
#include "cache/store/http.h"
#include "cache/store/store.h"

#define REQUEST_BYTES_MAX 8192

/* Answers connection after connection from a script, whose last line it repeats. */
struct fixture {
    int fd;
    pthread_t thread;
    const char *const *script;
    size_t script_n;
    struct lock lock;
    size_t served;                /* lock */
    char last[REQUEST_BYTES_MAX]; /* lock: the request that was answered last */
    struct http *http;
    struct workers *secrets;
    struct store *store;
    struct err err;
};

static inline void *serve(void *arg)
{
    struct fixture *f = arg;
    for (;;) {
        AUTO_FD int fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL; /* shut down */
        char request[REQUEST_BYTES_MAX] = "";
        size_t n = 0, i = 0;
        do {
            ssize_t got = recv(fd, request + n, sizeof request - 1 - n, 0);
            if (got <= 0)
                break;
            n += (size_t)got;
            request[n] = '\0';
        } while (!strstr(request, "\r\n\r\n"));
        WITH_LOCK (&f->lock) {
            i = f->served < f->script_n ? f->served : f->script_n - 1;
            f->served++;
            memcpy(f->last, request, sizeof request);
        }
        (void)send(fd, f->script[i], strlen(f->script[i]), MSG_NOSIGNAL); /* it may have gone */
    }
}

/* The last request had this in it. */
static inline bool sent(struct fixture *f, const char *text)
{
    bool found = false;
    WITH_LOCK (&f->lock)
        found = strstr(f->last, text) != NULL;
    return found;
}

static inline size_t served(struct fixture *f)
{
    size_t n = 0;
    WITH_LOCK (&f->lock)
        n = f->served;
    return n;
}

/* `options` without the endpoint, which is the script's. */
static inline void begin(struct fixture *f, const char *url, struct store_options options,
                         const char *const *script, size_t script_n)
{
    *f = (struct fixture){.script = script, .script_n = script_n};
    lock_init(&f->lock);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&address, n), 0);
    assert_int_equal(listen(f->fd, 16), 0);
    assert_int_equal(getsockname(f->fd, (struct sockaddr *)&address, &n), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
    char endpoint[64];
    (void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", ntohs(address.sin_port));
    f->http = http_new(&f->err);
    f->secrets = workers_new("secret", 1, &f->err);
    assert_non_null(f->http);
    assert_non_null(f->secrets);
    options.endpoint_url = endpoint;
    options.deadline_ms = options.deadline_ms ? options.deadline_ms : 5000;
    struct store_runtime runtime = {.http = f->http, .secrets = f->secrets};
    f->store = store_open(url, &options, &runtime, &f->err);
    assert_non_null(f->store);
}

static inline void end(struct fixture *f)
{
    assert_null(strstr(f->err.msg, "hunter2"));
    assert_null(strstr(f->store->url, "sig="));
    store_free(f->store);
    http_free(f->http);
    workers_free(f->secrets);
    (void)shutdown(f->fd, SHUT_RDWR); /* wakes accept */
    assert_int_equal(pthread_join(f->thread, NULL), 0);
    (void)close(f->fd);
    lock_done(&f->lock);
}

/* Bytes [10, 15) of an object, which are "abcde" where they come. */
static inline int get(struct fixture *f, const char *key, const char *if_match,
                      struct store_info *info)
{
    char to[6] = "";
    struct store_get req = {.key = key, .offset = 10, .length = 5, .if_match = if_match, .to = to};
    int rc = store_get_wait(f->store, &req, &f->err);
    assert_int_equal(rc, req.rc);
    if (rc == 0)
        assert_string_equal(to, "abcde");
    if (rc == 0 && info)
        *info = req.info;
    return rc;
}

#endif
