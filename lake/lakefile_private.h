/* SPDX-License-Identifier: Apache-2.0 */
/* What lake/lakefile.c (life, questions), lake/lakefile_parse.c (keys), lake/lakefile_catalog.c
 * (those of catalogs) and lake/lakefile_value.c (values) share. */
#ifndef LAKE_LAKEFILE_PRIVATE_H
#define LAKE_LAKEFILE_PRIVATE_H

#include "base/arena.h"
#include "lake/lakefile.h"

struct lakefile_whole {
    struct lakefile file;
    struct arena arena; /* all of it */
};

struct lakefile_parser {
    struct lakefile *file;
    struct arena *arena;
    struct err *err;
};

/* One key of a mapping, and who reads its value. */
struct lakefile_member {
    const char *key;
    int (*parse)(struct lakefile_parser *p, const struct yaml_node *node, void *out);
};

#define wrong(p, place, ...) yaml_error((p)->err, EINVAL, (p)->file->name, place, __VA_ARGS__)
#define CUT(s) (int)((s).n < 100 ? (s).n : 100), (s).p

/* Zeroed room for a value of each member, or NULL and the error: it is no list (map) of something,
 * or has more than `most`. what: the message of the first. */
void *lakefile_allocate(struct lakefile_parser *p, const struct yaml_node *node,
                        enum yaml_kind kind, size_t most, const char *what, size_t size);

/* Every member of a mapping by its row; what: "a rule". */
int lakefile_members(struct lakefile_parser *p, const struct yaml_node *node, const char *what,
                     const struct lakefile_member *rows, size_t n, void *out);

/* A string of one line; what: "a URL". */
int lakefile_text(struct lakefile_parser *p, const struct yaml_node *node, const char *what,
                  const char **out);
int lakefile_flag(struct lakefile_parser *p, const struct yaml_node *node, bool *out);
/* The text: all of the node's, or the end of it. */
int lakefile_duration(struct lakefile_parser *p, const struct yaml_node *node, struct slice text,
                      int64_t *out);

/* An absolute path of this machine. */
int lakefile_path(struct lakefile_parser *p, const struct yaml_node *node, const char **out);
/* A store's URL or an absolute path. */
int lakefile_url(struct lakefile_parser *p, const struct yaml_node *node, const char **out);
/* A name that a directory of the lake has; what: "a layer". */
int lakefile_name(struct lakefile_parser *p, const struct yaml_node *node, const char *what);

/* `catalog` and `tables` of a layer, which is `out`. */
int lakefile_parse_catalog(struct lakefile_parser *p, const struct yaml_node *node, void *out);
int lakefile_parse_tables(struct lakefile_parser *p, const struct yaml_node *node, void *out);

/* Digits without a needless zero, and one letter of `units`. */
bool lakefile_has_unit(struct slice text, const char *units);
/* A storage class: letters, digits and underscores. */
bool lakefile_is_class(struct slice s);

#endif
