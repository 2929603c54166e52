/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine's files share: http_loop.c has the thread, http_attempt.c one transfer. */
#ifndef CACHE_STORE_HTTP_PRIVATE_H
#define CACHE_STORE_HTTP_PRIVATE_H

#include <curl/curl.h>
#include <stdatomic.h>

#include "base/lock.h"
#include "cache/store/host.h"
#include "cache/store/http.h"

/* Attempts of all hosts: one that takes all it may leaves room for others. */
#define ATTEMPTS_MAX (CONNECTIONS_MAX + 32)

struct queue {
    struct http_request *first, *last;
};

/* A host by its scheme, name and port, and what waits for it. */
struct origin {
    struct origin *next;
    struct host host;
    struct queue waiting[2]; /* by http_request.ahead: the first one is served first */
    unsigned requests;       /* that refer to it */
    bool reached;            /* a connection to it has been made */
    bool answered;           /* and something came */
    size_t name_bytes;
    char name[];
};

/* One transfer of a request. Kept with its handle for the next one. */
struct attempt {
    CURL *easy;
    struct http *http;
    struct http_request *request;
    struct attempt *next; /* in http.idle, http.dropped or http.heard */
    unsigned index;       /* in http.active */
    bool hedge, dropped, began, in_heard;
    int64_t begun_us;      /* clock_mono_us: sent */
    int64_t heard_ms;      /* clock_mono_ms: the last byte that came, or begun */
    curl_off_t sent_bytes; /* as it was last heard */
    int64_t hedge_us;      /* when it is late; INT64_MAX: nobody asks */
    struct http_answer answer;
    char error[CURL_ERROR_SIZE];
};

/* The engine's thread alone uses what has no other note. */
struct http {
    CURLM *multi;    /* NULL before the first request, as is the next one */
    CURLSH *shared;  /* TLS sessions */
    int epoll, wake; /* immutable after http_new; the second an eventfd */
    struct attempt *idle;
    struct attempt *active[ATTEMPTS_MAX];
    unsigned active_count;
    struct attempt *dropped;      /* lost; to be taken from libcurl outside its callbacks */
    struct attempt *heard;        /* whose request is to be told of new bytes */
    struct http_request *delayed; /* in no order */
    struct origin *origins;
    unsigned origins_count;
    int64_t curl_due_ms; /* when libcurl wants to be called */
    int64_t look_ms;     /* when look_at_times has something to do */
    uint64_t random;

    struct lock lock;
    struct queue submitted; /* lock */
    bool ending;            /* lock */

    _Atomic uint64_t requests, attempts, bytes_received, hedges, hedges_won, refused;
    atomic_uint connections, requests_now, under_way_now, delayed_now;
    _Atomic uint64_t bytes_wanted;
    pthread_t thread; /* immutable after http_new */
};

/* http.c */

void http_queue_add(struct queue *q, struct http_request *r);

/* Makes libcurl ready, which takes megabytes: a lake on the local disk never needs them. -ENOMEM.
 * The engine's thread. */
int http_begin_curl(struct http *h);

/* http_loop.c: the engine's thread, until it is told to end. */
void *http_loop(void *http);

/* http_attempt.c */

/* Before the first attempt and between two. */
void http_forget_answer(struct http_request *r);

/* Gives the request to libcurl. -ENOMEM: it could not be set up. */
int attempt_start(struct http *h, struct http_request *r, bool hedge, int64_t now_us);

/* Takes it from libcurl; it is idle then. Not within libcurl's callbacks. */
void attempt_release(struct http *h, struct attempt *a, enum host_verdict verdict);

/*
 * The transfer has ended. False: it does not count, another one does or will. Else what it has to
 * say stands in the request, and the other one, if there is one, is dropped.
 */
bool attempt_end(struct attempt *a, CURLcode code);

/* The same may go better: of an answer that is a refusal, and of a transfer that failed. */
bool attempt_refused(const struct attempt *a);
bool attempt_may_pass(const struct attempt *a, CURLcode code);

/* Frees the handle. */
void attempt_free(struct attempt *a);

#endif
