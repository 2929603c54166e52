/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays recorded traces of uses (tests/bench/traces) against the cache's eviction, against LRU
 * and against what can be had at best: bench_evict [TRACE...]. Prints a table of hit ratios.
 *
 *   lru      exact least recently used, no byte of the budget kept free
 *   tarn     the cache's own score (cache/uses.c), by samples, with a part of the budget kept free
 *   optimum  knows the future: what gives least for its room until its next use goes, a newcomer
 *            too. Exact where all objects have one size and close to it where they have not
 *   bound    no policy can have more, whatever the sizes: each hit takes its size for the time
 *            between two uses, and there are so many byte-steps; the cheapest hits are counted
 *
 * A hit gives one object, or its bytes, or the time that it saves: that of a request, which is that
 * of 1 MiB, and of the bytes. The cache aims at the last.
 */
#include <glob.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "base/file.h"
#include "tests/unit/evict_model.h"

#define TEXT_BYTES_MAX (8 * MIB)
#define NEVER SIZE_MAX

struct trace {
    uint64_t seed, cache_bytes;
    size_t objects, uses;
    uint64_t *size;
    size_t *object; /* of each use */
    size_t *next;   /* of each use: the next use of the same object, or NEVER */
};

enum measure { OF_OBJECTS, OF_BYTES, OF_TIME, MEASURES };

static const char *const measure_names[] = {"objects", "bytes", "time"};

struct hits {
    double sum[MEASURES];
};

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void *room_for(size_t n, size_t each)
{
    void *p = calloc(n ? n : 1, each);
    if (!p)
        die("bench_evict", "out of memory");
    return p;
}

/* The number behind the word, or the next one where the word is empty. */
static uint64_t number(char **at, const char *word)
{
    if (strncmp(*at, word, strlen(word)) != 0)
        die(word, "not in the trace");
    char *from = *at + strlen(word);
    uint64_t value = strtoull(from, at, 10);
    if (*at == from)
        die(word, "no number in the trace");
    *at += **at == '\n';
    return value;
}

static void parse(char *text, struct trace *t)
{
    char *at = text;
    if (number(&at, "tarn-trace ") != 1)
        die("trace", "not of format 1");
    t->seed = number(&at, "seed ");
    t->cache_bytes = number(&at, "cache ");
    t->objects = number(&at, "objects ");
    t->size = room_for(t->objects, sizeof *t->size);
    for (size_t i = 0; i < t->objects; i++)
        t->size[i] = number(&at, "");
    t->uses = number(&at, "uses ");
    t->object = room_for(t->uses, sizeof *t->object);
    t->next = room_for(t->uses, sizeof *t->next);
    for (size_t i = 0; i < t->uses; i++) {
        t->object[i] = number(&at, "");
        if (t->object[i] >= t->objects)
            die("trace", "a use of no object");
    }
}

static void find_next(struct trace *t)
{
    size_t *coming = room_for(t->objects, sizeof *coming);
    for (size_t i = 0; i < t->objects; i++)
        coming[i] = NEVER;
    for (size_t i = t->uses; i-- > 0;) {
        t->next[i] = coming[t->object[i]];
        coming[t->object[i]] = i;
    }
    free(coming);
}

static void trace_load(const char *path, struct trace *t)
{
    struct err err = ERR_INIT;
    struct buf packed;
    buf_init(&packed, TEXT_BYTES_MAX);
    char *text = room_for(TEXT_BYTES_MAX + 1, 1);
    if (file_read(AT_FDCWD, path, &packed, &err) < 0)
        die(path, err.msg);
    size_t n = ZSTD_decompress(text, TEXT_BYTES_MAX, packed.data, packed.len);
    if (ZSTD_isError(n))
        die(path, ZSTD_getErrorName(n));
    *t = (struct trace){0};
    parse(text, t);
    find_next(t);
    buf_done(&packed);
    free(text);
}

static void trace_done(struct trace *t)
{
    free(t->size);
    free(t->object);
    free(t->next);
}

static double value_of(const struct trace *t, size_t use, enum measure what)
{
    double size = (double)t->size[t->object[use]];
    switch (what) {
    case OF_OBJECTS:
        return 1;
    case OF_BYTES:
        return size;
    case OF_TIME:
        return size + (double)MIB;
    case MEASURES:
        break;
    }
    abort();
}

static void count(struct hits *h, const struct trace *t, size_t use)
{
    for (enum measure what = 0; what < MEASURES; what++)
        h->sum[what] += value_of(t, use, what);
}

static struct hits replay_tarn(const struct trace *t)
{
    struct err err = ERR_INIT;
    struct hits h = {0};
    struct model m;
    AUTO(uses) struct uses *u = NULL;
    if (uses_open(-1, t->cache_bytes, &u, &err) < 0)
        die("uses", err.msg);
    model_init(&m, u, t->cache_bytes, t->objects, t->seed);
    for (size_t i = 0; i < t->uses; i++)
        if (model_use(&m, t->object[i], t->size[t->object[i]]))
            count(&h, t, i);
    model_done(&m);
    return h;
}

struct replay {
    const struct trace *trace;
    enum measure what; /* MEASURES: least recently used */
    bool *cached;
    size_t *latest; /* use of an object */
};

/* The larger, the sooner it goes. */
static double score(const struct replay *r, size_t object, size_t now)
{
    size_t use = r->latest[object], next = r->trace->next[use];
    if (r->what == MEASURES)
        return (double)(now - use);
    if (next == NEVER)
        return INFINITY;
    return (double)(next - now) * (double)r->trace->size[object] / value_of(r->trace, use, r->what);
}

static size_t worst_of(const struct replay *r, size_t now)
{
    size_t worst = NEVER;
    double most = -1;
    for (size_t i = 0; i < r->trace->objects; i++) {
        double s = r->cached[i] ? score(r, i, now) : -1;
        if (s > most) {
            worst = i;
            most = s;
        }
    }
    return worst;
}

static struct hits replay_exact(const struct trace *t, enum measure what)
{
    struct hits h = {0};
    struct replay r = {t, what, room_for(t->objects, sizeof(bool)),
                       room_for(t->objects, sizeof(size_t))};
    uint64_t bytes = 0;
    for (size_t i = 0; i < t->uses; i++) {
        size_t object = t->object[i];
        if (r.cached[object])
            count(&h, t, i);
        else
            bytes += t->size[object];
        r.latest[object] = i;
        r.cached[object] = true;
        while (bytes > t->cache_bytes) {
            size_t worst = worst_of(&r, i);
            r.cached[worst] = false;
            bytes -= t->size[worst];
        }
    }
    free(r.cached);
    free(r.latest);
    return h;
}

struct interval {
    double cost, value, room;
};

static int cheapest_first(const void *a, const void *b)
{
    const struct interval *x = a, *y = b;
    return (x->cost > y->cost) - (x->cost < y->cost);
}

/* The most that all hits together can give. */
static double bound(const struct trace *t, enum measure what)
{
    struct interval *all = room_for(t->uses, sizeof *all);
    size_t n = 0;
    for (size_t i = 0; i < t->uses; i++) {
        if (t->next[i] == NEVER)
            continue;
        double room = (double)t->size[t->object[i]] * (double)(t->next[i] - i);
        double value = value_of(t, i, what);
        all[n++] = (struct interval){room / value, value, room};
    }
    qsort(all, n, sizeof *all, cheapest_first);
    double left = (double)t->cache_bytes * (double)t->uses, sum = 0;
    for (size_t i = 0; i < n && left > 0; i++) {
        sum += (all[i].room < left ? 1 : left / all[i].room) * all[i].value;
        left -= all[i].room;
    }
    free(all);
    return sum;
}

static void bench(const char *path)
{
    struct trace t;
    trace_load(path, &t);
    uint64_t distinct = 0;
    for (size_t i = 0; i < t.objects; i++)
        distinct += t.size[i];
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    struct hits all = {0}, tarn = replay_tarn(&t), lru = replay_exact(&t, MEASURES);
    for (size_t i = 0; i < t.uses; i++)
        count(&all, &t, i);
    printf("%.*s: %zu uses of %zu objects, %" PRIu64 " MiB; cache %" PRIu64 " MiB\n",
           (int)strcspn(name, "."), name, t.uses, t.objects, distinct / MIB, t.cache_bytes / MIB);
    for (enum measure what = 0; what < MEASURES; what++) {
        struct hits best = replay_exact(&t, what);
        double n = all.sum[what];
        printf("  %-8s %7.3f %7.3f %7.3f %7.3f   %7.2f\n", measure_names[what], lru.sum[what] / n,
               tarn.sum[what] / n, best.sum[what] / n, bound(&t, what) / n,
               tarn.sum[what] / best.sum[what]);
    }
    trace_done(&t);
}

int main(int argc, char **argv)
{
    glob_t found = {0};
    if (argc < 2 && glob("tests/bench/traces/*.zst", 0, NULL, &found) != 0)
        die("tests/bench/traces", "no traces (run in the top directory)");
    printf("hit ratio  %7s %7s %7s %7s   tarn to optimum\n", "lru", "tarn", "optimum", "bound");
    for (int i = 1; i < argc; i++)
        bench(argv[i]);
    for (size_t i = 0; i < found.gl_pathc; i++)
        bench(found.gl_pathv[i]);
    globfree(&found);
    return 0;
}
