/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/http.h"

#include <assert.h>
#include <curl/curl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/lock.h"
#include "cache/store/event.h"
#include "cache/store/retry.h"

#define RECEIVE_BYTES ((long)(128 * KIB))
/* Fractions of the deadline: what is stuck is left early enough to try again. */
#define CONNECT_SHARE 6
#define STALL_SHARE 4
#define STALL_BYTES_PER_SECOND 1024L
#define POLL_MAX_MS 10000
/* Less than this before the deadline nothing is begun again. */
#define LAST_ATTEMPT_MS 50

struct queue {
    struct http_request *first, *last;
};

struct http {
    CURLM *multi;   /* the engine's thread, as all that has no other note */
    CURLSH *shared; /* TLS sessions */
    CURL *idle[CONNECTIONS_MAX];
    size_t idle_count, active_count;
    struct http_request *active;  /* in no order */
    struct http_request *delayed; /* in no order */
    struct queue waiting;
    uint64_t random;

    struct lock lock;
    struct queue submitted; /* lock */
    bool ending;            /* lock */

    _Atomic uint64_t requests, attempts, bytes_received;
    pthread_t thread; /* immutable after http_new */
};

static void queue_add(struct queue *q, struct http_request *r)
{
    r->next = NULL;
    if (q->last)
        q->last->next = r;
    else
        q->first = r;
    q->last = r;
}

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

static void unlink_request(struct http_request **list, struct http_request *r)
{
    while (*list != r)
        list = &(*list)->next;
    *list = r->next;
}

/* Answers: head and body. */

static size_t on_field(char *data, size_t size, size_t count, void *arg)
{
    struct http_request *r = arg;
    http_answer_read(&r->answer, slice_make(data, size * count));
    return size * count;
}

static void read_status(struct http_request *r)
{
    long status = 0;
    (void)curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status); /* cannot fail for a long */
    r->answer.status = status > 0 && status < 1000 ? (unsigned)status : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct http_request *r = arg;
    size_t n = size * count;
    if (!r->body_began) {
        r->body_began = true;
        read_status(r);
        r->body_accepted = r->accept && r->accept(r);
    }
    if (!r->body_accepted) {
        buf_add(&r->text, data, n);
        r->body_too_long = r->text.failed == EOVERFLOW;
        return r->text.failed ? 0 : n;
    }
    if (n > r->room - r->got) {
        r->body_too_long = true;
        return 0;
    }
    memcpy(r->to + r->got, data, n);
    r->got += n;
    if (r->arrived)
        r->arrived(r);
    return n;
}

/* One attempt. */

static CURL *take_easy(struct http *h)
{
    if (h->idle_count)
        return h->idle[--h->idle_count];
    return curl_easy_init();
}

static void give_easy(struct http *h, CURL *easy)
{
    if (h->idle_count < CONNECTIONS_MAX)
        h->idle[h->idle_count++] = easy;
    else
        curl_easy_cleanup(easy);
}

static bool make_field_list(struct http_request *r)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* never wait for a 100 */
    for (size_t i = 0; list && i < r->fields_count; i++) {
        AUTO(buf) struct buf line = {0};
        buf_init(&line, 64 * KIB);
        buf_addf(&line, "%s: %s", r->fields[i].name, r->fields[i].value);
        struct curl_slist *more = line.failed ? NULL : curl_slist_append(list, line.data);
        if (!more)
            curl_slist_free_all(list);
        list = more;
    }
    r->field_list = list;
    return list != NULL;
}

#define SET(option, value) (rc = rc ? rc : curl_easy_setopt(easy, option, value))

static CURLcode set_options(struct http *h, struct http_request *r, int64_t left_ms)
{
    CURL *easy = r->easy;
    CURLcode rc = CURLE_OK;
    SET(CURLOPT_URL, r->url);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_PROXY, r->proxy_url ? r->proxy_url : "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_SHARE, h->shared);
    SET(CURLOPT_USERAGENT, "tarn/" TARN_VERSION);
    SET(CURLOPT_HTTPHEADER, r->field_list);
    SET(CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_PRIVATE, r);
    SET(CURLOPT_ERRORBUFFER, r->transport_error);
    SET(CURLOPT_HEADERFUNCTION, on_field);
    SET(CURLOPT_HEADERDATA, r);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, r);
    if (r->ca_bundle)
        SET(CURLOPT_CAINFO, r->ca_bundle);
    int64_t stall_s = r->deadline_ms / STALL_SHARE / 1000;
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(r->deadline_ms / CONNECT_SHARE + 1));
    SET(CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES_PER_SECOND);
    SET(CURLOPT_LOW_SPEED_TIME, (long)(stall_s ? stall_s : 1));
    SET(CURLOPT_TIMEOUT_MS, (long)left_ms);
    if (strcmp(r->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (strcmp(r->method, "GET") != 0) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->upload.n);
        SET(CURLOPT_POSTFIELDS, r->upload.p ? r->upload.p : "");
        SET(CURLOPT_CUSTOMREQUEST, r->method);
    }
    return rc;
}

static void forget_answer(struct http_request *r)
{
    r->rc = 0;
    r->err = (struct err)ERR_INIT;
    r->answer = (struct http_answer){0};
    r->got = 0;
    r->body_began = r->body_accepted = r->body_too_long = false;
    r->transport_error[0] = '\0';
    buf_reset(&r->text);
}

static void finish(struct http_request *r)
{
    curl_slist_free_all(r->field_list);
    r->field_list = NULL;
    r->done(r);
}

static void fail(struct http_request *r, int code, const char *why)
{
    r->rc = err_set(&r->err, code, "%s", why);
    finish(r);
}

static void start(struct http *h, struct http_request *r)
{
    int64_t left_ms = r->until_ms - clock_mono_ms();
    if (left_ms <= 0) {
        fail(r, EIO, "the deadline passed before a connection was free");
        return;
    }
    forget_answer(r);
    r->easy = take_easy(h);
    if (!r->easy || (!r->field_list && !make_field_list(r)) || set_options(h, r, left_ms) ||
        curl_multi_add_handle(h->multi, r->easy)) {
        if (r->easy)
            curl_easy_cleanup(r->easy);
        r->easy = NULL;
        fail(r, ENOMEM, "the request could not be set up");
        return;
    }
    r->attempts++;
    r->next = h->active;
    h->active = r;
    h->active_count++;
    atomic_fetch_add(&h->attempts, 1);
}

/* What may go better next time. */
static bool transient(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_AGAIN:
        return true;
    default: /* libcurl's own enum, of a hundred */
        return false;
    }
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
    return true;
}

static void release_easy(struct http *h, struct http_request *r)
{
    unlink_request(&h->active, r);
    h->active_count--;
    (void)curl_multi_remove_handle(h->multi, r->easy); /* it is in there */
    curl_easy_reset(r->easy);
    give_easy(h, r->easy);
    r->easy = NULL;
}

static void attempt_ended(struct http *h, struct http_request *r, CURLcode code)
{
    curl_off_t received = 0;
    read_status(r);
    (void)curl_easy_getinfo(r->easy, CURLINFO_SIZE_DOWNLOAD_T, &received); /* cannot fail */
    atomic_fetch_add(&h->bytes_received, (uint64_t)received);
    release_easy(h, r);
    if (r->body_too_long)
        r->rc = err_set(&r->err, EIO, "the answer is longer than %zu bytes",
                        r->body_accepted ? r->room : r->text.max);
    else if (code)
        r->rc = err_set(&r->err, r->text.failed == ENOMEM ? ENOMEM : EIO, "%s (attempt %u)",
                        r->transport_error[0] ? r->transport_error : curl_easy_strerror(code),
                        r->attempts);
    bool again = code && !r->body_too_long ? transient(code) : r->again && r->again(r);
    if (!again || !delay(h, r))
        finish(r);
}

/* The engine's thread. */

static void take_submitted(struct http *h, bool *ending)
{
    WITH_LOCK (&h->lock) {
        struct http_request *r;
        while ((r = queue_take(&h->submitted)))
            queue_add(&h->waiting, r);
        *ending = h->ending;
    }
}

/* Moves what is due to the waiting ones. */
static void take_due(struct http *h)
{
    int64_t now_ms = clock_mono_ms();
    for (struct http_request **at = &h->delayed; *at;) {
        struct http_request *r = *at;
        if (r->due_ms <= now_ms) {
            *at = r->next;
            queue_add(&h->waiting, r);
        } else {
            at = &r->next;
        }
    }
}

/* Milliseconds until there is something to do besides the transfers. */
static int idle_ms(const struct http *h)
{
    int64_t now_ms = clock_mono_ms(), until_ms = now_ms + POLL_MAX_MS;
    for (const struct http_request *r = h->delayed; r; r = r->next)
        until_ms = r->due_ms < until_ms ? r->due_ms : until_ms;
    if (h->waiting.first && h->waiting.first->until_ms < until_ms)
        until_ms = h->waiting.first->until_ms;
    if (h->waiting.first && h->active_count < CONNECTIONS_MAX)
        until_ms = now_ms;
    return until_ms > now_ms ? (int)(until_ms - now_ms) : 0;
}

static void start_waiting(struct http *h)
{
    while (h->waiting.first && h->active_count < CONNECTIONS_MAX)
        start(h, queue_take(&h->waiting));
    while (h->waiting.first && h->waiting.first->until_ms <= clock_mono_ms())
        fail(queue_take(&h->waiting), EIO, "the deadline passed before a connection was free");
}

static void take_ended(struct http *h)
{
    int left;
    CURLMsg *msg;
    while ((msg = curl_multi_info_read(h->multi, &left))) {
        assert(msg->msg == CURLMSG_DONE);
        CURLcode code = msg->data.result; /* the message dies with the handle's removal */
        char *r = NULL;
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &r); /* cannot fail */
        attempt_ended(h, (struct http_request *)(void *)r, code);
    }
}

static void fail_all(struct http *h)
{
    struct http_request *r;
    while ((r = h->active)) {
        release_easy(h, r);
        fail(r, EIO, "the program is ending");
    }
    while ((r = h->delayed)) {
        h->delayed = r->next;
        fail(r, EIO, "the program is ending");
    }
    while ((r = queue_take(&h->waiting)))
        fail(r, EIO, "the program is ending");
}

static void *engine(void *arg)
{
    struct http *h = arg;
    for (bool ending = false;;) {
        take_submitted(h, &ending);
        if (ending)
            break;
        take_due(h);
        start_waiting(h);
        int running;
        CURLMcode rc = curl_multi_perform(h->multi, &running);
        assert(rc == CURLM_OK);
        take_ended(h);
        rc = curl_multi_poll(h->multi, NULL, 0, idle_ms(h), NULL);
        assert(rc == CURLM_OK);
        (void)rc;
    }
    fail_all(h);
    return NULL;
}

/* Interface. */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);
    assert(rc == CURLE_OK);
    (void)rc;
}

static void free_all(struct http *h)
{
    while (h->idle_count)
        curl_easy_cleanup(h->idle[--h->idle_count]);
    if (h->multi)
        (void)curl_multi_cleanup(h->multi); /* no handle is in it */
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
    int rc = pthread_create(&h->thread, NULL, engine, h);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        (void)pthread_setname_np(h->thread, "http"); /* only a help to debuggers */
    return rc;
}

struct http *http_new(struct err *err)
{
    (void)pthread_once(&curl_once, init_curl);
    struct http *h = calloc(1, sizeof *h);
    if (!h) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    lock_init(&h->lock);
    if (getrandom(&h->random, sizeof h->random, GRND_NONBLOCK) < 0)
        h->random = (uint64_t)clock_mono_ms();
    h->multi = curl_multi_init();
    h->shared = curl_share_init();
    /* The engine's thread alone uses it: no lock functions. */
    int rc = h->multi && h->shared ? 0 : ENOMEM;
    if (rc == 0 && (curl_share_setopt(h->shared, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) ||
                    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX) ||
                    curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING)))
        rc = EIO;
    if (rc == 0)
        rc = start_thread(h);
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
    (void)curl_multi_wakeup(h->multi); /* can fail only for want of a socket pair, made at init */
    (void)pthread_join(h->thread, NULL);
    free_all(h);
}

void http_submit(struct http *h, struct http_request *r)
{
    assert(r->deadline_ms > 0 && r->done);
    r->attempts = 0;
    r->easy = r->field_list = NULL;
    r->until_ms = clock_mono_ms() + r->deadline_ms;
    forget_answer(r);
    atomic_fetch_add(&h->requests, 1);
    WITH_LOCK (&h->lock)
        queue_add(&h->submitted, r);
    (void)curl_multi_wakeup(h->multi); /* as in http_free */
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
                              .bytes_received = atomic_load(&h->bytes_received)};
}
