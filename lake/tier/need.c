/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/tier/need_private.h"

#define TABLES_MAX ((size_t)1 << 18)
#define STATES_MAX ((size_t)1 << 20)
#define FACTS_BYTES_MAX (64 * MIB)

struct need *need_new(int dirfd, struct err *err)
{
    AUTO(need) struct need *n = calloc(1, sizeof *n);
    if (!n) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    lock_init(&n->lock);
    n->places.max = NEED_PLACES_MAX;
    n->tables.max = TABLES_MAX;
    n->held.max = n->spans.max = NEED_SPANS_MAX;
    n->uses.max = TABLES_MAX;
    arena_init(&n->facts, FACTS_BYTES_MAX);
    struct buf *bufs[] = {&n->full,   &n->record, &n->more, &n->ahead,
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
        need_newest_done(&n->tables.at[i]->newest);
        free(n->tables.at[i]);
    }
    struct buf *bufs[] = {&n->full,   &n->record, &n->more, &n->ahead,
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
    lock_done(&n->lock);
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
    struct need_place p = {store, home_of(store), true};
    for (size_t i = 0; i < n->places.n; i++) {
        struct need_place *other = &n->places.at[i];
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

static int add_record_locked(struct need *n, const struct need_name *name,
                             const struct need_record *r, struct err *err) REQUIRES(&n->lock)
{
    struct need_record whole = *r;
    struct slice key = name->key;
    AUTO(buf) struct buf object = {0};
    char room[1 + KEY_BYTES_MAX];
    buf_init(&object, 2 * ACTION_BYTES_MAX);
    if (key.n <= KEY_BYTES_MAX) { /* nearly always */
        room[0] = (char)name->place;
        memcpy(room + 1, key.p, key.n);
        whole.object = slice_make(room, 1 + key.n);
    } else {
        buf_add_char(&object, (char)name->place);
        buf_add_slice(&object, key);
        whole.object = buf_slice(&object);
    }
    need_record_format(&n->record, &whole);
    int rc = object.failed ? buf_check(&object, err) : buf_check(&n->record, err);
    return rc < 0 ? rc : sorter_add(n->sorter, buf_slice(&n->record), err);
}

static void add_text(struct buf *out, struct slice text)
{
    uint32_t length = (uint32_t)text.n;
    buf_add(out, &length, sizeof length);
    buf_add_slice(out, text);
}

static int add_event_locked(struct need *n, const struct need_source *t,
                            const struct object_event *e, struct err *err) REQUIRES(&n->lock)
{
    struct need_name name = {NEED_NOWHERE, SLICE_NONE};
    int rc = 0;
    if (e->key.n)
        rc = need_locate(n, e->store ? e->store : t->store, e->key, &n->full, &name, err);
    else
        name = place_name(n, e->url);
    if (rc < 0)
        return rc;
    buf_reset(&n->more);
    for (size_t i = 0; i < e->partitions_n; i++) {
        add_text(&n->more, e->partitions[i].column);
        add_text(&n->more, e->partitions[i].value);
    }
    struct need_record r = {.head = {.holder = e->holder,
                                     .size = e->size,
                                     .mtime_ms = e->mtime_ms,
                                     .table = t->number,
                                     .position = (uint32_t)e->position,
                                     .what = e->what,
                                     .kind = (uint8_t)e->kind,
                                     .moves_rows = e->moves_rows},
                            .more = buf_slice(&n->more)};
    rc = buf_check(&n->more, err);
    return rc < 0 ? rc : add_record_locked(n, &name, &r, err);
}

static int on_event(void *arg, const struct object_event *e, struct err *err)
{
    struct need_source *t = arg;
    int rc = 0;
    if (e->what == OBJECT_STATE)
        return vec_push(&t->states, e->position) < 0
                   ? err_set(err, EOVERFLOW, "too many gaps in a log")
                   : 0;
    WITH_LOCK (&t->need->lock)
        rc = add_event_locked(t->need, t, e, err);
    return rc;
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
    int rc = need_newest_init(&t->newest, h, err);
    if (rc == 0 && vec_push(&n->tables, t) < 0)
        rc = err_set(err, EOVERFLOW, "more than %zu tables", TABLES_MAX);
    if (rc < 0) {
        need_newest_done(&t->newest);
        free(t);
        return rc;
    }
    *sink = &t->sink;
    return 0;
}

static int add_listed_locked(struct need *n, const struct store *store, const struct store_entry *e,
                             struct err *err) REQUIRES(&n->lock)
{
    struct need_name name = {NEED_NOWHERE, SLICE_NONE};
    int rc = need_locate(n, store, e->key, &n->full, &name, err);
    if (rc < 0)
        return rc;
    buf_reset(&n->more);
    buf_add_slice(&n->more, e->class);
    buf_add_slice(&n->more, e->etag);
    struct need_record r = {.head = {.size = e->size,
                                     .mtime_ms = e->mtime_ms,
                                     .what = NEED_LISTED,
                                     .class_bytes = (uint16_t)e->class.n},
                            .more = buf_slice(&n->more)};
    return add_record_locked(n, &name, &r, err);
}

int need_listed(struct need *n, const struct store *store, const struct store_entry *e,
                struct err *err)
{
    int rc = 0;
    WITH_LOCK (&n->lock)
        rc = add_listed_locked(n, store, e, err);
    return rc;
}

int need_finish(struct need *n, struct err *err)
{
    return sorter_finish(n->sorter, err);
}

int64_t need_retention_ms(const struct need *n, size_t table)
{
    return n->tables.at[table]->retention_ms;
}
