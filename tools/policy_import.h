/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the parts of `tarn policy import`: JSON that an API answered becomes grants in YAML.
 * A rule that we cannot express gives nothing and leaves a comment that says so; nothing is
 * guessed, and nobody is given more than the other catalog gives him.
 */
#ifndef TOOLS_POLICY_IMPORT_H
#define TOOLS_POLICY_IMPORT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/vec.h"

/* Files, rules and names of one import. */
#define IMPORT_BYTES_MAX ((size_t)256 << 20)
#define IMPORT_ITEMS_MAX ((size_t)1 << 20)

/* An answer, as it was read. */
struct import_file {
    struct slice arg;  /* as the command line has it */
    struct slice name; /* what it tells of, where the command line says it; else empty */
    struct slice text;
};

/* What a path consists of; empty: there is no such part. */
struct import_table {
    struct slice catalog, schema, table; /* schema: Lake Formation's database */
    bool every;                          /* every table of the schema, whatever `table` is */
};

struct import {
    struct arena arena;
    struct buf out;
    const char *path_template; /* of a table's path: {catalog} {schema} {database} {table} */
    VEC(struct import_file) files;
    struct import_table first; /* of which there was a grant; no table: none yet */
    size_t left_out;           /* rules that could not be expressed */
    struct err *err;
};

/* One catalog each: the grants of im->files to im->out. */
int import_lake_formation(struct import *im);
int import_unity_catalog(struct import *im);

/* JSON. A value is its text; SLICE_NONE: it is not there, or null. */

struct slice import_member(struct slice object, const char *name);
/* A string decoded, in the arena; empty where the value is no string. */
struct slice import_text(struct import *im, struct slice value);
struct slice import_text_of(struct import *im, struct slice object, const char *name);
/* The next element of an array; begin with *rest the array. False at the end. */
bool import_next(struct slice *rest, struct slice *element);

/* Every file has a member that is called so; else -EINVAL: it is no answer of `what`.
 * empty: a list of nothing has no member at all there. */
int import_require(struct import *im, const char *const *names, bool empty, const char *what);

/* A list of texts. */
struct import_list {
    struct slice *at;
    size_t n, capacity, max;
};
int import_list_add(struct import *im, struct import_list *list, struct slice text);
bool import_list_has(const struct import_list *list, struct slice text);
/* The array's strings, in the arena but for the list itself, which is the caller's. */
int import_strings(struct import *im, struct slice array, struct import_list *out);

/* YAML */

struct import_grant {
    const struct import_list *to; /* principals, as policies write them */
    const struct import_table *table;
    const struct import_list *hide, *only; /* patterns; NULL: not said */
    const struct import_list *mask;        /* pattern and mask by turns */
    struct slice rows;                     /* empty: not said */
};
int import_grant(struct import *im, const struct import_grant *g);

/* A comment for a rule that is left out; and one besides. */
__attribute__((format(printf, 2, 3))) void import_left_out(struct import *im, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void import_note(struct import *im, const char *fmt, ...);

/* A name as a pattern that means it and nothing else. */
struct slice import_literal(struct import *im, struct slice name);

/* The condition, where our filters say the same; else empty. */
struct slice import_condition(struct slice text);

#endif
