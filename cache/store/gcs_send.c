/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/gcs_send.h"

#include "base/clock.h"
#include "cache/store/event.h"

/* A token may end between its coming and its use. */
#define TOKEN_TRIES_MAX 3

static void send_now(struct gcs_request *q);

static void on_answer(struct http_request *http)
{
    struct gcs_request *q = CONTAINER_OF(http, struct gcs_request, http);
    if (!q->token_refused && gcs_request_token_refused(q)) {
        q->token_refused = true;
        send_now(q);
    } else {
        q->done(q);
    }
}

/* There is a token, or a reason why there is none. */
static void on_token(struct renewed_wait *w)
{
    struct gcs_request *q = CONTAINER_OF(w, struct gcs_request, wait);
    if (w->rc == 0) {
        send_now(q);
        return;
    }
    (void)err_copy(&q->unsent, &w->err); /* it is what the check tells */
    q->done(q);
}

static void send_now(struct gcs_request *q)
{
    int rc;
    while ((rc = gcs_request_sign(q, &q->unsent)) == -EAGAIN) {
        if (q->token_tries++ == TOKEN_TRIES_MAX) {
            rc = err_set(&q->unsent, EACCES, "bucket %.63s: tokens end as soon as they are fetched",
                         q->bucket->name);
            break;
        }
        q->wait = (struct renewed_wait){.done = on_token};
        if (renewed_want(q->bucket->auth.tokens, &q->wait) == -EINPROGRESS)
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

void gcs_send(struct gcs_request *q, struct http *http, void (*done)(struct gcs_request *q))
{
    q->engine = http;
    q->done = done;
    q->until_ms = clock_mono_ms() + q->http.deadline_ms;
    q->token_tries = 0;
    q->token_refused = false;
    send_now(q);
}

static void set_ended(struct gcs_request *q)
{
    event_set(q->ended);
}

int gcs_run(struct gcs_request *q, struct http *http, struct err *err)
{
    struct event ended;
    event_init(&ended);
    /* cppcheck-suppress autoVariables ; waited for below, before it ends */
    q->ended = &ended;
    gcs_send(q, http, set_ended);
    event_wait(&ended);
    event_done(&ended);
    return gcs_request_check(q, err);
}
