/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a source of credentials answers, or as a profile file: refused, or texts that
 * may stand in a field of HTTP. The first byte chooses the reader.
 */
#include <assert.h>

#include "cache/store/credentials_parse.h"
#include "cache/store/ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t room)
{
    size_t n = strnlen(text, room);
    assert(n < room);
    for (size_t i = 0; i < n; i++)
        assert((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
}

static void check(int rc, const struct err *err, const struct credentials *c)
{
    assert(rc == 0 || rc == -err->code);
    if (rc < 0)
        return;
    assert(c->access_key_id[0] && c->secret_access_key[0] && c->expires_ms >= 0);
    check_text(c->access_key_id, sizeof c->access_key_id);
    check_text(c->secret_access_key, sizeof c->secret_access_key);
    check_text(c->session_token, sizeof c->session_token);
}

static void read_ini(struct slice text)
{
    static const char *const kinds[] = {"", "profile"};
    struct slice value;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (ini_find(text, kinds[i], "work", "region", &value)) {
            assert(slice_find(value, '\n') < 0);
            assert(value.p >= text.p && value.p + value.n <= text.p + text.n);
            assert(ini_has_section(text, kinds[i], "work"));
        }
}

static void split(struct slice text, struct err *err)
{
    AUTO(buf) struct buf words = {0};
    size_t count = 0, zeros = 0;
    buf_init(&words, 4096);
    if (credentials_split(text, &words, &count, err) < 0)
        return;
    for (size_t i = 0; i < words.len; i++)
        zeros += !words.data[i];
    assert(zeros == count && count > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    struct credentials c = {0};
    struct credentials_sign_in s = {0};
    if (size == 0)
        return 0;
    struct slice text = slice_make(data + 1, size - 1);
    switch (data[0] % 6) {
    case 0:
        check(credentials_parse_json(text, &c, &err), &err, &c);
        break;
    case 1:
        check(credentials_parse_sts(text, &c, &err), &err, &c);
        break;
    case 2:
        if (credentials_parse_sign_in(text, &s, &err) == 0)
            check_text(s.access_token, sizeof s.access_token);
        break;
    case 3:
        if (credentials_parse_new_token(text, 1, &s, &err) == 0)
            check_text(s.access_token, sizeof s.access_token);
        break;
    case 4:
        read_ini(text);
        break;
    case 5:
        split(text, &err);
        break;
    default:
        break;
    }
    return 0;
}
