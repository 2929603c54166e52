/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef __clang_analyzer__
#undef err_set
#undef err_wrap
#endif

int err_set(struct err *err, int code, const char *fmt, ...)
{
    if (code <= 0)
        code = EIO;
    if (!err)
        return -code;
    err->code = code;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err->msg, sizeof err->msg, fmt, ap); /* cut when too long */
    va_end(ap);
    return -code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
    if (!err)
        return -EIO;
    char old[sizeof err->msg];
    memcpy(old, err->msg, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    size_t at = n < 0 ? 0 : (size_t)n;
    if (at < sizeof err->msg)
        (void)snprintf(err->msg + at, sizeof err->msg - at, ": %.*s", (int)(sizeof err->msg - at),
                       old); /* likewise */
    if (err->code == 0)
        err->code = EIO;
    return -err->code;
}

int err_copy(struct err *to, const struct err *from)
{
    if (to)
        *to = *from;
    return -from->code;
}
