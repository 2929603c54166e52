/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the audit log: what is in them, and what verification finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/json.h"
#include "lake/view/audit_verify.h"

#define LINES 6
#define TIME_MS 1764000000123

struct log {
    struct buf text;
    struct audit_chain chain;
};

static void add(struct log *log, const struct audit_event *e, uint64_t lost, uint64_t torn)
{
    AUTO(buf) struct buf event = {0};
    struct err err = ERR_INIT;
    buf_init(&event, 1 << 20);
    audit_line_event(&event, e, "/lake", SLICE_LIT("python3"), TIME_MS);
    assert_int_equal(audit_line_make(&log->text, &log->chain, buf_slice(&event), lost, torn, &err),
                     0);
}

static void log_init(struct log *log, unsigned lines)
{
    buf_init(&log->text, 1 << 24);
    audit_chain_init(&log->chain);
    for (unsigned i = 0; i < lines; i++) {
        struct audit_event e = {.kind = AUDIT_POLICY, .path = SLICE_LIT("/etc/policy.yaml")};
        add(log, &e, 0, 0);
    }
}

/* 0: the text is whole. *line: number of the line in the text that is found bad. */
static int verify(struct slice text, const struct audit_chain *chain, size_t *line, struct err *err)
{
    struct audit_verify v;
    struct audit_verify_end end = {.chain = chain};
    ptrdiff_t feed;
    bool before = false;
    int rc = 0;
    audit_verify_init(&v);
    for (*line = 0; rc == 0 && (feed = slice_find(text, '\n')) >= 0;) {
        ++*line;
        rc = audit_verify_line(&v, slice_make(text.p, (size_t)feed), &before, err);
        text = slice_from(text, (size_t)feed + 1);
    }
    end.fragment = text.n > 0;
    if (rc == 0) {
        rc = audit_verify_end(&v, &end, &before, err);
        *line += rc < 0;
    }
    *line -= before;
    return rc;
}

static void get(struct slice line, const char *name, struct buf *out, bool *found)
{
    struct json j;
    struct slice key, raw, value;
    AUTO(buf) struct buf scratch = {0};
    buf_init(&scratch, 1 << 20);
    *found = false;
    json_init(&j, line);
    assert_true(json_enter_object(&j));
    while (json_next_key(&j, &key))
        if (slice_is(key, name)) {
            *found = true;
            if (json_peek(&j) == JSON_STRING) {
                assert_true(json_string(&j, &scratch, &value));
                buf_add_slice(out, value);
            } else {
                assert_true(json_skip(&j, &raw));
                buf_add_slice(out, raw);
            }
        } else {
            assert_true(json_skip(&j, NULL));
        }
    assert_true(json_at_end(&j));
}

static void assert_field(struct slice line, const char *name, const char *want)
{
    AUTO(buf) struct buf value = {0};
    bool found;
    buf_init(&value, 1 << 20);
    get(line, name, &value, &found);
    if (!want) {
        assert_false(found);
        return;
    }
    assert_true(found);
    assert_string_equal(value.data ? value.data : "", want);
}

/* Aim: a line tells who, with what, which table, version, path, view, and which line decided. */
static void test_fields(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct log log;
    const char *groups[] = {"ml", NULL};
    gid_t gids[] = {100, 4711};
    AUTO(principal) struct principal *alice = principal_user(1000, "alice", groups, gids, 2, &err);
    struct audit_event e = {.kind = AUDIT_OPEN,
                            .principal = alice,
                            .has_caller = true,
                            .uid = 1000,
                            .pid = 77,
                            .table = SLICE_LIT("silver/customers"),
                            .version = SLICE_LIT("12"),
                            .path = SLICE_LIT("silver/customers@12/a.parquet"),
                            .view = 0x1234,
                            .line = 9};
    log_init(&log, 0);
    add(&log, &e, 3, 0);
    struct slice line = slice_make(log.text.data, log.text.len - 1);
    const char *want[][2] = {{"line", "1"},
                             {"event", "open"},
                             {"time", "2025-11-24T16:00:00.123Z"},
                             {"mount", "/lake"},
                             {"principal", "user:alice"},
                             {"uid", "1000"},
                             {"user", "alice"},
                             {"groups", "[\"ml\",\"4711\"]"},
                             {"pid", "77"},
                             {"command", "python3"},
                             {"table", "silver/customers"},
                             {"version", "12"},
                             {"path", "silver/customers@12/a.parquet"},
                             {"pathBytes", NULL},
                             {"view", "0000000000001234"},
                             {"policyLine", "9"},
                             {"reason", NULL},
                             {"lost", "3"}};
    for (size_t i = 0; i < ARRAY_SIZE(want); i++)
        assert_field(line, want[i][0], want[i][1]);
    buf_done(&log.text);
}

/* Aim: in the mount of a role the line has the caller's uid, and no account's name that decided
 * nothing. */
static void test_role(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct log log;
    AUTO(principal) struct principal *role = principal_role("trainer", &err);
    struct audit_event e = {.kind = AUDIT_DENIED,
                            .principal = role,
                            .has_caller = true,
                            .uid = 0,
                            .path = SLICE_LIT("gold/x"),
                            .reason = SLICE_LIT("no grant")};
    log_init(&log, 0);
    add(&log, &e, 0, 0);
    struct slice line = slice_make(log.text.data, log.text.len - 1);
    const char *want[][2] = {{"event", "denied"}, {"principal", "role:trainer"},
                             {"uid", "0"},        {"user", NULL},
                             {"groups", NULL},    {"pid", NULL},
                             {"view", NULL},      {"reason", "no grant"}};
    for (size_t i = 0; i < ARRAY_SIZE(want); i++)
        assert_field(line, want[i][0], want[i][1]);
    buf_done(&log.text);
}

/* Aim: whatever a name is, it is one line of printable ASCII that says what the name was. */
static void test_escapes(void **state)
{
    (void)state;
    static const struct {
        struct slice name;
        const char *read, *bytes;
    } cases[] = {
        {SLICE_LIT("a\"b\\c"), "a\"b\\c", NULL},
        {SLICE_LIT("x\n{\"line\":9}"), "x\n{\"line\":9}", NULL},
        {SLICE_LIT("\x1b[2J\r\t\x7f"), "\x1b[2J\r\t\x7f", NULL},
        {SLICE_LIT("\xc3\xa4\xe2\x80\xae\xc2\x9b\xf0\x9f\x90\x9f"),
         "\xc3\xa4\xe2\x80\xae\xc2\x9b\xf0\x9f\x90\x9f", NULL},
        {SLICE_LIT("a\xff"
                   "b\xed\xa0\x80"),
         "a\xef\xbf\xbd"
         "b\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
         "61ff62eda080"},
        {SLICE_LIT("a\xfe"), "a\xef\xbf\xbd", "61fe"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct log log;
        struct audit_event e = {
            .kind = AUDIT_DENIED, .table = cases[i].name, .path = cases[i].name};
        log_init(&log, 0);
        add(&log, &e, 0, 0);
        for (size_t k = 0; k + 1 < log.text.len; k++)
            assert_in_range((unsigned char)log.text.data[k], 0x20, 0x7e);
        assert_int_equal(log.text.data[log.text.len - 1], '\n');
        struct slice line = slice_make(log.text.data, log.text.len - 1);
        assert_field(line, "path", cases[i].read);
        assert_field(line, "table", cases[i].read);
        assert_field(line, "pathBytes", cases[i].bytes);
        buf_done(&log.text);
    }
}

/* Aim: a user in thousands of groups does not make a line longer than one may be. */
static void test_many_groups(void **state)
{
    (void)state;
    enum { MANY = 10000 };
    static const char *groups[MANY];
    static gid_t gids[MANY];
    struct err err = ERR_INIT;
    struct log log;
    for (size_t i = 0; i < MANY; i++) {
        groups[i] = i % 2 ? "engineering-department-of-the-north" : NULL;
        gids[i] = (gid_t)i;
    }
    AUTO(principal) struct principal *p = principal_user(1, "u", groups, gids, MANY, &err);
    struct audit_event e = {.kind = AUDIT_DENIED, .principal = p, .has_caller = true, .uid = 1};
    log_init(&log, 0);
    add(&log, &e, 0, 0);
    assert_in_range(log.text.len, 10000, 20000);
    AUTO(buf) struct buf left = {0};
    bool found;
    buf_init(&left, 100);
    get(slice_make(log.text.data, log.text.len - 1), "groupsLeftOut", &left, &found);
    assert_true(found);
    buf_done(&log.text);
}

/* Aim: a log that nobody touched is whole, whatever was lost or torn in it as it says itself. */
static void test_whole(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct log log;
    size_t line;
    struct audit_event e = {.kind = AUDIT_POLICY};
    log_init(&log, 3);
    add(&log, &e, 7, 0);
    buf_add_str(&log.text, "{\"line\":5,\"prev\n"); /* what a crash left */
    add(&log, &e, 0, 15);
    add(&log, &e, 0, 99); /* cut off, not there any more */
    assert_int_equal(verify(buf_slice(&log.text), &log.chain, &line, &err), 0);
    buf_done(&log.text);
}

/* Aim: whichever bit of a log is flipped, the line is found. */
static void test_altered(void **state)
{
    (void)state;
    struct log log;
    log_init(&log, LINES);
    size_t at = 1;
    for (size_t i = 0; i < log.text.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            struct err err = ERR_INIT;
            size_t line;
            log.text.data[i] ^= (char)(1 << bit);
            assert_int_equal(verify(buf_slice(&log.text), &log.chain, &line, &err), -EIO);
            if (log.text.data[i] != '\n' && (log.text.data[i] ^ 1 << bit) != '\n')
                assert_int_equal(line, at);
            assert_true(err.msg[0]);
            log.text.data[i] ^= (char)(1 << bit);
        }
        at += log.text.data[i] == '\n';
    }
    buf_done(&log.text);
}

/* The text without one line, or with it standing behind the next one, or twice. */
enum change { CHANGE_REMOVED, CHANGE_SWAPPED, CHANGE_DOUBLED };

static void change(const struct log *log, unsigned which, enum change how, struct buf *out)
{
    struct slice lines[LINES], text = buf_slice(&log->text);
    for (unsigned i = 0; i < LINES; i++) {
        size_t n = (size_t)slice_find(text, '\n') + 1;
        lines[i] = slice_make(text.p, n);
        text = slice_from(text, n);
    }
    for (unsigned i = 0; i < LINES; i++) {
        if (i != which)
            buf_add_slice(out, lines[i]);
        else if (how == CHANGE_DOUBLED)
            buf_add_slice(out, lines[i]);
        if ((how == CHANGE_DOUBLED && i == which) || (how == CHANGE_SWAPPED && i == which + 1))
            buf_add_slice(out, lines[which]);
    }
}

/* Aim: a line that was taken out, put elsewhere or doubled is found, at the end too. */
static void test_missing(void **state)
{
    (void)state;
    struct log log;
    log_init(&log, LINES);
    for (unsigned how = CHANGE_REMOVED; how <= CHANGE_DOUBLED; how++)
        for (unsigned which = 0; which < LINES; which++) {
            AUTO(buf) struct buf text = {0};
            struct err err = ERR_INIT;
            size_t line;
            buf_init(&text, 1 << 20);
            change(&log, which, how, &text);
            int rc = verify(buf_slice(&text), &log.chain, &line, &err);
            if (how == CHANGE_REMOVED && which == 0) { /* as where the older file is not given */
                assert_int_equal(rc, 0);
                continue;
            }
            assert_int_equal(rc, -EIO);
            assert_true(err.msg[0]);
        }
    buf_done(&log.text);
}

/* Aim: of a rotated file the end is told by its last line; one that was cut off is found. */
static void test_end(void **state)
{
    (void)state;
    AUTO(buf) struct buf event = {0};
    struct err err = ERR_INIT;
    struct log log;
    size_t line, cut;
    buf_init(&event, 1000);
    log_init(&log, 3);
    cut = log.text.len;
    assert_int_equal(verify(buf_slice(&log.text), NULL, &line, &err), -EIO);
    audit_line_own(&event, "end", TIME_MS);
    assert_int_equal(audit_line_make(&log.text, &log.chain, buf_slice(&event), 0, 0, &err), 0);
    assert_int_equal(verify(buf_slice(&log.text), NULL, &line, &err), 0);
    assert_int_equal(verify(slice_make(log.text.data, cut), NULL, &line, &err), -EIO);
    assert_int_equal(verify(slice_make(log.text.data, log.text.len - 1), NULL, &line, &err), -EIO);
    buf_done(&log.text);
}

/* Aim: FILE.chain that was damaged is none. */
static void test_chain(void **state)
{
    (void)state;
    struct audit_chain chain, got;
    char text[AUDIT_CHAIN_BYTES + 1];
    audit_chain_init(&chain);
    chain.line = 123456;
    chain.hash[5] = 'f';
    audit_chain_format(&chain, text);
    assert_int_equal(strlen(text), AUDIT_CHAIN_BYTES);
    assert_true(audit_chain_parse(slice_of(text), &got));
    assert_int_equal(got.line, 123456);
    assert_string_equal(got.hash, chain.hash);
    for (size_t n = 0; n < AUDIT_CHAIN_BYTES; n++)
        assert_false(audit_chain_parse(slice_make(text, n), &got));
    for (size_t i = 0; i < AUDIT_CHAIN_BYTES; i++) {
        char was = text[i];
        text[i] = '!';
        assert_false(audit_chain_parse(slice_of(text), &got));
        text[i] = was;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),  cmocka_unit_test(test_role),
        cmocka_unit_test(test_escapes), cmocka_unit_test(test_many_groups),
        cmocka_unit_test(test_whole),   cmocka_unit_test(test_altered),
        cmocka_unit_test(test_missing), cmocka_unit_test(test_end),
        cmocka_unit_test(test_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
