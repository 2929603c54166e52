/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: what can fail returns 0 or -errno and takes `struct err *err` last.
 *
 * The error lives on the caller's stack and allocates nothing. It is set where the failure is
 * detected, wrapped with context on the way up, and logged or shown once, by fs/ or tools/.
 * A NULL err is allowed everywhere and drops the message, never the code.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <errno.h>

struct err {
    int code;      /* positive errno, 0: none */
    char msg[512]; /* a sentence without a final stop; cut when too long */
};

#define ERR_INIT                                                                                   \
    {                                                                                              \
        0, ""                                                                                      \
    }

/*
 * Sets code (positive errno; EIO where it is 0, as a library may have left errno) and message.
 * Returns -code, always below 0, to be returned by the caller.
 */
__attribute__((format(printf, 3, 4))) int err_set(struct err *err, int code, const char *fmt, ...);

/*
 * Puts context before the message: "context: message". Returns -err->code (-EIO where err is NULL
 * or not set).
 */
__attribute__((format(printf, 2, 3))) int err_wrap(struct err *err, const char *fmt, ...);

/* Copies an error; `to` may be NULL. Returns -from->code. */
int err_copy(struct err *to, const struct err *from);

#ifdef __clang_analyzer__
/* The analyzer looks at one file at a time: it is told what the functions promise. */
static inline int err_below_zero(int rc)
{
    if (rc >= 0)
        __builtin_unreachable();
    return rc;
}
#define err_set(...) err_below_zero(err_set(__VA_ARGS__))
#define err_wrap(...) err_below_zero(err_wrap(__VA_ARGS__))
#endif

#endif
