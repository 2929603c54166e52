/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <inttypes.h>
#include <openssl/crypto.h>

#include "base/clock.h"
#include "cache/store/oauth.h"
#include "cache/store/remote.h"

#define BEARER "Bearer "
#define AUTHORIZATION_BYTES_MAX (OAUTH_TOKEN_BYTES_MAX + 4 * KIB)
#define SHOWN_KEY_BYTES 160
/* A token may end between its coming and its use. */
#define TOKEN_TRIES_MAX 3

/* ---- making one ---- */

void remote_add_field(struct remote_request *q, const char *name, const char *value)
{
    assert(q->http.fields_count < REMOTE_FIELDS_MAX);
    q->fields[q->http.fields_count++] = (struct http_field){name, value};
}

void remote_add_fields(struct remote_request *q, const struct remote_parts *parts)
{
    for (size_t i = 0; i < parts->fields_count; i++)
        remote_add_field(q, parts->fields[i].name, parts->fields[i].value);
}

static bool again(struct http_request *http)
{
    return remote_retryable(CONTAINER_OF(http, struct remote_request, http));
}

void remote_request_init(struct remote_request *q, const struct remote_ops *ops, const char *where,
                         const struct remote_parts *parts)
{
    *q = (struct remote_request){.ops = ops, .where = where, .key = parts->key};
    buf_init(&q->url, REMOTE_URL_BYTES_MAX);
    buf_init(&q->authorization, AUTHORIZATION_BYTES_MAX);
    buf_init(&q->http.text, parts->text_max);
    if (parts->length)
        (void)snprintf(q->range, sizeof q->range, "bytes=%" PRIu64 "-%" PRIu64, parts->offset,
                       parts->offset + (parts->length - 1)); /* two numbers fit */
    q->http.method = parts->method;
    q->http.fields = q->fields;
    q->http.upload = parts->upload;
    q->http.again = again;
}

static void wipe(struct buf *b)
{
    if (b->data)
        OPENSSL_cleanse(b->data, b->cap);
    buf_reset(b);
}

void remote_request_done(struct remote_request *q)
{
    wipe(&q->authorization);
    wipe(&q->url); /* a SAS stands there */
    buf_done(&q->url);
    buf_done(&q->authorization);
    buf_done(&q->http.text);
}

/* ---- its way ---- */

static void send_now(struct remote_request *q);

/* True: the token that was sent is given up, and another may be taken. */
static bool give_token_up(struct remote_request *q)
{
    struct s3_problem problem = remote_problem(q);
    struct oauth_token used = {{0}};
    if (!q->tokens || q->token_refused || q->http.rc < 0 ||
        !q->ops->token_refused(q->http.answer.status, slice_of(problem.code)))
        return false;
    struct slice sent = slice_from(buf_slice(&q->authorization), sizeof BEARER - 1);
    memcpy(used.text, sent.p, sent.n); /* it was one */
    renewed_reject(q->tokens, &used);
    OPENSSL_cleanse(&used, sizeof used);
    q->token_refused = true;
    return true;
}

static void on_answer(struct http_request *http)
{
    struct remote_request *q = CONTAINER_OF(http, struct remote_request, http);
    if (give_token_up(q))
        send_now(q);
    else
        q->done(q);
}

/* There is a token, or a reason why there is none. */
static void on_token(struct renewed_wait *w)
{
    struct remote_request *q = CONTAINER_OF(w, struct remote_request, wait);
    if (w->rc == 0) {
        send_now(q);
        return;
    }
    (void)err_copy(&q->unsent, &w->err);
    (void)err_wrap(&q->unsent, "%s", q->where); /* the code stays */
    q->done(q);
}

/* Says who asks, in place of what was said before; -EAGAIN where there is no token now. */
static int sign(struct remote_request *q)
{
    struct oauth_token token;
    wipe(&q->authorization);
    q->http.fields_count = q->plain_count;
    int rc = q->tokens ? renewed_now(q->tokens, &token) : q->ops->sign(q, &q->unsent);
    if (rc < 0)
        return rc;
    if (q->tokens) {
        buf_addf(&q->authorization, BEARER "%s", token.text);
        OPENSSL_cleanse(&token, sizeof token);
    }
    if (q->tokens && q->ops->put_token && !q->authorization.failed)
        q->ops->put_token(q, slice_from(buf_slice(&q->authorization), sizeof BEARER - 1));
    else if (q->authorization.len)
        remote_add_field(q, "authorization", q->authorization.data);
    return buf_check(&q->authorization, &q->unsent);
}

static void send_now(struct remote_request *q)
{
    int rc;
    while ((rc = sign(q)) == -EAGAIN) {
        if (q->token_tries++ == TOKEN_TRIES_MAX) {
            rc =
                err_set(&q->unsent, EACCES, "%s: tokens end as soon as they are fetched", q->where);
            break;
        }
        q->wait = (struct renewed_wait){.done = on_token};
        if (renewed_want(q->tokens, &q->wait) == -EINPROGRESS)
            return; /* it may be another thread's already */
    }
    if (rc < 0) {
        q->done(q);
        return;
    }
    int64_t left_ms = q->until_ms - clock_mono_ms();
    q->http.deadline_ms = left_ms > 0 ? left_ms : 1;
    q->http.done = on_answer;
    http_submit(q->engine, &q->http);
}

void remote_send(struct remote_request *q, struct http *http,
                 void (*done)(struct remote_request *q))
{
    q->engine = http;
    q->done = done;
    q->until_ms = clock_mono_ms() + q->http.deadline_ms;
    q->plain_count = q->http.fields_count;
    if (q->ops->send)
        q->ops->send(q);
    else
        send_now(q);
}

static void set_ended(struct remote_request *q)
{
    event_set(q->ended);
}

int remote_run(struct remote_request *q, struct http *http, struct err *err)
{
    struct event ended;
    event_init(&ended);
    /* cppcheck-suppress autoVariables ; waited for below, before it ends */
    q->ended = &ended;
    remote_send(q, http, set_ended);
    event_wait(&ended);
    event_done(&ended);
    return remote_check(q, err);
}

/* ---- what the answer means ---- */

/* Only what an error says: a success's body is not one. */
struct s3_problem remote_problem(const struct remote_request *q)
{
    struct s3_problem problem = {0};
    if (q->http.answer.status < 300 || q->http.rc < 0)
        return problem;
    s3_problem_parse(buf_slice(&q->http.text), &problem);
    if (q->ops->explain)
        q->ops->explain(q, &problem);
    return problem;
}

bool remote_retryable(const struct remote_request *q)
{
    struct s3_problem problem = remote_problem(q);
    return q->ops->retryable(q->http.answer.status, slice_of(problem.code));
}

int remote_refuse(const struct remote_request *q, int code, const char *why, struct err *err)
{
    const struct http_answer *a = &q->http.answer;
    struct slice shown = slice_of(q->key);
    bool cut = shown.n > SHOWN_KEY_BYTES;
    if (cut)
        shown = slice_from(shown, shown.n - SHOWN_KEY_BYTES);
    char status[24] = "no answer", id[128] = "";
    if (a->status)
        (void)snprintf(status, sizeof status, "HTTP %u", a->status); /* three digits fit */
    if (a->request_id[0])
        (void)snprintf(id, sizeof id, " (request %.90s)", a->request_id); /* likewise */
    return err_set(err, code, "%s %s%s%s%.*s: %s%s: %s", q->http.method, q->where,
                   shown.n ? ", key " : "", cut ? "..." : "", SLICE_FMT(shown), status, id, why);
}

/* Of a body that is no error document: a proxy's, or of a server of something else. */
static void first_line(const struct remote_request *q, char out[160])
{
    struct slice text = buf_slice(&q->http.text);
    size_t n = 0;
    while (text.n && (text.p[0] == '\n' || text.p[0] == '\r' || text.p[0] == ' '))
        text = slice_from(text, 1);
    for (; n < text.n && n < 120 && text.p[n] != '\n' && text.p[n] != '\r'; n++)
        out[n] = text.p[n] >= ' ' && text.p[n] < 0x7f ? text.p[n] : '?';
    out[n] = '\0';
}

int remote_check(const struct remote_request *q, struct err *err)
{
    const struct http_answer *a = &q->http.answer;
    if (q->unsent.code)
        return err_copy(err, &q->unsent);
    if (q->http.rc < 0 && a->status < 300)
        return remote_refuse(q, -q->http.rc, q->http.err.msg, err);
    if (a->status >= 200 && a->status < 300)
        return 0;
    struct s3_problem problem = remote_problem(q);
    char why[400], said[160];
    int code = q->ops->error(a->status, slice_of(problem.code));
    bool explained = problem.code[0] || problem.message[0];
    const char *colon = problem.code[0] && problem.message[0] ? ": " : "";
    first_line(q, said);
    if (explained)
        (void)snprintf(why, sizeof why, "%s%s%s", problem.code, colon, problem.message); /* fits */
    else if (said[0])
        (void)snprintf(why, sizeof why, "it says \"%s\"", said); /* fits */
    else
        (void)snprintf(why, sizeof why, "without a reason");
    if (code == ENOENT && !problem.code[0] && said[0] && q->ops->tells_codes)
        code = EIO; /* somebody on the way knows nothing of keys */
    return remote_refuse(q, code, why, err);
}
