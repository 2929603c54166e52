# SPDX-License-Identifier: Apache-2.0
"""The reader, the peer, the kernel's caches, and what a process has done so far."""
import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

from support.mounts import is_mounted, detach, wait_for
from support.places import ROOT

BUILD = (ROOT / os.environ.get('BUILD', 'build')).resolve()
READER, PEER = BUILD / 'bench' / 'reader', BUILD / 'bench' / 'noop_passthrough'
READER_TIMEOUT_S = 300


@dataclasses.dataclass
class Rounds:
    """The same work on several paths in turn."""
    bytes: int
    ops: int
    seconds: list                               # a list a path

    def best(self, path):
        return min(self.seconds[path])

    def mib_s(self, path):
        return self.bytes / self.best(path) / (1 << 20)

    def ops_s(self, path):
        return self.ops / self.best(path)

    def ratio(self, path, base=0):
        """
        How fast beside another path: the median over rounds of what stood next to each other in
        time, so that the machine's other work counts for both.
        """
        pairs = zip(self.seconds[base], self.seconds[path])
        return statistics.median(b / p for b, p in pairs)


def reader_words(mode, *paths, **options):
    words = [str(READER), mode]
    for key, value in options.items():
        words += ['--' + key] if value is True else ['--' + key, str(value)]
    return words + [str(p) for p in paths]


def read(mode, *paths, **options):
    """Runs tests/bench/reader.c: Rounds."""
    done = subprocess.run(reader_words(mode, *paths, **options), check=True, text=True,
                          stdout=subprocess.PIPE, timeout=READER_TIMEOUT_S)
    return Rounds(**json.loads(done.stdout))


def drop_caches(what=3):
    """1: pages, 2: names and inodes, 3: both. What is dirty is written first."""
    os.sync()
    Path('/proc/sys/vm/drop_caches').write_text(str(what))


def read_cold(mode, *paths, rounds=5, **options):
    """As read, with nothing of the files in memory before each turn."""
    took = [[] for _ in paths]
    for turn in range(rounds):
        for i in range(len(paths)):
            which = (turn + i) % len(paths)
            drop_caches()
            once = read(mode, paths[which], **options)
            took[which].append(once.seconds[0][0])
    return Rounds(once.bytes, once.ops, took)


def warm(path):
    """Into the page cache, by whatever way the path leads."""
    read('seq', path)


def written(pid):
    """Bytes that a process has written, replies to the kernel included."""
    for line in Path('/proc/%d/io' % pid).read_text().splitlines():
        if line.startswith('wchar:'):
            return int(line.split()[1])
    raise ValueError('process %d has no wchar' % pid)


def passes(pid, path):
    """Whether the kernel reads a file of a mount itself: the daemon `pid` sends nothing."""
    size = min(os.stat(path).st_size, 8 << 20)
    before = written(pid)
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.pread(fd, size, 0)
    finally:
        os.close(fd)
    return written(pid) - before < size // 2


def wait_until_it_passes(pid, path, seconds=30):
    """False where it does not within that time."""
    try:
        return wait_for(lambda: passes(pid, path), seconds, 'passthrough')
    except TimeoutError:
        return False


def cached_file(cache, size):
    """The one file of the cache that holds an object of this size."""
    found = [p for p in (Path(cache) / 'objects').glob('*/*') if p.stat().st_size == size]
    assert len(found) == 1, '%d files of %d bytes in %s' % (len(found), size, cache)
    return found[0]


@contextlib.contextmanager
def peer(directory, mountpoint, threads=2):
    """The no-op passthrough daemon over a flat directory."""
    mountpoint.mkdir()
    process = subprocess.Popen([str(PEER), str(directory), str(mountpoint), str(threads)])
    try:
        wait_for(lambda: is_mounted(mountpoint) or process.poll() is not None, 20, 'the peer')
        assert process.poll() is None, 'the peer did not start'
        yield mountpoint
    finally:
        subprocess.run(['umount', str(mountpoint)], check=False, capture_output=True, timeout=20)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            detach(mountpoint)
            process.kill()
            process.wait()


def timed(work, *args):
    started = time.monotonic()
    work(*args)
    return time.monotonic() - started
