/* SPDX-License-Identifier: Apache-2.0 */
/* The hash table, against a model that is an array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "base/clock.h"
#include "base/map.h"

/* An empty table finds, removes and lists nothing. */
static void test_empty(void **state)
{
    (void)state;
    AUTO(map) struct map m = {0};
    map_init(&m, 10);
    size_t at = 0;
    assert_null(map_find(&m, SLICE_LIT("a")));
    assert_null(map_remove(&m, SLICE_LIT("a")));
    assert_null(map_next(&m, &at));
}

/* At the maximum new keys are refused, known ones are still replaced, and a removal makes room. */
static void test_maximum(void **state)
{
    (void)state;
    int values[4];
    AUTO(map) struct map m = {0};
    map_init(&m, 2);
    assert_int_equal(map_put(&m, SLICE_LIT("a"), &values[0]), 0);
    assert_int_equal(map_put(&m, SLICE_LIT("b"), &values[1]), 0);
    assert_int_equal(map_put(&m, SLICE_LIT("c"), &values[2]), -EOVERFLOW);
    assert_int_equal(map_put(&m, SLICE_LIT("a"), &values[3]), 0);
    assert_ptr_equal(map_find(&m, SLICE_LIT("a")), &values[3]);
    assert_ptr_equal(map_remove(&m, SLICE_LIT("b")), &values[1]);
    assert_int_equal(map_put(&m, SLICE_LIT("c"), &values[2]), 0);
    assert_int_equal(m.count, 2);
}

/* Keys are bytes with a length: the empty one, ones with zeros, and prefixes of others differ. */
static void test_keys_are_bytes(void **state)
{
    (void)state;
    static const struct slice keys[] = {{NULL, 0}, {"\0", 1},  {"\0\0", 2},
                                        {"a", 1},  {"a\0", 2}, {"ab", 2}};
    int values[ARRAY_SIZE(keys)];
    AUTO(map) struct map m = {0};
    map_init(&m, 100);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        assert_int_equal(map_put(&m, keys[i], &values[i]), 0);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        assert_ptr_equal(map_find(&m, keys[i]), &values[i]);
}

/* The entry refers to the key that was put last, as the one before may be freed with its value. */
static void test_replacing_takes_the_new_key(void **state)
{
    (void)state;
    int value = 0;
    char one[] = "key", two[] = "key";
    AUTO(map) struct map m = {0};
    map_init(&m, 10);
    assert_int_equal(map_put(&m, slice_of(one), &value), 0);
    assert_int_equal(map_put(&m, slice_of(two), &value), 0);
    size_t at = 0;
    assert_ptr_equal(map_next(&m, &at)->key.p, two);
    assert_null(map_next(&m, &at));
}

#define MODEL_KEYS 700

struct model {
    char names[MODEL_KEYS][16];
    void *values[MODEL_KEYS]; /* NULL: absent */
    size_t count;
};

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

/* The table lists each key of the model once, and no other. */
static void check_listing(const struct map *m, const struct model *model)
{
    bool seen[MODEL_KEYS] = {false};
    const struct map_entry *e;
    size_t n = 0;
    for (size_t at = 0; (e = map_next(m, &at)); n++) {
        size_t i = (size_t)((const char(*)[16])(const void *)e->key.p - model->names);
        assert_false(seen[i]);
        seen[i] = true;
        assert_ptr_equal(e->value, model->values[i]);
    }
    assert_int_equal(n, model->count);
}

/* After any puts, replacements and removals the table holds what the model holds. */
static void test_random_against_a_model(void **state)
{
    (void)state;
    static struct model model;
    static char targets[1000];
    uint64_t seed = (uint64_t)clock_real_ms();
    print_message("seed %llu\n", (unsigned long long)seed);
    AUTO(map) struct map m = {0};
    map_init(&m, MODEL_KEYS);
    for (size_t i = 0; i < MODEL_KEYS; i++)
        (void)snprintf(model.names[i], sizeof model.names[i], "name-%zu", i);
    for (int step = 0; step < 200000; step++) {
        size_t i = next_random(&seed) % MODEL_KEYS;
        bool growing = step / 5000 % 2 == 0; /* fills and empties in turns */
        if (next_random(&seed) % 3 == (growing ? 0U : 1U) || (!growing && step % 2)) {
            assert_ptr_equal(map_remove(&m, slice_of(model.names[i])), model.values[i]);
            model.count -= model.values[i] != NULL;
            model.values[i] = NULL;
        } else {
            void *value = &targets[next_random(&seed) % sizeof targets];
            assert_int_equal(map_put(&m, slice_of(model.names[i]), value), 0);
            model.count += model.values[i] == NULL;
            model.values[i] = value;
        }
        size_t other = next_random(&seed) % MODEL_KEYS;
        assert_ptr_equal(map_find(&m, slice_of(model.names[other])), model.values[other]);
        assert_int_equal(m.count, model.count);
        if (step % 1000 == 0)
            check_listing(&m, &model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_keys_are_bytes),
        cmocka_unit_test(test_replacing_takes_the_new_key),
        cmocka_unit_test(test_random_against_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
