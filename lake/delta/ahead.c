/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/ahead.h"

#include <assert.h>

#include "base/lock.h"

/* One request, or its answer. */
struct piece {
    struct delta_ahead *owner;
    const struct delta_log_file *file;
    bool first, last; /* of its file */
    struct buf key;
    struct store_get get;
    bool arrived; /* the owner's lock */
};

/*
 * Pieces [head, tail) are asked for, in the order of the lines; numbers only grow, a piece lies at
 * its number modulo DELTA_AHEAD_PIECES. The one at head is read; before the first file none is.
 */
struct delta_ahead {
    struct delta_ahead_options options;
    struct lock lock;
    struct cond arrived;
    struct piece pieces[DELTA_AHEAD_PIECES];
    uint64_t head, tail, most; /* most: pieces that are asked for at once */
    uint64_t asked_bytes;      /* of the pieces [head, tail) */

    const struct delta_log_file
        *asking; /* the file whose pieces are asked for; NULL: the next one */
    uint64_t asking_at;
    bool no_more_files;

    bool reading;   /* a file was begun; pieces[head] is its, unless it is `ended` */
    bool ended;     /* all pieces of the file were read */
    bool cut;       /* the file goes on where its last piece ends */
    size_t at;      /* in pieces[head] */
    struct buf key; /* of the file */
    char etag[ETAG_BYTES_MAX];
    struct buf text; /* a line that begins in an earlier piece */
    uint64_t number;
    bool failed;
};

static struct piece *piece_at(struct delta_ahead *a, uint64_t number)
{
    return &a->pieces[number % DELTA_AHEAD_PIECES];
}

struct delta_ahead *delta_ahead_new(const struct delta_ahead_options *options, struct err *err)
{
    struct delta_ahead *a = calloc(1, sizeof *a);
    if (!a) {
        (void)err_set(err, ENOMEM, "out of memory for reading a log");
        return NULL;
    }
    a->options = *options;
    a->most = options->store->ops->open_in_place ? DELTA_AHEAD_LOCAL_PIECES : DELTA_AHEAD_PIECES;
    lock_init(&a->lock);
    cond_init(&a->arrived);
    buf_init(&a->key, KEY_BYTES_MAX);
    buf_init(&a->text, JSON_LINE_BYTES_MAX);
    for (size_t i = 0; i < DELTA_AHEAD_PIECES; i++) {
        a->pieces[i].owner = a;
        buf_init(&a->pieces[i].key, KEY_BYTES_MAX);
    }
    return a;
}

static void wait_for(struct delta_ahead *a, const struct piece *p)
{
    WITH_LOCK (&a->lock)
        while (!p->arrived)
            cond_wait(&a->arrived, &a->lock);
}

/* The piece at head is done with. */
static void drop(struct delta_ahead *a)
{
    struct piece *p = piece_at(a, a->head++);
    a->asked_bytes -= p->get.length;
    free(p->get.to);
    p->get.to = NULL;
    a->at = 0;
}

void delta_ahead_free(struct delta_ahead *a)
{
    if (!a)
        return;
    while (a->head < a->tail) {
        wait_for(a, piece_at(a, a->head));
        drop(a);
    }
    for (size_t i = 0; i < DELTA_AHEAD_PIECES; i++)
        buf_done(&a->pieces[i].key);
    buf_done(&a->key);
    buf_done(&a->text);
    cond_done(&a->arrived);
    lock_done(&a->lock);
    free(a);
}

/* On the store's thread. */
static void arrived(struct store_get *get)
{
    struct piece *p = get->waiter;
    struct delta_ahead *a = p->owner;
    WITH_LOCK (&a->lock) {
        p->arrived = true;
        cond_signal(&a->arrived);
    }
}

/* So much is read of a file. */
static uint64_t wanted(const struct delta_ahead *a, const struct delta_log_file *file)
{
    uint64_t most = a->options.file_bytes_max;
    return most && file->size > most ? most : file->size;
}

/* Asks for n bytes of the file that is asked for: 0 or -errno. */
static int ask_piece(struct delta_ahead *a, size_t n, struct err *err)
{
    struct piece *p = piece_at(a, a->tail);
    char *to = n ? malloc(n) : NULL;
    delta_log_key(&p->key, a->options.prefix, &a->asking->name);
    int rc = buf_check(&p->key, err);
    if (rc == 0 && n && !to)
        rc = err_set(err, ENOMEM, "%s: no room for %zu bytes", p->key.data, n);
    if (rc < 0) {
        free(to);
        return rc;
    }
    p->file = a->asking;
    p->first = a->asking_at == 0;
    p->get = (struct store_get){.key = p->key.data,
                                .offset = a->asking_at,
                                .length = n,
                                .to = to,
                                .done = arrived,
                                .waiter = p};
    a->asking_at += n;
    p->last = a->asking_at == wanted(a, a->asking);
    if (p->last)
        a->asking = NULL;
    p->arrived = n == 0; /* nobody is asked for an empty file */
    a->asked_bytes += n;
    a->tail++;
    if (n)
        a->options.store->ops->get(a->options.store, &p->get);
    return 0;
}

/* Asks for as much as may be on its way. */
static int ask(struct delta_ahead *a, struct err *err)
{
    while (a->tail - a->head < a->most) {
        if (!a->asking && !a->no_more_files) {
            a->asking = a->options.next(a->options.arg);
            a->asking_at = 0;
            a->no_more_files = !a->asking;
        }
        if (!a->asking)
            return 0;
        uint64_t left = wanted(a, a->asking) - a->asking_at;
        size_t n = left < DELTA_PIECE_BYTES ? (size_t)left : DELTA_PIECE_BYTES;
        if (a->head < a->tail && n > DELTA_AHEAD_BYTES - a->asked_bytes)
            return 0;
        int rc = ask_piece(a, n, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* What came is that part of the file that was listed. */
static int check_piece(struct delta_ahead *a, const struct piece *p, struct err *err)
{
    const struct store_get *get = &p->get;
    if (get->length == 0)
        return 0;
    if (get->rc < 0)
        return err_copy(err, &get->err);
    if (get->info.size != p->file->size)
        return err_set(err, ESTALE, "%s: listed with %llu bytes, now it has %llu", get->key,
                       (unsigned long long)p->file->size, (unsigned long long)get->info.size);
    if (get->got != get->length)
        return err_set(err, EIO, "%s: %zu bytes at %llu, expected %zu", get->key, get->got,
                       (unsigned long long)get->offset, get->length);
    if (p->first)
        memcpy(a->etag, get->info.etag, sizeof a->etag);
    else if (strcmp(a->etag, get->info.etag) != 0)
        return err_set(err, ESTALE, "%s: it changed while it was read", get->key);
    return 0;
}

/* Waits for the piece at head, which there is. */
static int receive(struct delta_ahead *a, struct err *err)
{
    struct piece *p = piece_at(a, a->head);
    wait_for(a, p);
    int rc = check_piece(a, p, err);
    a->failed = a->failed || rc < 0;
    return rc;
}

/* The piece at head was read: the next one of the file, or its end. */
static int next_piece(struct delta_ahead *a, struct err *err)
{
    bool last = piece_at(a, a->head)->last;
    drop(a);
    a->ended = last;
    int rc = ask(a, err);
    return rc < 0 || last ? rc : receive(a, err);
}

int delta_ahead_file(struct delta_ahead *a, const struct delta_log_file **file, struct err *err)
{
    int rc = 0;
    while (rc == 0 && a->reading && !a->ended) /* what is left of the one before */
        rc = next_piece(a, err);
    a->reading = a->ended = false;
    if (rc == 0)
        rc = ask(a, err);
    if (rc < 0 || a->head == a->tail)
        return rc;
    const struct piece *p = piece_at(a, a->head);
    *file = p->file;
    a->reading = true;
    a->cut = wanted(a, p->file) < p->file->size;
    a->number = 0;
    buf_reset(&a->text);
    buf_reset(&a->key);
    buf_add_slice(&a->key, buf_slice(&p->key));
    rc = buf_check(&a->key, err);
    if (rc == 0)
        rc = receive(a, err);
    return rc < 0 ? rc : 1;
}

static bool is_blank(struct slice line)
{
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] != ' ' && line.p[i] != '\t' && line.p[i] != '\r')
            return false;
    return true;
}

/* The next line, blank or not: as delta_ahead_line. */
static int take_line(struct delta_ahead *a, struct slice *line, struct err *err)
{
    buf_reset(&a->text);
    while (!a->ended) {
        const struct store_get *get = &piece_at(a, a->head)->get;
        struct slice rest = slice_from(slice_make(get->to, get->length), a->at);
        ptrdiff_t end = slice_find(rest, '\n');
        if (end >= 0)
            rest.n = (size_t)end;
        a->at += rest.n + (end >= 0);
        if (end >= 0 && a->text.len == 0) {
            *line = rest;
            return 1;
        }
        buf_add_slice(&a->text, rest);
        int rc = buf_check(&a->text, err);
        if (rc < 0)
            return err_wrap(err, "%s: line %llu", a->key.data, (unsigned long long)a->number + 1);
        *line = buf_slice(&a->text);
        if (end >= 0)
            return 1;
        rc = next_piece(a, err);
        if (rc < 0)
            return rc;
    }
    return a->text.len && !a->cut;
}

int delta_ahead_line(struct delta_ahead *a, struct slice *line, struct err *err)
{
    int rc;
    assert(a->reading);
    while ((rc = take_line(a, line, err)) > 0) {
        a->number++;
        if (!is_blank(*line))
            return 1;
    }
    return rc;
}

uint64_t delta_ahead_number(const struct delta_ahead *a)
{
    return a->number;
}

const char *delta_ahead_key(const struct delta_ahead *a)
{
    return a->key.data;
}

bool delta_ahead_failed(const struct delta_ahead *a)
{
    return a->failed;
}
