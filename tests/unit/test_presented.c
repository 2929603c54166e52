/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Presented files through the cache: what is read of them, how often their objects are asked for,
 * and what happens when those change, fail or are damaged. The far objects are
 * tests/fixtures/parquet/NAME, with bytes of a pattern before them where their footers say so.
 */
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

static struct world *world_of_store(struct store *s);

static char far_byte(const struct far *f, const char *key, uint64_t offset)
{
    return offset < f->before ? byte_at(1, key, offset) : f->end.data[offset - f->before];
}

/* As fake_get, with the object's own end. */
static void far_answer(struct job *job)
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

static void far_get(struct store *s, struct store_get *get)
{
    struct fake *f = CONTAINER_OF(s, struct fake, store);
    struct request *q = calloc(1, sizeof *q);
    assert_non_null(q);
    f->requests++;
    *q = (struct request){.job = {.run = far_answer}, .fake = f, .get = get};
    workers_submit(f->threads, &q->job);
}

static int driver_deleted(struct driver *d, const struct entry *entry, struct roaring **out,
                          struct err *err)
{
    struct world *w = CONTAINER_OF(d, struct world, driver);
    (void)entry;
    w->asked_rows++;
    return roaring_parse(slice_make(w->deleted, w->deleted_n), out, err);
}

static const struct driver_ops driver_ops = {.format = "test", .deleted = driver_deleted};

static struct world *the_world;

static struct world *world_of_store(struct store *s)
{
    (void)s;
    return the_world;
}

static void open_store(struct world *w)
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

static void close_store(struct world *w)
{
    assert_true(store_leave(w->presented));
    cache_drain_store(w->place->cache, w->presented);
    store_free(w->presented);
}

static void load(struct far *f, const char *fixture)
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

static struct world *world_new(const char *fixture, uint64_t budget)
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

static void world_free(struct world *w)
{
    close_store(w);
    place_free(w->place);
    buf_done(&w->far.end);
    free(w);
}

/* The daemon ends, and another one begins with the same cache directory. */
static void restart(struct world *w)
{
    close_store(w);
    close_cache(w->place);
    open_cache(w->place);
    open_store(w);
}

static struct presented_file file_of(struct world *w)
{
    static const struct slack slack = SLACK_DEFAULT;
    return (struct presented_file){.key = SLICE_LIT("dir/part-0.parquet"),
                                   .object_bytes = w->far.size,
                                   .size = transform_size(&slack, w->far.size),
                                   .driver = &w->driver};
}

/* opening as a request does it */

struct opener {
    struct task task;
    struct event woken;
};

static void wake_opener(struct job *job)
{
    event_set(&CONTAINER_OF(job, struct opener, task.job)->woken);
}

struct shown {
    struct object *object;
    struct recipe *recipe;
};

static int try_open(struct world *w, const struct presented_file *f, struct shown *out,
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

static struct shown open_shown(struct world *w, const struct presented_file *f)
{
    struct shown s;
    struct err err = ERR_INIT;
    if (try_open(w, f, &s, &err) < 0)
        fail_msg("presented_open: %s", err.msg);
    return s;
}

static void close_shown(const struct shown *s)
{
    recipe_put(s->recipe, s->object);
    object_unref(s->object);
}

/* The bytes of a range, for free(). */
static int read_bytes(struct object *o, uint64_t offset, size_t length, char **out)
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

static int read_presented(void *arg, uint64_t offset, void *to, size_t n, struct err *err)
{
    AUTO_FREE char *got = NULL;
    (void)err;
    int rc = read_bytes(arg, offset, n, &got);
    if (rc == 0)
        memcpy(to, got, n);
    return rc;
}

static uint64_t rows_of(struct object *o)
{
    struct err err = ERR_INIT;
    struct parquet_source source = {.size_bytes = object_size(o), .read = read_presented, .arg = o};
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

/* Of a file of which nothing has to change. */
static char padded_byte(const struct world *w, const struct presented_file *f, uint64_t offset)
{
    const struct far *far = &w->far;
    uint64_t trailer = far->size - 8, n = 0;
    for (unsigned i = 0; i < 4; i++)
        n |= (uint64_t)(unsigned char)far_byte(far, f->key.p, trailer + i) << (8 * i);
    if (offset < far->size)
        return far_byte(far, f->key.p, offset);
    uint64_t from_end = f->size - offset;
    return from_end <= n + 8 ? far_byte(far, f->key.p, far->size - from_end) : 0;
}

static void check_padded(struct world *w, const struct presented_file *f, struct object *o,
                         uint64_t offset, size_t length)
{
    AUTO_FREE char *got = NULL;
    assert_int_equal(read_bytes(o, offset, length, &got), 0);
    for (size_t i = 0; i < length; i++)
        if (got[i] != padded_byte(w, f, offset + i))
            fail_msg("byte %llu is wrong", (unsigned long long)offset + i);
}

/* A file of which nothing has to change is its object, zeros, and its footer again. */
static void test_padded(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file f = file_of(w);
    struct shown s = open_shown(w, &f);
    assert_int_equal(object_size(s.object), f.size);
    check_padded(w, &f, s.object, 0, (size_t)f.size);
    close_shown(&s);
    world_free(w);
}

/* Any range of a large object is right, is asked for once, and waits for no more than it needs. */
static void test_ranges(void **state)
{
    (void)state;
    struct world *w = world_new(WIDE, BUDGET);
    struct presented_file f = file_of(w);
    struct shown s = open_shown(w, &f);
    unsigned seed = 7;
    assert_int_equal(w->place->fake.requests, 1); /* the footer, once */
    for (int i = 0; i < 100; i++) {
        uint64_t offset = (uint64_t)rand_r(&seed) * 4093 % f.size;
        size_t length = 1 + (size_t)rand_r(&seed) % 100000;
        if (i % 3 == 0) /* around the object's end */
            offset = w->far.size - (uint64_t)rand_r(&seed) % 100000;
        if (i % 7 == 0) /* and the file's */
            offset = f.size - 1 - (uint64_t)rand_r(&seed) % 100000;
        if (length > f.size - offset)
            length = (size_t)(f.size - offset);
        check_padded(w, &f, s.object, offset, length);
    }
    close_shown(&s);
    world_free(w);
}

/* Zeros and our own bytes cost no request. */
static void test_own_bytes_cost_nothing(void **state)
{
    (void)state;
    struct world *w = world_new(WIDE, BUDGET);
    struct presented_file f = file_of(w);
    struct shown s = open_shown(w, &f);
    check_padded(w, &f, s.object, f.size - 3 * MIB, 3 * MIB);
    assert_int_equal(w->place->fake.requests, 1);
    close_shown(&s);
    world_free(w);
}

/* What was sealed opens after a restart without any request. */
static void test_sealed_needs_nobody(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file f = file_of(w);
    assert_false(presented_is_whole(w->presented, &f));
    struct shown s = open_shown(w, &f);
    check_padded(w, &f, s.object, 0, (size_t)f.size);
    while (!object_is_sealed(s.object))
        pause_ms(1);
    close_shown(&s);
    assert_true(presented_is_whole(w->presented, &f));
    restart(w);
    int before = w->place->fake.requests;
    w->place->fake.fail = EIO;
    s = open_shown(w, &f);
    assert_true(object_is_sealed(s.object));
    check_padded(w, &f, s.object, 0, (size_t)f.size);
    assert_int_equal(w->place->fake.requests, before);
    close_shown(&s);
    world_free(w);
}

/* What is half in the cache goes on after a restart. */
static void test_goes_on_after_restart(void **state)
{
    (void)state;
    struct world *w = world_new(WIDE, BUDGET);
    struct presented_file f = file_of(w);
    struct shown s = open_shown(w, &f);
    check_padded(w, &f, s.object, 5 * MIB, MIB);
    close_shown(&s);
    restart(w);
    s = open_shown(w, &f);
    int before = w->place->fake.requests;
    check_padded(w, &f, s.object, 5 * MIB, MIB);
    assert_int_equal(w->place->fake.requests, before);
    check_padded(w, &f, s.object, 6 * MIB, MIB);
    close_shown(&s);
    world_free(w);
}

/* A cache that keeps nothing serves presented files all the same. */
static void test_without_cache(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", 0);
    struct presented_file f = file_of(w);
    for (int i = 0; i < 2; i++) {
        struct shown s = open_shown(w, &f);
        check_padded(w, &f, s.object, 0, (size_t)f.size);
        close_shown(&s);
    }
    world_free(w);
}

/* An object that was replaced under an open file is ESTALE; who opens it again sees the new one. */
static void test_object_changes(void **state)
{
    (void)state;
    struct world *w = world_new(WIDE, BUDGET);
    struct presented_file f = file_of(w);
    struct shown s = open_shown(w, &f);
    struct err err = ERR_INIT;
    char *got;
    check_padded(w, &f, s.object, 0, MIB);
    w->place->fake.generation = 2;
    assert_int_equal(read_bytes(s.object, 50 * MIB, MIB, &got), -ESTALE);
    free(got);
    struct shown again;
    assert_int_equal(try_open(w, &f, &again, &err), -ESTALE); /* what has just happened counts */
    while (try_open(w, &f, &again, &err) < 0)
        pause_ms(50);
    check_padded(w, &f, again.object, 50 * MIB, MIB);
    assert_int_equal(read_bytes(s.object, 60 * MIB, MIB, &got), -ESTALE);
    free(got);
    close_shown(&again);
    close_shown(&s);
    world_free(w);
}

/* A store that fails makes the open fail with its reason, and later ones work again. */
static void test_store_fails(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file f = file_of(w);
    struct err err = ERR_INIT;
    struct shown s;
    w->place->fake.fail = EACCES;
    assert_int_equal(try_open(w, &f, &s, &err), -EACCES);
    assert_non_null(strstr(err.msg, "the store is ill"));
    w->place->fake.fail = 0;
    while (try_open(w, &f, &s, &err) < 0)
        pause_ms(50);
    check_padded(w, &f, s.object, 0, (size_t)f.size);
    close_shown(&s);
    world_free(w);
}

/* What is no Parquet file, or an encrypted one, is refused on open with the reason. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *end, *words;
        int rc;
    } cases[] = {
        {"PARE", "encrypted", -EOPNOTSUPP},
        {"XXXX", "does not end as Parquet files do", -EIO},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct world *w = world_new("types_plain.parquet", BUDGET);
        struct presented_file f = file_of(w);
        struct err err = ERR_INIT;
        struct shown s;
        memcpy(w->far.end.data + w->far.end.len - 4, cases[i].end, 4);
        assert_int_equal(try_open(w, &f, &s, &err), cases[i].rc);
        assert_non_null(strstr(err.msg, cases[i].words));
        world_free(w);
    }
}

/* A nullable column. */
static struct shape *shape_of_one(struct slice name)
{
    struct shape_builder b;
    struct shape *shape = NULL;
    struct err err = ERR_INIT;
    shape_builder_init(&b, false);
    shape_add(&b, &(struct shape_field){.name = name,
                                        .id = SHAPE_NO_ID,
                                        .kind = SHAPE_LEAF,
                                        .type = SHAPE_INT64,
                                        .nullable = true});
    assert_int_equal(shape_finish(&b, &shape, &err), 0);
    return shape;
}

/* A footer that does not fit into the slack is refused, and -o slack= makes it fit. */
static void test_slack(void **state)
{
    (void)state;
    static char name[20000];
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file f = file_of(w);
    struct err err = ERR_INIT;
    struct shown s;
    memset(name, 'n', sizeof name);
    f.shape = shape_of_one(slice_make(name, sizeof name));
    f.size = f.object_bytes + 10;
    assert_int_equal(try_open(w, &f, &s, &err), -EOPNOTSUPP);
    f.size = f.object_bytes + 100000;
    s = open_shown(w, &f);
    char magic[4];
    assert_int_equal(read_presented(s.object, f.size - 4, magic, 4, &err), 0);
    assert_memory_equal(magic, "PAR1", 4);
    close_shown(&s);
    shape_unref(f.shape);
    world_free(w);
}

/* A key that nobody has opened does not exist: what the cache has of it is a leftover. */
static void test_unknown_key(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    char to[16];
    struct err err = ERR_INIT;
    struct store_get get = {.key = "dir/part-0.parquet 00", .length = sizeof to, .to = to};
    assert_int_equal(store_get_wait(w->presented, &get, &err), -ENOENT);
    world_free(w);
}

/* Another shape, other deleted rows, another size are other keys; words behind a newline are not.
 */
static void test_keys_differ(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct shape *shape = shape_of_one(SLICE_LIT("a"));
    struct err err = ERR_INIT;
    struct presented_file files[6];
    char keys[6][256];
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        files[i] = file_of(w);
        files[i].extra = SLICE_LIT("dv\nv12");
    }
    files[1].shape = shape;
    files[2].deletes = true;
    files[3].extra = SLICE_LIT("dw\nv12");
    files[4].size++;
    files[5].extra = SLICE_LIT("dv\nv13");
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        AUTO(buf) struct buf key = {0};
        buf_init(&key, sizeof keys[i] - 1);
        presented_key(&files[i], &key);
        assert_int_equal(buf_check(&key, &err), 0);
        (void)snprintf(keys[i], sizeof keys[i], "%.*s", SLICE_FMT(buf_slice(&key)));
        for (size_t j = 0; j < i; j++)
            assert_int_equal(strcmp(keys[i], keys[j]) == 0, i == 5 && j == 0);
    }
    shape_unref(shape);
    world_free(w);
}

/* deleted rows */

/* Rows 1, 2 and 7: one array container of the 32-bit format. */
static const char some_rows[] = "\x3a\x30\x00\x00\x01\x00\x00\x00\x00\x00\x02\x00\x10\x00\x00\x00"
                                "\x01\x00\x02\x00\x07\x00";

static struct presented_file file_with_deletes(struct world *w)
{
    struct presented_file f = file_of(w);
    w->deleted = some_rows;
    w->deleted_n = sizeof some_rows - 1;
    f.deletes = true;
    f.extra = SLICE_LIT("some rows");
    return f;
}

struct racer {
    struct job job;
    struct world *world;
    struct presented_file *file;
    struct shown shown;
    struct event over;
};

static void race(struct job *job)
{
    struct racer *r = CONTAINER_OF(job, struct racer, job);
    r->shown = open_shown(r->world, r->file);
    event_set(&r->over);
}

/* Rows that are gone are not in the file; however many open it at once, it is rewritten once. */
static void test_deleted_rows(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file f = file_with_deletes(w);
    struct racer racers[8];
    struct workers *threads = workers_new("race", ARRAY_SIZE(racers), NULL);
    assert_non_null(threads);
    for (size_t i = 0; i < ARRAY_SIZE(racers); i++) {
        racers[i] = (struct racer){.job = {.run = race}, .world = w, .file = &f};
        event_init(&racers[i].over);
        workers_submit(threads, &racers[i].job);
    }
    for (size_t i = 0; i < ARRAY_SIZE(racers); i++)
        event_wait(&racers[i].over);
    assert_int_equal(w->place->fake.requests, 2); /* the footer; all of it */
    for (size_t i = 0; i < ARRAY_SIZE(racers); i++) {
        assert_int_equal(rows_of(racers[i].shown.object), 300 - 3);
        close_shown(&racers[i].shown);
        event_done(&racers[i].over);
    }
    workers_free(threads);
    world_free(w);
}

/* What was rewritten and sealed leaves no file beside the cache's, and needs nobody afterwards. */
static void test_rewritten_is_sealed(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file f = file_with_deletes(w);
    struct presented_store *s = presented_of(w->presented);
    struct shown o = open_shown(w, &f);
    while (!object_is_sealed(o.object))
        pause_ms(1);
    for (bool gone = false; !gone; pause_ms(1)) /* while it is open still */
        WITH_LOCK (&s->lock)
            gone = s->temporary_bytes == 0;
    close_shown(&o);
    restart(w);
    int before = w->place->fake.requests;
    o = open_shown(w, &f);
    assert_int_equal(rows_of(o.object), 300 - 3);
    assert_int_equal(w->place->fake.requests, before);
    assert_int_equal(w->asked_rows, 1);
    close_shown(&o);
    world_free(w);
}

/* Without a cache a rewritten file is read from what it was written into. */
static void test_rewritten_without_cache(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", 0);
    struct presented_file f = file_with_deletes(w);
    struct shown o = open_shown(w, &f);
    assert_int_equal(rows_of(o.object), 300 - 3);
    close_shown(&o);
    world_free(w);
}

/* Damaged rows are an error of the open, and the next open asks again. */
static void test_damaged_rows(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file f = file_with_deletes(w);
    struct err err = ERR_INIT;
    struct shown o;
    w->deleted_n = 5;
    assert_int_equal(try_open(w, &f, &o, &err), -EIO);
    w->deleted_n = sizeof some_rows - 1;
    o = open_shown(w, &f);
    assert_int_equal(rows_of(o.object), 300 - 3);
    close_shown(&o);
    world_free(w);
}

static void check_described(struct world *w, const struct presented_file *f, const char *want)
{
    struct opener o = {.task = {.job = {.run = wake_opener}, .since_ms = clock_mono_ms()}};
    AUTO(buf) struct buf got = {0};
    struct err err = ERR_INIT;
    int rc = -EINPROGRESS;
    while (rc == -EINPROGRESS) {
        event_init(&o.woken);
        buf_reset(&got);
        got.max = 100;
        rc = presented_describe(w->presented, f, &o.task, &got, &err);
        if (rc == -EINPROGRESS)
            event_wait(&o.woken);
        event_done(&o.woken);
    }
    assert_int_equal(rc, 0);
    assert_string_equal(got.data, want);
}

/* What is done to a file is told from its footer: nobody asks for rows, and nothing is rewritten.
 */
static void test_described(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", BUDGET);
    struct presented_file padded = file_of(w), rows = file_with_deletes(w), columns = file_of(w),
                          both = rows;
    check_described(w, &padded, "padded");
    check_described(w, &rows, "rows");
    columns.shape = both.shape = shape_of_one(SLICE_LIT("a"));
    check_described(w, &columns, "columns");
    check_described(w, &both, "columns,rows");
    check_described(w, &both, "columns,rows");
    assert_int_equal(w->place->fake.requests, 2);
    assert_int_equal(w->asked_rows, 0);
    shape_unref(columns.shape);
    world_free(w);
}

/* Files that are open and cannot be sealed take no more than they may. */
static void test_temporary_bytes(void **state)
{
    (void)state;
    struct world *w = world_new("types_plain.parquet", 0);
    struct presented_file f = file_with_deletes(w), g = f;
    struct err err = ERR_INIT;
    struct shown o, p;
    presented_of(w->presented)->config.temporary_bytes_max = f.size;
    g.extra = SLICE_LIT("other rows");
    o = open_shown(w, &f);
    assert_int_equal(try_open(w, &g, &p, &err), -ENOSPC);
    close_shown(&o);
    while (try_open(w, &g, &p, &err) < 0) /* in the place of what nobody has open */
        pause_ms(50);
    assert_int_equal(rows_of(p.object), 300 - 3);
    close_shown(&p);
    world_free(w);
}

/* The rule of sizes says what it understands. */
static void test_slack_rule(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        uint64_t of_a_mebibyte;
    } cases[] = {
        {"64K+1/16", true, 2 * 64 * KIB},
        {"1M", true, MIB},
        {"0", true, 0},
        {"0+1/8", true, 128 * KIB},
        {"", false, 0},
        {"64K+", false, 0},
        {"64K+1/0", false, 0},
        {"+1/8", false, 0},
        {"64K+2/8", false, 0},
        {"64K+1/8x", false, 0},
        {"-1", false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct slack s = SLACK_DEFAULT;
        struct err err = ERR_INIT;
        int rc = slack_parse(slice_of(cases[i].text), &s, &err);
        assert_int_equal(rc, cases[i].ok ? 0 : -EINVAL);
        if (cases[i].ok)
            assert_int_equal(transform_size(&s, MIB), MIB + cases[i].of_a_mebibyte);
    }
    struct slack huge = {UINT64_MAX, 1};
    assert_int_equal(transform_size(&huge, 5), OBJECT_BYTES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_padded),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_own_bytes_cost_nothing),
        cmocka_unit_test(test_sealed_needs_nobody),
        cmocka_unit_test(test_goes_on_after_restart),
        cmocka_unit_test(test_without_cache),
        cmocka_unit_test(test_object_changes),
        cmocka_unit_test(test_store_fails),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_slack),
        cmocka_unit_test(test_unknown_key),
        cmocka_unit_test(test_keys_differ),
        cmocka_unit_test(test_deleted_rows),
        cmocka_unit_test(test_rewritten_is_sealed),
        cmocka_unit_test(test_rewritten_without_cache),
        cmocka_unit_test(test_damaged_rows),
        cmocka_unit_test(test_described),
        cmocka_unit_test(test_temporary_bytes),
        cmocka_unit_test(test_slack_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
