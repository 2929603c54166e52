/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/limits.h"
#include "lake/format/roaring_private.h"

struct roaring_builder {
    struct roaring *r; /* its containers so far, without their data */
    struct buf data;   /* which follows one another */
    uint64_t key;      /* of the container that is open */
    uint64_t words[WORDS];
    bool open;
};

void roaring_builder_free(struct roaring_builder *b)
{
    if (!b)
        return;
    roaring_free(b->r);
    buf_done(&b->data);
    free(b);
}

struct roaring_builder *roaring_builder_new(struct err *err)
{
    AUTO(roaring_builder) struct roaring_builder *b = calloc(1, sizeof *b);
    if (b)
        b->r = roaring_new(SLICE_NONE, err);
    else
        (void)err_set(err, ENOMEM, "a roaring bitmap: out of memory");
    if (!b || !b->r)
        return NULL;
    buf_init(&b->data, ROARING_BYTES_MAX);
    return STEAL(b);
}

static void put_array(struct roaring_builder *b)
{
    for (size_t i = 0; i < WORDS; i++)
        for (uint64_t bits = b->words[i]; bits; bits &= bits - 1) {
            uint16_t v = (uint16_t)(64 * i + (size_t)__builtin_ctzll(bits));
            buf_add(&b->data, &v, sizeof v);
        }
}

static int put_container(struct roaring_builder *b, const struct container *c, struct err *err)
{
    if (b->data.failed == EOVERFLOW)
        return err_set(err, EOVERFLOW, "a roaring bitmap of more than %zu bytes", b->data.max);
    int rc = buf_check(&b->data, err);
    return rc < 0 ? rc : roaring_add_container(b->r, c, err);
}

static int put_whole(struct roaring_builder *b, struct err *err)
{
    static const uint16_t all[] = {0, CONTAINER_ROWS - 1};
    struct container c = {.key = b->key,
                          .before = b->r->rows,
                          .rows = CONTAINER_ROWS,
                          .n = 1,
                          .kind = CONTAINER_RUNS};
    buf_add(&b->data, all, sizeof all);
    return put_container(b, &c, err);
}

/* The open container is complete. */
static int close_container(struct roaring_builder *b, struct err *err)
{
    struct container c = {.key = b->key, .before = b->r->rows, .kind = CONTAINER_ARRAY};
    if (!b->open)
        return 0;
    for (size_t i = 0; i < WORDS; i++)
        c.rows += (uint32_t)__builtin_popcountll(b->words[i]);
    b->open = false;
    int rc = 0;
    if (c.rows == CONTAINER_ROWS) {
        rc = put_whole(b, err);
    } else if (c.rows > ARRAY_MAX) {
        c.kind = CONTAINER_BITMAP;
        buf_add(&b->data, b->words, sizeof b->words);
        rc = put_container(b, &c, err);
    } else if (c.rows) {
        put_array(b);
        rc = put_container(b, &c, err);
    }
    memset(b->words, 0, sizeof b->words);
    return rc;
}

static int open_container(struct roaring_builder *b, uint64_t key, struct err *err)
{
    int rc = b->open && b->key != key ? close_container(b, err) : 0;
    b->open = true;
    b->key = key;
    return rc;
}

int roaring_builder_add(struct roaring_builder *b, uint64_t row, uint64_t bits, struct err *err)
{
    unsigned shift = row % 64;
    uint64_t key = row / CONTAINER_ROWS;
    size_t word = row % CONTAINER_ROWS / 64;
    int rc = bits ? open_container(b, key, err) : 0;
    if (rc < 0 || !bits)
        return rc;
    b->words[word] |= bits << shift;
    if (shift == 0 || bits >> (64 - shift) == 0)
        return 0;
    if (word + 1 == WORDS)
        rc = open_container(b, key + 1, err);
    b->words[(word + 1) % WORDS] |= bits >> (64 - shift);
    return rc;
}

/* A container of which all rows are in it. */
static int add_whole(struct roaring_builder *b, uint64_t key, struct err *err)
{
    int rc = close_container(b, err);
    if (rc < 0)
        return rc;
    b->key = key;
    return put_whole(b, err);
}

int roaring_builder_add_range(struct roaring_builder *b, uint64_t from, uint64_t to,
                              struct err *err)
{
    int rc = 0;
    while (rc == 0 && from < to) {
        uint64_t n = 64 - from % 64;
        n = n < to - from ? n : to - from;
        if (from % CONTAINER_ROWS == 0 && to - from >= CONTAINER_ROWS) {
            n = CONTAINER_ROWS;
            rc = add_whole(b, from / CONTAINER_ROWS, err);
        } else {
            rc = roaring_builder_add(b, from, ~0ULL >> (64 - n), err);
        }
        from += n;
    }
    return rc;
}

int roaring_builder_end(struct roaring_builder *b, struct roaring **out, struct err *err)
{
    struct roaring *empty = roaring_new(SLICE_NONE, err);
    if (!empty)
        return -ENOMEM;
    int rc = close_container(b, err);
    if (rc < 0) {
        roaring_free(empty);
        return rc;
    }
    uint8_t *bytes = (uint8_t *)buf_steal_str(&b->data);
    if (!bytes) {
        roaring_free(empty);
        return err_set(err, ENOMEM, "a roaring bitmap: out of memory");
    }
    struct roaring *r = b->r;
    b->r = empty;
    free(r->bytes);
    r->bytes = bytes;
    const uint8_t *at = bytes;
    for (size_t i = 0; i < r->containers.n; i++) {
        r->containers.at[i].data = at;
        at += roaring_container_bytes(&r->containers.at[i]);
    }
    *out = r;
    return 0;
}

/* Adds the container's rows to the open one. */
static void add_rows(struct roaring_builder *b, const struct container *c)
{
    for (uint32_t v = roaring_next_value(c, 0); v < CONTAINER_ROWS;
         v = v + 1 < CONTAINER_ROWS ? roaring_next_value(c, v + 1) : CONTAINER_ROWS)
        b->words[v / 64] |= 1ULL << v % 64;
}

int roaring_union(const struct roaring *a, const struct roaring *b, struct roaring **out,
                  struct err *err)
{
    AUTO(roaring_builder) struct roaring_builder *u = roaring_builder_new(err);
    if (!u)
        return -ENOMEM;
    int rc = 0;
    for (size_t i = 0, j = 0; rc == 0 && (i < a->containers.n || j < b->containers.n);) {
        const struct container *x = i < a->containers.n ? &a->containers.at[i] : NULL;
        const struct container *y = j < b->containers.n ? &b->containers.at[j] : NULL;
        bool first = x && (!y || x->key <= y->key), second = y && (!x || y->key <= x->key);
        rc = open_container(u, first ? x->key : y->key, err);
        if (rc == 0 && first)
            add_rows(u, x);
        if (rc == 0 && second)
            add_rows(u, y);
        i += first;
        j += second;
    }
    return rc < 0 ? rc : roaring_builder_end(u, out, err);
}
