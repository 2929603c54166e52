/* SPDX-License-Identifier: Apache-2.0 */
/* The engine and the S3 store against a server that fails, stalls and lies as it is told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/lock.h"
#include "base/text.h"
#include "base/workers.h"
#include "cache/store/http.h"
#include "cache/store/store.h"

#define REQUEST_BYTES_MAX 8192
#define STALL NULL /* an answer that never comes */
#define OK206(range, body)                                                                         \
    "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nETag: \"e1\"\r\nContent-Range: "         \
    "bytes " range "\r\nContent-Length: 5\r\n\r\n" body
#define SLOW_DOWN "HTTP/1.1 503 Slow Down\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
#define PLAIN(status) "HTTP/1.1 " status "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

/* Answers connection after connection from a script, whose last line it repeats. */
struct server {
    int fd, ending;
    pthread_t thread;
    const char *const *script;
    size_t script_n;
    struct lock lock;
    size_t served;                /* lock */
    char last[REQUEST_BYTES_MAX]; /* lock */
};

/* Reads a head and what body its length tells. */
static bool read_request(int fd, char *to, size_t room)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = recv(fd, to + n, room - 1 - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        to[n] = '\0';
        char *end = strstr(to, "\r\n\r\n"), *length = strcasestr(to, "content-length: ");
        size_t body = length ? strtoul(length + 16, NULL, 10) : 0;
        if (end && n >= (size_t)(end - to) + 4 + body)
            return true;
    }
}

static void answer(struct server *s, int fd)
{
    char request[REQUEST_BYTES_MAX];
    if (!read_request(fd, request, sizeof request))
        return;
    size_t i;
    WITH_LOCK (&s->lock) {
        i = s->served < s->script_n ? s->served : s->script_n - 1;
        s->served++;
        memcpy(s->last, request, sizeof request);
    }
    if (s->script[i] != STALL) {
        (void)send(fd, s->script[i], strlen(s->script[i]), MSG_NOSIGNAL); /* it may have gone */
        return;
    }
    struct pollfd wait[2] = {{fd, POLLRDHUP, 0}, {s->ending, POLLIN, 0}};
    (void)poll(wait, 2, -1); /* until one of both ends */
}

static void *serve(void *arg)
{
    struct server *s = arg;
    for (;;) {
        struct pollfd wait[2] = {{s->fd, POLLIN, 0}, {s->ending, POLLIN, 0}};
        (void)poll(wait, 2, -1); /* likewise */
        if (wait[1].revents)
            return NULL;
        AUTO_FD int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            answer(s, fd);
    }
}

struct fixture {
    struct workers *secrets;
    struct server server;
    struct http *http;
    struct store *store;
    struct err err;
};

/* Starts a server with the script and opens a store on it. */
static void begin(struct fixture *f, const char *const *script, size_t script_n,
                  int64_t deadline_ms)
{
    *f = (struct fixture){.server = {.script = script, .script_n = script_n}};
    lock_init(&f->server.lock);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    f->server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    f->server.ending = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(bind(f->server.fd, (struct sockaddr *)&address, n), 0);
    assert_int_equal(listen(f->server.fd, 16), 0);
    assert_int_equal(getsockname(f->server.fd, (struct sockaddr *)&address, &n), 0);
    assert_int_equal(pthread_create(&f->server.thread, NULL, serve, &f->server), 0);
    char endpoint[64];
    (void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", ntohs(address.sin_port));
    f->http = http_new(&f->err);
    assert_non_null(f->http);
    struct store_options options = {.endpoint_url = endpoint,
                                    .access_key_id = "AKIDEXAMPLE",
                                    .secret_access_key = "hunter2",
                                    .session_token = "tokentoken",
                                    .deadline_ms = deadline_ms};
    f->secrets = workers_new("secrets", 1, NULL);
    struct store_runtime runtime = {.http = f->http, .secrets = f->secrets};
    f->store = store_open("s3://bucket/lake", &options, &runtime, &f->err);
    assert_non_null(f->store);
}

#define BEGIN(f, deadline_ms, ...)                                                                 \
    static const char *const script_[] = {__VA_ARGS__};                                            \
    begin((f), script_, ARRAY_SIZE(script_), (deadline_ms))

static void end(struct fixture *f)
{
    assert_null(strstr(f->err.msg, "hunter2"));
    assert_null(strstr(f->err.msg, "tokentoken"));
    store_free(f->store);
    workers_free(f->secrets);
    http_free(f->http);
    assert_int_equal(eventfd_write(f->server.ending, 1), 0);
    assert_int_equal(pthread_join(f->server.thread, NULL), 0);
    (void)close(f->server.fd);
    (void)close(f->server.ending);
    lock_done(&f->server.lock);
}

/* Bytes [10, 15) of an object. */
static int get(struct fixture *f, const char *if_match, char to[6], struct store_info *info)
{
    memset(to, 0, 6);
    struct store_get req = {
        .key = "a/../k", .offset = 10, .length = 5, .if_match = if_match, .to = to};
    int rc = store_get_wait(f->store, &req, &f->err);
    if (rc == 0 && info)
        *info = req.info;
    assert_int_equal(rc, -f->err.code);
    return rc;
}

static size_t served(struct fixture *f)
{
    size_t n;
    WITH_LOCK (&f->server.lock)
        n = f->server.served;
    return n;
}

/* A ranged read is asked for as such, signed, with the key's bytes as they are. */
static void test_request(void **state)
{
    (void)state;
    struct fixture f;
    struct store_info info;
    char to[6];
    BEGIN(&f, 10000, OK206("10-14/100", "hello"));
    assert_int_equal(get(&f, "\"e1\"", to, &info), 0);
    assert_string_equal(to, "hello");
    assert_int_equal(info.size, 100);
    assert_string_equal(info.etag, "\"e1\"");
    assert_non_null(strstr(f.server.last, "GET /bucket/lake/a/../k HTTP/1.1\r\n"));
    assert_non_null(strstr(f.server.last, "range: bytes=10-14\r\n"));
    assert_non_null(strstr(f.server.last, "if-match: \"e1\"\r\n"));
    assert_non_null(strstr(f.server.last, "SignedHeaders=host;if-match;range;x-amz-content-sha256;"
                                          "x-amz-date;x-amz-security-token"));
    assert_null(strstr(f.server.last, "hunter2"));
    struct http_stat stat;
    http_stat(f.http, &stat);
    assert_int_equal(stat.requests, 1);
    assert_int_equal(stat.attempts, 1);
    assert_int_equal(stat.bytes_received, 5);
    end(&f);
}

/* What fails and then works is one success: 503s, a connection closed, a body cut short. */
static void test_retried(void **state)
{
    (void)state;
    struct fixture f;
    char to[6];
    BEGIN(&f, 20000, SLOW_DOWN, SLOW_DOWN, "", OK206("10-14/100", "he"), "HTTP/1.1 206 Partial",
          OK206("10-14/100", "hello"));
    assert_int_equal(get(&f, NULL, to, NULL), 0);
    assert_string_equal(to, "hello");
    assert_int_equal(served(&f), 6);
    end(&f);
}

/* 5xx and 429 to the end are EIO, after more than one attempt, and the message says so. */
static void test_exhausted(void **state)
{
    (void)state;
    struct fixture f;
    char to[6];
    BEGIN(&f, 4000, SLOW_DOWN, PLAIN("429 Too Many Requests"));
    assert_int_equal(get(&f, NULL, to, NULL), -EIO);
    assert_true(served(&f) > 1);
    assert_non_null(strstr(f.err.msg, "HTTP 429"));
    assert_non_null(strstr(f.err.msg, "bucket bucket, key lake/a/../k"));
    end(&f);
}

/* A server that says nothing is given up at the deadline: EIO. */
static void test_stall(void **state)
{
    (void)state;
    struct fixture f;
    char to[6];
    BEGIN(&f, 300, STALL);
    assert_int_equal(get(&f, NULL, to, NULL), -EIO);
    end(&f);
}

/* An answer for another range, or without one, is never taken: EIO after a few attempts. */
static void test_wrong_range(void **state)
{
    (void)state;
    struct fixture f;
    char to[6];
    BEGIN(&f, 10000, OK206("0-4/100", "wrong"), OK206("10-15/100", "wrong"),
          OK206("10-14/*", "wrong"));
    assert_int_equal(get(&f, NULL, to, NULL), -EIO);
    assert_int_equal(served(&f), 3);
    end(&f);
}

/* The whole object instead of a range is refused, however long it is. */
static void test_whole_instead(void **state)
{
    (void)state;
    struct fixture f;
    char to[6];
    BEGIN(&f, 10000, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nwrong",
          "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 900\r\n\r\nwrong",
          "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwrong");
    assert_int_equal(get(&f, NULL, to, NULL), -EIO);
    assert_string_equal(to, "");
    end(&f);
}

/* Another generation of the object is ESTALE, whether the server checks or not; one attempt. */
static void test_other_etag(void **state)
{
    (void)state;
    struct fixture f;
    char to[6];
    BEGIN(&f, 10000, OK206("10-14/100", "wrong"), PLAIN("412 Precondition Failed"));
    assert_int_equal(get(&f, "\"e0\"", to, NULL), -ESTALE);
    assert_string_equal(to, "");
    assert_int_equal(served(&f), 1);
    assert_int_equal(get(&f, "\"e0\"", to, NULL), -ESTALE);
    assert_int_equal(served(&f), 2);
    end(&f);
}

/* More bytes than were promised or asked for never pass the caller's buffer. */
static void test_too_long(void **state)
{
    (void)state;
    struct fixture f;
    char to[6];
    BEGIN(&f, 10000,
          "HTTP/1.1 206 Partial Content\r\nConnection: close\r\n"
          "Content-Range: bytes 10-14/100\r\n\r\nhello and more");
    assert_int_equal(get(&f, NULL, to, NULL), -EIO);
    assert_int_equal(to[5], 0);
    end(&f);
}

/* A range at or after the end holds no byte, which is no error. */
static void test_past_end(void **state)
{
    (void)state;
    struct fixture f;
    char to[6];
    struct store_info info;
    BEGIN(&f, 10000,
          "HTTP/1.1 416 Range\r\nConnection: close\r\nContent-Range: bytes */10\r\n"
          "Content-Length: 0\r\n\r\n",
          "HTTP/1.1 416 Range\r\nConnection: close\r\nContent-Range: bytes */11\r\n"
          "Content-Length: 0\r\n\r\n");
    assert_int_equal(get(&f, NULL, to, &info), 0);
    assert_int_equal(info.size, 10);
    assert_int_equal(get(&f, NULL, to, &info), -EIO);
    end(&f);
}

/* Refusals have their errno and are not tried again. */
static void test_refusals(void **state)
{
    (void)state;
    struct fixture f;
    char to[6];
    BEGIN(&f, 10000, PLAIN("404 Not Found"), PLAIN("403 Forbidden"), PLAIN("401 Unauthorized"));
    assert_int_equal(get(&f, NULL, to, NULL), -ENOENT);
    assert_int_equal(get(&f, NULL, to, NULL), -EACCES);
    assert_int_equal(get(&f, NULL, to, NULL), -EACCES);
    assert_int_equal(served(&f), 3);
    end(&f);
}

#define SAYS(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body

/* Who is no store of objects does not know which keys there are; what it says is told. */
static void test_no_store(void **state)
{
    (void)state;
    struct fixture f;
    char to[6];
    BEGIN(&f, 10000, SAYS("404 Not Found", "\n<html>default backend - 404</html>\n"),
          SAYS("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>"),
          SAYS("404 Not Found", "<Error><Code>XAdminUserNotFound</Code></Error>"),
          SAYS("400 Bad Request", "Client sent an HTTP request to an HTTPS server.\n"));
    assert_int_equal(get(&f, NULL, to, NULL), -EIO);
    assert_non_null(strstr(f.err.msg, "HTTP 404: it says \"<html>default backend - 404</html>\""));
    assert_int_equal(get(&f, NULL, to, NULL), -ENOENT);
    assert_int_equal(get(&f, NULL, to, NULL), -EACCES);
    assert_int_equal(get(&f, NULL, to, NULL), -EIO);
    assert_non_null(strstr(f.err.msg, "an HTTP request to an HTTPS server"));
    end(&f);
}

#define ELSEWHERE(region)                                                                          \
    "HTTP/1.1 301 Moved\r\nConnection: close\r\nLocation: http://127.0.0.1:1/\r\n"                 \
    "x-amz-bucket-region: " region "\r\nContent-Length: 0\r\n\r\n"

/* Another region is signed for at the same host, once, and remembered; no host is followed. */
static void test_region(void **state)
{
    (void)state;
    struct fixture f;
    char to[6];
    BEGIN(&f, 10000, ELSEWHERE("eu-west-1"), ELSEWHERE("eu-west-1"), ELSEWHERE("evil.example/"),
          "HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n<Error><Code>AuthorizationHeaderMalformed"
          "</Code><Region>ap-south-2</Region></Error>",
          PLAIN("404 Not Found"));
    assert_int_equal(get(&f, NULL, to, NULL), -EIO);
    assert_int_equal(served(&f), 2);
    assert_non_null(strstr(f.server.last, "/eu-west-1/s3/aws4_request"));
    assert_int_equal(get(&f, NULL, to, NULL), -EIO);
    assert_int_equal(served(&f), 3);
    assert_int_equal(get(&f, NULL, to, NULL), -ENOENT);
    assert_int_equal(served(&f), 5);
    assert_non_null(strstr(f.server.last, "/ap-south-2/s3/aws4_request"));
    end(&f);
}

/* What is written says how the service is to encrypt it, and signs that. */
static void test_written_with_kms(void **state)
{
    (void)state;
    struct fixture f;
    BEGIN(&f, 10000, PLAIN("200 OK"));
    struct store_options options = {.access_key_id = "AKIDEXAMPLE",
                                    .secret_access_key = "hunter2",
                                    .sse = "aws:kms",
                                    .sse_kms_key_id = "arn:aws:kms:k"};
    struct store_runtime runtime = {.http = f.http, .secrets = f.secrets};
    struct store *s = store_open(f.store->url, &options, &runtime, &f.err);
    assert_non_null(s);
    assert_int_equal(s->ops->put_if_absent(s, "k", SLICE_LIT("bytes"), &f.err), 0);
    assert_non_null(strstr(f.server.last, "x-amz-server-side-encryption: aws:kms\r\n"));
    assert_non_null(
        strstr(f.server.last, "x-amz-server-side-encryption-aws-kms-key-id: arn:aws:kms:k\r\n"));
    assert_non_null(strstr(f.server.last, ";x-amz-server-side-encryption;"));
    store_free(s);
    end(&f);
}

/* Credentials that are refused, and that nobody has others for, are refused: one request. */
static void test_refused_credentials(void **state)
{
    (void)state;
    struct fixture f;
    char to[6];
    BEGIN(&f, 10000,
          "HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n<Error><Code>ExpiredToken</Code></Error>");
    assert_int_equal(get(&f, NULL, to, NULL), -EACCES);
    assert_non_null(strstr(f.err.msg, "ExpiredToken"));
    assert_int_equal(served(&f), 1);
    end(&f);
}

static int count(void *arg, const struct store_entry *entry)
{
    (void)entry;
    ++*(unsigned *)arg;
    return 0;
}

#define LISTING(body)                                                                              \
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<ListBucketResult>" body "</ListBucketResult>"
#define LISTED(key) "<Contents><Key>" key "</Key><Size>1</Size></Contents>"

/* Pages are followed by their tokens; keys from elsewhere and endless tokens are EIO. */
static void test_list(void **state)
{
    (void)state;
    struct fixture f;
    unsigned n = 0;
    struct store_list req = {.prefix = "t/", .recursive = true, .emit = count, .arg = &n};
#define MORE "<IsTruncated>true</IsTruncated><NextContinuationToken>t=</NextContinuationToken>"
    BEGIN(&f, 10000, LISTING(LISTED("lake/t/a") LISTED("lake/t/") MORE),
          LISTING(LISTED("lake/t/b")), LISTING(LISTED("lake/u/c")),
          LISTING(LISTED("lake/t/a") MORE), LISTING(MORE));
    assert_int_equal(f.store->ops->list(f.store, &req, &f.err), 0);
    assert_int_equal(n, 3); /* a marker with bytes is an object */
    assert_non_null(strstr(f.server.last, "continuation-token=t%3D&"));
    assert_int_equal(f.store->ops->list(f.store, &req, &f.err), -EIO);
    assert_int_equal(n, 3); /* a marker with bytes is an object */
    assert_int_equal(f.store->ops->list(f.store, &req, &f.err), -EIO);
    end(&f);
}

/* A PUT that is refused is EEXIST; one whose answer was lost finds its own bytes: success. */
static void test_put_if_absent(void **state)
{
    (void)state;
    struct fixture f;
    BEGIN(&f, 10000, PLAIN("412 Precondition Failed"), "", PLAIN("412 Precondition Failed"),
          "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Range: bytes 0-4/5\r\n"
          "Content-Length: 5\r\n\r\nhello",
          "HTTP/1.1 416 Range\r\nConnection: close\r\nContent-Range: bytes */5\r\n"
          "Content-Length: 0\r\n\r\n");
    struct slice data = SLICE_LIT("hello");
    assert_int_equal(f.store->ops->put_if_absent(f.store, "k", data, &f.err), -EEXIST);
    assert_non_null(strstr(f.server.last, "PUT /bucket/lake/k HTTP/1.1\r\n"));
    assert_non_null(strstr(f.server.last, "if-none-match: *\r\n"));
    assert_non_null(strstr(f.server.last, "\r\n\r\nhello"));
    assert_int_equal(f.store->ops->put_if_absent(f.store, "k", data, &f.err), 0);
    end(&f);
}

struct many {
    struct store_get get;
    struct lock *lock;
    unsigned *left;
    struct cond *all;
    char to[6];
};

static void one_done(struct store_get *get)
{
    struct many *m = CONTAINER_OF(get, struct many, get);
    WITH_LOCK (m->lock) {
        if (--*m->left == 0)
            cond_signal(m->all);
    }
}

/* More requests than connections all end, each once, with their own bytes. */
static void test_many(void **state)
{
    (void)state;
    enum { COUNT = 3 * CONNECTIONS_MAX };
    struct fixture f;
    BEGIN(&f, 60000, OK206("10-14/100", "hello"));
    struct many *many = calloc(COUNT, sizeof *many);
    struct lock lock;
    struct cond all;
    unsigned left = COUNT;
    lock_init(&lock);
    cond_init(&all);
    for (size_t i = 0; i < COUNT; i++) {
        many[i] = (struct many){.lock = &lock, .left = &left, .all = &all};
        many[i].get = (struct store_get){
            .key = "k", .offset = 10, .length = 5, .to = many[i].to, .done = one_done};
        f.store->ops->get(f.store, &many[i].get);
    }
    WITH_LOCK (&lock)
        while (left)
            cond_wait(&all, &lock);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(many[i].get.rc, 0);
        assert_string_equal(many[i].to, "hello");
    }
    free(many);
    cond_done(&all);
    lock_done(&lock);
    end(&f);
}

static void count_done(struct http_request *r)
{
    ++*(unsigned *)(void *)r->to;
}

/* An engine that ends fails what is still there, each request once. */
static void test_end_with_requests(void **state)
{
    (void)state;
    struct fixture f;
    BEGIN(&f, 10000, STALL);
    struct http *h = http_new(&f.err);
    unsigned ended = 0;
    struct http_request requests[3];
    char url[64];
    struct sockaddr_in address;
    socklen_t n = sizeof address;
    assert_int_equal(getsockname(f.server.fd, (struct sockaddr *)&address, &n), 0);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(address.sin_port));
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        requests[i] = (struct http_request){.method = "GET",
                                            .url = url,
                                            .deadline_ms = 60000,
                                            .to = (char *)(void *)&ended,
                                            .done = count_done};
        http_submit(h, &requests[i]);
    }
    http_free(h);
    assert_int_equal(ended, 3);
    assert_int_equal(requests[0].rc, -EIO);
    end(&f);
}

/* Options that fit no request are refused when the store is opened. */
static void test_options(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct store_runtime runtime = {0};
    const struct store_options bad[] = {
        {.access_key_id = "only-half"},
        {.no_sign_request = true, .region = "evil.example.com/"},
        {.no_sign_request = true, .endpoint_url = "http://user:hunter2@host"},
        {.access_key_id = "a\r\nX: y", .secret_access_key = "s"},
        {.no_sign_request = true, .deadline_ms = -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_null(store_open("s3://bucket/x", &bad[i], &runtime, &err));
        assert_int_equal(err.code, EINVAL);
        assert_null(strstr(err.msg, "hunter2"));
    }
    const struct store_options good = {.no_sign_request = true, .region = "eu-central-1"};
    AUTO(store) struct store *s = store_open("s3://bucket/x", &good, &runtime, &err);
    assert_non_null(s);
    assert_string_equal(s->url, "s3://bucket/x/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_retried),
        cmocka_unit_test(test_exhausted),
        cmocka_unit_test(test_stall),
        cmocka_unit_test(test_wrong_range),
        cmocka_unit_test(test_whole_instead),
        cmocka_unit_test(test_other_etag),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_past_end),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_store),
        cmocka_unit_test(test_region),
        cmocka_unit_test(test_refused_credentials),
        cmocka_unit_test(test_written_with_kms),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_put_if_absent),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_end_with_requests),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
