/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/tier/need_private.h"

/* Makes the next record the one ahead: 1, 0 at the end, or -errno. */
static int read_ahead(struct need *n, struct err *err)
{
    struct slice record;
    int rc = n->ended ? 0 : sorter_next(n->sorter, &record, err);
    buf_reset(&n->ahead);
    n->ended = rc <= 0;
    if (rc > 0)
        buf_add_slice(&n->ahead, record);
    return rc > 0 && buf_check(&n->ahead, err) < 0 ? -err->code : rc;
}

/* One holder's way through the versions. */
struct tracing {
    const struct need_source *table;
    size_t next_state; /* of table->states: the first that was not met */
    bool live;
    struct need_held held; /* where it is live */
};

static int close_span(struct need *n, struct tracing *t, size_t to, bool moved_rows,
                      struct err *err)
{
    t->live = false;
    t->held.to = to;
    t->held.moved_rows = moved_rows;
    return vec_push(&n->held, t->held) < 0
               ? err_set(err, EOVERFLOW, "an object has more than %zu holders", NEED_SPANS_MAX)
               : 0;
}

/* Versions that are told as a whole, before that one, and have not named it: it was gone. */
static int pass_states(struct need *n, struct tracing *t, size_t before, struct err *err)
{
    const struct need_source *s = t->table;
    int rc = 0;
    while (rc == 0 && t->next_state < s->states.n && s->states.at[t->next_state] < before) {
        size_t at = s->states.at[t->next_state++];
        if (t->live && t->held.from < at)
            rc = close_span(n, t, at, false, err);
    }
    return rc;
}

static int trace(struct need *n, struct tracing *t, const struct need_head *h, struct err *err)
{
    size_t at = h->position;
    int64_t time_ms = t->table->history->at[at].timestamp_ms;
    int rc = pass_states(n, t, at, err);
    bool is_state = t->next_state < t->table->states.n && t->table->states.at[t->next_state] == at;
    if (is_state && h->what == OBJECT_HELD)
        t->next_state++; /* named */
    if (rc < 0)
        return rc;
    if (h->what == OBJECT_REMOVED)
        return t->live ? close_span(n, t, at, h->moves_rows, err) : 0;
    if (t->live)
        return 0;
    t->live = true;
    t->held = (struct need_held){.from = at, .added_ms = time_ms};
    if (h->what == OBJECT_HELD && h->mtime_ms > 0 && h->mtime_ms < time_ms)
        t->held.added_ms = h->mtime_ms;
    return 0;
}

static int by_from(const void *a, const void *b)
{
    const struct need_held *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

/* Held by a newest version it is live, whatever was committed behind that. */
static void end_use(const struct need *n, struct need_use *use, size_t first)
{
    const struct need_source *s = n->tables.at[use->table];
    if (need_newest_in(&s->newest, n->spans.at + first, use->spans_n)) {
        use->until = NEED_LIVE;
        use->moved_rows = false;
    } else if (use->until == NEED_LIVE) {
        use->until = s->history->n;
        use->moved_rows = false;
    }
}

/* Joins what the holders have into spans of the use. */
static int join(struct need *n, struct need_use *use, struct err *err)
{
    size_t first = n->spans.n;
    bool moved = true;
    if (n->held.n > 1)
        qsort(n->held.at, n->held.n, sizeof n->held.at[0], by_from);
    use->until = 0;
    for (size_t i = 0; i < n->held.n; i++) {
        const struct need_held *h = &n->held.at[i];
        struct need_span *last = n->spans.n > first ? &n->spans.at[n->spans.n - 1] : NULL;
        if (last && h->from <= last->to)
            last->to = h->to > last->to ? h->to : last->to;
        else if (vec_push(&n->spans, ((struct need_span){h->from, h->to})) < 0)
            return err_set(err, EOVERFLOW, "an object has too many spans");
        if (h->to > use->until) {
            use->until = h->to;
            moved = true;
        }
        moved = moved && (h->to < use->until || h->moved_rows);
        if (i == 0 || (h->from == use->added && h->added_ms < use->added_ms)) {
            use->added = h->from;
            use->added_ms = h->added_ms;
        }
    }
    use->moved_rows = moved;
    use->spans_n = n->spans.n - first;
    end_use(n, use, first);
    return 0;
}

/* The records of one table and object; what is ahead is the first of them. */
static int read_use(struct need *n, struct err *err)
{
    struct need_record r = need_record_parse(buf_slice(&n->ahead));
    uint32_t number = r.head.table;
    struct need_source *source = n->tables.at[number - 1];
    struct need_use use = {.table = number - 1, .kind = r.head.kind};
    struct tracing t = {.table = source};
    uint64_t holder = r.head.holder;
    size_t kept = n->kept.len;
    int rc = 0;
    n->held.n = 0;
    do {
        rc = 0;
        if (r.head.holder != holder) {
            rc = pass_states(n, &t, SIZE_MAX, err);
            if (rc == 0 && t.live)
                rc = close_span(n, &t, NEED_LIVE, false, err);
            t = (struct tracing){.table = source};
            holder = r.head.holder;
        }
        if (rc == 0)
            rc = trace(n, &t, &r.head, err);
        if (r.head.size > use.size)
            use.size = r.head.size;
        if (r.head.kind < use.kind)
            use.kind = r.head.kind;
        if (r.more.n) {
            n->kept.len = kept;
            buf_add_slice(&n->kept, r.more);
        }
        if (rc == 0)
            rc = read_ahead(n, err);
        if (rc > 0)
            r = need_record_parse(buf_slice(&n->ahead));
    } while (rc > 0 && r.head.table == number && slice_eq(r.object, buf_slice(&n->object)));
    if (rc >= 0)
        rc = pass_states(n, &t, SIZE_MAX, err);
    if (rc == 0 && t.live)
        rc = close_span(n, &t, NEED_LIVE, false, err);
    if (rc == 0 && n->held.n)
        rc = join(n, &use, err);
    use.partitions = slice_make(NULL, n->kept.len - kept); /* where it lies is known at the end */
    if (rc == 0 && n->held.n && vec_push(&n->uses, use) < 0)
        rc = err_set(err, ENOMEM, "out of memory");
    else if (rc == 0 && !n->held.n)
        n->kept.len = kept; /* only removals: no version that is left holds it */
    return rc;
}

static void take_listed(struct need *n, const struct need_record *r, struct need_object *out)
{
    if (out->listed)
        return; /* a listing may tell an object twice */
    out->listed = true;
    out->size = r->head.size;
    out->mtime_ms = r->head.mtime_ms;
    buf_reset(&n->listed);
    buf_add_slice(&n->listed, r->more);
    out->class = slice_make(n->listed.data, r->head.class_bytes);
    out->etag = slice_from(buf_slice(&n->listed), r->head.class_bytes);
}

/* Pointers into what has grown meanwhile. */
static void settle(struct need *n, struct need_object *out)
{
    size_t span = 0, kept = 0;
    for (size_t i = 0; i < n->uses.n; i++) {
        struct need_use *u = &n->uses.at[i];
        u->spans = n->spans.at + span;
        span += u->spans_n;
        u->partitions.p = n->kept.data ? n->kept.data + kept : NULL;
        kept += u->partitions.n;
        const struct need_source *s = n->tables.at[u->table];
        u->removed_ms =
            u->until == NEED_LIVE ? 0 : need_newest_ceased_ms(&s->newest, s->history, u);
        if (!out->listed && u->size > out->size)
            out->size = u->size;
    }
    out->uses = n->uses.at;
    out->uses_n = n->uses.n;
}

int need_next(struct need *n, struct need_object *out, struct err *err)
{
    struct need_object o = {0};
    int rc = n->ahead.len ? 1 : read_ahead(n, err);
    if (rc <= 0)
        return rc;
    struct need_record r = need_record_parse(buf_slice(&n->ahead));
    buf_reset(&n->object);
    buf_reset(&n->kept);
    buf_add_slice(&n->object, r.object);
    n->uses.n = n->spans.n = 0;
    while (rc > 0 && slice_eq(r.object, buf_slice(&n->object))) {
        if (r.head.table == 0) {
            take_listed(n, &r, &o);
            rc = read_ahead(n, err);
        } else {
            rc = read_use(n, err);
            rc = rc < 0 ? rc : n->ahead.len > 0;
        }
        if (rc > 0)
            r = need_record_parse(buf_slice(&n->ahead));
    }
    if (rc < 0 || buf_check(&n->object, err) < 0 || buf_check(&n->kept, err) < 0)
        return rc < 0 ? rc : -err->code;
    o.place = (uint8_t)n->object.data[0];
    o.key = slice_from(buf_slice(&n->object), 1);
    settle(n, &o);
    *out = o;
    return 1;
}

static bool take_text(struct slice *rest, struct slice *out)
{
    uint32_t length;
    if (rest->n < sizeof length)
        return false;
    memcpy(&length, rest->p, sizeof length);
    *out = slice_make(rest->p + sizeof length, length);
    *rest = slice_from(*rest, sizeof length + length);
    return true;
}

bool need_partition(const struct need *n, const struct need_use *use, struct slice column,
                    struct slice *value)
{
    const struct need_source *t = n->tables.at[use->table];
    struct slice rest = use->partitions, name, text, stored = column;
    for (size_t i = 0; i < t->columns_n; i++)
        if (slice_eq(t->columns[i].name, column))
            stored = t->columns[i].stored;
    while (take_text(&rest, &name) && take_text(&rest, &text))
        if (slice_eq(name, stored)) {
            *value = text;
            return true;
        }
    return false;
}
