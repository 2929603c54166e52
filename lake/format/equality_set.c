/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/limits.h"
#include "lake/format/equality_private.h"

enum tag {
    TAG_NULL,
    TAG_NUMBER,
    TAG_WIDE,
    TAG_BYTES,
};

#define SLOTS_MIN 64
#define SIZE_BYTES 4

/*
 *   slots   hash's high 32 bits | offset in keys + 1, or 0: free; open addressing, a power of two
 *   keys    size:le32 key, size:le32 key, ...
 */
struct equality_set {
    atomic_uint refs;
    uint64_t *slots;
    size_t slots_n; /* 0: none yet */
    size_t count;
    struct buf keys;
};

struct equality_builder {
    struct equality_set *set;
    uint8_t classes[EQUALITY_COLUMNS_MAX]; /* of the columns: enum column_class */
    size_t columns;
    struct buf key;
};

/* Keys */

static void put_le(struct buf *b, unsigned __int128 v, size_t bytes)
{
    uint8_t at[16];
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(v >> 8 * i);
    buf_add(b, at, bytes);
}

void equality_put(enum column_class class, const struct column_value *v, struct buf *key)
{
    if (v->null || class == COLUMN_NULL) {
        buf_add_char(key, TAG_NULL);
    } else if (class == COLUMN_BYTES) {
        buf_add_char(key, TAG_BYTES);
        put_le(key, v->bytes.n, SIZE_BYTES);
        buf_add_slice(key, v->bytes);
    } else if (v->number == (int64_t)v->number) {
        buf_add_char(key, TAG_NUMBER);
        put_le(key, (unsigned __int128)v->number, 8);
    } else {
        buf_add_char(key, TAG_WIDE);
        put_le(key, (unsigned __int128)v->number, 16);
    }
}

uint64_t equality_hash(struct slice key)
{
    return hash64(0, key);
}

/* Sets */

struct equality_set *equality_set_ref(struct equality_set *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

bool equality_set_shared(const struct equality_set *s)
{
    return atomic_load(&s->refs) > 1;
}

void equality_set_unref(struct equality_set *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    free(s->slots);
    buf_done(&s->keys);
    free(s);
}

size_t equality_set_count(const struct equality_set *s)
{
    return s->count;
}

size_t equality_set_bytes(const struct equality_set *s)
{
    return sizeof *s + s->slots_n * sizeof *s->slots + s->keys.cap;
}

static struct slice key_at(const struct equality_set *s, size_t at)
{
    uint32_t n;
    memcpy(&n, s->keys.data + at, SIZE_BYTES);
    return slice_make(s->keys.data + at + SIZE_BYTES, n);
}

static uint64_t mark_of(uint64_t hash)
{
    return hash >> 32 << 32;
}

/* The slot of the key, or the free one where it belongs. */
static size_t find_slot(const struct equality_set *s, struct slice key, uint64_t hash)
{
    size_t mask = s->slots_n - 1, at = (size_t)hash & mask;
    for (; s->slots[at]; at = (at + 1) & mask) {
        uint64_t slot = s->slots[at];
        if (mark_of(slot) == mark_of(hash) && slice_eq(key_at(s, (size_t)(uint32_t)slot - 1), key))
            break;
    }
    return at;
}

bool equality_set_has(const struct equality_set *s, struct slice key, uint64_t hash)
{
    return s->count && s->slots[find_slot(s, key, hash)];
}

/* Room for one more: slots are at most two thirds full. */
static int grow(struct equality_set *s, struct err *err)
{
    if (s->slots_n && s->count + 1 <= s->slots_n / 3 * 2)
        return 0;
    size_t n = s->slots_n ? 2 * s->slots_n : SLOTS_MIN;
    if (n > EQUALITY_BYTES_MAX / sizeof *s->slots)
        return err_set(err, EOVERFLOW, "equality deletes of more than %zu bytes",
                       EQUALITY_BYTES_MAX);
    uint64_t *slots = calloc(n, sizeof *slots);
    if (!slots)
        return err_set(err, ENOMEM, "equality deletes: out of memory");
    uint64_t *old = s->slots;
    size_t old_n = s->slots_n;
    s->slots = slots;
    s->slots_n = n;
    for (size_t i = 0; i < old_n; i++) {
        if (!old[i])
            continue;
        uint64_t hash = equality_hash(key_at(s, (size_t)(uint32_t)old[i] - 1));
        size_t at = (size_t)hash & (n - 1);
        while (slots[at])
            at = (at + 1) & (n - 1);
        slots[at] = old[i];
    }
    free(old);
    return 0;
}

/* Builders */

struct equality_builder *equality_builder_new(const struct shape *columns, struct err *err)
{
    AUTO(equality_builder) struct equality_builder *b = calloc(1, sizeof *b);
    if (b)
        b->set = calloc(1, sizeof *b->set);
    if (!b || !b->set) {
        (void)err_set(err, ENOMEM, "equality deletes: out of memory");
        return NULL;
    }
    b->set->refs = 1;
    buf_init(&b->set->keys, EQUALITY_BYTES_MAX);
    buf_init(&b->key, EQUALITY_BYTES_MAX);
    for (size_t i = 1; columns && i < columns->fields_n; i++) {
        if (columns->fields[i].kind != SHAPE_LEAF)
            continue;
        assert(b->columns < ARRAY_SIZE(b->classes)); /* equality_check */
        b->classes[b->columns++] = (uint8_t)column_class_of(columns->fields[i].type);
    }
    return STEAL(b);
}

void equality_builder_free(struct equality_builder *b)
{
    if (!b)
        return;
    equality_set_unref(b->set);
    buf_done(&b->key);
    free(b);
}

int equality_builder_put(struct equality_builder *b, struct slice key, struct err *err)
{
    struct equality_set *s = b->set;
    uint64_t hash = equality_hash(key);
    int rc = grow(s, err);
    if (rc < 0)
        return rc;
    size_t slot = find_slot(s, key, hash), at = s->keys.len;
    if (s->slots[slot])
        return 0;
    put_le(&s->keys, key.n, SIZE_BYTES);
    buf_add_slice(&s->keys, key);
    if (s->keys.failed == EOVERFLOW || key.n > UINT32_MAX)
        return err_set(err, EOVERFLOW, "equality deletes of more than %zu bytes",
                       EQUALITY_BYTES_MAX);
    if (buf_check(&s->keys, err) < 0)
        return -err->code;
    s->slots[slot] = mark_of(hash) | (uint32_t)(at + 1);
    s->count++;
    return 0;
}

int equality_builder_add(struct equality_builder *b, const struct column_value *values,
                         struct err *err)
{
    buf_reset(&b->key);
    for (size_t i = 0; i < b->columns; i++)
        equality_put(b->classes[i], &values[i], &b->key);
    int rc = buf_check(&b->key, err);
    return rc < 0 ? rc : equality_builder_put(b, buf_slice(&b->key), err);
}

int equality_builder_end(struct equality_builder *b, struct equality_set **out, struct err *err)
{
    AUTO(equality_builder) struct equality_builder *fresh = equality_builder_new(NULL, err);
    if (!fresh)
        return -ENOMEM;
    *out = b->set;
    b->set = STEAL(fresh->set);
    return 0;
}

int equality_join(struct equality_set *const *sets, size_t n, struct equality_set **out,
                  struct err *err)
{
    AUTO(equality_builder) struct equality_builder *b = equality_builder_new(NULL, err);
    int rc = b ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < n; i++)
        for (size_t at = 0; rc == 0 && at < sets[i]->keys.len;) {
            struct slice key = key_at(sets[i], at);
            at += SIZE_BYTES + key.n;
            rc = equality_builder_put(b, key, err);
        }
    return rc < 0 ? rc : equality_builder_end(b, out, err);
}
