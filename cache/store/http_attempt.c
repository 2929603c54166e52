/* SPDX-License-Identifier: Apache-2.0 */
/* One transfer: its options, what libcurl tells of it, and which of two counts. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "cache/store/http_private.h"

#define RECEIVE_BYTES ((long)(128 * KIB))
/* Of the deadline: a connection that is not made is left early enough to try again. */
#define CONNECT_SHARE 6

void http_forget_answer(struct http_request *r)
{
    r->rc = 0;
    r->err = (struct err)ERR_INIT;
    r->answer = (struct http_answer){0};
    r->got = r->room_got = 0;
    r->room_now = r->rooms;
    r->winner = NULL;
    r->body_accepted = r->body_too_long = false;
    buf_reset(&r->text);
}

/* The other one of the same request, or NULL. */
static struct attempt *other_of(const struct attempt *a)
{
    struct attempt *const *tries = a->request->tries;
    return tries[0] == a ? tries[1] : tries[0];
}

/* ---- answers: head and body ---- */

static void read_status(struct attempt *a)
{
    long status = 0;
    (void)curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status); /* cannot fail for a long */
    a->answer.status = status > 0 && status < 1000 ? (unsigned)status : 0;
}

bool attempt_refused(const struct attempt *a)
{
    return a->answer.status == 429 || a->answer.status == 503;
}

static void note_first_byte(struct attempt *a)
{
    struct http_request *r = a->request;
    bool success = a->answer.status >= 200 && a->answer.status < 300;
    if (r->to && success)
        host_heard(&r->origin->host, host_size_of(r->room), clock_mono_us() - a->begun_us);
}

/* The answer counts: the other attempt, if there is one, has lost. */
static void win(struct attempt *a)
{
    struct http_request *r = a->request;
    struct attempt *other = other_of(a);
    r->winner = a;
    r->answer = a->answer;
    if (a->hedge)
        atomic_fetch_add(&a->http->hedges_won, 1);
    if (other) {
        other->dropped = true;
        other->next = a->http->dropped;
        a->http->dropped = other;
    }
}

/* The first byte of a body. False: nobody wants it. */
static bool begin_body(struct attempt *a)
{
    struct http_request *r = a->request;
    a->began = true;
    read_status(a);
    note_first_byte(a);
    if (other_of(a) && attempt_may_pass(a, CURLE_OK))
        return false;
    win(a);
    r->body_accepted = r->accept && r->accept(r);
    return true;
}

static void hear(struct attempt *a)
{
    if (a->in_heard || !a->request->arrived)
        return;
    a->in_heard = true;
    a->next = a->http->heard;
    a->http->heard = a;
}

static size_t on_field(char *data, size_t size, size_t count, void *arg)
{
    struct attempt *a = arg;
    a->heard_ms = clock_mono_ms();
    http_answer_read(&a->answer, slice_make(data, size * count));
    return size * count;
}

/* There is room for them. */
static void take_bytes(struct http_request *r, const char *data, size_t n)
{
    if (!r->rooms)
        memcpy(r->to + r->got, data, n);
    r->got += n;
    while (r->rooms && n) {
        size_t left = r->room_now->iov_len - r->room_got, some = n < left ? n : left;
        memcpy((char *)r->room_now->iov_base + r->room_got, data, some);
        data += some;
        n -= some;
        r->room_got += some;
        if (some == left) {
            r->room_now++;
            r->room_got = 0;
        }
    }
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct attempt *a = arg;
    struct http_request *r = a->request;
    size_t n = size * count;
    if (a->dropped || (!a->began && !begin_body(a)))
        return 0;
    a->heard_ms = clock_mono_ms();
    if (!r->body_accepted) {
        buf_add(&r->text, data, n);
        r->body_too_long = r->text.failed == EOVERFLOW;
        return r->text.failed ? 0 : n;
    }
    if (n > r->room - r->got) {
        r->body_too_long = true;
        return 0;
    }
    take_bytes(r, data, n);
    hear(a);
    return n;
}

/* ---- sockets, which are counted and not inherited ---- */

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http *h = arg;
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    atomic_fetch_add(&h->connections, 1);
    return fd;
}

static int on_close(void *arg, curl_socket_t fd)
{
    struct http *h = arg;
    atomic_fetch_sub(&h->connections, 1);
    return close(fd);
}

/* ---- options ---- */

static bool make_field_list(struct http_request *r)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* never wait for a 100 */
    bool typed = false;
    for (size_t i = 0; list && i < r->fields_count; i++) {
        typed = typed || strcasecmp(r->fields[i].name, "content-type") == 0;
        AUTO(buf) struct buf line = {0};
        buf_init(&line, 64 * KIB);
        buf_addf(&line, "%s: %s", r->fields[i].name, r->fields[i].value);
        struct curl_slist *more = line.failed ? NULL : curl_slist_append(list, line.data);
        if (!more)
            curl_slist_free_all(list);
        list = more;
    }
    if (list && !typed) { /* libcurl would tell one, which is not signed */
        struct curl_slist *more = curl_slist_append(list, "Content-Type:");
        if (!more)
            curl_slist_free_all(list);
        list = more;
    }
    r->field_list = list;
    return list != NULL;
}

#define SET(option, value) (rc = rc ? rc : curl_easy_setopt(easy, option, value))

/* Bytes that leave are as good as those that come: the attempt is alive. */
static int on_sent(void *arg, curl_off_t to_come, curl_off_t come, curl_off_t to_send,
                   curl_off_t sent)
{
    struct attempt *a = arg;
    (void)to_come, (void)come, (void)to_send;
    if (sent != a->sent_bytes)
        a->heard_ms = clock_mono_ms();
    a->sent_bytes = sent;
    return 0;
}

/* What is the same for all requests. */
static CURLcode set_usual(struct attempt *a)
{
    CURL *easy = a->easy;
    CURLcode rc = CURLE_OK;
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_SHARE, a->http->shared);
    SET(CURLOPT_USERAGENT, "tarn/" TARN_VERSION);
    SET(CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_PRIVATE, a);
    SET(CURLOPT_ERRORBUFFER, a->error);
    SET(CURLOPT_HEADERFUNCTION, on_field);
    SET(CURLOPT_HEADERDATA, a);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, a);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(CURLOPT_OPENSOCKETDATA, a->http);
    SET(CURLOPT_CLOSESOCKETFUNCTION, on_close);
    SET(CURLOPT_CLOSESOCKETDATA, a->http);
    return rc;
}

static CURLcode set_options(struct attempt *a, int64_t left_ms)
{
    struct http_request *r = a->request;
    CURL *easy = a->easy;
    CURLcode rc = set_usual(a);
    SET(CURLOPT_URL, r->url);
    SET(CURLOPT_PROXY, r->proxy_url ? r->proxy_url : "");
    SET(CURLOPT_HTTPHEADER, (struct curl_slist *)r->field_list);
    if (r->ca_bundle)
        SET(CURLOPT_CAINFO, r->ca_bundle);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(r->deadline_ms / CONNECT_SHARE + 1));
    SET(CURLOPT_TIMEOUT_MS, (long)left_ms);
    if (strcmp(r->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (strcmp(r->method, "GET") != 0) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->upload.n);
        SET(CURLOPT_POSTFIELDS, r->upload.p ? r->upload.p : "");
        SET(CURLOPT_CUSTOMREQUEST, r->method);
        SET(CURLOPT_XFERINFOFUNCTION, on_sent);
        SET(CURLOPT_XFERINFODATA, a);
        SET(CURLOPT_NOPROGRESS, 0L);
    }
    return rc;
}

/* ---- beginning and end ---- */

static struct attempt *take(struct http *h)
{
    struct attempt *a = h->idle;
    if (a)
        h->idle = a->next;
    else
        a = calloc(1, sizeof *a);
    if (a && !a->easy && !(a->easy = curl_easy_init())) {
        free(a);
        return NULL;
    }
    return a;
}

void attempt_free(struct attempt *a)
{
    curl_easy_cleanup(a->easy);
    free(a);
}

int attempt_start(struct http *h, struct http_request *r, bool hedge, int64_t now_us)
{
    assert(h->active_count < ATTEMPTS_MAX && !r->tries[hedge]);
    struct attempt *a = take(h);
    if (!a)
        return -ENOMEM;
    int64_t left_ms = r->until_ms - now_us / 1000;
    CURL *easy = a->easy;
    *a = (struct attempt){.easy = easy,
                          .http = h,
                          .request = r,
                          .hedge = hedge,
                          .begun_us = now_us,
                          .heard_ms = now_us / 1000,
                          .hedge_us = INT64_MAX};
    if ((!r->field_list && !make_field_list(r)) || set_options(a, left_ms > 1 ? left_ms : 1) ||
        curl_multi_add_handle(h->multi, easy)) {
        attempt_free(a);
        return -ENOMEM;
    }
    r->tries[hedge] = a;
    a->index = h->active_count;
    h->active[h->active_count++] = a;
    atomic_fetch_add(&h->under_way_now, 1);
    atomic_fetch_add(hedge ? &h->hedges : &h->attempts, 1);
    return 0;
}

/* One that ended while its host's name was looked up keeps a receive buffer for ever, and takes no
 * options any more (libcurl 7.88): what has failed is not used again. */
static void forget_handle(struct attempt *a)
{
    curl_easy_cleanup(a->easy);
    a->easy = NULL;
}

static void unlist(struct attempt **list, const struct attempt *a)
{
    while (*list && *list != a)
        list = &(*list)->next;
    if (*list)
        *list = a->next;
}

void attempt_release(struct http *h, struct attempt *a, enum host_verdict verdict)
{
    struct http_request *r = a->request;
    curl_off_t received = 0, connect_us = 0;
    (void)curl_easy_getinfo(a->easy, CURLINFO_SIZE_DOWNLOAD_T, &received);  /* cannot fail */
    (void)curl_easy_getinfo(a->easy, CURLINFO_CONNECT_TIME_T, &connect_us); /* likewise */
    r->origin->reached = r->origin->reached || connect_us > 0 || received > 0;
    r->origin->answered = r->origin->answered || a->answer.status || received > 0;
    atomic_fetch_add(&h->bytes_received, (uint64_t)received);
    unlist(a->dropped ? &h->dropped : &h->heard, a);
    if (a->dropped && !a->began) /* it would have taken longer still */
        host_heard(&r->origin->host, host_size_of(r->room), clock_mono_us() - a->begun_us);
    (void)curl_multi_remove_handle(h->multi, a->easy); /* it is in there */
    if (verdict == HOST_FAILED || verdict == HOST_DROPPED)
        forget_handle(a);
    else
        curl_easy_reset(a->easy);
    host_end(&r->origin->host, verdict, a->begun_us / 1000, clock_mono_ms());
    r->tries[a->hedge] = NULL;
    if (r->winner == a)
        r->winner = NULL;
    struct attempt *last = h->active[--h->active_count];
    h->active[a->index] = last;
    last->index = a->index;
    atomic_fetch_sub(&h->under_way_now, 1);
    a->request = NULL;
    a->next = h->idle;
    h->idle = a;
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

/* A proxy that makes no tunnel: who asks it again and again with a wrong password is locked out. */
static bool tunnel_refused(const struct attempt *a)
{
    long status = 0;
    (void)curl_easy_getinfo(a->easy, CURLINFO_HTTP_CONNECTCODE, &status); /* cannot fail */
    return status >= 400 && status < 500 && status != 408 && status != 429;
}

bool attempt_may_pass(const struct attempt *a, CURLcode code)
{
    return code ? transient(code) && !tunnel_refused(a)
                : attempt_refused(a) || a->answer.status >= 500;
}

/* What to do about mistakes that users make. */
static const char *hint(const struct attempt *a, CURLcode code)
{
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return "; --ca-bundle names certificates to trust";
    if (code == CURLE_SSL_CONNECT_ERROR && strstr(a->error, "wrong version number"))
        return "; it may be a server of http://";
    return "";
}

bool attempt_end(struct attempt *a, CURLcode code)
{
    struct http_request *r = a->request;
    read_status(a);
    if (a->dropped || (other_of(a) && (code || attempt_may_pass(a, code))))
        return false;
    if (r->winner != a)
        win(a);
    if (r->body_too_long)
        r->rc = err_set(&r->err, EIO, "the answer is longer than %zu bytes",
                        r->body_accepted ? r->room : r->text.max);
    else if (code)
        r->rc =
            err_set(&r->err, r->text.failed == ENOMEM ? ENOMEM : EIO, "%s%s (attempt %u)",
                    a->error[0] ? a->error : curl_easy_strerror(code), hint(a, code), r->attempts);
    return true;
}
