# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments of a read and evict load: every byte that is served is the store's."""
import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from fake.proxy import DelayProxy
from support import bad_logs
from support.mounts import Mount, clean_env, is_mounted, run_tarn
from support.places import PATIENCE_S, SUPPORT
from support.range_reader import Control

MIB = 1 << 20
CACHE_BYTES = 96 * MIB
BIG = (80 * MIB, 67 * MIB + 12345)              # more than a segment of 64 MiB
MIDDLE = (30 * MIB, 20 * MIB + 1, 8 * MIB - 1, 8 * MIB, 5 * MIB + 777)
READERS = 4
DELAY_S = 0.03                                  # of each answer: so flights are mostly under way
SHORT_S, LONG_S = 0.3, 2.5                      # at most so long runs the load before a kill
TABLE = 'silver/mixed'
MNT_DETACH = 2


def make_files(root, chance):
    """[[path, size]]: files of 1 KB to 80 MB below `raw`, and a table of such files."""
    sizes = [*BIG, *MIDDLE, *(chance.randrange(MIB, 4 * MIB) for _ in range(8)),
             *(chance.randrange(1000, 300000) for _ in range(120))]
    made = []
    for below in ('raw', TABLE):
        (root / below).mkdir(parents=True)
        for i, size in enumerate(sizes if below == 'raw' else sizes[2:60]):
            name = 'part-%05d.parquet' % i
            with open(root / below / name, 'wb') as f:
                for at in range(0, size, 16 * MIB):
                    f.write(chance.randbytes(min(size - at, 16 * MIB)))
            made.append([below + '/' + name, size])
    adds = [bad_logs.add(0, path=os.path.basename(path), size=size)
            for path, size in made if path.startswith(TABLE)]
    (root / TABLE / '_delta_log').mkdir()
    bad_logs.write(root / TABLE, 0, bad_logs.line(bad_logs.protocol(), bad_logs.metadata(), *adds))
    return made


@pytest.fixture(scope='module')
def mixed(s3, tmp_path_factory):
    """(source directory, [[path, size]], bucket): a lake several times as large as the cache."""
    root = tmp_path_factory.mktemp('mixed') / 'lake'
    files = make_files(root, random.Random(11))
    assert sum(size for _, size in files) > 3 * CACHE_BYTES
    bucket = s3.new_bucket('kill')
    s3.copy_tree(root, bucket)
    return root, files, bucket


class Victim:
    """A daemon that is killed and started again on the same mountpoint and cache directory."""

    def __init__(self, mounter, source, cache, env, **options):
        self.path, self.cache, self.env = mounter.below / 'victim', cache, clean_env(env)
        self.path.mkdir()
        cache.mkdir(mode=0o700)
        self.log = mounter.below / 'victim.log'
        self.words = [*mounter.command(source, self.path, cache, options), '-f']
        self.mount = Mount(self.path, cache, self.log, '')
        mounter.made.append(self.mount)         # which ends it where the test does not
        self.libc = ctypes.CDLL(None, use_errno=True)

    def start(self):
        with open(self.log, 'wb') as log:       # of this life only
            process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env=self.env)
        self.mount.process = process
        deadline = time.monotonic() + PATIENCE_S
        while not is_mounted(self.path):
            assert process.poll() is None, 'no start after a kill: ' + self.log.read_text()[-2000:]
            assert time.monotonic() < deadline, 'not mounted within %g s' % PATIENCE_S
            time.sleep(0.002)
        return self.mount

    def kill(self):
        os.kill(self.mount.process.pid, signal.SIGKILL)

    def bury(self):
        status = self.mount.process.wait(timeout=PATIENCE_S)
        assert status == -signal.SIGKILL, 'the daemon had ended before: status %d' % status
        if self.libc.umount2(os.fsencode(self.path), MNT_DETACH) < 0:
            raise OSError(ctypes.get_errno(), 'umount2', str(self.path))


class Readers:
    """Processes that read random parts of a mount and compare them with the source."""

    def __init__(self, below, mount, root, files, seed):
        listed = below / 'files.json'
        listed.write_text(json.dumps([[path, path, size] for path, size in files]))
        self.control = Control(below / 'control', READERS)
        self.control.state = 2
        self.processes = []
        for i in range(READERS):
            self.processes.append(subprocess.Popen(
                [sys.executable, str(SUPPORT / 'range_reader.py'), str(mount), str(root),
                 str(listed), str(seed + i), str(below / 'control'), str(i)],
                stdout=subprocess.PIPE, text=True))

    def go(self):
        self.control.state += 1
        assert self.control.state & 1

    def halt(self):
        """From here on failures count no more."""
        self.control.state += 1

    def check(self):
        for p in self.processes:
            if p.poll() is not None:
                raise AssertionError('wrong: ' + (p.stdout.read() or 'status %d' % p.returncode))

    def end(self):
        """Waits for their ends: a process that found something wrong raises."""
        self.control.state = 0
        for p in self.processes:
            said, _ = p.communicate(timeout=PATIENCE_S)
            assert p.returncode == 0, 'wrong: %s (status %d)' % (said, p.returncode)

    def stop(self):
        for p in self.processes:
            if p.poll() is None:
                p.kill()
                p.wait()


def just_sent(proxy):
    """Requests for data that are not answered for some time yet, by their numbers."""
    now = time.monotonic()
    return {n for n, r in proxy.flying('data').items() if now - r.started < DELAY_S / 3}


def kill_in_flight(victim, readers, proxy):
    """
    Kills when the proxy has a request for data that is not answered. True where one of them was
    still without its answer after the kill, which then came in the middle of the flight.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not (flying := just_sent(proxy)):
        assert time.monotonic() < deadline, 'no fetch in flight'
        time.sleep(0.001)
    readers.halt()
    victim.kill()
    return bool(flying & proxy.flying('data').keys())


def compare_everything(m, root, files):
    for path, size in files:
        with open(m / path, 'rb') as got, open(root / path, 'rb') as wanted:
            for at in range(0, size, 8 * MIB):
                assert got.read(8 * MIB) == wanted.read(8 * MIB), '%s at %d' % (path, at)
            assert got.read(1) == b''


def disk_usage(cache):
    return sum(p.lstat().st_blocks * 512 for p in (cache / 'objects').rglob('*') if p.is_file())


def torture(mount, s3, mixed, tmp_path, kills):
    seed = int(os.environ.get('SEED', random.randrange(1 << 32)))
    print('SEED', seed)
    root, files, bucket = mixed
    chance = random.Random(seed)
    counted = missed = fetched = 0
    started = time.monotonic()
    with DelayProxy(s3.port, delay=DELAY_S) as proxy:
        victim = Victim(mount, 's3://' + bucket, tmp_path / 'cache', s3.env,
                        endpoint_url=proxy.url, cache_size='%dM' % (CACHE_BYTES // MIB))
        readers = Readers(tmp_path, victim.path, root, files, seed)
        try:
            while counted < kills:
                victim.start()
                readers.go()
                time.sleep(chance.uniform(0, LONG_S if chance.random() < 0.2 else SHORT_S))
                if kill_in_flight(victim, readers, proxy):
                    counted += 1
                else:
                    missed += 1
                victim.bury()
                readers.check()
                assert missed <= 10 + kills // 10, 'no fetch in flight at %d kills' % missed
                if counted % 50 == 0:
                    assert disk_usage(tmp_path / 'cache') <= CACHE_BYTES * 5 // 4
            fetched = sum(last - first + 1 for first, last in
                          (map(int, r.range[6:].split('-')) for r in proxy.seen('data')))
            proxy.clear()
            proxy.delay = 0
            m = victim.start()
            readers.go()
            compare_everything(m, root, files)
            readers.end()
            m.unmount()
        finally:
            readers.stop()
            reads, total = readers.control.sums()
            print('%d kills in flight, %d others, %.0f s; %d reads of %d MiB compared, %d MiB fetched'
                  % (counted, missed, time.monotonic() - started, reads, total / MIB,
                     fetched / MIB))
    verify_after(tmp_path / 'cache')
    return reads, total, fetched


def verify_after(cache):
    """No kill leaves a record of bytes that are not there."""
    if 'tarn cache' not in run_tarn('--help').stdout:
        return
    done = run_tarn('cache', 'verify', '--cache-dir', cache, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr


def test_some_kills(mount, s3, mixed, tmp_path):
    """20 kills, each with a fetch in flight; afterwards everything is read and right."""
    reads, total, _ = torture(mount, s3, mixed, tmp_path, 20)
    assert reads >= 20 and total >= 10 * MIB


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_thousand_kills(mount, s3, mixed, tmp_path):
    """1,000 of them, while eviction runs."""
    reads, total, fetched = torture(mount, s3, mixed, tmp_path, int(os.environ.get('KILLS', 1000)))
    assert reads >= 1000 and total >= 1000 * MIB
    assert fetched > 4 * CACHE_BYTES, 'too little was read for eviction to run'
