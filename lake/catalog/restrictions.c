/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/restrictions.h"

#include "base/limits.h"
#include "base/vec.h"
#include "lake/catalog/pairs.h"
#include "lake/catalog/predicate.h"

/* Columns of one table: training tables have 100,000. */
#define COLUMNS_MAX ((size_t)1 << 17)
#define ACTION_BYTES 64

const char *const restriction_action_names[RESTRICTION_ACTIONS] = {
    [RESTRICTION_MASK_ALPHANUM] = "mask-alphanum",
    [RESTRICTION_FIXED_VALUE] = "mask-to-fixed-value",
    [RESTRICTION_NULL] = "replace-with-null",
    [RESTRICTION_SHOW_FIRST_4] = "show-first-4",
    [RESTRICTION_SHOW_LAST_4] = "show-last-4",
    [RESTRICTION_TRUNCATE_TO_YEAR] = "truncate-to-year",
    [RESTRICTION_TRUNCATE_TO_MONTH] = "truncate-to-month",
    [RESTRICTION_SHA_256_GLOBAL] = "sha-256-global",
    [RESTRICTION_SHA_256_QUERY_LOCAL] = "sha-256-query-local",
};

static int refuse(struct slice what, const char *where, struct err *err)
{
    AUTO(buf) struct buf shown = {0};
    buf_init(&shown, 400);
    buf_add_json(&shown, slice_make(what.p, what.n < ACTION_BYTES ? what.n : ACTION_BYTES));
    return err_set(err, EOPNOTSUPP, "read-restrictions with %s %s, which is not known here", where,
                   shown.data ? shown.data : "");
}

static int read_action(struct json *j, enum restriction_action *out, struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice s;
    buf_init(&scratch, KIB);
    if (!json_string(j, &scratch, &s))
        return err_set(err, EIO, "read-restrictions: an action that is no text");
    for (int i = 0; i < RESTRICTION_ACTIONS; i++)
        if (slice_is(s, restriction_action_names[i])) {
            *out = (enum restriction_action)i;
            return 0;
        }
    return refuse(s, "the action", err);
}

/* {"field-id": 3, "action": "mask-alphanum"}: whatever else there is changes what it means. */
static int read_column(struct json *j, struct restriction_column *out, struct err *err)
{
    struct slice key;
    int64_t id = -1;
    bool has_action = false;
    int rc = json_enter_object(j) ? 0 : err_set(err, EIO, "read-restrictions: no column");
    while (rc == 0 && json_next_key(j, &key)) {
        if (slice_is(key, "action") && !has_action) {
            rc = read_action(j, &out->action, err);
            has_action = true;
        } else if (slice_is(key, "field-id") && id < 0) {
            if (!json_int64(j, &id) || id < 0 || id > INT32_MAX)
                rc = err_set(err, EIO, "read-restrictions: a field-id that is none");
        } else {
            rc = refuse(key, "a column's member", err);
        }
    }
    if (rc == 0 && (json_failed(j) || id < 0 || !has_action))
        rc = err_set(err, EIO, "read-restrictions: a column without a field-id or an action");
    if (rc == 0)
        out->field_id = (int32_t)id;
    return rc;
}

static int by_field(const void *a, const void *b)
{
    const struct restriction_column *x = a, *y = b;
    return (x->field_id > y->field_id) - (x->field_id < y->field_id);
}

static int keep_columns(struct restriction_column *at, size_t n, struct arena *arena,
                        struct restrictions *out, struct err *err)
{
    if (n)
        qsort(at, n, sizeof *at, by_field);
    for (size_t i = 1; i < n; i++)
        if (at[i].field_id == at[i - 1].field_id)
            return err_set(err, EIO, "read-restrictions: the field %d has two actions",
                           (int)at[i].field_id);
    struct restriction_column *copy = arena_calloc(arena, n ? n : 1, sizeof *copy);
    if (!copy)
        return arena_failed(arena, "read-restrictions", err);
    if (n)
        memcpy(copy, at, n * sizeof *copy);
    out->columns = copy;
    out->columns_n = n;
    return 0;
}

static int read_columns(struct json *j, struct arena *arena, struct restrictions *out,
                        struct err *err)
{
    VEC(struct restriction_column) all = VEC_MAX(COLUMNS_MAX);
    int rc = 0;
    if (json_null(j))
        return 0;
    if (!json_enter_array(j))
        return err_set(err, EIO, "read-restrictions: required-column-projections is no array");
    while (rc == 0 && json_next_element(j)) {
        struct restriction_column one = {0};
        rc = read_column(j, &one, err);
        if (rc == 0 && (rc = vec_push(&all, one)) < 0)
            rc = err_set(err, -rc, "read-restrictions: too many columns");
    }
    if (rc == 0 && json_failed(j))
        rc = json_error(j, err);
    if (rc == 0)
        rc = keep_columns(all.at, all.n, arena, out, err);
    vec_done(&all);
    return rc;
}

static int read_members(struct json *j, struct arena *arena, struct restrictions *out,
                        struct err *err)
{
    struct slice key;
    bool has_filter = false, has_columns = false;
    int rc = json_enter_object(j) ? 0 : err_set(err, EIO, "read-restrictions are no object");
    while (rc == 0 && json_next_key(j, &key)) {
        if (slice_is(key, "required-row-filter") && !has_filter) {
            has_filter = true;
            rc = json_null(j) ? 0 : predicate_read(j, arena, &out->filter, err);
        } else if (slice_is(key, "required-column-projections") && !has_columns) {
            has_columns = true;
            rc = read_columns(j, arena, out, err);
        } else {
            rc = refuse(key, "a member", err);
        }
    }
    if (rc == 0 && (json_failed(j) || !json_at_end(j)))
        rc = catalog_read_failed(j, arena, "read-restrictions", err);
    return rc;
}

int restrictions_parse(struct slice json, struct arena *arena, const struct restrictions **out,
                       struct err *err)
{
    struct json j;
    json_init(&j, json);
    if (json_null(&j) && json_at_end(&j)) {
        *out = NULL;
        return 0;
    }
    struct restrictions *r = arena_calloc(arena, 1, sizeof *r);
    if (!r)
        return arena_failed(arena, "read-restrictions", err);
    int rc = read_members(&j, arena, r, err);
    if (rc < 0)
        return rc;
    if (r->filter && r->filter->kind == PREDICATE_TRUE)
        r->filter = NULL;
    *out = r->filter || r->columns_n ? r : NULL;
    return 0;
}
