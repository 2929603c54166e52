/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The YAML of policies and lake files: a tree of mappings, sequences and strings, each with its
 * place in the file. Less than YAML 1.1, so that nothing is read in two ways:
 *
 *   refused   anchors, aliases, merge keys, tags, directives, further documents, duplicate keys,
 *             keys that are no strings, more than YAML_DEPTH_MAX levels, control characters, NUL,
 *             what is not UTF-8; plain words that YAML takes for another type (null, yes, 12), as
 * keys always, as values where the rules take none: they stand in quotes
 *
 * Pure. A tree lies in the arena of who asked for it.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/arena.h"

#define YAML_DEPTH_MAX 8

enum yaml_kind { YAML_STRING, YAML_LIST, YAML_MAP };

struct yaml_place {
    unsigned line, column; /* from 1; column in characters */
};

struct yaml_node {
    enum yaml_kind kind;
    struct slice text; /* of a string */
    bool typed;        /* a plain word that is no string in YAML; text is as it stands there */
    struct slice key;  /* of a member of a map */
    struct yaml_place place; /* of the node */
    struct yaml_place key_place;
    const struct yaml_node *first; /* of a list or map; in order */
    const struct yaml_node *next;  /* of the same list or map */
};

/* What is read. */
struct yaml_rules {
    const char *what; /* "a policy", for messages */
    size_t bytes_max;
    bool typed; /* values of other types than strings are taken; else refused */
};

/*
 * The file's one document. name: of the file, for messages, which begin with `name:line:column: `.
 * -EINVAL, -EOVERFLOW over bytes_max or the arena's maximum, -ENOMEM.
 */
int yaml_parse(struct arena *arena, struct slice text, const char *name,
               const struct yaml_rules *rules, const struct yaml_node **out, struct err *err);

/* err_set with the place before the message. */
__attribute__((format(printf, 5, 6))) int yaml_error(struct err *err, int code, const char *name,
                                                     struct yaml_place at, const char *fmt, ...);

/* err_wrap with the place: of an error that something else told of a text that stands there. */
int yaml_wrap(struct err *err, const char *name, struct yaml_place at);

#endif
