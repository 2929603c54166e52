/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's thread: what waits, what is under way, what is due. */
#include <assert.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "cache/store/http_private.h"
#include "cache/store/retry.h"

#define EVENTS_AT_ONCE 64
#define SLEEP_MAX_MS 10000
/* Less than this before the deadline nothing is begun again. */
#define LAST_ATTEMPT_MS 50
/* Fractions of the deadline: without a byte an attempt is left, so that another one has time. */
#define SILENCE_SHARE 4 /* before the first byte */
#define STALL_SHARE 12  /* after it */
/* A host that no connection was ever made to is a wrong name or address more likely than one that
 * is down for a moment: whoever mounts is told soon. */
#define UNREACHED_SHARE 6
/* So is one that takes connections and never answered so many requests. */
#define UNANSWERED_MAX 8
/* A hedge that was not allowed is asked for again. */
#define HEDGE_AGAIN_US 5000
/* Hosts that nobody asks are remembered for what was learned of them. */
#define ORIGINS_MAX 64

static struct http_request *queue_take(struct queue *q)
{
    struct http_request *r = q->first;
    if (r) {
        q->first = r->next;
        if (!q->first)
            q->last = NULL;
    }
    return r;
}

static void look_by(struct http *h, int64_t ms)
{
    if (ms < h->look_ms)
        h->look_ms = ms;
}

/* ---- hosts ---- */

/* `https://name:port` of a URL. */
static struct slice origin_name(const char *url)
{
    const char *host = strstr(url, "://"), *end = host ? strchr(host + 3, '/') : NULL;
    return end ? slice_make(url, (size_t)(end - url)) : slice_of(url);
}

static void forget_an_origin(struct http *h)
{
    struct origin **at = &h->origins;
    while (*at && (*at)->requests)
        at = &(*at)->next;
    struct origin *o = *at;
    if (!o)
        return;
    *at = o->next;
    h->origins_count--;
    free(o);
}

/* NULL: out of memory. */
static struct origin *find_origin(struct http *h, const char *url)
{
    struct slice name = origin_name(url);
    struct origin *o = h->origins;
    while (o && !slice_eq(slice_make(o->name, o->name_bytes), name))
        o = o->next;
    if (o)
        return o;
    if (h->origins_count >= ORIGINS_MAX)
        forget_an_origin(h);
    o = calloc(1, sizeof *o + name.n);
    if (!o)
        return NULL;
    host_init(&o->host);
    o->name_bytes = name.n;
    memcpy(o->name, name.p, name.n);
    o->next = h->origins;
    h->origins = o;
    h->origins_count++;
    return o;
}

/* ---- the way of a request ---- */

static void finish(struct http *h, struct http_request *r)
{
    curl_slist_free_all(r->field_list);
    r->field_list = NULL;
    if (r->origin)
        r->origin->requests--;
    atomic_fetch_sub(&h->requests_now, 1);
    atomic_fetch_sub(&h->bytes_wanted, r->to ? r->room : 0);
    r->done(r);
}

static void fail(struct http *h, struct http_request *r, int code, const char *why)
{
    r->rc = err_set(&r->err, code, "%s", why);
    finish(h, r);
}

static int64_t silence_due_ms(const struct attempt *a)
{
    return a->heard_ms + a->request->deadline_ms / (a->began ? STALL_SHARE : SILENCE_SHARE) + 1;
}

/* When the attempt is late enough to be sent twice. */
static int64_t hedge_due_us(const struct attempt *a)
{
    const struct http_request *r = a->request;
    int64_t late_us = r->to && strcmp(r->method, "GET") == 0
                          ? host_late_us(&r->origin->host, host_size_of(r->room))
                          : 0;
    return late_us ? a->begun_us + late_us : INT64_MAX;
}

static void start(struct http *h, struct http_request *r)
{
    int64_t now_us = clock_mono_us();
    if (r->until_ms <= now_us / 1000) {
        fail(h, r, EIO, "the deadline passed before a connection was free");
        return;
    }
    http_forget_answer(r);
    host_begin(&r->origin->host);
    if (http_begin_curl(h) < 0 || attempt_start(h, r, false, now_us) < 0) {
        host_end(&r->origin->host, HOST_DROPPED, now_us / 1000, now_us / 1000);
        fail(h, r, ENOMEM, "the request could not be set up");
        return;
    }
    struct attempt *a = r->tries[0];
    r->attempts++;
    a->hedge_us = hedge_due_us(a);
    look_by(h, silence_due_ms(a));
    if (a->hedge_us != INT64_MAX)
        look_by(h, a->hedge_us / 1000 + 1);
}

static void hedge(struct http *h, struct attempt *a, int64_t now_us)
{
    struct http_request *r = a->request;
    bool room = h->active_count < ATTEMPTS_MAX;
    a->hedge_us = now_us + HEDGE_AGAIN_US;
    if (!room || !host_hedge(&r->origin->host, now_us / 1000))
        return;
    a->hedge_us = INT64_MAX;
    if (attempt_start(h, r, true, now_us) < 0)
        host_end(&r->origin->host, HOST_DROPPED, now_us / 1000, now_us / 1000);
    else
        look_by(h, silence_due_ms(r->tries[true]));
}

static uint64_t next_random(struct http *h)
{
    h->random = hash64(h->random, SLICE_LIT("retry"));
    return h->random;
}

/* Puts a failed attempt aside until its next one; false where the deadline leaves no room for it.
 */
static bool delay(struct http *h, struct http_request *r)
{
    int64_t now_ms = clock_mono_ms(), left_ms = r->until_ms - now_ms;
    if (left_ms < LAST_ATTEMPT_MS)
        return false;
    int64_t delay_ms = retry_delay_ms(r->attempts, next_random(h));
    r->due_ms = now_ms + (delay_ms < left_ms / 2 ? delay_ms : left_ms / 2);
    r->next = h->delayed;
    h->delayed = r;
    atomic_fetch_add(&h->delayed_now, 1);
    look_by(h, r->due_ms);
    return true;
}

static enum host_verdict verdict_of(const struct attempt *a, CURLcode code)
{
    if (a->dropped)
        return HOST_DROPPED;
    if (attempt_refused(a))
        return HOST_REFUSED;
    return code ? HOST_FAILED : HOST_GOOD;
}

static void drop_losers(struct http *h)
{
    while (h->dropped)
        attempt_release(h, h->dropped, HOST_DROPPED);
}

static bool out_of_reach(const struct http_request *r)
{
    const struct origin *o = r->origin;
    int64_t since_ms = clock_mono_ms() - (r->until_ms - r->deadline_ms);
    bool silent = !o->answered && r->attempts >= UNANSWERED_MAX;
    return (!o->reached || silent) && since_ms >= r->deadline_ms / UNREACHED_SHARE;
}

/* Which address that is, and by which scheme, is what was mistaken. */
static void tell_silence(struct http_request *r)
{
    const struct origin *o = r->origin;
    if (r->rc < 0 && o->reached && !o->answered)
        (void)err_wrap(&r->err, "nothing ever came from %.*s", (int)o->name_bytes, o->name);
}

static void ended(struct http *h, struct attempt *a, CURLcode code)
{
    struct http_request *r = a->request;
    bool counts = attempt_end(a, code);
    enum host_verdict verdict = verdict_of(a, code);
    if (verdict == HOST_REFUSED)
        atomic_fetch_add(&h->refused, 1);
    bool passes = counts && code && !r->body_too_long && attempt_may_pass(a, code);
    attempt_release(h, a, verdict);
    drop_losers(h);
    if (!counts)
        return;
    bool again = code && !r->body_too_long ? passes : r->again && r->again(r);
    if (again && !out_of_reach(r) && delay(h, r))
        return;
    tell_silence(r);
    finish(h, r);
}

/* ---- times ---- */

/* Moves what is due to the waiting ones. */
static void take_due(struct http *h, int64_t now_ms)
{
    for (struct http_request **at = &h->delayed; *at;) {
        struct http_request *r = *at;
        if (r->due_ms <= now_ms) {
            *at = r->next;
            atomic_fetch_sub(&h->delayed_now, 1);
            http_queue_add(&r->origin->waiting[r->ahead], r);
        } else {
            look_by(h, r->due_ms);
            at = &r->next;
        }
    }
}

static void look_at_attempt(struct http *h, struct attempt *a, int64_t now_us)
{
    int64_t silence_ms = silence_due_ms(a);
    if (silence_ms <= now_us / 1000) {
        (void)snprintf(a->error, sizeof a->error, "no byte came for %lld ms",
                       (long long)(now_us / 1000 - a->heard_ms)); /* fits */
        ended(h, a, CURLE_OPERATION_TIMEDOUT);
        return;
    }
    if (!a->began && a->hedge_us <= now_us)
        hedge(h, a, now_us);
    look_by(h, silence_ms);
    if (!a->began && a->hedge_us != INT64_MAX)
        look_by(h, a->hedge_us / 1000 + 1);
}

/* What waits for a connection has its deadline too. */
static void give_up_waiting(struct http *h, struct queue *q, int64_t now_ms)
{
    while (q->first && q->first->until_ms <= now_ms)
        fail(h, queue_take(q), EIO, "the deadline passed before a connection was free");
    if (q->first)
        look_by(h, q->first->until_ms);
}

static void look_at_times(struct http *h)
{
    int64_t now_us = clock_mono_us();
    if (now_us / 1000 < h->look_ms)
        return;
    h->look_ms = INT64_MAX;
    take_due(h, now_us / 1000);
    /* Backwards: one that ends is replaced by the last one, and that by none but its hedge. */
    for (unsigned i = h->active_count; i-- > 0;)
        if (i < h->active_count)
            look_at_attempt(h, h->active[i], now_us);
    for (struct origin *o = h->origins; o; o = o->next)
        for (unsigned i = 0; i < ARRAY_SIZE(o->waiting); i++)
            give_up_waiting(h, &o->waiting[i], now_us / 1000);
}

/* ---- the engine's thread ---- */

static void take_submitted(struct http *h, bool *ending)
{
    struct queue taken = {0};
    WITH_LOCK (&h->lock) {
        taken = h->submitted;
        h->submitted = (struct queue){0};
        *ending = h->ending;
    }
    struct http_request *r;
    while ((r = queue_take(&taken))) {
        r->origin = find_origin(h, r->url);
        if (!r->origin) {
            fail(h, r, ENOMEM, "out of memory");
            continue;
        }
        r->origin->requests++;
        http_queue_add(&r->origin->waiting[r->ahead], r);
        look_by(h, r->until_ms);
    }
}

/* What somebody waits for, else what is fetched ahead. */
static struct http_request *take_waiting(struct origin *o)
{
    struct http_request *r = queue_take(&o->waiting[false]);
    return r ? r : queue_take(&o->waiting[true]);
}

/* One of each host in turn, until nobody may or wants to. */
static void start_waiting(struct http *h)
{
    struct http_request *r;
    for (bool started = true; started && h->active_count < ATTEMPTS_MAX;) {
        started = false;
        for (struct origin *o = h->origins; o && h->active_count < ATTEMPTS_MAX; o = o->next)
            if (host_has_room(&o->host) && (r = take_waiting(o))) {
                start(h, r);
                started = true;
            }
    }
}

static void tell_heard(struct http *h)
{
    struct attempt *a;
    while ((a = h->heard)) {
        h->heard = a->next;
        a->in_heard = false;
        a->request->arrived(a->request);
    }
}

/* libcurl has something to do with a socket, or with none: its time has come. */
static void act(struct http *h, curl_socket_t fd, int events)
{
    int running;
    CURLMcode rc = curl_multi_socket_action(h->multi, fd, events, &running);
    assert(rc == CURLM_OK);
    (void)rc;
    drop_losers(h);
    tell_heard(h);
}

static void take_ended(struct http *h)
{
    int left;
    CURLMsg *msg;
    while (h->multi && (msg = curl_multi_info_read(h->multi, &left))) {
        assert(msg->msg == CURLMSG_DONE);
        CURLcode code = msg->data.result; /* the message dies with the handle's removal */
        char *a = NULL;
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &a); /* cannot fail */
        ended(h, (struct attempt *)(void *)a, code);
    }
}

static void wait_and_act(struct http *h)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int64_t now_ms = clock_mono_ms();
    int64_t due_ms = h->look_ms < h->curl_due_ms ? h->look_ms : h->curl_due_ms;
    int64_t sleep_ms = due_ms > now_ms + SLEEP_MAX_MS ? SLEEP_MAX_MS : due_ms - now_ms;
    int n = epoll_wait(h->epoll, events, EVENTS_AT_ONCE, sleep_ms > 0 ? (int)sleep_ms : 0);
    for (int i = 0; i < n; i++) {
        uint32_t what = events[i].events;
        eventfd_t count;
        if (events[i].data.fd == h->wake)
            (void)eventfd_read(h->wake, &count); /* never blocks; why it woke is looked at anyway */
        else
            act(h, events[i].data.fd,
                (what & EPOLLIN ? CURL_CSELECT_IN : 0) | (what & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                    (what & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0));
    }
    if (h->curl_due_ms <= clock_mono_ms()) {
        h->curl_due_ms = INT64_MAX;
        act(h, CURL_SOCKET_TIMEOUT, 0);
    }
    take_ended(h);
}

static void fail_all(struct http *h)
{
    static const char why[] = "the program is ending";
    struct http_request *r;
    while (h->active_count) {
        r = h->active[0]->request;
        for (int i = 0; i < 2; i++)
            if (r->tries[i])
                attempt_release(h, r->tries[i], HOST_DROPPED);
        fail(h, r, EIO, why);
    }
    while ((r = h->delayed)) {
        h->delayed = r->next;
        fail(h, r, EIO, why);
    }
    for (struct origin *o = h->origins; o; o = o->next)
        while ((r = take_waiting(o)))
            fail(h, r, EIO, why);
}

void *http_loop(void *arg)
{
    struct http *h = arg;
    for (bool ending = false;;) {
        take_submitted(h, &ending);
        if (ending)
            break;
        look_at_times(h);
        start_waiting(h);
        wait_and_act(h);
    }
    fail_all(h);
    return NULL;
}
