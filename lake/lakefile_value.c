/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings and values of a lake file, whatever they are of. */
#include "base/limits.h"
#include "base/text.h"
#include "cache/store/url.h"
#include "lake/lakefile_private.h"

#define CLASS_BYTES_MAX 64
#define NUMBER_DIGITS_MAX 6    /* of durations and sizes */
#define NAME_CHARACTERS_MAX 63 /* a directory's name of 252 bytes */

static size_t count(const struct yaml_node *node)
{
    size_t n = 0;
    for (const struct yaml_node *i = node->first; i; i = i->next)
        n++;
    return n;
}

void *lakefile_allocate(struct lakefile_parser *p, const struct yaml_node *node,
                        enum yaml_kind kind, size_t most, const char *what, size_t size)
{
    size_t n = count(node);
    if (node->kind != kind || !n) {
        (void)wrong(p, node->place, "%s", what);
        return NULL;
    }
    if (n > most) {
        (void)wrong(p, node->place, "%zu are too many: at most %zu are taken here", n, most);
        return NULL;
    }
    void *room = arena_calloc(p->arena, n, size);
    if (!room)
        (void)arena_failed(p->arena, "a lake file", p->err);
    return room;
}

int lakefile_members(struct lakefile_parser *p, const struct yaml_node *node, const char *what,
                     const struct lakefile_member *rows, size_t n, void *out)
{
    int rc = node->kind == YAML_MAP ? 0 : wrong(p, node->place, "%s has keys", what);
    for (const struct yaml_node *i = node->first; rc == 0 && i; i = i->next) {
        size_t row = 0;
        while (row < n && !slice_is(i->key, rows[row].key))
            row++;
        if (row < n) {
            rc = rows[row].parse(p, i, out);
            continue;
        }
        AUTO(buf) struct buf keys = {0};
        buf_init(&keys, sizeof p->err->msg);
        for (row = 0; row < n; row++)
            buf_addf(&keys, "%s%s", row ? ", " : "", rows[row].key);
        rc = wrong(p, i->key_place, "%s has no \"%.*s\"; it has %s", what, CUT(i->key),
                   keys.failed ? "others" : keys.data);
    }
    return rc;
}

int lakefile_text(struct lakefile_parser *p, const struct yaml_node *node, const char *what,
                  const char **out)
{
    if (node->kind != YAML_STRING || !node->text.n)
        return wrong(p, node->place, "%s is text", what);
    if (node->typed)
        return wrong(p, node->place,
                     "%s is text, and \"%.*s\" is no string in YAML: in quotes it is", what,
                     CUT(node->text));
    for (size_t i = 0; i < node->text.n; i++)
        if (strchr("\n\t", node->text.p[i]))
            return wrong(p, node->place, "%s is one line without tabs", what);
    *out = node->text.p; /* the arena puts a zero behind it */
    return 0;
}

int lakefile_path(struct lakefile_parser *p, const struct yaml_node *node, const char **out)
{
    if (node->kind == YAML_STRING && node->text.n && node->text.p[0] != '/')
        return wrong(p, node->place, "%.*s is an absolute path", CUT(node->key));
    return lakefile_text(p, node, node->key.p, out);
}

int lakefile_url(struct lakefile_parser *p, const struct yaml_node *node, const char **out)
{
    AUTO(url) struct url url = {.kind = URL_LOCAL};
    int rc = lakefile_text(p, node, "a URL", out);
    if (rc < 0)
        return rc;
    if (**out != '/' && !strstr(*out, "://")) /* relative to what, in a daemon? */
        return wrong(p, node->place,
                     "a store is a URL such as s3://bucket/prefix, or an absolute "
                     "path");
    return url_parse(node->text, &url, p->err) < 0 ? yaml_wrap(p->err, p->file->name, node->place)
                                                   : 0;
}

/* What may be a directory's name, and no ref, document or pattern is mistaken for. */
int lakefile_name(struct lakefile_parser *p, const struct yaml_node *node, const char *what)
{
    size_t n = 0;
    for (struct slice s = node->key; s.n; s = slice_from(s, utf8_length(s)), n++)
        if ((unsigned char)s.p[0] < 0x20 || strchr("/@", s.p[0]))
            return wrong(p, node->key_place, "%s's name has no / and no @", what);
    if (!n || n > NAME_CHARACTERS_MAX)
        return wrong(p, node->key_place, "%s's name has 1 to %d characters", what,
                     NAME_CHARACTERS_MAX);
    return strchr("._", node->key.p[0]) ? wrong(p, node->key_place,
                                                "%s's name begins with no . and no _: Arrow and "
                                                "Spark skip such names",
                                                what)
                                        : 0;
}

int lakefile_flag(struct lakefile_parser *p, const struct yaml_node *node, bool *out)
{
    bool is = node->kind == YAML_STRING && node->typed;
    *out = is && slice_is(node->text, "true");
    return *out || (is && slice_is(node->text, "false"))
               ? 0
               : wrong(p, node->place, "%.*s is true or false", CUT(node->key));
}

bool lakefile_has_unit(struct slice text, const char *units)
{
    size_t n = 0;
    while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9')
        n++;
    return n && n <= NUMBER_DIGITS_MAX && (n == 1 || text.p[0] != '0') && text.n == n + 1 &&
           strchr(units, text.p[n]);
}

int lakefile_duration(struct lakefile_parser *p, const struct yaml_node *node, struct slice text,
                      int64_t *out)
{
    if (node->kind != YAML_STRING || !lakefile_has_unit(text, "smhd") ||
        !text_parse_duration_ms(text, out))
        return wrong(p, node->place, "%.*s takes a time such as 30d, 12h, 90m or 10s",
                     CUT(node->key));
    return 0;
}

bool lakefile_is_class(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '_')))
            return false;
    }
    return s.n && s.n <= CLASS_BYTES_MAX;
}
