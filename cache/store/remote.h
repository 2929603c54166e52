/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the stores that are asked by HTTP have in common: the way of a request, what its answer
 * means, and the operations of struct store_ops. What is their own they say in struct remote_ops.
 *
 *   remote_get, remote_head, remote_put_if_absent
 *        │ a whole key, struct remote_parts
 *        ▼
 *   init ─► remote_send ─► who asks: ops->send; or a token of `tokens`, or ops->sign
 *   (address,                     │     no token that is good now: parked until there is one
 *    fields)                      │     the token is refused: given up, once more with another
 *                                 ▼
 *                    done ─► remote_check: the errno of the store's table, and a sentence
 *
 * A ranged read is right when range, length, identity and size are what was asked for; an answer
 * that cannot be right is asked for again.
 */
#ifndef CACHE_STORE_REMOTE_H
#define CACHE_STORE_REMOTE_H

#include "cache/store/event.h"
#include "cache/store/http.h"
#include "cache/store/renewed.h"
#include "cache/store/s3_list.h"
#include "cache/store/store.h"

/* "account NAME, container NAME": names have 63 characters at most. */
#define REMOTE_WHERE_BYTES 160
#define REMOTE_FIELDS_MAX 24
/* Of an answer that should have none but an error's sentence. */
#define REMOTE_ERROR_BYTES_MAX (64 * KIB)
/* A key, a token of a listing and the rest, thrice as long percent-encoded. */
#define REMOTE_URL_BYTES_MAX (64 * KIB)

struct remote;
struct remote_request;

/* What is asked for. It must live as long as the request. */
struct remote_parts {
    const char *method;
    const char *key; /* whole; empty: the bucket */
    const struct http_parameter *parameters;
    size_t parameters_count;
    uint64_t offset, length; /* range; length 0: none. Their sum must not overflow */
    const char *identity;    /* that the object must have, as store_info.etag; NULL: any */
    const char *version;     /* of the object; NULL: the newest */
    bool if_absent;
    /*
     * No object is written that was not there: a PUT tells neither a type nor an encryption of its
     * own.
     */
    bool keeps;
    bool begins;  /* a POST that begins an object: it tells them, as a PUT does */
    bool is_part; /* of an object that was begun: it tells neither, but the key to encrypt with */
    /* More fields, with names in lower case. */
    const struct http_field *fields;
    size_t fields_count;
    struct slice upload;
    size_t text_max;     /* of the answer's body */
    int64_t deadline_ms; /* of what takes the store long; 0: as the store's other requests */
};

struct remote_ops {
    size_t request_bytes; /* of the store's own, in which struct remote_request stands first */
    void (*end)(struct remote_request *q);

    /* Submits it, now or later, and has q->done called. NULL: with a token, or signed. */
    void (*send)(struct remote_request *q);
    /* Puts a token where it belongs; NULL: into the Authorization field. */
    void (*put_token)(struct remote_request *q, struct slice token);
    /* Appends to q->authorization, and adds fields; only for who asks without tokens. */
    int (*sign)(struct remote_request *q, struct err *err);
    /* The answer is that the token has ended, not that its owner lacks a right. */
    bool (*token_refused)(unsigned status, struct slice code);

    /* What to make of an error: code and sentence as its body has them. NULL: nothing. */
    void (*explain)(const struct remote_request *q, struct s3_problem *problem);
    int (*error)(unsigned status, struct slice code); /* a positive errno */
    bool (*retryable)(unsigned status, struct slice code);

    /* What tells the contents of a key apart, as an answer tells it; empty where it does not. */
    void (*identity)(const struct http_answer *a, char out[ETAG_BYTES_MAX]);
    const char *identity_name;
    /* Class, access and end of a restored copy, of an answer that is a success. */
    void (*tell_class)(const struct http_answer *a, struct store_info *info);
    bool identity_always; /* an answer without one cannot be right */
    bool tells_codes;     /* a body that says 404 without a code is not the store's */
};

struct remote_request {
    struct http_request http; /* its `text` holds the body of a listing or an error */
    const struct remote_ops *ops;
    const char *where, *key; /* for messages; borrowed */
    struct err unsent;       /* code 0: it was sent; else why not */

    /* What http points to. */
    struct http_field fields[REMOTE_FIELDS_MAX];
    struct buf url, authorization;
    char range[64];

    /* The way of it. */
    struct http *engine;
    void (*done)(struct remote_request *q);
    struct event *ended;    /* remote_run's */
    int64_t until_ms;       /* clock_mono_ms: with all that is sent */
    struct renewed *tokens; /* of struct oauth_token; NULL: it is signed, or nobody asks */
    struct renewed_wait wait;
    size_t plain_count; /* of the fields: those that do not say who asks */
    unsigned token_tries;
    bool token_refused;

    struct store_get *get; /* of a ranged read */
};

/* For init, and for ops->end: what is the same of all. */
void remote_request_init(struct remote_request *q, const struct remote_ops *ops, const char *where,
                         const struct remote_parts *parts);
void remote_request_done(struct remote_request *q);
void remote_add_field(struct remote_request *q, const char *name, const char *value);
/* Those that the parts have more of. */
void remote_add_fields(struct remote_request *q, const struct remote_parts *parts);

/*
 * Returns at once. q->done runs once, on the engine's thread, a worker's or the caller's, under no
 * lock; remote_check then tells how it went. Of q->http the caller may have set what is about the
 * body, which is written from its start again with each try.
 */
void remote_send(struct remote_request *q, struct http *http,
                 void (*done)(struct remote_request *q));
/* Sends and waits: workers and tools only. As remote_check. */
int remote_run(struct remote_request *q, struct http *http, struct err *err);

/* What the answer says where it is not a success. */
struct s3_problem remote_problem(const struct remote_request *q);
/*
 * 0 where the answer is a success. Else the errno of the store's table, and a message that names
 * bucket, key, status, the store's code and sentence, and the request's id.
 */
int remote_check(const struct remote_request *q, struct err *err);
/* As above with a reason of our own: an answer that cannot be right. Returns -code. */
int remote_refuse(const struct remote_request *q, int code, const char *why, struct err *err);
/* For http.again: the status or code says that it may go better. */
bool remote_retryable(const struct remote_request *q);

/* Embedded first in every such store. Immutable once it is made. */
struct remote {
    struct store store;
    const struct remote_ops *ops;
    /* Addresses a request that is zeroed. ops->end also where it failed. */
    int (*init)(struct remote *r, struct remote_request *q, const struct remote_parts *parts,
                struct err *err);
    struct http *http;
    const char *where; /* for messages */
    char *prefix;      /* before every key; empty, or ends in `/` */
};

static inline struct remote *remote_of(struct store *s)
{
    return CONTAINER_OF(s, struct remote, store);
}

/* The caller's to free; NULL when out of memory. */
char *remote_whole_key(const struct remote *r, const char *key);

/*
 * Makes a request of the parts, sends it and waits. *out is the caller's also where that failed,
 * NULL where it could not be made. As remote_check.
 */
int remote_ask(struct remote *r, const struct remote_parts *parts, struct remote_request **out,
               struct err *err);
/* Makes one only. */
int remote_request_new(struct remote *r, const struct remote_parts *parts,
                       struct remote_request **out, struct err *err);
void remote_request_free(struct remote_request *q);
DEFINE_AUTO(remote_request, struct remote_request *, remote_request_free)

/*
 * What the store says of an object, with the request whose answer says more. `whole` is its key,
 * not empty, and lives as long as the request.
 */
int remote_look(struct remote *r, const char *whole, struct remote_request **out,
                struct store_info *info, struct err *err);

/* As in struct store_ops. */
void remote_get(struct store *s, struct store_get *get);
int remote_head(struct store *s, const char *key, struct store_info *out, struct err *err);
int remote_put_if_absent(struct store *s, const char *key, struct slice data, struct err *err);

/* What of a store is its remote's. */
void remote_done(struct remote *r);

#endif
