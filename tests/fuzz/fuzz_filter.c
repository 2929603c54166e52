/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property: whatever a row filter's text and partition values are, parsing, binding and deciding
 * end in bounded memory; what is known decides all; and no row is kept both by an expression and by
 * its negation.
 *
 *   [length of the partition value: 1 byte][value][text]
 */
#include <assert.h>

#include "base/limits.h"
#include "lake/format/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A column of each type. */
static struct shape *all_types(void)
{
    AUTO(shape_builder) struct shape_builder b;
    struct shape *s = NULL;
    char name[] = "a";
    shape_builder_init(&b, SHAPE_BY_NAME);
    for (uint8_t type = SHAPE_BOOLEAN; type <= SHAPE_UNKNOWN; type++, name[0]++)
        shape_add(&b, &(struct shape_field){.name = {name, 1},
                                            .id = SHAPE_NO_ID,
                                            .nullable = true,
                                            .type = type,
                                            .precision = 20,
                                            .scale = 3,
                                            .length = 4});
    int rc = shape_finish(&b, &s, NULL);
    assert(rc == 0);
    return s;
}

/* Columns of one letter are those of that place in the alphabet, others absent. */
static int bind(struct filter *f, const struct shape *s, struct row_filter **out)
{
    struct filter_binding columns[FILTER_COLUMNS_MAX];
    struct err err = ERR_INIT;
    for (size_t i = 0; i < filter_columns(f); i++) {
        struct slice name = filter_column(f, i);
        uint32_t field = name.n == 1 && name.p[0] >= 'a' ? (uint32_t)(name.p[0] - 'a' + 1) : 0;
        bool known = field > 0 && field < s->fields_n;
        columns[i] = (struct filter_binding){known ? FILTER_PARTITION : FILTER_ABSENT, field};
    }
    int rc = filter_bind(f, columns, NULL, s, out, &err);
    assert(rc == -err.code);
    return rc;
}

static void check(const struct row_filter *rf, const struct row_filter *negated, struct slice value)
{
    struct slice values[SHAPE_UNKNOWN + 1];
    bool known[SHAPE_UNKNOWN + 1] = {false};
    assert(row_filter_values(rf) <= ARRAY_SIZE(values));
    for (size_t i = 0; i < ARRAY_SIZE(values); i++)
        values[i] = value;
    enum filter_answer is = row_filter_partition(rf, values, NULL);
    enum filter_answer is_not = row_filter_partition(negated, values, NULL);
    assert(is != FILTER_SOME && is_not != FILTER_SOME);
    assert(is != FILTER_ALL || is_not != FILTER_ALL);
    enum filter_answer maybe = row_filter_partition(rf, values, known);
    assert(maybe == FILTER_SOME || maybe == is || is == FILTER_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(filter) struct filter *f = NULL, *not_f = NULL;
    AUTO(row_filter) struct row_filter *rf = NULL, *not_rf = NULL;
    AUTO(shape) struct shape *s = all_types();
    AUTO(buf) struct buf text = {0};
    struct err err = ERR_INIT;
    size_t n = size ? data[0] : 0;
    if (size < 1 + n)
        return 0;
    struct slice value = slice_make(data + 1, n);
    struct slice rest = slice_make(data + 1 + n, size - 1 - n);
    int rc = filter_parse(rest, &f, &err);
    assert(rc == -err.code);
    buf_init(&text, size + 10);
    buf_add_str(&text, "not (");
    buf_add_slice(&text, rest);
    buf_add_str(&text, ")");
    if (rc < 0 || filter_parse(buf_slice(&text), &not_f, NULL) < 0)
        return 0;
    if (bind(f, s, &rf) < 0)
        return 0;
    rc = bind(not_f, s, &not_rf);
    assert(rc == 0);
    check(rf, not_rf, value);
    return 0;
}
