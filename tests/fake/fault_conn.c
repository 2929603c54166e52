/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fake/fault_conn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)256 << 10)
#define HEAD_BYTES_MAX ((size_t)64 << 10)
#define PIPE_BYTES (1 << 20)
#define FIRST_BYTES ((size_t)1 << 11) /* the head with little of the body, whose rate counts */
#define KEEP_BYTES 100                /* of a cut answer, where the rule does not say */

enum next { ON, WAIT, GONE };

/* NULL where the request was forgotten meanwhile. */
static struct seen *seen_of(const struct conn *c)
{
    size_t first = c->faults->first;
    bool known = c->number >= first && c->number - first < c->faults->seen.n;
    return known ? &c->faults->seen.at[c->number - first] : NULL;
}

static void note_end(struct conn *c, bool aborted)
{
    struct seen *s = c->state == REQUEST_HEAD ? NULL : seen_of(c);
    if (!s || s->ended)
        return;
    s->ended = true;
    s->aborted = aborted;
    s->sent = c->passed;
    s->ended_us = now_us();
}

static void close_source(struct source *s, bool reset)
{
    if (s->fd < 0)
        return;
    if (reset) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    (void)close(s->fd);
    s->fd = -1;
    s->events = 0;
}

/* The end of both connections; the client's by a reset, or as usual. */
static enum next drop(struct conn *c, bool reset)
{
    note_end(c, false);
    close_source(&c->client, reset);
    close_source(&c->server, false);
    c->ended = true;
    return GONE;
}

/* bytes */

/* ON: some came; WAIT; GONE: the end, or an error. */
static enum next fill(struct conn *c, const struct source *from, size_t most, size_t *got)
{
    if (c->begin == c->end)
        c->begin = c->end = 0;
    size_t room = BUFFER_BYTES - c->end;
    ssize_t n = read(from->fd, c->data + c->end, most < room ? most : room);
    if (n <= 0)
        return n < 0 && errno == EAGAIN ? WAIT : GONE;
    c->end += (size_t)n;
    *got = (size_t)n;
    return ON;
}

/* ON: all of the buffer has gone. */
static enum next flush(struct conn *c, const struct source *to)
{
    while (c->begin < c->end) {
        ssize_t n = send(to->fd, c->data + c->begin, c->end - c->begin, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN ? WAIT : GONE;
        c->begin += (size_t)n;
    }
    return ON;
}

/* requests */

static bool connect_server(struct conn *c)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)c->upstream, sizeof *c->upstream) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        if (fd >= 0)
            (void)close(fd);
        return false;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->server.fd = fd;
    return true;
}

static const char *code_of(int64_t status)
{
    static const struct {
        int64_t status;
        const char *code;
    } codes[] = {{400, "BadRequest"},      {401, "Unauthorized"},       {403, "AccessDenied"},
                 {404, "NoSuchKey"},       {412, "PreconditionFailed"}, {416, "InvalidRange"},
                 {429, "TooManyRequests"}, {500, "InternalError"},      {503, "SlowDown"}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].status == status)
            return codes[i].code;
    return "Fault";
}

/* The rule's status as an answer of our own. */
static enum next refuse(struct conn *c)
{
    const struct rule *r = &c->rule;
    char body[2048];
    int n = snprintf(body, sizeof body,
                     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>a "
                     "rule of the fault proxy</Message><RequestId>FAULT%zu</RequestId></Error>",
                     r->code[0] ? r->code : code_of(r->status), c->number + 1);
    c->close_after = c->close_after || c->body.kind != BODY_NONE;
    bool bare = c->to_head || r->status == 204 || r->status == 304;
    c->begin = 0;
    c->end = (size_t)snprintf(
        c->data, BUFFER_BYTES,
        "HTTP/1.1 %lld Fault\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n"
        "x-amz-request-id: FAULT%zu\r\n%s%s%s%s%s\r\n%s",
        (long long)r->status, n, c->number + 1, r->field, r->field[0] ? ": " : "", r->value,
        r->field[0] ? "\r\n" : "", c->close_after ? "Connection: close\r\n" : "", bare ? "" : body);
    c->body = (struct body){.done = true};
    struct seen *s = seen_of(c);
    if (s)
        s->status = (int)r->status;
    c->state = HELD;
    return ON;
}

/* What the rule does before the server is asked. */
static enum next begin_request(struct conn *c)
{
    const struct rule *r = &c->rule;
    bool whole = r->keep < 0;
    if (r->action == ACTION_STATUS)
        return refuse(c);
    if ((r->action == ACTION_RESET && whole) || r->action == ACTION_CLOSE)
        return drop(c, r->action == ACTION_RESET);
    if (r->action == ACTION_STALL && whole) {
        c->state = STALLED;
        return ON;
    }
    c->keep = r->action == ACTION_RESET || r->action == ACTION_STALL || r->action == ACTION_TRUNCATE
                  ? (whole ? KEEP_BYTES : r->keep)
                  : -1;
    c->state = REQUEST;
    return c->server.fd >= 0 || connect_server(c) ? ON : drop(c, true);
}

static enum next read_request(struct conn *c)
{
    size_t got = 0, n = head_end(c->data + c->begin, c->end - c->begin);
    if (n == 0) {
        if (c->end - c->begin >= HEAD_BYTES_MAX)
            return GONE;
        return fill(c, &c->client, HEAD_BYTES_MAX, &got);
    }
    struct head h;
    if (!head_of_request(slice_make(c->data + c->begin, n), &h))
        return GONE;
    c->number = faults_note(c->faults, &h, &c->rule);
    c->to_head = slice_is(h.method, "HEAD");
    c->close_after = h.close;
    c->slowness = faults_draw(c->faults);
    c->due_us = now_us() + c->faults->network.latency_us * c->slowness + c->rule.ms * 1000;
    c->rate = c->rule.rate ? c->rule.rate : c->faults->network.rate / c->slowness;
    c->passed = 0;
    body_init(&c->body, &h);
    (void)body_take(&c->body, c->data + c->begin + n, c->end - c->begin - n);
    if (h.expects && send(c->client.fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) != 25)
        return GONE;
    return begin_request(c);
}

static enum next pass_request(struct conn *c)
{
    size_t got = 0;
    enum next next = flush(c, &c->server);
    if (next != ON)
        return next;
    if (c->body.done) {
        c->state = ANSWER_HEAD;
        return ON;
    }
    next = fill(c, &c->client, BUFFER_BYTES, &got);
    if (next == ON)
        (void)body_take(&c->body, c->data + c->begin, got);
    return next;
}

/* answers */

/* Applies a rule for a field to the head at the buffer's begin, of n bytes: its new length. */
static size_t change_head(struct conn *c, size_t n)
{
    const struct rule *r = &c->rule;
    AUTO(buf) struct buf head;
    buf_init(&head, HEAD_BYTES_MAX * 2);
    size_t field = strlen(r->field);
    for (const char *at = c->data + c->begin, *end = at + n, *line; at < end; at = line) {
        line = memmem(at, (size_t)(end - at), "\r\n", 2);
        line += 2;
        if (line == end && r->value[0])
            buf_addf(&head, "%s: %s\r\n", r->field, r->value);
        if ((size_t)(line - at) > field && at[field] == ':' &&
            strncasecmp(at, r->field, field) == 0)
            continue;
        buf_add(&head, at, (size_t)(line - at));
    }
    size_t rest = c->end - c->begin - n;
    assert(!head.failed && head.len + rest <= BUFFER_BYTES);
    memmove(c->data + head.len, c->data + c->begin + n, rest);
    memcpy(c->data, head.data, head.len);
    c->begin = 0;
    c->end = head.len + rest;
    return head.len;
}

/* Bytes of the answer's body that were read: the last n of the buffer. What is cut goes. */
static void take_answer(struct conn *c, size_t n)
{
    const struct rule *r = &c->rule;
    char *data = c->data + c->end - n;
    size_t ours = body_take(&c->body, data, n);
    if (ours < n) {
        c->close_after = true; /* what comes behind the body has no reader */
        c->end -= n - ours;
    }
    if (r->action == ACTION_CORRUPT) {
        uint64_t at = r->keep < 0 ? 0 : (uint64_t)r->keep;
        if (at >= c->passed && at < c->passed + ours)
            data[at - c->passed] ^= 0x55;
    }
    c->passed += ours;
    if (c->keep >= 0 && c->passed > (uint64_t)c->keep) {
        c->end -= (size_t)(c->passed - (uint64_t)c->keep);
        c->passed = (uint64_t)c->keep;
    }
}

static enum next read_answer(struct conn *c)
{
    size_t got = 0, n = head_end(c->data + c->begin, c->end - c->begin);
    if (n == 0) {
        if (c->end - c->begin >= HEAD_BYTES_MAX)
            return GONE;
        return fill(c, &c->server, FIRST_BYTES, &got);
    }
    struct head h;
    if (!head_of_answer(slice_make(c->data + c->begin, n), c->to_head, &h))
        return GONE;
    if (h.status == 100) {
        c->begin += n;
        return ON;
    }
    struct seen *s = seen_of(c);
    if (s)
        s->status = h.status;
    c->close_after = c->close_after || h.close || h.body == BODY_TO_THE_END;
    body_init(&c->body, &h);
    if (c->keep >= 0 && h.body == BODY_NONE)
        c->end = c->begin + n / 2; /* no body to cut: the head is */
    else if (c->keep >= 0 && h.body == BODY_COUNTED && (uint64_t)c->keep >= h.content_length)
        c->keep = (int64_t)h.content_length - 1;
    if (c->rule.action == ACTION_HEADER)
        n = change_head(c, n);
    if (h.body != BODY_NONE)
        take_answer(c, c->end - c->begin - n);
    c->state = HELD;
    return ON;
}

static enum next hold_answer(struct conn *c)
{
    int64_t now = now_us();
    if (now < c->due_us)
        return WAIT;
    c->due_us = NEVER;
    c->began_us = now;
    c->passed_at_rate = c->passed;
    struct seen *s = seen_of(c);
    if (s)
        s->first_byte_us = now;
    c->state = ANSWER;
    return ON;
}

/* How much of the body may be read now; 0: c->due_us says when there is more. */
static size_t allowance(struct conn *c)
{
    if (c->rate == 0)
        return PIPE_BYTES;
    int64_t now = now_us(), piece = c->rate / 500;
    if (piece > (int64_t)BUFFER_BYTES)
        piece = (int64_t)BUFFER_BYTES;
    if (piece < 1)
        piece = 1;
    int64_t may =
        (int64_t)((double)(now - c->began_us) * (double)c->rate / 1e6) - (int64_t)c->passed_at_rate;
    if (may > 4 * piece) { /* the reader was slow: what it left is no credit */
        c->began_us = now - 4 * piece * 1000000 / c->rate;
        c->passed_at_rate = 0;
        may = 4 * piece;
    }
    if (may >= piece)
        return (size_t)may;
    c->due_us = now + (piece - may) * 1000000 / c->rate + 1;
    return 0;
}

static bool is_cut(const struct conn *c)
{
    return c->keep >= 0 && (c->body.kind == BODY_NONE || c->passed >= (uint64_t)c->keep);
}

static enum next cut(struct conn *c)
{
    if (c->rule.action == ACTION_STALL) {
        close_source(&c->server, false);
        c->state = STALLED;
        return ON;
    }
    return drop(c, c->rule.action == ACTION_RESET);
}

static enum next end_answer(struct conn *c)
{
    note_end(c, false);
    c->state = REQUEST_HEAD;
    return c->close_after ? GONE : ON;
}

/* Moves bytes from the server to the client without looking at them. */
static enum next splice_answer(struct conn *c, size_t most)
{
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
    if (c->pipe[0] < 0) {
        if (pipe2(c->pipe, O_CLOEXEC | O_NONBLOCK) < 0)
            abort();
        (void)fcntl(c->pipe[0], F_SETPIPE_SZ, PIPE_BYTES);
    }
    if (c->piped == 0) {
        size_t want = c->body.left < most ? (size_t)c->body.left : most;
        ssize_t n = splice(c->server.fd, NULL, c->pipe[1], NULL, want, flags);
        if (n <= 0)
            return n < 0 && errno == EAGAIN ? WAIT : GONE;
        c->piped = (size_t)n;
        c->passed += (size_t)n;
        c->passed_at_rate += (size_t)n;
        c->body.left -= (size_t)n;
        c->body.done = c->body.left == 0;
    }
    while (c->piped) {
        ssize_t n = splice(c->pipe[0], NULL, c->client.fd, NULL, c->piped, flags);
        if (n <= 0)
            return n < 0 && errno == EAGAIN ? WAIT : GONE;
        c->piped -= (size_t)n;
    }
    return ON;
}

static enum next pass_answer(struct conn *c)
{
    size_t got = 0, may = 0;
    enum next next = flush(c, &c->client);
    if (next != ON)
        return next;
    if (c->piped)
        return splice_answer(c, 0);
    if (is_cut(c))
        return cut(c);
    if (c->body.done)
        return end_answer(c);
    c->due_us = NEVER;
    if (!(may = allowance(c)))
        return WAIT;
    bool plain = c->body.kind == BODY_COUNTED && c->keep < 0 && c->rule.action != ACTION_CORRUPT;
    if (plain)
        return splice_answer(c, may);
    next = fill(c, &c->server, may, &got);
    if (next == ON) {
        take_answer(c, got);
        c->passed_at_rate += got;
    } else if (next == GONE && c->body.kind == BODY_TO_THE_END) {
        return end_answer(c);
    }
    return next;
}

/* the machine */

static enum next step(struct conn *c)
{
    switch (c->state) {
    case REQUEST_HEAD:
        return read_request(c);
    case REQUEST:
        return pass_request(c);
    case ANSWER_HEAD:
        return read_answer(c);
    case HELD:
        return hold_answer(c);
    case ANSWER:
        return pass_answer(c);
    case STALLED:
        return WAIT;
    }
    return GONE;
}

void conn_run(struct conn *c)
{
    enum next next = ON;
    while (next == ON)
        next = step(c);
    if (next == GONE && !c->ended)
        (void)drop(c, false);
}

void conn_wants(const struct conn *c, uint32_t *client, uint32_t *server)
{
    bool full = c->begin < c->end || c->piped;
    bool timed = c->due_us != NEVER;
    *client = EPOLLRDHUP;
    *server = 0;
    if (c->state == REQUEST_HEAD || (c->state == REQUEST && !full))
        *client |= EPOLLIN;
    if (c->state == ANSWER && full)
        *client |= EPOLLOUT;
    if (c->state == REQUEST && full)
        *server |= EPOLLOUT;
    if (c->state == REQUEST_HEAD || c->state == ANSWER_HEAD ||
        (c->state == ANSWER && !full && !timed))
        *server |= EPOLLIN;
}

void conn_lost_client(struct conn *c)
{
    note_end(c, true);
    (void)drop(c, false);
}

void conn_lost_server(struct conn *c)
{
    close_source(&c->server, false);
}

struct conn *conn_new(int fd, struct faults *f, const struct sockaddr_in *upstream)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c || !(c->data = malloc(BUFFER_BYTES)))
        abort();
    *c = (struct conn){.data = c->data,
                       .client = {.fd = fd},
                       .server = {.fd = -1},
                       .due_us = NEVER,
                       .pipe = {-1, -1},
                       .faults = f,
                       .upstream = upstream};
    c->client.conn = c->server.conn = c;
    f->connections++;
    return c;
}

void conn_free(struct conn *c)
{
    if (c->pipe[0] >= 0) {
        (void)close(c->pipe[0]);
        (void)close(c->pipe[1]);
    }
    free(c->data);
    free(c);
}
