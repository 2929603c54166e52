# SPDX-License-Identifier: Apache-2.0
"""Servers of the tests on loopback ports of their own, whoever else looks for one at that moment."""
import contextlib
import os
import random
import socket
import subprocess
import time
from pathlib import Path

from .places import PATIENCE_S

ATTEMPTS = 5
LISTENS = '0A'                                  # the state, as /proc/net/tcp has it


def free_port():
    """
    A port that nobody has. Below those that the kernel gives to whoever asks for any, and other
    workers of one run look elsewhere; other runs may still take it before its server has.
    """
    worker = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:])
    while True:
        port = 10000 + 1000 * (worker % 20) + random.randrange(1000)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(('127.0.0.1', port))
                return port
            except OSError:
                continue


def listens(process, port):
    """The process has the port, and not somebody else."""
    sockets = set()
    for table in ('/proc/net/tcp', '/proc/net/tcp6'):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENS and int(fields[1].rsplit(':', 1)[1], 16) == port:
                    sockets.add('socket:[%s]' % fields[9])
    with contextlib.suppress(FileNotFoundError):
        for fd in Path('/proc/%d/fd' % process.pid).iterdir():
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(fd) in sockets:
                    return True
    return False


def serve(start, log):
    """
    Starts a server by start(port), a Popen, and waits until it listens: (process, port). One that
    ends is tried on another port: somebody else may have taken the first one.
    """
    for _ in range(ATTEMPTS):
        port = free_port()
        process = start(port)
        deadline = time.monotonic() + PATIENCE_S
        while process.poll() is None and time.monotonic() < deadline:
            if listens(process, port):
                return process, port
            time.sleep(0.02)
        process.kill()
        process.wait()
    raise RuntimeError('the server does not start: ' + Path(log).read_text(errors='replace')[-2000:])


def end(process, log):
    """Asks a server to end, and ends it where it does not; the file that it wrote to is closed."""
    process.terminate()
    try:
        process.wait(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    log.close()
