/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/credentials_parse.h"

#include <strings.h>

#include "base/instant.h"
#include "base/json.h"
#include "base/text.h"
#include "cache/store/xml.h"

#define OBJECTS_MAX 4 /* one inside the other */
#define TIME_BYTES_MAX 48
#define WORDS_MAX 256

bool credentials_copy(char *to, size_t n, struct slice text)
{
    if (text.n >= n)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
            return false;
    if (text.n)
        memcpy(to, text.p, text.n);
    to[text.n] = '\0';
    return true;
}

/* Where the text of a member goes. */
struct member {
    const char *name; /* any case */
    char *to;
    size_t n;
    bool cut; /* a sentence for people: what does not fit is no error */
};

struct members {
    const struct member *list;
    size_t count;
};

static int take(const struct members *m, struct slice name, struct slice value, struct err *err)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct member *to = &m->list[i];
        if (strlen(to->name) != name.n || strncasecmp(to->name, name.p, name.n) != 0)
            continue;
        if (to->cut && value.n >= to->n)
            value.n = to->n - 1;
        if (!credentials_copy(to->to, to->n, value) && !to->cut)
            return err_set(err, EIO, "%s is too long, or has control characters", to->name);
    }
    return 0;
}

/* Texts and numbers by their names, those of objects inside too. */
static int read_object(struct json *j, const struct members *m, unsigned depth, struct err *err)
{
    struct slice key, value;
    AUTO(buf) struct buf scratch = {0}, name = {0};
    buf_init(&scratch, CREDENTIALS_TOKEN_BYTES_MAX);
    buf_init(&name, 64);
    if (!json_enter_object(j))
        return json_error(j, err);
    int rc = 0;
    while (rc == 0 && json_next_key(j, &key)) {
        enum json_type type = json_peek(j);
        buf_reset(&name);
        buf_add_slice(&name, key); /* a longer one is none of ours, and stays empty */
        if (type == JSON_OBJECT && depth < OBJECTS_MAX) {
            rc = read_object(j, m, depth + 1, err);
            continue;
        }
        bool read = type == JSON_STRING ? json_string(j, &scratch, &value) : json_skip(j, &value);
        if (read && (type == JSON_STRING || type == JSON_NUMBER))
            rc = take(m, buf_slice(&name), value, err);
    }
    if (scratch.data)
        explicit_bzero(scratch.data, scratch.cap);
    return rc == 0 && json_failed(j) ? json_error(j, err) : rc;
}

static int read_members(struct slice text, const struct member *list, size_t count, struct err *err)
{
    struct json j;
    struct members m = {list, count};
    json_init(&j, text);
    int rc = read_object(&j, &m, 1, err);
    return rc < 0 ? err_wrap(err, "no JSON object of credentials") : 0;
}

/* An instant, or milliseconds since 1970; empty: 0, never. */
static bool parse_time(const char *text, int64_t *out_ms)
{
    struct slice s = slice_of(text);
    char zulu[TIME_BYTES_MAX];
    if (s.n == 0) {
        *out_ms = 0;
        return true;
    }
    if (text_parse_i64(s, out_ms))
        return *out_ms > 0;
    if (slice_ends(s, SLICE_LIT("UTC")) && s.n < sizeof zulu) { /* as older AWS tools wrote it */
        memcpy(zulu, s.p, s.n - 3);
        memcpy(zulu + s.n - 3, "Z", 2);
        s = slice_of(zulu);
    }
    return instant_parse(s, out_ms) && *out_ms > 0;
}

static int finish(struct credentials *c, const char *expiration, struct err *err)
{
    if (!c->access_key_id[0] || !c->secret_access_key[0])
        return err_set(err, EIO, "an answer without access key id and secret");
    if (!parse_time(expiration, &c->expires_ms))
        return err_set(err, EIO, "an expiration that is no time");
    return 0;
}

int credentials_parse_json(struct slice text, struct credentials *out, struct err *err)
{
    struct credentials c = {0};
    char expiration[TIME_BYTES_MAX] = "", code[64] = "", message[160] = "", version[8] = "";
    const struct member list[] = {
        {"AccessKeyId", c.access_key_id, sizeof c.access_key_id, false},
        {"SecretAccessKey", c.secret_access_key, sizeof c.secret_access_key, false},
        {"SessionToken", c.session_token, sizeof c.session_token, false},
        {"Token", c.session_token, sizeof c.session_token, false},
        {"Expiration", expiration, sizeof expiration, false},
        {"Version", version, sizeof version, false},
        {"Code", code, sizeof code, true},
        {"Message", message, sizeof message, true},
    };
    int rc = read_members(text, list, ARRAY_SIZE(list), err);
    if (rc == 0 && code[0] && strcmp(code, "Success") != 0)
        rc = err_set(err, EACCES, "%s: %s", code, message);
    if (rc == 0 && version[0] && strcmp(version, "1") != 0)
        rc = err_set(err, EIO, "version %s, which is not known", version);
    if (rc == 0)
        rc = finish(&c, expiration, err);
    if (rc == 0)
        *out = c;
    explicit_bzero(&c, sizeof c);
    return rc;
}

struct sts_reader {
    struct credentials c;
    char expiration[TIME_BYTES_MAX], code[64], message[160];
    struct members members;
};

static int on_sts_element(void *arg, const struct xml_element *e, struct err *err)
{
    struct sts_reader *r = arg;
    bool ours = slice_is(e->parent, "Credentials") || slice_is(e->parent, "Error");
    return ours ? take(&r->members, e->name, e->text, err) : 0;
}

int credentials_parse_sts(struct slice text, struct credentials *out, struct err *err)
{
    struct sts_reader r = {0};
    const struct member list[] = {
        {"AccessKeyId", r.c.access_key_id, sizeof r.c.access_key_id, false},
        {"SecretAccessKey", r.c.secret_access_key, sizeof r.c.secret_access_key, false},
        {"SessionToken", r.c.session_token, sizeof r.c.session_token, false},
        {"Expiration", r.expiration, sizeof r.expiration, false},
        {"Code", r.code, sizeof r.code, true},
        {"Message", r.message, sizeof r.message, true},
    };
    r.members = (struct members){list, ARRAY_SIZE(list)};
    int rc = xml_walk(text, CREDENTIALS_TOKEN_BYTES_MAX, on_sts_element, &r, err);
    if (rc == 0 && r.code[0])
        rc = err_set(err, EACCES, "%s: %s", r.code, r.message);
    if (rc == 0)
        rc = finish(&r.c, r.expiration, err);
    if (rc == 0)
        *out = r.c;
    explicit_bzero(&r, sizeof r);
    return rc;
}

int credentials_parse_sign_in(struct slice text, struct credentials_sign_in *out, struct err *err)
{
    struct credentials_sign_in s = {0};
    char expiration[TIME_BYTES_MAX] = "";
    const struct member list[] = {
        {"accessToken", s.access_token, sizeof s.access_token, false},
        {"expiresAt", expiration, sizeof expiration, false},
        {"refreshToken", s.refresh_token, sizeof s.refresh_token, false},
        {"clientId", s.client_id, sizeof s.client_id, false},
        {"clientSecret", s.client_secret, sizeof s.client_secret, false},
    };
    int rc = read_members(text, list, ARRAY_SIZE(list), err);
    if (rc == 0 && (!s.access_token[0] || !expiration[0] || !parse_time(expiration, &s.expires_ms)))
        rc = err_set(err, EIO, "no sign-in: accessToken or expiresAt is missing");
    if (rc == 0)
        *out = s;
    explicit_bzero(&s, sizeof s);
    return rc;
}

int credentials_parse_new_token(struct slice text, int64_t now_ms, struct credentials_sign_in *io,
                                struct err *err)
{
    struct credentials_sign_in s = *io;
    char life[16] = "", code[64] = "", message[160] = "";
    uint64_t life_s = 0;
    const struct member list[] = {
        {"accessToken", s.access_token, sizeof s.access_token, false},
        {"refreshToken", s.refresh_token, sizeof s.refresh_token, false},
        {"expiresIn", life, sizeof life, false},
        {"error", code, sizeof code, true},
        {"error_description", message, sizeof message, true},
    };
    int rc = read_members(text, list, ARRAY_SIZE(list), err);
    if (rc == 0 && code[0])
        rc = err_set(err, EACCES, "%s: %s", code, message);
    if (rc == 0 && !text_parse_u64(slice_of(life), 366 * 86400, &life_s))
        rc = err_set(err, EIO, "a token without expiresIn");
    s.expires_ms = now_ms + (int64_t)life_s * 1000;
    if (rc == 0)
        *io = s;
    explicit_bzero(&s, sizeof s);
    return rc;
}

/* One character of a command line, outside of any quote or in one. */
struct splitter {
    char quote;   /* 0: none is open */
    bool escaped; /* the character is one, whatever it is */
    bool in_word;
};

static void split_char(struct splitter *s, char c, struct buf *out, size_t *count)
{
    bool blank = c == ' ' || c == '\t' || c == '\n';
    if (s->escaped) {
        /* In double quotes a backslash stays before what needs none. */
        if (s->quote == '"' && c != '"' && c != '\\' && c != '$' && c != '`')
            buf_add_char(out, '\\');
        buf_add_char(out, c);
        s->escaped = false;
    } else if (c == '\\' && s->quote != '\'') {
        s->escaped = s->in_word = true;
    } else if (s->quote) {
        if (c == s->quote)
            s->quote = '\0';
        else
            buf_add_char(out, c);
    } else if (c == '\'' || c == '"') {
        s->quote = c;
        s->in_word = true;
    } else if (!blank) {
        buf_add_char(out, c);
        s->in_word = true;
    } else if (s->in_word) {
        buf_add_char(out, '\0');
        s->in_word = false;
        ++*count;
    }
}

int credentials_split(struct slice command, struct buf *out, size_t *count, struct err *err)
{
    struct splitter s = {0};
    size_t n = 0;
    for (size_t i = 0; i < command.n && n < WORDS_MAX; i++) {
        if (!command.p[i])
            return err_set(err, EINVAL, "a command with a zero byte");
        split_char(&s, command.p[i], out, &n);
    }
    if (s.quote || s.escaped)
        return err_set(err, EINVAL, "a command with an open quote");
    split_char(&s, ' ', out, &n);
    if (n == 0 || n >= WORDS_MAX)
        return err_set(err, EINVAL, "a command of %zu words", n);
    int rc = buf_check(out, err);
    if (rc == 0)
        *count = n;
    return rc;
}
