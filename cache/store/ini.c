/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/ini.h"

#include <strings.h>

struct ini {
    struct slice rest;
    struct slice section; /* of the lines that come; empty before the first */
    size_t indent;        /* of the last line that was no part of another */
    bool in_setting;      /* there was a setting in this section: what is more indented is its */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static struct slice trim(struct slice s)
{
    while (s.n && is_blank(s.p[0]))
        s = slice_from(s, 1);
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* The next line without its end. */
static struct slice take_line(struct ini *r)
{
    ptrdiff_t end = slice_find(r->rest, '\n');
    struct slice line = end < 0 ? r->rest : slice_make(r->rest.p, (size_t)end);
    r->rest = slice_from(r->rest, end < 0 ? r->rest.n : (size_t)end + 1);
    return line;
}

/* A line that is a section's: true, and the reader is in it. */
static bool enter_section(struct ini *r, struct slice line)
{
    ptrdiff_t end = slice_find(line, ']');
    if (!slice_starts(line, SLICE_LIT("[")) || end < 0)
        return false;
    r->section = trim(slice_make(line.p + 1, (size_t)end - 1));
    r->in_setting = false;
    return true;
}

/* The line goes on with the setting before it. */
static bool goes_on(struct ini *r, struct slice line)
{
    size_t indent = 0;
    while (indent < line.n && is_blank(line.p[indent]))
        indent++;
    if (r->in_setting && indent > r->indent)
        return true;
    r->indent = indent;
    return false;
}

enum line { LINE_OTHER, LINE_SECTION, LINE_SETTING };

static enum line read_line(struct ini *r, struct slice *key, struct slice *value)
{
    struct slice line = take_line(r), bare = trim(line);
    if (bare.n == 0 || bare.p[0] == '#' || bare.p[0] == ';' || goes_on(r, line))
        return LINE_OTHER;
    if (enter_section(r, bare))
        return LINE_SECTION;
    size_t at = 0;
    while (at < bare.n && bare.p[at] != '=' && bare.p[at] != ':')
        at++;
    if (at == 0 || at == bare.n)
        return LINE_OTHER;
    *key = trim(slice_make(bare.p, at));
    *value = trim(slice_from(bare, at + 1));
    r->in_setting = true;
    return LINE_SETTING;
}

static struct slice unquote(struct slice s)
{
    bool quoted = s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0];
    return quoted ? slice_make(s.p + 1, s.n - 2) : s;
}

static bool section_is(struct slice section, const char *kind, const char *name)
{
    struct slice before = slice_of(kind);
    if (before.n) {
        bool of_kind =
            slice_starts(section, before) && section.n > before.n && is_blank(section.p[before.n]);
        if (!of_kind)
            return false;
        section = trim(slice_from(section, before.n));
    }
    return slice_is(unquote(section), name);
}

static bool is_named(struct slice key, const char *name)
{
    return key.n == strlen(name) && strncasecmp(key.p, name, key.n) == 0;
}

bool ini_find(struct slice text, const char *kind, const char *name, const char *key,
              struct slice *value)
{
    struct ini r = {.rest = text};
    struct slice k, v;
    bool found = false;
    while (r.rest.n)
        if (read_line(&r, &k, &v) == LINE_SETTING && section_is(r.section, kind, name) &&
            is_named(k, key)) {
            *value = v;
            found = true;
        }
    return found;
}

bool ini_has_section(struct slice text, const char *kind, const char *name)
{
    struct ini r = {.rest = text};
    struct slice k, v;
    while (r.rest.n)
        if (read_line(&r, &k, &v) == LINE_SECTION && section_is(r.section, kind, name))
            return true;
    return false;
}
