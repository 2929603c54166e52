/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/s3_send.h"

#include <openssl/crypto.h>

#include "base/clock.h"

/* The region, the credentials, and once more either. */
#define CORRECTIONS_MAX 3
/* Fetched, and ended before they were used. */
#define FETCHES_MAX 3

/* Clocks differ by so much. */
#define SKEW_MS 300000

/* Codes that mean these credentials, and not what they may do. */
static const char *const credential_codes[] = {
    "ExpiredToken",       "ExpiredTokenException", "InvalidToken",          "TokenRefreshRequired",
    "InvalidAccessKeyId", "InvalidClientTokenId",  "SignatureDoesNotMatch",
};

static void on_answer(struct http_request *http);

static void give_up(struct s3_request *q, const struct err *why)
{
    struct http_request *http = &q->remote.http;
    http->answer = (struct http_answer){0};
    buf_reset(&http->text);
    http->rc = err_copy(&http->err, why);
    q->remote.done(&q->remote);
}

static void submit(struct s3_request *q)
{
    struct err err = ERR_INIT;
    int64_t left_ms = q->remote.until_ms - clock_mono_ms();
    int rc = left_ms > 0 ? s3_request_address(q, &err)
                         : err_set(&err, EIO, "the deadline passed before it could be sent");
    if (rc < 0) {
        give_up(q, &err);
        return;
    }
    q->remote.http.deadline_ms = left_ms;
    q->remote.http.done = on_answer;
    http_submit(q->remote.engine, &q->remote.http);
}

static bool same(const struct credentials *a, const struct credentials *b)
{
    return strcmp(a->access_key_id, b->access_key_id) == 0 &&
           strcmp(a->secret_access_key, b->secret_access_key) == 0 &&
           strcmp(a->session_token, b->session_token) == 0;
}

/* These are good now. */
static void use(struct s3_request *q, const struct credentials *c)
{
    if (q->refused && same(&q->credentials, c)) {
        q->remote.done(&q->remote); /* the answer stands: nobody has better ones */
        return;
    }
    q->credentials = *c;
    q->refused = false;
    submit(q);
}

static void on_credentials(struct renewed_wait *w);

/* Sends with the credentials that there are now, or once there are some. */
static void proceed(struct s3_request *q)
{
    struct renewed *r = q->bucket->credentials;
    struct credentials c = {0};
    q->remote.wait.done = on_credentials;
    while (q->fetches <= FETCHES_MAX) {
        if (renewed_now(r, &c) == 0) {
            use(q, &c);
            OPENSSL_cleanse(&c, sizeof c);
            return;
        }
        q->fetches++;
        if (renewed_want(r, &q->remote.wait) == -EINPROGRESS)
            return; /* it may be another thread's already */
    }
    struct err err = ERR_INIT;
    (void)err_set(&err, EACCES,
                  "credentials end as soon as they are fetched: is this machine's clock right?");
    give_up(q, &err);
}

static void on_credentials(struct renewed_wait *w)
{
    struct s3_request *q = CONTAINER_OF(w, struct s3_request, remote.wait);
    if (w->rc < 0 && q->refused) {
        struct s3_problem problem = remote_problem(&q->remote);
        unsigned status = q->remote.http.answer.status;
        (void)err_wrap(&w->err, "the credentials are refused (HTTP %u %s), and there are no others",
                       status, problem.code);
    }
    if (w->rc < 0)
        give_up(q, &w->err);
    else
        proceed(q);
}

/* The answer tells of another region, and the bucket is asked there from now on. */
static bool moved(struct s3_request *q)
{
    const struct http_answer *a = &q->remote.http.answer;
    if (q->remote.http.rc < 0 || (a->status != 301 && a->status != 307 && a->status != 400))
        return false;
    struct s3_problem problem = remote_problem(&q->remote);
    const char *told = a->bucket_region[0] ? a->bucket_region : problem.region;
    return told[0] && strcmp(told, q->region) != 0 && s3_bucket_move(q->bucket, told);
}

/* The answer is that these credentials are good for nothing. */
static bool refuses_credentials(const struct s3_request *q)
{
    unsigned status = q->remote.http.answer.status;
    if (!q->bucket->credentials || q->remote.http.rc < 0 || status < 400 || status > 403)
        return false;
    struct s3_problem problem = remote_problem(&q->remote);
    if (!problem.code[0]) /* HEAD has no body: what is about to end has, by the server's clock */
        return q->credentials.expires_ms != 0 &&
               q->credentials.expires_ms < clock_real_ms() + SKEW_MS;
    for (size_t i = 0; i < ARRAY_SIZE(credential_codes); i++)
        if (strcmp(problem.code, credential_codes[i]) == 0)
            return true;
    return false;
}

static void on_answer(struct http_request *http)
{
    struct s3_request *q = CONTAINER_OF(http, struct s3_request, remote.http);
    bool may = q->corrections < CORRECTIONS_MAX;
    if (may && moved(q)) {
        q->corrections++;
        submit(q);
    } else if (may && refuses_credentials(q)) {
        q->corrections++;
        q->refused = true;
        renewed_reject(q->bucket->credentials, &q->credentials);
        proceed(q);
    } else {
        q->remote.done(&q->remote);
    }
}

void s3_send(struct remote_request *remote)
{
    struct s3_request *q = s3_request_of(remote);
    if (q->bucket->credentials)
        proceed(q);
    else
        submit(q);
}
