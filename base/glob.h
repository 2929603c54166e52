/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of paths, of tables (`silver/orders`) and of columns (`address.street`): a part for each
 * component of the path.
 *
 *   name      itself; `*` in it any characters, `?` any one
 *   **        any number of components, none too
 *   `a.b*`    in backticks: exactly what stands there, also what separates; `` is a backtick
 *
 * Not quoted, `[ ] { } \` and "**" inside a component are refused, for what they mean elsewhere:
 * a pattern that says nothing to us would hide nothing. Patterns are well-formed UTF-8; bytes of a
 * path that are not count as a character each. Pure, any thread.
 */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

#include "base/arena.h"

/* Between the names that one component has, in a path that GLOB_OR_SEPARATOR
 * divides: any of them matches. No byte of UTF-8 either. */
#define GLOB_OR '\xfe'
#define GLOB_OR_SEPARATOR '\xff'

/* Components of one pattern; and its bytes. */
#define GLOB_PARTS_MAX 128
#define GLOB_BYTES_MAX 4096

enum glob_kind {
    GLOB_NAME, /* exactly the text */
    GLOB_WILD, /* with * and ? */
    GLOB_DEEP, /* ** */
};

struct glob_part {
    struct slice text;
    enum glob_kind kind;
    char before; /* what separates it from the part before; 0: it is the first */
};

struct glob {
    const struct glob_part *parts;
    size_t n;
};

/*
 * A pattern whose components any of the separators divides; texts are copied to the arena. -EINVAL
 * with the reason (an empty component among them); -EOVERFLOW over a limit; -ENOMEM.
 */
int glob_parse(struct arena *arena, struct slice text, const char *separators, struct glob *out,
               struct err *err);

/* The path, divided at `separator`, matches; an empty path has no components. Folded: case does not
 * count (base/fold.h). */
bool glob_matches(const struct glob *g, struct slice path, char separator, bool folded);

/* Some path that is this one, or begins with its components, matches. */
bool glob_reaches(const struct glob *g, struct slice path, char separator);

#endif
