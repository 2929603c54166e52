/* SPDX-License-Identifier: Apache-2.0 */
#include "base/glob.h"

#include "base/buf.h"
#include "base/fold.h"
#include "base/limits.h"

/* Parsing */

static int refuse(struct err *err, struct slice text, const char *why)
{
    return err_set(err, EINVAL, "the pattern %.*s %s", (int)(text.n < 200 ? text.n : 200), text.p,
                   why);
}

/* The text of a component in backticks, which begins behind the first; *rest is behind it. */
static int read_quoted(struct slice whole, struct slice *rest, struct buf *out, struct err *err)
{
    *rest = slice_from(*rest, 1);
    for (;;) {
        ptrdiff_t at = slice_find(*rest, '`');
        if (at < 0)
            return refuse(err, whole, "has a backtick without its second");
        buf_add(out, rest->p, (size_t)at);
        *rest = slice_from(*rest, (size_t)at + 1);
        if (rest->n == 0 || rest->p[0] != '`')
            return 0;
        buf_add_char(out, '`');
        *rest = slice_from(*rest, 1);
    }
}

static int read_plain(struct slice whole, const char *separators, struct slice *rest,
                      struct glob_part *part, struct buf *out, struct err *err)
{
    size_t n = 0;
    while (n < rest->n && !strchr(separators, rest->p[n])) {
        if (strchr("[]{}\\`", rest->p[n]))
            return refuse(err, whole, "has one of [ ] { } \\ ` in a name: put it into backticks");
        n++;
    }
    struct slice text = slice_make(rest->p, n);
    *rest = slice_from(*rest, n);
    buf_add_slice(out, text);
    part->kind = slice_find(text, '*') >= 0 || slice_find(text, '?') >= 0 ? GLOB_WILD : GLOB_NAME;
    if (slice_is(text, "**"))
        part->kind = GLOB_DEEP;
    else if (memmem(text.p, text.n, "**", 2))
        return refuse(err, whole, "has ** beside other characters; it stands alone");
    return 0;
}

/* One component, and what separates it from the next. */
static int read_part(struct slice whole, const char *separators, struct slice *rest,
                     struct glob_part *part, struct buf *out, struct err *err)
{
    bool quoted = rest->n && rest->p[0] == '`';
    part->kind = GLOB_NAME;
    int rc = quoted ? read_quoted(whole, rest, out, err)
                    : read_plain(whole, separators, rest, part, out, err);
    if (rc < 0)
        return rc;
    if (out->len == 0)
        return refuse(err, whole, "has an empty component");
    if (rest->n && !strchr(separators, rest->p[0]))
        return refuse(err, whole, "goes on behind a backtick in the same component");
    return 0;
}

int glob_parse(struct arena *arena, struct slice text, const char *separators, struct glob *out,
               struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    struct glob_part parts[GLOB_PARTS_MAX];
    struct slice rest = text;
    size_t n = 0;
    char before = 0;
    if (text.n == 0)
        return err_set(err, EINVAL, "a pattern is empty");
    if (text.n > GLOB_BYTES_MAX)
        return err_set(err, EOVERFLOW, "a pattern has more than %d bytes", GLOB_BYTES_MAX);
    buf_init(&scratch, GLOB_BYTES_MAX);
    for (;;) {
        if (n == GLOB_PARTS_MAX)
            return err_set(err, EOVERFLOW, "a pattern has more than %d components", GLOB_PARTS_MAX);
        buf_reset(&scratch);
        parts[n].before = before;
        int rc = read_part(text, separators, &rest, &parts[n], &scratch, err);
        if (rc == 0)
            rc = buf_check(&scratch, err);
        if (rc < 0)
            return rc;
        parts[n].text = arena_slice(arena, buf_slice(&scratch));
        if (!parts[n++].text.p)
            return arena_failed(arena, "a pattern", err);
        if (rest.n == 0)
            break;
        before = rest.p[0];
        rest = slice_from(rest, 1);
    }
    struct glob_part *kept = arena_calloc(arena, n, sizeof *kept);
    if (!kept)
        return arena_failed(arena, "a pattern", err);
    memcpy(kept, parts, n * sizeof *kept);
    *out = (struct glob){kept, n};
    return 0;
}

/* Matching */

/* `*` takes as little as it can, and one more each time the rest does not match. */
static bool wild_matches(struct slice pattern, struct slice name, bool folded)
{
    struct slice star_pattern = SLICE_NONE, star_name = SLICE_NONE;
    bool star = false;
    while (name.n) {
        struct slice p = pattern, s = name;
        bool matches;
        if (p.n && p.p[0] == '*') {
            star = true;
            star_pattern = pattern = slice_from(pattern, 1);
            star_name = name;
            continue;
        }
        if (p.n && p.p[0] == '?') {
            p = slice_from(p, 1);
            (void)fold_next(&s, false);
            matches = true;
        } else {
            matches = p.n && fold_next(&p, folded) == fold_next(&s, folded);
        }
        if (!matches && !star)
            return false;
        if (!matches) {
            (void)fold_next(&star_name, false);
            p = star_pattern;
            s = star_name;
        }
        pattern = p;
        name = s;
    }
    while (pattern.n && pattern.p[0] == '*')
        pattern = slice_from(pattern, 1);
    return pattern.n == 0;
}

static bool part_matches(const struct glob_part *part, struct slice name, bool folded)
{
    if (part->kind == GLOB_WILD)
        return wild_matches(part->text, name, folded);
    return folded ? fold_equal(part->text, name) : slice_eq(part->text, name);
}

/* Any of the names of a component. */
static bool any_matches(const struct glob_part *part, struct slice names, bool folded)
{
    for (ptrdiff_t end; (end = slice_find(names, GLOB_OR)) >= 0;
         names = slice_from(names, (size_t)end + 1))
        if (part_matches(part, slice_make(names.p, (size_t)end), folded))
            return true;
    return part_matches(part, names, folded);
}

/* What is left of a path; an empty component is one as well. */
struct rest {
    struct slice text;
    bool more;
};

static struct rest rest_of(struct slice path)
{
    return (struct rest){path, path.n > 0};
}

static struct slice take_component(struct rest *r, char separator)
{
    ptrdiff_t end = slice_find(r->text, separator);
    struct slice name = end < 0 ? r->text : slice_make(r->text.p, (size_t)end);
    r->more = end >= 0;
    r->text = slice_from(r->text, end < 0 ? r->text.n : (size_t)end + 1);
    return name;
}

bool glob_matches(const struct glob *g, struct slice path, char separator, bool folded)
{
    struct rest at = rest_of(path), deep_at = at;
    size_t i = 0, deep = SIZE_MAX; /* the part behind the last ** */
    while (at.more) {
        struct rest next = at;
        struct slice name;
        if (i < g->n && g->parts[i].kind == GLOB_DEEP) {
            deep = ++i;
            deep_at = at;
            continue;
        }
        name = take_component(&next, separator);
        if (i < g->n &&
            (separator == GLOB_OR_SEPARATOR ? any_matches(&g->parts[i], name, folded)
                                            : part_matches(&g->parts[i], name, folded))) {
            at = next;
            i++;
        } else if (deep != SIZE_MAX) {
            (void)take_component(&deep_at, separator);
            at = deep_at;
            i = deep;
        } else {
            return false;
        }
    }
    while (i < g->n && g->parts[i].kind == GLOB_DEEP)
        i++;
    return i == g->n;
}

bool glob_reaches(const struct glob *g, struct slice path, char separator)
{
    struct rest at = rest_of(path);
    for (size_t i = 0; at.more; i++) {
        if (i == g->n)
            return false;
        if (g->parts[i].kind == GLOB_DEEP)
            return true;
        if (!part_matches(&g->parts[i], take_component(&at, separator), false))
            return false;
    }
    return true;
}
