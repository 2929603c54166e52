# SPDX-License-Identifier: Apache-2.0
"""Doing something as another user of the machine."""
import errno
import os
import pickle


def as_user(uid, where, function, *args):
    """
    What the function answers to a user without an account, in that directory: ('ok', value) or the
    name of the error. The directories above are root's own, so that it is entered before.
    """
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(receive)
            os.chdir(where)
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            try:
                answer = ('ok', function(*args))
            except OSError as e:
                answer = errno.errorcode.get(e.errno, repr(e))
            except Exception as e:              # pylint: disable=broad-except
                answer = repr(e)
            with os.fdopen(send, 'wb') as out:
                pickle.dump(answer, out)
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, 'rb') as source:
        told = source.read()
    os.waitpid(child, 0)
    assert told, 'the child of uid %d ended without an answer' % uid
    return pickle.loads(told)
