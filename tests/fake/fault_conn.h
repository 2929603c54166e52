/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client's connection through the proxy, with its own to the server. Both have one buffer: a
 * request goes up before its answer comes down.
 *
 *     REQUEST_HEAD -> REQUEST -> ANSWER_HEAD -> HELD -> ANSWER -> REQUEST_HEAD
 *          |  rule                               ^        |
 *          +----> STALLED, gone, or refused -----+        +----> STALLED, gone (cut by a rule)
 */
#ifndef TESTS_FAKE_FAULT_CONN_H
#define TESTS_FAKE_FAULT_CONN_H

#include "tests/fake/fault_rules.h"

#include <netinet/in.h>

#define NEVER INT64_MAX

enum state { REQUEST_HEAD, REQUEST, ANSWER_HEAD, HELD, ANSWER, STALLED };

/* What epoll tells of. */
struct source {
    void (*ready)(struct source *s, uint32_t events);
    int fd;          /* -1: none */
    uint32_t events; /* asked for */
    struct conn *conn;
};

struct conn {
    struct source client, server;
    enum state state;
    bool ended; /* to be freed after this round of events */
    char *data; /* what was read and is not written yet: [begin, end) */
    size_t begin, end;
    struct body body;
    bool to_head, close_after;
    struct rule rule;
    size_t number;    /* of the request: its index among all */
    int64_t due_us;   /* nothing is done before */
    int64_t slowness; /* of this answer */
    int64_t rate, began_us;
    uint64_t passed; /* bytes of the answer's body that were read, in all and since began_us */
    uint64_t passed_at_rate;
    int64_t keep; /* the answer is cut after so many bytes of its body; -1: it is not */
    int pipe[2];  /* for splice */
    size_t piped;
    struct faults *faults;
    const struct sockaddr_in *upstream;
    struct conn *next;
};

/* Takes the descriptor; aborts without memory. */
struct conn *conn_new(int fd, struct faults *f, const struct sockaddr_in *upstream);
void conn_free(struct conn *c);

/* Does what can be done without waiting. */
void conn_run(struct conn *c);

/* What epoll should tell of now. */
void conn_wants(const struct conn *c, uint32_t *client, uint32_t *server);

/* One of the two said so. */
void conn_lost_client(struct conn *c);
void conn_lost_server(struct conn *c);

#endif
