/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/metadata_values.h"

#include <stdarg.h>
#include <stdio.h>

bool parsing_failed(const struct parsing *p)
{
    return p->rc < 0 || json_failed(&p->j);
}

bool parsing_damaged(struct parsing *p, const char *fmt, ...)
{
    char why[200];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    if (!parsing_failed(p))
        p->rc = err_set(p->err, EIO, "byte %zu: %s", (size_t)(p->j.p - p->j.begin), why);
    return false;
}

bool parsing_pushed(struct parsing *p, int rc, const char *what)
{
    if (rc < 0 && !parsing_failed(p))
        p->rc = err_set(p->err, -rc, "too many %s", what);
    return rc == 0;
}

bool parsing_present(struct parsing *p)
{
    return json_peek(&p->j) != JSON_NULL || !json_null(&p->j);
}

bool parsing_text(struct parsing *p, struct slice *out)
{
    struct slice s;
    if (!parsing_present(p) || !json_string(&p->j, &p->scratch, &s))
        return false;
    if (p->scratch.data && s.p == p->scratch.data) {
        s = arena_slice(&p->m->arena, s);
        if (!s.p) {
            p->rc = arena_failed(&p->m->arena, "a table's metadata", p->err);
            return false;
        }
    }
    *out = s;
    return true;
}

bool parsing_long(struct parsing *p, int64_t *out)
{
    return parsing_present(p) && json_int64(&p->j, out);
}

bool parsing_int(struct parsing *p, int32_t *out)
{
    int64_t value;
    if (!parsing_long(p, &value))
        return false;
    if (value < INT32_MIN || value > INT32_MAX)
        return parsing_damaged(p, "%lld is no number of 32 bits", (long long)value);
    *out = (int32_t)value;
    return true;
}

bool parsing_array(struct parsing *p)
{
    return parsing_present(p) && json_enter_array(&p->j);
}

bool parsing_next(struct parsing *p)
{
    return !parsing_failed(p) && json_next_element(&p->j);
}

bool parsing_key(struct parsing *p, struct slice *key)
{
    return !parsing_failed(p) && json_next_key(&p->j, key);
}

const void *parsing_keep(struct parsing *p, const void *at, size_t n, size_t size)
{
    void *kept = arena_calloc(&p->m->arena, n + 1, size);
    if (!kept) {
        p->rc = arena_failed(&p->m->arena, "a table's metadata", p->err);
        return NULL;
    }
    if (n)
        memcpy(kept, at, n * size);
    return kept;
}
