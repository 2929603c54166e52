/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml.h"

#include <stdarg.h>
#include <yaml.h>

#include "base/map.h"
#include "base/text.h"

/* Members of one mapping. */
#define MEMBERS_MAX ((size_t)1 << 20)

struct level {
    struct yaml_node *node, *last; /* last: of its members */
    struct map keys;               /* of a mapping */
    struct slice key;              /* that was read, and its value was not; p NULL: none */
    struct yaml_place key_place;
    bool flow; /* a map between braces */
};

struct reader {
    yaml_parser_t parser;
    struct arena *arena;
    const char *name;
    const struct yaml_rules *rules;
    struct err *err;
    struct level levels[YAML_DEPTH_MAX];
    size_t depth;
    struct yaml_node *root;
    unsigned documents;
};

int yaml_error(struct err *err, int code, const char *name, struct yaml_place at, const char *fmt,
               ...)
{
    struct err e = ERR_INIT;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(e.msg, sizeof e.msg, fmt, ap);
    va_end(ap);
    return err_set(err, code, "%s:%u:%u: %s", name, at.line, at.column, e.msg);
}

int yaml_wrap(struct err *err, const char *name, struct yaml_place at)
{
    struct err e = err ? *err : (struct err)ERR_INIT;
    return yaml_error(err, e.code ? e.code : EIO, name, at, "%s", e.msg);
}

static struct yaml_place place_of(yaml_mark_t mark)
{
    return (struct yaml_place){(unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

static void reader_done(struct reader *r)
{
    for (size_t i = 0; i < YAML_DEPTH_MAX; i++)
        map_done(&r->levels[i].keys);
    yaml_parser_delete(&r->parser);
}
DEFINE_AUTO_DONE(reader, struct reader, reader_done)

static int out_of_memory(struct reader *r)
{
    return arena_failed(r->arena, r->rules->what, r->err);
}

/* Before libyaml sees it: it takes a NUL for the end, and tells no line of bytes that are wrong. */
static int check_bytes(struct slice text, const char *name, const struct yaml_rules *rules,
                       struct err *err)
{
    struct yaml_place at = {1, 1};
    struct slice rest = text;
    if (text.n > rules->bytes_max)
        return yaml_error(err, EOVERFLOW, name, at, "%s has at most %zu bytes, this one %zu",
                          rules->what, rules->bytes_max, text.n);
    while (rest.n) {
        size_t n = utf8_length(rest);
        if (n == 0 || rest.p[0] == '\0')
            return yaml_error(err, EINVAL, name, at,
                              n ? "a NUL character" : "bytes that are not UTF-8");
        at.column++;
        if (rest.p[0] == '\n')
            at = (struct yaml_place){at.line + 1, 1};
        rest = slice_from(rest, n);
    }
    return 0;
}

static bool one_of(struct slice text, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text.n == strlen(words[i]) && strncasecmp(text.p, words[i], text.n) == 0)
            return true;
    return false;
}

/* Does some reader of YAML (1.1, 1.2) take that plain word for something else than a string? */
static bool is_other_type(struct slice text)
{
    static const char *const words[] = {"",    "~",  "null", "true", "false", "yes",   "no",  "on",
                                        "off", "<<", "=",    ".inf", "+.inf", "-.inf", ".nan"};
    bool digit = false;
    if (one_of(text, words, ARRAY_SIZE(words)))
        return true;
    struct slice number = slice_from(text, text.p[0] == '+' || text.p[0] == '-');
    bool other_base = number.n > 1 && number.p[0] == '0' && strchr("xXbB", number.p[1]);
    for (size_t i = 0; i < text.n; i++) {
        if (!strchr(other_base ? "0123456789abcdefABCDEFxX_+-" : "0123456789eEoO_.:+-TtZ ",
                    text.p[i]))
            return false;
        digit = digit || (text.p[i] >= '0' && text.p[i] <= '9');
    }
    return digit && strchr("0123456789+-.", text.p[0]);
}

static bool expects_key(const struct reader *r)
{
    const struct level *l = r->depth ? &r->levels[r->depth - 1] : NULL;
    return l && l->node->kind == YAML_MAP && !l->key.p;
}

/* Between braces a comma ends a plain word, so what stands behind it is a key without a value. */
static int lacks_value(struct reader *r, struct yaml_place at)
{
    struct level *l = r->depth ? &r->levels[r->depth - 1] : NULL;
    return yaml_error(r->err, EINVAL, r->name, at, "a value is missing%s",
                      l && l->flow ? " (between braces, text with a comma stands in quotes)" : "");
}

static int check_string(struct reader *r, struct slice text, bool typed, struct yaml_place at)
{
    if (typed && !text.n)
        return lacks_value(r, at);
    if (typed && (!r->rules->typed || expects_key(r)))
        return yaml_error(r->err, EINVAL, r->name, at,
                          "\"%.*s\" is no string in YAML: write it in quotes",
                          (int)(text.n < 100 ? text.n : 100), text.p);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            return yaml_error(r->err, EINVAL, r->name, at, "a control character in a string");
    }
    return utf8_valid(text) ? 0
                            : yaml_error(r->err, EINVAL, r->name, at, "a string that is not UTF-8");
}

/* Puts a node where the document is now. */
static int attach(struct reader *r, struct yaml_node *node)
{
    struct level *l = r->depth ? &r->levels[r->depth - 1] : NULL;
    if (!l) {
        r->root = node;
        return 0;
    }
    if (l->node->kind == YAML_MAP) {
        if (!l->key.p)
            return yaml_error(r->err, EINVAL, r->name, node->place, "a key is no string");
        node->key = l->key;
        node->key_place = l->key_place;
        l->key = SLICE_NONE;
        if (map_find(&l->keys, node->key))
            return yaml_error(r->err, EINVAL, r->name, node->key_place, "\"%.*s\" is there twice",
                              (int)(node->key.n < 100 ? node->key.n : 100), node->key.p);
        int rc = map_put(&l->keys, node->key, node);
        if (rc < 0)
            return yaml_error(r->err, -rc, r->name, node->key_place, "too many keys");
    }
    if (l->last)
        l->last->next = node;
    else
        l->node->first = node;
    l->last = node;
    return 0;
}

static struct yaml_node *new_node(struct reader *r, enum yaml_kind kind, const yaml_event_t *e)
{
    struct yaml_node *node = arena_calloc(r->arena, 1, sizeof *node);
    if (!node) {
        (void)out_of_memory(r);
        return NULL;
    }
    node->kind = kind;
    node->place = place_of(e->start_mark);
    return node;
}

static int on_string(struct reader *r, const yaml_event_t *e)
{
    struct level *l = r->depth ? &r->levels[r->depth - 1] : NULL;
    struct slice text = slice_make(e->data.scalar.value, e->data.scalar.length);
    bool typed = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && is_other_type(text);
    int rc = check_string(r, text, typed, place_of(e->start_mark));
    if (rc < 0)
        return rc;
    text = arena_slice(r->arena, text);
    if (!text.p)
        return out_of_memory(r);
    if (expects_key(r)) {
        l->key = text;
        l->key_place = place_of(e->start_mark);
        return 0;
    }
    struct yaml_node *node = new_node(r, YAML_STRING, e);
    if (!node)
        return -r->err->code;
    node->text = text;
    node->typed = typed;
    return attach(r, node);
}

static int on_start(struct reader *r, enum yaml_kind kind, const yaml_event_t *e)
{
    struct yaml_node *node = new_node(r, kind, e);
    if (!node)
        return -r->err->code;
    if (r->depth == YAML_DEPTH_MAX)
        return yaml_error(r->err, EINVAL, r->name, node->place, "nests deeper than %d",
                          YAML_DEPTH_MAX);
    int rc = attach(r, node);
    if (rc < 0)
        return rc;
    struct level *l = &r->levels[r->depth++];
    map_done(&l->keys);
    *l = (struct level){.node = node,
                        .flow = kind == YAML_MAP &&
                                e->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE};
    map_init(&l->keys, MEMBERS_MAX);
    return 0;
}

static int refuse(struct reader *r, const yaml_event_t *e, const char *what)
{
    return yaml_error(r->err, EINVAL, r->name, place_of(e->start_mark), "%s are not taken here",
                      what);
}

static int on_document(struct reader *r, const yaml_event_t *e)
{
    if (e->data.document_start.version_directive ||
        e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
        return refuse(r, e, "directives");
    return r->documents++ ? refuse(r, e, "further documents") : 0;
}

static int on_event(struct reader *r, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_ALIAS_EVENT:
        return refuse(r, e, "aliases");
    case YAML_DOCUMENT_START_EVENT:
        return on_document(r, e);
    case YAML_SCALAR_EVENT:
        return e->data.scalar.anchor ? refuse(r, e, "anchors")
               : e->data.scalar.tag  ? refuse(r, e, "tags")
                                     : on_string(r, e);
    case YAML_SEQUENCE_START_EVENT:
        return e->data.sequence_start.anchor ? refuse(r, e, "anchors")
               : e->data.sequence_start.tag  ? refuse(r, e, "tags")
                                             : on_start(r, YAML_LIST, e);
    case YAML_MAPPING_START_EVENT:
        return e->data.mapping_start.anchor ? refuse(r, e, "anchors")
               : e->data.mapping_start.tag  ? refuse(r, e, "tags")
                                            : on_start(r, YAML_MAP, e);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->depth--;
        return 0;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    return 0;
}

static int next_event(struct reader *r, bool *end)
{
    yaml_event_t e;
    if (!yaml_parser_parse(&r->parser, &e)) {
        if (r->parser.error == YAML_MEMORY_ERROR)
            return err_set(r->err, ENOMEM, "%s: out of memory", r->name);
        return yaml_error(r->err, EINVAL, r->name, place_of(r->parser.problem_mark), "%s%s%s",
                          r->parser.problem ? r->parser.problem : "no YAML",
                          r->parser.context ? ", " : "",
                          r->parser.context ? r->parser.context : "");
    }
    *end = e.type == YAML_STREAM_END_EVENT;
    int rc = on_event(r, &e);
    yaml_event_delete(&e);
    return rc;
}

int yaml_parse(struct arena *arena, struct slice text, const char *name,
               const struct yaml_rules *rules, const struct yaml_node **out, struct err *err)
{
    struct err e = ERR_INIT;
    AUTO(reader) struct reader r = {.arena = arena, .name = name, .rules = rules, .err = &e};
    bool end = false;
    int rc = check_bytes(text, name, rules, &e);
    if (rc < 0)
        return err_copy(err, &e);
    if (!yaml_parser_initialize(&r.parser))
        return err_set(err, ENOMEM, "%s: out of memory", name);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p, text.n);
    while (rc == 0 && !end)
        rc = next_event(&r, &end);
    if (rc == 0 && !r.root)
        rc = yaml_error(&e, EINVAL, name, (struct yaml_place){1, 1}, "the file is empty");
    if (rc < 0)
        return err_copy(err, &e);
    *out = r.root;
    return 0;
}
