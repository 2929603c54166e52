/* SPDX-License-Identifier: Apache-2.0 */
/* A row filter of the program `present`: its columns are found by their names, as a policy does. */
#ifndef TESTS_TOOLS_FILTER_OPTION_H
#define TESTS_TOOLS_FILTER_OPTION_H

#include "lake/format/filter.h"

#define FILTER_OPTION_VALUES_MAX 16

struct filter_option {
    const char *text; /* NULL: there is none */
    struct slice values[FILTER_OPTION_VALUES_MAX];
    size_t values_n;
};

static inline void filter_option_value(struct filter_option *o, const char *text)
{
    if (o->values_n < FILTER_OPTION_VALUES_MAX)
        o->values[o->values_n++] = strcmp(text, "\\N") == 0 ? SLICE_NONE : slice_of(text);
}

/* The field of that path, or 0. */
static inline uint32_t filter_option_find(const struct shape *s, struct filter_path path)
{
    uint32_t at = 0;
    for (size_t i = 0; i < path.n; i++) {
        uint32_t child = at + 1, end = s->fields[at].end;
        while (child < end && !slice_eq(s->fields[child].name, path.names[i]))
            child = s->fields[child].end;
        if (child >= end)
            return 0;
        at = child;
    }
    return at;
}

static inline int filter_option_bind(const struct filter_option *o, const struct shape *shape,
                                     const struct shape *partitions, struct row_filter **out,
                                     struct err *err)
{
    AUTO(filter) struct filter *f = NULL;
    struct filter_binding columns[64];
    int rc = filter_parse(slice_of(o->text), &f, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < filter_columns(f); i++) {
        uint32_t field = filter_option_find(shape, filter_column_path(f, i));
        columns[i] = (struct filter_binding){FILTER_FIELD, field};
        if (field == 0 && partitions)
            columns[i] = (struct filter_binding){
                FILTER_PARTITION, filter_option_find(partitions, filter_column_path(f, i))};
        if (columns[i].field == 0)
            columns[i].from = FILTER_ABSENT;
    }
    return filter_bind(f, columns, shape, partitions, out, err);
}

/* *gone: rows that are gone already, or NULL; with those that the filter takes out. */
static inline int filter_option_rows(const struct filter_option *o, const struct present_request *r,
                                     const struct shape *partitions, const struct source *source,
                                     struct roaring **gone, struct err *err)
{
    AUTO(row_filter) struct row_filter *filter = NULL;
    AUTO(present_plan) struct present_plan *plan = NULL;
    AUTO(roaring) struct roaring *filtered = NULL;
    AUTO(roaring) struct roaring *deleted = *gone;
    *gone = NULL;
    if (!r->shape)
        return err_set(err, EINVAL, "a filter needs the columns");
    int rc = filter_option_bind(o, r->shape, partitions, &filter, err);
    if (rc == 0 && o->values_n != row_filter_values(filter))
        rc = err_set(err, EINVAL, "%zu partition values are given", o->values_n);
    if (rc == 0)
        rc = row_filter_plan(filter, r->footer, r->object_bytes, &plan, err);
    if (rc == 0)
        rc = row_filter_rows(filter, plan, source, o->values, &filtered, err);
    if (rc == 0 && deleted)
        return roaring_union(deleted, filtered, gone, err);
    if (rc == 0)
        *gone = STEAL(filtered);
    return rc;
}

#endif
