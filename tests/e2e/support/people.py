# SPDX-License-Identifier: Apache-2.0
"""What other users of the machine do: functions that run in a process of theirs."""
import contextlib
import errno
import os
import pickle
import socket
import traceback


class Person:
    """
    A process of some user that runs functions. They may use the standard library only: the process
    is a fork, and nothing of it is imported anew.
    """

    def __init__(self, uid, gid=None, groups=()):
        self.uid = uid
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                close_all_but(theirs.fileno())
                os.setgroups(list(groups))
                os.setgid(uid if gid is None else gid)
                os.setuid(uid)
                serve(theirs)
                status = 0
            finally:
                os._exit(status)
        theirs.close()
        self.socket = ours

    def begin(self, function, *args, fds=()):
        send(self.socket, (function, args), fds)

    def result(self):
        (failed, value), fds = receive(self.socket)
        if failed:
            raise value
        return (value, fds) if fds else value

    def __call__(self, function, *args, fds=()):
        """What the function returns, or raises. Descriptors that it returns come as a second value."""
        self.begin(function, *args, fds=fds)
        return self.result()

    def end(self):
        self.socket.close()
        os.waitpid(self.pid, 0)


def close_all_but(mine):
    """Closes what the fork has got of others: their ends would never be the last ones."""
    os.closerange(3, mine)
    os.closerange(mine + 1, 4096)


class Descriptors:
    """What a function returns whose descriptors are to be passed on."""

    def __init__(self, value, fds):
        self.value, self.fds = value, fds


def send(to, what, fds=()):
    data = pickle.dumps(what)
    socket.send_fds(to, [len(data).to_bytes(8, 'little')], list(fds))
    to.sendall(data)


def receive(from_):
    head, fds, _, _ = socket.recv_fds(from_, 8, 16)
    if not head:
        raise EOFError('the process has ended')
    size = int.from_bytes(head, 'little')
    data = bytearray()
    while len(data) < size:
        data += from_.recv(min(1 << 20, size - len(data)))
    return pickle.loads(bytes(data)), fds


def serve(theirs):
    while True:
        try:
            (function, args), fds = receive(theirs)
        except EOFError:
            return
        given = []
        try:
            value = function(*args, *([fds] if fds else []))
            if isinstance(value, Descriptors):
                value, given = value.value, value.fds
            send(theirs, (False, value), given)
        except BaseException as e:                # pylint: disable=broad-except
            kept = e if isinstance(e, (OSError, AssertionError)) else \
                RuntimeError(traceback.format_exc())
            send(theirs, (True, kept))
        for fd in [*fds, *given]:
            os.close(fd)


@contextlib.contextmanager
def person(uid, gid=None, groups=()):
    p = Person(uid, gid, groups)
    try:
        yield p
    finally:
        p.end()


def as_user(uid, where, function, *args):
    """
    What one call answers to a user without an account, in that directory: ('ok', value) or the
    name of the error. The directories above are root's own, so that it is entered before.
    """
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = answer_of(uid, where, function, args)
            with os.fdopen(send, 'wb') as out:
                pickle.dump(answer, out)
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, 'rb') as source:
        told = source.read()
    _, status = os.waitpid(child, 0)
    assert told, 'the child of uid %d ended without an answer, status %d' % (uid, status)
    return pickle.loads(told)


def answer_of(uid, where, function, args):
    try:
        os.chdir(where)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        return 'ok', function(*args)
    except OSError as e:
        return errno.errorcode.get(e.errno, repr(e))
    except Exception:                             # pylint: disable=broad-except
        return traceback.format_exc()


# what they do

def read_tree(root):
    """All files below a directory, as bytes by their relative paths."""
    found = {}

    def fail(error):
        raise error
    for where, _, names in os.walk(root, onerror=fail):
        for name in names:
            path = os.path.join(where, name)
            with open(path, 'rb') as f:
                found[os.path.relpath(path, root)] = f.read()
    return found


def error_of(function, *args):
    """The errno with which it fails; 0 where it does not."""
    try:
        function(*args)
    except OSError as e:
        return e.errno
    return 0


def errors_of(names, root):
    """How each name fails to be looked at, listed or opened."""
    return {n: (error_of(os.stat, os.path.join(root, n)), error_of(os.listdir, os.path.join(root, n)),
                error_of(os.open, os.path.join(root, n), os.O_RDONLY)) for n in names}
