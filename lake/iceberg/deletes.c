/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/deletes.h"

#include <assert.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/vec.h"

/* The partition of equality deletes that count in all of them. */
#define GLOBAL (ICEBERG_NO_PARTITION - 1)
/* Of a delete's number: it is one of the vectors. */
#define VECTOR (1U << 31)
/* Another hash of a path, beside hash64(0, path). */
#define CHECK_SEED 0x64656c65

/* Position and equality delete files. */
struct item {
    struct iceberg_delete d;
    int64_t sequence, time_ms;
    struct slice lower, upper; /* of the paths; p NULL: not told */
};

/* There may be one for every data file. */
struct vector {
    struct slice path;
    uint64_t offset, length, rows;
    int64_t sequence, time_ms;
};

/* Deletes that are about one data file, by its path. */
struct by_path {
    uint64_t hash;
    uint32_t check;
    uint32_t number;
};

/* The others, by partition; position deletes, then equality deletes, each by sequence. */
struct by_partition {
    int64_t sequence;
    uint32_t partition;
    uint32_t number;
    bool equality;
};

struct iceberg_deletes {
    struct arena arena;
    struct map partitions; /* values: number + 1 */
    VEC(struct item) items;
    VEC(struct vector) vectors;
    VEC(struct by_path) paths;
    VEC(struct by_partition) lists;
    struct slice last_path; /* neighbours often lie in one file */
    bool finished;
};

struct iceberg_deletes *iceberg_deletes_new(struct err *err)
{
    struct iceberg_deletes *d = calloc(1, sizeof *d);
    if (!d) {
        (void)err_set(err, ENOMEM, "out of memory for delete files");
        return NULL;
    }
    arena_init(&d->arena, ICEBERG_DELETES_MEMORY_MAX);
    map_init(&d->partitions, ICEBERG_TUPLES_MAX);
    d->items.max = d->vectors.max = d->paths.max = d->lists.max = ICEBERG_DELETES_MAX;
    return d;
}

void iceberg_deletes_free(struct iceberg_deletes *d)
{
    if (!d)
        return;
    arena_done(&d->arena);
    map_done(&d->partitions);
    vec_done(&d->items);
    vec_done(&d->vectors);
    vec_done(&d->paths);
    vec_done(&d->lists);
    free(d);
}

size_t iceberg_deletes_count(const struct iceberg_deletes *d)
{
    return d->items.n + d->vectors.n;
}

/* Adding -------------------------------------------------------------------------------------- */

static int no_room(const struct iceberg_deletes *d, int rc, struct err *err)
{
    return err_set(err, -rc, "no room for more than %zu delete files of a snapshot",
                   iceberg_deletes_count(d));
}

int iceberg_deletes_partition(struct iceberg_deletes *d, struct slice key, uint32_t *out,
                              struct err *err)
{
    uint32_t found = iceberg_deletes_partition_find(d, key);
    if (found == ICEBERG_NO_PARTITION) {
        found = (uint32_t)d->partitions.count;
        struct slice copy = arena_slice(&d->arena, key);
        if (!copy.p)
            return arena_failed(&d->arena, "the delete files of a snapshot", err);
        int rc = map_put(&d->partitions, copy, (void *)(uintptr_t)(found + UINT64_C(1)));
        if (rc < 0)
            return err_set(err, -rc, "delete files of more than %u partitions", found);
    }
    *out = found;
    return 0;
}

uint32_t iceberg_deletes_partition_find(const struct iceberg_deletes *d, struct slice key)
{
    uintptr_t found = (uintptr_t)map_find(&d->partitions, key);
    return found ? (uint32_t)(found - 1) : ICEBERG_NO_PARTITION;
}

static int keep(struct iceberg_deletes *d, struct slice text, struct slice *out, struct err *err)
{
    if (!text.p)
        return 0;
    *out = arena_slice(&d->arena, text);
    return out->p ? 0 : arena_failed(&d->arena, "the delete files of a snapshot", err);
}

static int keep_path(struct iceberg_deletes *d, struct slice path, struct slice *out,
                     struct err *err)
{
    int rc = slice_eq(path, d->last_path) ? 0 : keep(d, path, &d->last_path, err);
    *out = d->last_path;
    return rc;
}

static int add_by_path(struct iceberg_deletes *d, struct slice path, uint32_t number,
                       struct err *err)
{
    struct by_path p = {hash64(0, path), (uint32_t)hash64(CHECK_SEED, path), number};
    int rc = vec_push(&d->paths, p);
    return rc < 0 ? no_room(d, rc, err) : 0;
}

static int add_vector(struct iceberg_deletes *d, const struct iceberg_entry *f, int64_t time_ms,
                      struct err *err)
{
    struct vector v = {.offset = (uint64_t)f->offset,
                       .length = (uint64_t)f->length,
                       .rows = f->rows,
                       .sequence = f->sequence,
                       .time_ms = time_ms};
    int rc = keep_path(d, f->path, &v.path, err);
    if (rc == 0)
        rc = add_by_path(d, f->referenced, (uint32_t)d->vectors.n | VECTOR, err);
    if (rc < 0)
        return rc;
    rc = vec_push(&d->vectors, v);
    return rc < 0 ? no_room(d, rc, err) : 0;
}

/* The one data file that a position delete file is about: it says so, or all of its paths are one
 * and the same. Empty: any. */
static struct slice referenced(const struct iceberg_entry *f)
{
    if (f->content != ICEBERG_POSITIONS || f->referenced.n)
        return f->content == ICEBERG_POSITIONS ? f->referenced : SLICE_NONE;
    return f->lower.p && f->upper.p && slice_eq(f->lower, f->upper) ? f->lower : SLICE_NONE;
}

static int add_item(struct iceberg_deletes *d, const struct iceberg_entry *f, uint32_t partition,
                    struct item *item, struct err *err)
{
    uint32_t number = (uint32_t)d->items.n;
    struct slice about = referenced(f);
    int rc = keep_path(d, f->path, &item->d.path, err);
    if (rc == 0 && f->content == ICEBERG_POSITIONS && !about.n) {
        rc = keep(d, f->lower, &item->lower, err);
        if (rc == 0)
            rc = keep(d, f->upper, &item->upper, err);
    }
    if (rc == 0 && about.n)
        rc = add_by_path(d, about, number, err);
    if (rc < 0)
        return rc;
    struct by_partition at = {f->sequence, partition, number, f->content == ICEBERG_EQUALITY};
    if (!about.n)
        rc = vec_push(&d->lists, at);
    if (rc == 0)
        rc = vec_push(&d->items, *item);
    return rc < 0 ? no_room(d, rc, err) : 0;
}

int iceberg_deletes_add(struct iceberg_deletes *d, const struct iceberg_entry *f,
                        uint32_t partition, bool global, int64_t time_ms, struct err *err)
{
    assert(!d->finished && f->content != ICEBERG_DATA);
    if (f->offset >= 0)
        return add_vector(d, f, time_ms, err);
    bool equality = f->content == ICEBERG_EQUALITY;
    struct item item = {
        .d = {.kind = equality ? ICEBERG_DELETE_EQUALITY : ICEBERG_DELETE_POSITION,
              .format = f->format,
              .size = f->size,
              .rows = f->rows},
        .sequence = f->sequence,
        .time_ms = time_ms,
    };
    if (equality) {
        int32_t *ids = arena_calloc(&d->arena, f->ids_n + 1, sizeof ids[0]);
        if (!ids)
            return arena_failed(&d->arena, "the delete files of a snapshot", err);
        memcpy(ids, f->ids, f->ids_n * sizeof ids[0]);
        item.d.ids = ids;
        item.d.ids_n = f->ids_n;
    }
    return add_item(d, f, equality && global ? GLOBAL : partition, &item, err);
}

static int compare_paths(const void *x, const void *y)
{
    const struct by_path *a = x, *b = y;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    if (a->check != b->check)
        return a->check < b->check ? -1 : 1;
    return (a->number < b->number) - (a->number > b->number); /* vectors first */
}

static int compare_lists(const void *x, const void *y)
{
    const struct by_partition *a = x, *b = y;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    if (a->equality != b->equality)
        return a->equality ? 1 : -1;
    if (a->sequence != b->sequence)
        return a->sequence < b->sequence ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

static bool same_vector(const struct vector *a, const struct vector *b)
{
    return slice_eq(a->path, b->path) && a->offset == b->offset && a->length == b->length;
}

int iceberg_deletes_finish(struct iceberg_deletes *d, struct err *err)
{
    if (d->paths.n)
        qsort(d->paths.at, d->paths.n, sizeof d->paths.at[0], compare_paths);
    if (d->lists.n)
        qsort(d->lists.at, d->lists.n, sizeof d->lists.at[0], compare_lists);
    d->finished = true;
    for (size_t i = 1; i < d->paths.n; i++) {
        const struct by_path *a = &d->paths.at[i - 1], *b = &d->paths.at[i];
        if (!(a->number & VECTOR) || !(b->number & VECTOR) || a->hash != b->hash ||
            a->check != b->check)
            continue;
        const struct vector *v = &d->vectors.at[a->number & ~VECTOR];
        if (!same_vector(v, &d->vectors.at[b->number & ~VECTOR]))
            return err_set(err, EIO,
                           "two deletion vectors for one data file, one of them in '%.*s'",
                           (int)(v->path.n < 300 ? v->path.n : 300), v->path.p);
    }
    return 0;
}

/* Finding ------------------------------------------------------------------------------------- */

void iceberg_found_done(struct iceberg_found *f)
{
    free(f->at);
    free(f->numbers);
    free(f->last);
    *f = (struct iceberg_found){.n = 0};
}

static int take(struct iceberg_found *f, uint32_t number, struct err *err)
{
    void *at = f->numbers;
    int rc = vec_grow_(&at, f->numbers_n, &f->numbers_capacity, ICEBERG_DELETES_MAX,
                       sizeof f->numbers[0]);
    f->numbers = at;
    if (rc < 0)
        return err_set(err, -rc, "no room for the delete files of one data file");
    f->numbers[f->numbers_n++] = number;
    return 0;
}

/* Those about the file itself; *vector: one of them is a vector, and the others do not count. */
static int find_by_path(const struct iceberg_deletes *d, const struct iceberg_entry *file,
                        struct iceberg_found *out, bool *vector, struct err *err)
{
    struct by_path want = {.hash = d->paths.n ? hash64(0, file->path) : 0};
    size_t low = 0, high = d->paths.n;
    int rc = 0;
    *vector = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (d->paths.at[middle].hash < want.hash)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == d->paths.n || d->paths.at[low].hash != want.hash)
        return 0;
    want.check = (uint32_t)hash64(CHECK_SEED, file->path);
    for (; rc == 0 && low < d->paths.n && d->paths.at[low].hash == want.hash; low++) {
        const struct by_path *p = &d->paths.at[low];
        uint32_t i = p->number & ~VECTOR;
        bool is_vector = p->number & VECTOR;
        int64_t sequence = is_vector ? d->vectors.at[i].sequence : d->items.at[i].sequence;
        if (p->check != want.check || sequence < file->sequence || *vector)
            continue;
        *vector = is_vector;
        rc = take(out, p->number, err);
    }
    return rc;
}

static bool may_name(const struct item *i, struct slice path)
{
    return (!i->lower.p || slice_cmp(i->lower, path) <= 0) &&
           (!i->upper.p || slice_cmp(i->upper, path) >= 0);
}

/* Those of a partition from a sequence on. */
static int find_by_partition(const struct iceberg_deletes *d, const struct by_partition *from,
                             struct slice path, struct iceberg_found *out, struct err *err)
{
    size_t low = 0, high = d->lists.n;
    int rc = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_lists(&d->lists.at[middle], from) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; rc == 0 && low < d->lists.n; low++) {
        const struct by_partition *p = &d->lists.at[low];
        if (p->partition != from->partition || p->equality != from->equality)
            break;
        if (p->equality || may_name(&d->items.at[p->number], path))
            rc = take(out, p->number, err);
    }
    return rc;
}

static int by_delete(const void *a, const void *b)
{
    return iceberg_delete_compare(a, b);
}

/* From numbers to deletes, in their order. */
static int settle(const struct iceberg_deletes *d, struct iceberg_found *f, struct err *err)
{
    f->n = 0;
    f->time_ms = INT64_MIN;
    for (size_t i = 0; i < f->numbers_n; i++) {
        uint32_t number = f->numbers[i] & ~VECTOR;
        bool is_vector = f->numbers[i] & VECTOR;
        const struct vector *v = is_vector ? &d->vectors.at[number] : NULL;
        const struct item *item = is_vector ? NULL : &d->items.at[number];
        struct iceberg_delete one = v ? (struct iceberg_delete){.kind = ICEBERG_DELETE_VECTOR,
                                                                .format = ICEBERG_PUFFIN,
                                                                .path = v->path,
                                                                .offset = v->offset,
                                                                .length = v->length,
                                                                .rows = v->rows}
                                      : item->d;
        int64_t time_ms = v ? v->time_ms : item->time_ms;
        void *at = f->at;
        int rc = vec_grow_(&at, f->n, &f->capacity, ICEBERG_DELETES_MAX, sizeof f->at[0]);
        f->at = at;
        if (rc < 0)
            return err_set(err, -rc, "no room for the delete files of one data file");
        f->at[f->n++] = one;
        f->time_ms = time_ms > f->time_ms ? time_ms : f->time_ms;
    }
    if (f->n > 1)
        qsort(f->at, f->n, sizeof f->at[0], by_delete);
    size_t kept = 0;
    for (size_t i = 0; i < f->n; i++)
        if (!kept || iceberg_delete_compare(&f->at[kept - 1], &f->at[i]) != 0)
            f->at[kept++] = f->at[i];
    f->n = kept;
    return 0;
}

int iceberg_deletes_find(const struct iceberg_deletes *d, const struct iceberg_entry *file,
                         uint32_t partition, struct iceberg_found *out, struct err *err)
{
    bool vector;
    struct by_partition from = {file->sequence, partition, 0, false};
    assert(d->finished);
    uint32_t *swap = out->last;
    size_t swap_capacity = out->last_capacity;
    out->last = out->numbers;
    out->last_n = out->numbers_n;
    out->last_capacity = out->numbers_capacity;
    out->numbers = swap;
    out->numbers_capacity = swap_capacity;
    out->numbers_n = 0;
    int rc = find_by_path(d, file, out, &vector, err);
    if (rc == 0 && !vector && partition != ICEBERG_NO_PARTITION)
        rc = find_by_partition(d, &from, file->path, out, err);
    from.equality = true;
    from.sequence = file->sequence < INT64_MAX ? file->sequence + 1 : INT64_MAX;
    if (rc == 0 && partition != ICEBERG_NO_PARTITION)
        rc = find_by_partition(d, &from, file->path, out, err);
    from.partition = GLOBAL;
    if (rc == 0)
        rc = find_by_partition(d, &from, file->path, out, err);
    if (rc < 0)
        return rc;
    out->same =
        out->numbers_n == out->last_n &&
        (!out->last_n || memcmp(out->numbers, out->last, out->last_n * sizeof out->last[0]) == 0);
    return out->same ? 0 : settle(d, out, err);
}
