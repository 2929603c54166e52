/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/oauth.h"

#include <assert.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "cache/store/status.h"

#define ANSWER_BYTES_MAX (64 * KIB)
#define FIELDS_MAX 4
/* Tokens that live longer than ten years are a mistake. */
#define EXPIRES_S_MAX ((int64_t)10 * 366 * 86400)

int oauth_token_set(struct oauth_token *token, struct slice text, struct err *err)
{
    bool good = text.n && text.n < sizeof token->text;
    for (size_t i = 0; good && i < text.n; i++)
        good = text.p[i] > ' ' && text.p[i] < 0x7f;
    if (!good)
        return err_set(err, EINVAL, "the access token of %zu bytes is none", text.n);
    memcpy(token->text, text.p, text.n);
    token->text[text.n] = '\0';
    return 0;
}

/* Seconds, as a number or as digits in quotes. */
static bool read_seconds(struct json *j, int64_t *out)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice text;
    buf_init(&scratch, 64);
    if (json_peek(j) == JSON_NUMBER)
        return json_int64(j, out);
    return json_string(j, &scratch, &text) && text_parse_i64(text, out);
}

int oauth_parse(struct slice json, int64_t now_ms, struct oauth_token *out, int64_t *expires_ms,
                struct err *err)
{
    struct json j;
    struct slice key, text;
    AUTO(buf) struct buf scratch = {0};
    int64_t seconds = 0, ends_s = 0;
    bool has_token = false, ok = true;
    buf_init(&scratch, OAUTH_TOKEN_BYTES_MAX);
    json_init(&j, json);
    if (!json_enter_object(&j))
        return err_set(err, EIO, "the answer is no JSON object");
    while (ok && json_next_key(&j, &key)) {
        if (slice_is(key, "access_token"))
            has_token = ok =
                json_string(&j, &scratch, &text) && oauth_token_set(out, text, NULL) == 0;
        else if (slice_is(key, "expires_in"))
            ok = read_seconds(&j, &seconds) && seconds >= 0 && seconds <= EXPIRES_S_MAX;
        else if (slice_is(key, "expires_on")) /* some tell it in words, besides */
            ok = read_seconds(&j, &ends_s) || !json_failed(&j);
        else
            ok = json_skip(&j, NULL);
    }
    if (scratch.data)
        explicit_bzero(scratch.data, scratch.cap);
    if (!ok || json_failed(&j) || !has_token) {
        explicit_bzero(out, sizeof *out);
        return err_set(err, EIO, "the answer has no access_token, or one that is none");
    }
    if (!seconds && ends_s > now_ms / 1000 && ends_s - now_ms / 1000 <= EXPIRES_S_MAX)
        seconds = ends_s - now_ms / 1000;
    *expires_ms = seconds ? now_ms + seconds * 1000 : 0;
    return 0;
}

/* `error` and `error_description` of section 5.2, as far as they are plain text. */
static void add_problem(struct slice json, struct buf *out)
{
    struct json j;
    struct slice key, text;
    json_init(&j, json);
    if (!json_enter_object(&j))
        return;
    while (json_next_key(&j, &key)) {
        AUTO(buf) struct buf scratch = {0};
        buf_init(&scratch, ANSWER_BYTES_MAX);
        bool told = slice_is(key, "error") || slice_is(key, "error_description");
        if (!told || json_peek(&j) != JSON_STRING) {
            if (!json_skip(&j, NULL))
                return;
            continue;
        }
        if (!json_string(&j, &scratch, &text))
            return;
        buf_add_str(out, ": ");
        for (size_t i = 0; i < text.n && i < 160; i++)
            buf_add_char(out, text.p[i] >= ' ' && text.p[i] < 0x7f ? text.p[i] : '?');
    }
}

static int check_answer(const struct http_request *r, struct err *err)
{
    unsigned status = r->answer.status;
    if (r->rc < 0)
        return err_set(err, EIO, "%.200s: %s", r->url, r->err.msg);
    if (status == 200)
        return 0;
    AUTO(buf) struct buf why = {0};
    buf_init(&why, KIB);
    add_problem(buf_slice(&r->text), &why);
    /* 404: a machine whose metadata service knows no account */
    bool refused = status >= 400 && status < 500 && !status_retryable(status, SLICE_NONE);
    return err_set(err, refused ? EACCES : EIO, "%.200s: HTTP %u%s", r->url, status,
                   why.data ? why.data : "");
}

static bool again(struct http_request *r)
{
    return r->rc == 0 && status_retryable(r->answer.status, SLICE_NONE);
}

int oauth_fetch(struct http *http, const struct oauth_request *request, struct oauth_token *out,
                int64_t *expires_ms, struct err *err)
{
    struct http_field fields[FIELDS_MAX + 1];
    size_t n = request->fields_count;
    assert(n <= FIELDS_MAX);
    if (n)
        memcpy(fields, request->fields, n * sizeof fields[0]);
    if (request->form.n)
        fields[n++] = (struct http_field){"content-type", "application/x-www-form-urlencoded"};
    struct http_request r = {.method = request->form.n ? "POST" : "GET",
                             .url = request->url,
                             .fields = fields,
                             .fields_count = n,
                             .ca_bundle = request->ca_bundle,
                             .proxy_url = request->proxy_url,
                             .upload = request->form,
                             .deadline_ms = request->deadline_ms,
                             .again = again};
    buf_init(&r.text, ANSWER_BYTES_MAX);
    http_run(http, &r);
    int rc = check_answer(&r, err);
    if (rc == 0 &&
        (rc = oauth_parse(buf_slice(&r.text), clock_real_ms(), out, expires_ms, err)) < 0)
        rc = err_wrap(err, "%.200s", request->url);
    if (r.text.data)
        explicit_bzero(r.text.data, r.text.cap);
    buf_done(&r.text);
    return rc;
}
