/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of its own for each test: cmocka's set-up and tear-down, and a state of the tests. */
#ifndef TESTS_UNIT_TEMP_DIR_H
#define TESTS_UNIT_TEMP_DIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct temp_dir {
    char path[64];
    int dir;
};

static int temp_dir_set_up(void **state)
{
    static struct temp_dir t;
    (void)snprintf(t.path, sizeof t.path, "/tmp/tarn-unit-XXXXXX");
    assert_non_null(mkdtemp(t.path));
    t.dir = open(t.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(t.dir >= 0);
    *state = &t;
    return 0;
}

static int temp_dir_tear_down(void **state)
{
    struct temp_dir *t = *state;
    char command[128];
    (void)close(t->dir);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", t->path);
    return system(command);
}

#endif
