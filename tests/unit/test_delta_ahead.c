/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a log that are read ahead: order, lines, limits, faults. Over a store of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/lock.h"
#include "base/workers.h"
#include "lake/delta/ahead.h"

#define FILES 200

/* A store that answers on workers, the latest request first where it can choose. */
struct fake {
    struct store store;
    struct workers *workers;
    struct lock lock;
    struct cond changed;
    struct answer {
        struct job job;
        struct fake *fake;
        struct store_get *get;
    } answers[1024];
    unsigned n;           /* lock: requests so far */
    unsigned aloft, most; /* lock: now, and at most */
    size_t bytes, most_bytes;
    unsigned hold;     /* lock: answers wait until so many requests have come */
    unsigned fail_at;  /* the request that fails; 0: none */
    unsigned other_at; /* the request that meets another generation; 0: none */
};

static struct buf texts[FILES];
static struct delta_log_file files[FILES];

static void answer(struct job *job)
{
    struct answer *a = CONTAINER_OF(job, struct answer, job);
    struct fake *f = a->fake;
    struct store_get *get = a->get;
    unsigned number = (unsigned)(a - f->answers) + 1;
    WITH_LOCK (&f->lock)
        while (f->n < f->hold)
            cond_wait(&f->changed, &f->lock);
    uint64_t version = strtoull(get->key + strlen("t/_delta_log/"), NULL, 10);
    const struct buf *text = &texts[version];
    assert_true(get->offset + get->length <= text->len);
    memcpy(get->to, text->data + get->offset, get->length);
    get->got = get->length;
    get->info = (struct store_info){.size = text->len};
    (void)snprintf(get->info.etag, sizeof get->info.etag, "\"%llu%s\"", (unsigned long long)version,
                   number == f->other_at ? "x" : "");
    get->rc = number == f->fail_at ? err_set(&get->err, EIO, "the network is gone") : 0;
    WITH_LOCK (&f->lock) {
        f->aloft--;
        f->bytes -= get->length;
    }
    get->done(get);
}

static void fake_get(struct store *s, struct store_get *get)
{
    struct fake *f = CONTAINER_OF(s, struct fake, store);
    struct answer *a = NULL;
    WITH_LOCK (&f->lock) {
        assert_true(f->n < ARRAY_SIZE(f->answers));
        a = &f->answers[f->n++];
        *a = (struct answer){.job = {.run = answer}, .fake = f, .get = get};
        f->bytes += get->length;
        f->most_bytes = f->bytes > f->most_bytes ? f->bytes : f->most_bytes;
        if (++f->aloft > f->most)
            f->most = f->aloft;
        cond_broadcast(&f->changed);
    }
    workers_submit(f->workers, &a->job);
}

static const struct store_ops fake_ops = {.scheme = "fake", .get = fake_get};

static int set_up(void **state)
{
    static struct fake f;
    f = (struct fake){.store.ops = &fake_ops};
    lock_init(&f.lock);
    cond_init(&f.changed);
    f.workers = workers_new("fake", 40, NULL);
    assert_non_null(f.workers);
    for (int i = 0; i < FILES; i++) {
        buf_init(&texts[i], 16 * MIB);
        files[i] = (struct delta_log_file){.name = {.kind = DELTA_NAME_COMMIT, .version = i}};
    }
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fake *f = *state;
    workers_free(f->workers);
    cond_done(&f->changed);
    lock_done(&f->lock);
    for (int i = 0; i < FILES; i++)
        buf_done(&texts[i]);
    return 0;
}

struct range {
    int next, end;
};

static const struct delta_log_file *next_file(void *arg)
{
    struct range *r = arg;
    if (r->next == r->end)
        return NULL;
    files[r->next].size = texts[r->next].len;
    return &files[r->next++];
}

static struct delta_ahead *reader(struct fake *f, struct range *range, uint64_t file_bytes_max)
{
    struct delta_ahead_options options = {&f->store, "t/", next_file, range, file_bytes_max};
    struct delta_ahead *a = delta_ahead_new(&options, NULL);
    assert_non_null(a);
    return a;
}

/* Aim: lines come in order, whole, whatever pieces and files they lie in, and blank ones do not. */
static void test_lines(void **state)
{
    struct fake *f = *state;
    struct range range = {0, 12};
    unsigned random = 99, lines[12] = {0};
    for (int i = 0; i < 12; i++) {
        size_t want = i % 5 == 3 ? 3 * MIB : i % 5 == 4 ? 0 : 300;
        while (texts[i].len < want) {
            random = random * 1103515245 + 12345;
            if (random >> 20 & 1)
                buf_add_str(&texts[i], " \r\n");
            int fill = (int)(i % 5 == 3 ? random >> 8 & 0xfffff : random >> 16 & 63);
            buf_addf(&texts[i], "%d:%u:%*s%s", i, ++lines[i], fill, "",
                     texts[i].len + 100 > want && i % 2 ? "" : "\n");
            if (texts[i].data[texts[i].len - 1] != '\n')
                break; /* the last line has no end */
        }
    }
    AUTO(delta_ahead) struct delta_ahead *a = reader(f, &range, 0);
    const struct delta_log_file *file;
    struct slice line;
    for (int i = 0; i < 12; i++) {
        assert_int_equal(delta_ahead_file(a, &file, NULL), 1);
        assert_ptr_equal(file, &files[i]);
        for (unsigned n = 1; n <= lines[i]; n++) {
            char head[32];
            int length = snprintf(head, sizeof head, "%d:%u:", i, n);
            assert_int_equal(delta_ahead_line(a, &line, NULL), 1);
            assert_true(slice_starts(line, slice_make(head, (size_t)length)));
        }
        assert_int_equal(delta_ahead_line(a, &line, NULL), 0);
        assert_int_equal(delta_ahead_line(a, &line, NULL), 0);
    }
    assert_int_equal(delta_ahead_file(a, &file, NULL), 0);
    assert_false(delta_ahead_failed(a));
}

/* Aim: requests for small files are under way together, and never more of them than permitted. */
static void test_together(void **state)
{
    struct fake *f = *state;
    struct range range = {0, FILES};
    for (int i = 0; i < FILES; i++)
        buf_addf(&texts[i], "line %d\n", i);
    f->hold = DELTA_AHEAD_PIECES;
    AUTO(delta_ahead) struct delta_ahead *a = reader(f, &range, 0);
    const struct delta_log_file *file;
    struct slice line;
    for (int i = 0; i < FILES; i++) {
        char want[32];
        assert_int_equal(delta_ahead_file(a, &file, NULL), 1);
        assert_int_equal(delta_ahead_line(a, &line, NULL), 1);
        (void)snprintf(want, sizeof want, "line %d", i);
        assert_true(slice_is(line, want));
    }
    assert_int_equal(f->most, DELTA_AHEAD_PIECES);
}

/* Aim: of large files no more bytes are under way than permitted. */
static void test_bytes(void **state)
{
    struct fake *f = *state;
    struct range range = {0, 3};
    for (int i = 0; i < 3; i++) {
        char *to = buf_reserve(&texts[i], 12 * MIB);
        memset(to, 'x', 12 * MIB);
        texts[i].len = 12 * MIB;
        buf_add_char(&texts[i], '\n');
    }
    AUTO(delta_ahead) struct delta_ahead *a = reader(f, &range, 0);
    const struct delta_log_file *file;
    struct slice line;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(delta_ahead_file(a, &file, NULL), 1);
        assert_int_equal(delta_ahead_line(a, &line, NULL), 1);
        assert_int_equal(line.n, 12 * MIB);
    }
    assert_true(f->most_bytes <= DELTA_AHEAD_BYTES);
    assert_true(f->most > 1);
}

/* Aim: with a limit only the head of each file is read, and a line that it cuts off is not given.
 */
static void test_head(void **state)
{
    struct fake *f = *state;
    struct range range = {0, 2};
    buf_addf(&texts[0], "first\n%100s\n", "second");
    buf_addf(&texts[1], "%100s\n", "long");
    AUTO(delta_ahead) struct delta_ahead *a = reader(f, &range, 32);
    const struct delta_log_file *file;
    struct slice line;
    assert_int_equal(delta_ahead_file(a, &file, NULL), 1);
    assert_int_equal(delta_ahead_line(a, &line, NULL), 1);
    assert_true(slice_is(line, "first"));
    assert_int_equal(delta_ahead_line(a, &line, NULL), 0);
    assert_int_equal(delta_ahead_file(a, &file, NULL), 1);
    assert_int_equal(delta_ahead_line(a, &line, NULL), 0);
    assert_int_equal(f->n, 2);
}

/* Aim: a request that fails is told with its reason, where its file's turn comes. */
static void test_failure(void **state)
{
    struct fake *f = *state;
    struct range range = {0, 8};
    struct err err = ERR_INIT;
    for (int i = 0; i < 8; i++)
        buf_addf(&texts[i], "line %d\n", i);
    f->fail_at = 3;
    AUTO(delta_ahead) struct delta_ahead *a = reader(f, &range, 0);
    const struct delta_log_file *file;
    struct slice line;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(delta_ahead_file(a, &file, &err), 1);
        assert_int_equal(delta_ahead_line(a, &line, &err), 1);
    }
    assert_int_equal(delta_ahead_file(a, &file, &err), -EIO);
    assert_ptr_equal(file, &files[2]);
    assert_string_equal(err.msg, "the network is gone");
    assert_true(delta_ahead_failed(a));
}

/* Aim: a file that is replaced while it is read is not read as a mixture. */
static void test_replaced(void **state)
{
    struct fake *f = *state;
    struct range range = {0, 1};
    struct err err = ERR_INIT;
    while (texts[0].len < 3 * MIB)
        buf_addf(&texts[0], "%1000s\n", "x");
    f->other_at = 2;
    AUTO(delta_ahead) struct delta_ahead *a = reader(f, &range, 0);
    const struct delta_log_file *file;
    struct slice line;
    int rc = delta_ahead_file(a, &file, &err);
    while (rc > 0)
        rc = delta_ahead_line(a, &line, &err);
    assert_int_equal(rc, -ESTALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_head, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replaced, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
