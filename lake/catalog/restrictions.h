/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a catalog requires of who reads a table: the read-restrictions of loadTable (Iceberg's
 * rest-catalog-open-api.yaml, ReadRestrictions; predicates: format/expressions-spec.md, Appendix
 * B).
 *
 *   {"required-row-filter": PREDICATE,          rows for which it is false are not there
 *    "required-column-projections": [           the others are shown as they are
 *      {"field-id": 3, "action": "mask-alphanum"}, ...]}
 *
 * Filters look at the values as they are stored, masks come after. What is not known here (an
 * action, a predicate, a function, a member of an object, a column by its name instead of its id)
 * refuses the whole: a part that is left out would show what must not be seen.
 *
 * Predicates have two values: a comparison with null is false, its negation true (Comparisons must
 * be null-safe). Pure; immutable, in the arena of whoever parses.
 */
#ifndef LAKE_CATALOG_RESTRICTIONS_H
#define LAKE_CATALOG_RESTRICTIONS_H

#include "base/arena.h"

enum restriction_action {
    RESTRICTION_MASK_ALPHANUM,
    RESTRICTION_FIXED_VALUE, /* "mask-to-fixed-value": by type, also of nulls */
    RESTRICTION_NULL,        /* "replace-with-null" */
    RESTRICTION_SHOW_FIRST_4,
    RESTRICTION_SHOW_LAST_4,
    RESTRICTION_TRUNCATE_TO_YEAR,
    RESTRICTION_TRUNCATE_TO_MONTH,
    RESTRICTION_SHA_256_GLOBAL,
    RESTRICTION_SHA_256_QUERY_LOCAL,
    RESTRICTION_ACTIONS, /* how many */
};

/* As it is sent. */
extern const char *const restriction_action_names[RESTRICTION_ACTIONS];

struct restriction_column {
    int32_t field_id;
    enum restriction_action action;
};

enum predicate_kind {
    PREDICATE_TRUE,
    PREDICATE_FALSE,
    PREDICATE_NOT, /* left */
    PREDICATE_AND, /* left, right */
    PREDICATE_OR,
    PREDICATE_IS_NULL, /* of field_id from here on */
    PREDICATE_NOT_NULL,
    PREDICATE_IS_NAN,
    PREDICATE_NOT_NAN,
    PREDICATE_LESS, /* with the one literal */
    PREDICATE_LESS_EQUAL,
    PREDICATE_GREATER,
    PREDICATE_GREATER_EQUAL,
    PREDICATE_EQUAL,
    PREDICATE_NOT_EQUAL,
    PREDICATE_STARTS_WITH,
    PREDICATE_NOT_STARTS_WITH,
    PREDICATE_IN, /* of the literals */
    PREDICATE_NOT_IN,
};

enum literal_kind { LITERAL_BOOL, LITERAL_NUMBER, LITERAL_STRING };

/* JSON single-value serialization (spec.md, Appendix D), by the column's type or `data_type`. */
struct literal {
    enum literal_kind kind;
    struct slice text;      /* decoded; a number as sent; "true", "false" */
    struct slice data_type; /* as sent: "decimal(9,2)"; empty: the column's */
};

struct predicate {
    enum predicate_kind kind;
    const struct predicate *left, *right;
    int32_t field_id;
    const struct literal *literals;
    size_t literals_n;
};

struct restrictions {
    const struct restriction_column *columns; /* each field once */
    size_t columns_n;
    const struct predicate *filter; /* NULL: none, and where it is always true */
};

/*
 * The value of `read-restrictions`. *out is NULL where nothing is required. -EOPNOTSUPP for what is
 * not known, -EIO for what is no JSON, -EOVERFLOW over a limit.
 */
int restrictions_parse(struct slice json, struct arena *arena, const struct restrictions **out,
                       struct err *err);

#endif
