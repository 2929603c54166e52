/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growable arrays: `VEC(struct file) files = VEC_MAX(1000);`, then vec_push(&files, x) gives 0,
 * -ENOMEM or -EOVERFLOW, files.at[i] and files.n read it, vec_done(&files) frees it.
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <errno.h>
#include <stdlib.h>

#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *at;                                                                                  \
        size_t n, capacity, max;                                                                   \
    }
#define VEC_MAX(max_count)                                                                         \
    {                                                                                              \
        NULL, 0, 0, (max_count)                                                                    \
    }

/* Room for one more element of `size` bytes. */
static inline int vec_grow_(void **at, size_t n, size_t *capacity, size_t max, size_t size)
{
    if (n < *capacity)
        return 0;
    if (n >= max)
        return -EOVERFLOW;
    size_t want = *capacity ? *capacity * 2 : 8;
    if (want > max)
        want = max;
    void *more = reallocarray(*at, want, size);
    if (!more)
        return -ENOMEM;
    *at = more;
    *capacity = want;
    return 0;
}

#define vec_push(v, x)                                                                             \
    ({                                                                                             \
        void *at_ = (v)->at;                                                                       \
        int rc_ = vec_grow_(&at_, (v)->n, &(v)->capacity, (v)->max, sizeof *(v)->at);              \
        (v)->at = at_;                                                                             \
        if (rc_ == 0)                                                                              \
            (v)->at[(v)->n++] = (x);                                                               \
        rc_;                                                                                       \
    })

#define vec_done(v)                                                                                \
    do {                                                                                           \
        free((v)->at);                                                                             \
        (v)->at = NULL;                                                                            \
        (v)->n = (v)->capacity = 0;                                                                \
    } while (0)

#endif
