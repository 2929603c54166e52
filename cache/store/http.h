/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP engine: one thread that owns libcurl and every connection of the process.
 *
 *   http_submit -> its host's queue -> as many under way as the host takes -> done
 *                    ^                    |     ^                 |
 *                    |              late: '-----' a hedge         |
 *                    '--------- delayed (backoff, jitter) <-------' a failure that may pass
 *
 * HTTP/1.1 over many connections that are kept alive, because one stream of an object store is
 * slower than one host can take. How many requests a host is given at once, and which of them are
 * late, is cache/store/host.h. Nobody sleeps: retries are timers of the engine. A request with
 * all its attempts ends by its deadline; an attempt that brings nothing for too long is left
 * earlier. Redirects are not followed, and the environment's proxies, netrc and certificates are
 * not used.
 *
 * A GET into a buffer whose first byte is late is sent a second time. Who brings the first byte of
 * a body that counts has won, and the other one is dropped: its bytes reach nothing. A refusal that
 * may pass does not count while the other one is under way.
 *
 * Callbacks run on the engine's thread, under no lock, and must not block; they may submit.
 */
#ifndef CACHE_STORE_HTTP_H
#define CACHE_STORE_HTTP_H

#include <sys/uio.h>

#include "base/buf.h"
#include "cache/store/http_answer.h"

struct http;
struct event;
struct attempt;
struct origin;

/* Starts the engine. NULL and err where it cannot. */
struct http *http_new(struct err *err);

/* Ends it; requests that are still there are done with -EIO. Nobody may submit any more. */
void http_free(struct http *h);
DEFINE_AUTO(http, struct http *, http_free)

struct http_field {
    const char *name, *value;
};

/* Of a query or a form; not encoded. */
struct http_parameter {
    const char *name, *value;
};

/* One request. The caller owns it and what it points to until done has run. */
struct http_request {
    const char *method; /* "GET", "HEAD", "PUT", "POST" */
    const char *url;    /* percent-encoded, sent as it is */
    const struct http_field *fields;
    size_t fields_count;
    const char *ca_bundle, *proxy_url; /* as in struct store_options */
    struct slice upload;               /* the body of PUT and POST */
    int64_t deadline_ms;               /* from http_submit on, with all attempts */
    bool ahead; /* nobody waits for it: sent when no other request waits for the host */

    char *to; /* may be NULL: where the body goes if accept says so */
    size_t room;
    const struct iovec *rooms; /* NULL; or the pieces of the room, of which `to` is the first */
    struct buf text;           /* where it goes else; its maximum bounds it */

    /* The head is there and a body follows: does it go into `to`? NULL: no. */
    bool (*accept)(struct http_request *r);
    /* `got` has grown, by as much as has come at once. May be NULL. */
    void (*arrived)(struct http_request *r);
    /*
     * A whole answer came (or, with rc set, one that is too long): shall the request be sent again?
     * NULL: no. Failures of the network are the engine's to judge.
     */
    bool (*again)(struct http_request *r);
    void (*done)(struct http_request *r);

    /* Results; of the last attempt. */
    int rc; /* 0: an answer came, whatever its status; else -EIO and err */
    struct err err;
    struct http_answer answer;
    size_t got;        /* bytes in `to`, or in `rooms` */
    unsigned attempts; /* sent so far */

    /* The engine's. */
    struct http_request *next;
    struct origin *origin;
    struct attempt *tries[2]; /* under way: NULL, one, or with its hedge */
    struct attempt *winner;   /* of them, whose answer counts */
    void *field_list;
    struct event *ended;          /* http_run's */
    int64_t due_ms;               /* while delayed; clock_mono_ms */
    int64_t until_ms;             /* the deadline */
    const struct iovec *room_now; /* of `rooms`: that of byte `got` */
    size_t room_got;              /* that are in it */
    bool body_accepted, body_too_long;
};

/* Any thread, under any lock. The request's results need not be initialised, but `text` must. */
void http_submit(struct http *h, struct http_request *r);

/* Submits and waits; r->done is set here. Not on the engine's thread. */
void http_run(struct http *h, struct http_request *r);

/* What the engine did since http_new. Any thread. */
struct http_stat {
    uint64_t requests, attempts, bytes_received;
    uint64_t hedges, hedges_won; /* sent a second time; which came first. Not among `attempts` */
    uint64_t refused;            /* for the host's load */
};
void http_stat(struct http *h, struct http_stat *out);

/* What the engine has at this moment; all but `connections` are 0 when nobody waits. Any thread. */
struct http_gauge {
    unsigned connections;  /* open sockets; idle ones, kept for what comes, are among them */
    unsigned requests;     /* submitted and not done */
    unsigned under_way;    /* attempts */
    unsigned delayed;      /* requests that wait for their next attempt */
    uint64_t bytes_wanted; /* room of buffers of requests that have been sent */
};
void http_gauge(struct http *h, struct http_gauge *out);

#endif
