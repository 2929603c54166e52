/* SPDX-License-Identifier: Apache-2.0 */
/* Property: whatever the bytes are, an Avro file is read in bounded time and memory, and alike
 * whether it is in memory or read bit by bit, and whichever of its fields are chosen. */
#include <assert.h>

#include "lake/format/avro.h"
#include "tests/fuzz/parquet_memory.h"

#define RECORDS_MAX 5000
#define ITEMS_MAX 5000
#define SLOTS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t sum; /* so that every byte that is given is looked at */

static uint64_t value_sum(const struct avro_value *v)
{
    uint64_t n = v->present + (uint64_t)v->number;
    for (size_t i = 0; i < v->bytes.n; i++)
        n = n * 31 + (uint8_t)v->bytes.p[i];
    assert(v->present || (v->number == 0 && v->bytes.n == 0));
    return n;
}

static void look_at(const struct avro *a, int slot)
{
    struct avro_items items;
    size_t n = 0;
    sum += value_sum(avro_value(a, slot));
    avro_items(a, slot, &items);
    while (n++ < ITEMS_MAX && avro_items_next(&items, NULL) > 0)
        for (size_t i = 0; i < AVRO_ITEM_VALUES; i++)
            sum += value_sum(&items.value[i]);
}

/* Chooses the fields of a record, and of those in it. */
static size_t choose(struct avro *a, int record, int *slots, size_t n)
{
    for (size_t i = 0; i < avro_fields(a, record) && n < SLOTS_MAX; i++) {
        struct avro_field field;
        avro_field(a, record, i, &field);
        sum += field.name.n ? (uint8_t)field.name.p[0] : 0;
        int slot = avro_choose_field(a, record, i, NULL);
        assert(slot >= 0 || slot == -EOPNOTSUPP);
        if (slot < 0)
            continue;
        slots[n++] = slot;
        n = choose(a, slot, slots, n);
    }
    return n;
}

/* Reads it all: how many records, and the result. */
static int read_all(struct avro *a, bool values, size_t *records)
{
    int slots[SLOTS_MAX], rc = 0;
    struct err err = ERR_INIT;
    size_t n = values ? choose(a, AVRO_ROOT, slots, 0) : 0;
    sum += avro_metadata(a, "schema").n;
    for (*records = 0; *records < RECORDS_MAX && (rc = avro_next(a, &err)) > 0; ++*records)
        for (size_t i = 0; i < n; i++)
            look_at(a, slots[i]);
    assert(rc >= 0 || rc == -err.code);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    struct slice file = slice_make(data, size);
    struct source source = {
        .size_bytes = size, .read = read_memory, .arg = &file, .window_bytes = 7};
    size_t records, again;
    AUTO(avro) struct avro *a = avro_open_bytes(file, &err);
    AUTO(avro) struct avro *b = avro_open(&source, NULL);
    assert((a == NULL) == (err.code != 0) && (a == NULL) == (b == NULL));
    if (!a)
        return 0;
    int rc = read_all(b, true, &records), other = read_all(a, false, &again);
    /* Who passes over a value does not notice what is wrong with it. */
    assert(again >= records && (rc < 0 || rc == other));
    return 0;
}
