/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 messages (RFC 9112) as far as somebody in the middle has to understand them: where a
 * head ends, what it says of its body, where that ends.
 */
#ifndef TESTS_FAKE_FAULT_MESSAGE_H
#define TESTS_FAKE_FAULT_MESSAGE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum body_kind { BODY_NONE, BODY_COUNTED, BODY_CHUNKED, BODY_TO_THE_END };

struct head {
    size_t bytes;                /* with the empty line */
    struct slice method, target; /* of a request */
    int status;                  /* of an answer */
    enum body_kind body;
    uint64_t content_length;
    bool close;                   /* Connection: close */
    bool expects;                 /* Expect: 100-continue */
    struct slice range, if_match; /* empty where there is none */
};

/* Where the head that begins a text ends, or 0 while its end has not come. */
size_t head_end(const char *data, size_t n);

/* Points into the text. False where it is no head of a request, or of an answer. */
bool head_of_request(struct slice text, struct head *h);
/* to_head: the request was HEAD, whose answers have no body. */
bool head_of_answer(struct slice text, bool to_head, struct head *h);

/* Where we are in a body. */
struct body {
    enum body_kind kind;
    enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_END, CHUNK_TRAILER } chunk;
    uint64_t left; /* of what is counted, or of the chunk */
    size_t line;   /* bytes of the line under way */
    bool done;
};

void body_init(struct body *b, const struct head *h);

/* How many of the n bytes belong to the body; b->done once it has ended. */
size_t body_take(struct body *b, const char *data, size_t n);

#endif
