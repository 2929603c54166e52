/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of lake/index share: a temporary directory, and actions in few words. */
#ifndef TESTS_UNIT_INDEX_FIXTURE_H
#define TESTS_UNIT_INDEX_FIXTURE_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "lake/index/build.h"
#include "lake/index/snapshot.h"

/* A directory without a name that lasts: it is removed when the last file in it is unlinked. */
static inline int fixture_dir(char path[32])
{
    (void)snprintf(path, 32, "/tmp/tarn-index-XXXXXX");
    assert_non_null(mkdtemp(path));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static inline void fixture_dir_done(int fd, const char *path)
{
    static const char *const names[] = {"base", "patch", "other", "broken"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        (void)unlinkat(fd, names[i], 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(rmdir(path), 0); /* nothing else was left in it */
}

static inline void fixture_add(struct index_build *b, const char *path, const char *raw,
                               const char *key, uint64_t size, uint32_t flags)
{
    struct err err = ERR_INIT;
    struct index_action a = {.entry = {.path = slice_of(path),
                                       .raw = slice_of(raw),
                                       .size = size,
                                       .mtime_ms = 1000 + (int64_t)size,
                                       .version = 1,
                                       .flags = flags},
                             .key = slice_of(key),
                             .seq = 1};
    assert_int_equal(index_build_add(b, &a, &err), 0);
}

static inline void fixture_remove(struct index_build *b, const char *key)
{
    struct err err = ERR_INIT;
    struct index_action a = {.key = slice_of(key), .seq = 1, .removed = true};
    assert_int_equal(index_build_add(b, &a, &err), 0);
}

#endif
