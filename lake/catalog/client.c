/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/client.h"

#include <assert.h>

#include "base/text.h"
#include "cache/store/proxy.h"
#include "cache/store/settings.h"
#include "cache/store/sigv4.h"
#include "cache/store/status.h"
#include "cache/store/url.h"

#define PATH_BYTES_MAX (16 * URL_BYTES_MAX)
#define FIELDS_MAX 16
#define OWN_FIELDS_MAX ((size_t)4)
#define SHOWN_BYTES 160

struct client {
    struct http *http;
    struct store_options store; /* its strings are owned: CA, proxy, deadline */
    char *name, *uri;
    struct signer *signer;
    struct catalog_field fields[OWN_FIELDS_MAX]; /* owned */
    size_t fields_n;
};

/* ---- making one ---- */

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void client_free(struct client *c)
{
    if (!c)
        return;
    signer_free(c->signer);
    settings_done(&c->store);
    for (size_t i = 0; i < c->fields_n; i++) {
        free((char *)(uintptr_t)c->fields[i].name);
        wipe((char *)(uintptr_t)c->fields[i].value);
    }
    free(c->name);
    free(c->uri);
    free(c);
}

/* "HTTPS://Host:443/path/" as "https://host/path", appended. */
static int add_uri(struct buf *out, struct slice text, struct err *err)
{
    static const char outside[] = "a catalog's URI is http:// or https://, a host and a path";
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] >= 0x7f || strchr("?#@\"<>\\^`{|}", text.p[i]))
            return err_set(err, EINVAL, "%s, without users, queries and blanks", outside);
    while (text.n && text.p[text.n - 1] == '/')
        text.n--;
    size_t host = 0;
    for (unsigned slashes = 0; host < text.n; host++)
        if (text.p[host] == '/' && ++slashes == 3)
            break;
    struct err why = ERR_INIT;
    if (url_endpoint(slice_make(text.p, host), out, &why) < 0)
        return err_set(err, EINVAL, "%s", outside);
    buf_add_slice(out, slice_from(text, host));
    return buf_check(out, err);
}

static bool field_valid(const struct catalog_field *f)
{
    for (const char *p = f->name; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' || *p == '_'))
            return false;
    for (const char *p = f->value; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return false;
    return *f->name;
}

static int copy_fields(struct client *c, const struct catalog_options *o, struct err *err)
{
    if (o->fields_n > OWN_FIELDS_MAX)
        return err_set(err, EINVAL, "more than %zu fields of its own", OWN_FIELDS_MAX);
    for (size_t i = 0; i < o->fields_n; i++) {
        if (!field_valid(&o->fields[i]))
            return err_set(err, EINVAL, "a field that no request can have");
        char *name = strdup(o->fields[i].name), *value = strdup(o->fields[i].value);
        c->fields[c->fields_n++] = (struct catalog_field){name, value};
        if (!name || !value)
            return err_set(err, ENOMEM, "out of memory");
    }
    return 0;
}

int client_new(const struct catalog_options *o, struct http *http, struct client **out,
               struct err *err)
{
    AUTO(buf) struct buf uri = {0};
    AUTO(client) struct client *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(err, ENOMEM, "out of memory");
    c->http = http;
    buf_init(&uri, URL_BYTES_MAX);
    int rc =
        o->uri ? add_uri(&uri, slice_of(o->uri), err) : err_set(err, EINVAL, "a catalog has a URI");
    if (rc < 0)
        return rc;
    c->uri = strdup(uri.data);
    c->name = strdup(o->name ? o->name : uri.data);
    if (!c->uri || !c->name || settings_copy(&c->store, o->store) < 0)
        return err_set(err, ENOMEM, "out of memory");
    if (c->store.deadline_ms <= 0)
        c->store.deadline_ms = STORE_DEADLINE_MS;
    rc = copy_fields(c, o, err);
    if (rc == 0)
        rc = signer_new(o, c->uri, http, &c->signer, err);
    if (rc == 0)
        *out = STEAL(c);
    return rc;
}

const char *client_name(const struct client *c)
{
    return c->name;
}

static struct slice origin(const char *uri)
{
    const char *host = strstr(uri, "://") + 3;
    return slice_make(uri, (size_t)(strchrnul(host, '/') - uri));
}

int client_moved(const struct client *c, struct slice uri, char **out, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    struct err why = ERR_INIT;
    buf_init(&text, URL_BYTES_MAX);
    if (add_uri(&text, uri, &why) < 0)
        return err_set(err, EIO, "the catalog tells a URI of its own that is none");
    if (!slice_eq(origin(text.data), origin(c->uri)))
        return err_set(err, EOPNOTSUPP,
                       "the catalog says that it is at %.120s: name that as its URI", text.data);
    *out = buf_steal_str(&text);
    return 0;
}

/* ---- asking ---- */

void client_answer_done(struct client_answer *a)
{
    if (a->text.data)
        explicit_bzero(a->text.data, a->text.cap);
    buf_done(&a->text);
}

static bool again(struct http_request *r)
{
    return r->rc == 0 && status_retryable(r->answer.status, SLICE_NONE);
}

struct attempt_of {
    const struct client_question *q;
    struct buf url, query;
    struct signature signature;
    struct http_field fields[FIELDS_MAX];
    size_t fields_n;
};

static void add_field(struct attempt_of *a, const char *name, const char *value)
{
    assert(a->fields_n < FIELDS_MAX);
    a->fields[a->fields_n++] = (struct http_field){name, value};
}

static int sign(struct client *c, struct attempt_of *a, const char *method, struct err *err)
{
    const struct client_question *q = a->q;
    bool json = q->upload.n != 0;
    int rc = signer_sign(c->signer,
                         &(struct signer_request){.method = method,
                                                  .url = a->url.data,
                                                  .query = buf_slice(&a->query),
                                                  .upload = q->upload,
                                                  .json = json},
                         &a->signature, err);
    if (rc < 0)
        return rc;
    a->fields_n = 0;
    add_field(a, "accept", "application/json");
    if (json)
        add_field(a, "content-type", "application/json");
    for (size_t i = 0; i < a->signature.fields_n; i++)
        add_field(a, a->signature.fields[i].name, a->signature.fields[i].value);
    for (size_t i = 0; i < c->fields_n; i++)
        add_field(a, c->fields[i].name, c->fields[i].value);
    for (size_t i = 0; i < q->fields_n; i++)
        add_field(a, q->fields[i].name, q->fields[i].value);
    return 0;
}

/* One way to the catalog and back; 0: there was an answer, whatever its status. */
static int send_once(struct client *c, struct attempt_of *a, struct client_answer *out,
                     struct err *err)
{
    AUTO(buf) struct buf whole = {0};
    const char *method = a->q->upload.n ? "POST" : "GET";
    int rc = sign(c, a, method, err);
    buf_init(&whole, 2 * PATH_BYTES_MAX);
    buf_add_slice(&whole, buf_slice(&a->url));
    if (a->query.len)
        buf_addf(&whole, "?%s", a->query.data);
    if (rc == 0)
        rc = buf_check(&whole, err);
    if (rc < 0)
        return rc;
    struct http_request r = {.method = method,
                             .url = whole.data,
                             .fields = a->fields,
                             .fields_count = a->fields_n,
                             .ca_bundle = c->store.ca_bundle,
                             .proxy_url = proxy_for(&c->store, whole.data),
                             .upload = a->q->upload,
                             .deadline_ms = c->store.deadline_ms,
                             .text = out->text,
                             .again = again};
    buf_reset(&r.text);
    http_run(c->http, &r);
    out->text = r.text;
    out->status = r.answer.status;
    memcpy(out->etag, r.answer.etag, sizeof out->etag);
    if (r.rc < 0 && r.body_too_long)
        return err_set(err, EOVERFLOW, "an answer of more than %zu bytes", out->text.max);
    if (r.rc < 0 && out->status < 300)
        return err_set(err, EIO, "%s", r.err.msg);
    return 0; /* of a failure whose sentence did not come its status tells enough */
}

static int check_status(struct client_answer *a, struct err *err)
{
    unsigned status = a->status;
    if ((status >= 200 && status < 300) || status == 304)
        return 0;
    catalog_problem_parse(buf_slice(&a->text), &a->problem);
    const char *type = a->problem.type, *message = a->problem.message;
    int code = EIO;
    if (status == 401 || status == 403 || status == 419)
        code = EACCES;
    else if (status == 404 && catalog_problem_absent(&a->problem))
        code = ENOENT;
    else if (status == 405 || status == 406 || status == 501)
        code = EOPNOTSUPP;
    return err_set(err, code, "HTTP %u%s%s%s%.200s%s", status, *type ? " " : "", type,
                   *message ? ": " : "", message,
                   status == 404 && !*type ? ": no catalog answers at this URI" : "");
}

/* The answer is that who asks has to prove it anew. AWS says 403 for that, with its reason. */
static bool refuses_secret(const struct client_answer *a)
{
    if (a->status == 401 || a->status == 419)
        return true;
    return a->status == 403 &&
           (strstr(a->problem.type, "Expired") || strstr(a->problem.message, "expired") ||
            strstr(a->problem.type, "UnrecognizedClient") ||
            strstr(a->problem.type, "InvalidSignature"));
}

static int ask(struct client *c, struct attempt_of *a, struct client_answer *out, struct err *err)
{
    for (unsigned tries = 0;; tries++) {
        int rc = send_once(c, a, out, err);
        if (rc == 0)
            rc = check_status(out, err);
        bool more =
            rc < 0 && tries == 0 && refuses_secret(out) && signer_reject(c->signer, &a->signature);
        signature_done(&a->signature);
        if (!more)
            return rc;
    }
}

static void add_shown(struct buf *out, struct slice name)
{
    for (size_t i = 0; i < name.n && i < 64; i++)
        buf_add_char(out, name.p[i] >= ' ' && name.p[i] != 0x7f ? name.p[i] : '?');
}

struct catalog_what catalog_what_of(const struct catalog_namespace *in, const struct slice *table)
{
    AUTO(buf) struct buf shown = {0};
    struct catalog_what what;
    buf_init(&shown, 64 * KIB);
    buf_add_str(&shown, table ? "table " : in->n ? "namespace " : "its namespaces");
    for (size_t i = 0; i < in->n; i++) {
        if (i)
            buf_add_char(&shown, '.');
        add_shown(&shown, in->levels[i]);
    }
    if (table) {
        buf_add_str(&shown, in->n ? "." : "");
        add_shown(&shown, *table);
    }
    (void)snprintf(what.text, sizeof what.text, "%s", shown.data ? shown.data : ""); /* cut */
    return what;
}

int client_wrap(const struct client *c, const char *what, struct err *err)
{
    return err_wrap(err, "catalog %.120s: %.*s", c->name, SHOWN_BYTES, what);
}

int client_ask(struct client *c, const struct client_question *q, struct client_answer *out,
               struct err *err)
{
    struct attempt_of a = {.q = q};
    *out = (struct client_answer){0};
    assert(q->fields_n <= CLIENT_FIELDS_MAX);
    buf_init(&out->text, q->text_max);
    buf_init(&a.url, PATH_BYTES_MAX);
    buf_init(&a.query, PATH_BYTES_MAX);
    buf_add_str(&a.url, q->uri ? q->uri : c->uri);
    buf_add_str(&a.url, q->path);
    if (q->parameters_n)
        sigv4_query(&a.query, q->parameters, q->parameters_n);
    int rc = buf_check(&a.url, err);
    if (rc == 0)
        rc = buf_check(&a.query, err);
    if (rc == 0)
        rc = ask(c, &a, out, err);
    buf_done(&a.url);
    buf_done(&a.query);
    return rc < 0 ? client_wrap(c, q->what, err) : 0;
}
