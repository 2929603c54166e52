# SPDX-License-Identifier: Apache-2.0
"""
What a reader does with a lake, step by step, in a copy of the lake of its own each time: nothing
of it is cached, and one daemon serves all copies.
"""
import collections
import errno
import hashlib
import os
import random
import re
import time

from deltalake import DeltaTable, write_deltalake

from . import lakes
from .mounts import wait_for

TABLE, MOVE = 'silver/orders', 3
SMALL, LARGE, RANDOM = 'bronze/blobs/small.bin', 'bronze/blobs/large.bin', 'bronze/blobs/random.bin'
REFRESH_S = 0.3
PREFIX = 'run*'                                 # of any copy

# One call of the reader: the step, seconds, 0 or an errno.
Call = collections.namedtuple('Call', 'step seconds code')
# A request of the scenario: what identifies it in every copy, and which one of these it is.
Asked = collections.namedtuple('Asked', 'kind method key query nth')


def make(root):
    """The lake in a directory: versions 0 to 2 with a checkpoint, and 3, to which it will move."""
    chance = random.Random(11)
    (root / 'bronze/blobs').mkdir(parents=True)
    for name, size in ((SMALL, 70_000), (LARGE, (5 << 20) + 12345), (RANDOM, 5 << 20)):
        (root / name).write_bytes(chance.randbytes(size))
    table = root / TABLE
    write_deltalake(table, lakes.rows(0, 40), partition_by=['country'], configuration=lakes.KEPT)
    write_deltalake(table, lakes.rows(40, 40), mode='append')
    DeltaTable(table).create_checkpoint()
    write_deltalake(table, lakes.rows(80, 40), mode='append')
    write_deltalake(table, lakes.rows(120, 40), mode='append')
    return root


class Wrong(AssertionError):
    """Bytes or names that are not those of the lake."""


class Reader:
    """Goes through the steps on a mount of a copy. `calls` says what came of each."""

    def __init__(self, mounted, lake, move):
        self.m, self.lake, self.move, self.calls = mounted, lake, move, []
        self.has_moved = False
        self.table = lake / TABLE
        self.versions = [set(DeltaTable(self.table, version=v).file_uris())
                         for v in range(MOVE + 1)]

    def names(self, version):
        return {os.path.relpath(uri, self.table) for uri in self.versions[version]}

    def _do(self, step, call, *args):
        """What the call gives, or None where it is an error."""
        started, code, value = time.monotonic(), 0, None
        try:
            value = call(*args)
        except OSError as e:
            code = e.errno
        self.calls.append(Call(step, time.monotonic() - started, code))
        return value

    def _same(self, step, got, *expected):
        if got is not None and got not in expected:
            raise Wrong('%s: %.200r, not %.200r' % (step, got, expected))

    def _tree(self, step, path):
        """{file: size} below a directory, or None after an error."""
        found, todo = {}, ['']
        while todo:
            below = todo.pop()
            entries = self._do(step, os.listdir, path / below)
            if entries is None:
                return None
            for name in (os.path.join(below, e) for e in entries):
                if name.endswith('.parquet'):
                    st = self._do(step, os.stat, path / name)
                    if st is None:
                        return None
                    found[name] = self._stored(name, st.st_size)
                else:
                    todo.append(name)
        return found

    def _live(self, step):
        """
        The tree of the live path, of one version: a reader that pauses for --refresh, as one on a busy
        machine does, has seen some of each.
        """
        while True:
            before = self._version()
            found = self._tree(step, self.m / TABLE)
            if found is None or before == self._version():
                return found

    def _version(self):
        """Of the live path; None where the table cannot be read."""
        try:
            return os.getxattr(self.m / TABLE, 'user.tarn.version')
        except OSError:
            return None

    def _stored(self, name, size):
        """Where the log's early commits cannot be read, nothing proves that files are as they are
        stored: they have slack then, and are the object, zeros, its footer."""
        stored = (self.table / name).stat().st_size
        return stored if size == stored + 65536 + stored // 16 else size

    def _sizes(self, version):
        return {name: (self.table / name).stat().st_size for name in self.names(version)}

    def _read(self, step, path, pieces):
        """Each (offset, length) of a file, or None after an error."""
        fd = self._do(step, os.open, path, os.O_RDONLY)
        if fd is None:
            return None
        try:
            got = [self._do(step, os.pread, fd, length, offset) for offset, length in pieces]
        finally:
            os.close(fd)
        return None if None in got else got

    def _compare(self, step, name, pieces, path=None):
        data = (self.lake / name).read_bytes()
        got = self._read(step, path or self.m / name, pieces)
        if got and path:
            got = [piece[:max(0, len(data) - at)] for piece, (at, _) in zip(got, pieces)]
        digest = [hashlib.md5(data[at:at + n]).hexdigest() for at, n in pieces]
        self._same(step, got and [hashlib.md5(piece).hexdigest() for piece in got], digest)

    def run(self):
        live = self.m / TABLE
        shown = [self._sizes(2)] + ([self._sizes(3)] if self.has_moved else [])
        self._same('list', self._live('list'), *shown)
        name = sorted(self.names(2))[0]
        self._compare('table file', os.path.join(TABLE, name), [(0, 1 << 20)], live / name)
        self._compare('small', SMALL, [(0, 1 << 20)])
        size = (self.lake / LARGE).stat().st_size
        self._compare('sequential', LARGE, [(at, 1 << 20) for at in range(0, size, 1 << 20)])
        chance = random.Random(3)
        self._compare('random', RANDOM, [(chance.randrange((5 << 20) - 4096), 4096)
                                         for _ in range(6)])
        self._same('ref', self._tree('ref', self.m / (TABLE + '@0')), self._sizes(0))
        if not self.has_moved:
            self.move()
            self.has_moved = True
            time.sleep(REFRESH_S + 0.1)
        self._same('move', self._live('move'), self._sizes(2), self._sizes(3))
        return self.calls

    def again(self):
        """After the faults: everything is right, the newest version included. OSError or Wrong."""
        before = len(self.calls)
        self.run()
        failed = [c for c in self.calls[before:] if c.code]
        if failed:
            raise OSError(failed[0].code, 'still failing: %s' % failed[0].step)

    def moved(self):
        """The live path, once it has rested, shows the version to which it has moved."""
        time.sleep(REFRESH_S + 0.1)
        return self._live('moved') == self._sizes(3)


class Copies:
    """Copies of the lake below prefixes of a bucket: hard links, so that hundreds cost nothing."""

    def __init__(self, server, bucket, lake):
        self.server, self.bucket, self.lake, self.count = server, bucket, lake, 0
        server.copy_tree(lake, bucket, 'master')
        self.root = server.root / bucket
        self.master = self.root / 'master'
        self.late = os.path.join(TABLE, '_delta_log', '%020d.json' % MOVE)

    def make(self):
        """The prefix of a new copy, which shows version 2, and what moves it to version 3."""
        self.count += 1
        prefix = 'run%04d' % self.count
        for where, _, names in os.walk(self.master):
            below = self.root / prefix / os.path.relpath(where, self.master)
            below.mkdir(parents=True)
            for name in names:
                if not os.path.join(where, name).endswith(self.late):
                    os.link(os.path.join(where, name), below / name)

        def move():
            late = self.root / prefix / self.late
            if not late.exists():
                os.link(self.master / self.late, late)
        return prefix, move

    def asked(self, requests, prefix):
        """What a run on a copy has asked for, in its order."""
        counts, found = collections.Counter(), []
        for r in requests:
            words = (r.kind, r.method, self._pattern(r.key, prefix), self._pattern(r.query, prefix))
            found.append(Asked(*words, counts[words]))
            counts[words] += 1
        return found

    @staticmethod
    def _pattern(text, prefix):
        return text.replace('[', '[[]').replace(prefix, PREFIX)


def of_copy(pattern, prefix):
    """Such a request of one copy."""
    return pattern.replace(PREFIX, prefix)


# What a daemon has; `objects`: files of the cache, which stay open until their bytes are synced.
Use = collections.namedtuple('Use', 'descriptors objects sockets threads')
OBJECT = re.compile(r'/[0-9a-f]{2}/[0-9a-f]{16,}')


def use_of(pid):
    found, objects, sockets = [], 0, 0
    for fd in os.listdir('/proc/%d/fd' % pid):
        try:
            name = os.readlink('/proc/%d/fd/%s' % (pid, fd))
        except FileNotFoundError:
            continue
        if name.startswith('socket:'):
            sockets += 1
        elif OBJECT.search(name):
            objects += 1
        else:
            found.append(name)
    return Use(sorted(found), objects, sockets, len(os.listdir('/proc/%d/task' % pid)))


def until_right(reader, seconds):
    """After the faults the mount recovers by itself."""
    said = []

    def right():
        try:
            reader.again()
            return reader.moved()
        except OSError as e:
            said[:] = [str(e)]
            return False
    try:
        wait_for(right, seconds, 'everything right after the faults')
    except TimeoutError as e:
        raise AssertionError('%s: %s' % (e, said)) from None


def names_of(codes):
    return sorted(errno.errorcode[c] for c in codes)
