/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: lines and descriptors over a pair of sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tools/control.h"

struct pair {
    int a, b;
};

static struct pair new_pair(void)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    return (struct pair){fds[0], fds[1]};
}

static void close_pair(struct pair p)
{
    if (p.a >= 0)
        (void)close(p.a);
    (void)close(p.b);
}

static int open_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Lines arrive one a call, whole, without what follows them. */
static void test_lines(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct pair p = new_pair();
    AUTO(buf) struct buf line = {0};
    int passed = 7;
    buf_init(&line, CONTROL_MESSAGE_MAX);
    assert_int_equal(control_send(p.a, SLICE_LIT("{\"op\":\"ping\"}"), -1, &err), 0);
    assert_int_equal(control_send(p.a, SLICE_NONE, -1, &err), 0);
    assert_int_equal(control_send(p.a, SLICE_LIT("last"), -1, &err), 0);
    assert_int_equal(control_receive(p.b, &line, &passed, &err), 0);
    assert_string_equal(line.data, "{\"op\":\"ping\"}");
    assert_int_equal(passed, -1);
    assert_int_equal(control_receive(p.b, &line, &passed, &err), 0);
    assert_int_equal(line.len, 0);
    assert_int_equal(control_receive(p.b, &line, &passed, &err), 0);
    assert_string_equal(line.data, "last");
    close_pair(p);
}

/* A descriptor comes with the line that it was sent with, open and closed on exec. */
static void test_descriptor(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct pair p = new_pair();
    AUTO(buf) struct buf line = {0};
    int passed = -1, pipe_fds[2];
    char c = 0;
    buf_init(&line, 100);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(control_send(p.a, SLICE_LIT("with"), pipe_fds[1], &err), 0);
    assert_int_equal(control_send(p.a, SLICE_LIT("without"), -1, &err), 0);
    (void)close(pipe_fds[1]);
    assert_int_equal(control_receive(p.b, &line, &passed, &err), 0);
    assert_string_equal(line.data, "with");
    assert_true(passed >= 0);
    assert_int_equal(fcntl(passed, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(passed, "x", 1), 1);
    assert_int_equal(read(pipe_fds[0], &c, 1), 1);
    (void)close(passed);
    assert_int_equal(control_receive(p.b, &line, &passed, &err), 0);
    assert_string_equal(line.data, "without");
    assert_int_equal(passed, -1);
    (void)close(pipe_fds[0]);
    close_pair(p);
}

static void send_raw(int fd, const char *text, const int *fds, size_t count)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(8 * sizeof(int))];
    } control = {.room = {0}};
    struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    assert_int_equal(sendmsg(fd, &message, 0), strlen(text));
}

/* A peer that sends more descriptors than a message has leaves none open but the one. */
static void test_surplus_descriptors_are_closed(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct pair p = new_pair();
    AUTO(buf) struct buf line = {0};
    int passed = -1;
    const int fds[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    buf_init(&line, 100);
    int before = open_descriptors();
    for (size_t count = 2; count <= 8; count++) {
        send_raw(p.a, "x", fds, count);
        send_raw(p.a, "y\n", fds, 1); /* in place of the first */
        assert_int_equal(control_receive(p.b, &line, &passed, &err), 0);
        assert_string_equal(line.data, "xy");
        assert_true(passed >= 0);
        (void)close(passed);
        assert_int_equal(open_descriptors(), before);
    }
    close_pair(p);
}

/* A line over the maximum is refused on both sides, and a descriptor that came with it is closed.
 */
static void test_too_long_lines(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct pair p = new_pair();
    AUTO(buf) struct buf line = {0}, long_line = {0};
    int passed = -7;
    buf_init(&line, 10);
    int before = open_descriptors();
    assert_int_equal(control_send(p.a, SLICE_LIT("0123456789"), -1, &err), 0);
    assert_int_equal(control_receive(p.b, &line, &passed, &err), 0);
    passed = -7;
    assert_int_equal(control_send(p.a, SLICE_LIT("0123456789a"), 0, &err), 0);
    assert_int_equal(control_receive(p.b, &line, &passed, &err), -EOVERFLOW);
    assert_int_equal(passed, -7);
    assert_int_equal(open_descriptors(), before);
    buf_init(&long_line, CONTROL_MESSAGE_MAX);
    char *room = buf_reserve(&long_line, CONTROL_MESSAGE_MAX);
    memset(room, 'x', CONTROL_MESSAGE_MAX);
    assert_int_equal(control_send(p.a, slice_make(room, CONTROL_MESSAGE_MAX), -1, &err),
                     -EOVERFLOW);
    close_pair(p);
}

/* A peer that has gone is told as such, between lines, within one, and when sending. */
static void test_peer_has_gone(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct pair p = new_pair();
    AUTO(buf) struct buf line = {0};
    int passed = -7;
    buf_init(&line, 100);
    assert_int_equal(write(p.a, "half", 4), 4);
    (void)close(p.a);
    p.a = -1;
    assert_int_equal(control_receive(p.b, &line, &passed, &err), -EPIPE);
    assert_int_equal(control_receive(p.b, &line, &passed, &err), -EPIPE);
    assert_int_equal(control_send(p.b, SLICE_LIT("x"), -1, &err), -EPIPE);
    assert_int_equal(passed, -7);
    close_pair(p);
}

/* A socket in a directory is for its owner alone, is found by its clients, whose user it checks,
 * and replaces one that was left over. */
static void test_listen_and_connect(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char dir[] = "/tmp/tarn-control-XXXXXX", path[64], deep[200];
    int listening = -1, client = -1;
    struct stat st;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/" CONTROL_SOCKET, dir);
    assert_int_equal(control_connect(dir, &client, &err), -ENOENT);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(control_listen(dir, &listening, &err), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(control_connect(dir, &client, &err), 0);
        assert_int_equal(control_check_peer(client, &err), 0);
        (void)close(client);
        (void)close(listening);
        assert_int_equal(control_connect(dir, &client, &err), -ECONNREFUSED);
    }
    memset(deep, 'd', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_int_equal(control_listen(deep, &listening, &err), -ENAMETOOLONG);
    (void)unlink(path);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_descriptor),
        cmocka_unit_test(test_surplus_descriptors_are_closed),
        cmocka_unit_test(test_too_long_lines),
        cmocka_unit_test(test_peer_has_gone),
        cmocka_unit_test(test_listen_and_connect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
