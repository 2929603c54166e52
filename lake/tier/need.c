/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/tier/need.h"

#include "base/arena.h"
#include "base/vec.h"
#include "lake/index/sort.h"
#include "lake/tier/need_record.h"

#define TABLES_MAX ((size_t)1 << 18)
#define STATES_MAX ((size_t)1 << 20)
#define FACTS_BYTES_MAX (64 * MIB)
/* Of one object: what holds a file of deletion vectors are all the files that it is for. */
#define SPANS_MAX ((size_t)8 << 20)

struct place {
    const struct store *store;
    struct slice home; /* without a final slash; borrowed from the store */
    bool alone;        /* no other place lies in it, or it in none */
};

struct need_source {
    struct object_sink sink;
    struct need *need;
    const struct store *store;
    const struct history *history;
    uint32_t number;               /* from 1 */
    VEC(size_t) states;            /* positions that are told as a whole */
    struct object_column *columns; /* in the arena */
    size_t columns_n;
    int64_t retention_ms;
};

/* What one holder has: how it ended counts too. */
struct held {
    size_t from, to; /* NEED_LIVE */
    int64_t added_ms;
    bool moved_rows;
};

struct need {
    struct sorter *sorter;
    VEC(struct place) places;
    VEC(struct need_source *) tables;
    struct arena facts; /* columns of tables, and the tables */
    struct buf full, record, partitions;

    /* reading */
    struct buf ahead; /* the first record of the next object; empty: none was read yet */
    bool ended;
    struct buf object, listed, kept; /* kept: partitions of the uses */
    VEC(struct held) held;           /* of the use that is read */
    VEC(struct need_span) spans;
    VEC(struct need_use) uses;
};

struct need *need_new(int dirfd, struct err *err)
{
    AUTO(need) struct need *n = calloc(1, sizeof *n);
    if (!n) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    n->places.max = NEED_PLACES_MAX;
    n->tables.max = TABLES_MAX;
    n->held.max = n->spans.max = SPANS_MAX;
    n->uses.max = TABLES_MAX;
    arena_init(&n->facts, FACTS_BYTES_MAX);
    struct buf *bufs[] = {&n->full,   &n->record, &n->partitions, &n->ahead,
                          &n->object, &n->listed, &n->kept};
    for (size_t i = 0; i < ARRAY_SIZE(bufs); i++)
        buf_init(bufs[i], 4 * ACTION_BYTES_MAX);
    n->kept.max = FACTS_BYTES_MAX;
    n->sorter = sorter_new(dirfd, SORT_BYTES_MAX, need_record_compare, err);
    if (!n->sorter)
        return NULL;
    sorter_by_bytes(n->sorter, need_record_bytes);
    return STEAL(n);
}

void need_free(struct need *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->tables.n; i++) {
        vec_done(&n->tables.at[i]->states);
        free(n->tables.at[i]);
    }
    struct buf *bufs[] = {&n->full,   &n->record, &n->partitions, &n->ahead,
                          &n->object, &n->listed, &n->kept};
    for (size_t i = 0; i < ARRAY_SIZE(bufs); i++)
        buf_done(bufs[i]);
    vec_done(&n->places);
    vec_done(&n->tables);
    vec_done(&n->held);
    vec_done(&n->spans);
    vec_done(&n->uses);
    arena_done(&n->facts);
    if (n->sorter)
        sorter_free(n->sorter);
    free(n);
}

/* places */

static struct slice home_of(const struct store *s)
{
    struct slice home = slice_of(s->home ? s->home : s->url);
    while (home.n && home.p[home.n - 1] == '/')
        home.n--;
    return home;
}

/* The name is the home's own, or below it. */
static bool is_below(struct slice name, struct slice home)
{
    return slice_starts(name, home) && (name.n == home.n || name.p[home.n] == '/');
}

int need_place(struct need *n, const struct store *store, struct err *err)
{
    struct place p = {store, home_of(store), true};
    for (size_t i = 0; i < n->places.n; i++) {
        struct place *other = &n->places.at[i];
        if (is_below(p.home, other->home) || is_below(other->home, p.home))
            p.alone = other->alone = false;
    }
    return vec_push(&n->places, p) < 0
               ? err_set(err, EINVAL, "more than %d stores", NEED_PLACES_MAX)
               : 0;
}

/* The place that a whole name lies in, the innermost one. */
static struct need_name place_name(const struct need *n, struct slice name)
{
    size_t longest = 0;
    struct need_name found = {NEED_NOWHERE, name};
    for (size_t i = 0; i < n->places.n; i++) {
        struct slice home = n->places.at[i].home;
        if (is_below(name, home) && name.n > home.n &&
            (found.place == NEED_NOWHERE || home.n > longest)) {
            longest = home.n;
            found = (struct need_name){(uint8_t)i, slice_from(name, home.n + 1)};
        }
    }
    return found;
}

int need_locate(const struct need *n, const struct store *store, struct slice key,
                struct buf *scratch, struct need_name *out, struct err *err)
{
    for (size_t i = 0; i < n->places.n; i++)
        if (n->places.at[i].store == store && n->places.at[i].alone) {
            *out = (struct need_name){(uint8_t)i, key};
            return 0;
        }
    buf_reset(scratch);
    buf_add_slice(scratch, home_of(store));
    buf_add_char(scratch, '/');
    buf_add_slice(scratch, key);
    if (buf_check(scratch, err) < 0)
        return -err->code;
    *out = place_name(n, buf_slice(scratch));
    return 0;
}

/* records */

static int add_record(struct need *n, const struct need_name *name, struct need_record *r,
                      struct err *err)
{
    struct slice key = name->key;
    AUTO(buf) struct buf object = {0};
    char room[1 + KEY_BYTES_MAX];
    buf_init(&object, 2 * ACTION_BYTES_MAX);
    if (key.n <= KEY_BYTES_MAX) { /* nearly always */
        room[0] = (char)name->place;
        memcpy(room + 1, key.p, key.n);
        r->object = slice_make(room, 1 + key.n);
    } else {
        buf_add_char(&object, (char)name->place);
        buf_add_slice(&object, key);
        r->object = buf_slice(&object);
    }
    need_record_format(&n->record, r);
    int rc = object.failed ? buf_check(&object, err) : buf_check(&n->record, err);
    return rc < 0 ? rc : sorter_add(n->sorter, buf_slice(&n->record), err);
}

static void add_text(struct buf *out, struct slice text)
{
    uint32_t length = (uint32_t)text.n;
    buf_add(out, &length, sizeof length);
    buf_add_slice(out, text);
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

static int on_event(void *arg, const struct object_event *e, struct err *err)
{
    struct need_source *t = arg;
    struct need *n = t->need;
    struct need_name name;
    if (e->what == OBJECT_STATE)
        return vec_push(&t->states, e->position) < 0
                   ? err_set(err, EOVERFLOW, "too many gaps in a log")
                   : 0;
    int rc = 0;
    if (e->key.n)
        rc = need_locate(n, e->store ? e->store : t->store, e->key, &n->full, &name, err);
    else
        name = place_name(n, e->url);
    if (rc < 0)
        return rc;
    buf_reset(&n->partitions);
    for (size_t i = 0; i < e->partitions_n; i++) {
        add_text(&n->partitions, e->partitions[i].column);
        add_text(&n->partitions, e->partitions[i].value);
    }
    struct need_record r = {.head = {.holder = e->holder,
                                     .size = e->size,
                                     .mtime_ms = e->mtime_ms,
                                     .table = t->number,
                                     .position = (uint32_t)e->position,
                                     .what = e->what,
                                     .kind = (uint8_t)e->kind,
                                     .moves_rows = e->moves_rows},
                            .more = buf_slice(&n->partitions)};
    rc = buf_check(&n->partitions, err);
    return rc < 0 ? rc : add_record(n, &name, &r, err);
}

static int on_facts(void *arg, const struct object_facts *f, struct err *err)
{
    struct need_source *t = arg;
    struct arena *a = &t->need->facts;
    t->retention_ms = f->retention_ms;
    t->columns = arena_calloc(a, f->columns_n + 1, sizeof *t->columns);
    if (!t->columns)
        return arena_failed(a, "columns of tables", err);
    for (size_t i = 0; i < f->columns_n; i++) {
        t->columns[i].name = arena_slice(a, f->columns[i].name);
        t->columns[i].stored = arena_slice(a, f->columns[i].stored);
        if (!t->columns[i].name.p || !t->columns[i].stored.p)
            return arena_failed(a, "columns of tables", err);
    }
    t->columns_n = f->columns_n;
    return 0;
}

int need_table(struct need *n, const struct store *store, const struct history *h,
               const struct object_sink **sink, struct err *err)
{
    struct need_source *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(err, ENOMEM, "out of memory");
    *t = (struct need_source){.sink = {.event = on_event, .facts = on_facts, .arg = t},
                              .need = n,
                              .store = store,
                              .history = h,
                              .number = (uint32_t)n->tables.n + 1,
                              .states = VEC_MAX(STATES_MAX),
                              .retention_ms = -1};
    if (vec_push(&n->tables, t) < 0) {
        free(t);
        return err_set(err, EOVERFLOW, "more than %zu tables", TABLES_MAX);
    }
    *sink = &t->sink;
    return 0;
}

int need_listed(struct need *n, const struct store *store, const struct store_entry *e,
                struct err *err)
{
    struct need_name name;
    int rc = need_locate(n, store, e->key, &n->full, &name, err);
    if (rc < 0)
        return rc;
    buf_reset(&n->partitions);
    buf_add_slice(&n->partitions, e->class);
    buf_add_slice(&n->partitions, e->etag);
    struct need_record r = {.head = {.size = e->size,
                                     .mtime_ms = e->mtime_ms,
                                     .what = NEED_LISTED,
                                     .class_bytes = (uint16_t)e->class.n},
                            .more = buf_slice(&n->partitions)};
    return add_record(n, &name, &r, err);
}

int need_finish(struct need *n, struct err *err)
{
    return sorter_finish(n->sorter, err);
}

/* reading */

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
    struct held held; /* where it is live */
};

static int close_span(struct need *n, struct tracing *t, size_t to, bool moved_rows,
                      struct err *err)
{
    t->live = false;
    t->held.to = to;
    t->held.moved_rows = moved_rows;
    return vec_push(&n->held, t->held) < 0
               ? err_set(err, EOVERFLOW, "an object has more than %zu holders", SPANS_MAX)
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
    t->held = (struct held){.from = at, .added_ms = time_ms};
    if (h->what == OBJECT_HELD && h->mtime_ms > 0 && h->mtime_ms < time_ms)
        t->held.added_ms = h->mtime_ms;
    return 0;
}

static int by_from(const void *a, const void *b)
{
    const struct held *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
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
        const struct held *h = &n->held.at[i];
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
    use->moved_rows = moved && use->until != NEED_LIVE;
    use->spans_n = n->spans.n - first;
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
        const struct history *h = n->tables.at[u->table]->history;
        u->removed_ms = u->until == NEED_LIVE ? 0 : h->at[u->until].timestamp_ms;
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

int64_t need_retention_ms(const struct need *n, size_t table)
{
    return n->tables.at[table]->retention_ms;
}
