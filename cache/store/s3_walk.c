/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/s3_walk.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/text.h"

/* Pages without an entry, which a server may send, one after the other. */
#define EMPTY_PAGES_MAX 100
/* Guesses at a time: most of them miss, where names begin with the same characters. */
#define PROBES 4
/* A page that takes longer comes from a server that has enough to do: more at once would only make
 * all of them late. */
#define SLOW_PAGE_MS 2000

struct walk;
struct part;

/* A request of a part: its next page, or where it may be cut. */
struct ask {
    struct s3_request request;
    struct part *part;
    struct ask *next; /* among the answered */
    bool cuts;
    int64_t sent_ms;
};

struct part {
    struct walk *walk;
    unsigned number;
    bool listing, cutting; /* such a request is under way */
    bool probes;           /* the next cut is a guess: there were no directories, or too many */
    bool flat;             /* there is no directory to ask for */
    unsigned empty;        /* pages without an entry, lately */
    struct ask page, cut;
    struct buf after, until; /* keys behind `after`, up to `until`: empty, no bound */
    struct buf token,
        next_version; /* of the next page: token or key marker, and version id marker */
    struct buf last;  /* the last key that was told; empty: none */
    size_t coarse;    /* bytes of `last`: a cut within them leaves more than a page */
    size_t level;     /* bytes of `last`: the directory whose directories may be bounds */
};

struct walk {
    const struct s3_walk *what;
    bool whole; /* in one part */
    bool was_cut;
    bool unordered;     /* after it was cut: no part of it can be told to be whole */
    unsigned under_way; /* requests */
    struct part *parts[S3_WALK_PARTS_MAX];
    struct err *err;

    struct lock lock;
    struct cond changed;
    struct ask *answered; /* lock */
};

static int no_memory(struct err *err)
{
    return err_set(err, ENOMEM, "out of memory");
}

static int set(struct buf *to, struct slice text, struct err *err)
{
    buf_reset(to);
    buf_add_slice(to, text);
    return buf_check(to, err);
}

/* parts */

static void part_free(struct part *p)
{
    if (!p)
        return;
    struct buf *owned[] = {&p->after, &p->until, &p->token, &p->next_version, &p->last};
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
        buf_done(owned[i]);
    s3_request_done(&p->page.request);
    s3_request_done(&p->cut.request);
    free(p);
}
DEFINE_AUTO(part, struct part *, part_free)

/* A number that no part has, or S3_WALK_PARTS_MAX. */
static unsigned free_number(const struct walk *w)
{
    unsigned n = 0;
    while (n < S3_WALK_PARTS_MAX && w->parts[n])
        n++;
    return n;
}

static unsigned free_count(const struct walk *w)
{
    unsigned count = 0;
    for (unsigned n = 0; n < S3_WALK_PARTS_MAX; n++)
        count += !w->parts[n];
    return count;
}

static void on_answer(struct remote_request *q)
{
    struct ask *a = CONTAINER_OF(q, struct ask, request.remote);
    struct walk *w = a->part->walk;
    WITH_LOCK (&w->lock) {
        a->next = w->answered;
        w->answered = a;
        cond_signal(&w->changed);
    }
}

static int send(struct ask *a, const struct http_parameter *parameters, size_t n)
{
    struct walk *w = a->part->walk;
    struct remote_parts parts = {.method = "GET",
                                 .key = "",
                                 .parameters = parameters,
                                 .parameters_count = n,
                                 .text_max = S3_PAGE_BYTES_MAX};
    s3_request_done(&a->request);
    int rc = s3_request_init(&a->request, w->what->bucket, &parts, w->err);
    if (rc < 0)
        return rc;
    w->under_way++;
    a->sent_ms = clock_mono_ms();
    remote_send(&a->request.remote, w->what->http, on_answer);
    return 0;
}

static int ask_page(struct part *p)
{
    const struct s3_walk *what = p->walk->what;
    struct http_parameter q[8] = {{"encoding-type", "url"}};
    size_t n = 1;
    q[n++] = what->versions ? (struct http_parameter){"versions", ""}
                            : (struct http_parameter){"list-type", "2"};
    if (what->prefix[0])
        q[n++] = (struct http_parameter){"prefix", what->prefix};
    if (!what->recursive)
        q[n++] = (struct http_parameter){"delimiter", "/"};
    const char *resume = what->versions ? "key-marker" : "continuation-token";
    if (p->token.len)
        q[n++] = (struct http_parameter){resume, p->token.data};
    else if (p->after.len)
        q[n++] = (struct http_parameter){what->versions ? resume : "start-after", p->after.data};
    if (p->next_version.len)
        q[n++] = (struct http_parameter){"version-id-marker", p->next_version.data};
    p->listing = true;
    return send(&p->page, q, n);
}

/* Which directories are behind the part's last key? */
static int ask_cut(struct part *p)
{
    AUTO(buf) struct buf prefix = {0};
    buf_init(&prefix, URL_BYTES_MAX + KEY_BYTES_MAX);
    buf_add(&prefix, p->last.data, p->level);
    buf_add_str(&prefix, "");
    int rc = buf_check(&prefix, p->walk->err);
    struct http_parameter q[] = {{"list-type", "2"},
                                 {"encoding-type", "url"},
                                 {"delimiter", "/"},
                                 {"start-after", p->last.data},
                                 {"prefix", prefix.data}};
    p->cutting = true;
    return rc < 0 ? rc : send(&p->cut, q, prefix.len ? ARRAY_SIZE(q) : ARRAY_SIZE(q) - 1);
}

/* Adds a part and asks for its first page. */
static int add_part(struct walk *w, struct slice after, struct slice until, size_t level)
{
    AUTO(part) struct part *p = calloc(1, sizeof *p);
    if (!p)
        return no_memory(w->err);
    p->walk = w;
    unsigned number = p->number = free_number(w);
    p->page.part = p->cut.part = p;
    p->cut.cuts = true;
    p->level = level;
    struct buf *keys[] = {&p->after, &p->until, &p->token, &p->next_version, &p->last};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        buf_init(keys[i], URL_BYTES_MAX + 4 * KEY_BYTES_MAX);
    int rc = set(&p->after, after, w->err);
    if (rc == 0)
        rc = set(&p->until, until, w->err);
    if (rc == 0)
        rc = ask_page(p);
    if (rc == 0)
        w->parts[number] = STEAL(p);
    return rc;
}

static bool is_below(const struct part *p, struct slice key)
{
    return !p->until.len || slice_cmp(key, buf_slice(&p->until)) < 0;
}

/* The part ends at `key`, and a new one begins there. The key is behind what was told. */
static int cut_at(struct part *p, struct slice key)
{
    struct walk *w = p->walk;
    w->was_cut = true;
    int rc = add_part(w, key, buf_slice(&p->until), p->level);
    return rc < 0 ? rc : set(&p->until, key, w->err);
}

/* cutting */

/*
 * Cuts where the first character of the last name behind the level that may be followed by others
 * has its successor. *found: there was one.
 */
static int probe(struct part *p, bool *found)
{
    AUTO(buf) struct buf key = {0};
    struct slice last = buf_slice(&p->last);
    buf_init(&key, URL_BYTES_MAX + 4 * KEY_BYTES_MAX);
    for (size_t at = p->level; at < p->coarse && last.p[at] != '/'; at++) {
        unsigned char next = (unsigned char)last.p[at] + 1;
        next = next == '/' ? '0' : next; /* a bound within a directory is none of a level */
        if (next < 0x20 || next > 0x7e)
            continue; /* a character's other bytes */
        buf_reset(&key);
        buf_add_slice(&key, slice_make(last.p, at));
        buf_add_char(&key, (char)next);
        int rc = buf_check(&key, p->walk->err);
        if (rc < 0)
            return rc;
        *found = is_below(p, buf_slice(&key));
        if (*found)
            return cut_at(p, buf_slice(&key));
    }
    return 0;
}

static int probe_some(struct part *p)
{
    bool found = true;
    int rc = 0;
    for (int i = 0; rc == 0 && found && i < PROBES && free_count(p->walk); i++) {
        found = false;
        rc = probe(p, &found);
    }
    return rc;
}

/* Where no bound is at a level, it is looked for one directory deeper. */
static void descend(struct part *p)
{
    struct slice rest = slice_from(buf_slice(&p->last), p->level);
    ptrdiff_t slash = p->walk->what->recursive ? slice_find(rest, '/') : -1;
    if (slash >= 0)
        p->level += (size_t)slash + 1;
    p->flat = slash < 0;
}

/* Cuts at some of the directories that the answer names, so that the parts have as many each. */
static int cut_at_directories(struct part *p, const struct s3_page *page)
{
    AUTO_FREE struct slice *at = calloc(page->lines.n + 1, sizeof *at);
    size_t n = 0;
    if (!at)
        return no_memory(p->walk->err);
    for (size_t i = 0; i < page->lines.n; i++) {
        struct slice key = page->lines.at[i].key;
        bool behind = slice_cmp(key, n ? at[n - 1] : buf_slice(&p->last)) > 0;
        if (page->lines.at[i].is_prefix && behind && is_below(p, key) && utf8_valid(key))
            at[n++] = key;
    }
    p->probes = page->truncated;
    if (n == 0) {
        descend(p);
        return 0;
    }
    size_t pieces = free_count(p->walk);
    if (pieces > n)
        pieces = n;
    if (page->truncated) /* more than it names: what they hold is not known to be even */
        return cut_at(p, at[n - 1]);
    int rc = 0;
    /* from the end, as each cut leaves the part what is before it */
    for (size_t i = pieces; rc == 0 && i > 0; i--)
        rc = cut_at(p, at[i * n / (pieces + 1)]);
    return rc;
}

/* The part has more to come: others may take some of it. */
static int consider_cut(struct part *p)
{
    struct walk *w = p->walk;
    /* A server may refuse what is no text as a key to begin at. */
    if (w->whole || p->cutting || !p->last.len || free_count(w) == 0 ||
        !utf8_valid(buf_slice(&p->last)))
        return 0;
    if (p->last.len < p->level) /* another directory than the level's */
        p->level = strlen(w->what->prefix);
    if (w->what->recursive && !p->probes && !p->flat)
        return ask_cut(p);
    p->probes = false;
    return probe_some(p);
}

/* answers */

static int parse(const struct ask *a, bool versions, struct s3_page *page)
{
    struct walk *w = a->part->walk;
    int rc = remote_check(&a->request.remote, w->err);
    if (rc == 0)
        rc = s3_page_parse(buf_slice(&a->request.remote.http.text), versions, page, w->err);
    if (rc < 0)
        (void)err_wrap(w->err, "bucket %s, list %.100s", w->what->bucket->name, w->what->prefix);
    return rc;
}

struct ranked {
    struct s3_line line;
    size_t rank;
};

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    int c = slice_cmp(x->line.key, y->line.key);
    return c ? c : (x->rank > y->rank) - (x->rank < y->rank);
}

/* By key: directories come behind the objects of a page, and deletions of some servers too. */
static int sort_lines(struct s3_page *page, struct err *err)
{
    size_t n = page->lines.n;
    AUTO_FREE struct ranked *lines = calloc(n + 1, sizeof *lines);
    if (!lines)
        return no_memory(err);
    for (size_t i = 0; i < n; i++)
        lines[i] = (struct ranked){page->lines.at[i], i};
    qsort(lines, n, sizeof *lines, compare_ranked);
    for (size_t i = 0; i < n; i++)
        page->lines.at[i] = lines[i].line;
    return 0;
}

/*
 * Where a page's keys differ, a character has its keys on one page or a few; before that it has
 * several pages, unless the page has most of what may follow it.
 */
static size_t coarse_part(struct slice first, struct slice last)
{
    size_t same = 0;
    while (same < first.n && same < last.n && first.p[same] == last.p[same])
        same++;
    bool few = same < first.n && same < last.n && last.p[same] - first.p[same] <= 3;
    return same && !few ? same - 1 : same;
}

/*
 * Leaves a page the lines that are the part's. *past: some were behind it, so nothing more is to
 * come.
 */
static int filter(struct part *p, struct s3_page *page, bool *past)
{
    const struct s3_walk *what = p->walk->what;
    struct slice last = buf_slice(&p->last);
    size_t kept = 0;
    bool ordered = true;
    int rc = what->versions || !what->recursive ? sort_lines(page, p->walk->err) : 0;
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < page->lines.n; i++) {
        struct s3_line *line = &page->lines.at[i];
        int c = last.n ? slice_cmp(line->key, last) : 1;
        ordered &= c > 0 || (c == 0 && what->versions);
        last = line->key;
        if (p->after.len && slice_cmp(line->key, buf_slice(&p->after)) <= 0)
            continue; /* some servers do not know start-after */
        *past |= p->until.len && slice_cmp(line->key, buf_slice(&p->until)) > 0;
        if (!*past)
            page->lines.at[kept++] = *line;
    }
    page->lines.n = kept;
    p->walk->unordered |= !ordered && p->walk->was_cut;
    p->walk->whole |= !ordered;
    if (p->walk->unordered)
        return err_set(p->walk->err, EIO, "bucket %s: the listing is in no order",
                       what->bucket->name);
    if (kept == 0)
        return 0;
    last = page->lines.at[kept - 1].key;
    p->coarse = coarse_part(page->lines.at[0].key, last);
    return set(&p->last, last, p->walk->err);
}

/* Remembers where the next page begins. */
static int set_next(struct part *p, const struct s3_page *page)
{
    struct walk *w = p->walk;
    bool versions = w->what->versions;
    struct slice token = slice_of(versions ? page->next_key : page->token);
    struct slice version = versions ? slice_of(page->next_version) : SLICE_NONE;
    const char *name = w->what->bucket->name;
    if (slice_eq(token, buf_slice(&p->token)) && slice_eq(version, buf_slice(&p->next_version)))
        return err_set(w->err, EIO, "bucket %s: the listing goes on with the same token for ever",
                       name);
    p->empty = page->lines.n ? 0 : p->empty + 1;
    if (p->empty == EMPTY_PAGES_MAX)
        return err_set(w->err, EIO, "bucket %s: %d empty pages of a listing", name,
                       EMPTY_PAGES_MAX);
    int rc = set(&p->token, token, w->err);
    return rc < 0 ? rc : set(&p->next_version, version, w->err);
}

static int take_page(struct part *p)
{
    struct walk *w = p->walk;
    AUTO(s3_page) struct s3_page page;
    bool past = false, slow = clock_mono_ms() - p->page.sent_ms > SLOW_PAGE_MS;
    s3_page_init(&page);
    p->listing = false;
    int rc = parse(&p->page, w->what->versions, &page);
    if (rc == 0)
        rc = filter(p, &page, &past);
    bool more = rc == 0 && page.truncated && !past;
    if (rc == 0)
        rc = w->what->page(w->what->arg, p->number, &page, !more, w->err);
    if (rc == 0 && more)
        rc = set_next(p, &page);
    if (rc == 0 && more)
        rc = ask_page(p);
    return rc == 0 && more && !slow ? consider_cut(p) : rc;
}

static int take_cut(struct part *p)
{
    AUTO(s3_page) struct s3_page page;
    s3_page_init(&page);
    p->cutting = false;
    int rc = parse(&p->cut, false, &page);
    /* A part that has ended meanwhile needs no cut. */
    return rc == 0 && p->listing && !p->walk->whole ? cut_at_directories(p, &page) : rc;
}

static struct ask *next_answer(struct walk *w)
{
    struct ask *a;
    WITH_LOCK (&w->lock) {
        while (!w->answered)
            cond_wait(&w->changed, &w->lock);
        a = w->answered;
        w->answered = a->next;
    }
    w->under_way--;
    return a;
}

/* Runs until all parts have ended, or one has failed and nothing is under way any more. */
static int run(struct walk *w)
{
    const struct s3_walk *what = w->what;
    int rc = add_part(w, slice_of(what->start_after), SLICE_NONE, strlen(what->prefix));
    while (w->under_way) {
        struct ask *a = next_answer(w);
        struct part *p = a->part;
        if (rc == 0)
            rc = a->cuts ? take_cut(p) : take_page(p);
        else if (a->cuts)
            p->cutting = false;
        else
            p->listing = false;
        if (!p->listing && !p->cutting) {
            w->parts[p->number] = NULL;
            part_free(p);
        }
    }
    for (unsigned n = 0; n < S3_WALK_PARTS_MAX; n++)
        part_free(w->parts[n]);
    return rc;
}

/* *unordered: it must be done again, in one part. */
static int walk_once(const struct s3_walk *what, bool whole, bool *unordered, struct err *err)
{
    struct walk w = {.what = what, .whole = whole, .err = err};
    lock_init(&w.lock);
    cond_init(&w.changed);
    int rc = run(&w);
    cond_done(&w.changed);
    lock_done(&w.lock);
    *unordered = w.unordered;
    return rc;
}

int s3_walk(const struct s3_walk *w, struct err *err)
{
    bool unordered;
    int rc = walk_once(w, false, &unordered, err);
    return unordered ? walk_once(w, true, &unordered, err) : rc;
}
