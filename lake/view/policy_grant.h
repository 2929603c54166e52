/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy is made of, for those who read and apply it: policy*.c, view*.c, `tarn policy`.
 *
 *   grant ─┬─ to       grantees
 *          ├─ tables   globs
 *          └─ hide, only, mask: terms, as they stand in the file, in order
 *                └─ a term: one pattern, or the patterns of a class ─► rules
 *
 * A class's pattern joins table and column with dots. Where the table's last name may have dots of
 * its own there are several readings, a rule each: `silver/a.b.c` is b.c of silver/a, and c of
 * silver/a.b. What keeps back follows all of them, what shows (`only`) the first one.
 */
#ifndef LAKE_VIEW_POLICY_GRANT_H
#define LAKE_VIEW_POLICY_GRANT_H

#include "base/glob.h"
#include "base/yaml.h"
#include "lake/format/filter.h"
#include "lake/format/shape.h"
#include "lake/view/policy.h"

enum grantee_kind { GRANTEE_ROLE, GRANTEE_USER, GRANTEE_GROUP, GRANTEE_EVERYONE };

struct grantee {
    enum grantee_kind kind;
    struct slice name;
};

struct column_rule {
    struct glob table; /* no parts: every table of the grant */
    struct glob column;
    bool second; /* not the first reading */
};

struct column_term {
    struct slice text; /* as it stands in the file */
    struct yaml_place place;
    const struct column_rule *rules;
    size_t rules_n;
    uint8_t mask; /* enum shape_mask; of `mask` */
};

struct column_terms {
    const struct column_term *at; /* NULL: the grant does not say it */
    size_t n;
};

struct grant {
    struct yaml_place place;
    const struct grantee *to;
    size_t to_n;
    const struct glob *tables;
    size_t tables_n;
    struct column_terms hide, only, mask;
    const int32_t *mask_ids; /* of `mask`'s terms: the fields meant; NULL: names alone */
    struct filter *rows;     /* NULL: all; a reference of the policy's */
    struct slice rows_text;
    struct yaml_place rows_place;
};

/* What is no error, and hardly meant. */
struct policy_warning {
    struct yaml_place place;
    struct slice text; /* the pattern of a table, with an `@` outside of backticks */
    const struct policy_warning *next;
};

struct policy {
    struct arena arena;
    struct policy_warning *warnings; /* in the file's order; NULL: none */
    struct grant *grants;
    size_t grants_n;
};

/* What separates the names of a column's path in column_name: no byte of UTF-8. */
#define COLUMN_SEPARATOR GLOB_OR_SEPARATOR

/* A column as patterns see it. */
struct column_name {
    struct slice full;    /* its names from the top; element, key, value where it is below a list or
                             map */
    struct slice shorter; /* without these three; p NULL: it has none */
    bool dotted;          /* a name has a dot in it */
    bool opaque;          /* a leaf that has fields of its own (variants), of which none is known */
};

/*
 * The first term that names the column, or NULL. narrow: as `only` reads patterns, by the full path
 * and letter by letter; else as hide and mask do, which take whatever may be meant: case does not
 * count, lists and maps may be passed over, dots within names are dots between names too, and a
 * name in an opaque column is all of it.
 */
const struct column_term *column_terms_find(const struct column_terms *terms, struct slice table,
                                            const struct column_name *column, bool narrow);

#endif
