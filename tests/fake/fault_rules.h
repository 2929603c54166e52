/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proxy does to whom: the network that it plays, rules for single requests, and what was
 * asked for. One thread.
 */
#ifndef TESTS_FAKE_FAULT_RULES_H
#define TESTS_FAKE_FAULT_RULES_H

#include "base/buf.h"
#include "base/vec.h"
#include "tests/fake/fault_message.h"

#define RULES_MAX 256
#define REQUESTS_MAX ((size_t)4 << 20)
#define NAME_MAX_BYTES 512

enum action {
    ACTION_NONE,
    ACTION_STATUS,   /* answered with `status` and an error body; the server is not asked */
    ACTION_RESET,    /* the connection is reset: before the answer, or after `keep` bytes of it */
    ACTION_CLOSE,    /* the connection ends before the answer */
    ACTION_TRUNCATE, /* it ends after `keep` bytes of the body */
    ACTION_STALL,    /* nothing more comes: before the answer, or after `keep` bytes */
    ACTION_CORRUPT,  /* byte `keep` of the body is another one */
    ACTION_DELAY,    /* the answer comes `ms` later, at `rate` where that is not 0 */
    ACTION_HEADER, /* the answer's field `field` says `value`; taken away where `value` is empty */
};

enum kind { KIND_DATA, KIND_LOG, KIND_LIST, KIND_HEAD, KIND_WRITE, KINDS };

/* A rule takes requests that match, but for the first `skip` of them, and at most `times`. */
struct rule {
    enum action action;
    /* patterns */
    char kind[NAME_MAX_BYTES], method[NAME_MAX_BYTES], key[NAME_MAX_BYTES], query[NAME_MAX_BYTES];
    int64_t number; /* of the request, from 1 on; 0: any */
    int64_t skip, times, seen, hits;
    int64_t status, keep, ms, rate; /* keep -1: before anything is answered */
    char code[NAME_MAX_BYTES], field[NAME_MAX_BYTES], value[NAME_MAX_BYTES];
};

/* The network between the client and the server. */
struct network {
    int64_t latency_us;    /* to the first byte of an answer */
    int64_t rate;          /* bytes a second of one connection's answers; 0: no limit */
    int64_t slow_per_mill; /* so many requests of a thousand take slow_factor times as long */
    int64_t slow_factor;
    int64_t requests_per_s; /* of all; what is over it is answered with 503; 0: no limit */
};

/* What was asked and what became of it. */
struct seen {
    int64_t started_us, first_byte_us, ended_us; /* CLOCK_MONOTONIC; 0: not yet */
    uint64_t sent;                               /* bytes of the answer's body */
    int status;
    int rule;            /* from 1 on; 0: none */
    bool ended, aborted; /* aborted: by the client */
    enum kind kind;
    char *asked; /* fields of JSON: method, key, query, range, if_match; owned */
};

struct faults {
    struct network network;
    VEC(struct rule) rules;
    VEC(struct seen) seen;
    size_t first; /* number of seen.at[0]: what is forgotten keeps its numbers */
    uint64_t chance;
    int64_t window_us, window_count; /* of requests_per_s */
    uint64_t connections;
};

void faults_init(struct faults *f);
void faults_done(struct faults *f);

/* The network of a name (s3p, none); false where there is no such. */
bool faults_profile(struct faults *f, const char *name);

/* Notes a request: its index in f->seen, and what is to be done to it: *rule (a copy; ACTION_NONE).
 */
size_t faults_note(struct faults *f, const struct head *h, struct rule *rule);

/* Draws how often slower than usual the next answer is. */
int64_t faults_draw(struct faults *f);

/* Does what a line of the control connection says; the answer, one line, is added to `out`. */
void faults_control(struct faults *f, struct slice line, struct buf *out);

int64_t now_us(void);

#endif
