/* SPDX-License-Identifier: Apache-2.0 */
/* What is added to INIT between libfuse and the kernel; the kernel is one end of a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <linux/fuse.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/passthrough.h"

#define BIT_ALLOW_MMAP (1U << 4) /* in flags2, as the protocol has them */
#define BIT_PASSTHROUGH (1U << 5)
#define STACK_DEPTH_AT 36 /* in the reply's 64 bytes */

struct wire {
    int device, kernel;
};

static struct wire wire_open(void)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    return (struct wire){ends[0], ends[1]};
}

static void wire_close(struct wire w)
{
    close(w.device);
    close(w.kernel);
}

static void ask(struct wire w, struct passthrough *p, uint32_t opcode, uint32_t flags,
                uint32_t flags2)
{
    struct {
        struct fuse_in_header head;
        struct fuse_init_in init;
    } request = {.head = {.len = sizeof request, .opcode = opcode, .unique = 42},
                 .init = {.major = 7, .minor = 45, .flags = flags, .flags2 = flags2}},
      got;
    assert_int_equal(write(w.kernel, &request, sizeof request), sizeof request);
    assert_int_equal(read(w.device, &got, sizeof got), sizeof got);
    passthrough_asked(p, &got, sizeof got);
}

struct answer {
    struct fuse_out_header head;
    struct fuse_init_out init;
};

static struct answer answer(struct wire w, struct passthrough *p, uint64_t unique, bool is_init)
{
    struct answer sent = {.head = {.len = sizeof sent, .unique = unique},
                          .init = {.major = 7, .minor = 38, .flags = 1, .flags2 = 2}},
                  got = {.head = {0}};
    struct iovec iov[] = {{&sent.head, sizeof sent.head}, {&sent.init, sizeof sent.init}};
    bool first;
    assert_int_equal(passthrough_writev(p, w.device, iov, 2, &first), sizeof sent);
    assert_int_equal(first, is_init);
    assert_int_equal(read(w.kernel, &got, sizeof got), sizeof got);
    assert_int_equal(got.init.flags & 1, 1); /* what libfuse said stays */
    assert_int_equal(got.init.flags2 & 2, 2);
    return got;
}

static uint32_t depth_of(const struct answer *a)
{
    uint32_t depth;
    memcpy(&depth, (const char *)&a->init + STACK_DEPTH_AT, sizeof depth);
    return depth;
}

/* A kernel that offers passthrough is asked for it; a device that then refuses a file (a socket
 * does) leaves it off, with a reason. */
static void test_offered(void **state)
{
    (void)state;
    struct passthrough p;
    struct wire w = wire_open();
    passthrough_init(&p, true);
    ask(w, &p, FUSE_INIT, FUSE_INIT_EXT, BIT_ALLOW_MMAP | BIT_PASSTHROUGH | 1);
    struct answer a = answer(w, &p, 42, true);
    assert_int_equal(a.init.flags2, 2 | BIT_ALLOW_MMAP | BIT_PASSTHROUGH);
    assert_true(a.init.flags & FUSE_INIT_EXT);
    assert_int_equal(depth_of(&a), 1);
    assert_false(passthrough_on(&p));
    assert_int_not_equal(p.why.code, 0);
    a = answer(w, &p, 42, false); /* the number is used again: nothing is added to others */
    assert_int_equal(a.init.flags2, 2);
    wire_close(w);
}

/* Older kernels are answered as libfuse does; so is one that is not asked to pass, but for maps. */
static void test_not_offered(void **state)
{
    (void)state;
    static const struct {
        bool wanted;
        uint32_t opcode, flags, flags2, added;
    } rows[] = {
        {true, FUSE_INIT, 0, BIT_ALLOW_MMAP | BIT_PASSTHROUGH, 0}, /* flags2 does not count */
        {true, FUSE_INIT, FUSE_INIT_EXT, 1, 0},
        {true, FUSE_INIT, FUSE_INIT_EXT, BIT_ALLOW_MMAP, BIT_ALLOW_MMAP},
        {false, FUSE_INIT, FUSE_INIT_EXT, BIT_ALLOW_MMAP | BIT_PASSTHROUGH, BIT_ALLOW_MMAP},
        {true, FUSE_LOOKUP, FUSE_INIT_EXT, BIT_ALLOW_MMAP | BIT_PASSTHROUGH, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct passthrough p;
        struct wire w = wire_open();
        passthrough_init(&p, rows[i].wanted);
        ask(w, &p, rows[i].opcode, rows[i].flags, rows[i].flags2);
        struct answer a = answer(w, &p, 42, rows[i].opcode == FUSE_INIT);
        assert_int_equal(a.init.flags2, 2 | rows[i].added);
        assert_int_equal(depth_of(&a), 0);
        assert_false(passthrough_on(&p));
        wire_close(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offered),
        cmocka_unit_test(test_not_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
