/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/problem.h"

#include "base/json.h"
#include "base/limits.h"

#define TEXT_BYTES_MAX (64 * KIB)

struct text {
    char *to;
    size_t room;
};

/* What is no plain text might steer a terminal. */
static void keep(const struct text *text, struct slice s)
{
    size_t n = 0;
    for (; n < s.n && n + 1 < text->room; n++)
        text->to[n] = s.p[n] >= ' ' && s.p[n] < 0x7f ? s.p[n] : '?';
    text->to[n] = '\0';
}

static bool read_text(struct json *j, const struct text *text)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice s;
    buf_init(&scratch, TEXT_BYTES_MAX);
    if (json_peek(j) != JSON_STRING)
        return json_skip(j, NULL);
    if (!json_string(j, &scratch, &s))
        return false;
    keep(text, s);
    return true;
}

static bool read_members(struct json *j, struct catalog_problem *out, bool inner);

/* AWS: "com.amazon.coral.service#AccessDeniedException", and a URL behind a colon. */
static bool read_aws_type(struct json *j, struct catalog_problem *out)
{
    const struct text type = {out->type, sizeof out->type};
    if (!read_text(j, &type))
        return false;
    const char *hash = strrchr(out->type, '#');
    if (hash)
        memmove(out->type, hash + 1, strlen(hash));
    out->type[strcspn(out->type, ":")] = '\0';
    return true;
}

static bool read_member(struct json *j, struct slice key, struct catalog_problem *out, bool inner)
{
    const struct text type = {out->type, sizeof out->type};
    const struct text message = {out->message, sizeof out->message};
    if (!inner && slice_is(key, "error")) {
        out->form = PROBLEM_OTHER;
        return json_peek(j) == JSON_OBJECT ? read_members(j, out, true) : read_text(j, &type);
    }
    if (slice_is(key, inner ? "type" : "error_code")) {
        out->form = inner ? PROBLEM_ICEBERG : PROBLEM_UNITY;
        return read_text(j, &type);
    }
    if (!inner && slice_is(key, "__type")) {
        out->form = PROBLEM_AWS;
        return read_aws_type(j, out);
    }
    if (slice_is(key, "message") || slice_is(key, "Message") ||
        (!inner && slice_is(key, "error_description")))
        return read_text(j, &message);
    return json_skip(j, NULL);
}

static bool read_members(struct json *j, struct catalog_problem *out, bool inner)
{
    struct slice key;
    bool ok = json_enter_object(j);
    while (ok && json_next_key(j, &key))
        ok = read_member(j, key, out, inner);
    return ok && !json_failed(j);
}

void catalog_problem_parse(struct slice json, struct catalog_problem *out)
{
    struct json j;
    *out = (struct catalog_problem){0};
    json_init(&j, json);
    if (!read_members(&j, out, false) || !json_at_end(&j))
        *out = (struct catalog_problem){0};
}

static bool begins(const char *type, const char *with)
{
    return slice_starts(slice_of(type), slice_of(with));
}

static bool ends(const char *type, const char *with)
{
    size_t n = strlen(type), m = strlen(with);
    return n >= m && strcmp(type + n - m, with) == 0;
}

bool catalog_problem_absent(const struct catalog_problem *p)
{
    const char *type = p->type;
    switch (p->form) {
    case PROBLEM_ICEBERG: /* NoSuchTableException; also NotFoundException, TabularNotFound */
        return begins(type, "NoSuch") || strstr(type, "NotFound");
    case PROBLEM_UNITY: /* Databricks says ENDPOINT_NOT_FOUND of a path that it has not */
        return (ends(type, "NOT_FOUND") || ends(type, "DOES_NOT_EXIST")) &&
               !begins(type, "ENDPOINT_");
    case PROBLEM_AWS:
        return begins(type, "EntityNotFound") || begins(type, "NotFound");
    case PROBLEM_OTHER:
        break;
    }
    return false;
}
