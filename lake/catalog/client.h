/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Catalogs that are asked by HTTP: who asks, what is sent, what an answer means.
 *
 *   client_ask ──► signer: a token that is good now, or a signature
 *       │  401, 419, ended credentials: given up, once more with another
 *       ▼
 *   0: a success, or "not modified"        else an errno and a sentence, by the catalog's own words
 *
 *   401 403 419                       EACCES
 *   404 with the catalog's reason     ENOENT      another server's, or a wrong path, is no such
 * answer 405 406 501                       EOPNOTSUPP all others                        EIO 408 429
 * 5xx after retries
 *
 * Blocks. Any thread but those that fetch secrets. No message has what was sent.
 */
#ifndef LAKE_CATALOG_CLIENT_H
#define LAKE_CATALOG_CLIENT_H

#include "cache/store/http.h"
#include "lake/catalog/catalog.h"
#include "lake/catalog/problem.h"
#include "lake/catalog/signer.h"

#define CLIENT_FIELDS_MAX 4

struct client;

/* Options are copied, the engine is borrowed. -EINVAL for what is wrong in them. */
int client_new(const struct catalog_options *o, struct http *http, struct client **out,
               struct err *err);
void client_free(struct client *c);
DEFINE_AUTO(client, struct client *, client_free)

/* For messages. */
const char *client_name(const struct client *c);
/*
 * Where the catalog says that it is, for client_question.uri; the caller's to free. -EOPNOTSUPP
 * where that is another host: what proves who asks goes nowhere but where who mounts has said.
 */
int client_moved(const struct client *c, struct slice uri, char **out, struct err *err);

struct client_question {
    const char *what; /* for messages: "table sales.orders" */
    const char *uri;  /* of client_moved; NULL: the client's */
    const char *path; /* percent-encoded, begins with `/` */
    const struct http_parameter *parameters;
    size_t parameters_n;
    const struct http_field *fields; /* names in lower case; at most CLIENT_FIELDS_MAX */
    size_t fields_n;
    struct slice upload; /* JSON, sent by POST; empty: GET */
    size_t text_max;     /* of the answer */
};

/* May hold secrets: client_answer_done wipes. */
struct client_answer {
    unsigned status; /* 2xx, 304 */
    struct buf text;
    char etag[ETAG_BYTES_MAX];
    struct catalog_problem problem; /* where it failed */
};
void client_answer_done(struct client_answer *a);
DEFINE_AUTO_DONE(client_answer, struct client_answer, client_answer_done)

/* *out is zeroed before, and for client_answer_done also where it failed: status 0 where there was
 * no answer, and else the problem that it told. */
int client_ask(struct client *c, const struct client_question *q, struct client_answer *out,
               struct err *err);

/* "namespace a.b", "table a.b.t", "its namespaces": what is asked for, in words. */
struct catalog_what {
    char text[160];
};
struct catalog_what catalog_what_of(const struct catalog_namespace *in, const struct slice *table);

/* "catalog NAME: WHAT: " before the message. Returns -err->code. */
int client_wrap(const struct client *c, const char *what, struct err *err);

#endif
