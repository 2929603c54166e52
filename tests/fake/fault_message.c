/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fake/fault_message.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

size_t head_end(const char *data, size_t n)
{
    const char *end = memmem(data, n, "\r\n\r\n", 4);
    return end ? (size_t)(end - data) + 4 : 0;
}

static bool is_field(struct slice line, const char *name, struct slice *value)
{
    size_t n = strlen(name);
    if (line.n <= n || line.p[n] != ':' || strncasecmp(line.p, name, n) != 0)
        return false;
    *value = slice_make(line.p + n + 1, line.n - n - 1);
    while (value->n && value->p[0] == ' ')
        *value = slice_make(value->p + 1, value->n - 1);
    return true;
}

static bool has_word(struct slice value, const char *word)
{
    return value.n == strlen(word) && strncasecmp(value.p, word, value.n) == 0;
}

static void read_field(struct slice line, struct head *h)
{
    struct slice value;
    if (is_field(line, "content-length", &value)) {
        h->content_length = strtoull(value.p, NULL, 10);
        if (h->body != BODY_CHUNKED)
            h->body = h->content_length ? BODY_COUNTED : BODY_NONE;
    } else if (is_field(line, "transfer-encoding", &value)) {
        h->body = BODY_CHUNKED;
    } else if (is_field(line, "connection", &value)) {
        h->close = has_word(value, "close");
    } else if (is_field(line, "expect", &value)) {
        h->expects = has_word(value, "100-continue");
    } else if (is_field(line, "range", &value)) {
        h->range = value;
    } else if (is_field(line, "if-match", &value)) {
        h->if_match = value;
    }
}

/* The line at *at, without its end; steps over it. */
static struct slice next_line(struct slice text, size_t *at)
{
    const char *begin = text.p + *at, *end = memmem(begin, text.n - *at, "\r\n", 2);
    size_t n = end ? (size_t)(end - begin) : text.n - *at;
    *at += end ? n + 2 : n;
    return slice_make(begin, n);
}

static struct slice word(struct slice *line)
{
    const char *space = memchr(line->p, ' ', line->n);
    size_t n = space ? (size_t)(space - line->p) : line->n;
    struct slice first = slice_make(line->p, n);
    *line = space ? slice_make(space + 1, line->n - n - 1) : slice_make(line->p + n, 0);
    return first;
}

static void read_fields(struct slice text, size_t at, struct head *h)
{
    while (at < text.n)
        read_field(next_line(text, &at), h);
    h->bytes = text.n;
}

bool head_of_request(struct slice text, struct head *h)
{
    size_t at = 0;
    struct slice line = next_line(text, &at);
    *h = (struct head){0};
    h->method = word(&line);
    h->target = word(&line);
    read_fields(text, at, h);
    return h->method.n && h->target.n && line.n > 5 && memcmp(line.p, "HTTP/", 5) == 0;
}

bool head_of_answer(struct slice text, bool to_head, struct head *h)
{
    size_t at = 0;
    struct slice line = next_line(text, &at);
    struct slice version = word(&line);
    *h = (struct head){.body = BODY_TO_THE_END};
    h->status = (int)strtol(line.p, NULL, 10);
    read_fields(text, at, h);
    if (to_head || h->status / 100 == 1 || h->status == 204 || h->status == 304)
        h->body = BODY_NONE;
    return version.n > 5 && memcmp(version.p, "HTTP/", 5) == 0 && h->status >= 100;
}

void body_init(struct body *b, const struct head *h)
{
    *b = (struct body){.kind = h->body, .left = h->content_length, .done = h->body == BODY_NONE};
    if (h->body == BODY_CHUNKED)
        b->left = 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of what stands between chunks. */
static void chunk_byte(struct body *b, char c)
{
    if (c != '\n') {
        int digit = hex_digit(c);
        if (b->chunk == CHUNK_SIZE && digit >= 0 && b->line < 16)
            b->left = b->left * 16 + (unsigned)digit;
        else if (c != '\r')
            b->line = 16; /* an extension, which says nothing of the size */
        b->line += c != '\r';
        return;
    }
    if (b->chunk == CHUNK_SIZE)
        b->chunk = b->left ? CHUNK_DATA : CHUNK_TRAILER;
    else if (b->chunk == CHUNK_END)
        b->chunk = CHUNK_SIZE;
    else if (b->line == 0)
        b->done = true;
    b->line = 0;
}

static size_t take_chunks(struct body *b, const char *data, size_t n)
{
    size_t at = 0;
    while (at < n && !b->done) {
        if (b->chunk != CHUNK_DATA) {
            chunk_byte(b, data[at++]);
            continue;
        }
        size_t some = b->left < n - at ? (size_t)b->left : n - at;
        at += some;
        b->left -= some;
        if (b->left == 0)
            b->chunk = CHUNK_END;
    }
    return at;
}

size_t body_take(struct body *b, const char *data, size_t n)
{
    if (b->done)
        return 0;
    if (b->kind == BODY_TO_THE_END)
        return n;
    if (b->kind == BODY_CHUNKED)
        return take_chunks(b, data, n);
    size_t some = b->left < n ? (size_t)b->left : n;
    b->left -= some;
    b->done = b->left == 0;
    return some;
}
