/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/reader.h"

#include "fs/opened.h"

void reader_init(struct reader *r)
{
    lock_init(&r->lock);
}

void reader_done(struct reader *r, struct object *o)
{
    if (r->prefetch)
        object_reader_end(o);
    prefetch_free(r->prefetch);
    parquet_plan_free(r->plan);
    lock_done(&r->lock);
}

static struct layout_key key_of(const struct opened *h)
{
    return (struct layout_key){.node = h->node, .identity = h->identity};
}

/* planning */

/* What one read causes; sent when the lock is left. */
struct decision {
    bool cancel;
    unsigned count;
    struct reader_range ranges[READER_RANGES_MAX];
};

static void decide(struct decision *d, uint64_t offset, uint64_t length)
{
    if (length)
        d->ranges[d->count++] = (struct reader_range){offset, length};
}

/* What comes too late here comes with the next read. */
static void take_plan_locked(struct reader *r, struct decision *d) REQUIRES(r->lock)
{
    uint64_t offset, length;
    while (d->count < READER_RANGES_MAX && parquet_plan_next(r->plan, &offset, &length))
        decide(d, offset, length);
}

static void adopt_locked(struct reader *r, struct parquet_layout *layout) REQUIRES(r->lock)
{
    if (r->plan || r->copies)
        return;
    r->plan = parquet_plan_new(layout);
    for (unsigned i = 0; r->plan && i < r->early; i++)
        (void)parquet_plan_touch(r->plan, r->early_reads[i].offset, r->early_reads[i].length);
}

/* `tail`: the read ends with the file. Who looks for a footer so has not chosen the column before
 * it.
 */
static void note_locked(struct reader *r, struct reader_range read, bool tail, struct decision *d)
    REQUIRES(r->lock)
{
    if (r->plan && tail)
        return;
    if (r->plan) {
        d->cancel = !parquet_plan_touch(r->plan, read.offset, read.length);
        take_plan_locked(r, d);
        return;
    }
    if (!tail && r->early < READER_EARLY_MAX)
        r->early_reads[r->early++] = read;
    struct sequence_ahead a = sequence_note(&r->sequence, read.offset, read.length);
    d->cancel = a.jumped;
    decide(d, a.offset, a.length);
}

static void act(struct opened *h, const struct decision *d)
{
    struct reader *r = &h->reader;
    struct prefetch *p;
    WITH_LOCK (&r->lock) {
        if (d->count && !r->prefetch) {
            r->prefetch = prefetch_new(h->handle.session->config.lake.cache);
            if (r->prefetch)
                object_reader_begin(h->object);
        }
        p = r->prefetch;
    }
    if (p && d->cancel)
        prefetch_cancel(p);
    for (unsigned i = 0; p && i < d->count; i++)
        (void)prefetch_range(p, h->object, d->ranges[i].offset, d->ranges[i].length); /* a guess */
}

size_t reader_read(struct opened *h, uint64_t offset, uint64_t length)
{
    struct reader *r = &h->reader;
    struct decision d;
    bool first, exact;
    d.count = 0;
    d.cancel = false;
    if (object_is_sealed(h->object))
        return 0;
    AUTO(parquet_layout) struct parquet_layout *known = NULL;
    WITH_LOCK (&r->lock) {
        first = !r->began;
        r->began = true;
        if (first)
            r->copies = offset == 0 && length >= SEQUENCE_FIRST;
    }
    if (first && object_size(h->object) > BLOCK_BYTES)
        known = layouts_find(&h->handle.session->layouts, key_of(h));
    WITH_LOCK (&r->lock) {
        if (known)
            adopt_locked(r, known);
        note_locked(r, (struct reader_range){offset, length},
                    offset + length == object_size(h->object), &d);
        exact = r->plan || r->sequence.on;
    }
    act(h, &d);
    return exact ? GRANULE_BYTES : 0;
}

/* the footer */

struct study {
    struct opened *opened; /* a reference of its handle */
    struct object_read read;
    struct job job;
    char bytes[];
};

static void study_end(struct study *s)
{
    struct session *session = s->opened->handle.session;
    handle_unref(&s->opened->handle);
    free(s);
    session_release(session);
}

/* On a worker. A footer that is damaged is for the reader to find out. */
static void study_run(struct job *job)
{
    struct study *s = CONTAINER_OF(job, struct study, job);
    struct opened *h = s->opened;
    AUTO(parquet_layout) struct parquet_layout *layout = NULL;
    struct slice footer = slice_make(s->bytes, s->read.length);
    if (s->read.rc == 0 &&
        parquet_layout_parse(footer, object_size(h->object), &layout, NULL) == 0) {
        struct decision d;
        d.count = 0;
        d.cancel = false;
        layouts_put(&h->handle.session->layouts, key_of(h), layout);
        WITH_LOCK (&h->reader.lock) {
            adopt_locked(&h->reader, layout);
            if (h->reader.plan)
                take_plan_locked(&h->reader, &d);
        }
        act(h, &d);
    }
    study_end(s);
}

static void study_read(struct object_read *read)
{
    struct study *s = CONTAINER_OF(read, struct study, read);
    workers_submit(s->opened->handle.session->config.lake.workers, &s->job);
}

static void study(struct opened *h, uint64_t footer_bytes)
{
    struct study *s = malloc(sizeof *s + footer_bytes);
    if (!s)
        return;
    uint64_t offset = object_size(h->object) - PARQUET_TAIL_BYTES - footer_bytes;
    *s = (struct study){.opened = h,
                        .job = {.run = study_run},
                        .read = {.offset = offset,
                                 .length = footer_bytes,
                                 .to = s->bytes,
                                 .fetch_bytes = GRANULE_BYTES,
                                 .done = study_read}};
    session_hold(h->handle.session);
    (void)handle_ref(&h->handle);
    int rc = object_read(h->object, &s->read, NULL);
    if (rc == 0)
        study_read(&s->read);
    else if (rc != -EINPROGRESS)
        study_end(s);
}

void reader_was_read(struct opened *h, uint64_t offset, const char *bytes, size_t length)
{
    struct reader *r = &h->reader;
    uint64_t size = object_size(h->object);
    bool wanted = false;
    if (offset + length != size || length < PARQUET_TAIL_BYTES || size <= BLOCK_BYTES ||
        object_is_sealed(h->object))
        return;
    uint64_t footer = parquet_tail_footer(bytes + length - PARQUET_TAIL_BYTES, size);
    WITH_LOCK (&r->lock) {
        wanted = footer && !r->studied && !r->plan && !r->copies;
        r->studied = r->studied || wanted;
    }
    if (wanted)
        study(h, footer);
}
