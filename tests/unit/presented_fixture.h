/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of presented files share: a far store whose objects end as
 * tests/fixtures/parquet/NAME, with bytes of a pattern before that where a footer says so; a driver
 * that names deleted rows; opening as a request does it.
 */
#ifndef TESTS_UNIT_PRESENTED_FIXTURE_H
#define TESTS_UNIT_PRESENTED_FIXTURE_H

#include "tests/unit/cache_fixture.h"

#include "base/clock.h"
#include "cache/store/event.h"
#include "lake/format/parquet.h"
#include "lake/format/parquet_footer.h"
#include "lake/format/roaring.h"
#include "lake/format/shape.h"
#include "lake/view/presented_private.h"
#include "lake/view/transform.h"

#define FIXTURES "tests/fixtures/parquet/"
#define WIDE "wide.footer"
#define WIDE_BEFORE UINT64_C(839045604)
#define BUDGET (64 * MIB)
#define FOREVER_MS 60000

/* The bytes of an object: a pattern, and what stands at its end. */
struct far {
    struct buf end;
    uint64_t before;
    uint64_t size;
};

struct world {
    struct place *place;
    struct store_ops ops;
    struct far far;
    struct store *presented;
    struct driver driver;
    atomic_int asked_rows;
    const char *deleted; /* rows that the driver names, as a serialized bitmap */
    size_t deleted_n;
};

static inline struct world *world_of_store(struct store *s);

static inline char far_byte(const struct far *f, const char *key, uint64_t offset)
{
    return offset < f->before ? byte_at(1, key, offset) : f->end.data[offset - f->before];
}

/* As fake_get, with the object's own end. */
static inline void far_answer(struct job *job)
{
    struct request *q = CONTAINER_OF(job, struct request, job);
    struct fake *f = q->fake;
    struct store_get *get = q->get;
    const struct far *far = &world_of_store(&f->store)->far;
    struct store_info info = {.size = far->size};
    (void)snprintf(info.etag, sizeof info.etag, "\"g%d\"", (int)f->generation);
    if (f->halt)
        halt(f);
    if (f->fail) {
        get->rc = err_set(&get->err, f->fail, "%s: the store is ill", get->key);
    } else if (get->if_match && strcmp(get->if_match, info.etag) != 0) {
        get->rc = err_set(&get->err, ESTALE, "%s: precondition failed", get->key);
    } else {
        assert_true(get->offset + get->length <= far->size);
        for (size_t i = 0; i < get->length; i++)
            *place_of(get, i) = far_byte(far, get->key, get->offset + i);
        get->rc = 0;
        get->got = get->length;
        get->info = info;
        if (get->progress)
            get->progress(get, get->got);
    }
    free(q);
    get->done(get);
}

static inline void far_get(struct store *s, struct store_get *get)
{
    struct fake *f = CONTAINER_OF(s, struct fake, store);
    struct request *q = calloc(1, sizeof *q);
    assert_non_null(q);
    f->requests++;
    *q = (struct request){.job = {.run = far_answer}, .fake = f, .get = get};
    workers_submit(f->threads, &q->job);
}

static inline int driver_deleted(struct driver *d, const struct entry *entry, struct roaring **out,
                                 struct err *err)
{
    struct world *w = CONTAINER_OF(d, struct world, driver);
    (void)entry;
    w->asked_rows++;
    return roaring_parse(slice_make(w->deleted, w->deleted_n), out, err);
}

static const struct driver_ops driver_ops = {.format = "test", .deleted = driver_deleted};

static struct world *the_world;

static inline struct world *world_of_store(struct store *s)
{
    (void)s;
    return the_world;
}

static inline void open_store(struct world *w)
{
    struct err err = ERR_INIT;
    struct presented_config config = {.home = &w->place->fake.store,
                                      .cache = w->place->cache,
                                      .workers = w->place->workers,
                                      .disk = w->place->workers,
                                      .dirfd = w->place->dirfd,
                                      .temporary_bytes_max = BUDGET};
    w->presented = presented_store_open(&config, &err);
    if (!w->presented)
        fail_msg("presented_store_open: %s", err.msg);
}

static inline void close_store(struct world *w)
{
    assert_true(store_leave(w->presented));
    cache_drain_store(w->place->cache, w->presented);
    store_free(w->presented);
}

static inline void load(struct far *f, const char *fixture)
{
    char path[128];
    struct err err = ERR_INIT;
    bool footer = strcmp(fixture, WIDE) == 0;
    buf_done(&f->end);
    buf_init(&f->end, MIB);
    (void)snprintf(path, sizeof path, FIXTURES "%s", fixture);
    if (file_read(AT_FDCWD, path, &f->end, &err) < 0)
        fail_msg("%s", err.msg);
    f->before = footer ? WIDE_BEFORE : 0;
    if (footer) { /* its length and the magic are not in it */
        uint32_t n = (uint32_t)f->end.len;
        for (unsigned i = 0; i < 4; i++)
            buf_add_char(&f->end, (char)(n >> (8 * i)));
        buf_add_str(&f->end, "PAR1");
    }
    f->size = f->before + f->end.len;
}

static inline struct world *world_new(const char *fixture, uint64_t budget)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    the_world = w;
    load(&w->far, fixture);
    w->place = place_open(w->far.size, budget);
    w->ops = far_ops;
    w->ops.get = far_get;
    w->place->fake.store.ops = &w->ops;
    w->driver.ops = &driver_ops;
    open_store(w);
    return w;
}

static inline void world_free(struct world *w)
{
    close_store(w);
    place_free(w->place);
    buf_done(&w->far.end);
    free(w);
}

/* The daemon ends, and another one begins with the same cache directory. */
static inline void restart(struct world *w)
{
    close_store(w);
    close_cache(w->place);
    open_cache(w->place);
    open_store(w);
}

static inline struct presented_file file_of(struct world *w)
{
    static const struct slack slack = SLACK_DEFAULT;
    return (struct presented_file){.key = SLICE_LIT("dir/part-0.parquet"),
                                   .object_bytes = w->far.size,
                                   .size = transform_size(&slack, w->far.size, NULL),
                                   .driver = &w->driver};
}

/* opening as a request does it */

struct opener {
    struct task task;
    struct event woken;
};

static inline void wake_opener(struct job *job)
{
    event_set(&CONTAINER_OF(job, struct opener, task.job)->woken);
}

struct shown {
    struct object *object;
    struct recipe *recipe;
};

static inline int try_open(struct world *w, const struct presented_file *f, struct shown *out,
                           struct err *err)
{
    struct opener o = {.task = {.job = {.run = wake_opener}, .since_ms = clock_mono_ms()}};
    for (;;) {
        event_init(&o.woken);
        *out = (struct shown){NULL, NULL};
        int rc = presented_open(w->presented, f, &o.task, &out->object, &out->recipe, err);
        if (rc == -EINPROGRESS)
            event_wait(&o.woken);
        event_done(&o.woken);
        if (rc != -EINPROGRESS)
            return rc;
    }
}

static inline struct shown open_shown(struct world *w, const struct presented_file *f)
{
    struct shown s;
    struct err err = ERR_INIT;
    if (try_open(w, f, &s, &err) < 0)
        fail_msg("presented_open: %s", err.msg);
    return s;
}

static inline void close_shown(const struct shown *s)
{
    recipe_put(s->recipe, s->object);
    object_unref(s->object);
}

/* The bytes of a range, for free(). */
static inline int read_bytes(struct object *o, uint64_t offset, size_t length, char **out)
{
    struct reading *g = reading_start(o, offset, length);
    WITH_LOCK (&g->lock)
        while (!g->over)
            cond_wait(&g->changed, &g->lock);
    int rc = g->read.rc;
    *out = g->read.to;
    cond_done(&g->changed);
    lock_done(&g->lock);
    free(g);
    return rc;
}

static inline int read_presented(void *arg, uint64_t offset, void *to, size_t n, struct err *err)
{
    AUTO_FREE char *got = NULL;
    (void)err;
    int rc = read_bytes(arg, offset, n, &got);
    if (rc == 0)
        memcpy(to, got, n);
    return rc;
}

static inline uint64_t rows_of(struct object *o)
{
    struct err err = ERR_INIT;
    struct source source = {.size_bytes = object_size(o), .read = read_presented, .arg = o};
    AUTO(parquet) struct parquet *p = parquet_open(&source, &err);
    uint64_t rows = 0;
    if (!p)
        fail_msg("parquet_open: %s", err.msg);
    AUTO(buf) struct buf path = {0};
    buf_init(&path, 1000);
    parquet_leaf_path(p, 0, &path);
    assert_true(parquet_choose(p, path.data, &err) >= 0);
    while (parquet_next_row(p, &err) == 1)
        rows++;
    if (err.code)
        fail_msg("parquet_next_row: %s", err.msg);
    return rows;
}

/* A nullable column. */
static inline struct shape *shape_of_one(struct slice name)
{
    struct shape_builder b;
    struct shape *shape = NULL;
    struct err err = ERR_INIT;
    shape_builder_init(&b, SHAPE_BY_NAME);
    shape_add(&b, &(struct shape_field){.name = name,
                                        .id = SHAPE_NO_ID,
                                        .kind = SHAPE_LEAF,
                                        .type = SHAPE_INT64,
                                        .nullable = true});
    assert_int_equal(shape_finish(&b, &shape, &err), 0);
    return shape;
}

#endif
