/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/view/audit_line.h"

#include <stdio.h>

#include "base/instant.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

static const char seal_begin[] = ",\"sha256\":\"";
static const char seal_end[] = "\"}";
#define SEAL_BYTES (sizeof seal_begin - 1 + AUDIT_HASH_BYTES + sizeof seal_end - 1)

void audit_chain_init(struct audit_chain *c)
{
    c->line = 0;
    memset(c->hash, '0', AUDIT_HASH_BYTES);
    c->hash[AUDIT_HASH_BYTES] = '\0';
}

/* Code point of a well-formed character of n bytes. */
static uint32_t code_point(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;
    uint32_t c = n == 1 ? u[0] : n == 2 ? u[0] & 0x1fU : n == 3 ? u[0] & 0x0fU : u[0] & 0x07U;
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (u[i] & 0x3fU);
    return c;
}

static void add_character(struct buf *out, uint32_t c)
{
    if (c >= 0x10000) {
        buf_addf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                 0xdc00 + ((c - 0x10000) & 0x3ff));
    } else if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') {
        buf_addf(out, "\\u%04x", c);
    } else {
        buf_add_char(out, (char)c);
    }
}

static void add_string(struct buf *out, struct slice text)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < text.n;) {
        size_t n = utf8_length(slice_from(text, i));
        add_character(out, n ? code_point(text.p + i, n) : 0xfffd);
        i += n ? n : 1;
    }
    buf_add_char(out, '"');
}

static void add_field(struct buf *out, const char *name, struct slice text)
{
    if (text.n == 0)
        return;
    buf_addf(out, ",\"%s\":", name);
    add_string(out, text);
}

static void add_path(struct buf *out, struct slice path)
{
    add_field(out, "path", path);
    if (utf8_valid(path))
        return;
    buf_add_str(out, ",\"pathBytes\":\""); /* two such paths look alike above */
    text_hex(out, path.p, path.n);
    buf_add_char(out, '"');
}

static void add_groups(struct buf *out, const struct principal *p)
{
    size_t i = 0, begin = out->len;
    buf_add_str(out, ",\"groups\":[");
    for (; i < p->groups_n && out->len - begin < AUDIT_GROUPS_BYTES_MAX; i++) {
        if (i)
            buf_add_char(out, ',');
        if (p->groups[i])
            add_string(out, slice_of(p->groups[i]));
        else
            buf_addf(out, "\"%u\"", p->gids[i]);
    }
    buf_add_char(out, ']');
    if (i < p->groups_n)
        buf_addf(out, ",\"groupsLeftOut\":%zu", p->groups_n - i);
}

static void add_principal(struct buf *out, const struct audit_event *e)
{
    AUTO(buf) struct buf name = {0};
    buf_init(&name, NSS_ENTRY_BYTES_MAX);
    if (e->principal) {
        principal_name(e->principal, &name);
        if (name.failed) /* so that the line fails, and is counted */
            out->failed = name.failed;
        add_field(out, "principal", buf_slice(&name));
    }
    if (e->has_caller)
        buf_addf(out, ",\"uid\":%u", e->uid);
    const struct principal *p = e->principal;
    if (p && p->has_uid && e->has_caller && p->uid == e->uid) {
        add_field(out, "user", slice_of(p->user));
        add_groups(out, p);
    }
}

static const char *event_name(enum audit_kind kind)
{
    switch (kind) {
    case AUDIT_OPEN:
        return "open";
    case AUDIT_DENIED:
        return "denied";
    case AUDIT_POLICY:
        break;
    }
    return "policy";
}

void audit_line_own(struct buf *out, const char *event, int64_t time_ms)
{
    buf_addf(out, ",\"event\":\"%s\",\"time\":\"", event);
    instant_format(out, time_ms);
    buf_add_char(out, '"');
}

void audit_line_event(struct buf *out, const struct audit_event *e, const char *mount,
                      struct slice command, int64_t time_ms)
{
    audit_line_own(out, event_name(e->kind), time_ms);
    add_field(out, "mount", slice_of(mount));
    add_principal(out, e);
    if (e->has_caller && e->pid > 0)
        buf_addf(out, ",\"pid\":%d", e->pid);
    add_field(out, "command", command);
    add_field(out, "table", e->table);
    add_field(out, "version", e->version);
    add_path(out, e->path);
    if (e->kind == AUDIT_OPEN && e->view)
        buf_addf(out, ",\"view\":\"%016llx\"", (unsigned long long)e->view);
    else if (e->kind == AUDIT_OPEN)
        buf_add_str(out, ",\"view\":\"whole\"");
    if (e->line)
        buf_addf(out, ",\"policyLine\":%u", e->line);
    add_field(out, "reason", e->reason);
}

int audit_line_make(struct buf *out, struct audit_chain *chain, struct slice event, uint64_t lost,
                    uint64_t torn, struct err *err)
{
    size_t begin = out->len;
    char hash[AUDIT_HASH_BYTES + 1];
    buf_addf(out, "{\"line\":%llu,\"prev\":\"%s\"", (unsigned long long)chain->line + 1,
             chain->hash);
    if (torn)
        buf_addf(out, ",\"torn\":%llu", (unsigned long long)torn);
    buf_add_slice(out, event);
    if (lost)
        buf_addf(out, ",\"lost\":%llu", (unsigned long long)lost);
    if (!out->failed)
        sha256_hex(slice_make(out->data + begin, out->len - begin), hash);
    buf_addf(out, "%s%s%s\n", seal_begin, out->failed ? "" : hash, seal_end);
    int rc = buf_check(out, err);
    if (rc < 0)
        return rc;
    chain->line++;
    memcpy(chain->hash, hash, sizeof hash);
    return 0;
}

static bool take(struct slice *s, const char *text)
{
    struct slice want = slice_of(text);
    if (!slice_starts(*s, want))
        return false;
    *s = slice_from(*s, want.n);
    return true;
}

static bool take_number(struct slice *s, uint64_t *out)
{
    size_t n = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
        n++;
    if ((n > 1 && s->p[0] == '0') || !text_parse_u64(slice_make(s->p, n), UINT64_MAX - 1, out))
        return false;
    *s = slice_from(*s, n);
    return true;
}

static bool take_hash(struct slice *s, char out[AUDIT_HASH_BYTES + 1])
{
    if (s->n < AUDIT_HASH_BYTES)
        return false;
    for (size_t i = 0; i < AUDIT_HASH_BYTES; i++)
        if (text_hex_digit(s->p[i]) < 0 || (s->p[i] >= 'A' && s->p[i] <= 'F'))
            return false;
    memcpy(out, s->p, AUDIT_HASH_BYTES);
    out[AUDIT_HASH_BYTES] = '\0';
    *s = slice_from(*s, AUDIT_HASH_BYTES);
    return true;
}

int audit_line_parse(struct slice text, struct audit_line *out, struct err *err)
{
    struct audit_line l = {.end = false};
    struct slice at = text;
    bool head = take(&at, "{\"line\":") && take_number(&at, &l.at.line) && l.at.line > 0 &&
                take(&at, ",\"prev\":\"") && take_hash(&at, l.prev) && take(&at, "\"") &&
                (!take(&at, ",\"torn\":") || take_number(&at, &l.torn));
    if (!head || at.n < SEAL_BYTES)
        return err_set(err, EIO, "is no line of an audit log");
    l.end = slice_starts(at, SLICE_LIT(",\"event\":\"end\","));
    char hash[AUDIT_HASH_BYTES + 1];
    struct slice seal = slice_from(at, at.n - SEAL_BYTES);
    if (!take(&seal, seal_begin) || !take_hash(&seal, l.at.hash) || !take(&seal, seal_end))
        return err_set(err, EIO, "has no hash at its end");
    sha256_hex(slice_make(text.p, text.n - SEAL_BYTES), hash);
    if (memcmp(hash, l.at.hash, sizeof hash) != 0)
        return err_set(err, EIO, "was altered: its hash is %.16s..., not %.16s...", hash,
                       l.at.hash);
    *out = l;
    return 0;
}

void audit_chain_format(const struct audit_chain *c, char out[AUDIT_CHAIN_BYTES + 1])
{
    (void)snprintf(out, AUDIT_CHAIN_BYTES + 1, "%020llu %s\n", (unsigned long long)c->line,
                   c->hash);
}

bool audit_chain_parse(struct slice text, struct audit_chain *out)
{
    struct audit_chain c;
    if (text.n != AUDIT_CHAIN_BYTES ||
        !text_parse_u64(slice_make(text.p, 20), UINT64_MAX - 1, &c.line))
        return false;
    text = slice_from(text, 20);
    if (!take(&text, " ") || !take_hash(&text, c.hash) || !take(&text, "\n"))
        return false;
    *out = c;
    return true;
}
