/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files whose pages have to be made again: the whole presented file is written once, in order, into
 * a file without a name. A few threads do it, who wait for the network and for one another's disk;
 * each has a window of the object in memory and what parquet_rewrite takes.
 */
#include <assert.h>
#include <sys/sysinfo.h>
#include <sys/types.h>

#include "base/file.h"
#include "base/hash.h"
#include "lake/format/parquet_rewrite.h"
#include "lake/view/presented_object.h"

/* Rewriting takes a core each. */
#define REWRITERS_MAX 4
#define WRITE_BYTES (256 * KIB)

struct rewriting {
    struct job job;
    struct recipe *recipe; /* with the reference of plan_begin */
    struct rewrite_parts parts;
    struct roaring *rows;   /* that are taken out */
    struct equality *equal; /* a reference: those that have such values are, too; or NULL */

    struct presented_object object;

    char *out; /* what is not written yet */
    size_t out_n;
    uint64_t written; /* before it */
    uint64_t hash;
};

void rewrite_parts_done(struct rewrite_parts *parts)
{
    present_plan_free(parts->plan);
    present_plan_free(parts->untouched);
    present_plan_free(parts->filter);
    equality_plan_free(parts->equal);
    work_unref(parts->work);
    free(parts->bytes);
}

static void rewriting_free(struct rewriting *w)
{
    rewrite_parts_done(&w->parts);
    roaring_free(w->rows);
    equality_unref(w->equal);
    presented_object_done(&w->object);
    free(w->out);
    free(w);
}
DEFINE_AUTO(rewriting, struct rewriting *, rewriting_free)

/* the file */

static bool is_zero(const char *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Zeros stay a hole. */
static int flush(struct rewriting *w, struct err *err)
{
    int rc = 0;
    w->hash = hash64(w->hash, slice_make(w->out, w->out_n));
    if (!is_zero(w->out, w->out_n))
        rc = file_pwrite_full(w->parts.work->fd, w->out, w->out_n, (off_t)w->written, err);
    w->written += w->out_n;
    w->out_n = 0;
    return rc;
}

static int write_out(void *arg, struct slice bytes, struct err *err)
{
    struct rewriting *w = arg;
    while (bytes.n) {
        size_t room = WRITE_BYTES - w->out_n, some = room < bytes.n ? room : bytes.n;
        memcpy(w->out + w->out_n, bytes.p, some);
        w->out_n += some;
        bytes = slice_from(bytes, some);
        int rc = w->out_n == WRITE_BYTES ? flush(w, err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void begin_file(struct rewriting *w)
{
    w->hash = hash64(0, slice_of(w->parts.work->if_match));
    if (w->recipe->filter) /* the key has it and the partition values */
        w->hash = hash64(w->hash, slice_of(w->recipe->key));
    w->written = w->out_n = 0;
}

/* What was written did not fit: all of it comes once more, smaller. */
static int begin_again(void *arg, struct err *err)
{
    struct rewriting *w = arg;
    begin_file(w);
    if (ftruncate(w->parts.work->fd, 0) < 0)
        return err_set(err, errno, "%s: rewritten file: %s", w->recipe->object_key,
                       strerror(errno));
    return 0;
}

/* Adds rows that are taken out, which it takes. */
static int take_out(struct rewriting *w, struct roaring *rows, struct err *err)
{
    AUTO(roaring) struct roaring *before = STEAL(w->rows);
    AUTO(roaring) struct roaring *more = rows;
    if (before && more)
        return roaring_union(before, more, &w->rows, err);
    w->rows = before ? STEAL(before) : STEAL(more);
    return 0;
}

/* Adds to the rows that are deleted by their places those that are by their values. */
static int delete_rows(struct rewriting *w, struct err *err)
{
    struct source source = presented_object_source(&w->object);
    struct roaring *deleted = NULL;
    if (!w->equal)
        return 0;
    int rc = equality_rows(w->equal, w->parts.equal, &source, &deleted, err);
    return rc < 0 ? rc : take_out(w, deleted, err);
}

/* And those that the row filter takes out. */
static int filter_rows(struct rewriting *w, struct err *err)
{
    const struct recipe *r = w->recipe;
    struct source source = presented_object_source(&w->object);
    struct roaring *filtered = NULL;
    if (!r->filter)
        return 0;
    int rc = row_filter_rows(r->filter, w->parts.filter, &source, r->values, &filtered, err);
    return rc < 0 ? rc : take_out(w, filtered, err);
}

static int make_file(struct rewriting *w, struct err *err)
{
    const struct recipe *r = w->recipe;
    struct source source = presented_object_source(&w->object);
    struct parquet_sink sink = {.write = write_out, .rewind = begin_again, .arg = w};
    assert(!r->filter || w->rows);
    begin_file(w);
    int rc = parquet_rewrite(&source, w->parts.plan, w->rows, &sink, err);
    if (rc == 0)
        rc = flush(w, err);
    if (rc == 0 && w->written != r->size)
        rc = err_set(err, EIO, "%s: %llu bytes were made instead of %llu", r->object_key,
                     (unsigned long long)w->written, (unsigned long long)r->size);
    if (rc == 0 && ftruncate(w->parts.work->fd, (off_t)r->size) < 0)
        rc = err_set(err, errno, "%s: rewritten file: %s", r->object_key, strerror(errno));
    return rc;
}

static int make_in(struct rewriting *w, int dirfd, struct err *err)
{
    struct work *work = w->parts.work;
    if (work->fd >= 0)
        (void)close(work->fd); /* a first attempt, which is of no use */
    work->fd = -1;
    int rc = file_temporary(dirfd, &work->fd, err);
    return rc < 0 ? rc : make_file(w, err);
}

static bool is_disk(int rc)
{
    return rc == -ENOSPC || rc == -EDQUOT || rc == -EROFS || rc == -EIO;
}

static int make_somewhere(struct rewriting *w, struct err *err)
{
    struct presented_store *s = w->recipe->store;
    int spare;
    int rc = make_in(w, s->config.dirfd, err);
    if (is_disk(rc) && spare_is_wanted(s->config.dirfd) &&
        spare_get(&s->spare, s->config.dirfd, &spare, NULL) == 0)
        rc = make_in(w, spare, err);
    (void)snprintf(w->parts.work->etag, sizeof w->parts.work->etag, "\"%016llx\"",
                   (unsigned long long)w->hash); /* fits */
    return rc;
}

/* room on the disk */

/* Of a file that nobody has open: what was made of it. */
static struct work *oldest_file_locked(struct presented_store *s) REQUIRES(s->lock)
{
    struct recipe *r = s->oldest;
    while (r && !(r->work && r->work->fd >= 0))
        r = r->newer;
    return r ? recipe_take_work_locked(s, r) : NULL;
}

/* Counts the bytes of a file that is to be made. */
static int take_room(struct presented_store *s, struct work *work, uint64_t bytes, struct err *err)
{
    for (;;) {
        struct work *old = NULL;
        bool taken = false;
        uint64_t others;
        WITH_LOCK (&s->lock) {
            others = s->temporary_bytes;
            taken = !others || others + bytes <= s->config.temporary_bytes_max;
            if (taken)
                s->temporary_bytes += work->temporary_bytes = bytes;
            else
                old = oldest_file_locked(s);
        }
        work_unref(old);
        if (taken)
            return 0;
        if (!old)
            return err_set(err, ENOSPC,
                           "other rewritten files that are open take %llu bytes, at most %llu may "
                           "be taken",
                           (unsigned long long)others,
                           (unsigned long long)s->config.temporary_bytes_max);
    }
}

/* making it */

/*
 * Of equality deletes what is done to the file is known when its values were read: 1 where nothing
 * has to be written, as the work is complete or nobody wants it (*over), else 0.
 */
static int decide(struct rewriting *w, bool *over, struct err *err)
{
    struct rewrite_parts *parts = &w->parts;
    *over = false;
    if (!w->equal)
        return 0;
    bool untouched = parts->untouched && roaring_count(w->rows) == 0;
    if (untouched) {
        present_plan_free(parts->plan);
        parts->plan = STEAL(parts->untouched);
    }
    enum present_kind kind = parts->plan->kind;
    int rc =
        kind == PRESENT_REWRITE ? 0 : plan_take_extents(parts->work, parts->plan, SLICE_NONE, err);
    if (rc < 0)
        return rc;
    *over = !recipe_planned(w->recipe, kind, untouched);
    return *over || kind != PRESENT_REWRITE;
}

/* 0: the work is complete; 1: nobody wants it. */
static int rewrite(struct rewriting *w, struct err *err)
{
    bool over = false;
    w->out = malloc(WRITE_BYTES);
    if (!w->out)
        return err_set(err, ENOMEM, "out of memory");
    int rc =
        presented_object_init(&w->object, w->recipe, w->parts.work->if_match, w->parts.bytes, err);
    if (rc == 0)
        rc = delete_rows(w, err);
    if (rc == 0)
        rc = decide(w, &over, err);
    if (rc > 0)
        return over;
    if (rc == 0)
        rc = take_room(w->recipe->store, w->parts.work, w->recipe->size, err);
    if (rc == 0)
        rc = filter_rows(w, err);
    if (rc == 0)
        rc = presented_object_plan(&w->object, w->parts.plan, err);
    if (rc == 0)
        rc = make_somewhere(w, err);
    return rc == -EOVERFLOW ? err_set(err, EOPNOTSUPP, "%s", err->msg) : rc;
}

static void rewrite_run(struct job *job)
{
    AUTO(rewriting) struct rewriting *w = CONTAINER_OF(job, struct rewriting, job);
    struct recipe *r = w->recipe;
    struct err err = ERR_INIT;
    int rc = r->store->ending ? err_set(&err, EIO, "the mount ends") : rewrite(w, &err);
    if (rc > 0)
        return;
    if (rc < 0)
        (void)err_wrap(&err, "%s", r->object_key);
    recipe_finish(r, rc < 0 ? NULL : STEAL(w->parts.work), &err);
}

/* The threads, started now where there are none yet. */
static struct workers *rewriters(struct presented_store *s, struct err *err)
{
    struct workers *w;
    WITH_LOCK (&s->lock) {
        if (!s->rewriters) {
            int cores = get_nprocs();
            s->rewriters = workers_new(
                "tarn-rewrite", cores < REWRITERS_MAX ? (unsigned)cores : REWRITERS_MAX, err);
        }
        w = s->rewriters;
    }
    return w;
}

void rewrite_begin(struct recipe *r, const struct rewrite_parts *parts)
{
    struct err err = ERR_INIT;
    struct workers *threads = rewriters(r->store, &err);
    AUTO(rewriting) struct rewriting *w = calloc(1, sizeof *w);
    if (!w) {
        struct rewrite_parts unused = *parts;
        rewrite_parts_done(&unused);
        (void)err_set(&err, ENOMEM, "out of memory");
    } else {
        *w = (struct rewriting){.job = {.run = rewrite_run}, .recipe = r, .parts = *parts};
    }
    if (err.code) {
        recipe_finish(r, NULL, &err);
        return;
    }
    WITH_LOCK (&r->store->lock) {
        w->rows = STEAL(r->rows);
        w->equal = STEAL(r->equal);
    }
    workers_submit(threads, &STEAL(w)->job);
}
