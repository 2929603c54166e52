/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/http.h"

#include <assert.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include "base/clock.h"
#include "cache/store/event.h"
#include "cache/store/http_private.h"

/* ---- what libcurl asks for ---- */

static int watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct http *h = arg;
    struct epoll_event event = {.data.fd = fd};
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(h->epoll, EPOLL_CTL_DEL, fd, NULL); /* it may be closed already */
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
    int rc = epoll_ctl(h->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    if (rc == 0 && !known)
        rc = (int)curl_multi_assign(h->multi, fd, h);
    return rc ? -1 : 0;
}

static int set_timer(CURLM *multi, long ms, void *arg)
{
    struct http *h = arg;
    (void)multi;
    h->curl_due_ms = ms < 0 ? INT64_MAX : clock_mono_ms() + ms;
    return 0;
}

/* ---- beginning and end ---- */
static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);
    assert(rc == CURLE_OK);
    (void)rc;
}

static void free_all(struct http *h)
{
    while (h->idle) {
        struct attempt *a = h->idle;
        h->idle = a->next;
        attempt_free(a);
    }
    while (h->origins) {
        struct origin *o = h->origins;
        h->origins = o->next;
        free(o);
    }
    if (h->multi)
        (void)curl_multi_cleanup(h->multi); /* no handle is in it */
    if (h->epoll >= 0)
        (void)close(h->epoll); /* of both, nothing is lost */
    if (h->wake >= 0)
        (void)close(h->wake);
    if (h->shared)
        (void)curl_share_cleanup(h->shared); /* nobody uses it */
    lock_done(&h->lock);
    free(h);
}

static int start_thread(struct http *h)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
    int rc = pthread_create(&h->thread, NULL, http_loop, h);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        (void)pthread_setname_np(h->thread, "http"); /* only a help to debuggers */
    return rc;
}

/* The engine's thread alone uses it: no lock functions. */
static CURLSHcode set_shared(struct http *h)
{
    return curl_share_setopt(h->shared, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
}

static CURLMcode set_multi(struct http *h, CURLM *multi)
{
    CURLMcode rc = CURLM_OK;
#define SET(option, value) (rc = rc ? rc : curl_multi_setopt(multi, option, value))
    SET(CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
    SET(CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    SET(CURLMOPT_SOCKETFUNCTION, watch);
    SET(CURLMOPT_SOCKETDATA, h);
    SET(CURLMOPT_TIMERFUNCTION, set_timer);
    SET(CURLMOPT_TIMERDATA, h);
#undef SET
    return rc;
}

int http_begin_curl(struct http *h)
{
    if (h->multi)
        return 0;
    (void)pthread_once(&curl_once, init_curl);
    h->shared = h->shared ? h->shared : curl_share_init();
    CURLM *multi = curl_multi_init();
    if (multi && h->shared && !set_shared(h) && !set_multi(h, multi)) {
        h->multi = multi;
        return 0;
    }
    (void)curl_multi_cleanup(multi); /* nothing is in it */
    return -ENOMEM;
}

/* 0 or a positive errno. */
static int set_up(struct http *h)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = h->wake};
    if (h->epoll < 0 || h->wake < 0 || epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->wake, &event) < 0)
        return errno;
    return start_thread(h);
}

struct http *http_new(struct err *err)
{
    struct http *h = calloc(1, sizeof *h);
    if (!h) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    lock_init(&h->lock);
    h->look_ms = h->curl_due_ms = INT64_MAX;
    if (getrandom(&h->random, sizeof h->random, GRND_NONBLOCK) < 0)
        h->random = (uint64_t)clock_mono_ms();
    h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    h->epoll = epoll_create1(EPOLL_CLOEXEC);
    int rc = set_up(h);
    if (rc) {
        (void)err_set(err, rc, "HTTP engine: %s", strerror(rc));
        free_all(h);
        return NULL;
    }
    return h;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    WITH_LOCK (&h->lock)
        h->ending = true;
    (void)eventfd_write(h->wake, 1); /* fails only where it is far from read */
    (void)pthread_join(h->thread, NULL);
    free_all(h);
}

void http_queue_add(struct queue *q, struct http_request *r)
{
    r->next = NULL;
    if (q->last)
        q->last->next = r;
    else
        q->first = r;
    q->last = r;
}

void http_submit(struct http *h, struct http_request *r)
{
    assert(r->deadline_ms > 0 && r->done);
    bool first;
    r->attempts = 0;
    r->tries[0] = r->tries[1] = NULL;
    r->origin = NULL;
    r->field_list = NULL;
    r->until_ms = clock_mono_ms() + r->deadline_ms;
    http_forget_answer(r);
    atomic_fetch_add(&h->requests, 1);
    atomic_fetch_add(&h->requests_now, 1);
    atomic_fetch_add(&h->bytes_wanted, r->to ? r->room : 0);
    WITH_LOCK (&h->lock) {
        first = !h->submitted.first;
        http_queue_add(&h->submitted, r);
    }
    if (first)                           /* the others find it on its way */
        (void)eventfd_write(h->wake, 1); /* as in http_free */
}

static void set_ended(struct http_request *r)
{
    event_set(r->ended);
}

void http_run(struct http *h, struct http_request *r)
{
    struct event ended;
    event_init(&ended);
    /* cppcheck-suppress autoVariables ; waited for below, before it ends */
    r->ended = &ended;
    r->done = set_ended;
    http_submit(h, r);
    event_wait(&ended);
    event_done(&ended);
}

void http_stat(struct http *h, struct http_stat *out)
{
    *out = (struct http_stat){.requests = atomic_load(&h->requests),
                              .attempts = atomic_load(&h->attempts),
                              .bytes_received = atomic_load(&h->bytes_received),
                              .hedges = atomic_load(&h->hedges),
                              .hedges_won = atomic_load(&h->hedges_won),
                              .refused = atomic_load(&h->refused)};
}

void http_gauge(struct http *h, struct http_gauge *out)
{
    *out = (struct http_gauge){.connections = atomic_load(&h->connections),
                               .requests = atomic_load(&h->requests_now),
                               .under_way = atomic_load(&h->under_way_now),
                               .delayed = atomic_load(&h->delayed_now),
                               .bytes_wanted = atomic_load(&h->bytes_wanted)};
}
