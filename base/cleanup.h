/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scoped ownership by the cleanup attribute.
 *
 *   AUTO(task) struct task *t = task_new();   freed at the end of the scope by task_free(t)
 *   AUTO_FREE char *s = strdup(x);            free(s)
 *   AUTO_FD int fd = open(...);               close(fd) where fd >= 0
 *   return STEAL(t);                          hands over: t is NULL afterwards
 *
 * A module makes AUTO(name) work with DEFINE_AUTO(name, struct name *, name_free) for pointers, or
 * DEFINE_AUTO_DONE(name, struct name, name_done) for structs embedded on the stack.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(name) __attribute__((cleanup(auto_##name)))
#define AUTO_FREE __attribute__((cleanup(auto_free_)))
#define AUTO_FD __attribute__((cleanup(auto_fd_)))
#define AUTO_FILE __attribute__((cleanup(auto_file_)))

#define DEFINE_AUTO(name, type, fn)                                                                \
    static inline void auto_##name(type *p)                                                        \
    {                                                                                              \
        if (*p)                                                                                    \
            fn(*p);                                                                                \
    }
#define DEFINE_AUTO_DONE(name, type, fn)                                                           \
    static inline void auto_##name(type *p)                                                        \
    {                                                                                              \
        fn(p);                                                                                     \
    }

#define STEAL(x)                                                                                   \
    ({                                                                                             \
        __typeof__(x) stolen_ = (x);                                                               \
        (x) = NULL;                                                                                \
        stolen_;                                                                                   \
    })
#define STEAL_FD(x)                                                                                \
    ({                                                                                             \
        int stolen_ = (x);                                                                         \
        (x) = -1;                                                                                  \
        stolen_;                                                                                   \
    })

static inline void auto_free_(void *p)
{
    free(*(void **)p);
}

static inline void auto_fd_(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* nothing was written through it that is not already synced */
}

static inline void auto_file_(FILE **f)
{
    if (*f)
        (void)fclose(*f); /* likewise */
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member)                                                            \
    ((type *)(void *)((char *)(ptr) - __builtin_offsetof(type, member)))

#endif
